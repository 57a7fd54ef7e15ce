//! `hopclock doctor`: says what is wrong with what is installed, and what mends it. Pushes nothing.

mod appliers;
mod arguments;
mod calls;
mod clocks;
mod look;
mod needs;
mod page;
mod receivers;
mod rehearsal;
mod rights;

use crate::cli::plan::course;
use crate::cli::whereabouts::Whereabouts;
use crate::cli::{Exit, check, complain, discover, print, run};
use crate::cluster::User;
use crate::config::Scenario;
use crate::engine::SystemClock;
use crate::model::Subject;
use crate::path::checkup::{Controllers, Finding, Goal, Room, Severity, in_order, scope, table};
use crate::path::{Graph, Snapshot};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) use arguments::{DoctorArguments, DoctorOutput};
use look::Look;
use page::Page;

/// Looks, and says what it has found.
pub(super) async fn doctor(arguments: &DoctorArguments) -> anyhow::Result<Exit> {
    let mut scenarios = Vec::new();
    if !arguments.files.is_empty() {
        match check::load(&arguments.files) {
            Some(loaded) => scenarios = loaded,
            None => return Ok(Exit::Usage),
        }
    }
    if let Some(path) = &arguments.from {
        let snapshot = match discover::read_dump(path, None) {
            Ok(snapshot) => look::dumped(snapshot),
            Err(error) => {
                complain(&error);
                return Ok(Exit::Usage);
            }
        };
        let controllers = Controllers::of(&snapshot);
        let (graph, found) = judged(arguments, snapshot, &controllers, &scenarios);
        return tell(arguments, &graph, &scenarios, found);
    }
    let clock = Arc::new(SystemClock::new());
    let workshop = match run::workshop(&arguments.cluster, &arguments.instance, clock).await {
        Ok(workshop) => workshop,
        Err(error) => {
            complain(&error.message);
            return Ok(Exit::Unmeasured);
        }
    };
    let Look { snapshot, controllers } = match look::at(workshop.clusters.home(), &scenarios).await
    {
        Ok(look) => look,
        Err(error) => {
            complain(&error);
            return Ok(Exit::Unmeasured);
        }
    };
    let rehearsed = rehearsal::rehearse(&workshop, &scenarios).await;
    let scenarios: Vec<_> = rehearsed.iter().map(|it| it.scenario.clone()).collect();
    let (graph, mut found) = judged(arguments, snapshot, &controllers, &scenarios);
    let DoctorArguments { cluster, instance, namespace, .. } = arguments;
    let place = Whereabouts::of(cluster, instance, namespace.as_deref()).namespace;
    let who = arguments.service_account.as_ref().map(User::service_account);
    let ways = needs::Ways { events: arguments.events, traces: arguments.traces };
    let needs = needs::of(&rehearsed, &graph, place.as_deref(), ways);
    found.extend(rights::missing(&workshop.clusters, who.as_ref(), needs).await);
    for scenario in &scenarios {
        found.extend(appliers::check(&workshop.clusters, &graph, scenario).await);
    }
    let seen = scope_of(&graph, &scenarios);
    found.extend(receivers::check(workshop.clusters.home(), &graph, seen.as_ref()).await);
    if let Some(url) = &arguments.webhooks {
        found.extend(calls::check(&workshop, &graph, seen.as_ref(), url).await);
    }
    found.extend(clocks::check(&workshop.clusters).await);
    for it in rehearsed {
        let Some(refused) = it.refused else { continue };
        // That right is named already, where it is ours that were asked for.
        let is_said = refused.reason == "forbidden"
            && who.is_none()
            && found.iter().any(|it| it.check == table::RIGHT_MISSING);
        if !is_said {
            found.push(refused.finding);
        }
    }
    tell(arguments, &graph, &scenarios, found)
}

/// What the objects alone tell.
fn judged(
    arguments: &DoctorArguments,
    snapshot: Snapshot,
    controllers: &Controllers,
    scenarios: &[Scenario],
) -> (Graph, Vec<Finding>) {
    let graph = Graph::of(snapshot);
    let room = Room { graph: &graph, controllers, instance: &arguments.instance.instance };
    let mut found = room.findings();
    if let Some(seen) = scope_of(&graph, scenarios) {
        found.retain(|it| match &it.subject {
            Some(subject) => subject.kind.group == "apps" || seen.contains(subject),
            // Of consent, the rehearsal of each scenario says more.
            None => it.check != table::NO_CONSENT,
        });
    }
    for scenario in scenarios {
        let discovered = scenario
            .target
            .as_ref()
            .map(|it| discover::found_in(&graph, room.instance, &scenario.trigger, it));
        // That there is no path, the rehearsal says.
        let Ok(known) = discovered.unwrap_or_else(|| Ok(scenario.clone())) else { continue };
        let course = course::of(&graph, &known, controllers);
        found.extend(room.objective(&Goal { scenario: scenario.name.clone(), course }));
    }
    (graph, found)
}

/// What matters for these scenarios; none if everything does.
fn scope_of(graph: &Graph, scenarios: &[Scenario]) -> Option<BTreeSet<Subject>> {
    let subjects: Vec<_> = scenarios.iter().flat_map(subjects).collect();
    (!scenarios.is_empty()).then(|| scope(graph, &subjects, true))
}

/// What a scenario looks at; of one whose path is not known, where it leads.
fn subjects(scenario: &Scenario) -> Vec<Subject> {
    let target = scenario.target.as_ref().map(|it| it.config.subject());
    let hops = scenario.hops.iter();
    let own = hops.flat_map(|it| it.subject().into_iter().chain(it.needs()));
    own.chain(target.filter(|_| scenario.hops.is_empty())).collect()
}

/// Prints what was found.
fn tell(
    arguments: &DoctorArguments,
    graph: &Graph,
    scenarios: &[Scenario],
    found: Vec<Finding>,
) -> anyhow::Result<Exit> {
    let page = Page { found: in_order(found), objects: graph.nodes().count(), scenarios };
    print(&match arguments.output {
        DoctorOutput::Text => page.text(),
        DoctorOutput::Json => page.json(),
    })?;
    let grave = page.found.iter().any(|it| it.check.severity == Severity::Error);
    Ok(if grave { Exit::Undelivered } else { Exit::Delivered })
}
