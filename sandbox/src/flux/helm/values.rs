//! The values of a release: from other objects first, then its own.
//!
//! Other objects wake a release only if they are labelled for that.

use aws_lc_rs::digest;
use serde_json::Value;
use serde_json::json;

use crate::flux::artifacts::hex;
use crate::flux::secrets;
use crate::store::Key;
use crate::store::Store;

/// The label that makes a change of an object wake its users.
const WATCH: (&str, &str) = ("reconcile.fluxcd.io/watch", "Enabled");

/// The values that a `HelmRelease` asks for; the error is the whole message.
pub(super) fn of(store: &Store, release: &Value) -> Result<Value, String> {
    let mut all = json!({});
    let namespace = release["metadata"]["namespace"].as_str().unwrap_or_default();
    for reference in release["spec"]["valuesFrom"].as_array().into_iter().flatten() {
        let Some(values) = referenced(store, namespace, reference)? else { continue };
        json_patch::merge(&mut all, &values);
    }
    if release["spec"]["values"].is_object() {
        json_patch::merge(&mut all, &release["spec"]["values"]);
    }
    Ok(all)
}

/// The digest of values, as Flux writes it: of their YAML with sorted keys, or of nothing.
pub(super) fn digest(values: &Value) -> String {
    let empty = values.as_object().is_none_or(serde_json::Map::is_empty);
    let text = if empty { String::new() } else { yaml(values) };
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    format!("sha256:{}", hex(digest.as_ref()))
}

/// Reads values from YAML; nothing is an empty map.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(json!({}));
    }
    let read: Result<Value, _> = serde_saphyr::from_str(text);
    let values = read.map_err(|error| error.without_snippet().to_string())?;
    Ok(if values.is_null() { json!({}) } else { values })
}

/// Whether the change of an object wakes a release.
pub(super) fn are_woken_by(release: &Value, object: &Value) -> bool {
    let key = Key::of(object);
    let labelled = object["metadata"]["labels"][WATCH.0] == WATCH.1;
    let named = |it: &Value| it["kind"] == *key.kind && it["name"] == *key.name;
    let mut all = release["spec"]["valuesFrom"].as_array().into_iter().flatten();
    labelled && release["metadata"]["namespace"] == *key.namespace && all.any(named)
}

fn referenced(store: &Store, namespace: &str, reference: &Value) -> Result<Option<Value>, String> {
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let (kind, name) = (text("kind"), text("name"));
    let field = reference["valuesKey"].as_str().unwrap_or("values.yaml");
    let wrong = |why: String| {
        format!(
            "could not resolve {kind} chart values reference '{namespace}/{name}' with key \
             '{field}': {why}"
        )
    };
    let Some(object) = store.get(&Key::new(kind, namespace, name)) else {
        if reference["optional"] == true {
            return Ok(None);
        }
        let plural = if kind == "Secret" { "secrets" } else { "configmaps" };
        return Err(wrong(format!("{plural} \"{name}\" not found")));
    };
    let found = match kind {
        "Secret" => secrets::read_text(store, namespace, name, field),
        _ => object["data"][field].as_str().map(str::to_owned),
    };
    let Some(found) = found else {
        if reference["optional"] == true {
            return Ok(None);
        }
        return Err(wrong(format!("missing key '{field}'")));
    };
    match reference["targetPath"].as_str() {
        Some(path) => Ok(Some(at(path, &found))),
        None => parse(&found).map(Some).map_err(wrong),
    }
}

/// A value alone at a path such as `a.b`.
fn at(path: &str, value: &str) -> Value {
    let value = parse(value).ok().filter(|it| !it.is_object()).unwrap_or_else(|| value.into());
    path.rsplit('.').fold(value, |value, name| json!({ name: value }))
}

fn yaml(values: &Value) -> String {
    // A map of texts has no value that cannot be written.
    serde_saphyr::to_string(values).unwrap_or_else(|_| values.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_flux() {
        let start = |values: &Value| digest(values)[7..15].to_owned();
        assert_eq!(start(&json!({"run": "seed"})), "d30158b2");
        assert_eq!(start(&json!({})), "e3b0c442");
    }

    #[test]
    fn later_references_win_and_the_releases_own_values_over_all() {
        let store = Store::new();
        for (name, text) in [("one", "a: 1\nb: 1\nc: 1\n"), ("two", "b: 2\nc: 2\n")] {
            let map = json!({"kind": "ConfigMap", "metadata": {"namespace": "x", "name": name},
                "data": {"values.yaml": text, "one": "v"}});
            store.create(map, "test").unwrap();
        }
        let reference = |name: &str| json!({"kind": "ConfigMap", "name": name});
        let mut release = json!({"metadata": {"namespace": "x"}, "spec": {
            "valuesFrom": [reference("one"), reference("two"),
                {"kind": "ConfigMap", "name": "one", "valuesKey": "one", "targetPath": "d.e"}],
            "values": {"c": 3}}});
        let expected = json!({"a": 1, "b": 2, "c": 3, "d": {"e": "v"}});
        assert_eq!(of(&store, &release), Ok(expected));
        release["spec"]["valuesFrom"] = json!([reference("three")]);
        assert_eq!(
            of(&store, &release).unwrap_err(),
            "could not resolve ConfigMap chart values reference 'x/three' with key 'values.yaml': \
             configmaps \"three\" not found"
        );
        release["spec"]["valuesFrom"][0]["optional"] = true.into();
        assert_eq!(of(&store, &release), Ok(json!({"c": 3})));
    }

    #[test]
    fn only_a_labelled_object_wakes_the_releases_that_name_it() {
        let release = json!({"metadata": {"namespace": "x"},
            "spec": {"valuesFrom": [{"kind": "ConfigMap", "name": "one"}]}});
        let mut map = json!({"kind": "ConfigMap", "metadata": {"namespace": "x", "name": "one"}});
        assert!(!are_woken_by(&release, &map));
        map["metadata"]["labels"] = json!({"reconcile.fluxcd.io/watch": "Enabled"});
        assert!(are_woken_by(&release, &map));
        map["metadata"]["name"] = "two".into();
        assert!(!are_woken_by(&release, &map));
    }
}
