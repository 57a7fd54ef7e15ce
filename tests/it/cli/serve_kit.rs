//! What the tests of services share: a service under way, what it says, and what it counts.

use crate::cli::exit_codes::records;
use crate::cli::kit::{SOURCE, Stage, Told, lane, scenario};
use hopclock::model::{Outcome, Passage, RunRecord};
use hopclock_sandbox::pipeline::{Door, Hook, Lane};
use hopclock_sandbox::store::Key;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Far above what anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Hops of a lane that nobody calls.
pub(crate) const QUIET: &str = "
  - source_fetched: { git_repository: flux-system/canary }
  - applied: { kustomization: flux-system/canary }
  - live: { config_map: hopclock/canary }
";

/// What says how runs ended.
const ENDS: [&str; 6] = [
    "hopclock_runs_total",
    "hopclock_probe_errors_total",
    "hopclock_slo_events_total",
    "hopclock_slo_bad_events_total",
    "hopclock_slo_unknown_total",
    "hopclock_missed_runs_total",
];

/// A service under way.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) address: String,
    said: Arc<Mutex<Vec<String>>>,
    hearing: JoinHandle<()>,
}

/// A service of one scenario, `canary`, on a lane that is fetched only when somebody asks.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) service: Running,
}

// === impl Running ===

impl Running {
    /// Starts it on the folder `scenarios`, and waits for its page.
    pub(crate) async fn start(stage: &Stage, more: &[&str]) -> Self {
        Self::begin(stage.call(&Self::arguments(more))).await
    }

    /// The arguments of a service.
    pub(crate) fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["serve", "scenarios", "--listen", "127.0.0.1:0"], more].concat()
    }

    /// Starts it by a call of one's own.
    pub(crate) async fn begin(mut call: Command) -> Self {
        let mut child = call.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(Vec::new()));
        let address = loop {
            let line = lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("it ends: {said:?}"));
            said.lock().unwrap().push(line.clone());
            let rest = line.strip_prefix("hopclock is at http://");
            if let Some((address, _)) = rest.and_then(|it| it.split_once(',')) {
                break address.to_owned();
            }
        };
        let heard = said.clone();
        let hearing = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().unwrap().push(line);
            }
        });
        Self { child, address, said, hearing }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Waits until it has said something.
    pub(crate) async fn eventually_says(&self, part: &str) {
        let said = timeout(LIMIT, async {
            while !self.said().contains(part) {
                sleep(Duration::from_millis(20)).await;
            }
        });
        let found = said.await.is_ok();
        assert!(found, "it never says `{part}`: {}", self.said());
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Waits until a page says something.
    pub(crate) async fn eventually(&self, path: &str, part: &str) -> String {
        let mut last = String::new();
        let found = timeout(LIMIT, async {
            loop {
                last = self.get(path).await;
                if last.contains(part) {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        });
        let found = found.await.is_ok();
        assert!(found, "{path} never says `{part}`: {last}\n{}", self.said());
        last
    }

    /// Waits until it is ready.
    pub(crate) async fn eventually_ready(&self) -> String {
        self.eventually("/readyz", "HTTP/1.1 200").await
    }

    /// Every series of a metric with its labels in the order of the page: `NAME LABEL LABEL`.
    /// Each scenario's runs must be accounted for (rule O4).
    pub(crate) async fn series(&self) -> BTreeMap<String, f64> {
        let text = self.get("/metrics").await;
        let mut series = BTreeMap::new();
        for line in text.lines().filter(|it| it.starts_with("hopclock_")) {
            let Some((name, value)) = line.split(" # ").next().unwrap().rsplit_once(' ') else {
                continue;
            };
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let labels = labels.split('"').skip(1).step_by(2);
            let words: Vec<_> = std::iter::once(name).chain(labels).collect();
            series.insert(words.join(" "), value.parse().unwrap_or(0.0));
        }
        assert_accounted(&series);
        series
    }

    /// The value of one series, as [`Self::series`] names it.
    pub(crate) async fn value(&self, series: &str) -> f64 {
        let all = self.series().await;
        *all.get(series).unwrap_or_else(|| panic!("no `{series}` in {all:?}"))
    }

    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let kill = format!("kill -{name} {id}");
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let status = timeout(LIMIT, self.child.wait()).await.unwrap().unwrap();
        // Its last words may still be on their way.
        timeout(LIMIT, &mut self.hearing).await.unwrap().unwrap();
        (status.code(), self.said())
    }

    /// Ends it as Kubernetes does.
    pub(crate) async fn stop(self) -> Option<i32> {
        self.signal("TERM").await;
        self.ended().await.0
    }

    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

// === impl Scene ===

impl Scene {
    /// With four seconds for each run, and three to be in time.
    pub(crate) async fn new() -> Self {
        Self::with(&silent(), &canary(QUIET)).await
    }

    /// With another lane, and another scenario.
    pub(crate) async fn with(lane: &Lane, text: &str) -> Self {
        let stage = Stage::quick(lane).await;
        write(&stage, "canary.yaml", text);
        Self::on(stage, &["--state", "file:state.sqlite"]).await
    }

    /// On a stage that is set, with state where `more` says.
    pub(crate) async fn on(stage: Stage, more: &[&str]) -> Self {
        stage.file("token", "secret");
        let service = Running::start(&stage, &[&["--token-file", "token"], more].concat()).await;
        service.eventually_ready().await;
        Self { stage, service }
    }

    /// Asks for a run, and waits for its end.
    pub(crate) async fn ask(&self) -> RunRecord {
        record(&self.trigger(&["--wait", "--output", "json"]).await)
    }

    /// Asks for a run, and meddles as soon as it has pushed.
    pub(crate) async fn ask_and(&self, meddle: impl AsyncFnOnce()) -> RunRecord {
        let mut updates = self.stage.sandbox.git().watch_updates();
        let pushed = async {
            updates.recv().await.unwrap();
            meddle().await;
        };
        tokio::join!(self.ask(), pushed).0
    }

    pub(crate) async fn trigger(&self, more: &[&str]) -> Told {
        trigger(&self.stage, &self.service, "canary", more).await
    }

    /// Has Flux fetch, as `flux reconcile` does.
    pub(crate) fn fetch(&self) {
        self.stage.fetch();
    }

    /// Waits until a Flux object of the lane is as it should be.
    pub(crate) async fn until(&self, kind: &str, is: impl Fn(&Value) -> bool) {
        let key = Key::new(kind, "flux-system", "canary");
        let store = self.stage.sandbox.store();
        let mut watch = store.watch_kind(kind, store.version());
        let wait = async {
            while !store.get(&key).is_some_and(|it| is(&it)) {
                watch.next().await.unwrap();
            }
        };
        timeout(LIMIT, wait).await.unwrap();
    }

    /// The commit that is at the tip of the lane's branch.
    pub(crate) fn tip(&self) -> String {
        self.stage.sandbox.git().tip(&self.stage.url, "main").unwrap()
    }

    /// What says how runs ended, for [`Self::counted_since`].
    pub(crate) async fn counts(&self) -> BTreeMap<String, f64> {
        let all = self.service.series().await.into_iter();
        all.filter(|it| ENDS.contains(&it.0.split(' ').next().unwrap())).collect()
    }

    /// Which series of those that say how runs ended have moved since, each by one.
    pub(crate) async fn counted_since(&self, before: &BTreeMap<String, f64>) -> Vec<String> {
        let after = self.counts().await;
        let mut counted = Vec::new();
        for (series, value) in &after {
            let more = value - before.get(series).copied().unwrap_or(0.0);
            if more != 0.0 {
                assert!((more - 1.0).abs() < 0.1, "{series} moved by {more}");
                let name = series.strip_prefix("hopclock_").unwrap();
                counted.push(name.replace(" canary", ""));
            }
        }
        counted
    }

    /// The service goes on: its next run is in time, and all that it measures is exact.
    pub(crate) async fn goes_on(&self) {
        let before = self.counts().await;
        let record = self.ask_and(async || self.fetch()).await;
        assert_eq!(record.outcome, Outcome::Ok, "{record:?}\n{}", self.service.said());
        for it in &record.hops {
            let exact = matches!(it.passage, Passage::Reached { uncertain: false, .. });
            assert!(exact, "{it:?}");
        }
        assert_eq!(self.counted_since(&before).await, ["runs_total ok", "slo_events_total total"]);
        let ready = self.service.eventually("/readyz", "the last run ended at").await;
        assert!(ready.contains("HTTP/1.1 200"), "{ready}");
    }

    /// A stop that is in order, after which history has a row for each run.
    pub(crate) async fn end(self, runs: usize) {
        assert_eq!(self.service.stop().await, Some(0));
        let arguments = ["history", "--db", "state.sqlite", "--output", "json"];
        let history = self.stage.tell(&arguments).await;
        assert_eq!(history.out.lines().count(), runs, "{history:?}");
    }
}

/// The only record of a call that waited.
pub(crate) fn record(told: &Told) -> RunRecord {
    let [record] = records(&told.out).try_into().unwrap_or_else(|_| panic!("{told:?}"));
    record
}

/// Asks a service for a run.
pub(crate) async fn trigger(stage: &Stage, at: &Running, name: &str, more: &[&str]) -> Told {
    let server = format!("http://{}", at.address);
    let arguments = ["trigger", name, "--server", &server, "--token-file", "token"];
    stage.tell(&[&arguments, more].concat()).await
}

/// A lane that is fetched only when somebody asks.
pub(crate) fn silent() -> Lane {
    lane("canary", Hook::Silent, Door::Open)
}

/// The scenario `canary` with these hops, and little time.
pub(crate) fn canary(hops: &str) -> String {
    patient(hops).replace("20s", "4s")
}

/// The same with much time until it is given up.
pub(crate) fn patient(hops: &str) -> String {
    scenario("canary", SOURCE, hops).replace("15s", "3s")
}

/// Writes a file of the folder `scenarios`.
pub(crate) fn write(stage: &Stage, file: &str, text: &str) {
    let folder = stage.folder.path().join("scenarios");
    std::fs::create_dir_all(&folder).unwrap();
    // A service may look just now.
    let temporary = stage.folder.path().join("being-written");
    std::fs::write(&temporary, text).unwrap();
    std::fs::rename(temporary, folder.join(file)).unwrap();
}

/// Every run of every scenario is one that has ended, is under way, or was missed.
fn assert_accounted(series: &BTreeMap<String, f64>) {
    for (name, scheduled) in series {
        let Some(scenario) = name.strip_prefix("hopclock_scheduled_runs_total ") else { continue };
        let sum = |metric: &str| -> f64 {
            let own = |it: &str| {
                let mut words = it.split(' ');
                words.next() == Some(metric) && words.next() == Some(scenario)
            };
            series.iter().filter(|it| own(it.0)).map(|it| it.1).sum()
        };
        let parts = sum("hopclock_runs_total")
            + sum("hopclock_runs_in_flight")
            + sum("hopclock_missed_runs_total");
        assert!((scheduled - parts).abs() < 0.5, "{series:?}");
    }
}
