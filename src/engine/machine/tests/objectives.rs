//! Rule O2: what is counted, when, and only once.

use crate::engine::machine::tests::script::{
    APPLIED, LIVE, SOURCE, Script, WEBHOOK, applier_subject, live_subject, plan, plan_with,
    plan_within,
};
use crate::engine::machine::{Ancestry, Effect};
use crate::engine::plan::Plan;
use crate::hop::tests::objects::{at, commit, config_map, gap, kustomization, source, webhook};
use crate::model::{Requirement, When};
use std::sync::Arc;
use std::time::Duration;

fn hop_within(mut plan: Plan, hop: usize, seconds: u64) -> Plan {
    plan.hops[hop].within = Some(Duration::from_secs(seconds));
    plan
}

/// Everything arrives, live at the given second.
fn delivered(script: &mut Script, seconds: f64) {
    script.fetched(seconds, 'c');
    script.applied(seconds, 'c');
    script.live(seconds, 100);
}

#[test]
fn o2_what_is_delivered_in_time_is_good_and_counted_once() {
    let mut script = Script::pushed(plan_within(30));
    delivered(&mut script, 20.0);
    script.pass(80.0);
    let record = script.finish(80.0);
    assert_eq!((record.outcome.as_str(), script.counted()), ("ok", vec![("total", "good")]));
    assert_eq!(record.slo.len(), 1);
}

#[test]
fn o2_an_objective_is_crossed_after_everything_was_settled() {
    let mut script = Script::pushed(plan_within(30));
    assert_eq!(script.run.wakes_at(), Some(at(41.0)));
    assert_eq!(script.run.tick(at(40.9)), []);
    assert_eq!(script.run.tick(at(41.0)), [Effect::Settle]);
    assert_eq!(script.run.tick(at(41.1)), [], "it is asked once");
    assert_eq!(script.run.wakes_at(), None);
    script.settle(41.5);
    assert_eq!(script.counted(), [("total", "bad")]);
    assert_eq!(script.run.wakes_at(), Some(at(71.0)));
}

#[test]
fn o2_a_settle_that_was_not_asked_for_says_nothing() {
    let mut script = Script::pushed(plan_within(30));
    script.settle(50.0);
    assert!(script.counted().is_empty());
}

#[test]
fn o2_what_comes_after_it_was_bad_is_slow_and_takes_nothing_back() {
    let mut script = Script::pushed(plan_within(30));
    script.pass(45.0);
    delivered(&mut script, 50.0);
    let record = script.finish(51.0);
    assert_eq!((record.outcome.as_str(), script.counted()), ("slow", vec![("total", "bad")]));
}

#[test]
fn o2_no_later_outcome_takes_a_bad_event_back() {
    let mut script = Script::pushed(plan_within(30));
    script.pass(45.0);
    script.fetched(50.0, 'd');
    script.answer(51.0, 'd', Ancestry::Gone);
    let record = script.finish(51.0);
    assert_eq!((record.outcome.as_str(), script.counted()), ("superseded", vec![("total", "bad")]));
    assert_eq!(record.slo[0].verdict.as_str(), "bad");
}

#[test]
fn o2_what_the_settling_brings_to_light_counts() {
    let mut script = Script::pushed(plan_within(30));
    script.fetched(20.0, 'c');
    script.applied(20.0, 'c');
    script.run.tick(at(41.0));
    script.see(&live_subject(), gap(39.0, 40.9, config_map(100)));
    assert_eq!(script.counted(), [("total", "good")]);
    script.settle(41.5);
    assert_eq!(script.counted(), [("total", "good")]);
}

#[test]
fn o2_a_watch_that_is_not_proven_alive_leaves_it_unknown() {
    let mut script = Script::pushed(plan_within(30));
    script.unproven = vec![Arc::new(live_subject())];
    script.pass(45.0);
    assert_eq!(script.counted(), [("total", "unknown")]);
    delivered(&mut script, 50.0);
    let record = script.finish(51.0);
    assert_eq!(script.counted(), [("total", "unknown")]);
    assert_eq!(record.outcome.as_str(), "slow", "by now we know");
}

#[test]
fn o2_a_dead_watch_that_nobody_waits_for_is_no_matter() {
    let mut script = Script::pushed(plan_within(30));
    script.applied(12.0, 'c');
    script.unproven = vec![Arc::new(applier_subject())];
    script.pass(45.0);
    assert_eq!(script.counted(), [("total", "bad")]);
}

#[test]
fn o2_pending_ancestry_leaves_it_unknown() {
    for answer in [None, Some(Ancestry::Unknown)] {
        let mut script = Script::pushed(plan_within(30));
        script.fetched(12.0, 'd');
        if let Some(answer) = answer {
            script.answer(13.0, 'd', answer);
        }
        script.pass(45.0);
        assert_eq!(script.counted(), [("total", "unknown")]);
    }
}

#[test]
fn o2_bounds_that_straddle_the_objective_leave_it_unknown() {
    let mut script = Script::pushed(plan_within(30));
    script.fetched(20.0, 'c');
    script.applied(20.0, 'c');
    script.see(&live_subject(), gap(40.0, 42.0, config_map(100)));
    let record = script.finish(43.0);
    assert_eq!((record.outcome.as_str(), script.counted()), ("ok", vec![("total", "unknown")]));
}

#[test]
fn o2_an_uncertain_zero_can_leave_it_unknown() {
    let mut script = Script::sending(plan_within(30));
    script.publish(When::between(at(10.0), at(12.0)));
    delivered(&mut script, 41.0);
    assert_eq!(script.counted(), [("total", "unknown")]);
}

#[test]
fn o2_each_hop_has_an_objective_of_its_own() {
    let plan = hop_within(hop_within(plan_within(30), SOURCE, 5), APPLIED, 20);
    let mut script = Script::pushed(plan);
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    script.pass(32.0);
    script.applied(33.0, 'c');
    let record = script.finish(34.0);
    let counted = [("source_fetched", "good"), ("applied", "bad"), ("total", "good")];
    assert_eq!(script.counted(), counted);
    assert_eq!(record.outcome.as_str(), "slow", "an objective was missed");
    assert_eq!(record.slo.len(), 3);
}

#[test]
fn o2_a_change_that_was_live_in_time_but_failed_its_checks_is_bad() {
    let mut script = Script::pushed(plan_within(30));
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    script.kustomization(40.0, kustomization().attempted('c').ready("False", "HealthCheckFailed"));
    script.pass(80.0);
    assert!(script.counted().is_empty(), "it was not crossed: it was there in time");
    let record = script.finish(80.0);
    assert_eq!((record.outcome.as_str(), script.counted()), ("failed", vec![("total", "bad")]));
}

#[test]
fn o2_a_change_that_is_lost_after_the_crossing_is_bad_from_then_on() {
    let mut script = Script::pushed(plan_within(30));
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    script.pass(50.0);
    script.live(51.0, 1);
    script.pass(52.0);
    assert_eq!(script.counted(), [("total", "bad")]);
}

#[test]
fn o2_whoever_gives_up_is_bad_before_the_crossing() {
    let mut script = Script::pushed(plan_within(30));
    script.source(
        12.0,
        source().ready("False", "URLInvalid").condition("Stalled", "True", "URLInvalid"),
    );
    script.finish(12.0);
    assert_eq!(script.counted(), [("total", "bad")]);
}

#[test]
fn o2_what_is_no_measurement_counts_nothing() {
    let mut script = Script::pushed(plan_within(30));
    script.kustomization(20.0, kustomization().suspended());
    let record = script.finish(20.0);
    assert!(script.counted().is_empty() && record.slo.is_empty());
}

#[test]
fn o2_an_optional_hop_that_is_still_waited_for_when_its_objective_is_crossed_is_bad() {
    let mut script =
        Script::pushed(hop_within(plan_with(APPLIED, Requirement::Optional), APPLIED, 5));
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    assert_eq!(script.run.wakes_at(), Some(at(16.0)));
    script.pass(17.0);
    assert_eq!((script.outcome(), script.counted()), ("ok", vec![("applied", "bad")]));
    script.applied(20.0, 'c');
    script.finish(21.0);
    assert_eq!(script.counted(), [("applied", "bad")]);
}

#[test]
fn o2_an_optional_hop_that_nobody_waits_for_any_more_is_unknown() {
    let mut script =
        Script::pushed(hop_within(plan_with(APPLIED, Requirement::Optional), APPLIED, 40));
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    script.pass(23.0);
    script.finish(23.0);
    assert_eq!(script.counted(), [("applied", "unknown")]);
}

#[test]
fn o2_a_webhook_that_went_by_is_bad_and_one_that_came_is_good() {
    let plan = || hop_within(plan(), WEBHOOK, 5);
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    assert_eq!(script.counted(), [("webhook_received", "bad")]);
    let mut script = Script::pushed(plan());
    script.source(12.0, source().requested(&webhook(12)));
    script.source(12.5, source().requested(&webhook(12)).handled(&webhook(12)).artifact('c'));
    assert_eq!(script.counted(), [("webhook_received", "good")]);
}

#[test]
fn o2_a_hop_that_was_bypassed_is_unknown() {
    let mut script = Script::pushed(hop_within(plan(), SOURCE, 20));
    script.applied(12.0, 'c');
    script.live(13.0, 100);
    script.pass(80.0);
    script.finish(80.0);
    assert_eq!(script.counted(), [("source_fetched", "unknown")]);
}

#[test]
fn o2_hops_seen_before_the_acknowledgement_are_counted_with_it() {
    let mut script = Script::sending(plan_within(30));
    delivered(&mut script, 10.5);
    assert!(script.counted().is_empty());
    script.publish(When::at(at(11.0)));
    assert_eq!((script.outcome(), script.counted()), ("ok", vec![("total", "good")]));
}

#[test]
fn o2_what_is_crossed_while_another_crossing_is_settled_is_decided_with_it() {
    let mut script = Script::pushed(hop_within(plan_within(30), LIVE, 28));
    script.run.tick(at(39.0));
    script.settle(43.0);
    assert_eq!(script.counted(), [("total", "bad"), ("live", "bad")]);
    assert_eq!(script.run.change().carried(&commit('d')), None);
}

#[test]
fn o2_a_settle_that_outlasts_the_deadline_is_followed_by_the_one_for_the_deadline() {
    let mut script = Script::pushed(plan_within(60));
    script.run.tick(at(71.0));
    script.settle(76.0);
    assert_eq!((script.outcome(), script.counted()), ("timeout", vec![("total", "bad")]));
    let mut script = Script::pushed(plan_within(58));
    script.run.tick(at(69.0));
    script.settle(74.0);
    assert_eq!(script.run.wakes_at(), Some(at(71.0)), "at once");
    script.pass(80.0);
    assert_eq!(script.outcome(), "timeout");
}
