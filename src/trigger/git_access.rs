//! Finds a git repository's address and credentials: in the scenario, in files, in the
//! environment, or in Flux's own objects and Secrets.

use crate::model::{GroupKind, ObjectName, ProbeError, Secret, Subject};
use crate::remote::git::{self, Credentials, GitRemote, GitRemoteOptions, SshKey};
use crate::trigger::{Error, SecretSource, Site, is_over_ssh};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How long one request to a git host may take.
const GIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Credentials of a git host: one key, naming the kind. Never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GitAuth {
    /// A Secret in Flux's layout: `username` and `password`, or `bearerToken`; `ca.crt`. Over ssh:
    /// `identity` and `known_hosts`; `password` is the passphrase.
    Secret(ObjectName),
    /// User name and password or token.
    Basic {
        /// User name.
        username: String,
        /// Where the password or token is.
        password: SecretSource,
    },
    /// A bearer token.
    Bearer(SecretSource),
    /// A private key, for an address over ssh.
    Ssh {
        /// Where the private key is: ed25519, ECDSA or RSA, as OpenSSH, PEM or PKCS#8.
        identity: SecretSource,
        /// Where the keys of hosts are, as in OpenSSH's `known_hosts`. A host that is not in it is
        /// never trusted.
        known_hosts: SecretSource,
        /// Where the passphrase of an encrypted key is.
        #[serde(default)]
        passphrase: Option<SecretSource>,
    },
}

/// What a scenario says of where to push.
pub(super) struct Wanted<'a> {
    /// A GitRepository.
    pub(super) source: Option<&'a ObjectName>,
    /// Address of the repository.
    pub(super) url: Option<&'a str>,
    /// Branch.
    pub(super) branch: Option<&'a str>,
    /// Branch of an address, where none is named.
    pub(super) default_branch: &'a str,
    /// Credentials for the push.
    pub(super) auth: Option<&'a GitAuth>,
    /// File with the certificate authority of the host.
    pub(super) ca_file: Option<&'a Path>,
}

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

/// What a GitRepository need not say, because the scenario does.
#[derive(Clone, Copy, Default)]
struct Given<'a> {
    branch: Option<&'a str>,
    credentials: bool,
    ca: bool,
}

// === impl Access ===

impl Access {
    /// Opens it. Asks nothing of the host.
    pub(super) async fn open(self, site: &dyn Site) -> Result<GitRemote, ProbeError> {
        let options = GitRemoteOptions {
            url: self.url,
            branch: self.branch,
            credentials: self.credentials,
            ca: self.ca,
            cache_dir: site.cache_dir().to_owned(),
            timeout: GIT_TIMEOUT,
            clients: site.clients(),
        };
        let remote = GitRemote::open(options, site.clock()).await;
        remote.map_err(|it| ProbeError { reason: it.reason().to_owned(), message: it.to_string() })
    }
}

// === impl GitAuth ===

impl GitAuth {
    /// Whether it is of use over ssh; none if that is up to what a Secret holds.
    #[must_use]
    pub fn is_for_ssh(&self) -> Option<bool> {
        match self {
            Self::Secret(_) => None,
            Self::Basic { .. } | Self::Bearer(_) => Some(false),
            Self::Ssh { .. } => Some(true),
        }
    }
}

/// Opens a branch of the repository that a GitRepository fetches, with what Flux itself proves
/// itself with. Asks nothing of the host.
///
/// # Errors
/// If the address or the credentials are none that can be used.
pub async fn open_branch(
    site: &dyn Site,
    repository: &ObjectName,
    branch: &str,
) -> Result<GitRemote, ProbeError> {
    let given = Given { branch: Some(branch), ..Given::default() };
    of_source(site, repository, given).await?.open(site).await
}

/// Reads the remote once after a push without an answer (rule T2).
pub(super) async fn after_no_answer(
    remote: &GitRemote,
    commit: &str,
    why: &git::Error,
) -> Result<(), Error> {
    let message = |what: &str| format!("the push of `{commit}` got no answer, and {what}; {why}");
    let error = |reason, what: &str| Error { reason, message: message(what) };
    match remote.tip().await {
        Ok(Some(tip)) if tip == commit => Ok(()),
        Ok(Some(tip)) if remote.descends(&tip, commit).await == Some(true) => Ok(()),
        Ok(_) => Err(error("push_lost", "the branch does not hold it, so nothing was pushed")),
        Err(read) => Err(error(
            "push_unknown",
            &format!(
                "whether it was made is not known, for the branch could not be read afterwards: {read}"
            ),
        )),
    }
}

/// Finds out where a scenario pushes to.
pub(super) async fn resolve(site: &dyn Site, wanted: &Wanted<'_>) -> Result<Access, ProbeError> {
    let mut access = match wanted.source {
        Some(source) => {
            let given = Given {
                branch: wanted.branch,
                credentials: wanted.auth.is_some(),
                ca: wanted.ca_file.is_some(),
            };
            of_source(site, source, given).await?
        }
        None => Access {
            url: wanted.url.unwrap_or_default().to_owned(),
            branch: wanted.branch.unwrap_or(wanted.default_branch).to_owned(),
            credentials: Credentials::None,
            ca: None,
        },
    };
    if let Some(auth) = wanted.auth {
        let (credentials, ca) = of_auth(site, auth, is_over_ssh(&access.url)).await?;
        access.credentials = credentials;
        access.ca = ca.or(access.ca);
    }
    if let Some(file) = wanted.ca_file {
        access.ca = Some(site.file(file, "certificate authority")?);
    }
    Ok(access)
}

/// What a GitRepository says: Flux's own address, branch and, unless the push has credentials of
/// its own, Secret.
async fn of_source(
    site: &dyn Site,
    source: &ObjectName,
    given: Given<'_>,
) -> Result<Access, ProbeError> {
    let subject = Subject::local(GroupKind::git_repository(), &source.namespace, &source.name);
    let object = site.object(&subject).await?;
    let spec = &object["spec"];
    let branch = match given.branch {
        Some(branch) => branch.to_owned(),
        None => site.branch_of(&subject, &object)?,
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
    if !given.credentials {
        refuse_provider(&subject, spec)?;
    }
    let secret =
        spec["secretRef"]["name"].as_str().map(|it| ObjectName::new(&source.namespace, it));
    let (credentials, ca) = match &secret {
        Some(secret) if given.credentials => {
            (Credentials::None, ca_of_secret(site, secret, given).await)
        }
        Some(secret) => of_secret(site, secret, is_over_ssh(url)).await?,
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
    site: &dyn Site,
    auth: &GitAuth,
    over_ssh: bool,
) -> Result<(Credentials, Option<Vec<u8>>), ProbeError> {
    match auth {
        GitAuth::Secret(name) => of_secret(site, name, over_ssh).await,
        GitAuth::Basic { username, password } => {
            let password = site.secret_text(password)?;
            Ok((Credentials::basic(username, password.expose_secret()), None))
        }
        GitAuth::Bearer(token) => {
            Ok((Credentials::bearer(site.secret_text(token)?.expose_secret()), None))
        }
        GitAuth::Ssh { identity, known_hosts, passphrase } => {
            let key = SshKey {
                identity: site.secret_text(identity)?,
                passphrase: passphrase.as_ref().map(|it| site.secret_text(it)).transpose()?,
                known_hosts: site.secret_text(known_hosts)?.expose_secret().to_owned(),
            };
            Ok((Credentials::Ssh(key), None))
        }
    }
}

/// A Secret in Flux's layout: `bearerToken`, or `username` and `password`; `ca.crt`. Over ssh:
/// `identity` and `known_hosts`, with the passphrase in `password`.
async fn of_secret(
    site: &dyn Site,
    name: &ObjectName,
    over_ssh: bool,
) -> Result<(Credentials, Option<Vec<u8>>), ProbeError> {
    let secret = site.secret(name).await?;
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
    Ok((of_keys(name, &secret)?, secret.authority()))
}

/// The authority of the host, which the push needs as well as Flux does. We may have no right to
/// read Flux's Secret, and most hosts need none of their own: then there is none.
async fn ca_of_secret(site: &dyn Site, name: &ObjectName, given: Given<'_>) -> Option<Vec<u8>> {
    if given.ca {
        return None;
    }
    let secret = site.secret(name).await;
    secret.as_ref().ok().and_then(Secret::authority)
}

fn of_keys(name: &ObjectName, secret: &Secret) -> Result<Credentials, ProbeError> {
    if secret.has("bearerToken") {
        return Ok(Credentials::bearer(secret.text("bearerToken")?.expose_secret()));
    }
    let certificate_only = !secret.has("username") && !secret.has("password");
    if certificate_only && secret.authority().is_some() {
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
    let keys = secret.listed_keys();
    Err(error(
        "secret",
        format!("the Secret {name} has no key `{missing}`: give it {wanted}; it has {keys}"),
    ))
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

/// Pushes a commit that is no change to be measured; why not, in a sentence.
pub(in crate::trigger) async fn commit(remote: &GitRemote, edit: git::Edit) -> Result<(), String> {
    let prepared = match remote.prepare(edit).await {
        Ok(prepared) => prepared,
        // Somebody else was faster.
        Err(git::Error::NothingChanges { .. }) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    match remote.publish(prepared, |_| ()).await {
        Ok(_) | Err(git::PublishError::Failed(git::Error::NothingChanges { .. })) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
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
