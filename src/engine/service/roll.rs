//! The attendants by scenario, and which of them are leaving.
//!
//! A scenario that is gone is attended until its last run has ended, and may be put back at any
//! moment until then. So who attends whom is decided under one lock: an attendant leaves only if
//! nobody has asked it to stay, and there are never two for one scenario.

use crate::engine::service::Entry;
use crate::engine::service::attendant::Command;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

/// The attendants. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Roll(Arc<Mutex<BTreeMap<String, Attended>>>);

/// An attendant at work.
pub(super) struct Attended {
    pub(super) fingerprint: String,
    pub(super) commands: UnboundedSender<Command>,
    pub(super) work: JoinHandle<()>,
    /// Its scenario is gone: it ends with the run that is under way.
    pub(super) is_leaving: bool,
}

// === impl Roll ===

impl Roll {
    /// Has the attendants of these scenarios stay and all others leave. Returns those of the
    /// scenarios that nobody attends.
    pub(super) fn keep(&self, scenarios: &BTreeSet<String>) -> BTreeSet<String> {
        let mut attendants = self.lock();
        for (name, attended) in attendants.iter_mut() {
            let leaves = !scenarios.contains(name);
            if attended.is_leaving != leaves {
                attended.is_leaving = leaves;
                attended.tell(if leaves { Command::Retire } else { Command::Stay });
            }
        }
        scenarios.iter().filter(|it| !attendants.contains_key(*it)).cloned().collect()
    }

    /// Tells the attendants what has changed, and gives every new scenario one.
    pub(super) fn take_up(&self, entries: Vec<Entry>, attend: impl Fn(Entry) -> Attended) {
        let mut attendants = self.lock();
        for entry in entries {
            match attendants.get_mut(&entry.scenario) {
                Some(attended) if attended.fingerprint == entry.fingerprint => (),
                Some(attended) => {
                    attended.fingerprint.clone_from(&entry.fingerprint);
                    attended.tell(Command::Change(Box::new(entry)));
                }
                None => {
                    attendants.insert(entry.scenario.clone(), attend(entry));
                }
            }
        }
    }

    /// Tells the attendant of a scenario something; false if the scenario is gone, or never was.
    pub(super) fn tell(&self, scenario: &str, command: Command) -> bool {
        let attendants = self.lock();
        let attended = attendants.get(scenario).filter(|it| !it.is_leaving);
        attended.inspect(|it| it.tell(command)).is_some()
    }

    /// Lets an attendant leave, and does `last` before anybody can take its place; unless it was
    /// told something meanwhile.
    pub(super) fn leave(
        &self,
        scenario: &str,
        inbox: &mut UnboundedReceiver<Command>,
        last: impl FnOnce(),
    ) -> Option<Command> {
        let mut attendants = self.lock();
        if let Ok(command) = inbox.try_recv() {
            return Some(command);
        }
        attendants.remove(scenario);
        last();
        None
    }

    /// Tells all that the service ends. Returns what has to be waited for.
    pub(super) fn close(&self) -> Vec<JoinHandle<()>> {
        let attendants = std::mem::take(&mut *self.lock());
        let close = |it: Attended| {
            it.tell(Command::Close);
            it.work
        };
        attendants.into_values().map(close).collect()
    }

    /// Ends all at once.
    pub(super) fn abort(&self) {
        self.lock().values().for_each(|it| it.work.abort());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Attended>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Attended ===

impl Attended {
    fn tell(&self, command: Command) {
        // An attendant that has ended hears nothing, and whoever waits for it learns that.
        let _ = self.commands.send(command);
    }
}
