//! Builds a `helm_chart`: finds what takes the chart, by which range, and where it is published.

use crate::model::{
    BucketLanding, ChartFiles, ChartLanding, GroupKind, Landing, ObjectName, ProbeError,
    RevisionSort, Subject,
};
use crate::trigger::helm_chart::branch::ChartOnBranch;
use crate::trigger::helm_chart::bucket::ChartInBucket;
use crate::trigger::helm_chart::chart::Chart;
use crate::trigger::helm_chart::choice::{Choice, pinned};
use crate::trigger::helm_chart::registry::ChartInRegistry;
use crate::trigger::helm_chart::shelf::Shelf;
use crate::trigger::helm_chart::{
    Aim, ChartBranch, ChartBucket, HelmChartConfig, access, folder, unlintable,
};
use crate::trigger::registry_access::{Layout, open_at};
use crate::trigger::{Built, Destination, Error, Kind, Site, Trigger, git_access, unusable};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// What takes the chart, as Flux's objects say.
struct Target {
    /// The chart, as it is taken: in a registry perhaps with folders before its name.
    chart: String,
    /// Which version is taken.
    choice: Choice,
    /// The HelmRepository or OCIRepository.
    source: Subject,
    /// It.
    object: Value,
    /// The HelmRelease or HelmChart, and what lies between it and the source.
    takers: Vec<Subject>,
}

/// What publishes a chart, and where.
struct Publisher {
    trigger: Arc<dyn Trigger>,
    place: String,
    files: ChartFiles,
}

// === impl Target ===

impl Target {
    /// The chart's own name.
    fn name(&self) -> &str {
        self.chart.rsplit('/').next().unwrap_or_default()
    }

    fn url(&self) -> &str {
        self.object["spec"]["url"].as_str().unwrap_or_default()
    }

    /// The source, if it has fetched an index already.
    fn served(&self) -> Option<String> {
        let artifact = &self.object["status"]["artifact"];
        artifact.is_object().then(|| self.source.to_string())
    }
}

// === impl HelmChartConfig ===

#[async_trait::async_trait]
impl Kind for HelmChartConfig {
    fn announces(&self) -> RevisionSort {
        RevisionSort::Version
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    async fn build(&self, site: &dyn Site) -> Result<Built, ProbeError> {
        let target = match (&self.helm_release, &self.helm_chart) {
            (Some(name), _) => of_release(site, name).await?,
            (None, Some(name)) => {
                let subject = source("HelmChart", &name.namespace, &name.name);
                of_chart(site, subject, Vec::new()).await?
            }
            (None, None) => return Err(unusable("`helm_chart` names no release".to_owned())),
        };
        let chart = match &self.chart {
            Some(folder) => of_folder(folder, &target).await?,
            None => Chart::tiny(target.name()),
        };
        let keep = usize::try_from(self.keep).unwrap_or(usize::MAX);
        let instance = site.instance().to_owned();
        let aim = Aim { instance, chart, choice: target.choice.clone(), keep };
        let Publisher { trigger, place, files } = self.publisher(site, &target, aim).await?;
        let landing = ChartLanding {
            url: target.url().to_owned(),
            chart: target.chart,
            source: target.source,
            takers: target.takers,
            place,
            files,
            shared: self.shared,
        };
        Ok(Built { trigger, destination: Destination::Chart(Box::new(landing)) })
    }
}

impl HelmChartConfig {
    /// What publishes the chart, and where.
    async fn publisher(
        &self,
        site: &dyn Site,
        target: &Target,
        aim: Aim,
    ) -> Result<Publisher, ProbeError> {
        let Target { chart, source, object, .. } = target;
        let url = target.url();
        let is_oci = url.starts_with("oci://");
        match (&self.git, &self.bucket) {
            (Some(_), _) | (_, Some(_)) if is_oci => Err(unusable(format!(
                "{source} is an OCI registry, and the trigger says where the files of an HTTP \
                 repository lie: leave `git` and `bucket` out"
            ))),
            (None, None) if !is_oci => Err(unusable(format!(
                "{source} is fetched over HTTP, and nothing can be pushed to a web server: say with \
                 `git` or `bucket` where its files lie"
            ))),
            _ if !is_oci && chart.contains('/') => Err(unusable(format!(
                "{source} is fetched over HTTP, and no index has a chart named `{chart}`: folders \
                 stand before the name of a chart in OCI registries only"
            ))),
            (_, Some(bucket)) => self.in_bucket(site, target, bucket, aim).await,
            (Some(branch), None) => self.on_branch(site, target, branch, aim).await,
            (None, None) => {
                let is_whole = source.kind == GroupKind::source("OCIRepository");
                let folder = url.trim_end_matches('/');
                let address = if is_whole { url.to_owned() } else { format!("{folder}/{chart}") };
                let auth = self.push_auth.as_ref();
                let registry =
                    open_at(site, (source, object), &address, Layout::PullOrBasic, auth).await?;
                let place =
                    format!("the chart repository `{}`", registry.repository().normalised());
                let trigger = Arc::new(ChartInRegistry::new(registry, aim, site.clock()));
                Ok(Publisher { trigger, place, files: ChartFiles::Registry })
            }
        }
    }

    async fn in_bucket(
        &self,
        site: &dyn Site,
        target: &Target,
        bucket: &ChartBucket,
        aim: Aim,
    ) -> Result<Publisher, ProbeError> {
        let opened = access::open_bucket(site, bucket).await?;
        let address = opened.address();
        let shelf = Shelf::new(aim, &bucket.folder, format!("in {address}"), target.served());
        let landing = BucketLanding {
            source: None,
            place: address.to_string(),
            host: address.host().to_owned(),
            bucket: address.name().to_owned(),
            key: shelf.index_path(),
            shared: self.shared,
        };
        let place = format!("the chart `{}` of {address}", target.chart);
        let trigger = Arc::new(ChartInBucket::new(opened, shelf, site.clock()));
        Ok(Publisher { trigger, place, files: ChartFiles::Bucket(Box::new(landing)) })
    }

    async fn on_branch(
        &self,
        site: &dyn Site,
        target: &Target,
        branch: &ChartBranch,
        aim: Aim,
    ) -> Result<Publisher, ProbeError> {
        let remote = open_branch(site, branch).await?;
        let at = format!("branch `{}` of `{}`", remote.branch(), remote.url());
        let shelf = Shelf::new(aim, &branch.folder, format!("on {at}"), target.served());
        let pages = branch.source.as_ref();
        let landing = Landing {
            source: pages
                .map(|it| Subject::local(GroupKind::git_repository(), &it.namespace, &it.name)),
            url: remote.url().to_string(),
            branch: remote.branch().to_owned(),
            path: shelf.index_path(),
            shared: self.shared,
            replaces: false,
            signs_with: None,
        };
        let place = format!("the chart `{}` of {at}", target.chart);
        let trigger = Arc::new(ChartOnBranch::new(remote, shelf, site.clock()));
        Ok(Publisher { trigger, place, files: ChartFiles::Branch(Box::new(landing)) })
    }
}

/// What a HelmRelease installs.
async fn of_release(site: &dyn Site, name: &ObjectName) -> Result<Target, ProbeError> {
    let release = Subject::local(GroupKind::helm_release(), &name.namespace, &name.name);
    let object = site.object(&release).await?;
    let reference = &object["spec"]["chartRef"];
    if reference.is_object() {
        let namespace = reference["namespace"].as_str().unwrap_or(&name.namespace);
        let named = reference["name"].as_str().unwrap_or_default();
        return match reference["kind"].as_str() {
            Some("HelmChart") => {
                of_chart(site, source("HelmChart", namespace, named), vec![release]).await
            }
            Some("OCIRepository") => {
                of_oci(site, source("OCIRepository", namespace, named), release).await
            }
            other => Err(unusable(format!(
                "{release} installs a chart from `{}`, which nobody pushes charts to: name a \
                 release of a HelmRepository or an OCIRepository",
                other.unwrap_or_default()
            ))),
        };
    }
    let spec = object["spec"]["chart"]["spec"].clone();
    of_template(site, release.to_string(), &spec, &release, vec![release.clone()]).await
}

/// What a HelmChart holds.
async fn of_chart(
    site: &dyn Site,
    chart: Subject,
    mut takers: Vec<Subject>,
) -> Result<Target, ProbeError> {
    let object = site.object(&chart).await?;
    takers.push(chart.clone());
    of_template(site, chart.to_string(), &object["spec"], &chart, takers).await
}

/// What the `spec` of a chart, or of a release's chart, says.
async fn of_template(
    site: &dyn Site,
    by: String,
    spec: &Value,
    beside: &Subject,
    takers: Vec<Subject>,
) -> Result<Target, ProbeError> {
    let reference = &spec["sourceRef"];
    let kind = reference["kind"].as_str().unwrap_or("HelmRepository");
    if kind != "HelmRepository" {
        let other = if kind == "Bucket" { "bucket_object" } else { "git_commit" };
        return Err(unusable(format!(
            "{by} takes its chart from a {kind}, not from a chart repository: use the trigger \
             `{other}`, which changes it there"
        )));
    }
    let namespace = reference["namespace"].as_str().unwrap_or(&beside.namespace);
    let source = source(kind, namespace, reference["name"].as_str().unwrap_or_default());
    let object = site.object(&source).await?;
    let choice = Choice::new(&by, spec["version"].as_str().unwrap_or_default(), None);
    let choice = choice.map_err(unfit)?;
    let chart = spec["chart"].as_str().unwrap_or_default().to_owned();
    Ok(Target { chart, choice, source, object, takers })
}

/// What an OCIRepository holds, if it is a chart: its name ends the address.
async fn of_oci(site: &dyn Site, source: Subject, release: Subject) -> Result<Target, ProbeError> {
    let object = site.object(&source).await?;
    let reference = &object["spec"]["ref"];
    let text = |field: &str| reference[field].as_str().filter(|it| !it.is_empty());
    let by = source.to_string();
    let follows = |what: &str| unfit(pinned(&by, &format!("follows {what}")));
    if let Some(digest) = text("digest") {
        return Err(follows(&format!("the digest `{digest}`")));
    }
    let Some(range) = text("semver") else {
        return Err(follows(&format!("the tag `{}`", text("tag").unwrap_or("latest"))));
    };
    let choice = Choice::new(&by, range, text("semverFilter")).map_err(unfit)?;
    let url = object["spec"]["url"].as_str().unwrap_or_default();
    let chart = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    Ok(Target { chart, choice, source, object, takers: vec![release] })
}

/// Somebody's own chart, which has to lint and to be the one that is taken.
async fn of_folder(folder: &Path, target: &Target) -> Result<Chart, ProbeError> {
    let (path, shown) = (folder.to_owned(), folder.display());
    let read = tokio::task::spawn_blocking(move || folder::read(&path)).await;
    let files = read.map_err(std::io::Error::other).and_then(|it| it).map_err(|why| {
        unusable(format!("cannot read the chart in `{shown}` ({why}): name a readable folder"))
    })?;
    let chart = Chart::of(files);
    let chart = chart.map_err(|it| unfit(unlintable(&format!("the chart in `{shown}`"), &it)))?;
    if chart.name() != target.name() {
        return Err(unusable(format!(
            "the chart in `{shown}` is named `{}`, and {} is of `{}`: let both be the same",
            chart.name(),
            target.source,
            target.name()
        )));
    }
    Ok(chart)
}

async fn open_branch(
    site: &dyn Site,
    branch: &ChartBranch,
) -> Result<crate::remote::git::GitRemote, ProbeError> {
    let wanted = git_access::Wanted {
        source: branch.source.as_ref(),
        url: branch.url.as_deref(),
        branch: branch.branch.as_deref(),
        default_branch: "gh-pages",
        auth: branch.auth.as_ref(),
        ca_file: branch.ca_file.as_deref(),
    };
    git_access::resolve(site, &wanted).await?.open(site).await
}

fn source(kind: &str, namespace: &str, name: &str) -> Subject {
    Subject::local(GroupKind::source(kind), namespace, name)
}

fn unfit(error: Error) -> ProbeError {
    ProbeError { reason: error.reason.to_owned(), message: error.message }
}
