//! Finds an image repository and its credentials: in the scenario, in files, in the environment,
//! or in Flux's own objects and Secrets.

use crate::model::{ObjectName, ProbeError, Secret, Subject};
use crate::remote::registry::{self, Credentials, Registry, RegistryOptions, Repository, Rights};
use crate::trigger::{SecretSource, Site};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// How long one request to a registry may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// How long one operation may wait where a registry asks for patience.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The keys under which a Secret keeps a docker configuration.
pub(super) const PULL_KEYS: [&str; 2] = [".dockerconfigjson", ".dockercfg"];

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

/// Opens the repository that an ImageRepository scans. Asks nothing of the registry.
pub(super) async fn open(
    site: &dyn Site,
    subject: &Subject,
    object: &Value,
    push_auth: Option<&RegistryAuth>,
) -> Result<Registry, ProbeError> {
    let spec = &object["spec"];
    let insecure = spec["insecure"] == true;
    let image = spec["image"].as_str().unwrap_or_default();
    let repository = Repository::parse(image, insecure).map_err(|it| error(&it))?;
    let secret = |key: &str| {
        let name = spec[key]["name"].as_str()?;
        Some(ObjectName::new(&subject.namespace, name))
    };
    let credentials = match (push_auth, secret("secretRef")) {
        (Some(auth), _) => of_auth(site, auth, &repository).await?,
        (None, Some(name)) => of_secret(site, &name, &repository).await?,
        (None, None) => {
            let provider = spec["provider"].as_str();
            Credentials::refuse_provider(&subject.to_string(), provider)
                .map_err(|it| error(&it))?;
            Credentials::None
        }
    };
    let ca = match secret("certSecretRef") {
        Some(name) => ca_of(&site.secret(&name).await?),
        None => None,
    };
    let rights = Rights::Delete;
    let (timeout, patience) = (TIMEOUT, PATIENCE);
    let options = RegistryOptions { repository, credentials, ca, rights, timeout, patience };
    Registry::open(options, site.clock()).map_err(|it| error(&it))
}

pub(super) async fn of_auth(
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

pub(super) async fn of_secret(
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

pub(super) fn ca_of(secret: &Secret) -> Option<Vec<u8>> {
    let bytes = ["ca.crt", "caFile"].into_iter().find_map(|it| secret.bytes(it).ok())?;
    Some(bytes.expose_secret().to_vec())
}

pub(super) fn error(error: &registry::Error) -> ProbeError {
    ProbeError { reason: error.reason().to_owned(), message: error.to_string() }
}
