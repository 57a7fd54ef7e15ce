//! What commits are signed with, where a source accepts no others (`spec.verify`).

use crate::model::ObjectName;
use crate::trigger::SecretSource;
use schemars::JsonSchema;
use serde::Deserialize;

/// What commits are signed with: one key, naming the kind. Never the private key itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Signing {
    /// An SSH key in OpenSSH's format; Flux accepts them from 2.9 on. In a Secret: `identity`, and
    /// `password` if it is locked.
    Ssh(SigningKey),
    /// An OpenPGP key, armored or binary. In a Secret: `git.asc`, and `passphrase` if it is
    /// locked.
    Gpg(SigningKey),
}

/// Where a private key is. Exactly one of `secret` and `key`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// A Secret in the layout that Flux's image automation has for its `signingKey`.
    #[serde(default)]
    pub secret: Option<ObjectName>,

    /// Where the private key is.
    #[serde(default)]
    pub key: Option<SecretSource>,

    /// Where the passphrase is that opens `key`.
    #[serde(default)]
    pub passphrase: Option<SecretSource>,
}

// === impl Signing ===

impl Signing {
    /// Where the key is.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        match self {
            Self::Ssh(key) | Self::Gpg(key) => key,
        }
    }

    /// The name of the kind in a scenario.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ssh(_) => "ssh",
            Self::Gpg(_) => "gpg",
        }
    }
}
