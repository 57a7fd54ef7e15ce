//! What drives a run, with made-up watches and a made-up trigger, in time that stands still.

use crate::e2e_kit::plan;
use hopclock::engine::{
    Errand, ErrandDone, Errands, Job, PlannedHop, Surroundings, SystemClock, Unwritten, Watches,
    Watching, run_once, run_until,
};
use hopclock::hop::{Merged, Place};
use hopclock::model::{
    Ancestry, Arrival, CanaryId, Clock, Event, GitBranch, Moment, ObjectName, Observer, Outcome,
    ProbeError, Requirement, Revision, Seen, SloVerdict, State, Subject, When,
};
use hopclock::trigger::{Error, Published, Trigger};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

type News = Result<Seen, ProbeError>;

/// Shows every subject once, and then what comes through a channel.
struct FakeWatches(Mutex<Option<UnboundedReceiver<News>>>);

struct FakeWatching {
    first: VecDeque<Seen>,
    news: UnboundedReceiver<News>,
}

/// Pushes in two seconds, and knows after one whose commit another's is.
struct FakeTrigger {
    clock: Arc<SystemClock>,
    news: UnboundedSender<News>,
    while_pushing: fn() -> Option<News>,
}

/// Announces what it sends after some time, and has sent it a second later.
struct FakeErrand {
    clock: Arc<SystemClock>,
    prepares: Duration,
    sent: AtomicBool,
}

struct Verdicts(Mutex<Vec<SloVerdict>>);

fn seen(subject: &Arc<Subject>, at: Moment, arrival: Arrival, value: Value) -> Seen {
    let state = State { when: When::at(at), arrival, value: Arc::new(value) };
    Seen { subject: subject.clone(), state }
}

fn source(commit: &str) -> Value {
    json!({"status": {"artifact": {"revision": format!("main@sha1:{}", commit.repeat(40))}}})
}

#[async_trait::async_trait]
impl Watches for FakeWatches {
    async fn open(&self, subjects: &[Arc<Subject>]) -> Result<Box<dyn Watching>, ProbeError> {
        let value = |it: &Subject| match it.kind.kind.as_str() {
            "ConfigMap" => Value::Null,
            _ => source("0"),
        };
        let first = subjects.iter();
        let first = first.map(|it| seen(it, Moment::default(), Arrival::First, value(it)));
        let news = self.0.lock().unwrap().take().unwrap();
        Ok(Box::new(FakeWatching { first: first.collect(), news }))
    }
}

#[async_trait::async_trait]
impl Watching for FakeWatching {
    async fn next(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    async fn prove(&mut self, limit: Duration) -> Vec<Arc<Subject>> {
        sleep(limit).await;
        Vec::new()
    }

    fn ready(&mut self) -> Option<Result<Seen, ProbeError>> {
        self.first.pop_front().map(Ok)
    }
}

#[async_trait::async_trait]
impl Trigger for FakeTrigger {
    fn lane(&self) -> String {
        "lane".to_owned()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        Ok(None)
    }

    async fn prepare(&self, _: &CanaryId) -> Result<Vec<Revision>, Error> {
        Ok(vec![Revision::Commit("1".repeat(40))])
    }

    async fn publish(&self, _: &(dyn Fn(Vec<Revision>) + Send + Sync)) -> Result<Published, Error> {
        let sent = self.clock.now();
        sleep(SECOND).await;
        if let Some(news) = (self.while_pushing)() {
            self.news.send(news).unwrap();
        }
        sleep(SECOND).await;
        Ok(Published { sent, zero: When::at(self.clock.now()), attempts: 1 })
    }

    async fn recover(&self, _: &CanaryId, _: &[Revision]) -> Result<Option<Vec<Revision>>, Error> {
        Ok(None)
    }

    async fn ancestry(&self, _: &Revision) -> Ancestry {
        // Two requests, of which the second is made when the first is answered.
        sleep(SECOND / 2).await;
        sleep(SECOND / 2).await;
        Ancestry::NotYet
    }
}

#[async_trait::async_trait]
impl Errand for FakeErrand {
    async fn run(
        &self,
        _: &Revision,
        announce: &(dyn Fn(Revision) + Send + Sync),
    ) -> Result<ErrandDone, ProbeError> {
        sleep(self.prepares).await;
        let commit = "3".repeat(40);
        announce(Revision::Commit(commit.clone()));
        sleep(SECOND).await;
        self.sent.store(true, Ordering::Relaxed);
        let state = GitBranch { commit, markers: Vec::new() }.to_value();
        Ok(ErrandDone::Now { at: self.clock.now(), state })
    }
}

impl Observer for Verdicts {
    fn observe(&self, event: &Event) {
        if let Event::Decided { verdict, .. } = event {
            self.0.lock().unwrap().push(*verdict);
        }
    }
}

/// A job, its surroundings, and where its verdicts go.
fn job(while_pushing: fn() -> Option<News>) -> (Job, Surroundings, Arc<Verdicts>) {
    let clock = Arc::new(SystemClock::new());
    let (news, receiver) = unbounded_channel();
    let trigger = FakeTrigger { clock: clock.clone(), news, while_pushing };
    let (deadline, within) = (30 * SECOND, Some(SECOND / 4));
    let job = Job {
        plan: Arc::new(hopclock::engine::Plan { deadline, within, ..plan("lane") }),
        trigger: Arc::new(trigger),
        watches: Arc::new(FakeWatches(Mutex::new(Some(receiver)))),
        instance: "test".to_owned(),
        errands: Errands::new(),
        trace: None,
    };
    let verdicts = Arc::new(Verdicts(Mutex::default()));
    let around = Surroundings { clock, journal: Arc::new(Unwritten), observer: verdicts.clone() };
    (job, around, verdicts)
}

#[tokio::test(start_paused = true)]
async fn a_push_under_way_is_accounted_for_though_the_watches_are_lost() {
    let (job, around, verdicts) = job(|| {
        let message = "the watch is forbidden".to_owned();
        Some(Err(ProbeError { reason: "forbidden".to_owned(), message }))
    });
    let record = run_once(&job, &around).await;
    assert!(matches!(&record.outcome, Outcome::ProbeError(it) if it.reason == "forbidden"));
    let push = record.push.unwrap();
    assert_eq!((push.took.most, push.took.is_exact()), (2 * SECOND, true));
    assert!(verdicts.0.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn o2_pending_ancestry_is_answered_while_the_watches_are_proven() {
    let (job, around, verdicts) = job(|| {
        let subjects = plan("lane").subjects();
        let fetched = subjects.iter().find(|it| it.kind.kind == "GitRepository").unwrap();
        Some(Ok(seen(fetched, Moment(SECOND), Arrival::Next, source("2"))))
    });
    let record = run_once(&job, &around).await;
    assert_eq!(*verdicts.0.lock().unwrap(), [SloVerdict::Bad], "settled, and not unknown");
    assert_eq!(record.outcome, Outcome::Timeout);
}

/// A job that merges after its push, which takes two seconds; the errand prepares for so long.
fn merging(prepares: Duration) -> (Job, Surroundings, Arc<FakeErrand>) {
    let (mut job, around, _) = job(|| None);
    let clock = Arc::new(SystemClock::new());
    let errand = Arc::new(FakeErrand { clock, prepares, sent: AtomicBool::new(false) });
    let mut plan = hopclock::engine::Plan { within: None, ..(*job.plan).clone() };
    let merged = plan.hops.len();
    plan.hops.push(PlannedHop {
        name: "merged".to_owned(),
        subject: Arc::new(GitBranch::subject(&ObjectName::new("flux-system", "lane"), None)),
        place: Place::Merge,
        after: Vec::new(),
        within: None,
        need: Requirement::Required,
        detector: Arc::new(Merged { by_us: true }),
        witnesses: Vec::new(),
    });
    job.plan = Arc::new(plan);
    job.errands.insert(merged, errand.clone());
    (job, around, errand)
}

async fn stopped(after: Duration) -> ProbeError {
    sleep(after).await;
    ProbeError { reason: "stopped".to_owned(), message: "somebody stops it".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn an_errand_that_has_announced_nothing_when_the_run_ends_sends_nothing() {
    let (job, around, errand) = merging(4 * SECOND);
    let record = run_until(&job, &around, stopped(5 * SECOND)).await;
    assert!(matches!(&record.outcome, Outcome::ProbeError(it) if it.reason == "stopped"));
    sleep(60 * SECOND).await;
    assert!(!errand.sent.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn what_an_errand_sends_when_the_run_ends_is_waited_for() {
    let (job, around, errand) = merging(SECOND);
    run_until(&job, &around, stopped(7 * SECOND / 2)).await;
    assert!(errand.sent.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn an_errand_goes_on_while_the_watches_are_proven() {
    let (mut job, around, errand) = merging(SECOND);
    // The deadline comes a moment before the errand is done, and the proof takes five seconds.
    let deadline = 2 * SECOND + SECOND / 2;
    job.plan = Arc::new(hopclock::engine::Plan { deadline, ..(*job.plan).clone() });
    let record = run_once(&job, &around).await;
    let merged = record.hops.iter().find(|it| it.hop == "merged").unwrap();
    assert!(merged.passage.at().is_some(), "{record:#?}");
    assert!(errand.sent.load(Ordering::Relaxed));
}
