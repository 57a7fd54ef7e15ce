//! One change through several clusters: which is slow, which is left behind.

use crate::dashboard::delivery::DELIVERED;
use crate::dashboard::hops::means;
use crate::dashboard::panel::{Look, Panel};
use crate::dashboard::promql::{
    Measured, behind, counted, last_ok, named, share, since, stood, sum,
};
use crate::dashboard::target::Target;
use crate::dashboard::variable::{RANGE, WINDOW};
use crate::dashboard::view::{Colour, PLAIN, Steps, Unit, View};
use crate::export::Metric;

/// Of a share of polls.
const POLLED: Steps = &[(0.0, Colour::Plain), (0.1, Colour::Odd), (0.5, Colour::Bad)];

/// Of what should not happen.
const NEVER: Steps = &[(0.0, Colour::Plain), (0.5, Colour::Bad)];

const BY: &str = "target_cluster";

/// The cluster that changes take longest to get to.
pub(super) fn slowest() -> Panel {
    Panel::new(
        View::NamedNumbers,
        Unit::Seconds,
        "Slowest cluster",
        "The cluster that a change takes longest to get to, on the mean over the time range of the \
         dashboard. Changes that did not get there count with the deadline, or with the time at which \
         that was certain. `its own` is the cluster that hopclock runs in.",
    )
    .sized(6, 5)
    .asks(Target::now("{{target_cluster}}", format!("topk(1, {})", named(&format!("({})", arrival(RANGE).mean())))))
}

/// How far the slowest cluster is behind the fastest.
pub(super) fn spread() -> Panel {
    let time = arrival(RANGE).mean();
    Panel::new(
        View::Numbers,
        Unit::Seconds,
        "Slowest less fastest",
        "By how much longer a change takes to get to the slowest cluster than to the fastest, on the \
         mean.",
    )
    .sized(6, 5)
    .asks(Target::now("spread", format!("max({time}) - min({time})")))
}

/// The cluster that is left behind furthest.
pub(super) fn stalest() -> Panel {
    Panel::new(
        View::NamedNumbers,
        Unit::Seconds,
        "Longest without success",
        "The cluster whose last change that got there in time was longest before its last change, and \
         the scenario; never, if none did as far as is known. Where the last change got everywhere in \
         time, this is 0.",
    )
    .may_be_never()
    .sized(6, 5)
    .asks(Target::now(
        "{{target_cluster}}, {{scenario}}",
        format!("topk(1, {})", named(&behind(RANGE))),
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
    let measured = runs(r#"outcome=~"ok|slow|failed|timeout""#);
    let delivery = arrival(RANGE);
    Panel::new(
        View::Table,
        Unit::Count,
        "Clusters",
        "Each cluster over the time range of the dashboard. Mean and quantiles are of the time from the \
         push until a change was there, those that did not get there included, and stand beside how \
         many samples they are made of. `Not reached` are changes that failed or timed out there, \
         whatever became of them in other clusters. `Hops here` adds up the mean times of the hops in \
         the cluster. `Last ok ago` is that of the scenario where it is longest ago.",
    )
    .may_be_never()
    .sized(24, 8)
    .label("target_cluster", "Cluster")
    .sorted("On the mean")
    .column("On the mean", Unit::Seconds, PLAIN, format!("({})", delivery.mean()))
    .column("Half within", Unit::Seconds, PLAIN, format!("({})", delivery.quantile(0.5)))
    .column("Nine of ten within", Unit::Seconds, PLAIN, format!("({})", delivery.quantile(0.9)))
    .column("Samples", Unit::Count, PLAIN, format!("({})", delivery.count()))
    .column("Delivered", Unit::Share, PLAIN, share(&runs(DELIVERED), &measured))
    .column("Not reached", Unit::Count, NEVER, runs(r#"outcome=~"failed|timeout""#))
    .column("Hops here", Unit::Seconds, PLAIN, sum(BY, &means("target_cluster, hop", RANGE)))
    .column("Not measured", Unit::Count, NEVER, runs(r#"outcome="probe_error""#))
    .column("Found by a poll", Unit::Share, POLLED, share(&wakes(r#"via="interval""#), &wakes(r#"via!="upstream""#)))
    .column("Last run ago", Unit::Seconds, PLAIN, since(&stood(Metric::LastRun, BY, RANGE)))
    .column("Last ok ago", Unit::Seconds, PLAIN, since(&last_ok(BY, RANGE)))
}

/// How long changes take to get to each cluster, over time.
pub(super) fn times() -> Panel {
    Panel::new(
        View::Curves,
        Unit::Seconds,
        "Push to live in each cluster",
        "The mean time from the push until a change was there, those that did not get there included, \
         over the window of each point. One curve that leaves the others is one cluster's trouble; all \
         of them, the source's.",
    )
    .sized(12, 9)
    .every("5m")
    .asks(Target::curve("{{target_cluster}}", named(&format!("({})", arrival(WINDOW).mean()))))
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
         hour: the measurement error there. There is one a minute; how many of each cluster that are \
         stands on the right.",
    )
    .sized(12, 8)
    .every("5m")
    .asks(Target::curve("{{target_cluster}}", named(&format!("({})", echo.quantile(0.9)))))
    .asks(Target::curve("{{target_cluster}} samples", named(&format!("({})", echo.count()))))
    .answers(Look::Of(Unit::Count))
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

/// How long changes took to get to each cluster, those that did not get there included.
fn arrival(range: &str) -> Measured {
    Measured::new(Metric::PushToApply, BY, range)
}
