//! Asks a git branch what it shows: its commits, and the lines that image policies write to.
//!
//! An automation's status names its commit only after the push, and nobody's status tells of a
//! merge. So the branch itself is asked, when something in the cluster says that it is worth it,
//! and with one request while nothing has changed.

use crate::engine::polling::{Interest, Poll};
use crate::model::{GitBranch, GroupKind, Marker, ProbeError, Seen, Subject};
use crate::remote::git::GitRemote;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long ago somebody else may have asked for the first state.
const FRESH: Duration = Duration::from_secs(10);

/// A git branch that is asked.
pub struct BranchPoll {
    subject: Arc<Subject>,
    remote: GitRemote,
    /// The automations that push to it; none where people merge.
    pushed_by: Vec<Subject>,
    /// The last commit that was shown.
    shown: tokio::sync::Mutex<Option<String>>,
    /// What each object that was heard of told first.
    told: Mutex<HashMap<Arc<Subject>, Value>>,
}

// === impl BranchPoll ===

impl BranchPoll {
    /// A branch, and the automations that push to this very branch. It is asked as soon as a policy
    /// has chosen or an automation has moved, and where automations push to it, until one of them
    /// names a new commit.
    #[must_use]
    pub fn new(subject: Arc<Subject>, remote: GitRemote, pushed_by: Vec<Subject>) -> Self {
        let (shown, told) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { subject, remote, pushed_by, shown, told }
    }

    /// Whether an object tells something else than it did at first.
    fn has_moved(&self, seen: &Seen, told: &Value) -> bool {
        let mut known = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(seen.subject.clone()).or_insert_with(|| told.clone()) != told
    }
}

#[async_trait::async_trait]
impl Poll for BranchPoll {
    fn subject(&self) -> &Arc<Subject> {
        &self.subject
    }

    async fn ask(&self) -> Result<Vec<Value>, ProbeError> {
        let mut shown = self.shown.lock().await;
        // What was read before the push cannot carry the change: that need not be asked again.
        let known = if shown.is_none() { self.remote.stood_at(FRESH).await } else { None };
        let commits = match known {
            Some(known) => vec![known],
            None => self.remote.advance(shown.as_deref()).await.map_err(|it| error(&it))?,
        };
        let mut states = Vec::new();
        for commit in commits {
            let files =
                self.remote.files_with(&commit, Marker::KEY).await.map_err(|it| error(&it))?;
            let markers = files.iter().flat_map(|(file, text)| Marker::find_in(file, text));
            let markers = markers.collect();
            states.push(GitBranch { commit: commit.clone(), markers }.to_value());
            *shown = Some(commit);
        }
        if states.is_empty() {
            *shown = None;
            states.push(Value::Null);
        }
        Ok(states)
    }

    fn interest(&self, seen: &Seen) -> Interest {
        let status = &seen.state.value["status"];
        if seen.subject.kind == GroupKind::image("ImagePolicy") {
            return if self.has_moved(seen, &status["latestRef"]) {
                Interest::Look
            } else {
                Interest::None
            };
        }
        if seen.subject.kind != GroupKind::image("ImageUpdateAutomation") {
            return Interest::None;
        }
        match self.has_moved(seen, &status["lastPushCommit"]) {
            true if self.pushed_by.contains(&seen.subject) => Interest::Enough,
            true => Interest::Look,
            false => Interest::None,
        }
    }
}

fn error(error: &crate::remote::git::Error) -> ProbeError {
    ProbeError { reason: error.reason().to_owned(), message: error.to_string() }
}
