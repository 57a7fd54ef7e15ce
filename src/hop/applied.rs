//! A Flux applier reports the change as applied.

use crate::model::ObjectName;
use schemars::JsonSchema;
use serde::Deserialize;

/// The applier that reports the change as applied: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppliedConfig {
    /// A Kustomization: its `status.lastAppliedRevision` carries the change.
    Kustomization(ObjectName),
}
