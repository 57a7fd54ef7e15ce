//! A Flux applier reports the change as applied.

use crate::hop::{Detector, Kind, Objects, Place, Traits};
use crate::model::{
    Change, Failure, FailureSort, GroupKind, ObjectName, Reached, Revision, Sighting, SourceKind,
    State, Subject, Via, When, flux,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Reasons of an applier that speak of what it waits for, and of no revision.
const OF_NO_REVISION: [&str; 3] = ["DependencyNotReady", "ArtifactFailed", "SourceNotReady"];

/// The applier that reports the change as applied: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppliedConfig {
    /// A Kustomization: its `status.lastAppliedRevision` carries the change.
    Kustomization(ObjectName),
}

/// See [`AppliedConfig`].
#[derive(Debug)]
pub struct Applied;

// === impl AppliedConfig ===

impl Kind for AppliedConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "applied", place: Place::Apply, required: true }
    }

    fn subject(&self) -> Option<Subject> {
        let Self::Kustomization(it) = self;
        Some(Subject::local(GroupKind::kustomization(), &it.namespace, &it.name))
    }

    fn detector(&self, _: &Objects) -> Result<Arc<dyn Detector>, String> {
        Ok(Arc::new(Applied))
    }
}

// === impl Applied ===

impl Detector for Applied {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        if let Some(carried) =
            change.carried_in(&now.value["status"]["lastAppliedRevision"], kind(now))
        {
            return Sighting::Reached(Reached {
                started: started(past, now, change),
                via: Some(Via::Upstream),
                carried,
                ..Reached::at(now.when)
            });
        }
        trouble(past, now, change)
    }

    fn revisions(&self, now: &State) -> Vec<Revision> {
        ["lastAppliedRevision", "lastAttemptedRevision"]
            .into_iter()
            .filter_map(|it| kind(now).revision(now.value["status"][it].as_str()?))
            .collect()
    }

    fn has_lost(&self, now: &State, change: &Change) -> bool {
        change.is_lost_in(&now.value["status"]["lastAppliedRevision"], kind(now))
    }
}

/// What an applier says while it has not applied the change.
pub(super) fn trouble(past: &[State], now: &State, change: &Change) -> Sighting {
    if flux::is_suspended(&now.value) {
        return Sighting::Suspended;
    }
    let attempted = attempts(now, change);
    let Some(ready) = flux::condition(&now.value, "Ready") else { return Sighting::NotYet };
    let sort = match (ready.status, ready.reason) {
        ("True", _) => return Sighting::NotYet,
        ("False", "HealthCheckCanceled") => return Sighting::Progress,
        ("False", reason) if OF_NO_REVISION.contains(&reason) => FailureSort::OfAny,
        ("False", _) if attempted => FailureSort::OfOurs,
        _ => return Sighting::Progress,
    };
    let stalled = attempted && flux::has_stalled(past, now, change.began());
    Sighting::Failing(Failure { reason: ready.reason.to_owned(), sort, stalled })
}

/// Whether the revision that it tries to apply carries the change.
fn attempts(state: &State, change: &Change) -> bool {
    change.carried_in(&state.value["status"]["lastAttemptedRevision"], kind(state)).is_some()
}

/// The kind of the applier's source, whose revisions it repeats.
fn kind(state: &State) -> SourceKind {
    let kind = state.value["spec"]["sourceRef"]["kind"].as_str();
    kind.and_then(SourceKind::of).unwrap_or(SourceKind::Git)
}

/// When somebody started on our revision (rule T10): Reconciling names it, or it was attempted.
fn started(past: &[State], now: &State, change: &Change) -> Option<When> {
    let signs = |it: &&State| {
        let reconciling = flux::condition(&it.value, "Reconciling");
        reconciling.is_some_and(|it| it.status == "True" && change.is_named_in(it.message))
            || attempts(it, change)
    };
    past.iter().chain([now]).find(signs).map(|it| it.when)
}
