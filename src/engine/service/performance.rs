//! One run of a scenario under the service, from the tick to the end of its lane.

use crate::engine::drive::{interrupted, resume_run, run_until};
use crate::engine::service::lanes::{Grip, LaneError};
use crate::engine::service::teller::Teller;
use crate::engine::service::{Assembled, Begun, Ending, Entry, Refusal, Setting};
use crate::model::{Event, Missed, Origin, ProbeError, RunRecord, Underway};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// How long to wait before what failed is tried again for a run that was cut off.
const AGAIN: Duration = Duration::from_secs(3);

/// How far a clock may go back without having been set: synchronisation does that.
const SLEW: SignedDuration = SignedDuration::from_secs(2);

/// Whoever asked for a run, and waits to hear whether it begins.
pub(super) type Asker = oneshot::Sender<Result<Begun, Refusal>>;

/// What came of a run, for its attendant.
pub(super) struct Outcome {
    /// What was measured; none if no run took place, or it is left to the next process.
    pub(super) record: Option<RunRecord>,
    /// The longest interval on its path, if the path could be looked at.
    pub(super) longest_poll: Option<Duration>,
    /// Why no further run could begin either.
    pub(super) problem: Option<String>,
}

/// A run that is due.
pub(super) struct Performance {
    pub(super) entry: Entry,
    pub(super) setting: Setting,
    pub(super) teller: Teller,
    pub(super) due: Timestamp,
    pub(super) ending: watch::Receiver<Ending>,
}

/// Why a run does not begin.
enum Hindrance {
    /// It cannot be made ready.
    Error(ProbeError),
    /// Its lane is in use, by whom; and the longest interval on its path.
    Held(String, Option<Duration>),
    /// The service ends.
    Closing,
}

// === impl Performance ===

impl Performance {
    /// Runs, if the lane is free and the service does not end meanwhile.
    pub(super) async fn perform(self, asker: Option<Asker>) -> Outcome {
        let origin = if asker.is_some() { Origin::Request } else { Origin::Schedule };
        let ready = tokio::select! {
            biased;
            () = closing(self.ending.clone()) => Err(Hindrance::Closing),
            ready = self.get_ready() => ready,
        };
        let (Assembled { job, longest_poll, .. }, grip) = match ready {
            Ok(ready) => ready,
            Err(Hindrance::Error(error)) => return self.fail(origin, asker, error),
            Err(Hindrance::Held(by, longest_poll)) => {
                return self.give_way(by, asker, longest_poll);
            }
            Err(Hindrance::Closing) => return self.stand_back(asker),
        };
        let waiting = self.schedule(origin, asker);
        let ending = self.ending.clone();
        let record = tokio::select! {
            record = run_until(&job, &self.setting.around, stopped(ending.clone())) => Some(record),
            () = left(ending) => None,
        };
        grip.release().await;
        tell(waiting, record.as_ref());
        Outcome { record, longest_poll, problem: None }
    }

    /// Makes the job and takes the lane. Nothing is accounted for yet.
    async fn get_ready(&self) -> Result<(Assembled, Box<dyn Grip>), Hindrance> {
        let assembled = self.entry.assembly.assemble().await.map_err(Hindrance::Error)?;
        let grip = self.setting.lanes.take(&assembled.lane, &self.entry.scenario).await;
        match grip {
            Ok(grip) => Ok((assembled, grip)),
            Err(LaneError::Held(by)) => Err(Hindrance::Held(by, assembled.longest_poll)),
            Err(LaneError::Unknown(error)) => Err(Hindrance::Error(error)),
        }
    }

    /// Goes on with a run that an earlier process left behind, for as long as something can come
    /// of it; else it ends with what is known of it.
    pub(super) async fn resume(self, underway: Underway) -> Outcome {
        let assembled = tokio::select! {
            assembled = self.assemble_again(&underway) => assembled,
            error = stopped(self.ending.clone()) => Err(error),
            () = left(self.ending.clone()) => {
                return Outcome { record: None, longest_poll: None, problem: None };
            }
        };
        match assembled {
            Ok(Assembled { job, lane, longest_poll }) => {
                let (ending, around) = (self.ending.clone(), &self.setting.around);
                let lane = self.hold(&lane);
                let mut lane = std::pin::pin!(lane);
                let mut grip = None;
                let resumed = resume_run(&job, around, &underway, stopped(ending.clone()));
                let record = {
                    let mut resumed = std::pin::pin!(resumed);
                    let mut left = std::pin::pin!(left(ending));
                    loop {
                        tokio::select! {
                            it = &mut resumed => break Some(it),
                            () = &mut left => break None,
                            it = &mut lane, if grip.is_none() => grip = Some(it),
                        }
                    }
                };
                if let Some(grip) = grip {
                    grip.release().await;
                }
                Outcome { record, longest_poll, problem: None }
            }
            Err(error) => {
                let record = self.entry.assembly.unassembled(error, self.due);
                let record = underway.complete(record);
                self.tell(&Event::Finished(Box::new(record.clone())));
                Outcome { record: Some(record), longest_poll: None, problem: None }
            }
        }
    }

    /// Makes the job of a run that was cut off. What fails for a moment, as so much does when a
    /// machine is lost, is tried again until nothing can come of the run any more.
    async fn assemble_again(&self, underway: &Underway) -> Result<Assembled, ProbeError> {
        if underway.fingerprint != self.entry.fingerprint {
            return Err(interrupted("the scenario has changed since"));
        }
        let end = underway.gives_up(self.entry.deadline);
        let end = end.ok_or_else(|| interrupted("nothing had been pushed yet"))?;
        let last = underway
            .log
            .last()
            .map(|it| it.at)
            .max(underway.publishing.as_ref().map(|it| it.since));
        let back = last.map(|it| self.setting.around.clock.wall().duration_until(it));
        if back.is_some_and(|it| it > SLEW) {
            // How long ago anything was, nobody knows now.
            return Err(interrupted("the wall clock was set back meanwhile"));
        }
        let is_over = || self.setting.around.clock.wall() >= end;
        if is_over() {
            return Err(interrupted("its deadline had passed before hopclock was back"));
        }
        loop {
            let error = match self.entry.assembly.assemble().await {
                Ok(assembled) => return Ok(assembled),
                Err(error) => error.message,
            };
            if is_over() {
                return Err(interrupted(&format!("it could not be taken up again: {error}")));
            }
            let scenario = &self.entry.scenario;
            tracing::warn!(scenario, "a run that was cut off cannot go on yet: {error}");
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Takes the lane as soon as it is free. The run goes on without it until then: its change is
    /// on the remote already, and others only have to be kept from pushing over it.
    async fn hold(&self, lane: &str) -> Box<dyn Grip> {
        loop {
            match self.setting.lanes.take(lane, &self.entry.scenario).await {
                Ok(grip) => return grip,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// The service ends before the run has begun: the tick is left to the next process, or the
    /// asker is refused.
    fn stand_back(&self, asker: Option<Asker>) -> Outcome {
        match asker {
            // An asker that went away needs no answer.
            Some(asker) => drop(asker.send(Err(Refusal::Stopping))),
            None => self.teller.leave(),
        }
        Outcome { record: None, longest_poll: None, problem: None }
    }

    /// A run that cannot begin is a run all the same: it could not measure.
    fn fail(self, origin: Origin, asker: Option<Asker>, error: ProbeError) -> Outcome {
        let problem = Some(error.message.clone());
        let waiting = self.schedule(origin, asker);
        let started = self.setting.around.clock.wall();
        let record = self.entry.assembly.unassembled(error, started);
        self.tell(&Event::Finished(Box::new(record.clone())));
        tell(waiting, Some(&record));
        Outcome { record: Some(record), longest_poll: None, problem }
    }

    /// Another run uses the lane: the tick is missed, or the asker is refused.
    fn give_way(self, by: String, asker: Option<Asker>, longest_poll: Option<Duration>) -> Outcome {
        let scenario = self.entry.scenario.clone();
        tracing::warn!(scenario, "the lane is in use by {by}: no run begins");
        if let Some(asker) = asker {
            // An asker that went away needs no answer.
            let _ = asker.send(Err(Refusal::LaneHeld { scenario, by }));
            return Outcome { record: None, longest_poll, problem: None };
        }
        let problem = Some(format!("its lane is in use by {by}"));
        let (reason, due) = (Missed::Overlap, self.due);
        self.teller.account(&Event::Missed { scenario, reason, count: 1, due });
        Outcome { record: None, longest_poll, problem }
    }

    /// Accounts for the run, and tells the asker that it has begun.
    fn schedule(&self, origin: Origin, asker: Option<Asker>) -> Option<oneshot::Sender<RunRecord>> {
        let scenario = self.entry.scenario.clone();
        let fingerprint = self.entry.fingerprint.clone();
        self.teller.account(&Event::Scheduled { scenario, due: self.due, origin, fingerprint });
        let (waiting, record) = oneshot::channel();
        let begun = asker?.send(Ok(Begun { due: self.due, record }));
        begun.is_ok().then_some(waiting)
    }

    fn tell(&self, event: &Event) {
        self.setting.around.observer.observe(event);
    }
}

/// Tells whoever waits for the end of a run what came of it.
fn tell(waiting: Option<oneshot::Sender<RunRecord>>, record: Option<&RunRecord>) {
    if let (Some(waiting), Some(record)) = (waiting, record) {
        // One that went away needs no answer.
        let _ = waiting.send(record.clone());
    }
}

/// Waits until no run may begin any more.
async fn closing(mut ending: watch::Receiver<Ending>) {
    if ending.wait_for(|it| *it != Ending::No).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until runs have to end with what they have.
async fn stopped(mut ending: watch::Receiver<Ending>) -> ProbeError {
    if ending.wait_for(|it| *it == Ending::Stop).await.is_err() {
        std::future::pending::<()>().await;
    }
    ProbeError {
        reason: "stopped".to_owned(),
        message: "hopclock was stopped before the run ended; what was pushed stays".to_owned(),
    }
}

/// Waits until runs are left to the next process.
async fn left(mut ending: watch::Receiver<Ending>) {
    if ending.wait_for(|it| *it == Ending::Leave).await.is_err() {
        std::future::pending::<()>().await;
    }
}
