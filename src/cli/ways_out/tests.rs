//! The pace of a way, in a time that stands still unless everybody waits.

use crate::cli::ways_out::line::Line;
use crate::cli::ways_out::pace::{Hold, Pace, Source, Way, keep};
use crate::engine::{StoreError, SystemClock};
use crate::export::{Format, Metrics, Snapshot, WayOut};
use crate::model::Clock;
use crate::remote::post::NotTaken;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// What the other end does with an export: after how long, and what.
type Answer = (Duration, Result<(), NotTaken>);

/// An other end that answers by a list, and then takes everything at once.
struct Script {
    answers: Vec<Answer>,
    begun: Arc<Mutex<Vec<Duration>>>,
    start: Instant,
}

/// A way under way.
struct Play {
    metrics: Arc<Metrics>,
    /// When each try began.
    begun: Arc<Mutex<Vec<Duration>>>,
    start: Instant,
    stop: oneshot::Sender<()>,
    keeping: JoinHandle<()>,
}

const PACE: Pace = Pace {
    interval: Duration::from_secs(10),
    limit: Duration::from_secs(60),
    flush: Duration::from_secs(8),
};

// === impl Script ===

#[async_trait]
impl Way for Script {
    async fn send(&mut self, _: &Snapshot, _: Timestamp) -> Result<(), NotTaken> {
        self.begun.lock().unwrap().push(self.start.elapsed());
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
        Self::held(answers, None)
    }

    /// The same, held back while something is wrong.
    fn held(answers: Vec<Answer>, hold: Hold) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let metrics = Arc::new(Metrics::new(clock.clone(), "1", Box::new(Vec::new)));
        let line = Line::new(WayOut::Textfile, "there".to_owned(), metrics.clone());
        let (begun, start) = (Arc::default(), Instant::now());
        let way = Script { answers, begun: Arc::clone(&begun), start };
        let (stop, stopped) = oneshot::channel();
        let source = Source { metrics: metrics.clone(), clock, hold };
        let keeping = tokio::spawn(keep(Box::new(way), line, source, PACE, stopped));
        Self { metrics, begun, start, stop, keeping }
    }

    /// Stops it after so long; says what was sent, failed and dropped, in which seconds it was
    /// tried, and how long it took to end.
    async fn until(self, second: u64) -> ([u32; 3], Vec<u64>, Duration) {
        sleep(Duration::from_secs(second)).await;
        let stopped = Instant::now();
        self.stop.send(()).unwrap();
        self.keeping.await.unwrap();
        let took = stopped.elapsed();
        assert!(self.start.elapsed() >= took);
        let text = String::from_utf8(self.metrics.snapshot().encode(Format::Plain)).unwrap();
        let count = |result: &str| {
            let series = format!("hopclock_exports_total{{way=\"textfile\",result=\"{result}\"}} ");
            let line = text.lines().find_map(|it| it.strip_prefix(&series));
            line.unwrap().parse().unwrap()
        };
        let begun = self.begun.lock().unwrap().iter().map(Duration::as_secs).collect();
        (["sent", "failed", "dropped"].map(count), begun, took)
    }
}

fn later(after: Option<u64>) -> Result<(), NotTaken> {
    Err(NotTaken::Later { why: "busy".to_owned(), after: after.map(Duration::from_secs) })
}

fn refused() -> Result<(), NotTaken> {
    Err(NotTaken::Refused { status: 400, why: "wrong".to_owned() })
}

#[tokio::test(start_paused = true)]
async fn numbers_are_sent_at_once_in_every_interval_and_at_the_end() {
    let (counts, tries, took) = Play::of(Vec::new()).until(25).await;
    assert_eq!((counts, tries), ([4, 0, 0], vec![0, 10, 20, 25]));
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_slow_end_loses_what_it_had_no_time_for() {
    let slow = (Duration::from_secs(35), Ok(()));
    let (counts, tries, _) = Play::of(vec![slow]).until(45).await;
    // At 10, 20 and 30 it was busy; the first of them is made up for as soon as it is not.
    assert_eq!((counts, tries), ([4, 0, 2], vec![0, 35, 40, 45]));
}

#[tokio::test(start_paused = true)]
async fn what_may_be_taken_later_is_tried_again_a_few_times() {
    let busy = || (Duration::ZERO, later(None));
    let (counts, tries, _) = Play::of(vec![busy(), busy()]).until(5).await;
    assert_eq!((counts, tries), ([2, 0, 0], vec![0, 0, 1, 5]));
    let (counts, tries, _) = Play::of(vec![busy(), busy(), busy()]).until(5).await;
    assert_eq!((counts, tries), ([1, 1, 0], vec![0, 0, 1, 5]));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_sent_again_but_in_the_next_interval() {
    let (counts, tries, _) = Play::of(vec![(Duration::ZERO, refused())]).until(15).await;
    assert_eq!((counts, tries), ([2, 1, 0], vec![0, 10, 15]));
}

#[tokio::test(start_paused = true)]
async fn patience_is_had_as_asked_for_but_not_for_ever() {
    let (counts, tries, _) = Play::of(vec![(Duration::ZERO, later(Some(70)))]).until(85).await;
    assert_eq!((counts, tries), ([3, 1, 6], vec![0, 70, 80, 85]));
    let (counts, tries, _) =
        Play::of(vec![(Duration::ZERO, later(Some(1_000_000)))]).until(605).await;
    assert_eq!((counts, tries), ([2, 1, 59], vec![0, 600, 605]));
    // A short one fits into the same export.
    let (counts, tries, _) = Play::of(vec![(Duration::ZERO, later(Some(7)))]).until(9).await;
    assert_eq!((counts, tries), ([2, 0, 0], vec![0, 7, 9]));
}

#[tokio::test(start_paused = true)]
async fn the_end_is_not_delayed_for_longer_than_is_said() {
    let hour = || (Duration::from_secs(3600), Ok(()));
    let (counts, tries, took) = Play::of(vec![hour(), hour()]).until(5).await;
    // Half of the time for what is under way, half for the last numbers.
    assert_eq!((counts, tries), ([0, 1, 0], vec![0, 9]));
    assert_eq!(took, PACE.flush);
    let soon = (Duration::from_secs(7), Ok(()));
    let (counts, tries, took) = Play::of(vec![soon]).until(5).await;
    assert_eq!((counts, tries), ([2, 0, 0], vec![0, 7]));
    assert_eq!(took, Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn numbers_that_are_not_kept_are_not_sent_even_at_the_end() {
    let (say, trouble) = watch::channel(None);
    let error = || {
        let message = "somebody else wrote it".to_owned();
        Some(StoreError { reason: "conflict", message })
    };
    let play = Play::held(Vec::new(), Some(trouble.clone()));
    sleep(Duration::from_secs(5)).await;
    say.send_replace(error());
    sleep(Duration::from_secs(10)).await;
    say.send_replace(None);
    // At 10 it was held back, at 20 it was not.
    let (counts, tries, _) = play.until(10).await;
    assert_eq!((counts, tries), ([3, 0, 1], vec![0, 20, 25]));
    say.send_replace(error());
    let (counts, tries, _) = Play::held(Vec::new(), Some(trouble)).until(15).await;
    assert_eq!((counts, tries), ([0, 1, 2], vec![]));
}
