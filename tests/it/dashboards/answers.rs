//! Every query finds something in the simulated day, and key panels say what is true of it, both in a
//! Prometheus with classic and in one with native histograms.

use crate::dashboards::day::{BEGIN, UPDATE};
use crate::dashboards::filled::{Chosen, Form, ask, filled, filled_seldom, query, sent};
use crate::dashboards::model::{Board, Query};
use crate::prometheus_kit::{Found, Prometheus, Version};

/// Hours from noon, when the webhook died, to the end of the day; less one for the windows of curves.
const AFTERNOON: u64 = 11;

#[tokio::test]
async fn every_query_has_an_answer_where_histograms_are_classic() {
    all(Form::Classic).await;
}

#[tokio::test]
async fn every_query_has_an_answer_where_histograms_are_native() {
    all(Form::Native).await;
}

/// A `CronJob` pushes once, and what it pushed is gone five minutes later.
#[tokio::test]
async fn what_was_pushed_forty_minutes_ago_is_still_shown() {
    if !Version::Two.is_found() {
        return;
    }
    let prometheus = filled_seldom(Form::Classic).await;
    let chosen = Chosen::all().of("fleet");
    for (board, panel, target) in [
        ("overview", "Budget left", 0),
        ("overview", "Objectives", 0),
        ("overview", "Objectives", 1),
        ("overview", "Objectives", 3),
        ("overview", "Scenarios", 0),
        ("overview", "Scenarios", 2),
        ("overview", "Scenarios", 3),
        ("scenario", "Last and next", 0),
        ("scenario", "Last and next", 2),
        ("fleet", "Longest without success", 0),
    ] {
        let query = query(board, panel, target);
        let found = ask(&prometheus, &query, &chosen).await;
        assert!(only(&query, &found).values[0].1.is_finite(), "{query:?}");
    }
    let ago = query("overview", "Scenarios", 0);
    // The run of seven past eleven, pushed at twenty past.
    near(only(&ago, &ask(&prometheus, &ago, &chosen).await).values[0].1, 53.0 * 60.0 - 62.0);
    let decided = query("overview", "Objectives", 4);
    let decided = only(&decided, &ask(&prometheus, &decided, &chosen).await).values[0].1;
    assert!((decided - 93.0).abs() < 3.0, "four an hour: {decided}");
}

async fn all(form: Form) {
    if !Version::Two.is_found() {
        return;
    }
    let mut prometheus = filled(form).await;
    everything_answers(&prometheus).await;
    the_first_row_tells_the_story(&prometheus).await;
    times_add_up(&prometheus).await;
    objectives_are_right(&prometheus).await;
    outcomes_are_shown(&prometheus).await;
    clusters_are_told_apart(&prometheus).await;
    hopclock_is_well(&prometheus).await;
    let heatmap = query("overview", "Push to live, all changes", 0);
    let run = prometheus.eventually_exemplar(&sent(&heatmap, &Chosen::all())).await;
    assert!(run.starts_with("hopclock-"), "{run}");
}

/// No panel is empty, whatever scenario of the day it is asked of; one that shows a single scenario
/// has something to say of at least one.
async fn everything_answers(prometheus: &Prometheus) {
    let mut silent = Vec::new();
    for board in Board::all() {
        let choices = match board.name {
            "scenario" => ["fleet", "image", "regions"].map(|it| Chosen::all().of(it)).to_vec(),
            _ => vec![Chosen::all()],
        };
        for query in board.queries() {
            let mut says_something = false;
            for chosen in &choices {
                let found = ask(prometheus, &query, chosen).await;
                says_something |=
                    found.iter().any(|it| it.values.iter().any(|it| it.1.is_finite()));
            }
            if !says_something {
                silent.push((query.board, query.panel, query.target, query.expr));
            }
        }
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

/// "41 of the 58 seconds were spent waiting for a poll, because a webhook died."
async fn the_first_row_tells_the_story(prometheus: &Prometheus) {
    let afternoon = Chosen::all().of("fleet").last(AFTERNOON);
    let value = async |panel, target| {
        let query = query("overview", panel, target);
        only(&query, &ask(prometheus, &query, &afternoon).await).values[0].1
    };
    near(value("Push to live", 0).await, 58.0);
    near(value("Slowest hop", 0).await, 41.0);
    near(value("Found by a poll", 0).await, 1.0);
    near(value("Webhooks that never came", 0).await, 1.0);
    // A quarter of an hour each, from seven past.
    let runs = value("Push to live", 1).await;
    assert!((runs - 43.0).abs() < 0.5, "{runs}");
    // A fetch that a poll began shows no wait, and `live` none at all.
    for (place, seconds) in [41.0, 0.0, 58.0].into_iter().enumerate() {
        near(value("Waiting", place).await, seconds);
    }
    let slowest = query("overview", "Slowest hop", 0);
    let found = ask(prometheus, &slowest, &afternoon).await;
    assert_eq!(only(&slowest, &found).labels["hop"], "source_fetched");
    let (by_poll, never) = (2, 3);
    let fetch = row("Hop by hop", by_poll, ("hop", "source_fetched"));
    near(fetch(prometheus, &afternoon).await, 1.0);
    let never = row("Hop by hop", never, ("hop", "webhook_received"))(prometheus, &afternoon).await;
    assert!((never - 43.0).abs() < 0.5, "{never}");
}

/// The stack is as high as the whole while every change is delivered, and not moved by what is said of
/// changes that are not; and waiting and work are as high as the stack.
async fn times_add_up(prometheus: &Prometheus) {
    let chosen = Chosen::all().of("fleet");
    let hops = query("overview", "Mean time per hop", 0);
    let hops = ask(prometheus, &hops, &chosen).await;
    let names: Vec<_> = hops.iter().map(|it| it.labels["hop"].as_str().unwrap()).collect();
    assert_eq!(names, ["live", "source_fetched"]);
    let whole = query("overview", "Mean time per hop", 1);
    let whole = &ask(prometheus, &whole, &chosen).await[0];
    let mut parts = Vec::new();
    for target in 0..3 {
        let query = query("overview", "Waiting and working", target);
        parts.push(ask(prometheus, &query, &chosen).await.swap_remove(0));
    }
    // Two of twelve changes are stuck after they were fetched, from eight to eleven: 8 s instead of 2.
    for (hour, live, fetched, delivered, until_a_poll, seen) in [
        (7, 17.0, 2.0, 19.0, 0.0, 0.5),
        (11, 17.0, 3.0, 19.0, 0.0, 0.5),
        (18, 17.0, 41.0, 58.0, 41.0, 0.0),
    ] {
        near(at(&hops[0], hour), live);
        near(at(&hops[1], hour), fetched);
        near(at(whole, hour), delivered);
        near(at(&parts[0], hour), until_a_poll);
        near(at(&parts[1], hour), seen);
        near(at(&parts[2], hour), live + fetched - until_a_poll - seen);
    }
    // While polls are some of what is looked back at, they have too small a part, but all adds up.
    let between = parts.iter().map(|it| at(it, 13)).sum::<f64>();
    near(between, at(&hops[0], 13) + at(&hops[1], 13));
    assert!((0.0..41.0).contains(&at(&parts[0], 13)));
}

async fn objectives_are_right(prometheus: &Prometheus) {
    let worst = query("overview", "Budget left", 0);
    let worst = &ask(prometheus, &worst, &Chosen::all()).await[0];
    assert_eq!(worst.labels["scenario"], "fleet");
    // 49 of 95 changes missed an objective that one in ten may miss.
    let left = 1.0 - 49.0 / 95.0 / 0.1;
    assert!((worst.values[0].1 - left).abs() < 0.02, "{} is not {left}", worst.values[0].1);
    let fleet = Chosen::all().of("fleet");
    for (column, truth) in [(0, 0.9), (1, 30.0), (2, 46.0 / 95.0), (4, 95.0), (5, 49.0), (6, 0.0)] {
        let value = row("Objectives", column, ("scenario", "fleet"))(prometheus, &fleet).await;
        assert!((value - truth).abs() <= truth * 0.01, "column {column}: {value} is not {truth}");
    }
    // All of the last hour missed it.
    let burn = query("scenario", "Burn rate", 0);
    near(at(&ask(prometheus, &burn, &fleet).await[0], 22), 10.0);
    near(at(&ask(prometheus, &burn, &fleet).await[0], 11), 0.0);
}

async fn outcomes_are_shown(prometheus: &Prometheus) {
    let history = query("overview", "Outcomes", 0);
    let found = ask(prometheus, &history, &Chosen::all()).await;
    let of = |scenario: &str| found.iter().find(|it| it.labels["scenario"] == scenario).unwrap();
    let worst_at = |scenario: &str, hour: u64| {
        let from = seconds(hour * 3_600);
        let values = of(scenario).values.iter();
        let inside = values.filter(|it| it.0 > from && it.0 <= from + 3_600.0);
        inside.map(|it| it.1).fold(f64::MIN, f64::max)
    };
    // ok, slow, superseded, skipped, probe_error, failed, timeout
    near(worst_at("fleet", 11), 1.0);
    near(worst_at("fleet", 15), 2.0);
    near(worst_at("image", 8), 3.0);
    near(worst_at("image", 9), 4.0);
    near(worst_at("image", 7), 5.0);
    near(worst_at("image", 3), 6.0);
    near(worst_at("image", 5), 7.0);
    // The run that times out is under way for as long as its deadline.
    let age = query("overview", "Age of the run under way", 0);
    let age = ask(prometheus, &age, &Chosen::all().of("image")).await;
    let oldest = age[0].values.iter().map(|it| it.1).fold(f64::MIN, f64::max);
    assert!((400.0..=545.0).contains(&oldest), "{oldest}");
}

async fn clusters_are_told_apart(prometheus: &Prometheus) {
    let regions = Chosen::all().of("regions");
    let slowest = query("fleet", "Slowest cluster", 0);
    let found = ask(prometheus, &slowest, &regions).await;
    assert_eq!(only(&slowest, &found).labels["target_cluster"], "west");
    near(found[0].values[0].1, 32.0);
    let spread = query("fleet", "Slowest less fastest", 0);
    near(only(&spread, &ask(prometheus, &spread, &regions).await).values[0].1, 20.0);
    let times = query("fleet", "Push to live in each cluster", 0);
    let found = ask(prometheus, &times, &Chosen::all()).await;
    let names: Vec<_> = found.iter().map(|it| it.labels["target_cluster"].clone()).collect();
    assert_eq!(names, ["east", "its own", "west"]);
    for (board, panel) in [("fleet", "Outcomes"), ("prober", "Watch echo")] {
        let found = ask(prometheus, &query(board, panel, 0), &Chosen::all()).await;
        let names: Vec<_> = found.iter().map(|it| it.labels["target_cluster"].clone()).collect();
        assert_eq!(names, ["east", "its own", "west"], "{panel}");
    }
}

async fn hopclock_is_well(prometheus: &Prometheus) {
    let account = query("prober", "Due runs that nobody accounts for", 0);
    let found = ask(prometheus, &account, &Chosen::all()).await;
    assert_eq!(found.len(), 3);
    for it in &found {
        assert!(it.values.iter().all(|it| it.1 == 0.0), "{it:?}");
    }
    let board = Board::all().swap_remove(3);
    let versions = board.queries().pop().unwrap();
    assert!(versions.panel.is_empty());
    let found = ask(prometheus, &versions, &Chosen::all()).await;
    let new = found.iter().find(|it| it.labels["version"] == "1.3.0").unwrap();
    let minutes = (new.values[0].0 - seconds(UPDATE)) / 60.0;
    assert!((0.0..=10.0).contains(&minutes), "{minutes} minutes after the update");
    let version = query("prober", "Version", 0);
    let found = ask(prometheus, &version, &Chosen::all()).await;
    assert_eq!(only(&version, &found).labels["version"], "1.3.0");
    let error = query("prober", "Measurement error", 1);
    let echoes = only(&error, &ask(prometheus, &error, &Chosen::all()).await).values[0].1;
    assert!((echoes - 180.0).abs() < 4.0, "three clusters in an hour: {echoes}");
}

/// Asks for the cell of a table on the overview: a column, and the row with that label.
fn row(
    panel: &str,
    column: usize,
    (label, value): (&'static str, &'static str),
) -> impl AsyncFn(&Prometheus, &Chosen) -> f64 {
    let query = query("overview", panel, column);
    async move |prometheus: &Prometheus, chosen: &Chosen| {
        let found = ask(prometheus, &query, chosen).await;
        let row = found.iter().find(|it| it.labels[label] == value);
        row.unwrap_or_else(|| panic!("no row {value} in {found:?}")).values[0].1
    }
}

/// The one series of an answer.
fn only<'a>(query: &Query, found: &'a [Found]) -> &'a Found {
    assert_eq!(found.len(), 1, "{query:?} yields {found:?}");
    &found[0]
}

/// The value of a curve at an hour.
fn at(curve: &Found, hour: u64) -> f64 {
    let instant = seconds(hour * 3_600);
    let point = curve.values.iter().find(|it| it.0 >= instant);
    point.unwrap_or_else(|| panic!("nothing from {hour}:00 on in {curve:?}")).1
}

fn near(value: f64, truth: f64) {
    assert!((value - truth).abs() <= 1e-6 * truth.max(1.0), "{value} is not {truth}");
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
fn seconds(of_the_day: u64) -> f64 {
    (BEGIN + of_the_day) as f64
}
