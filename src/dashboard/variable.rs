//! What a reader of a dashboard chooses: where to ask, and of what.

use crate::dashboard::promql;
use crate::dashboard::target::{DATASOURCE, source};
use crate::export::Metric;
use serde_json::{Value, json};

/// A variable of a dashboard.
#[derive(Clone, Debug)]
pub(super) enum Variable {
    /// The Prometheus to ask.
    Datasource,
    /// Values of a label.
    Label {
        /// Its name in queries.
        name: &'static str,
        /// What stands before it.
        title: &'static str,
        /// What yields its values.
        query: String,
        /// What stands for all values; none if exactly one is chosen.
        all: Option<&'static str>,
    },
    /// A length of time.
    Length {
        /// Its name in queries.
        name: &'static str,
        /// What stands before it.
        title: &'static str,
        /// Beside it, on a click.
        description: &'static str,
        /// The lengths.
        lengths: &'static [&'static str],
        /// The one at the beginning.
        first: &'static str,
    },
}

/// How far each point of a curve looks back.
pub(super) const WINDOW: &str = "$window";

/// How far an objective looks back.
pub(super) const SLO_WINDOW: &str = "$slo_window";

/// How much of the time range a bar or a box stands for.
pub(super) const BARS: &str = "$__rate_interval";

/// What a dashboard shows as a whole.
pub(super) const RANGE: &str = "$__range";

// === impl Variable ===

impl Variable {
    /// Those that every dashboard has: Prometheus, job, instance, scenario and cluster.
    pub(super) fn scope() -> Vec<Self> {
        let scenario = Some(".+");
        vec![Self::Datasource, job(), instance(), Self::scenario(scenario), cluster()]
    }

    /// The same with exactly one scenario.
    pub(super) fn scope_of_one() -> Vec<Self> {
        vec![Self::Datasource, job(), instance(), Self::scenario(None), cluster()]
    }

    fn scenario(all: Option<&'static str>) -> Self {
        let of =
            format!(r#"{}{{job=~"$job", instance=~"$instance"}}"#, name(Metric::ScheduledRuns));
        Self::Label { name: "scenario", title: "Scenario", query: values(&of, "scenario"), all }
    }

    /// How far each point of a curve looks back.
    pub(super) fn window() -> Self {
        Self::Length {
            name: "window",
            title: "Each point shows the last",
            description: "Runs are few. Choose at least ten times the period of the scenarios, or \
                          a point says something of one or two runs only.",
            lengths: &["1h", "3h", "6h", "12h", "1d", "7d"],
            first: "3h",
        }
    }

    /// How far an objective looks back.
    pub(super) fn slo_window() -> Self {
        Self::Length {
            name: "slo_window",
            title: "Objectives over",
            description: "The window of the scenarios' objectives (`slo.window`). Prometheus has to \
                          keep samples for that long.",
            lengths: &["1d", "7d", "14d", "28d", "30d", "90d"],
            first: "30d",
        }
    }

    /// Its JSON.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Datasource => json!({
                "current": {},
                "hide": 0,
                "includeAll": false,
                "label": "Data Source",
                "multi": false,
                "name": DATASOURCE,
                "options": [],
                "query": "prometheus",
                "refresh": 1,
                "regex": "",
                "skipUrlSync": false,
                "type": "datasource",
            }),
            Self::Label { name, title, query, all } => label(name, title, query, *all),
            Self::Length { name, title, description, lengths, first } => {
                let option = |it: &str| json!({"selected": it == *first, "text": it, "value": it});
                let options: Vec<_> = lengths.iter().map(|it| option(it)).collect();
                json!({
                    "current": option(first),
                    "description": description,
                    "hide": 0,
                    "includeAll": false,
                    "label": title,
                    "multi": false,
                    "name": name,
                    "options": options,
                    "query": lengths.join(","),
                    "skipUrlSync": false,
                    "type": "custom",
                })
            }
        }
    }
}

fn label(name: &str, title: &str, query: &str, all: Option<&str>) -> Value {
    let current = match all {
        Some(_) => json!({"selected": true, "text": ["All"], "value": ["$__all"]}),
        None => json!({}),
    };
    json!({
        "allValue": all,
        "current": current,
        "datasource": source(),
        "definition": query,
        "hide": 0,
        "includeAll": all.is_some(),
        "label": title,
        "multi": all.is_some(),
        "name": name,
        "options": [],
        "query": query,
        // Whenever the time range changes: scenarios come and go.
        "refresh": 2,
        "regex": "",
        "skipUrlSync": false,
        "sort": 1,
        "type": "query",
    })
}

fn job() -> Variable {
    let query = values(name(Metric::BuildInfo), "job");
    Variable::Label { name: "job", title: "Job", query, all: Some(".+") }
}

fn instance() -> Variable {
    let of = format!(r#"{}{{job=~"$job"}}"#, name(Metric::BuildInfo));
    let query = values(&of, "instance");
    Variable::Label { name: "instance", title: "Instance", query, all: Some(".+") }
}

/// Empty is a value too: that of the cluster that hopclock runs in, unless it has a name.
fn cluster() -> Variable {
    let query = values(&promql::of_scenarios(Metric::ClusterRuns), "target_cluster");
    Variable::Label { name: "cluster", title: "Cluster", query, all: Some(".*") }
}

fn values(series: &str, label: &str) -> String {
    format!("label_values({series}, {label})")
}

fn name(metric: Metric) -> &'static str {
    metric.doc().name
}
