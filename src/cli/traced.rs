//! Finds the trace in which Flux tells of a scenario's changes: that of an Alert whose Provider is of
//! type `otel` and which hears of objects on the path.
//!
//! A trace is no reason not to run: what cannot be read is said once, and runs have a trace of their
//! own then.
//!
//! Only our own cluster is looked at. A run is one trace, and each cluster that a change goes through
//! has Alerts of its own, whose uids make others of the same revision; ours is where whoever follows
//! the run looks first.

use crate::cli::assemble::Workshop;
use crate::cli::reader::Reader;
use crate::cluster::Error;
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
            revisions.push(self.told(reader, plan, path, subject).await);
        }
        Some(TracePlan { alert: Some(AlertTrace { uid, revisions }) })
    }

    /// The Alerts of our own cluster that tell of the path as traces.
    async fn tellers(&self, reader: &Reader<'_>, plan: &Plan, path: &Objects) -> Vec<Teller> {
        let members = members(plan, path);
        let alerts = match self.alerts(&members).await {
            Ok(alerts) => alerts,
            Err(error) => {
                let own = "traces are our own and not Flux's, whose Alerts cannot be read";
                self.telling.warn(&format!("{own}: {error}"));
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        for alert in &alerts {
            let meta = &alert["metadata"];
            let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
            let (namespace, name) = (text(&meta["namespace"]), text(&meta["name"]));
            let subject = Subject::local(flux_kind("Alert"), &namespace, &name);
            // One of errors says nothing of what went well.
            if flux::is_suspended(alert) || alert["spec"]["eventSeverity"] == "error" {
                continue;
            }
            let all = references(&subject, alert);
            let hears = |it: &&Subject| {
                let object = path.get(*it).unwrap_or(&Value::Null);
                let named = all.iter().any(|reference| {
                    reference.used == Use::Events && reference.meant.is(it, object)
                });
                // Canaries are often kept from an Alert by their messages.
                named && success(it, &self.instance).is_none_or(|it| flux::passes_on(alert, &it))
            };
            let of: Vec<_> = members.iter().filter(hears).cloned().collect();
            let provider = all.iter().find(|it| it.used == Use::Provider);
            let (false, Some(Meant::One(provider))) = (of.is_empty(), provider.map(|it| &it.meant))
            else {
                continue;
            };
            match reader.get(provider).await {
                Ok(object) if object["spec"]["type"] == "otel" => {
                    found.push(Teller { alert: subject, uid: text(&meta["uid"]), of });
                }
                Ok(_) => {}
                Err(error) => self.telling.warn(&format!(
                    "whether {subject} tells of the path as traces is not known: {error}"
                )),
            }
        }
        found
    }

    /// All Alerts; those beside the path, if we may not see others.
    async fn alerts(&self, members: &[Subject]) -> Result<Vec<Value>, Error> {
        let (home, kind) = (self.clusters.home(), flux_kind("Alert"));
        let refused = match home.all(&kind, None).await {
            Err(error @ Error::Forbidden { .. }) => error,
            alerts => return Ok(alerts?.unwrap_or_default()),
        };
        let places: BTreeSet<_> = members.iter().map(|it| it.namespace.as_str()).collect();
        let mut found = Vec::new();
        for place in places {
            match home.all(&kind, Some(place)).await {
                Err(Error::Forbidden { .. }) => return Err(refused),
                alerts => found.extend(alerts?.unwrap_or_default()),
            }
        }
        Ok(found)
    }

    /// What events of an object name as their revision: its own, unless Kustomizations have made it;
    /// then that of the one at their root.
    async fn told(
        &self,
        reader: &Reader<'_>,
        plan: &Plan,
        path: &Objects,
        subject: Subject,
    ) -> ToldRevision {
        let own = Arc::new(subject);
        let mut object = path.get(&*own).cloned().unwrap_or_default();
        let (mut root, mut known): (Option<(Subject, Value)>, _) = (None, BTreeSet::new());
        while let Some(maker) = maker(&object) {
            if known.len() >= HIGHEST || !known.insert(maker.clone()) {
                break;
            }
            object = match reader.get(&maker).await {
                Ok(object) => object,
                // It is gone, and its labels have stayed.
                Err(Error::NoSuchObject { .. }) => break,
                Err(error) => {
                    self.telling.warn(&format!(
                        "in which of Flux's traces {own} is told is not known: {error}"
                    ));
                    break;
                }
            };
            root = Some((maker, object.clone()));
        }
        let Some((root, object)) = root else { return ToldRevision::Carried(own) };
        if let Some(watched) = plan.subjects().into_iter().find(|it| **it == root) {
            return ToldRevision::Applied(watched);
        }
        let text = object["status"]["lastAppliedRevision"].as_str();
        ToldRevision::Always(text.unwrap_or("unknown").to_owned())
    }
}

/// What a controller says when it has done what a run waits for; none where that is anybody's text.
/// Numbers and revisions in it are examples.
fn success(member: &Subject, instance: &str) -> Option<String> {
    let Subject { kind, namespace, name, .. } = member;
    Some(match kind.kind.as_str() {
        "GitRepository" => format!("stored artifact for commit 'canary {instance}-1a1fbe67007'"),
        "Kustomization" => "Reconciliation finished in 436.493292ms, next run in 10m0s".to_owned(),
        "HelmRelease" => format!(
            "Helm upgrade succeeded for release {namespace}/{name}.v2 with chart {name}@1.0.0"
        ),
        _ => return None,
    })
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

/// The Kustomization that has made an object.
fn maker(object: &Value) -> Option<Subject> {
    let [namespace, name] = MAKER.map(|it| object["metadata"]["labels"][it].as_str());
    Some(Subject::local(GroupKind::kustomization(), namespace?, name?))
}
