//! What hopclock itself does for a hop: told once, when its time has come. The change is commit `c`,
//! and the errand makes `e` of it on another branch.

use crate::engine::errand::ErrandDone;
use crate::engine::machine::tests::script::{
    LIVE, SOURCE, Script, applier_subject, live_subject, plan, source_subject,
};
use crate::engine::machine::{Effect, LeftBehind, Start};
use crate::engine::plan::{Plan, PlannedHop};
use crate::hop::tests::images::branch;
use crate::hop::tests::objects::{at, commit, config_map, first, gap, kustomization, next, source};
use crate::hop::{Merged, Place};
use crate::model::{GitBranch, ObjectName, Passage, ProbeError, Requirement, Subject, When};
use std::sync::Arc;
use std::time::Duration;

const MERGED: usize = 4;

fn branch_subject() -> Subject {
    GitBranch::subject(&ObjectName::new("flux-system", "fleet"), None)
}

fn reviewed() -> Plan {
    let mut plan = plan();
    plan.hops.push(PlannedHop {
        name: "merged".to_owned(),
        subject: Arc::new(branch_subject()),
        place: Place::Merge,
        after: Vec::new(),
        within: None,
        need: Requirement::Required,
        detector: Arc::new(Merged { by_us: true }),
        witnesses: Vec::new(),
    });
    plan.hops[SOURCE].after = vec![MERGED];
    plan
}

fn pushed() -> Script {
    let mut script = Script::of(reviewed());
    script.see(&branch_subject(), first(1.0, branch('a', "app:1")));
    script.see(&source_subject(), first(1.0, source()));
    script.see(&applier_subject(), first(1.0, kustomization()));
    script.see(&live_subject(), first(1.0, config_map(1)));
    assert_eq!(script.run.start(at(9.0)), Start::Go);
    script.said.extend(script.run.announce(vec![commit('c')]));
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script
}

fn errands(script: &Script) -> Vec<&Effect> {
    script.said.iter().filter(|it| matches!(it, Effect::Errand(..))).collect()
}

fn done(letter: char, seconds: f64) -> ErrandDone {
    let state = GitBranch { commit: commit(letter).id().to_owned(), markers: Vec::new() };
    ErrandDone::Now { at: at(seconds), state: state.to_value() }
}

fn refused() -> ProbeError {
    ProbeError { reason: "merge_refused".to_owned(), message: "no".to_owned() }
}

#[test]
fn an_errand_is_told_once_when_the_hops_before_it_are_reached() {
    let mut script = pushed();
    assert_eq!(errands(&script), [&Effect::Errand(MERGED, commit('c'))]);
    script.pass(12.0);
    assert_eq!(errands(&script).len(), 1);
}

#[test]
fn what_an_errand_has_made_carries_the_change_from_its_acknowledgement_on() {
    let mut script = pushed();
    script.said.extend(script.run.errand_sends(commit('e'), at(11.9)));
    script.said.extend(script.run.errand_done(MERGED, Ok(done('e', 12.0)), at(12.1)));
    script.fetched(13.0, 'e');
    assert!(script.run.has_reached(SOURCE) && !script.run.has_reached(LIVE));
    let record = script.finish(14.0);
    let Passage::Reached { at, carried_by, uncertain, .. } = &record.hops[MERGED].passage else {
        panic!("{record:?}")
    };
    assert_eq!((at.least.as_secs_f64(), at.is_exact(), *uncertain), (1.0, true, false));
    assert_eq!(carried_by.as_deref(), Some(commit('e').id()));
}

#[test]
fn an_errand_that_cannot_be_done_ends_the_run_unless_somebody_else_did_it() {
    let mut script = pushed();
    script.said.extend(script.run.errand_done(MERGED, Err(refused()), at(12.0)));
    assert_eq!(script.outcome(), "probe_error");
    let mut script = pushed();
    script.see(&branch_subject(), next(12.0, branch('c', "app:1")));
    script.said.extend(script.run.errand_done(MERGED, Err(refused()), at(12.5)));
    assert_eq!(script.outcome(), "none");
}

#[test]
fn t1_a_fetch_of_the_merge_before_its_acknowledgement_is_known_at_once() {
    let mut script = pushed();
    script.said.extend(script.run.errand_sends(commit('e'), at(11.9)));
    script.fetched(12.0, 'e');
    assert!(script.run.has_reached(SOURCE), "nobody is asked");
    assert!(script.asked().is_empty());
    script.said.extend(script.run.errand_done(MERGED, Ok(done('e', 12.5)), at(12.6)));
    let record = script.finish(14.0);
    let merged = record.hops[MERGED].passage.at().unwrap();
    assert_eq!(merged.most, Duration::from_secs(1), "no later than what was fetched of it");
}

#[test]
fn t1_what_was_announced_in_vain_is_followed_by_what_was_sent() {
    let mut script = pushed();
    script.said.extend(script.run.errand_sends(commit('e'), at(11.9)));
    script.said.extend(script.run.errand_sends(commit('f'), at(12.0)));
    script.said.extend(script.run.errand_done(MERGED, Ok(done('f', 12.1)), at(12.1)));
    script.fetched(13.0, 'f');
    assert!(script.run.has_reached(MERGED) && script.run.has_reached(SOURCE));
}

#[test]
fn a_resumed_run_tells_of_an_errand_once_more_unless_its_hop_was_reached() {
    let left = |reached| LeftBehind {
        revisions: vec![commit('c')],
        began: at(10.0),
        sent: at(10.5),
        zero: When::at(at(11.0)),
        attempts: 1,
        reached,
        decided: Vec::new(),
    };
    let resumed = |reached| {
        let mut script = Script::of(reviewed());
        script.run.resume(left(reached));
        script.see(&branch_subject(), gap(12.0, 20.0, branch('a', "app:1")));
        script
    };
    assert_eq!(errands(&resumed(Vec::new())), [&Effect::Errand(MERGED, commit('c'))]);
    let mut script = pushed();
    script.said.extend(script.run.errand_sends(commit('e'), at(11.9)));
    script.said.extend(script.run.errand_done(MERGED, Ok(done('e', 12.0)), at(12.1)));
    let merged = script.run.passage(MERGED).unwrap();
    assert!(errands(&resumed(vec![("merged".to_owned(), merged)])).is_empty());
}
