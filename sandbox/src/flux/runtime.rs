//! What all controllers have in common: watches that fill a queue, workers that empty it.
//!
//! A controller that is killed loses its queue, its failure counts and the work in its workers'
//! hands, without any last patch; one that starts looks at every object of its kind. Both is what
//! a restarted pod does, and why pending requests are not lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::context::Context;
use super::queue::Next;
use super::queue::Queue;
use crate::store::Change;
use crate::store::Key;

/// The part of a controller that differs from kind to kind.
pub(crate) trait Reconciler: Send + Sync + 'static {
    /// The kind whose objects are all looked at when the controller starts.
    const KIND: &'static str;
    /// The kinds whose changes may concern it.
    const WATCHES: &'static [&'static str];

    /// Which objects a change concerns, in the order in which they should run.
    fn wakes(&self, change: &Change) -> Vec<Key>;

    /// How long it takes until a change is heard of; what changes meanwhile is one run with it.
    fn heard_after(&self, _change: &Change) -> Duration {
        Duration::ZERO
    }

    /// One run for one object.
    fn reconcile(&self, key: &Key) -> impl Future<Output = Next> + Send;
}

/// A running controller; dropping it kills it.
pub(crate) struct Running {
    queue: Arc<Queue>,
    watches: JoinSet<()>,
    workers: JoinSet<()>,
}

impl Running {
    pub(crate) fn start<R: Reconciler>(
        context: &Arc<Context>,
        reconciler: R,
        workers: usize,
    ) -> Self {
        let reconciler = Arc::new(reconciler);
        let queue = Arc::new(Queue::new());
        let mut running =
            Self { queue: queue.clone(), watches: JoinSet::new(), workers: JoinSet::new() };
        for kind in R::WATCHES {
            let (context, queue) = (context.clone(), queue.clone());
            running.watches.spawn(follow(context, reconciler.clone(), queue, kind));
        }
        for _ in 0..workers {
            let (context, queue) = (context.clone(), queue.clone());
            running.workers.spawn(work(context, reconciler.clone(), queue));
        }
        running
    }

    /// Ends after the runs that are under way.
    pub(crate) async fn stop(mut self) {
        self.queue.close();
        self.watches.shutdown().await;
        while self.workers.join_next().await.is_some() {}
    }

    /// Ends at once, in the middle of whatever is done.
    pub(crate) async fn kill(mut self) {
        self.watches.shutdown().await;
        self.workers.shutdown().await;
    }
}

async fn follow<R: Reconciler>(
    context: Arc<Context>,
    reconciler: Arc<R>,
    queue: Arc<Queue>,
    kind: &'static str,
) {
    tokio::time::sleep(context.speeds().start).await;
    loop {
        let (objects, version) = context.store.list(kind, None);
        if kind == R::KIND {
            for object in objects {
                queue.add(Key::of(&object));
            }
        }
        let mut watch = context.store.watch_kind(kind, version);
        while let Ok(change) = watch.next().await {
            for key in reconciler.wakes(&change) {
                queue.add_after(key, reconciler.heard_after(&change));
            }
        }
    }
}

async fn work<R: Reconciler>(context: Arc<Context>, reconciler: Arc<R>, queue: Arc<Queue>) {
    while let Some(key) = queue.next().await {
        tokio::time::sleep(context.speeds().pick_up).await;
        let next = reconciler.reconcile(&key).await;
        tracing::debug!(%key, ?next, "reconciled");
        queue.done(key, next, |failures| context.speeds().backoff(failures));
    }
}
