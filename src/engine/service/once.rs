//! One run of a scenario for a command, behind what an earlier process has left of it.
//!
//! A command has no schedule and no attendants. But a run that was killed under way is in the
//! account, and has to end before the next one begins, or it would be counted never.

use crate::engine::service::lanes::LaneError;
use crate::engine::service::performance::Performance;
use crate::engine::service::teller::Teller;
use crate::engine::service::{Ending, Entry, Refusal, Setting};
use crate::model::{Account, RunRecord};
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

/// Ends the runs that an earlier process has left behind in `account`, or goes on with them; then
/// runs once.
///
/// # Errors
///
/// The [`Refusal`], if the run does not begin; nothing is counted of it then, neither as a run nor as
/// missed. Only ticks of a schedule are missed (rule O4), and whoever asked is told; where this stands
/// for a tick, the account is not ours to write, for whoever holds the lane may be writing it, and
/// at work on what looks as if it had been left behind.
pub async fn perform_once(
    entry: &Entry,
    account: &Account,
    setting: &Setting,
    ending: &watch::Receiver<Ending>,
) -> Result<RunRecord, Refusal> {
    let performance = |due: Timestamp| Performance {
        entry: entry.clone(),
        setting: setting.clone(),
        teller: Teller::new(setting.around.observer.clone()),
        due,
        ending: ending.clone(),
    };
    if account.ledger.runs().next().is_some() {
        refuse_while_under_way(entry, setting).await?;
    }
    for (due, underway) in account.ledger.runs() {
        let scenario = &entry.scenario;
        tracing::info!(scenario, "a run of {due} was cut off: it is resumed or ended first");
        performance(due).resume(underway.clone()).await;
    }
    let (asker, answer) = oneshot::channel();
    let outcome = performance(setting.around.clock.wall()).perform(Some(asker)).await;
    match (outcome.record, answer.await) {
        (Some(record), _) => Ok(record),
        (None, Ok(Err(refusal))) => Err(refusal),
        // It was left to the next process.
        (None, _) => Err(Refusal::Stopping),
    }
}

/// Refuses if somebody holds the lane. Where that cannot be known, the run finds out.
async fn refuse_while_under_way(entry: &Entry, setting: &Setting) -> Result<(), Refusal> {
    let Ok(assembled) = entry.assembly.assemble().await else { return Ok(()) };
    match setting.lanes.take(&assembled.lane, &entry.scenario).await {
        Ok(grip) => grip.release().await,
        Err(LaneError::Held(by)) => {
            return Err(Refusal::LaneHeld { scenario: entry.scenario.clone(), by });
        }
        Err(LaneError::Unknown(_)) => (),
    }
    Ok(())
}
