//! What a scenario promises: one objective for the whole delivery, and one for each hop that has a
//! `within` of its own. Without an `slo` nobody says which share of the changes should hold them.

use crate::config::Scenario;
use crate::export::TOTAL;
use crate::rules::cadence::Cadence;
use crate::rules::error::Error;
use std::time::Duration;

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
    let Some(slo) = &scenario.slo else { return Ok(Vec::new()) };
    let Some(timetable) = &scenario.schedule else {
        return Err(Error::NoSchedule { scenario: scenario.name.clone() });
    };
    let cadence = Cadence::of(timetable);
    let objective = |(label, within): (&str, Duration)| Objective {
        scenario: scenario.name.clone(),
        slo: label.to_owned(),
        within,
        share: slo.objective,
        window: slo.window,
        cadence: cadence.clone(),
    };
    let own = scenario.hops.iter().filter_map(|it| Some((it.name.as_str(), it.within?)));
    Ok([(TOTAL, slo.within)].into_iter().chain(own).map(objective).collect())
}
