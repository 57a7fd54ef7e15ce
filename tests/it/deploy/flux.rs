//! The Flux-native example fits together: chart and values, scenario and lane, token and listener.

use crate::chart_kit::has_helm;
use crate::deploy::{folder, objects, of, one, rendered_with};
use serde_json::Value;
use std::collections::BTreeSet;

fn example(file: &str) -> Vec<Value> {
    objects(&std::fs::read_to_string(folder().join("flux").join(file)).unwrap())
}

/// Every `namespace/name` in a value.
fn named(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.starts_with("flux-system/") => {
            all.insert(text.clone());
        }
        Value::Array(list) => list.iter().for_each(|it| named(it, all)),
        Value::Object(map) => map.values().for_each(|it| named(it, all)),
        _ => {}
    }
}

#[test]
fn the_example_of_flux_fits_together() {
    if !has_helm() {
        return;
    }
    let (lane, installed) = (example("canary.yaml"), example("hopclock.yaml"));
    let release = one(&installed, "HelmRelease");
    let values = &release["spec"]["values"];
    let made = rendered_with(&values.to_string()).unwrap();
    let source = one(&lane, "GitRepository");
    assert_eq!(source["metadata"]["annotations"]["hopclock.dev/canary"], "hopclock");
    let secret =
        |it: &Value| format!("flux-system/{}", it["spec"]["secretRef"]["name"].as_str().unwrap());
    assert_eq!(values["rbac"]["secrets"][0], secret(source));
    assert_eq!(
        values["notifications"]["listeners"]["flux"]["secret"],
        secret(one(&made, "Provider"))
    );
    let applied = &one(&made, "Alert")["spec"]["eventSources"][0];
    assert_eq!(applied["name"], one(&lane, "Kustomization")["metadata"]["name"]);
    // What the scenario looks at is in the lane, and the file that it rewrites in the repository.
    let mut names = BTreeSet::new();
    named(&values["scenarios"], &mut names);
    for object in &lane {
        let metadata = &object["metadata"];
        names.remove(&format!(
            "{}/{}",
            metadata["namespace"].as_str().unwrap(),
            metadata["name"].as_str().unwrap()
        ));
    }
    assert!(names.is_empty(), "{names:?}");
    let path = values["scenarios"]["fleet-git"]["trigger"]["git_commit"]["path"].as_str().unwrap();
    let canary = example(&format!("canary-repository/{path}"));
    assert_eq!(one(&canary, "ConfigMap")["metadata"]["name"], "canary");
    let chart = one(&installed, "OCIRepository")["metadata"]["name"].clone();
    assert_eq!(release["spec"]["chartRef"]["name"], chart);
    assert_eq!(of(&made, "Deployment").len(), 1);
}
