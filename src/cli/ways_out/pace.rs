//! When a way is used: now, in every interval, and once more at the end.
//!
//! Nothing waits in line. What is sent is what all series say at that moment, so an export that
//! was lost is made up for by the next one, and a slow other end costs no memory.

use crate::cli::ways_out::line::Line;
use crate::engine::StoreError;
use crate::export::{Metrics, Snapshot};
use crate::model::{Clock, Moment};
use crate::remote::post::NotTaken;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// A way out of metrics.
#[async_trait]
pub(super) trait Way: Send {
    /// Sends what all series said at an instant.
    async fn send(&mut self, snapshot: &Snapshot, at: Timestamp) -> Result<(), NotTaken>;
}

/// Where numbers come from.
pub(super) struct Source {
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) hold: Hold,
}

/// What keeps numbers back: as long as they are not kept, another process may go on from lower ones.
pub(in crate::cli) type Hold = Option<watch::Receiver<Option<StoreError>>>;

/// How often, and how long at the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) interval: Duration,
    /// Longest time for all of one export.
    pub(super) limit: Duration,
    /// Longest time from the end of work to the end of the way.
    pub(super) flush: Duration,
}

/// Something that may have to be tried again.
#[async_trait]
pub(super) trait Attempt: Send {
    /// Tries it.
    async fn attempt(&mut self) -> Result<(), NotTaken>;
}

/// One export, of what all series say when it is tried.
struct Export<'a> {
    way: &'a mut dyn Way,
    source: &'a Source,
}

/// How often one export is tried.
const TRIES: u32 = 3;

/// Pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// Longest patience that the other end gets, whatever it asks for.
pub(super) const MOST_PATIENCE: Duration = Duration::from_secs(600);

// === impl Source ===

impl Source {
    /// Why nothing may be sent now.
    fn held(&self) -> Option<String> {
        Some(self.hold.as_ref()?.borrow().as_ref()?.message.clone())
    }
}

/// Uses a way until it is told to stop, and then once more.
pub(super) async fn keep(
    mut way: Box<dyn Way>,
    mut line: Line,
    source: Source,
    pace: Pace,
    mut stop: oneshot::Receiver<()>,
) {
    let mut ticks = interval(pace.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut last, mut patient_until) = (None, None);
    let mut flush = pace.flush;
    loop {
        let tick = tokio::select! {
            biased;
            _ = &mut stop => break,
            tick = ticks.tick() => tick,
        };
        let passed = last.map_or(Duration::ZERO, |last| tick - last);
        let missed = passed.as_nanos() / pace.interval.as_nanos().max(1);
        line.dropped(u32::try_from(missed).unwrap_or(u32::MAX).saturating_sub(1));
        last = Some(tick);
        let is_patient = patient_until.is_some_and(|until| source.clock.now() < until);
        if is_patient || source.held().is_some() {
            line.dropped(1);
            continue;
        }
        let mut exporting = Box::pin(export(&mut *way, &source, pace.limit));
        let mut stopping = false;
        let result = tokio::select! {
            result = &mut exporting => Some(result),
            // What is under way may still arrive, and would perhaps be counted twice if it were
            // sent again.
            _ = &mut stop => {
                stopping = true;
                flush = pace.flush / 2;
                timeout(flush, &mut exporting).await.ok()
            }
        };
        drop(exporting);
        match result {
            Some(Ok(())) => line.sent(),
            Some(Err(error)) => {
                if let NotTaken::Later { after: Some(after), .. } = &error {
                    let now = source.clock.now();
                    patient_until = Some(Moment(now.0 + (*after).min(MOST_PATIENCE)));
                }
                if !stopping {
                    line.failed(&error.to_string());
                }
            }
            None => (),
        }
        if stopping {
            break;
        }
    }
    if let Some(why) = source.held() {
        return line.failed_at_the_end(&format!("they are not kept: {why}"));
    }
    match export(&mut *way, &source, flush).await {
        Ok(()) => line.sent(),
        Err(error) => line.failed_at_the_end(&error.to_string()),
    }
}

// === impl Export ===

#[async_trait]
impl Attempt for Export<'_> {
    async fn attempt(&mut self) -> Result<(), NotTaken> {
        // What was kept at the first try may not be at the next.
        if let Some(why) = self.source.held() {
            let why = format!("the numbers are not kept: {why}");
            return Err(NotTaken::Refused { status: 0, why });
        }
        let at = self.source.clock.wall();
        self.way.send(&self.source.metrics.snapshot(), at).await
    }
}

/// Sends what all series say now; tries again if that may help and there is time for it, with what
/// they say then.
async fn export(way: &mut dyn Way, source: &Source, limit: Duration) -> Result<(), NotTaken> {
    insist(&mut Export { way, source }, limit).await
}

/// Tries something; again if that may help and there is time for it.
pub(super) async fn insist(attempt: &mut dyn Attempt, limit: Duration) -> Result<(), NotTaken> {
    let mut said = None;
    let work = async {
        let mut pause = PAUSE;
        for again in (0..TRIES).rev() {
            let error = match attempt.attempt().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let NotTaken::Later { after, .. } = &error else { return Err(error) };
            let wait = after.unwrap_or(pause).max(pause);
            if again == 0 || wait >= limit {
                return Err(error);
            }
            said = Some(error);
            sleep(wait).await;
            pause *= 2;
        }
        unreachable!("the last try returns")
    };
    match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(said.unwrap_or_else(|| NotTaken::Later {
            why: format!("not all was taken within {}", crate::model::Duration(limit)),
            after: None,
        })),
    }
}
