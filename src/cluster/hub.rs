//! Who watches what: one watch per kind and namespace, started when the first follower comes.

use crate::cluster::api::Api;
use crate::cluster::echo::EchoBoard;
use crate::cluster::followers::Follower;
use crate::cluster::hearing::Lateness;
use crate::cluster::kinds::Kinds;
use crate::cluster::lease::Sightings;
use crate::cluster::queue::Queue;
use crate::cluster::watch::{Command, Parts, Watch};
use crate::cluster::{Error, WatchName};
use crate::model::Subject;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// All watches of a cluster.
pub(super) struct Hub {
    pub(super) api: Arc<Api>,
    pub(super) kinds: Arc<Kinds>,
    pub(super) leases: Sightings,
    pub(super) echo: EchoBoard,
    watches: Mutex<Watches>,
}

/// A follower's place at a watch. Dropping it leaves.
pub(super) struct Subscription {
    pub(super) watch: WatchName,
    pub(super) subjects: Vec<Arc<Subject>>,
    id: u64,
    commands: UnboundedSender<Command>,
}

/// The answer that comes once a watch has shown its first states, or has proven itself.
pub(super) type Told = oneshot::Receiver<Result<(), Error>>;

#[derive(Default)]
struct Watches {
    followers: u64,
    late: Option<Lateness>,
    running: HashMap<WatchName, UnboundedSender<Command>>,
}

// === impl Hub ===

impl Hub {
    /// No watch yet.
    pub(super) fn new(api: Arc<Api>) -> Self {
        let (kinds, leases, echo, watches) = Default::default();
        Self { api, kinds, leases, echo, watches }
    }

    /// Takes a place at a watch, which is started if it does not run.
    pub(super) fn follow(
        self: &Arc<Self>,
        watch: WatchName,
        subjects: BTreeMap<String, Arc<Subject>>,
        queue: Arc<Queue>,
    ) -> (Subscription, Told) {
        let (ready, told) = oneshot::channel();
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.followers += 1;
        let id = watches.followers;
        let late = watches.late;
        let commands =
            watches.running.entry(watch.clone()).or_insert_with(|| self.start(&watch, late));
        let listed = subjects.values().cloned().collect();
        let follower = Follower { subjects, queue, ready: Some(ready) };
        let _ = commands.send(Command::Follow(id, follower));
        (Subscription { watch, subjects: listed, id, commands: commands.clone() }, told)
    }

    /// Lets a watch end, unless somebody has just come.
    pub(super) fn retire(&self, watch: &WatchName, commands: &UnboundedReceiver<Command>) -> bool {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = commands.is_empty();
        if idle {
            watches.running.remove(watch);
        }
        idle
    }

    /// Tells all watches, and those to come, how late their events may be.
    pub(super) fn set_lateness(&self, lateness: Lateness) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.late = Some(lateness);
        for commands in watches.running.values() {
            let _ = commands.send(Command::Lateness(lateness));
        }
    }

    fn start(
        self: &Arc<Self>,
        watch: &WatchName,
        late: Option<Lateness>,
    ) -> UnboundedSender<Command> {
        let (sender, commands) = unbounded_channel();
        if let Some(lateness) = late {
            let _ = sender.send(Command::Lateness(lateness));
        }
        let (api, kinds) = (Arc::clone(&self.api), Arc::clone(&self.kinds));
        let parts = Parts { api, kinds, name: watch.clone() };
        tokio::spawn(Watch::new(Arc::downgrade(self), parts, commands).run());
        sender
    }
}

// === impl Subscription ===

impl Subscription {
    /// Asks the watch to prove itself.
    pub(super) fn prove(&self) -> Told {
        let (prover, told) = oneshot::channel();
        let _ = self.commands.send(Command::Prove(prover));
        told
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Leave(self.id));
    }
}
