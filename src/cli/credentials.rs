//! Finds a git repository's address and credentials: in the scenario, in files, in the
//! environment, or in Flux's own objects and Secrets.

use crate::cli::reader::Reader;
use crate::cluster::Secret;
use crate::model::{GroupKind, ObjectName, ProbeError, Subject};
use crate::remote::git::Credentials;
use crate::trigger::{GitAuth, GitCommitConfig, SecretSource};
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
            branch: "main".to_owned(),
            credentials: Credentials::None,
            ca: None,
        },
    };
    if let Some(auth) = config.push_auth.as_ref().or(config.auth.as_ref()) {
        let (credentials, ca) = of_auth(reader, auth).await?;
        access.credentials = credentials;
        access.ca = ca.or(access.ca);
    }
    if let Some(file) = &config.ca_file {
        access.ca = Some(read(file, "certificate authority")?);
    }
    if let Some(branch) = &config.branch {
        access.branch.clone_from(branch);
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
    let branch = spec["ref"]["branch"]
        .as_str()
        .or_else(|| spec["ref"]["name"].as_str().and_then(|it| it.strip_prefix("refs/heads/")));
    if branch.is_none() && spec["ref"].is_object() && config.branch.is_none() {
        return Err(error(
            "source_without_branch",
            format!(
                "{subject} follows no branch, so no commit would ever be fetched by it: set its \
                 `spec.ref.branch`, or name another source"
            ),
        ));
    }
    let url = spec["url"].as_str().unwrap_or_default();
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err(error(
            "unsupported_url",
            format!(
                "{subject} is fetched from `{}`, and hopclock pushes over http and https only: give \
                 the trigger the `url` of the same repository in the place of `source`",
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
        Some(secret) => of_secret(reader, secret).await?,
        None => (Credentials::None, None),
    };
    let branch = branch.unwrap_or("master").to_owned();
    Ok(Access { url: url.to_owned(), branch, credentials, ca })
}

/// Providers other than `generic` make their credentials themselves.
fn refuse_provider(subject: &Subject, spec: &Value) -> Result<(), ProbeError> {
    match spec["provider"].as_str() {
        None | Some("generic") => Ok(()),
        Some(provider) => Err(error(
            "unsupported_provider",
            format!(
                "{subject} gets its credentials from provider `{provider}`, which hopclock cannot \
                 yet use: give the trigger a `push_auth`"
            ),
        )),
    }
}

async fn of_auth(
    reader: &Reader<'_>,
    auth: &GitAuth,
) -> Result<(Credentials, Option<Vec<u8>>), ProbeError> {
    match auth {
        GitAuth::Secret(name) => of_secret(reader, name).await,
        GitAuth::Basic { username, password } => {
            let password = secret_text(password)?;
            Ok((Credentials::basic(username, password.expose_secret()), None))
        }
        GitAuth::Bearer(token) => {
            Ok((Credentials::bearer(secret_text(token)?.expose_secret()), None))
        }
    }
}

/// A Secret in Flux's layout: `bearerToken`, or `username` and `password`; `ca.crt`.
async fn of_secret(
    reader: &Reader<'_>,
    name: &ObjectName,
) -> Result<(Credentials, Option<Vec<u8>>), ProbeError> {
    let secret = reader.secret(&name.namespace, &name.name).await?;
    if secret.has("githubAppID") {
        return Err(error(
            "unsupported_secret",
            format!(
                "the Secret {name} holds a GitHub App, which hopclock cannot yet use: give the \
                 trigger a `push_auth` with a user name and a token"
            ),
        ));
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
    if let Some(missing) = ["username", "password"].into_iter().find(|it| !secret.has(it)) {
        let keys: Vec<_> = secret.keys().map(|it| format!("`{it}`")).collect();
        let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
        return Err(error(
            "secret",
            format!(
                "the Secret {name} has no key `{missing}`: give it `username` and `password`, or \
                 `bearerToken`; it has {keys}"
            ),
        ));
    }
    let (user, password) = (secret.text("username")?, secret.text("password")?);
    Ok(Credentials::basic(user.expose_secret(), password.expose_secret()))
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
