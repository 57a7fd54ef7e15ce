//! Whether hopclock itself is well.

use crate::dashboard::board::Dashboard;
use crate::dashboard::variable::Variable;
use crate::dashboard::{flight, health, kept, remotes, runs};

/// hopclock's own health.
pub(super) fn board() -> Dashboard {
    Dashboard::new(
        ("prober", "hopclock / Prober health"),
        "Whether hopclock itself is well: how exactly it measures, what it keeps, and what it could not do.",
        "now-24h",
    )
    .variables(Variable::scope())
    .row("At a glance", vec![health::version(), health::error(), kept::state(), kept::scenarios()])
    .row("How exactly it measures", vec![health::echoes(), health::restarts(), health::uncertain(), runs::errors(12)])
    .row("Runs", vec![runs::account(), runs::missed(12), flight::age(12), flight::scenarios(12)])
    .row("What it reads and keeps", vec![kept::read(), kept::errors()])
    .row(
        "What comes in, and goes out",
        vec![remotes::notifications(), remotes::exports(), remotes::last_exports()],
    )
    .row(
        "What it does to others",
        vec![remotes::requests(12), remotes::leftovers(12)],
    )
}
