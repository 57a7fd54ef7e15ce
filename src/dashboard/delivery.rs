//! How long does it take from push to live?

use crate::dashboard::hops::DAY;
use crate::dashboard::panel::{Look, Panel};
use crate::dashboard::promql::Measured;
use crate::dashboard::target::Target;
use crate::dashboard::variable::RANGE;
use crate::dashboard::view::{Unit, View};
use crate::export::Metric;

/// Changes that were delivered.
pub(super) const DELIVERED: &str = r#"outcome=~"ok|slow""#;

/// The mean, and how many deliveries it is made of.
pub(super) fn mean() -> Panel {
    let delivered = Measured::new(Metric::PushToApply, "", RANGE).only(DELIVERED);
    Panel::new(
        View::NamedNumbers,
        Unit::Seconds,
        "Push to live",
        "The mean time from the acknowledged push until the change was live, of changes that were \
         delivered in the time range of the dashboard, and how many samples that is. A change to \
         several clusters is one for each; times known too vaguely are none.",
    )
    .sized(4, 5)
    .asks(Target::now("mean", delivered.mean()))
    .asks(Target::now("samples", delivered.count()))
    .field("samples", Look::Of(Unit::Count))
}

/// How many changes took how long.
pub(super) fn heatmap(width: u32) -> Panel {
    let all = Measured::new(Metric::PushToApply, "", "$__rate_interval");
    Panel::new(
        View::Heatmap,
        Unit::Seconds,
        "Push to live, all changes",
        "How many changes took how long; timeouts count at the deadline, failures when they were \
         certain. A change to several clusters counts once for each, when it got there. Each dot is a \
         run, or what it came to in one of its clusters, named by its canary: `hopclock history \
         CANARY` shows it.",
    )
    .sized(width, 9)
    .every("30m")
    .asks(Target::buckets(all.buckets()))
}

/// Quantiles, and how many samples they are made of.
pub(super) fn quantiles(width: u32) -> Panel {
    let measured = Measured::new(Metric::PushToApply, "", DAY);
    Panel::new(
        View::Curves,
        Unit::Seconds,
        "Push to live, quantiles of a day",
        "How long half and nine of ten changes took, undelivered ones included, looking back a whole \
         day from each point: in an hour there are too few. How many samples that are stands on the \
         right; a change to several clusters is one for each.",
    )
    .sized(width, 9)
    .every("10m")
    .asks(Target::curve("half", measured.quantile(0.5)).exemplars())
    .asks(Target::curve("nine of ten", measured.quantile(0.9)))
    .asks(Target::curve("samples", measured.count()))
    .field("samples", Look::Of(Unit::Count))
}
