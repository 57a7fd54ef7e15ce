//! An event, as controllers post it and as generic providers receive it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

/// Object annotations that become metadata of its events.
const EVENT_PREFIX: &str = "event.toolkit.fluxcd.io";

/// Metadata that no provider gets to see.
const HIDDEN: [&str; 3] = ["checksum", "digest", "token"];

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something happened.
    #[default]
    Info,
    /// Something failed.
    Error,
}

/// One event; the fields are in the order of the wire. What is missing is empty, as Go reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// The object that it is about.
    pub involved_object: InvolvedObject,
    /// How bad it is.
    pub severity: Severity,
    /// When it was posted, in whole seconds.
    pub timestamp: String,
    /// What happened, for people.
    pub message: String,
    /// What happened, for machines.
    pub reason: String,
    /// The revision and other facts; keys carry the controller's API group until delivery.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The controller that posted it.
    pub reporting_controller: String,
    /// The pod of that controller.
    pub reporting_instance: String,
}

/// The object that an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InvolvedObject {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Group and version.
    pub api_version: String,
    /// The version of the object that the event is about.
    pub resource_version: String,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Error => "error",
        }
    }
}

impl InvolvedObject {
    pub(super) fn of(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        Self {
            kind: text(&object["kind"]),
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
            uid: text(&metadata["uid"]),
            api_version: text(&object["apiVersion"]),
            resource_version: text(&metadata["resourceVersion"]),
        }
    }

    fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

impl Event {
    /// What two events have in common of which the second is a repetition.
    pub(super) fn identity(&self) -> String {
        let object = &self.involved_object;
        let fact = |name: &str| self.metadata.get(&format!("{}/{name}", object.group()));
        let parts = [
            Some(&object.name),
            Some(&object.namespace),
            Some(&object.kind),
            Some(&self.message),
            fact("originRevision"),
            fact("revision"),
            fact("token"),
        ];
        parts.map(|part| part.map_or("", String::as_str)).join("\0")
    }

    /// The event as a provider gets it: prefixes stripped, `more` added, the rest left out.
    pub(super) fn for_provider(&self, more: &Value) -> Self {
        let group = self.involved_object.group();
        let mut metadata = BTreeMap::new();
        for (key, value) in more.as_object().into_iter().flatten() {
            metadata.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
        }
        for (key, value) in &self.metadata {
            let name = match key.split_once('/') {
                Some((prefix, name)) if prefix == group || prefix == EVENT_PREFIX => name,
                Some(_) => continue,
                None => key.as_str(),
            };
            metadata.insert(name.to_owned(), value.clone());
        }
        metadata.retain(|name, _| !HIDDEN.contains(&name.as_str()));
        Self { metadata, ..self.clone() }
    }
}

/// The object's own annotations for its events.
pub(super) fn annotations_of(object: &Value) -> impl Iterator<Item = (String, String)> {
    let all = object["metadata"]["annotations"].as_object().into_iter().flatten();
    all.filter(|(key, _)| key.starts_with(EVENT_PREFIX))
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn providers_get_the_fields_in_order_and_the_metadata_without_prefixes() {
        let object = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"namespace": "flux-system", "name": "fleet", "uid": "u",
                "resourceVersion": "7"}});
        let metadata = [
            ("source.toolkit.fluxcd.io/revision", "main@sha1:aa"),
            ("source.toolkit.fluxcd.io/digest", "sha256:bb"),
            ("event.toolkit.fluxcd.io/commit", "cc"),
            ("other.example/x", "y"),
        ];
        let event = Event {
            involved_object: InvolvedObject::of(&object),
            severity: Severity::Info,
            timestamp: "2026-11-21T02:19:09Z".to_owned(),
            message: "stored".to_owned(),
            reason: "NewArtifact".to_owned(),
            metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            reporting_controller: "source-controller".to_owned(),
            reporting_instance: "pod".to_owned(),
        };
        let body = serde_json::to_string(&event.for_provider(&json!({"env": "prod"}))).unwrap();
        let expected = concat!(
            r#"{"involvedObject":{"kind":"GitRepository","namespace":"flux-system","#,
            r#""name":"fleet","uid":"u","apiVersion":"source.toolkit.fluxcd.io/v1","#,
            r#""resourceVersion":"7"},"severity":"info","timestamp":"2026-11-21T02:19:09Z","#,
            r#""message":"stored","reason":"NewArtifact","metadata":{"commit":"cc","#,
            r#""env":"prod","revision":"main@sha1:aa"},"#,
            r#""reportingController":"source-controller","reportingInstance":"pod"}"#
        );
        assert_eq!(body, expected);
    }
}
