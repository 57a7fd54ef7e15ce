//! Why a registry could not be used: one sentence each, with what to do.

use crate::model::Moment;
use std::fmt;
use std::time::Duration;

/// A registry that could not be used. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no name of a repository.
    #[error(
        "`{name}` is no name of an image repository: {why}; give one like `ghcr.io/group/name`, \
         without a tag"
    )]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It cannot be a tag.
    #[error(
        "`{tag}` cannot be a tag of `{repository}`: a tag is up to 128 letters, digits, `_`, `.` \
         and `-`, and begins with none of the last two"
    )]
    BadTag {
        /// The repository.
        repository: String,
        /// The tag.
        tag: String,
    },
    /// The authority given for the host is no certificate.
    #[error(
        "the certificate authority given for registry `{registry}` is not PEM: give a file that \
         begins with `-----BEGIN CERTIFICATE-----`"
    )]
    BadAuthority {
        /// The registry.
        registry: String,
    },
    /// The credentials cannot be sent.
    #[error(
        "the credentials for registry `{registry}` hold characters that cannot be sent: write them \
         without line breaks"
    )]
    UnusableCredentials {
        /// The registry.
        registry: String,
    },
    /// A docker configuration that cannot be read.
    #[error(
        "the docker configuration for registry `{registry}` cannot be used ({why}): it should be \
         JSON with the credentials under `auths`, as `docker login` writes it"
    )]
    BadDockerConfig {
        /// The registry.
        registry: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A program that keeps credentials did not give any.
    #[error(
        "the credential helper `{helper}` for registry `{registry}` {why}: install it where \
         hopclock runs, and try `{helper} get` there, or give credentials of another sort"
    )]
    Helper {
        /// The registry.
        registry: String,
        /// The program.
        helper: String,
        /// What it did.
        why: &'static str,
    },
    /// Credentials that a cloud makes for a workload.
    #[error(
        "{what} proves itself with a workload identity of its cloud (`spec.provider: {provider}`), \
         which hopclock cannot use yet: give the trigger credentials of its own"
    )]
    WorkloadIdentity {
        /// The object.
        what: String,
        /// Its provider.
        provider: String,
    },
    /// The host's name is not known.
    #[error(
        "registry `{registry}` has an unknown host name: check the image's name and the DNS of this \
         machine"
    )]
    UnknownHost {
        /// The registry.
        registry: String,
    },
    /// Nobody listens there, or the way there is cut.
    #[error(
        "registry `{registry}` cannot be connected to ({why}): check that it is up and that a \
         firewall or proxy lets hopclock through"
    )]
    Unreachable {
        /// The registry.
        registry: String,
        /// What the system said.
        why: String,
    },
    /// The host's certificate is not signed by an authority that we trust.
    #[error(
        "registry `{registry}` shows a certificate that is not trusted ({why}): give its authority \
         in `ca_file` or under `ca.crt` of the Secret, or set `insecure` if it speaks plain HTTP"
    )]
    UntrustedCertificate {
        /// The registry.
        registry: String,
        /// What is wrong with the certificate.
        why: String,
    },
    /// No answer in time.
    #[error(
        "registry `{registry}` did not answer within {} s: check the network or give it more time",
        .after.as_secs_f64()
    )]
    Timeout {
        /// The registry.
        registry: String,
        /// How long we waited.
        after: Duration,
    },
    /// The connection ended within an answer.
    #[error(
        "registry `{registry}` ended the connection before its answer was complete ({why}): check \
         proxies and load balancers on the way"
    )]
    Broken {
        /// The registry.
        registry: String,
        /// What happened.
        why: String,
    },
    /// It answers, but not as a registry.
    #[error(
        "`{registry}` answers, but not as a registry (status {status}): check the image's name, and \
         any proxy in front of the registry"
    )]
    NotARegistry {
        /// The registry.
        registry: String,
        /// The HTTP status.
        status: u16,
    },
    /// 401, and nothing was sent that could prove who we are.
    #[error(
        "registry `{registry}` asks for credentials for `{repository}` (401) and none were given: \
         give some in `auth` or in the Secret of the image's repository"
    )]
    NoCredentials {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
    },
    /// 401.
    #[error(
        "registry `{registry}` does not accept the credentials for `{repository}` (401): check the \
         user name, and whether the password or token is still good"
    )]
    Unauthorized {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
    },
    /// The place where tokens are given is not to be trusted with credentials.
    #[error(
        "registry `{registry}` sends hopclock to `{realm}` for a token, which is not encrypted: \
         nothing was sent there; mend the registry's `realm`"
    )]
    UnsafeRealm {
        /// The registry.
        registry: String,
        /// Where tokens are given.
        realm: String,
    },
    /// 403, or 401 for a token without the right.
    #[error("registry `{registry}` forbids {deed} `{repository}`{}: {}", said_of(.said), .deed.advice())]
    Forbidden {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// What was tried.
        deed: Deed,
        /// What the registry said; may be empty.
        said: String,
    },
    /// 404.
    #[error(
        "registry `{registry}` has no repository `{repository}`, or hides it from these credentials \
         (404): check the name; registries such as ECR want it created before the first push"
    )]
    NoRepository {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
    },
    /// 404 for a tag or digest.
    #[error("`{repository}` has nothing under `{reference}` (404): name a tag that is there")]
    NoManifest {
        /// The repository.
        repository: String,
        /// The tag or digest.
        reference: String,
    },
    /// 429, for longer than we may wait.
    #[error(
        "registry `{registry}` takes no more requests for now (429{}): make runs less frequent, or \
         give credentials with a higher limit",
        .retry_after.map(|it| format!(", again in {} s", it.as_secs())).unwrap_or_default()
    )]
    RateLimited {
        /// The registry.
        registry: String,
        /// How long the registry asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The tag is there and may not be moved.
    #[error(
        "`{repository}` has the tag `{tag}` already, and its tags are immutable{}: push another \
         tag, or make an exception for those of canaries", said_of(.said)
    )]
    ImmutableTag {
        /// The repository.
        repository: String,
        /// The tag.
        tag: String,
        /// What the registry said; may be empty.
        said: String,
    },
    /// The registry takes no manifests of this type.
    #[error(
        "registry `{registry}` refuses a manifest of type `{media_type}`{}: let it allow that type, \
         or use another repository", said_of(.said)
    )]
    RefusedType {
        /// The registry.
        registry: String,
        /// The type.
        media_type: String,
        /// What the registry said; may be empty.
        said: String,
    },
    /// The registry deletes nothing.
    #[error(
        "registry `{registry}` does not let `{reference}` be deleted{}: switch deletion on there, \
         or let its own retention rules remove canaries", said_of(.said)
    )]
    DeletionRefused {
        /// The registry.
        registry: String,
        /// What should go.
        reference: String,
        /// What the registry said; may be empty.
        said: String,
    },
    /// Another status.
    #[error(
        "registry `{registry}` answers {deed} `{repository}` with HTTP status {status}{}: try again \
         later, or look into its logs", said_of(.said)
    )]
    Status {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// What was tried.
        deed: Deed,
        /// The status.
        status: u16,
        /// What the registry said; may be empty.
        said: String,
    },
    /// A redirect that credentials must not follow.
    #[error(
        "registry `{registry}` redirects to `{to}`, where hopclock does not send its credentials: \
         use that registry's name itself"
    )]
    Redirected {
        /// The registry.
        registry: String,
        /// The host it points to.
        to: String,
    },
    /// What was read is not what its digest says.
    #[error(
        "`{repository}` gives under `{reference}` something of another digest ({found}): check \
         proxies and caches in front of the registry"
    )]
    WrongDigest {
        /// The repository.
        repository: String,
        /// What was asked for, or what it should have been.
        reference: String,
        /// What came.
        found: String,
    },
}

/// What a registry can forbid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Asking whether it is there at all.
    Probe,
    /// Listing tags.
    List,
    /// Reading a manifest or blob.
    Pull,
    /// Uploading.
    Push,
    /// Deleting.
    Delete,
}

/// Why a publication has not been acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The manifest was sent and its answer is missing: the tag may be there. Design rule T2.
    #[error("the manifest of `{tag}` was sent, but its answer is missing: {why}")]
    NoAnswer {
        /// The tag that may be there now.
        tag: String,
        /// When it was sent.
        sent: Moment,
        /// What happened instead of an answer.
        why: Box<Error>,
    },
    /// Nothing was published.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Error {
    /// The bounded word for labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadName { .. } => "registry_bad_name",
            Self::BadTag { .. } => "registry_bad_tag",
            Self::BadAuthority { .. } => "registry_bad_ca",
            Self::UnusableCredentials { .. } | Self::BadDockerConfig { .. } => {
                "registry_bad_credentials"
            }
            Self::Helper { .. } => "registry_helper",
            Self::WorkloadIdentity { .. } => "unsupported_workload_identity",
            Self::UnknownHost { .. } => "registry_unknown_host",
            Self::Unreachable { .. } => "registry_unreachable",
            Self::UntrustedCertificate { .. } => "registry_untrusted_certificate",
            Self::Timeout { .. } => "registry_timeout",
            Self::Broken { .. } => "registry_broken",
            Self::NotARegistry { .. } => "registry_not_a_registry",
            Self::NoCredentials { .. } | Self::Unauthorized { .. } => "registry_unauthorized",
            Self::UnsafeRealm { .. } => "registry_unsafe_realm",
            Self::Forbidden { .. } => "registry_forbidden",
            Self::NoRepository { .. } => "registry_no_repository",
            Self::NoManifest { .. } => "registry_no_manifest",
            Self::RateLimited { .. } => "registry_rate_limited",
            Self::ImmutableTag { .. } => "registry_immutable_tag",
            Self::RefusedType { .. } => "registry_refused_type",
            Self::DeletionRefused { .. } => "registry_deletion_refused",
            Self::Status { .. } => "registry_status",
            Self::Redirected { .. } => "registry_redirected",
            Self::WrongDigest { .. } => "registry_wrong_digest",
        }
    }
}

impl PublishError {
    /// The bounded word for labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoAnswer { .. } => "registry_no_answer",
            Self::Failed(error) => error.reason(),
        }
    }
}

impl Deed {
    fn advice(self) -> &'static str {
        match self {
            Self::Probe | Self::List | Self::Pull => {
                "give the account of these credentials access to the repository"
            }
            Self::Push => {
                "these credentials lack the right to push, as Flux's own often do; give others in \
                 `push_auth`"
            }
            Self::Delete => "these credentials lack the right to delete; canaries stay behind",
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probe => "asking for",
            Self::List => "listing the tags of",
            Self::Pull => "reading from",
            Self::Push => "pushing to",
            Self::Delete => "deleting from",
        })
    }
}

fn said_of(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" (it said: `{text}`)") }
}
