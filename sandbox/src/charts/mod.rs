//! A Helm chart repository on loopback: an index, archives, an account and faults.
//!
//! It serves files and nothing else, as the plain web servers and buckets do that most chart
//! repositories are. Whoever publishes a chart has the index written anew; whoever plays a
//! publisher of his own puts the files there himself.

mod chart;
mod index;
mod serve;
mod tar;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::loopback::{self, Server};

pub use chart::Chart;
pub(crate) use index::Entry;
pub(crate) use index::read as read_index;

/// The path of the index.
const INDEX: &str = "index.yaml";

/// A running repository; clones are the same one, the last one dropped ends it.
#[derive(Clone)]
pub struct ChartRepository {
    inner: Arc<Inner>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct ChartRequest {
    /// The path, without its first slash.
    pub path: String,
    /// Whether it came with credentials.
    pub authorized: bool,
    /// When it arrived.
    pub at: Instant,
    /// The status of the answer; none as long as there is none.
    pub status: Option<u16>,
}

/// One change of the index: the moment from which others could see it.
#[derive(Debug, Clone)]
pub struct IndexUpdate {
    /// The digest of the index, as Flux calls a revision.
    pub revision: String,
    /// When it became visible.
    pub at: Instant,
    /// The same by the wall clock.
    pub wall: Timestamp,
}

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartFault {
    /// Answers with this HTTP status.
    Status(u16),
    /// Serves the request, this much later.
    Slow(Duration),
    /// Ends the connection; nothing has happened.
    Cut,
}

/// Which requests a fault spoils.
#[derive(Debug, Clone)]
pub struct ChartFaultRule {
    /// The path that it spoils; none means every path.
    pub path: Option<String>,
    /// What goes wrong.
    pub fault: ChartFault,
    /// How many requests it still spoils; none means all.
    pub times: Option<u32>,
}

struct Inner {
    shared: Arc<Shared>,
    server: Server<Shared>,
}

/// What every connection of one repository sees.
struct Shared {
    base: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Bytes>,
    account: Option<(String, String)>,
    faults: Vec<ChartFaultRule>,
    requests: Vec<ChartRequest>,
    updates: Vec<IndexUpdate>,
}

/// Why a repository could not be served.
#[derive(Debug, thiserror::Error)]
#[error(
    "the sandbox's chart repository cannot listen on 127.0.0.1:{port}: free the port or take 0"
)]
pub struct Error {
    /// The port that was asked for.
    pub port: u16,
    /// What the system said.
    pub source: io::Error,
}

impl ChartRepository {
    /// Starts a repository with an empty index; port 0 takes a free one. Must be called inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// When the port is taken.
    #[expect(clippy::unused_async, reason = "it needs a runtime, and says so by being async")]
    pub async fn start(port: u16) -> Result<Self, Error> {
        let bound = loopback::bind(port).map_err(|source| Error { port, source })?;
        let base = format!("http://{}", bound.address);
        let shared = Arc::new(Shared { base, state: Mutex::default() });
        let server = Server::start(bound, None, shared.clone());
        let repository = Self { inner: Arc::new(Inner { shared, server }) };
        repository.put(INDEX, index::write(&BTreeMap::new(), repository.base_url()).into());
        Ok(repository)
    }

    /// Where it is, without a final slash: the `url` of a `HelmRepository`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.inner.shared.base
    }

    /// Adds a chart, or replaces the one of its version, and writes the index anew.
    pub fn publish(&self, chart: &Chart) {
        let mut state = self.lock();
        state.files.insert(chart.file_name(), chart.pack().into());
        self.write_index(&mut state);
    }

    /// Takes a version of a chart away; false if it is not there.
    #[must_use]
    pub fn withdraw(&self, name: &str, version: &str) -> bool {
        let mut state = self.lock();
        let there = state.files.remove(&format!("{name}-{version}.tgz")).is_some();
        self.write_index(&mut state);
        there
    }

    /// Puts a file there as it is, the index too: what a publisher of its own does.
    pub fn put(&self, path: &str, content: Bytes) {
        self.lock().put(path, content);
    }

    /// Takes a file away; the index is left as it is.
    pub fn remove(&self, path: &str) {
        self.lock().files.remove(path);
    }

    /// The bytes of a file.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<Bytes> {
        self.lock().files.get(path).cloned()
    }

    /// Lets only who knows this user and password in; none lets everybody in.
    pub fn set_account(&self, account: Option<(&str, &str)>) {
        let own = |(user, password): (&str, &str)| (user.to_owned(), password.to_owned());
        self.lock().account = account.map(own);
    }

    /// Adds a fault; the first rule that fits a request is used.
    pub fn add_fault(&self, rule: ChartFaultRule) {
        self.lock().faults.push(rule);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Refuses connections and cuts those that exist, until [`ChartRepository::come_back`].
    pub fn go_down(&self) {
        self.inner.server.stop();
    }

    /// Serves again, on the same port.
    ///
    /// # Errors
    /// When the port cannot be listened on any more.
    pub fn come_back(&self) -> Result<(), Error> {
        let server = &self.inner.server;
        server.resume().map_err(|source| Error { port: server.port(), source })
    }

    /// Every request since the start, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<ChartRequest> {
        self.lock().requests.clone()
    }

    /// Every change of the index since the start: the truth about publications.
    #[must_use]
    pub fn updates(&self) -> Vec<IndexUpdate> {
        self.lock().updates.clone()
    }

    fn write_index(&self, state: &mut State) {
        let text = index::write(&state.files, self.base_url());
        state.put(INDEX, text.into());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, path: &str, content: Bytes) {
        let changed = self.files.get(path) != Some(&content);
        if path == INDEX && changed {
            let (at, wall) = (Instant::now(), Timestamp::now());
            self.updates.push(IndexUpdate { revision: index::revision(&content), at, wall });
        }
        self.files.insert(path.to_owned(), content);
    }
}
