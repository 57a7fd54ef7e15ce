//! Rule T8: revisions that become known only after they have gone their way. The change is a tag;
//! an automation makes commit `d` of it.

use crate::engine::machine::tests::script::{
    Script, applier_subject, kept, live_subject, plan as commit_plan, source_subject,
};
use crate::engine::machine::{Ancestry, Effect, LeftBehind, Run, Start};
use crate::engine::plan::{Plan, PlannedHop, Witness};
use crate::hop::tests::images::{TAG, automation, branch, chosen, scanned};
use crate::hop::tests::objects::{
    Object, at, canary, commit, first, gap, kustomization, next, source, webhook,
};
use crate::hop::{
    AutomationCommitted, BranchCommitted, Detector, ImageScanned, Place, PolicyUpdated,
};
use crate::model::{
    Carried, GitBranch, GroupKind, ObjectName, Passage, Requirement, Revision, Seen, Span, State,
    Subject, When,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const WEBHOOK: usize = 0;
const SOURCE: usize = 1;
const APPLIED: usize = 2;
const LIVE: usize = 3;
const SCANNED: usize = 4;
const POLICY: usize = 5;
const AUTOMATION: usize = 6;

fn image(kind: &str) -> Subject {
    Subject::local(GroupKind::image(kind), "flux-system", "app")
}

fn branch_subject() -> Subject {
    GitBranch::subject(&ObjectName::new("flux-system", "fleet"), Some("main"))
}

/// Scan, policy and automation before what every change by commit passes.
fn plan() -> Plan {
    let hop = |name: &str, kind, place, after, detector: Arc<dyn Detector>| PlannedHop {
        name: name.to_owned(),
        subject: Arc::new(image(kind)),
        place,
        after,
        within: None,
        need: Requirement::Required,
        detector,
        witnesses: Vec::new(),
    };
    let mut plan = commit_plan();
    let (policy, committed) = ("flux-system:app".to_owned(), "app".to_owned());
    let committed = Arc::new(AutomationCommitted { policy: committed });
    plan.hops.extend([
        hop("image_scanned", "ImageRepository", Place::Scan, vec![], Arc::new(ImageScanned)),
        hop("policy_updated", "ImagePolicy", Place::Policy, vec![SCANNED], Arc::new(PolicyUpdated)),
        hop("committed", "ImageUpdateAutomation", Place::Automation, vec![POLICY], committed),
    ]);
    let seen = Witness {
        subject: Arc::new(branch_subject()),
        detector: Arc::new(BranchCommitted { policy }),
    };
    plan.hops[AUTOMATION].witnesses.push(seen);
    plan.hops[SOURCE].after = vec![AUTOMATION];
    plan.hops[WEBHOOK].after = vec![AUTOMATION];
    plan
}

fn tag(tag: &str) -> Revision {
    Revision::Tag(tag.to_owned())
}

/// A ConfigMap that names this tag.
fn workload(tag: &str) -> Object {
    Object::of(json!({"kind": "ConfigMap", "data": {"tag": tag}}))
}

/// A run that pushed the tag from second 10 to second 11.
fn pushed() -> Script {
    let mut script = Script::of(plan());
    let standing = [
        (image("ImageRepository"), scanned("1", &["0.5.0"], 1)),
        (image("ImagePolicy"), chosen("0.5.0")),
        (image("ImageUpdateAutomation"), automation("0.5.0", 'a')),
        (branch_subject(), branch('a', "host/app:0.5.0")),
        (source_subject(), source()),
        (applier_subject(), kustomization()),
        (live_subject(), workload("0.5.0")),
    ];
    for (subject, object) in standing {
        script.see(&subject, first(1.0, object));
    }
    assert_eq!(script.run.start(at(9.0)), Start::Go);
    script.said.extend(script.run.announce(vec![tag(TAG)]));
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script.see(&image("ImageRepository"), next(11.8, scanned("2", &[TAG, "0.5.0"], 2)));
    script.see(&image("ImagePolicy"), next(12.0, chosen(TAG)));
    script
}

fn names(script: &mut Script, seconds: f64, pushed: char) {
    script.see(&image("ImageUpdateAutomation"), next(seconds, automation(TAG, pushed)));
}

fn live(script: &mut Script, seconds: f64, tag: &str) {
    script.see(&live_subject(), next(seconds, workload(tag)));
}

#[test]
fn t8_the_commit_that_the_status_names_is_followed_from_there_on() {
    let mut script = pushed();
    names(&mut script, 12.5, 'd');
    script.fetched(13.0, 'd');
    live(&mut script, 13.5, TAG);
    script.applied(14.0, 'd');
    assert_eq!(script.outcome(), "ok");
    let record = script.finish(15.0);
    let stage = |hop| kept(&record, hop).unwrap().stage.unwrap();
    assert!((0..7).filter_map(|it| kept(&record, it)).all(|it| !it.uncertain));
    assert_eq!(stage(AUTOMATION), (0.5, 0.5));
    assert_eq!(stage(SOURCE), (0.5, 0.5));
    assert_eq!(kept(&record, LIVE).unwrap().at, (2.5, 2.5));
    let Passage::Reached { carried_by, .. } = &record.hops[SOURCE].passage else { panic!() };
    assert_eq!(*carried_by, None, "it is our own commit, though we did not make it");
}

#[test]
fn t8_a_commit_that_was_fetched_before_the_status_names_it_is_found_in_what_was_kept() {
    let mut script = pushed();
    script.fetched(12.25, 'd');
    script.applied(12.375, 'd');
    assert!(script.asked().is_empty(), "nobody knows a commit that it could bring along");
    names(&mut script, 12.5, 'd');
    let record = script.finish(13.0);
    let (fetched, applied) = (kept(&record, SOURCE).unwrap(), kept(&record, APPLIED).unwrap());
    assert_eq!((fetched.at, fetched.uncertain), ((1.25, 1.25), true), "its stage's start is");
    assert_eq!((applied.at, applied.stage), ((1.375, 1.375), Some((0.125, 0.125))));
    let committed = kept(&record, AUTOMATION).unwrap();
    assert_eq!((committed.at, committed.uncertain), ((0.0, 1.25), true), "capped at the fetch");
    assert!(!fetched.reordered && !committed.reordered);
}

#[test]
fn t8_a_request_caps_nothing() {
    let mut script = pushed();
    let request = webhook(12);
    script.source(12.25, source().requested(&request));
    names(&mut script, 12.5, 'd');
    script.source(13.0, source().requested(&request).handled(&request).artifact('d'));
    let record = script.finish(14.0);
    let committed = kept(&record, AUTOMATION).unwrap();
    assert_eq!((committed.at, committed.uncertain), ((1.5, 1.5), false));
    let webhook = kept(&record, WEBHOOK).unwrap();
    assert_eq!((webhook.at, webhook.reordered), ((1.25, 1.25), true));
}

#[test]
fn t8_an_object_that_names_our_tag_caps_the_commit_as_well() {
    let mut script = pushed();
    live(&mut script, 12.25, TAG);
    names(&mut script, 12.5, 'd');
    let committed = kept(&script.finish(13.0), AUTOMATION).unwrap();
    assert_eq!((committed.at, committed.uncertain), ((0.0, 1.25), true));
}

#[test]
fn t8_the_branch_may_show_the_commit_before_the_status_and_counts() {
    let mut script = pushed();
    script.see(&branch_subject(), gap(12.125, 12.25, branch('d', "host/app:0.5.1")));
    assert!(script.run.has_reached(AUTOMATION));
    script.fetched(12.375, 'd');
    assert!(script.run.has_reached(SOURCE), "the branch has taught the commit");
    names(&mut script, 12.5, 'd');
    let record = script.finish(13.0);
    let committed = kept(&record, AUTOMATION).unwrap();
    assert_eq!((committed.at, committed.uncertain), ((1.125, 1.25), true));
    let sights: Vec<_> = record.hops[AUTOMATION].sights.iter().map(|it| it.at.most).collect();
    assert_eq!(sights, [1_500, 1_250].map(Duration::from_millis), "both are kept");
    assert!(record.hops[SOURCE].sights.is_empty(), "there it was looked for in one place only");
}

#[test]
fn t8_a_branch_that_is_polled_after_the_status_moves_nothing() {
    let mut script = pushed();
    names(&mut script, 12.5, 'd');
    script.see(&branch_subject(), gap(12.0, 13.0, branch('d', "host/app:0.5.1")));
    let committed = kept(&script.finish(14.0), AUTOMATION).unwrap();
    assert_eq!((committed.at, committed.uncertain), ((1.5, 1.5), false));
}

#[test]
fn t9_a_merge_that_was_fetched_before_its_commit_was_learned_is_asked_for_then() {
    let mut script = pushed();
    script.fetched(12.25, 'e');
    assert!(script.asked().is_empty());
    names(&mut script, 12.5, 'd');
    assert_eq!(script.asked(), ["e"]);
    script.answer(12.75, 'e', Ancestry::Carries(None));
    let record = script.finish(13.0);
    let Passage::Reached { at, carried_by, .. } = &record.hops[SOURCE].passage else { panic!() };
    assert_eq!(*at, Span::exactly(Duration::from_millis(1250)));
    assert_eq!(carried_by.as_deref(), Some(commit('e').id()));
}

#[test]
fn t9_a_tag_that_the_policy_orders_above_ours_supersedes_it() {
    let mut script = pushed();
    script.see(&image("ImagePolicy"), next(13.0, chosen("0.4.9")));
    let ask = |it: &str| Effect::Ask(tag(it));
    assert_eq!(script.said.last(), Some(&ask("0.4.9")));
    script.run.answer(&tag("0.4.9"), Ancestry::NotYet, at(13.1));
    assert_eq!(script.outcome(), "none", "it is ordered below");
    script.see(&image("ImagePolicy"), next(14.0, chosen("0.6.0")));
    assert_eq!(script.said.last(), Some(&ask("0.6.0")));
    script.run.answer(&tag("0.6.0"), Ancestry::Gone, at(14.1));
    assert_eq!(script.run.outcome().unwrap().to_string(), "superseded by 0.6.0");
}

#[test]
fn o1_a_missing_marker_stands_until_the_commit_is_seen() {
    let mut script = pushed();
    names(&mut script, 12.5, 'a');
    assert_eq!(script.run.failing(AUTOMATION), Some("no_marker"));
    let ready = automation(TAG, 'a').ready("True", "Succeeded");
    script.see(&image("ImageUpdateAutomation"), next(13.0, ready));
    script.pass(80.0);
    let record = script.finish(80.0);
    let subject = image("ImageUpdateAutomation");
    assert_eq!(record.outcome.to_string(), format!("failed: no_marker at {subject}"));
    assert_eq!(record.failing_since.unwrap().at, Span::exactly(Duration::from_millis(1500)));
    let mut script = pushed();
    names(&mut script, 12.5, 'a');
    script.see(&branch_subject(), next(20.0, branch('d', "host/app:0.5.1")));
    script.fetched(21.0, 'd');
    script.applied(22.0, 'd');
    live(&mut script, 22.0, TAG);
    assert_eq!(script.outcome(), "ok");
}

#[test]
fn a_scan_that_does_not_list_our_tag_is_taken_when_the_policy_has_chosen() {
    let mut script = Script::of(plan());
    let many = |set| scanned(set, &["z"], 11);
    let [repository, policy] = ["ImageRepository", "ImagePolicy"].map(image);
    script.see(&repository, first(1.0, many("1")));
    script.see(&policy, first(1.0, chosen("0.5.0")));
    script.run.announce(vec![tag(TAG)]);
    script.run.begin(at(10.0));
    script.publish(When::at(at(11.0)));
    script.see(&repository, next(11.75, many("2")));
    script.see(&repository, next(11.8, many("2").ready("True", "Succeeded")));
    assert!(!script.run.has_reached(SCANNED));
    script.see(&policy, next(12.0, chosen(TAG)));
    script.see(&repository, next(13.0, many("3")));
    let reached = |it: &&Effect| matches!(it, Effect::Reached(_));
    let told: Vec<_> = script.said.iter().filter(reached).cloned().collect();
    assert_eq!(told, [Effect::Reached(SCANNED), Effect::Reached(POLICY)]);
    let record = script.finish(14.0);
    assert_eq!(kept(&record, SCANNED).unwrap().at, (0.75, 0.75));
    assert_eq!(kept(&record, POLICY).unwrap().stage, Some((0.25, 0.25)));
}

#[test]
fn t8_a_run_that_is_resumed_learns_the_commit_again() {
    let passage = Passage::Reached {
        at: Span::exactly(Duration::from_millis(1500)),
        stage: None,
        wait: None,
        early: false,
        reordered: false,
        uncertain: false,
        via: None,
        webhook: None,
        carried_by: None,
    };
    let mut run = Run::new(Arc::new(plan()), canary(100));
    run.resume(LeftBehind {
        revisions: vec![tag(TAG)],
        began: at(10.0),
        sent: at(10.0),
        zero: When::at(at(11.0)),
        attempts: 1,
        reached: vec![("committed".to_owned(), passage.clone())],
        decided: Vec::new(),
    });
    let times = [("lastAutomationRunTime", 26), ("lastPushTime", 27)];
    let named = times.into_iter().fold(automation(TAG, 'd'), |it, (field, second)| {
        it.with(&format!("/status/{field}"), json!(format!("2026-11-21T03:23:{second}Z")))
    });
    let seen = |subject: &Subject, state: State| Seen { subject: Arc::new(subject.clone()), state };
    run.seen(&seen(&source_subject(), gap(13.0, 20.0, source().artifact('d'))));
    run.seen(&seen(&image("ImageUpdateAutomation"), gap(13.0, 20.0, named)));
    assert_eq!(run.change().carried(&commit('d')), Some(Carried::Learned));
    assert!(run.has_reached(SOURCE), "what was shown before is looked at again");
    assert_eq!(run.passage(AUTOMATION), Some(passage), "what was measured stands");
    let Some(Passage::Reached { uncertain, .. }) = run.passage(SOURCE) else { panic!() };
    assert!(uncertain);
}
