//! An OCI registry on loopback: the distribution API, accounts, webhooks and faults.
//!
//! It is a registry of its own and not a wrapped one, because faults, limits and the instant at
//! which a tag became visible have to be known from inside. Every moved tag is stamped under the
//! lock that readers take, which makes the registry the judge of a stopwatch.

mod answer;
mod artifact;
mod blobs;
mod content;
mod fault;
mod gate;
mod manifests;
mod place;
mod refusal;
mod webhook;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::broadcast;

use crate::charts::Chart;
use crate::git::WebhookFault;
use crate::loopback::{self, Server, tls};

pub use artifact::{Artifact, archive_of};
pub use content::{Deletion, Rules, TagUpdate, UpdatedBy};
pub use fault::{Fault, FaultRule, RequestRecord, Route};
pub use gate::{Account, Gate, Rights, Scheme};
pub use webhook::{Delivery, Webhook, WebhookFormat};

/// The media type of a chart's metadata.
const CHART_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";

/// The media type of a chart.
pub(crate) const CHART_CONTENT: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// How a registry is started; the default is plain HTTP on a free port.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Serves HTTPS with a certificate of an authority made for this registry alone.
    pub tls: bool,
    /// The port on loopback, 0 for a free one.
    pub port: u16,
}

/// A running registry; clones are the same registry, the last one dropped ends it.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    server: Server<Shared>,
}

/// What every connection of one registry sees.
struct Shared {
    host: String,
    scheme: &'static str,
    authority: Option<tls::Authority>,
    client: reqwest::Client,
    runtime: Handle,
    moved: broadcast::Sender<TagUpdate>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, content::Repository>,
    rules: BTreeMap<String, Rules>,
    webhooks: BTreeMap<String, Vec<Webhook>>,
    gate: Gate,
    tokens: gate::Tokens,
    faults: Vec<FaultRule>,
    requests: Vec<RequestRecord>,
    updates: Vec<TagUpdate>,
    deliveries: Vec<Delivery>,
    uploads: u64,
}

/// Why a registry could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port could not be had.
    #[error("the sandbox's registry cannot listen on 127.0.0.1:{port}: free the port or take 0")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// No certificate could be made or served.
    #[error("the sandbox's registry cannot make its certificate: {0}")]
    Certificate(String),
    /// There is no such tag.
    #[error("the sandbox's registry has no tag `{tag}` in `{repository}`: push it first")]
    UnknownTag {
        /// The repository that was looked at.
        repository: String,
        /// The tag that is not there.
        tag: String,
    },
}

impl Registry {
    /// Starts a registry without content; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the port is taken or no certificate can be made.
    #[expect(clippy::unused_async, reason = "it needs a runtime, and says so by being async")]
    pub async fn start(options: RegistryOptions) -> Result<Self, Error> {
        let authority = options.tls.then(tls::Authority::new).transpose();
        let authority = authority.map_err(Error::Certificate)?;
        let acceptor = authority.as_ref().map(tls::Authority::acceptor).transpose();
        let acceptor = acceptor.map_err(Error::Certificate)?;
        let failed = |source| Error::Listen { port: options.port, source };
        let bound = loopback::bind(options.port).map_err(failed)?;
        let shared = Arc::new(Shared {
            host: bound.address.to_string(),
            scheme: if options.tls { "https" } else { "http" },
            authority,
            client: webhook::client(),
            runtime: Handle::current(),
            moved: broadcast::channel(1024).0,
            state: Mutex::default(),
        });
        let server = Server::start(bound, acceptor, shared.clone());
        Ok(Self { inner: Arc::new(Inner { shared, server }) })
    }

    /// Address and port, as image names begin.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.inner.shared.host
    }

    /// Scheme, address and port, without a final slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.inner.shared.base_url()
    }

    /// The authority that signed the registry's certificate, as PEM; none without TLS.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.inner.shared.authority.as_ref().map(tls::Authority::pem)
    }

    /// Who may do what from now on; tokens that were given out before are worth nothing.
    pub fn set_gate(&self, gate: Gate) {
        let mut state = self.inner.shared.lock();
        state.gate = gate;
        state.tokens = gate::Tokens::default();
    }

    /// Who may do what now.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.inner.shared.lock().gate.clone()
    }

    /// What a repository refuses from now on.
    pub fn set_rules(&self, repository: &str, rules: Rules) {
        self.inner.shared.lock().rules.insert(repository.to_owned(), rules);
    }

    /// Puts an image of one small layer under a tag, as somebody else's push; returns its digest.
    /// The same text makes the same image. Webhooks follow.
    #[must_use]
    pub fn push_image(&self, repository: &str, tag: &str, text: &str) -> String {
        let shared = &self.inner.shared;
        let update = shared.lock().push_image(repository, tag, text);
        let digest = update.digest.clone().unwrap_or_default();
        shared.tell(update);
        digest
    }

    /// Puts a chart under its version, as `helm push` does; returns its digest. Webhooks follow.
    #[must_use]
    pub fn push_chart(&self, repository: &str, chart: &Chart) -> String {
        let config = json!({"apiVersion": "v2", "name": chart.name, "version": chart.version,
            "appVersion": chart.app_version});
        let artifact = Artifact {
            config: (CHART_CONFIG.to_owned(), config.to_string().into_bytes()),
            layer: (CHART_CONTENT.to_owned(), chart.pack()),
            annotations: BTreeMap::new(),
        };
        // A tag cannot have the plus sign of a version.
        self.push_artifact(repository, &chart.version.replace('+', "_"), &artifact)
    }

    /// Points another tag at the image of a tag. Webhooks follow.
    ///
    /// # Errors
    /// When there is no such tag.
    pub fn retag(&self, repository: &str, tag: &str, new: &str) -> Result<(), Error> {
        let shared = &self.inner.shared;
        let update = {
            let mut state = shared.lock();
            let digest = state.digest(repository, tag).ok_or_else(|| unknown(repository, tag))?;
            state.move_tag(repository, new, Some(digest), UpdatedBy::Host)
        };
        shared.tell(update);
        Ok(())
    }

    /// Removes a tag; its image stays.
    ///
    /// # Errors
    /// When there is no such tag.
    pub fn delete_tag(&self, repository: &str, tag: &str) -> Result<(), Error> {
        let mut state = self.inner.shared.lock();
        state.digest(repository, tag).ok_or_else(|| unknown(repository, tag))?;
        state.move_tag(repository, tag, None, UpdatedBy::Host);
        Ok(())
    }

    /// The tags of a repository in alphabetical order; none if there is no such repository.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let state = self.inner.shared.lock();
        let found = state.repositories.get(repository);
        found.map(|it| it.tags.keys().cloned().collect()).unwrap_or_default()
    }

    /// The digest behind a tag.
    #[must_use]
    pub fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        self.inner.shared.lock().digest(repository, tag)
    }

    /// Media type and bytes of the manifest behind a tag or digest.
    #[must_use]
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<(String, Bytes)> {
        let state = self.inner.shared.lock();
        let (_, manifest) = state.repositories.get(repository)?.manifest(reference)?;
        Some((manifest.media_type.clone(), manifest.body.clone()))
    }

    /// The bytes of a blob.
    #[must_use]
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        self.inner.shared.lock().repositories.get(repository)?.blobs.get(digest).cloned()
    }

    /// Adds a webhook that a pushed tag of the repository sends.
    pub fn add_webhook(&self, repository: &str, webhook: Webhook) {
        let mut state = self.inner.shared.lock();
        state.webhooks.entry(repository.to_owned()).or_default().push(webhook);
    }

    /// What goes wrong with every webhook of the repository from now on; none heals them.
    pub fn set_webhook_fault(&self, repository: &str, fault: Option<WebhookFault>) {
        let mut state = self.inner.shared.lock();
        for webhook in state.webhooks.entry(repository.to_owned()).or_default() {
            webhook.fault = fault;
        }
    }

    /// Adds a fault; the first rule that fits a request is used.
    pub fn add_fault(&self, rule: FaultRule) {
        self.inner.shared.lock().faults.push(rule);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.inner.shared.lock().faults.clear();
    }

    /// Refuses connections and cuts those that exist, until [`Registry::come_back`].
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

    /// How many requests of each method and route have arrived.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(String, Route), usize> {
        let mut counts = BTreeMap::new();
        for request in &self.inner.shared.lock().requests {
            *counts.entry((request.method.to_string(), request.route)).or_insert(0) += 1;
        }
        counts
    }

    /// How many requests of one route have arrived, whatever their method.
    #[must_use]
    pub fn count(&self, route: Route) -> usize {
        self.inner.shared.lock().requests.iter().filter(|request| request.route == route).count()
    }

    /// Every webhook delivery since the start, in the order in which they ended.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.inner.shared.lock().deliveries.clone()
    }

    /// Every moved tag since the start: the truth about pushes.
    #[must_use]
    pub fn tag_updates(&self) -> Vec<TagUpdate> {
        self.inner.shared.lock().updates.clone()
    }

    /// Moved tags as they happen.
    #[must_use]
    pub fn watch_updates(&self) -> broadcast::Receiver<TagUpdate> {
        self.inner.shared.moved.subscribe()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn base_url(&self) -> String {
        format!("{}://{}", self.scheme, self.host)
    }

    /// Lets the world know of a moved tag.
    fn tell(self: &Arc<Self>, update: TagUpdate) {
        webhook::send(self, &update);
        // Nobody listening is no loss: the list has it.
        let _ = self.moved.send(update);
    }
}

fn unknown(repository: &str, tag: &str) -> Error {
    Error::UnknownTag { repository: repository.to_owned(), tag: tag.to_owned() }
}
