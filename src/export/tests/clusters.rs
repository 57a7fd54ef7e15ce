//! A change that is stuck in one of several clusters is not stuck in the others.

use super::{exactly, failed, finish, hop, metrics, reached, run, scenario, value};
use crate::export::{HopSeries, Metrics};
use crate::model::{HopRecord, Outcome, Passage, RunRecord, SloRecord, SloVerdict};

/// Of clusters with one `live` each; a webhook, which nobody has to wait for, comes to the first one.
fn two_clusters() -> Metrics {
    let metrics = metrics();
    let mut series = scenario("fleet");
    let hop = |hop: &str, target_cluster: &str, kind: &str| HopSeries {
        hop: hop.to_owned(),
        target_cluster: target_cluster.to_owned(),
        kind: kind.to_owned(),
        optional: kind == "webhook_received",
    };
    series.hops = vec![
        hop("webhook_received", "", "webhook_received"),
        hop("live", "", "live"),
        hop("applied", "", "applied"),
        hop("live-east", "east", "live"),
    ];
    series.clusters = ["", "east"].map(str::to_owned).to_vec();
    metrics.declare(&series);
    metrics
}

/// A run that came to an end after so many seconds, with what became of the two hops `live`. No
/// webhook came, and Flux said a second after each that it was applied.
fn ended(outcome: Outcome, took: f64, own: Passage, east: Passage) -> RunRecord {
    let applied = match own.at() {
        Some(at) => reached(exactly(at.most.as_secs_f64() + 1.0)),
        None => Passage::Unreached,
    };
    let of = |name, target_cluster: &str, passage| HopRecord {
        target_cluster: target_cluster.to_owned(),
        ..hop(name, passage)
    };
    let hops = vec![
        of("webhook_received", "", Passage::Unreached),
        of("live", "", own),
        of("applied", "", applied),
        of("live-east", "east", east),
    ];
    run(outcome, Some(exactly(took)), hops)
}

fn after(seconds: f64) -> Passage {
    reached(exactly(seconds))
}

/// The outcomes that a cluster has, with how often, and the seconds in its histogram.
fn came_to(metrics: &Metrics, cluster: &str) -> Vec<(&'static str, f64, f64)> {
    let of = |outcome: &'static str| {
        let labels =
            format!(r#"{{scenario="fleet",target_cluster="{cluster}",outcome="{outcome}"}}"#);
        let labels = labels.replace(r#"target_cluster="","#, "");
        let runs = value(metrics, &format!("hopclock_cluster_runs_total{labels}")).unwrap();
        let part =
            |it: &str| value(metrics, &format!("hopclock_push_to_apply_seconds_{it}{labels}"));
        assert_eq!(part("count"), Some(runs), "{outcome} in `{cluster}`");
        (outcome, runs, part("sum").unwrap())
    };
    let all = ["ok", "slow", "failed", "timeout"].map(of);
    all.into_iter().filter(|it| it.1 > 0.0).collect()
}

fn success(metrics: &Metrics, cluster: &str) -> Option<f64> {
    let labels = format!(r#"{{scenario="fleet",target_cluster="{cluster}"}}"#);
    let labels = labels.replace(r#",target_cluster="""#, "");
    value(metrics, &format!("hopclock_last_success_timestamp_seconds{labels}"))
}

#[test]
fn a_change_that_is_stuck_in_one_cluster_is_ok_in_the_other() {
    let metrics = two_clusters();
    finish(&metrics, ended(Outcome::Timeout, 540.0, after(4.0), Passage::Unreached));
    assert_eq!(came_to(&metrics, ""), [("ok", 1.0, 4.0)]);
    assert_eq!(came_to(&metrics, "east"), [("timeout", 1.0, 540.0)]);
    assert!(success(&metrics, "").is_some());
    assert_eq!(success(&metrics, "east"), None);
    finish(&metrics, ended(failed(), 60.0, Passage::Unreached, after(12.0)));
    assert_eq!(came_to(&metrics, ""), [("ok", 1.0, 4.0), ("failed", 1.0, 60.0)]);
    assert_eq!(came_to(&metrics, "east"), [("ok", 1.0, 12.0), ("timeout", 1.0, 540.0)]);
    assert!(success(&metrics, "east").is_some());
    // The run as such has one outcome, and the whole of it was late.
    let runs = |it: &str| {
        value(&metrics, &format!(r#"hopclock_runs_total{{scenario="fleet",outcome="{it}"}}"#))
    };
    assert_eq!(["ok", "failed", "timeout"].map(runs), [Some(0.0), Some(1.0), Some(1.0)]);
}

#[test]
fn a_change_that_a_cluster_has_lost_again_did_not_get_there() {
    let metrics = two_clusters();
    let mut lost = ended(Outcome::Timeout, 540.0, after(4.0), after(12.0));
    lost.hops[3].reverted = true;
    finish(&metrics, lost);
    assert_eq!(came_to(&metrics, ""), [("ok", 1.0, 4.0)]);
    assert_eq!(came_to(&metrics, "east"), [("timeout", 1.0, 540.0)]);
}

#[test]
fn each_cluster_has_its_own_time_and_only_the_late_one_is_slow() {
    let metrics = two_clusters();
    finish(&metrics, ended(Outcome::Ok, 32.0, after(12.0), after(32.0)));
    assert_eq!(came_to(&metrics, ""), [("ok", 1.0, 12.0)]);
    assert_eq!(came_to(&metrics, "east"), [("ok", 1.0, 32.0)]);
    // The whole should take no longer than 120 s.
    finish(&metrics, ended(Outcome::Slow, 200.0, after(12.0), after(200.0)));
    assert_eq!(came_to(&metrics, ""), [("ok", 2.0, 24.0)]);
    assert_eq!(came_to(&metrics, "east"), [("ok", 1.0, 32.0), ("slow", 1.0, 200.0)]);
    // Stuck in one cluster, late in the other.
    finish(&metrics, ended(Outcome::Timeout, 540.0, after(300.0), Passage::Unreached));
    assert_eq!(came_to(&metrics, ""), [("ok", 2.0, 24.0), ("slow", 1.0, 300.0)]);
}

#[test]
fn a_cluster_whose_hop_missed_its_own_objective_is_slow() {
    let metrics = two_clusters();
    let mut late = ended(Outcome::Slow, 32.0, after(12.0), after(32.0));
    late.slo = vec![SloRecord { slo: "live-east".to_owned(), verdict: SloVerdict::Bad }];
    finish(&metrics, late);
    assert_eq!(came_to(&metrics, ""), [("ok", 1.0, 12.0)]);
    assert_eq!(came_to(&metrics, "east"), [("slow", 1.0, 32.0)]);
}

#[test]
fn where_nothing_shows_which_cluster_it_was_it_is_all_of_them() {
    let metrics = two_clusters();
    finish(&metrics, ended(Outcome::Timeout, 540.0, after(4.0), Passage::Bypassed));
    assert_eq!(came_to(&metrics, ""), [("timeout", 1.0, 540.0)]);
    assert_eq!(came_to(&metrics, "east"), [("timeout", 1.0, 540.0)]);
}

#[test]
fn a_cluster_in_which_delivery_went_by_unseen_has_no_certain_time() {
    let metrics = two_clusters();
    finish(&metrics, ended(Outcome::Ok, 32.0, after(32.0), Passage::Bypassed));
    let of = |it: &str| value(&metrics, &format!("hopclock_{it}"));
    let labels = r#"{scenario="fleet",target_cluster="east",outcome="ok"}"#;
    assert_eq!(of(&format!("cluster_runs_total{labels}")), Some(1.0));
    assert_eq!(of(&format!("push_to_apply_seconds_count{labels}")), Some(0.0));
    let vague = r#"uncertain_hops_total{scenario="fleet",target_cluster="east",hop="total"}"#;
    assert_eq!(of(vague), Some(1.0));
    assert_eq!(came_to(&metrics, ""), [("ok", 1.0, 32.0)]);
}
