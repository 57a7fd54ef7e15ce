//! What many scenarios cost: the size of a scrape, which is the same in every run.

use super::{metrics, objective};
use crate::export::{Format, HopSeries, Metrics, ScenarioSeries, Schedule};
use crate::model::{Ticks, Timetable};
use std::time::Duration;

/// A thousand scenarios of eight hops; the push is the eighth. Hops of one kind may be optional.
fn thousand(name: &str, cluster: &str, optional: &str, hops: [(&str, &str); 7]) -> Metrics {
    let metrics = metrics();
    let hops = hops.map(|(kind, hop)| HopSeries {
        hop: hop.to_owned(),
        target_cluster: cluster.to_owned(),
        kind: kind.to_owned(),
        optional: kind == optional,
    });
    for number in 0..1000 {
        metrics.declare(&ScenarioSeries {
            scenario: format!("{name}-{number:04}"),
            hops: hops.to_vec(),
            slos: vec![objective("total")],
            clusters: vec![cluster.to_owned()],
            open: false,
            deadline: Duration::from_secs(540),
            schedule: Some(Schedule {
                timetable: Timetable {
                    scenario: format!("{name}-{number:04}"),
                    ticks: Ticks::Every(Duration::from_secs(900)),
                    jitter: None,
                    pauses: Vec::new(),
                },
                seed: "hopclock".to_owned(),
            }),
        });
    }
    metrics
}

fn assert_small(metrics: &Metrics) {
    for format in Format::ALL {
        let size = metrics.snapshot().encode(format).len();
        assert!(size <= 30 << 20, "{format:?}: {size} bytes");
    }
}

#[test]
fn a_thousand_scenarios_of_eight_hops_stay_below_thirty_mebibytes() {
    let hops = [
        ("webhook_received", "webhook_received"),
        ("source_fetched", "source_fetched"),
        ("applied", "infra_applied"),
        ("live", "infra_live"),
        ("applied", "apps_applied"),
        ("live", "apps_live"),
        ("live", "frontend_live"),
    ];
    assert_small(&thousand("fleet", "prod-1", "", hops));
}

/// Twenty-eight characters for a scenario, sixteen for a hop, in the cluster that hopclock runs in.
#[test]
fn long_names_stay_below_thirty_mebibytes() {
    let hops = [
        ("webhook_received", "webhook_received"),
        ("source_fetched", "platform_fetched"),
        ("applied", "platform_applied"),
        ("live", "platform_is_live"),
        ("applied", "services_applied"),
        ("live", "services_is_live"),
        ("live", "frontend_is_live"),
    ];
    assert_small(&thousand("payments-platform-euro1", "", "webhook_received", hops));
}
