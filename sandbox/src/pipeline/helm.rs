//! Helm lanes: from values in git, or a chart in a repository, to what a release installs.
//!
//! One call sets up what a team has that deploys with Helm: a repository whose Kustomization writes
//! a release, charts over HTTP or from a registry, and who is told of what.

use serde_json::{Value, json};

use super::{
    CANARY_NAMESPACE, CONSENT, Door, FLUX_NAMESPACE, GUEST, Hook, Sandbox, SandboxError,
    git_objects, secret,
};
use crate::charts::Chart;
use crate::store::Key;

/// Where a Helm lane's release stands in its repository.
pub const RELEASE_PATH: &str = "canary/release.yaml";
/// Where its values stand, if they are in an object of their own.
pub const VALUES_PATH: &str = "canary/values.yaml";

/// A way for values from a repository, and for charts, into the cluster.
#[derive(Clone, Debug)]
pub struct HelmLane {
    /// Name of its repository, chart, Flux objects, release and canary.
    pub name: String,
    /// How often its source polls.
    pub git_interval: String,
    /// Whether pushes are announced.
    pub git_hook: Hook,
    /// Who may fetch and push.
    pub door: Door,
    /// How often the release is looked at without a cause.
    pub release_interval: String,
    /// Where the value of the canary stands.
    pub values: Values,
    /// Where the chart comes from.
    pub chart: ChartFrom,
    /// How often new charts are looked for.
    pub chart_interval: String,
    /// `spec.upgrade` of the release, null for none.
    pub upgrade: Value,
}

/// Where the values of a release stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// In the release itself.
    Own,
    /// In a `ConfigMap` whose changes wake the release.
    Watched,
    /// In a `ConfigMap` that lacks the label for that, so that only an interval finds a change.
    Unwatched,
}

/// Where charts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartFrom {
    /// In the chart repository, with an index over HTTP.
    Http,
    /// In the registry, through a static `HelmRepository`.
    Registry,
}

/// Where a Helm lane can be reached.
#[derive(Clone, Debug)]
pub struct HelmLanePlaces {
    /// URL of the git repository.
    pub git: String,
    /// URL of the chart's repository, as the `HelmRepository` has it.
    pub charts: String,
    /// The repository in the registry, where the chart is there.
    pub repository: String,
    /// The `HelmChart` that helm-controller made, in the namespace of all Flux objects.
    pub helm_chart: String,
    /// Where a POST announces a new chart; nobody does unless asked to.
    pub chart_hook: String,
}

// === impl HelmLane ===

impl HelmLane {
    /// A lane with a chart over HTTP and values of the release's own, on which every webhook works.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            git_interval: "10m".to_owned(),
            git_hook: Hook::Right,
            door: Door::Open,
            release_interval: "10m".to_owned(),
            values: Values::Own,
            chart: ChartFrom::Http,
            chart_interval: "10m".to_owned(),
            upgrade: Value::Null,
        }
    }

    /// The release as it stands in git, with this value if the values are its own.
    #[must_use]
    pub fn release(&self, run: &str) -> String {
        let name = &self.name;
        let mut spec = json!({
            "interval": self.release_interval,
            "releaseName": name,
            "chart": {"spec": {"chart": name, "version": "0.x", "interval": self.chart_interval,
                "sourceRef": {"kind": "HelmRepository", "name": name,
                    "namespace": FLUX_NAMESPACE}}},
        });
        match self.values {
            Values::Own => spec["values"] = json!({ "run": run }),
            _ => spec["valuesFrom"] = json!([{"kind": "ConfigMap", "name": self.map()}]),
        }
        if !self.upgrade.is_null() {
            spec["upgrade"] = self.upgrade.clone();
        }
        let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": CANARY_NAMESPACE,
                "annotations": {CONSENT: GUEST}}, "spec": spec});
        format!("{release:#}\n")
    }

    /// The object that the values stand in, if it is not the release.
    #[must_use]
    pub fn values_map(&self, run: &str) -> String {
        let label = match self.values {
            Values::Watched => "  labels:\n    reconcile.fluxcd.io/watch: Enabled\n",
            _ => "",
        };
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\n  \
             namespace: {CANARY_NAMESPACE}\n{label}data:\n  values.yaml: |\n    run: {run}\n",
            self.map()
        )
    }

    /// The chart of a version: one canary with the chart's version and the value `run`.
    #[must_use]
    pub fn chart(&self, version: &str) -> Chart {
        Chart::canary(&self.name, version, "none")
    }

    fn map(&self) -> String {
        format!("{}-values", self.name)
    }

    fn repository(&self, url: &str) -> Value {
        let kind = if self.chart == ChartFrom::Registry { "oci" } else { "default" };
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
            "metadata": {"name": self.name, "namespace": FLUX_NAMESPACE,
                "annotations": {CONSENT: GUEST}},
            "spec": {"type": kind, "url": url, "interval": self.chart_interval,
                "insecure": true, "provider": "generic"}})
    }

    fn receiver(&self, helm_chart: &str) -> Value {
        let (kind, name) = match self.chart {
            ChartFrom::Http => ("HelmRepository", self.name.as_str()),
            // A static repository hears nothing.
            ChartFrom::Registry => ("HelmChart", helm_chart),
        };
        json!({"apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver",
            "metadata": {"name": self.receiver_name(), "namespace": FLUX_NAMESPACE},
            "spec": {"type": "generic", "interval": "10m",
                "secretRef": {"name": format!("{}-hook", self.name)},
                "resources": [{"kind": kind, "name": name}]}})
    }

    fn receiver_name(&self) -> String {
        format!("{}-charts", self.name)
    }
}

// === impl Sandbox ===

impl Sandbox {
    /// Adds a Helm lane with a chart of version 0.1.0, and returns where it can be reached once its
    /// first release is deployed.
    ///
    /// # Errors
    /// If the lane is there already, or does not settle.
    pub async fn add_helm_lane(&self, lane: &HelmLane) -> Result<HelmLanePlaces, SandboxError> {
        let (name, repository) = (lane.name.as_str(), format!("charts/{}", lane.name));
        let charts = match lane.chart {
            ChartFrom::Http => self.charts().base_url().to_owned(),
            ChartFrom::Registry => format!("oci://{}/charts", self.registry().host()),
        };
        self.publish_chart(lane, &lane.chart("0.1.0"));
        let (release, values) = (lane.release("none"), lane.values_map("none"));
        let mut files = vec![
            (RELEASE_PATH, release.as_str()),
            ("README.md", "A lane of hopclock's sandbox.\n"),
        ];
        if lane.values != Values::Own {
            files.push((VALUES_PATH, &values));
        }
        let git = self.git().create_repository(name, &files, "main")?;
        let (password, token) = (secret(), secret());
        if lane.door == Door::Locked {
            self.lock_repository(&git, &password)?;
        }
        let helm_chart = format!("{CANARY_NAMESPACE}-{name}");
        self.store().create(lane.repository(&charts), "sandbox")?;
        if lane.chart == ChartFrom::Http {
            self.reached(name, "HelmRepository", |it| it["status"]["artifact"].is_object()).await?;
        }
        for mut object in git_objects(name, &lane.git_interval, &git, [&password, &token]) {
            if object["kind"] == "Kustomization" {
                // Waiting for the release would cost five seconds each time.
                object["spec"]["wait"] = false.into();
            }
            self.store().create(object, "sandbox")?;
        }
        self.store().create(lane.receiver(&helm_chart), "sandbox")?;
        self.applied(name).await?;
        self.deployed(name).await?;
        self.hook_up(name, lane.git_hook, &git, &token).await?;
        let chart_hook = self.receiver_of(&lane.receiver_name()).await;
        Ok(HelmLanePlaces { git, charts, repository, helm_chart, chart_hook })
    }

    /// Publishes a chart where a lane has its charts from; nobody is told.
    pub fn publish_chart(&self, lane: &HelmLane, chart: &Chart) {
        match lane.chart {
            ChartFrom::Http => self.charts().publish(chart),
            ChartFrom::Registry => {
                let _ = self.registry().push_chart(&format!("charts/{}", lane.name), chart);
            }
        }
    }

    async fn deployed(&self, lane: &str) -> Result<(), SandboxError> {
        let key = Key::new("HelmRelease", CANARY_NAMESPACE, lane);
        let is_deployed = |it: &Value| {
            it["status"]["history"][0]["status"] == "deployed"
                && it["status"]["observedGeneration"] == it["metadata"]["generation"]
        };
        if self.until(&key, is_deployed).await {
            return Ok(());
        }
        let object = self.store().get(&key).unwrap_or_default();
        let says = format!("its HelmRelease says {}", object["status"]);
        Err(SandboxError::Stuck(lane.to_owned(), says))
    }
}
