//! A service in time that a test moves: a clock, a world that outlives processes, and a store.
//!
//! A process is a runtime of its own. Dropping it is `kill -9`: whatever it was at ends at once,
//! and only what the store kept and what was pushed to the world is left.

use hopclock::engine::{
    Assembled, Assembly, Batch, Entry, Errands, Job, LocalLanes, Plan, PlannedHop, Service,
    Setting, Stamped, Store, StoreError, Surroundings, Totals, Watches, Watching,
};
use hopclock::history::Recorder;
use hopclock::hop::{Live, LiveConfig, Place};
use hopclock::model::{
    Account, Ancestry, Arrival, CanaryId, Clock, Event, GroupKind, HopRecord, KeptRun, Missed,
    Moment, Outcome, Passage, ProbeError, Requirement, Revision, RunRecord, Seen, State, Subject,
    Ticks, Timetable, Usage, When,
};
use hopclock::trigger::{Error, Published, Trigger};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// When the tests begin.
pub(crate) const START: &str = "2026-03-02T08:00:00Z";

/// A wall clock that goes with the runtime's time, and can be set.
pub(crate) struct SimClock {
    origin: Instant,
    base: Timestamp,
    set: AtomicI64,
}

/// What outlives processes: which canary each scenario has pushed, and since when it is live.
#[derive(Default)]
pub(crate) struct World {
    lanes: Mutex<BTreeMap<String, Pushed>>,
    /// From the push to being live.
    pub(crate) delay: Mutex<Duration>,
    /// How often something was pushed.
    pub(crate) pushes: Mutex<Vec<(String, CanaryId)>>,
    /// Why the remote cannot be asked what it has, if so.
    pub(crate) unreachable: Mutex<Option<String>>,
    /// Whether pushes are a fault of the program.
    pub(crate) faulty: AtomicBool,
    /// Whether a push is never acknowledged.
    pub(crate) mute: AtomicBool,
    /// Whether paths lead elsewhere than before.
    pub(crate) moved: AtomicBool,
}

#[derive(Clone)]
struct Pushed {
    canary: CanaryId,
    live_from: Timestamp,
}

/// Keeps accounts in memory.
#[derive(Clone, Default)]
pub(crate) struct MemoryStore(pub(crate) Arc<Kept>);

/// What a [`MemoryStore`] kept.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) accounts: Mutex<BTreeMap<String, Account>>,
    pub(crate) runs: Mutex<Vec<Arc<KeptRun>>>,
    pub(crate) full: AtomicBool,
}

/// Counts events, and remembers the highest counts that anybody was shown.
#[derive(Default)]
pub(crate) struct Counts(Mutex<BTreeMap<String, BTreeMap<String, u64>>>);

/// A scenario of the world.
pub(crate) struct Lane {
    pub(crate) name: String,
    /// Where it pushes to.
    pub(crate) remote: String,
    pub(crate) deadline: Duration,
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<SimClock>,
    /// Why no job can be made, if so.
    pub(crate) broken: Arc<Mutex<Option<String>>>,
    /// How long it takes to make one.
    pub(crate) takes: Duration,
    /// The longest interval on its path.
    pub(crate) longest_poll: Option<Duration>,
}

struct Hand {
    name: String,
    lane: String,
    world: Arc<World>,
    clock: Arc<SimClock>,
    canary: Mutex<Option<CanaryId>>,
}

struct Eyes {
    lane: String,
    world: Arc<World>,
    clock: Arc<SimClock>,
}

struct Looking {
    subjects: Vec<Arc<Subject>>,
    first: VecDeque<Seen>,
    shown: Option<CanaryId>,
    eyes: Eyes,
}

// === impl SimClock ===

impl SimClock {
    pub(crate) fn new(base: Timestamp) -> Arc<Self> {
        Arc::new(Self { origin: Instant::now(), base, set: AtomicI64::new(0) })
    }

    /// The time that the rest of the world has, whatever our clock is set to.
    fn truth(&self) -> Timestamp {
        self.base + SignedDuration::try_from(self.origin.elapsed()).unwrap()
    }

    /// Sets the wall clock forward, or back.
    pub(crate) fn set(&self, by: SignedDuration) {
        self.set.fetch_add(by.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Moment {
        Moment(Duration::from_secs(400 * 86_400) + self.origin.elapsed())
    }

    fn wall(&self) -> Timestamp {
        let set = SignedDuration::from_millis(self.set.load(Ordering::SeqCst));
        self.truth() + set
    }
}

// === impl World ===

impl World {
    pub(crate) fn new(delay: Duration) -> Arc<Self> {
        Arc::new(Self { delay: Mutex::new(delay), ..Self::default() })
    }

    /// The remotes are as they were before anything was pushed.
    pub(crate) fn lose_pushes(&self) {
        self.lanes.lock().unwrap().clear();
    }

    fn live(&self, lane: &str, wall: Timestamp) -> Option<CanaryId> {
        let lanes = self.lanes.lock().unwrap();
        lanes.get(lane).filter(|it| it.live_from <= wall).map(|it| it.canary.clone())
    }
}

// === impl MemoryStore ===

#[async_trait::async_trait]
impl Store for MemoryStore {
    async fn load(&mut self) -> Result<BTreeMap<String, Account>, StoreError> {
        Ok(self.0.accounts.lock().unwrap().clone())
    }

    async fn save(&mut self, batch: &Batch) -> Result<(), StoreError> {
        // Time passes before anything is kept, and a process can be killed in it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        if self.0.full.load(Ordering::SeqCst) {
            return Err(StoreError { reason: "full", message: "the disk is full".to_owned() });
        }
        {
            let mut accounts = self.0.accounts.lock().unwrap();
            batch.forgotten.iter().for_each(|it| drop(accounts.remove(it)));
            for (name, account) in &batch.accounts {
                // As a real store would: what cannot be written cannot be kept.
                let text = serde_json::to_string(account).unwrap();
                accounts.insert(name.clone(), serde_json::from_str(&text).unwrap());
            }
            self.0.runs.lock().unwrap().extend(batch.runs.iter().cloned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }
}

// === impl Counts ===

impl Counts {
    /// What is shown of a scenario.
    pub(crate) fn of(&self, scenario: &str) -> BTreeMap<String, u64> {
        self.0.lock().unwrap().get(scenario).cloned().unwrap_or_default()
    }

    pub(crate) fn all(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        self.0.lock().unwrap().clone()
    }
}

fn add(counts: &mut BTreeMap<String, u64>, events: &[Stamped]) {
    let mut count = |key: &str, more| *counts.entry(key.to_owned()).or_default() += more;
    for it in events {
        match &it.event {
            Event::Scheduled { .. } => count("scheduled", 1),
            Event::Missed { reason, count: missed, .. } => {
                count("scheduled", *missed);
                count(reason.as_str(), *missed);
            }
            Event::Finished(record) => {
                count("finished", 1);
                count(record.outcome.as_str(), 1);
            }
            Event::Decided { slo, .. } => count(&format!("slo {slo}"), 1),
            _ => (),
        }
    }
}

impl Totals for Counts {
    fn after(&self, scenario: &str, events: &[Stamped]) -> Value {
        let mut counts = self.of(scenario);
        add(&mut counts, events);
        json!(counts)
    }

    fn count(&self, scenario: &str, events: &[Stamped]) {
        add(self.0.lock().unwrap().entry(scenario.to_owned()).or_default(), events);
    }

    fn restore(&self, scenario: &str, saved: &Value) -> Result<(), String> {
        let counts = serde_json::from_value(saved.clone()).unwrap_or_default();
        self.0.lock().unwrap().insert(scenario.to_owned(), counts);
        Ok(())
    }

    fn forget(&self, scenario: &str) {
        self.0.lock().unwrap().remove(scenario);
    }
}

// === impl Lane ===

#[async_trait::async_trait]
impl Assembly for Lane {
    async fn assemble(&self) -> Result<Assembled, ProbeError> {
        tokio::time::sleep(self.takes).await;
        if let Some(message) = self.broken.lock().unwrap().clone() {
            return Err(ProbeError { reason: "broken".to_owned(), message });
        }
        let (name, world, clock) = (&self.name, &self.world, &self.clock);
        let trigger = Hand {
            name: name.clone(),
            lane: self.remote.clone(),
            world: world.clone(),
            clock: clock.clone(),
            canary: Mutex::default(),
        };
        let lane = self.remote.clone();
        let watches = Eyes { lane: lane.clone(), world: world.clone(), clock: clock.clone() };
        let live = GroupKind::new("", "ConfigMap");
        let moved = world.moved.load(Ordering::SeqCst);
        let namespace = if moved { "elsewhere" } else { "canaries" };
        let hop = PlannedHop {
            name: "live".to_owned(),
            subject: Arc::new(Subject::local(live, namespace, name)),
            place: Place::Live,
            after: Vec::new(),
            within: None,
            need: Requirement::Required,
            detector: Arc::new(Live::new(&LiveConfig::default())),
            witnesses: Vec::new(),
        };
        let plan = Plan {
            scenario: name.clone(),
            deadline: self.deadline,
            within: Some(self.deadline / 2),
            until: None,
            hops: vec![hop],
            bystanders: Vec::new(),
        };
        let job = Job {
            plan: Arc::new(plan),
            trigger: Arc::new(trigger),
            watches: Arc::new(watches),
            instance: "test".to_owned(),
            errands: Errands::new(),
        };
        Ok(Assembled { job, lane, longest_poll: self.longest_poll })
    }

    fn unassembled(&self, error: ProbeError, started: Timestamp) -> RunRecord {
        RunRecord {
            scenario: self.name.clone(),
            canary: CanaryId::next("test", started, None),
            started,
            push: None,
            hops: vec![HopRecord {
                hop: "live".to_owned(),
                subject: String::new(),
                target_cluster: String::new(),
                passage: Passage::Unreached,
                reverted: false,
                unready: false,
                sights: Vec::new(),
            }],
            outcome: Outcome::ProbeError(error),
            push_to_apply: None,
            tolerance: Duration::ZERO,
            failing_since: None,
            slo: Vec::new(),
            usage: Usage::default(),
        }
    }
}

// === impl Hand ===

#[async_trait::async_trait]
impl Trigger for Hand {
    fn lane(&self) -> String {
        "lane".to_owned()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        Ok(self.world.lanes.lock().unwrap().get(&self.lane).map(|it| it.canary.clone()))
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        *self.canary.lock().unwrap() = Some(canary.clone());
        Ok(vec![Revision::Commit(format!("{:040x}", canary.sequence()))])
    }

    async fn publish(&self, _: &(dyn Fn(Vec<Revision>) + Send + Sync)) -> Result<Published, Error> {
        let sent = self.clock.now();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!self.world.faulty.load(Ordering::SeqCst), "a fault that the test asks for");
        let canary = self.canary.lock().unwrap().clone().unwrap();
        let delay = *self.world.delay.lock().unwrap();
        let live_from = self.clock.truth() + delay;
        self.world.pushes.lock().unwrap().push((self.name.clone(), canary.clone()));
        let pushed = Pushed { canary, live_from };
        self.world.lanes.lock().unwrap().insert(self.lane.clone(), pushed);
        if self.world.mute.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(Published { sent, zero: When::at(self.clock.now()), attempts: 1 })
    }

    async fn recover(
        &self,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, Error> {
        if let Some(message) = self.world.unreachable.lock().unwrap().clone() {
            return Err(Error { reason: "unreachable", message });
        }
        let latest = self.latest().await?;
        Ok((latest.as_ref() == Some(canary)).then(|| revisions.to_vec()))
    }

    async fn ancestry(&self, _: &Revision) -> Ancestry {
        Ancestry::Unknown
    }
}

// === impl Eyes ===

#[async_trait::async_trait]
impl Watches for Eyes {
    async fn open(&self, subjects: &[Arc<Subject>]) -> Result<Box<dyn Watching>, ProbeError> {
        let shown = self.world.live(&self.lane, self.clock.truth());
        let eyes =
            Eyes { lane: self.lane.clone(), world: self.world.clone(), clock: self.clock.clone() };
        let mut looking =
            Looking { subjects: subjects.to_vec(), first: VecDeque::new(), shown, eyes };
        looking.first = looking.show(Arrival::First);
        Ok(Box::new(looking))
    }
}

// === impl Looking ===

impl Looking {
    fn show(&self, arrival: Arrival) -> VecDeque<Seen> {
        let canary = self.shown.as_ref().map(ToString::to_string);
        let value = Arc::new(json!({"data": {"canary": canary}}));
        let when = When::at(self.eyes.clock.now());
        let state = State { when, arrival, value };
        let seen = |it: &Arc<Subject>| Seen { subject: it.clone(), state: state.clone() };
        self.subjects.iter().map(seen).collect()
    }
}

#[async_trait::async_trait]
impl Watching for Looking {
    async fn next(&mut self) -> Result<Seen, ProbeError> {
        loop {
            if let Some(seen) = self.first.pop_front() {
                return Ok(seen);
            }
            let live = self.eyes.world.live(&self.eyes.lane, self.eyes.clock.truth());
            if live == self.shown {
                tokio::time::sleep(Duration::from_millis(100)).await;
            } else {
                self.shown = live;
                self.first = self.show(Arrival::Next);
            }
        }
    }

    async fn prove(&mut self, _: Duration) -> Vec<Arc<Subject>> {
        Vec::new()
    }

    fn ready(&mut self) -> Option<Result<Seen, ProbeError>> {
        self.first.pop_front().map(Ok)
    }
}

/// A process: a service with its recorder.
pub(crate) struct Process {
    pub(crate) service: Service,
    pub(crate) recorder: Recorder,
    pub(crate) accounts: BTreeMap<String, Account>,
}

/// The runtime of a process, in which time stands still unless everybody waits.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// Starts a process with what the store has kept.
pub(crate) async fn start(
    clock: &Arc<SimClock>,
    store: &MemoryStore,
    counts: &Arc<Counts>,
) -> Process {
    let mut own = store.clone();
    let accounts = own.load().await.unwrap();
    for (name, account) in &accounts {
        counts.restore(name, &account.totals).unwrap();
    }
    let names = accounts.keys().cloned().collect();
    let recorder = Recorder::start(Box::new(own), counts.clone(), accounts, clock.clone());
    let accounts = recorder.adopt(names).await;
    let around = Surroundings {
        clock: clock.clone(),
        journal: Arc::new(recorder.clone()),
        observer: Arc::new(recorder.clone()),
    };
    let setting = Setting {
        around,
        lanes: Arc::new(LocalLanes::default()),
        seed: "test".to_owned(),
        keeper: Arc::new(recorder.clone()),
    };
    Process { service: Service::new(setting), recorder, accounts }
}

/// A scenario that runs every `period`.
pub(crate) fn entry(lane: Lane, period: Duration, jitter: Duration) -> Entry {
    Entry {
        scenario: lane.name.clone(),
        timetable: Some(Timetable {
            scenario: lane.name.clone(),
            ticks: Ticks::Every(period),
            jitter: Some(jitter),
            pauses: Vec::new(),
        }),
        deadline: lane.deadline,
        fingerprint: format!("{period:?}"),
        assembly: Arc::new(lane),
    }
}

/// Every tick of an account is a run or missed, and what is shown says the same (rule O4).
pub(crate) fn assert_accounted(account: &Account, counts: &BTreeMap<String, u64>) {
    let ledger = &account.ledger;
    let missed: u64 = Missed::ALL.iter().map(|it| ledger.missed(*it)).sum();
    assert_eq!(ledger.scheduled(), ledger.finished() + ledger.in_flight() + missed);
    let shown = |key: &str| counts.get(key).copied().unwrap_or(0);
    assert_eq!(shown("scheduled"), ledger.scheduled(), "{counts:?}");
    assert_eq!(shown("finished"), ledger.finished(), "{counts:?}");
    for reason in Missed::ALL {
        assert_eq!(shown(reason.as_str()), ledger.missed(reason), "{counts:?}");
    }
}
