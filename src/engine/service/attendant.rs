//! Attends to one scenario: keeps its schedule, and has at most one run of it under way.

use crate::engine::service::performance::{Asker, Outcome, Performance};
use crate::engine::service::schedule::Schedule;
use crate::engine::service::status::{Activity, Board, LastRun};
use crate::engine::service::teller::Teller;
use crate::engine::service::{Assembled, Ending, Entry, Refusal, Setting};
use crate::model::{Account, Event, Missed, ProbeError, Timetable, Underway};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What an attendant is told.
pub(super) enum Command {
    /// Begin a run now.
    Request(Asker),
    /// The scenario has changed.
    Change(Box<Entry>),
    /// The scenario is gone: end with the run that is under way.
    Retire,
    /// The service ends: begin no run any more.
    Close,
}

/// Attends to one scenario.
pub(super) struct Attendant {
    entry: Entry,
    setting: Setting,
    board: Board,
    teller: Teller,
    ending: watch::Receiver<Ending>,
    schedule: Schedule,
    /// Runs that an earlier process left behind, the oldest first.
    left: VecDeque<(Timestamp, Underway)>,
    /// The first look at the path, while it lasts.
    looking: Option<JoinHandle<Result<Assembled, ProbeError>>>,
    running: Option<Running>,
    longest_poll: Option<Duration>,
    warned: bool,
}

/// A run under way.
struct Running {
    due: Timestamp,
    work: JoinHandle<Outcome>,
}

/// What an attendant wakes for.
enum Wake {
    Told(Option<Command>),
    Looked(Box<Result<Assembled, ProbeError>>),
    Ended(Box<Option<Outcome>>),
    Time,
}

/// Whether an attendant goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    On,
    /// It ends once its run has; whether the scenario is then gone for good.
    Last {
        gone: bool,
    },
}

// === impl Attendant ===

impl Attendant {
    pub(super) fn new(
        entry: Entry,
        account: &Account,
        setting: Setting,
        board: Board,
        ending: watch::Receiver<Ending>,
    ) -> Self {
        let left = account.ledger.runs().map(|(due, run)| (due, run.clone())).collect();
        Self {
            schedule: Schedule::from(account.position),
            teller: Teller::new(setting.around.observer.clone()),
            entry,
            setting,
            board,
            ending,
            left,
            looking: None,
            running: None,
            longest_poll: None,
            warned: false,
        }
    }

    /// Attends until the service ends or the scenario is gone.
    pub(super) async fn attend(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        self.look_at_path();
        let mut life = Life::On;
        loop {
            if self.running.is_none() && life == Life::On {
                self.resume_next();
            }
            if let Life::Last { gone } = life
                && self.running.is_none()
            {
                self.leave(gone);
                return;
            }
            if life == Life::On && self.looking.is_none() {
                self.keep_schedule();
            }
            self.note();
            match self.wake(&mut commands, life).await {
                Wake::Told(Some(Command::Request(asker))) => self.request(asker, life),
                Wake::Told(Some(Command::Change(entry))) => self.change(*entry),
                Wake::Told(Some(Command::Retire)) => life = Life::Last { gone: true },
                Wake::Told(Some(Command::Close) | None) => life = Life::Last { gone: false },
                Wake::Looked(looked) => self.looked(*looked),
                Wake::Ended(outcome) => self.ended(*outcome),
                Wake::Time => (),
            }
        }
    }

    async fn wake(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>, life: Life) -> Wake {
        let wall = self.setting.around.clock.wall();
        let sleep = self.schedule.sleep(wall);
        let asleep = life == Life::On && self.looking.is_none() && self.entry.timetable.is_some();
        tokio::select! {
            biased;
            command = commands.recv(), if life == Life::On => Wake::Told(command),
            outcome = work_of(&mut self.running) => Wake::Ended(Box::new(outcome)),
            looked = look_of(&mut self.looking) => Wake::Looked(Box::new(looked)),
            () = tokio::time::sleep(sleep), if asleep => Wake::Time,
        }
    }

    /// Looks at the path, so that what keeps runs from beginning is known before the first one.
    fn look_at_path(&mut self) {
        let assembly = self.entry.assembly.clone();
        self.looking = Some(tokio::spawn(async move { assembly.assemble().await }));
    }

    fn looked(&mut self, looked: Result<Assembled, ProbeError>) {
        self.looking = None;
        match looked {
            Ok(assembled) => self.know(assembled.longest_poll, None),
            Err(error) => {
                let scenario = &self.entry.scenario;
                tracing::warn!(scenario, "cannot run as things are: {}", error.message);
                self.know(None, Some(error.message));
            }
        }
    }

    /// Takes in what is known of the path.
    fn know(&mut self, longest_poll: Option<Duration>, problem: Option<String>) {
        self.longest_poll = longest_poll.or(self.longest_poll);
        let warning = self.warning();
        if let Some(warning) = warning.as_ref().filter(|_| !self.warned) {
            tracing::warn!(scenario = self.entry.scenario, "{warning}");
            self.warned = true;
        }
        self.board.note(&self.entry.scenario, |it| {
            it.problem = problem;
            it.warning = warning;
        });
    }

    /// What is wrong with the jitter (rule O5).
    fn warning(&self) -> Option<String> {
        let (timetable, longest) = (self.entry.timetable.as_ref()?, self.longest_poll?);
        let jitter = self.jitter(timetable);
        (jitter < longest).then(|| {
            format!(
                "runs are spread over {jitter:?} (jitter), but somebody on the path polls every \
                 {longest:?}: they see only a part of each interval; allow for more between runs"
            )
        })
    }

    fn jitter(&self, timetable: &Timetable) -> Duration {
        let default = || timetable.default_jitter(self.longest_poll, self.entry.deadline);
        timetable.jitter.unwrap_or_else(default)
    }

    /// Tells which ticks were missed, and begins the run that is due.
    fn keep_schedule(&mut self) {
        let Some(timetable) = self.entry.timetable.clone() else { return };
        let jitter = self.jitter(&timetable);
        let clock = self.setting.around.clock.clone();
        let (wall, now) = (clock.wall(), clock.now());
        loop {
            let events = self.schedule.look(&timetable, &self.setting.seed, jitter, wall, now);
            for event in events {
                self.say(event);
            }
            let Some(waiting) = self.schedule.begin(wall) else { return };
            let reason = match (timetable.is_paused(waiting.tick), &self.running) {
                (Some(_), _) => Some(Missed::Paused),
                (None, Some(_)) => Some(Missed::Overlap),
                (None, None) => None,
            };
            let scenario = self.entry.scenario.clone();
            if let Some(reason) = reason {
                let due = waiting.tick;
                self.teller.tell(Event::Missed { scenario, reason, count: 1, due });
            } else {
                self.teller.open();
                self.begin(waiting.tick, None);
            }
            if let Some(event) = waiting.after(&self.entry.scenario) {
                self.say(event);
            }
        }
    }

    fn begin(&mut self, due: Timestamp, asker: Option<Asker>) {
        let work = tokio::spawn(self.performance(due).perform(asker));
        self.running = Some(Running { due, work });
    }

    fn resume_next(&mut self) {
        let Some((due, underway)) = self.left.pop_front() else { return };
        let scenario = &self.entry.scenario;
        tracing::info!(scenario, "a run due at {due} was cut off: it is resumed or ended");
        let work = tokio::spawn(self.performance(due).resume(underway));
        self.running = Some(Running { due, work });
    }

    fn performance(&self, due: Timestamp) -> Performance {
        let (entry, setting) = (self.entry.clone(), self.setting.clone());
        let (teller, ending) = (self.teller.clone(), self.ending.clone());
        Performance { entry, setting, teller, due, ending }
    }

    /// Begins a run that somebody asks for, unless something speaks against it.
    fn request(&mut self, asker: Asker, life: Life) {
        let wall = self.setting.around.clock.wall();
        let scenario = self.entry.scenario.clone();
        let paused = self.entry.timetable.as_ref().and_then(|it| it.is_paused(wall));
        let refusal = match (&self.running, paused) {
            _ if life != Life::On => Refusal::Stopping,
            (Some(running), _) => Refusal::Busy { scenario, since: running.due },
            (None, Some(until)) => Refusal::Paused { scenario, until },
            (None, None) => return self.begin(wall, Some(asker)),
        };
        // An asker that went away needs no answer.
        let _ = asker.send(Err(refusal));
    }

    fn change(&mut self, entry: Entry) {
        self.entry = entry;
        self.warned = false;
        self.longest_poll = None;
        self.look_at_path();
    }

    fn ended(&mut self, outcome: Option<Outcome>) {
        self.running = None;
        let Some(Outcome { record, longest_poll, problem }) = outcome else {
            tracing::error!(scenario = self.entry.scenario, "a run broke off: this is a fault");
            self.teller.give_up();
            return;
        };
        self.know(longest_poll, problem);
        if let Some(record) = record {
            let ended = self.setting.around.clock.wall();
            let last = LastRun::of(&record, ended);
            self.board.note(&self.entry.scenario, |it| it.last = Some(last));
        }
    }

    /// Says what the scenario is at.
    fn note(&self) {
        let wall = self.setting.around.clock.wall();
        let paused = self.entry.timetable.as_ref().and_then(|it| it.is_paused(wall));
        let activity = match (&self.running, &self.looking, paused) {
            (Some(running), ..) => Activity::Running { since: running.due },
            (None, Some(_), _) => Activity::Starting,
            (None, None, Some(until)) => Activity::Paused { until },
            (None, None, None) => Activity::Waiting,
        };
        let next = self.entry.timetable.as_ref().and_then(|_| self.schedule.next());
        self.board.note(&self.entry.scenario, |it| {
            it.activity = activity;
            it.next = next;
        });
    }

    fn leave(&self, gone: bool) {
        if gone {
            self.board.remove(&self.entry.scenario);
            (self.setting.gone)(&self.entry.scenario);
        }
    }

    /// Tells what the schedule says, and logs it.
    fn say(&self, event: Event) {
        let scenario = &self.entry.scenario;
        if let Event::Missed { count, .. } = &event {
            tracing::warn!(scenario, count, "ticks passed while nobody was there: missed");
        }
        self.teller.tell(event);
    }
}

/// Waits for the end of the run under way; for ever if there is none. None if it panicked.
async fn work_of(running: &mut Option<Running>) -> Option<Outcome> {
    match running {
        Some(it) => (&mut it.work).await.ok(),
        None => std::future::pending().await,
    }
}

/// Waits for the first look at the path; for ever if nobody looks.
async fn look_of(
    looking: &mut Option<JoinHandle<Result<Assembled, ProbeError>>>,
) -> Result<Assembled, ProbeError> {
    let Some(look) = looking else { return std::future::pending().await };
    look.await.unwrap_or_else(|_| {
        Err(ProbeError {
            reason: "fault".to_owned(),
            message: "looking at the path broke off: this is a fault of hopclock".to_owned(),
        })
    })
}
