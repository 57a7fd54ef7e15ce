//! A `helm_chart` as a scenario asks for it.

use crate::model::ObjectName;
use crate::remote::bucket::Provider;
use crate::trigger::{GitAuth, MOST_KEPT, RegistryAuth};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Pushes a new version of a Helm chart that a HelmRelease or HelmChart will choose.
///
/// The version is computed from its version range. Exactly one of `helm_release` and `helm_chart`.
/// A chart in an OCI registry is pushed to where Flux pulls it from; one of an HTTP repository
/// needs `git` or `bucket`, whose files are served there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HelmChartConfig {
    /// The HelmRelease that is to install the chart: name, range, repository and credentials are
    /// those of its `chart` or `chartRef`.
    #[serde(default)]
    pub helm_release: Option<ObjectName>,

    /// A HelmChart, where no HelmRelease has made it.
    #[serde(default)]
    pub helm_chart: Option<ObjectName>,

    /// A folder with a chart of your own, of the same name. It is given the new version and the
    /// canary as an annotation, and `${canary}` in its templates and values is replaced. Default: a
    /// chart with one ConfigMap, named after the release.
    #[serde(default)]
    pub chart: Option<PathBuf>,

    /// Credentials for the push to an OCI registry where those of Flux are read-only.
    #[serde(default)]
    pub push_auth: Option<RegistryAuth>,

    /// Where the files of an HTTP repository lie in git, as for GitHub Pages.
    #[serde(default)]
    pub git: Option<ChartBranch>,

    /// The bucket that holds the files of an HTTP repository.
    #[serde(default)]
    pub bucket: Option<ChartBucket>,

    /// How many canary versions stay; older ones are taken away.
    #[serde(default = "keep")]
    #[schemars(range(min = 1, max = MOST_KEPT))]
    pub keep: u32,

    /// The chart is also used by others, and each run wakes them too.
    #[serde(default)]
    pub shared: bool,
}

/// The branch whose files are served as a chart repository. Exactly one of `source` and `url`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChartBranch {
    /// A GitRepository: URL, branch and credentials are taken from it.
    #[serde(default)]
    pub source: Option<ObjectName>,

    /// Address of the repository, over HTTPS, HTTP or ssh. It must hold no password.
    #[serde(default)]
    pub url: Option<String>,

    /// Branch to push to; it must already exist. Default: that of `source`, else `gh-pages`.
    #[serde(default)]
    pub branch: Option<String>,

    /// Folder of `index.yaml`, relative to the root of the repository. Default: the root.
    #[serde(default)]
    pub folder: String,

    /// Credentials for the push. Default: those of `source`.
    #[serde(default)]
    pub auth: Option<GitAuth>,

    /// File with the certificate authority of the host, in PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// The bucket whose objects are served as a chart repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChartBucket {
    /// Name of the bucket, or of the container at Azure's.
    pub name: String,

    /// Who speaks for it.
    #[serde(default)]
    pub provider: Provider,

    /// Its server: a host, or `http://` and a host for one without TLS.
    pub endpoint: String,

    /// Region, where the provider is `s3`. Default: `us-east-1`.
    #[serde(default)]
    pub region: Option<String>,

    /// Folder of `index.yaml`. Default: the root.
    #[serde(default)]
    pub folder: String,

    /// A Secret in the layout of a Bucket's `secretRef`.
    #[serde(default)]
    pub secret: Option<ObjectName>,

    /// File with the certificate authority of the server, in PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn keep() -> u32 {
    5
}
