//! `hopclock run`: runs scenarios once, one after the other.

use crate::cli::args::{ClusterArguments, InstanceArguments, RunArguments};
use crate::cli::assemble::Workshop;
use crate::cli::kept::Kept;
use crate::cli::printed::Printed;
use crate::cli::progress::Progress;
use crate::cli::stop::Stop;
use crate::cli::turn::{self, Turn};
use crate::cli::waterfall::Paint;
use crate::cli::ways_out::{self, WaysOut};
use crate::cli::whereabouts::Whereabouts;
use crate::cli::{Exit, check, complain, metrics, notify, say};
use crate::cluster::{self, Cluster, ClusterOptions, Clusters, Timing};
use crate::config::{Hop, Scenario};
use crate::engine::{Grip, Job, LaneError, Lanes, Surroundings, SystemClock, Unwritten, run_until};
use crate::model::{
    CanaryId, Clock, Event, HopRecord, Observer, Origin, Outcome, Passage, ProbeError, RunRecord,
    Span, Usage,
};
use crate::remote::Clients;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;

/// Several observers.
pub(super) struct All(pub(super) Vec<Arc<dyn Observer>>);

/// Runs the scenarios of all files.
pub(super) async fn run(arguments: &RunArguments) -> anyhow::Result<Exit> {
    let Some(scenarios) = check::load(&arguments.files) else { return Ok(Exit::Usage) };
    let Some((listener, mut ways, port)) = prepare(arguments, &scenarios).await else {
        return Ok(Exit::Usage);
    };
    let stop = Stop::listen();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let workshop = workshop(&arguments.cluster, &arguments.instance, clock.clone());
    let workshop = tokio::select! {
        error = stop.asked() => Err(error),
        workshop = workshop => workshop,
    };
    let mut workshop = match workshop {
        Ok(workshop) => workshop,
        Err(error) => {
            complain(&error.message);
            return Ok(Exit::Unmeasured);
        }
    };
    workshop.telling = ways.telling();
    let RunArguments { cluster, instance, namespace, .. } = arguments;
    let whereabouts = Whereabouts::of(cluster, instance, namespace.as_deref());
    let whereabouts = whereabouts.beside_a_service("run");
    let lanes = whereabouts.lanes(workshop.clusters.home());
    let name = whereabouts.name;
    let metrics = metrics::of(&scenarios, &workshop.instance, &workshop.clusters, clock.clone());
    // Nobody has set it before.
    let _ = workshop.metrics.set(metrics.clone());
    let page = metrics::Page::open(listener, metrics.clone())?;
    if let Some(page) = &page {
        say(&format!("metrics are at http://{}/metrics while this runs", page.address()));
    }
    let clusters = Arc::new(OnceLock::from(workshop.clusters.clone()));
    let mut notices = None;
    if let Some(port) = port {
        let clusters = clusters.clone();
        let (notify, metrics, clock) = (&arguments.notify, metrics.clone(), clock.clone());
        let (open, ears) = notify::open(port, notify, clusters, metrics, clock)?;
        say(&format!("notifications come to http://{}/notify/LISTENER", open.address()));
        (workshop.ears, notices) = (Some(ears), Some(open));
    }
    let progress = Arc::new(Progress::new(&scenarios));
    let heard: Arc<dyn Observer> = Arc::new(All(vec![progress, ways.ear(&clock)]));
    let kept = match &arguments.state {
        Some(place) if place.is_lasting() => {
            let (lanes, counted) = (lanes.clone(), (&scenarios[..], &metrics));
            match Kept::open(place, &name, &workshop, lanes, counted, heard.clone()).await {
                Ok(kept) => Some(kept),
                Err(error) => {
                    complain(&error.message);
                    return Ok(Exit::Unmeasured);
                }
            }
        }
        _ => None,
    };
    // Not before totals are there: a counter that begins at zero would seem to jump.
    let hold = kept.as_ref().map(Kept::watch_trouble);
    let ways = ways.open(&metrics, &clusters, &clock, &hold);
    let observers = vec![metrics, heard];
    let around =
        Surroundings { clock, journal: Arc::new(Unwritten), observer: Arc::new(All(observers)) };
    let mut printed = Printed::new(arguments.output);
    let is_scheduled = arguments.scheduled;
    let runs =
        Runs { workshop: &workshop, lanes: &*lanes, around: &around, stop: &stop, is_scheduled };
    let exit = runs.make(&scenarios, kept, &mut printed).await?;
    ways.close().await;
    printed.finish()?;
    for page in page.into_iter().chain(notices) {
        page.close().await;
    }
    Ok(arguments.undelivered.weigh(exit))
}

/// What runs of a command are made with.
struct Runs<'a> {
    workshop: &'a Workshop,
    lanes: &'a dyn Lanes,
    around: &'a Surroundings,
    stop: &'a Stop,
    /// Whether each stands for a tick of its schedule.
    is_scheduled: bool,
}

// === impl Runs ===

impl Runs<'_> {
    /// Runs scenarios one after the other, and prints what they come to.
    async fn make(
        &self,
        scenarios: &[Scenario],
        mut kept: Option<Kept>,
        printed: &mut Printed,
    ) -> anyhow::Result<Exit> {
        let mut exit = Exit::Delivered;
        for (number, scenario) in scenarios.iter().enumerate() {
            match self.make_one(scenario, &mut kept).await {
                Ok(Some(record)) => {
                    exit = exit.max(exit_of(&record.outcome));
                    printed.add(record)?;
                }
                Ok(None) => (),
                Err(error) => {
                    complain(&format!("scenario `{}`: {error}", scenario.name));
                    exit = Exit::Unmeasured;
                }
            }
            let (left, all) = (scenarios.len() - number - 1, scenarios.len());
            if self.stop.is_asked() && left > 0 {
                complain(&format!("stopped before the last {left} of {all} scenarios"));
                return Ok(Exit::Unmeasured);
            }
        }
        Ok(exit)
    }

    /// Runs a scenario, and gives its record; none if its tick is missed.
    ///
    /// # Errors
    ///
    /// A sentence, if it does not begin or what it counts cannot be kept.
    async fn make_one(
        &self,
        scenario: &Scenario,
        kept: &mut Option<Kept>,
    ) -> Result<Option<RunRecord>, String> {
        let Self { workshop, lanes, around, stop, is_scheduled } = self;
        if *is_scheduled
            && let Turn::Missed(missed) = turn::await_turn(workshop, scenario, stop).await?
        {
            match kept {
                Some(kept) => kept.tell(&missed).await?,
                None => around.observer.observe(&missed),
            }
            return Ok(None);
        }
        let record = match kept {
            Some(kept) => kept.run(workshop, scenario, stop).await?,
            None => run_scenario(workshop, *lanes, scenario, around, stop).await,
        };
        Ok(Some(record))
    }
}

/// Takes the ports and finds the ways that are asked for. Says what is wrong with them.
async fn prepare(
    arguments: &RunArguments,
    scenarios: &[Scenario],
) -> Option<(Option<TcpListener>, WaysOut, Option<TcpListener>)> {
    let listener = metrics::take_port(arguments.listen).await;
    let listener = listener.inspect_err(|it| complain(it)).ok()?;
    let (own, name) = (&arguments.ways_out, &arguments.instance.instance);
    let ways = WaysOut::of(own, name, ways_out::Output::Taken);
    let ways = ways.inspect_err(|it| complain(it)).ok()?;
    let wanted = scenarios.iter().any(notify::is_awaited);
    let port = notify::take_port(&arguments.notify, wanted).await;
    let port = port.inspect_err(|it| complain(it)).ok()?;
    if arguments.scheduled {
        turn::check(scenarios).inspect_err(|it| complain(it)).ok()?;
    }
    Some((listener, ways, port))
}

/// Runs one scenario; what cannot even be assembled is a run that could not measure. Says what
/// kept it from measuring.
pub(super) async fn run_scenario(
    workshop: &Workshop,
    lanes: &dyn Lanes,
    scenario: &Scenario,
    around: &Surroundings,
    stop: &Stop,
) -> RunRecord {
    around.observer.observe(&Event::Scheduled {
        scenario: scenario.name.clone(),
        due: around.clock.wall(),
        origin: Origin::Request,
        fingerprint: String::new(),
    });
    let job = tokio::select! {
        biased;
        error = stop.asked() => Err(error),
        job = workshop.assemble(scenario) => job,
    };
    let job = match job {
        Ok(job) => take_lane(lanes, &job, scenario).await.map(|grip| (job, grip)),
        Err(error) => Err(error),
    };
    let record = match job {
        Ok((job, grip)) => {
            let record = run_until(&job, around, stop.asked()).await;
            grip.release().await;
            record
        }
        Err(error) => {
            let started = around.clock.wall();
            let record = unassembled(&workshop.instance, scenario, error, started);
            around.observer.observe(&Event::Finished(Box::new(record.clone())));
            record
        }
    };
    complain_of(&record);
    record
}

/// Says what kept a run from measuring.
pub(super) fn complain_of(record: &RunRecord) {
    if let Outcome::ProbeError(error) = &record.outcome {
        complain(&format!("scenario `{}`: {}", record.scenario, error.message));
    }
}

/// Takes the lane for a run: nobody else may push to it meanwhile (rule S5).
pub(super) async fn take_lane(
    lanes: &dyn Lanes,
    job: &Job,
    scenario: &Scenario,
) -> Result<Box<dyn Grip>, ProbeError> {
    let lane = job.trigger.lane();
    lanes.take(&lane, &scenario.name).await.map_err(|error| match error {
        LaneError::Unknown(error) => error,
        LaneError::Held(by) => ProbeError {
            reason: "lane_held".to_owned(),
            message: format!("lane `{lane}` is in use by {by}: wait until that run has ended"),
        },
    })
}

/// Connects to the clusters and finds a place for caches.
pub(super) async fn workshop(
    cluster: &ClusterArguments,
    instance: &InstanceArguments,
    clock: Arc<dyn Clock>,
) -> Result<Workshop, ProbeError> {
    Ok(Workshop {
        clusters: clusters(cluster, clock.clone()).await?,
        clock,
        instance: instance.instance.clone(),
        cache_dir: instance.cache_dir.clone().unwrap_or_else(default_cache_dir),
        proofs: Arc::default(),
        clients: Clients::default(),
        bench: Arc::default(),
        ears: None,
        metrics: Arc::default(),
        telling: Arc::default(),
    })
}

/// Our own cluster, and the ways to all others.
pub(super) async fn clusters(
    cluster: &ClusterArguments,
    clock: Arc<dyn Clock>,
) -> Result<Clusters, cluster::Error> {
    let home = connect(cluster, clock.clone()).await?;
    let ways = cluster.clusters.iter().cloned().collect();
    Ok(Clusters::new(home, options(cluster), ways, clock))
}

/// Connects to the cluster that arguments and environment name.
pub(super) async fn connect(
    cluster: &ClusterArguments,
    clock: Arc<dyn Clock>,
) -> Result<Cluster, cluster::Error> {
    Cluster::connect(options(cluster), clock).await
}

/// Where arguments and environment say that the cluster is.
fn options(cluster: &ClusterArguments) -> ClusterOptions {
    let variable = |name: &str| std::env::var(name).ok().filter(|it| !it.is_empty());
    let from_environment = || {
        let list = std::env::var_os("KUBECONFIG").unwrap_or_default();
        std::env::split_paths(&list).filter(|it| !it.as_os_str().is_empty()).collect()
    };
    ClusterOptions {
        kubeconfigs: cluster.kubeconfig.clone().map_or_else(from_environment, |it| vec![it]),
        context: cluster.context.clone(),
        https_proxy: variable("HTTPS_PROXY").or_else(|| variable("https_proxy")),
        no_proxy: variable("NO_PROXY").or_else(|| variable("no_proxy")),
        timing: Timing::default(),
        ..ClusterOptions::default()
    }
}

/// The exit code that an outcome asks for: an undelivered change is a measurement, a broken
/// prober is an error. A run that was skipped or superseded has not delivered its change either.
pub(super) fn exit_of(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Ok => Exit::Delivered,
        Outcome::Slow
        | Outcome::Failed { .. }
        | Outcome::Timeout
        | Outcome::Superseded { .. }
        | Outcome::Skipped(_) => Exit::Undelivered,
        Outcome::ProbeError(_) => Exit::Unmeasured,
    }
}

/// Colours, if a person looks on and has not asked for none (<https://no-color.org>).
pub(super) fn paint() -> Paint {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    if wanted && std::io::stdout().is_terminal() { Paint::Colour } else { Paint::Plain }
}

pub(super) fn default_cache_dir() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty());
    let home = || Some(PathBuf::from(variable("HOME")?).join(".cache"));
    let base = variable("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    base.unwrap_or_else(std::env::temp_dir).join("hopclock")
}

/// The record of a run that never began.
pub(super) fn unassembled(
    instance: &str,
    scenario: &Scenario,
    error: ProbeError,
    started: jiff::Timestamp,
) -> RunRecord {
    RunRecord {
        scenario: scenario.name.clone(),
        canary: CanaryId::next(instance, started, None),
        started,
        push: None,
        hops: scenario.hops.iter().map(unreached).collect(),
        outcome: Outcome::ProbeError(error),
        push_to_apply: None::<Span>,
        tolerance: Duration::ZERO,
        failing_since: None,
        slo: Vec::new(),
        usage: Usage::default(),
        trace_id: None,
    }
}

/// A hop that a run did not get to.
fn unreached(hop: &Hop) -> HopRecord {
    let subject = hop.subject();
    HopRecord {
        hop: hop.name.clone(),
        subject: subject.map(|it| it.to_string()).unwrap_or_default(),
        target_cluster: hop.cluster.0.clone(),
        passage: Passage::Unreached,
        reverted: false,
        unready: false,
        sights: Vec::new(),
    }
}

// === impl All ===

impl Observer for All {
    fn observe(&self, event: &Event) {
        self.0.iter().for_each(|it| it.observe(event));
    }
}
