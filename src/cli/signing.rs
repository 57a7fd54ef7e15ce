//! Finds the key that commits are signed with, and proves that every source on the path accepts
//! its signatures (rule S4): an unsigned head stops all delivery from its repository.

use crate::cli::credentials::{read, secret_text};
use crate::cli::reader::Reader;
use crate::model::{GroupKind, ObjectName, ProbeError, Subject};
use crate::path::{self, Verification};
use crate::remote::git::RemoteUrl;
use crate::remote::git::signing::{Signer, SigningError, Trust};
use crate::trigger::{GitCommitConfig, SecretSource, Signing};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the bounded word for labels is when a source would not accept our commits.
const UNSATISFIED: &str = "verify_unsatisfied";

/// A private key as it was found.
struct Found {
    /// Where, for messages.
    place: String,
    key: SecretSlice<u8>,
    passphrase: Option<SecretString>,
}

/// The key that commits are signed with, if one is given. Sources that are known to fetch them
/// accept it, else it is an error.
pub(super) async fn signer(
    reader: &Reader<'_>,
    config: &GitCommitConfig,
    url: &RemoteUrl,
    sources: &[Arc<Subject>],
    now: Timestamp,
) -> Result<Option<Signer>, ProbeError> {
    let signer = match &config.signing {
        Some(signing) => Some(open(find(reader, signing).await?, signing, now).await?),
        None => None,
    };
    let own = config
        .source
        .as_ref()
        .map(|it| Subject::local(GroupKind::git_repository(), &it.namespace, &it.name));
    let ours = |it: &&Subject| it.kind == GroupKind::git_repository() && it.cluster.0.is_empty();
    let others = sources.iter().map(Arc::as_ref).filter(ours);
    // Each once, and always in the same order.
    for source in own.iter().chain(others).collect::<BTreeSet<_>>() {
        let object = reader.get(source).await?;
        if own.as_ref() == Some(source) || fetches(&object, url) {
            prove(reader, source, &object, signer.as_ref(), now).await?;
        }
    }
    Ok(signer)
}

/// Whether a source follows the repository that is pushed to. Over SSH it has another port, and
/// perhaps a user.
fn fetches(object: &Value, url: &RemoteUrl) -> bool {
    let theirs = object["spec"]["url"].as_str().unwrap_or_default();
    match RemoteUrl::parse(theirs) {
        Ok((theirs, _)) => theirs.normalised() == url.normalised(),
        Err(_) => host_and_path(theirs) == host_and_path(&url.to_string()),
    }
}

/// Host and path of an address, without everything that its scheme decides.
fn host_and_path(url: &str) -> (String, String) {
    let rest = url.split_once("://").map_or(url, |it| it.1);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |it| it.1);
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let path = path.trim_end_matches('/');
    (host, path.strip_suffix(".git").unwrap_or(path).to_owned())
}

async fn prove(
    reader: &Reader<'_>,
    source: &Subject,
    object: &Value,
    signer: Option<&Signer>,
    now: Timestamp,
) -> Result<(), ProbeError> {
    let trusted = match path::verification(source, object) {
        None => return Ok(()),
        Some(Verification::Commit { trusted }) => trusted,
        Some(Verification::Tag { mode }) => {
            return Err(unsatisfied(format!(
                "{source} accepts only what a signed tag names (`spec.verify.mode` is `{mode}`), \
                 and a commit to a branch has none: set the mode to `HEAD`, or use another source"
            )));
        }
    };
    let Some(signer) = signer else {
        return Err(unsatisfied(format!(
            "{source} accepts only signed commits (`spec.verify`), and an unsigned one would stop \
             all delivery from its repository: give the trigger a `signing` key that the Secret \
             {trusted} trusts"
        )));
    };
    let secret = reader.secret(&trusted.namespace, &trusted.name).await?;
    let mut values = Vec::new();
    for key in secret.keys() {
        values.push((key, secret.bytes(key)?.expose_secret()));
    }
    Trust::read(values).accepts(signer, now).map_err(|why| {
        unsatisfied(format!(
            "{source} would not accept a commit that is signed with the {} key `{}`: the Secret \
             {trusted} {why}",
            signer.kind(),
            signer.fingerprint()
        ))
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

fn unsatisfied(message: String) -> ProbeError {
    error(UNSATISFIED, message)
}

fn error(reason: &str, message: String) -> ProbeError {
    ProbeError { reason: reason.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_source_of_the_same_repository_is_known_by_any_of_its_addresses() {
        let (url, _) = RemoteUrl::parse("https://git.example.com/fleet/canary.git").unwrap();
        let same = |theirs: &str| fetches(&json!({"spec": {"url": theirs}}), &url);
        assert!(same("https://Git.example.com/fleet/canary"));
        assert!(same("ssh://git@git.example.com:2222/fleet/canary.git"));
        assert!(!same("https://git.example.com/fleet/other"));
        assert!(!same("ssh://git@git.example.com/fleet/other.git"));
    }
}
