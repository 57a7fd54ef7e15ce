//! Rules T9, T12 and P11: commits of others, webhooks, and changes that are lost again.

use crate::engine::machine::tests::script::{
    APPLIED, LIVE, SOURCE, Script, WEBHOOK, applier_subject, kept, live_subject, plan, plan_beside,
    plan_with, plan_within, source_subject,
};
use crate::engine::machine::{Ancestry, Effect};
use crate::hop::tests::objects::{
    at, canary, commit, config_map, first, kustomization, next, source, webhook,
};
use crate::hop::{Annotated, Bystander, Upstream, WebhookReceived};
use crate::model::{GroupKind, Passage, Requirement, SourceKind, State, Via, When};
use serde_json::{Value, json};
use std::sync::Arc;

/// A run whose webhook comes by a Receiver that showed this before the push, and this at second 13.
fn by_a_receiver(before: &Value, later: &Value) -> Script {
    let (mut plan, receiver) = plan_beside("fleet", GroupKind::receiver(), Bystander::Other);
    let git = Annotated::Source(SourceKind::Git);
    let webhook = WebhookReceived::new(Upstream::Single, git).by(receiver.clone());
    plan.hops[WEBHOOK].detector = Arc::new(webhook);
    let mut script = Script::of(plan);
    script.see(&source_subject(), first(1.0, source()));
    script.see(&applier_subject(), first(1.0, kustomization()));
    script.see(&live_subject(), first(1.0, config_map(1)));
    let shows =
        |seconds, it: &Value| State { value: Arc::new(it.clone()), ..next(seconds, source()) };
    script.see(&receiver, shows(1.0, before));
    script.run.start(at(9.0));
    script.announce('c');
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script.see(&receiver, shows(13.0, later));
    script
}

#[test]
fn a_receiver_that_could_not_hear_is_said() {
    let ready =
        |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
    let suspended = json!({"spec": {"suspend": true}});
    for (before, later, unready) in [
        (ready("True"), ready("True"), false),
        (json!({}), json!({}), false),
        (suspended.clone(), ready("True"), true),
        (ready("True"), suspended, true),
        (ready("True"), ready("False"), true),
        (ready("True"), Value::Null, true),
    ] {
        let mut script = by_a_receiver(&before, &later);
        script.fetched(14.0, 'c');
        script.applied(15.0, 'c');
        script.live(15.0, 100);
        let record = script.finish(30.0);
        assert_eq!(record.hops[WEBHOOK].unready, unready, "{before} {later}");
        assert!(record.hops[1..].iter().all(|it| !it.unready));
    }
}

#[test]
fn t9_a_revision_that_stood_there_before_the_push_is_not_asked_for() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'a');
    assert!(script.asked().is_empty());
}

#[test]
fn t9_another_commit_is_asked_for_once() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'd');
    script.fetched(12.5, 'd');
    script.applied(13.0, 'd');
    assert_eq!(script.asked(), ["d"]);
}

#[test]
fn t9_a_commit_whose_tree_holds_ours_carries_it() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'd');
    script.answer(12.5, 'd', Ancestry::Carries(None));
    let record = script.finish(13.0);
    let Passage::Reached { carried_by, via, .. } = &record.hops[SOURCE].passage else { panic!() };
    assert_eq!(carried_by.as_deref(), Some(commit('d').id()));
    assert_eq!(*via, Some(Via::Interval));
}

#[test]
fn t9_an_object_with_a_later_canary_is_live_once_the_commit_was_learned_to_carry_ours() {
    let mut script = Script::pushed(plan());
    script.live(12.0, 101);
    script.fetched(12.5, 'd');
    script.answer(13.0, 'd', Ancestry::Carries(Some(canary(101))));
    let record = script.finish(13.0);
    let Passage::Reached { carried_by, reordered, .. } = &record.hops[LIVE].passage else {
        panic!()
    };
    assert_eq!(*carried_by, Some(canary(101).to_string()));
    assert!(!*reordered, "the fetch was no later");
    let fetched = kept(&record, SOURCE).unwrap();
    assert_eq!((fetched.at, fetched.uncertain), ((0.0, 1.0), true));
}

#[test]
fn t9_a_later_canary_without_ancestry_does_not_carry_ours() {
    let mut script = Script::pushed(plan());
    script.live(12.0, 101);
    script.fetched(12.0, 'd');
    script.answer(13.0, 'd', Ancestry::Gone);
    assert!(!script.run.has_reached(LIVE));
    assert_eq!(script.outcome(), "superseded");
}

#[test]
fn t9_an_ancestor_or_a_tip_that_carries_ours_means_not_yet() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'b');
    script.answer(12.5, 'b', Ancestry::NotYet);
    assert_eq!(script.outcome(), "none");
    script.fetched(13.0, 'c');
    assert!(script.run.has_reached(SOURCE));
}

#[test]
fn t9_neither_means_superseded_and_says_by_what() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'd');
    script.answer(12.5, 'd', Ancestry::Gone);
    let record = script.finish(13.0);
    assert_eq!(record.outcome.to_string(), format!("superseded by {}", commit('d').id()));
    assert_eq!((record.push_to_apply, record.slo), (None, vec![]));
}

#[test]
fn t9_a_revert_of_ours_that_was_fetched_already_supersedes_it() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    script.fetched(13.0, 'd');
    script.answer(13.5, 'd', Ancestry::Gone);
    assert_eq!(script.outcome(), "superseded");
    assert!(script.finish(14.0).hops[SOURCE].reverted);
}

#[test]
fn t9_a_commit_that_nobody_waits_for_is_not_asked_for() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    script.applied(13.0, 'c');
    script.live(13.0, 100);
    script.fetched(14.0, 'd');
    assert!(script.asked().is_empty());
}

#[test]
fn t9_an_answer_that_says_something_stands() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'd');
    script.answer(12.5, 'd', Ancestry::Carries(None));
    script.answer(13.0, 'd', Ancestry::Gone);
    script.fetched(13.5, 'd');
    assert_eq!(script.outcome(), "none");
    assert!(script.run.has_reached(SOURCE));
}

#[test]
fn t9_what_could_not_be_found_out_is_asked_once_more_before_the_run_is_given_up() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'd');
    script.answer(12.5, 'd', Ancestry::Unknown);
    let effects = script.run.tick(at(71.0));
    assert_eq!(effects, [Effect::Ask(commit('d')), Effect::Settle]);
    script.answer(71.5, 'd', Ancestry::Gone);
    assert_eq!(script.outcome(), "superseded");
}

#[test]
fn t9_what_is_asked_once_more_keeps_its_place_before_what_was_shown_later() {
    let mut script = Script::pushed(plan_within(30));
    script.fetched(12.0, 'd');
    script.answer(13.0, 'd', Ancestry::Unknown);
    script.fetched(14.0, 'e');
    script.fetched(15.0, 'f');
    script.run.tick(at(41.0));
    script.answer(41.1, 'd', Ancestry::Carries(None));
    script.answer(41.2, 'e', Ancestry::Carries(None)); // `f` is never answered
    let fetched = kept(&script.finish(42.0), SOURCE).unwrap();
    assert_eq!((fetched.at, fetched.uncertain), ((1.0, 1.0), false));
}

#[test]
fn t9_an_answer_that_waits_for_another_is_taken_at_the_deadline() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'd');
    script.fetched(14.0, 'e');
    script.answer(15.0, 'e', Ancestry::Carries(None));
    script.pass(80.0);
    let record = script.finish(80.0);
    let fetched = kept(&record, SOURCE).unwrap();
    assert_eq!((fetched.at, fetched.uncertain), ((1.0, 3.0), true));
    assert!(record.outcome.to_string().contains("did not say"));
}

#[test]
fn t9_a_foreign_commit_of_a_member_without_a_hop_supersedes_nothing() {
    let (plan, other) =
        plan_beside("other", GroupKind::git_repository(), Bystander::Source(SourceKind::Git));
    let mut script = Script::of(plan);
    let pushed = Script::pushed(crate::engine::machine::tests::script::plan());
    for (subject, states) in &pushed.run.subjects {
        script.see(subject, states[0].clone());
    }
    script.see(&other, first(1.0, source()));
    script.announce('c');
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script.see(&other, next(12.0, source().artifact('d')));
    script.answer(13.0, 'd', Ancestry::Gone);
    assert_eq!(script.outcome(), "none");
}

#[test]
fn t12_a_webhook_that_no_fetch_answered_is_found_when_the_run_ends() {
    let mut script = Script::pushed(plan());
    script.source(12.0, source().requested(&webhook(12)));
    assert!(!script.run.has_reached(WEBHOOK));
    script.pass(80.0);
    let record = script.finish(80.0);
    assert_eq!(kept(&record, WEBHOOK).unwrap().at, (1.0, 1.0));
    assert_eq!(record.outcome.as_str(), "timeout");
}

#[test]
fn t12_a_webhook_handled_without_effect_is_received_and_the_fetch_says_who_woke_it() {
    let mut script = Script::pushed(plan());
    let request = webhook(12);
    script.source(12.0, source().requested(&request));
    script.source(12.1, source().requested(&request).handled(&request));
    script.source(20.0, source().requested(&request).handled(&request).artifact('c'));
    let record = script.finish(21.0);
    assert_eq!(kept(&record, WEBHOOK).unwrap().at, (1.0, 1.0));
    let Passage::Reached { via, .. } = &record.hops[SOURCE].passage else { panic!() };
    assert_eq!(*via, Some(Via::Interval));
}

#[test]
fn p11_an_object_that_lost_the_change_keeps_its_instant_and_is_reverted() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    script.live(14.0, 1);
    script.applied(15.0, 'c');
    assert_eq!(script.outcome(), "none", "the outcome looks at the last state");
    script.live(16.0, 100);
    assert_eq!(script.outcome(), "ok");
    let record = script.finish(17.0);
    assert!(record.hops[LIVE].reverted);
    assert_eq!(kept(&record, LIVE).unwrap().at, (2.0, 2.0));
}

#[test]
fn p11_a_change_that_stays_lost_is_not_delivered() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    script.applied(13.0, 'c');
    script.live(14.0, 1);
    script.pass(80.0);
    assert_eq!(script.outcome(), "timeout");
}

#[test]
fn p11_replacement_by_a_later_canary_is_no_loss() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    script.live(14.0, 101);
    script.applied(15.0, 'c');
    assert_eq!(script.outcome(), "ok");
    assert!(!script.finish(16.0).hops[LIVE].reverted);
}

#[test]
fn p11_a_source_that_goes_back_to_what_stood_before_has_lost_the_change() {
    let mut script = Script::pushed(plan_with(APPLIED, Requirement::Waited));
    script.fetched(12.0, 'c');
    script.fetched(13.0, 'a');
    script.pass(80.0);
    let record = script.finish(80.0);
    assert!(record.hops[SOURCE].reverted);
    assert_eq!(record.outcome.as_str(), "timeout");
}

#[test]
fn p11_what_is_lost_after_the_outcome_was_fixed_moves_neither_outcome_nor_duration() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    script.applied(13.0, 'c');
    script.live(14.0, 100);
    script.live(15.0, 1);
    let record = script.finish(16.0);
    assert_eq!(record.outcome.as_str(), "ok");
    assert_eq!(record.push_to_apply.unwrap().most.as_secs(), 3);
    assert!(record.hops[LIVE].reverted);
}
