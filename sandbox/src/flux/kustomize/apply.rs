//! Applying objects, and removing those that are no longer wished for.
//!
//! Objects that are already as they should be are left alone: no write, no event, no line in the
//! message that is posted.

use serde_json::Value;
use serde_json::json;

use super::NAME;
use crate::store::Key;
use crate::store::Part;
use crate::store::Store;

/// Kinds that have to be there before anything else.
const FIRST: [&str; 2] = ["Namespace", "CustomResourceDefinition"];

/// What was applied.
#[derive(Default)]
pub(super) struct Applied {
    /// Every object of the set.
    pub(super) all: Vec<Key>,
    /// One line for each object that was created or configured.
    pub(super) lines: Vec<String>,
}

/// Applies all objects, or none if the API would reject one; the error is the whole message.
pub(super) fn apply(store: &Store, mut objects: Vec<Value>) -> Result<Applied, String> {
    objects.sort_by_key(|object| !FIRST.iter().any(|kind| object["kind"] == *kind));
    for object in &mut objects {
        if object["metadata"]["namespace"].is_null() && is_namespaced(store, object) {
            object["metadata"]["namespace"] = "default".into();
        }
        dry_run(store, object)?;
    }
    let mut applied = Applied::default();
    for object in objects {
        let key = Key::of(&object);
        let before = store.get(&key);
        applied.all.push(key.clone());
        if reconcile_is_off(before.as_deref()) || reconcile_is_off(Some(&object)) {
            continue;
        }
        let patch = with_removals(before.as_deref(), object);
        let written = store
            .apply(&key, patch, Part::Whole, NAME)
            .map_err(|problem| format!("{} apply failed: {problem}", label(&key)))?;
        match before {
            None => applied.lines.push(format!("{} created", label(&key))),
            Some(before)
                if before["metadata"]["resourceVersion"]
                    != written["metadata"]["resourceVersion"] =>
            {
                applied.lines.push(format!("{} configured", label(&key)));
            }
            Some(_) => {}
        }
    }
    Ok(applied)
}

/// Deletes what an earlier inventory names and a later one does not; one line for each.
pub(super) fn prune(store: &Store, old: &Value, new: &Value) -> Vec<String> {
    let kept = entries(store, new);
    let mut lines = Vec::new();
    for key in entries(store, old).into_iter().filter(|key| !kept.contains(key)) {
        let Some(object) = store.get(&key) else { continue };
        let annotation = "kustomize.toolkit.fluxcd.io/prune";
        if object["metadata"]["annotations"][annotation] == "disabled" {
            continue;
        }
        if store.delete(&key, NAME).is_ok() {
            lines.push(format!("{} deleted", label(&key)));
        }
    }
    lines
}

/// The inventory of a set, ordered as Flux orders it.
pub(super) fn inventory(store: &Store, all: &[Key]) -> Value {
    let mut entries: Vec<(String, String)> = all
        .iter()
        .filter_map(|key| {
            let resource = store.resource(&key.kind)?;
            let id = format!("{}_{}_{}_{}", key.namespace, key.name, resource.group, key.kind);
            Some((id, resource.version))
        })
        .collect();
    entries.sort();
    let entries: Vec<Value> =
        entries.into_iter().map(|(id, version)| json!({"id": id, "v": version})).collect();
    json!({ "entries": entries })
}

/// An object's name in messages: `Kind/namespace/name`.
pub(super) fn label(key: &Key) -> String {
    key.to_string()
}

fn entries(store: &Store, inventory: &Value) -> Vec<Key> {
    let read = |entry: &Value| {
        let parts: Vec<&str> = entry["id"].as_str()?.split('_').collect();
        let [namespace, name, _, kind] = parts[..] else { return None };
        store.resource(kind).map(|_| Key::new(kind, namespace, name))
    };
    inventory["entries"].as_array().into_iter().flatten().filter_map(read).collect()
}

fn is_namespaced(store: &Store, object: &Value) -> bool {
    let kind = object["kind"].as_str().unwrap_or_default();
    store.resource(kind).is_some_and(|resource| resource.namespaced)
}

/// Rejects what an API server would reject.
fn dry_run(store: &Store, object: &Value) -> Result<(), String> {
    let key = Key::of(object);
    let (kind, version) = (&key.kind, object["apiVersion"].as_str().unwrap_or_default());
    let failed = |problem: String| Err(format!("{} dry-run failed: {problem}", label(&key)));
    let served = store.resource(kind).filter(|resource| resource.api_version() == version);
    if served.is_none() {
        return failed(format!("no matches for kind \"{kind}\" in version \"{version}\""));
    }
    invalid(object).map_or(Ok(()), |problem| failed(format!("{problem}\n")))
}

/// What an API server would say against the data of an object.
pub(crate) fn invalid(object: &Value) -> Option<String> {
    let Key { kind, namespace, name } = Key::of(object);
    if !matches!(kind.as_str(), "ConfigMap" | "Secret") {
        return None;
    }
    let problem = match &object["data"] {
        Value::Null => return None,
        Value::Object(fields) => {
            let (name, value) = fields.iter().find(|(_, value)| !value.is_string())?;
            format!(".data.{name}: expected string, got &{value}")
        }
        Value::String(text) => format!(".data: expected map, got &{{{text}}}"),
        other => format!(".data: expected map, got &{{{other}}}"),
    };
    Some(format!(
        "failed to create typed patch object ({namespace}/{name}; /v1, Kind={kind}): {problem}"
    ))
}

/// The object as a merge patch that also takes away the keys of `data` that it no longer has.
fn with_removals(before: Option<&Value>, mut object: Value) -> Value {
    let old = before.and_then(|before| before["data"].as_object());
    for name in old.into_iter().flat_map(serde_json::Map::keys) {
        if object["data"][name].is_null() {
            if !object["data"].is_object() {
                object["data"] = json!({});
            }
            object["data"][name] = Value::Null;
        }
    }
    object
}

fn reconcile_is_off(object: Option<&Value>) -> bool {
    object.is_some_and(|object| {
        object["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/reconcile"] == "disabled"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(name: &str, data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": "default", "name": name}, "data": data})
    }

    fn lines(store: &Store, objects: Vec<Value>) -> Vec<String> {
        apply(store, objects).unwrap().lines
    }

    #[test]
    fn only_what_differs_is_written_and_told() {
        let store = Store::new();
        let object = map("canary", &json!({"run": "1", "old": "x"}));
        assert_eq!(lines(&store, vec![object.clone()]), ["ConfigMap/default/canary created"]);
        assert!(lines(&store, vec![object]).is_empty());
        let next = map("canary", &json!({"run": "2"}));
        assert_eq!(lines(&store, vec![next]), ["ConfigMap/default/canary configured"]);
        let stored = store.get(&Key::new("ConfigMap", "default", "canary")).unwrap();
        assert_eq!(stored["data"], json!({"run": "2"}));
    }

    #[test]
    fn a_rejected_object_stops_the_whole_set() {
        let store = Store::new();
        let objects = vec![map("a", &json!({})), map("canary", &json!("not-a-map"))];
        assert_eq!(
            apply(&store, objects).err().unwrap(),
            "ConfigMap/default/canary dry-run failed: failed to create typed patch object \
             (default/canary; /v1, Kind=ConfigMap): .data: expected map, got &{not-a-map}\n"
        );
        assert!(store.list("ConfigMap", None).0.is_empty());
        let unknown = json!({"apiVersion": "x/v1", "kind": "Gadget", "metadata": {"name": "g"}});
        let message = apply(&store, vec![unknown]).err().unwrap();
        assert!(
            message.ends_with("no matches for kind \"Gadget\" in version \"x/v1\""),
            "{message}"
        );
    }

    #[test]
    fn what_left_the_set_is_deleted_unless_it_forbids_that() {
        let store = Store::new();
        let mut kept = map("kept", &json!({}));
        kept["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/prune": "disabled"});
        let all =
            apply(&store, vec![map("a", &json!({})), kept, map("b", &json!({}))]).unwrap().all;
        let old = inventory(&store, &all);
        assert_eq!(old["entries"][0], json!({"id": "default_a__ConfigMap", "v": "v1"}));
        let new = inventory(&store, &all[..1]);
        assert_eq!(prune(&store, &old, &new), ["ConfigMap/default/b deleted"]);
        assert_eq!(store.list("ConfigMap", None).0.len(), 2);
    }
}
