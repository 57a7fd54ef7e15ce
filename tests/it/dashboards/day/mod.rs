//! A simulated day of hopclock: what it counts from minute to minute, with everything in it that a
//! dashboard shows, and truths that can be worked out by hand.
//!
//! - `fleet` runs every quarter of an hour. Until noon its webhook wakes Flux, and a change is live
//!   after 19 s. Then somebody rotates the secret: Flux polls, and it takes 58 s, 41 of them until the
//!   fetch. It should take no longer than 30 s, nine times of ten. Two changes of the morning are fetched
//!   late, and never live.
//! - `image` runs every half hour, and meets whatever can befall a run.
//! - `regions` runs three times an hour, into two clusters, of which `west` is slow.
//! - Ten past one hopclock is updated: another pod, another version, the same totals. The one before is
//!   not scraped any more after the last change of `fleet` that it times.

mod left_behind;
mod stories;

use hopclock::engine::Totals;
use hopclock::export::{Metrics, ScenarioSeries, Snapshot, WatchRestarts};
use hopclock::model::{Clock, Event, Moment, Observer};
use jiff::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Seconds between two scrapes.
pub(crate) const SCRAPE: u64 = 120;

/// Seconds of the day.
pub(crate) const DAY: u64 = 86_400;

/// When the webhook of `fleet` dies.
pub(crate) const NOON: u64 = 12 * HOUR;

/// When hopclock is updated.
pub(crate) const UPDATE: u64 = 13 * HOUR + 600;

/// When the changes of `fleet` are due that are never live.
const STUCK: [u64; 2] = [8 * HOUR + 37 * 60, 9 * HOUR + 22 * 60];

const HOUR: u64 = 3_600;

/// When the day begins, in seconds since 1970: in the past, as all that is written by remote write.
pub(crate) const BEGIN: u64 = 1_704_067_200;

/// What the day tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// What is said above.
    Usual,
    /// One cluster is left behind at noon, and another one was never reached.
    LeftBehind,
}

/// Something that happens at a time, in milliseconds from the beginning of the day.
pub(crate) struct Happening {
    at: u64,
    what: What,
}

enum What {
    Heard(Event),
    Done(Box<dyn Fn(&Metrics)>),
    /// Watches were opened again, so many times.
    Watches(u64),
    /// Another process, with the totals of the one before.
    Update,
}

/// A clock that is set by hand.
#[derive(Default)]
struct Hand(Mutex<Duration>);

// === impl Happening ===

impl Happening {
    fn heard(at: u64, event: Event) -> Self {
        Self { at, what: What::Heard(event) }
    }

    fn done(at: u64, what: impl Fn(&Metrics) + 'static) -> Self {
        Self { at, what: What::Done(Box::new(what)) }
    }
}

// === impl Hand ===

impl Hand {
    fn set(&self, milliseconds: u64) {
        *self.0.lock().unwrap() = Duration::from_millis(milliseconds);
    }
}

impl Clock for Hand {
    fn now(&self) -> Moment {
        Moment(*self.0.lock().unwrap())
    }

    fn wall(&self) -> Timestamp {
        let begin = Timestamp::from_second(i64::try_from(BEGIN).unwrap()).unwrap();
        begin + *self.0.lock().unwrap()
    }
}

/// Plays the day, and hands over what each scrape sees: its instant, the scraped instance, the series.
pub(crate) fn play(story: Story, mut scraped: impl FnMut(Timestamp, &'static str, &Snapshot)) {
    let clock = Arc::new(Hand::default());
    let restarts = Arc::new(AtomicU64::new(0));
    let (scenarios, mut happenings) = match story {
        Story::Usual => (stories::scenarios(), stories::happenings()),
        Story::LeftBehind => (left_behind::scenarios(), left_behind::happenings()),
    };
    let mut instance = "10.0.0.7:9780";
    let mut metrics = process(&clock, "1.2.3", &restarts);
    for it in &scenarios {
        metrics.declare(it);
    }
    happenings.sort_by_key(|it| it.at);
    let mut next = happenings.into_iter().peekable();
    for scrape in (0..=DAY).step_by(usize::try_from(SCRAPE).unwrap()) {
        while let Some(it) = next.next_if(|it| it.at <= scrape * 1_000) {
            clock.set(it.at);
            match it.what {
                What::Heard(event) => metrics.observe(&event),
                What::Done(what) => what(&metrics),
                What::Watches(count) => {
                    restarts.fetch_add(count, Ordering::Relaxed);
                }
                What::Update => {
                    restarts.store(0, Ordering::Relaxed);
                    instance = "10.0.0.8:9780";
                    metrics = successor(&metrics, process(&clock, "1.3.0", &restarts), &scenarios);
                }
            }
        }
        clock.set(scrape * 1_000);
        scraped(clock.wall(), instance, &metrics.snapshot());
    }
}

fn process(clock: &Arc<Hand>, version: &str, restarts: &Arc<AtomicU64>) -> Metrics {
    let restarts = restarts.clone();
    let restarts = move || {
        let of = |target_cluster: &str, kind: &str, count| WatchRestarts {
            target_cluster: target_cluster.to_owned(),
            kind: kind.to_owned(),
            reason: "expired".to_owned(),
            count,
        };
        let count = restarts.load(Ordering::Relaxed);
        vec![of("", "GitRepository", count), of("west", "Kustomization", count / 2)]
    };
    let metrics = Metrics::new(clock.clone(), version, Box::new(restarts));
    stories::begin(&metrics);
    metrics
}

/// A process that goes on with the totals of the one before, as a service with state does.
fn successor(before: &Metrics, metrics: Metrics, scenarios: &[ScenarioSeries]) -> Metrics {
    for it in scenarios {
        metrics.declare_with(it, &before.after(&it.scenario, &[])).unwrap();
    }
    metrics
}
