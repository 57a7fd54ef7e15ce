//! A bucket of any cloud: its objects, and one object written to it.
//!
//! What the clouds do differently, signatures above all, is `object_store`'s; what a stopwatch needs
//! of the wire is ours: instants around each request, what a refusal says, and that nothing is sent
//! twice behind anybody's back. A write can be bound to what was read before it, so that a second
//! writer is noticed and not overwritten.

mod address;
mod credentials;
mod error;
mod names;
mod refusal;
mod store;
mod wire;

use crate::model::{Clock, Moment, Usage};
use crate::remote::Clients;
use bytes::Bytes;
use error::Lost;
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{
    GetOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use std::sync::Arc;
use std::time::Duration;
use wire::{Exchange, Wire};

pub use address::{BucketAddress, Provider};
pub use credentials::Credentials;
pub use error::{Deed, Error, PublishError};

/// How long to wait when a server asks for patience and does not say for how much.
const PAUSE: Duration = Duration::from_secs(2);

/// Which bucket, and how to get there.
#[derive(Clone)]
pub struct BucketOptions {
    /// The bucket.
    pub address: BucketAddress,
    /// What to prove ourselves with.
    pub credentials: Credentials,
    /// Further certificate authorities, in PEM.
    pub ca: Option<Vec<u8>>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long one operation may wait when the server asks for patience.
    pub patience: Duration,
}

/// An object, and which version of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its content.
    pub body: Bytes,
    /// What tells this version from others.
    pub version: Version,
}

/// What tells one version of an object from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    etag: Option<String>,
    generation: Option<String>,
}

/// What has to be true when an object is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    None,
    /// There is no such object.
    Absent,
    /// It is still this version.
    Unchanged(Version),
}

/// One object of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Its tag, as the server writes it.
    pub etag: Option<String>,
}

/// An object that the server has acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Which version that made.
    pub version: Version,
    /// When it was sent.
    pub sent: Moment,
    /// When the answer had arrived.
    pub acknowledged: Moment,
    /// How often it was sent: more than once if the server refused it for the moment.
    pub attempts: u32,
}

/// A bucket. Not for printing: it holds credentials.
#[derive(Clone)]
pub struct Bucket {
    address: BucketAddress,
    store: Arc<dyn ObjectStore>,
    wire: Wire,
    anonymous: bool,
    patience: Duration,
}

/// What came of an operation: its result, the exchange that ended it, and how often it was tried.
type Done<T> = Result<(T, Exchange, u32), Lost>;

// === impl Version ===

impl Version {
    /// The tag of the object, without quotes.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref().map(|it| it.trim_matches('"'))
    }
}

impl From<Version> for UpdateVersion {
    fn from(version: Version) -> Self {
        Self { e_tag: version.etag, version: version.generation }
    }
}

// === impl Condition ===

impl Condition {
    /// Whether it is true of what lies there.
    fn holds(&self, now: Option<&Object>) -> bool {
        match self {
            Self::None => true,
            Self::Absent => now.is_none(),
            Self::Unchanged(version) => now.is_some_and(|it| it.version == *version),
        }
    }
}

// === impl Bucket ===

impl Bucket {
    /// Checks the options. Asks nothing of the server.
    ///
    /// # Errors
    /// For an address, an authority or credentials that cannot be used.
    pub fn open(
        options: &BucketOptions,
        clock: Arc<dyn Clock>,
        clients: &Clients,
    ) -> Result<Self, Error> {
        Self::reading(options, clock, clients, wire::LONGEST_ANSWER)
    }

    /// Opens a bucket of whose answers at most `longest` bytes are read.
    fn reading(
        options: &BucketOptions,
        clock: Arc<dyn Clock>,
        clients: &Clients,
        longest: usize,
    ) -> Result<Self, Error> {
        let BucketOptions { address, credentials, ca, timeout, patience } = options;
        let client = clients
            .get(wire::USER_AGENT, ca.as_deref(), *timeout)
            .map_err(|_| Error::BadAuthority { bucket: address.to_string() })?;
        let wire = Wire::new(client, clock, *timeout, longest);
        let store = store::build(address, credentials, wire.clone())?;
        let anonymous = matches!(credentials, Credentials::Anonymous);
        Ok(Self { address: address.clone(), store, wire, anonymous, patience: *patience })
    }

    /// The bucket.
    #[must_use]
    pub fn address(&self) -> &BucketAddress {
        &self.address
    }

    /// What was asked of the server so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.wire.meter.usage()
    }

    /// The instant, by the clock that stamps writes.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.wire.now()
    }

    /// Reads an object; none if it is not there.
    ///
    /// # Errors
    /// When the server cannot be asked, or has no such bucket.
    pub async fn get(&self, key: &str) -> Result<Option<Object>, Error> {
        let location = path(key)?;
        let read = || async {
            let found = self.store.get_opts(&location, GetOptions::default()).await?;
            let version =
                Version { etag: found.meta.e_tag.clone(), generation: found.meta.version.clone() };
            let size = found.meta.size;
            Ok((size, Object { body: found.bytes().await?, version }))
        };
        match self.ask(Deed::Read, read).await {
            Ok(((size, object), ..)) if size == object.body.len() as u64 => Ok(Some(object)),
            Ok(((size, object), ..)) => Err(Error::Broken {
                bucket: self.address.to_string(),
                why: format!("{} of {size} bytes of `{key}` came", object.body.len()),
            }),
            Err(Lost { why: Error::NoObject { .. }, .. }) => Ok(None),
            Err(lost) => Err(lost.why),
        }
    }

    /// Lists the objects whose keys begin with `prefix`, at most so many. Some may have names under
    /// which no other operation can reach them.
    ///
    /// # Errors
    /// When the server cannot be asked, or has no such bucket.
    pub async fn list(&self, prefix: &str, most: usize) -> Result<Vec<Entry>, Error> {
        // The store lists folders only.
        let folder = prefix.rsplit_once('/').map_or("", |it| it.0);
        let folder = if folder.is_empty() { None } else { Some(folder_of(folder)?) };
        let list = || async {
            let mut found = self.store.list(folder.as_ref());
            let mut entries = Vec::new();
            while let Some(meta) = found.try_next().await? {
                let key = names::real(meta.location.as_ref());
                if key.starts_with(prefix) {
                    entries.push(Entry { key, size: meta.size, etag: meta.e_tag });
                }
                if entries.len() >= most {
                    break;
                }
            }
            Ok(entries)
        };
        self.ask(Deed::List, list).await.map(|it| it.0).map_err(|it| it.why)
    }

    /// Writes an object.
    ///
    /// It is sent again only where the server said that it had not taken it for the moment. A server
    /// that knows no conditions is asked right before whether ours holds.
    ///
    /// # Errors
    /// [`PublishError::NoAnswer`] if it may be there all the same.
    pub async fn put(
        &self,
        key: &str,
        body: impl Into<Bytes>,
        condition: Condition,
    ) -> Result<Published, PublishError> {
        let body: Bytes = body.into();
        let sent = self.write(key, &body, condition.clone()).await;
        if condition == Condition::None || !matches!(&sent, Err(it) if it.knows_no_conditions()) {
            return sent;
        }
        let now = self.get(key).await.map_err(PublishError::Failed)?;
        if !condition.holds(now.as_ref()) {
            let bucket = self.address.to_string();
            return Err(PublishError::Failed(Error::Changed { bucket }));
        }
        let mut sent = self.write(key, &body, Condition::None).await;
        match &mut sent {
            Ok(Published { attempts, .. }) | Err(PublishError::NoAnswer { attempts, .. }) => {
                *attempts += 1;
            }
            Err(PublishError::Failed(_)) => {}
        }
        sent
    }

    async fn write(
        &self,
        key: &str,
        body: &Bytes,
        condition: Condition,
    ) -> Result<Published, PublishError> {
        let location = path(key).map_err(PublishError::Failed)?;
        let mode = match condition {
            Condition::None => PutMode::Overwrite,
            Condition::Absent => PutMode::Create,
            Condition::Unchanged(version) => PutMode::Update(version.into()),
        };
        let write = || async {
            let options = PutOptions { mode: mode.clone(), ..PutOptions::default() };
            self.store.put_opts(&location, PutPayload::from(body.clone()), options).await
        };
        match self.ask(Deed::Write, write).await {
            Ok((result, exchange, attempts)) => {
                let version = Version { etag: result.e_tag, generation: result.version };
                let Exchange { sent, received, .. } = exchange;
                Ok(Published { version, sent, acknowledged: received, attempts })
            }
            Err(Lost { sent: Some(sent), attempts, why }) => {
                Err(PublishError::NoAnswer { sent, attempts, why })
            }
            Err(Lost { sent: None, why, .. }) => Err(PublishError::Failed(why)),
        }
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// When the server refuses, or cannot be asked.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let location = path(key)?;
        match self.ask(Deed::Delete, || self.store.delete(&location)).await {
            Ok(_) | Err(Lost { why: Error::NoObject { .. }, .. }) => Ok(()),
            Err(lost) => Err(lost.why),
        }
    }

    /// Carries an operation out, and waits where the server asks for that.
    async fn ask<T, F>(&self, deed: Deed, operation: impl Fn() -> F) -> Done<T>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let (mut waited, mut attempts) = (Duration::ZERO, 0);
        let mut first = None;
        loop {
            attempts += 1;
            let (result, exchange) = self.wire.listen(operation()).await;
            let sent = exchange.as_ref().map(|it| it.sent);
            let mut lost = match (result, exchange) {
                (Ok(value), Some(exchange)) => return Ok((value, exchange, attempts)),
                (Ok(_), None) => Lost::of(None, self.not_a_server(0, None)),
                (Err(error), exchange) => self.judge(deed, &error, exchange),
            };
            lost.attempts = attempts;
            // What was refused for the moment may have been carried out all the same, and what
            // stands in the way of the second attempt may be the first.
            let is_open = lost.sent.is_some() || matches!(lost.why, Error::Changed { .. });
            if let Some(first) = first.filter(|_| is_open) {
                lost.sent = Some(first);
            }
            first = first.or(sent);
            let Error::Throttled { retry_after, .. } = &lost.why else { return Err(lost) };
            let pause = retry_after.unwrap_or(PAUSE).max(Duration::from_millis(100));
            self.wire.meter.throttled();
            // A server may ask for any number of seconds.
            if waited.saturating_add(pause) > self.patience {
                return Err(lost);
            }
            tokio::time::sleep(pause).await;
            waited += pause;
        }
    }

    fn not_a_server(&self, status: u16, error: Option<&object_store::Error>) -> Error {
        let why = error.map(refusal::wrong_with).unwrap_or_default();
        Error::NotABucket { bucket: self.address.to_string(), status, why }
    }
}

fn folder_of(prefix: &str) -> Result<Path, Error> {
    Path::parse(prefix).map_err(|_| Error::BadKey { key: prefix.to_owned() })
}

/// What the store calls an object; only of names that it does not change.
fn path(key: &str) -> Result<Path, Error> {
    let path = Path::parse(key).ok().filter(|it| it.as_ref() == key);
    path.ok_or_else(|| Error::BadKey { key: key.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Moment;
    use jiff::Timestamp;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A clock that stands.
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Moment {
            Moment::default()
        }

        fn wall(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    /// What is read of an object by someone who reads at most `longest` bytes, when the server
    /// announces `size` bytes and sends `sent`.
    async fn read(longest: usize, size: usize, sent: usize) -> Result<Option<usize>, Error> {
        // Fails if another test has chosen it already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: \"a\"\r\n\
                 Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            // Who reads no further hangs up.
            let _ = stream.write_all(&vec![b'x'; sent]).await;
        });
        let address = BucketAddress::new(Provider::S3, &host, true, "charts", None).unwrap();
        let options = BucketOptions {
            address,
            credentials: Credentials::Anonymous,
            ca: None,
            timeout: Duration::from_secs(10),
            patience: Duration::ZERO,
        };
        let (clock, clients) = (Arc::new(Stopped), Clients::default());
        let bucket = Bucket::reading(&options, clock, &clients, longest).unwrap();
        let found = bucket.get("index.yaml").await;
        server.await.unwrap();
        found.map(|it| it.map(|it| it.body.len()))
    }

    #[tokio::test]
    async fn an_object_that_is_too_long_or_cut_is_an_error_and_never_a_shorter_one() {
        assert_eq!(read(1000, 1000, 1000).await, Ok(Some(1000)));
        let error = read(1000, 1001, 1001).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { longest: 1000, .. }), "{error}");
        let error = read(1000, 900, 800).await.unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{error}");
    }
}
