//! `hopclock plan`: what a change would wait for, from the intervals and Receivers on its path.

pub(super) mod course;
mod json;
mod text;

use crate::cli::args::{Output, PlanArguments};
use crate::cli::discover::{collect, found_in, seen};
use crate::cli::{Exit, check, complain, print, run};
use crate::cluster::{self, Clusters};
use crate::config::Scenario;
use crate::engine::SystemClock;
use crate::model::ClusterName;
use crate::path::checkup::Controllers;
use crate::path::plan::Plan;
use crate::path::{Graph, Snapshot};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Plans all scenarios, and prints the plans.
pub(super) async fn plan(arguments: &PlanArguments) -> anyhow::Result<Exit> {
    let Some(scenarios) = check::load(&arguments.files) else { return Ok(Exit::Usage) };
    let seen = seen(
        arguments.from.as_deref(),
        arguments.namespace.as_deref(),
        look(arguments, &scenarios),
    );
    let graph = match seen.await {
        Ok(graph) => graph,
        Err(exit) => return Ok(exit),
    };
    let mut exit = Exit::Delivered;
    for scenario in &scenarios {
        exit = exit.max(one(&graph, arguments, scenario)?);
    }
    Ok(exit)
}

fn one(graph: &Graph, arguments: &PlanArguments, scenario: &Scenario) -> anyhow::Result<Exit> {
    let found = match &scenario.target {
        None => None,
        Some(target) => match found_in(graph, &arguments.instance, &scenario.trigger, target) {
            Ok(found) => Some(found),
            Err(error) => {
                complain(&format!("scenario `{}`: {}", scenario.name, error.message));
                return Ok(Exit::Unmeasured);
            }
        },
    };
    let scenario = found.as_ref().unwrap_or(scenario);
    let plan = Plan::of(graph, &course::of(graph, scenario, &Controllers::of(graph.snapshot())));
    print(&match arguments.output {
        Output::Text => text::draw(&scenario.name, &plan),
        Output::Json => format!("{}\n", json::value(&scenario.name, &plan)),
    })?;
    for it in &plan.missing {
        let place = if arguments.from.is_some() { "the dump" } else { "the cluster" };
        complain(&format!("scenario `{}`: there is no {it} in {place}", scenario.name));
    }
    Ok(match plan.missing.is_empty() {
        false => Exit::Unmeasured,
        true if plan.is_hopeless() => Exit::Undelivered,
        true => Exit::Delivered,
    })
}

/// Looks at the clusters that scenarios name.
async fn look(
    arguments: &PlanArguments,
    scenarios: &[Scenario],
) -> Result<Snapshot, cluster::Error> {
    let clock = Arc::new(SystemClock::new());
    let clusters: Clusters = run::clusters(&arguments.cluster, clock).await?;
    let namespace = arguments.namespace.as_deref();
    let hops = || scenarios.iter().flat_map(|it| &it.hops);
    let target = scenarios.iter().find_map(|it| it.target.as_ref());
    let home = target.map(|it| it.config.subject().namespace);
    let home = home.or_else(|| hops().find_map(|it| Some(it.subject()?.namespace)));
    let mut all = collect(clusters.home(), namespace, home.as_deref()).await?;
    let others: BTreeSet<&ClusterName> = hops().map(|it| &it.cluster).collect();
    for name in others.into_iter().filter(|it| !it.0.is_empty()) {
        let found = collect(&clusters.get(name).await?, namespace, home.as_deref()).await?;
        for (subject, object) in found.objects() {
            all.put(subject.clone().in_cluster(name), object.clone());
        }
        for (kind, why) in found.unseen() {
            all.miss(kind.clone(), why.to_owned());
        }
    }
    Ok(all)
}
