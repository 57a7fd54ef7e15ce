//! What goes on now: runs under way, the last ones, the next ones.

use crate::dashboard::delivery::DELIVERED;
use crate::dashboard::panel::{Look, Panel};
use crate::dashboard::promql::{counted, last_ok, of, share, since, stands, stood, sum};
use crate::dashboard::target::Target;
use crate::dashboard::variable::RANGE;
use crate::dashboard::view::{Colour, PLAIN, Steps, Unit, View};
use crate::export::Metric;

/// Of a share of runs that were delivered.
const DELIVERIES: Steps = &[(0.0, Colour::Worst), (0.9, Colour::Odd), (0.99, Colour::Good)];

const BY: &str = "scenario";

/// Age of the runs under way, and the deadline.
pub(super) fn age(width: u32) -> Panel {
    let deadline = format!("min({})", of(Metric::ScenarioDeadline, ""));
    Panel::new(
        View::Curves,
        Unit::Seconds,
        "Age of the run under way",
        "How long the oldest run of each scenario has been under way; 0 without one. A change that is \
         stuck shows here before its run ends. The dashed line is the shortest deadline of the chosen \
         scenarios.",
    )
    .sized(width, 8)
    .every("1m")
    .asks(Target::curve("{{scenario}}", stands(Metric::RunInFlight, "", BY)))
    .asks(Target::curve("shortest deadline", deadline))
    .field("shortest deadline", Look::Line(Colour::Worst))
}

/// Every scenario: when it ran, when it will, how it went.
pub(super) fn scenarios(width: u32) -> Panel {
    let runs = |which: &str| counted(Metric::Runs, which, BY, RANGE);
    Panel::new(
        View::Table,
        Unit::Count,
        "Scenarios",
        "When each scenario ran last, was last delivered in time (with several clusters: in the one \
         where that is longest ago), and is due again: a negative time says that the next run is \
         overdue. Delivered are runs that were ok or slow, of those that measured something. Click a \
         name for its details.",
    )
    .may_be_never()
    .sized(width, 8)
    .label("scenario", "Scenario")
    .column("Last run ago", Unit::Seconds, PLAIN, since(&stood(Metric::LastRun, BY, RANGE)))
    .column("Last ok ago", Unit::Seconds, PLAIN, since(&last_ok(BY, RANGE)))
    .column(
        "Next run in",
        Unit::Seconds,
        &[(0.0, Colour::Bad), (0.001, Colour::Plain)],
        format!("{} - time()", stood(Metric::NextRun, BY, RANGE)),
    )
    .column("Every", Unit::Seconds, PLAIN, stood(Metric::ScenarioPeriod, BY, RANGE))
    .column("In flight", Unit::Count, PLAIN, sum(BY, &of(Metric::RunsInFlight, "")))
    .column(
        "Delivered",
        Unit::Share,
        DELIVERIES,
        share(&runs(DELIVERED), &runs(r#"outcome=~"ok|slow|failed|timeout""#)),
    )
    .column("Runs", Unit::Count, PLAIN, runs(""))
}

/// How one scenario stands, in large numbers.
pub(super) fn last() -> Panel {
    Panel::new(
        View::NamedNumbers,
        Unit::Seconds,
        "Last and next",
        "How long ago the last run ended, and the last one that was delivered in time, with several \
         clusters in the one where that is longest ago; when the next one is due. A negative time says \
         that it is overdue.",
    )
    .may_be_never()
    .sized(8, 5)
    .asks(Target::now("last run ago", since(&stood(Metric::LastRun, "", RANGE))))
    .asks(Target::now("last ok ago", since(&last_ok("", RANGE))))
    .asks(Target::now("next in", format!("{} - time()", stood(Metric::NextRun, "", RANGE))))
}
