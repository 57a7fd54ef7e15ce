//! Runs in flight: a trigger that moves its own objects the way Flux does, and remembers when.

use hopclock::cluster::Cluster;
use hopclock::engine::{Errands, Job, Plan, PlannedHop};
use hopclock::hop::{Applied, Detector, Live, LiveConfig, Place, SourceFetched};
use hopclock::model::{
    Ancestry, CanaryId, Clock, Event, GroupKind, Observer, Requirement, Revision, SourceKind,
    Subject, When,
};
use hopclock::trigger::{Error, Published, Trigger};
use hopclock_sandbox::store::{Key, Part, Store};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// Namespace of all objects.
pub(crate) const NAMESPACE: &str = "bench";

/// When a run's push was made, and when its objects really moved.
pub(crate) type Truth = Arc<Mutex<Vec<(&'static str, Instant)>>>;

/// Moves a lane's objects after its "push".
pub(crate) struct Mover {
    store: Store,
    clock: Arc<dyn Clock>,
    name: String,
    canary: Mutex<Option<CanaryId>>,
    truth: Truth,
}

/// Records nothing.
pub(crate) struct Nobody;

impl Observer for Nobody {
    fn observe(&self, _: &Event) {}
}

// === impl Mover ===

impl Mover {
    pub(crate) fn new(store: &Store, clock: &Arc<dyn Clock>, name: &str) -> (Arc<Self>, Truth) {
        let truth = Truth::default();
        let mover = Self {
            store: store.clone(),
            clock: clock.clone(),
            name: name.to_owned(),
            canary: Mutex::default(),
            truth: truth.clone(),
        };
        (Arc::new(mover), truth)
    }

    fn commit(&self) -> String {
        let canary = self.canary.lock().expect("nobody panics here").clone();
        format!("{:040x}", canary.map_or(0, |it| it.sequence()))
    }
}

#[async_trait::async_trait]
impl Trigger for Mover {
    fn lane(&self) -> String {
        "lane".to_owned()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        Ok(None)
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        *self.canary.lock().expect("nobody panics here") = Some(canary.clone());
        Ok(vec![Revision::Commit(self.commit())])
    }

    async fn publish(&self, _: &(dyn Fn(Vec<Revision>) + Send + Sync)) -> Result<Published, Error> {
        let now = self.clock.now();
        self.truth.lock().expect("nobody panics here").push(("zero", Instant::now()));
        let canary = self.canary.lock().expect("nobody panics here").clone().expect("prepared");
        let revision = format!("main@sha1:{}", self.commit());
        let (store, name, truth) = (self.store.clone(), self.name.clone(), self.truth.clone());
        tokio::spawn(async move {
            let steps: [(&str, &str, Value, Part); 3] = [
                (
                    "source_fetched",
                    "GitRepository",
                    json!({"status": {"artifact": {"revision": revision}}}),
                    Part::Status,
                ),
                ("live", "ConfigMap", json!({"data": {"canary": canary.to_string()}}), Part::Whole),
                (
                    "applied",
                    "Kustomization",
                    json!({"status": {"lastAppliedRevision": revision}}),
                    Part::Status,
                ),
            ];
            for (hop, kind, patch, part) in steps {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(300..900))).await;
                let key = Key::new(kind, NAMESPACE, &name);
                store.merge(&key, &patch, part, "bench").expect("the object is there");
                let at = store.changes().iter().rev().find(|it| it.key == key).map(|it| it.at);
                truth.lock().expect("nobody panics here").push((hop, at.expect("it was written")));
            }
        });
        Ok(Published { sent: now, zero: When::at(now), attempts: 1 })
    }

    async fn recover(&self, _: &CanaryId, _: &[Revision]) -> Result<Option<Vec<Revision>>, Error> {
        Ok(None)
    }

    async fn ancestry(&self, _: &Revision) -> Ancestry {
        Ancestry::Unknown
    }
}

/// Writes the objects of a lane.
pub(crate) fn create(store: &Store, name: &str) {
    let objects = [
        ("source.toolkit.fluxcd.io/v1", "GitRepository", json!({"interval": "1m"})),
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", json!({"interval": "10m"})),
    ];
    for (version, kind, spec) in objects {
        let object = json!({"apiVersion": version, "kind": kind, "spec": spec,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded"}]}});
        store.create(object, "bench").expect("a new object");
    }
    let canary = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"canary": "none"},
        "metadata": {"name": name, "namespace": NAMESPACE}});
    store.create(canary, "bench").expect("a new object");
}

/// A run over a lane.
pub(crate) fn job(cluster: &Cluster, trigger: Arc<dyn Trigger>, name: &str, wait: Duration) -> Job {
    let hop = |hop: &str, kind: GroupKind, place, after, detector: Arc<dyn Detector>| PlannedHop {
        name: hop.to_owned(),
        subject: Arc::new(Subject::local(kind, NAMESPACE, name)),
        place,
        after,
        within: None,
        need: Requirement::Required,
        detector,
        witnesses: Vec::new(),
    };
    let (source, applier) = (GroupKind::git_repository(), GroupKind::kustomization());
    let live = Arc::new(Live::new(&LiveConfig::default()));
    let plan = Plan {
        scenario: name.to_owned(),
        deadline: wait,
        within: None,
        until: None,
        hops: vec![
            hop(
                "source_fetched",
                source,
                Place::Fetch,
                vec![],
                Arc::new(SourceFetched(SourceKind::Git)),
            ),
            hop("applied", applier, Place::Apply, vec![0], Arc::new(Applied)),
            hop("live", GroupKind::new("", "ConfigMap"), Place::Live, vec![0], live),
        ],
        bystanders: Vec::new(),
    };
    let watches = Arc::new(cluster.clone());
    Job {
        plan: Arc::new(plan),
        trigger,
        watches,
        instance: "bench".to_owned(),
        errands: Errands::new(),
        trace: None,
    }
}
