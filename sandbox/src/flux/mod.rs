//! Flux's controllers, as far as timing can tell: every patch, event, wait and retry in its order.
//!
//! They run in this process on an object store and a git host. What real controllers do between
//! two visible steps is a sleep of the length that was measured on real ones; everything else is
//! done: artifacts are made of real commits, manifests are built, applied, pruned and looked at.
//!
//! Not here, and refused or reported where somebody asks for it: tags by semver, CEL (filters of
//! receivers, `readyExpr`), receivers with OIDC tokens, `postBuild`, most of what a chart's
//! templates can say. Not here at all: providers other than the generic ones, finalizers, the
//! delays of a stale cache, signed commits of an automation, and of Helm its tests, hooks,
//! subcharts, post-renderers, drift detection and signed charts.

mod artifacts;
mod automation;
mod bucket;
mod chart_source;
mod context;
mod draft;
mod gotime;
mod helm;
mod kustomize;
mod notification;
pub mod oidc;
mod queue;
mod reflector;
mod registry;
mod runtime;
mod secrets;
mod semver;
mod source;
mod speeds;
mod watcher;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;
use tokio::sync::Mutex;

pub use artifacts::Artifacts;
pub use artifacts::Files;
pub(crate) use artifacts::hex;
pub use automation::PushOrder;
pub use automation::SourcePusher;
pub use automation::Workspace;
pub use notification::Event;
pub use notification::EventCounts;
pub use notification::InvolvedObject;
pub use notification::Severity;
pub use notification::TakenEvent;
pub use notification::WebhookCall;
pub use source::FetchFailure;
pub use source::FetchedCommit;
pub use source::Reference;
pub use source::SignedText;
pub use source::SourceFetcher;
pub use speeds::Speeds;

use self::automation::ImageUpdateAutomations;
use self::bucket::Buckets;
use self::chart_source::HelmCharts;
use self::chart_source::HelmRepositories;
use self::context::Context;
use self::helm::HelmReleases;
use self::helm::Storage;
use self::kustomize::Kustomizations;
use self::notification::Addresses;
use self::notification::Notifications;
use self::reflector::Database;
use self::reflector::ImagePolicies;
use self::reflector::ImageRepositories;
use self::runtime::Running;
use self::source::GitRepositories;
use self::source::OciRepositories;
use self::watcher::ArtifactGenerators;
use crate::store::Store;

/// One of the controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Controller {
    /// Follows git repositories, artifacts in registries, buckets, chart repositories and charts.
    Source,
    /// Applies what sources publish.
    Kustomize,
    /// Releases charts.
    Helm,
    /// Takes webhooks in and lets events out.
    Notification,
    /// Scans images and chooses tags.
    Reflector,
    /// Commits what was chosen.
    Automation,
    /// Composes artifacts of those of other sources.
    Watcher,
}

/// All controllers of one cluster. Clones are the same Flux; the last one dropped kills it.
#[derive(Clone)]
pub struct Flux(Arc<Inner>);

struct Inner {
    context: Arc<Context>,
    git: Arc<dyn SourcePusher>,
    receivers: SocketAddr,
    events: SocketAddr,
    running: Mutex<Processes>,
}

#[derive(Default)]
struct Processes {
    source: Vec<Running>,
    kustomize: Option<Running>,
    helm: Option<Running>,
    /// What Helm has released; it outlives the controller.
    releases: Arc<Storage>,
    notification: Option<Notifications>,
    reflector: Vec<Running>,
    automation: Option<Running>,
    watcher: Option<Running>,
    addresses: Addresses,
}

impl Controller {
    /// All of them, in the order in which they are started.
    pub const ALL: [Self; 7] = [
        Self::Notification,
        Self::Source,
        Self::Kustomize,
        Self::Helm,
        Self::Reflector,
        Self::Automation,
        Self::Watcher,
    ];
}

impl Flux {
    /// Starts all controllers on the objects of `store` and the repositories of `git`; must be
    /// called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When no port on loopback can be listened on.
    pub async fn start(
        store: Store,
        git: Arc<dyn SourcePusher>,
        speeds: Speeds,
    ) -> io::Result<Self> {
        let context = Arc::new(Context::new(store, speeds));
        let mut processes = Processes::default();
        for controller in Controller::ALL {
            processes.start(&context, &git, controller).await?;
        }
        let missing = || io::Error::other("notification-controller has no address");
        let receivers = processes.addresses.receivers.ok_or_else(missing)?;
        let events = processes.addresses.events.ok_or_else(missing)?;
        let running = Mutex::new(processes);
        Ok(Self(Arc::new(Inner { context, git, receivers, events, running })))
    }

    /// Where webhooks are taken: a receiver's `status.webhookPath` comes behind it.
    #[must_use]
    pub fn receiver_url(&self) -> String {
        format!("http://{}", self.0.receivers)
    }

    /// Where events are taken over the wire.
    #[must_use]
    pub fn event_url(&self) -> String {
        format!("http://{}/", self.0.events)
    }

    /// Handles a webhook without the wire; none if nobody listens.
    pub async fn call_webhook(&self, call: &WebhookCall<'_>) -> Option<StatusCode> {
        let running = self.0.running.lock().await;
        Some(running.notification.as_ref()?.call(call).await)
    }

    /// Starts a controller that was stopped or killed; it looks at all its objects.
    ///
    /// # Errors
    ///
    /// When notification-controller cannot have its ports back.
    pub async fn start_controller(&self, controller: Controller) -> io::Result<()> {
        let inner = &self.0;
        inner.running.lock().await.start(&inner.context, &inner.git, controller).await
    }

    /// Ends a controller after the work in its hands.
    pub async fn stop_controller(&self, controller: Controller) {
        let mut running = self.0.running.lock().await;
        match controller {
            Controller::Source => stop(std::mem::take(&mut running.source)).await,
            Controller::Kustomize => stop(running.kustomize.take()).await,
            Controller::Helm => stop(running.helm.take()).await,
            Controller::Reflector => stop(std::mem::take(&mut running.reflector)).await,
            Controller::Automation => stop(running.automation.take()).await,
            Controller::Watcher => stop(running.watcher.take()).await,
            Controller::Notification => {
                if let Some(notification) = running.notification.take() {
                    notification.stop().await;
                }
            }
        }
    }

    /// Ends a controller at once: the work in its hands is dropped where it stands, without the
    /// patches that would have ended it.
    pub async fn kill_controller(&self, controller: Controller) {
        let mut running = self.0.running.lock().await;
        match controller {
            Controller::Source => kill(std::mem::take(&mut running.source)).await,
            Controller::Kustomize => kill(running.kustomize.take()).await,
            Controller::Helm => kill(running.helm.take()).await,
            Controller::Reflector => kill(std::mem::take(&mut running.reflector)).await,
            Controller::Automation => kill(running.automation.take()).await,
            Controller::Watcher => kill(running.watcher.take()).await,
            Controller::Notification => {
                if let Some(notification) = running.notification.take() {
                    notification.stop().await;
                }
            }
        }
    }

    /// Kills a controller and starts it again.
    ///
    /// # Errors
    ///
    /// As [`Flux::start_controller`].
    pub async fn restart_controller(&self, controller: Controller) -> io::Result<()> {
        self.kill_controller(controller).await;
        self.start_controller(controller).await
    }

    /// What became of all events so far.
    #[must_use]
    pub fn events(&self) -> EventCounts {
        self.0.context.events.counts()
    }

    /// The events that were taken lately, oldest first.
    #[must_use]
    pub fn taken_events(&self) -> Vec<TakenEvent> {
        self.0.context.events.log()
    }

    /// The storage of artifacts; whoever plays a source that is not run here puts them there.
    #[must_use]
    pub fn artifacts(&self) -> &Artifacts {
        &self.0.context.artifacts
    }

    /// The speeds in force.
    #[must_use]
    pub fn speeds(&self) -> Speeds {
        self.0.context.speeds()
    }

    /// Changes the speeds, from the next step of each reconciliation on; the numbers of workers
    /// count at the next start.
    pub fn set_speeds(&self, speeds: Speeds) {
        self.0.context.set_speeds(speeds);
    }
}

impl Processes {
    async fn start(
        &mut self,
        context: &Arc<Context>,
        git: &Arc<dyn SourcePusher>,
        controller: Controller,
    ) -> io::Result<()> {
        let speeds = context.speeds();
        match controller {
            Controller::Source if self.source.is_empty() => {
                let (workers, own) = (speeds.source_workers, || context.clone());
                let repositories = GitRepositories::new(own(), git.clone());
                self.source.push(Running::start(context, repositories, workers));
                self.source.push(Running::start(context, HelmRepositories::new(own()), workers));
                self.source.push(Running::start(context, HelmCharts::new(own()), workers));
                self.source.push(Running::start(context, OciRepositories::new(own()), workers));
                self.source.push(Running::start(context, Buckets::new(own()), workers));
            }
            Controller::Kustomize if self.kustomize.is_none() => {
                let reconciler = Kustomizations::new(context.clone());
                self.kustomize =
                    Some(Running::start(context, reconciler, speeds.kustomize_workers));
            }
            Controller::Helm if self.helm.is_none() => {
                let reconciler = HelmReleases::new(context.clone(), self.releases.clone());
                self.helm = Some(Running::start(context, reconciler, speeds.helm_workers));
            }
            Controller::Reflector if self.reflector.is_empty() => {
                let (database, workers) = (Arc::<Database>::default(), speeds.reflector_workers);
                let repositories = ImageRepositories::new(context.clone(), database.clone());
                let policies = ImagePolicies::new(context.clone(), database);
                self.reflector.push(Running::start(context, repositories, workers));
                self.reflector.push(Running::start(context, policies, workers));
            }
            Controller::Automation if self.automation.is_none() => {
                let reconciler = ImageUpdateAutomations::new(context.clone(), git.clone());
                self.automation =
                    Some(Running::start(context, reconciler, speeds.automation_workers));
            }
            Controller::Watcher if self.watcher.is_none() => {
                let reconciler = ArtifactGenerators::new(context.clone());
                self.watcher = Some(Running::start(context, reconciler, speeds.watcher_workers));
            }
            Controller::Notification if self.notification.is_none() => {
                let started = Notifications::start(context, &mut self.addresses).await?;
                self.notification = Some(started);
            }
            _ => {}
        }
        Ok(())
    }
}

async fn stop(all: impl IntoIterator<Item = Running>) {
    for running in all {
        running.stop().await;
    }
}

async fn kill(all: impl IntoIterator<Item = Running>) {
    for running in all {
        running.kill().await;
    }
}
