//! What can go wrong over ssh and nowhere else: one sentence each, with what to do.
//!
//! A key of a host is only ever refused here with its fingerprint, so that a person can compare it
//! with what the host's owner publishes. Nothing is learnt by itself.

/// What went wrong. Reads on after the name of the remote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshTrouble {
    /// No private key was given.
    #[error(
        "is reached over ssh, which needs a private key: give `ssh` with `identity` and `known_hosts` in `auth` or `push_auth`, or a Secret with these keys"
    )]
    NoKey,
    /// The key's file is none.
    #[error(
        "cannot be asked with this `identity`, which is no private key that can be read ({why}): give the whole file that `ssh-keygen` wrote, from its first line to its last"
    )]
    UnreadableKey {
        /// What is wrong with it.
        why: String,
    },
    /// The key is sound but of a kind that is not used.
    #[error(
        "cannot be asked with this `identity`, whose type `{kind}` is not supported: make one with `ssh-keygen -t ed25519`"
    )]
    UnsupportedKey {
        /// The kind.
        kind: String,
    },
    /// The key is encrypted and no passphrase was given.
    #[error(
        "cannot be asked with this `identity`, which is encrypted: give its passphrase in `passphrase`, or as `password` in the Secret"
    )]
    NoPassphrase,
    /// The passphrase does not open the key.
    #[error(
        "cannot be asked with this `identity`, which the passphrase does not open: give the one that it was encrypted with"
    )]
    WrongPassphrase,
    /// The server does not take the key.
    #[error(
        "does not accept the {kind} key `{fingerprint}` for user `{user}` (publickey refused){}: add its public half to the account or the repository, and check the user in the address", telling(.said)
    )]
    KeyRefused {
        /// The user.
        user: String,
        /// The kind of key.
        kind: String,
        /// Its fingerprint.
        fingerprint: String,
        /// What the server said when it closed the connection; may be empty.
        said: String,
    },
    /// No keys of hosts were given.
    #[error(
        "is reached over ssh and no `known_hosts` was given: compare what `ssh-keyscan {scan}` prints with what the host publishes, and put it there"
    )]
    NoKnownHosts {
        /// What to scan.
        scan: String,
    },
    /// A line for this host cannot be read.
    #[error(
        "cannot be checked: line {line} of `known_hosts` names `{host}`, but no key that can be read; put a line of `ssh-keyscan` there"
    )]
    BadKnownHosts {
        /// The host.
        host: String,
        /// The line.
        line: usize,
    },
    /// The host is not among the known ones.
    #[error(
        "shows the {kind} key `{fingerprint}`, and `known_hosts` has none of `{host}`{others}: compare it with what the host publishes, then add what `ssh-keyscan {scan}` prints"
    )]
    UnknownHostKey {
        /// The host.
        host: String,
        /// The kind of key.
        kind: String,
        /// Its fingerprint.
        fingerprint: String,
        /// Which kinds are known, as words; may be empty.
        others: String,
        /// What to scan.
        scan: String,
    },
    /// The host shows another key than the known one.
    #[error(
        "shows the {kind} key `{fingerprint}`, which is not the one in line {line} of `known_hosts` for `{host}`: somebody may be in between; only if the host's owner confirms the new key, replace that line by what `ssh-keyscan {scan}` prints"
    )]
    ChangedHostKey {
        /// The host.
        host: String,
        /// The kind of key.
        kind: String,
        /// Its fingerprint.
        fingerprint: String,
        /// The line with the other key.
        line: usize,
        /// What to scan.
        scan: String,
    },
    /// The host shows a key that must not be trusted.
    #[error(
        "shows the {kind} key `{fingerprint}` for `{host}`, which line {line} of `known_hosts` revokes: do not use this host until its owner has given it another key"
    )]
    RevokedHostKey {
        /// The host.
        host: String,
        /// The kind of key.
        kind: String,
        /// Its fingerprint.
        fingerprint: String,
        /// The line that revokes it.
        line: usize,
    },
    /// The host is only known by an authority.
    #[error(
        "is known by a certificate authority only (line {line} of `known_hosts`), and hopclock does not check certificates of hosts: add a line with the key of `{host}` itself"
    )]
    HostCertificate {
        /// The host.
        host: String,
        /// The line.
        line: usize,
    },
    /// Both sides know no common way.
    #[error(
        "has no {what} in common with hopclock (it offers {theirs}): bring its ssh server up to date"
    )]
    NoCommonAlgorithm {
        /// Of what.
        what: String,
        /// What the server offers.
        theirs: String,
    },
    /// Something else than ssh listens there.
    #[error("answers, but not as an ssh server ({why}): check the address and its port")]
    NotSsh {
        /// What happened.
        why: String,
    },
    /// The host says that there is no such repository.
    #[error(
        "has no such repository, or hides it from this key (it said: `{said}`): check its name and what the key may see"
    )]
    NoRepository {
        /// What it said.
        said: String,
    },
    /// The key may read but not push.
    #[error(
        "does not let this key push (it said: `{said}`): give the key the right to write, or another one in `push_auth`"
    )]
    ReadOnly {
        /// What it said.
        said: String,
    },
    /// The server did not run git.
    #[error(
        "does not run `{command}`{}: check that the account may use git there", telling(.said)
    )]
    CommandRefused {
        /// The program.
        command: String,
        /// What it said or how it ended; may be empty.
        said: String,
    },
}

impl SshTrouble {
    /// The bounded word for labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoKey => "git_ssh_no_key",
            Self::UnreadableKey { .. } | Self::UnsupportedKey { .. } => "git_ssh_bad_key",
            Self::NoPassphrase | Self::WrongPassphrase => "git_ssh_passphrase",
            Self::KeyRefused { .. } => "git_unauthorized",
            Self::NoKnownHosts { .. } | Self::BadKnownHosts { .. } => "git_ssh_known_hosts",
            Self::UnknownHostKey { .. } => "git_ssh_unknown_host_key",
            Self::ChangedHostKey { .. } => "git_ssh_changed_host_key",
            Self::RevokedHostKey { .. } => "git_ssh_revoked_host_key",
            Self::HostCertificate { .. } => "git_ssh_host_certificate",
            Self::NoCommonAlgorithm { .. } => "git_ssh_algorithm",
            Self::NotSsh { .. } => "git_not_git",
            Self::NoRepository { .. } => "git_no_repository",
            Self::ReadOnly { .. } => "git_forbidden",
            Self::CommandRefused { .. } => "git_ssh_command",
        }
    }
}

fn telling(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" (it said: `{said}`)") }
}
