//! Finds an image repository and its credentials: in the scenario, in files, in the environment,
//! or in Flux's own objects and Secrets.

use crate::model::{ObjectName, ProbeError, Subject};
use crate::remote::registry::{
    self, Credentials, PublishError, Registry, RegistryOptions, Repository, Rights,
};
use crate::trigger::{Error, SecretSource, Site};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one request to a registry may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// How long one operation may wait where a registry asks for patience.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The keys under which a Secret keeps a docker configuration.
const PULL_KEYS: [&str; 2] = [".dockerconfigjson", ".dockercfg"];

/// What a tag is called after a push without an answer, and what a second writer of it should do.
pub(super) const TAG: (&str, &str) = ("tag", "let only one scenario push there");

/// Credentials of a registry: one key, naming the kind. Never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RegistryAuth {
    /// A Secret in the layout of an `imagePullSecret`: `.dockerconfigjson`. The helpers that it may
    /// name do not count.
    Secret(ObjectName),
    /// A docker `config.json`; the helpers that it names are asked.
    DockerConfig(PathBuf),
    /// User name and password or token.
    Basic {
        /// User name.
        username: String,
        /// Where the password or token is.
        password: SecretSource,
    },
    /// A token that the registry itself takes.
    Bearer(SecretSource),
}

/// How credentials stand in the Secret that one of Flux's objects names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// As a docker configuration.
    Pull,
    /// So, or as `username` and `password`.
    PullOrBasic,
}

/// Opens the repository that an ImageRepository scans or an OCIRepository fetches. Asks nothing of
/// the registry.
pub(super) async fn open(
    site: &dyn Site,
    subject: &Subject,
    object: &Value,
    push_auth: Option<&RegistryAuth>,
) -> Result<Registry, ProbeError> {
    let spec = &object["spec"];
    let address = spec["image"].as_str().or(spec["url"].as_str()).unwrap_or_default();
    open_at(site, (subject, object), address, Layout::Pull, push_auth).await
}

/// Opens a repository of which one of Flux's objects says how it is reached. Asks nothing of the
/// registry.
pub(super) async fn open_at(
    site: &dyn Site,
    (subject, object): (&Subject, &Value),
    address: &str,
    layout: Layout,
    push_auth: Option<&RegistryAuth>,
) -> Result<Registry, ProbeError> {
    let spec = &object["spec"];
    let repository =
        Repository::parse(address, spec["insecure"] == true).map_err(|it| error(&it))?;
    let secret = |key: &str| {
        let name = spec[key]["name"].as_str()?;
        Some(ObjectName::new(&subject.namespace, name))
    };
    let credentials = match (push_auth, secret("secretRef")) {
        (Some(auth), _) => of_auth(site, auth, &repository).await?,
        (None, Some(name)) => match layout {
            Layout::Pull => of_secret(site, &name, &repository).await?,
            Layout::PullOrBasic => of_either(site, &name, &repository).await?,
        },
        (None, None) => {
            let provider = spec["provider"].as_str();
            Credentials::refuse_provider(&subject.to_string(), provider)
                .map_err(|it| error(&it))?;
            Credentials::None
        }
    };
    let ca = match secret("certSecretRef") {
        Some(name) => site.secret(&name).await?.authority(),
        None => None,
    };
    finish(site, repository, credentials, ca)
}

/// Opens a repository by its address. Asks nothing of the registry.
pub(super) async fn open_by_hand(
    site: &dyn Site,
    url: &str,
    insecure: bool,
    auth: Option<&RegistryAuth>,
    ca_file: Option<&Path>,
) -> Result<Registry, ProbeError> {
    let repository = Repository::parse(url, insecure).map_err(|it| error(&it))?;
    let credentials = match auth {
        Some(auth) => of_auth(site, auth, &repository).await?,
        None => Credentials::None,
    };
    let ca = ca_file.map(|it| site.file(it, "certificate authority")).transpose()?;
    finish(site, repository, credentials, ca)
}

/// Why an address is none of a repository in a registry.
#[must_use]
pub fn why_no_repository(url: &str) -> Option<String> {
    Repository::parse(url, false).err().map(|it| it.to_string())
}

/// Reads a tag once after a push without an answer (rule T2). `what` it is called in messages, and
/// what a second writer is told to `mend`.
pub(super) async fn after_no_answer(
    registry: &Registry,
    tag: &str,
    digest: &str,
    why: &PublishError,
    (what, mend): (&str, &str),
) -> Result<(), Error> {
    let error = |reason, part: &str| Error { reason, message: format!("{why}, and {part}") };
    match registry.digest(tag).await {
        Ok(Some(now)) if now == digest => Ok(()),
        Ok(Some(_)) => Err(error(
            "second_writer",
            &format!("somebody else has pushed the same {what} meanwhile: {mend}"),
        )),
        Ok(None) => {
            Err(error("push_lost", &format!("the {what} is not there, so nothing was pushed")))
        }
        Err(read) => Err(error(
            "push_unknown",
            &format!(
                "whether it was made is not known, for the tag could not be read afterwards: {read}"
            ),
        )),
    }
}

fn finish(
    site: &dyn Site,
    repository: Repository,
    credentials: Credentials,
    ca: Option<Vec<u8>>,
) -> Result<Registry, ProbeError> {
    let rights = Rights::Delete;
    let (timeout, patience) = (TIMEOUT, PATIENCE);
    let options = RegistryOptions { repository, credentials, ca, rights, timeout, patience };
    Registry::open(options, site.clock()).map_err(|it| error(&it))
}

async fn of_auth(
    site: &dyn Site,
    auth: &RegistryAuth,
    repository: &Repository,
) -> Result<Credentials, ProbeError> {
    Ok(match auth {
        RegistryAuth::Secret(name) => of_secret(site, name, repository).await?,
        RegistryAuth::DockerConfig(path) => {
            let bytes = site.file(path, "docker configuration")?;
            Credentials::of_docker_config(&bytes, repository).await.map_err(|it| error(&it))?
        }
        RegistryAuth::Basic { username, password } => {
            Credentials::basic(username, site.secret_text(password)?.expose_secret())
        }
        RegistryAuth::Bearer(token) => {
            Credentials::bearer(site.secret_text(token)?.expose_secret())
        }
    })
}

/// A HelmRepository's Secret may hold `username` and `password` as well as a docker configuration.
async fn of_either(
    site: &dyn Site,
    name: &ObjectName,
    repository: &Repository,
) -> Result<Credentials, ProbeError> {
    let secret = site.secret(name).await?;
    let is_pull_secret = PULL_KEYS.into_iter().any(|it| secret.has(it));
    if is_pull_secret || !secret.has("username") {
        return of_secret(site, name, repository).await;
    }
    let (user, password) = (secret.text("username")?, secret.text("password")?);
    Ok(Credentials::basic(user.expose_secret(), password.expose_secret()))
}

async fn of_secret(
    site: &dyn Site,
    name: &ObjectName,
    repository: &Repository,
) -> Result<Credentials, ProbeError> {
    let secret = site.secret(name).await?;
    let Some(key) = PULL_KEYS.into_iter().find(|it| secret.has(it)) else {
        let keys = secret.listed_keys();
        let message = format!(
            "the Secret {name} has no key `{}`: give it the layout that `kubectl create secret \
             docker-registry` makes; it has {keys}",
            PULL_KEYS[0]
        );
        return Err(ProbeError { reason: "secret".to_owned(), message });
    };
    let bytes = secret.bytes(key)?.expose_secret();
    Credentials::of_pull_secret(bytes, repository).map_err(|it| error(&it))
}

fn error(error: &registry::Error) -> ProbeError {
    ProbeError { reason: error.reason().to_owned(), message: error.to_string() }
}
