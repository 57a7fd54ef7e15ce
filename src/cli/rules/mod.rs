//! `hopclock rules`: writes recording and alerting rules, without a cluster.

mod arguments;

use crate::cli::{Exit, check, complain, print, say};
use crate::config::Scenario;
use crate::rules::{
    Arrival, Error, Metadata, Objective, Plan, Settings, installation, objectives, of_objectives,
    plan, prometheus, prometheus_rule, pyrra, sloth,
};

pub(super) use arguments::{RulesArguments, RulesFormat};

/// Writes the rules, or says everything that is in their way.
pub(super) fn rules(arguments: &RulesArguments) -> anyhow::Result<Exit> {
    let Some(mut settings) = settings(arguments) else {
        complain(&"`--by` takes names of labels, such as `cluster,namespace,job`");
        return Ok(Exit::Usage);
    };
    let scenarios = match arguments.files.as_slice() {
        [] => Vec::new(),
        files => match check::load(files) {
            Some(scenarios) => scenarios,
            None => return Ok(Exit::Usage),
        },
    };
    scenarios.iter().filter_map(|it| it.schedule.as_ref()).for_each(|it| settings.remember(it));
    let Some(planned) = planned(&scenarios) else { return Ok(Exit::Usage) };
    let for_objectives = matches!(arguments.format, RulesFormat::Sloth | RulesFormat::Pyrra);
    // How far back one looks for what is pushed follows from any schedule.
    let in_vain = !scenarios.is_empty() && !arguments.pushed;
    if planned.is_empty() && (for_objectives || arguments.only_objectives || in_vain) {
        complain(
            &"there is no objective to write rules for: give files of scenarios that have `slo` and \
              `schedule`",
        );
        return Ok(Exit::Usage);
    }
    print(&text(arguments, &settings, &planned)?)?;
    Ok(Exit::Delivered)
}

fn settings(arguments: &RulesArguments) -> Option<Settings> {
    let arrival = if arguments.pushed { Arrival::Pushed } else { Arrival::Scraped };
    let by: Vec<_> = arguments.by.iter().map(|it| it.trim().to_owned()).collect();
    let mut settings = Settings::new(&by, arguments.selector.clone(), arrival)?;
    arguments.runbooks.trim_end_matches('/').clone_into(&mut settings.runbooks);
    settings.dashboard.clone_from(&arguments.dashboard);
    Some(settings)
}

/// Every objective with its windows; none if something is wrong with any, which is said.
fn planned(scenarios: &[Scenario]) -> Option<Vec<(Objective, Plan)>> {
    let mut planned = Vec::new();
    let mut wrong = false;
    for scenario in scenarios {
        match of_scenario(scenario) {
            Ok(found) if found.is_empty() => {
                say(&format!("note: scenario `{}` has no objective (`slo`)", scenario.name));
            }
            Ok(found) => planned.extend(found),
            Err(error @ Error::NoSchedule { .. }) => say(&format!("note: {error}")),
            Err(error) => {
                complain(&error);
                wrong = true;
            }
        }
    }
    (!wrong).then_some(planned)
}

fn of_scenario(scenario: &Scenario) -> Result<Vec<(Objective, Plan)>, Error> {
    let objectives = objectives(scenario)?;
    objectives.into_iter().map(|it| plan(&it).map(|plan| (it, plan))).collect()
}

fn text(
    arguments: &RulesArguments,
    settings: &Settings,
    planned: &[(Objective, Plan)],
) -> Result<String, Error> {
    let metadata = Metadata {
        name: arguments.name.clone(),
        namespace: arguments.namespace.clone(),
        labels: arguments.label.iter().cloned().collect(),
    };
    let mut groups = if arguments.only_objectives { Vec::new() } else { installation(settings) };
    let objectives: Vec<_> = planned.iter().map(|it| it.0.clone()).collect();
    groups.extend(of_objectives(settings, &objectives)?);
    Ok(match arguments.format {
        RulesFormat::Prometheus => prometheus(settings, &groups),
        RulesFormat::PrometheusRule => prometheus_rule(settings, &groups, &metadata),
        RulesFormat::Sloth => sloth(settings, planned),
        RulesFormat::Pyrra => pyrra(settings, planned, &metadata),
    })
}
