//! What one run made: its canary id, and every revision known to carry it.
//!
//! A revision is announced before it is sent (rule T1). Others are learned: a later commit may
//! bring ours along (rule T9), and then counts as ours from there on.

use crate::model::{CanaryId, Moment};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

/// A version of something that can carry the change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revision {
    /// A git commit, by its full hexadecimal id.
    Commit(String),
}

/// A revision of somebody else's that brings our change along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The revision.
    pub revision: Revision,
    /// The canary that it holds: ours, or a later one of the lane.
    pub canary: Option<CanaryId>,
}

/// Whose revision carries the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Our own.
    Ours,
    /// A later one, which was learned to bring ours along.
    By(Revision),
}

/// What one run made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    canary: CanaryId,
    began: Option<Moment>,
    ours: Vec<Revision>,
    carriers: Vec<Carrier>,
    strangers: BTreeSet<Revision>,
}

// === impl Revision ===

impl Revision {
    /// The commit in a revision of a git source: `main@sha1:<hex>`, `refs/heads/x@sha1:<hex>` or
    /// `sha1:<hex>` (Flux, `Commit.String` of its git package); none for any other text.
    #[must_use]
    pub fn of_git_source(text: &str) -> Option<Self> {
        let (before, commit) = text.rsplit_once(':')?;
        let length = match before.rsplit_once('@').map_or(before, |it| it.1) {
            "sha1" => 40,
            "sha256" => 64,
            _ => return None,
        };
        let hex = commit.len() == length && commit.chars().all(|it| it.is_ascii_hexdigit());
        hex.then(|| Self::Commit(commit.to_owned()))
    }

    /// The bare id, as people paste it into other tools.
    #[must_use]
    pub fn id(&self) -> &str {
        let Self::Commit(id) = self;
        id
    }
}

impl fmt::Display for Revision {
    /// Short enough for a table: a commit's first ten digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id();
        f.write_str(id.get(..10).unwrap_or(id))
    }
}

// === impl Change ===

impl Change {
    /// A change that has not been made yet.
    #[must_use]
    pub fn new(canary: CanaryId) -> Self {
        Self {
            canary,
            began: None,
            ours: Vec::new(),
            carriers: Vec::new(),
            strangers: BTreeSet::new(),
        }
    }

    /// The mark that the change leaves.
    #[must_use]
    pub fn canary(&self) -> &CanaryId {
        &self.canary
    }

    /// When `publish` began; nothing that was shown before it can carry the change.
    #[must_use]
    pub fn began(&self) -> Option<Moment> {
        self.began
    }

    /// Our own revisions.
    #[must_use]
    pub fn ours(&self) -> &[Revision] {
        &self.ours
    }

    /// Says which revisions will be sent. A further attempt replaces those of the one before,
    /// which the remote has refused.
    pub fn announce(&mut self, revisions: Vec<Revision>) {
        self.ours = revisions;
    }

    /// Says that `publish` begins. The first word counts: a further attempt is the same publish.
    pub fn begin(&mut self, at: Moment) {
        self.began.get_or_insert(at);
    }

    /// Says that a revision was learned to bring the change along.
    pub fn learn(&mut self, carrier: Carrier) {
        if !self.carriers.contains(&carrier) {
            self.carriers.push(carrier);
        }
    }

    /// Says that a revision does not carry the change: it stood there before, or its tree or
    /// ancestry tells.
    pub fn dismiss(&mut self, revision: Revision) {
        self.strangers.insert(revision);
    }

    /// Whether a revision is known not to carry the change; false while nobody knows.
    #[must_use]
    pub fn is_stranger(&self, revision: &Revision) -> bool {
        self.carried(revision).is_none() && self.strangers.contains(revision)
    }

    /// Whose revision this is, if it carries the change.
    #[must_use]
    pub fn carried(&self, revision: &Revision) -> Option<Carried> {
        if self.ours.contains(revision) {
            return Some(Carried::Ours);
        }
        let known = self.carriers.iter().any(|it| it.revision == *revision);
        known.then(|| Carried::By(revision.clone()))
    }

    /// Whose revision a field of a git source or of its applier shows, if it carries the change.
    #[must_use]
    pub fn carried_in(&self, field: &Value) -> Option<Carried> {
        self.carried(&Revision::of_git_source(field.as_str()?)?)
    }

    /// Whether a field of a git source or of its applier shows a revision that is known not to
    /// carry the change.
    #[must_use]
    pub fn is_lost_in(&self, field: &Value) -> bool {
        let revision = field.as_str().and_then(Revision::of_git_source);
        revision.is_some_and(|it| self.is_stranger(&it))
    }

    /// Whether text names a revision that carries the change.
    #[must_use]
    pub fn is_named_in(&self, text: &str) -> bool {
        let carriers = self.carriers.iter().map(|it| &it.revision);
        self.ours.iter().chain(carriers).any(|it| text.contains(it.id()))
    }

    /// Whether an object that holds `canary` holds our change: it is ours, or a later one of the
    /// lane up to the latest that was learned to bring ours along. Only sequences are compared.
    #[must_use]
    pub fn is_carried_by_canary(&self, canary: &CanaryId) -> bool {
        if canary == &self.canary {
            return true;
        }
        let latest =
            self.carriers.iter().filter_map(|it| it.canary.as_ref()).max_by_key(|it| it.sequence());
        self.is_later_canary(canary) && latest.is_some_and(|it| canary.sequence() <= it.sequence())
    }

    /// Whether `canary` is a later one of our lane, whatever it brings along.
    #[must_use]
    pub fn is_later_canary(&self, canary: &CanaryId) -> bool {
        canary.instance() == self.canary.instance() && canary.sequence() > self.canary.sequence()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "a7a38ae42422820b3f5671004fcb257b5b8a3b9d";

    #[test]
    fn a_commit_is_read_from_every_form_of_git_revision() {
        let commit = Some(Revision::Commit(HEX.to_owned()));
        for form in ["main@sha1:", "refs/heads/x@sha1:", "v1.2.3@sha1:", "sha1:"] {
            assert_eq!(Revision::of_git_source(&format!("{form}{HEX}")), commit);
        }
        for other in ["", "1.2.3", "latest@sha256:beef", HEX, "main@sha1:xyz"] {
            assert_eq!(Revision::of_git_source(other), None, "{other}");
        }
    }

    #[test]
    fn t9_a_later_canary_counts_only_as_far_as_it_is_carried() {
        let id = |sequence| CanaryId::new("a", sequence);
        let mut change = Change::new(id(100));
        assert!(change.is_carried_by_canary(&id(100)));
        assert!(!change.is_carried_by_canary(&id(101)));
        let revision = Revision::Commit(HEX.to_owned());
        change.learn(Carrier { revision, canary: Some(id(102)) });
        assert!(change.is_carried_by_canary(&id(101)));
        assert!(change.is_carried_by_canary(&id(102)));
        assert!(!change.is_carried_by_canary(&id(103)));
        assert!(!change.is_carried_by_canary(&id(99)));
        assert!(!change.is_carried_by_canary(&CanaryId::new("b", 101)));
    }

    #[test]
    fn t1_a_further_attempt_replaces_the_revision_that_was_refused() {
        let [first, second] = ["a", "b"].map(|it| Revision::Commit(it.repeat(40)));
        let mut change = Change::new(CanaryId::new("", 1));
        change.announce(vec![first.clone()]);
        change.announce(vec![second.clone()]);
        assert_eq!(change.carried(&first), None);
        assert_eq!(change.carried(&second), Some(Carried::Ours));
    }
}
