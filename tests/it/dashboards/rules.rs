//! The rules of Grafana's dashboard-linter, for every sort of panel and as strictly as they can be
//! meant: what its own code lets pass, such as a fixed range in `increase`, is a violation here.

use crate::dashboards::model::{Board, Query};
use crate::dashboards::promql;
use serde_json::Value;

/// A broken rule, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) board: String,
    pub(crate) panel: String,
    pub(crate) target: Option<usize>,
    pub(crate) what: String,
}

/// Units of Grafana that make sense here.
const UNITS: [&str; 8] =
    ["s", "percentunit", "short", "none", "bool_yes_no", "bytes", "dateTimeFromNow", "reqps"];

/// Ranges that are no fixed ones.
const VARIABLE_RANGES: [&str; 4] = ["$__rate_interval", "$__range", "$window", "$slo_window"];

/// Everything that breaks a rule.
pub(crate) fn violations() -> Vec<Violation> {
    Board::all().iter().flat_map(of).collect()
}

fn of(board: &Board) -> Vec<Violation> {
    let mut found = Vec::new();
    templates(board, &mut found);
    for panel in board.panels() {
        panels(board, panel, &mut found);
        for query in board.queries_of(panel) {
            targets(&query, &mut found);
        }
    }
    found
}

fn templates(board: &Board, found: &mut Vec<Violation>) {
    let mut broken = |rule: &'static str, what: &str| {
        found.push(Violation {
            rule,
            board: board.title.clone(),
            panel: String::new(),
            target: None,
            what: what.to_owned(),
        });
    };
    let sources: Vec<_> =
        board.variables().iter().filter(|it| it["type"] == "datasource").collect();
    let [source] = sources.as_slice() else {
        return broken("template-datasource-rule", "there is not exactly one data source");
    };
    if source["name"] != "datasource" || source["label"] != "Data Source" {
        broken("template-datasource-rule", "its name or label is another one");
    }
    if source["query"] != "prometheus" {
        broken("template-datasource-rule", "it is no Prometheus");
    }
    for (name, label, rule) in
        [("job", "Job", "template-job-rule"), ("instance", "Instance", "template-instance-rule")]
    {
        match board.variable(name) {
            Some(it) => {
                let fine = it["type"] == "query"
                    && it["label"] == label
                    && it["datasource"]["uid"] == "${datasource}"
                    && it["multi"] == true
                    && it["allValue"] == ".+";
                if !fine {
                    broken(rule, &it.to_string());
                }
            }
            None => broken(rule, "there is none"),
        }
    }
    for it in board.variables().iter().filter(|it| it["type"] == "query") {
        if let Err(what) = label_query(it["query"].as_str().unwrap()) {
            broken("template-label-promql-rule", &what);
        }
        if it["refresh"] != 2 {
            broken("template-on-time-change-reload-rule", &it["name"].to_string());
        }
    }
    if board.json["editable"] != false {
        broken("uneditable-dashboard-rule", "it can be edited");
    }
}

/// Whether `label_values(series, label)` asks for a label that the series have.
fn label_query(text: &str) -> Result<(), String> {
    let inner = text.strip_prefix("label_values(").and_then(|it| it.strip_suffix(')'));
    let (series, label) =
        inner.and_then(|it| it.rsplit_once(", ")).ok_or_else(|| format!("`{text}`"))?;
    let query = promql::read(series);
    let [selector] = query.selectors.as_slice() else { return Err(format!("`{text}`")) };
    let labels = super::sense::labels_of(&selector.metric)?;
    if labels.contains(&label) { Ok(()) } else { Err(format!("`{label}` in `{text}`")) }
}

fn panels(board: &Board, panel: &Value, found: &mut Vec<Violation>) {
    let title = panel["title"].as_str().unwrap_or_default();
    let mut broken = |rule: &'static str, what: String| {
        found.push(Violation {
            rule,
            board: board.title.clone(),
            panel: title.to_owned(),
            target: None,
            what,
        });
    };
    let source = |it: &Value| it["datasource"]["uid"] == "${datasource}";
    let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !source(panel) || !targets.iter().all(source) {
        broken("panel-datasource-rule", panel["datasource"].to_string());
    }
    if title.is_empty() || panel["description"].as_str().is_none_or(str::is_empty) {
        broken("panel-title-description-rule", title.to_owned());
    }
    if targets.is_empty() {
        broken("panel-no-targets-rule", title.to_owned());
    }
    let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap().iter();
    let properties = overrides.flat_map(|it| it["properties"].as_array().unwrap());
    let own = properties.filter(|it| it["id"] == "unit").map(|it| &it["value"]);
    for unit in own.chain([&panel["fieldConfig"]["defaults"]["unit"]]) {
        if !unit.as_str().is_some_and(|it| UNITS.contains(&it)) {
            broken("panel-units-rule", unit.to_string());
        }
    }
}

fn targets(query: &Query, found: &mut Vec<Violation>) {
    let mut broken = |rule: &'static str, what: String| {
        found.push(Violation {
            rule,
            board: query.board.clone(),
            panel: query.panel.clone(),
            target: Some(query.target),
            what,
        });
    };
    let read = promql::read(&query.expr);
    if read.selectors.is_empty() {
        broken("target-promql-rule", query.expr.clone());
    }
    for selector in &read.selectors {
        for (label, rule) in [("job", "target-job-rule"), ("instance", "target-instance-rule")] {
            let meant = (label.to_owned(), "=~".to_owned(), format!("${label}"));
            if !selector.matchers.contains(&meant) {
                broken(rule, format!("{selector:?}"));
            }
        }
        if let Some(range) = &selector.range
            && !VARIABLE_RANGES.contains(&range.as_str())
        {
            broken("target-rate-interval-rule", format!("[{range}]"));
        }
        let grows = ["_total", "_sum", "_count", "_bucket"];
        let is_counted = selector.range.is_some()
            && ["rate", "irate", "increase"].map(Some).contains(&selector.function.as_deref());
        if grows.iter().any(|it| selector.metric.ends_with(it)) && !is_counted {
            broken("target-counter-agg-rule", selector.metric.clone());
        }
    }
}

/// What somebody could do to a dashboard, and the rule that says so.
#[test]
fn each_rule_finds_what_breaks_it() {
    let before = of(&Board::all()[0]);
    let expr = "/panels/1/targets/0/expr";
    let cases = [
        ("template-datasource-rule", "/templating/list/0/label", "Prometheus"),
        ("template-job-rule", "/templating/list/1/allValue", ".*"),
        ("template-instance-rule", "/templating/list/2/name", "pod"),
        ("template-label-promql-rule", "/templating/list/3/query", "label_values(up, job)"),
        ("template-on-time-change-reload-rule", "/templating/list/3/refresh", "1"),
        ("uneditable-dashboard-rule", "/editable", "true"),
        ("panel-datasource-rule", "/panels/1/datasource/uid", "abc"),
        ("panel-title-description-rule", "/panels/1/description", ""),
        ("panel-units-rule", "/panels/1/fieldConfig/defaults/unit", "furlongs"),
        ("target-promql-rule", expr, "1"),
        ("target-job-rule", expr, r#"max(hopclock_leftovers{instance=~"$instance"})"#),
        ("target-instance-rule", expr, r#"max(hopclock_leftovers{job=~"$job"})"#),
        ("target-rate-interval-rule", expr, r#"increase(hopclock_runs_total{a="b"}[5m])"#),
        ("target-counter-agg-rule", expr, r#"sum(hopclock_runs_total{a="b"})"#),
    ];
    for (rule, place, value) in cases {
        let mut board = Board::all().swap_remove(0);
        *board.json.pointer_mut(place).unwrap() = value.into();
        let found = of(&board);
        assert!(
            found.iter().any(|it| it.rule == rule && !before.contains(it)),
            "{rule}: {found:?}"
        );
    }
    let mut board = Board::all().swap_remove(0);
    board.json["panels"][1]["targets"] = Value::Array(Vec::new());
    assert!(of(&board).iter().any(|it| it.rule == "panel-no-targets-rule"));
}
