//! What one run made: its canary id, and every revision known to carry it.
//!
//! A revision is announced before it is sent (rule T1). Others are learned: what was made from ours
//! on its way, such as the commit of an automation (rule T8), or a later commit that brings ours
//! along (rule T9). Both count as ours from there on. Candidates are only supposed to be ours, and
//! can be taken back (rule P9).

use crate::model::{CanaryId, Moment, Revision, RevisionSort, SourceKind, Subject, When, tokens};
use serde_json::Value;
use std::collections::BTreeSet;

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
    /// One that Flux made from ours, and that we learned of.
    Learned,
    /// A later one, which was learned to bring ours along.
    By(Revision),
    /// One that is taken for ours until something knows better (rule P9).
    Candidate(Revision),
}

/// What one run made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    canary: CanaryId,
    began: Option<Moment>,
    ours: Vec<Revision>,
    learned: Vec<Revision>,
    carriers: Vec<Carrier>,
    strangers: BTreeSet<Revision>,
    /// What is taken for ours, at most one of each source.
    candidates: Vec<Revision>,
    /// The objects that were seen to hold the change, and since when.
    arrived: Vec<(Subject, When)>,
}

// === impl Carried ===

impl Carried {
    /// Whether it is known, and not only supposed.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        !matches!(self, Self::Candidate(_))
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
            learned: Vec::new(),
            carriers: Vec::new(),
            strangers: BTreeSet::new(),
            candidates: Vec::new(),
            arrived: Vec::new(),
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

    /// Says that Flux has made this revision from ours.
    pub fn extend(&mut self, revision: Revision) {
        if !matches!(self.carried(&revision), Some(it) if it.is_certain()) {
            self.learned.push(revision);
        }
    }

    /// Whether what was sent is a request, which has no revision that could be followed.
    #[must_use]
    pub fn is_a_request(&self) -> bool {
        self.began.is_some() && self.ours.is_empty()
    }

    /// Every revision that is ours: those that were sent, and those that were made from them.
    pub fn known(&self) -> impl Iterator<Item = &Revision> {
        self.ours.iter().chain(&self.learned)
    }

    /// Whether a revision of ours of the same sort is known: only then can it be asked whether
    /// another one brings it along (rule T9). Of digests and versions that Flux made from ours, no
    /// remote of ours could tell.
    #[must_use]
    pub fn knows_sort_of(&self, revision: &Revision) -> bool {
        match revision {
            Revision::Digest(_) | Revision::Version(_) => self.sends_sort_of(revision),
            Revision::Commit(_) | Revision::Tag(_) => {
                self.known().any(|it| it.is_of_sort(revision))
            }
        }
    }

    /// Whether a revision of the same sort was sent.
    #[must_use]
    pub fn sends_sort_of(&self, revision: &Revision) -> bool {
        self.ours.iter().any(|it| it.is_of_sort(revision))
    }

    /// Whether a chart of a known version was sent.
    #[must_use]
    pub fn sends_version(&self) -> bool {
        self.ours.iter().any(|it| matches!(it, Revision::Version(_)))
    }

    /// Says which revisions are taken for ours until something knows better (rule P9), in the
    /// place of those that were; says whether these are others.
    pub fn suppose(&mut self, candidates: Vec<Revision>) -> bool {
        let differ = self.candidates != candidates;
        self.candidates = candidates;
        differ
    }

    /// Every revision that carries the change, or is taken for one that does.
    pub fn carrying(&self) -> impl Iterator<Item = &Revision> {
        let carriers = self.carriers.iter().map(|it| &it.revision);
        self.known().chain(carriers).chain(&self.candidates)
    }

    /// Says that an object was seen to hold the change; the first word counts. Says whether it is
    /// news.
    pub fn arrive(&mut self, subject: &Subject, when: When) -> bool {
        let known = self.arrived.iter().any(|it| it.0 == *subject);
        if !known {
            self.arrived.push((subject.clone(), when));
        }
        !known
    }

    /// When an object was first seen to hold the change, in whichever cluster.
    #[must_use]
    pub fn arrived_in(&self, kind: &str, namespace: &str, name: &str) -> Option<When> {
        let is_it =
            |it: &Subject| it.kind.kind == kind && it.namespace == namespace && it.name == name;
        self.arrived.iter().find(|it| is_it(&it.0)).map(|it| it.1)
    }

    /// Whether it is a tag that is followed; else an image is followed by its digest.
    #[must_use]
    pub fn knows_a_tag(&self) -> bool {
        self.known().any(|it| it.sort() == RevisionSort::Tag)
    }

    /// Every revision that carries the change.
    pub fn bearers(&self) -> impl Iterator<Item = &Revision> {
        self.known().chain(self.carriers.iter().map(|it| &it.revision))
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
        if self.learned.contains(revision) {
            return Some(Carried::Learned);
        }
        if self.carriers.iter().any(|it| it.revision == *revision) {
            return Some(Carried::By(revision.clone()));
        }
        let supposed = self.candidates.contains(revision);
        supposed.then(|| Carried::Candidate(revision.clone()))
    }

    /// Whose revision a field of a source of that kind, or of its applier, shows, if it carries
    /// the change.
    #[must_use]
    pub fn carried_in(&self, field: &Value, kind: SourceKind) -> Option<Carried> {
        self.carried(&kind.revision(field.as_str()?)?)
    }

    /// Whether a field of a source of that kind, or of its applier, shows a revision that is known
    /// not to carry the change.
    #[must_use]
    pub fn is_lost_in(&self, field: &Value, kind: SourceKind) -> bool {
        let revision = field.as_str().and_then(|it| kind.revision(it));
        revision.is_some_and(|it| self.is_stranger(&it))
    }

    /// Whether text names a revision that carries the change. Tags and versions are short, and
    /// have to stand there as whole tokens.
    #[must_use]
    pub fn is_named_in(&self, text: &str) -> bool {
        self.carrying().any(|it| match it {
            Revision::Commit(id) | Revision::Digest(id) => text.contains(id),
            Revision::Tag(id) | Revision::Version(id) => {
                tokens(text).any(|it| it.trim_end_matches('.') == id)
            }
        })
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
    fn p9_a_candidate_can_be_taken_back_and_learned() {
        let [first, second] = ["a", "b"].map(|it| Revision::Digest(format!("sha256:{it}")));
        let mut change = Change::new(CanaryId::new("", 1));
        assert!(change.suppose(vec![first.clone()]));
        assert_eq!(change.carried(&first), Some(Carried::Candidate(first.clone())));
        assert!(change.suppose(vec![second.clone()]));
        assert_eq!(change.carried(&first), None);
        change.extend(second.clone());
        assert!(change.suppose(Vec::new()));
        assert_eq!(change.carried(&second), Some(Carried::Learned));
    }

    #[test]
    fn a_tag_is_named_only_by_a_whole_token() {
        let mut change = Change::new(CanaryId::new("", 1));
        change.announce(vec![Revision::Tag("4".to_owned()), Revision::Version("0.1.1".to_owned())]);
        assert!(!change.is_named_in("Fetching revision main@sha1:a4 with a timeout of 4m30s"));
        assert!(change.is_named_in("tag 4 of the image"));
        assert!(change.is_named_in("release x with chart x@0.1.1+beef."));
        assert!(!change.is_named_in("chart 0.1.10"));
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
