//! What becomes of runs whose ways are slow or refuse, in a time that stands still unless everybody
//! waits.

use crate::cli::ways_out::ear::{self, Ear, FinishedRun};
use crate::cli::ways_out::line::Line;
use crate::cli::ways_out::pace::Pace;
use crate::cli::ways_out::tell::{Tell, tell_all};
use crate::engine::SystemClock;
use crate::export::{Format, Metrics, WayOut};
use crate::model::{CanaryId, Clock, Event, Moment, Observer, Outcome, RunRecord, Usage, When};
use crate::remote::post::NotTaken;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// What the other end does with a run: after how long, and what.
type Answer = (Duration, Result<(), NotTaken>);

/// An other end that answers by a list, and then takes everything at once.
struct Script {
    answers: Vec<Answer>,
    told: Arc<Mutex<Vec<(u64, u64)>>>,
    start: Instant,
}

/// A way under way.
struct Play {
    metrics: Arc<Metrics>,
    ear: Ear,
    /// The runs that were tried, and in which second.
    told: Arc<Mutex<Vec<(u64, u64)>>>,
    stop: oneshot::Sender<()>,
    telling: JoinHandle<()>,
}

const PACE: Pace = Pace {
    interval: Duration::from_secs(10),
    limit: Duration::from_secs(60),
    flush: Duration::from_secs(8),
};

// === impl Script ===

#[async_trait]
impl Tell for Script {
    async fn tell(&mut self, run: &FinishedRun) -> Result<(), NotTaken> {
        let now = self.start.elapsed().as_secs();
        self.told.lock().unwrap().push((run.record.canary.sequence(), now));
        if self.answers.is_empty() {
            return Ok(());
        }
        let (after, result) = self.answers.remove(0);
        sleep(after).await;
        result
    }
}

// === impl Play ===

impl Play {
    fn of(answers: Vec<Answer>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let metrics = Arc::new(Metrics::new(clock.clone(), "1", Box::new(Vec::new)));
        let line = Line::new(WayOut::JsonLines, "there".to_owned(), metrics.clone());
        let (mouth, heard) = ear::line();
        let told = Arc::<Mutex<Vec<_>>>::default();
        let way = Script { answers, told: told.clone(), start: Instant::now() };
        let (stop, stopped) = oneshot::channel();
        let telling = tokio::spawn(tell_all(Box::new(way), line, heard, PACE, stopped));
        Self { metrics, ear: Ear::new(clock, vec![mouth]), told, stop, telling }
    }

    /// That many runs end.
    fn runs(&self, count: u64) {
        for number in 0..count {
            self.ear.observe(&Event::Finished(Box::new(record(number))));
        }
    }

    /// Stops it after so long; says what was sent, failed and dropped, what was tried in which
    /// second, and how long it took to end.
    async fn until(self, second: u64) -> ([u32; 3], Vec<(u64, u64)>, Duration) {
        sleep(Duration::from_secs(second)).await;
        let stopped = Instant::now();
        self.stop.send(()).unwrap();
        self.telling.await.unwrap();
        let took = stopped.elapsed();
        let text = String::from_utf8(self.metrics.snapshot().encode(Format::Plain)).unwrap();
        let count = |result: &str| {
            let series =
                format!("hopclock_exports_total{{way=\"json_lines\",result=\"{result}\"}} ");
            let line = text.lines().find_map(|it| it.strip_prefix(&series));
            line.unwrap().parse().unwrap()
        };
        let told = self.told.lock().unwrap().clone();
        (["sent", "failed", "dropped"].map(count), told, took)
    }
}

fn record(number: u64) -> RunRecord {
    RunRecord {
        scenario: "fleet".to_owned(),
        canary: CanaryId::new("a", number),
        started: Timestamp::UNIX_EPOCH,
        push: None,
        hops: Vec::new(),
        outcome: Outcome::Ok,
        push_to_apply: None,
        tolerance: Duration::ZERO,
        failing_since: None,
        slo: Vec::new(),
        usage: Usage::default(),
        trace_id: None,
    }
}

fn later(after: Option<u64>) -> Result<(), NotTaken> {
    Err(NotTaken::Later { why: "busy".to_owned(), after: after.map(Duration::from_secs) })
}

fn refused() -> Result<(), NotTaken> {
    Err(NotTaken::Refused { status: 400, why: "wrong".to_owned() })
}

#[tokio::test(start_paused = true)]
async fn every_run_is_told_once_and_in_order() {
    let play = Play::of(Vec::new());
    play.runs(3);
    let (counts, told, took) = play.until(5).await;
    assert_eq!((counts, told), ([3, 0, 0], vec![(0, 0), (1, 0), (2, 0)]));
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_the_other_end_is_slow_waits_in_a_short_line() {
    let play = Play::of(vec![(Duration::from_secs(50), Ok(()))]);
    // Time goes on only when everybody waits, so the first one is under way by then.
    play.runs(1);
    sleep(Duration::from_secs(1)).await;
    play.runs(300);
    let (counts, told, _) = play.until(100).await;
    assert_eq!((counts, told.len()), ([257, 0, 44], 257));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_may_be_taken_later_is_tried_again_and_one_that_is_refused_is_not() {
    let at_once = |result| (Duration::ZERO, result);
    let play = Play::of(vec![at_once(later(None)), at_once(Ok(())), at_once(refused())]);
    play.runs(3);
    let (counts, told, _) = play.until(5).await;
    assert_eq!((counts, told), ([2, 1, 0], vec![(0, 0), (0, 0), (1, 0), (2, 0)]));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_patience_gets_it_and_runs_wait_meanwhile() {
    let play = Play::of(vec![(Duration::ZERO, later(Some(70)))]);
    play.runs(2);
    let (counts, told, _) = play.until(100).await;
    assert_eq!((counts, told), ([1, 1, 0], vec![(0, 0), (1, 70)]));
    // The end does not wait for that.
    let play = Play::of(vec![(Duration::ZERO, later(Some(70)))]);
    play.runs(2);
    let (counts, told, took) = play.until(10).await;
    assert_eq!((counts, told), ([1, 1, 0], vec![(0, 0), (1, 10)]));
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_end_takes_no_longer_than_is_said_and_what_is_left_is_counted() {
    let hour = || (Duration::from_secs(3600), Ok(()));
    let play = Play::of(vec![hour(), hour()]);
    play.runs(5);
    let (counts, _, took) = play.until(1).await;
    assert_eq!((counts, took), ([0, 0, 5], PACE.flush));
}

#[tokio::test(start_paused = true)]
async fn zero_is_said_by_the_wall_clock() {
    /// Always 100 s after its origin.
    struct Still;
    impl Clock for Still {
        fn now(&self) -> Moment {
            Moment(Duration::from_secs(100))
        }
        fn wall(&self) -> Timestamp {
            Timestamp::from_second(1_700_000_000).unwrap()
        }
    }
    let (mouth, mut heard) = ear::line();
    let ear = Ear::new(Arc::new(Still), vec![mouth]);
    let of = record(1);
    ear.observe(&Event::Published {
        scenario: of.scenario.clone(),
        canary: of.canary.clone(),
        revisions: Vec::new(),
        sent: Moment(Duration::from_secs(59)),
        zero: When::at(Moment(Duration::from_secs(60))),
        attempts: 1,
    });
    ear.observe(&Event::Finished(Box::new(of.clone())));
    ear.observe(&Event::Finished(Box::new(of)));
    let zero = heard.runs.recv().await.unwrap().zero.unwrap();
    assert_eq!(zero.as_second(), 1_700_000_000 - 40);
    assert!(heard.runs.recv().await.unwrap().zero.is_none(), "it is known once");
}
