//! The stories of Helm, played in the sandbox: indexes, charts, registries, releases and values.
//!
//! Chart repository and registry are the real ones over real sockets, in virtual time. Compared as
//! all stories are. Meant deviations: what an `OCIRepository` or a `Bucket` does stands in stories
//! of their own, and here the artifact that a release refers to is put there by hand.

use std::time::Duration;

use hopclock_sandbox::charts::Chart;
use hopclock_sandbox::charts::ChartRepository;
use hopclock_sandbox::flux::Files;
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::registry::Registry;
use hopclock_sandbox::registry::RegistryOptions;
use serde_json::Value;
use serde_json::json;

use crate::lab::Lab;
use crate::lab::TOKEN;
use crate::lab::applier;
use crate::lab::fleet;
use crate::lab::map;
use crate::lab::object;
use crate::lab::receiver;
use crate::stories::compare;
use crate::stories::still;

/// Kinds that move in the recordings and are not run here.
const NOT_RUN: [&str; 4] = ["ImageRepository", "ImagePolicy", "OCIRepository", "Bucket"];

const CANARY: &str = "apps/canary.yaml";
const RELEASE: &str = "releases/valued.yaml";

/// A story being played.
struct Play {
    lab: Lab,
    charts: ChartRepository,
    registry: Registry,
    marks: Vec<(u64, String)>,
}

impl Play {
    async fn set() -> Self {
        let charts = ChartRepository::start(0).await.unwrap();
        let registry = Registry::start(RegistryOptions::default()).await.unwrap();
        let first = Chart::canary("demo", "0.1.0", "seed");
        charts.publish(&first);
        let _ = registry.push_chart("charts/demo", &first);
        let objects = objects(&charts, &registry);
        let (canary, dependent) = (map("canary", "0"), map("dependent", "0"));
        let release = release("seed");
        let files = [
            (CANARY, canary.as_str()),
            ("dependent/dependent.yaml", &dependent),
            (RELEASE, &release),
        ];
        let speeds = Speeds { jitter_percent: 0, ..Speeds::default() };
        let lab = Lab::start(speeds, objects, &files).await;
        let mut play = Self { lab, charts, registry, marks: Vec::new() };
        play.publish_oci(&first);
        play.wait(100.0).await;
        play.begin();
        play
    }

    async fn wait(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }

    fn begin(&mut self) {
        self.lab.begin();
        self.marks.clear();
        self.mark("before the first push");
    }

    fn mark(&mut self, label: &str) {
        self.marks.push((self.lab.store.version(), label.to_owned()));
    }

    /// A commit, and the webhook that the push itself calls.
    async fn commit(&self, path: &str, text: &str) {
        self.lab.git.commit("canary", &[(path, Some(text))]);
        assert_eq!(self.lab.webhook(TOKEN).await, 200);
    }

    /// The artifact of the `OCIRepository` that one of the releases refers to.
    fn publish_oci(&self, chart: &Chart) {
        let digest = self.registry.push_chart("charts/demo", chart);
        let files = Files::from([("chart.tgz".to_owned(), chart.pack())]);
        let revision = format!("{}@{digest}", chart.version);
        self.lab.publish("OCIRepository", "demo-chart", &revision, files);
    }

    /// Annotates everything that has to do with charts, one a moment after the other: in virtual
    /// time a single webhook would give all of them the same time.
    async fn call(&self) {
        for receiver in ["repository", "chart"] {
            assert_eq!(self.lab.signed_webhook(receiver).await, 200);
            self.wait(0.005).await;
        }
    }

    /// A chart over HTTP, with the webhook after it.
    async fn push_chart(&mut self, at: f64, label: &str, chart: &Chart) {
        self.lab.at(at).await;
        self.charts.publish(chart);
        self.mark(label);
        self.wait(0.07).await;
        self.call().await;
    }

    /// Begins so that a release runs by its interval of ten minutes at so many seconds.
    async fn run_at(&mut self, release: &str, seconds: f64) {
        self.lab.request("HelmRelease", release, "now");
        self.wait(600.0 - seconds).await;
    }

    async fn compare(self, end: f64, name: &str, more: &[&str]) {
        self.lab.at(end).await;
        let not_run: Vec<&str> = NOT_RUN.iter().chain(more).copied().collect();
        compare(&self.lab, &self.marks, name, &not_run, self.registry.host());
    }
}

fn objects(charts: &ChartRepository, registry: &Registry) -> Vec<Value> {
    let repository = |url: &str, kind: &str| {
        json!({"url": url, "type": kind, "interval": "1m",
            "insecure": true, "provider": "generic"})
    };
    let oci = format!("oci://{}/charts", registry.host());
    let template = |source: &str| {
        json!({"interval": "10m", "targetNamespace": "default",
            "chart": {"spec": {"chart": "demo", "version": "0.x", "interval": "1m",
                "sourceRef": {"kind": "HelmRepository", "name": source}}}})
    };
    let named = |name: &str, mut spec: Value| {
        spec["releaseName"] = name.into();
        object("HelmRelease", name, &spec)
    };
    let reference = json!({"interval": "10m", "targetNamespace": "default",
        "chartRef": {"kind": "OCIRepository", "name": "demo-chart"}});
    let woken = |name: &str, kind: &str, woken: &str| {
        let resources = [json!({"kind": kind, "name": woken})];
        let spec = json!({"type": "generic-hmac", "interval": "10m", "resources": resources,
            "secretRef": {"name": "webhook-token"}});
        object("Receiver", name, &spec)
    };
    let mut objects = receiver();
    objects.extend([
        fleet("1m"),
        applier("apps", json!({"wait": true})),
        applier("dependent", json!({"dependsOn": [{"name": "apps"}]})),
        applier("releases", json!({})),
        object("HelmRepository", "charts", &repository(charts.base_url(), "default")),
        object("HelmRepository", "charts-oci", &repository(&oci, "oci")),
        object("OCIRepository", "demo-chart", &still()),
        named("demo", template("charts")),
        named("demo-ocirepo", template("charts-oci")),
        named("demo-oci", reference),
        woken("repository", "HelmRepository", "charts"),
        woken("chart", "HelmChart", "flux-system-demo-ocirepo"),
    ]);
    objects
}

/// A release with values of its own, as it stands in git.
fn release(run: &str) -> String {
    let spec = json!({"interval": "10m", "releaseName": "valued", "targetNamespace": "default",
        "chart": {"spec": {"chart": "demo", "version": "0.1.0",
            "sourceRef": {"kind": "HelmRepository", "name": "charts"}}},
        "values": {"run": run}});
    let mut release = object("HelmRelease", "valued", &spec);
    release["apiVersion"] = "helm.toolkit.fluxcd.io/v2".into();
    release.to_string()
}

/// A chart that does not say the version of what it installs.
fn bare(version: &str, template: &str) -> Chart {
    let metadata = format!("apiVersion: v2\nname: demo\nversion: {version}\n");
    let mut chart = Chart::new("demo", version, &[("templates/cm.yaml", template)]);
    chart.files.insert("Chart.yaml".to_owned(), metadata.into_bytes());
    chart
}

fn of_release(data: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{{{ .Release.Name }}}}\n\
         data:\n  version: {{{{ .Chart.Version | quote }}}}\n{data}"
    )
}

#[tokio::test(start_paused = true)]
async fn helm_values() {
    let mut play = Play::set().await;
    play.run_at("demo", 6.988 + 9.0).await;
    // The recording begins while the dependent still waits for its half minute.
    play.commit(CANARY, &map("canary", "1")).await;
    play.wait(9.0).await;
    play.begin();
    for (hooked, acked, run) in [(1.558, 1.627, "1a1fc1d8bbe"), (9.83, 9.903, "1a1fc1dabcd")] {
        play.lab.at(hooked).await;
        play.commit(RELEASE, &release(run)).await;
        play.lab.at(acked).await;
        play.mark("values change through a Kustomization");
    }
    play.compare(10.7, "helm-values", &[]).await;
}

#[tokio::test(start_paused = true)]
async fn helm_failures() {
    let mut play = Play::set().await;
    for version in ["0.1.1", "0.1.2"] {
        play.charts.publish(&Chart::canary("demo", version, "seed"));
        play.call().await;
        play.wait(5.0).await;
    }
    play.run_at("demo-oci", 16.171 + 9.04).await;
    play.commit(CANARY, &map("canary", "1")).await;
    play.wait(9.04).await;
    play.begin();
    play.lab.at(1.456).await;
    let remediation = json!({"retries": 1, "remediateLastFailure": true});
    let spec = json!({"timeout": "30s", "upgrade": {"remediation": remediation}});
    play.lab.spec("HelmRelease", "demo", &spec);
    let bad = of_release(
        "  run: x\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: bad\ndata: [1]\n",
    );
    let label = "chart renders an invalid object: upgrade fails, rolled back, retried";
    play.push_chart(5.583, label, &bare("0.1.10", &bad)).await;
    play.lab.at(5.9).await;
    let live = || play.lab.store.get(&canary("demo")).unwrap()["data"]["version"].clone();
    assert_eq!(live(), "0.1.10");
    play.lab.at(10.0).await;
    assert_eq!(live(), "0.1.2");
    play.lab.at(36.0).await;
    // Slow enough for the chart to be ready before the release has seen all of it.
    let quick = play.lab.flux.speeds();
    play.lab.flux.set_speeds(Speeds { patch: Duration::from_millis(12), ..quick.clone() });
    let broken = bare("0.1.11", "{{ fail \"broken on purpose\" }}\n");
    play.push_chart(36.036, "chart does not render", &broken).await;
    play.lab.at(45.0).await;
    play.lab.flux.set_speeds(quick);
    play.push_chart(61.130, "fixed", &bare("0.1.12", &of_release("  run: x\n"))).await;
    play.compare(67.3, "helm-failures", &[]).await;
}

#[tokio::test(start_paused = true)]
async fn artifacts() {
    let mut play = Play::set().await;
    let versions = ["0.1.1", "0.1.2"].map(|it| Chart::canary("demo", it, it));
    for (round, chart) in versions.iter().enumerate() {
        let start = if round == 0 { 0.0 } else { 32.5 };
        for (at, label) in [(1.699, "oci_artifact"), (10.142, "bucket_object")] {
            play.lab.at(start + at).await;
            play.mark(label);
            play.call().await;
        }
        play.push_chart(start + 18.265, "helm_chart_http", chart).await;
        play.lab.at(start + 26.328).await;
        let _ = play.registry.push_chart("charts/demo", chart);
        play.mark("helm_chart_oci");
        play.call().await;
        play.wait(0.1).await;
        play.publish_oci(chart);
    }
    play.compare(64.7, "artifacts", &["Kustomization"]).await;
}

fn canary(name: &str) -> hopclock_sandbox::store::Key {
    hopclock_sandbox::store::Key::new("ConfigMap", "default", name)
}
