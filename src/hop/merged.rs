//! What the automation pushed is on the branch that is fetched.
//!
//! Read from the branch itself, so it holds for every way to merge: by a merge commit, squashed or
//! rebased. Whether the commit at the tip brings the learned one along is asked for (rule T9).

use crate::hop::{Detector, Kind, Objects, Place, Traits};
use crate::model::{Change, GitBranch, ObjectName, Reached, Revision, Sighting, State, Subject};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// The branch that the commit has to come to: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergedConfig {
    /// The branch that this GitRepository fetches.
    GitRepository(ObjectName),
}

/// See [`MergedConfig`].
#[derive(Clone, Copy, Debug)]
pub struct Merged;

// === impl MergedConfig ===

impl Kind for MergedConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "merged", place: Place::Merge, required: true }
    }

    fn subject(&self) -> Option<Subject> {
        let Self::GitRepository(it) = self;
        Some(GitBranch::subject(it, None))
    }

    fn detector(&self, _: &Objects) -> Result<Arc<dyn Detector>, String> {
        Ok(Arc::new(Merged))
    }
}

// === impl Merged ===

impl Detector for Merged {
    fn look(&self, _: &[State], now: &State, change: &Change) -> Sighting {
        match commit(now).and_then(|it| change.carried(&it)) {
            Some(carried) => Sighting::Reached(Reached { carried, ..Reached::at(now.when) }),
            None => Sighting::NotYet,
        }
    }

    fn revisions(&self, now: &State) -> Vec<Revision> {
        commit(now).into_iter().collect()
    }

    fn has_lost(&self, now: &State, change: &Change) -> bool {
        commit(now).is_some_and(|it| change.is_stranger(&it))
    }
}

fn commit(state: &State) -> Option<Revision> {
    Revision::commit(&GitBranch::read(&state.value)?.commit)
}
