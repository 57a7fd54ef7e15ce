//! Rules that the detector of `webhook_received` obeys.

use crate::hop::tests::objects::{change, first, gap, next, reached, source, split, webhook};
use crate::hop::{Detector, Upstream, WebhookReceived};
use crate::model::{Sighting, State, Webhook};

fn look(states: &[State]) -> Sighting {
    let (past, now) = split(states);
    WebhookReceived::new(Upstream::Shared).look(past, now, &change())
}

fn finish(states: &[State]) -> Sighting {
    WebhookReceived::new(Upstream::Shared).finish(states, &change())
}

#[test]
fn t12_the_webhook_is_the_one_that_the_fetch_of_ours_echoed() {
    let (one, two) = (webhook(11), webhook(12));
    let states = [
        first(1.0, source()),
        next(11.0, source().requested(&one)),
        next(12.0, source().requested(&two)),
        next(13.0, source().requested(&two).handled(&two).artifact('c')),
    ];
    assert_eq!(look(&states[..3]), Sighting::NotYet, "which one it was is not known yet");
    assert_eq!(reached(look(&states)).when, states[2].when);
}

#[test]
fn t12_a_fetch_that_echoes_no_new_request_leaves_the_first_since_publish_began() {
    let (one, two) = (webhook(11), webhook(12));
    let states = [
        first(1.0, source()),
        next(9.0, source().requested(&webhook(9))),
        next(11.0, source().requested(&one)),
        next(12.0, source().requested(&two)),
        next(13.0, source().requested(&two).artifact('c')),
    ];
    assert_eq!(reached(look(&states)).when, states[2].when);
}

#[test]
fn t12_a_fetch_that_echoes_somebody_elses_request_leaves_the_first_of_a_receiver() {
    let (ours, other) = (webhook(11), "2026-11-21T02:19:12.5Z");
    let states = [
        first(1.0, source()),
        next(11.0, source().requested(&ours)),
        next(12.0, source().requested(other)),
        next(13.0, source().requested(other).handled(other).artifact('c')),
    ];
    assert_eq!(reached(look(&states)).when, states[1].when);
}

#[test]
fn t12_a_webhook_that_the_fetch_of_another_revision_echoed_is_never_ours() {
    let (other, ours) = (webhook(11), webhook(12));
    let foreign = source().requested(&other).handled(&other).artifact('b');
    let states = [
        first(1.0, source()),
        next(11.0, source().requested(&other)),
        next(11.5, foreign.clone()),
        next(12.0, foreign.clone().requested(&ours)),
        next(13.0, foreign.clone().requested(&ours).artifact('c')),
    ];
    assert_eq!(reached(look(&states)).when, states[3].when);
    assert_eq!(finish(&states[..3]), Sighting::NotYet);
    let alone = [&states[..3], &[next(13.0, foreign.artifact('c'))]].concat();
    assert_eq!(look(&alone), Sighting::Passed);
}

#[test]
fn t12_a_fetch_without_any_webhook_passes_the_hop() {
    assert_eq!(look(&[first(1.0, source()), next(13.0, source().artifact('c'))]), Sighting::Passed);
    let manual = source().requested("now");
    let states =
        [first(1.0, source()), next(11.0, manual.clone()), next(13.0, manual.artifact('c'))];
    assert_eq!(look(&states), Sighting::Passed);
}

#[test]
fn t12_a_request_written_by_somebody_else_is_no_webhook() {
    let forged = source().requested(&webhook(11)).written_by("kubectl-annotate");
    let states =
        [first(1.0, source()), next(11.0, forged.clone()), next(13.0, forged.artifact('c'))];
    assert_eq!(look(&states), Sighting::Passed);
}

#[test]
fn t3_a_webhook_that_came_before_publish_began_is_not_ours() {
    let early = source().requested(&webhook(9));
    let done = early.clone().handled(&webhook(9)).artifact('c');
    assert_eq!(look(&[first(1.0, early), next(13.0, done)]), Sighting::Passed);
}

#[test]
fn t12_a_suspended_source_receives_its_webhook_all_the_same() {
    let request = webhook(11);
    let states = [
        first(1.0, source().suspended()),
        next(11.0, source().suspended().requested(&request)),
        next(11.1, source().suspended().requested(&request).handled(&request)),
    ];
    assert_eq!(look(&states), Sighting::NotYet);
    assert_eq!(reached(finish(&states)).when, states[1].when);
}

#[test]
fn t12_a_webhook_that_came_before_the_ref_was_visible_is_received_all_the_same() {
    let (early, late) = (webhook(11), "2026-11-21T02:19:12.5Z");
    let states = [
        first(1.0, source()),
        next(11.0, source().requested(&early)),
        next(11.1, source().requested(&early).handled(&early)),
        next(13.0, source().requested(late).handled(late).artifact('c')),
    ];
    assert_eq!(reached(look(&states)).when, states[1].when);
}

#[test]
fn t6_a_webhook_that_was_missed_lies_in_the_interval_of_the_state_that_shows_it() {
    let request = webhook(11);
    let done = source().requested(&request).handled(&request).artifact('c');
    let states = [first(1.0, source()), gap(10.5, 13.0, done)];
    assert_eq!(reached(look(&states)).when, states[1].when);
}

#[test]
fn t12_a_webhook_is_ours_only_where_one_repository_is_behind_the_receiver() {
    let request = webhook(11);
    let states = [
        first(1.0, source()),
        next(11.0, source().requested(&request)),
        next(13.0, source().requested(&request).handled(&request).artifact('c')),
    ];
    let (past, now) = split(&states);
    let webhook =
        |upstream| reached(WebhookReceived::new(upstream).look(past, now, &change())).webhook;
    assert_eq!(webhook(Upstream::Single), Some(Webhook::Ours));
    assert_eq!(webhook(Upstream::Shared), Some(Webhook::Shared));
}
