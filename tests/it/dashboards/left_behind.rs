//! On a day on which a cluster is left behind, the fleet's dashboard names that one and no other; and
//! what stands beside a quantile is how many samples of the chosen cluster it is made of.

use crate::dashboards::day::BEGIN;
use crate::dashboards::filled::{Chosen, Form, ask, filled, filled_left_behind, query};
use crate::dashboards::model::Board;
use crate::prometheus_kit::{Found, Prometheus, Version};

/// What no time since an instant of the day can be: nobody knows an instant.
const NEVER: f64 = 1e9;

/// Changes of the day, and those before noon.
const CHANGES: (f64, f64) = (95.0, 48.0);

#[tokio::test]
async fn the_cluster_that_is_left_behind_is_named_where_histograms_are_classic() {
    left_behind(Form::Classic).await;
}

#[tokio::test]
async fn the_cluster_that_is_left_behind_is_named_where_histograms_are_native() {
    left_behind(Form::Native).await;
}

async fn left_behind(form: Form) {
    if !Version::Two.is_found() {
        return;
    }
    let prometheus = filled_left_behind(form).await;
    let reachable = Chosen::all().in_cluster("|east");
    let (changes, before_noon) = CHANGES;
    let east = (before_noon * 12.0 + (changes - before_noon) * 540.0) / changes;
    for (panel, chosen, name, truth) in [
        ("Longest without success", &Chosen::all(), "north", NEVER),
        // From the run that was due at 11:52 to the one that was due at 23:37.
        ("Longest without success", &reachable, "east", 11.75 * 3_600.0),
        ("Longest without success", &Chosen::all().in_cluster(""), "its own", 0.0),
        ("Slowest cluster", &Chosen::all(), "north", 540.0),
        ("Slowest cluster", &reachable, "east", east),
    ] {
        let found = ask(&prometheus, &query("fleet", panel, 0), chosen).await;
        assert_eq!(found.len(), 1, "{panel}: {found:?}");
        assert_eq!(found[0].labels["target_cluster"], name, "{panel}: {found:?}");
        let value = found[0].values[0].1;
        if truth < NEVER {
            near(value, truth);
        } else {
            assert!(value > NEVER, "{panel}: {value}");
        }
    }
    the_table_tells_them_apart(&prometheus).await;
    outcomes_are_those_of_each(&prometheus).await;
    let chosen = Chosen::all().of("hub");
    for (board, panel, target) in [("overview", "Scenarios", 1), ("scenario", "Last and next", 1)] {
        let query = query(board, panel, target);
        let value = |found: Vec<Found>| found[0].values[0].1;
        let ago = value(ask(&prometheus, &query, &chosen).await);
        assert!(ago > NEVER, "{panel}: it was never ok in all clusters, not {ago} s ago");
        let ago = value(ask(&prometheus, &query, &chosen.clone().in_cluster("|east")).await);
        assert!((43_000.0..43_200.0).contains(&ago), "{panel}: {ago}");
    }
}

async fn the_table_tells_them_apart(prometheus: &Prometheus) {
    let (changes, before_noon) = CHANGES;
    for (column, own, east, north) in [
        ("Nine of ten within", 4.0, 540.0, 540.0),
        ("Samples", changes, changes, changes),
        ("Delivered", 1.0, before_noon / changes, 0.0),
        ("Not reached", 0.0, changes - before_noon, changes),
    ] {
        let cells = cells(prometheus, column).await;
        for (name, truth) in [("its own", own), ("east", east), ("north", north)] {
            // Increases are estimates, quantiles are good to a bucket.
            let off = match column {
                "Nine of ten within" => truth * 0.5,
                _ => truth.max(1.0) * 0.02,
            };
            let value = cells(name);
            assert!((value - truth).abs() <= off, "{column} of {name}: {value} is not {truth}");
        }
    }
    let ago = cells(prometheus, "Last ok ago").await;
    assert!(ago("its own") < 3_600.0);
    assert!((43_000.0..43_200.0).contains(&ago("east")));
    assert!(ago("north") > NEVER);
}

/// A column of the table of clusters, row by row.
async fn cells(prometheus: &Prometheus, column: &str) -> impl Fn(&str) -> f64 {
    let boards = Board::all();
    let fleet = boards.iter().find(|it| it.name == "fleet").unwrap();
    let names = &fleet.panel("Clusters")["transformations"][1]["options"]["renameByName"];
    let field = names.as_object().unwrap().iter().find(|it| it.1 == column);
    let field = field.unwrap_or_else(|| panic!("no column `{column}` in {names}")).0;
    let place = field.bytes().last().unwrap() - b'A';
    let found =
        ask(prometheus, &query("fleet", "Clusters", usize::from(place)), &Chosen::all()).await;
    move |name| {
        let row = found.iter().find(|it| it.labels["target_cluster"] == name);
        row.unwrap_or_else(|| panic!("no row {name} in {found:?}")).values[0].1
    }
}

async fn outcomes_are_those_of_each(prometheus: &Prometheus) {
    let found = ask(prometheus, &query("fleet", "Outcomes", 0), &Chosen::all()).await;
    let (ok, timeout) = (1.0, 7.0);
    for (name, hour, truth) in [
        ("its own", 8, ok),
        ("its own", 18, ok),
        ("east", 8, ok),
        ("east", 18, timeout),
        ("north", 8, timeout),
        ("north", 18, timeout),
    ] {
        let boxes = found.iter().find(|it| it.labels["target_cluster"] == name).unwrap();
        let from = seconds(hour * 3_600);
        let inside = boxes.values.iter().filter(|it| it.0 > from && it.0 <= from + 3_600.0);
        near(inside.map(|it| it.1).fold(f64::MIN, f64::max), truth);
    }
}

#[tokio::test]
async fn samples_are_those_of_the_chosen_cluster_where_histograms_are_classic() {
    samples(Form::Classic).await;
}

#[tokio::test]
async fn samples_are_those_of_the_chosen_cluster_where_histograms_are_native() {
    samples(Form::Native).await;
}

/// `regions` brings 71 changes into two clusters, and is the only one that looks at `east`, where each
/// tenth notification does not come.
async fn samples(form: Form) {
    if !Version::Two.is_found() {
        return;
    }
    let prometheus = filled(form).await;
    let about = |value: f64, truth: f64| (value - truth).abs() < 1.5;
    let east = Chosen::all().in_cluster("east");
    let both = Chosen::all().of("regions");
    for (board, panel, target) in [
        ("overview", "Push to live", 1),
        ("scenario", "Push to live", 1),
        ("overview", "Push to live, quantiles of a day", 2),
        ("scenario", "Push to live, quantiles of a day", 2),
    ] {
        for (chosen, truth) in [(&east, 71.0), (&both, 142.0)] {
            let found = ask(&prometheus, &query(board, panel, target), chosen).await;
            let value = found[0].values.last().unwrap().1;
            assert!(about(value, truth), "{panel} of {board}: {value} of {chosen:?}");
        }
    }
    let hops = ask(&prometheus, &query("scenario", "Quantiles of each hop", 2), &east).await;
    for (hop, truth) in
        [("push", 71.0), ("fetched-east", 71.0), ("live-east", 71.0), ("notified-east", 64.0)]
    {
        let curve = hops.iter().find(|it| it.labels.get("hop").is_some_and(|it| it == hop));
        let curve = curve.unwrap_or_else(|| panic!("no samples of {hop} in {hops:?}"));
        let value = curve.values.last().unwrap().1;
        assert!(about(value, truth), "{hop}: {value}");
    }
    assert_eq!(hops.len(), 4, "{hops:?}");
}

fn near(value: f64, truth: f64) {
    assert!((value - truth).abs() <= 1e-6 * truth.max(1.0), "{value} is not {truth}");
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
fn seconds(of_the_day: u64) -> f64 {
    (BEGIN + of_the_day) as f64
}
