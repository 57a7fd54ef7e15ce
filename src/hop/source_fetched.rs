//! A Flux source holds an artifact of the change.

use crate::model::ObjectName;
use schemars::JsonSchema;
use serde::Deserialize;

/// The source whose artifact carries the change: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceFetchedConfig {
    /// A GitRepository: its `status.artifact.revision` carries the change.
    GitRepository(ObjectName),
}
