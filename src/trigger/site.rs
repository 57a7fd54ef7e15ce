//! What a trigger is built from: the port to whoever knows the cluster and the machine.

use crate::model::{Clock, GroupKind, ObjectName, PackagedChart, ProbeError, Secret, Subject};
use crate::remote::Clients;
use crate::remote::git::GitRemote;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a trigger is built: what it may ask for, and what it is told.
#[async_trait::async_trait]
pub trait Site: Send + Sync {
    /// Name of the scenario, for messages.
    fn scenario(&self) -> &str;

    /// Name of this installation, which stands in every canary.
    fn instance(&self) -> &str;

    /// What the scenario waits to become live.
    fn live(&self) -> &[Subject];

    /// Whether something on the path is built of what is pushed, and fetched instead of it (rule
    /// P10).
    fn is_built(&self) -> bool;

    /// The charts on the path that are packaged from files of a source.
    fn charts(&self) -> &[PackagedChart] {
        &[]
    }

    /// The only source of time.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Where HTTP clients come from.
    fn clients(&self) -> Clients;

    /// Folder for what may be forgotten.
    fn cache_dir(&self) -> &Path;

    /// An object of the cluster.
    async fn object(&self, subject: &Subject) -> Result<Value, ProbeError>;

    /// All objects of a kind in a namespace.
    async fn all(&self, kind: &GroupKind, namespace: &str) -> Result<Vec<Value>, ProbeError>;

    /// A branch of the repository that a GitRepository fetches, named as
    /// [`GitBranch`](crate::model::GitBranch) does. All who ask for the same branch share it.
    async fn branch(&self, branch: &Subject) -> Result<GitRemote, ProbeError>;

    /// A Secret of the cluster.
    async fn secret(&self, name: &ObjectName) -> Result<Secret, ProbeError>;

    /// The branch that a `GitRepository` follows.
    ///
    /// # Errors
    /// If it follows a tag, versions or a commit.
    fn branch_of(&self, source: &Subject, object: &Value) -> Result<String, ProbeError>;

    /// The text of a secret, without its line end.
    ///
    /// # Errors
    /// If it is not there, empty or no text.
    fn secret_text(&self, source: &SecretSource) -> Result<SecretString, ProbeError>;

    /// The bytes of a file that holds a secret; `what` it is goes into messages.
    ///
    /// # Errors
    /// If it cannot be read.
    fn file(&self, path: &Path, what: &str) -> Result<Vec<u8>, ProbeError>;
}

/// Where a secret is: one key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// A file that holds it; a line end is cut off.
    File(PathBuf),
    /// An environment variable that holds it.
    Env(String),
}

/// A scenario that cannot be run as it is.
#[must_use]
pub fn unusable(message: String) -> ProbeError {
    ProbeError { reason: "unusable_scenario".to_owned(), message }
}
