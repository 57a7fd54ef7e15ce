//! A repository in an OCI registry: its tags, its manifests, and a tag pushed to it.
//!
//! What makes a change visible is one request, the manifest under its tag. So everything before it
//! is uploaded apart from it, and the instants are taken around it alone. Every request is counted:
//! registries limit them, and a canary must not eat up what people need.

mod archive;
mod artifact;
mod challenge;
mod credentials;
mod error;
mod http;
mod manifest;
mod refusal;
mod repository;
mod tags;
mod token;
mod upload;

use crate::model::{Clock, Moment, Usage};
use crate::remote::client::client;
use crate::remote::meter::Meter;
use http::{Ask, NoAnswer, Session};
use manifest::digest_of;
use refusal::{body_of, is_about_the_type};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use archive::{archive, fits_archive};
pub use artifact::{Artifact, Blob};
pub use credentials::Credentials;
pub use error::{Deed, Error, PublishError};
pub use manifest::Manifest;
pub use repository::Repository;

const USER_AGENT: &str = concat!("hopclock/", env!("CARGO_PKG_VERSION"));

/// The header that names the digest of what was asked for.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// Every type of manifest that we can carry from one tag to another.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// Which repository, and how to get there.
#[derive(Clone)]
pub struct RegistryOptions {
    /// The repository.
    pub repository: Repository,
    /// What to prove ourselves with.
    pub credentials: Credentials,
    /// Further certificate authorities, in PEM.
    pub ca: Option<Vec<u8>>,
    /// The most that will be done: one token is asked for, with these rights.
    pub rights: Rights,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long one operation may wait when the registry asks for patience (429).
    pub patience: Duration,
}

/// What a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// Reading.
    Pull,
    /// Reading and pushing.
    Push,
    /// Reading, pushing and deleting.
    Delete,
}

/// A manifest that the registry has acknowledged under a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// What the tag resolves to.
    pub digest: String,
    /// When the manifest was sent.
    pub sent: Moment,
    /// When the answer had arrived.
    pub acknowledged: Moment,
}

/// What came of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// It was not there.
    WasNotThere,
}

/// A repository in a registry. Not for printing: it holds credentials.
#[derive(Clone)]
pub struct Registry {
    session: Arc<Session>,
}

// === impl Rights ===

impl Rights {
    /// The words of token servers.
    fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
            Self::Delete => "pull,push,delete",
        }
    }

    fn deed(self) -> Deed {
        match self {
            Self::Pull => Deed::Pull,
            Self::Push => Deed::Push,
            Self::Delete => Deed::Delete,
        }
    }
}

// === impl Registry ===

impl Registry {
    /// Checks the options. Asks nothing of the registry.
    ///
    /// # Errors
    /// For an authority or credentials that cannot be used.
    pub fn open(options: RegistryOptions, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let RegistryOptions { repository, credentials, ca, rights, timeout, patience } = options;
        let registry = repository.host().to_owned();
        credentials.basic_header(&registry)?;
        let client = client(USER_AGENT, ca.as_deref(), timeout)
            .map_err(|_| Error::BadAuthority { registry })?;
        Ok(Self {
            session: Arc::new(Session {
                client,
                clock,
                repository,
                credentials,
                rights,
                timeout,
                patience,
                learned: Mutex::default(),
                meter: Meter::default(),
            }),
        })
    }

    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.session.repository
    }

    /// What was asked of the registry so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.session.meter.usage()
    }

    /// The instant, by the clock that stamps pushes.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.session.clock.now()
    }

    /// Asks whether a registry answers there and takes our credentials.
    ///
    /// # Errors
    /// When it does not.
    pub async fn probe(&self) -> Result<(), Error> {
        let ask = Ask::new(Method::GET, self.session.repository.base().to_string());
        let answer = self.session.ask(&ask).await.map_err(|it| it.why)?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(self.session.refusal(Deed::Probe, answer.status, &body_of(&answer.body), None))
    }

    /// What a tag resolves to; none if it is not there. One small request.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn digest(&self, tag: &str) -> Result<Option<String>, Error> {
        let ask = self.manifest_ask(Method::HEAD, tag)?.with(ACCEPT, MANIFESTS);
        let answer = self.session.ask(&ask).await.map_err(|it| it.why)?;
        let digest = answer.headers.get(CONTENT_DIGEST).and_then(|it| it.to_str().ok());
        match (answer.status, digest) {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (StatusCode::OK, Some(digest)) => Ok(Some(refusal::tame(digest))),
            (StatusCode::OK, None) => match self.manifest(tag).await {
                Ok(manifest) => Ok(Some(manifest.digest())),
                Err(Error::NoManifest { .. }) => Ok(None),
                Err(why) => Err(why),
            },
            (status, _) => {
                Err(self.session.refusal(Deed::Pull, status, &body_of(&answer.body), Some(tag)))
            }
        }
    }

    /// The manifest under a tag or digest, as it lies there.
    ///
    /// # Errors
    /// When it is not there, or the registry cannot be asked.
    pub async fn manifest(&self, reference: &str) -> Result<Manifest, Error> {
        let ask = self.manifest_ask(Method::GET, reference)?.with(ACCEPT, MANIFESTS);
        let answer = self.session.ask(&ask).await.map_err(|it| it.why)?;
        if answer.status != StatusCode::OK {
            let said = body_of(&answer.body);
            return Err(self.session.refusal(Deed::Pull, answer.status, &said, Some(reference)));
        }
        let media_type = answer.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let media_type = media_type.and_then(|it| it.split(';').next()).unwrap_or_default().trim();
        if !media_type.contains("manifest") && !media_type.contains("index") {
            let (registry, status) = (self.session.registry(), answer.status.as_u16());
            return Err(Error::NotARegistry { registry, status });
        }
        let found = digest_of(&answer.body);
        let named = answer.headers.get(CONTENT_DIGEST).and_then(|it| it.to_str().ok());
        let wanted = if reference.starts_with("sha256:") { Some(reference) } else { named };
        if wanted.is_some_and(|it| it.starts_with("sha256:") && it != found) {
            let repository = self.session.repository.to_string();
            return Err(Error::WrongDigest { repository, reference: reference.to_owned(), found });
        }
        Ok(Manifest::new(answer.body.to_vec(), media_type))
    }

    /// Puts a manifest under a tag: what makes a change visible. Its blobs have to be there. With
    /// the manifest of another tag, that is a retag.
    ///
    /// # Errors
    /// When nothing was published, or when nobody knows ([`PublishError::NoAnswer`]).
    pub async fn publish(&self, tag: &str, manifest: &Manifest) -> Result<Published, PublishError> {
        let ask = self
            .manifest_ask(Method::PUT, tag)?
            .with(CONTENT_TYPE, manifest.media_type())
            .sending(manifest.bytes().to_vec());
        let no_answer =
            |sent, why| PublishError::NoAnswer { tag: tag.to_owned(), sent, why: Box::new(why) };
        let answer = match self.session.ask(&ask).await {
            Ok(answer) => answer,
            Err(NoAnswer { sent: Some(sent), why }) => return Err(no_answer(sent, why)),
            Err(NoAnswer { sent: None, why }) => return Err(why.into()),
        };
        let (status, said) = (answer.status, body_of(&answer.body));
        if status.is_success() {
            let (sent, acknowledged) = (answer.sent, answer.received);
            return Ok(Published { digest: manifest.digest(), sent, acknowledged });
        }
        if is_about_the_type(status, &said) {
            let (registry, media_type) =
                (self.session.registry(), manifest.media_type().to_owned());
            return Err(Error::RefusedType { registry, media_type, said: said.message }.into());
        }
        let why = self.session.refusal(Deed::Push, status, &said, Some(tag));
        // A gateway's error may hide a push that was carried out behind it.
        if status.is_server_error() { Err(no_answer(answer.sent, why)) } else { Err(why.into()) }
    }

    /// Removes a tag and leaves what it resolves to. Not every registry can: those of Docker's own
    /// kind only delete manifests.
    ///
    /// # Errors
    /// When it is refused, or the registry cannot be asked.
    pub async fn delete_tag(&self, tag: &str) -> Result<Removal, Error> {
        self.delete(tag).await
    }

    /// Removes a manifest, and with it **every** tag that resolves to it: only for what hopclock
    /// itself has made.
    ///
    /// # Errors
    /// When it is refused, or the registry cannot be asked.
    pub async fn delete_manifest(&self, digest: &str) -> Result<Removal, Error> {
        self.delete(digest).await
    }

    async fn delete(&self, reference: &str) -> Result<Removal, Error> {
        let ask = self.manifest_ask(Method::DELETE, reference)?;
        let answer = self.session.ask(&ask).await.map_err(|it| it.why)?;
        match answer.status {
            status if status.is_success() => Ok(Removal::Removed),
            StatusCode::NOT_FOUND => Ok(Removal::WasNotThere),
            status => {
                let said = body_of(&answer.body);
                Err(self.session.refusal(Deed::Delete, status, &said, Some(reference)))
            }
        }
    }

    fn manifest_ask(&self, method: Method, reference: &str) -> Result<Ask, Error> {
        let repository = &self.session.repository;
        let part = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
        let name = reference.strip_prefix("sha256:").unwrap_or(reference);
        let fits = (1..=128).contains(&name.len())
            && name.chars().all(part)
            && !name.starts_with(['.', '-']);
        if !fits {
            let (repository, tag) = (repository.to_string(), refusal::tame(reference));
            return Err(Error::BadTag { repository, tag });
        }
        Ok(Ask::new(method, repository.url(&format!("manifests/{reference}"))))
    }
}
