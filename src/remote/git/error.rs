//! Why a git remote could not be read or pushed to: one sentence each, with what to do.

use crate::model::Moment;
use crate::remote::git::signing::SigningError;
use crate::remote::git::{CommitSummary, SshTrouble, Unwritten};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A git remote that could not be used. Addresses in it have lost user and password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address cannot be used.
    #[error(
        "git address `{url}` cannot be used: {why}; give an address like `https://host/group/name.git` or `ssh://git@host/group/name.git`"
    )]
    BadUrl {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The credentials cannot be sent.
    #[error(
        "the git credentials hold characters that cannot be sent: write the token without spaces or line breaks in it"
    )]
    UnusableCredentials,
    /// A private key for an address over HTTP.
    #[error(
        "the git credentials are an ssh key, but the address is one over HTTP: give a user name and a token, or the repository's ssh address"
    )]
    KeyOverHttp,
    /// What only happens over ssh.
    #[error("git remote `{url}` {trouble}")]
    Ssh {
        /// The remote.
        url: String,
        /// What it is.
        trouble: Box<SshTrouble>,
    },
    /// The authority given for the host is no certificate.
    #[error(
        "the certificate authority given for `{url}` is not PEM: give a file that begins with `-----BEGIN CERTIFICATE-----`"
    )]
    BadAuthority {
        /// The remote.
        url: String,
    },
    /// The host's name is not known.
    #[error(
        "git remote `{url}`: its host name is unknown: check the address and the DNS of this machine"
    )]
    UnknownHost {
        /// The remote.
        url: String,
    },
    /// Nobody listens there, or the way there is cut.
    #[error(
        "git remote `{url}` cannot be connected to ({why}): check that it is up and that a firewall or proxy lets hopclock through"
    )]
    Unreachable {
        /// The remote.
        url: String,
        /// What the system said.
        why: String,
    },
    /// The host's certificate is not signed by an authority that we trust.
    #[error(
        "git remote `{url}` shows a certificate that is not trusted ({why}): give its authority in `ca_file` or under `ca.crt` of the Secret"
    )]
    UntrustedCertificate {
        /// The remote.
        url: String,
        /// What is wrong with the certificate.
        why: String,
    },
    /// 401, and nothing was sent that could prove who we are.
    #[error(
        "git remote `{url}` asks for credentials (401) and none were given: give some in `auth`, in `push_auth` or in the source's Secret"
    )]
    NoCredentials {
        /// The remote.
        url: String,
    },
    /// 401.
    #[error(
        "git remote `{url}` does not accept the credentials given (401): check the user name, and whether the password or token is still good"
    )]
    Unauthorized {
        /// The remote.
        url: String,
    },
    /// 403.
    #[error("git remote `{url}` forbids {deed} (403): {}", .deed.advice())]
    Forbidden {
        /// The remote.
        url: String,
        /// What was tried.
        deed: Deed,
    },
    /// 404.
    #[error(
        "git remote `{url}` has no such repository, or hides it from these credentials (404): check its name and what the credentials may see"
    )]
    NoRepository {
        /// The remote.
        url: String,
    },
    /// 429.
    #[error("git remote `{url}` takes no more requests for now (429{}): make runs less frequent", .retry_after.map(|after| format!(", again in {} s", after.as_secs())).unwrap_or_default())]
    RateLimited {
        /// The remote.
        url: String,
        /// How long the host asks us to wait.
        retry_after: Option<Duration>,
    },
    /// Another status.
    #[error(
        "git remote `{url}` answers with HTTP status {status}: try again later, or look into its logs"
    )]
    Status {
        /// The remote.
        url: String,
        /// The status.
        status: u16,
    },
    /// A redirect that credentials must not follow.
    #[error(
        "git remote `{url}` redirects to `{to}`, where hopclock does not send its credentials: use that address itself"
    )]
    Redirected {
        /// The remote.
        url: String,
        /// Where it points.
        to: String,
    },
    /// It answers, but not as a git host.
    #[error(
        "`{url}` answers, but not as a git host: check that the address is that of the repository and not of a web page"
    )]
    NotGit {
        /// The remote.
        url: String,
    },
    /// No answer in time.
    #[error("git remote `{url}` did not answer within {} s: check the network or give it more time", .after.as_secs_f64())]
    Timeout {
        /// The remote.
        url: String,
        /// How long we waited.
        after: Duration,
    },
    /// The connection ended within an answer.
    #[error(
        "git remote `{url}` ended the connection before its answer was complete ({why}): check proxies and load balancers on the way"
    )]
    Broken {
        /// The remote.
        url: String,
        /// What happened.
        why: String,
    },
    /// The branch does not exist.
    #[error("git remote `{url}` has no branch `{branch}`: create it, or name one that exists{}", known_branches(.known))]
    UnknownBranch {
        /// The remote.
        url: String,
        /// The branch.
        branch: String,
        /// Branches that there are, a few of them.
        known: Vec<String>,
    },
    /// The server refused to move the branch.
    #[error("git remote `{url}` refuses the push to `{branch}`: {reason}{}; let hopclock's account push there, or use a branch of its own", server_said(.said))]
    Rejected {
        /// The remote.
        url: String,
        /// The branch.
        branch: String,
        /// The reason in the server's report.
        reason: String,
        /// What the server's hooks printed, in one line; may be empty.
        said: String,
    },
    /// Somebody else moved the branch at every attempt.
    #[error(
        "branch `{branch}` of git remote `{url}` moved during each of {attempts} attempts to push: give hopclock a branch of its own"
    )]
    KeepsMoving {
        /// The remote.
        url: String,
        /// The branch.
        branch: String,
        /// How many attempts were made.
        attempts: u32,
    },
    /// Design rule S2: the branch holds commits that are not of this lane.
    #[error(
        "branch `{branch}` of git remote `{url}` holds commit `{commit}` (`{subject}`) above `{base}`, which is not a canary of this lane: `replace` would remove it; use a branch of hopclock's own"
    )]
    ForeignCommit {
        /// The remote.
        url: String,
        /// The branch.
        branch: String,
        /// The base.
        base: String,
        /// The commit.
        commit: String,
        /// The first line of its message.
        subject: String,
    },
    /// The path cannot be written in this tree.
    #[error(
        "`{path}` cannot be a file in branch `{branch}` of git remote `{url}` ({why}): choose another path"
    )]
    BadPath {
        /// The remote.
        url: String,
        /// The branch.
        branch: String,
        /// The path.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file that goes with the commit cannot be changed.
    #[error("branch `{branch}` of git remote `{url}`: {}", .why.message)]
    Unwritten {
        /// The remote.
        url: String,
        /// The branch.
        branch: String,
        /// Why not.
        why: Unwritten,
    },
    /// Nothing would change.
    #[error(
        "`{path}` in branch `{branch}` of git remote `{url}` already has this content: a commit without a change measures nothing; let the template hold `${{canary}}`"
    )]
    NothingChanges {
        /// The remote.
        url: String,
        /// The branch.
        branch: String,
        /// The path.
        path: String,
    },
    /// The commit should carry a signature, and gets none.
    #[error("the commit cannot be signed with the key `{fingerprint}`, for {why}")]
    Unsigned {
        /// The key.
        fingerprint: String,
        /// What is wrong with it.
        why: SigningError,
    },
    /// A commit cannot be merged into the branch.
    #[error(
        "commit `{commit}` cannot be merged into branch `{branch}` of git remote `{url}`: {why}; merge it by hand, or let the automation start again from the branch"
    )]
    Unmergeable {
        /// The remote.
        url: String,
        /// The branch.
        branch: String,
        /// The commit.
        commit: String,
        /// What stands in the way.
        why: String,
    },
    /// A merge would bring the commits of others along.
    #[error(
        "commit `{commit}` would bring commit `{}` by `{}` into branch `{branch}` of git remote `{url}`, which is somebody else's: let the automation start again from the branch, or say `shared: true` where the merge is asked for",
        .other.commit,
        .other.author
    )]
    BringsOthers {
        /// The remote.
        url: String,
        /// The branch.
        branch: String,
        /// The commit.
        commit: String,
        /// The commit of somebody else.
        other: Box<CommitSummary>,
    },
    /// A merge would change what others decide.
    #[error(
        "commit `{commit}` would change {what} on branch `{branch}` of git remote `{url}`, and that is no choice of the scenario's image policy: give the canary an automation of its own, or say `shared: true` where the merge is asked for"
    )]
    BringsMore {
        /// The remote.
        url: String,
        /// The branch.
        branch: String,
        /// The commit.
        commit: String,
        /// The file, and the line if it is one of many.
        what: String,
    },
    /// The cache cannot be used.
    #[error("the git cache in `{}` cannot be written ({why}): free some space there, or name another folder with `--cache-dir`", .folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Other processes hold every cache of the remote.
    #[error("the git caches in `{}` are all in use by other processes: end them, or name another folder with `--cache-dir`", .folder.display())]
    CacheInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// libgit2 failed otherwise.
    #[error("git remote `{url}`: {why}; remove the git cache and try again")]
    Git {
        /// The remote.
        url: String,
        /// What libgit2 said.
        why: String,
    },
}

/// What a remote can forbid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Reading the repository.
    Read,
    /// Pushing to it.
    Push,
}

/// Why a publication has not been acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The push was sent and its answer is missing: the branch may have moved. Design rule T2.
    #[error("the push of `{commit}` was sent, but its answer is missing: {why}")]
    NoAnswer {
        /// The commit that may be on the branch now.
        commit: String,
        /// When it was sent.
        sent: Moment,
        /// What happened instead of an answer.
        why: Box<Error>,
    },
    /// What was made anew was not agreed to: nothing was published.
    #[error("the commit that was made anew was withdrawn before it was sent")]
    Withdrawn,
    /// Nothing was published.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Error {
    /// The bounded word for labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } => "git_bad_url",
            Self::UnusableCredentials | Self::KeyOverHttp => "git_bad_credentials",
            Self::Ssh { trouble, .. } => trouble.reason(),
            Self::BadAuthority { .. } => "git_bad_ca",
            Self::UnknownHost { .. } => "git_unknown_host",
            Self::Unreachable { .. } => "git_unreachable",
            Self::UntrustedCertificate { .. } => "git_untrusted_certificate",
            Self::NoCredentials { .. } | Self::Unauthorized { .. } => "git_unauthorized",
            Self::Forbidden { .. } => "git_forbidden",
            Self::NoRepository { .. } => "git_no_repository",
            Self::RateLimited { .. } => "git_rate_limited",
            Self::Status { .. } => "git_status",
            Self::Redirected { .. } => "git_redirected",
            Self::NotGit { .. } => "git_not_git",
            Self::Timeout { .. } => "git_timeout",
            Self::Broken { .. } => "git_broken",
            Self::UnknownBranch { .. } => "git_unknown_branch",
            Self::Rejected { .. } => "git_rejected",
            Self::KeepsMoving { .. } => "git_keeps_moving",
            Self::ForeignCommit { .. } => "git_foreign_commit",
            Self::BadPath { .. } => "git_bad_path",
            Self::Unwritten { why, .. } => why.reason,
            Self::NothingChanges { .. } => "git_nothing_changes",
            Self::Unsigned { .. } => "git_unsigned",
            Self::Unmergeable { .. } => "git_unmergeable",
            Self::BringsOthers { .. } | Self::BringsMore { .. } => "git_brings_others",
            Self::Cache { .. } => "git_cache",
            Self::CacheInUse { .. } => "git_cache_in_use",
            Self::Git { .. } => "git_other",
        }
    }
}

impl Deed {
    fn advice(self) -> &'static str {
        match self {
            Self::Read => "give the account of these credentials access to the repository",
            Self::Push => {
                "these credentials lack the right to push, as Flux's own often do; give others in \
                 `push_auth`"
            }
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "reading",
            Self::Push => "pushing",
        })
    }
}

impl PublishError {
    /// The bounded word for labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoAnswer { .. } => "git_no_answer",
            Self::Withdrawn => "git_withdrawn",
            Self::Failed(error) => error.reason(),
        }
    }
}

fn known_branches(known: &[String]) -> String {
    let quoted: Vec<_> = known.iter().map(|branch| format!("`{branch}`")).collect();
    if quoted.is_empty() { String::new() } else { format!(", such as {}", quoted.join(", ")) }
}

fn server_said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" (it said: `{text}`)") }
}
