//! The metadata that the server writes: who changed which fields, and names made up by it.
//!
//! `managedFields` are kept as finely as readers need them: single annotations and labels, and the
//! top-level fields of the rest. A written annotation belongs to its last writer alone.

use serde_json::{Map, Value, json};

use super::Resource;

/// How a write came about, as `managedFields` tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Update,
    Apply,
}

/// Who wrote, how and when.
pub(super) struct Stamp<'a> {
    pub(super) manager: &'a str,
    pub(super) operation: Operation,
    pub(super) subresource: Option<&'static str>,
    pub(super) time: &'a str,
}

/// Records in `new` that the fields in which it differs from `old` were written by the stamp's
/// manager, and takes those annotations and labels from whoever wrote them before.
pub(super) fn record(old: Option<&Value>, new: &mut Value, resource: &Resource, stamp: &Stamp<'_>) {
    let written = fields_written(old.unwrap_or(&Value::Null), new);
    let mut entries = match new["metadata"]["managedFields"].take() {
        Value::Array(entries) => entries,
        _ => Vec::new(),
    };
    for entry in &mut entries {
        if !is_of(entry, stamp) {
            release(&mut entry["fieldsV1"], &written);
        }
    }
    entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty()));
    let place = entries.iter().position(|entry| is_of(entry, stamp)).unwrap_or_else(|| {
        entries.push(new_entry(resource, stamp));
        entries.len() - 1
    });
    let entry = &mut entries[place];
    entry["time"] = stamp.time.into();
    join(&mut entry["fieldsV1"], &written);
    new["metadata"]["managedFields"] = entries.into();
}

/// A random identifier in the form of a version 4 UUID.
pub(super) fn uid() -> String {
    let bits = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Five letters and digits to follow a `generateName`.
pub(super) fn suffix() -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5).map(|_| char::from(ALPHABET[fastrand::usize(..ALPHABET.len())])).collect()
}

fn new_entry(resource: &Resource, stamp: &Stamp<'_>) -> Value {
    let mut entry = json!({
        "manager": stamp.manager,
        "operation": name_of(stamp.operation),
        "apiVersion": resource.api_version(),
        "fieldsType": "FieldsV1",
        "fieldsV1": {},
    });
    if let Some(subresource) = stamp.subresource {
        entry["subresource"] = subresource.into();
    }
    entry
}

fn is_of(entry: &Value, stamp: &Stamp<'_>) -> bool {
    entry["manager"] == stamp.manager
        && entry["operation"] == name_of(stamp.operation)
        && entry.get("subresource").and_then(Value::as_str) == stamp.subresource
}

fn name_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Update => "Update",
        Operation::Apply => "Apply",
    }
}

/// The fields in which two states differ, in the notation of `fieldsV1`.
fn fields_written(old: &Value, new: &Value) -> Value {
    let mut fields = Map::new();
    let Some(top) = new.as_object() else { return fields.into() };
    let mut metadata = Map::new();
    for group in ["annotations", "labels"] {
        let (before, after) = (&old["metadata"][group], &new["metadata"][group]);
        let keys: Map<String, Value> = after
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, value)| before.get(key.as_str()) != Some(value))
            .map(|(key, _)| (format!("f:{key}"), json!({})))
            .collect();
        if !keys.is_empty() {
            metadata.insert(format!("f:{group}"), keys.into());
        }
    }
    if !metadata.is_empty() {
        fields.insert("f:metadata".to_owned(), metadata.into());
    }
    for (key, value) in top {
        let of_the_server = matches!(key.as_str(), "apiVersion" | "kind" | "metadata");
        if !of_the_server && old.get(key) != Some(value) {
            fields.insert(format!("f:{key}"), json!({}));
        }
    }
    fields.into()
}

/// Removes the annotations and labels of `written` from `fields`.
fn release(fields: &mut Value, written: &Value) {
    for group in ["f:annotations", "f:labels"] {
        let Some(keys) = written["f:metadata"][group].as_object() else { continue };
        let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_object_mut) else {
            continue;
        };
        let Some(owned) = metadata.get_mut(group).and_then(Value::as_object_mut) else { continue };
        owned.retain(|key, _| !keys.contains_key(key));
        if owned.is_empty() {
            metadata.remove(group);
        }
    }
    let nothing_left =
        fields.get("f:metadata").and_then(Value::as_object).is_some_and(Map::is_empty);
    if let (true, Some(fields)) = (nothing_left, fields.as_object_mut()) {
        fields.remove("f:metadata");
    }
}

fn join(into: &mut Value, more: &Value) {
    let Some(more) = more.as_object() else { return };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in more {
        join(&mut into[key.as_str()], value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::store::{Key, Part, Store};

    const REQUESTED: &str = "f:reconcile.fluxcd.io/requestedAt";

    fn request(store: &Store, key: &Key, at: &str, writer: &str) {
        let annotations = json!({ "reconcile.fluxcd.io/requestedAt": at });
        let patch = json!({ "metadata": { "annotations": annotations } });
        store.merge(key, &patch, Part::Whole, writer).unwrap();
    }

    fn writers_of_the_request(object: &Value) -> Vec<&str> {
        object["metadata"]["managedFields"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| !entry["fieldsV1"]["f:metadata"]["f:annotations"][REQUESTED].is_null())
            .map(|entry| entry["manager"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn a_requests_last_writer_owns_it_alone() {
        let store = Store::new();
        let widget = json!({
            "kind": "Widget",
            "metadata": { "name": "a", "namespace": "b" },
            "spec": {},
        });
        store.create(widget, "kubectl").unwrap();
        let key = Key::new("Widget", "b", "a");
        request(&store, &key, "1", "flux");
        request(&store, &key, "2", "notification-controller");
        let object = store.get(&key).unwrap();
        assert_eq!(writers_of_the_request(&object), ["notification-controller"]);
        let managers: Vec<_> =
            object["metadata"]["managedFields"].as_array().unwrap().iter().collect();
        assert_eq!(managers.len(), 2, "flux owns nothing any more: {managers:?}");
        assert_eq!(managers[0]["fieldsV1"], json!({ "f:spec": {} }));
    }

    #[test]
    fn an_entry_says_how_and_when_to_the_second() {
        let store = Store::new();
        let widget = json!({ "kind": "Widget", "metadata": { "name": "a", "namespace": "b" } });
        store.create(widget, "kubectl").unwrap();
        let key = Key::new("Widget", "b", "a");
        let status = json!({ "status": { "x": 1 } });
        let object = store.merge(&key, &status, Part::Status, "controller").unwrap();
        let entry = &object["metadata"]["managedFields"][0];
        assert_eq!(entry["operation"], "Update");
        assert_eq!(entry["subresource"], "status");
        assert_eq!(entry["time"].as_str().unwrap().len(), "2026-01-01T00:00:00Z".len());
        let spec = json!({ "spec": { "size": 3 } });
        let object = store.apply(&key, spec, Part::Whole, "applier").unwrap();
        assert_eq!(object["metadata"]["managedFields"][1]["operation"], "Apply");
    }
}
