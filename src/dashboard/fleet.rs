//! One change through several clusters.

use crate::dashboard::board::Dashboard;
use crate::dashboard::variable::Variable;
use crate::dashboard::{clusters, runs};
use crate::export::Metric;

/// The clusters beside each other.
pub(super) fn board() -> Dashboard {
    let mut variables = Variable::scope();
    variables.push(Variable::window());
    Dashboard::new(
        ("fleet", "hopclock / Fleet"),
        "The clusters that a change has to reach beside each other: which is slow, which is left behind.",
        "now-24h",
    )
    .variables(variables)
    .row(
        "At a glance",
        vec![clusters::slowest(), clusters::spread(), clusters::stalest(), clusters::count()],
    )
    .row("Clusters", vec![clusters::table()])
    .row("Where the time goes", vec![clusters::times(), clusters::slowest_hops()])
    .row("How it ended", vec![runs::history((Metric::ClusterRuns, "target_cluster"), 24)])
    .row("How well it is heard", vec![clusters::echoes(), clusters::restarts()])
}
