//! Where the chart of a `HelmChart` comes from: an index, a registry, or the files of a source.
//!
//! What stands in git or a bucket is packed as it is; unless the version is bumped or follows the
//! revision, Flux takes what it has for the same.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::sleep;

use super::Failure;
use super::web::Web;
use crate::charts::Chart;
use crate::charts::Entry;
use crate::charts::read_index;
use crate::flux::artifacts::Files;
use crate::flux::artifacts::hash_of;
use crate::flux::context::Context;
use crate::flux::draft::Draft;
use crate::flux::registry::ImageName;
use crate::flux::registry::access;
use crate::flux::semver::Range;
use crate::flux::semver::Version;
use crate::registry::CHART_CONTENT;

/// A chart that was found.
pub(super) struct Found {
    /// Its version, as the artifact's revision will have it.
    pub(super) version: String,
    /// What was done to it: `pulled` or `packaged`.
    pub(super) verb: &'static str,
    /// The archive; none if it is the one that is in storage.
    pub(super) archive: Option<Vec<u8>>,
}

/// What a chart is looked for with.
pub(super) struct Search<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) draft: &'a Draft,
    pub(super) source: &'a Value,
}

impl Search<'_> {
    /// The newest version that fits, from an index that is in storage.
    pub(super) async fn in_index(&self) -> Result<Found, Failure> {
        let files = self.context.artifacts.get(&self.source["status"]["artifact"]);
        let index = files.as_deref().and_then(|it| it.values().next()).cloned();
        let index = index.unwrap_or_default();
        let all = read_index(&String::from_utf8_lossy(&index), self.name())
            .map_err(|why| reference(&why))?;
        sleep(self.context.speeds().chart_index).await;
        let versions: Vec<&str> = all.iter().map(|it: &Entry| it.version.as_str()).collect();
        let version = self.choose(&versions)?;
        if self.has(&version) {
            return Ok(Found { version, verb: "pulled", archive: None });
        }
        let url = all.iter().find(|it| it.version == version).map_or("", |it| it.url.as_str());
        let web = Web::of(&self.context.store, self.source).map_err(|why| pull(&why))?;
        sleep(self.context.speeds().chart_pull).await;
        let archive = web.file(url).await.map_err(|why| pull(&why))?;
        Ok(Found { version, verb: "pulled", archive: Some(archive) })
    }

    /// The newest version that fits, from a registry.
    pub(super) async fn in_registry(&self) -> Result<Found, Failure> {
        let url = self.source["spec"]["url"].as_str().unwrap_or_default();
        let name = format!("{}/{}", url.trim_start_matches("oci://"), self.name());
        let image = ImageName::parse(&name).map_err(|why| reference(&why))?;
        let access = access(&self.context.store, self.source, image).map_err(|why| pull(&why))?;
        sleep(self.context.speeds().chart_index).await;
        let tags = access.clone().tags().await.map_err(|why| {
            let url = url.trim_end_matches('/');
            reference(&format!("could not get tags for \"{url}/{}\": {why}", self.name()))
        })?;
        let tags: Vec<String> = tags.iter().map(|it| it.replace('_', "+")).collect();
        let versions: Vec<&str> = tags.iter().map(String::as_str).collect();
        let version = self.choose(&versions)?;
        if self.has(&version) {
            return Ok(Found { version, verb: "pulled", archive: None });
        }
        sleep(self.context.speeds().chart_pull).await;
        let manifest = access.clone().manifest(version.replace('+', "_")).await;
        let manifest = manifest.map_err(|why| pull(&why))?.body;
        let mut layers = manifest["layers"].as_array().into_iter().flatten();
        let layer = layers.find(|it| it["mediaType"] == CHART_CONTENT);
        let Some(layer) = layer.and_then(|it| it["digest"].as_str()) else {
            let why = "manifest does not contain a layer with mediatype";
            return Err(pull(&format!("{why} {CHART_CONTENT}")));
        };
        let archive = access.blob(layer.to_owned()).await.map_err(|why| pull(&why))?;
        Ok(Found { version, verb: "pulled", archive: Some(archive) })
    }

    /// The folder of a source's files that the object names.
    pub(super) fn in_files(&self) -> Result<Found, Failure> {
        let artifact = &self.source["status"]["artifact"];
        let files = self.context.artifacts.get(artifact).unwrap_or_default();
        let folder = self.name().trim_start_matches("./").trim_end_matches('/');
        let chart = chart_in(&files, folder).map_err(|why| {
            let message = format!("invalid chart reference: could not load chart: {why}");
            Failure::new("BuildFailed", "InvalidChartReference", message)
        })?;
        let mut version = chart.version.clone();
        if self.draft.spec()["reconcileStrategy"] == "Revision" {
            let revision = artifact["revision"].as_str().unwrap_or_default();
            let hash: String = hash_of(revision).chars().take(12).collect();
            version = format!("{version}+{hash}");
        }
        if self.has(&version) {
            return Ok(Found { version, verb: "packaged", archive: None });
        }
        let archive = Some(chart.with_version(&version).pack());
        Ok(Found { version, verb: "packaged", archive })
    }

    fn name(&self) -> &str {
        self.draft.spec()["chart"].as_str().unwrap_or_default()
    }

    /// Whether a version is in storage and was made from the spec as it is.
    fn has(&self, version: &str) -> bool {
        let (draft, artifact) = (self.draft, &self.draft.status()["artifact"]);
        draft.observed_generation() == draft.generation()
            && artifact["revision"] == version
            && self.context.artifacts.get(artifact).is_some()
    }

    /// The newest of the versions that fit.
    fn choose(&self, versions: &[&str]) -> Result<String, Failure> {
        let wanted = self.draft.spec()["version"].as_str().unwrap_or("*");
        if let Some(exact) = versions.iter().find(|it| **it == wanted) {
            return Ok((*exact).to_owned());
        }
        let range = Range::parse(if wanted.is_empty() { "*" } else { wanted });
        let range = range.map_err(|why| reference(&why.to_string()))?;
        let fits = |text: &&&str| Version::parse(text).is_some_and(|it| range.fits(&it));
        let newest = versions.iter().filter(fits).max_by(|one, other| {
            let parse = |text: &str| Version::parse(text).expect("only versions fit a range");
            parse(one).precedence(&parse(other))
        });
        let none = || {
            let name = self.name();
            reference(&format!("no '{name}' chart with version matching '{wanted}' found"))
        };
        newest.map(|it| (*it).to_owned()).ok_or_else(none)
    }
}

fn chart_in(files: &Files, folder: &str) -> Result<Chart, String> {
    if let Some(archive) = files.get(folder) {
        return Chart::unpack(archive);
    }
    let inside = format!("{folder}/");
    let own = |(path, content): (&String, &Vec<u8>)| {
        Some((path.strip_prefix(inside.as_str())?.to_owned(), content.clone()))
    };
    let own: Files = files.iter().filter_map(own).collect();
    if own.is_empty() {
        return Err(format!("no such file or directory: '{folder}'"));
    }
    Chart::of_files(&own)
}

fn reference(why: &str) -> Failure {
    let message =
        format!("invalid chart reference: failed to get chart version for remote reference: {why}");
    Failure::new("BuildFailed", "InvalidChartReference", message)
}

fn pull(why: &str) -> Failure {
    let message = format!("chart pull error: failed to download chart for remote reference: {why}");
    Failure::new("BuildFailed", "ChartPullError", message)
}
