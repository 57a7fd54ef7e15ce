//! An object in a reconciler's hands, and the order in which its status reaches the cluster.
//!
//! Flux writes conditions and the rest of status in two patches, conditions first: `Ready=True` is
//! seen before the revision that it speaks of. Whoever times Flux meets this everywhere.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use super::gotime;
use crate::store::Key;
use crate::store::Part;
use crate::store::Store;

/// The annotation that asks for a run.
pub(crate) const REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// A copy of an object that becomes visible patch by patch.
pub(crate) struct Draft {
    /// The object with everything that is decided so far.
    pub(crate) object: Value,
    pub(crate) key: Key,
    store: Store,
    writer: &'static str,
    known: Value,
}

impl Draft {
    /// Reads the object; none if it is gone.
    pub(crate) fn load(store: &Store, key: &Key, writer: &'static str) -> Option<Self> {
        let mut object = (*store.get(key)?).clone();
        if !object["status"].is_object() {
            object["status"] = json!({});
        }
        let known = object["status"].clone();
        Some(Self { object, key: key.clone(), store: store.clone(), writer, known })
    }

    pub(crate) fn spec(&self) -> &Value {
        &self.object["spec"]
    }

    pub(crate) fn status(&self) -> &Value {
        &self.object["status"]
    }

    /// Sets a field of status; null removes it.
    pub(crate) fn set_status(&mut self, field: &str, value: impl Into<Value>) {
        let value = value.into();
        if value.is_null() {
            if let Some(status) = self.object["status"].as_object_mut() {
                status.remove(field);
            }
        } else {
            self.object["status"][field] = value;
        }
    }

    pub(crate) fn generation(&self) -> i64 {
        self.object["metadata"]["generation"].as_i64().unwrap_or(1)
    }

    /// The generation that was handled last; -1 before the first.
    pub(crate) fn observed_generation(&self) -> i64 {
        self.status()["observedGeneration"].as_i64().unwrap_or(-1)
    }

    pub(crate) fn observe_generation(&mut self) {
        self.set_status("observedGeneration", self.generation());
    }

    /// The pending or handled request, empty without one.
    pub(crate) fn requested_at(&self) -> String {
        requested_at(&self.object).to_owned()
    }

    /// Copies the request into status: the echo, whatever came of the run.
    pub(crate) fn echo_request(&mut self) {
        let requested = self.requested_at();
        if !requested.is_empty() {
            self.set_status("lastHandledReconcileAt", requested);
        }
    }

    /// Whether the object shall be left alone.
    pub(crate) fn is_suspended(&self) -> bool {
        self.spec()["suspend"] == true
    }

    /// A duration of the spec.
    pub(crate) fn duration(&self, field: &str) -> Option<Duration> {
        self.spec()[field].as_str().and_then(gotime::parse)
    }

    /// The time between two runs without a cause.
    pub(crate) fn interval(&self) -> Duration {
        self.duration("interval").unwrap_or(Duration::from_secs(600))
    }

    pub(crate) fn condition(&self, name: &str) -> Option<&Value> {
        condition(&self.object, name)
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        is_true(&self.object, name)
    }

    /// Sets a condition; its time of transition is decided when it is written.
    pub(crate) fn mark(&mut self, name: &str, status: &str, reason: &str, message: &str) {
        let generation = self.generation();
        let new = json!({
            "type": name,
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": generation,
        });
        let mut all = self.conditions();
        match all.iter().position(|old| old["type"] == name) {
            Some(place) => all[place] = new,
            None => all.push(new),
        }
        all.sort_by_key(|condition| rank(condition["type"].as_str().unwrap_or_default()));
        self.object["status"]["conditions"] = all.into();
    }

    /// Takes a condition away.
    pub(crate) fn unmark(&mut self, name: &str) {
        let mut all = self.conditions();
        all.retain(|condition| condition["type"] != name);
        self.object["status"]["conditions"] = all.into();
    }

    /// Sets the reason of a condition and leaves the rest of it.
    pub(crate) fn set_reason(&mut self, name: &str, reason: &str) {
        if let Some(old) = self.condition(name) {
            let text = |field: &str| old[field].as_str().unwrap_or_default().to_owned();
            let (status, message) = (text("status"), text("message"));
            self.mark(name, &status, reason, &message);
        }
    }

    /// Writes what is decided: the conditions, then the rest of status, each only if it changed.
    pub(crate) async fn patch(&mut self, pause: Duration) {
        if self.conditions_changed() {
            tokio::time::sleep(pause).await;
            let conditions = self.stamped();
            self.object["status"]["conditions"] = conditions.clone();
            self.known["conditions"] = conditions.clone();
            self.write(|status| status["conditions"] = conditions);
        }
        let mut rest = self.status().clone();
        rest["conditions"] = self.known["conditions"].clone();
        if rest != self.known {
            tokio::time::sleep(pause).await;
            self.known = rest.clone();
            self.write(|status| {
                let conditions = status["conditions"].take();
                *status = rest;
                status["conditions"] = conditions;
            });
        }
    }

    fn conditions(&self) -> Vec<Value> {
        self.status()["conditions"].as_array().cloned().unwrap_or_default()
    }

    fn conditions_changed(&self) -> bool {
        let now = self.conditions();
        let known = self.known["conditions"].as_array().map_or(&[][..], Vec::as_slice);
        let same = |new: &Value, old: &Value| {
            same_state(new, old) && new["observedGeneration"] == old["observedGeneration"]
        };
        now.len() != known.len() || now.iter().any(|new| !known.iter().any(|old| same(new, old)))
    }

    /// The conditions with their times: a new one for a new status, reason or message.
    fn stamped(&self) -> Value {
        let now = gotime::seconds(self.store.now());
        let known = self.known["conditions"].as_array().map_or(&[][..], Vec::as_slice);
        let stamp = |mut condition: Value| {
            let old = known.iter().find(|old| same_state(old, &condition));
            condition["lastTransitionTime"] =
                old.map_or_else(|| now.as_str().into(), |old| old["lastTransitionTime"].clone());
            condition
        };
        self.conditions().into_iter().map(stamp).collect()
    }

    fn write(&self, change: impl FnOnce(&mut Value)) {
        let written = self.store.update(&self.key, Part::Status, self.writer, |object| {
            if !object["status"].is_object() {
                object["status"] = json!({});
            }
            change(&mut object["status"]);
            if object["status"]["conditions"].is_null()
                && let Some(status) = object["status"].as_object_mut()
            {
                status.remove("conditions");
            }
        });
        if let Err(problem) = written {
            tracing::debug!(key = %self.key, %problem, "status not written");
        }
    }
}

/// The request on an object, empty without one.
pub(crate) fn requested_at(object: &Value) -> &str {
    object["metadata"]["annotations"][REQUESTED_AT].as_str().unwrap_or_default()
}

/// Whether an object's wish or the request on it has changed: what wakes its controller.
pub(crate) fn asks_for_work(before: Option<&Value>, now: &Value) -> bool {
    before.is_none_or(|before| {
        before["metadata"]["generation"] != now["metadata"]["generation"]
            || requested_at(before) != requested_at(now)
    })
}

pub(crate) fn condition<'o>(object: &'o Value, name: &str) -> Option<&'o Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == name)
}

pub(crate) fn is_true(object: &Value, name: &str) -> bool {
    condition(object, name).is_some_and(|condition| condition["status"] == "True")
}

fn same_state(one: &Value, other: &Value) -> bool {
    ["type", "status", "reason", "message"].iter().all(|field| one[field] == other[field])
}

fn rank(name: &str) -> u8 {
    match name {
        "Stalled" => 0,
        "Reconciling" => 1,
        "Ready" => 2,
        _ => 3,
    }
}
