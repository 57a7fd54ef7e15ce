//! How far reported hop times are from the truth, idle and under load, beside what people use.

use crate::Spread;
use crate::fleet::{self, Mover, NAMESPACE, Nobody};
use hopclock::cluster::{Cluster, ClusterOptions};
use hopclock::engine::{Surroundings, SystemClock, Unwritten, run_once};
use hopclock::model::{Clock, RunRecord};
use hopclock_sandbox::api::{self, ApiServer};
use hopclock_sandbox::store::{Key, Part, Store};
use serde_json::json;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Lanes under load, each with a run in flight.
const LANES: usize = 100;
/// Updates a second of objects that no run is about.
const UPDATES: u32 = 1_000;

/// A cluster with its kubeconfig.
pub(crate) struct Lab {
    pub(crate) store: Store,
    pub(crate) server: ApiServer,
    folder: tempfile::TempDir,
}

// === impl Lab ===

impl Lab {
    pub(crate) async fn start(lanes: usize) -> Self {
        let store = Store::new();
        (0..lanes).for_each(|lane| fleet::create(&store, &lane_name(lane)));
        let tls = Some(api::Tls::self_signed().expect("a certificate"));
        let options = api::Options { tls, ..api::Options::default() };
        let server = api::serve(store.clone(), options).await.expect("a port on loopback");
        let folder = tempfile::tempdir().expect("a folder");
        let lab = Self { store, server, folder };
        lab.server.write_kubeconfig(&lab.kubeconfig()).expect("a kubeconfig");
        lab
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }
}

pub(crate) fn lane_name(lane: usize) -> String {
    format!("lane-{lane}")
}

pub(crate) async fn connect(kubeconfig: PathBuf, clock: Arc<dyn Clock>) -> Cluster {
    let options = ClusterOptions { kubeconfigs: vec![kubeconfig], ..ClusterOptions::default() };
    Cluster::connect(options, clock).await.expect("the sandbox answers")
}

/// Prints the rows of this part.
pub(crate) async fn measure() {
    let lab = Lab::start(LANES).await;
    row("error of a hop's time, idle", hops(&lab, 1, 40).await);
    let noise = tokio::spawn(disturb(lab.store.clone()));
    let name = format!("the same, {LANES} runs in flight and {UPDATES} other updates a second");
    row(&name, hops(&lab, LANES, 3).await);
    kubectl(&lab, "under that load").await;
    noise.abort();
    kubectl(&lab, "idle").await;
    polling(&lab).await;
    requests(&lab).await;
}

/// Errors of all hops of `rounds` rounds of `lanes` runs at once.
async fn hops(lab: &Lab, lanes: usize, rounds: usize) -> Vec<Duration> {
    let system = SystemClock::new();
    let clock: Arc<dyn Clock> = Arc::new(system);
    let cluster = connect(lab.kubeconfig(), clock.clone()).await;
    let mut errors = Vec::new();
    for _ in 0..rounds {
        let mut runs = JoinSet::new();
        for lane in 0..lanes {
            let (store, clock, cluster) = (lab.store.clone(), clock.clone(), cluster.clone());
            runs.spawn(async move {
                let name = lane_name(lane);
                let (mover, truth) = Mover::new(&store, &clock, &name);
                let job = fleet::job(&cluster, mover, &name, Duration::from_secs(30));
                let record = run_once(&job, &around(&clock)).await;
                let truth = truth.lock().expect("nobody panics here").clone();
                (record, truth)
            });
        }
        for (record, truth) in runs.join_all().await {
            errors.extend(errors_of(&record, &truth));
        }
    }
    errors
}

/// Distances between reported times and true ones, both from zero.
fn errors_of(record: &RunRecord, truth: &[(&'static str, Instant)]) -> Vec<Duration> {
    let Some(((_, zero), moves)) = truth.split_first() else { return Vec::new() };
    let at = |hop: &str| {
        let hop = record.hops.iter().find(|it| it.hop == hop)?;
        Some(hop.passage.at()?.most)
    };
    moves.iter().filter_map(|(hop, moved)| Some(at(hop)?.abs_diff(*moved - *zero))).collect()
}

fn around(clock: &Arc<dyn Clock>) -> Surroundings {
    Surroundings { clock: clock.clone(), journal: Arc::new(Unwritten), observer: Arc::new(Nobody) }
}

/// Updates objects of the same kinds and namespace that no run is about.
async fn disturb(store: Store) {
    for other in 0..50 {
        fleet::create(&store, &format!("other-{other}"));
    }
    let mut tick = tokio::time::interval(Duration::from_secs(1) / UPDATES);
    for count in 0_u64.. {
        tick.tick().await;
        let (kind, part) = match count % 3 {
            0 => ("GitRepository", Part::Status),
            1 => ("Kustomization", Part::Status),
            _ => ("ConfigMap", Part::Whole),
        };
        let patch = match part {
            Part::Status => json!({"status": {"count": count}}),
            Part::Whole => json!({"data": {"count": count.to_string()}}),
        };
        let key = Key::new(kind, NAMESPACE, &format!("other-{}", count % 50));
        store.merge(&key, &patch, part, "noise").expect("the object is there");
    }
}

/// What polling every 2 s gives, as the Flux CLI waits.
async fn polling(lab: &Lab) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cluster = connect(lab.kubeconfig(), clock).await;
    let kind = hopclock::model::GroupKind::kustomization();
    let subject = hopclock::model::Subject::local(kind, NAMESPACE, "lane-0");
    let mut errors = Vec::new();
    for round in 0..10 {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..2_000))).await;
        let written = write(&lab.store, &format!("poll-{round}"));
        let mut tick = tokio::time::interval(Duration::from_secs(2));
        tick.reset_after(Duration::from_millis(fastrand::u64(0..2_000)));
        loop {
            tick.tick().await;
            let object = cluster.get(&subject).await.expect("the object is there");
            if object["status"]["lastAttemptedRevision"] == format!("poll-{round}") {
                break errors.push(written.elapsed());
            }
        }
    }
    row("polling every 2 s, as the Flux CLI waits, idle", errors);
}

/// What `kubectl get -w` gives, each line stamped as it comes.
async fn kubectl(lab: &Lab, load: &str) {
    let name = format!("`kubectl get -w` with time stamps, {load}");
    let spawned = tokio::process::Command::new("kubectl")
        .args(["get", "kustomizations", "lane-0", "-n", NAMESPACE, "-w", "-o"])
        .arg("jsonpath={.status.lastAttemptedRevision}{\"\\n\"}")
        .env("KUBECONFIG", lab.kubeconfig())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut child) = spawned else { return println!("| {name} | kubectl is not here | | | |") };
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let limit = Duration::from_secs(10);
    let first = tokio::time::timeout(limit, lines.next_line()).await;
    if !matches!(first, Ok(Ok(Some(_)))) {
        return println!("| {name} | it showed nothing | | | |");
    }
    let mut errors = Vec::new();
    for round in 0..100 {
        let revision = format!("kubectl-{load}-{round}");
        let written = write(&lab.store, &revision);
        while let Ok(Ok(Some(line))) = tokio::time::timeout(limit, lines.next_line()).await {
            if line == revision {
                errors.push(written.elapsed());
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    row(&name, errors);
}

fn write(store: &Store, revision: &str) -> Instant {
    let key = Key::new("Kustomization", NAMESPACE, "lane-0");
    let patch = json!({"status": {"lastAttemptedRevision": revision}});
    let now = Instant::now();
    store.merge(&key, &patch, Part::Status, "bench").expect("the object is there");
    now
}

/// Requests to the API server for each of many runs that share their watches.
async fn requests(lab: &Lab) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cluster = connect(lab.kubeconfig(), clock.clone()).await;
    let mut counts = Vec::new();
    for _ in 0..10 {
        let before = cluster.request_count();
        let (mover, _) = Mover::new(&lab.store, &clock, "lane-0");
        let job = fleet::job(&cluster, mover, "lane-0", Duration::from_secs(30));
        run_once(&job, &around(&clock)).await;
        counts.push(cluster.request_count() - before);
    }
    let rest = counts[1..].iter().sum::<u64>();
    println!(
        "| requests to the API server: first run {}, nine further runs together {rest} | | | | |",
        counts[0]
    );
}

fn row(name: &str, errors: Vec<Duration>) {
    println!("| {name} | {} |", Spread::of(errors).cells());
}
