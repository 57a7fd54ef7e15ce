//! Rules T1 to T8 and T10: zero, uncertainty, late learning, wait and work.

use crate::engine::machine::tests::script::{
    APPLIED, LIVE, SOURCE, Script, WEBHOOK, applier_subject, kept, live_subject, plan, plan_with,
    plan_within, source_subject,
};
use crate::engine::machine::{Ancestry, STATES_KEPT, Start};
use crate::hop::tests::objects::{
    at, commit, config_map, first, gap, kustomization, next, revision, source, webhook,
};
use crate::model::{Outcome, Passage, ProbeError, Requirement, Via, When};
use std::time::Duration;

#[test]
fn t1_times_count_from_the_acknowledgement_and_the_push_is_a_stage_of_its_own() {
    let mut script = Script::pushed(plan());
    script.fetched(13.0, 'c');
    let record = script.finish(14.0);
    assert_eq!(kept(&record, SOURCE).unwrap().at, (2.0, 2.0));
    let push = record.push.unwrap();
    assert_eq!(push.took.most, Duration::from_secs(1));
    assert_eq!(push.revisions, [commit('c')]);
}

#[test]
fn t1_a_hop_seen_between_sent_and_acknowledged_counts_as_nought_and_is_early() {
    let mut script = Script::sending(plan());
    let request = webhook(10);
    let asked = source().requested(&request);
    script.source(10.2, asked.clone());
    script.source(10.3, asked.clone().reconciling("reconciliation in progress"));
    script.source(10.5, asked.artifact('c').handled(&request));
    script.publish(When::at(at(11.0)));
    script.live(13.0, 100);
    let record = script.finish(14.0);
    let fetched = kept(&record, SOURCE).unwrap();
    assert_eq!((fetched.at, fetched.stage, fetched.early), ((0.0, 0.0), Some((0.0, 0.0)), true));
    assert_eq!(fetched.wait, Some((0.0, 0.0)), "a wait cannot outlast its stage");
    assert!(!fetched.uncertain && !fetched.reordered);
    assert_eq!(kept(&record, LIVE).unwrap().stage, Some((2.0, 2.0)), "it starts at zero");
}

#[test]
fn t1_a_commit_that_was_rebased_counts_and_the_refused_one_does_not() {
    let mut script = Script::sending(plan());
    script.announce('e');
    script.publish(When::at(at(12.0)));
    script.fetched(13.0, 'e');
    assert!(script.run.has_reached(SOURCE));
    assert_eq!(script.finish(14.0).push.unwrap().revisions, [commit('e')]);
}

#[test]
fn t1_what_the_new_attempt_was_rebased_on_does_not_supersede_it() {
    let mut script = Script::sending(plan());
    script.fetched(10.5, 'b'); // somebody was faster; our first attempt will be refused
    script.announce('e');
    assert_eq!(script.asked(), Vec::<String>::new(), "the tip cannot carry ours yet");
    script.publish(When::at(at(12.0)));
    assert_eq!(script.asked(), ["b"]);
    script.answer(12.1, 'b', Ancestry::NotYet);
    script.fetched(13.0, 'e');
    script.applied(14.0, 'e');
    script.live(14.0, 100);
    assert_eq!(script.outcome(), "ok");
}

#[test]
fn t2_an_uncertain_zero_widens_times_and_leaves_certain_stages_alone() {
    let mut script = Script::sending(plan());
    script.publish(When::between(at(10.0), at(12.0)));
    script.fetched(13.0, 'c');
    script.live(15.0, 100);
    let record = script.finish(16.0);
    let (fetched, live) = (kept(&record, SOURCE).unwrap(), kept(&record, LIVE).unwrap());
    assert_eq!((fetched.at, fetched.stage), ((1.0, 3.0), Some((1.0, 3.0))));
    assert!(fetched.uncertain, "its stage starts at zero");
    assert_eq!((live.at, live.stage, live.uncertain), ((3.0, 5.0), Some((2.0, 2.0)), false));
}

#[test]
fn t2_a_hop_within_an_uncertain_zero_is_not_said_to_be_early() {
    let mut script = Script::sending(plan());
    script.fetched(11.0, 'c');
    script.publish(When::between(at(10.0), at(12.0)));
    let fetched = kept(&script.finish(16.0), SOURCE).unwrap();
    assert_eq!((fetched.at, fetched.early, fetched.uncertain), ((0.0, 1.0), false, true));
}

#[test]
fn t2_a_push_that_did_not_arrive_is_an_error_of_ours() {
    let mut script = Script::sending(plan());
    let error =
        ProbeError { reason: "push_lost".to_owned(), message: "it is not there".to_owned() };
    script.run.broken(error, at(12.0));
    let record = script.finish(12.0);
    assert_eq!((record.outcome.as_str(), record.push), ("probe_error", None));
    assert!(script.run.wakes_at().is_none() && script.run.is_over(at(12.0)));
}

#[test]
fn t3_a_hop_reached_before_the_push_ends_the_run_with_nothing_pushed() {
    let mut script = Script::of(plan());
    script.see(&source_subject(), first(1.0, source()));
    script.see(&applier_subject(), first(1.0, kustomization()));
    script.see(&live_subject(), first(1.0, config_map(100)));
    let Start::Ended(Outcome::ProbeError(error)) = script.run.start(at(9.0)) else { panic!() };
    assert_eq!(error.reason, "already_true");
}

#[test]
fn t3_a_state_shown_before_publish_began_never_reaches_a_hop() {
    let mut script = Script::ready(plan());
    script.fetched(9.5, 'c');
    script.announce('c');
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    assert!(!script.run.has_reached(SOURCE));
    script.fetched_between(9.5, 12.0, 'c');
    assert!(script.run.has_reached(SOURCE), "it arrived since");
}

#[test]
fn t6_a_relisted_state_lies_between_bounds_and_so_do_the_stages_at_it() {
    let mut script = Script::pushed(plan());
    script.fetched_between(12.0, 14.0, 'c');
    script.applied(15.0, 'c');
    let record = script.finish(16.0);
    let (fetched, applied) = (kept(&record, SOURCE).unwrap(), kept(&record, APPLIED).unwrap());
    assert_eq!(
        (fetched.at, fetched.stage, fetched.uncertain),
        ((1.0, 3.0), Some((1.0, 3.0)), true)
    );
    assert_eq!((applied.at, applied.stage), ((4.0, 4.0), Some((1.0, 3.0))));
    assert!(applied.uncertain, "its start is");
}

#[test]
fn t6_a_relist_does_not_move_a_time_already_taken() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'c');
    script.fetched_between(12.0, 20.0, 'c');
    let fetched = kept(&script.finish(21.0), SOURCE).unwrap();
    assert_eq!((fetched.at, fetched.uncertain), ((1.0, 1.0), false));
}

#[test]
fn t6_bounds_may_be_a_tenth_of_the_objective_apart_and_a_second_at_least() {
    assert_eq!(plan().tolerance(), Duration::from_secs(1));
    assert_eq!(plan_within(5).tolerance(), Duration::from_secs(1));
    assert_eq!(plan_within(50).tolerance(), Duration::from_secs(5));
    assert_eq!(Script::pushed(plan_within(50)).finish(12.0).tolerance, Duration::from_secs(5));
}

#[test]
fn t6_an_earlier_revision_that_nobody_could_tell_of_makes_a_carried_hop_uncertain() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'd');
    script.fetched(14.0, 'e');
    script.answer(15.0, 'd', Ancestry::Unknown);
    script.answer(16.0, 'e', Ancestry::Carries(None));
    let fetched = kept(&script.finish(17.0), SOURCE).unwrap();
    assert_eq!((fetched.at, fetched.uncertain), ((1.0, 3.0), true));
}

#[test]
fn t6_a_doubt_widens_bounds_and_never_narrows_them() {
    let mut script = Script::pushed(plan());
    script.see(&applier_subject(), gap(12.0, 15.0, kustomization().applied('d')));
    script.kustomization(15.0, kustomization().applied('d').attempted('e'));
    script.answer(16.0, 'd', Ancestry::Carries(None)); // of `e` nothing is known yet
    assert_eq!(kept(&script.finish(17.0), APPLIED).unwrap().at, (1.0, 4.0));
    let mut script = Script::pushed(plan());
    script.fetched_between(12.0, 15.0, 'd');
    script.fetched(15.0, 'e');
    script.answer(16.0, 'd', Ancestry::Unknown);
    script.answer(16.0, 'e', Ancestry::Carries(None));
    assert_eq!(kept(&script.finish(17.0), SOURCE).unwrap().at, (1.0, 4.0));
}

#[test]
fn t8_a_revision_that_is_learned_late_is_looked_up_in_what_was_seen() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'd');
    script.live(13.0, 101);
    script.applied(13.5, 'd');
    assert_eq!(script.asked(), ["d"]);
    assert!(!script.run.has_reached(LIVE));
    script.answer(20.0, 'd', Ancestry::Carries(Some(crate::hop::tests::objects::canary(101))));
    let record = script.finish(21.0);
    let at = |hop| kept(&record, hop).unwrap().at;
    assert_eq!((at(SOURCE), at(LIVE), at(APPLIED)), ((1.0, 1.0), (2.0, 2.0), (2.5, 2.5)));
    assert_eq!(record.outcome.as_str(), "ok");
}

#[test]
fn t8_answers_that_come_out_of_order_do_not_move_a_hop_to_the_later_carrier() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'd');
    script.fetched(14.0, 'e');
    script.answer(15.0, 'e', Ancestry::Carries(None));
    assert!(!script.run.has_reached(SOURCE), "the first may have brought it");
    script.answer(16.0, 'd', Ancestry::Carries(None));
    let fetched = kept(&script.finish(17.0), SOURCE).unwrap();
    assert_eq!((fetched.at, fetched.uncertain), ((1.0, 1.0), false));
}

#[test]
fn t8_a_learned_fetch_is_no_later_than_the_apply_that_carries_it() {
    let mut script = Script::pushed(plan());
    script.applied(13.0, 'd');
    script.fetched_between(12.0, 15.0, 'd');
    script.answer(16.0, 'd', Ancestry::Carries(None));
    let fetched = kept(&script.finish(17.0), SOURCE).unwrap();
    assert_eq!((fetched.at, fetched.uncertain, fetched.reordered), ((1.0, 2.0), true, false));
    let mut script = Script::pushed(plan());
    script.applied(13.0, 'd');
    script.fetched(15.0, 'd');
    script.answer(16.0, 'd', Ancestry::Carries(None));
    let fetched = kept(&script.finish(17.0), SOURCE).unwrap();
    assert_eq!((fetched.at, fetched.uncertain), ((0.0, 2.0), true), "since publish began");
}

#[test]
fn t8_our_own_revision_is_not_capped_but_reordered() {
    let mut script = Script::pushed(plan());
    script.applied(13.0, 'c');
    script.fetched(15.0, 'c');
    let record = script.finish(17.0);
    assert_eq!(kept(&record, SOURCE).unwrap().at, (4.0, 4.0));
    assert!(kept(&record, APPLIED).unwrap().reordered);
}

#[test]
fn t8_an_object_that_is_rewritten_all_the_time_keeps_what_was_shown_last_before_the_push() {
    let mut script = Script::ready(plan());
    let stalled =
        || source().ready("False", "URLInvalid").condition("Stalled", "True", "URLInvalid");
    script.source(2.0, stalled());
    assert_eq!(script.run.start(at(9.0)), Start::Go);
    script.announce('c');
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    for _ in 0..2 * STATES_KEPT {
        script.source(12.0, stalled());
    }
    assert_eq!(script.outcome(), "none", "it had given up before we pushed");
}

#[test]
fn t8_what_was_forgotten_leaves_an_interval() {
    let mut script = Script::pushed(plan());
    script.fetched(12.0, 'd');
    for _ in 0..2 * STATES_KEPT {
        script.fetched(14.0, 'd');
    }
    script.answer(16.0, 'd', Ancestry::Carries(None));
    let record = script.finish(17.0);
    let fetched = kept(&record, SOURCE).unwrap();
    assert_eq!((fetched.at, fetched.uncertain), ((1.0, 3.0), true));
    let Passage::Reached { via, .. } = &record.hops[SOURCE].passage else { panic!() };
    assert_eq!(*via, Some(Via::Unknown), "the event that would tell is forgotten");
}

#[test]
fn t10_a_stage_is_split_where_work_on_it_began() {
    let mut script = Script::pushed(plan());
    let request = webhook(12);
    let asked = source().requested(&request);
    script.source(12.0, asked.clone());
    script.source(13.0, asked.clone().reconciling("reconciliation in progress"));
    script.source(15.0, asked.artifact('c').handled(&request));
    let message = format!("Fetching manifests for revision {}", revision('c'));
    script.kustomization(15.5, kustomization().reconciling(&message));
    script.applied(17.0, 'c');
    let record = script.finish(18.0);
    let (fetched, applied) = (kept(&record, SOURCE).unwrap(), kept(&record, APPLIED).unwrap());
    assert_eq!((fetched.stage, fetched.wait), (Some((4.0, 4.0)), Some((2.0, 2.0))));
    assert_eq!((applied.stage, applied.wait), (Some((2.0, 2.0)), Some((0.5, 0.5))));
    assert_eq!(kept(&record, WEBHOOK).unwrap().wait, None);
}

#[test]
fn t10_a_sign_before_the_stages_start_is_a_wait_of_nought() {
    let mut script = Script::pushed(plan());
    script.kustomization(12.0, kustomization().attempted('c'));
    script.fetched(13.0, 'c');
    script.applied(17.0, 'c');
    assert_eq!(kept(&script.finish(18.0), APPLIED).unwrap().wait, Some((0.0, 0.0)));
}

#[test]
fn t10_an_uncertain_sign_makes_an_uncertain_wait() {
    let mut script = Script::pushed(plan_with(WEBHOOK, Requirement::Optional));
    script.fetched(12.0, 'c');
    script.see(&applier_subject(), gap(11.0, 14.0, kustomization().attempted('c')));
    script.see(&applier_subject(), next(15.0, kustomization().applied('c')));
    let applied = kept(&script.finish(18.0), APPLIED).unwrap();
    assert_eq!((applied.stage, applied.wait), (Some((3.0, 3.0)), Some((0.0, 2.0))));
}
