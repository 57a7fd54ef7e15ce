//! What the tests that ask a real Prometheus share: which program, started with what, and queries.
//!
//! There are two: Debian's 2.42, and one of version 3 that `.ci/run` builds from its Go module.
//! Both are looked for on the PATH; a test without its program says so and passes, unless
//! `HOPCLOCK_REQUIRE_TOOLS=1` makes that a failure.

#![allow(dead_code, reason = "the tests of exports, rules and dashboards use it as they come")]

use crate::web_kit::ask;
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Pause between two looks at something that will come.
const PAUSE: Duration = Duration::from_millis(200);

/// Most looks: a minute.
const LOOKS: u32 = 300;

/// Which Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 2.42, as Debian 12 has it: native histograms are a feature, remote write is 1.0.
    Two,
    /// 3.x: native histograms are stable, it receives remote write 2.0 and OTLP.
    Three,
}

/// What a Prometheus is started with.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    version: Version,
    targets: Vec<SocketAddr>,
    features: Vec<String>,
    flags: Vec<String>,
    extra: String,
}

/// A Prometheus that ends with the test.
pub(crate) struct Prometheus {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _folder: tempfile::TempDir,
}

/// One series of an answer: its labels, and its value or values as text with their instants.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) labels: serde_json::Map<String, Value>,
    pub(crate) values: Vec<(f64, f64)>,
}

// === impl Version ===

impl Version {
    /// Name of its program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Two => "prometheus",
            Self::Three => "prometheus3",
        }
    }

    /// Whether it can be used; says so if not.
    pub(crate) fn is_found(self) -> bool {
        found(self.program())
    }
}

// === impl Setting ===

impl Setting {
    /// One that scrapes nobody and receives nothing.
    pub(crate) fn of(version: Version) -> Self {
        let (targets, features) = (Vec::new(), Vec::new());
        Self { version, targets, features, flags: Vec::new(), extra: String::new() }
    }

    /// Scrapes this target every second.
    pub(crate) fn scraping(mut self, target: SocketAddr) -> Self {
        self.targets.push(target);
        self
    }

    /// Keeps native histograms.
    pub(crate) fn native(self) -> Self {
        match self.version {
            Version::Two => self.feature("native-histograms"),
            // Since 3.9 the feature does nothing; what is scraped is said with the target.
            Version::Three => self,
        }
    }

    /// Keeps exemplars.
    pub(crate) fn exemplars(self) -> Self {
        self.feature("exemplar-storage")
    }

    /// Receives remote write.
    pub(crate) fn receiving(self) -> Self {
        self.flag("--web.enable-remote-write-receiver")
    }

    /// Receives samples that are up to `age` old, such as `2d`, whatever came before.
    pub(crate) fn receiving_old(self, age: &str) -> Self {
        let window = format!("storage: {{tsdb: {{out_of_order_time_window: {age}}}}}\n");
        self.config(&window).receiving()
    }

    /// Receives OTLP metrics; version 3 only.
    pub(crate) fn receiving_otlp(self) -> Self {
        self.flag("--web.enable-otlp-receiver")
    }

    /// Has a feature on that is off by default.
    pub(crate) fn feature(mut self, name: &str) -> Self {
        self.features.push(name.to_owned());
        self
    }

    /// Has an argument more.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Has whole lines more in its configuration, such as `rule_files: [...]`.
    pub(crate) fn config(mut self, lines: &str) -> Self {
        self.extra.push_str(lines);
        self
    }

    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(self) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, self.yaml()).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(self.version.program());
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={free}"))
            .args(&self.flags);
        if !self.features.is_empty() {
            command.arg(format!("--enable-feature={}", self.features.join(",")));
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut prometheus = Prometheus { child, address: free, _folder: folder };
        prometheus.eventually_ready().await;
        prometheus
    }

    fn yaml(&self) -> String {
        let mut text = format!("global: {{scrape_interval: 1s}}\n{}", self.extra);
        let targets: Vec<_> = self.targets.iter().map(|it| format!("'{it}'")).collect();
        if !targets.is_empty() {
            let native = match self.version {
                Version::Two => "",
                Version::Three => "scrape_native_histograms: true, ",
            };
            let targets = targets.join(", ");
            text += &format!(
                "scrape_configs: [{{job_name: hopclock, {native}static_configs: \
                 [{{targets: [{targets}]}}]}}]\n"
            );
        }
        text
    }
}

// === impl Prometheus ===

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// The address of a page of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The value of the one series that a query yields, as soon as it yields one.
    pub(crate) async fn eventually_value(&mut self, query: &str) -> f64 {
        for _ in 0..LOOKS {
            self.assert_alive();
            if let Some(value) = self.value(query).await {
                return value;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("`{query}` yields nothing");
    }

    /// Waits until the one series that a query yields has a value that fits.
    pub(crate) async fn eventually(&mut self, query: &str, fits: impl Fn(f64) -> bool) -> f64 {
        let mut last = None;
        for _ in 0..LOOKS {
            self.assert_alive();
            last = self.value(query).await;
            if let Some(value) = last.filter(|it| fits(*it)) {
                return value;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("`{query}` yields {last:?}");
    }

    /// Waits until a query yields nothing.
    pub(crate) async fn eventually_nothing(&mut self, query: &str) {
        for _ in 0..LOOKS {
            self.assert_alive();
            if self.query(query, None).await.is_some_and(|it| it.is_empty()) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("`{query}` yields something");
    }

    /// The run that an exemplar of a series names, as soon as there is one.
    pub(crate) async fn eventually_exemplar(&mut self, series: &str) -> String {
        for _ in 0..LOOKS {
            self.assert_alive();
            let answer = self.get("query_exemplars?start=0&end=2000000000&", series).await;
            let answer = answer.unwrap_or_default();
            if let Some(run) = answer["data"][0]["exemplars"][0]["labels"]["canary"].as_str() {
                return run.to_owned();
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("`{series}` has no exemplar");
    }

    /// The value of the one series that a query yields now, if it yields one.
    pub(crate) async fn value(&self, query: &str) -> Option<f64> {
        let found = self.query(query, None).await?;
        assert!(found.len() <= 1, "`{query}` yields {found:?}");
        found.first().map(|it| it.values[0].1)
    }

    /// All series that a query yields now, or at an instant in seconds since 1970; none if
    /// Prometheus does not answer. A query that it refuses is a failure.
    pub(crate) async fn query(&self, query: &str, at: Option<f64>) -> Option<Vec<Found>> {
        let page = at.map_or("query?".to_owned(), |it| format!("query?time={it}&"));
        self.series(&page, query).await
    }

    /// All series that a query yields from `start` to `end`, every `step` seconds.
    pub(crate) async fn range(
        &self,
        query: &str,
        (start, end): (f64, f64),
        step: f64,
    ) -> Option<Vec<Found>> {
        self.series(&format!("query_range?start={start}&end={end}&step={step}&"), query).await
    }

    async fn series(&self, page: &str, query: &str) -> Option<Vec<Found>> {
        let answer = self.get(page, query).await?;
        assert_eq!(answer["status"], "success", "`{query}`: {answer}");
        let found = answer["data"]["result"].as_array()?.iter().map(|it| Found {
            labels: it["metric"].as_object().cloned().unwrap_or_default(),
            values: values(it),
        });
        Some(found.collect())
    }

    async fn eventually_ready(&mut self) {
        for _ in 0..LOOKS {
            self.assert_alive();
            if tokio::net::TcpStream::connect(self.address).await.is_ok()
                && ask(self.address, "GET /-/ready HTTP/1.0", "").await.status() == 200
            {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("prometheus does not become ready");
    }

    fn assert_alive(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "prometheus has ended");
    }

    async fn get(&self, page: &str, query: &str) -> Option<Value> {
        tokio::net::TcpStream::connect(self.address).await.ok()?;
        let query = query.bytes().fold(String::new(), |all, it| format!("{all}%{it:02x}"));
        let line = format!("GET /api/v1/{page}query={query} HTTP/1.0");
        serde_json::from_slice(&ask(self.address, &line, "").await.body).ok()
    }
}

/// The numbers of a series; native histograms have none and count with their number of
/// observations.
fn values(series: &Value) -> Vec<(f64, f64)> {
    let number = |it: &Value| it.as_str().and_then(|it| it.parse::<f64>().ok());
    let one = |it: &Value| {
        let value = number(&it[1]).or_else(|| number(&it[1]["count"]));
        Some((it[0].as_f64()?, value?))
    };
    let keys = ["value", "histogram"].iter().filter_map(|it| series.get(it));
    let many = ["values", "histograms"].iter().filter_map(|it| series.get(it)?.as_array());
    keys.filter_map(one).chain(many.flatten().filter_map(one)).collect()
}

/// Whether the tool can be used; says so if not.
pub(crate) fn found(tool: &str) -> bool {
    let output = Command::new(tool).arg("--version").output();
    let found = output.is_ok_and(|it| it.status.success());
    let required = std::env::var("HOPCLOCK_REQUIRE_TOOLS").is_ok_and(|it| it == "1");
    assert!(found || !required, "`{tool}` is not on the PATH, but required");
    if !found {
        println!("skipped: `{tool}` is not on the PATH");
    }
    found
}
