//! Everything together: a cluster, a git host, a registry, buckets, charts and Flux, with lanes that
//! changes travel.
//!
//! A lane is a repository with one canary, and the Flux objects that bring it into the cluster:
//! what a platform team would set aside for a synthetic change. An image lane begins one step
//! earlier, with a tag in the registry; a Helm lane ends in a release.

mod bucket;
mod helm;
mod image;
mod oci;

use crate::api::{self, ApiServer, ServeError, Tls, TlsError};
use crate::bucket::{self as bucket_host, BucketHost, BucketHostOptions};
use crate::charts::{self, ChartRepository};
use crate::flux::{Flux, Speeds};
use crate::git::{Account, Credentials, GitHost, GitHostOptions, Rights, Webhook, WebhookFormat};
use crate::registry::{self, Registry, RegistryOptions};
use crate::store::{Key, Part, Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub use bucket::{BucketLane, BucketLanePlaces, CANARY_KEY};
pub use helm::{ChartFrom, HelmLane, HelmLanePlaces, RELEASE_PATH, VALUES_PATH, Values};
pub use image::{Digests, ImageLane, ImageLanePlaces, PushTo, ScanHook};
pub use oci::{OciLane, OciLanePlaces};

/// Namespace of all Flux objects.
pub const FLUX_NAMESPACE: &str = "flux-system";
/// Namespace of all canaries.
pub const CANARY_NAMESPACE: &str = "hopclock";
/// Where a lane's canary stands in its repository.
pub const CANARY_PATH: &str = "canary/configmap.yaml";

/// The annotation by which a lane's source consents to synthetic changes.
const CONSENT: &str = "hopclock.dev/canary";
/// Whose changes a new lane consents to.
const GUEST: &str = "hopclock";

/// The canary that a lane begins with where nothing but canaries may lie.
const FIRST: &str = "hopclock-00000000000";

/// Longest time for a new lane's first delivery.
const FIRST_DELIVERY: Duration = Duration::from_secs(20);

/// A GitOps pipeline in this process. Dropping it ends it.
pub struct Sandbox {
    store: Store,
    api: ApiServer,
    hosts: Hosts,
    flux: Flux,
    folder: TempDir,
}

/// What changes are pushed to; clusters may share them.
#[derive(Clone)]
struct Hosts {
    git: GitHost,
    registry: Registry,
    charts: ChartRepository,
    bucket: BucketHost,
}

/// How a sandbox is to be.
#[derive(Clone, Debug, Default)]
pub struct SandboxOptions {
    /// How long everything takes.
    pub speeds: Speeds,
    /// How the git host is to be.
    pub git: GitHostOptions,
    /// How the registry is to be.
    pub registry: RegistryOptions,
    /// How the bucket server is to be.
    pub bucket: BucketHostOptions,
}

/// A way for changes from a repository into the cluster.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Name of its repository, Flux objects and canary.
    pub name: String,
    /// How often its source polls, in Flux's notation.
    pub interval: String,
    /// Whether pushes are announced.
    pub hook: Hook,
    /// Who may fetch and push.
    pub door: Door,
}

/// Who may use a lane's repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Everybody on this machine.
    Open,
    /// Who has the password in the lane's Secret.
    Locked,
}

/// Whether a git host's webhook reaches its Receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// There is a Receiver, but nobody calls it.
    Silent,
    /// It is called with the right secret.
    Right,
    /// It is called with a secret that is no longer the right one, and refuses.
    WrongSecret,
}

/// Why a sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The Kubernetes API could not be served.
    #[error(transparent)]
    Api(#[from] ServeError),
    /// No certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The git host could not be started.
    #[error(transparent)]
    Git(#[from] crate::git::Error),
    /// The registry could not be started.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The chart repository could not be started.
    #[error(transparent)]
    Charts(#[from] charts::Error),
    /// The bucket server could not be started.
    #[error(transparent)]
    Bucket(#[from] bucket_host::Error),
    /// Flux could not be started.
    #[error("the sandbox's Flux cannot listen on loopback: {0}")]
    Flux(io::Error),
    /// No folder for the kubeconfig.
    #[error("the sandbox cannot make a temporary folder: {0}; free some space")]
    Folder(io::Error),
    /// An object was refused.
    #[error("the sandbox refuses one of its own objects: {0}")]
    Store(#[from] StoreError),
    /// A lane delivered nothing.
    #[error("the sandbox's lane `{0}` delivered nothing in time: {1}")]
    Stuck(String, String),
}

// === impl Sandbox ===

impl Sandbox {
    /// Starts a cluster, a git host, a registry, a bucket server and Flux, without any lane.
    ///
    /// # Errors
    /// Without git, or if loopback or the temporary folder cannot be used.
    pub async fn start(options: SandboxOptions) -> Result<Self, SandboxError> {
        let git = GitHost::start(options.git).await?;
        let registry = Registry::start(options.registry).await?;
        let charts = ChartRepository::start(0).await?;
        let bucket = BucketHost::start(options.bucket).await?;
        Self::around(Hosts { git, registry, charts, bucket }, options.speeds).await
    }

    /// Starts a second cluster with a Flux of its own, which uses this one's hosts.
    ///
    /// # Errors
    /// If loopback or the temporary folder cannot be used.
    pub async fn beside(&self, speeds: Speeds) -> Result<Self, SandboxError> {
        Self::around(self.hosts.clone(), speeds).await
    }

    async fn around(hosts: Hosts, speeds: Speeds) -> Result<Self, SandboxError> {
        let folder = TempDir::new().map_err(SandboxError::Folder)?;
        let store = Store::new();
        let tls = Some(Tls::self_signed()?);
        let api = api::serve(store.clone(), api::Options { tls, ..Default::default() }).await?;
        api.write_kubeconfig(&folder.path().join("kubeconfig"))?;
        let flux = Flux::start(store.clone(), Arc::new(hosts.git.clone()), speeds).await;
        let flux = flux.map_err(SandboxError::Flux)?;
        for namespace in ["default", FLUX_NAMESPACE, CANARY_NAMESPACE] {
            let object = json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": namespace}});
            store.create(object, "sandbox")?;
        }
        Ok(Self { store, api, hosts, flux, folder })
    }

    /// Adds a lane, and returns the address of its repository once its first canary is applied.
    ///
    /// # Errors
    /// If the lane is there already, or delivers nothing.
    pub async fn add_lane(&self, lane: &Lane) -> Result<String, SandboxError> {
        let canary = canary(&lane.name, "none");
        let files =
            [(CANARY_PATH, canary.as_str()), ("README.md", "A lane of hopclock's sandbox.\n")];
        let url = self.hosts.git.create_repository(&lane.name, &files, "main")?;
        let password = secret();
        if lane.door == Door::Locked {
            self.lock_repository(&url, &password)?;
        }
        let token = secret();
        for object in git_objects(&lane.name, &lane.interval, &url, [&password, &token]) {
            self.store.create(object, "sandbox")?;
        }
        self.applied(&lane.name).await?;
        self.hook_up(&lane.name, lane.hook, &url, &token).await?;
        Ok(url)
    }

    /// Has a lane consent to the changes of another installation than the usual one, or to
    /// nobody's: its source, and its image policy or chart repository if it has one.
    ///
    /// # Errors
    /// If there is no such lane.
    pub fn consent(&self, lane: &str, guest: Option<&str>) -> Result<(), SandboxError> {
        let patch = json!({"metadata": {"annotations": {CONSENT: guest}}});
        for kind in ["ImagePolicy", "HelmRepository"] {
            let key = Key::new(kind, FLUX_NAMESPACE, lane);
            if self.store.get(&key).is_some() {
                self.store.merge(&key, &patch, Part::Whole, "sandbox")?;
            }
        }
        let bucket = Key::new("Bucket", FLUX_NAMESPACE, lane);
        let git = Key::new("GitRepository", FLUX_NAMESPACE, lane);
        let key = if self.store.get(&bucket).is_some() { bucket } else { git };
        self.store.merge(&key, &patch, Part::Whole, "sandbox")?;
        Ok(())
    }

    /// The objects of the cluster.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The Kubernetes API.
    #[must_use]
    pub fn api(&self) -> &ApiServer {
        &self.api
    }

    /// The git host.
    #[must_use]
    pub fn git(&self) -> &GitHost {
        &self.hosts.git
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.hosts.registry
    }

    /// The chart repository.
    #[must_use]
    pub fn charts(&self) -> &ChartRepository {
        &self.hosts.charts
    }

    /// The bucket server.
    #[must_use]
    pub fn bucket(&self) -> &BucketHost {
        &self.hosts.bucket
    }

    /// The controllers.
    #[must_use]
    pub fn flux(&self) -> &Flux {
        &self.flux
    }

    /// A kubeconfig for an administrator; it goes with the sandbox.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Lets only the owner of a password into a repository.
    fn lock_repository(&self, url: &str, password: &str) -> Result<(), SandboxError> {
        let credentials = Credentials::basic(GUEST, password);
        self.hosts.git.set_accounts(url, vec![Account { credentials, rights: Rights::Write }])?;
        Ok(())
    }

    async fn applied(&self, lane: &str) -> Result<(), SandboxError> {
        let is_applied = |it: &Value| it["status"]["lastAppliedRevision"].is_string();
        self.reached(lane, "Kustomization", is_applied).await
    }

    /// Waits until an object of a lane is as it should be.
    async fn reached(
        &self,
        lane: &str,
        kind: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Result<(), SandboxError> {
        let key = Key::new(kind, FLUX_NAMESPACE, lane);
        if self.until(&key, is).await {
            return Ok(());
        }
        let object = self.store.get(&key).unwrap_or_default();
        let says = format!("its {kind} says {}", object["status"]);
        Err(SandboxError::Stuck(lane.to_owned(), says))
    }

    /// Has a repository call its receiver.
    async fn hook_up(
        &self,
        lane: &str,
        hook: Hook,
        url: &str,
        token: &str,
    ) -> Result<(), SandboxError> {
        let hook_url = self.receiver_of(lane).await;
        let old = secret();
        let token = match hook {
            Hook::Silent => return Ok(()),
            Hook::Right => token,
            Hook::WrongSecret => &old,
        };
        Ok(self
            .hosts
            .git
            .add_webhook(url, Webhook::new(&hook_url, token, WebhookFormat::GitHub))?)
    }

    /// Where a receiver is called.
    async fn receiver_of(&self, name: &str) -> String {
        let key = Key::new("Receiver", FLUX_NAMESPACE, name);
        let ready = self.until(&key, |it| it["status"]["webhookPath"].is_string()).await;
        let object = self.store.get(&key).filter(|_| ready).unwrap_or_default();
        let path = object["status"]["webhookPath"].as_str().unwrap_or_default();
        format!("{}{path}", self.flux.receiver_url())
    }

    /// Waits until an object is as it should be; false if it takes too long.
    async fn until(&self, key: &Key, is: impl Fn(&Value) -> bool) -> bool {
        let mut watch = self.store.watch_kind(&key.kind, self.store.version());
        let wait = async {
            while !self.store.get(key).is_some_and(|it| is(&it)) {
                if watch.next().await.is_err() {
                    watch = self.store.watch_kind(&key.kind, self.store.version());
                }
            }
        };
        tokio::time::timeout(FIRST_DELIVERY, wait).await.is_ok()
    }
}

/// Source, applier and receiver of a repository, with the password and the token that they know.
fn git_objects(name: &str, interval: &str, url: &str, [password, token]: [&str; 2]) -> Vec<Value> {
    let metadata = |name: String| json!({"name": name, "namespace": FLUX_NAMESPACE});
    vec![
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata(format!("{name}-git")),
            "data": {"username": STANDARD.encode("hopclock"), "password": STANDARD.encode(password)}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata(format!("{name}-hook")),
            "data": {"token": STANDARD.encode(token)}}),
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": name, "namespace": FLUX_NAMESPACE, "annotations": {CONSENT: GUEST}},
            "spec": {"interval": interval, "url": url, "ref": {"branch": "main"},
                "timeout": "60s", "secretRef": {"name": format!("{name}-git")}}}),
        json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": metadata(name.to_owned()),
            "spec": {"interval": "10m", "path": "./canary", "prune": true, "wait": true,
                "force": false, "sourceRef": {"kind": "GitRepository", "name": name}}}),
        json!({"apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver",
            "metadata": metadata(name.to_owned()),
            "spec": {"type": "github", "events": ["ping", "push"], "interval": "10m",
                "secretRef": {"name": format!("{name}-hook")},
                "resources": [{"kind": "GitRepository", "name": name}]}}),
    ]
}

/// The manifest of a lane's canary.
fn canary(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  \
         namespace: {CANARY_NAMESPACE}\ndata:\n  canary: {value}\n"
    )
}

/// A secret of this process alone.
fn secret() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(32).collect()
}
