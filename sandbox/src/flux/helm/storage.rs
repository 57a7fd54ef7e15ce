//! Helm's own memory: the last releases of each name, with what they consist of.
//!
//! It outlives helm-controller, as Helm's Secrets do. Status tells a part of it, which is kept
//! apart (`history.rs`): what was observed during the controller's own actions.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use serde_json::Value;

/// The most releases of one name that are kept.
const KEPT: usize = 5;

/// All releases. Kept in memory.
#[derive(Default)]
pub(crate) struct Storage(Mutex<HashMap<Name, Vec<Release>>>);

/// Namespace and name of a release.
pub(super) type Name = (String, String);

/// One release.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Release {
    pub(super) version: u64,
    pub(super) status: Status,
    pub(super) chart: String,
    pub(super) chart_version: String,
    pub(super) app_version: String,
    pub(super) config_digest: String,
    pub(super) oci_digest: Option<String>,
    /// Its objects, in the order of their installation.
    pub(super) objects: Vec<Value>,
    pub(super) first: String,
    pub(super) last: String,
}

/// What became of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Deployed,
    Superseded,
    Failed,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
        }
    }
}

impl Storage {
    /// The newest release of a name.
    pub(super) fn latest(&self, name: &Name) -> Option<Release> {
        self.lock().get(name)?.last().cloned()
    }

    /// A release by its version.
    pub(super) fn get(&self, name: &Name, version: u64) -> Option<Release> {
        self.lock().get(name)?.iter().find(|it| it.version == version).cloned()
    }

    /// Adds a release; one that is deployed supersedes the others. Answers those that changed, and
    /// the one that had to go because there are enough.
    pub(super) fn add(&self, name: &Name, release: Release) -> (Vec<Release>, Option<Release>) {
        let mut state = self.lock();
        let all = state.entry(name.clone()).or_default();
        let gone = (all.len() >= KEPT).then(|| all.remove(0));
        let mut changed = Vec::new();
        if release.status == Status::Deployed {
            for old in all.iter_mut().filter(|it| it.status == Status::Deployed) {
                old.status = Status::Superseded;
                changed.push(old.clone());
            }
        }
        all.push(release);
        (changed, gone)
    }

    /// Forgets everything of a name.
    pub(super) fn remove(&self, name: &Name) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Vec<Release>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
