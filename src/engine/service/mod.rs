//! Runs scenarios day and night: one attendant each, which keeps its schedule and its one run.
//!
//! The service decides when a run begins and accounts for every tick (rule O4). What a run is made
//! of, who may use a lane and where the account is kept are ports, so that a day can pass in a
//! second under a clock that a test moves.

mod attendant;
mod lanes;
mod once;
mod performance;
mod roll;
mod schedule;
mod status;
mod teller;

use crate::engine::drive::{Job, Surroundings};
use crate::engine::service::attendant::{Attendant, Command};
use crate::engine::service::roll::{Attended, Roll};
use crate::model::{Account, ProbeError, RunRecord, Timetable};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

pub use lanes::{Grip, LaneError, Lanes, LocalLanes};
pub use once::perform_once;
pub use status::{Activity, LastRun, Status};

/// A scenario as the service runs it.
#[derive(Clone)]
pub struct Entry {
    /// Its name.
    pub scenario: String,
    /// When it runs; none: only when it is asked to.
    pub timetable: Option<Timetable>,
    /// Time from the push after which a run is given up.
    pub deadline: Duration,
    /// What it is: two entries of equal fingerprints are the same scenario.
    pub fingerprint: String,
    /// Makes its jobs.
    pub assembly: Arc<dyn Assembly>,
}

/// Makes the jobs of a scenario.
#[async_trait::async_trait]
pub trait Assembly: Send + Sync {
    /// Makes the job of one run, of the cluster as it is now. Nothing is pushed.
    async fn assemble(&self) -> Result<Assembled, ProbeError>;

    /// The record of a run that could not begin.
    fn unassembled(&self, error: ProbeError, started: Timestamp) -> RunRecord;
}

/// A job, and what the service has to know of it.
pub struct Assembled {
    /// The job.
    pub job: Job,
    /// What no other run may use meanwhile (rule S5).
    pub lane: String,
    /// The longest interval at which anybody on the path polls (rule O5).
    pub longest_poll: Option<Duration>,
}

/// What the service needs of its surroundings.
#[derive(Clone)]
pub struct Setting {
    /// Clock, journal and observer of all runs.
    pub around: Surroundings,
    /// Who may use which lane.
    pub lanes: Arc<dyn Lanes>,
    /// Seed of phases and delays: the name of the installation.
    pub seed: String,
    /// Who keeps the accounts.
    pub keeper: Arc<dyn Keeper>,
}

/// Keeps the accounts, and is told what events do not say.
pub trait Keeper: Send + Sync {
    /// A scenario is gone, and its last run has ended. It may be put back later.
    fn gone(&self, scenario: &str);

    /// The run of a scenario that was due then broke off: it ends with what is known of it.
    fn broken_off(&self, scenario: &str, due: Timestamp);
}

/// Why a run that somebody asked for does not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such scenario.
    #[error("there is no scenario `{scenario}` here")]
    Unknown {
        /// Its name.
        scenario: String,
    },
    /// A run of it is under way.
    #[error("scenario `{scenario}` is running since {since}: wait until that run has ended")]
    Busy {
        /// The scenario.
        scenario: String,
        /// Since when.
        since: Timestamp,
    },
    /// It is paused.
    #[error("scenario `{scenario}` is paused until {until}")]
    Paused {
        /// The scenario.
        scenario: String,
        /// Until when.
        until: Timestamp,
    },
    /// Another run uses its lane.
    #[error("the lane of scenario `{scenario}` is in use by {by}: wait until that run has ended")]
    LaneHeld {
        /// The scenario.
        scenario: String,
        /// By whom.
        by: String,
    },
    /// The service ends.
    #[error("hopclock is stopping; ask again once it is back")]
    Stopping,
}

/// A run that somebody asked for, and that has begun.
pub struct Begun {
    /// When it was due: its name in the ledger.
    pub due: Timestamp,
    /// What comes of it; nothing if hopclock stops before its end and goes on with it later.
    pub record: oneshot::Receiver<RunRecord>,
}

/// How the service ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It does not.
    No,
    /// No run begins any more.
    Close,
    /// Runs under way are left to the next process, which reads of them in the journal.
    Leave,
    /// Runs under way end with what they have measured so far.
    Stop,
}

/// Runs scenarios day and night. Dropping it ends its attendants and abandons their runs.
pub struct Service {
    setting: Setting,
    roll: Roll,
    statuses: status::Board,
    ending: watch::Sender<Ending>,
}

// === impl Service ===

impl Service {
    /// A service without scenarios.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        let (roll, statuses) = Default::default();
        Self { setting, roll, statuses, ending: watch::Sender::new(Ending::No) }
    }

    /// Lets all scenarios but these disappear, each with its last run; one that was about to stays
    /// now. Returns those of `scenarios` that are not here: what is known of them can be made ready
    /// before [`Service::replace`], and nobody will take it away meanwhile.
    #[must_use]
    pub fn keep(&self, scenarios: &BTreeSet<String>) -> BTreeSet<String> {
        self.roll.keep(scenarios)
    }

    /// Makes these the scenarios: new ones begin where their account ends, changed ones go on
    /// with the next tick, untouched ones hear nothing of it, and the others disappear with their
    /// last run. Must be called inside a tokio runtime.
    pub fn replace(&self, entries: Vec<Entry>, accounts: &BTreeMap<String, Account>) {
        self.roll.keep(&entries.iter().map(|it| it.scenario.clone()).collect());
        let new = Account::default();
        let account = |entry: &Entry| accounts.get(&entry.scenario).unwrap_or(&new);
        self.roll.take_up(entries, |it| self.attend(account(&it), it));
    }

    /// Begins a run that somebody asks for.
    ///
    /// # Errors
    ///
    /// The [`Refusal`], if it does not begin.
    pub async fn request(&self, scenario: &str) -> Result<Begun, Refusal> {
        let (answer, answered) = oneshot::channel();
        if !self.roll.tell(scenario, Command::Request(answer)) {
            if *self.ending.borrow() != Ending::No {
                // Its attendants are let go, so nobody can tell which scenarios there were.
                return Err(Refusal::Stopping);
            }
            return Err(Refusal::Unknown { scenario: scenario.to_owned() });
        }
        answered.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// What each scenario does now.
    #[must_use]
    pub fn statuses(&self) -> BTreeMap<String, Status> {
        self.statuses.all()
    }

    /// Begins no run any more and waits for those under way, for so long; then does with them what
    /// `rest` says.
    pub async fn end(&self, within: Duration, rest: Ending) {
        self.ending.send_replace(Ending::Close);
        let mut work = self.roll.close();
        let all = async {
            for it in &mut work {
                // One that panicked has ended, too.
                let _ = it.await;
            }
        };
        if tokio::time::timeout(within, all).await.is_err() {
            self.ending.send_replace(rest);
            for it in work.into_iter().filter(|it| !it.is_finished()) {
                let _ = it.await;
            }
        }
    }

    fn attend(&self, account: &Account, entry: Entry) -> Attended {
        let (commands, inbox) = mpsc::unbounded_channel();
        let fingerprint = entry.fingerprint.clone();
        let (board, roll) = (self.statuses.clone(), self.roll.clone());
        let (setting, ending) = (self.setting.clone(), self.ending.subscribe());
        let attendant = Attendant::new(entry, account, setting, board, roll, ending);
        let work = tokio::spawn(attendant.attend(inbox));
        Attended { fingerprint, commands, work, is_leaving: false }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.roll.abort();
    }
}
