//! The Kubernetes Event beside every posted one: what `kubectl describe` shows of an object.
//!
//! The same words again are the same Event, counted. A real API server forgets Events after an hour;
//! here the oldest ones of an object go when there are too many, so that a sandbox may run for long.

use serde_json::Value;
use serde_json::json;

use super::Event;
use super::InvolvedObject;
use super::Severity;
use crate::store::Key;
use crate::store::Part;
use crate::store::Store;

/// Events that are kept of one object.
const KEPT: usize = 25;

/// Writes down that something happened to an object, as a client of the API would.
pub(super) fn record(store: &Store, event: &Event) {
    let object = &event.involved_object;
    let namespace = if object.namespace.is_empty() { "default" } else { &object.namespace };
    let (all, _) = store.list("Event", Some(namespace));
    let earlier: Vec<_> = all.iter().filter(|it| is_about(it, object)).collect();
    let kind = match event.severity {
        Severity::Info => "Normal",
        Severity::Error => "Warning",
    };
    let same = |it: &Value| {
        it["type"] == kind && it["reason"] == *event.reason && it["message"] == *event.message
    };
    let writer = &event.reporting_controller;
    // Nobody depends on an Event: like its real writer, this one does not mind a lost one.
    if let Some(known) = earlier.iter().find(|it| same(it)) {
        let count = known["count"].as_u64().unwrap_or(1) + 1;
        let again = json!({ "count": count, "lastTimestamp": event.timestamp });
        let _ = store.merge(&Key::of(known), &again, Part::Whole, writer);
        return;
    }
    if earlier.len() >= KEPT {
        let oldest = earlier.iter().min_by_key(|it| it["lastTimestamp"].as_str());
        let _ = oldest.map(|it| store.delete(&Key::of(it), writer));
    }
    let name = format!("{}.{:016x}", object.name, store.now().as_nanosecond());
    let _ = store.create(
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": name, "namespace": namespace, "annotations": event.metadata },
            "involvedObject": object,
            "type": kind,
            "reason": event.reason,
            "message": event.message,
            "count": 1,
            "firstTimestamp": event.timestamp,
            "lastTimestamp": event.timestamp,
            "eventTime": null,
            "source": { "component": writer },
            "reportingComponent": writer,
            "reportingInstance": "",
        }),
        writer,
    );
}

fn is_about(event: &Value, object: &InvolvedObject) -> bool {
    let involved = &event["involvedObject"];
    involved["kind"] == *object.kind && involved["name"] == *object.name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_that_runs_for_long_keeps_the_newest_of_an_object() {
        let store = Store::new();
        let object = json!({
            "apiVersion": "v1", "kind": "Widget", "metadata": { "namespace": "lab", "name": "a" },
        });
        for second in 10..60 {
            let event = Event {
                involved_object: InvolvedObject::of(&object),
                severity: Severity::Info,
                timestamp: format!("2026-01-01T00:00:{second}Z"),
                message: format!("message {second}"),
                reason: "Done".to_owned(),
                metadata: std::collections::BTreeMap::new(),
                reporting_controller: "test".to_owned(),
                reporting_instance: "test-0".to_owned(),
            };
            record(&store, &event);
            record(&store, &event);
        }
        let (all, _) = store.list("Event", Some("lab"));
        assert_eq!(all.len(), KEPT);
        assert!(
            all.iter().all(|it| it["count"] == 2
                && it["lastTimestamp"].as_str() > Some("2026-01-01T00:00:34Z"))
        );
    }
}
