//! What the tests of findings share: objects as `kubectl` shows them, and what is found in them.

use crate::model::{GroupKind, Subject};
use crate::path::checkup::{Check, Controllers, Finding, Goal, Room};
use crate::path::plan::{Course, Leg, Sort};
use crate::path::{Graph, Snapshot, flux_kind};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const INSTANCE: &str = "hopclock";

/// An object of a kind of Flux, in `flux-system`.
pub(super) fn object(kind: &str, name: &str, spec: Value) -> Value {
    let group = flux_kind(kind).group;
    let mut object = json!({"kind": kind, "apiVersion": format!("{group}/v1"),
        "metadata": {"namespace": "flux-system", "name": name}});
    object["spec"] = spec;
    object
}

/// A `ConfigMap` in `flux-system`.
pub(super) fn config_map(name: &str, labels: &Value) -> Value {
    json!({"kind": "ConfigMap", "apiVersion": "v1",
        "metadata": {"namespace": "flux-system", "name": name, "labels": labels}})
}

/// A controller that runs.
pub(super) fn controller(component: &str, arguments: &[&str]) -> Value {
    let image = format!("ghcr.io/fluxcd/{component}:v1.9.4");
    json!({"kind": "Deployment", "apiVersion": "apps/v1",
        "metadata": {"namespace": "flux-system", "name": component},
        "spec": {"template": {"spec": {"containers": [{"image": image, "args": arguments}]}}},
        "status": {"availableReplicas": 1}})
}

pub(super) fn snapshot(objects: &[Value]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for object in objects {
        let version = object["apiVersion"].as_str().unwrap();
        let group = version.split_once('/').map_or("", |it| it.0);
        let kind = GroupKind::new(group, object["kind"].as_str().unwrap());
        snapshot.add(&kind, vec![object.clone()]);
    }
    snapshot
}

/// All findings of a snapshot.
pub(super) fn installation(snapshot: Snapshot) -> Vec<Finding> {
    let controllers = Controllers::of(&snapshot);
    let graph = Graph::of(snapshot);
    Room { graph: &graph, controllers: &controllers, instance: INSTANCE }.findings()
}

/// All findings of these objects.
pub(super) fn found(objects: &[Value]) -> Vec<Finding> {
    installation(snapshot(objects))
}

/// What keeps a scenario that commits to GitRepository `fleet`, for Kustomization `apps` to apply, from
/// its objective.
pub(super) fn objective(objects: &[Value], within: u64) -> Vec<Finding> {
    let snapshot = snapshot(objects);
    let controllers = Controllers::of(&snapshot);
    let graph = Graph::of(snapshot);
    let room = Room { graph: &graph, controllers: &controllers, instance: INSTANCE };
    let leg = |name: &str, subject: Subject, after: &[usize]| Leg {
        name: name.to_owned(),
        sort: Sort::Member,
        subject,
        after: after.to_vec(),
        within: None,
        needed: true,
    };
    let source = Subject::local(GroupKind::git_repository(), "flux-system", "fleet");
    let apps = Subject::local(GroupKind::kustomization(), "flux-system", "apps");
    let course = Course {
        entry: Some(source.clone()),
        requeue: controllers.requeue(&apps.kind),
        legs: vec![leg("source_fetched", source, &[]), leg("applied", apps, &[0])],
        until: None,
        within: Some(Duration::from_secs(within)),
        objective: 0.99,
        deadline: Duration::from_secs(3600),
        jitter: None,
    };
    room.objective(&Goal { scenario: "apps".to_owned(), course })
}

pub(super) fn ids_of(found: &[Finding]) -> Vec<&'static str> {
    found.iter().map(|it| it.check.id).collect()
}

pub(super) fn ids(objects: &[Value]) -> Vec<&'static str> {
    ids_of(&found(objects))
}

/// The one finding of a check.
pub(super) fn one(found: &[Finding], check: Check) -> Finding {
    let all: Vec<_> = found.iter().filter(|it| it.check == check).collect();
    assert_eq!(all.len(), 1, "{}: {found:?}", check.id);
    all[0].clone()
}
