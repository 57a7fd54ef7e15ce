//! Triggers: the things that make a change.
//!
//! To add a kind: write `trigger/<kind>.rs` with its config and its `impl Trigger`, then add its
//! variant to [`TriggerConfig`] and its arm to `build`. The compiler finds the rest.

mod git_commit;

use schemars::JsonSchema;
use serde::Deserialize;

pub use git_commit::{Author, GitAuth, GitCommitConfig, PushMode, SecretSource};

/// What makes the change: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerConfig {
    /// Pushes a commit that rewrites one file.
    GitCommit(Box<GitCommitConfig>),
}
