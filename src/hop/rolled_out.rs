//! All replicas of a workload run the change.
//!
//! Looked at from the first generation whose pod template carries the change; what the status said
//! of an earlier one does not count.

use crate::hop::{Detector, Kind, Live, Objects, Place, Traits};
use crate::model::{Change, GroupKind, ObjectName, Reached, Sighting, State, Subject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The workload whose replicas all run the change: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolledOutConfig {
    /// A Deployment. While it is paused, runs are skipped.
    Deployment(ObjectName),
    /// A StatefulSet that replaces all its pods by itself.
    StatefulSet(ObjectName),
    /// A DaemonSet that replaces its pods by itself.
    DaemonSet(ObjectName),
}

/// See [`RolledOutConfig`].
#[derive(Debug)]
pub struct RolledOut {
    template: Live,
}

// === impl RolledOutConfig ===

impl RolledOutConfig {
    fn workload(&self) -> (&'static str, &ObjectName) {
        match self {
            Self::Deployment(it) => ("Deployment", it),
            Self::StatefulSet(it) => ("StatefulSet", it),
            Self::DaemonSet(it) => ("DaemonSet", it),
        }
    }
}

impl Kind for RolledOutConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "rolled_out", place: Place::Rollout, required: true }
    }

    fn subject(&self) -> Option<Subject> {
        let (kind, it) = self.workload();
        Some(Subject::local(GroupKind::new("apps", kind), &it.namespace, &it.name))
    }

    fn reads_subject(&self) -> bool {
        true
    }

    fn detector(&self, objects: &Objects) -> Result<Arc<dyn Detector>, String> {
        let (kind, name) = self.workload();
        let object = self.subject().and_then(|it| objects.get(&it));
        if let Some(why) = object.and_then(holds_back) {
            return Err(format!(
                "{kind} {name} {why}, so nobody can say when the change is rolled out: wait for it \
                 with `live`, or let the workload replace all its pods"
            ));
        }
        Ok(Arc::new(RolledOut { template: Live::below(&["spec", "template"]) }))
    }
}

// === impl RolledOut ===

impl Detector for RolledOut {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        if now.value["spec"]["paused"] == true {
            return Sighting::Suspended;
        }
        let Sighting::Reached(carries) = self.template.look(&[], now, change) else {
            return Sighting::NotYet;
        };
        let states = || past.iter().chain([now]);
        let carrying =
            |it: &&State| matches!(self.template.look(&[], it, change), Sighting::Reached(_));
        let Some(first) = states().find(carrying).and_then(|it| generation(&it.value)) else {
            return Sighting::NotYet;
        };
        let observed =
            |it: &&State| it.value["status"]["observedGeneration"].as_i64() >= Some(first);
        if !observed(&now) || holds_back(&now.value).is_some() || !is_complete(&now.value) {
            return Sighting::Progress;
        }
        let started = states().find(observed).map(|it| it.when);
        Sighting::Reached(Reached { when: now.when, started, ..carries })
    }

    fn knows_better(&self, _: &Change) -> bool {
        true
    }

    fn has_lost(&self, now: &State, change: &Change) -> bool {
        self.template.has_lost(now, change)
    }
}

/// Why a workload would keep old pods although its template is new.
fn holds_back(object: &Value) -> Option<&'static str> {
    let strategy = &object["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return Some("replaces pods only when somebody deletes them (`OnDelete`)");
    }
    let partition = strategy["rollingUpdate"]["partition"].as_i64();
    partition.is_some_and(|it| it > 0).then_some("keeps pods below its `partition` as they are")
}

/// Whether all replicas that there should be are new and available, and there is one at least.
fn is_complete(object: &Value) -> bool {
    let status = &object["status"];
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    let (wanted, all, updated, available) = if object["kind"] == "DaemonSet" {
        let wanted = count("desiredNumberScheduled");
        (wanted, wanted, count("updatedNumberScheduled"), count("numberAvailable"))
    } else {
        let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
        (wanted, count("replicas"), count("updatedReplicas"), count("availableReplicas"))
    };
    wanted >= 1 && [all, updated, available].into_iter().all(|it| it == wanted)
}

fn generation(object: &Value) -> Option<i64> {
    object["metadata"]["generation"].as_i64()
}
