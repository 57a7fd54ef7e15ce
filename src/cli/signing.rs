//! Finds the key that commits are signed with, and proves that every source on the path accepts
//! its signatures (rule S4): an unsigned head stops all delivery from its repository.

use crate::cli::credentials::{read, secret_text};
use crate::cli::reader::Reader;
use crate::hop::Objects;
use crate::model::{ObjectName, ProbeError, Subject};
use crate::path::delivery::{Landing, Signature, trusted_keys};
use crate::remote::git::signing::{Signer, SigningError, Trust};
use crate::trigger::{GitCommitConfig, SecretSource, Signing};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// What the bounded word for labels is when a source would not accept our commits.
const UNSATISFIED: &str = "verify_unsatisfied";

/// A private key as it was found.
struct Found {
    /// Where, for messages.
    place: String,
    key: SecretSlice<u8>,
    passphrase: Option<SecretString>,
}

/// The key that commits are signed with, if one is given.
pub(super) async fn signer(
    reader: &Reader<'_>,
    config: &GitCommitConfig,
    now: Timestamp,
) -> Result<Option<Signer>, ProbeError> {
    let Some(signing) = &config.signing else { return Ok(None) };
    open(find(reader, signing).await?, signing, now).await.map(Some)
}

/// The sort of signature that a source has to be content with.
pub(super) fn signature(signing: &Signing) -> Signature {
    match signing {
        Signing::Ssh(_) => Signature::Ssh,
        Signing::Gpg(_) => Signature::Gpg,
    }
}

/// Proves that every source on the path that verifies our commits trusts the key. That each gets
/// the sort of signature it wants has been proven by the objects alone.
pub(super) async fn prove(
    reader: &Reader<'_>,
    signer: &Signer,
    landing: &Landing,
    path: &Objects,
    now: Timestamp,
) -> Result<(), ProbeError> {
    for (source, object) in path {
        if landing.may_feed(source, object)
            && let Some(trusted) = trusted_keys(source, object)
        {
            trusts(reader, signer, source, &trusted, now).await?;
        }
    }
    Ok(())
}

async fn trusts(
    reader: &Reader<'_>,
    signer: &Signer,
    source: &Subject,
    trusted: &ObjectName,
    now: Timestamp,
) -> Result<(), ProbeError> {
    let secret = reader.secret(&trusted.namespace, &trusted.name).await?;
    let mut values = Vec::new();
    for key in secret.keys() {
        values.push((key, secret.bytes(key)?.expose_secret()));
    }
    Trust::read(values).accepts(signer, now).map_err(|why| {
        let (kind, fingerprint) = (signer.kind(), signer.fingerprint());
        error(
            UNSATISFIED,
            format!(
                "{source} would not accept a commit that is signed with the {kind} key \
                 `{fingerprint}`: the Secret {trusted} {why}"
            ),
        )
    })
}

async fn find(reader: &Reader<'_>, signing: &Signing) -> Result<Found, ProbeError> {
    let of = signing.key();
    if let Some(name) = &of.secret {
        return in_secret(reader, signing, name).await;
    }
    let Some(source) = &of.key else {
        let message = "nothing says where the signing key is: give `signing` a `key`".to_owned();
        return Err(error("unusable_scenario", message));
    };
    let (place, key) = match source {
        // A key need not be text.
        SecretSource::File(path) => {
            let key = read(path, "signing key")?;
            (format!("the key in `{}`", path.display()), SecretSlice::from(key))
        }
        SecretSource::Env(name) => {
            let text = secret_text(source)?;
            let key = SecretSlice::from(text.expose_secret().as_bytes().to_vec());
            (format!("the key in the environment variable `{name}`"), key)
        }
    };
    let passphrase = of.passphrase.as_ref().map(secret_text).transpose()?;
    Ok(Found { place, key, passphrase })
}

/// A Secret as Flux's image automation reads it.
async fn in_secret(
    reader: &Reader<'_>,
    signing: &Signing,
    name: &ObjectName,
) -> Result<Found, ProbeError> {
    let (key, passphrase) = match signing {
        Signing::Ssh(_) => ("identity", "password"),
        Signing::Gpg(_) => ("git.asc", "passphrase"),
    };
    let secret = reader.secret(&name.namespace, &name.name).await?;
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
