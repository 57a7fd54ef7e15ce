//! What every controller needs: the cluster, the artifacts, the event server, the speeds.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

use super::artifacts::Artifacts;
use super::notification::EventServer;
use super::speeds::Speeds;
use crate::store::Store;

/// Shared by all controllers of one Flux, and surviving their restarts.
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) artifacts: Artifacts,
    pub(crate) events: Arc<EventServer>,
    speeds: RwLock<Speeds>,
    dice: Mutex<fastrand::Rng>,
}

impl Context {
    pub(crate) fn new(store: Store, speeds: Speeds) -> Self {
        let dice = speeds.jitter_seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self {
            events: Arc::new(EventServer::new(store.clone())),
            store,
            artifacts: Artifacts::default(),
            speeds: RwLock::new(speeds),
            dice: Mutex::new(dice),
        }
    }

    /// The speeds as they are now; they may change while a controller runs.
    pub(crate) fn speeds(&self) -> Speeds {
        self.speeds.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_speeds(&self, speeds: Speeds) {
        *self.speeds.write().unwrap_or_else(PoisonError::into_inner) = speeds;
    }

    /// An interval with its jitter.
    pub(crate) fn jittered(&self, interval: Duration) -> Duration {
        let dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner).f64();
        self.speeds().jittered(interval, dice)
    }
}
