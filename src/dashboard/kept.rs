//! What hopclock reads and keeps: scenarios and state.

use crate::dashboard::panel::Panel;
use crate::dashboard::promql::{counted, of, since, stands};
use crate::dashboard::target::Target;
use crate::dashboard::view::{Colour, Steps, Unit, View};
use crate::export::Metric;

/// Of what should be so.
const SHOULD: Steps = &[(0.0, Colour::Worst), (1.0, Colour::Good)];

/// Whether scenarios are read and state is kept.
pub(super) fn state() -> Panel {
    let said = |metric| format!("min({})", of(metric, ""));
    Panel::new(
        View::NamedNumbers,
        Unit::YesNo,
        "Read and kept",
        "Whether the last reading of the scenarios was taken over whole, and whether the last change of \
         state was kept. Without the first, a broken file keeps its last good form; without the second, \
         a restart would lose counts.",
    )
    .coloured(SHOULD)
    .sized(6, 5)
    .asks(Target::now("scenarios read", said(Metric::ReloadSuccessful)))
    .asks(Target::now("state kept", said(Metric::StateSaved)))
}

/// How many scenarios there are, by state.
pub(super) fn scenarios() -> Panel {
    Panel::new(
        View::NamedNumbers,
        Unit::Count,
        "Scenario files",
        "Scenarios that are as their files say (active), that run in their last good form because the \
         file is broken (stale), and that do not run at all (broken).",
    )
    .sized(8, 5)
    .asks(Target::now("{{state}}", stands(Metric::Scenarios, "", "state")))
}

/// When scenarios were read last.
pub(super) fn read() -> Panel {
    Panel::new(
        View::Curves,
        Unit::Seconds,
        "Since scenarios were read whole",
        "How long ago a reading of the scenarios was last taken over whole. They are read when their \
         folder changes: after a change that stays broken, this grows beyond it.",
    )
    .sized(12, 8)
    .asks(Target::curve("age", since(&stands(Metric::ReloadSuccess, "", ""))))
}

/// Changes of state that could not be kept.
pub(super) fn errors() -> Panel {
    Panel::new(
        View::Bars,
        Unit::Count,
        "State that could not be kept",
        "Changes of state that could not be kept, by reason. No run pushes while its account cannot be \
         kept.",
    )
    .sized(12, 8)
    .every("30m")
    .asks(Target::curve("{{reason}}", counted(Metric::StateErrors, "", "reason", "$__rate_interval")))
}
