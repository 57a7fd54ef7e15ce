//! How runs ended, and which did not take place.

use crate::dashboard::panel::{Look, Panel};
use crate::dashboard::promql::{counted, named, of, sum};
use crate::dashboard::target::Target;
use crate::dashboard::view::{Colour, Unit, View};
use crate::export::Metric;

/// Outcomes, the worse the higher: a box shows the worst that happened in its time.
const OUTCOMES: [&str; 7] =
    ["ok", "slow", "superseded", "skipped", "probe_error", "failed", "timeout"];

/// What the numbers of outcomes mean.
const WORDS: &[(u32, &str, Colour)] = &[
    (0, "no run", Colour::Nothing),
    (1, "ok", Colour::Good),
    (2, "slow", Colour::Odd),
    (3, "superseded", Colour::Plain),
    (4, "skipped", Colour::Plain),
    (5, "could not measure", Colour::Ours),
    (6, "failed", Colour::Worst),
    (7, "timeout", Colour::Worst),
];

/// The worst outcome in each stretch of time, scenario by scenario or cluster by cluster.
pub(super) fn history(of: (Metric, &'static str), width: u32) -> Panel {
    let (metric, by) = of;
    let legend = format!("{{{{{by}}}}}");
    let expr = worst(metric, by);
    let expr = if by == "target_cluster" { named(&expr) } else { expr };
    Panel::new(
        View::History,
        Unit::Name,
        "Outcomes",
        "The worst outcome of each half hour. Purple is ours, not theirs: hopclock could not measure, \
         and nothing is said of delivery.",
    )
    .says(WORDS)
    .sized(width, 8)
    .every("30m")
    .asks(Target::curve(&legend, expr))
}

/// Runs by outcome, over time.
pub(super) fn outcomes(width: u32) -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Runs by outcome",
        "How many runs ended how. An undelivered change (slow, failed, timeout) is a measurement; \
         `probe_error` is none, and counts against no objective.",
    )
    .sized(width, 8)
    .every("30m")
    .asks(Target::curve("{{outcome}}", counted(Metric::Runs, "", "outcome", "$__rate_interval")))
    .field("ok", Look::In(Colour::Good))
    .field("slow", Look::In(Colour::Odd))
    .field("failed", Look::In(Colour::Bad))
    .field("timeout", Look::In(Colour::Worst))
    .field("superseded", Look::In(Colour::Plain))
    .field("probe_error", Look::In(Colour::Ours))
}

/// Runs that did not take place.
pub(super) fn missed(width: u32) -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Runs that did not take place",
        "Due runs that were left out, by reason: the one before was still under way (overlap), the \
         scenario is paused, another replica leads (not_leader), or hopclock was not running (down). \
         Frequent overlaps: the period is too short for the deadline.",
    )
    .sized(width, 8)
    .every("30m")
    .asks(Target::curve("{{reason}}", counted(Metric::MissedRuns, "", "reason", "$__rate_interval")))
}

/// Whether every due run is accounted for.
pub(super) fn account() -> Panel {
    let all = |metric| sum("scenario", &of(metric, ""));
    Panel::new(
        View::Curves,
        Unit::Count,
        "Due runs that nobody accounts for",
        "Due runs less those that finished, are in flight, or were missed. It is zero, also across \
         restarts where state is kept; anything else is a fault of hopclock, or of the state's place.",
    )
    .sized(12, 8)
    .asks(Target::curve(
        "{{scenario}}",
        format!(
            "{} - {} - {} - {}",
            all(Metric::ScheduledRuns),
            all(Metric::Runs),
            all(Metric::MissedRuns),
            all(Metric::RunsInFlight),
        ),
    ))
}

/// Runs that could not measure, by reason.
pub(super) fn errors(width: u32) -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "Runs that could not measure",
        "By reason. These are hopclock's own troubles, such as a rejected push or a missing object, and \
         count against no objective. The reasons are listed in the README; the log has a sentence for \
         each.",
    )
    .sized(width, 8)
    .every("30m")
    .asks(Target::curve(
        "{{scenario}}: {{reason}}",
        counted(Metric::ProbeErrors, "", "scenario, reason", "$__rate_interval"),
    ))
}

/// The number of the worst outcome; 0 without a run.
fn worst(metric: Metric, by: &str) -> String {
    let happened = |(place, outcome): (usize, &&str)| {
        let matcher = format!(r#"outcome="{outcome}""#);
        let both = format!("{by}, outcome");
        let count = counted(metric, &matcher, &both, "$__rate_interval");
        format!("({count} > bool 0) * {}", place + 1)
    };
    let all: Vec<_> = OUTCOMES.iter().enumerate().map(happened).collect();
    format!("max by ({by}) ({})", all.join(" or "))
}
