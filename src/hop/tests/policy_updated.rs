//! Rules that the detector of `policy_updated` obeys.

use crate::hop::tests::images::{DIGEST, TAG, chosen, digest_change, reflected, tag_change};
use crate::hop::tests::objects::{first, next, reached, ready, split, webhook};
use crate::hop::{Detector, Kind, Objects, PolicyUpdated, PolicyUpdatedConfig};
use crate::model::{Change, FailureSort, ObjectName, Revision, RevisionSort, Sighting, State, Via};
use serde_json::json;

const OTHER: &str = "sha256:16f8169a7771005fef1a34aa25fb9603850d9179195de7fe10fb5486139f199e";

fn look(states: &[State], change: &Change) -> Sighting {
    let (past, now) = split(states);
    PolicyUpdated.look(past, now, change)
}

fn tag(tag: &str) -> Revision {
    Revision::Tag(tag.to_owned())
}

#[test]
fn reached_when_the_policy_has_chosen_our_tag() {
    let states = [first(1.0, chosen("0.5.0")), next(12.0, chosen(TAG))];
    assert_eq!(look(&states[..1], &tag_change()), Sighting::NotYet);
    let found = reached(look(&states, &tag_change()));
    assert_eq!((found.when, found.via), (states[1].when, Some(Via::Upstream)));
}

#[test]
fn a_tag_that_is_pushed_again_is_known_by_its_digest_alone() {
    let states = [first(1.0, reflected(OTHER)), next(12.0, reflected(DIGEST))];
    assert_eq!(look(&states[..1], &digest_change()), Sighting::NotYet);
    let found = reached(look(&states, &digest_change()));
    assert_eq!(found.via, Some(Via::Interval), "no scan tells of it");
    let nothing = ready("ImagePolicy").ready("False", "Failure");
    let states = [first(1.0, nothing), next(12.0, reflected(DIGEST))];
    assert_eq!(reached(look(&states, &digest_change())).via, Some(Via::Upstream));
}

#[test]
fn t11_a_request_that_the_policy_echoes_woke_it() {
    let request = webhook(11);
    let states = [
        first(1.0, reflected(OTHER)),
        next(11.0, reflected(OTHER).requested(&request)),
        next(12.0, reflected(DIGEST).requested(&request).handled(&request)),
    ];
    assert_eq!(reached(look(&states, &digest_change())).via, Some(Via::Webhook));
}

#[test]
fn t9_a_choice_of_somebody_elses_can_be_asked_for() {
    let states = next(12.0, chosen("0.6.0"));
    assert_eq!(PolicyUpdated.revisions(&states), [tag("0.6.0")]);
    let states = next(12.0, reflected(OTHER));
    let both = [tag("latest"), Revision::Digest(OTHER.to_owned())];
    assert_eq!(PolicyUpdated.revisions(&states), both);
}

#[test]
fn p11_a_policy_that_chose_something_else_again_has_lost_the_change() {
    let mut change = tag_change();
    change.dismiss(tag("0.5.0"));
    assert!(PolicyUpdated.has_lost(&next(14.0, chosen("0.5.0")), &change));
    assert!(!PolicyUpdated.has_lost(&next(14.0, chosen(TAG)), &change));
    assert!(!PolicyUpdated.has_lost(&next(14.0, chosen("0.6.0")), &change), "nobody knows yet");
}

#[test]
fn a_policy_without_a_match_stands_in_the_way_of_all() {
    let failing = chosen("0.5.0").ready("False", "Failure");
    let Sighting::Failing(failure) = look(&[next(12.0, failing)], &tag_change()) else {
        panic!("it fails")
    };
    assert_eq!((failure.reason.as_str(), failure.sort), ("Failure", FailureSort::OfAny));
    assert_eq!(look(&[next(12.0, chosen(TAG).suspended())], &digest_change()), Sighting::Suspended);
}

#[test]
fn a_digest_is_seen_only_by_a_policy_that_always_reflects_it() {
    let kind = PolicyUpdatedConfig::ImagePolicy(ObjectName::new("flux-system", "app"));
    let suits = |how: &str| {
        let policy = json!({"spec": {"digestReflectionPolicy": how}});
        let objects = Objects::from([(kind.subject().unwrap(), policy)]);
        kind.suits(RevisionSort::Digest, Some(&objects))
    };
    assert_eq!(suits("Always"), Ok(()));
    for how in ["Never", "IfNotPresent"] {
        let why = suits(how).unwrap_err();
        assert!(why.starts_with("ImagePolicy flux-system/app never looks"), "{why}");
    }
    assert_eq!(kind.suits(RevisionSort::Digest, None), Ok(()), "the scenario does not tell");
    assert_eq!(kind.suits(RevisionSort::Tag, None), Ok(()));
    assert!(kind.suits(RevisionSort::Commit, None).is_err());
}
