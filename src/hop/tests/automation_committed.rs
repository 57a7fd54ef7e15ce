//! Rules that the detectors of `automation_committed` obey.

use crate::hop::tests::images::{TAG, automation, branch, tag_change};
use crate::hop::tests::objects::{
    Object, commit, first, gap, next, nothing, reached, split, webhook,
};
use crate::hop::{
    AutomationCommitted, AutomationCommittedConfig, BranchCommitted, Detector, Kind, Objects,
};
use crate::model::{
    Failure, FailureSort, ObjectName, Revision, RevisionSort, Sighting, State, Via,
};
use serde_json::{Value, json};

fn committed() -> AutomationCommitted {
    AutomationCommitted { policy: "app".to_owned() }
}

fn look(states: &[State]) -> Sighting {
    let (past, now) = split(states);
    committed().look(past, now, &tag_change())
}

fn learns(states: &[State]) -> Vec<Revision> {
    let (past, now) = split(states);
    committed().learns(past, now, &tag_change())
}

fn no_marker() -> Sighting {
    let (reason, sort) = ("no_marker".to_owned(), FailureSort::OfOurs);
    Sighting::Failing(Failure { reason, sort, stalled: false })
}

fn old() -> Object {
    automation("0.5.0", 'a')
}

#[test]
fn t8_the_patch_that_names_our_tag_with_a_new_commit_teaches_the_commit() {
    let states = [
        first(1.0, old()),
        next(12.0, old().ready("True", "Succeeded")),
        next(12.5, automation(TAG, 'd')),
        next(14.0, automation(TAG, 'd').ready("True", "Succeeded")),
    ];
    assert_eq!((look(&states[..2]), learns(&states[..2])), (Sighting::NotYet, vec![]));
    let found = reached(look(&states[..3]));
    assert_eq!((found.when, found.via), (states[2].when, Some(Via::Upstream)));
    assert_eq!(learns(&states[..3]), [commit('d')]);
    assert_eq!(reached(look(&states)).when, states[2].when, "a later state moves nothing");
    assert!(learns(&states).is_empty());
}

#[test]
fn o1_naming_our_tag_without_a_new_commit_is_no_marker_until_the_hop_is_reached() {
    let states = [
        first(1.0, old()),
        next(12.0, automation(TAG, 'a')),
        next(13.0, automation(TAG, 'a').reconciling("retrying")),
        next(14.0, automation(TAG, 'a').ready("True", "Succeeded")),
        next(15.0, automation("0.6.0", 'a')),
        next(16.0, automation(TAG, 'a')),
    ];
    for end in 2..=states.len() {
        assert_eq!((look(&states[..end]), learns(&states[..end])), (no_marker(), vec![]), "{end}");
    }
    let back = next(17.0, automation(TAG, 'd'));
    let states = [&states[..4], &[back]].concat();
    assert_eq!(reached(look(&states)).when, states[4].when);
    assert_eq!(learns(&states), [commit('d')]);
}

#[test]
fn t8_a_push_for_another_policy_is_not_taken_for_ours_where_ours_had_no_marker() {
    let other = |tag: &str, pushed| {
        automation(TAG, pushed).with("/status/observedPolicies/other", json!({"tag": tag}))
    };
    let states = [first(1.0, old()), next(12.0, other("1", 'a')), next(14.0, other("2", 'e'))];
    assert_eq!((look(&states), learns(&states)), (no_marker(), vec![]));
}

#[test]
fn t6_what_was_missed_is_known_between_bounds_and_still_teaches() {
    let states = [first(1.0, old()), gap(11.0, 13.0, automation(TAG, 'd'))];
    assert_eq!(reached(look(&states)).when, states[1].when);
    assert_eq!(learns(&states), [commit('d')]);
}

#[test]
fn t8_a_first_state_teaches_only_if_the_automations_last_run_pushed() {
    let shown = |began: &str, pushed: &str| {
        let it = automation(TAG, 'd').with("/status/lastAutomationRunTime", json!(began));
        [gap(11.0, 13.0, it.with("/status/lastPushTime", json!(pushed)))]
    };
    let states = shown("2026-11-21T03:23:26Z", "2026-11-21T03:23:27Z");
    assert_eq!(learns(&states), [commit('d')]);
    assert_eq!(reached(look(&states)).when, states[0].when);
    let states = shown("2026-11-21T03:23:06Z", "2026-11-21T02:36:41Z");
    assert_eq!((look(&states), learns(&states)), (Sighting::NotYet, vec![]));
    let unsaid = [gap(11.0, 13.0, automation(TAG, 'd'))];
    assert_eq!((look(&unsaid), learns(&unsaid)), (Sighting::NotYet, vec![]));
}

#[test]
fn t3_what_was_named_before_publish_began_is_not_ours() {
    let states = [first(1.0, old()), next(9.0, automation(TAG, 'd'))];
    assert_eq!((look(&states), learns(&states)), (Sighting::NotYet, vec![]));
}

#[test]
fn t11_a_request_that_the_automation_echoes_woke_it() {
    let request = webhook(11);
    let states = [
        first(1.0, old()),
        next(11.0, old().requested(&request)),
        next(12.5, automation(TAG, 'd').requested(&request).handled(&request)),
    ];
    assert_eq!(reached(look(&states)).via, Some(Via::Webhook));
}

#[test]
fn an_automation_that_fails_or_is_suspended_says_so() {
    let failing = old().ready("False", "GitOperationFailed");
    let failure = Failure {
        reason: "GitOperationFailed".to_owned(),
        sort: FailureSort::OfAny,
        stalled: false,
    };
    assert_eq!(look(&[first(1.0, old()), next(12.0, failing)]), Sighting::Failing(failure));
    assert_eq!(look(&[first(1.0, old().suspended())]), Sighting::Suspended);
    let states = [first(1.0, old()), next(12.0, automation(TAG, 'a').suspended())];
    assert_eq!(look(&states), Sighting::Suspended);
}

#[test]
fn t8_the_branch_teaches_the_commit_whose_marked_line_changed_to_our_tag() {
    let ours = BranchCommitted { policy: "flux-system:app".to_owned() };
    let change = tag_change();
    let states = [
        first(1.0, branch('a', "host/app:0.5.0")),
        next(12.0, branch('b', "host/app:0.5.10")),
        next(12.2, branch('d', "host/app:0.5.1")),
        next(13.0, branch('e', "host/app:0.5.1")),
    ];
    for end in 1..=2 {
        let (past, now) = split(&states[..end]);
        assert_eq!(ours.look(past, now, &change), Sighting::NotYet);
        assert!(ours.learns(past, now, &change).is_empty());
    }
    let (past, now) = split(&states[..3]);
    assert_eq!(reached(ours.look(past, now, &change)).when, states[2].when);
    assert_eq!(ours.learns(past, now, &change), [commit('d')]);
    let (past, now) = split(&states);
    assert!(ours.learns(past, now, &change).is_empty(), "it was taught already");
    assert_eq!(ours.look(&[], &next(12.0, nothing()), &change), Sighting::NotYet);
    let other = BranchCommitted { policy: "flux-system:other".to_owned() };
    assert_eq!(other.look(past, now, &change), Sighting::NotYet);
}

#[test]
fn the_witness_is_the_branch_that_the_automation_pushes_to() {
    let pushes_to = |git: Value| {
        let spec = json!({"sourceRef": {"name": "fleet"}, "git": git});
        let objects = Objects::from([(config().subject().unwrap(), json!({"spec": spec}))]);
        config().witnesses(&objects)[0].0.to_string()
    };
    let checkout = json!({"ref": {"branch": "main"}});
    let fleet = |branch: &str| format!("GitBranch flux-system/fleet{branch}");
    assert_eq!(pushes_to(json!({})), fleet(""));
    assert_eq!(pushes_to(json!({"checkout": checkout})), fleet("@main"));
    let push = json!({"branch": "images"});
    assert_eq!(pushes_to(json!({"checkout": checkout, "push": push})), fleet("@images"));
    // A refspec is pushed to beside the branch, and after it.
    let push = json!({"refspec": "refs/heads/main:refs/heads/images"});
    assert_eq!(pushes_to(json!({"checkout": checkout, "push": push})), fleet("@main"));
    let push = json!({"branch": "auto", "refspec": "refs/heads/auto:refs/heads/staging"});
    assert_eq!(pushes_to(json!({"checkout": checkout, "push": push})), fleet("@auto"));
}

#[test]
fn an_automation_has_to_select_the_policy() {
    let built = |selector: Value| {
        let automation = json!({"spec": {"policySelector": selector}});
        let policy = json!({"metadata": {"labels": {"app": "web"}}});
        let kind = config();
        let subjects = [kind.subject().unwrap(), kind.needs().remove(0)];
        let objects = subjects.into_iter().zip([automation, policy]).collect();
        kind.detector(&objects).map(|_| ())
    };
    assert_eq!(built(Value::Null), Ok(()));
    assert_eq!(built(json!({"matchLabels": {"app": "web"}})), Ok(()));
    let why = built(json!({"matchLabels": {"app": "api"}})).unwrap_err();
    assert!(why.contains("does not select ImagePolicy flux-system/app"), "{why}");
    let by = |operator: &str, values: Value| {
        let one = json!({"key": "app", "operator": operator, "values": values});
        built(json!({"matchExpressions": [one]})).is_ok()
    };
    assert!(by("In", json!(["web"])) && !by("In", json!(["api"])));
    assert!(by("NotIn", json!(["api"])) && !by("NotIn", json!(["web"])));
    assert!(by("Exists", json!([])) && !by("DoesNotExist", json!([])));
}

#[test]
fn it_is_for_images_of_its_own_namespace() {
    let elsewhere = AutomationCommittedConfig {
        image_policy: Some(ObjectName::new("apps", "app")),
        ..config()
    };
    let why = elsewhere.detector(&Objects::new()).unwrap_err();
    assert!(why.contains("its own namespace only"), "{why}");
    let unsaid = AutomationCommittedConfig { image_policy: None, ..config() };
    assert!(unsaid.detector(&Objects::new()).unwrap_err().contains("`image_policy`"));
    assert_eq!(config().suits(RevisionSort::Digest, None), Ok(()));
    assert!(config().suits(RevisionSort::Commit, None).is_err());
}

fn config() -> AutomationCommittedConfig {
    let name = |it| ObjectName::new("flux-system", it);
    AutomationCommittedConfig {
        image_update_automation: name("fleet"),
        image_policy: Some(name("app")),
    }
}
