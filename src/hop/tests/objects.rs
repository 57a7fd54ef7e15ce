//! A small language for what subjects show: objects as Flux writes them, cut down to the fields
//! that detectors read, and the states in which they arrive.

use crate::model::{
    Arrival, CanaryId, Change, Moment, Reached, Revision, Sighting, State, When, flux,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// An object, built field by field.
#[derive(Clone, Debug)]
pub(crate) struct Object(Value);

// === impl Object ===

impl Object {
    /// What was made elsewhere.
    pub(crate) fn of(value: Value) -> Self {
        Self(value)
    }

    /// The request that stands in its annotations.
    pub(crate) fn requested(mut self, request: &str) -> Self {
        self.0["metadata"]["annotations"][flux::REQUESTED_AT] = json!(request);
        self
    }

    /// The field manager that wrote the request.
    pub(crate) fn written_by(mut self, manager: &str) -> Self {
        let mut fields = json!({});
        fields[format!("f:{}", flux::REQUESTED_AT)] = json!({});
        let annotations = json!({"f:metadata": {"f:annotations": fields}});
        self.0["metadata"]["managedFields"] =
            json!([{"manager": manager, "fieldsV1": annotations}]);
        self
    }

    /// The request that it says is handled.
    pub(crate) fn handled(mut self, request: &str) -> Self {
        self.0["status"]["lastHandledReconcileAt"] = json!(request);
        self
    }

    pub(crate) fn generation(mut self, generation: i64) -> Self {
        self.0["metadata"]["generation"] = json!(generation);
        self
    }

    pub(crate) fn observed(mut self, generation: i64) -> Self {
        self.0["status"]["observedGeneration"] = json!(generation);
        self
    }

    /// A source's artifact.
    pub(crate) fn artifact(mut self, commit: char) -> Self {
        self.0["status"]["artifact"]["revision"] = json!(revision(commit));
        self
    }

    /// The artifact of a source that it includes.
    pub(crate) fn included(mut self, commit: char) -> Self {
        self.0["status"]["includedArtifacts"] = json!([{"revision": revision(commit)}]);
        self
    }

    /// What a Kustomization attempted last.
    pub(crate) fn attempted(mut self, commit: char) -> Self {
        self.0["status"]["lastAttemptedRevision"] = json!(revision(commit));
        self
    }

    /// What a Kustomization attempted and applied last.
    pub(crate) fn applied(mut self, commit: char) -> Self {
        self.0["status"]["lastAppliedRevision"] = json!(revision(commit));
        self.attempted(commit)
    }

    /// Sets a condition at the object's own generation.
    pub(crate) fn condition(mut self, kind: &str, status: &str, reason: &str) -> Self {
        self.without(kind);
        let generation = self.0["metadata"]["generation"].clone();
        let one = json!({"type": kind, "status": status, "reason": reason, "message": "",
            "observedGeneration": generation});
        self.0["status"]["conditions"].as_array_mut().unwrap().push(one);
        self
    }

    pub(crate) fn ready(self, status: &str, reason: &str) -> Self {
        self.condition("Ready", status, reason)
    }

    /// At work, with the text that says on what.
    pub(crate) fn reconciling(self, message: &str) -> Self {
        let mut object = self.condition("Reconciling", "True", "Progressing");
        let conditions = object.0["status"]["conditions"].as_array_mut().unwrap();
        conditions.last_mut().unwrap()["message"] = json!(message);
        object
    }

    pub(crate) fn suspended(mut self) -> Self {
        self.0["spec"]["suspend"] = json!(true);
        self
    }

    /// Sets what only some kinds have, by the path to it.
    pub(crate) fn with(mut self, pointer: &str, value: Value) -> Self {
        let parts = pointer.split('/').skip(1);
        *parts.fold(&mut self.0, |it, key| &mut it[key]) = value;
        self
    }

    pub(crate) fn into_value(self) -> Value {
        self.0
    }

    fn without(&mut self, kind: &str) {
        self.0["status"]["conditions"].as_array_mut().unwrap().retain(|it| it["type"] != kind);
    }
}

/// A GitRepository that is ready, and holds the old commit `a`.
pub(crate) fn source() -> Object {
    ready("GitRepository").artifact('a')
}

/// A Kustomization that is ready, and has applied the old commit `a`.
pub(crate) fn kustomization() -> Object {
    ready("Kustomization").applied('a')
}

/// A ConfigMap that holds the canary of this sequence.
pub(crate) fn config_map(sequence: u64) -> Object {
    let canary = canary(sequence).to_string();
    Object(json!({"kind": "ConfigMap", "metadata": {"name": "canary"}, "data": {"run": canary}}))
}

/// What is not there.
pub(crate) fn nothing() -> Object {
    Object(Value::Null)
}

/// A canary of our lane; ours is number 100.
pub(crate) fn canary(sequence: u64) -> CanaryId {
    CanaryId::new("lane", sequence)
}

/// A commit, by the letter that it repeats; ours is `c`.
pub(crate) fn commit(letter: char) -> Revision {
    Revision::Commit(letter.to_string().repeat(40))
}

/// A commit as Flux writes it.
pub(crate) fn revision(letter: char) -> String {
    format!("main@sha1:{}", commit(letter).id())
}

/// A request in the format of a Receiver.
pub(crate) fn webhook(second: u32) -> String {
    format!("2026-11-21 02:19:{second:02}.5 +0000 UTC m=+{second}.25")
}

/// A change that was announced, and whose publish began at second 10.
pub(crate) fn change() -> Change {
    let mut change = Change::new(canary(100));
    change.announce(vec![commit('c')]);
    change.begin(at(10.0));
    change
}

/// So many seconds from the clock's origin.
pub(crate) fn at(seconds: f64) -> Moment {
    Moment(Duration::from_secs_f64(seconds))
}

/// A state from the list that opened the watch.
pub(crate) fn first(seconds: f64, object: Object) -> State {
    State { arrival: Arrival::First, ..next(seconds, object) }
}

/// A state as the next watch event.
pub(crate) fn next(seconds: f64, object: Object) -> State {
    let when = When::at(at(seconds));
    State { when, arrival: Arrival::Next, value: Arc::new(object.into_value()) }
}

/// A state behind a gap.
pub(crate) fn gap(since: f64, until: f64, object: Object) -> State {
    let when = When::between(at(since), at(until));
    State { when, arrival: Arrival::AfterGap, ..next(until, object) }
}

/// How it was reached, or what was said instead.
pub(crate) fn reached(sighting: Sighting) -> Reached {
    match sighting {
        Sighting::Reached(reached) => reached,
        other => panic!("not reached: {other:?}"),
    }
}

/// Splits states into the past and the newest.
pub(crate) fn split(states: &[State]) -> (&[State], &State) {
    let (now, past) = states.split_last().unwrap();
    (past, now)
}

/// An object of Flux that is ready.
pub(crate) fn ready(kind: &str) -> Object {
    let object = json!({"kind": kind, "metadata": {"generation": 1, "annotations": {}}, "spec": {},
        "status": {"observedGeneration": 1, "conditions": []}});
    Object(object).ready("True", "Succeeded")
}
