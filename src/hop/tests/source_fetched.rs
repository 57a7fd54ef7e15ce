//! Rules that the detector of `source_fetched` obeys.

use crate::hop::tests::objects::{
    Object, change, commit, first, gap, next, reached, source, split, webhook,
};
use crate::hop::{Detector, SourceFetched};
use crate::model::{
    Carried, Carrier, Change, Failure, FailureSort, Reached, Sighting, SourceKind, State, Via, When,
};

fn look(states: &[State], change: &Change) -> Sighting {
    let (past, now) = split(states);
    SourceFetched(SourceKind::Git).look(past, now, change)
}

fn fetched(states: &[State]) -> Reached {
    reached(look(states, &change()))
}

/// A request that is annotated, taken up and then echoed by the fetch of ours.
fn requested(annotated: Object, request: &str) -> [State; 4] {
    let taken_up = annotated.clone().reconciling("reconciliation in progress");
    let fetched = annotated.clone().artifact('c').handled(request);
    [first(1.0, source()), next(11.0, annotated), next(12.0, taken_up), next(13.0, fetched)]
}

#[test]
fn t5_a_source_is_reached_by_the_revision_of_its_artifact_not_by_being_ready() {
    let outdated = source().reconciling("building artifact: new upstream revision");
    let ready_early = [first(1.0, source()), next(11.0, outdated), next(12.0, source())];
    assert_eq!(look(&ready_early, &change()), Sighting::NotYet);
    let with_revision = [first(1.0, source()), next(12.0, source().artifact('c'))];
    assert_eq!(fetched(&with_revision).when, with_revision[1].when);
    let ahead_of_ready = source().artifact('c').ready("Unknown", "Progressing");
    assert_eq!(fetched(&[first(1.0, source()), next(12.0, ahead_of_ready)]).carried, Carried::Ours);
}

#[test]
fn t9_a_source_is_reached_by_a_commit_that_was_learned_to_carry_ours() {
    let states = [first(1.0, source()), next(12.0, source().artifact('d'))];
    assert_eq!(look(&states, &change()), Sighting::NotYet);
    let mut learned = change();
    learned.learn(Carrier { revision: commit('d'), canary: None });
    assert_eq!(reached(look(&states, &learned)).carried, Carried::By(commit('d')));
}

#[test]
fn t10_a_fetch_was_picked_up_when_reconciling_turned_true_for_its_request() {
    let request = webhook(11);
    let states = requested(source().requested(&request), &request);
    assert_eq!(fetched(&states).started, Some(states[2].when));
}

#[test]
fn t10_work_on_an_earlier_request_is_no_sign_for_a_later_one() {
    let (one, two) = (webhook(10), webhook(11));
    let busy = source().requested(&one).reconciling("reconciliation in progress");
    let still = source().requested(&two).reconciling("reconciliation in progress");
    let idle = source().requested(&two).handled(&one);
    let again = idle.clone().reconciling("reconciliation in progress");
    let done = idle.clone().artifact('c').handled(&two);
    let states = [
        first(1.0, source()),
        next(10.5, busy),
        next(11.0, still),
        next(11.5, idle),
        next(12.0, again),
        next(13.0, done),
    ];
    assert_eq!(fetched(&states).started, Some(states[4].when));
}

#[test]
fn t10_a_fetch_was_picked_up_when_reconciling_turned_true_for_its_generation() {
    let edited = source().generation(2);
    let taken_up = edited.clone().reconciling("processing object: new generation 1 -> 2");
    let done = edited.clone().artifact('c').observed(2);
    let states = [first(1.0, source()), next(11.0, edited), next(12.0, taken_up), next(13.0, done)];
    assert_eq!(fetched(&states).started, Some(states[2].when));
}

#[test]
fn t10_an_interval_fetch_is_not_split() {
    let outdated = source().reconciling("building artifact: new upstream revision");
    let states = [first(1.0, source()), next(12.0, outdated), next(13.0, source().artifact('c'))];
    assert_eq!(fetched(&states).started, None);
}

#[test]
fn t11_a_receivers_request_that_the_fetch_echoes_is_a_webhook() {
    let request = webhook(11);
    let states = requested(source().requested(&request), &request);
    assert_eq!(fetched(&states).via, Some(Via::Webhook));
    let by = source().requested(&request).written_by("notification-controller");
    assert_eq!(fetched(&requested(by, &request)).via, Some(Via::Webhook));
}

#[test]
fn t11_a_request_whose_annotation_was_never_shown_is_told_by_its_format() {
    let echoed = |request: &str| {
        let done = source().artifact('c').handled(request).requested("later");
        fetched(&[first(1.0, source()), next(13.0, done)]).via
    };
    assert_eq!(echoed(&webhook(11)), Some(Via::Webhook));
    assert_eq!(echoed("2026-11-21T02:19:11.5Z"), Some(Via::Manual));
}

#[test]
fn t11_anybody_elses_request_is_manual() {
    let other = "2026-11-21T02:19:11.5Z";
    assert_eq!(fetched(&requested(source().requested(other), other)).via, Some(Via::Manual));
    let forged = webhook(11);
    let annotated = source().requested(&forged).written_by("kubectl-annotate");
    assert_eq!(fetched(&requested(annotated, &forged)).via, Some(Via::Manual));
}

#[test]
fn t11_a_new_generation_without_a_request_is_manual() {
    let done = source().generation(2).observed(2).artifact('c');
    let states = [first(1.0, source()), next(11.0, source().generation(2)), next(13.0, done)];
    assert_eq!(fetched(&states).via, Some(Via::Manual));
}

#[test]
fn t11_a_fetch_without_request_or_generation_is_by_interval() {
    let handled = source().requested(&webhook(9)).handled(&webhook(9));
    let states = [first(1.0, handled.clone()), next(13.0, handled.artifact('c'))];
    assert_eq!(fetched(&states).via, Some(Via::Interval));
}

#[test]
fn t11_who_woke_a_fetch_whose_event_was_missed_is_unknown() {
    let request = webhook(11);
    let done = source().artifact('c').requested(&request).handled(&request);
    let states = [first(1.0, source()), gap(11.0, 13.0, done)];
    let reached = fetched(&states);
    assert_eq!(reached.via, Some(Via::Unknown));
    assert_eq!(reached.when, When::between(states[1].when.earliest, states[1].when.latest));
    assert_eq!(reached.started, None);
}

#[test]
fn p5_a_suspended_source_says_so() {
    assert_eq!(look(&[first(1.0, source().suspended())], &change()), Sighting::Suspended);
}

#[test]
fn p11_a_source_has_lost_the_change_only_to_a_revision_that_is_known_not_to_carry_it() {
    let mut change = change();
    let other = next(14.0, source().artifact('d'));
    assert!(!SourceFetched(SourceKind::Git).has_lost(&other, &change));
    change.dismiss(commit('d'));
    assert!(SourceFetched(SourceKind::Git).has_lost(&other, &change));
    change.learn(Carrier { revision: commit('d'), canary: None });
    assert!(!SourceFetched(SourceKind::Git).has_lost(&other, &change));
}

#[test]
fn o1_a_sources_failure_names_no_revision() {
    let failing = source().ready("False", "GitOperationFailed");
    let states = [first(1.0, source()), next(12.0, failing)];
    let reason = "GitOperationFailed".to_owned();
    let failure = Failure { reason, sort: FailureSort::OfAny, stalled: false };
    assert_eq!(look(&states, &change()), Sighting::Failing(failure));
}

#[test]
fn o1_a_retry_is_progress_and_success_is_neither() {
    let retry = source().ready("Unknown", "Progressing");
    assert_eq!(look(&[first(12.0, retry)], &change()), Sighting::Progress);
    assert_eq!(look(&[first(12.0, source())], &change()), Sighting::NotYet);
}

#[test]
fn o1_stalled_counts_at_once_only_if_it_turned_since_publish_began_and_at_its_own_generation() {
    let stalled =
        || source().ready("False", "URLInvalid").condition("Stalled", "True", "URLInvalid");
    let is_stalled = |states: &[State]| match look(states, &change()) {
        Sighting::Failing(failure) => failure.stalled,
        other => panic!("{other:?}"),
    };
    assert!(is_stalled(&[first(1.0, source()), next(12.0, stalled())]));
    assert!(!is_stalled(&[first(1.0, stalled()), next(12.0, stalled())]));
    assert!(!is_stalled(&[first(1.0, source()), next(12.0, stalled().generation(2))]));
    let freed = [first(1.0, stalled()), next(12.0, source()), next(13.0, stalled())];
    assert!(is_stalled(&freed), "it was freed since and gave up again");
}

#[test]
fn p8_an_including_source_is_reached_by_what_it_includes() {
    let including = |lib: char| source().included(lib);
    let before = first(1.0, including('b'));
    assert_eq!(look(std::slice::from_ref(&before), &change()), Sighting::NotYet);
    let states = [before, next(12.0, including('c'))];
    assert_eq!(fetched(&states).carried, Carried::Ours);
    assert_eq!(SourceFetched(SourceKind::Git).revisions(&states[1]).last(), Some(&commit('c')));
}

#[test]
fn p8_an_including_source_has_lost_the_change_when_nothing_that_it_holds_carries_it() {
    let mut known = change();
    known.dismiss(commit('a'));
    known.dismiss(commit('b'));
    known.dismiss(commit('d'));
    let own = first(1.0, source().artifact('a').included('c'));
    assert!(!SourceFetched(SourceKind::Git).has_lost(&own, &known));
    assert!(
        SourceFetched(SourceKind::Git)
            .has_lost(&next(2.0, source().artifact('a').included('d')), &known)
    );
}
