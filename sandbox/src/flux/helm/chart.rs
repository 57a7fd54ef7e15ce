//! The chart of a `HelmRelease`: from the `HelmChart` that it has made, or from what it refers to.

use serde_json::Value;
use serde_json::json;

use super::HelmReleases;
use super::NAME;
use crate::charts::Chart;
use crate::flux::artifacts::Files;
use crate::flux::draft;
use crate::flux::draft::Draft;
use crate::flux::gotime;
use crate::store::Key;
use crate::store::Part;

/// Why there is no chart.
pub(super) enum NoChart {
    /// There is no such source.
    NoSource(String),
    /// The source has nothing yet, or does not know its own spec yet.
    NotReady(String),
    /// The artifact is not in storage.
    NoArtifact,
    /// It is no chart.
    Broken(String),
}

/// A chart, with the digest of the artifact that it came from if Flux keeps track of that.
pub(super) struct Loaded {
    pub(super) chart: Chart,
    pub(super) oci_digest: Option<String>,
}

impl HelmReleases {
    /// Writes the `HelmChart` of a release that has a template for one.
    pub(super) fn write_chart(&self, draft: &mut Draft) {
        let template = &draft.spec()["chart"]["spec"];
        if !template.is_object() {
            draft.set_status("helmChart", Value::Null);
            return;
        }
        let key = source_of(&draft.object);
        let interval = template["interval"].as_str().or(draft.spec()["interval"].as_str());
        let interval = interval.and_then(gotime::parse).map(gotime::duration);
        let spec = json!({
            "chart": template["chart"],
            "interval": interval,
            "reconcileStrategy": template["reconcileStrategy"].as_str().unwrap_or("ChartVersion"),
            "sourceRef": {"kind": template["sourceRef"]["kind"],
                "name": template["sourceRef"]["name"]},
            "version": template["version"].as_str().unwrap_or("*"),
        });
        let owner = &draft.key;
        let chart = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": key.kind,
            "metadata": {"namespace": key.namespace, "name": key.name, "labels": {
                "helm.toolkit.fluxcd.io/name": owner.name,
                "helm.toolkit.fluxcd.io/namespace": owner.namespace}},
            "spec": spec,
        });
        if let Err(problem) = self.context.store.apply(&key, chart, Part::Whole, NAME) {
            tracing::debug!(%key, %problem, "chart not written");
        }
        draft.set_status("helmChart", format!("{}/{}", key.namespace, key.name));
    }

    /// The chart as it is in storage.
    pub(super) fn load_chart(&self, draft: &Draft) -> Result<Loaded, NoChart> {
        let key = source_of(&draft.object);
        let Some(source) = self.context.store.get(&key) else {
            let resource = self.context.store.resource(&key.kind);
            let resource = resource.map_or_else(|| key.kind.clone(), |it| it.qualified());
            let name = &key.name;
            return Err(NoChart::NoSource(format!("{resource} \"{name}\" not found")));
        };
        let artifact = &source["status"]["artifact"];
        if let Some(why) = unready(&source) {
            let Key { kind, namespace, name } = &key;
            return Err(NoChart::NotReady(format!("{kind} '{namespace}/{name}' {why}")));
        }
        let files = self.context.artifacts.get(artifact).ok_or(NoChart::NoArtifact)?;
        let mut chart = read(&files).map_err(NoChart::Broken)?;
        let mut oci_digest = None;
        if key.kind != "HelmChart"
            && let Some((_, digest)) =
                artifact["revision"].as_str().and_then(|it| it.split_once('@'))
        {
            let hash = digest.rsplit(':').next().unwrap_or_default();
            let version = chart.version.split('+').next().unwrap_or_default();
            let version = format!("{version}+{}", &hash[..hash.len().min(12)]);
            chart = chart.with_version(&version);
            oci_digest = Some(digest.to_owned());
        }
        Ok(Loaded { chart, oci_digest })
    }
}

/// The object that a release has its chart from.
pub(super) fn source_of(release: &Value) -> Key {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (metadata, spec) = (&release["metadata"], &release["spec"]);
    let own = text(&metadata["namespace"]);
    let reference = &spec["chartRef"];
    if reference.is_object() {
        let namespace = reference["namespace"].as_str().unwrap_or(&own);
        return Key::new(&text(&reference["kind"]), namespace, &text(&reference["name"]));
    }
    let source = &spec["chart"]["spec"]["sourceRef"];
    let namespace = source["namespace"].as_str().unwrap_or(&own);
    Key::new("HelmChart", namespace, &format!("{own}-{}", text(&metadata["name"])))
}

/// Why a source cannot be used yet.
fn unready(source: &Value) -> Option<String> {
    let status = &source["status"];
    if status["observedGeneration"].as_i64() != source["metadata"]["generation"].as_i64()
        && !status["observedGeneration"].is_null()
    {
        return Some(
            "is not ready: latest generation of object has not been reconciled".to_owned(),
        );
    }
    let ready = draft::condition(source, "Ready").filter(|it| it["status"] == "False");
    if let Some(ready) = ready {
        let message = ready["message"].as_str().unwrap_or_default();
        return Some(format!("is not ready: {message}"));
    }
    let nothing = status["artifact"].is_null();
    nothing.then(|| "is not ready: does not have an artifact".to_owned())
}

/// A chart from an archive or from its files.
fn read(files: &Files) -> Result<Chart, String> {
    // An archive is one file, whatever its name; a chart has more than that.
    match files.values().next() {
        Some(archive) if files.len() == 1 && !files.contains_key("Chart.yaml") => {
            Chart::unpack(archive)
        }
        _ => Chart::of_files(files),
    }
}
