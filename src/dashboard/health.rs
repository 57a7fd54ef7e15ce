//! How hopclock itself hears: its measurement error, its watches, its version.

use crate::dashboard::panel::{Look, Panel};
use crate::dashboard::promql::{Measured, counted, named, stands};
use crate::dashboard::target::Target;
use crate::dashboard::view::{Colour, Steps, Unit, View};
use crate::export::Metric;

/// Of an error of measurement.
const ERROR: Steps = &[(0.0, Colour::Good), (0.5, Colour::Odd), (2.0, Colour::Worst)];

/// Which hopclock this is.
pub(super) fn version() -> Panel {
    Panel::new(
        View::NamedNumbers,
        Unit::Count,
        "Version",
        "Which hopclock runs, and how many instances of it. Two versions at once: an update is under \
         way, or was left half done.",
    )
    .sized(4, 5)
    .asks(Target::now("{{version}}", format!("count by (version) ({})", stands(Metric::BuildInfo, "", "version, instance"))))
}

/// How exact times are now.
pub(super) fn error() -> Panel {
    let echo = Measured::new(Metric::WatchEcho, "", "1h");
    Panel::new(
        View::NamedNumbers,
        Unit::Seconds,
        "Measurement error",
        "How long nine of ten writes of hopclock's own took to come back as a watch event in the last \
         hour. No time is known better than that; beyond 2 s times are said to be uncertain. Beside it, \
         how many writes that are.",
    )
    .coloured(ERROR)
    .sized(6, 5)
    .asks(Target::now("echo", echo.quantile(0.9)))
    .asks(Target::now("samples", echo.count()))
    .field("samples", Look::Of(Unit::Count))
}

/// The measurement error over time.
pub(super) fn echoes() -> Panel {
    let echo = Measured::new(Metric::WatchEcho, "target_cluster", "1h");
    let by_cluster = |q| named(&format!("({})", echo.quantile(q)));
    Panel::new(
        View::Curves,
        Unit::Seconds,
        "Watch echo",
        "How long half and nine of ten writes of hopclock's own took to come back as a watch event, \
         looking back an hour from each point, cluster by cluster. There is one write a minute; how \
         many of each cluster that are stands on the right.",
    )
    .sized(12, 8)
    .every("5m")
    .asks(Target::curve("{{target_cluster}} half", by_cluster(0.5)))
    .asks(Target::curve("{{target_cluster}} nine of ten", by_cluster(0.9)))
    .asks(Target::curve("{{target_cluster}} samples", named(&format!("({})", echo.count()))))
    .answers(Look::Of(Unit::Count))
}

/// Watches that broke, and why.
pub(super) fn restarts() -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Watches opened again",
        "How often a watch of the Kubernetes API had to be opened again, by kind and reason. What \
         happened meanwhile is known only to lie between two instants.",
    )
    .sized(12, 8)
    .every("30m")
    .asks(Target::curve(
        "{{kind}}: {{reason}}",
        counted(Metric::WatchRestarts, "", "kind, reason", "$__rate_interval"),
    ))
}

/// Times that stayed out of the histograms.
pub(super) fn uncertain() -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Times known too vaguely",
        "Times that stayed out of the histograms, by hop; `push` is the push, `total` the whole \
         delivery. They follow broken watches, restarts and late echoes.",
    )
    .sized(12, 8)
    .every("30m")
    .asks(Target::curve("{{hop}}", counted(Metric::UncertainHops, "", "hop", "$__rate_interval")))
}
