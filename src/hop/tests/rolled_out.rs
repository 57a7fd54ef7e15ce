//! Rules that the detector of `rolled_out` obeys.

use crate::hop::tests::objects::{Object, canary, change, first, next, reached, split};
use crate::hop::{Detector, HopConfig, Objects};
use crate::model::{Carried, Change, Revision, Sighting, State};
use serde_json::{Value, json};
use std::sync::Arc;

fn config(kind: &str) -> HopConfig {
    serde_json::from_value(json!({"rolled_out": {kind: "apps/web"}})).unwrap()
}

fn detector(kind: &str, object: &Value) -> Result<Arc<dyn Detector>, String> {
    let config = config(kind);
    let subject = config.kind().subject().unwrap();
    config.kind().detector(&Objects::from([(subject, object.clone())]))
}

/// A Deployment of three pods at a generation whose template holds the canary of this sequence.
fn deployment(generation: i64, sequence: u64) -> Value {
    json!({
        "kind": "Deployment",
        "metadata": {"generation": generation},
        "spec": {"replicas": 3, "template": {"metadata": {"annotations": {
            "example.com/canary": canary(sequence).to_string(),
        }}}},
        "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3},
    })
}

fn status(mut object: Value, counts: [i64; 4]) -> Value {
    let fields = ["observedGeneration", "replicas", "updatedReplicas", "availableReplicas"];
    for (field, count) in fields.into_iter().zip(counts) {
        object["status"][field] = json!(count);
    }
    object
}

fn look(states: &[State]) -> Sighting {
    let (past, now) = split(states);
    detector("deployment", &deployment(1, 1)).unwrap().look(past, now, &change())
}

#[test]
fn a_deployment_is_rolled_out_when_all_its_pods_are_new_and_available() {
    let new = || deployment(2, 100);
    let steps = [
        new(),
        status(new(), [2, 4, 1, 3]),
        status(new(), [2, 4, 3, 3]),
        status(new(), [2, 3, 3, 2]),
        status(new(), [2, 3, 3, 3]),
    ];
    let mut states = vec![first(1.0, Object::of(deployment(1, 1)))];
    let mut seconds = 11.0;
    for step in steps {
        assert!(!matches!(look(&states), Sighting::Reached(_)), "{seconds}");
        states.push(next(seconds, Object::of(step)));
        seconds += 1.0;
    }
    let reached = reached(look(&states));
    assert_eq!(reached.when, states[5].when);
    assert_eq!(reached.started, Some(states[2].when), "t10: when the generation was taken up");
}

#[test]
fn what_the_status_said_of_an_earlier_generation_does_not_count() {
    let states =
        [first(1.0, Object::of(deployment(1, 1))), next(11.0, Object::of(deployment(2, 100)))];
    assert_eq!(look(&states), Sighting::Progress);
}

#[test]
fn no_pods_at_all_are_no_rollout() {
    let mut none = status(deployment(2, 100), [2, 0, 0, 0]);
    none["spec"]["replicas"] = json!(0);
    let states = [first(1.0, Object::of(deployment(1, 1))), next(11.0, Object::of(none))];
    assert_eq!(look(&states), Sighting::Progress);
}

#[test]
fn p5_a_paused_deployment_is_suspended() {
    let mut paused = deployment(1, 1);
    paused["spec"]["paused"] = json!(true);
    assert_eq!(look(&[first(1.0, Object::of(paused))]), Sighting::Suspended);
}

#[test]
fn p11_a_template_without_the_canary_has_lost_it() {
    let detector = detector("deployment", &Value::Null).unwrap();
    let lost = |object| detector.has_lost(&next(20.0, Object::of(object)), &change());
    assert!(lost(deployment(3, 1)));
    assert!(!lost(deployment(3, 101)), "a later one of the lane is no loss");
}

#[test]
fn a_daemon_set_counts_nodes() {
    let daemon_set = |ready: i64| {
        json!({
            "kind": "DaemonSet",
            "metadata": {"generation": 2},
            "spec": {"template": {"spec": {"containers": [{"env": [{"value": canary(100).to_string()}]}]}}},
            "status": {
                "observedGeneration": 2,
                "desiredNumberScheduled": 2,
                "updatedNumberScheduled": 2,
                "numberAvailable": ready,
            },
        })
    };
    let detector = detector("daemon_set", &daemon_set(0)).unwrap();
    let look = |ready| detector.look(&[], &next(12.0, Object::of(daemon_set(ready))), &change());
    assert_eq!(look(1), Sighting::Progress);
    assert!(matches!(look(2), Sighting::Reached(_)));
}

#[test]
fn a_tag_counts_in_the_image_and_not_as_a_number_of_the_template() {
    let runs = |image: &str| {
        let mut object = status(deployment(2, 1), [2, 3, 3, 3]);
        object["spec"]["template"]["spec"]["containers"] =
            json!([{"image": image, "env": [{"name": "PORT", "value": "8080"}]}]);
        next(12.0, Object::of(object))
    };
    let mut tag = Change::new(canary(100));
    tag.announce(vec![Revision::Tag("8080".to_owned())]);
    let detector = detector("deployment", &Value::Null).unwrap();
    assert_eq!(detector.look(&[], &runs("team/app:8079"), &tag), Sighting::NotYet);
    let found = reached(detector.look(&[], &runs("team/app:8080"), &tag));
    assert_eq!(found.carried, Carried::Ours);
}

#[test]
fn a_workload_that_keeps_old_pods_is_refused() {
    let on_delete = json!({"spec": {"updateStrategy": {"type": "OnDelete"}}});
    let partition = json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}});
    let all = json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}});
    for (kind, object, word) in [
        ("stateful_set", &on_delete, "OnDelete"),
        ("daemon_set", &on_delete, "OnDelete"),
        ("stateful_set", &partition, "partition"),
    ] {
        let refused = detector(kind, object).unwrap_err();
        assert!(refused.contains(word) && refused.contains("apps/web"), "{refused}");
    }
    assert!(detector("stateful_set", &all).is_ok());
}
