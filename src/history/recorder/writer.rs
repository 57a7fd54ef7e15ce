//! The one writer: adds messages to the accounts, has them kept, and then shown.

use crate::engine::{Batch, Stamped, Store, StoreError, Totals};
use crate::history::recorder::describe::describe;
use crate::model::{
    Account, Acknowledged, CanaryId, Event, Evidence, KeptRun, LogLine, Moment, Origin, ProbeError,
    Publishing, RunRecord, SloRecord, Tick, Underway,
};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Most messages that are kept in one step.
const STEP: usize = 512;

/// Most finished runs that wait for a store that cannot keep them.
const WAITING_RUNS: usize = 10_000;

/// Most lines of the log of one run.
const LOG_LINES: usize = 500;

/// How long after a failure the store is tried again without being asked.
const RETRY: Duration = Duration::from_secs(5);

/// What the writer is told.
pub(super) enum Message {
    /// Something happened.
    Happened {
        /// What, and when by the wall clock.
        stamped: Box<Stamped>,
        /// When by the clock of this process.
        now: Moment,
    },
    /// A change is about to be sent; the answer says that this is kept.
    Publishing {
        /// The scenario.
        scenario: String,
        /// The run.
        canary: CanaryId,
        /// What is about to be sent.
        publishing: Publishing,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
    /// A run broke off.
    BrokenOff {
        /// The scenario.
        scenario: String,
        /// When the run was due.
        due: Timestamp,
        /// When.
        at: Timestamp,
    },
    /// A scenario is gone; its account is kept.
    Gone(String),
    /// A scenario is gone for good.
    Forget {
        /// The scenario.
        scenario: String,
        /// When.
        at: Timestamp,
    },
    /// Somebody goes on with accounts that were kept.
    Adopt {
        /// The scenarios.
        scenarios: BTreeSet<String>,
        /// Where their accounts go.
        answer: oneshot::Sender<BTreeMap<String, Account>>,
    },
    /// Somebody waits until all before this is kept.
    Flush(oneshot::Sender<()>),
}

/// Whether a message changes what must not be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// It can be kept together with the next one that has to be.
    Light,
    /// It is kept before it is shown.
    Heavy,
}

/// Keeps accounts up to date.
pub(super) struct Writer {
    store: Box<dyn Store>,
    totals: Arc<dyn Totals>,
    /// With the totals of those that nobody counts now: those of others are written down from what
    /// counts them.
    accounts: BTreeMap<String, Account>,
    evidence: BTreeMap<String, Vec<Evidence>>,
    /// The run of each scenario that events are about, by the instant at which it was due.
    active: BTreeMap<String, Timestamp>,
    /// Scenarios whose account has changed since it was kept.
    changed: BTreeSet<String>,
    /// What could not be kept so far, without the accounts.
    waiting: Batch,
    trouble: watch::Sender<Option<StoreError>>,
}

/// Scenarios that somebody goes on with, and where their accounts go.
type Adoption = (BTreeSet<String>, oneshot::Sender<BTreeMap<String, Account>>);

/// What comes of a batch of messages once it is kept.
#[derive(Default)]
struct Step {
    events: BTreeMap<String, Vec<Stamped>>,
    answers: Vec<oneshot::Sender<Result<(), StoreError>>>,
    flushes: Vec<oneshot::Sender<()>>,
    /// The scenario whose totals go, behind all events of the step.
    gone: Option<String>,
    adopted: Option<Adoption>,
    is_heavy: bool,
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(
        store: Box<dyn Store>,
        totals: Arc<dyn Totals>,
        accounts: BTreeMap<String, Account>,
        trouble: watch::Sender<Option<StoreError>>,
    ) -> Self {
        let (evidence, active, changed, waiting) = Default::default();
        Self { store, totals, accounts, evidence, active, changed, waiting, trouble }
    }

    /// Writes until nobody can send any more.
    pub(super) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        let mut messages = Vec::with_capacity(STEP);
        loop {
            let failing = self.trouble.borrow().is_some();
            tokio::select! {
                biased;
                count = inbox.recv_many(&mut messages, STEP) => {
                    if count == 0 {
                        break;
                    }
                    let mut messages = messages.drain(..).peekable();
                    while messages.peek().is_some() {
                        let step = self.add(&mut messages);
                        self.finish(step).await;
                    }
                }
                () = tokio::time::sleep(RETRY), if failing => {
                    self.finish(Step { is_heavy: true, ..Step::default() }).await;
                }
            }
        }
        self.finish(Step { is_heavy: true, ..Step::default() }).await;
    }

    /// Takes in messages up to the first one that later ones must not overtake.
    fn add(&mut self, messages: &mut impl Iterator<Item = Message>) -> Step {
        let mut step = Step::default();
        for message in messages {
            match message {
                Message::Happened { stamped, now } => self.hear(*stamped, now, &mut step),
                Message::Publishing { scenario, canary, publishing, answer } => {
                    let Some(run) = self.underway(&scenario, &canary) else {
                        // One that went away waits for no answer.
                        let _ = answer.send(Err(unknown(&scenario, &canary)));
                        continue;
                    };
                    run.publishing = Some(publishing);
                    self.changed.insert(scenario);
                    step.answers.push(answer);
                }
                Message::BrokenOff { scenario, due, at } => {
                    let error = ProbeError {
                        reason: "fault".to_owned(),
                        message: "the run broke off: this is a fault of hopclock".to_owned(),
                    };
                    self.cut_off(&scenario, due, &error, at, &mut step);
                }
                Message::Gone(scenario) => {
                    self.changed.insert(scenario.clone());
                    step.gone = Some(scenario);
                    step.is_heavy = true;
                    break;
                }
                Message::Forget { scenario, at } => {
                    let left = self.accounts.get(&scenario).map(|it| it.ledger.runs());
                    let left: Vec<_> = left.into_iter().flatten().map(|it| it.0).collect();
                    let error = ProbeError::interrupted("its scenario is gone");
                    for due in left {
                        self.cut_off(&scenario, due, &error, at, &mut step);
                    }
                    self.accounts.remove(&scenario);
                    self.evidence.remove(&scenario);
                    self.changed.remove(&scenario);
                    self.waiting.forgotten.push(scenario.clone());
                    step.gone = Some(scenario);
                    step.is_heavy = true;
                    break;
                }
                Message::Adopt { scenarios, answer } => {
                    step.adopted = Some((scenarios, answer));
                    step.is_heavy = true;
                    break;
                }
                Message::Flush(answer) => step.flushes.push(answer),
            }
            step.is_heavy |= !step.answers.is_empty() || !step.flushes.is_empty();
        }
        step
    }

    /// Adds an event to its account, and to the step.
    fn hear(&mut self, stamped: Stamped, now: Moment, step: &mut Step) {
        step.is_heavy |= self.take(&stamped, now) == Weight::Heavy;
        let scenario = stamped.event.scenario().to_owned();
        step.events.entry(scenario).or_default().push(stamped);
    }

    /// Ends a run that nobody attends to any more with what is known of it.
    fn cut_off(
        &mut self,
        scenario: &str,
        due: Timestamp,
        error: &ProbeError,
        at: Timestamp,
        step: &mut Step,
    ) {
        let account = self.accounts.get_mut(scenario);
        let Some(run) = account.and_then(|it| it.ledger.run_mut(due)) else { return };
        let record = run.cut_off(scenario, due, error.clone());
        // By this the run is found again.
        run.canary = Some(record.canary.clone());
        let event = Event::Finished(Box::new(record));
        self.hear(Stamped { at, event }, Moment::default(), step);
    }

    /// Keeps what has to be kept, then shows it and answers.
    async fn finish(&mut self, step: Step) {
        // What is not kept now changes no total.
        if let Some(account) = step.gone.as_ref().and_then(|it| self.accounts.get_mut(it)) {
            let gone = step.gone.as_deref().unwrap_or_default();
            let events = step.events.get(gone).map_or(&[][..], Vec::as_slice);
            account.totals = self.totals.after(gone, events);
        }
        let kept = if step.is_heavy { self.keep(&step.events).await } else { Ok(()) };
        for (scenario, events) in &step.events {
            self.totals.count(scenario, events);
        }
        if let Some(gone) = step.gone {
            self.active.remove(&gone);
            self.totals.forget(&gone);
        }
        for answer in step.answers {
            // A run that was dropped waits for no answer.
            let _ = answer.send(kept.clone());
        }
        for flush in step.flushes {
            let _ = flush.send(());
        }
        if let Some((scenarios, answer)) = step.adopted {
            let account = |it: String| {
                let account = self.accounts.get_mut(&it)?;
                let taken = account.clone();
                account.totals = Value::Null;
                Some((it, taken))
            };
            // One that went away needs none.
            let _ = answer.send(scenarios.into_iter().filter_map(account).collect());
        }
    }

    /// Keeps what has changed, with the totals as they will be after these events.
    async fn keep(&mut self, events: &BTreeMap<String, Vec<Stamped>>) -> Result<(), StoreError> {
        let accounts = self.changed.iter().filter_map(|it| {
            let events = events.get(it).map_or(&[][..], Vec::as_slice);
            let account = self.accounts.get(it)?;
            let totals = match &account.totals {
                Value::Null => self.totals.after(it, events),
                kept => kept.clone(),
            };
            Some((it.clone(), Account { totals, ..account.clone() }))
        });
        let batch = Batch { accounts: accounts.collect(), ..std::mem::take(&mut self.waiting) };
        let result = if batch.is_empty() { Ok(()) } else { self.store.save(&batch).await };
        match &result {
            Ok(()) => self.changed.clear(),
            Err(_) => self.wait_with(batch),
        }
        self.say(result.as_ref().err());
        result
    }

    /// Holds on to what could not be kept, as far as there is room.
    fn wait_with(&mut self, batch: Batch) {
        self.waiting = Batch { accounts: BTreeMap::new(), ..batch };
        let surplus = self.waiting.runs.len().saturating_sub(WAITING_RUNS);
        if surplus > 0 {
            tracing::error!("history lost its {surplus} oldest unkept runs, for too many wait");
            self.waiting.runs.drain(..surplus);
        }
    }

    /// Says once that trouble begins or ends.
    fn say(&self, trouble: Option<&StoreError>) {
        let before = self.trouble.send_replace(trouble.cloned());
        match (before, trouble) {
            (None, Some(error)) => tracing::error!("state is not kept: {error}; runs go on"),
            (Some(_), None) => tracing::info!("state is kept again"),
            _ => (),
        }
    }

    /// Adds an event to its account.
    fn take(&mut self, stamped: &Stamped, now: Moment) -> Weight {
        let at = stamped.at;
        let scenario = stamped.event.scenario();
        // It comes behind the end of a run, and perhaps of its scenario.
        let is_late = matches!(stamped.event, Event::Tidied { .. });
        if is_late && !self.accounts.contains_key(scenario) {
            return Weight::Light;
        }
        let account = self.accounts.entry(scenario.to_owned()).or_default();
        self.changed.insert(scenario.to_owned());
        if let Event::Finished(record) = &stamped.event {
            let evidence = self.evidence.remove(scenario).unwrap_or_default();
            if let Some(run) = end(account, record, evidence, at) {
                self.waiting.runs.push(Arc::new(run));
            }
            return Weight::Heavy;
        }
        let weight = begin(account, &stamped.event);
        if let Event::Witnessed { evidence, .. } = &stamped.event {
            self.evidence.insert(scenario.to_owned(), evidence.clone());
        }
        if let Some(due) = begins(account, &stamped.event) {
            self.active.insert(scenario.to_owned(), due);
        }
        let active = self.active.get(scenario);
        if let Some(run) = active.and_then(|due| account.ledger.run_mut(*due)) {
            let text = describe(&stamped.event, run);
            add(run, &stamped.event, at, |moment| wall_of(moment, now, at));
            if run.log.len() < LOG_LINES {
                run.log.extend(text.map(|text| LogLine { at, text }));
            }
        }
        weight
    }

    /// The run of a canary.
    fn underway(&mut self, scenario: &str, canary: &CanaryId) -> Option<&mut Underway> {
        let ledger = &mut self.accounts.get_mut(scenario)?.ledger;
        let due = ledger.runs().find(|it| it.1.canary.as_ref() == Some(canary))?.0;
        ledger.run_mut(due)
    }
}

/// Accounts for ticks.
fn begin(account: &mut Account, event: &Event) -> Weight {
    let ticked = match event {
        Event::Scheduled { due, origin, fingerprint, .. } => {
            if *origin == Origin::Schedule {
                account.position = account.position.max(Some(*due));
            }
            let underway = Underway { fingerprint: fingerprint.clone(), ..Underway::default() };
            account.ledger.tick(Tick::Run(*due, Box::new(underway)))
        }
        Event::Missed { reason, count, due, .. } => {
            account.position = account.position.max(Some(*due));
            account.ledger.tick(Tick::Missed(*reason, *count))
        }
        Event::Positioned { position, ticks, .. } => {
            account.position = *position;
            account.ticks.clone_from(ticks);
            Ok(())
        }
        Event::Published { .. } | Event::Decided { .. } => return Weight::Heavy,
        _ => return Weight::Light,
    };
    if let Err(error) = ticked {
        tracing::error!(scenario = event.scenario(), "a tick is not accounted for: {error}");
    }
    Weight::Heavy
}

/// The run that a scenario's events are about from this one on, if it says so: one that is due now,
/// or one that was left behind and goes on.
fn begins(account: &Account, event: &Event) -> Option<Timestamp> {
    match event {
        Event::Scheduled { due, .. } => Some(*due),
        Event::Started { canary, .. } => {
            account.ledger.runs().find(|it| it.1.canary.as_ref() == Some(canary)).map(|it| it.0)
        }
        _ => None,
    }
}

/// Adds to what is known of a run under way.
fn add(run: &mut Underway, event: &Event, at: Timestamp, wall: impl Fn(Moment) -> Timestamp) {
    match event {
        Event::Started { canary, .. } => {
            run.canary = Some(canary.clone());
            run.started.get_or_insert(at);
        }
        Event::Published { revisions, sent, zero, attempts, .. } => {
            run.published = Some(Acknowledged {
                sent: wall(*sent),
                earliest: wall(zero.earliest),
                latest: wall(zero.latest),
                attempts: *attempts,
                revisions: revisions.clone(),
            });
        }
        Event::Reached { hop, passage, .. } => {
            run.reached.retain(|it| it.0 != *hop);
            run.reached.push((hop.clone(), passage.clone()));
        }
        Event::Decided { slo, verdict, .. } => {
            run.decided.push(SloRecord { slo: slo.clone(), verdict: *verdict });
        }
        _ => (),
    }
}

/// Accounts for the end of a run; none if it was not under way.
fn end(
    account: &mut Account,
    record: &RunRecord,
    evidence: Vec<Evidence>,
    at: Timestamp,
) -> Option<KeptRun> {
    let runs = || account.ledger.runs();
    // What could not even be assembled has never told its canary.
    let known = runs().find(|it| it.1.canary.as_ref() == Some(&record.canary));
    let due = known.or_else(|| runs().find(|it| it.1.canary.is_none())).map(|it| it.0);
    let Some(underway) = due.and_then(|it| account.ledger.finish(it).ok()) else {
        tracing::error!(
            scenario = record.scenario,
            canary = %record.canary,
            "a run that was not under way has finished: it is not counted"
        );
        return None;
    };
    let last = describe(&Event::Finished(Box::new(record.clone())), &underway);
    let mut log = underway.log;
    log.extend(last.map(|text| LogLine { at, text }));
    Some(KeptRun { due: due?, ended: at, record: record.clone(), evidence, log })
}

/// The wall time of a moment, if it is `at` now.
fn wall_of(moment: Moment, now: Moment, at: Timestamp) -> Timestamp {
    let ago = jiff::SignedDuration::try_from(now.since(moment)).unwrap_or_default();
    at.checked_sub(ago).unwrap_or(at)
}

fn unknown(scenario: &str, canary: &CanaryId) -> StoreError {
    StoreError {
        reason: "unknown_run",
        message: format!(
            "run `{canary}` of scenario `{scenario}` is not in the account, so its push could not \
             be written down"
        ),
    }
}
