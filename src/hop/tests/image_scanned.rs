//! Rules that the detector of `image_scanned` obeys.

use crate::hop::tests::images::{TAG, scanned, tag_change};
use crate::hop::tests::objects::{Object, at, first, next, reached, ready, split, webhook};
use crate::hop::{Detector, ImageScanned, ImageScannedConfig, Kind};
use crate::model::{FailureSort, ObjectName, RevisionSort, Sighting, State, Via, When};

fn look(states: &[State]) -> Sighting {
    let (past, now) = split(states);
    ImageScanned.look(past, now, &tag_change())
}

fn old() -> Object {
    scanned("1", &["0.5.0"], 1)
}

fn new() -> Object {
    scanned("2", &[TAG, "0.5.0"], 2)
}

#[test]
fn reached_by_the_first_state_that_lists_our_tag() {
    let states =
        [first(1.0, old()), next(12.0, old().ready("True", "Succeeded")), next(12.1, new())];
    assert_eq!(look(&states[..2]), Sighting::NotYet);
    assert_eq!(reached(look(&states)).when, states[2].when);
    let longer = scanned("2", &["0.5.10", "x0.5.1"], 2);
    assert_eq!(look(&[first(1.0, old()), next(12.0, longer)]), Sighting::NotYet);
}

#[test]
fn t11_a_scan_tells_who_woke_it_as_a_source_does() {
    let request = webhook(11);
    let asked = old().requested(&request);
    let states = [
        first(1.0, old()),
        next(11.0, asked.clone()),
        next(11.1, asked.clone().reconciling("scanning: reconcile requested")),
        next(12.0, new().requested(&request).handled(&request)),
    ];
    let found = reached(look(&states));
    assert_eq!((found.via, found.started), (Some(Via::Webhook), Some(states[2].when)));
    let working = old().reconciling("scanning: triggered by interval");
    let found = reached(look(&[first(1.0, old()), next(11.9, working), next(12.0, new())]));
    assert_eq!((found.via, found.started), (Some(Via::Interval), None));
}

#[test]
fn a_tag_that_is_not_listed_came_with_the_last_other_set_of_tags_before_the_policy_chose() {
    let many = |set| scanned(set, &["z"], 11);
    let states = [
        first(1.0, many("1")),
        next(9.0, many("2")),
        next(12.0, many("3")),
        next(12.5, many("3").ready("True", "Succeeded")),
        next(13.0, many("4")),
        next(15.0, many("5")),
    ];
    let back = |seconds| ImageScanned.look_back(&states, When::at(at(seconds)), &tag_change());
    assert_eq!(look(&states), Sighting::NotYet);
    assert_eq!(reached(back(14.0)).when, states[4].when);
    assert_eq!(reached(back(12.9)).when, states[2].when);
    assert_eq!(back(11.0), Sighting::NotYet, "t3: what came before publish began is not ours");
}

#[test]
fn a_registry_that_does_not_answer_stands_in_the_way_of_all() {
    let failing = old().ready("False", "ReadOperationFailed");
    let Sighting::Failing(failure) = look(&[first(1.0, old()), next(12.0, failing)]) else {
        panic!("it fails")
    };
    assert_eq!(
        (failure.reason.as_str(), failure.sort),
        ("ReadOperationFailed", FailureSort::OfAny)
    );
    assert_eq!(look(&[first(1.0, old().suspended())]), Sighting::Suspended);
    assert_eq!(look(&[first(1.0, ready("ImageRepository"))]), Sighting::NotYet);
}

#[test]
fn only_a_tag_is_ever_scanned() {
    let kind = ImageScannedConfig::ImageRepository(ObjectName::new("a", "b"));
    assert_eq!(kind.suits(RevisionSort::Tag, None), Ok(()));
    let why = kind.suits(RevisionSort::Digest, None).unwrap_err();
    assert!(why.contains("leave `image_scanned` out"), "{why}");
    assert!(kind.suits(RevisionSort::Commit, None).is_err());
}
