//! A Prometheus that holds the simulated day, and questions as Grafana would ask them.

use crate::dashboards::day::{self, BEGIN, DAY, SCRAPE, Story};
use crate::dashboards::model::{Board, Query};
use crate::prometheus_kit::{Found, Prometheus, Setting, Version};
use hopclock::export::Content;
use hopclock::export::remote_write::{Protocol, Writing};

/// How a Prometheus keeps histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As buckets, counts and sums.
    Classic,
    /// As native ones, and nothing else.
    Native,
}

/// What somebody has chosen in a dashboard.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    /// Value of the variable; all of them, unless said.
    pub(crate) scenario: &'static str,
    /// The same of clusters.
    pub(crate) cluster: &'static str,
    /// How far each point looks back.
    pub(crate) window: &'static str,
    /// How many hours of the end of the day are shown.
    pub(crate) hours: u64,
}

/// Points that a graph has at most.
const POINTS: u64 = 288;

// === impl Chosen ===

impl Chosen {
    /// What is chosen at the beginning, over the whole day.
    pub(crate) fn all() -> Self {
        Self { scenario: ".+", cluster: ".*", window: "3h", hours: 24 }
    }

    /// The same with one scenario.
    pub(crate) fn of(self, scenario: &'static str) -> Self {
        Self { scenario, ..self }
    }

    /// The same with one cluster, or some.
    pub(crate) fn in_cluster(self, cluster: &'static str) -> Self {
        Self { cluster, ..self }
    }

    /// The same with the last hours of the day.
    pub(crate) fn last(self, hours: u64) -> Self {
        Self { hours, ..self }
    }

    /// The query as Grafana sends it, with the step of its panel.
    fn put_into(&self, query: &Query) -> (String, u64) {
        let range = self.hours * 3_600;
        let step = (range / POINTS).max(u64::from(query.least_step)).max(SCRAPE);
        let around = (step + SCRAPE).max(4 * SCRAPE);
        let values = [
            ("$__rate_interval", format!("{around}s")),
            ("$__range", format!("{range}s")),
            ("$slo_window", "30d".to_owned()),
            ("$window", self.window.to_owned()),
            ("$scenario", self.scenario.to_owned()),
            ("$cluster", self.cluster.to_owned()),
            ("$job", ".+".to_owned()),
            ("$instance", ".+".to_owned()),
        ];
        let put = |expr: String, (name, value): &(&str, String)| expr.replace(name, value);
        let expr = values.iter().fold(query.expr.clone(), put);
        assert!(!expr.contains('$'), "{expr}");
        (expr, step)
    }
}

/// A Prometheus that was sent the whole day, each scrape with its old instant, in order.
pub(crate) async fn filled(form: Form) -> Prometheus {
    filled_at(form, Story::Usual, |_| true).await
}

/// One that was sent the day on which a cluster is left behind.
pub(crate) async fn filled_left_behind(form: Form) -> Prometheus {
    filled_at(form, Story::LeftBehind, |_| true).await
}

/// The same with what was there at twenty past each hour only, as if it had been pushed then.
pub(crate) async fn filled_seldom(form: Form) -> Prometheus {
    filled_at(form, Story::Usual, |at| at % 3_600 == 1_200).await
}

async fn filled_at(form: Form, story: Story, is_sent: impl Fn(i64) -> bool) -> Prometheus {
    let contents: &[Content] = match form {
        Form::Classic => &[Content::Numbers, Content::Classic],
        Form::Native => &[Content::Numbers, Content::Native],
    };
    let mut bodies = Vec::new();
    let mut before = None;
    day::play(story, |at, instance, snapshot| {
        if !is_sent(at.as_second()) {
            return;
        }
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let labels = [label("job", "hopclock"), label("instance", instance)];
        let protocol = Protocol::One;
        let writing = Writing { protocol, contents, at, labels: &labels, exemplars_after: before };
        bodies.push(writing.body(snapshot).expect("a day has series").bytes);
        before = Some(at);
    });
    let setting = Setting::of(Version::Two).receiving().exemplars();
    let setting = if form == Form::Native { setting.native() } else { setting };
    let prometheus = setting.start().await;
    let client = reqwest::Client::new();
    for body in bodies {
        let mut request =
            client.post(prometheus.url("/api/v1/write")).header("Content-Encoding", "snappy");
        for (name, value) in Protocol::One.headers() {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap());
    }
    prometheus
}

/// What a panel shows: the answers to a query, at the end of the range or over it.
pub(crate) async fn ask(prometheus: &Prometheus, query: &Query, chosen: &Chosen) -> Vec<Found> {
    let (expr, step) = chosen.put_into(query);
    let end = as_float(BEGIN + DAY);
    let found = if query.instant {
        prometheus.query(&expr, Some(end)).await
    } else {
        let start = as_float(BEGIN + DAY - chosen.hours * 3_600);
        prometheus.range(&expr, (start, end), as_float(step)).await
    };
    found.unwrap_or_else(|| panic!("no answer to `{expr}`"))
}

/// The query of a panel as it is sent.
pub(crate) fn sent(query: &Query, chosen: &Chosen) -> String {
    chosen.put_into(query).0
}

/// The query at that place of the panel of that title, on the dashboard of that name.
pub(crate) fn query(board: &str, panel: &str, target: usize) -> Query {
    let board = Board::all().into_iter().find(|it| it.name == board).expect("a dashboard");
    board.queries_of(board.panel(panel)).swap_remove(target)
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
fn as_float(seconds: u64) -> f64 {
    seconds as f64
}
