//! Why something could not be learned from a cluster: one sentence each, with what would help.
//!
//! Nothing here carries what a kubeconfig, a Secret or a credential plugin says, for those hold
//! tokens; only where it went wrong.

use crate::model::{GroupKind, Subject};
use std::fmt;
use std::time::Duration;

/// What a request to an API server was about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The verb that a role has to allow.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource, in its plural form; a path where it is none.
    pub resource: String,
    /// The namespace, or empty.
    pub namespace: String,
    /// The object's name, or empty where all are meant.
    pub name: String,
}

/// Why something could not be learned from a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The kubeconfig is not there or not ours to read.
    #[error("cannot read the kubeconfig `{path}`: {problem}; name one that exists and is readable")]
    KubeconfigUnreadable {
        /// Its path.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// The kubeconfig is no YAML, or not of the right form.
    #[error(
        "the kubeconfig `{path}` is malformed{place}: correct it, or write it anew with \
         `kubectl config`"
    )]
    KubeconfigMalformed {
        /// Its path.
        path: String,
        /// Where in it, if known: ` at line 3, column 5`.
        place: String,
    },
    /// The kubeconfig lacks something that its context needs.
    #[error(
        "the kubeconfig `{path}` cannot be used: {problem}; correct its context or name another"
    )]
    KubeconfigUnusable {
        /// Its path.
        path: String,
        /// What is missing or wrong.
        problem: String,
    },
    /// The named context, or the current one, is not in the kubeconfig.
    #[error("the kubeconfig `{path}` has no context `{context}`: name one of {known}")]
    NoSuchContext {
        /// Its path.
        path: String,
        /// The context that was asked for.
        context: String,
        /// Those that are there.
        known: String,
    },
    /// Another cluster than our own cannot be used.
    #[error("cluster `{name}`, which a hop looks into: {why}")]
    OtherCluster {
        /// Its name in the scenario.
        name: String,
        /// Why not.
        why: Box<Error>,
    },
    /// Neither a kubeconfig nor a service account.
    #[error(
        "there is no cluster to talk to: no kubeconfig at its usual place, and this is no pod with \
         a service account; name a kubeconfig"
    )]
    NoCluster,
    /// The proxy's address is unusable.
    #[error(
        "cannot use the proxy for the API server at `{server}`: {problem}; correct its address"
    )]
    Proxy {
        /// The API server.
        server: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The kubeconfig's credentials cannot be used.
    #[error(
        "cannot use the credentials for the API server at `{server}`: {problem}; check the user of \
         the kubeconfig's context"
    )]
    Credentials {
        /// The API server.
        server: String,
        /// What went wrong, without any of their content.
        problem: String,
    },
    /// The name does not resolve.
    #[error(
        "the host of the API server at `{server}` is unknown: check the address in the kubeconfig, \
         and the DNS"
    )]
    UnknownHost {
        /// The API server.
        server: String,
    },
    /// Nobody listens there.
    #[error(
        "the API server at `{server}` refuses the connection: check the address and port in the \
         kubeconfig, and whether it runs"
    )]
    Refused {
        /// The API server.
        server: String,
    },
    /// The server's certificate is not signed by the CA we were given.
    #[error(
        "the certificate of the API server at `{server}` is not trusted ({problem}): check \
         `certificate-authority` in the kubeconfig"
    )]
    Untrusted {
        /// The API server.
        server: String,
        /// What rustls says.
        problem: String,
    },
    /// The connection failed in some other way.
    #[error("cannot reach the API server at `{server}`: {problem}; check the network on the way")]
    Unreachable {
        /// The API server.
        server: String,
        /// What went wrong.
        problem: String,
    },
    /// No answer in time.
    #[error(
        "the API server at `{server}` did not answer {target} within {limit:?}: check its health \
         and the network on the way"
    )]
    TimedOut {
        /// The API server.
        server: String,
        /// What was asked.
        target: Box<Target>,
        /// How long we waited.
        limit: Duration,
    },
    /// 401.
    #[error(
        "the API server at `{server}` does not accept our credentials (401): renew the token or \
         certificate of the kubeconfig's user"
    )]
    Unauthorized {
        /// The API server.
        server: String,
    },
    /// 403.
    #[error("the API server at `{server}` forbids {target} (403): grant {}", .target.rule())]
    Forbidden {
        /// The API server.
        server: String,
        /// What was asked.
        target: Box<Target>,
    },
    /// The server does not know the kind.
    #[error(
        "the API server at `{server}` does not serve {} of group `{}`: install its \
         CustomResourceDefinition", .kind.kind, .kind.group
    )]
    NoSuchKind {
        /// The API server.
        server: String,
        /// The kind.
        kind: GroupKind,
    },
    /// A cluster-scoped kind was given a namespace, or the other way round.
    #[error("{kind} is {scope}: {advice}")]
    WrongScope {
        /// The kind.
        kind: GroupKind,
        /// `cluster-scoped` or `namespaced`.
        scope: &'static str,
        /// What to write instead.
        advice: &'static str,
    },
    /// The object does not exist.
    #[error("there is no {subject}: check its namespace and name, or create it")]
    NoSuchObject {
        /// The object.
        subject: Box<Subject>,
    },
    /// The Secret does not exist.
    #[error("there is no Secret {namespace}/{name}: check its namespace and name, or create it")]
    NoSuchSecret {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The namespace does not exist.
    #[error(
        "the API server at `{server}` has no namespace `{namespace}`: create it, or name another"
    )]
    NoSuchNamespace {
        /// The API server.
        server: String,
        /// The namespace.
        namespace: String,
    },
    /// Somebody else holds a Lease.
    #[error(
        "the Lease {lease} is held by `{holder}`, who renewed it {renewed}: wait for it, or stop \
         the other one"
    )]
    LeaseHeld {
        /// Namespace and name of the Lease.
        lease: String,
        /// Who holds it.
        holder: String,
        /// When it was renewed last, by its holder's clock: `at 2026-01-01T00:00:00Z`, or `never`.
        renewed: String,
    },
    /// A Lease that we held is ours no more.
    #[error(
        "the Lease {lease} is not ours any more, {now}: renew it more often than it expires, and \
         let each hopclock have a name of its own"
    )]
    LeaseLost {
        /// Namespace and name of the Lease.
        lease: String,
        /// What became of it: ``it is held by `x` ``, `it was released` or `it was deleted`.
        now: String,
    },
    /// Somebody else wrote what we were about to replace, which stays as they left it.
    #[error(
        "the ConfigMap {config_map} was not written, for {cause} since we read it: read it again, \
         and let only one hopclock write it"
    )]
    Conflict {
        /// Namespace and name of the ConfigMap.
        config_map: String,
        /// What happened to it: `` `x` wrote it`` or `somebody deleted it`.
        cause: String,
    },
    /// More than a ConfigMap can hold; what it holds stays as it is.
    #[error(
        "the ConfigMap {config_map} was not written, for {size} bytes are more than {limit}: keep \
         less, or keep it on a volume"
    )]
    TooLarge {
        /// Namespace and name of the ConfigMap.
        config_map: String,
        /// Size of all values.
        size: usize,
        /// What it may hold: `the 1048576 that it may hold`, or the server's own limit.
        limit: &'static str,
    },
    /// Any other status.
    #[error("the API server at `{server}` answers {target} with {status}: {message}")]
    Answered {
        /// The API server.
        server: String,
        /// What was asked.
        target: Box<Target>,
        /// The HTTP status.
        status: u16,
        /// The server's own words, shortened.
        message: String,
    },
    /// The answer is no Kubernetes.
    #[error(
        "the API server at `{server}` answers {target} with something else than Kubernetes does \
         ({problem}): check the address in the kubeconfig"
    )]
    NotUnderstood {
        /// The API server.
        server: String,
        /// What was asked.
        target: Box<Target>,
        /// Where it stops making sense.
        problem: String,
    },
    /// A watch did not show its first state in time (rule T3).
    #[error(
        "the watch of {watch} showed no state within {limit:?}: check the health of the API server \
         at `{server}`"
    )]
    NoFirstState {
        /// The API server.
        server: String,
        /// Which watch.
        watch: String,
        /// How long we waited.
        limit: Duration,
    },
    /// The connection of a watch ended in disorder.
    #[error("the connection to the API server at `{server}` broke ({problem}): opening it again")]
    Cut {
        /// The API server.
        server: String,
        /// What went wrong.
        problem: String,
    },
    /// A watch was not closed when it should have been.
    #[error("the connection to the API server at `{server}` fell silent: opening it again")]
    Silent {
        /// The API server.
        server: String,
    },
    /// The cluster layer was shut down.
    #[error("the watch of {watch} has ended: follow it anew")]
    Ended {
        /// Which watch.
        watch: String,
    },
}

// === impl Error ===

impl Error {
    /// A short name of the reason, for labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::KubeconfigUnreadable { .. }
            | Self::KubeconfigMalformed { .. }
            | Self::KubeconfigUnusable { .. }
            | Self::NoSuchContext { .. }
            | Self::NoCluster => "kubeconfig",
            Self::Credentials { .. } | Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::Untrusted { .. } => "untrusted",
            Self::Proxy { .. }
            | Self::UnknownHost { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Cut { .. } => "unreachable",
            Self::TimedOut { .. } | Self::NoFirstState { .. } | Self::Silent { .. } => "timeout",
            Self::NoSuchKind { .. } | Self::WrongScope { .. } => "kind",
            Self::NoSuchObject { .. } => "missing_object",
            Self::NoSuchNamespace { .. } => "namespace",
            Self::LeaseHeld { .. } | Self::LeaseLost { .. } => "lease",
            Self::Conflict { .. } => "conflict",
            Self::TooLarge { .. } => "too_large",
            Self::NoSuchSecret { .. } => "secret",
            Self::OtherCluster { why, .. } => why.reason(),
            Self::Answered { .. } | Self::NotUnderstood { .. } | Self::Ended { .. } => "api_server",
        }
    }

    /// Whether only a person can mend it, so that waiting is in vain.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        !matches!(self.reason(), "unreachable" | "timeout" | "api_server" | "lease" | "conflict")
    }

    /// Whether the API server gave no answer at all.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self.reason(), "unreachable" | "timeout")
    }

    /// The HTTP status, where that is all there is to say.
    pub(super) fn status(&self) -> Option<u16> {
        if let Self::Answered { status, .. } = self { Some(*status) } else { None }
    }
}

// === impl Target ===

impl Target {
    /// The rule that allows it.
    #[must_use]
    pub fn rule(&self) -> String {
        self.rule_for(&[self.verb])
    }

    /// The rule that allows all these verbs of the same.
    #[must_use]
    pub fn rule_for(&self, verbs: &[&str]) -> String {
        let Self { group, resource, namespace, .. } = self;
        if resource.starts_with('/') {
            return format!(
                "`nonResourceURLs: [\"{resource}\"], verbs: [\"get\"]` in a ClusterRole"
            );
        }
        let role = if namespace.is_empty() { "ClusterRole" } else { "Role" };
        let verbs: Vec<_> = verbs.iter().map(|it| format!("\"{it}\"")).collect();
        let verbs = verbs.join(", ");
        format!(
            "`apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [{verbs}]` in a {role}"
        )
    }

    /// What it is about, without the verb.
    #[must_use]
    pub fn what(&self) -> String {
        let Self { group, resource, namespace, name, .. } = self;
        let dot = if group.is_empty() { "" } else { "." };
        let name = if name.is_empty() { String::new() } else { format!(" named `{name}`") };
        let place = if namespace.is_empty() {
            String::new()
        } else {
            format!(" in namespace `{namespace}`")
        };
        format!("`{resource}{dot}{group}`{name}{place}")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of {}", self.verb, self.what())
    }
}
