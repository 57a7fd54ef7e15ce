//! Rule P9: revisions that nobody could compute beforehand.

use crate::engine::machine::tests::script::{
    APPLIED, LIVE, SOURCE, Script, applier_subject, kept, live_subject, plan, source_subject,
};
use crate::engine::machine::{Effect, Start};
use crate::engine::plan::{Plan, PlannedHop};
use crate::hop::tests::objects::{Object, at, config_map, first, next, source};
use crate::hop::{Place, Released, SourceFetched};
use crate::model::{GroupKind, Passage, Requirement, SourceKind, Subject, When};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The same plan, but the source is a Bucket.
fn bucket_plan() -> Plan {
    let mut plan = plan();
    plan.hops[SOURCE].subject = Arc::new(bucket());
    plan.hops[SOURCE].detector = Arc::new(SourceFetched(SourceKind::Bucket));
    plan.hops[0].need = Requirement::Optional;
    plan
}

fn bucket() -> Subject {
    Subject::local(GroupKind::new("source.toolkit.fluxcd.io", "Bucket"), "flux-system", "fleet")
}

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

fn fetched(letter: char) -> Object {
    let status = json!({"observedGeneration": 1, "artifact": {"revision": digest(letter)}});
    Object::of(json!({"metadata": {"generation": 1}, "status": status}))
}

/// A Kustomization of the Bucket that has applied one revision, and attempts another.
fn applier(applied: char, attempted: char, ready: &str) -> Object {
    let status = if applied == attempted { "True" } else { "False" };
    Object::of(json!({
        "metadata": {"generation": 1},
        "spec": {"sourceRef": {"kind": "Bucket", "name": "fleet"}},
        "status": {
            "lastAppliedRevision": digest(applied),
            "lastAttemptedRevision": digest(attempted),
            "conditions": [{"type": "Ready", "status": status, "reason": ready, "message": ""}],
        },
    }))
}

/// A run that pushed an object to the bucket from second 10 to 11.
fn pushed(plan: Plan) -> Script {
    pushed_after(plan, &[])
}

/// The same, and the bucket was seen so before the push.
fn pushed_after(plan: Plan, earlier: &[(f64, char)]) -> Script {
    let mut script = Script::of(plan);
    script.see(&source_subject(), first(1.0, source()));
    script.see(&bucket(), first(1.0, fetched('a')));
    script.see(&applier_subject(), first(1.0, applier('a', 'a', "Succeeded")));
    script.see(&live_subject(), first(1.0, config_map(1)));
    for (seconds, letter) in earlier {
        script.see(&bucket(), next(*seconds, fetched(*letter)));
    }
    assert_eq!(script.run.start(at(9.0)), Start::Go);
    script.run.announce(Vec::new());
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script
}

fn reached(script: &Script) -> Vec<usize> {
    let hop = |it: &Effect| if let Effect::Reached(hop) = it { Some(*hop) } else { None };
    script.said.iter().filter_map(hop).collect()
}

#[test]
fn p9_the_first_new_artifact_is_told_when_the_change_is_live() {
    let mut script = pushed(bucket_plan());
    script.see(&bucket(), next(12.0, fetched('b')));
    assert!(reached(&script).is_empty(), "it may be somebody else's");
    script.see(&applier_subject(), next(13.0, applier('a', 'b', "Progressing")));
    script.live(14.0, 100);
    script.see(&applier_subject(), next(15.0, applier('b', 'b', "Succeeded")));
    assert_eq!(reached(&script), [SOURCE, LIVE, APPLIED]);
    assert_eq!(script.outcome(), "ok");
    let record = script.finish(16.0);
    assert_eq!(kept(&record, SOURCE).unwrap().at, (1.0, 1.0));
    assert_eq!(kept(&record, APPLIED).unwrap().at, (4.0, 4.0));
    assert!(script.asked().is_empty(), "no remote can tell of such a revision");
}

#[test]
fn p9_an_artifact_that_was_applied_without_the_change_becoming_live_was_not_ours() {
    let mut script = pushed(bucket_plan());
    script.see(&bucket(), next(12.0, fetched('b')));
    script.see(&applier_subject(), next(13.0, applier('b', 'b', "Succeeded")));
    script.see(&bucket(), next(14.0, fetched('c')));
    script.see(&applier_subject(), next(15.0, applier('b', 'c', "Progressing")));
    script.live(16.0, 100);
    script.see(&applier_subject(), next(17.0, applier('c', 'c', "Succeeded")));
    let record = script.finish(18.0);
    assert_eq!(kept(&record, SOURCE).unwrap().at, (3.0, 3.0));
    assert_eq!(kept(&record, APPLIED).unwrap().at, (6.0, 6.0));
}

#[test]
fn p9_a_later_artifact_that_nobody_had_taken_up_by_then_is_not_ours() {
    let mut script = pushed(bucket_plan());
    script.see(&bucket(), next(12.0, fetched('b')));
    script.see(&applier_subject(), next(13.0, applier('a', 'b', "Progressing")));
    script.see(&bucket(), next(14.0, fetched('c')));
    script.live(15.0, 100);
    script.see(&applier_subject(), next(16.0, applier('b', 'c', "Progressing")));
    let record = script.finish(17.0);
    assert_eq!(kept(&record, SOURCE).unwrap().at, (1.0, 1.0));
    assert_eq!(kept(&record, APPLIED).unwrap().at, (5.0, 5.0));
}

#[test]
fn p9_an_artifact_that_stood_there_before_the_push_is_no_candidate() {
    let mut script = pushed(bucket_plan());
    script.see(&bucket(), next(12.0, fetched('a')));
    assert_eq!(script.finish(13.0).hops[SOURCE].passage, Passage::Unreached);
}

#[test]
fn p9_what_stood_there_when_a_resumed_run_began_to_look_is_no_candidate() {
    let mut plan = bucket_plan();
    plan.hops.truncate(APPLIED + 1);
    let mut script = Script::of(plan);
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script.see(&bucket(), first(12.0, fetched('a')));
    assert!(!script.run.has_reached(SOURCE));
    script.see(&bucket(), next(13.0, fetched('b')));
    assert_eq!(kept(&script.finish(14.0), SOURCE).unwrap().at, (2.0, 2.0));
}

#[test]
fn p9_where_nothing_knows_better_the_candidate_is_believed_at_once() {
    let mut plan = bucket_plan();
    plan.hops.truncate(APPLIED + 1);
    let mut script = pushed(plan);
    script.see(&bucket(), next(12.0, fetched('b')));
    assert_eq!(reached(&script), [SOURCE]);
    script.see(&applier_subject(), next(13.0, applier('b', 'b', "Succeeded")));
    assert_eq!(script.outcome(), "ok");
}

#[test]
fn p9_what_came_between_the_first_look_and_the_push_is_no_candidate() {
    let mut plan = bucket_plan();
    plan.hops.truncate(APPLIED + 1);
    let mut script = pushed_after(plan, &[(5.0, 'b')]);
    // The same artifact, shown once more.
    script.see(&bucket(), next(12.0, fetched('b')));
    assert!(reached(&script).is_empty(), "it was fetched before ours was sent");
    script.see(&bucket(), next(13.0, fetched('c')));
    assert_eq!(reached(&script), [SOURCE]);
    assert_eq!(kept(&script.finish(14.0), SOURCE).unwrap().at, (2.0, 2.0));
}

#[test]
fn p9_a_failure_at_the_candidate_is_a_failure_of_ours() {
    let mut script = pushed(bucket_plan());
    script.see(&bucket(), next(12.0, fetched('b')));
    script.see(&applier_subject(), next(13.0, applier('a', 'b', "BuildFailed")));
    script.pass(72.0);
    assert_eq!(script.outcome(), "failed");
    let record = script.finish(72.0);
    assert_eq!(kept(&record, SOURCE).unwrap().at, (1.0, 1.0), "believed at last");
}

#[test]
fn p9_an_objective_that_is_crossed_while_a_candidate_is_open_is_unknown() {
    let mut plan = bucket_plan();
    plan.hops[SOURCE].within = Some(Duration::from_secs(5));
    let mut script = pushed(plan);
    script.see(&bucket(), next(12.0, fetched('b')));
    script.pass(20.0);
    assert_eq!(script.counted(), [("source_fetched", "unknown")]);
}

#[test]
fn p9_a_restart_of_the_stream_moves_no_instant_that_was_confirmed() {
    let mut script = pushed(bucket_plan());
    script.see(&bucket(), next(12.0, fetched('b')));
    script.live(14.0, 100);
    script.see(&bucket(), next(15.0, fetched('c')));
    script.see(&bucket(), next(16.0, fetched('b')));
    assert_eq!(kept(&script.finish(17.0), SOURCE).unwrap().at, (1.0, 1.0));
}

#[test]
fn values_that_stand_in_another_object_are_followed_from_the_hop_that_sees_it() {
    let mut plan = plan();
    plan.hops.remove(APPLIED);
    let release = Subject::local(GroupKind::helm_release(), "default", "web");
    plan.hops.push(PlannedHop {
        name: "released".to_owned(),
        subject: Arc::new(release.clone()),
        place: Place::Apply,
        after: vec![2],
        detector: Arc::new(Released),
        ..plan.hops[SOURCE].clone()
    });
    let object = |digest: &str| -> Object {
        let history: Value = json!([{"status": "deployed", "configDigest": digest}]);
        Object::of(json!({
            "metadata": {"namespace": "default", "generation": 1},
            "spec": {"valuesFrom": [{"kind": "ConfigMap", "name": "canary"}]},
            "status": {"lastAttemptedConfigDigest": digest, "history": history},
        }))
    };
    let mut script = Script::of(plan);
    script.see(&source_subject(), first(1.0, source()));
    script.see(&live_subject(), first(1.0, config_map(1)));
    script.see(&release, first(1.0, object("sha256:old")));
    assert_eq!(script.run.start(at(9.0)), Start::Go);
    script.announce('c');
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script.fetched(12.0, 'c');
    script.live(13.0, 100);
    assert!(!script.run.has_reached(3));
    script.see(&release, next(14.0, object("sha256:new")));
    assert_eq!(script.outcome(), "ok");
    assert_eq!(kept(&script.finish(15.0), 3).unwrap().at, (3.0, 3.0));
}
