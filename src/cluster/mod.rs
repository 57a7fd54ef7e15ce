//! The only code that talks to Kubernetes: states of objects as they come, and what we keep there.
//!
//! Everybody who follows objects of one kind in one namespace shares one watch. It is our own
//! list and watch loop, because a stopwatch has to know what others need not: when exactly an
//! event arrived, and between which two instants it must have happened if it was not heard at
//! once (rules T3, T4 and T6).

mod access;
mod api;
mod clusters;
mod config_map;
mod echo;
mod error;
mod evidence;
mod followers;
mod following;
mod hearing;
mod hub;
mod idle_lease;
mod kinds;
mod lease;
mod lines;
mod list;
mod note;
mod object;
mod proof;
mod queue;
mod refusal;
mod review;
mod rights;
mod skew;
mod stream;
mod timing;
mod track;
mod trim;
mod version;
mod watch;

use crate::cluster::api::{Api, Ask, Reply};
use crate::cluster::hub::Hub;
use crate::cluster::kinds::Served;
use crate::model::{Clock, GroupKind, ObjectName, Secret, Subject};
use k8s_openapi::ByteString;
use secrecy::SecretSlice;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use access::{ClusterOptions, KubeconfigText};
pub use api::Silence;
pub use clusters::{ClusterWay, Clusters};
pub use config_map::ConfigMap;
pub use echo::{Echo, EchoOptions, EchoState};
pub use error::{Error, Target};
pub use evidence::ObjectEvent;
pub use following::{Event, Following, Unproven};
pub use idle_lease::IdleLease;
pub use lease::{LeaseGrip, lease_name};
pub use note::{Note, Tone};
pub use review::{Deed, Reviewed, User, Verdict};
pub use rights::Permission;
pub use timing::Timing;

/// A cluster that we talk to. Clones share everything.
#[derive(Clone)]
pub struct Cluster {
    hub: Arc<Hub>,
}

/// One kind in one namespace: what one watch is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatchName {
    /// The kind.
    pub kind: GroupKind,
    /// The namespace; empty for cluster-scoped kinds.
    pub namespace: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerVersion {
    git_version: String,
}

// === impl Cluster ===

impl Cluster {
    /// Finds the API server and our credentials, and asks the server for its version.
    ///
    /// # Errors
    ///
    /// If there is no usable kubeconfig or service account, or the server cannot be reached or
    /// does not accept us.
    pub async fn connect(options: ClusterOptions, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let access = access::find(&options).await?;
        let api = Api::reach(access, options.timing, clock).await?;
        let cluster = Self { hub: Arc::new(Hub::new(Arc::new(api))) };
        cluster.server_version().await?;
        Ok(cluster)
    }

    /// Talks to an API server through `client`, which should not repeat requests by itself.
    #[must_use]
    pub fn over(client: kube::Client, timing: Timing, clock: Arc<dyn Clock>) -> Self {
        let api = Api::over(client, "in-process".to_owned(), timing, clock);
        Self { hub: Arc::new(Hub::new(Arc::new(api))) }
    }

    /// Follows `subjects`, once every watch is open and has shown its first state (rule T3). An
    /// object that does not exist has a state too: null.
    ///
    /// # Errors
    ///
    /// If a watch cannot be opened, or showed nothing within [`Timing::first_state`]. Whatever
    /// happens later is an [`Event`].
    pub async fn follow(&self, subjects: &[Subject]) -> Result<Following, Error> {
        Following::begin(&self.hub, subjects).await
    }

    /// Reads an object, as detectors see it; a Kustomization with its inventory.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchObject`] if it does not exist; else if it cannot be read.
    pub async fn get(&self, subject: &Subject) -> Result<Value, Error> {
        let missing = || Error::NoSuchObject { subject: Box::new(subject.clone()) };
        let (kind, namespace) = (&subject.kind, &subject.namespace);
        let mut object = self.read(kind, namespace, &subject.name).await?.ok_or_else(missing)?;
        trim::trim_for_one_look(&mut object);
        Ok(object)
    }

    /// Reads all objects of a kind, of one namespace or of the whole cluster; none if the API
    /// server does not serve the kind.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn all(
        &self,
        kind: &GroupKind,
        namespace: Option<&str>,
    ) -> Result<Option<Vec<Value>>, Error> {
        self.list(kind, namespace, trim::trim).await
    }

    /// The same, each as [`Self::get`] shows it: a Kustomization with its inventory. For those who
    /// look once and keep nothing.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn survey(
        &self,
        kind: &GroupKind,
        namespace: Option<&str>,
    ) -> Result<Option<Vec<Value>>, Error> {
        self.list(kind, namespace, trim::trim_for_one_look).await
    }

    async fn list(
        &self,
        kind: &GroupKind,
        namespace: Option<&str>,
        trim: fn(&mut Value),
    ) -> Result<Option<Vec<Value>>, Error> {
        match list::all(&self.hub.api, &self.hub.kinds, kind, namespace, trim).await {
            Err(Error::NoSuchKind { .. }) => Ok(None),
            objects => objects.map(Some),
        }
    }

    /// Reads a Secret.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchSecret`] if it does not exist; else if it cannot be read.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Secret, Error> {
        let missing =
            || Error::NoSuchSecret { namespace: namespace.to_owned(), name: name.to_owned() };
        let kind = GroupKind::new("", "Secret");
        let mut object = self.read(&kind, namespace, name).await?.ok_or_else(missing)?;
        let data = object["data"].as_object_mut().map(std::mem::take).unwrap_or_default();
        let values = data.into_iter().filter_map(|(key, value)| {
            let ByteString(bytes) = serde_json::from_value(value).ok()?;
            Some((key, SecretSlice::from(bytes)))
        });
        Ok(Secret::new(ObjectName::new(namespace, name), values.collect()))
    }

    /// The API server's version, such as `v1.35.1`.
    ///
    /// # Errors
    ///
    /// If it cannot be reached or does not accept us.
    pub async fn server_version(&self) -> Result<String, Error> {
        let path = "/version".to_owned();
        let target = Target { verb: "get", resource: path.clone(), ..Target::default() };
        let ask = Ask { target, path };
        let answer = self.hub.api.get(&ask).await?;
        let version: ServerVersion = self.hub.api.read(&ask, &answer.body)?;
        Ok(version.git_version)
    }

    /// The API server's address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.hub.api.server
    }

    /// That the latest request got no answer; none if it got one, whatever it said. Somebody has
    /// to ask for this to change: see [`Self::server_version`].
    #[must_use]
    pub fn silence(&self) -> Option<Silence> {
        self.hub.api.silence()
    }

    /// Requests sent to the API server so far.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.hub.api.requests()
    }

    /// How often watches were opened again so far, by kind and reason: `closed` by the server in
    /// good order, `widened` to a whole namespace, `broken`, `silent`, `garbled`, `refused`,
    /// `gone` (410), `error`, `version` (of the kind) and `behind` (found out by a proof).
    #[must_use]
    pub fn watch_restarts(&self) -> BTreeMap<(GroupKind, &'static str), u64> {
        self.hub.api.restarts()
    }

    async fn read(
        &self,
        kind: &GroupKind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, Error> {
        let served = self.hub.kinds.find(&self.hub.api, kind).await?;
        match self.read_served(&served, namespace, name).await {
            Err(error) if error.status() == Some(404) => {
                self.hub.kinds.forget(&served);
                let served = self.hub.kinds.find(&self.hub.api, kind).await?;
                self.read_served(&served, namespace, name).await
            }
            answer => answer,
        }
    }

    /// The object, none if it is the object that is missing and not its kind.
    async fn read_served(
        &self,
        served: &Served,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, Error> {
        served.check(namespace)?;
        let target = served.target("get", namespace, name);
        let ask = Ask { target, path: served.path(namespace, name) };
        let api = &self.hub.api;
        let Reply { status, answer } = api.reply(&ask).await?;
        if status == http::StatusCode::NOT_FOUND && refusal::is_about_an_object(&answer.body) {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(refusal::refused(&api.server, &ask.target, status, &answer.body));
        }
        api.read(&ask, &answer.body).map(Some)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({})", self.server())
    }
}

// === impl WatchName ===

impl fmt::Display for WatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.namespace.is_empty() {
            Ok(())
        } else {
            write!(f, " in namespace `{}`", self.namespace)
        }
    }
}
