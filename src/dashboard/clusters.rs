//! One change through several clusters: which is slow, which is left behind.

use crate::dashboard::delivery::DELIVERED;
use crate::dashboard::hops::means;
use crate::dashboard::panel::{Look, Panel};
use crate::dashboard::promql::{Measured, counted, named, share, since, stood, sum};
use crate::dashboard::target::Target;
use crate::dashboard::variable::{RANGE, WINDOW};
use crate::dashboard::view::{Colour, PLAIN, Steps, Unit, View};
use crate::export::Metric;

/// Of a share of polls.
const POLLED: Steps = &[(0.0, Colour::Plain), (0.1, Colour::Odd), (0.5, Colour::Bad)];

/// Of what should not happen.
const NEVER: Steps = &[(0.0, Colour::Plain), (0.5, Colour::Bad)];

const BY: &str = "target_cluster";

/// The cluster whose hops take longest.
pub(super) fn slowest() -> Panel {
    Panel::new(
        View::NamedNumbers,
        Unit::Seconds,
        "Slowest cluster",
        "The cluster whose hops take longest on the mean, added up from hop to hop, over the time range \
         of the dashboard. `its own` is the cluster that hopclock runs in.",
    )
    .sized(6, 5)
    .asks(Target::now("{{target_cluster}}", format!("topk(1, {})", named(&own_time(RANGE)))))
}

/// How far the slowest cluster is behind the fastest.
pub(super) fn spread() -> Panel {
    let time = own_time(RANGE);
    Panel::new(
        View::Numbers,
        Unit::Seconds,
        "Slowest less fastest",
        "By how much the hops of the slowest cluster take longer on the mean than those of the fastest.",
    )
    .sized(6, 5)
    .asks(Target::now("spread", format!("max({time}) - min({time})")))
}

/// The cluster that has gone longest without a change that was delivered in time.
pub(super) fn stalest() -> Panel {
    Panel::new(
        View::NamedNumbers,
        Unit::Seconds,
        "Longest without success",
        "The cluster whose last change that was delivered in time is longest ago.",
    )
    .sized(6, 5)
    .asks(Target::now(
        "{{target_cluster}}",
        format!(
            "topk(1, {})",
            named(&format!("({})", since(&stood(Metric::LastSuccess, BY, RANGE))))
        ),
    ))
}

/// How many clusters are looked at.
pub(super) fn count() -> Panel {
    Panel::new(View::Numbers, Unit::Count, "How many", "How many clusters runs have looked at.")
        .sized(6, 5)
        .asks(Target::now("clusters", format!("count({})", stood(Metric::LastRun, BY, RANGE))))
}

/// Every cluster with its numbers.
pub(super) fn table() -> Panel {
    let runs = |which: &str| counted(Metric::ClusterRuns, which, BY, RANGE);
    let wakes = |via: &str| counted(Metric::HopWakes, via, BY, RANGE);
    let delivery = Measured::new(Metric::PushToApply, BY, RANGE);
    Panel::new(
        View::Table,
        Unit::Count,
        "Clusters",
        "Each cluster over the time range of the dashboard. `Hops here` adds up the mean times of the \
         hops in the cluster; the quantiles are of whole deliveries, to all clusters of a scenario, and \
         stand beside how many samples they are made of.",
    )
    .sized(24, 8)
    .label("target_cluster", "Cluster")
    .sorted("Hops here")
    .column("Hops here", Unit::Seconds, PLAIN, own_time(RANGE))
    .column("Half within", Unit::Seconds, PLAIN, delivery.quantile(0.5))
    .column("Nine of ten within", Unit::Seconds, PLAIN, delivery.quantile(0.9))
    .column("Samples", Unit::Count, PLAIN, runs(r#"outcome=~"ok|slow|failed|timeout""#))
    .column("Delivered", Unit::Share, PLAIN, share(&runs(DELIVERED), &runs(r#"outcome=~"ok|slow|failed|timeout""#)))
    .column("Not measured", Unit::Count, NEVER, runs(r#"outcome="probe_error""#))
    .column("Found by a poll", Unit::Share, POLLED, share(&wakes(r#"via="interval""#), &wakes(r#"via!="upstream""#)))
    .column("Last run ago", Unit::Seconds, PLAIN, since(&stood(Metric::LastRun, BY, RANGE)))
    .column("Last ok ago", Unit::Seconds, PLAIN, since(&stood(Metric::LastSuccess, BY, RANGE)))
}

/// How long hops take in each cluster, over time.
pub(super) fn times() -> Panel {
    Panel::new(
        View::Curves,
        Unit::Seconds,
        "Time in each cluster",
        "The mean times of the hops in each cluster, added up, over the window of each point. One curve \
         that leaves the others is one cluster's trouble; all of them, the source's.",
    )
    .sized(12, 9)
    .every("5m")
    .asks(Target::curve("{{target_cluster}}", named(&own_time(WINDOW))))
}

/// The slowest hops of all clusters.
pub(super) fn slowest_hops() -> Panel {
    let hops =
        Measured::new(Metric::StageDuration, "target_cluster, hop", RANGE).only(r#"hop!="push""#);
    let slowest = format!("topk(10, {})", hops.mean());
    Panel::new(
        View::Table,
        Unit::Seconds,
        "Slowest hops",
        "The ten hops of all clusters that take longest on the mean, over the time range of the \
         dashboard, and how many samples that is.",
    )
    .sized(12, 9)
    .label("target_cluster", "Cluster")
    .label("hop", "Hop")
    .column("Mean", Unit::Seconds, PLAIN, slowest.clone())
    .column("Samples", Unit::Count, PLAIN, format!("({}) and {slowest}", hops.count()))
    .sorted("Mean")
}

/// How long what was written is not heard of, cluster by cluster.
pub(super) fn echoes() -> Panel {
    let echo = Measured::new(Metric::WatchEcho, BY, "1h");
    Panel::new(
        View::Curves,
        Unit::Seconds,
        "Watch echo of each cluster",
        "How long nine of ten writes of hopclock's own took to come back as a watch event in the last \
         hour: the measurement error there. There is one a minute; how many that are stands on the \
         right.",
    )
    .sized(12, 8)
    .every("5m")
    .asks(Target::curve("{{target_cluster}}", named(&format!("({})", echo.quantile(0.9)))))
    .asks(Target::curve("samples", Measured::new(Metric::WatchEcho, "", "1h").count()))
    .field("samples", Look::Of(Unit::Count))
}

/// Watches that broke, cluster by cluster.
pub(super) fn restarts() -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Watches opened again",
        "How often a watch of each cluster's API server had to be opened again. Times around that are \
         uncertain, and many of them say that something on the way closes connections.",
    )
    .sized(12, 8)
    .every("30m")
    .asks(Target::curve(
        "{{target_cluster}}",
        named(&counted(Metric::WatchRestarts, "", BY, "$__rate_interval")),
    ))
}

/// The mean times of the hops in each cluster, added up.
fn own_time(range: &str) -> String {
    sum(BY, &means("target_cluster, hop", range))
}
