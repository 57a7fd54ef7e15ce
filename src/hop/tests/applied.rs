//! Rules that the detector of `applied` obeys.

use crate::hop::tests::objects::{
    Object, change, commit, first, gap, kustomization, next, reached, revision, split,
};
use crate::hop::{Applied, Bystander, Detector};
use crate::model::{Carried, Carrier, Change, FailureSort, Sighting, State, Via, When};

fn look(states: &[State], change: &Change) -> Sighting {
    let (past, now) = split(states);
    Applied.look(past, now, change)
}

/// The sort of the failure, and whether Flux gave up.
fn failure(object: Object) -> Option<(FailureSort, bool)> {
    match look(&[first(1.0, kustomization()), next(12.0, object)], &change()) {
        Sighting::Failing(failure) => Some((failure.sort, failure.stalled)),
        Sighting::Progress => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn t5_an_applier_is_reached_by_the_applied_revision_not_by_being_ready() {
    let attempted = kustomization().attempted('c');
    let states = [
        first(1.0, kustomization()),
        next(12.0, attempted),
        next(13.0, kustomization().applied('c')),
    ];
    assert_eq!(look(&states[..2], &change()), Sighting::NotYet);
    assert_eq!(reached(look(&states, &change())).when, states[2].when);
}

#[test]
fn t9_an_applier_is_reached_by_a_commit_that_was_learned_to_carry_ours() {
    let mut learned = change();
    learned.learn(Carrier { revision: commit('d'), canary: None });
    let states = [first(1.0, kustomization()), next(12.0, kustomization().applied('d'))];
    assert_eq!(look(&states, &change()), Sighting::NotYet);
    assert_eq!(reached(look(&states, &learned)).carried, Carried::By(commit('d')));
}

#[test]
fn t10_an_applier_started_when_reconciling_named_our_revision() {
    let older =
        kustomization().reconciling(&format!("Building manifests for revision {}", revision('b')));
    let ours =
        kustomization().reconciling(&format!("Fetching manifests for revision {}", revision('c')));
    let states = [
        first(1.0, kustomization()),
        next(11.0, older),
        next(12.0, ours),
        next(12.5, kustomization().attempted('c')),
        next(13.0, kustomization().applied('c')),
    ];
    assert_eq!(reached(look(&states, &change())).started, Some(states[2].when));
}

#[test]
fn t10_an_applier_started_at_the_latest_when_it_had_attempted_our_revision() {
    let states = [
        first(1.0, kustomization()),
        gap(11.0, 12.0, kustomization().attempted('c')),
        next(13.0, kustomization().applied('c')),
    ];
    let between = When::between(states[1].when.earliest, states[1].when.latest);
    assert_eq!(reached(look(&states, &change())).started, Some(between));
}

#[test]
fn t11_an_applier_is_woken_by_what_feeds_it() {
    let states = [first(1.0, kustomization()), next(13.0, kustomization().applied('c'))];
    assert_eq!(reached(look(&states, &change())).via, Some(Via::Upstream));
}

#[test]
fn p5_a_suspended_applier_says_so_with_a_hop_or_without() {
    let states = [first(1.0, kustomization().suspended())];
    assert_eq!(look(&states, &change()), Sighting::Suspended);
    assert_eq!(Bystander::Applier.look(&[], &states[0], &change()), Sighting::Suspended);
    assert_eq!(Bystander::Other.look(&[], &states[0], &change()), Sighting::NotYet);
}

#[test]
fn p11_an_applier_that_goes_back_to_what_stood_before_has_lost_the_change() {
    let mut change = change();
    change.dismiss(commit('a'));
    assert!(Applied.has_lost(&next(14.0, kustomization()), &change));
    assert!(!Applied.has_lost(&next(14.0, kustomization().applied('c')), &change));
    assert!(!Applied.has_lost(&next(14.0, kustomization().applied('d')), &change));
}

#[test]
fn o1_an_appliers_failure_counts_at_an_attempted_revision_that_carries_ours() {
    let rejected = |attempted| kustomization().attempted(attempted).ready("False", "BuildFailed");
    assert_eq!(failure(rejected('c')), Some((FailureSort::OfOurs, false)));
    assert_eq!(failure(rejected('b')), None, "it speaks of somebody else's revision");
}

#[test]
fn o1_an_appliers_failure_that_names_no_revision_counts_whatever_was_attempted() {
    for reason in ["DependencyNotReady", "ArtifactFailed", "SourceNotReady"] {
        let waiting = kustomization().ready("False", reason);
        assert_eq!(failure(waiting), Some((FailureSort::OfAny, false)), "{reason}");
    }
}

#[test]
fn o1_a_cancelled_health_check_is_no_failure() {
    assert_eq!(failure(kustomization().attempted('c').ready("False", "HealthCheckCanceled")), None);
}

#[test]
fn o1_an_applier_that_stalled_counts_at_once_only_at_our_attempted_revision() {
    let stalled = |attempted| {
        let object = kustomization().attempted(attempted).ready("False", "DependencyNotReady");
        object.condition("Stalled", "True", "DependencyNotReady")
    };
    assert_eq!(failure(stalled('c')), Some((FailureSort::OfAny, true)));
    assert_eq!(failure(stalled('b')), Some((FailureSort::OfAny, false)));
    assert_eq!(failure(stalled('c').generation(2)), Some((FailureSort::OfAny, false)));
}
