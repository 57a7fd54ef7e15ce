//! What a poller shows of a git branch: its commit, and the lines that image policies write to.
//!
//! A branch is a subject like any other (rule T7): its states are JSON values, null while it does
//! not exist, and each lies between the request of the last no and the response of the first yes.
//! A poller that finds several new commits shows one state for each, along the first parents.

use crate::model::{GroupKind, Marker, ObjectName, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a branch shows at one moment. As JSON: `{"commit": "<hex>", "markers": [{"file": …, "line":
/// …, "policy": "<namespace>:<name>", "part": "tag", "value": …}]}`; see [`Marker`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitBranch {
    /// The commit, by its full hexadecimal id.
    pub commit: String,
    /// Every marker in its tree; may be empty where no policy is followed.
    #[serde(default)]
    pub markers: Vec<Marker>,
}

/// How a commit gets on a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeWay {
    /// By a commit with two parents.
    Merge,
    /// By one new commit that holds all its changes.
    Squash,
    /// By a copy of each commit on the branch's tip; where nobody else has moved the branch, by the
    /// commits themselves.
    Rebase,
}

// === impl GitBranch ===

impl GitBranch {
    /// A branch of the repository that a GitRepository fetches: the branch of this name, or the one
    /// that is fetched.
    #[must_use]
    pub fn subject(repository: &ObjectName, branch: Option<&str>) -> Subject {
        let ObjectName { namespace, name } = repository;
        let name = branch.map_or_else(|| name.clone(), |it| format!("{name}@{it}"));
        Subject::local(GroupKind::git_branch(), namespace, &name)
    }

    /// The repository and branch of a subject; none of a subject that is no branch.
    #[must_use]
    pub fn of_subject(subject: &Subject) -> Option<(ObjectName, Option<&str>)> {
        let (name, branch) = match subject.name.split_once('@') {
            Some((name, branch)) => (name, Some(branch)),
            None => (subject.name.as_str(), None),
        };
        let repository = ObjectName::new(&subject.namespace, name);
        (subject.kind == GroupKind::git_branch()).then_some((repository, branch))
    }

    /// Reads a state; none while the branch does not exist.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    /// The state's value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back_as_it_was_written() {
        let markers = Marker::find_in("a.yaml", "x: app:1 # {\"$imagepolicy\": \"a:b\"}");
        let branch = GitBranch { commit: "c".repeat(40), markers };
        assert_eq!(GitBranch::read(&branch.to_value()), Some(branch));
        assert_eq!(GitBranch::read(&Value::Null), None);
    }

    #[test]
    fn a_subject_tells_its_repository_and_branch() {
        let fleet = ObjectName::new("flux-system", "fleet");
        let fetched = GitBranch::subject(&fleet, None);
        assert_eq!(GitBranch::of_subject(&fetched), Some((fleet.clone(), None)));
        let pushed = GitBranch::subject(&fleet, Some("bot/images"));
        assert_eq!(GitBranch::of_subject(&pushed), Some((fleet, Some("bot/images"))));
        assert_eq!(pushed.to_string(), "GitBranch flux-system/fleet@bot/images");
        let other = Subject::local(GroupKind::git_repository(), "a", "b");
        assert_eq!(GitBranch::of_subject(&other), None);
    }
}
