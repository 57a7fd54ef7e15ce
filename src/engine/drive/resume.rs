//! Takes up a run that a killed process left behind, or accounts for its end.
//!
//! A run whose change may be on the remote goes on: its times are bounded by the wall clock from
//! there on (rule T6). One that pushed nothing, or whose deadline passed while nobody looked, ends
//! as a `probe_error` with the reason `interrupted`: nothing can be said of the change.

use crate::engine::drive::{Drive, Job, Stop, Surroundings, unless_stopped};
use crate::engine::machine::{LeftBehind, Run};
use crate::model::{
    Acknowledged, Arrival, CanaryId, Clock, Event, Moment, ProbeError, Publishing, Revision,
    RunRecord, Seen, State, Underway, When,
};
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before what failed is tried again.
const AGAIN: Duration = Duration::from_secs(3);

/// Goes on with a run that an earlier process left behind, to its end or until `stop` says why
/// not. The record says what both have measured.
pub async fn resume_run(
    job: &Job,
    around: &Surroundings,
    underway: &Underway,
    stop: impl Future<Output = ProbeError> + Send,
) -> RunRecord {
    let stop = pin!(stop);
    let mut stop: Stop<'_> = stop;
    let wall = around.clock.wall();
    let canary = underway.canary.clone();
    let canary = canary.unwrap_or_else(|| CanaryId::next(&job.instance, wall, None));
    let started = underway.started.unwrap_or(wall);
    let run = Run::new(job.plan.clone(), canary.clone());
    let mut drive =
        Drive { job, around, run, answers: FuturesUnordered::new(), failing: Vec::new() };
    let at = moment_of(&*around.clock, started);
    drive.tell(&Event::Started { scenario: job.plan.scenario.clone(), canary, at });
    if let Err(error) = drive.go_on(underway, &mut stop).await {
        let effects = drive.run.broken(error, around.clock.now());
        drive.carry_out(effects);
    }
    drive.conclude(started).await
}

/// The error of a run that was cut off, and cannot be taken up again because of `why`.
#[must_use]
pub fn interrupted(why: &str) -> ProbeError {
    ProbeError::interrupted(why)
}

/// The moment of a wall time, as far as the two clocks agree.
fn moment_of(clock: &dyn Clock, wall: Timestamp) -> Moment {
    let (now, ago) = (clock.now(), clock.wall().duration_since(wall));
    match Duration::try_from(ago) {
        Ok(ago) => Moment(now.0.saturating_sub(ago)),
        // The wall clock was set back meanwhile.
        Err(_) => now,
    }
}

// === impl Drive ===

impl Drive<'_> {
    async fn go_on(&mut self, underway: &Underway, stop: &mut Stop<'_>) -> Result<(), ProbeError> {
        let Some(publishing) = &underway.publishing else {
            return Err(interrupted("nothing had been pushed yet"));
        };
        // Hops that are discovered anew may have the names of others.
        if !publishing.path.is_empty() && publishing.path != self.job.plan.path() {
            return Err(interrupted("its path has changed since"));
        }
        let end = moment_of(&*self.around.clock, publishing.since) + self.job.plan.deadline;
        let left = self.left_behind(underway, publishing, end, stop).await?;
        let known = underway.log.last().map_or(publishing.since, |it| it.at);
        let known = moment_of(&*self.around.clock, known).max(left.began);
        let end = left.zero.latest + self.job.plan.deadline;
        // What was measured is kept, whatever comes now.
        self.run.resume(left);
        if self.now() >= end {
            return Err(interrupted("its deadline had passed before hopclock was back"));
        }
        let scenario = self.job.plan.scenario.clone();
        let canary = self.run.change().canary().clone();
        self.tell(&Event::Publishing { scenario, canary });
        let subjects = self.job.plan.subjects();
        let clock = &*self.around.clock;
        let watches = &self.job.watches;
        let mut watching = persist(clock, end, stop, || watches.open(&subjects)).await?;
        while let Some(seen) = watching.ready() {
            self.take(&since(known, &seen?));
        }
        self.watch(&mut *watching, stop).await
    }

    /// What is known of the change: what was acknowledged, else what the remote says (rule T2).
    async fn left_behind(
        &mut self,
        underway: &Underway,
        publishing: &Publishing,
        end: Moment,
        stop: &mut Stop<'_>,
    ) -> Result<LeftBehind, ProbeError> {
        let clock = &*self.around.clock;
        let canary = self.run.change().canary();
        let written = underway.published.as_ref();
        let revisions = written.map_or(&publishing.revisions, |it| &it.revisions);
        let recover = || self.job.trigger.recover(canary, revisions);
        let found = match written {
            Some(_) => unless_stopped(stop, recover()).await,
            None => persist(clock, end, stop, recover).await,
        };
        let began = moment_of(clock, publishing.since);
        let (sent, zero, attempts, revisions) = match (written, found) {
            (Some(it), Ok(found)) => acknowledged(clock, it, found),
            // That it was pushed is known; only what it means for others' commits is not.
            (Some(it), Err(_)) => acknowledged(clock, it, None),
            (None, Ok(Some(found))) => (began, When::between(began, clock.now()), 1, found),
            (None, Ok(None)) => {
                return Err(interrupted("the remote does not have its change"));
            }
            (None, Err(error)) => return Err(error),
        };
        let (reached, decided) = (underway.reached.clone(), underway.decided.clone());
        Ok(LeftBehind { revisions, began, sent, zero, attempts, reached, decided })
    }
}

/// What comes of the work, which is tried again until it is too late for the run.
async fn persist<T, E, F>(
    clock: &dyn Clock,
    end: Moment,
    stop: &mut Stop<'_>,
    work: impl Fn() -> F,
) -> Result<T, ProbeError>
where
    E: Into<ProbeError>,
    F: Future<Output = Result<T, E>>,
{
    loop {
        let error = match unless_stopped(stop, async { Ok::<_, ProbeError>(work().await) }).await? {
            Ok(it) => return Ok(it),
            Err(error) => error.into(),
        };
        if clock.now() >= end {
            let why = format!("it could not be taken up again: {}", error.message);
            return Err(interrupted(&why));
        }
        tracing::warn!("a run that was cut off cannot go on yet: {}", error.message);
        let pause = async {
            tokio::time::sleep(AGAIN).await;
            Ok::<_, ProbeError>(())
        };
        unless_stopped(stop, pause).await?;
    }
}

fn acknowledged(
    clock: &dyn Clock,
    it: &Acknowledged,
    found: Option<Vec<Revision>>,
) -> (Moment, When, u32, Vec<Revision>) {
    let moment = |wall| moment_of(clock, wall);
    let zero = When::between(moment(it.earliest), moment(it.latest));
    (moment(it.sent), zero, it.attempts, found.unwrap_or_else(|| it.revisions.clone()))
}

/// A state as it is first shown after nobody looked: it came to be so at some time since.
fn since(known: Moment, seen: &Seen) -> Seen {
    let State { when, value, .. } = &seen.state;
    let state = State {
        when: When::between(known.min(when.latest), when.latest),
        arrival: Arrival::AfterGap,
        value: Arc::clone(value),
    };
    Seen { subject: seen.subject.clone(), state }
}
