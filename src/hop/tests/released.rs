//! Rules that the detector of `applied` obeys where it looks at a HelmRelease. The objects are those
//! of the recordings, cut down to what is read.

use crate::hop::tests::objects::{Object, at, canary, change, commit, first, next, reached, split};
use crate::hop::{Detector, Released};
use crate::model::{
    Carried, Change, FailureSort, GroupKind, Revision, Sighting, State, Subject, Via, When,
};
use serde_json::{Value, json};

const OLD: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const NEW: &str = "sha256:f5a8571927b4df28861db525235871ae853e1ac28be89e30cb10ec3fc30d1c52";
const DIGEST: &str = "sha256:679571276cb98a1e8fa7d708d9544573e736061a535dc5f29d661d40d2e7c4c7";

/// A release of version 0.1.0 that is deployed with the old values.
fn release() -> Value {
    json!({
        "kind": "HelmRelease",
        "metadata": {"namespace": "apps", "name": "web", "generation": 1},
        "spec": {"values": {"run": "seed"}},
        "status": {
            "observedGeneration": 1,
            "lastAttemptedGeneration": 1,
            "lastAttemptedRevision": "0.1.0",
            "lastAttemptedConfigDigest": OLD,
            "history": [{"status": "deployed", "chartVersion": "0.1.0", "configDigest": OLD}],
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "InstallSucceeded"},
                {"type": "Released", "status": "True", "reason": "InstallSucceeded"},
            ],
        },
    })
}

/// The same, with some fields of the status changed.
fn with(mut object: Value, status: &Value) -> Value {
    for (key, value) in status.as_object().unwrap() {
        object["status"][key] = value.clone();
    }
    object
}

fn conditions(all: &[(&str, &str, &str)]) -> Value {
    let one = |it: &(&str, &str, &str)| json!({"type": it.0, "status": it.1, "reason": it.2, "message": "", "observedGeneration": 1});
    all.iter().map(one).collect()
}

/// A change that brings version 0.1.1 of a chart.
fn chart_change() -> Change {
    let mut change = Change::new(canary(100));
    change.announce(vec![Revision::Version("0.1.1".to_owned())]);
    change.dismiss(Revision::Version("0.1.0".to_owned()));
    change.begin(at(10.0));
    change
}

fn attempted() -> Value {
    let ready =
        conditions(&[("Reconciling", "True", "Progressing"), ("Ready", "Unknown", "Progressing")]);
    with(release(), &json!({"lastAttemptedRevision": "0.1.1", "conditions": ready}))
}

fn deployed(version: &str) -> Value {
    with(
        attempted(),
        &json!({"history": [
            {"status": "deployed", "chartVersion": version, "configDigest": OLD},
            {"status": "superseded", "chartVersion": "0.1.0", "configDigest": OLD},
        ]}),
    )
}

fn rolled_back() -> Value {
    let told = conditions(&[
        ("Ready", "False", "RollbackSucceeded"),
        ("Released", "False", "UpgradeFailed"),
        ("Remediated", "True", "RollbackSucceeded"),
    ]);
    with(
        attempted(),
        &json!({"conditions": told, "history": [
            {"status": "deployed", "chartVersion": "0.1.0", "configDigest": OLD},
            {"status": "failed", "chartVersion": "0.1.1", "configDigest": OLD},
        ]}),
    )
}

fn states(objects: Vec<Value>) -> Vec<State> {
    let mut seconds = 11.0;
    let mut states = vec![first(1.0, Object::of(release()))];
    for object in objects {
        states.push(next(seconds, Object::of(object)));
        seconds += 1.0;
    }
    states
}

fn look(states: &[State], change: &Change) -> Sighting {
    let (past, now) = split(states);
    Released.look(past, now, change)
}

#[test]
fn a_new_chart_is_released_when_the_newest_release_is_deployed_with_its_version() {
    let ready = with(
        attempted(),
        &json!({
            "conditions": conditions(&[("Ready", "True", "UpgradeSucceeded")]),
        }),
    );
    let states = states(vec![attempted(), ready, deployed("0.1.1")]);
    assert_eq!(look(&states[..2], &chart_change()), Sighting::Progress);
    assert_eq!(look(&states[..3], &chart_change()), Sighting::NotYet, "ready, but no history yet");
    let reached = reached(look(&states, &chart_change()));
    assert_eq!((reached.carried, reached.via), (Carried::Ours, Some(Via::Upstream)));
    assert_eq!(reached.started, Some(states[1].when), "t10: when it was attempted");
}

#[test]
fn a_chart_of_a_registry_is_told_by_its_version_or_by_its_digest() {
    let version = states(vec![deployed("0.1.1+679571276cb9")]);
    assert_eq!(reached(look(&version, &chart_change())).carried, Carried::Ours);
    let mut by_digest = change();
    by_digest.announce(vec![Revision::Digest(DIGEST.to_owned())]);
    let mut object = deployed("9.9.9+000000000000");
    object["status"]["history"][0]["ociDigest"] = json!(DIGEST);
    assert_eq!(reached(look(&states(vec![object]), &by_digest)).carried, Carried::Ours);
}

#[test]
fn another_version_and_a_release_that_is_not_deployed_are_not_ours() {
    let mut pending = deployed("0.1.1");
    pending["status"]["history"][0]["status"] = json!("pending-upgrade");
    for object in [deployed("0.1.10"), pending] {
        assert_eq!(look(&states(vec![object]), &chart_change()), Sighting::Progress);
    }
}

#[test]
fn o1_a_release_that_was_rolled_back_names_the_action_that_failed() {
    let failed =
        conditions(&[("Ready", "False", "UpgradeFailed"), ("Released", "False", "UpgradeFailed")]);
    for object in [with(attempted(), &json!({"conditions": failed})), rolled_back()] {
        let Sighting::Failing(failure) = look(&states(vec![object]), &chart_change()) else {
            panic!("not failing");
        };
        assert_eq!(failure.reason, "UpgradeFailed");
        assert_eq!((failure.sort, failure.stalled), (FailureSort::OfOurs, false));
    }
}

#[test]
fn o1_a_release_that_gave_up_on_our_chart_fails_at_once() {
    let stalled = conditions(&[
        ("Stalled", "True", "RetriesExceeded"),
        ("Ready", "False", "RollbackSucceeded"),
        ("Released", "False", "UpgradeFailed"),
    ]);
    let gave_up = with(rolled_back(), &json!({"conditions": stalled}));
    let of_others = with(gave_up.clone(), &json!({"lastAttemptedRevision": "0.1.9"}));
    let look = |object| look(&states(vec![object]), &chart_change());
    assert!(matches!(look(gave_up), Sighting::Failing(it) if it.stalled));
    assert_eq!(look(of_others), Sighting::Progress, "it speaks of somebody else's chart");
}

#[test]
fn o1_a_release_that_waits_for_its_source_names_no_revision() {
    let waiting = conditions(&[("Ready", "False", "SourceNotReady")]);
    let object = with(release(), &json!({"conditions": waiting}));
    let Sighting::Failing(failure) = look(&states(vec![object]), &chart_change()) else { panic!() };
    assert_eq!(failure.sort, FailureSort::OfAny);
    let mut suspended = release();
    suspended["spec"]["suspend"] = json!(true);
    assert_eq!(look(&states(vec![suspended]), &chart_change()), Sighting::Suspended);
}

#[test]
fn p11_a_release_that_goes_back_to_an_old_chart_has_lost_the_change() {
    let lost = |object| Released.has_lost(&next(20.0, Object::of(object)), &chart_change());
    assert!(lost(rolled_back()));
    assert!(!lost(deployed("0.1.1")));
    assert!(!lost(deployed("0.1.2")), "a later one is not known to be without ours");
}

/// The generation whose spec holds our canary.
fn edited() -> Value {
    let mut object = release();
    object["metadata"]["generation"] = json!(2);
    object["spec"]["values"]["run"] = json!(canary(100).to_string());
    object
}

fn upgraded(observed: i64) -> Value {
    with(
        edited(),
        &json!({
            "observedGeneration": observed,
            "lastAttemptedGeneration": 2,
            "lastAttemptedConfigDigest": NEW,
            "history": [{"status": "deployed", "chartVersion": "0.1.0", "configDigest": NEW}],
        }),
    )
}

#[test]
fn new_values_are_released_when_their_generation_is_attempted_observed_and_deployed() {
    let mut taken_up = edited();
    taken_up["status"]["conditions"] = json!([
        {"type": "Reconciling", "status": "True", "reason": "Progressing", "observedGeneration": 2},
    ]);
    let attempted = with(
        edited(),
        &json!({
            "lastAttemptedGeneration": 2,
            "lastAttemptedConfigDigest": NEW,
        }),
    );
    let states = states(vec![edited(), taken_up, attempted, upgraded(1), upgraded(2)]);
    for end in 1..states.len() {
        let sighting = look(&states[..end], &change());
        assert!(!matches!(sighting, Sighting::Reached(_)), "{end}: {sighting:?}");
    }
    let reached = reached(look(&states, &change()));
    assert_eq!(reached.started, Some(states[2].when), "t10: Reconciling for that generation");
}

#[test]
fn o1_new_values_that_fail_are_a_failure_of_ours() {
    let failed =
        conditions(&[("Ready", "False", "UpgradeFailed"), ("Released", "False", "UpgradeFailed")]);
    let object = |attempted: i64| {
        with(edited(), &json!({"lastAttemptedGeneration": attempted, "conditions": failed}))
    };
    let look = |object| look(&states(vec![edited(), object]), &change());
    assert!(matches!(look(object(2)), Sighting::Failing(it) if it.sort == FailureSort::OfOurs));
    assert_eq!(look(object(1)), Sighting::Progress);
}

#[test]
fn p11_new_values_are_lost_by_a_rollback_and_not_by_the_next_upgrade() {
    let mut change = change();
    change.dismiss(Revision::Version("0.1.0".to_owned()));
    let old = json!([{"status": "deployed", "chartVersion": "0.1.0", "configDigest": OLD}]);
    let back = with(
        upgraded(2),
        &json!({
            "history": old,
            "conditions": conditions(&[("Released", "False", "UpgradeFailed")]),
        }),
    );
    let next_one = with(upgraded(2), &json!({"lastAttemptedConfigDigest": "sha256:another"}));
    assert!(Released.has_lost(&next(20.0, Object::of(back)), &change));
    assert!(!Released.has_lost(&next(20.0, Object::of(next_one)), &change));
}

#[test]
fn values_of_another_object_are_released_with_the_first_new_digest_after_it_changed() {
    let from = |mut object: Value| {
        object["spec"] = json!({"valuesFrom": [{"kind": "ConfigMap", "name": "web-values"}]});
        object
    };
    let new = |digest: &str| {
        from(with(
            release(),
            &json!({
                "lastAttemptedConfigDigest": digest,
                "history": [{"status": "deployed", "chartVersion": "0.1.0", "configDigest": digest}],
            }),
        ))
    };
    let states = states(vec![new("sha256:others"), new("sha256:others"), new(NEW)]);
    let mut landed = change();
    assert_eq!(look(&states, &landed), Sighting::NotYet);
    let values = Subject::local(GroupKind::new("", "ConfigMap"), "apps", "web-values");
    assert!(landed.arrive(&values, When::at(at(12.0))));
    assert_eq!(look(&states[..3], &landed), Sighting::NotYet, "it had that digest before");
    assert_eq!(reached(look(&states, &landed)).when, states[3].when);
}

#[test]
fn a_learned_version_that_the_spec_named_all_along_is_no_new_value() {
    let mut object = release();
    object["spec"] = json!({"chart": {"spec": {"chart": "web", "version": "0.1.1"}}});
    let mut learned = change();
    learned.extend(Revision::Version("0.1.1".to_owned()));
    assert_eq!(look(&states(vec![object]), &learned), Sighting::NotYet);
}

#[test]
fn a_tag_among_the_values_is_released_like_a_canary() {
    let tagged = |generation: i64| {
        let mut object = edited();
        object["spec"] = json!({"values": {"image": {"tag": "2.0.1"}, "port": "2.0.1-debug"}});
        object["status"]["lastAttemptedGeneration"] = json!(generation);
        object
    };
    let mut tag = Change::new(canary(100));
    tag.announce(vec![Revision::Tag("2.0.1".to_owned())]);
    tag.begin(at(10.0));
    let mut done = upgraded(2);
    done["spec"] = tagged(2)["spec"].clone();
    let states = states(vec![tagged(1), done]);
    assert!(!matches!(look(&states[..2], &tag), Sighting::Reached(_)));
    assert_eq!(reached(look(&states, &tag)).carried, Carried::Ours);
}

#[test]
fn a_commit_shows_in_no_release_without_its_values() {
    let mut object = deployed("0.1.1");
    object["status"]["lastAttemptedRevision"] = json!(commit('c').id());
    assert_eq!(look(&states(vec![object]), &change()), Sighting::Progress);
}
