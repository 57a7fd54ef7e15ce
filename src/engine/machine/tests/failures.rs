//! Rules O1 and O3: failures that stand, clear or are final, and timeouts.

use crate::engine::machine::Ancestry;
use crate::engine::machine::tests::script::{
    LIVE, SOURCE, Script, applier_subject, live_subject, plan, plan_beside, source_subject,
};
use crate::hop::Bystander;
use crate::hop::tests::objects::{Object, at, config_map, first, kustomization, next, source};
use crate::model::{GroupKind, Requirement, RunRecord, When};
use std::sync::Arc;
use std::time::Duration;

fn rejected(reason: &str) -> Object {
    kustomization().attempted('c').ready("False", reason)
}

/// The first reason and its second, if a failure counted.
fn first_failure(record: &RunRecord) -> Option<(&str, f64)> {
    let failure = record.failing_since.as_ref()?;
    Some((failure.reason.as_str(), failure.at.most.as_secs_f64()))
}

#[test]
fn o1_a_retry_does_not_clear_a_failure() {
    let mut script = Script::pushed(plan());
    script.kustomization(12.0, rejected("BuildFailed"));
    script.kustomization(13.0, kustomization().attempted('c').ready("Unknown", "Progressing"));
    script.pass(80.0);
    assert_eq!(
        script.run.outcome().unwrap().to_string(),
        format!("failed: BuildFailed at {}", applier_subject())
    );
}

#[test]
fn o1_success_clears_a_failure_but_history_keeps_it() {
    let mut script = Script::pushed(plan());
    script.source(12.0, source().ready("False", "GitOperationFailed"));
    script.source(13.0, source());
    script.pass(80.0);
    let record = script.finish(80.0);
    assert_eq!(record.outcome.as_str(), "timeout");
    assert_eq!(first_failure(&record), Some(("GitOperationFailed", 1.0)));
}

#[test]
fn o1_history_has_the_first_reason_and_the_outcome_the_last_one() {
    let mut script = Script::pushed(plan());
    script.kustomization(12.0, rejected("BuildFailed"));
    script.kustomization(14.0, rejected("HealthCheckFailed"));
    script.pass(80.0);
    let record = script.finish(80.0);
    assert_eq!(first_failure(&record), Some(("BuildFailed", 1.0)));
    assert!(record.outcome.to_string().starts_with("failed: HealthCheckFailed"));
    assert_eq!(record.push_to_apply.unwrap().most, Duration::from_secs(60));
}

#[test]
fn o1_a_cancelled_health_check_neither_fails_nor_clears() {
    let mut script = Script::pushed(plan());
    script.kustomization(12.0, rejected("HealthCheckCanceled"));
    script.pass(80.0);
    assert_eq!(first_failure(&script.finish(80.0)), None);
    let mut script = Script::pushed(plan());
    script.kustomization(12.0, rejected("BuildFailed"));
    script.kustomization(13.0, rejected("HealthCheckCanceled"));
    script.pass(80.0);
    assert_eq!(script.outcome(), "failed");
}

#[test]
fn o1_a_failure_of_any_revision_that_stood_when_publish_began_counts_from_zero() {
    let mut script = Script::of(plan());
    script.see(&source_subject(), first(1.0, source().ready("False", "GitOperationFailed")));
    script.see(&applier_subject(), first(1.0, kustomization()));
    script.see(&live_subject(), first(1.0, config_map(1)));
    script.run.start(at(9.0));
    script.announce('c');
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script.see(&applier_subject(), next(12.0, kustomization().applied('d')));
    script.answer(12.5, 'd', Ancestry::Carries(None)); // everything is looked at again
    script.pass(80.0);
    let record = script.finish(80.0);
    assert_eq!(first_failure(&record), Some(("GitOperationFailed", 0.0)));
    assert_eq!(record.outcome.as_str(), "timeout", "the source is bypassed, live is late");
}

#[test]
fn o1_a_failure_that_was_over_before_publish_began_does_not_count() {
    let mut script = Script::ready(plan());
    script.source(2.0, source().ready("False", "GitOperationFailed"));
    script.source(3.0, source());
    script.run.start(at(9.0));
    script.announce('c');
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script.pass(80.0);
    assert_eq!(first_failure(&script.finish(80.0)), None);
}

#[test]
fn o1_an_old_failure_of_somebody_elses_revision_does_not_count() {
    let mut script = Script::pushed(plan());
    script.kustomization(12.0, kustomization().attempted('a').ready("False", "BuildFailed"));
    script.pass(80.0);
    let record = script.finish(80.0);
    assert_eq!((first_failure(&record), record.outcome.as_str()), (None, "timeout"));
}

#[test]
fn o1_a_failure_at_a_revision_that_was_learned_to_carry_ours_counts_from_when_it_was_shown() {
    let mut script = Script::pushed(plan());
    script.kustomization(12.0, kustomization().attempted('d').ready("False", "BuildFailed"));
    script.answer(15.0, 'd', Ancestry::Carries(None));
    script.pass(80.0);
    let record = script.finish(80.0);
    assert_eq!(first_failure(&record), Some(("BuildFailed", 1.0)));
    assert_eq!(record.outcome.as_str(), "failed");
}

#[test]
fn o1_whoever_gave_up_since_publish_began_fails_the_run_at_once() {
    let mut script = Script::pushed(plan());
    script.source(
        12.0,
        source().ready("False", "URLInvalid").condition("Stalled", "True", "URLInvalid"),
    );
    let record = script.finish(12.0);
    assert_eq!(record.outcome.as_str(), "failed");
    assert_eq!(record.push_to_apply.unwrap().most, Duration::from_secs(1));
}

#[test]
fn o1_whoever_had_given_up_before_is_waited_for_to_the_deadline() {
    let stalled =
        || source().ready("False", "URLInvalid").condition("Stalled", "True", "URLInvalid");
    let mut script = Script::ready(plan());
    script.source(2.0, stalled());
    script.run.start(at(9.0));
    script.announce('c');
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script.source(12.0, stalled());
    assert_eq!(script.outcome(), "none");
    script.pass(80.0);
    assert_eq!(script.outcome(), "failed");
}

#[test]
fn o1_a_member_without_a_hop_is_waited_for_while_any_hop_is() {
    let beside = || plan_beside("infra", GroupKind::kustomization(), Bystander::Applier);
    let ready = |subject: &_| {
        let mut script = Script::of(beside().0);
        script.see(&source_subject(), first(1.0, source()));
        script.see(&applier_subject(), first(1.0, kustomization()));
        script.see(&live_subject(), first(1.0, config_map(1)));
        script.see(subject, first(1.0, kustomization()));
        script.run.start(at(9.0));
        script.announce('c');
        script.run.begin(at(10.0));
        script.publish(When::at(at(11.0)));
        script
    };
    let (_, infra) = beside();
    let mut script = ready(&infra);
    script.see(&infra, next(12.0, kustomization().ready("False", "DependencyNotReady")));
    script.pass(80.0);
    assert_eq!(script.outcome(), "failed");
    let mut script = ready(&infra);
    script.applied(12.0, 'c');
    script.live(12.0, 100);
    script.see(&infra, next(13.0, kustomization().ready("False", "DependencyNotReady")));
    let record = script.finish(14.0);
    assert_eq!((record.outcome.as_str(), first_failure(&record)), ("ok", None));
}

#[test]
fn o1_a_failure_of_a_hop_that_is_reached_or_bypassed_fails_nothing() {
    let mut script = Script::pushed(plan());
    script.applied(12.0, 'c');
    script.source(13.0, source().ready("False", "GitOperationFailed"));
    script.pass(80.0);
    assert_eq!(script.outcome(), "timeout");
}

#[test]
fn o1_a_failure_that_nobody_could_look_at_again_is_no_outcome() {
    let mut script = Script::pushed(plan());
    script.kustomization(12.0, rejected("BuildFailed"));
    script.unproven = vec![Arc::new(applier_subject())];
    script.pass(80.0);
    assert_eq!(script.outcome(), "probe_error");
}

#[test]
fn o3_a_timeout_is_observed_at_the_deadline() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    script.pass(70.9);
    assert_eq!(script.outcome(), "none");
    script.pass(71.0);
    let record = script.finish(72.0);
    assert_eq!(record.outcome.as_str(), "timeout");
    assert_eq!(record.push_to_apply.unwrap().most, Duration::from_secs(60));
}

#[test]
fn o3_what_the_last_look_shows_still_counts() {
    let mut script = Script::pushed(plan());
    script.applied(12.0, 'c');
    script.run.tick(at(71.0));
    script.see(&live_subject(), crate::hop::tests::objects::gap(70.0, 71.2, config_map(100)));
    script.settle(71.3);
    assert_eq!(script.outcome(), "ok");
}

#[test]
fn o3_a_subject_that_cannot_be_watched_makes_no_timeout() {
    let mut script = Script::pushed(plan());
    script.unproven = vec![Arc::new(live_subject())];
    script.pass(80.0);
    let record = script.finish(80.0);
    assert_eq!(record.outcome.as_str(), "probe_error");
    assert!(record.outcome.to_string().contains("cannot be watched"));
    assert_eq!(record.push_to_apply, None);
}

#[test]
fn o3_a_run_without_required_hops_times_out_when_nothing_is_seen() {
    let mut plan = plan();
    for hop in [SOURCE, 2, LIVE] {
        plan.hops[hop].need = Requirement::Optional;
    }
    let mut script = Script::pushed(plan);
    script.pass(80.0);
    assert_eq!(script.outcome(), "timeout");
}
