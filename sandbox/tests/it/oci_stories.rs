//! The stories of OCI artifacts, played in the sandbox: registry, source, applier.
//!
//! Of the recordings only what has to do with an `OCIRepository` is compared here, as all stories
//! are. The registry is the real one over real sockets, in virtual time.

use std::collections::BTreeMap;

use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::registry::Artifact;
use hopclock_sandbox::registry::Registry;
use hopclock_sandbox::registry::RegistryOptions;
use hopclock_sandbox::registry::archive_of;
use serde_json::Value;
use serde_json::json;

use crate::lab::Lab;
use crate::lab::URL;
use crate::lab::applier;
use crate::lab::map;
use crate::lab::object;
use crate::lab::receiver;
use crate::normal;
use crate::stories::assert_chapters_alike;

const MANIFESTS: &str = "manifests/app";
const CHARTS: &str = "charts/demo";
const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// A story being played.
struct Play {
    lab: Lab,
    registry: Registry,
    marks: Vec<(u64, String)>,
}

impl Play {
    async fn set() -> Self {
        let registry = Registry::start(RegistryOptions::default()).await.unwrap();
        let _ = registry.push_artifact(MANIFESTS, "latest", &manifests("0"));
        let _ = registry.push_artifact(CHARTS, "0.1.0", &chart("0.1.0"));
        let speeds = Speeds { jitter_percent: 0, ..Speeds::default() };
        let lab = Lab::start(speeds, objects(&registry), &[("README.md", "x")]).await;
        for name in ["manifests", "demo-chart"] {
            lab.until_ready("OCIRepository", name).await;
        }
        lab.until_ready("Kustomization", "from-oci").await;
        let mut play = Self { lab, registry, marks: Vec::new() };
        // Long enough for events of the same text to be posted anew.
        tokio::time::sleep(std::time::Duration::from_secs(310)).await;
        play.lab.begin();
        play
    }

    async fn mark(&mut self, at: f64, label: &str) {
        self.lab.at(at).await;
        self.marks.push((self.lab.store.version(), label.to_owned()));
    }

    /// A push to either repository or to something else, and the webhook that names both sources.
    async fn push(&mut self, at: f64, label: &str, run: &str) {
        self.lab.at(at).await;
        let registry = &self.registry;
        let _ = match label {
            "oci_artifact" => registry.push_artifact(MANIFESTS, "latest", &manifests(run)),
            "helm_chart_oci" => registry.push_artifact(CHARTS, run, &chart(run)),
            _ => String::new(),
        };
        self.mark(at, label).await;
        assert_eq!(self.lab.signed_webhook("artifacts").await, 200);
    }

    /// Ends the play and compares it with a part of the recording.
    async fn compare(self, end: f64, name: &str) {
        self.lab.at(end).await;
        let compared = |it: &str| it.starts_with("OCIRepository/") || it.ends_with("/from-oci");
        let events = self.lab.flux.taken_events().into_iter();
        let posted =
            normal::posted(events.filter(|it| it.at >= self.lab.start), self.registry.host());
        let fixture = include_str!("../fixtures/notifications.json");
        let told: BTreeMap<String, BTreeMap<String, Vec<String>>> =
            serde_json::from_str(fixture).unwrap();
        assert_eq!(posted, told[&format!("{name}: oci")], "{name}: events");
        let stories: Value =
            serde_json::from_str(include_str!("../fixtures/stories.json")).unwrap();
        let recorded = normal::recorded(&stories[name], compared);
        let changes: Vec<_> = self.lab.store.changes();
        let moves = |it: &str| matches!(it, "OCIRepository" | "Kustomization");
        let changes: Vec<_> = changes.into_iter().filter(|it| moves(&it.key.kind)).collect();
        let played = normal::chapters(&changes, &self.marks);
        assert_chapters_alike(name, &played, &recorded);
    }
}

fn manifests(run: &str) -> Artifact {
    let annotations = [
        ("org.opencontainers.image.created", "2026-11-21T02:24:17Z"),
        ("org.opencontainers.image.revision", "main@sha1:0000000000000000000000000000000000000000"),
        ("org.opencontainers.image.source", URL),
    ];
    Artifact::flux(&[("canary.yaml", &map("oci-canary", run))], &annotations)
}

fn chart(version: &str) -> Artifact {
    let text = format!("apiVersion: v2\nname: demo\nversion: {version}\n");
    Artifact {
        config: ("application/vnd.cncf.helm.config.v1+json".to_owned(), text.clone().into_bytes()),
        layer: (CHART_LAYER.to_owned(), archive_of(&[("demo/Chart.yaml", &text)])),
        annotations: BTreeMap::new(),
    }
}

fn objects(registry: &Registry) -> Vec<Value> {
    let source = |name: &str, repository: &str, reference: Value| {
        let url = format!("oci://{}/{repository}", registry.host());
        let spec = json!({"insecure": true, "interval": "1m", "provider": "generic",
            "ref": reference, "timeout": "60s", "url": url});
        object("OCIRepository", name, &spec)
    };
    let mut charts = source("demo-chart", CHARTS, json!({"semver": "0.x"}));
    charts["spec"]["layerSelector"] = json!({"mediaType": CHART_LAYER, "operation": "copy"});
    let resource = |name: &str| json!({"kind": "OCIRepository", "name": name});
    let reference = json!({"kind": "OCIRepository", "name": "manifests"});
    let mut objects = receiver();
    objects.push(object(
        "Receiver",
        "artifacts",
        &json!({"type": "generic", "interval": "10m", "secretRef": {"name": "webhook-token"},
            "resources": [resource("manifests"), resource("demo-chart")]}),
    ));
    objects.push(object("GitRepository", "fleet", &json!({"suspend": true})));
    objects.push(source("manifests", MANIFESTS, json!({"tag": "latest"})));
    objects.push(charts);
    objects.push(applier("from-oci", json!({"path": "./", "sourceRef": reference})));
    objects
}

#[tokio::test(start_paused = true)]
async fn artifacts() {
    let mut play = Play::set().await;
    for (at, label, run) in [
        (1.699, "oci_artifact", "1"),
        (10.142, "bucket_object", ""),
        (18.265, "helm_chart_http", ""),
        (26.328, "helm_chart_oci", "0.1.1"),
        (34.429, "oci_artifact", "2"),
        (42.479, "bucket_object", ""),
        (50.570, "helm_chart_http", ""),
        (58.625, "helm_chart_oci", "0.1.2"),
    ] {
        play.push(at, label, run).await;
    }
    let applied = play.lab.get("Kustomization", "from-oci");
    let origin = &applied["status"]["lastAppliedOriginRevision"];
    assert_eq!(*origin, "main@sha1:0000000000000000000000000000000000000000");
    play.compare(64.7, "artifacts").await;
}

#[tokio::test(start_paused = true)]
async fn source_failures() {
    let mut play = Play::set().await;
    let wish = |tag: &str| json!({"ref": {"tag": tag}});
    play.mark(46.978, "unsigned commit on a source that verifies signatures").await;
    play.lab.at(61.187).await;
    play.lab.spec("OCIRepository", "manifests", &wish("missing"));
    play.mark(61.338, "step: OCI tag does not exist").await;
    play.lab.at(67.413).await;
    play.lab.spec("OCIRepository", "manifests", &wish("latest"));
    play.compare(90.0, "source-failures").await;
}
