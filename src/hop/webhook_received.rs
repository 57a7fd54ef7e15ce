//! A Flux Receiver annotated the source: the webhook of the change arrived.

use crate::model::ObjectName;
use schemars::JsonSchema;
use serde::Deserialize;

/// The Receiver that is called when the change is pushed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookReceivedConfig {
    /// The Receiver.
    pub receiver: ObjectName,

    /// The GitRepository that the Receiver annotates. Default: the one that the scenario's
    /// `source_fetched` waits for.
    #[serde(default)]
    pub git_repository: Option<ObjectName>,
}
