//! Lets runs hear what Flux tells our listener: each notification becomes a state of a subject.
//!
//! The listener posts to a [`Board`], which hands a notification to the runs that wait for one about
//! that object, and to nobody else: an installation may tell of everything that it applies.

use crate::engine::drive::{Watches, Watching};
use crate::model::{Arrival, Clock, Notice, ObjectEvent, ProbeError, Seen, State, Subject, When};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Notifications that wait for one run. A run takes them at once; a run that is stuck must not hold
/// the memory of all others.
const WAITING: usize = 256;

/// Where notifications are handed on. Clones are the same board.
#[derive(Clone, Debug, Default)]
pub struct Board {
    ears: Arc<Mutex<Vec<Ear>>>,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// A run waited for such a one.
    Heard,
    /// No run waits for such a one.
    Unawaited,
    /// A run that waits for such a one cannot take it now.
    Busy,
}

/// Watches that also hear notifications.
pub struct Hearing {
    watches: Arc<dyn Watches>,
    board: Board,
    /// Whose notifications are waited for, each with the listener that hears them.
    awaited: Vec<(Arc<Subject>, Subject)>,
    clock: Arc<dyn Clock>,
}

/// A run that waits for notifications.
#[derive(Debug)]
struct Ear {
    listener: Arc<Subject>,
    about: Vec<Subject>,
    tell: Sender<Seen>,
}

/// Open watches, and what is told beside them.
struct Listening {
    inner: Box<dyn Watching>,
    first: VecDeque<Seen>,
    told: Receiver<Seen>,
}

// === impl Board ===

impl Board {
    /// Hands on a notification that reached a listener then.
    #[must_use]
    pub fn post(&self, listener: &str, notice: &Notice, when: When) -> Posted {
        let mut posted = Posted::Unawaited;
        let mut value = None;
        let waits = |it: &Ear| {
            it.listener.name == *listener && it.about.iter().any(|it| notice.is_about(it))
        };
        self.lock().retain(|ear| {
            if !waits(ear) {
                return !ear.tell.is_closed();
            }
            let value = value.get_or_insert_with(|| Arc::new(notice.to_value())).clone();
            let certain = when.is_certain();
            let arrival = if certain { Arrival::Next } else { Arrival::AfterGap };
            let state = State { when, arrival, value };
            match ear.tell.try_send(Seen { subject: ear.listener.clone(), state }) {
                Ok(()) if posted == Posted::Unawaited => posted = Posted::Heard,
                Ok(()) => (),
                Err(TrySendError::Full(_)) => posted = Posted::Busy,
                Err(TrySendError::Closed(_)) => return false,
            }
            true
        });
        posted
    }

    fn listen(&self, listener: Arc<Subject>, about: Vec<Subject>, tell: Sender<Seen>) {
        let mut ears = self.lock();
        ears.retain(|it| !it.tell.is_closed());
        ears.push(Ear { listener, about, tell });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Ear>> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Hearing ===

impl Hearing {
    /// Watches with `watches`, and hears what `board` hands on: of each subject of `awaited`, what
    /// is told about the object beside it.
    #[must_use]
    pub fn new(
        watches: Arc<dyn Watches>,
        board: Board,
        awaited: Vec<(Arc<Subject>, Subject)>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { watches, board, awaited, clock }
    }

    fn is_heard(&self, subject: &Subject) -> bool {
        self.awaited.iter().any(|it| *it.0 == *subject)
    }

    fn watched(&self, subjects: &[Arc<Subject>]) -> Vec<Arc<Subject>> {
        subjects.iter().filter(|it| !self.is_heard(it)).cloned().collect()
    }
}

#[async_trait::async_trait]
impl Watches for Hearing {
    async fn open(&self, subjects: &[Arc<Subject>]) -> Result<Box<dyn Watching>, ProbeError> {
        let inner = self.watches.open(&self.watched(subjects)).await?;
        let (tell, told) = mpsc::channel(WAITING);
        let mut first = VecDeque::new();
        for listener in subjects.iter().filter(|it| self.is_heard(it)) {
            let of_it = self.awaited.iter().filter(|it| it.0 == *listener);
            let about = of_it.map(|it| it.1.clone()).collect();
            self.board.listen(listener.clone(), about, tell.clone());
            // Nothing was told yet.
            let when = When::at(self.clock.now());
            let state = State { when, arrival: Arrival::First, value: Arc::new(Value::Null) };
            first.push_back(Seen { subject: listener.clone(), state });
        }
        Ok(Box::new(Listening { inner, first, told }))
    }

    async fn events(&self, subjects: &[Arc<Subject>]) -> BTreeMap<Arc<Subject>, Vec<ObjectEvent>> {
        self.watches.events(&self.watched(subjects)).await
    }
}

// === impl Listening ===

#[async_trait::async_trait]
impl Watching for Listening {
    async fn next(&mut self) -> Result<Seen, ProbeError> {
        if let Some(seen) = self.first.pop_front() {
            return Ok(seen);
        }
        tokio::select! {
            biased;
            seen = self.inner.next() => seen,
            Some(seen) = self.told.recv() => Ok(seen),
        }
    }

    /// A listener of this process is alive as long as the process is.
    async fn prove(&mut self, limit: Duration) -> Vec<Arc<Subject>> {
        self.inner.prove(limit).await
    }

    fn ready(&mut self) -> Option<Result<Seen, ProbeError>> {
        let first = self.first.pop_front().map(Ok);
        first.or_else(|| self.inner.ready()).or_else(|| self.told.try_recv().ok().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GroupKind, Involved, Moment};

    /// A cluster that shows nothing.
    struct Silent;

    #[async_trait::async_trait]
    impl Watches for Silent {
        async fn open(&self, subjects: &[Arc<Subject>]) -> Result<Box<dyn Watching>, ProbeError> {
            assert_eq!(subjects, [], "a listener is no object of the cluster");
            Ok(Box::new(Self))
        }
    }

    #[async_trait::async_trait]
    impl Watching for Silent {
        async fn next(&mut self) -> Result<Seen, ProbeError> {
            std::future::pending().await
        }

        async fn prove(&mut self, _: Duration) -> Vec<Arc<Subject>> {
            Vec::new()
        }

        fn ready(&mut self) -> Option<Result<Seen, ProbeError>> {
            None
        }
    }

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Moment {
            Moment(Duration::from_secs(1))
        }

        fn wall(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }

    fn notice(name: &str) -> Notice {
        let text = |it: &str| it.to_owned();
        Notice {
            involved_object: Involved {
                kind: text("Kustomization"),
                namespace: text("a"),
                name: text(name),
            },
            severity: text("info"),
            reason: text("ReconciliationSucceeded"),
            metadata: None,
        }
    }

    async fn open(board: &Board, applier: &str) -> Box<dyn Watching> {
        let flux = Arc::new(Notice::subject("flux"));
        let about = Subject::local(GroupKind::kustomization(), "a", applier);
        let awaited = vec![(flux.clone(), about)];
        let hearing = Hearing::new(Arc::new(Silent), board.clone(), awaited, Arc::new(Stopped));
        hearing.open(&[flux]).await.unwrap()
    }

    #[tokio::test]
    async fn t3_and_t4_a_listener_shows_nothing_first_and_then_each_notification_at_its_arrival() {
        let board = Board::default();
        let mut watching = open(&board, "apps").await;
        let first = watching.next().await.unwrap();
        assert_eq!((first.state.arrival, first.state.exists()), (Arrival::First, false));
        let at = Moment(Duration::from_secs(7));
        assert_eq!(board.post("flux", &notice("apps"), When::at(at)), Posted::Heard);
        let seen = watching.next().await.unwrap();
        assert_eq!((seen.state.when, seen.state.arrival), (When::at(at), Arrival::Next));
        assert_eq!(seen.state.value["involvedObject"]["name"], "apps");
        assert!(watching.ready().is_none());
    }

    #[tokio::test]
    async fn two_runs_share_a_listener_and_each_hears_only_of_its_own_applier() {
        let board = Board::default();
        let at = Moment(Duration::from_secs(7));
        let (mut one, mut other) = (open(&board, "one").await, open(&board, "other").await);
        for watching in [&mut one, &mut other] {
            assert!(!watching.ready().unwrap().unwrap().state.exists());
        }
        assert_eq!(board.post("flux", &notice("one"), When::at(at)), Posted::Heard);
        assert_eq!(board.post("flux", &notice("third"), When::at(at)), Posted::Unawaited);
        assert_eq!(board.post("another", &notice("one"), When::at(at)), Posted::Unawaited);
        assert_eq!(one.ready().unwrap().unwrap().state.value["involvedObject"]["name"], "one");
        assert!(one.ready().is_none() && other.ready().is_none());
        drop(one);
        assert_eq!(board.post("flux", &notice("one"), When::at(at)), Posted::Unawaited);
        assert_eq!(board.lock().len(), 1, "a run that has ended is forgotten");
    }

    #[tokio::test]
    async fn a_run_that_takes_nothing_is_busy_and_holds_only_so_much() {
        let board = Board::default();
        let mut watching = open(&board, "apps").await;
        let at = Moment(Duration::from_secs(7));
        for _ in 0..WAITING {
            assert_eq!(board.post("flux", &notice("apps"), When::at(at)), Posted::Heard);
        }
        assert_eq!(board.post("flux", &notice("apps"), When::at(at)), Posted::Busy);
        let mut taken = 0;
        while watching.ready().is_some() {
            taken += 1;
        }
        assert_eq!(taken, WAITING + 1, "with the first state nothing is lost");
    }
}
