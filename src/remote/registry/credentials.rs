//! What hopclock proves itself with to a registry, and where that is kept.

use crate::remote::registry::{Error, Repository};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a credential helper may take: some ask their cloud.
const HELPER_TIME: Duration = Duration::from_secs(30);

/// Where in a docker configuration the names of helpers stand.
const OF_HELPERS: [&str; 2] = ["credHelpers", "credsStore"];

/// Credentials for a registry. Never printed: the secret parts hide themselves.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// None: the registry is open.
    #[default]
    None,
    /// User and password, or a host's token as password.
    Basic {
        /// The user's name.
        user: String,
        /// The password or token.
        password: SecretString,
    },
    /// A token that the registry itself takes.
    Bearer(SecretString),
    /// A token that is exchanged for those that the registry takes.
    Identity(SecretString),
}

// === impl Credentials ===

impl Credentials {
    /// User and password; line ends, with which mounted secrets come, are cut off.
    #[must_use]
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic { user: user.trim_end().to_owned(), password: password.trim_end().into() }
    }

    /// A token for the registry itself; a line end is cut off.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Self::Bearer(token.trim_end().into())
    }

    /// What a Secret of type `kubernetes.io/dockerconfigjson` (or the older
    /// `kubernetes.io/dockercfg`) holds for a repository; none if nothing. As in the cluster,
    /// helpers that it names do not count.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_pull_secret(bytes: &[u8], repository: &Repository) -> Result<Self, Error> {
        let mut config = read(bytes, repository)?;
        if config.get("auths").is_none() {
            config = json!({ "auths": config });
        }
        let auths = json!({ "auths": config["auths"] });
        Ok(look_up(&auths, repository)?.unwrap_or_default())
    }

    /// What a docker `config.json` holds for a repository, or one of the helpers that it names;
    /// none if nothing.
    ///
    /// # Errors
    /// When it cannot be read, or the helper is missing or fails.
    pub async fn of_docker_config(bytes: &[u8], repository: &Repository) -> Result<Self, Error> {
        let config = read(bytes, repository)?;
        let of_helper = |why| helper_error(&config, repository, why);
        let slow = of_helper("did not answer in time");
        let died = of_helper("could not be asked");
        let repository = repository.clone();
        let asked = tokio::task::spawn_blocking(move || look_up(&config, &repository));
        match tokio::time::timeout(HELPER_TIME, asked).await {
            Err(_) => Err(slow),
            Ok(Err(_)) => Err(died),
            Ok(Ok(found)) => Ok(found?.unwrap_or_default()),
        }
    }

    /// Refuses the `spec.provider` of an object that proves itself with what its cloud gives it;
    /// `what` is the object, for the message.
    ///
    /// # Errors
    /// For every provider but `generic`.
    pub fn refuse_provider(what: &str, provider: Option<&str>) -> Result<(), Error> {
        match provider {
            None | Some("" | "generic") => Ok(()),
            Some(provider) => Err(Error::WorkloadIdentity {
                what: what.to_owned(),
                provider: provider.to_owned(),
            }),
        }
    }

    /// Whether there are any.
    pub(super) fn are_given(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// The header for user and password, marked as sensitive.
    pub(super) fn basic_header(&self, registry: &str) -> Result<Option<HeaderValue>, Error> {
        match self {
            Self::Basic { user, password } => {
                let pair = format!("{user}:{}", password.expose_secret());
                header(&format!("Basic {}", STANDARD.encode(pair)), registry).map(Some)
            }
            Self::None | Self::Bearer(_) | Self::Identity(_) => Ok(None),
        }
    }
}

/// A header with a secret in it, marked as sensitive.
pub(super) fn header(text: &str, registry: &str) -> Result<HeaderValue, Error> {
    let unusable = |_| Error::UnusableCredentials { registry: registry.to_owned() };
    let mut value = HeaderValue::from_str(text).map_err(unusable)?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(bytes: &[u8], repository: &Repository) -> Result<Value, Error> {
    let config: Option<Value> = serde_json::from_slice(bytes).ok().filter(Value::is_object);
    config.ok_or_else(|| bad(repository, "it is no JSON object"))
}

/// Looks a repository up; may run a helper, and wait for it.
fn look_up(config: &Value, repository: &Repository) -> Result<Option<Credentials>, Error> {
    let keys = repository.credential_keys();
    let names = |key: &&String| {
        config["auths"].get(key.as_str()).is_some()
            || config["credHelpers"].get(key.as_str()).is_some()
    };
    let host = keys.last().map(String::as_str).unwrap_or_default();
    let key = keys.iter().find(names).map_or(host, String::as_str);
    let text = config.to_string();
    let helper = |why| helper_error(config, repository, why);
    match get_credential_from_reader(text.as_bytes(), key) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(Some(Credentials::basic(&user, &password)))
        }
        Ok(DockerCredential::IdentityToken(token)) => {
            Ok(Some(Credentials::Identity(token.trim_end().into())))
        }
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // What every helper says when it keeps nothing for a registry.
        Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. })
            if [&stdout, &stderr].iter().any(|it| it.contains("credentials not found")) =>
        {
            Ok(None)
        }
        Err(CredentialRetrievalError::HelperFailure { .. }) => Err(helper("failed")),
        Err(CredentialRetrievalError::HelperCommunicationError) => {
            Err(helper("is missing or cannot be run"))
        }
        Err(CredentialRetrievalError::MalformedHelperResponse) => {
            Err(helper("answers with something else than credentials"))
        }
        Err(CredentialRetrievalError::CredentialMismatchError) => {
            Err(bad(repository, "`auth` and `username` with `password` differ"))
        }
        Err(CredentialRetrievalError::CredentialDecodingError) => {
            Err(bad(repository, "`auth` is not the base64 of `user:password`"))
        }
        Err(
            CredentialRetrievalError::ConfigNotFound | CredentialRetrievalError::ConfigReadError,
        ) => Err(bad(repository, "a value in it is of the wrong type")),
    }
}

fn bad(repository: &Repository, why: &'static str) -> Error {
    Error::BadDockerConfig { registry: repository.host().to_owned(), why }
}

/// An error that names the helper which the configuration gives for a repository.
fn helper_error(config: &Value, repository: &Repository, why: &'static str) -> Error {
    let keys = repository.credential_keys();
    let own = keys.iter().find_map(|key| config[OF_HELPERS[0]][key.as_str()].as_str());
    let name = own.or(config[OF_HELPERS[1]].as_str()).unwrap_or("none");
    let helper = format!("docker-credential-{name}");
    Error::Helper { registry: repository.host().to_owned(), helper, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &Value, image: &str) -> String {
        let repository = Repository::parse(image, false).unwrap();
        match Credentials::of_pull_secret(config.to_string().as_bytes(), &repository) {
            Ok(Credentials::None) => "none".to_owned(),
            Ok(Credentials::Basic { user, password }) => {
                format!("{user}:{}", password.expose_secret())
            }
            Ok(Credentials::Identity(token) | Credentials::Bearer(token)) => {
                token.expose_secret().to_owned()
            }
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn a_pull_secret_is_looked_up_by_path_then_by_host() {
        let auth = |pair: &str| json!({"auth": STANDARD.encode(pair)});
        let config = json!({"auths": {
            "ghcr.io": auth("host:p1"),
            "ghcr.io/team": auth("team:p2"),
            "https://index.docker.io/v1/": auth("hub:p3"),
            "https://reg.example/v2/": {"username": "plain", "password": "p4"},
            "azure.example": {"identitytoken": "t5", "auth": STANDARD.encode("00000000:")},
        }});
        assert_eq!(found(&config, "ghcr.io/other/app"), "host:p1");
        assert_eq!(found(&config, "ghcr.io/team/app"), "team:p2");
        assert_eq!(found(&config, "nginx"), "hub:p3");
        assert_eq!(found(&config, "reg.example/app"), "plain:p4");
        assert_eq!(found(&config, "azure.example/app"), "t5");
        assert_eq!(found(&config, "quay.io/a/b"), "none");
    }

    #[test]
    fn the_older_layout_of_pull_secrets_is_read_too() {
        let config = json!({"ghcr.io": {"auth": STANDARD.encode("u:p")}});
        assert_eq!(found(&config, "ghcr.io/a"), "u:p");
    }

    #[test]
    fn a_pull_secret_runs_no_helper() {
        let config = json!({"auths": {}, "credsStore": "missing", "credHelpers": {"a.b": "x"}});
        assert_eq!(found(&config, "a.b/app"), "none");
    }

    #[test]
    fn an_unreadable_configuration_is_an_error_without_what_is_in_it() {
        let odd = json!({"auths": {"a.b": {"auth": "pl4nted!"}}});
        for (config, says) in [
            (odd, "`auth` is not the base64"),
            (json!("pl4nted"), "it is no JSON object"),
            (json!({"auths": {"a.b": "pl4nted"}}), "of the wrong type"),
        ] {
            let error = found(&config, "a.b/app");
            assert!(error.contains(says) && !error.contains("pl4nted"), "{error}");
        }
    }

    #[test]
    fn credentials_do_not_show_their_secret() {
        let all = [
            Credentials::basic("u", "pl4nted"),
            Credentials::bearer("pl4nted"),
            Credentials::Identity("pl4nted".into()),
        ];
        assert!(!format!("{all:?}").contains("pl4nted"));
        let header = all[0].basic_header("r").unwrap().unwrap();
        assert!(header.is_sensitive());
    }

    #[test]
    fn a_clouds_own_identity_gets_an_error_of_its_own_name() {
        for provider in ["aws", "azure", "gcp"] {
            let error =
                Credentials::refuse_provider("ImageRepository flux-system/app", Some(provider));
            let error = error.unwrap_err();
            assert_eq!(error.reason(), "unsupported_workload_identity");
            assert!(error.to_string().contains(provider), "{error}");
        }
        assert!(Credentials::refuse_provider("x", None).is_ok());
        assert!(Credentials::refuse_provider("x", Some("generic")).is_ok());
    }
}
