//! One run of a scenario under the service, from the tick to the end of its lane.

use crate::engine::drive::{interrupted, resume_run, run_until};
use crate::engine::service::lanes::LaneError;
use crate::engine::service::teller::Teller;
use crate::engine::service::{Assembled, Begun, Ending, Entry, Refusal, Setting};
use crate::model::{Event, Missed, Origin, ProbeError, RunRecord, Underway};
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

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

// === impl Performance ===

impl Performance {
    /// Runs, if the lane is free.
    pub(super) async fn perform(self, asker: Option<Asker>) -> Outcome {
        let origin = if asker.is_some() { Origin::Request } else { Origin::Schedule };
        let assembled = self.entry.assembly.assemble().await;
        let Assembled { job, lane, longest_poll } = match assembled {
            Ok(it) => it,
            Err(error) => return self.fail(origin, asker, error),
        };
        let grip = match self.setting.lanes.take(&lane, &self.entry.scenario).await {
            Ok(grip) => grip,
            Err(LaneError::Held(by)) => return self.give_way(by, asker, longest_poll),
            Err(LaneError::Unknown(error)) => return self.fail(origin, asker, error),
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

    /// Goes on with a run that an earlier process left behind. It makes no push, so it needs no
    /// lane.
    pub(super) async fn resume(self, underway: Underway) -> Outcome {
        let changed = underway.fingerprint != self.entry.fingerprint;
        let assembled = if changed {
            Err(interrupted("the scenario has changed since"))
        } else {
            self.entry.assembly.assemble().await
        };
        match assembled {
            Ok(Assembled { job, longest_poll, .. }) => {
                let ending = self.ending.clone();
                let around = &self.setting.around;
                let record = tokio::select! {
                    it = resume_run(&job, around, &underway, stopped(ending.clone())) => Some(it),
                    () = left(ending) => None,
                };
                Outcome { record, longest_poll, problem: None }
            }
            Err(error) => {
                let problem = (!changed).then(|| error.message.clone());
                let started = underway.started.unwrap_or(self.due);
                let mut record = self.entry.assembly.unassembled(error, started);
                if let Some(canary) = underway.canary {
                    record.canary = canary;
                }
                self.tell(&Event::Finished(Box::new(record.clone())));
                Outcome { record: Some(record), longest_poll: None, problem }
            }
        }
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
        let problem = Some(format!("its lane is in use by {by}"));
        if let Some(asker) = asker {
            // An asker that went away needs no answer.
            let _ = asker.send(Err(Refusal::LaneHeld { scenario, by }));
        } else {
            let (reason, due) = (Missed::Overlap, self.due);
            self.teller.account(&Event::Missed { scenario, reason, count: 1, due });
        }
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
