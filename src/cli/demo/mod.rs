//! `hopclock demo`: changes travel through a GitOps pipeline that fits in this process.
//!
//! It goes the same way as `hopclock run`: scenario files, kubeconfig, sockets, real commits. Each
//! story is told in acts, of which the first is how it should be.

mod git;
mod helm;
mod image;

use crate::cli::args::{ClusterArguments, DemoArguments, InstanceArguments, Output, Story};
use crate::cli::metrics::Page;
use crate::cli::printed::show;
use crate::cli::progress::Progress;
use crate::cli::run::{All, run_scenario, workshop};
use crate::cli::stop::Stop;
use crate::cli::waterfall::length;
use crate::cli::{Exit, complain, metrics, print};
use crate::config::{self, Scenario};
use crate::engine::{LocalLanes, Surroundings, SystemClock, Unwritten};
use crate::model::{Clock, Passage, RunRecord, Span};
use anyhow::{Context, anyhow};
use hopclock_sandbox::pipeline::{
    HelmLane, ImageLane, Lane, Sandbox, SandboxError, SandboxOptions,
};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One act of the demo: a lane, its scenario, and what to learn from it.
struct Act {
    lane: AnyLane,
    title: &'static str,
    scenario: &'static str,
    outcome: &'static str,
    lesson: fn(&RunRecord) -> String,
}

/// What a change travels.
enum AnyLane {
    Git(Lane),
    Helm(HelmLane),
    Image(ImageLane),
}

/// Name of the installation that the demo is; its lanes are its own.
const INSTANCE: &str = "demo";

// === impl AnyLane ===

impl AnyLane {
    fn name(&self) -> &str {
        match self {
            Self::Git(lane) => &lane.name,
            Self::Helm(lane) => &lane.name,
            Self::Image(lane) => &lane.name,
        }
    }

    async fn add_to(&self, sandbox: &Sandbox) -> Result<(), SandboxError> {
        match self {
            Self::Git(lane) => sandbox.add_lane(lane).await.map(drop),
            Self::Helm(lane) => sandbox.add_helm_lane(lane).await.map(drop),
            Self::Image(lane) => sandbox.add_image_lane(lane).await.map(drop),
        }
    }
}

/// Shows hopclock at work.
pub(super) async fn demo(arguments: &DemoArguments) -> anyhow::Result<Exit> {
    let stop = Stop::listen();
    let sandbox = match Sandbox::start(SandboxOptions::default()).await {
        Ok(sandbox) => sandbox,
        Err(error) => {
            complain(&error);
            return Ok(Exit::Unmeasured);
        }
    };
    let folder = folder_of(&sandbox)?;
    let (hosts, acts) = match arguments.story {
        None => ("a git host", git::acts()),
        Some(Story::Helm) => ("a git host, charts", helm::acts()),
        Some(Story::Image) => ("a git host, a registry", image::acts()),
    };
    print(&format!("A cluster, {hosts} and Flux's controllers, all in this process.\n"))?;
    let mut scenarios = Vec::new();
    for act in acts {
        act.lane.add_to(&sandbox).await?;
        // As `kubectl annotate gitrepository … hopclock.dev/canary=demo` does.
        sandbox.consent(act.lane.name(), Some(INSTANCE))?;
        scenarios.push((prepare(&act, &folder)?, act));
    }
    play(arguments, &sandbox, &folder, &scenarios, &stop).await
}

/// Runs every act, and stays up afterwards if that is wanted.
async fn play(
    arguments: &DemoArguments,
    sandbox: &Sandbox,
    folder: &Path,
    acts: &[(Scenario, Act)],
    stop: &Stop,
) -> anyhow::Result<Exit> {
    let listener = metrics::take_port(arguments.keep.then_some(arguments.listen)).await;
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => {
            complain(&error);
            return Ok(Exit::Usage);
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cluster = ClusterArguments {
        kubeconfig: Some(sandbox.kubeconfig()),
        context: None,
        clusters: Vec::new(),
    };
    let instance =
        InstanceArguments { instance: INSTANCE.to_owned(), cache_dir: Some(folder.join("cache")) };
    let workshop = workshop(&cluster, &instance, clock.clone()).await;
    let workshop = workshop.map_err(|error| anyhow!(error.message))?;
    // Nobody else knows the sandbox.
    let lanes = LocalLanes::default();
    let scenarios: Vec<Scenario> = acts.iter().map(|it| it.0.clone()).collect();
    let metrics = metrics::of(&scenarios, &workshop.instance, &workshop.clusters, clock.clone());
    let page = metrics::Page::open(listener, metrics.clone())?;
    let observer = Arc::new(All(vec![metrics, Arc::new(Progress::new(&scenarios))]));
    let around = Surroundings { clock, journal: Arc::new(Unwritten), observer };
    let mut exit = Exit::Delivered;
    for (number, (scenario, act)) in acts.iter().enumerate() {
        print(&format!("\n{}. {}\n\n", number + 1, act.title))?;
        let record = run_scenario(&workshop, &lanes, scenario, &around, stop).await;
        print(&show(&record, Output::Text)?)?;
        if stop.is_asked() {
            return Ok(Exit::Unmeasured);
        }
        if record.outcome.as_str() == act.outcome {
            print(&format!("=> {}\n", (act.lesson)(&record)))?;
        } else {
            complain(&format!("this should have ended as `{}`", act.outcome));
            exit = Exit::Unmeasured;
        }
    }
    if let Some(page) = page {
        print(&directions(sandbox, acts, folder, &page)?)?;
        stop.asked().await;
        page.close().await;
    }
    Ok(exit)
}

/// How long push to live took, as text.
fn total(record: &RunRecord) -> String {
    record.push_to_apply.map_or_else(String::new, length)
}

fn stage(record: &RunRecord, hop: &str) -> Option<Span> {
    let hop = record.hops.iter().find(|it| it.hop == hop)?;
    if let Passage::Reached { stage, .. } = &hop.passage { *stage } else { None }
}

/// A folder beside the sandbox's kubeconfig, for caches and scenario files; goes with it.
fn folder_of(sandbox: &Sandbox) -> anyhow::Result<PathBuf> {
    let kubeconfig = sandbox.kubeconfig();
    let folder = kubeconfig.parent().context("the sandbox has no folder")?;
    Ok(folder.to_owned())
}

/// Writes an act's scenario to a file, and loads it from there.
fn prepare(act: &Act, folder: &Path) -> anyhow::Result<Scenario> {
    let file = folder.join(format!("{}.yaml", act.lane.name()));
    std::fs::write(&file, act.scenario)
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    let mut scenarios = config::load(&[file]).map_err(|problems| anyhow!("{problems}"))?;
    scenarios.pop().context("the demo's scenario is empty")
}

/// How to look around in a sandbox that stays up.
fn directions(
    sandbox: &Sandbox,
    acts: &[(Scenario, Act)],
    folder: &Path,
    page: &Page,
) -> anyhow::Result<String> {
    let kubeconfig = sandbox.kubeconfig();
    let mut text =
        String::from("\nThe sandbox stays up until you press Ctrl-C. In another terminal:\n\n");
    writeln!(text, "  export KUBECONFIG={}", kubeconfig.display())?;
    writeln!(
        text,
        "  kubectl get gitrepositories,kustomizations,receivers -n flux-system -o name"
    )?;
    writeln!(text, "  kubectl get configmaps -n hopclock -o yaml --watch")?;
    writeln!(text, "  kubectl apply --validate=false -f FILE")?;
    for (_, act) in acts {
        writeln!(text, "  git clone {}/{}.git", sandbox.git().base_url(), act.lane.name())?;
    }
    writeln!(text, "  curl http://{}/metrics", page.address())?;
    let name = acts[0].1.lane.name();
    writeln!(
        text,
        "  hopclock run --instance {INSTANCE} {}",
        folder.join(format!("{name}.yaml")).display()
    )?;
    Ok(text)
}
