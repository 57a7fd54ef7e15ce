//! Leaves of an object what detectors read.
//!
//! States are kept for as long as a run lasts (rule T8), so what nobody looks at goes at once:
//! who owns which field, of which only the author of a webhook's annotation matters (rule T11),
//! the copy of the whole object that `kubectl apply` leaves in an annotation, and the lists of what a
//! Kustomization has applied.

use k8s_openapi::ByteString;
use serde_json::{Value, json};

/// The annotation by which Flux's Receivers and people ask for a reconciliation.
const REQUEST: &str = "f:reconcile.fluxcd.io/requestedAt";
/// What grows with the number of applied objects and of runs, and says nothing of a revision.
const KUSTOMIZATION_BULK: [&str; 2] = ["inventory", "history"];
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Drops what no detector reads.
///
/// `metadata.managedFields`, where it is shown, keeps one `{"manager": ..}` for each manager that
/// owns the annotation `reconcile.fluxcd.io/requestedAt`. The values of a Secret that are text are
/// decoded, so that a token is found in them as in a ConfigMap.
pub(super) fn trim(object: &mut Value) {
    trim_for_one_look(object);
    if object["kind"] == "Kustomization"
        && let Some(Value::Object(status)) = object.get_mut("status")
    {
        for bulk in KUSTOMIZATION_BULK {
            status.remove(bulk);
        }
    }
}

/// The same, but what grows with the number of applied objects stays: an object that is read once
/// and not kept may be asked what it has applied.
pub(super) fn trim_for_one_look(object: &mut Value) {
    if let Some(fields) = object.pointer_mut("/metadata/managedFields") {
        *fields = requesters(fields);
    }
    if let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations") {
        annotations.remove(LAST_APPLIED);
    }
    if object["kind"] == "Secret" && object["apiVersion"] == "v1" {
        for value in object["data"].as_object_mut().into_iter().flat_map(|it| it.values_mut()) {
            if let Some(text) = decoded(value) {
                *value = Value::String(text);
            }
        }
    }
}

fn requesters(fields: &Value) -> Value {
    let asked = |it: &&Value| {
        it["fieldsV1"]["f:metadata"]["f:annotations"].get(REQUEST).is_some()
            && it["subresource"].as_str().unwrap_or_default().is_empty()
    };
    let entries = fields.as_array().into_iter().flatten();
    entries.filter(asked).map(|it| json!({"manager": it["manager"]})).collect()
}

fn decoded(value: &Value) -> Option<String> {
    let ByteString(bytes) = serde_json::from_value(value.clone()).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_managed_fields_only_the_author_of_a_request_stays() {
        let mut object = json!({"metadata": {"name": "apps", "managedFields": [
            {"manager": "kustomize-controller", "fieldsV1": {"f:spec": {"f:path": {}}}},
            {"manager": "notification-controller", "fieldsV1": {"f:metadata": {"f:annotations": {
                "f:reconcile.fluxcd.io/requestedAt": {}}}}},
        ]}});
        trim(&mut object);
        let left = json!([{"manager": "notification-controller"}]);
        assert_eq!(object, json!({"metadata": {"name": "apps", "managedFields": left}}));
    }

    #[test]
    fn a_server_that_shows_no_managed_fields_is_told_from_one_whose_fields_name_nobody() {
        let (mut hidden, mut shown) = (json!({"metadata": {}}), json!({"metadata": {}}));
        shown["metadata"]["managedFields"] = json!([{"manager": "flux", "fieldsV1": {}}]);
        trim(&mut hidden);
        trim(&mut shown);
        assert_eq!(hidden, json!({"metadata": {}}));
        assert_eq!(shown, json!({"metadata": {"managedFields": []}}));
    }

    #[test]
    fn t8_a_kustomizations_inventory_does_not_stay_for_as_long_as_a_run_lasts() {
        let mut object = json!({"kind": "Kustomization", "status": {
            "inventory": {"entries": [{"id": "default_app__ConfigMap", "v": "v1"}]},
            "history": [{"digest": "sha256:1"}],
            "lastAppliedRevision": "main@sha1:1",
        }});
        trim(&mut object);
        let left = json!({"lastAppliedRevision": "main@sha1:1"});
        assert_eq!(object, json!({"kind": "Kustomization", "status": left}));
    }

    #[test]
    fn the_text_of_a_secret_can_be_searched() {
        let mut object =
            json!({"kind": "Secret", "apiVersion": "v1", "data": {"a": "Y2FuYXJ5", "b": "/w=="}});
        trim(&mut object);
        assert_eq!(object["data"], json!({"a": "canary", "b": "/w=="}));
    }

    #[test]
    fn the_copy_that_kubectl_leaves_goes() {
        let mut object = json!({"metadata": {"annotations": {LAST_APPLIED: "{}", "mine": "x"}}});
        trim(&mut object);
        assert_eq!(object, json!({"metadata": {"annotations": {"mine": "x"}}}));
    }
}
