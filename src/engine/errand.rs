//! What hopclock itself does while a run is on its way: errands that a hop needs done for it.
//!
//! The pure machine says when one is due ([`Effect::Errand`](crate::engine::Effect::Errand)), and
//! is told what came of it. Whoever runs it looks first whether it is done already: a run that is
//! taken up again after a kill tells of it once more. What talks to a code host goes here, too.

use crate::model::{GitBranch, MergeWay, Moment, ProbeError, Revision};
use crate::remote::git::{Along, Author, Error, GitRemote, Merge, Merging, PublishError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The errands of a plan, by the index of their hop.
pub type Errands = BTreeMap<usize, Arc<dyn Errand>>;

/// Something that is done for a hop, once the hops before it are reached.
#[async_trait::async_trait]
pub trait Errand: Send + Sync {
    /// Does it with a revision that carries the change, unless it is done already. A revision that
    /// will carry the change from there on is announced before it is sent (rule T1).
    ///
    /// # Errors
    /// If it cannot be done: the change will not get any further by us.
    async fn run(
        &self,
        revision: &Revision,
        announce: &(dyn Fn(Revision) + Send + Sync),
    ) -> Result<ErrandDone, ProbeError>;
}

/// What came of an errand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrandDone {
    /// Somebody, or an earlier process, had done it.
    Already,
    /// It is done.
    Now {
        /// When that was acknowledged.
        at: Moment,
        /// What the subject of the hop shows since.
        state: Value,
    },
}

/// Merges a commit into a branch by git itself.
pub struct BranchMerge {
    remote: GitRemote,
    way: MergeWay,
    along: Along,
}

// === impl BranchMerge ===

impl BranchMerge {
    /// Merges into the branch of `remote`.
    #[must_use]
    pub fn new(remote: GitRemote, way: MergeWay, along: Along) -> Self {
        Self { remote, way, along }
    }
}

#[async_trait::async_trait]
impl Errand for BranchMerge {
    async fn run(
        &self,
        revision: &Revision,
        announce: &(dyn Fn(Revision) + Send + Sync),
    ) -> Result<ErrandDone, ProbeError> {
        let Revision::Commit(commit) = revision else {
            let message = format!("{revision} is no commit: only commits can be merged");
            return Err(ProbeError { reason: "merge_refused".to_owned(), message });
        };
        let email = "hopclock@localhost".to_owned();
        let author = Author { name: "hopclock".to_owned(), email };
        let (commit, way, along) = (commit.clone(), self.way, self.along.clone());
        let wanted = Merge { commit, way, author, along };
        let announce = |made: &str| announce(Revision::Commit(made.to_owned()));
        let done = match self.remote.merge(&wanted, announce).await {
            // The branch tells whether it was made (rule T2): it is read before anything is sent.
            Err(PublishError::NoAnswer { .. }) => self.remote.merge(&wanted, announce).await,
            done => done,
        };
        match done.map_err(|it| refused(&it))? {
            Merging::Already => Ok(ErrandDone::Already),
            Merging::Made { commit, acknowledged } => {
                let state = GitBranch { commit, markers: Vec::new() }.to_value();
                Ok(ErrandDone::Now { at: acknowledged, state })
            }
        }
    }
}

fn refused(error: &PublishError) -> ProbeError {
    let reason = match error {
        PublishError::Failed(Error::Rejected { .. } | Error::Forbidden { .. }) => "merge_refused",
        PublishError::Failed(Error::Unmergeable { .. }) => "merge_conflict",
        PublishError::Failed(Error::BringsOthers { .. } | Error::BringsMore { .. }) => {
            "merge_others"
        }
        PublishError::Failed(other) => other.reason(),
        PublishError::NoAnswer { .. } | PublishError::Withdrawn => "merge_unknown",
    };
    ProbeError { reason: reason.to_owned(), message: format!("the merge failed: {error}") }
}

/// That nobody is there to run the errand of a hop.
pub(super) fn nobody_for(hop: usize) -> ProbeError {
    let message = format!("nobody was told how to do what hop {hop} needs: restart hopclock");
    ProbeError { reason: "errand".to_owned(), message }
}
