//! An object in the cluster carries the change.

use crate::model::ObjectName;
use schemars::JsonSchema;
use serde::Deserialize;

/// The object that carries the change once it is live, and where in it to look.
///
/// Exactly one of `config_map`, `secret`, `deployment`, `stateful_set`, `daemon_set` and `object`;
/// at most one of `annotation`, `label`, `field` and `image`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveConfig {
    /// A ConfigMap.
    #[serde(default)]
    pub config_map: Option<ObjectName>,
    /// A Secret.
    #[serde(default)]
    pub secret: Option<ObjectName>,
    /// A Deployment.
    #[serde(default)]
    pub deployment: Option<ObjectName>,
    /// A StatefulSet.
    #[serde(default)]
    pub stateful_set: Option<ObjectName>,
    /// A DaemonSet.
    #[serde(default)]
    pub daemon_set: Option<ObjectName>,
    /// An object of any other kind.
    #[serde(default)]
    pub object: Option<ObjectConfig>,

    /// Look only into the annotation of this key.
    #[serde(default)]
    pub annotation: Option<String>,
    /// Look only into the label of this key.
    #[serde(default)]
    pub label: Option<String>,
    /// Look only into the field of this path, dots between its keys: `spec.values.canary`.
    #[serde(default)]
    pub field: Option<String>,
    /// Look only into the image of the container of this name.
    #[serde(default)]
    pub image: Option<String>,
}

/// An object of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectConfig {
    /// API group; empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Kind, such as `Widget`.
    pub kind: String,
    /// Namespace; left out for a cluster-scoped object.
    #[serde(default)]
    pub namespace: String,
    /// Name.
    pub name: String,
}
