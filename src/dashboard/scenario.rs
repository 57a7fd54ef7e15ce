//! Everything of one scenario.

use crate::dashboard::board::Dashboard;
use crate::dashboard::variable::Variable;
use crate::dashboard::{delivery, flight, hops, objectives, remotes, runs, waits, wakes};
use crate::export::Metric;

/// The details of a scenario.
pub(super) fn board() -> Dashboard {
    let mut variables = Variable::scope_of_one();
    variables.extend([Variable::window(), Variable::slo_window()]);
    Dashboard::new(
        ("scenario", "hopclock / Scenario"),
        "Everything of one scenario: its hops, its objectives, how its runs ended, and what stood in their way.",
        "now-24h",
    )
    .variables(variables)
    .row(
        "At a glance",
        vec![objectives::worst(), delivery::mean(), hops::slowest(), wakes::polled(), flight::last()],
    )
    .row("Hops", vec![hops::stack(12), hops::table(12), hops::quantiles(), hops::samples()])
    .row(
        "Waiting, and who ended it",
        vec![waits::wait_against_work(8), wakes::wakes(8), wakes::webhooks(8)],
    )
    .row("Objectives", vec![objectives::burn(), objectives::decisions()])
    .row("How long it takes", vec![delivery::heatmap(12), delivery::quantiles(12)])
    .row(
        "How it ended",
        vec![
            runs::history((Metric::Runs, "scenario"), 12),
            runs::outcomes(12),
            hops::unreached(),
            runs::errors(12),
        ],
    )
    .row("Now", vec![flight::age(12), hops::waited_for()])
    .row(
        "Around it",
        vec![hops::push(), runs::missed(12), remotes::requests(8), remotes::leftovers(8), remotes::notified(8)],
    )
}
