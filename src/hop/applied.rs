//! A Flux applier reports the change as applied.

use crate::hop::{Detector, Kind, Objects, Place, Released, Traits, source_fetched};
use crate::model::{
    Carried, Change, Failure, FailureSort, GroupKind, ObjectName, Reached, Revision, Sighting,
    SourceKind, State, Subject, Via, When, flux,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Reasons of an applier that speak of what it waits for, and of no revision.
pub(super) const OF_NO_REVISION: [&str; 3] =
    ["DependencyNotReady", "ArtifactFailed", "SourceNotReady"];

/// The applier that reports the change as applied: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppliedConfig {
    /// A Kustomization: its `status.lastAppliedRevision` carries the change.
    Kustomization(ObjectName),
    /// A HelmRelease: its newest release is deployed with our chart or with our values.
    HelmRelease(ObjectName),
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
        let (kind, it) = match self {
            Self::Kustomization(it) => (GroupKind::kustomization(), it),
            Self::HelmRelease(it) => (GroupKind::helm_release(), it),
        };
        Some(Subject::local(kind, &it.namespace, &it.name))
    }

    fn detector(&self, _: &Objects) -> Result<Arc<dyn Detector>, String> {
        Ok(match self {
            Self::Kustomization(_) => Arc::new(Applied),
            Self::HelmRelease(_) => Arc::new(Released),
        })
    }
}

// === impl Applied ===

impl Detector for Applied {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        if let Some(carried) = applied(now, change) {
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
        let status = &now.value["status"];
        let fields = ["lastAppliedRevision", "lastAttemptedRevision"];
        let own = fields.into_iter().filter_map(|it| kind(now).revision(status[it].as_str()?));
        own.chain(source_fetched::origin(&status["lastAppliedOriginRevision"])).collect()
    }

    fn applies(&self) -> bool {
        true
    }

    fn has_lost(&self, now: &State, change: &Change) -> bool {
        change.is_lost_in(&now.value["status"]["lastAppliedRevision"], kind(now))
    }
}

/// Whose revision was applied, if it carries the change: the source's own, or the commit that an
/// OCI artifact was made of (rule P10).
fn applied(now: &State, change: &Change) -> Option<Carried> {
    let status = &now.value["status"];
    let origin = source_fetched::origin(&status["lastAppliedOriginRevision"]);
    let by_commit = origin.and_then(|it| change.carried(&it));
    by_commit.or_else(|| change.carried_in(&status["lastAppliedRevision"], kind(now)))
}

/// What a Kustomization says while it has not applied the change.
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
