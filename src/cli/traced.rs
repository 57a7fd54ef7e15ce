//! Finds the trace in which Flux tells of a scenario's changes: that of an Alert whose Provider is of
//! type `otel` and which hears of objects on the path.
//!
//! A trace is no reason not to run: what cannot be read is said once, and runs have a trace of their
//! own then.

use crate::cli::assemble::Workshop;
use crate::cli::reader::Reader;
use crate::engine::{AlertTrace, Plan, ToldRevision, TracePlan};
use crate::hop::Objects;
use crate::model::{GroupKind, Subject, flux};
use crate::path::{Meant, Role, Use, flux_kind, references, role};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The labels by which a Kustomization marks what it has made.
const MAKER: [&str; 2] =
    ["kustomize.toolkit.fluxcd.io/namespace", "kustomize.toolkit.fluxcd.io/name"];

/// How far up the Kustomizations are followed that have made one another.
const HIGHEST: usize = 16;

/// An Alert that tells of some objects.
struct Teller {
    alert: Subject,
    uid: String,
    of: Vec<Subject>,
}

// === impl Workshop ===

impl Workshop {
    /// Which trace runs of this plan are told in; none where they are not.
    pub(super) async fn trace_plan(
        &self,
        reader: &Reader<'_>,
        plan: &Plan,
        path: &Objects,
    ) -> Option<TracePlan> {
        if !self.telling.has_traces() {
            return None;
        }
        let mut tellers = self.tellers(reader, plan, path).await;
        tellers.sort_by(|one, other| one.alert.cmp(&other.alert));
        if let [one, another, ..] = tellers.as_slice() {
            self.telling.warn(&format!(
                "scenario `{}`: {} and {} both tell of its path as traces: its runs go into those of \
                 the first",
                plan.scenario, one.alert, another.alert
            ));
        }
        let Some(Teller { uid, of, .. }) = tellers.into_iter().next() else {
            return Some(TracePlan::default());
        };
        let mut revisions = Vec::new();
        for subject in of {
            revisions.push(told(reader, plan, path, subject).await);
        }
        Some(TracePlan { alert: Some(AlertTrace { uid, revisions }) })
    }

    /// The Alerts of our own cluster that tell of the path as traces.
    async fn tellers(&self, reader: &Reader<'_>, plan: &Plan, path: &Objects) -> Vec<Teller> {
        let alerts = match self.clusters.home().all(&flux_kind("Alert"), None).await {
            Ok(alerts) => alerts.unwrap_or_default(),
            Err(error) => {
                let own = "traces are our own and not Flux's, whose Alerts cannot be read";
                self.telling.warn(&format!("{own}: {error}"));
                return Vec::new();
            }
        };
        let members = members(plan, path);
        let mut found = Vec::new();
        for object in &alerts {
            let meta = &object["metadata"];
            let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
            let (namespace, name) = (text(&meta["namespace"]), text(&meta["name"]));
            let alert = Subject::local(flux_kind("Alert"), &namespace, &name);
            // One of errors says nothing of what went well.
            if flux::is_suspended(object) || object["spec"]["eventSeverity"] == "error" {
                continue;
            }
            let all = references(&alert, object);
            let hears = |it: &&Subject| {
                let object = path.get(*it).unwrap_or(&Value::Null);
                all.iter().any(|reference| {
                    reference.used == Use::Events && reference.meant.is(it, object)
                })
            };
            let of: Vec<_> = members.iter().filter(hears).cloned().collect();
            let provider = all.iter().find(|it| it.used == Use::Provider);
            let (false, Some(Meant::One(provider))) = (of.is_empty(), provider.map(|it| &it.meant))
            else {
                continue;
            };
            match reader.get(provider).await {
                Ok(object) if object["spec"]["type"] == "otel" => {
                    found.push(Teller { alert, uid: text(&meta["uid"]), of });
                }
                Ok(_) => {}
                Err(error) => self.telling.warn(&format!(
                    "whether {alert} tells of the path as traces is not known: {error}"
                )),
            }
        }
        found
    }
}

/// The members of the path whose events have a revision, in the order of the hops, the rest behind.
/// Of an index of charts no traces are told.
fn members(plan: &Plan, path: &Objects) -> Vec<Subject> {
    let hops = plan.hops.iter().map(|it| (*it.subject).clone());
    let mut known = BTreeSet::new();
    let is_told = |it: &Subject| {
        let has_revision = matches!(role(&it.kind), Some(Role::Source | Role::Applier));
        it.cluster.0.is_empty() && has_revision && it.kind.kind != "HelmRepository"
    };
    let all = hops.chain(path.keys().cloned());
    all.filter(|it| is_told(it) && known.insert(it.clone())).collect()
}

/// What events of an object name as their revision: its own, unless Kustomizations have made it; then
/// that of the one at their root.
async fn told(reader: &Reader<'_>, plan: &Plan, path: &Objects, subject: Subject) -> ToldRevision {
    let own = Arc::new(subject);
    let mut object = path.get(&*own).cloned().unwrap_or_default();
    let (mut root, mut known): (Option<(Subject, Value)>, _) = (None, BTreeSet::new());
    while let Some(maker) = maker(&object) {
        if known.len() >= HIGHEST || !known.insert(maker.clone()) {
            break;
        }
        // To whom it cannot be shown, it is not there.
        let Ok(read) = reader.get(&maker).await else { break };
        object = read.clone();
        root = Some((maker, read));
    }
    let Some((root, object)) = root else { return ToldRevision::Carried(own) };
    if let Some(watched) = plan.subjects().into_iter().find(|it| **it == root) {
        return ToldRevision::Applied(watched);
    }
    let text = object["status"]["lastAppliedRevision"].as_str();
    ToldRevision::Always(text.unwrap_or("unknown").to_owned())
}

/// The Kustomization that has made an object.
fn maker(object: &Value) -> Option<Subject> {
    let [namespace, name] = MAKER.map(|it| object["metadata"]["labels"][it].as_str());
    Some(Subject::local(GroupKind::kustomization(), namespace?, name?))
}
