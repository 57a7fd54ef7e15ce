//! A `git_commit` as a scenario asks for it.

use crate::model::ObjectName;
use crate::trigger::{GitAuth, Signing};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Pushes a commit that rewrites one file.
///
/// Exactly one of `source` and `url`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitCommitConfig {
    /// A GitRepository: URL, branch and credentials are taken from it.
    #[serde(default)]
    pub source: Option<ObjectName>,

    /// Address of the repository, over HTTPS, HTTP or ssh (`ssh://git@host/path` or
    /// `git@host:path`). It must hold no password.
    #[serde(default)]
    pub url: Option<String>,

    /// Branch to push to; it must already exist. Default: that of `source`, else `main`.
    #[serde(default)]
    pub branch: Option<String>,

    /// Credentials for a `url`.
    #[serde(default)]
    pub auth: Option<GitAuth>,

    /// File with the certificate authority of the host, in PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,

    /// Credentials for the push where those of `source` are read-only, as Flux's own often are.
    #[serde(default)]
    pub push_auth: Option<GitAuth>,

    /// File to rewrite, relative to the root of the repository. Its whole content is replaced.
    pub path: String,

    /// Content of the file; `${canary}` stands for the canary id. Default: a ConfigMap of the
    /// name and namespace of the scenario's `live` hop.
    #[serde(default)]
    pub template: Option<String>,

    /// How commits follow each other.
    #[serde(default)]
    pub mode: PushMode,

    /// Author and committer. Default: `hopclock <hopclock@localhost>`.
    #[serde(default)]
    pub author: Option<Author>,

    /// What commits are signed with; needed where a source verifies signatures (`spec.verify`).
    #[serde(default)]
    pub signing: Option<Signing>,

    /// Further lines for the end of the commit message, such as `Skip-CI: true`.
    #[serde(default)]
    pub trailers: Vec<String>,

    /// The source is also used by others, and each run wakes them too.
    #[serde(default)]
    pub shared: bool,
}

/// How commits follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PushMode {
    /// Each commit is added to the branch.
    #[default]
    Append,
    /// One canary commit on a base is replaced by the next, with force. Only for a branch that
    /// holds nothing above the base but canaries of this lane.
    Replace {
        /// Branch or commit that the canary commit stands on.
        base: String,
    },
}

/// Who commits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Author {
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}
