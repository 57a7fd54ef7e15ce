//! Rules that the detector of `condition` obeys, and one object for each well-known kind, before
//! and after, as the projects' own API references show them.

use crate::hop::tests::objects::{Object, at, canary, change, commit, first, next};
use crate::hop::{Condition, ConditionConfig, Detector, HopConfig, Objects};
use crate::model::{Change, Revision, Sighting, State};
use serde_json::{Value, json};
use std::sync::Arc;

const DIGEST: &str = "sha256:679571276cb98a1e8fa7d708d9544573e736061a535dc5f29d661d40d2e7c4c7";

fn ready(status: &str, generation: i64) -> Value {
    json!({"type": "Ready", "status": status, "reason": "Any", "observedGeneration": generation})
}

fn is_reached(detector: &dyn Detector, states: &[State], change: &Change) -> bool {
    let (now, past) = states.split_last().unwrap();
    matches!(detector.look(past, now, change), Sighting::Reached(_))
}

/// Whether an expression is true of an object that was another before the push.
fn holds(expression: &str, before: &Value, now: &Value) -> bool {
    let detector = Condition::new(expression).unwrap();
    let states = [first(1.0, Object::of(before.clone())), next(12.0, Object::of(now.clone()))];
    is_reached(&detector, &states, &change())
}

/// Shows a well-known object as it goes its way; only the last state is reached.
fn passes(key: &str, name: &str, steps: Vec<Value>, change: &Change) {
    let config: HopConfig = serde_json::from_value(json!({"condition": {key: name}})).unwrap();
    assert!(config.kind().subject().is_some(), "{key}");
    let detector: Arc<dyn Detector> = config.kind().detector(&Objects::new()).unwrap();
    let last = steps.len() - 1;
    let mut states = Vec::new();
    for (index, step) in steps.into_iter().enumerate() {
        let seconds = if index == 0 { 1.0 } else { 11.0 + f64::from(u8::try_from(index).unwrap()) };
        let state = next(seconds, Object::of(step));
        states.push(state);
        assert_eq!(is_reached(&*detector, &states, change), index == last, "{key}: state {index}");
    }
}

#[test]
fn an_expression_sees_the_object_and_the_change() {
    let mut change = change();
    change.announce(vec![
        commit('c'),
        Revision::Tag("1.2.3".to_owned()),
        Revision::Version("0.1.1".to_owned()),
        Revision::Digest(DIGEST.to_owned()),
    ]);
    let object = json!({
        "spec": {"run": canary(100).to_string(), "replicas": 2, "ratio": 0.5},
        "data": {"commit": commit('c').id(), "tag": "1.2.3", "version": "0.1.1", "digest": DIGEST},
    });
    let states = [next(12.0, Object::of(object))];
    for expression in [
        "object.spec.run == change.canary",
        "object.data.commit == change.commit && object.data.tag == change.tag",
        "object.data.version == change.version && object.data.digest == change.digest",
        "change.revisions.size() == 4 && object.data.tag in change.revisions",
        "change.present",
        "change.present && object.spec.replicas == 2 && object.spec.ratio < 1.0",
        "change.present && object.spec.replicas > 1",
        "change.present && object.data.tag.matches('^1[.]')",
    ] {
        let detector = Condition::new(expression).unwrap();
        assert!(is_reached(&detector, &states, &change), "{expression}");
    }
}

#[test]
fn what_is_missing_or_no_truth_makes_it_false() {
    let object = json!({"spec": {"run": canary(100).to_string()}});
    for expression in ["object.status.phase == change.canary", "change.canary", "change.tag == ''"]
    {
        assert!(!holds(expression, &object, &object), "{expression}");
    }
    assert!(!holds("change.canary != ''", &object, &Value::Null), "the object is not there");
}

#[test]
fn what_the_object_was_before_the_push_can_be_compared() {
    let [old, new] = ["one", "two"].map(|it| json!({"status": {"hash": it}}));
    let expression = "object.status.hash != change.before.status.hash";
    assert!(!holds(expression, &old, &old));
    assert!(holds(expression, &old, &new));
    let detector = Condition::new(expression).unwrap();
    let mut waiting = Change::new(canary(100));
    let states = [first(1.0, Object::of(old)), next(2.0, Object::of(new))];
    assert!(!is_reached(&detector, &states, &waiting), "t3: nothing is pushed yet");
    waiting.begin(at(3.0));
    assert!(!is_reached(&detector, &states, &waiting), "it was so when publish began");
}

#[test]
fn p11_a_condition_that_is_false_again_is_lost_unless_a_later_canary_came() {
    let detector = Condition::new("object.data.run == change.canary").unwrap();
    let holding = |sequence| json!({"data": {"run": canary(sequence).to_string()}});
    let lost = |sequence| detector.has_lost(&next(20.0, Object::of(holding(sequence))), &change());
    assert!(lost(1));
    assert!(!lost(100));
    assert!(!lost(101));
    let newer = Condition::new("object.data.run != change.before.data.run").unwrap();
    assert!(!newer.has_lost(&next(20.0, Object::of(holding(1))), &change()));
}

#[test]
fn a_text_that_is_no_expression_is_refused_with_its_place() {
    let refused = |text: &str| Condition::new(text).unwrap_err();
    let error = refused("object.spec.run ==");
    assert_eq!(error.line, 1);
    assert!(error.column > 1, "{error}");
    let error = refused("change.present &&\n  self.ready");
    assert_eq!((error.line, error.column), (2, 3), "{error}");
    assert!(error.to_string().contains("only `object` and `change` are"), "{error}");
    assert!(Condition::new("object.list.exists(it, it.ready && change.present)").is_ok());
}

#[test]
fn a_condition_needs_an_object_and_an_expression() {
    let config: ConditionConfig = serde_json::from_value(json!({
        "object": {"group": "example.com", "kind": "Widget", "namespace": "a", "name": "b"},
    }))
    .unwrap();
    assert_eq!(config.named(), ["object"]);
    let config = HopConfig::Condition(Box::new(config));
    assert!(config.kind().detector(&Objects::new()).unwrap_err().contains("`expression`"));
}

#[test]
fn flagger_has_promoted_when_a_new_spec_is_promoted_and_the_phase_is_succeeded() {
    let canary = |phase: &str, applied: &str, promoted: &str, status: &str| {
        json!({"status": {
            "phase": phase,
            "failedChecks": 0,
            "canaryWeight": 0,
            "lastAppliedSpec": applied,
            "lastPromotedSpec": promoted,
            "conditions": [{"type": "Promoted", "status": status, "reason": phase}],
        }})
    };
    let steps = vec![
        canary("Succeeded", "5978589476", "5978589476", "True"),
        canary("Progressing", "7b779dcc48", "5978589476", "Unknown"),
        canary("Finalising", "7b779dcc48", "7b779dcc48", "Unknown"),
        canary("Succeeded", "7b779dcc48", "7b779dcc48", "True"),
    ];
    passes("flagger_canary", "hopclock/podinfo", steps, &change());
    let failed = vec![
        canary("Succeeded", "5978589476", "5978589476", "True"),
        canary("Failed", "7b779dcc48", "5978589476", "False"),
        canary("Succeeded", "7b779dcc48", "7b779dcc48", "True"),
    ];
    passes("flagger_canary", "hopclock/podinfo", failed, &change());
}

#[test]
fn terraform_is_applied_when_its_last_applied_revision_carries_the_change() {
    let object = |applied: &str| {
        json!({"status": {
            "lastAttemptedRevision": format!("main@sha1:{}", commit('c').id()),
            "lastAppliedRevision": applied,
            "conditions": [{"type": "Apply", "status": "True", "reason": "TerraformAppliedSucceed"}],
        }})
    };
    let old = || object(&format!("main@sha1:{}", commit('a').id()));
    for form in ["main@sha1:", "main/"] {
        let new = object(&format!("{form}{}", commit('c').id()));
        passes("terraform", "flux-system/canary", vec![old(), old(), new], &change());
    }
    // A short tag is no end of somebody's commit.
    let mut tagged = change();
    tagged.announce(vec![Revision::Tag("9".to_owned()), commit('c')]);
    let foreign = object(&format!("main@sha1:{}9", "a".repeat(39)));
    let new = object(&format!("main@sha1:{}", commit('c').id()));
    passes("terraform", "flux-system/canary", vec![old(), foreign, new], &tagged);
}

#[test]
fn a_provider_of_crossplane_is_there_when_our_package_is_installed_and_healthy() {
    let provider = |sequence: u64, package: &str, installed: &str, healthy: &str| {
        json!({
            "metadata": {"annotations": {"example.com/canary": canary(sequence).to_string()}},
            "spec": {"package": package},
            "status": {
                "currentIdentifier": installed,
                "currentRevision": "provider-nop-0d9b9e0d5a3c",
                "conditions": [
                    {"type": "Installed", "status": "True", "reason": "ActivePackageRevision"},
                    {"type": "Healthy", "status": healthy, "reason": "HealthyPackageRevision"},
                ],
            },
        })
    };
    let (old, new) = ("xpkg.crossplane.io/nop:v0.4.0", "xpkg.crossplane.io/nop:v0.4.1");
    let steps = vec![
        provider(1, old, old, "True"),
        provider(100, new, old, "True"),
        provider(100, new, new, "Unknown"),
        provider(100, new, new, "True"),
    ];
    passes("crossplane_provider", "provider-nop", steps, &change());
}

#[test]
fn what_holds_the_change_is_ready_at_its_own_generation() {
    let object = |sequence: u64, generation: i64, condition: Value| {
        json!({
            "metadata": {"generation": generation},
            "spec": {"inputs": [{"canary": canary(sequence).to_string()}]},
            "status": {"conditions": [condition]},
        })
    };
    let steps = || {
        vec![
            object(1, 1, ready("True", 1)),
            object(100, 2, ready("True", 1)),
            object(100, 2, ready("False", 2)),
            object(100, 2, ready("True", 2)),
        ]
    };
    passes("certificate", "hopclock/canary", steps(), &change());
    passes("resource_set", "hopclock/canary", steps(), &change());
    let distributed = |object: Value| {
        let mut object = object;
        object["status"]["lastArtifactRevision"] = json!("sha256:0000");
        object
    };
    let steps = steps().into_iter().map(distributed).collect();
    passes("flux_instance", "flux-system/flux", steps, &change());
}

#[test]
fn a_flux_instance_has_our_artifact_when_it_has_applied_its_digest() {
    let object = |digest: &str, status: &str| {
        json!({
            "metadata": {"generation": 1},
            "spec": {"distribution": {"version": "2.x"}},
            "status": {
                "lastAppliedRevision": "v2.9.4@sha256:1111",
                "lastArtifactRevision": digest,
                "conditions": [ready(status, 1)],
            },
        })
    };
    let mut ours = change();
    ours.announce(vec![Revision::Digest(DIGEST.to_owned())]);
    let steps = vec![
        object("sha256:0000", "True"),
        object("sha256:0000", "Unknown"),
        object(DIGEST, "True"),
    ];
    passes("flux_instance", "flux-system/flux", steps, &ours);
}

#[test]
fn an_artifact_generator_is_ready_with_new_sources() {
    let object = |sources: &str, status: &str| {
        json!({
            "metadata": {"generation": 1},
            "status": {
                "observedSourcesDigest": sources,
                "inventory": [{"namespace": "flux-system", "name": "canary", "digest": DIGEST}],
                "conditions": [ready(status, 1)],
            },
        })
    };
    let steps = vec![
        object("sha256:old", "True"),
        object("sha256:old", "Unknown"),
        object("sha256:new", "Unknown"),
        object("sha256:new", "True"),
    ];
    passes("artifact_generator", "flux-system/canary", steps, &change());
}
