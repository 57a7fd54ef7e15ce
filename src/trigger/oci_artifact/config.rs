//! An `oci_artifact` as a scenario asks for it.

use crate::model::ObjectName;
use crate::trigger::{MOST_KEPT, RegistryAuth};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Pushes an OCI artifact as `flux push artifact` does, with one file in it.
///
/// Exactly one of `source` and `url`. The artifact replaces whatever the tag stood for, so it should
/// have a repository of its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OciArtifactConfig {
    /// An OCIRepository: address, tag and credentials are taken from it. If it follows versions
    /// (`ref.semver`), each artifact is pushed under the next one.
    #[serde(default)]
    pub source: Option<ObjectName>,

    /// Address of the repository, such as `oci://ghcr.io/org/manifests`. It must hold no password.
    #[serde(default)]
    pub url: Option<String>,

    /// Tag to push to a `url`. Default: `latest`.
    #[serde(default)]
    pub tag: Option<String>,

    /// The registry of a `url` speaks plain HTTP.
    #[serde(default)]
    pub insecure: bool,

    /// Credentials for a `url`.
    #[serde(default)]
    pub auth: Option<RegistryAuth>,

    /// File with the certificate authority of a `url`'s registry, in PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,

    /// Credentials for the push where those of `source` are read-only, as Flux's own often are.
    #[serde(default)]
    pub push_auth: Option<RegistryAuth>,

    /// The file in the artifact, relative to its root.
    #[serde(default = "path")]
    pub path: String,

    /// Content of the file; `${canary}` stands for the canary id. Default: a ConfigMap of the
    /// name and namespace of the scenario's `live` hop.
    #[serde(default)]
    pub template: Option<String>,

    /// Where each artifact has a version of its own: how many of them stay in the repository; older
    /// ones are deleted after a run.
    #[serde(default = "keep")]
    #[schemars(range(min = 1, max = MOST_KEPT))]
    pub keep: u32,

    /// The source is also used by others, and each run wakes them too.
    #[serde(default)]
    pub shared: bool,
}

fn path() -> String {
    "canary.yaml".to_owned()
}

fn keep() -> u32 {
    5
}
