//! Dependencies between `Kustomization`s.
//!
//! They are checked when a dependent runs and not watched: one that is not ready, or not at the
//! revision of a source that both share, costs the dependent a flat half minute.

use std::collections::HashMap;

use serde_json::Value;

use crate::flux::draft;
use crate::store::Key;
use crate::store::Store;

/// Checks all dependencies; the error says which one is not ready and why.
pub(super) fn check(store: &Store, object: &Value, revision: &str) -> Result<(), String> {
    let needed = object["spec"]["dependsOn"].as_array().map_or(&[][..], Vec::as_slice);
    if needed.iter().any(|needed| !needed["readyExpr"].is_null()) {
        return Err("`readyExpr` is not evaluated in the sandbox: remove it".to_owned());
    }
    for key in of(object) {
        let name = format!("{}/{}", key.namespace, key.name);
        let Some(other) = store.get(&key) else {
            let kind = "kustomizations.kustomize.toolkit.fluxcd.io";
            return Err(format!(
                "dependency '{name}' not found: {kind} \"{}\" not found",
                key.name
            ));
        };
        let observed = &other["status"]["observedGeneration"];
        let seen = *observed == other["metadata"]["generation"];
        if !seen || !draft::is_true(&other, "Ready") {
            return Err(format!("dependency '{name}' is not ready"));
        }
        let shared = source_of(object) == source_of(&other);
        if shared && other["status"]["lastAppliedRevision"] != revision {
            return Err(format!("dependency '{name}' revision is not up to date"));
        }
    }
    Ok(())
}

/// The objects in an order in which each comes after those that it depends on.
pub(super) fn in_order(objects: Vec<Key>, store: &Store) -> Vec<Key> {
    let needs: HashMap<Key, Vec<Key>> = objects
        .iter()
        .map(|key| (key.clone(), store.get(key).map(|object| of(&object)).unwrap_or_default()))
        .collect();
    let mut left = objects;
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let free = |key: &Key| needs[key].iter().all(|needed| !left.contains(needed));
        let (mut ready, blocked): (Vec<Key>, Vec<Key>) = left.iter().cloned().partition(free);
        if ready.is_empty() {
            // A cycle: nobody in it will ever become ready, in whatever order.
            ordered.extend(blocked);
            return ordered;
        }
        ordered.append(&mut ready);
        left = blocked;
    }
    ordered
}

/// The source that an object is built from.
pub(super) fn source_of(object: &Value) -> Key {
    let reference = &object["spec"]["sourceRef"];
    let own = object["metadata"]["namespace"].as_str().unwrap_or_default();
    Key::new(
        reference["kind"].as_str().unwrap_or_default(),
        reference["namespace"].as_str().unwrap_or(own),
        reference["name"].as_str().unwrap_or_default(),
    )
}

fn of(object: &Value) -> Vec<Key> {
    let own = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let read = |needed: &Value| {
        let namespace = needed["namespace"].as_str().unwrap_or(own);
        Key::new("Kustomization", namespace, needed["name"].as_str().unwrap_or_default())
    };
    object["spec"]["dependsOn"].as_array().into_iter().flatten().map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kustomization(name: &str, needs: &[&str], status: &Value) -> Value {
        let needs: Vec<Value> = needs.iter().map(|name| json!({"name": name})).collect();
        json!({"kind": "Kustomization", "metadata": {"namespace": "flux-system", "name": name},
            "spec": {"dependsOn": needs, "sourceRef": {"kind": "GitRepository", "name": "fleet"}},
            "status": status})
    }

    #[test]
    fn a_dependency_has_to_be_ready_at_the_shared_revision() {
        let store = Store::new();
        let dependent = kustomization("dependent", &["apps"], &Value::Null);
        let verdict = |revision| check(&store, &dependent, revision).unwrap_err();
        assert!(verdict("r1").starts_with("dependency 'flux-system/apps' not found"));
        let ready = json!({"observedGeneration": 1, "lastAppliedRevision": "r1",
            "conditions": [{"type": "Ready", "status": "True"}]});
        store.seed(kustomization("apps", &[], &ready), "test").unwrap();
        assert_eq!(check(&store, &dependent, "r1"), Ok(()));
        assert_eq!(verdict("r2"), "dependency 'flux-system/apps' revision is not up to date");
        let key = Key::new("Kustomization", "flux-system", "apps");
        let change = json!({"spec": {"suspend": true}});
        store.merge(&key, &change, crate::store::Part::Whole, "test").unwrap();
        assert_eq!(verdict("r1"), "dependency 'flux-system/apps' is not ready");
    }

    #[test]
    fn dependents_are_queued_after_what_they_depend_on() {
        let store = Store::new();
        for (name, needs) in
            [("a", &["b"][..]), ("b", &["c"]), ("c", &[]), ("x", &["y"]), ("y", &["x"])]
        {
            store.seed(kustomization(name, needs, &Value::Null), "test").unwrap();
        }
        let keys = |names: &[&str]| -> Vec<Key> {
            names.iter().map(|name| Key::new("Kustomization", "flux-system", name)).collect()
        };
        assert_eq!(in_order(keys(&["a", "b", "c"]), &store), keys(&["c", "b", "a"]));
        assert_eq!(in_order(keys(&["x", "y", "c"]), &store), keys(&["c", "x", "y"]));
    }
}
