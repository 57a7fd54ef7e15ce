//! One run's view of the cluster: the states of its subjects, as they come.

use crate::cluster::hub::{Hub, Subscription, Told};
use crate::cluster::queue::Queue;
use crate::cluster::{Error, WatchName};
use crate::model::{GroupKind, Moment, Seen, Subject};
use futures_util::future::{join_all, try_join_all};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Events that may wait for a follower before those in between are left out.
const WAITING: usize = 256;

/// Longest that a proof takes (rule O2).
const LONGEST_PROOF: Duration = Duration::from_secs(5);

/// The states of some subjects, as they come. Dropping it stops following.
pub struct Following {
    server: String,
    queue: Arc<Queue>,
    subscriptions: Vec<Subscription>,
}

/// Something about the subjects that are followed.
#[derive(Clone)]
pub enum Event {
    /// A subject showed a state.
    Seen(Seen),
    /// Of the subjects of this kind and namespace nothing has been heard since then. The watch
    /// is opened again and again until it is restored; what changed meanwhile comes as states
    /// after a gap.
    Broken {
        /// Which watch.
        watch: WatchName,
        /// The last sign of life.
        since: Moment,
        /// Why, when it broke. If it [`Error::is_permanent`], waiting is in vain.
        error: Error,
    },
    /// The watch is open again.
    Restored {
        /// Which watch.
        watch: WatchName,
        /// Since when.
        at: Moment,
    },
}

/// A subject of which it could not be proven that no state was missed.
#[derive(Clone, Debug)]
pub struct Unproven {
    /// Which subject.
    pub subject: Arc<Subject>,
    /// Why not.
    pub error: Error,
}

// === impl Following ===

impl Following {
    /// Follows `subjects`, once every watch is open and has shown its first state (rule T3).
    pub(super) async fn begin(hub: &Arc<Hub>, subjects: &[Subject]) -> Result<Self, Error> {
        let queue = Arc::new(Queue::new(WAITING));
        let mut watches: BTreeMap<(GroupKind, String), BTreeMap<_, _>> = BTreeMap::new();
        for subject in subjects {
            let watch = (subject.kind.clone(), subject.namespace.clone());
            let subject = Arc::new(subject.clone());
            watches.entry(watch).or_default().insert(subject.name.clone(), subject);
        }
        let (subscriptions, told): (Vec<_>, Vec<_>) = watches
            .into_iter()
            .map(|((kind, namespace), subjects)| {
                hub.follow(WatchName { kind, namespace }, subjects, Arc::clone(&queue))
            })
            .unzip();
        let following = Self { server: hub.api.server.clone(), queue, subscriptions };
        let limit = hub.api.timing.first_state;
        try_join_all(following.answers(told, limit)).await?;
        Ok(following)
    }

    /// The next event. The first states are there at once.
    ///
    /// May be dropped and asked again without losing any.
    pub async fn next(&mut self) -> Event {
        self.queue.pop().await
    }

    /// The next event, if one is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.queue.try_pop()
    }

    /// Proves by a fresh list of every watch that no state was missed (rule O2), within `limit`
    /// or 5 s, whatever is shorter.
    ///
    /// What a list shows and its watch had not told is delivered before this returns, as a state
    /// after a gap. Returns the subjects for which there is no proof.
    pub async fn prove(&self, limit: Duration) -> Vec<Unproven> {
        let told = self.subscriptions.iter().map(Subscription::prove).collect();
        let answers = join_all(self.answers(told, limit.min(LONGEST_PROOF))).await;
        let failed = self.subscriptions.iter().zip(answers).filter_map(|(subscription, answer)| {
            answer.err().map(|error| (&subscription.subjects, error))
        });
        failed
            .flat_map(|(subjects, error)| {
                subjects.iter().map(move |subject| Unproven {
                    subject: Arc::clone(subject),
                    error: error.clone(),
                })
            })
            .collect()
    }

    fn answers(
        &self,
        told: Vec<Told>,
        limit: Duration,
    ) -> impl Iterator<Item = impl Future<Output = Result<(), Error>>> {
        told.into_iter().zip(&self.subscriptions).map(move |(told, it)| async move {
            let (server, watch) = (self.server.clone(), it.watch.to_string());
            match timeout(limit, told).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(Error::Ended { watch }),
                Err(_) => Err(Error::NoFirstState { server, watch, limit }),
            }
        })
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watches: Vec<_> = self.subscriptions.iter().map(|it| it.watch.to_string()).collect();
        f.debug_struct("Following").field("watches", &watches).finish_non_exhaustive()
    }
}

/// Shows whose state it is, never its value: that may be a Secret's.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seen(Seen { subject, state }) => {
                write!(f, "Seen({subject}, {:?}, {:?})", state.arrival, state.when)
            }
            Self::Broken { watch, since, error } => {
                write!(f, "Broken({watch}, {since:?}, {error})")
            }
            Self::Restored { watch, at } => write!(f, "Restored({watch}, {at:?})"),
        }
    }
}
