//! A rule file for Prometheus, and the same as an object for its operator.

use crate::rules::format::{Metadata, head, yaml};
use crate::rules::rule::{Alert, Group, Rule};
use crate::rules::settings::Settings;
use crate::rules::span::text;
use serde::Serialize;
use serde_saphyr::LitString;
use std::collections::BTreeMap;

/// A rule file.
#[derive(Serialize)]
struct File {
    groups: Vec<GroupOut>,
}

/// A `PrometheusRule`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: &'a Metadata,
    spec: File,
}

#[derive(Serialize)]
struct GroupOut {
    name: String,
    interval: String,
    rules: Vec<RuleOut>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RuleOut {
    Record {
        record: String,
        expr: LitString,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        labels: BTreeMap<&'static str, String>,
    },
    Alert {
        alert: &'static str,
        expr: LitString,
        #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
        wait: Option<String>,
        labels: BTreeMap<&'static str, String>,
        annotations: BTreeMap<&'static str, String>,
    },
}

/// A rule file for Prometheus.
#[must_use]
pub fn prometheus(settings: &Settings, groups: &[Group]) -> String {
    format!("{}{}", written(), yaml(&file(settings, groups)))
}

/// The same as a `PrometheusRule` of the Prometheus operator.
#[must_use]
pub fn prometheus_rule(settings: &Settings, groups: &[Group], metadata: &Metadata) -> String {
    let object = Object {
        api_version: "monitoring.coreos.com/v1",
        kind: "PrometheusRule",
        metadata,
        spec: file(settings, groups),
    };
    format!("{}{}", written(), yaml(&object))
}

fn written() -> String {
    head(&["Written by `hopclock rules`; its options say what can be changed.".to_owned()])
}

fn file(settings: &Settings, groups: &[Group]) -> File {
    let group = |it: &Group| GroupOut {
        name: it.name.clone(),
        interval: text(it.interval),
        rules: it.rules.iter().map(|it| rule(settings, it)).collect(),
    };
    File { groups: groups.iter().map(group).collect() }
}

fn rule(settings: &Settings, rule: &Rule) -> RuleOut {
    match rule {
        Rule::Record(it) => {
            let (record, expr) = (it.name.clone(), LitString(it.expr.clone()));
            RuleOut::Record { record, expr, labels: it.labels.iter().cloned().collect() }
        }
        Rule::Alert(it) => RuleOut::Alert {
            alert: it.name,
            expr: LitString(it.expr.clone()),
            wait: it.wait.map(text),
            labels: labels(it),
            annotations: annotations(settings, it),
        },
    }
}

fn labels(alert: &Alert) -> BTreeMap<&'static str, String> {
    let severity = ("severity", alert.severity.as_str().to_owned());
    alert.labels.iter().cloned().chain([severity]).collect()
}

fn annotations(settings: &Settings, alert: &Alert) -> BTreeMap<&'static str, String> {
    let mut all = BTreeMap::from([
        ("summary", alert.summary.to_owned()),
        ("description", alert.description.clone()),
        ("runbook_url", format!("{}/{}.md", settings.runbooks, alert.name)),
    ]);
    if let Some(dashboard) = &settings.dashboard {
        all.insert("dashboard_url", dashboard.clone());
    }
    all
}
