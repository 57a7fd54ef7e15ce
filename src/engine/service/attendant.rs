//! Attends to one scenario: keeps its schedule, and has at most one run of it under way.
//!
//! It never waits for anything but its next tick: looks at the path and runs are tasks of their
//! own, so that the schedule goes on whatever they take.

use crate::engine::service::performance::{Asker, Outcome, Performance};
use crate::engine::service::roll::Roll;
use crate::engine::service::schedule::Schedule;
use crate::engine::service::status::{Activity, Board, LastRun};
use crate::engine::service::teller::Teller;
use crate::engine::service::{Assembled, Ending, Entry, Refusal, Setting};
use crate::model::{Account, Event, Missed, Moment, Origin, ProbeError, Timetable, Underway};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long it is said that a lane is in use, of which nobody knows when it is free again.
const PASSING: Duration = Duration::from_secs(60);

/// How long the first tick waits for the path to be looked at, which may change its delay.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// What an attendant is told.
pub(super) enum Command {
    /// Begin a run now.
    Request(Asker),
    /// The scenario has changed.
    Change(Box<Entry>),
    /// The scenario is gone: leave once the run that is under way has ended.
    Retire,
    /// The scenario is back: do not leave.
    Stay,
    /// The service ends: begin no run any more.
    Close,
}

/// Attends to one scenario.
pub(super) struct Attendant {
    entry: Entry,
    setting: Setting,
    board: Board,
    roll: Roll,
    teller: Teller,
    ending: watch::Receiver<Ending>,
    schedule: Schedule,
    /// Runs that an earlier process left behind, the oldest first.
    left: VecDeque<(Timestamp, Underway)>,
    /// The look at the path, while it lasts.
    looking: Option<Looking>,
    running: Option<Running>,
    longest_poll: Option<Duration>,
    warned: bool,
    /// Since when a problem is said that passes by itself.
    passing: Option<Moment>,
}

/// A look at the path, and when it began.
struct Looking {
    since: Moment,
    work: JoinHandle<Result<Assembled, ProbeError>>,
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
    /// The scenario is gone: it leaves after its last run.
    Leaving,
    /// The service ends: it ends after the run under way.
    Closing,
}

// === impl Attendant ===

impl Attendant {
    pub(super) fn new(
        entry: Entry,
        account: &Account,
        setting: Setting,
        board: Board,
        roll: Roll,
        ending: watch::Receiver<Ending>,
    ) -> Self {
        let left = account.ledger.runs().map(|(due, run)| (due, run.clone())).collect();
        Self {
            schedule: Schedule::from(account, &entry.scenario, &setting.seed),
            teller: Teller::new(setting.around.observer.clone()),
            entry,
            setting,
            board,
            roll,
            ending,
            left,
            looking: None,
            running: None,
            longest_poll: None,
            warned: false,
            passing: None,
        }
    }

    /// Attends until the service ends or the scenario is gone.
    pub(super) async fn attend(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut life = Life::On;
        self.follow_schedule(life);
        self.look_at_path();
        loop {
            if self.running.is_none() && life != Life::Closing {
                self.resume_next();
            }
            if self.running.is_none() && life == Life::Closing {
                return;
            }
            if self.running.is_none() && life == Life::Leaving {
                let leave = || self.leave();
                match self.roll.leave(&self.entry.scenario, &mut commands, leave) {
                    Some(command) => self.obey(command, &mut life),
                    None => return,
                }
                continue;
            }
            if life == Life::On && !self.waits_for_look() {
                self.keep_schedule();
            }
            self.note();
            match self.wake(&mut commands, life).await {
                Wake::Told(command) => self.obey(command.unwrap_or(Command::Close), &mut life),
                Wake::Looked(looked) => self.looked(*looked),
                Wake::Ended(outcome) => self.ended(*outcome),
                Wake::Time => (),
            }
        }
    }

    async fn wake(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>, life: Life) -> Wake {
        let mut sleep = self.schedule.sleep(self.setting.around.clock.wall());
        if self.waits_for_look() {
            sleep = sleep.clamp(Duration::from_secs(1), FIRST_LOOK);
        }
        let asleep = life == Life::On && self.entry.timetable.is_some();
        tokio::select! {
            biased;
            command = commands.recv(), if life != Life::Closing => Wake::Told(command),
            outcome = work_of(&mut self.running) => Wake::Ended(Box::new(outcome)),
            looked = look_of(&mut self.looking) => Wake::Looked(Box::new(looked)),
            () = tokio::time::sleep(sleep), if asleep => Wake::Time,
        }
    }

    fn obey(&mut self, command: Command, life: &mut Life) {
        match command {
            Command::Request(asker) => self.request(asker, *life),
            Command::Change(entry) => self.change(*entry, *life),
            Command::Retire => *life = Life::Leaving,
            Command::Stay => *life = Life::On,
            Command::Close => *life = Life::Closing,
        }
        if *life != Life::Closing {
            self.follow_schedule(*life);
        }
    }

    /// Follows the schedule as it is now; a scenario that is gone has none.
    fn follow_schedule(&mut self, life: Life) {
        let timetable = self.entry.timetable.as_ref().filter(|_| life == Life::On);
        let wall = self.setting.around.clock.wall();
        for event in self.schedule.follow(timetable, wall) {
            self.say(event);
        }
    }

    /// Whether the delay of the next tick depends on a look that will soon be over.
    fn waits_for_look(&self) -> bool {
        let Some(looking) = &self.looking else { return false };
        let jitter = self.entry.timetable.as_ref().and_then(|it| it.jitter);
        let took = self.setting.around.clock.now().since(looking.since);
        jitter.is_none() && self.longest_poll.is_none() && took < FIRST_LOOK
    }

    /// Looks at the path, so that what keeps runs from beginning is known before the first one.
    fn look_at_path(&mut self) {
        if let Some(before) = self.looking.take() {
            before.work.abort();
        }
        let assembly = self.entry.assembly.clone();
        let work = tokio::spawn(async move { assembly.assemble().await });
        self.looking = Some(Looking { since: self.setting.around.clock.now(), work });
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
            let events = self.schedule.look(&timetable, jitter, wall, now);
            for event in events {
                self.say(event);
            }
            let Some(waiting) = self.schedule.begin(wall) else { return };
            let paused = timetable.is_paused(waiting.tick).or_else(|| timetable.is_paused(wall));
            let reason = match (paused, &self.running) {
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
            for event in self.schedule.after(&timetable, &waiting) {
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
            _ if life == Life::Closing => Refusal::Stopping,
            _ if life == Life::Leaving => Refusal::Unknown { scenario },
            (Some(running), _) => Refusal::Busy { scenario, since: running.due },
            (None, Some(until)) => Refusal::Paused { scenario, until },
            (None, None) => return self.begin(wall, Some(asker)),
        };
        // An asker that went away needs no answer.
        let _ = asker.send(Err(refusal));
    }

    fn change(&mut self, entry: Entry, life: Life) {
        // What was due before is accounted for by the schedule that it was due by.
        if life == Life::On && !self.waits_for_look() {
            self.keep_schedule();
        }
        self.entry = entry;
        self.warned = false;
        self.look_at_path();
    }

    fn ended(&mut self, outcome: Option<Outcome>) {
        let Some(Running { due, .. }) = self.running.take() else { return };
        let Some(Outcome { record, longest_poll, problem }) = outcome else {
            return self.broken_off(due);
        };
        let passes = problem.is_some() && record.is_none();
        self.passing = passes.then(|| self.setting.around.clock.now());
        self.know(longest_poll, problem);
        if let Some(record) = record {
            let ended = self.setting.around.clock.wall();
            let last = LastRun::of(&record, ended);
            self.board.note(&self.entry.scenario, |it| it.last = Some(last));
        }
    }

    /// Accounts for a run that panicked.
    fn broken_off(&self, due: Timestamp) {
        let scenario = self.entry.scenario.clone();
        tracing::error!(scenario, "a run broke off: this is a fault");
        if self.teller.is_open() {
            let fingerprint = self.entry.fingerprint.clone();
            let origin = Origin::Schedule;
            self.teller.account(&Event::Scheduled { scenario, due, origin, fingerprint });
        }
        self.setting.keeper.broken_off(&self.entry.scenario, due);
    }

    /// Says what the scenario is at.
    fn note(&mut self) {
        let now = self.setting.around.clock.now();
        if self.passing.take_if(|it| now.since(*it) >= PASSING).is_some() {
            self.board.note(&self.entry.scenario, |it| it.problem = None);
        }
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

    fn leave(&self) {
        self.board.remove(&self.entry.scenario);
        self.setting.keeper.gone(&self.entry.scenario);
    }

    /// Tells what the schedule says, and logs it.
    fn say(&self, event: Event) {
        let scenario = &self.entry.scenario;
        if let Event::Missed { reason: Missed::Down, count, .. } = &event {
            tracing::warn!(scenario, count, "ticks passed while nobody was there: missed");
        }
        self.teller.tell(event);
    }
}

impl Drop for Attendant {
    /// Whatever it has begun ends with it.
    fn drop(&mut self) {
        if let Some(looking) = &self.looking {
            looking.work.abort();
        }
        if let Some(running) = &self.running {
            running.work.abort();
        }
    }
}

/// Waits for the end of the run under way; for ever if there is none. None if it panicked.
async fn work_of(running: &mut Option<Running>) -> Option<Outcome> {
    match running {
        Some(it) => (&mut it.work).await.ok(),
        None => std::future::pending().await,
    }
}

/// Waits for the look at the path; for ever if nobody looks.
async fn look_of(looking: &mut Option<Looking>) -> Result<Assembled, ProbeError> {
    let Some(looking) = looking else { return std::future::pending().await };
    (&mut looking.work).await.unwrap_or_else(|_| {
        Err(ProbeError {
            reason: "fault".to_owned(),
            message: "looking at the path broke off: this is a fault of hopclock".to_owned(),
        })
    })
}
