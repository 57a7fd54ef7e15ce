//! Are we inside of the objectives, and how much may still go wrong?
//!
//! Computed from the counters of decisions, which know neither buckets nor recording rules.

use crate::dashboard::panel::Panel;
use crate::dashboard::promql::{counted, share, stood};
use crate::dashboard::target::Target;
use crate::dashboard::variable::{RANGE, SLO_WINDOW};
use crate::dashboard::view::{Colour, PLAIN, Steps, Unit, View};
use crate::export::Metric;

/// Of what is left of a budget.
const LEFT: Steps =
    &[(0.0, Colour::Worst), (0.001, Colour::Bad), (0.25, Colour::Odd), (0.5, Colour::Good)];

/// Of how often nobody could decide.
const SELDOM: Steps = &[(0.0, Colour::Plain), (1.0, Colour::Odd)];

const BY: &str = "scenario, slo";

/// What is left of the budget that is nearest to its end.
pub(super) fn worst() -> Panel {
    Panel::new(
        View::NamedNumbers,
        Unit::Share,
        "Budget left",
        "Of all chosen objectives, the one with the least budget: what share of the changes that may \
         miss it has not missed it yet. Below zero the objective is broken. The window is that of \
         `Objectives over`.",
    )
    .coloured(LEFT)
    .sized(4, 5)
    .asks(Target::now("{{scenario}} {{slo}}", format!("bottomk(1, {})", left(SLO_WINDOW))))
}

/// Every objective with its numbers.
pub(super) fn table() -> Panel {
    Panel::new(
        View::Table,
        Unit::Count,
        "Objectives",
        "Each objective as its scenario says it, and how it was held over the window of `Objectives \
         over`. A change is decided once, when it holds the objective or crosses it; undecided are \
         changes of which nobody could tell, and they count for neither.",
    )
    .sized(14, 8)
    .label("scenario", "Scenario")
    .label("slo", "Objective of")
    .column("Aim", Unit::FineShare, PLAIN, stood(Metric::SloObjective, BY, RANGE))
    .column("Within", Unit::Seconds, PLAIN, stood(Metric::SloThreshold, BY, RANGE))
    .column("Held", Unit::FineShare, PLAIN, held(SLO_WINDOW))
    .column("Budget left", Unit::Share, LEFT, left(SLO_WINDOW))
    .column("Decided", Unit::Count, PLAIN, counted(Metric::SloEvents, "", BY, SLO_WINDOW))
    .column("Missed", Unit::Count, PLAIN, counted(Metric::SloBadEvents, "", BY, SLO_WINDOW))
    .column("Undecided", Unit::Count, SELDOM, counted(Metric::SloUnknown, "", BY, SLO_WINDOW))
}

/// How budgets went down, and came back.
pub(super) fn budgets() -> Panel {
    Panel::new(
        View::Curves,
        Unit::Share,
        "Budget left over time",
        "What was left of each budget, looking back over the window of `Objectives over` from each \
         point. A cliff is an incident, a slope a degradation.",
    )
    .sized(10, 8)
    .every("10m")
    .asks(Target::curve("{{scenario}} {{slo}}", left(SLO_WINDOW)))
}

/// How fast the budget is used up, by the windows that alerts look at.
pub(super) fn burn() -> Panel {
    let rate = |window: &str| {
        let missed = share(&bad(window), &decided(window));
        format!("{missed} / (1 - {})", stood(Metric::SloObjective, BY, RANGE))
    };
    Panel::new(
        View::Curves,
        Unit::Count,
        "Burn rate",
        "How many times faster than the objective allows its budget is used up: 1 empties it just at \
         the end of its window. The windows are fixed, as those of alerts are; a window without a \
         decided change has no value.",
    )
    .sized(12, 8)
    .every("10m")
    .asks(Target::curve("{{slo}}, last hour", rate("1h")))
    .asks(Target::curve("{{slo}}, last six hours", rate("6h")))
    .asks(Target::curve("{{slo}}, last day", rate("1d")))
}

/// Decisions over time.
pub(super) fn decisions() -> Panel {
    let of = |metric| counted(metric, "", BY, "$__rate_interval");
    let good = format!("{} - {}", of(Metric::SloEvents), of(Metric::SloBadEvents));
    Panel::new(
        View::Bars,
        Unit::Count,
        "Decisions on objectives",
        "How many changes held, missed or could not decide each objective. `total` is the whole \
         delivery, the others are hops with an objective of their own.",
    )
    .sized(12, 8)
    .every("30m")
    .asks(Target::curve("{{slo}} held", good))
    .asks(Target::curve("{{slo}} missed", of(Metric::SloBadEvents)))
    .asks(Target::curve("{{slo}} undecided", of(Metric::SloUnknown)))
}

fn decided(window: &str) -> String {
    counted(Metric::SloEvents, "", BY, window)
}

fn bad(window: &str) -> String {
    counted(Metric::SloBadEvents, "", BY, window)
}

fn held(window: &str) -> String {
    format!("1 - {}", share(&bad(window), &decided(window)))
}

fn left(window: &str) -> String {
    let objective = stood(Metric::SloObjective, BY, RANGE);
    format!("1 - ({}) / (1 - {objective})", share(&bad(window), &decided(window)))
}
