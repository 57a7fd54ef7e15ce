//! What many scenarios cost: the size of a scrape, which is the same in every run.

use super::metrics;
use crate::export::{Format, HopSeries, Metrics, ScenarioSeries};

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
            slos: vec!["total".to_owned()],
            clusters: vec![cluster.to_owned()],
            open: false,
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
    assert_small(&thousand("fleet", "prod-eu1", "", hops));
}

/// Thirty characters for a scenario, sixteen for a hop, in the cluster that hopclock runs in.
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
    assert_small(&thousand("payments-platform-europe1", "", "webhook_received", hops));
}
