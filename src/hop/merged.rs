//! What the automation pushed is on the branch that is fetched.
//!
//! Read from the branch itself, so it holds for every way to merge: by a merge commit, squashed or
//! rebased. Whether the commit at the tip brings the learned one along is asked for (rule T9).

use crate::hop::{Detector, Kind, Objects, Place, Traits};
use crate::model::{
    Change, GitBranch, MergeWay, ObjectName, Reached, Revision, RevisionSort, Sighting, State,
    Subject,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// The branch that the commit has to come to, and who brings it there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MergedConfig {
    /// The GitRepository whose branch it is.
    pub git_repository: ObjectName,

    /// How hopclock itself merges the commit, with the credentials of the GitRepository: `merge`,
    /// `squash` or `rebase`. The GitRepository has to consent. Default: somebody else merges.
    #[serde(default)]
    pub merge: Option<MergeWay>,

    /// hopclock may merge into the branch though the GitRepository does not consent or others apply
    /// it, and bring along what others committed below the commit. Default: only what its own author
    /// did, and of an automation only the choices of the scenario's own ImagePolicy.
    #[serde(default)]
    pub shared: bool,
}

/// See [`MergedConfig`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Merged {
    /// hopclock itself merges.
    pub by_us: bool,
}

// === impl MergedConfig ===

impl Kind for MergedConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "merged", place: Place::Merge, required: true }
    }

    fn subject(&self) -> Option<Subject> {
        Some(GitBranch::subject(&self.git_repository, None))
    }

    fn suits(&self, sort: RevisionSort, _: Option<&Objects>) -> Result<(), String> {
        if self.shared && self.merge.is_none() {
            return Err("`shared` lets hopclock merge into a branch of others: say how with \
                        `merge`, or leave `shared` out"
                .to_owned());
        }
        match sort {
            RevisionSort::Version if self.merge.is_some() => {
                Err("the version of a chart is no commit that hopclock could merge: leave \
                     `merge` out"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    fn detector(&self, _: &Objects) -> Result<Arc<dyn Detector>, String> {
        Ok(Arc::new(Merged { by_us: self.merge.is_some() }))
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

    fn needs_errand(&self) -> bool {
        self.by_us
    }

    fn has_lost(&self, now: &State, change: &Change) -> bool {
        commit(now).is_some_and(|it| change.is_stranger(&it))
    }
}

fn commit(state: &State) -> Option<Revision> {
    Revision::commit(&GitBranch::read(&state.value)?.commit)
}
