//! What a scenario promises: one objective for the whole delivery, and one for each hop that has a
//! `within` of its own.

use crate::config::Scenario;
use crate::export::TOTAL;
use crate::rules::cadence::Cadence;
use crate::rules::error::Error;
use std::time::Duration;

/// Share of a scenario that says none: hops may have a `within` without an `slo`.
const SHARE: f64 = 0.99;

/// Window of a scenario that says none.
const WINDOW: Duration = Duration::from_secs(30 * 86_400);

/// One objective of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// The scenario.
    pub scenario: String,
    /// `total`, or the hop.
    pub slo: String,
    /// A change should take no longer than this.
    pub within: Duration,
    /// Share of the changes that should hold it, between 0 and 1.
    pub share: f64,
    /// Time over which the share is taken.
    pub window: Duration,
    /// How often it is decided on.
    pub cadence: Cadence,
}

/// The objectives of a scenario, that of the whole delivery first; none if it has none.
///
/// # Errors
///
/// [`Error::NoSchedule`] if it has some, and nobody knows how often it runs.
pub fn objectives(scenario: &Scenario) -> Result<Vec<Objective>, Error> {
    let total = scenario.slo.iter().map(|it| (TOTAL, it.within));
    let own = scenario.hops.iter().filter_map(|it| Some((it.name.as_str(), it.within?)));
    let all: Vec<_> = total.chain(own).collect();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let Some(timetable) = &scenario.schedule else {
        return Err(Error::NoSchedule { scenario: scenario.name.clone() });
    };
    let cadence = Cadence::of(timetable);
    let share = scenario.slo.as_ref().map_or(SHARE, |it| it.objective);
    let window = scenario.slo.as_ref().map_or(WINDOW, |it| it.window);
    let objective = |(slo, within): (&str, Duration)| Objective {
        scenario: scenario.name.clone(),
        slo: slo.to_owned(),
        within,
        share,
        window,
        cadence,
    };
    Ok(all.into_iter().map(objective).collect())
}
