//! Finds a git repository's address and credentials: in the scenario, in files, in the
//! environment, or in Flux's own objects and Secrets.

use crate::cli::reader::Reader;
use crate::cluster::Secret;
use crate::model::{GroupKind, ObjectName, ProbeError, Subject};
use crate::path::delivery::branch_of;
use crate::remote::git::{Credentials, SshKey};
use crate::trigger::{GitAuth, GitCommitConfig, SecretSource, is_over_ssh};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::path::Path;

/// Where to push, and how to get there.
pub(super) struct Access {
    /// Address of the repository.
    pub(super) url: String,
    /// Branch.
    pub(super) branch: String,
    /// What to prove ourselves with.
    pub(super) credentials: Credentials,
    /// Further certificate authorities, in PEM.
    pub(super) ca: Option<Vec<u8>>,
}

/// Finds out where a scenario pushes to.
pub(super) async fn resolve(
    reader: &Reader<'_>,
    config: &GitCommitConfig,
) -> Result<Access, ProbeError> {
    let mut access = match &config.source {
        Some(source) => of_source(reader, source, config).await?,
        None => Access {
            url: config.url.clone().unwrap_or_default(),
            branch: config.branch.clone().unwrap_or_else(|| "main".to_owned()),
            credentials: Credentials::None,
            ca: None,
        },
    };
    if let Some(auth) = config.push_auth.as_ref().or(config.auth.as_ref()) {
        let (credentials, ca) = of_auth(reader, auth, is_over_ssh(&access.url)).await?;
        access.credentials = credentials;
        access.ca = ca.or(access.ca);
    }
    if let Some(file) = &config.ca_file {
        access.ca = Some(read(file, "certificate authority")?);
    }
    Ok(access)
}

/// What a GitRepository says: Flux's own address, branch and, unless the push has credentials of
/// its own, Secret.
async fn of_source(
    reader: &Reader<'_>,
    source: &ObjectName,
    config: &GitCommitConfig,
) -> Result<Access, ProbeError> {
    let subject = Subject::local(GroupKind::git_repository(), &source.namespace, &source.name);
    let object = reader.get(&subject).await?;
    let spec = &object["spec"];
    let branch = match &config.branch {
        Some(branch) => branch.clone(),
        None => branch_of(&subject, &object)?,
    };
    let url = spec["url"].as_str().unwrap_or_default();
    if !(url.starts_with("http://") || url.starts_with("https://") || is_over_ssh(url)) {
        return Err(error(
            "unsupported_url",
            format!(
                "{subject} is fetched from `{}`, and hopclock pushes over http, https and ssh only: \
                 give the trigger the `url` of the same repository in the place of `source`",
                without_user(url)
            ),
        ));
    }
    if config.push_auth.is_none() {
        refuse_provider(&subject, spec)?;
    }
    let secret =
        spec["secretRef"]["name"].as_str().map(|it| ObjectName::new(&source.namespace, it));
    let (credentials, ca) = match &secret {
        Some(secret) if config.push_auth.is_some() => {
            (Credentials::None, ca_of_secret(reader, secret, config).await)
        }
        Some(secret) => of_secret(reader, secret, is_over_ssh(url)).await?,
        None => (Credentials::None, None),
    };
    Ok(Access { url: url.to_owned(), branch, credentials, ca })
}

/// Providers other than `generic` make their credentials themselves.
fn refuse_provider(subject: &Subject, spec: &Value) -> Result<(), ProbeError> {
    let (reason, what) = match spec["provider"].as_str() {
        None | Some("generic") => return Ok(()),
        Some("github") => ("unsupported_github_app", "a GitHub App"),
        Some(_) => ("unsupported_workload_identity", "a workload identity of its cloud"),
    };
    let provider = spec["provider"].as_str().unwrap_or_default();
    Err(error(
        reason,
        format!(
            "{subject} proves itself with {what} (`spec.provider: {provider}`), which hopclock \
             cannot use yet: give the trigger a `push_auth` with a token or an ssh key"
        ),
    ))
}

async fn of_auth(
    reader: &Reader<'_>,
    auth: &GitAuth,
    over_ssh: bool,
) -> Result<(Credentials, Option<Vec<u8>>), ProbeError> {
    match auth {
        GitAuth::Secret(name) => of_secret(reader, name, over_ssh).await,
        GitAuth::Basic { username, password } => {
            let password = secret_text(password)?;
            Ok((Credentials::basic(username, password.expose_secret()), None))
        }
        GitAuth::Bearer(token) => {
            Ok((Credentials::bearer(secret_text(token)?.expose_secret()), None))
        }
        GitAuth::Ssh { identity, known_hosts, passphrase } => {
            let key = SshKey {
                identity: secret_text(identity)?,
                passphrase: passphrase.as_ref().map(secret_text).transpose()?,
                known_hosts: secret_text(known_hosts)?.expose_secret().to_owned(),
            };
            Ok((Credentials::Ssh(key), None))
        }
    }
}

/// A Secret in Flux's layout: `bearerToken`, or `username` and `password`; `ca.crt`. Over ssh:
/// `identity` and `known_hosts`, with the passphrase in `password`.
async fn of_secret(
    reader: &Reader<'_>,
    name: &ObjectName,
    over_ssh: bool,
) -> Result<(Credentials, Option<Vec<u8>>), ProbeError> {
    let secret = reader.secret(&name.namespace, &name.name).await?;
    if secret.keys().any(|it| it.starts_with("githubApp")) {
        return Err(error(
            "unsupported_github_app",
            format!(
                "the Secret {name} holds a GitHub App, which hopclock cannot use yet: give the \
                 trigger a `push_auth` with a token or an ssh key"
            ),
        ));
    }
    if over_ssh {
        return Ok((Credentials::Ssh(ssh_key_of(name, &secret)?), None));
    }
    Ok((of_keys(name, &secret)?, ca_of(&secret)))
}

/// The authority of the host, which the push needs as well as Flux does. We may have no right to
/// read Flux's Secret, and most hosts need none of their own: then there is none.
async fn ca_of_secret(
    reader: &Reader<'_>,
    name: &ObjectName,
    config: &GitCommitConfig,
) -> Option<Vec<u8>> {
    if config.ca_file.is_some() {
        return None;
    }
    let secret = reader.secret(&name.namespace, &name.name).await;
    secret.as_ref().ok().and_then(ca_of)
}

fn ca_of(secret: &Secret) -> Option<Vec<u8>> {
    let bytes = ["ca.crt", "caFile"].into_iter().find_map(|it| secret.bytes(it).ok())?;
    Some(bytes.expose_secret().to_vec())
}

fn of_keys(name: &ObjectName, secret: &Secret) -> Result<Credentials, ProbeError> {
    if secret.has("bearerToken") {
        return Ok(Credentials::bearer(secret.text("bearerToken")?.expose_secret()));
    }
    let certificate_only = !secret.has("username") && !secret.has("password");
    if certificate_only && (secret.has("ca.crt") || secret.has("caFile")) {
        return Ok(Credentials::None);
    }
    let wanted = "`username` and `password`, or `bearerToken`";
    require(name, secret, ["username", "password"], wanted)?;
    let (user, password) = (secret.text("username")?, secret.text("password")?);
    Ok(Credentials::basic(user.expose_secret(), password.expose_secret()))
}

fn ssh_key_of(name: &ObjectName, secret: &Secret) -> Result<SshKey, ProbeError> {
    let wanted = "`identity` (a private key) and `known_hosts`, which an address over ssh needs";
    require(name, secret, ["identity", "known_hosts"], wanted)?;
    let passphrase = secret.has("password").then(|| secret.text("password")).transpose()?;
    Ok(SshKey {
        identity: secret.text("identity")?,
        passphrase,
        known_hosts: secret.text("known_hosts")?.expose_secret().to_owned(),
    })
}

/// Says which of two keys a Secret lacks, and which it has.
fn require(
    name: &ObjectName,
    secret: &Secret,
    keys: [&str; 2],
    wanted: &str,
) -> Result<(), ProbeError> {
    let Some(missing) = keys.into_iter().find(|it| !secret.has(it)) else { return Ok(()) };
    let keys: Vec<_> = secret.keys().map(|it| format!("`{it}`")).collect();
    let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
    Err(error(
        "secret",
        format!("the Secret {name} has no key `{missing}`: give it {wanted}; it has {keys}"),
    ))
}

/// The text of a secret, without its line end.
pub(super) fn secret_text(source: &SecretSource) -> Result<SecretString, ProbeError> {
    match source {
        SecretSource::File(path) => {
            let bytes = read(path, "secret")?;
            let text = String::from_utf8(bytes).map_err(|_| {
                error(
                    "secret_unreadable",
                    format!("the secret in `{}` is no text: store it as UTF-8", path.display()),
                )
            })?;
            if text.trim().is_empty() {
                return Err(error(
                    "secret_missing",
                    format!("the file `{}` is empty: it should hold the secret", path.display()),
                ));
            }
            Ok(SecretString::from(text.trim_end().to_owned()))
        }
        SecretSource::Env(name) => match std::env::var(name) {
            Ok(text) if !text.trim().is_empty() => {
                Ok(SecretString::from(text.trim_end().to_owned()))
            }
            _ => Err(error(
                "secret_missing",
                format!(
                    "the environment variable `{name}` is not set or empty: it should hold the secret"
                ),
            )),
        },
    }
}

/// The bytes of a file that holds a secret; `what` it is goes into the message.
pub(super) fn read(path: &Path, what: &str) -> Result<Vec<u8>, ProbeError> {
    std::fs::read(path).map_err(|why| {
        let path = path.display();
        error(
            "secret_unreadable",
            format!("cannot read the {what} in `{path}` ({why}): name a readable file"),
        )
    })
}

/// An address without what may be a password.
fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://{host}"),
            None => url.to_owned(),
        },
        None => url.rsplit_once('@').map_or(url, |it| it.1).to_owned(),
    }
}

fn error(reason: &str, message: String) -> ProbeError {
    ProbeError { reason: reason.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_that_a_provider_makes_get_an_error_of_their_own_name() {
        let subject = Subject::local(GroupKind::git_repository(), "flux-system", "canary");
        for (provider, reason) in [
            (json!("github"), "unsupported_github_app"),
            (json!("azure"), "unsupported_workload_identity"),
            (json!("gcp"), "unsupported_workload_identity"),
        ] {
            let error = refuse_provider(&subject, &json!({"provider": provider})).unwrap_err();
            assert_eq!(error.reason, reason);
            assert!(error.message.contains(&provider.to_string().replace('"', "")), "{error:?}");
            assert!(error.message.contains("`push_auth`"), "{error:?}");
        }
        for spec in [json!({}), json!({"provider": "generic"})] {
            assert!(refuse_provider(&subject, &spec).is_ok());
        }
    }
}
