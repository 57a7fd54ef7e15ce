//! A git repository behind smart HTTP or ssh: read where its branch stands, push one commit to it.
//!
//! A push is the zero of every measurement, so it is made of as little as possible: the commit is
//! made beforehand in a cache on disk, and two requests carry it over. Errors are typed, and a push
//! whose answer was lost is told apart from one that did not happen.

mod cache;
mod commit;
mod credentials;
mod error;
mod fetch;
mod further;
mod history;
mod http;
mod merge;
mod push;
mod search;
mod session;
pub mod signing;
mod ssh;
mod survey;
mod transport;
mod url;
mod way;

use crate::model::{Clock, Moment, Survey, Usage};
use crate::remote::Clients;
use crate::remote::git::session::Session;
use crate::remote::git::signing::Signer;
use crate::remote::git::way::Way;
use crate::remote::meter::Meter;
use git2::{ErrorClass, Oid, Repository};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

pub use commit::{Author, Edit, Mode, Prepared};
pub use credentials::{Credentials, SshKey};
pub use error::{Deed, Error, PublishError};
pub use further::{Further, Rewrite, Unwritten};
pub use history::CommitSummary;
pub use merge::{Along, Merge, Merging};
pub use ssh::SshTrouble;
pub use url::RemoteUrl;

/// How often a push is tried when somebody else keeps moving the branch.
pub const ATTEMPTS: u32 = 3;

const USER_AGENT: &str = concat!("git/hopclock ", env!("CARGO_PKG_VERSION"));
/// How far back the ancestry of another's commit is looked for.
const ANCESTRY_DEPTHS: [i32; 3] = [8, 64, 1024];
const CACHE_LIMIT: u64 = 64 << 20;

/// Which branch of which repository, and how to get there. Not for printing: the address may hold
/// a password still.
#[derive(Clone)]
pub struct GitRemoteOptions {
    /// HTTP, HTTPS or ssh address; a user and password in it count if `credentials` are none.
    pub url: String,
    /// The branch's short name.
    pub branch: String,
    /// What to prove ourselves with.
    pub credentials: Credentials,
    /// Further certificate authorities, in PEM.
    pub ca: Option<Vec<u8>>,
    /// The folder that holds the caches of all remotes.
    pub cache_dir: PathBuf,
    /// How long one request may take.
    pub timeout: Duration,
    /// Where clients come from.
    pub clients: Clients,
}

/// One branch of a remote repository, with its cache. Clones share both.
///
/// Must be used inside a tokio runtime; the work is done on threads that may block.
#[derive(Clone)]
pub struct GitRemote {
    inner: Arc<Inner>,
    signer: Option<Signer>,
}

/// An acknowledged push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The commit that the branch points to now.
    pub commit: String,
    /// Just before the pack was sent.
    pub sent: Moment,
    /// When the server's whole answer had been read.
    pub acknowledged: Moment,
    /// How many times it was tried; each further time with a new commit.
    pub attempts: u32,
}

struct Inner {
    remote: RemoteUrl,
    branch: String,
    way: Way,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    meter: Meter,
    cache: Mutex<cache::Cache>,
    /// When the branch was followed last.
    asked: Mutex<Option<Moment>>,
}

// === impl GitRemote ===

impl GitRemote {
    /// Checks the options and takes the cache. Asks nothing of the remote.
    ///
    /// # Errors
    /// For an address, credentials or an authority that cannot be used, or an unwritable cache.
    pub async fn open(options: GitRemoteOptions, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let inner = blocking(move || Inner::open(options, clock)).await?;
        Ok(Self { inner: Arc::new(inner), signer: None })
    }

    /// The same, with commits that carry a signature. Also those that are made anew when the
    /// branch has moved.
    #[must_use]
    pub fn signed_by(self, signer: Signer) -> Self {
        Self { signer: Some(signer), ..self }
    }

    /// The remote's address, without credentials.
    #[must_use]
    pub fn url(&self) -> &RemoteUrl {
        &self.inner.remote
    }

    /// The branch.
    #[must_use]
    pub fn branch(&self) -> &str {
        &self.inner.branch
    }

    /// What was asked of the remote so far, by all clones.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.inner.meter.usage()
    }

    /// Makes the commit here. Warm, it asks nothing of the remote: the tip may prove out of date
    /// when it is published.
    ///
    /// # Errors
    /// When the branch cannot be fetched or the edit cannot be made on it.
    pub async fn prepare(&self, edit: Edit) -> Result<Prepared, Error> {
        let signer = self.signer.clone();
        self.with_cache(move |inner, cache| {
            cache.bound()?;
            match inner.prepare(cache, edit.clone(), signer.as_ref()) {
                Err(Error::Git { .. }) => {
                    cache.rebuild()?;
                    inner.prepare(cache, edit, signer.as_ref())
                }
                done => done,
            }
        })
        .await
    }

    /// Sends the commit. If the branch has moved meanwhile, the edit is made anew on its new tip
    /// and announced before it is sent.
    ///
    /// # Errors
    /// When nothing was published, or when nobody knows ([`PublishError::NoAnswer`]).
    pub async fn publish(
        &self,
        prepared: Prepared,
        mut announce: impl FnMut(&Prepared) + Send,
    ) -> Result<Published, PublishError> {
        let agree = |again: &Prepared| {
            announce(again);
            true
        };
        self.publish_if(prepared, agree).await
    }

    /// The same, but what was made anew is sent only if `agree` says so.
    ///
    /// # Errors
    /// As [`GitRemote::publish`], and [`PublishError::Withdrawn`].
    pub async fn publish_if(
        &self,
        prepared: Prepared,
        mut agree: impl FnMut(&Prepared) -> bool + Send,
    ) -> Result<Published, PublishError> {
        let mut prepared = prepared;
        for attempts in 1..=ATTEMPTS {
            let this = prepared.clone();
            let done = self.with_cache(move |inner, cache| this.send(inner, cache)).await?;
            let refusal = match done {
                push::Attempt::Acknowledged { sent, acknowledged } => {
                    let commit = prepared.commit;
                    return Ok(Published { commit, sent, acknowledged, attempts });
                }
                push::Attempt::Moved { refusal } => refusal,
            };
            if attempts < ATTEMPTS {
                let signer = self.signer.clone();
                prepared = self
                    .with_cache(move |inner, cache| {
                        inner.rebase(cache, prepared, refusal, signer.as_ref())
                    })
                    .await?;
                if !agree(&prepared) {
                    return Err(PublishError::Withdrawn);
                }
            }
        }
        let (url, branch) = (self.inner.remote.to_string(), self.inner.branch.clone());
        Err(Error::KeepsMoving { url, branch, attempts: ATTEMPTS }.into())
    }

    /// The commit that the remote's branch points to; none if there is no such branch.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub async fn tip(&self) -> Result<Option<String>, Error> {
        self.with_cache(|inner, cache| {
            let tip = fetch::heads(inner, cache)?.branch(&inner.branch);
            if let Some(id) = tip
                && cache.repository().find_commit(id).is_ok_and(|commit| commit.tree().is_ok())
            {
                cache.point(cache::TIP, id)?;
            }
            Ok(tip.map(|id| id.to_string()))
        })
        .await
    }

    /// Fetches the branch's tip into the cache and returns it.
    ///
    /// # Errors
    /// When the remote cannot be asked or has no such branch.
    pub async fn fetch_tip(&self) -> Result<String, Error> {
        self.with_cache(|inner, cache| {
            fetch::refresh(inner, cache, &Mode::Append)?;
            let tip = cache.commit(cache::TIP).ok_or_else(|| inner.unknown_branch(Vec::new()))?;
            Ok(tip.to_string())
        })
        .await
    }

    /// A file at the tip that the cache knows, without asking the remote; a cold cache is filled.
    ///
    /// # Errors
    /// When a cold cache cannot be filled.
    pub async fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = path.to_owned();
        self.at_tip(move |repository, tip| history::file(repository, tip, &path)).await
    }

    /// What the tip that the cache knows holds, and those of these files that are there, without
    /// asking the remote; a cold cache is filled.
    ///
    /// # Errors
    /// When a cold cache cannot be filled.
    pub async fn survey(&self, files: &[String]) -> Result<Survey, Error> {
        let files = files.to_vec();
        self.at_tip(move |repository, tip| survey::of(repository, tip, &files)).await
    }

    /// A file in any commit of the remote, which is fetched if it is not here (design rule T9).
    ///
    /// # Errors
    /// When the remote does not give the commit.
    pub async fn tree_holds(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let (commit, path) = (commit.to_owned(), path.to_owned());
        self.with_cache(move |inner, cache| {
            let git = |error| inner.git_error(cache, &error);
            let id = Oid::from_str(&commit).map_err(git)?;
            fetch::fetch_commit(inner, cache, id)?;
            history::file(cache.repository(), id, &path).map_err(git)
        })
        .await
    }

    /// Whether one commit is another or before it; none where the known history cannot tell.
    pub async fn is_ancestor(&self, older: &str, newer: &str) -> Option<bool> {
        let ids = Oid::from_str(older).ok().zip(Oid::from_str(newer).ok());
        let (older, newer) = ids?;
        let ask = move |_: &Inner, cache: &mut cache::Cache| {
            Ok::<_, Error>(history::is_ancestor(cache.repository(), older, newer))
        };
        self.with_cache(ask).await.ok().flatten()
    }

    /// Whether `commit` stands somewhere above `ancestor`; looks further back in the remote's
    /// history until that is known. None if the remote does not say.
    pub async fn descends(&self, commit: &str, ancestor: &str) -> Option<bool> {
        let (commit, ancestor) = Oid::from_str(commit).ok().zip(Oid::from_str(ancestor).ok())?;
        let ask = move |inner: &Inner, cache: &mut cache::Cache| {
            for depth in ANCESTRY_DEPTHS {
                let known = history::is_ancestor(cache.repository(), ancestor, commit);
                if known.is_some() {
                    return Ok::<_, Error>(known);
                }
                fetch::deepen(inner, cache, commit, depth)?;
            }
            Ok(history::is_ancestor(cache.repository(), ancestor, commit))
        };
        self.with_cache(ask).await.ok().flatten()
    }

    /// The instant, by the clock that stamps pushes.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.inner.clock.now()
    }

    /// The commits of the known tip above a commit, newest first; none where they cannot all be
    /// seen.
    pub async fn commits_above(&self, base: &str) -> Option<Vec<CommitSummary>> {
        let base = Oid::from_str(base).ok()?;
        let ask = move |_: &Inner, cache: &mut cache::Cache| {
            let above = |tip| history::commits_above(cache.repository(), tip, base);
            Ok::<_, Error>(cache.commit(cache::TIP).and_then(above))
        };
        self.with_cache(ask).await.ok().flatten()
    }

    /// Looks at the tip that the cache knows; a cold cache is filled.
    async fn at_tip<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Repository, Oid) -> Result<T, git2::Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.with_cache(move |inner, cache| {
            if cache.commit(cache::TIP).is_none() {
                fetch::refresh(inner, cache, &Mode::Append)?;
            }
            let tip = cache.commit(cache::TIP).ok_or_else(|| inner.unknown_branch(Vec::new()))?;
            look(cache.repository(), tip).map_err(|error| inner.git_error(cache, &error))
        })
        .await
    }

    async fn with_cache<T, E>(
        &self,
        work: impl FnOnce(&Inner, &mut cache::Cache) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let inner = self.inner.clone();
        blocking(move || {
            let mut cache = inner.cache.lock().unwrap_or_else(PoisonError::into_inner);
            work(&inner, &mut cache)
        })
        .await
    }
}

// === impl Inner ===

impl Inner {
    fn open(options: GitRemoteOptions, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        transport::register()?;
        let (remote, found) = RemoteUrl::parse(&options.url)?;
        let way = Way::of(&remote, &options, found)?;
        let key = format!("{}#{}", remote.normalised(), options.branch);
        let cache = cache::Cache::open(&options.cache_dir, &key, CACHE_LIMIT)?;
        let (branch, timeout, cache) = (options.branch, options.timeout, Mutex::new(cache));
        let (meter, asked) = (Meter::default(), Mutex::default());
        Ok(Self { remote, branch, way, timeout, clock, meter, cache, asked })
    }

    /// Makes the edit on what is known, or on what is fetched if too little is known.
    fn prepare(
        &self,
        cache: &cache::Cache,
        edit: Edit,
        signer: Option<&Signer>,
    ) -> Result<Prepared, Error> {
        let known = match &edit.mode {
            Mode::Append => cache.commit(cache::TIP).is_some(),
            Mode::Replace { base, trailer } => {
                fetch::check_lane(self, cache, base, trailer).is_ok()
            }
        };
        if !known {
            fetch::refresh(self, cache, &edit.mode)?;
        }
        commit::make(self, cache, edit, signer)
    }

    /// Makes the edit anew after the branch has moved; if it has not, the server's refusal stands.
    fn rebase(
        &self,
        cache: &mut cache::Cache,
        old: Prepared,
        refusal: Option<Error>,
        signer: Option<&Signer>,
    ) -> Result<Prepared, Error> {
        fetch::refresh(self, cache, &old.edit.mode)?;
        let new = commit::make(self, cache, old.edit, signer)?;
        match refusal {
            Some(refusal) if new.expected == old.expected => Err(refusal),
            _ => Ok(new),
        }
    }

    fn session(&self) -> Session {
        let (runtime, clock, timeout) = (Handle::current(), self.clock.clone(), self.timeout);
        let (remote, meter, trace) = (self.remote.clone(), self.meter.clone(), Mutex::default());
        match &self.way {
            Way::Http { client, address, authorization } => {
                let (client, address) = (client.clone(), address.clone());
                let authorization = authorization.clone();
                Session::Http(Arc::new(http::Session {
                    client,
                    runtime,
                    clock,
                    remote,
                    address,
                    authorization,
                    timeout,
                    meter,
                    trace,
                }))
            }
            Way::Ssh(access) => {
                let reference = format!("refs/heads/{}", self.branch);
                let access = access.clone();
                Session::Ssh(Arc::new(ssh::Session {
                    access,
                    runtime,
                    clock,
                    remote,
                    reference,
                    timeout,
                    meter,
                    trace,
                }))
            }
        }
    }

    /// The session's typed error if it has one, else libgit2's own.
    fn typed(&self, cache: &cache::Cache, session: &Session, error: &git2::Error) -> Error {
        let failure = session.trace().failure.take();
        failure.unwrap_or_else(|| self.git_error(cache, error))
    }

    fn git_error(&self, cache: &cache::Cache, error: &git2::Error) -> Error {
        let why = error.message().to_owned();
        let disk = ["No space left", "Permission denied", "Read-only file system", "quota"];
        if error.class() == ErrorClass::Os || disk.iter().any(|words| why.contains(words)) {
            return cache::unwritable(cache.folder(), why);
        }
        Error::Git { url: self.remote.to_string(), why }
    }

    fn unknown_branch(&self, known: Vec<String>) -> Error {
        Error::UnknownBranch { url: self.remote.to_string(), branch: self.branch.clone(), known }
    }
}

/// Runs work on a thread that may block; a panic there is a panic here.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}
