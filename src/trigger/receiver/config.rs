//! What a scenario says of a `receiver_post` or a `receiver_get`.

use crate::model::ObjectName;
use crate::trigger::SecretSource;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// Calls a Receiver as its git host or registry would: with a small payload, correctly signed.
///
/// Each run wakes everything that the Receiver lists. So the Receiver has to bear the annotation
/// `hopclock.dev/canary: <instance>`, or the scenario has to say `shared: true`. A request carries no
/// revision: hops of kind `webhook_received` and `condition` can see what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiverPostConfig {
    /// The Receiver. Its type, its events and its Secret say how the call is signed.
    pub receiver: ObjectName,

    /// Base address at which it is called, such as `https://flux-webhook.example.com`: that of the
    /// ingress, so that the ingress is tried as well. Default: the Service `webhook-receiver` of
    /// the namespace `flux-system`.
    #[serde(default)]
    pub url: Option<String>,

    /// File with further certificate authorities for `url`, in PEM.
    #[serde(default)]
    pub ca: Option<PathBuf>,

    /// Where the JWT is that proves the caller, for Receivers of type `generic-oidc` and `gcr` only:
    /// a projected service account token, or one that Google has signed.
    #[serde(default)]
    pub token: Option<SecretSource>,

    /// Whether everything that the Receiver lists may be woken although the Receiver does not say so.
    #[serde(default)]
    pub shared: bool,
}

/// Calls a Receiver so that nothing happens, and looks at who answers.
///
/// A call with a wrong signature, or without a payload, is answered with 400 by a Receiver that is
/// reached, ready and has its Secret: that is the good answer. A Receiver of type `generic` takes
/// every call, so a path beside its own is called, and 404 without a body is good. Any other answer
/// ends the run as `probe_error` with a sentence that says who answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiverGetConfig {
    /// The Receiver.
    pub receiver: ObjectName,

    /// Base address at which it is called, such as `https://flux-webhook.example.com`. Default: the
    /// Service `webhook-receiver` of the namespace `flux-system`.
    #[serde(default)]
    pub url: Option<String>,

    /// File with further certificate authorities for `url`, in PEM.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}
