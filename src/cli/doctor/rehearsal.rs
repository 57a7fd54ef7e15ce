//! Does what a run does before it pushes: finds the path, builds the trigger, proves the delivery,
//! and asks the remote for the latest canary. So hosts, credentials and proofs are tried for real.

use crate::cli::assemble::Workshop;
use crate::cli::discover;
use crate::cli::doctor::calls;
use crate::config::Scenario;
use crate::model::{CanaryId, ProbeError, Subject};
use crate::path::checkup::{Finding, table};
use crate::trigger::{Trigger, TriggerConfig};
use std::sync::Arc;

/// A scenario that was tried.
pub(super) struct Rehearsed {
    /// It, with the hops that were found.
    pub(super) scenario: Scenario,
    /// What a run would watch; none if it does not get so far.
    pub(super) watched: Option<Vec<Arc<Subject>>>,
    /// What a run would end with.
    pub(super) refused: Option<Refused>,
}

/// What a run would end with.
pub(super) struct Refused {
    pub(super) reason: String,
    pub(super) finding: Finding,
}

/// Tries each scenario.
pub(super) async fn rehearse(workshop: &Workshop, scenarios: &[Scenario]) -> Vec<Rehearsed> {
    let mut all = Vec::new();
    for scenario in scenarios {
        let found = match &scenario.target {
            Some(target) => {
                let (home, trigger) = (workshop.clusters.home(), &scenario.trigger);
                discover::found(home, &workshop.instance, trigger, target).await.map(|it| it.0)
            }
            None => Ok(scenario.clone()),
        };
        let (scenario, job) = match found {
            Ok(found) => {
                let job = workshop.assemble(&found).await;
                (found, job)
            }
            Err(error) => (scenario.clone(), Err(error)),
        };
        let (watched, tried) = match job {
            Ok(job) => {
                let tried = try_remote(&scenario, &workshop.instance, &*job.trigger).await;
                (Some(job.plan.subjects()), tried)
            }
            Err(error) => (None, Err(error)),
        };
        let refused = tried.err().map(|it| refused(&scenario, it));
        all.push(Rehearsed { scenario, watched, refused });
    }
    all
}

/// Asks the remote what a run asks first; a call that has no effect is made.
async fn try_remote(
    scenario: &Scenario,
    instance: &str,
    trigger: &dyn Trigger,
) -> Result<(), ProbeError> {
    if matches!(scenario.trigger, TriggerConfig::ReceiverGet(_)) {
        return calls::harmless(trigger).await;
    }
    let tried = async {
        let latest = trigger.latest().await?;
        let next = latest.map_or(1, |it| it.sequence() + 1);
        trigger.offer(&CanaryId::new(instance, next)).await
    };
    tried
        .await
        .map(|_| ())
        .map_err(|it| ProbeError { reason: it.reason.to_owned(), message: it.message })
}

fn refused(scenario: &Scenario, error: ProbeError) -> Refused {
    let finding = Finding::general(
        table::WOULD_NOT_RUN,
        format!("a run would end before it pushes: {}", error.message),
        format!("as the sentence says; the run's reason is `{}`", error.reason),
    );
    Refused { reason: error.reason, finding: finding.in_scenario(&scenario.name) }
}
