//! Whether dashboards make sense beyond what a linter knows: metrics and labels that there are, both
//! forms of histograms, samples beside quantiles, a layout, links that lead somewhere.

use crate::dashboards::model::Board;
use crate::dashboards::promql::{self, Selector};
use hopclock::export::{MetricKind, reference};
use serde_json::Value;
use std::collections::BTreeSet;

/// Labels that Prometheus, or its operator, gives to all that it scrapes.
const SCRAPED: [&str; 4] = ["job", "instance", "cluster", "namespace"];

/// The labels of the series of that name, those that Prometheus adds included.
pub(crate) fn labels_of(name: &str) -> Result<Vec<&'static str>, String> {
    for metric in reference() {
        let rest = name.strip_prefix(metric.name);
        let bucket: &[&str] = match (metric.kind, rest) {
            (_, Some("")) | (MetricKind::Histogram, Some("_sum" | "_count")) => &[],
            (MetricKind::Histogram, Some("_bucket")) => &["le"],
            _ => continue,
        };
        return Ok([metric.labels, &SCRAPED, bucket].concat());
    }
    Err(format!("there is no metric `{name}`"))
}

/// The histogram whose part this is, and which part.
fn histogram(name: &str) -> Option<(&'static str, &str)> {
    let histograms = reference().into_iter().filter(|it| it.kind == MetricKind::Histogram);
    let parts = histograms.filter_map(|it| Some((it.name, name.strip_prefix(it.name)?)));
    parts.into_iter().find(|it| ["", "_sum", "_count", "_bucket"].contains(&it.1))
}

#[test]
fn every_query_asks_for_metrics_and_labels_that_there_are() {
    for query in Board::all().iter().flat_map(Board::queries) {
        let read = promql::read(&query.expr);
        let labels: Vec<_> = read
            .selectors
            .iter()
            .map(|it| labels_of(&it.metric).unwrap_or_else(|it| panic!("{it}: {query:?}")))
            .collect();
        for (selector, labels) in read.selectors.iter().zip(&labels) {
            for (label, ..) in &selector.matchers {
                assert!(
                    labels.contains(&label.as_str()),
                    "{label} of {}: {query:?}",
                    selector.metric
                );
            }
        }
        for (by, places) in &read.groupings {
            for label in by {
                let known = places.iter().any(|it| labels[*it].contains(&label.as_str()));
                assert!(known, "nothing has the label {label}: {query:?}");
            }
        }
    }
}

#[test]
fn whatever_has_a_scenario_or_a_cluster_is_limited_to_the_chosen_ones() {
    for query in Board::all().iter().flat_map(Board::queries) {
        for selector in promql::read(&query.expr).selectors {
            let labels = labels_of(&selector.metric).unwrap();
            for (label, variable) in [("scenario", "$scenario"), ("target_cluster", "$cluster")] {
                let meant = (label.to_owned(), "=~".to_owned(), variable.to_owned());
                let fine = !labels.contains(&label) || selector.matchers.contains(&meant);
                assert!(fine, "{label}: {query:?}");
            }
        }
    }
}

#[test]
fn a_query_uses_only_variables_that_its_dashboard_has() {
    let built_in = ["__rate_interval", "__range"];
    for board in Board::all() {
        for query in board.queries() {
            for name in query.expr.split('$').skip(1) {
                let end = name.find(|it: char| !it.is_ascii_alphanumeric() && it != '_');
                let name = &name[..end.unwrap_or(name.len())];
                let known = built_in.contains(&name) || board.variable(name).is_some();
                assert!(known, "${name} in {query:?}");
            }
        }
    }
}

/// In panels too that `.lint` excuses, because the largest of all pods stands between.
#[test]
fn every_counter_is_asked_for_its_increase() {
    for query in Board::all().iter().flat_map(Board::queries) {
        let read = promql::read(&query.expr);
        for it in &read.selectors {
            let grows = ["_total", "_sum", "_count", "_bucket"];
            let is_counter = grows.iter().any(|end| it.metric.ends_with(end));
            let is_fine = it.range.is_some() && read.functions.iter().any(|it| it == "increase");
            let compares = query.panel == "Due runs that nobody accounts for";
            assert!(!is_counter || is_fine || compares, "{} in {query:?}", it.metric);
        }
    }
}

#[test]
fn every_histogram_is_asked_for_in_both_forms_with_the_same_matchers() {
    for query in Board::all().iter().flat_map(Board::queries) {
        let mut forms = [BTreeSet::new(), BTreeSet::new()];
        for it in promql::read(&query.expr).selectors {
            let Some((name, part)) = histogram(&it.metric) else { continue };
            let Selector { matchers, range, .. } = it;
            forms[usize::from(part.is_empty())].insert((name, matchers, range));
        }
        assert_eq!(forms[0], forms[1], "{query:?}");
    }
}

#[test]
fn beside_every_quantile_stands_how_many_samples_it_is_made_of() {
    let mut panels = 0;
    for board in Board::all() {
        for panel in board.panels() {
            let queries: Vec<_> =
                board.queries_of(panel).iter().map(|it| promql::read(&it.expr)).collect();
            let is_quantile =
                |it: &promql::Query| it.functions.iter().any(|it| it == "histogram_quantile");
            if !queries.iter().any(is_quantile) {
                continue;
            }
            panels += 1;
            let counts: Vec<_> = queries
                .iter()
                .filter(|it| it.is_a_count() && !is_quantile(it))
                .map(measured)
                .collect();
            for quantile in queries.iter().filter(|it| is_quantile(it)) {
                let meant = measured(quantile);
                let title = &panel["title"];
                assert!(counts.contains(&meant), "{title} of {}: {meant:?}", board.title);
            }
        }
    }
    assert!(panels >= 6, "only {panels} panels show quantiles");
}

/// Which histograms a query asks for, how they are limited, how far back, and by what it adds them up.
fn measured(query: &promql::Query) -> (BTreeSet<String>, BTreeSet<String>) {
    let of = |it: &Selector| {
        let name = histogram(&it.metric).map_or(it.metric.as_str(), |it| it.0);
        format!("{name} {:?} {:?}", it.matchers, it.range)
    };
    // The labels of the largest of all pods are not those of what comes out.
    let groupings = query.groupings.iter().filter(|it| !it.0.iter().any(|it| it == "namespace"));
    let labels = groupings.flat_map(|it| it.0.iter()).filter(|it| *it != "le").cloned();
    (query.selectors.iter().map(of).collect(), labels.collect())
}

#[test]
fn what_never_was_is_said_and_not_counted_from_1970() {
    let mut panels = 0;
    for board in Board::all() {
        for panel in board.panels() {
            let queries = board.queries_of(panel);
            if !queries.iter().any(|it| it.expr.contains("or 0 * ")) {
                continue;
            }
            panels += 1;
            let mappings = panel["fieldConfig"]["defaults"]["mappings"].as_array().unwrap();
            let never = mappings.iter().find(|it| it["type"] == "range").unwrap();
            assert_eq!(never["options"]["result"]["text"], "never");
            let from = never["options"]["from"].as_f64().unwrap();
            // Longer than anything that is measured, and shorter than since 1970.
            assert!((1e8..1.7e9).contains(&from) && never["options"]["to"].is_null());
        }
    }
    assert_eq!(panels, 5, "two of the fleet, two tables of scenarios, and the last runs of one");
}

#[test]
fn an_objective_of_999_in_a_thousand_and_more_is_shown_as_it_is() {
    let boards = Board::all();
    let overrides = boards[0].panel("Objectives")["fieldConfig"]["overrides"].as_array().unwrap();
    for column in ["Aim", "Held"] {
        let of = overrides.iter().find(|it| it["matcher"]["options"] == column).unwrap();
        let properties = of["properties"].as_array().unwrap();
        let decimals = properties.iter().find(|it| it["id"] == "decimals").unwrap();
        assert!(decimals["value"].as_u64().unwrap() >= 2, "99.95 % is not 99.9 %: {of}");
    }
}

#[test]
fn no_legend_is_empty_for_the_cluster_that_hopclock_runs_in() {
    let mut legends = 0;
    for board in Board::all() {
        for panel in board.panels() {
            for target in panel["targets"].as_array().unwrap() {
                if target["legendFormat"].as_str().unwrap().contains("{{target_cluster}}") {
                    legends += 1;
                    let expr = target["expr"].as_str().unwrap();
                    assert!(expr.contains(r#""its own""#), "{} of {}", panel["title"], board.title);
                }
            }
        }
    }
    assert!(legends >= 8, "only {legends} legends name clusters");
}

#[test]
fn panels_lie_beside_each_other_and_on_the_grid() {
    for board in Board::all() {
        let (mut taken, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for panel in board.json["panels"].as_array().unwrap() {
            let side = |it: &str| panel["gridPos"][it].as_u64().unwrap();
            assert!(side("x") + side("w") <= 24 && side("h") > 0, "{}", panel["title"]);
            for x in side("x")..side("x") + side("w") {
                for y in side("y")..side("y") + side("h") {
                    assert!(taken.insert((x, y)), "{} of {}", panel["title"], board.title);
                }
            }
            assert!(ids.insert(panel["id"].as_u64().unwrap()));
        }
    }
}

#[test]
fn titles_and_uids_are_each_of_one_thing() {
    let boards = Board::all();
    let uids: BTreeSet<_> = boards.iter().map(|it| it.json["uid"].to_string()).collect();
    assert_eq!(uids.len(), 4);
    assert!(uids.iter().all(|it| it.len() <= 42), "Grafana takes 40 characters: {uids:?}");
    for board in &boards {
        let titles: Vec<_> = board.panels().map(|it| it["title"].to_string()).collect();
        let once: BTreeSet<_> = titles.iter().collect();
        assert_eq!(once.len(), titles.len(), "{titles:?}");
        assert!(board.json["id"].is_null() && board.json["tags"][0] == "hopclock");
        assert_eq!(board.json["links"][0]["tags"][0], "hopclock");
    }
}

#[test]
fn links_lead_to_a_dashboard_that_there_is() {
    let boards = Board::all();
    let uids: Vec<_> =
        boards.iter().map(|it| it.json["uid"].as_str().unwrap().to_owned()).collect();
    let mut links = 0;
    for board in &boards {
        for url in urls(&board.json) {
            let Some(path) = url.strip_prefix("/d/") else { continue };
            let uid = path.split('?').next().unwrap();
            assert!(uids.iter().any(|it| it == uid), "{url}");
            links += 1;
        }
    }
    assert!(links > 0);
}

#[test]
fn columns_and_fields_are_named_as_their_queries_name_them() {
    for board in Board::all() {
        for panel in board.panels() {
            let table = panel["type"] == "table";
            let targets = panel["targets"].as_array().unwrap();
            let legends = targets.iter().map(|it| it["legendFormat"].as_str().unwrap());
            let columns = panel["transformations"][1]["options"]["renameByName"].as_object();
            let columns = columns.map(|it| it.values().map(|it| it.as_str().unwrap()));
            let names: Vec<_> = legends.chain(columns.into_iter().flatten()).collect();
            assert_eq!(table, targets.iter().all(|it| it["format"] == "table"), "{names:?}");
            for it in panel["fieldConfig"]["overrides"].as_array().unwrap() {
                let name = it["matcher"]["options"].as_str().unwrap();
                // A legend that is one label has its values as names.
                let known = names.iter().any(|it| *it == name || it.starts_with("{{"));
                assert!(known, "{name} of {} is none of {names:?}", panel["title"]);
            }
        }
    }
}

/// Every `url` anywhere.
fn urls(json: &Value) -> Vec<String> {
    match json {
        Value::Object(fields) => {
            let own = fields.get("url").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(urls)).collect()
        }
        Value::Array(items) => items.iter().flat_map(urls).collect(),
        _ => Vec::new(),
    }
}
