//! A git host on loopback: real smart HTTP, webhooks, accounts and faults.
//!
//! The wire and the repositories are git's own (`git http-backend` over bare repositories), so a
//! client that works here works against a real host; what a test wants to go wrong goes wrong
//! around it. Every moved branch is stamped, which makes the host the judge of a stopwatch.

mod access;
mod answer;
mod backend;
mod clone;
mod fault;
mod fetch;
mod history;
mod pkt;
mod refusal;
mod webhook;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::broadcast;

use crate::loopback::{self, Server, tls};

pub use access::{Account, Credentials, Rights};
pub use clone::{CloneError, WorkingClone};
pub use fault::{Fault, FaultRule, RequestKind, RequestRecord};
pub use fetch::{FetchError, Fetched, GitRef};
pub use history::{NewCommit, RefUpdate, UpdatedBy};
pub use refusal::{Refusal, RefusedBy};
pub use webhook::{Delivery, Webhook, WebhookFault, WebhookFormat, WebhookMoment};

/// How a git host is started; the default is plain HTTP on a free port.
#[derive(Debug, Clone, Default)]
pub struct GitHostOptions {
    /// Serves HTTPS with a certificate of an authority made for this host alone.
    pub tls: bool,
    /// The port on loopback, 0 for a free one.
    pub port: u16,
}

/// A running git host; clones are the same host, the last one dropped ends it.
#[derive(Clone)]
pub struct GitHost {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    server: Server<Shared>,
}

/// What every connection of one host sees.
struct Shared {
    root: TempDir,
    backend: PathBuf,
    base_url: String,
    authority: Option<tls::Authority>,
    client: reqwest::Client,
    runtime: Handle,
    moved: broadcast::Sender<RefUpdate>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    faults: Vec<FaultRule>,
    requests: Vec<RequestRecord>,
    updates: Vec<RefUpdate>,
    deliveries: Vec<Delivery>,
    down: bool,
}

#[derive(Default, Clone)]
struct Repository {
    accounts: Vec<Account>,
    webhooks: Vec<Webhook>,
    refusal: Option<Refusal>,
}

/// Why the git host could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no `git` to serve repositories with.
    #[error(
        "the sandbox's git host needs `git`, which is not on PATH: install git and start again"
    )]
    NoGit,
    /// `git` is there, its HTTP server is not.
    #[error(
        "the sandbox's git host needs `{}`, which is missing: install the package of git that \
         brings git-http-backend", .0.display()
    )]
    NoBackend(PathBuf),
    /// The port could not be had.
    #[error("the sandbox's git host cannot listen on 127.0.0.1:{port}: free the port or take 0")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The folder of the repositories could not be written.
    #[error("the sandbox's git host cannot write its folder: check the temporary directory")]
    Folder(#[from] io::Error),
    /// No certificate could be made or served.
    #[error("the sandbox's git host cannot make its certificate: {0}")]
    Certificate(String),
    /// No repository of this host has that URL.
    #[error("no repository of the sandbox's git host has the URL `{0}`: create it first")]
    UnknownRepository(String),
    /// libgit2 refused.
    #[error("the sandbox's git host cannot {what}: {source}")]
    Git {
        /// What was tried.
        what: &'static str,
        /// What libgit2 said.
        source: git2::Error,
    },
}

impl GitHost {
    /// Starts a host in a folder of its own; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Without git or its HTTP server, when the port is taken, when the folder cannot be written.
    pub async fn start(options: GitHostOptions) -> Result<Self, Error> {
        let backend = backend::find().await?;
        let authority = options.tls.then(tls::Authority::new).transpose();
        let authority = authority.map_err(Error::Certificate)?;
        let acceptor = authority.as_ref().map(tls::Authority::acceptor).transpose();
        let acceptor = acceptor.map_err(Error::Certificate)?;
        let root = tempfile::Builder::new().prefix("sandbox-git-").tempdir()?;
        refusal::write_hooks(root.path())?;
        let failed = |source| Error::Listen { port: options.port, source };
        let bound = loopback::bind(options.port).map_err(failed)?;
        let scheme = if options.tls { "https" } else { "http" };
        let shared = Arc::new(Shared {
            root,
            backend,
            base_url: format!("{scheme}://{}", bound.address),
            authority,
            client: webhook::client(),
            runtime: Handle::current(),
            moved: broadcast::channel(1024).0,
            state: Mutex::default(),
        });
        let server = Server::start(bound, acceptor, shared.clone());
        Ok(Self { inner: Arc::new(Inner { shared, server }) })
    }

    /// Scheme, address and port, without a final slash.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.inner.shared.base_url
    }

    /// The authority that signed the host's certificate, as PEM; none without TLS.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.inner.shared.authority.as_ref().map(tls::Authority::pem)
    }

    /// Makes a bare repository with one first commit on `branch` and returns its URL.
    ///
    /// # Errors
    /// When the repository exists already or cannot be written.
    pub fn create_repository(
        &self,
        name: &str,
        files: &[(&str, &str)],
        branch: &str,
    ) -> Result<String, Error> {
        let shared = &self.inner.shared;
        history::create(shared, name, branch)?;
        shared.lock().repositories.insert(name.to_owned(), Repository::default());
        let url = format!("{}/{name}.git", shared.base_url);
        self.commit(&url, &NewCommit::new(branch, "First commit").files(files))?;
        Ok(url)
    }

    /// Who may use a repository from now on; nobody named means that it is open to all.
    ///
    /// # Errors
    /// When no repository has that URL.
    pub fn set_accounts(&self, url: &str, accounts: Vec<Account>) -> Result<(), Error> {
        self.inner.shared.with_repository(url, |repository| repository.accounts = accounts)
    }

    /// Adds a webhook that a moved branch of the repository sends.
    ///
    /// # Errors
    /// When no repository has that URL.
    pub fn add_webhook(&self, url: &str, webhook: Webhook) -> Result<(), Error> {
        self.inner.shared.with_repository(url, |repository| repository.webhooks.push(webhook))
    }

    /// What goes wrong with every webhook of the repository from now on; none heals them.
    ///
    /// # Errors
    /// When no repository has that URL.
    pub fn set_webhook_fault(&self, url: &str, fault: Option<WebhookFault>) -> Result<(), Error> {
        self.inner.shared.with_repository(url, |repository| {
            for webhook in &mut repository.webhooks {
                webhook.fault = fault;
            }
        })
    }

    /// Refuses pushes to a ref from now on; none takes them again.
    ///
    /// # Errors
    /// When no repository has that URL or the hook's files cannot be written.
    pub fn set_refusal(&self, url: &str, refusal: Option<Refusal>) -> Result<(), Error> {
        let shared = &self.inner.shared;
        let path = shared.path_of(url)?;
        refusal::install(shared.root.path(), &path, refusal.as_ref())?;
        shared.with_repository(url, |repository| repository.refusal = refusal)
    }

    /// Adds a fault; the first rule that fits a request is used.
    pub fn add_fault(&self, rule: FaultRule) {
        self.inner.shared.lock().faults.push(rule);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.inner.shared.lock().faults.clear();
    }

    /// Refuses connections and cuts those that exist, until [`GitHost::come_back`].
    pub fn go_down(&self) {
        self.inner.shared.lock().down = true;
        self.inner.server.stop();
    }

    /// Serves again, on the same port.
    ///
    /// # Errors
    /// When the port cannot be listened on any more.
    pub fn come_back(&self) -> Result<(), Error> {
        let server = &self.inner.server;
        server.resume().map_err(|source| Error::Listen { port: server.port(), source })?;
        self.inner.shared.lock().down = false;
        Ok(())
    }

    /// Every request since the start, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.inner.shared.lock().requests.clone()
    }

    /// How many requests of one kind have arrived.
    #[must_use]
    pub fn count(&self, kind: RequestKind) -> usize {
        self.inner.shared.lock().requests.iter().filter(|request| request.kind == kind).count()
    }

    /// Every webhook delivery since the start, in the order in which they ended.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.inner.shared.lock().deliveries.clone()
    }

    /// Every moved ref since the start: the truth about pushes.
    #[must_use]
    pub fn ref_updates(&self) -> Vec<RefUpdate> {
        self.inner.shared.lock().updates.clone()
    }

    /// Moved refs as they happen.
    #[must_use]
    pub fn watch_updates(&self) -> broadcast::Receiver<RefUpdate> {
        self.inner.shared.moved.subscribe()
    }
}

/// An authority that signed nothing, as PEM: what a client with the wrong CA holds.
///
/// # Errors
/// When no key can be made.
pub fn unrelated_authority() -> Result<String, Error> {
    let authority = tls::Authority::new().map_err(Error::Certificate)?;
    Ok(authority.pem().to_owned())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The repository's name behind a URL of this host, with or without `.git`.
    fn name_of(&self, url: &str) -> Result<String, Error> {
        let unknown = || Error::UnknownRepository(url.to_owned());
        let path = url.strip_prefix(&self.base_url).ok_or_else(unknown)?.trim_matches('/');
        let name = path.strip_suffix(".git").unwrap_or(path);
        if self.lock().repositories.contains_key(name) {
            Ok(name.to_owned())
        } else {
            Err(unknown())
        }
    }

    fn path_of(&self, url: &str) -> Result<PathBuf, Error> {
        Ok(self.folder(&self.name_of(url)?))
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.root.path().join(format!("{name}.git"))
    }

    fn with_repository<T>(
        &self,
        url: &str,
        change: impl FnOnce(&mut Repository) -> T,
    ) -> Result<T, Error> {
        let name = self.name_of(url)?;
        let mut state = self.lock();
        let repository = state.repositories.get_mut(&name);
        repository.map(change).ok_or_else(|| Error::UnknownRepository(url.to_owned()))
    }
}
