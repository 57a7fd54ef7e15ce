//! What `path::plan` says, compared with two hundred changes each that travel through the sandbox.
//!
//! Time is virtual and the git host is in memory, so intervals are as long as people have them. Each
//! change is made at a random phase of all pollers, from a fixed seed, and waited for until the
//! object carries it. The plan is made of the objects that are in the cluster then. The bounds are
//! wide enough for two hundred samples: of a uniform wait their mean is off by 4 % (one sigma).

use hopclock::model::{GroupKind, Subject};
use hopclock::path::plan::{Course, Leg, Plan, Sort, Sum};
use hopclock::path::{Graph, Snapshot, flux_kind};
use hopclock_sandbox::flux::{
    FetchFailure, FetchedCommit, Files, Flux, Reference, SourceFetcher, SourcePusher, Speeds,
    WebhookCall, Workspace,
};
use hopclock_sandbox::store::{Key, Store};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// How many changes travel each way.
const RUNS: usize = 200;
/// Longest time that fetching, building and applying take in the sandbox, for all hops of a way.
const WORK: Duration = Duration::from_secs(3);
/// Longest virtual time of a change; only one that never arrives takes it.
const HANGS: Duration = Duration::from_secs(2 * 3600);
/// The namespace of all that is Flux's.
const HOME: &str = "flux-system";

/// Repositories by their address; nobody pushes but the test.
#[derive(Clone, Default)]
struct Git(Arc<Mutex<HashMap<String, FetchedCommit>>>);

/// A cluster with Flux in it.
struct Field {
    store: Store,
    git: Git,
    flux: Flux,
}

/// What is expected of a way.
struct Way {
    /// The repository that is pushed to.
    lib: &'static str,
    /// Appliers, the last of which brings the canary.
    appliers: &'static [&'static str],
    /// Whether the Receiver is called.
    called: bool,
}

// === impl Git ===

impl Git {
    fn commit(&self, name: &str, path: &str, run: usize) {
        let mut all = self.0.lock().unwrap();
        let files = all.get(name).map(|it| it.files.clone()).unwrap_or_default();
        let mut files: Files = files;
        files.insert(path.to_owned(), canary(run).into_bytes());
        let (commit, subject) = (format!("{:040x}", run + 1), "canary".to_owned());
        all.insert(name.to_owned(), FetchedCommit { commit, signed: None, files, subject });
    }
}

impl SourceFetcher for Git {
    fn fetch(
        &self,
        url: &str,
        _credentials: Option<(&str, &str)>,
        _reference: &Reference,
    ) -> Result<FetchedCommit, FetchFailure> {
        let name = url.rsplit('/').next().unwrap();
        self.0.lock().unwrap().get(name).cloned().ok_or(FetchFailure::NotFound)
    }
}

impl SourcePusher for Git {
    fn clone_at(
        &self,
        _url: &str,
        _credentials: Option<(&str, &str)>,
        _reference: &Reference,
    ) -> Result<Box<dyn Workspace>, FetchFailure> {
        Err(FetchFailure::NotFound)
    }
}

// === impl Field ===

impl Field {
    async fn start(objects: Vec<Value>) -> Self {
        let (store, git) = (Store::new(), Git::default());
        for (name, path) in [("fleet", "apps/a.yaml"), ("fleet", "other/a.yaml"), ("lib", "a.yaml")]
        {
            git.commit(name, path, 0);
        }
        for object in objects {
            store.create(object, "test").unwrap();
        }
        let speeds = Speeds { jitter_seed: Some(7), ..Speeds::default() };
        let flux = Flux::start(store.clone(), Arc::new(git.clone()), speeds).await.unwrap();
        Self { store, git, flux }
    }

    async fn call(&self) {
        let receiver = self.store.get(&Key::new("Receiver", HOME, "push")).unwrap();
        let uri = receiver["status"]["webhookPath"].as_str().unwrap();
        let headers = http::HeaderMap::new();
        let answer = self.flux.call_webhook(&WebhookCall { uri, headers, body: b"{}" }).await;
        assert_eq!(answer.unwrap(), 200);
    }

    /// How long changes take from the push until they are live, in an order of their own.
    async fn travel(&self, way: &Way, longest: Duration) -> Vec<Duration> {
        let mut dice = fastrand::Rng::with_seed(11);
        let live = Key::new("ConfigMap", "default", "canary");
        let path = if way.lib == "lib" { "a.yaml" } else { "apps/a.yaml" };
        let mut lengths = Vec::new();
        for run in 1..=RUNS {
            tokio::time::sleep(longest.mul_f64(1.0 + dice.f64())).await;
            let mut watch = self.store.watch_kind("ConfigMap", self.store.version());
            let push = Instant::now();
            self.git.commit(way.lib, path, run);
            if way.called {
                self.call().await;
            }
            let shown = run.to_string();
            let arrived = async {
                loop {
                    let change = watch.next().await.unwrap();
                    if change.key == live && change.object["data"]["run"] == shown.as_str() {
                        break change.at;
                    }
                }
            };
            let arrived = tokio::time::timeout(HANGS, arrived).await;
            let arrived = arrived.unwrap_or_else(|_| panic!("change {run} is never live"));
            lengths.push(arrived.duration_since(push));
        }
        lengths.sort();
        lengths
    }

    /// The plan of a way through what is in the cluster now.
    fn plan(&self, way: &Way) -> Plan {
        let mut snapshot = Snapshot::default();
        for kind in ["GitRepository", "Kustomization", "Receiver"] {
            let all = self.store.list(kind, None).0;
            snapshot.add(&flux_kind(kind), all.iter().map(|it| (**it).clone()).collect());
        }
        let source = |name: &str| Subject::local(GroupKind::git_repository(), HOME, name);
        let leg = |sort, subject: Subject, after: &[usize]| Leg {
            name: subject.name.clone(),
            sort,
            subject,
            after: after.to_vec(),
            within: None,
            needed: true,
        };
        let mut legs = vec![leg(Sort::Member, source("fleet"), &[])];
        for name in way.appliers {
            let applier = Subject::local(GroupKind::kustomization(), HOME, name);
            legs.push(leg(Sort::Member, applier, &[legs.len() - 1]));
        }
        let canary = Subject::local(GroupKind::new("", "ConfigMap"), "default", "canary");
        legs.push(leg(Sort::Arrival, canary, &[0]));
        let course = Course {
            legs,
            entry: Some(source(way.lib)),
            until: None,
            within: None,
            objective: 0.99,
            deadline: Duration::from_secs(3600),
            jitter: None,
            requeue: Duration::from_secs(30),
        };
        Plan::of(&Graph::of(snapshot), &course)
    }
}

/// Compares what was measured with what was planned.
fn compare(lengths: &[Duration], planned: &Sum) {
    assert_eq!(lengths.len(), RUNS);
    let mean = lengths.iter().sum::<Duration>() / u32::try_from(RUNS).unwrap();
    let (expected, worst) = (planned.expected(), planned.worst());
    let near = expected.mul_f64(0.85)..=expected.mul_f64(1.15) + WORK;
    assert!(near.contains(&mean), "{mean:?} is not {expected:?}, as was planned");
    let longest = *lengths.last().unwrap();
    assert!(longest <= worst + WORK, "{longest:?} is longer than the worst, {worst:?}");
    // With two hundred changes some wait almost as long as the plan says that any does.
    assert!(longest >= planned.quantile(0.95), "none of {RUNS} waits more than {longest:?}");
    for share in [0.25, 0.5, 0.75, 0.95] {
        let most = planned.quantile(share) + WORK;
        let found = lengths.iter().filter(|it| **it <= most).count();
        #[expect(clippy::cast_precision_loss, reason = "two hundred")]
        let found = found as f64 / RUNS as f64;
        // Four sigma of a share of two hundred are 14 % at most.
        assert!((found - share).abs() < 0.14, "{found} of the waits are below {most:?}: {share}");
    }
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"kind": kind, "metadata": {"namespace": HOME, "name": name}, "spec": spec})
}

fn source(name: &str, interval: &str, include: &Value) -> Value {
    let url = format!("http://git.example/{name}");
    let spec = json!({"interval": interval, "url": url, "ref": {"branch": "main"},
        "timeout": "60s", "include": include});
    object("GitRepository", name, &spec)
}

fn applier(name: &str, folder: &str, interval: &str, depends: &Value) -> Value {
    let reference = json!({"kind": "GitRepository", "name": "fleet"});
    let spec = json!({"interval": interval, "path": folder, "prune": true, "force": false,
        "wait": true, "sourceRef": reference, "dependsOn": depends});
    object("Kustomization", name, &spec)
}

fn canary(run: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: canary\n  namespace: default\n\
         data:\n  run: \"{run}\"\n"
    )
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Lets the first delivery pass.
async fn settled(objects: Vec<Value>) -> Field {
    let field = Field::start(objects).await;
    tokio::time::sleep(minutes(40)).await;
    let canary = Key::new("ConfigMap", "default", "canary");
    assert!(field.store.get(&canary).is_some(), "nothing was delivered");
    field
}

#[tokio::test(start_paused = true)]
async fn two_hundred_changes_wait_for_an_interval_as_planned() {
    let objects =
        vec![source("fleet", "10m", &json!([])), applier("apps", "./apps", "1h", &json!([]))];
    let field = settled(objects).await;
    let way = Way { lib: "fleet", appliers: &["apps"], called: false };
    let planned = field.plan(&way).total[0].1.clone().unwrap();
    assert_eq!(planned.worst(), Duration::from_secs(630));
    compare(&field.travel(&way, minutes(10)).await, &planned);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_changes_that_a_webhook_announces_wait_for_nothing_as_planned() {
    let resources = json!([{"kind": "GitRepository", "name": "fleet"}]);
    let spec = json!({"type": "generic", "interval": "10m", "resources": resources,
        "secretRef": {"name": "token"}});
    let secret = json!({"kind": "Secret", "metadata": {"namespace": HOME, "name": "token"},
        "stringData": {"token": "word"}});
    let objects = vec![
        source("fleet", "10m", &json!([])),
        applier("apps", "./apps", "1h", &json!([])),
        secret,
        object("Receiver", "push", &spec),
    ];
    let field = settled(objects).await;
    let way = Way { lib: "fleet", appliers: &["apps"], called: true };
    let plan = field.plan(&way);
    let [(_, Some(with)), (_, Some(lost))] = plan.total.as_slice() else { panic!("{plan:?}") };
    assert_eq!((with.worst(), lost.worst()), (Duration::ZERO, Duration::from_secs(630)));
    let lengths = field.travel(&way, minutes(10)).await;
    assert!(lengths.iter().all(|it| *it <= WORK), "{:?}", lengths.last());
    // The same changes, and nobody calls.
    let silent = Way { called: false, ..way };
    let field = settled(vec![
        source("fleet", "10m", &json!([])),
        applier("apps", "./apps", "1h", &json!([])),
    ])
    .await;
    compare(&field.travel(&silent, minutes(10)).await, lost);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_changes_behind_two_dependencies_wait_for_their_requeues_as_planned() {
    let objects = vec![
        source("fleet", "2m", &json!([])),
        applier("crds", "./other", "1h", &json!([])),
        applier("infra", "./other", "1h", &json!([{"name": "crds"}])),
        applier("apps", "./apps", "1h", &json!([{"name": "infra"}])),
    ];
    let field = settled(objects).await;
    let named: [&'static [&'static str]; 2] = [&["crds", "infra", "apps"], &["apps"]];
    for appliers in named {
        let way = Way { lib: "fleet", appliers, called: false };
        let planned = field.plan(&way).total[0].1.clone().unwrap();
        assert_eq!(planned.least(), Duration::from_secs(60));
        assert_eq!(planned.worst(), Duration::from_secs(126 + 60));
    }
    let way = Way { lib: "fleet", appliers: &["apps"], called: false };
    let planned = field.plan(&way).total[0].1.clone().unwrap();
    let lengths = field.travel(&way, minutes(2)).await;
    assert!(lengths[0] >= planned.least(), "{:?}", lengths[0]);
    compare(&lengths, &planned);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_changes_wait_for_three_pollers_in_a_row_as_planned() {
    let include = json!([{"repository": {"name": "lib"}, "toPath": "apps"}]);
    let objects = vec![
        source("lib", "5m", &json!([])),
        source("fleet", "10m", &include),
        applier("apps", "./apps", "7m", &json!([])),
    ];
    let field = settled(objects).await;
    let way = Way { lib: "lib", appliers: &["apps"], called: false };
    let planned = field.plan(&way).total[0].1.clone().unwrap();
    assert_eq!(planned.worst(), minutes(22) + Duration::from_secs(66));
    compare(&field.travel(&way, minutes(10)).await, &planned);
}
