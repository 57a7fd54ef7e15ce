//! Rules P1 to P6: the order of hops, what a run waits for, and what stands in its way.

use crate::engine::machine::tests::script::{
    APPLIED, LIVE, SOURCE, Script, WEBHOOK, applier_subject, kept, live_subject, plan, plan_beside,
    plan_with, plan_within, source_subject,
};
use crate::engine::machine::{Effect, LINGER, Start};
use crate::engine::plan::Plan;
use crate::hop::Bystander;
use crate::hop::tests::objects::{
    at, config_map, first, kustomization, next, nothing, source, webhook,
};
use crate::model::{GroupKind, Outcome, Passage, Requirement, Skip, When};
use std::time::Duration;

#[test]
fn p1_what_comes_after_what_is_transitive() {
    let mut plan = plan();
    plan.hops[LIVE].after = vec![APPLIED];
    assert!(plan.comes_after(LIVE, SOURCE) && !plan.comes_after(SOURCE, LIVE));
    assert_eq!(plan.behind(SOURCE).collect::<Vec<_>>(), [APPLIED, LIVE]);
    assert_eq!(plan.before(LIVE).collect::<Vec<_>>(), [SOURCE, APPLIED]);
}

#[test]
fn p2_a_stage_starts_at_the_latest_reached_hop_before_it() {
    let mut plan = plan();
    plan.hops[LIVE].after = vec![SOURCE, APPLIED];
    let mut script = Script::pushed(plan);
    script.fetched(12.0, 'c');
    script.applied(14.0, 'c');
    script.live(15.0, 100);
    assert_eq!(kept(&script.finish(16.0), LIVE).unwrap().stage, Some((1.0, 1.0)));
}

#[test]
fn p2_a_hop_before_that_was_not_reached_is_left_out() {
    let mut plan = plan();
    plan.hops[LIVE].after = vec![APPLIED];
    let mut script = Script::pushed(plan);
    script.fetched(12.0, 'c');
    script.live(15.0, 100);
    let record = script.finish(16.0);
    assert_eq!(kept(&record, LIVE).unwrap().stage, Some((3.0, 3.0)));
    assert_eq!(record.hops[APPLIED].passage, Passage::Bypassed);
}

#[test]
fn p2_a_stage_starts_at_zero_where_nothing_before_it_was_reached() {
    let mut script = Script::pushed(plan());
    script.live(15.0, 100);
    assert_eq!(kept(&script.finish(16.0), LIVE).unwrap().stage, Some((4.0, 4.0)));
}

#[test]
fn p2_the_later_of_two_uncertain_starts_has_the_later_of_each_bound() {
    let mut plan = plan();
    plan.hops[LIVE].after = vec![SOURCE, APPLIED];
    let mut script = Script::pushed(plan);
    script.fetched_between(11.5, 14.0, 'c');
    script.applied(13.0, 'c');
    script.live(15.0, 100);
    assert_eq!(kept(&script.finish(16.0), LIVE).unwrap().stage, Some((1.0, 2.0)));
}

#[test]
fn p2_a_hop_seen_before_its_after_is_reordered_and_has_no_stage() {
    for (live, fetched) in [(13.0, 14.0), (10.2, 12.0), (10.2, 10.4)] {
        let mut script = Script::sending(plan());
        let mut published = false;
        for (at_seconds, hop) in [(live, LIVE), (fetched, SOURCE)] {
            if at_seconds > 11.0 && !published {
                script.publish(When::at(at(11.0)));
                published = true;
            }
            if hop == LIVE { script.live(live, 100) } else { script.fetched(fetched, 'c') }
        }
        if !published {
            script.publish(When::at(at(11.0)));
        }
        let record = script.finish(16.0);
        let live = kept(&record, LIVE).unwrap();
        assert!(live.reordered && live.stage.is_none() && live.wait.is_none());
        assert!(!kept(&record, SOURCE).unwrap().reordered);
    }
}

#[test]
fn p3_a_run_does_not_wait_for_a_hop_once_one_behind_it_is_reached() {
    let mut script = Script::pushed(plan());
    script.applied(13.0, 'c');
    script.live(14.0, 100);
    assert_eq!(script.outcome(), "ok");
    assert_eq!(script.finish(15.0).hops[SOURCE].passage, Passage::Bypassed);
}

#[test]
fn p3_what_is_required_explicitly_is_waited_for_even_when_bypassed() {
    let mut script = Script::pushed(plan_with(SOURCE, Requirement::Waited));
    script.applied(13.0, 'c');
    script.live(14.0, 100);
    assert_eq!(script.outcome(), "none");
    script.pass(80.0);
    assert_eq!(script.outcome(), "timeout");
}

#[test]
fn p3_a_required_webhook_that_went_by_is_not_delivered() {
    let mut script = Script::pushed(plan_with(WEBHOOK, Requirement::Waited));
    script.fetched(12.0, 'c');
    script.applied(13.0, 'c');
    script.live(13.0, 100);
    assert_eq!(script.outcome(), "none");
    script.pass(80.0);
    assert_eq!(script.outcome(), "timeout");
}

#[test]
fn p3_what_is_optional_never_delays_or_fails_a_run() {
    let mut script = Script::pushed(plan_with(APPLIED, Requirement::Optional));
    script.kustomization(12.0, kustomization().attempted('c').ready("False", "BuildFailed"));
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    assert_eq!(script.outcome(), "ok");
}

#[test]
fn p3_a_dead_webhook_is_a_bypass_and_no_outage() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    script.applied(13.0, 'c');
    script.live(13.0, 100);
    let record = script.finish(14.0);
    assert_eq!(record.outcome.as_str(), "ok");
    assert_eq!(record.hops[WEBHOOK].passage, Passage::Bypassed);
}

#[test]
fn p3_a_run_lingers_ten_seconds_for_what_is_optional() {
    let mut script = Script::pushed(plan_with(APPLIED, Requirement::Optional));
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    let end = at(13.0) + LINGER;
    assert_eq!(script.run.wakes_at(), Some(end));
    assert!(!script.run.is_over(at(22.9)) && script.run.is_over(end));
    script.applied(20.0, 'c');
    assert!(script.run.is_over(at(20.0)), "nothing more can come");
    let record = script.finish(20.0);
    assert_eq!(kept(&record, APPLIED).unwrap().at, (9.0, 9.0));
    assert_eq!(record.push_to_apply.unwrap().most, Duration::from_secs(2));
}

#[test]
fn p3_a_run_never_lingers_past_its_deadline() {
    let mut script = Script::pushed(plan_with(APPLIED, Requirement::Optional));
    script.fetched(12.0, 'c');
    script.live(68.0, 100);
    assert_eq!(script.run.wakes_at(), Some(at(71.0)));
    assert!(script.run.is_over(at(71.0)));
}

#[test]
fn p3_what_is_not_lingered_for_is_over_at_once() {
    let mut script = Script::pushed(plan());
    script.pass(71.0);
    assert_eq!(script.outcome(), "timeout");
    assert!(script.run.is_over(at(71.0)));
}

#[test]
fn p4_delivery_ends_at_the_latest_live_else_at_the_last_applied_unless_the_scenario_says() {
    assert_eq!(plan().ends(), [LIVE]);
    assert_eq!(plan_with(LIVE, Requirement::Optional).ends(), [APPLIED]);
    assert_eq!(Plan { until: Some(SOURCE), ..plan() }.ends(), [SOURCE]);
    let mut optional = plan_with(LIVE, Requirement::Optional);
    optional.hops[APPLIED].need = Requirement::Optional;
    assert_eq!(optional.ends(), [SOURCE]);
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    script.applied(17.0, 'c');
    assert_eq!(script.finish(18.0).push_to_apply.unwrap().most, Duration::from_secs(2));
}

#[test]
fn p4_delivery_until_an_optional_hop_ends_there_if_it_is_still_seen_and_nowhere_else() {
    let until_applied =
        || Plan { until: Some(APPLIED), ..plan_with(APPLIED, Requirement::Optional) };
    let mut script = Script::pushed(until_applied());
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    script.applied(15.0, 'c');
    assert_eq!(script.finish(18.0).push_to_apply.unwrap().most, Duration::from_secs(4));
    let mut script = Script::pushed(until_applied());
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    assert_eq!(script.finish(23.0).push_to_apply, None);
}

#[test]
fn p4_delivery_that_ends_at_a_bypassed_hop_came_no_later_than_what_was_seen_behind_it() {
    let mut script = Script::pushed(Plan { until: Some(SOURCE), ..plan() });
    script.applied(13.0, 'c');
    script.live(14.0, 100);
    let took = script.finish(15.0).push_to_apply.unwrap();
    assert_eq!((took.least, took.most), (Duration::ZERO, Duration::from_secs(3)));
}

#[test]
fn p5_a_path_that_is_suspended_at_the_start_is_skipped_with_nothing_pushed() {
    let (plan, other) = plan_beside("other", GroupKind::kustomization(), Bystander::Applier);
    let mut script = Script::of(plan);
    script.see(&source_subject(), first(1.0, source()));
    script.see(&applier_subject(), first(1.0, kustomization()));
    script.see(&other, first(1.0, kustomization().suspended()));
    let Start::Ended(Outcome::Skipped(Skip::Suspended { subject })) = script.run.start(at(9.0))
    else {
        panic!()
    };
    assert_eq!(subject, other.to_string());
}

#[test]
fn p5_a_path_that_is_suspended_while_the_run_waits_is_skipped_before_the_crossing() {
    let mut script = Script::pushed(plan_within(30));
    script.kustomization(20.0, kustomization().suspended());
    let Some(Outcome::Skipped(Skip::SuspendedDuring { .. })) = script.run.outcome() else {
        panic!()
    };
    assert!(script.counted().is_empty());
}

#[test]
fn p5_a_path_that_is_suspended_after_the_crossing_is_late_all_the_same() {
    let mut script = Script::pushed(plan_within(30));
    script.pass(41.0);
    script.kustomization(42.0, kustomization().suspended());
    script.pass(80.0);
    assert_eq!((script.outcome(), script.counted()), ("timeout", vec![("total", "bad")]));
}

#[test]
fn p5_an_optional_hop_that_is_suspended_stands_in_the_way_of_the_others() {
    let mut script = Script::pushed(plan_with(SOURCE, Requirement::Optional));
    script.source(20.0, source().suspended());
    assert_eq!(script.outcome(), "skipped");
}

#[test]
fn p5_a_hop_that_is_suspended_once_it_was_reached_or_bypassed_stands_in_nobodys_way() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    script.source(13.0, source().artifact('c').suspended());
    assert_eq!(script.outcome(), "none");
    let mut script = Script::pushed(plan());
    script.applied(12.0, 'c');
    script.source(13.0, source().suspended());
    assert_eq!(script.outcome(), "none");
}

#[test]
fn p5_a_webhook_that_reaches_a_source_which_is_suspended_during_the_run_is_kept() {
    let mut script = Script::pushed(plan());
    script.source(12.0, source().requested(&webhook(12)));
    script.source(13.0, source().requested(&webhook(12)).suspended());
    let record = script.finish(13.0);
    assert_eq!(record.outcome.as_str(), "skipped");
    assert_eq!(kept(&record, WEBHOOK).unwrap().at, (1.0, 1.0));
}

#[test]
fn p6_a_missing_flux_object_or_receiver_is_an_error_of_ours() {
    let (plan, receiver) = plan_beside("hook", GroupKind::receiver(), Bystander::Other);
    let mut script = Script::of(plan);
    script.see(&source_subject(), first(1.0, source()));
    script.see(&applier_subject(), first(1.0, kustomization()));
    script.see(&receiver, first(1.0, nothing()));
    let Start::Ended(Outcome::ProbeError(error)) = script.run.start(at(9.0)) else { panic!() };
    assert_eq!(error.reason, "subject_missing");
    assert!(error.message.contains("Receiver flux-system/hook"), "{}", error.message);
}

#[test]
fn p6_what_becomes_live_may_be_absent_until_the_deadline() {
    let mut script = Script::of(plan());
    script.see(&source_subject(), first(1.0, source()));
    script.see(&applier_subject(), first(1.0, kustomization()));
    script.see(&live_subject(), first(1.0, nothing()));
    assert_eq!(script.run.start(at(9.0)), Start::Go);
    script.announce('c');
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script.see(&live_subject(), next(12.0, config_map(100)));
    assert!(script.said.contains(&Effect::Reached(LIVE)));
}

#[test]
fn p6_an_object_that_is_deleted_while_the_run_waits_is_an_error_of_ours_at_the_deadline() {
    let mut script = Script::pushed(plan());
    script.kustomization(12.0, nothing());
    assert_eq!(script.outcome(), "none");
    script.pass(80.0);
    assert_eq!(script.outcome(), "probe_error");
}
