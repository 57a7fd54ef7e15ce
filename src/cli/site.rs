//! Where triggers are built: the port [`Site`] on top of the cluster, the environment and files.

use crate::cli::reader::Reader;
use crate::model::{
    Clock, ClusterName, GitBranch, GroupKind, ObjectName, PackagedChart, ProbeError, Secret,
    Subject,
};
use crate::path::delivery;
use crate::remote::Clients;
use crate::remote::git::GitRemote;
use crate::trigger::{SecretSource, Site, open_branch, unusable};
use secrecy::SecretString;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Branches by the cluster and name of their source, and their own name.
pub(super) type Branches = Mutex<HashMap<(ClusterName, ObjectName, String), GitRemote>>;

/// The site of one scenario's trigger.
pub(super) struct ScenarioSite<'a> {
    /// Name of the scenario.
    pub(super) scenario: &'a str,
    /// Name of this installation.
    pub(super) instance: &'a str,
    /// What becomes live.
    pub(super) live: Vec<Subject>,
    /// Whether something on the path is built of what is pushed.
    pub(super) is_built: bool,
    /// The charts on the path that are packaged from files.
    pub(super) charts: Vec<PackagedChart>,
    /// The only source of time.
    pub(super) clock: &'a Arc<dyn Clock>,
    /// Where HTTP clients come from.
    pub(super) clients: &'a Clients,
    /// Folder of the caches.
    pub(super) cache_dir: &'a Path,
    /// The cluster in which things are looked up.
    pub(super) cluster: ClusterName,
    /// Reads the clusters.
    pub(super) reader: &'a Reader<'a>,
    /// The branches that were asked for.
    pub(super) branches: Arc<Branches>,
}

// === impl ScenarioSite ===

#[async_trait::async_trait]
impl Site for ScenarioSite<'_> {
    fn scenario(&self) -> &str {
        self.scenario
    }

    fn instance(&self) -> &str {
        self.instance
    }

    fn live(&self) -> &[Subject] {
        &self.live
    }

    fn is_built(&self) -> bool {
        self.is_built
    }

    fn charts(&self) -> &[PackagedChart] {
        &self.charts
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn clients(&self) -> Clients {
        self.clients.clone()
    }

    fn cache_dir(&self) -> &Path {
        self.cache_dir
    }

    async fn object(&self, subject: &Subject) -> Result<Value, ProbeError> {
        Ok(self.reader.get(&subject.clone().in_cluster(&self.cluster)).await?)
    }

    async fn all(&self, kind: &GroupKind, namespace: &str) -> Result<Vec<Value>, ProbeError> {
        Ok(self.reader.all(&self.cluster, kind, namespace).await?)
    }

    async fn branch(&self, branch: &Subject) -> Result<GitRemote, ProbeError> {
        let none = || unusable(format!("{branch} is no branch of a GitRepository"));
        let (repository, name) = GitBranch::of_subject(branch).ok_or_else(none)?;
        let name = if let Some(name) = name {
            name.to_owned()
        } else {
            let ObjectName { namespace, name } = &repository;
            let source = Subject::local(GroupKind::git_repository(), namespace, name);
            let object = self.object(&source).await?;
            self.branch_of(&source, &object)?
        };
        let mut branches = self.branches.lock().await;
        let key = (self.cluster.clone(), repository, name);
        if let Some(remote) = branches.get(&key) {
            return Ok(remote.clone());
        }
        let remote = open_branch(self, &key.1, &key.2).await?;
        branches.insert(key, remote.clone());
        Ok(remote)
    }

    async fn secret(&self, name: &ObjectName) -> Result<Secret, ProbeError> {
        Ok(self.reader.secret(&self.cluster, name).await?)
    }

    fn branch_of(&self, source: &Subject, object: &Value) -> Result<String, ProbeError> {
        Ok(delivery::branch_of(source, object)?)
    }

    fn secret_text(&self, source: &SecretSource) -> Result<SecretString, ProbeError> {
        secret_text(source)
    }

    fn file(&self, path: &Path, what: &str) -> Result<Vec<u8>, ProbeError> {
        read(path, what)
    }
}

/// The text of a secret, without its line end.
pub(super) fn secret_text(source: &SecretSource) -> Result<SecretString, ProbeError> {
    match source {
        SecretSource::File(path) => {
            let bytes = read(path, "secret")?;
            let text = String::from_utf8(bytes).map_err(|_| {
                error(
                    "secret_unreadable",
                    format!("the secret in `{}` is no text: store it as UTF-8", path.display()),
                )
            })?;
            if text.trim().is_empty() {
                return Err(error(
                    "secret_missing",
                    format!("the file `{}` is empty: it should hold the secret", path.display()),
                ));
            }
            Ok(SecretString::from(text.trim_end().to_owned()))
        }
        SecretSource::Env(name) => match std::env::var(name) {
            Ok(text) if !text.trim().is_empty() => {
                Ok(SecretString::from(text.trim_end().to_owned()))
            }
            _ => Err(error(
                "secret_missing",
                format!(
                    "the environment variable `{name}` is not set or empty: it should hold the secret"
                ),
            )),
        },
    }
}

/// The bytes of a file that holds a secret; `what` it is goes into the message.
pub(super) fn read(path: &Path, what: &str) -> Result<Vec<u8>, ProbeError> {
    std::fs::read(path).map_err(|why| {
        let path = path.display();
        error(
            "secret_unreadable",
            format!("cannot read the {what} in `{path}` ({why}): name a readable file"),
        )
    })
}

fn error(reason: &str, message: String) -> ProbeError {
    ProbeError { reason: reason.to_owned(), message }
}
