//! A service that is killed again and again at random instants, and what must hold all the while.
//!
//! The test and the bench share it; the bench takes longer. Whatever breaks a rule is written down
//! rather than ended with, so that one soak shows all that is wrong.

use super::kit::{hopclock, told};
use futures_util::future::join_all;
use hopclock_sandbox::git::UpdatedBy;
use hopclock_sandbox::pipeline::{Door, Hook, Lane, Sandbox, SandboxOptions};
use hopclock_sandbox::store::Watch;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// Far above what anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Between two scrapes.
const SCRAPE: Duration = Duration::from_millis(500);

/// The same while the service starts: nothing of its start is to be missed.
const HASTE: Duration = Duration::from_millis(2);

/// The file of the state.
const STATE: &str = "state.sqlite";

/// Pauses for good, so that runs under way end and no further one begins.
const PAUSE: &str = ", pause: [{ from: 2000-01-01T00:00:00Z, until: 2100-01-01T00:00:00Z }]";

/// What is soaked.
pub(crate) struct Course {
    /// Scenarios, each with a lane of its own.
    pub(crate) lanes: usize,
    /// Their `schedule`, without braces.
    pub(crate) schedule: &'static str,
    /// Their `deadline`.
    pub(crate) deadline: &'static str,
}

/// A service over a sandbox, and all that it has said so far.
pub(crate) struct Soak {
    course: Course,
    sandbox: Sandbox,
    folder: TempDir,
    /// Canaries of each lane that have been live.
    live: Watch,
    delivered: BTreeMap<String, BTreeSet<String>>,
    service: Option<Service>,
    shown: Shown,
    /// What broke a rule.
    pub(crate) violations: Vec<String>,
    /// How often the service was scraped.
    pub(crate) scrapes: usize,
}

/// How things stood when the service was killed.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) account: Account,
    /// Rows of runs.
    pub(crate) rows: u64,
    /// Resident memory of the service in KiB, just before.
    pub(crate) memory: u64,
    /// Bytes of the state that are in use.
    pub(crate) used: u64,
    /// Bytes of its files.
    pub(crate) files: u64,
}

/// The parts of the account, of all scenarios together or of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) scheduled: u64,
    pub(crate) finished: u64,
    pub(crate) in_flight: u64,
    pub(crate) missed: u64,
}

/// What a scrape showed: values by series, as they are written.
type Shown = BTreeMap<String, f64>;

/// Which series may not have gone back or away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// All.
    Scrape,
    /// Those that are there: scenarios may still be to come.
    Start,
}

/// How the rows of a history compare with the runs that were shown as finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// What is kept is shown a little later.
    AtLeast,
    Exactly,
}

struct Service {
    child: Child,
    address: String,
    errors: mpsc::UnboundedReceiver<String>,
}

// === impl Soak ===

impl Soak {
    /// A sandbox with lanes that are moved by their webhooks, and scenarios over them.
    pub(crate) async fn new(course: Course) -> Self {
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let add = |name| {
            let (hook, door, interval) = (Hook::Right, Door::Open, "10m".to_owned());
            let sandbox = &sandbox;
            async move { sandbox.add_lane(&Lane { name, interval, hook, door }).await.unwrap() }
        };
        join_all((0..course.lanes).map(name).map(add)).await;
        let live = sandbox.store().watch_kind("ConfigMap", sandbox.store().version());
        let soak = Self {
            course,
            sandbox,
            folder,
            live,
            delivered: BTreeMap::new(),
            service: None,
            shown: Shown::new(),
            violations: Vec::new(),
            scrapes: 0,
        };
        soak.write("");
        soak
    }

    /// Writes the scenarios, with more in their schedule.
    fn write(&self, more: &str) {
        let folder = self.folder.path().join("scenarios");
        std::fs::create_dir_all(&folder).unwrap();
        let Course { schedule, deadline, .. } = &self.course;
        for name in (0..self.course.lanes).map(name) {
            let text = format!(
                "name: {name}\ndeadline: {deadline}\nschedule: {{ {schedule}{more} }}\n\
                 trigger:\n  git_commit: {{ source: flux-system/{name}, path: canary/configmap.yaml }}\n\
                 hops:\n  - webhook_received: {{ receiver: flux-system/{name} }}\n  \
                 - source_fetched: {{ git_repository: flux-system/{name} }}\n  \
                 - applied: {{ kustomization: flux-system/{name} }}\n  \
                 - live: {{ config_map: hopclock/{name} }}\n\
                 slo: {{ within: 2s, objective: 99% }}\n"
            );
            std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
        }
    }

    /// Starts the service, and looks at it all the way until it is ready.
    pub(crate) async fn start(&mut self) {
        self.service = Some(Service::start(self.folder.path(), &self.sandbox.kubeconfig()).await);
        assert!(timeout(LIMIT, self.until_ready()).await.is_ok(), "it never becomes ready");
        self.scrape(Since::Scrape).await;
    }

    async fn until_ready(&mut self) {
        while !get(&self.service().address, "/readyz").await.starts_with("HTTP/1.1 200") {
            self.scrape(Since::Start).await;
            sleep(HASTE).await;
        }
    }

    /// Starts the service, and says how long it took until it was ready, and until it had looked at
    /// every path.
    pub(crate) async fn time_start(&mut self) -> (Duration, Duration) {
        let began = Instant::now();
        let service = Service::start(self.folder.path(), &self.sandbox.kubeconfig()).await;
        service.until_page(|it| it.starts_with("HTTP/1.1 200")).await;
        let ready = began.elapsed();
        service.until_page(|it| !it.contains("its path is being looked at")).await;
        self.service = Some(service);
        (ready, began.elapsed())
    }

    /// Where the scenarios are, in a folder of that name.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The way to the sandbox.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.sandbox.kubeconfig()
    }

    /// Resident memory of the service in KiB.
    pub(crate) fn memory(&self) -> u64 {
        self.service().memory()
    }

    /// What it has counted so far.
    pub(crate) async fn account(&mut self) -> Account {
        self.scrape(Since::Scrape).await
    }

    /// Scrapes it until then.
    pub(crate) async fn until_then(&mut self, then: Instant) {
        while Instant::now() < then {
            self.scrape(Since::Scrape).await;
            tokio::time::sleep_until((Instant::now() + SCRAPE).min(then)).await;
        }
    }

    /// Scrapes it once more, and ends it with `kill -9`.
    pub(crate) async fn kill(&mut self) -> Standing {
        let account = self.scrape(Since::Scrape).await;
        let mut service = self.service.take().unwrap();
        let memory = service.memory();
        service.child.kill().await.unwrap();
        // What the process counted of itself begins anew.
        self.shown.retain(|it, _| it.contains("scenario=\""));
        self.complain_of(&mut service);
        let (used, files) = self.sizes();
        let rows = self.compare_rows(Rows::AtLeast).await;
        Standing { account, rows, memory, used, files }
    }

    /// Lets the runs under way end, stops the service as Kubernetes does, and compares what it
    /// showed with its history and with what the sandbox saw.
    pub(crate) async fn finish(&mut self) -> Standing {
        self.write(PAUSE);
        let account = timeout(LIMIT, self.until_idle()).await.expect("runs under way end");
        let mut service = self.service.take().unwrap();
        let memory = service.memory();
        let id = service.child.id().unwrap().to_string();
        let kill = format!("kill -TERM {id}");
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
        let status = timeout(LIMIT, service.child.wait()).await.unwrap().unwrap();
        if !status.success() {
            self.violations.push(format!("it ended with {status} on SIGTERM"));
        }
        self.complain_of(&mut service);
        let (used, files) = self.sizes();
        let rows = self.compare_rows(Rows::Exactly).await;
        self.compare_pushes();
        Standing { account, rows, memory, used, files }
    }

    async fn until_idle(&mut self) -> Account {
        loop {
            let page = get(&self.service().address, "/readyz").await;
            let account = self.scrape(Since::Scrape).await;
            if account.in_flight == 0 && page.matches("paused until").count() == self.course.lanes {
                return account;
            }
            sleep(SCRAPE).await;
        }
    }

    fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    /// Scrapes the service, and compares with what was shown before.
    async fn scrape(&mut self, since: Since) -> Account {
        let page = get(&self.service().address, "/metrics").await;
        let now = read(&page);
        self.scrapes += 1;
        let mut found = Vec::new();
        for (series, before) in self.shown.iter().filter(|it| is_counter(it.0)) {
            match now.get(series) {
                Some(value) if value < before => {
                    found.push(format!("{since:?}: {series} went from {before} to {value}"));
                }
                None if since != Since::Start => found.push(format!("{since:?}: {series} is gone")),
                _ => {}
            }
        }
        for (scenario, account) in accounts(&now) {
            if account.scheduled != account.finished + account.in_flight + account.missed {
                found.push(format!("{since:?}: {scenario} is not accounted for: {account:?}"));
            }
        }
        self.violations.append(&mut found);
        // What is not shown yet has to come back all the same.
        self.shown.extend(now.iter().map(|(series, value)| (series.clone(), *value)));
        accounts(&now).values().fold(Account::default(), |sum, it| sum.plus(*it))
    }

    /// Compares the rows of the history with the last scrape, and says how many there are.
    async fn compare_rows(&mut self, rows: Rows) -> u64 {
        let arguments = ["history", "--db", STATE, "--output", "json", "--limit", "10000000"];
        let history = told(hopclock(self.folder.path(), &arguments)).await;
        assert_eq!(history.code, Some(0), "{history:?}");
        let runs: Vec<Value> =
            history.out.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
        let word = |run: &Value, key: &str| run[key].as_str().unwrap_or_default().to_owned();
        let mut kept: BTreeMap<String, f64> = BTreeMap::new();
        for run in &runs {
            let (outcome, scenario) = (word(run, "outcome"), word(run, "scenario"));
            let series =
                format!("hopclock_runs_total{{scenario=\"{scenario}\",outcome=\"{outcome}\"}}");
            *kept.entry(series).or_default() += 1.0;
        }
        for (series, shown) in
            self.shown.iter().filter(|it| it.0.starts_with("hopclock_runs_total"))
        {
            let rows_of = kept.get(series).copied().unwrap_or(0.0);
            if rows_of < *shown || (rows == Rows::Exactly && rows_of > *shown) {
                self.violations.push(format!("{series} showed {shown}, rows are {rows_of}"));
            }
        }
        for key in ["canary", "due"] {
            let all: BTreeSet<_> =
                runs.iter().map(|it| (word(it, "scenario"), word(it, key))).collect();
            if all.len() != runs.len() {
                let twice = runs.len() - all.len();
                self.violations.push(format!("{twice} rows of one scenario share a {key}"));
            }
        }
        self.take_delivered();
        let canaries: BTreeSet<_> =
            runs.iter().map(|it| (word(it, "scenario"), word(it, "canary"))).collect();
        for (lane, delivered) in self.delivered.iter().filter(|_| rows == Rows::Exactly) {
            for canary in
                delivered.iter().filter(|it| !canaries.contains(&(lane.clone(), (*it).clone())))
            {
                self.violations.push(format!("{canary} was live in {lane}, and has no row"));
            }
        }
        runs.len() as u64
    }

    /// No lane has seen more pushes than it has runs.
    fn compare_pushes(&mut self) {
        let updates = self.sandbox.git().ref_updates();
        for name in (0..self.course.lanes).map(name) {
            let pushes =
                updates.iter().filter(|it| it.repository == name && it.by == UpdatedBy::Push);
            let pushes = u32::try_from(pushes.count()).map_or(f64::MAX, f64::from);
            let runs: f64 = self
                .shown
                .iter()
                .filter(|it| it.0.starts_with(&format!("hopclock_runs_total{{scenario=\"{name}\"")))
                .map(|it| it.1)
                .sum();
            if pushes > runs {
                self.violations.push(format!("{name}: {pushes} pushes and only {runs} runs"));
            }
        }
    }

    fn take_delivered(&mut self) {
        while let Ok(Some(change)) = self.live.try_next() {
            let object = &change.object;
            if let Some(canary) = object["data"]["canary"].as_str().filter(|it| *it != "none") {
                let lane = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                self.delivered.entry(lane).or_default().insert(canary.to_owned());
            }
        }
    }

    fn complain_of(&mut self, service: &mut Service) {
        while let Ok(line) = service.errors.try_recv() {
            self.violations.push(format!("it said: {line}"));
        }
    }

    /// Bytes of the state in use, and those of its files.
    fn sizes(&self) -> (u64, u64) {
        let path = self.folder.path().join(STATE);
        let files = ["", "-wal"].map(|end| {
            let path = format!("{}{end}", path.display());
            std::fs::metadata(path).map_or(0, |it| it.len())
        });
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = rusqlite::Connection::open_with_flags(&path, flags).unwrap();
        let number = |name: &str| {
            database
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .unwrap()
                .unsigned_abs()
        };
        let used = (number("page_count") - number("freelist_count")) * number("page_size");
        (used, files.iter().sum())
    }
}

// === impl Account ===

impl Account {
    fn plus(self, other: Self) -> Self {
        Self {
            scheduled: self.scheduled + other.scheduled,
            finished: self.finished + other.finished,
            in_flight: self.in_flight + other.in_flight,
            missed: self.missed + other.missed,
        }
    }
}

// === impl Service ===

impl Service {
    /// Starts it, and waits for its page.
    async fn start(folder: &Path, kubeconfig: &Path) -> Self {
        let state = format!("file:{STATE}");
        let arguments = ["serve", "scenarios", "--listen", "127.0.0.1:0", "--state", &state];
        let mut child = hopclock(folder, &arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let line = lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("it ends: {said:?}"));
            let rest = line.strip_prefix("hopclock is at http://");
            if let Some((address, _)) = rest.and_then(|it| it.split_once(',')) {
                break address.to_owned();
            }
            said.push(line);
        };
        let (errors, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                // A run that was killed before its push could not measure, which is no fault.
                let is_meant = line.contains("nothing had been pushed yet");
                if (line.contains("ERROR") && !is_meant) || line.contains("panicked") {
                    let _ = errors.send(line);
                }
            }
        });
        Self { child, address, errors: heard }
    }

    async fn until_page(&self, says: impl Fn(&str) -> bool) {
        while !says(&get(&self.address, "/readyz").await) {
            sleep(HASTE).await;
        }
    }

    /// Resident memory in KiB.
    fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        line.and_then(|it| it.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    }
}

fn name(number: usize) -> String {
    format!("lane-{number}")
}

async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nAccept: text/plain;version=0.0.4\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LIMIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

fn read(page: &str) -> Shown {
    let lines = page.lines().filter(|it| it.starts_with("hopclock_"));
    let series = lines.filter_map(|it| it.rsplit_once(' '));
    series.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
}

fn is_counter(series: &str) -> bool {
    let name = series.split('{').next().unwrap_or_default();
    ["_total", "_bucket", "_sum", "_count"].iter().any(|it| name.ends_with(it))
}

/// The account of each scenario.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are whole")]
fn accounts(shown: &Shown) -> BTreeMap<String, Account> {
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    for (series, value) in shown {
        let Some((metric, labels)) = series.split_once("{scenario=\"") else { continue };
        let Some((scenario, _)) = labels.split_once('"') else { continue };
        let mut none = 0;
        let account = accounts.entry(scenario.to_owned()).or_default();
        let part = match metric {
            "hopclock_scheduled_runs_total" => &mut account.scheduled,
            "hopclock_runs_total" => &mut account.finished,
            "hopclock_runs_in_flight" => &mut account.in_flight,
            "hopclock_missed_runs_total" => &mut account.missed,
            _ => &mut none,
        };
        *part += *value as u64;
    }
    accounts
}
