//! Flux has told our own listener that the change was applied.
//!
//! The subject is no object of a cluster but the listener: each of its states is one delivery, the
//! body that Flux's notification-controller posts to a `generic` or `generic-hmac` provider.

use crate::hop::{Detector, Kind, Objects, Place, Traits, chart, source_fetched};
use crate::model::{
    Carried, Change, GroupKind, ObjectName, Reached, Revision, Sighting, SourceKind, State, Subject,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// What appliers call their success.
const SUCCESSES: [&str; 3] = ["ReconciliationSucceeded", "InstallSucceeded", "UpgradeSucceeded"];

/// The notification of an applier's success, as it reaches hopclock's own listener.
///
/// At most one of `kustomization` and `helm_release`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifiedConfig {
    /// Name of the listener to which Flux's Provider posts. Default: `flux`.
    #[serde(default = "listener")]
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub listener: String,

    /// The Kustomization whose success is told. Default: the applier of the scenario's last
    /// `applied` hop.
    #[serde(default)]
    pub kustomization: Option<ObjectName>,

    /// The HelmRelease whose success is told. Default: the applier of the scenario's last `applied`
    /// hop.
    #[serde(default)]
    pub helm_release: Option<ObjectName>,
}

/// See [`NotifiedConfig`].
#[derive(Debug)]
pub struct Notified {
    applier: Subject,
}

// === impl NotifiedConfig ===

impl NotifiedConfig {
    /// The applier whose success is told; none if the hop does not say.
    #[must_use]
    pub fn applier(&self) -> Option<Subject> {
        let (kind, name) = match (&self.kustomization, &self.helm_release) {
            (Some(it), _) => (GroupKind::kustomization(), it),
            (None, Some(it)) => (GroupKind::helm_release(), it),
            (None, None) => return None,
        };
        Some(Subject::local(kind, &name.namespace, &name.name))
    }
}

impl Kind for NotifiedConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "notified", place: Place::Notify, required: false }
    }

    fn subject(&self) -> Option<Subject> {
        Some(Subject::local(GroupKind::notification(), "", &self.listener))
    }

    fn detector(&self, _: &Objects) -> Result<Arc<dyn Detector>, String> {
        match self.applier() {
            Some(applier) => Ok(Arc::new(Notified::new(applier))),
            None => Err("nothing says whose success is told: give the `notified` hop a \
                         `kustomization` or `helm_release`"
                .to_owned()),
        }
    }
}

// === impl Notified ===

impl Notified {
    /// Waits for the success of this applier.
    #[must_use]
    pub fn new(applier: Subject) -> Self {
        Self { applier }
    }

    fn is_of_applier(&self, delivery: &Value) -> bool {
        let object = &delivery["involvedObject"];
        object["kind"] == *self.applier.kind.kind
            && object["namespace"] == *self.applier.namespace
            && object["name"] == *self.applier.name
    }

    /// Whose revision the delivery names, if it carries the change. A Kustomization does not say
    /// of which kind its source is, so each is tried.
    fn carried(&self, delivery: &Value, change: &Change) -> Option<Carried> {
        let metadata = &delivery["metadata"];
        let revision = &metadata["revision"];
        if self.applier.kind == GroupKind::helm_release() {
            let by_digest = change.carried_in(&metadata["oci-digest"], SourceKind::Oci);
            return by_digest.or_else(|| chart::carried(change, revision));
        }
        let origin = || change.carried(&source_fetched::origin(&metadata["originRevision"])?);
        let kinds = [SourceKind::Git, SourceKind::Oci];
        origin().or_else(|| kinds.into_iter().find_map(|it| change.carried_in(revision, it)))
    }
}

impl Detector for Notified {
    fn look(&self, _past: &[State], now: &State, change: &Change) -> Sighting {
        let delivery = &*now.value;
        let success = delivery["reason"].as_str().is_some_and(|it| SUCCESSES.contains(&it));
        if !success || delivery["severity"] == "error" || !self.is_of_applier(delivery) {
            return Sighting::NotYet;
        }
        match self.carried(delivery, change) {
            Some(carried) => Sighting::Reached(Reached { carried, ..Reached::at(now.when) }),
            None => Sighting::NotYet,
        }
    }

    fn revisions(&self, now: &State) -> Vec<Revision> {
        let is_kustomization = self.applier.kind == GroupKind::kustomization();
        let revision = now.value["metadata"]["revision"].as_str();
        let of_ours = revision.filter(|_| is_kustomization && self.is_of_applier(&now.value));
        of_ours.and_then(|it| SourceKind::Git.revision(it)).into_iter().collect()
    }
}

fn listener() -> String {
    "flux".to_owned()
}
