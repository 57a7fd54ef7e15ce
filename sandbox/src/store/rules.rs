//! The rules that every write obeys: whose field is whose, and what counts as a changed wish.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Key, Resource, StoreError, meta};

/// What the server writes into `metadata` and nobody else.
const SERVERS_OWN: [&str; 6] =
    ["name", "namespace", "uid", "creationTimestamp", "generation", "managedFields"];

/// Puts back what this write may not touch, so that only its own part can differ.
pub(super) fn keep_other_parts(
    old: &Value,
    new: &mut Value,
    resource: &Resource,
    status_only: bool,
) {
    if status_only {
        let status = new.get_mut("status").map(Value::take);
        *new = old.clone();
        set(new, "status", status);
        return;
    }
    if resource.status {
        set(new, "status", old.get("status").cloned());
    }
    for field in ["apiVersion", "kind"] {
        new[field] = old[field].clone();
    }
    if !new["metadata"].is_object() {
        new["metadata"] = json!({});
    }
    for field in SERVERS_OWN.into_iter().chain(["resourceVersion"]) {
        set(&mut new["metadata"], field, old["metadata"].get(field).cloned());
    }
    for field in ["annotations", "labels"] {
        if new["metadata"][field].as_object().is_none_or(Map::is_empty) {
            set(&mut new["metadata"], field, None);
        }
    }
}

fn set(object: &mut Value, field: &str, value: Option<Value>) {
    let Some(fields) = object.as_object_mut() else { return };
    match value {
        Some(value) if !value.is_null() => fields.insert(field.to_owned(), value),
        _ => fields.remove(field),
    };
}

/// Whether anything but metadata and status differs.
pub(super) fn wish_differs(old: &Value, new: &Value) -> bool {
    let wish = |object: &Value, field: &String| object.get(field).cloned();
    let fields = |object: &Value| -> Vec<String> {
        object.as_object().into_iter().flatten().map(|(field, _)| field.clone()).collect()
    };
    fields(old)
        .iter()
        .chain(&fields(new))
        .filter(|field| !matches!(field.as_str(), "metadata" | "status"))
        .any(|field| wish(old, field) != wish(new, field))
}

/// The merge patch that removes what `last` has and `now` no longer names.
pub(super) fn given_up(last: &Value, now: &Value) -> Option<Value> {
    let (Value::Object(last), Value::Object(now)) = (last, now) else { return None };
    let fields: Map<String, Value> = last
        .iter()
        .filter_map(|(field, value)| match now.get(field) {
            None => Some((field.clone(), Value::Null)),
            Some(now) => Some((field.clone(), given_up(value, now)?)),
        })
        .collect();
    (!fields.is_empty()).then(|| fields.into())
}

pub(super) fn name_it(object: &mut Value) {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    let metadata = &mut object["metadata"];
    if metadata["name"].as_str().unwrap_or_default().is_empty()
        && let Some(prefix) = metadata["generateName"].as_str()
    {
        metadata["name"] = format!("{prefix}{}", meta::suffix()).into();
    }
}

/// Writes `stringData` of a Secret into `data`, as the API server does: nobody ever reads it back.
pub(super) fn encode_strings(object: &mut Value) {
    if object["kind"] != "Secret" {
        return;
    }
    let strings = object.as_object_mut().and_then(|it| it.remove("stringData"));
    let Some(Value::Object(strings)) = strings else { return };
    if !object["data"].is_object() {
        object["data"] = json!({});
    }
    for (key, text) in strings {
        object["data"][key] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
    }
}

pub(super) fn check_address(key: &Key, resource: &Resource) -> Result<(), StoreError> {
    let wrong = |field, problem: &str| {
        Err(StoreError::Invalid { key: key.clone(), field, problem: problem.to_owned() })
    };
    if key.name.is_empty() {
        return wrong("metadata.name", "Required value: name or generateName is required");
    }
    if !resource.namespaced && !key.namespace.is_empty() {
        return wrong("metadata.namespace", "Forbidden: not allowed on this type");
    }
    if resource.namespaced && key.namespace.is_empty() {
        return wrong("metadata.namespace", "Required value");
    }
    Ok(())
}

pub(super) fn seconds(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::store::{Key, Part, Preconditions, Store, StoreError};

    fn store_with_a_kustomization() -> (Store, Key) {
        let store = Store::new();
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": { "name": "apps", "namespace": "flux-system" },
            "spec": { "interval": "10m" },
            "status": { "observedGeneration": 9 },
        });
        store.create(object, "kubectl").unwrap();
        (store, Key::new("Kustomization", "flux-system", "apps"))
    }

    #[test]
    fn a_new_object_gets_what_the_server_gives_and_no_status() {
        let (store, key) = store_with_a_kustomization();
        let object = store.get(&key).unwrap();
        assert_eq!(object["metadata"]["generation"], 1);
        assert_eq!(object["metadata"]["resourceVersion"], store.version().to_string());
        assert_eq!(object["metadata"]["uid"].as_str().unwrap().len(), 36);
        assert!(object["metadata"]["creationTimestamp"].as_str().unwrap().ends_with('Z'));
        assert_eq!(object.get("status"), None);
    }

    #[test]
    fn a_seeded_object_keeps_its_status() {
        let store = Store::new();
        let widget = json!({
            "kind": "Widget",
            "metadata": { "name": "a", "namespace": "b" },
            "status": { "ready": true },
        });
        assert_eq!(store.seed(widget, "test").unwrap()["status"]["ready"], true);
    }

    #[test]
    fn only_a_changed_wish_raises_the_generation() {
        let (store, key) = store_with_a_kustomization();
        let generation = || store.get(&key).unwrap()["metadata"]["generation"].clone();
        let label = json!({ "metadata": { "labels": { "a": "b" } } });
        store.merge(&key, &label, Part::Whole, "test").unwrap();
        let status = json!({ "status": { "observedGeneration": 1 } });
        store.merge(&key, &status, Part::Status, "test").unwrap();
        assert_eq!(generation(), 1);
        let spec = json!({ "spec": { "interval": "5m" } });
        store.merge(&key, &spec, Part::Whole, "test").unwrap();
        assert_eq!(generation(), 2);
    }

    #[test]
    fn plain_data_has_no_generation() {
        let store = Store::new();
        let map = json!({
            "kind": "ConfigMap",
            "metadata": { "name": "a", "namespace": "b", "generation": 7 },
        });
        let stored = store.create(map, "test").unwrap();
        assert_eq!(stored["metadata"].get("generation"), None);
    }

    #[test]
    fn each_part_of_a_write_stays_with_its_own_fields() {
        let (store, key) = store_with_a_kustomization();
        let both = json!({ "spec": { "suspend": true }, "status": { "seen": 1 } });
        let whole = store.merge(&key, &both, Part::Whole, "test").unwrap();
        assert_eq!((&whole["spec"]["suspend"], whole.get("status")), (&json!(true), None));
        let other = json!({ "spec": { "suspend": false }, "status": { "seen": 1 } });
        let status = store.merge(&key, &other, Part::Status, "test").unwrap();
        assert_eq!(status["spec"]["suspend"], true);
        assert_eq!(status["status"]["seen"], 1);
    }

    #[test]
    fn the_status_of_a_kind_without_the_subresource_is_a_field_like_any_other() {
        let store = Store::new();
        let alert = json!({ "kind": "Alert", "metadata": { "name": "a", "namespace": "b" } });
        store.create(alert, "test").unwrap();
        let key = Key::new("Alert", "b", "a");
        let patch = json!({ "status": { "x": 1 } });
        let refused = store.merge(&key, &patch, Part::Status, "test");
        assert_eq!(refused, Err(StoreError::NoStatus(key.clone())));
        assert_eq!(store.merge(&key, &patch, Part::Whole, "test").unwrap()["status"]["x"], 1);
    }

    #[test]
    fn a_write_that_changes_nothing_is_no_change() {
        let (store, key) = store_with_a_kustomization();
        let before = store.get(&key).unwrap();
        let same = json!({ "spec": { "interval": "10m" } });
        store.merge(&key, &same, Part::Whole, "somebody else").unwrap();
        assert_eq!(store.get(&key).unwrap(), before);
        assert_eq!(store.changes().len(), 1);
    }

    #[test]
    fn a_write_that_knows_an_older_version_is_refused() {
        let (store, key) = store_with_a_kustomization();
        let known = store.get(&key).unwrap()["metadata"]["resourceVersion"].clone();
        let patch = |interval: &str| json!({ "metadata": { "resourceVersion": known }, "spec": { "interval": interval } });
        store.merge(&key, &patch("1m"), Part::Whole, "first").unwrap();
        let second = store.merge(&key, &patch("2m"), Part::Whole, "second");
        assert_eq!(second, Err(StoreError::Conflict(key.clone())));
        let only = Preconditions { uid: Some("another".to_owned()), ..Preconditions::default() };
        assert_eq!(store.delete_if(&key, &only, "third"), Err(StoreError::Conflict(key.clone())));
        assert_eq!(store.get(&key).unwrap()["spec"]["interval"], "1m");
    }

    #[test]
    fn what_the_server_wrote_cannot_be_written_over() {
        let (store, key) = store_with_a_kustomization();
        let before = store.get(&key).unwrap();
        let patch =
            json!({ "kind": "X", "metadata": { "generation": 77, "uid": null, "name": "y" } });
        assert_eq!(store.merge(&key, &patch, Part::Whole, "test").unwrap(), before);
    }

    #[test]
    fn an_object_without_a_proper_address_is_refused() {
        let store = Store::new();
        let refusal = |object| store.create(object, "test").unwrap_err().to_string();
        assert_eq!(
            refusal(json!({ "kind": "Nothing", "metadata": { "name": "a" } })),
            "the kind `Nothing` is unknown here: register it first"
        );
        assert_eq!(
            refusal(json!({ "kind": "Secret", "metadata": { "name": "a" } })),
            "`Secret/a` is invalid: metadata.namespace: Required value"
        );
        assert_eq!(
            refusal(json!({ "kind": "Namespace" })),
            "`Namespace/` is invalid: metadata.name: Required value: name or generateName is \
             required"
        );
    }

    #[test]
    fn an_apply_removes_what_its_writer_no_longer_names_and_nothing_else() {
        let store = Store::new();
        let key = Key::new("ConfigMap", "b", "a");
        let map = |data| {
            let metadata = json!({ "name": "a", "namespace": "b" });
            json!({ "kind": "ConfigMap", "metadata": metadata, "data": data })
        };
        let apply = |data, writer| store.apply(&key, map(data), Part::Whole, writer).unwrap();
        apply(json!({ "run": "1", "old": "x" }), "kustomize-controller");
        apply(json!({ "more": "y" }), "somebody");
        let object = apply(json!({ "run": "2" }), "kustomize-controller");
        assert_eq!(object["data"], json!({ "run": "2", "more": "y" }));
        assert_eq!(apply(json!({ "run": "2" }), "kustomize-controller"), object);
        assert_eq!(store.changes().len(), 3);
        store.delete(&key, "test").unwrap();
        apply(json!({}), "kustomize-controller");
        let object = store.merge(&key, &json!({ "data": { "run": "3" } }), Part::Whole, "kubectl");
        assert_eq!(object.unwrap()["data"]["run"], "3");
    }

    #[test]
    fn a_generated_name_begins_as_asked() {
        let store = Store::new();
        let event = json!({
            "kind": "Event",
            "metadata": { "generateName": "apps.", "namespace": "b" },
        });
        let name = store.create(event, "test").unwrap()["metadata"]["name"].clone();
        let name = name.as_str().unwrap();
        assert!(name.starts_with("apps.") && name.len() == 10, "{name}");
    }
}
