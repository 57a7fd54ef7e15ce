//! Rules for Prometheus: what to record of our metrics, and when somebody should look.
//!
//! Pure: out of settings and objectives come typed groups, and out of those the files of several
//! tools. Every range fits the cadence of a scenario; an objective for which none does is refused
//! with the arithmetic.

mod alive;
mod budget;
mod burn;
mod cadence;
mod error;
mod format;
mod names;
mod objective;
mod recorded;
mod rule;
mod selector;
mod settings;
mod sli;
mod span;
mod upkeep;

pub use burn::{Plan, Tier, plan};
pub use cadence::Cadence;
pub use error::{Error, Unsupported, Why};
pub use format::{Metadata, prometheus, prometheus_rule, pyrra, sloth};
pub use objective::{Objective, objectives};
pub use rule::{Alert, Group, Record, Rule, Severity};
pub use selector::Selector;
pub use settings::{Arrival, Settings};

/// The groups that need no scenario: they read from the metrics what each is like.
#[must_use]
pub fn installation(settings: &Settings) -> Vec<Group> {
    let mut groups = recorded::groups(settings);
    groups.extend(sli::groups(settings));
    groups.push(alive::group(settings));
    groups.push(upkeep::group(settings));
    groups
}

/// The group of each scenario that the objectives are of: its own windows and its alerts.
///
/// # Errors
///
/// The first objective that its cadence cannot support.
pub fn of_objectives(settings: &Settings, objectives: &[Objective]) -> Result<Vec<Group>, Error> {
    let mut groups: Vec<Group> = Vec::new();
    for objective in objectives {
        let plan = plan(objective)?;
        let rules = budget::rules(settings, objective, &plan);
        // No group of ours has this prefix, whatever a scenario is called.
        let name = format!("hopclock-objectives-{}", objective.scenario);
        match groups.iter_mut().find(|it| it.name == name) {
            Some(group) => budget::join(group, rules),
            None => groups.push(Group { name, interval: budget::INTERVAL, rules }),
        }
    }
    Ok(groups)
}
