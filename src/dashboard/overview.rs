//! The first look: are we inside of the objectives, how long does it take, where does the time go,
//! is it waiting or work, is a webhook dead?

use crate::dashboard::board::Dashboard;
use crate::dashboard::variable::Variable;
use crate::dashboard::{delivery, flight, hops, objectives, runs, waits, wakes};
use crate::export::Metric;

/// The overview.
pub(super) fn board() -> Dashboard {
    let mut variables = Variable::scope();
    variables.extend([Variable::window(), Variable::slo_window()]);
    Dashboard::new(
        ("overview", "hopclock / Overview"),
        "How long changes take from push to live, where the time goes, and whether objectives are held.",
        "now-24h",
    )
    .variables(variables)
    .row(
        "In ten seconds",
        vec![
            objectives::worst(),
            delivery::mean(),
            hops::slowest(),
            waits::waiting(),
            wakes::polled(),
            wakes::lost(),
        ],
    )
    .row("Where the time goes", vec![hops::stack(12), hops::table(12)])
    .row("Waiting, and who ended it", vec![waits::wait_against_work(8), wakes::wakes(8), wakes::webhooks(8)])
    .row("Objectives", vec![objectives::table(), objectives::budgets()])
    .row("How long it takes", vec![delivery::heatmap(12), delivery::quantiles(12)])
    .row(
        "How it ended",
        vec![runs::history((Metric::Runs, "scenario"), 12), runs::outcomes(12)],
    )
    .row("Now", vec![flight::age(10), flight::scenarios(14)])
}
