//! Hops: the steps that a change has to take, and how to tell that it has taken one.
//!
//! To add a kind: write `hop/<kind>.rs` with its config and its `impl Detector`, then add its
//! variant to [`HopConfig`] and its arm to `build`. The compiler finds the rest.

mod applied;
mod live;
mod source_fetched;
mod webhook_received;

use schemars::JsonSchema;
use serde::Deserialize;

pub use applied::AppliedConfig;
pub use live::{LiveConfig, ObjectConfig};
pub use source_fetched::SourceFetchedConfig;
pub use webhook_received::WebhookReceivedConfig;

/// What recognises the change: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HopConfig {
    /// Flux's Receiver annotated the source: the webhook arrived.
    WebhookReceived(WebhookReceivedConfig),
    /// The source's artifact carries the change.
    SourceFetched(SourceFetchedConfig),
    /// The applier reports the change as applied.
    Applied(AppliedConfig),
    /// An object in the cluster carries the change.
    Live(LiveConfig),
}
