//! A Flux source holds an artifact of the change.
//!
//! Keyed on `status.artifact.revision`: `Ready=True` is written in an earlier patch than the
//! revision it is ready for (rule T5).

use crate::hop::{Detector, Kind, Objects, Place, Traits, request};
use crate::model::{
    Change, Failure, FailureSort, GroupKind, ObjectName, Reached, Revision, Sighting, SourceKind,
    State, Subject, flux,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The source whose artifact carries the change: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceFetchedConfig {
    /// A GitRepository: its `status.artifact.revision` carries the change.
    GitRepository(ObjectName),
}

/// See [`SourceFetchedConfig`].
#[derive(Clone, Copy, Debug)]
pub struct SourceFetched(pub SourceKind);

// === impl SourceFetchedConfig ===

impl Kind for SourceFetchedConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "source_fetched", place: Place::Fetch, required: true }
    }

    fn subject(&self) -> Option<Subject> {
        let Self::GitRepository(it) = self;
        Some(Subject::local(GroupKind::git_repository(), &it.namespace, &it.name))
    }

    fn detector(&self, _: &Objects) -> Result<Arc<dyn Detector>, String> {
        Ok(Arc::new(SourceFetched(SourceKind::Git)))
    }
}

// === impl SourceFetched ===

impl Detector for SourceFetched {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        let carried =
            artifact_revisions(now).into_iter().find_map(|it| change.carried_in(it, self.0));
        if let Some(carried) = carried {
            return Sighting::Reached(Reached {
                started: request::started(past, now),
                via: Some(request::via(past, now)),
                carried,
                ..Reached::at(now.when)
            });
        }
        trouble(past, now, change)
    }

    fn revisions(&self, now: &State) -> Vec<Revision> {
        let texts = artifact_revisions(now).into_iter().filter_map(Value::as_str);
        texts.filter_map(|it| self.0.revision(it)).collect()
    }

    fn has_lost(&self, now: &State, change: &Change) -> bool {
        artifact_revisions(now).into_iter().all(|it| change.is_lost_in(it, self.0))
    }
}

/// What a source says while it does not hold the change. Its failures name no revision.
pub(super) fn trouble(past: &[State], now: &State, change: &Change) -> Sighting {
    if flux::is_suspended(&now.value) {
        return Sighting::Suspended;
    }
    let stalled = flux::has_stalled(past, now, change.began());
    match flux::condition(&now.value, "Ready") {
        Some(ready) if ready.status == "False" => Sighting::Failing(Failure {
            reason: ready.reason.to_owned(),
            sort: FailureSort::OfAny,
            stalled,
        }),
        Some(ready) if ready.status == "Unknown" => Sighting::Progress,
        _ => Sighting::NotYet,
    }
}

pub(super) fn artifact_revision(state: &State) -> &Value {
    &state.value["status"]["artifact"]["revision"]
}

/// What the source holds: a revision of its own, and one of each source that it includes (rule P8).
fn artifact_revisions(state: &State) -> Vec<&Value> {
    let included = state.value["status"]["includedArtifacts"].as_array().into_iter().flatten();
    std::iter::once(artifact_revision(state)).chain(included.map(|it| &it["revision"])).collect()
}
