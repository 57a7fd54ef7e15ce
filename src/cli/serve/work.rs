//! The work of a service, from its first connection to its last run.

use crate::cli::args::ServeArguments;
use crate::cli::assemble::Workshop;
use crate::cli::assembly::ScenarioAssembly;
use crate::cli::notify::Ears;
use crate::cli::serve::AGAIN;
use crate::cli::serve::absent::Absent;
use crate::cli::serve::echoes::Echoes;
use crate::cli::serve::ends::Ends;
use crate::cli::serve::folder::{Folder, Good, Look};
use crate::cli::serve::place::Place;
use crate::cli::serve::requests::Requests;
use crate::cli::serve::standing::Standing;
use crate::cli::stop::Stop;
use crate::cli::{Exit, complain, metrics, run};
use crate::cluster::{Cluster, Clusters};
use crate::engine::{Ending, Entry, Service, Setting, Store, StoreError, Surroundings};
use crate::export::{Metrics, Reload, ScenarioCounts};
use crate::history::Recorder;
use crate::model::{Account, Clock};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// After how many looks at the folder the API server is asked whether it is there, if nobody else
/// has learned that it is not.
const ASK: u32 = 15;

/// What keeps a history from being opened, and goes by by itself.
const PASSING: [&str; 2] = ["history_locked", "history_disk_full"];

/// What happens if another process writes the same state: only a restart reads what it wrote.
const TAKEN_OVER: &str = "conflict";

/// The work of a service.
pub(super) struct Work<'a> {
    pub(super) arguments: &'a ServeArguments,
    pub(super) place: &'a Place,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) clusters: Arc<OnceLock<Clusters>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) standing: Arc<Standing>,
    pub(super) requests: Arc<Requests>,
    pub(super) ears: Option<Ears>,
}

/// What works once everything is there.
struct Crew {
    workshop: Workshop,
    recorder: Recorder,
    service: Arc<Service>,
    absent: Absent,
    /// The scenarios of the folder, if the last look at it is sure of them.
    certain: Option<BTreeSet<String>>,
    /// None without a namespace of our own.
    echoes: Option<Echoes>,
}

// === impl Crew ===

impl Crew {
    /// Has an echo in every cluster that was reached.
    fn listen(&mut self) {
        if let Some(echoes) = &mut self.echoes {
            echoes.look(&self.workshop.clusters);
        }
    }
}

// === impl Work ===

impl Work<'_> {
    /// Works until it is stopped.
    pub(super) async fn run(self, folder: Folder, first: Look, stop: &Stop) -> Exit {
        self.standing.look(&first);
        let crew = tokio::select! {
            crew = self.assemble_crew() => crew,
            _ = stop.asked() => return Exit::Delivered,
        };
        let mut crew = match crew {
            Ok(crew) => crew,
            Err(error) => {
                complain(&error.message);
                return Exit::Unmeasured;
            }
        };
        self.standing.open(&crew.service, &crew.recorder, crew.echoes.is_some());
        self.requests.open(&crew.service, &crew.recorder);
        self.take_up(&mut crew, &first).await;
        self.standing.hinder(None);
        let cluster = crew.workshop.clusters.home().clone();
        let exit = tokio::select! {
            exit = self.follow(&mut crew, folder, stop) => exit,
            never = keep_asking(&cluster) => match never {},
        };
        self.standing.hinder(Some("it is stopping".to_owned()));
        let lasting = self.place.state.is_lasting() && exit == Exit::Delivered;
        let rest = if lasting { Ending::Leave } else { Ending::Stop };
        crew.service.end(self.arguments.grace.0, rest).await;
        crew.recorder.flush().await;
        self.standing.close();
        exit
    }

    /// Follows the folder and the store until it is stopped.
    async fn follow(&self, crew: &mut Crew, folder: Folder, stop: &Stop) -> Exit {
        let mut trouble = crew.recorder.watch_trouble();
        let mut folder = Some(folder);
        loop {
            tokio::select! {
                _ = stop.asked() => return Exit::Delivered,
                Ok(()) = trouble.changed() => {
                    let error = trouble.borrow_and_update().clone();
                    self.metrics.set_state_saved(error.as_ref().map_or(Ok(()), Err));
                    if let Some(error) = error.filter(|it| it.reason == TAKEN_OVER) {
                        complain(&format!("{}; only one hopclock can keep its state there", error.message));
                        return Exit::Unmeasured;
                    }
                }
                () = tokio::time::sleep(LOOK) => {
                    let Some(mut own) = folder.take() else { continue };
                    let looked = tokio::task::spawn_blocking(move || (own.look(), own)).await;
                    let Ok((look, own)) = looked else { return Exit::Unmeasured };
                    folder = Some(own);
                    if let Some(look) = look {
                        self.standing.look(&look);
                        self.take_up(crew, &look).await;
                    }
                    self.forget(crew);
                    crew.listen();
                }
            }
        }
    }

    /// Connects, and opens the store; tries again for as long as waiting may help.
    async fn assemble_crew(&self) -> Result<Crew, StoreError> {
        let arguments = self.arguments;
        let workshop = loop {
            let clock = self.clock.clone();
            match run::workshop(&arguments.cluster, &arguments.instance, clock).await {
                Ok(workshop) => break Workshop { ears: self.ears.clone(), ..workshop },
                Err(error) => self.wait(error.message).await,
            }
        };
        let _ = self.clusters.set(workshop.clusters.clone());
        let _ = workshop.metrics.set(self.metrics.clone());
        let (store, accounts) = loop {
            match self.open_store(workshop.clusters.home()).await {
                Ok(opened) => break opened,
                // A file does not mend itself, but a lock goes, and so may what fills a disk.
                Err(error)
                    if error.reason.starts_with("history") && !PASSING.contains(&error.reason) =>
                {
                    return Err(error);
                }
                Err(error) => self.wait(error.message).await,
            }
        };
        // To go on from nothing would overwrite what another version can read.
        for (scenario, account) in &accounts {
            Metrics::check(scenario, &account.totals).map_err(|error| StoreError {
                reason: "totals",
                message: format!("{error} (it is kept in {})", self.place.state),
            })?;
        }
        self.metrics.declare_state(&[]);
        let mut absent = Absent::default();
        absent.know(accounts.keys());
        let recorder = Recorder::start(store, self.metrics.clone(), accounts, self.clock.clone());
        let around = Surroundings {
            clock: self.clock.clone(),
            journal: Arc::new(recorder.clone()),
            observer: Arc::new(Ends::new(Arc::new(recorder.clone()))),
        };
        let setting = Setting {
            around,
            lanes: self.place.lanes(workshop.clusters.home()),
            seed: arguments.instance.instance.clone(),
            keeper: Arc::new(recorder.clone()),
        };
        let service = Arc::new(Service::new(setting));
        let echoes = self.place.namespace.as_ref().map(|it| Echoes::new(it, &self.metrics));
        let mut crew = Crew { workshop, recorder, service, absent, certain: None, echoes };
        crew.listen();
        Ok(crew)
    }

    async fn open_store(
        &self,
        cluster: &Cluster,
    ) -> Result<(Box<dyn Store>, BTreeMap<String, Account>), StoreError> {
        let place = &self.place;
        let mut store = place.state.open(cluster, &place.name, self.clock.clone()).await?;
        let accounts = store.load().await?;
        Ok((store, accounts))
    }

    /// Says what keeps it from working, and waits a little.
    async fn wait(&self, why: String) {
        tracing::error!("{why}; trying again in {AGAIN:?}");
        self.standing.hinder(Some(why));
        tokio::time::sleep(AGAIN).await;
    }

    /// Forgets scenarios that have been gone for long.
    fn forget(&self, crew: &mut Crew) {
        let Some(certain) = &crew.certain else { return crew.absent.doubt() };
        // One that is gone may still have a run under way.
        let present = crew.service.statuses().into_keys().chain(certain.iter().cloned()).collect();
        for it in crew.absent.look(&present, self.clock.now()) {
            tracing::info!("scenario `{it}` is gone for good: what was counted of it is forgotten");
            crew.recorder.forget(&it);
        }
    }

    /// Makes the scenarios those of the folder.
    async fn take_up(&self, crew: &mut Crew, look: &Look) {
        if !look.problems.is_empty() {
            tracing::error!("some scenarios are broken; what was right runs on\n{}", look.problems);
        }
        let names: BTreeSet<String> = look.scenarios.keys().cloned().collect();
        // Nobody of these can leave from here on, so no series go that are declared now.
        let new = crew.service.keep(&names);
        let accounts = crew.recorder.adopt(new).await;
        for (name, good) in &look.scenarios {
            let mut series = metrics::series(&good.scenario, &self.arguments.instance.instance);
            // Hops that were discovered stay until they are discovered anew.
            if let Some(known) = self.metrics.declared(name)
                && good.scenario.target.is_some()
            {
                (series.hops, series.clusters) = (known.hops, known.clusters);
                series.open = known.open;
            }
            match accounts.get(name) {
                Some(account) => {
                    if let Err(error) = self.metrics.declare_with(&series, &account.totals) {
                        tracing::error!("{error}; they begin anew");
                    }
                }
                None => self.metrics.declare(&series),
            }
        }
        let entries = look.scenarios.values().map(|it| entry(&crew.workshop, it)).collect();
        crew.service.replace(entries, &accounts);
        crew.absent.know(&names);
        let whole = look.problems.is_empty();
        // A broken file may be the home of an account that nothing else knows, and an empty folder
        // is more often a mount that comes late than the end of all scenarios.
        crew.certain = Some(names).filter(|it| whole && !it.is_empty());
        let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        let counts = ScenarioCounts {
            active: count(look.scenarios.len().saturating_sub(look.stale.len())),
            stale: count(look.stale.len()),
            broken: count(look.broken.len()),
        };
        self.metrics.set_reload(if whole { Reload::Whole } else { Reload::Partial }, counts);
        tracing::info!("{} scenarios run", look.scenarios.len());
    }
}

/// Asks the API server from time to time whether it is there, and more often while it is not, so
/// that `/readyz` knows although nothing runs.
async fn keep_asking(cluster: &Cluster) -> Infallible {
    let (mut was_silent, mut looks) = (false, 0_u32);
    loop {
        tokio::time::sleep(LOOK).await;
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(ASK) || cluster.silence().is_some() {
            // What it says is of no interest, only whether it says anything.
            let _ = cluster.server_version().await;
        }
        let silence = cluster.silence();
        match &silence {
            Some(silence) if !was_silent => tracing::warn!("{}", silence.problem),
            None if was_silent => tracing::info!("{} answers again", cluster.server()),
            _ => (),
        }
        was_silent = silence.is_some();
    }
}

fn entry(workshop: &Workshop, good: &Good) -> Entry {
    let scenario = &good.scenario;
    Entry {
        scenario: scenario.name.clone(),
        timetable: scenario.schedule.clone(),
        deadline: scenario.deadline,
        fingerprint: good.fingerprint.clone(),
        assembly: Arc::new(ScenarioAssembly::new(workshop, scenario.clone())),
    }
}
