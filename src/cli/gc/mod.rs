//! `hopclock gc`: takes away what runs have left on remotes (rule S6).
//!
//! Each scenario's job is made as for a run, so that all proofs and consents hold, and its lane is
//! taken: nothing is taken away while a run is under way. Who only looks takes nothing, not even
//! that.

mod arguments;
mod locks;
mod show;

use crate::cli::assemble::Workshop;
use crate::cli::gc::locks::Locks;
use crate::cli::run::{take_lane, workshop};
use crate::cli::stop::Stop;
use crate::cli::whereabouts::Whereabouts;
use crate::cli::{Exit, check, complain, print};
use crate::config::Scenario;
use crate::engine::{Job, Lanes, SystemClock};
use crate::hop::HopConfig;
use crate::model::{Clock, ProbeError, Tidied};
use crate::trigger::{Reach, Sweep};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) use arguments::GcArguments;

/// What came of one scenario, or of the locks of lanes.
struct Swept {
    /// None if it is about the locks of lanes.
    scenario: Option<String>,
    /// Whether it was only looked at.
    is_dry: bool,
    /// None if not even its path could be looked at.
    lane: Option<String>,
    result: Result<Tidied, ProbeError>,
}

/// Takes away what the scenarios of all files have left.
pub(super) async fn gc(arguments: &GcArguments) -> anyhow::Result<Exit> {
    let Some(scenarios) = check::load(&arguments.files) else { return Ok(Exit::Usage) };
    let stop = Stop::listen();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let workshop = tokio::select! {
        error = stop.asked() => Err(error),
        workshop = workshop(&arguments.cluster, &arguments.instance, clock) => workshop,
    };
    let workshop = match workshop {
        Ok(workshop) => workshop,
        Err(error) => {
            complain(&error.message);
            return Ok(Exit::Unmeasured);
        }
    };
    let GcArguments { cluster, instance, namespace, .. } = arguments;
    let whereabouts = Whereabouts::of(cluster, instance, namespace.as_deref());
    let whereabouts = whereabouts.beside_a_service("gc");
    let lanes = whereabouts.lanes(workshop.clusters.home());
    let reach = if arguments.all { Reach::Everything } else { Reach::Surplus };
    let sweep = Sweep { reach, is_dry: arguments.dry_run, sights: Vec::new() };
    let locks = Locks {
        cluster: workshop.clusters.home(),
        whereabouts: &whereabouts,
        now: workshop.clock.wall(),
        is_dry: sweep.is_dry,
    };
    let known = if arguments.all { locks.known().await } else { BTreeSet::new() };
    let mut exit = Exit::Delivered;
    let mut given_up = BTreeSet::new();
    for scenario in scenarios {
        let name = scenario.name.clone();
        let swept = sweep_scenario(&workshop, &*lanes, scenario, &sweep, &stop).await;
        if let Err(error) = &swept.result {
            complain(&format!("scenario `{name}`: {}", error.message));
        }
        print(&swept.show(arguments.output))?;
        exit = exit.max(swept.exit());
        if stop.is_asked() {
            return Ok(Exit::Unmeasured);
        }
        given_up.extend(swept.lane.filter(|_| swept.result.is_ok()));
    }
    if arguments.all {
        let mut tidied = locks.sweep(&given_up).await;
        tidied.removed.retain(|it| known.contains(it));
        if tidied != Tidied::default() {
            let is_dry = sweep.is_dry;
            let swept = Swept { scenario: None, is_dry, lane: None, result: Ok(tidied) };
            print(&swept.show(arguments.output))?;
            exit = exit.max(swept.exit());
        }
    }
    Ok(exit)
}

/// Sweeps the lane of a scenario.
async fn sweep_scenario(
    workshop: &Workshop,
    lanes: &dyn Lanes,
    mut scenario: Scenario,
    sweep: &Sweep,
    stop: &Stop,
) -> Swept {
    // Nobody listens here, and nothing is to be heard.
    scenario.hops.retain(|it| !matches!(it.kind, HopConfig::Notified(_)));
    let job = tokio::select! {
        biased;
        error = stop.asked() => Err(error),
        job = workshop.assemble(&scenario) => job,
    };
    let (lane, result) = match job {
        Ok(job) => {
            let lane = job.trigger.lane();
            (Some(lane), sweep_lane(&job, lanes, &scenario, sweep, stop).await)
        }
        Err(error) => (None, Err(error)),
    };
    Swept { scenario: Some(scenario.name), is_dry: sweep.is_dry, lane, result }
}

/// Takes the lane, looks at it as a run does before its push, and sweeps it.
async fn sweep_lane(
    job: &Job,
    lanes: &dyn Lanes,
    scenario: &Scenario,
    sweep: &Sweep,
    stop: &Stop,
) -> Result<Tidied, ProbeError> {
    let grip = if sweep.is_dry { None } else { Some(take_lane(lanes, job, scenario).await?) };
    let work = async {
        job.trigger.latest().await?;
        Ok(job.trigger.tidy(sweep).await?)
    };
    let result = tokio::select! {
        biased;
        error = stop.asked() => Err(error),
        result = work => result,
    };
    if let Some(grip) = grip {
        grip.release().await;
    }
    result
}

// === impl Swept ===

impl Swept {
    /// What could not be looked at, or taken away, is no success.
    fn exit(&self) -> Exit {
        match &self.result {
            Ok(tidied) if tidied.leftovers() == 0 => Exit::Delivered,
            _ => Exit::Unmeasured,
        }
    }
}
