//! What another's revision means for our change (rule T9).

use crate::model::CanaryId;

/// What another's revision means for our change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ancestry {
    /// It brings our change along; the canary that it holds.
    Carries(Option<CanaryId>),
    /// Ours descends from it, or the remote's tip still carries ours: it will come.
    NotYet,
    /// Neither: our change is gone.
    Gone,
    /// It could not be found out.
    Unknown,
}

/// What a remote tells of a revision of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// The canary in its tree, where ours would be.
    pub canary: Option<CanaryId>,
    /// Whether it descends from ours.
    pub descends_from_ours: bool,
    /// Whether ours descends from it.
    pub is_before_ours: bool,
}

// === impl Findings ===

impl Findings {
    /// Whether the revision carries the change `ours`: its tree holds our canary, or a later one
    /// of the lane that was made on top of ours. Ancestry alone does not: a revert descends, too.
    /// A later canary alone does not either: a rewritten branch has one, without ours.
    #[must_use]
    pub fn carries(&self, ours: &CanaryId) -> bool {
        self.canary.as_ref().is_some_and(|it| {
            let later = it.instance() == ours.instance() && it.sequence() > ours.sequence();
            it == ours || (later && self.descends_from_ours)
        })
    }
}

/// Draws the conclusion of rule T9 from what the remote tells of the revision that showed up and
/// of its tip.
#[must_use]
pub fn conclude(
    ours: &CanaryId,
    other: &Findings,
    tip: impl FnOnce() -> Option<Findings>,
) -> Ancestry {
    if other.carries(ours) {
        return Ancestry::Carries(other.canary.clone());
    }
    if other.is_before_ours {
        return Ancestry::NotYet;
    }
    match tip() {
        Some(tip) if tip.carries(ours) => Ancestry::NotYet,
        Some(_) => Ancestry::Gone,
        None => Ancestry::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u64) -> CanaryId {
        CanaryId::new("a", sequence)
    }

    fn found(canary: Option<u64>, descends_from_ours: bool, is_before_ours: bool) -> Findings {
        Findings { canary: canary.map(id), descends_from_ours, is_before_ours }
    }

    #[test]
    fn t9_a_squash_that_holds_our_canary_carries_without_ancestry() {
        let other = found(Some(5), false, false);
        assert_eq!(conclude(&id(5), &other, || None), Ancestry::Carries(Some(id(5))));
    }

    #[test]
    fn t9_a_descendant_with_a_later_canary_carries() {
        let other = found(Some(7), true, false);
        assert_eq!(conclude(&id(5), &other, || None), Ancestry::Carries(Some(id(7))));
    }

    #[test]
    fn t9_a_revert_descends_but_does_not_carry() {
        let revert = found(Some(4), true, false);
        assert_eq!(conclude(&id(5), &revert, || Some(revert.clone())), Ancestry::Gone);
    }

    #[test]
    fn t9_a_rewritten_branch_with_a_later_canary_does_not_carry() {
        let rewritten = found(Some(7), false, false);
        assert_eq!(conclude(&id(5), &rewritten, || Some(rewritten.clone())), Ancestry::Gone);
    }

    #[test]
    fn t9_an_older_commit_is_not_yet_ours() {
        assert_eq!(conclude(&id(5), &found(Some(4), false, true), || None), Ancestry::NotYet);
    }

    #[test]
    fn t9_a_stranger_is_not_yet_ours_while_the_tip_carries_ours() {
        let tip = || Some(found(Some(5), true, false));
        assert_eq!(conclude(&id(5), &found(None, false, false), tip), Ancestry::NotYet);
        assert_eq!(conclude(&id(5), &found(None, false, false), || None), Ancestry::Unknown);
    }
}
