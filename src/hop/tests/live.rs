//! Rules that the detector of `live` obeys.

use crate::hop::tests::images::{DIGEST, digest_change, tag_change};
use crate::hop::tests::objects::{
    Object, canary, change, commit, config_map, next, nothing, reached,
};
use crate::hop::{Detector, Live, LiveConfig};
use crate::model::{Carried, Carrier, Change, Revision, Sighting};
use serde_json::{Value, json};
use std::sync::Arc;

fn look(config: &LiveConfig, object: &Value, change: &Change) -> Sighting {
    let now = crate::model::State { value: Arc::new(object.clone()), ..next(12.0, nothing()) };
    Live::new(config).look(&[], &now, change)
}

fn holds(config: &LiveConfig, object: &Value) -> bool {
    look(config, object, &change()) != Sighting::NotYet
}

fn text() -> String {
    canary(100).to_string()
}

#[test]
fn t5_the_canary_is_looked_for_in_spec_data_labels_and_annotations_and_never_in_status() {
    let anywhere = LiveConfig::default();
    for object in [
        json!({"spec": {"template": {"args": ["--run", text()]}}}),
        json!({"data": {"canary.yaml": format!("run: {}\n", text())}}),
        json!({"metadata": {"labels": {"run": text()}}}),
        json!({"metadata": {"annotations": {"run": text()}}}),
    ] {
        assert!(holds(&anywhere, &object), "{object}");
    }
    for object in [
        json!({"status": {"observed": text()}}),
        json!({"metadata": {"name": text()}}),
        json!({"data": {"run": format!("x{}", text())}}),
        json!({"data": {"run": format!("{}.bak", text())}}),
        Value::Null,
    ] {
        assert!(!holds(&anywhere, &object), "{object}");
    }
}

#[test]
fn the_scenario_can_say_where_to_look() {
    let object = json!({
        "metadata": {"annotations": {"run": text()}, "labels": {"other": "x"}},
        "spec": {"template": {"spec": {
            "containers": [{"name": "app", "image": format!("registry/app:{}", text())}],
            "initContainers": [{"name": "init", "image": "registry/init:1"}]}}},
    });
    let key = |it: &str| Some(it.to_owned());
    let annotation = |it| LiveConfig { annotation: key(it), ..LiveConfig::default() };
    let label = |it| LiveConfig { label: key(it), ..LiveConfig::default() };
    let field = |it| LiveConfig { field: key(it), ..LiveConfig::default() };
    let image = |it| LiveConfig { image: key(it), ..LiveConfig::default() };
    assert!(holds(&annotation("run"), &object) && !holds(&annotation("other"), &object));
    assert!(!holds(&label("other"), &object));
    assert!(holds(&field("metadata.annotations"), &object) && !holds(&field("spec.x"), &object));
    assert!(holds(&image("app"), &object) && !holds(&image("init"), &object));
}

#[test]
fn t9_a_later_canary_of_the_lane_is_live_only_where_it_was_learned_to_bring_ours() {
    let later = config_map(102).into_value();
    let config = LiveConfig::default();
    let mut change = change();
    assert_eq!(look(&config, &later, &change), Sighting::NotYet, "no ancestry is known");
    change.learn(Carrier { revision: commit('d'), canary: Some(canary(101)) });
    assert_eq!(look(&config, &later, &change), Sighting::NotYet, "it is later than what carries");
    change.learn(Carrier { revision: commit('e'), canary: Some(canary(103)) });
    let found = reached(look(&config, &later, &change));
    assert_eq!((found.carried, found.canary), (Carried::Ours, Some(canary(102).to_string())));
    let earlier = config_map(99).into_value();
    assert_eq!(look(&config, &earlier, &change), Sighting::NotYet);
}

#[test]
fn t11_nobody_wakes_an_object() {
    let found = reached(look(&LiveConfig::default(), &config_map(100).into_value(), &change()));
    assert_eq!((found.via, found.webhook, found.started), (None, None, None));
}

#[test]
fn p11_an_object_has_lost_the_change_unless_a_later_canary_replaced_it() {
    let live = Live::new(&LiveConfig::default());
    let lost = |object| live.has_lost(&next(14.0, object), &change());
    assert!(lost(config_map(99)));
    assert!(lost(nothing()));
    assert!(!lost(config_map(100)));
    assert!(!lost(config_map(101)));
}

#[test]
fn t5_a_tag_is_live_as_a_whole_word_and_never_in_status() {
    let change = tag_change();
    let at = |object: Value| look(&LiveConfig::default(), &object, &change) != Sighting::NotYet;
    assert!(at(json!({"data": {"image": "127.0.0.1:5001/team/app:0.5.1"}})));
    assert!(at(json!({"spec": {"values": {"image": {"tag": "0.5.1"}}}})));
    assert!(!at(json!({"data": {"image": "127.0.0.1:5001/team/app:0.5.10"}})));
    assert!(!at(json!({"status": {"image": "app:0.5.1"}})));
    assert!(!at(json!({"metadata": {"name": "0.5.1"}})));
}

#[test]
fn the_image_of_one_container_is_not_that_of_another() {
    let pod = json!([{"name": "app", "image": "a:0.5.0"}, {"name": "proxy", "image": "b:0.5.1"}]);
    let object = json!({"spec": {"template": {"spec": {"containers": pod}}}});
    let image = |it: &str| LiveConfig { image: Some(it.to_owned()), ..LiveConfig::default() };
    assert_eq!(look(&image("app"), &object, &tag_change()), Sighting::NotYet);
    assert_ne!(look(&image("proxy"), &object, &tag_change()), Sighting::NotYet);
}

#[test]
fn a_digest_or_a_charts_version_is_live_as_well() {
    let object =
        json!({"data": {"image": format!("app:latest@{DIGEST}"), "version": "0.1.2+88a1"}});
    let anywhere = LiveConfig::default();
    assert_ne!(look(&anywhere, &object, &digest_change()), Sighting::NotYet);
    let mut change = Change::new(canary(100));
    change.announce(vec![Revision::Version("0.1.2".to_owned())]);
    assert_ne!(look(&anywhere, &object, &change), Sighting::NotYet);
    change.announce(vec![Revision::Version("0.1.3".to_owned())]);
    assert_eq!(look(&anywhere, &object, &change), Sighting::NotYet);
}

#[test]
fn p11_an_object_that_names_another_tag_again_has_lost_the_change() {
    let live = Live::new(&LiveConfig::default());
    let named = |tag: &str| next(14.0, Object::of(json!({"data": {"tag": tag}})));
    assert!(live.has_lost(&named("0.5.0"), &tag_change()));
    assert!(!live.has_lost(&named("0.5.1"), &tag_change()));
}
