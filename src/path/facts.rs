//! What an object says of itself that matters to whoever waits for it.

use crate::model::{ClusterName, Duration, GroupKind, Subject};
use crate::path::delivery::CONSENT;
use crate::path::links;
use serde_json::Value;
use std::time;

/// The label by which a ConfigMap or Secret wakes those who take values from it.
const WATCH: &str = "reconcile.fluxcd.io/watch";
/// The label by which an object is left to a controller of its own.
const SHARD: &str = "sharding.fluxcd.io/key";

/// What an object says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    /// How often it looks by itself.
    pub interval: Option<time::Duration>,
    /// How long it waits after a failure (`spec.retryInterval`).
    pub retry: Option<time::Duration>,
    /// How long one attempt may take.
    pub timeout: Option<time::Duration>,
    /// Whether it does nothing at all.
    pub suspended: bool,
    /// Whether it reports only what has become healthy, which is polled.
    pub waits: bool,
    /// Whether Flux never reconciles it: a HelmRepository of type `oci`.
    pub is_static: bool,
    /// Whether it wakes those who take values from it.
    pub watched: bool,
    /// The shard that it is left to.
    pub shard: Option<String>,
    /// The cluster that it applies to, if that is another one.
    pub cluster: Option<ClusterName>,
    /// The instance to whose canaries it consents.
    pub consents: Option<String>,
}

// === impl Facts ===

impl Facts {
    /// Reads them.
    #[must_use]
    pub fn of(subject: &Subject, object: &Value) -> Self {
        let (spec, metadata) = (&object["spec"], &object["metadata"]);
        let label = |key: &str| metadata["labels"][key].as_str();
        let is_static =
            subject.kind == GroupKind::source("HelmRepository") && spec["type"] == "oci";
        let release = subject.kind == GroupKind::helm_release();
        let checks = spec["healthChecks"].as_array().is_some_and(|it| !it.is_empty());
        // A release waits unless it is told not to.
        let skips = [&spec["upgrade"]["disableWait"], &spec["install"]["disableWait"]];
        Self {
            interval: length(&spec["interval"]).filter(|_| !is_static),
            retry: length(&spec["retryInterval"]),
            timeout: length(&spec["timeout"]),
            suspended: spec["suspend"] == true,
            waits: spec["wait"] == true
                || checks
                || release && !skips.iter().all(|it| **it == true),
            is_static,
            watched: label(WATCH) == Some("Enabled"),
            shard: label(SHARD).map(str::to_owned),
            cluster: links::remote_cluster(object),
            consents: metadata["annotations"][CONSENT].as_str().map(str::to_owned),
        }
    }
}

/// A length of time as Flux writes it.
fn length(value: &Value) -> Option<time::Duration> {
    value.as_str()?.parse::<Duration>().ok().map(|it| it.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_applier_says_how_often_it_looks_and_whether_it_waits() {
        let apps = Subject::local(GroupKind::kustomization(), "flux-system", "apps");
        let object = json!({
            "metadata": {"labels": {"sharding.fluxcd.io/key": "two"}},
            "spec": {"interval": "1h0m0s", "retryInterval": "2m", "wait": true, "suspend": true,
                "kubeConfig": {"secretRef": {"name": "east"}}},
        });
        let facts = Facts::of(&apps, &object);
        assert_eq!(facts.interval, Some(time::Duration::from_secs(3600)));
        assert_eq!(facts.retry, Some(time::Duration::from_secs(120)));
        assert!(facts.waits && facts.suspended);
        assert_eq!(facts.shard.as_deref(), Some("two"));
        assert_eq!(facts.cluster, Some(ClusterName("east".to_owned())));
    }

    #[test]
    fn a_repository_of_type_oci_never_looks() {
        let charts = Subject::local(GroupKind::source("HelmRepository"), "flux-system", "charts");
        let object = json!({"spec": {"type": "oci", "interval": "5m"}});
        let facts = Facts::of(&charts, &object);
        assert_eq!((facts.interval, facts.is_static), (None, true));
    }

    #[test]
    fn a_release_waits_unless_it_is_told_not_to() {
        let web = Subject::local(GroupKind::helm_release(), "apps", "web");
        assert!(Facts::of(&web, &json!({"spec": {}})).waits);
        let not = json!({"disableWait": true});
        assert!(!Facts::of(&web, &json!({"spec": {"install": not, "upgrade": not}})).waits);
    }
}
