//! A bucket server on loopback that speaks S3: objects, lists, signatures, webhooks and faults.
//!
//! It is a server of its own and not a wrapped one, because faults, the server's clock and the
//! instant at which an object became visible have to be known from inside. Every write is stamped
//! under the lock that readers take, which makes the server the judge of a stopwatch.

mod fault;
mod serve;
pub(crate) mod signature;
mod write;
mod xml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::loopback::{self, Server, tls};

pub use fault::{Fault, FaultRule, RequestRecord, Route};

/// How a bucket server is started; the default is plain HTTP on a free port.
#[derive(Debug, Clone)]
pub struct BucketHostOptions {
    /// Serves HTTPS with a certificate of an authority made for this server alone.
    pub tls: bool,
    /// The port on loopback, 0 for a free one.
    pub port: u16,
    /// The region that signatures have to name.
    pub region: String,
    /// Most objects on one page of a list.
    pub page: usize,
}

/// Keys that open every bucket. Not for printing.
#[derive(Clone)]
pub struct Account {
    /// The name of the key.
    pub access_key: String,
    /// What requests are signed with.
    pub secret_key: String,
    /// Whether it may write.
    pub may_write: bool,
}

/// One object as it was written or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectUpdate {
    /// The bucket.
    pub bucket: String,
    /// The object.
    pub key: String,
    /// Its new tag, without quotes; none if it was removed.
    pub etag: Option<String>,
    /// When it became visible.
    pub at: Instant,
}

/// A running bucket server; clones are the same server, the last one dropped ends it.
#[derive(Clone)]
pub struct BucketHost {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    server: Server<Shared>,
}

/// What every connection of one server sees.
struct Shared {
    host: String,
    scheme: &'static str,
    region: String,
    page: usize,
    authority: Option<tls::Authority>,
    client: reqwest::Client,
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buckets: BTreeMap<String, Bucket>,
    accounts: Vec<Account>,
    /// How far the server's clock is ahead.
    ahead: SignedDuration,
    ignores_conditions: bool,
    webhooks: BTreeMap<String, Vec<String>>,
    faults: Vec<FaultRule>,
    requests: Vec<RequestRecord>,
    updates: Vec<ObjectUpdate>,
}

/// The objects of a bucket by their keys.
type Bucket = BTreeMap<String, Object>;

#[derive(Clone)]
struct Object {
    body: Bytes,
    etag: String,
    modified: Timestamp,
}

/// Why a bucket server could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port could not be had.
    #[error(
        "the sandbox's bucket server cannot listen on 127.0.0.1:{port}: free the port or take 0"
    )]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// No certificate could be made or served.
    #[error("the sandbox's bucket server cannot make its certificate: {0}")]
    Certificate(String),
}

impl Default for BucketHostOptions {
    fn default() -> Self {
        Self { tls: false, port: 0, region: "us-east-1".to_owned(), page: 1000 }
    }
}

impl BucketHost {
    /// Starts a server without buckets; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the port is taken or no certificate can be made.
    #[expect(clippy::unused_async, reason = "it needs a runtime, and says so by being async")]
    pub async fn start(options: BucketHostOptions) -> Result<Self, Error> {
        let authority = options.tls.then(tls::Authority::new).transpose();
        let authority = authority.map_err(Error::Certificate)?;
        let acceptor = authority.as_ref().map(tls::Authority::acceptor).transpose();
        let acceptor = acceptor.map_err(Error::Certificate)?;
        let failed = |source| Error::Listen { port: options.port, source };
        let bound = loopback::bind(options.port).map_err(failed)?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10));
        let shared = Arc::new(Shared {
            host: bound.address.to_string(),
            scheme: if options.tls { "https" } else { "http" },
            region: options.region,
            page: options.page.max(1),
            authority,
            client: client.user_agent("sandbox-bucket").build().unwrap_or_default(),
            runtime: Handle::current(),
            state: Mutex::default(),
        });
        let server = Server::start(bound, acceptor, shared.clone());
        Ok(Self { inner: Arc::new(Inner { shared, server }) })
    }

    /// Address and port, as `spec.endpoint` of a `Bucket` has it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.inner.shared.host
    }

    /// Scheme, address and port, without a final slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}://{}", self.inner.shared.scheme, self.host())
    }

    /// The authority that signed the server's certificate, as PEM; none without TLS.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.inner.shared.authority.as_ref().map(tls::Authority::pem)
    }

    /// Makes an empty bucket, if there is none of that name.
    pub fn create_bucket(&self, bucket: &str) {
        self.inner.shared.lock().buckets.entry(bucket.to_owned()).or_default();
    }

    /// Removes a bucket with all that it holds.
    pub fn remove_bucket(&self, bucket: &str) {
        self.inner.shared.lock().buckets.remove(bucket);
    }

    /// Lets these in from now on, and nobody else; without any, everybody.
    pub fn set_accounts(&self, accounts: Vec<Account>) {
        self.inner.shared.lock().accounts = accounts;
    }

    /// Lets one more in; from the first one on, nobody else.
    pub fn add_account(&self, account: Account) {
        self.inner.shared.lock().accounts.push(account);
    }

    /// Sets the server's clock: so far ahead of this machine's.
    pub fn set_clock_ahead(&self, ahead: SignedDuration) {
        self.inner.shared.lock().ahead = ahead;
    }

    /// Has the server pass over `If-Match` and `If-None-Match` of a write, as older ones do.
    pub fn ignore_conditions(&self) {
        self.inner.shared.lock().ignores_conditions = true;
    }

    /// Writes an object, as somebody else's upload. Makes the bucket if need be. Webhooks follow.
    pub fn put(&self, bucket: &str, key: &str, text: &str) {
        self.create_bucket(bucket);
        self.inner.shared.write(bucket, key, Bytes::copy_from_slice(text.as_bytes()));
    }

    /// Removes an object.
    pub fn delete(&self, bucket: &str, key: &str) {
        self.inner.shared.remove(bucket, key);
    }

    /// The text of an object.
    #[must_use]
    pub fn text(&self, bucket: &str, key: &str) -> Option<String> {
        let state = self.inner.shared.lock();
        let body = &state.buckets.get(bucket)?.get(key)?.body;
        Some(String::from_utf8_lossy(body).into_owned())
    }

    /// Key and tag of every object of a bucket, in the order of the keys.
    #[must_use]
    pub fn list(&self, bucket: &str) -> Vec<(String, String)> {
        let state = self.inner.shared.lock();
        let objects = state.buckets.get(bucket).into_iter().flatten();
        objects.map(|(key, object)| (key.clone(), object.etag.clone())).collect()
    }

    /// Posts every write to a bucket to this address, as a bucket notification.
    pub fn add_webhook(&self, bucket: &str, url: &str) {
        let mut state = self.inner.shared.lock();
        state.webhooks.entry(bucket.to_owned()).or_default().push(url.to_owned());
    }

    /// Adds a fault; the first rule that fits a request is used.
    pub fn add_fault(&self, rule: FaultRule) {
        self.inner.shared.lock().faults.push(rule);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.inner.shared.lock().faults.clear();
    }

    /// Refuses connections and cuts those that exist, until [`BucketHost::come_back`].
    pub fn go_down(&self) {
        self.inner.server.stop();
    }

    /// Serves again, on the same port.
    ///
    /// # Errors
    /// When the port cannot be listened on any more.
    pub fn come_back(&self) -> Result<(), Error> {
        let server = &self.inner.server;
        server.resume().map_err(|source| Error::Listen { port: server.port(), source })
    }

    /// Every request since the start, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.inner.shared.lock().requests.clone()
    }

    /// How many requests of one route have arrived, whatever their method.
    #[must_use]
    pub fn count(&self, route: Route) -> usize {
        self.inner.shared.lock().requests.iter().filter(|it| it.route == route).count()
    }

    /// Every object that was written or removed since the start: the truth about uploads.
    #[must_use]
    pub fn updates(&self) -> Vec<ObjectUpdate> {
        self.inner.shared.lock().updates.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn now(&self) -> Timestamp {
        Timestamp::now().checked_add(self.ahead).unwrap_or(Timestamp::MAX)
    }
}
