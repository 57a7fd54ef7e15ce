//! What commits are signed with, where a source accepts no others (`spec.verify`).

use crate::model::{ObjectName, ProbeError, Signature};
use crate::remote::git::signing::{Signer, SigningError};
use crate::trigger::{SecretSource, Site};
use jiff::Timestamp;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
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

/// A private key as it was found.
struct Found {
    /// Where, for messages.
    place: String,
    key: SecretSlice<u8>,
    passphrase: Option<SecretString>,
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

    /// The sort of signature that a source has to be content with.
    #[must_use]
    pub fn signature(&self) -> Signature {
        match self {
            Self::Ssh(_) => Signature::Ssh,
            Self::Gpg(_) => Signature::Gpg,
        }
    }
}

/// The key that commits are signed with.
pub(super) async fn signer(site: &dyn Site, signing: &Signing) -> Result<Signer, ProbeError> {
    let now = site.clock().wall();
    open(find(site, signing).await?, signing, now).await
}

async fn find(site: &dyn Site, signing: &Signing) -> Result<Found, ProbeError> {
    let of = signing.key();
    if let Some(name) = &of.secret {
        return in_secret(site, signing, name).await;
    }
    let Some(source) = &of.key else {
        let message = "nothing says where the signing key is: give `signing` a `key`".to_owned();
        return Err(error("unusable_scenario", message));
    };
    let (place, key) = match source {
        // A key need not be text.
        SecretSource::File(path) => {
            let key = site.file(path, "signing key")?;
            (format!("the key in `{}`", path.display()), SecretSlice::from(key))
        }
        SecretSource::Env(name) => {
            let text = site.secret_text(source)?;
            let key = SecretSlice::from(text.expose_secret().as_bytes().to_vec());
            (format!("the key in the environment variable `{name}`"), key)
        }
    };
    let passphrase = of.passphrase.as_ref().map(|it| site.secret_text(it)).transpose()?;
    Ok(Found { place, key, passphrase })
}

/// A Secret as Flux's image automation reads it.
async fn in_secret(
    site: &dyn Site,
    signing: &Signing,
    name: &ObjectName,
) -> Result<Found, ProbeError> {
    let (key, passphrase) = match signing {
        Signing::Ssh(_) => ("identity", "password"),
        Signing::Gpg(_) => ("git.asc", "passphrase"),
    };
    let secret = site.secret(name).await?;
    Ok(Found {
        place: format!("the key under `{key}` of the Secret {name}"),
        key: secret.bytes(key)?.clone(),
        passphrase: secret.has(passphrase).then(|| secret.text(passphrase)).transpose()?,
    })
}

/// Reads and unlocks a key, on a thread that may take its time.
async fn open(found: Found, signing: &Signing, now: Timestamp) -> Result<Signer, ProbeError> {
    let is_ssh = matches!(signing, Signing::Ssh(_));
    let Found { place, key, passphrase } = found;
    let work = move || {
        let (key, passphrase) = (key.expose_secret(), passphrase.as_ref());
        if is_ssh { Signer::ssh(key, passphrase) } else { Signer::openpgp(key, passphrase, now) }
    };
    let opened = match tokio::task::spawn_blocking(work).await {
        Ok(opened) => opened,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    };
    opened.map_err(|why| {
        // What the Secret's keys are called is not the scenario's word for them.
        let hint = match (&why, &signing.key().secret) {
            (SigningError::NoPassphrase, Some(_)) if is_ssh => " (in the Secret: `password`)",
            _ => "",
        };
        error("signing_key", format!("cannot sign with {place}: {why}{hint}"))
    })
}

fn error(reason: &str, message: String) -> ProbeError {
    ProbeError { reason: reason.to_owned(), message }
}
