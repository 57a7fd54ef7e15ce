//! Artifacts, charts and values: recordings in which the change is no commit, or a HelmRelease
//! brings it.

use crate::replay::{
    Push, Recording, Scene, assert_near, compare_failure, exact, hop, key, notified, passage, plan,
};
use hopclock::engine::{Ancestry, PlannedHop};
use hopclock::hop::{Applied, Detector, Live, LiveConfig, Place, Released, SourceFetched};
use hopclock::model::{
    CanaryId, GroupKind, Passage, Revision, RunRecord, SourceKind, Subject, Via,
};
use serde_json::Value;
use std::sync::Arc;

const SOURCES: &str = "source.toolkit.fluxcd.io";

/// The hops of one change, each with the kind of its subject.
type Hops = Vec<PlannedHop>;

#[test]
fn replay_artifacts() {
    let recording = Recording::read("artifacts");
    for expected in key("artifacts") {
        let of_label =
            |it: &&Push| it.line["label"] == expected["label"] && it.line["run"] == expected["run"];
        let push = recording.pushes().find(of_label).unwrap();
        let hops = match expected["label"].as_str().unwrap() {
            "oci_artifact" => oci_artifact(),
            "bucket_object" => bucket_object(),
            "helm_chart_http" => helm_chart_http(live("demo")),
            "helm_chart_oci" => helm_chart_oci(),
            other => panic!("`{other}` is no change that is known"),
        };
        let record = run(&recording, push, &expected, hops);
        compare("artifacts", &record, &expected);
    }
}

#[test]
fn p9_a_bucket_is_fetched_when_the_candidate_came_that_became_live() {
    let recording = Recording::read("artifacts");
    let expected = key("artifacts").into_iter().find(|it| it["label"] == "bucket_object").unwrap();
    let push = recording.pushes().find(|it| it.line["label"] == "bucket_object").unwrap();
    let mut hops = bucket_object();
    hops.truncate(1);
    // Without anything that knows better the first new artifact is believed at once.
    let record = run(&recording, push, &expected, hops);
    let fetched = passage(&record, "source_fetched").at().map(exact);
    assert_near("believed", fetched, expected["hops"]["source_fetched"].as_f64());
}

#[test]
fn replay_helm_values() {
    let recording = Recording::read("helm-values");
    let release = subject("helm.toolkit.fluxcd.io", "HelmRelease", "flux-system", "valued");
    for expected in key("helm-values") {
        let push = recording.pushes().find(|it| it.line["run"] == expected["run"]).unwrap();
        let releases = Subject::local(GroupKind::kustomization(), "flux-system", "releases");
        let git = subject(SOURCES, "GitRepository", "flux-system", "fleet");
        let fetch = Arc::new(SourceFetched(SourceKind::Git));
        let hops = vec![
            hop("source_fetched", &git, Place::Fetch, vec![], fetch),
            hop("applied", &releases, Place::Apply, vec![0], Arc::new(Applied)),
            hop("live_release", &release, Place::Live, vec![0], canary()),
            hop("released", &release, Place::Apply, vec![2], Arc::new(Released)),
            hop("live", &config_map("valued"), Place::Live, vec![0], canary()),
            notified(&releases, vec![0]),
        ];
        let record = run(&recording, push, &expected, hops);
        compare("helm-values", &record, &expected);
        let via = match passage(&record, "source_fetched") {
            Passage::Reached { via, .. } => *via,
            other => panic!("{other:?}"),
        };
        assert_eq!(via.map(Via::as_str), expected["hops"]["via"].as_str());
    }
}

#[test]
fn replay_helm_failures() {
    let recording = Recording::read("helm-failures");
    for expected in key("helm-failures") {
        let push = recording.pushes().find(|it| it.line["version"] == expected["version"]).unwrap();
        let record = run(&recording, push, &expected, helm_chart_http(live("demo")));
        compare("helm-failures", &record, &expected);
        let rolled_back = expected["version"] == "0.1.10";
        let reverted = record.hops.iter().find(|it| it.hop == "live").unwrap().reverted;
        assert_eq!(reverted, rolled_back, "{}: live is lost to a rollback", expected["label"]);
    }
}

fn oci_artifact() -> Hops {
    let fetch = Arc::new(SourceFetched(SourceKind::Oci));
    let source = subject(SOURCES, "OCIRepository", "flux-system", "manifests");
    kustomized(&source, fetch, "from-oci", "oci-canary")
}

fn bucket_object() -> Hops {
    let fetch = Arc::new(SourceFetched(SourceKind::Bucket));
    let source = subject(SOURCES, "Bucket", "flux-system", "fleet");
    kustomized(&source, fetch, "from-bucket", "bucket-canary")
}

fn kustomized(source: &Subject, fetch: Arc<dyn Detector>, applier: &str, object: &str) -> Hops {
    let applier = Subject::local(GroupKind::kustomization(), "flux-system", applier);
    vec![
        hop("source_fetched", source, Place::Fetch, vec![], fetch),
        hop("applied", &applier, Place::Apply, vec![0], Arc::new(Applied)),
        hop("live", &config_map(object), Place::Live, vec![0], canary()),
    ]
}

fn helm_chart_http(live: PlannedHop) -> Hops {
    let repository = subject(SOURCES, "HelmRepository", "flux-system", "charts");
    let chart = subject(SOURCES, "HelmChart", "flux-system", "flux-system-demo");
    let release = subject("helm.toolkit.fluxcd.io", "HelmRelease", "flux-system", "demo");
    let fetch = Arc::new(SourceFetched(SourceKind::HelmRepository));
    let packaged = Arc::new(SourceFetched(SourceKind::HelmChart));
    vec![
        hop("source_fetched", &repository, Place::Fetch, vec![], fetch),
        hop("chart_fetched", &chart, Place::Chart, vec![0], packaged),
        hop("applied", &release, Place::Apply, vec![1], Arc::new(Released)),
        live,
        notified(&release, vec![1]),
    ]
}

fn helm_chart_oci() -> Hops {
    let source = subject(SOURCES, "OCIRepository", "flux-system", "demo-chart");
    let release = subject("helm.toolkit.fluxcd.io", "HelmRelease", "flux-system", "demo-oci");
    let fetch = Arc::new(SourceFetched(SourceKind::Oci));
    vec![
        hop("source_fetched", &source, Place::Fetch, vec![], fetch),
        hop("applied", &release, Place::Apply, vec![0], Arc::new(Released)),
        hop("live", &config_map("demo-oci"), Place::Live, vec![0], canary()),
        notified(&release, vec![0]),
    ]
}

fn live(object: &str) -> PlannedHop {
    hop("live", &config_map(object), Place::Live, vec![1], canary())
}

fn canary() -> Arc<dyn Detector> {
    Arc::new(Live::new(&LiveConfig::default()))
}

fn subject(group: &str, kind: &str, namespace: &str, name: &str) -> Subject {
    Subject::local(GroupKind::new(group, kind), namespace, name)
}

fn config_map(name: &str) -> Subject {
    subject("", "ConfigMap", "default", name)
}

/// What a push of the recording brings, as its trigger would announce it.
fn revisions(push: &Value) -> Vec<Revision> {
    let text = |key: &str| push[key].as_str().map(str::to_owned);
    let commit = text("commit").map(Revision::Commit);
    let version = text("version").map(Revision::Version);
    commit.into_iter().chain(version).chain(text("digest").map(Revision::Digest)).collect()
}

fn run(recording: &Recording, push: &Push, expected: &Value, hops: Hops) -> RunRecord {
    let run = expected["run"].as_str().map(|it| it.parse().unwrap());
    recording.run(Scene {
        plan: plan(hops, expected["deadline"].as_f64().unwrap()),
        canary: run.unwrap_or_else(|| CanaryId::new("lane", 1)),
        push,
        revisions: revisions(&push.line),
        // Nobody else pushes to these lanes before the deadline.
        remote: &|_, _| Ancestry::NotYet,
        skipped: false,
    })
}

/// Compares every hop that the key knows with it, to the millisecond.
fn compare(recording: &str, record: &RunRecord, expected: &Value) {
    let what = format!("{recording} {} {}", expected["run"], expected["label"]);
    assert_eq!(record.outcome.as_str(), expected["outcome"], "{what}: outcome");
    for hop in &record.hops {
        let Some(key) = expected["hops"].get(&hop.hop) else { continue };
        let found = hop.passage.at().map(exact);
        assert_near(&format!("{what}: {}", hop.hop), found, key.as_f64());
        if let Passage::Reached { uncertain, reordered, .. } = hop.passage {
            assert!(!uncertain && !reordered, "{what}: {}", hop.hop);
        }
    }
    compare_failure(&what, record, expected);
}
