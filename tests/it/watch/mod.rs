//! Watching a cluster, over real sockets against the sandbox, and the kit that these tests share.

mod access;
mod echo;
mod gaps;
mod instants;
mod kinds;
mod proxy;
mod script;
mod secrets;
mod sharing;

use hopclock::cluster::{Cluster, ClusterOptions, Event, Following, Timing};
use hopclock::model::{Arrival, Clock, GroupKind, Moment, State, Subject};
use hopclock_sandbox::api::{ApiServer, Options, serve};
use hopclock_sandbox::store::{Key, Part, Store};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

/// How long a test waits for something that has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The runtime's clock, virtual where time is paused.
pub(super) struct RuntimeClock(pub(super) Instant);

/// A sandbox with a client that is its administrator.
pub(super) struct Lab {
    pub(super) store: Store,
    pub(super) server: ApiServer,
    pub(super) clock: Arc<RuntimeClock>,
    pub(super) folder: TempDir,
}

impl Clock for RuntimeClock {
    fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
}

impl RuntimeClock {
    pub(super) fn at(&self, instant: Instant) -> Moment {
        Moment(instant.duration_since(self.0))
    }
}

impl Lab {
    pub(super) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(super) async fn with(options: Options) -> Self {
        let store = Store::new();
        let server = serve(store.clone(), options).await.unwrap();
        let clock = Arc::new(RuntimeClock(Instant::now()));
        Self { store, server, clock, folder: tempfile::tempdir().unwrap() }
    }

    /// The sandbox as its administrator sees it, with waits short enough for a test.
    pub(super) async fn cluster(&self) -> Cluster {
        self.cluster_with(short()).await
    }

    pub(super) async fn cluster_with(&self, timing: Timing) -> Cluster {
        let kubeconfig = self.write("admin", &self.server.kubeconfig(None));
        let options =
            ClusterOptions { kubeconfigs: vec![kubeconfig], timing, ..Default::default() };
        Cluster::connect(options, self.clock.clone()).await.unwrap()
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn create(&self, name: &str) {
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"namespace": "lab", "name": name}, "spec": {}
        });
        self.store.create(object, "test").unwrap();
    }

    /// Writes a revision, and says when.
    pub(super) fn publish(&self, name: &str, revision: &str) -> Moment {
        let patch = json!({"status": {"artifact": {"revision": revision}}});
        let key = Key::new("GitRepository", "lab", name);
        self.store.merge(&key, &patch, Part::Status, "source-controller").unwrap();
        let changes = self.store.changes();
        self.clock.at(changes.last().unwrap().at)
    }

    /// Queries of all requests of a verb so far.
    pub(super) fn asked(&self, verb: &str) -> Vec<String> {
        let all = self.server.requests().into_iter().filter(|it| it.verb == verb);
        all.map(|it| it.query).collect()
    }
}

/// Waits short enough for a test.
pub(super) fn short() -> Timing {
    Timing {
        watch: Duration::from_secs(1),
        margin: Duration::from_millis(300),
        answer: Duration::from_secs(5),
        linger: Duration::from_millis(100),
        grace: Duration::from_millis(100),
        ..Timing::default()
    }
}

/// Waits so long that nothing depends on how fast the machine is: whatever was not missed is
/// certain.
pub(super) fn patient() -> Timing {
    Timing { certain_within: PATIENCE, ..Timing::default() }
}

pub(super) fn source(name: &str) -> Subject {
    Subject::local(GroupKind::git_repository(), "lab", name)
}

pub(super) fn revision(value: &Value) -> &str {
    value["status"]["artifact"]["revision"].as_str().unwrap_or("none")
}

/// The next event.
pub(super) async fn event(following: &mut Following) -> Event {
    timeout(PATIENCE, following.next()).await.expect("an event")
}

/// The next state, past all notices.
pub(super) async fn state(following: &mut Following) -> State {
    loop {
        if let Event::Seen(seen) = event(following).await {
            return seen.state;
        }
    }
}

/// Lets the watch show its first state and an event, so that nothing of its beginning is still
/// on its way.
pub(super) async fn settle(lab: &Lab, following: &mut Following, name: &str) {
    assert_eq!(state(following).await.arrival, Arrival::First);
    lab.publish(name, "settled");
    assert_eq!(revision(&state(following).await.value), "settled");
}

/// The next notice that a watch is broken, past all else.
pub(super) async fn breakage(following: &mut Following) -> hopclock::cluster::Error {
    loop {
        if let Event::Broken { error, .. } = event(following).await {
            return error;
        }
    }
}
