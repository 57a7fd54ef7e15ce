//! The log of changes, bounded, and the readers that follow it.
//!
//! Changes of one kind are also found by kind, so that a watcher of a quiet kind is neither woken
//! nor told to start over because another kind is busy.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::sync::watch;

use super::{Change, Gone, Store};

/// How many changes a watcher takes from the log at once.
const BATCH: usize = 64;

/// Follows the log from one version on. Dropping it is all the cleaning up there is.
///
/// Invariant: changes come in order, each exactly once, or the watch ends with [`Gone`].
pub struct Watch {
    store: Store,
    kind: Option<String>,
    after: u64,
    lost: bool,
    ready: VecDeque<Arc<Change>>,
    news: watch::Receiver<u64>,
}

/// The changes that are still known.
pub(super) struct Log {
    capacity: usize,
    all: VecDeque<Arc<Change>>,
    by_kind: HashMap<String, Trail>,
    dropped: u64,
    compacted: u64,
    news: watch::Sender<u64>,
}

struct Trail {
    changes: VecDeque<Arc<Change>>,
    dropped: u64,
    news: watch::Sender<u64>,
}

impl Watch {
    /// The next change, as soon as there is one.
    ///
    /// # Errors
    ///
    /// [`Gone`] when changes that belonged here have been forgotten; it stays so from then on.
    pub async fn next(&mut self) -> Result<Arc<Change>, Gone> {
        loop {
            self.news.borrow_and_update();
            if let Some(change) = self.try_next()? {
                return Ok(change);
            }
            if self.news.changed().await.is_err() {
                // The store holds the sender and this watch holds the store.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next change if there is one already.
    ///
    /// # Errors
    ///
    /// As [`Watch::next`].
    pub fn try_next(&mut self) -> Result<Option<Arc<Change>>, Gone> {
        if let Some(change) = self.ready.pop_front() {
            return Ok(Some(change));
        }
        if self.lost {
            return Err(Gone { after: self.after });
        }
        let read = self.store.read_log(self.kind.as_deref(), self.after, BATCH, &mut self.ready);
        match read {
            Ok(position) => self.after = position,
            Err(gone) => {
                self.lost = true;
                return Err(gone);
            }
        }
        Ok(self.ready.pop_front())
    }

    /// A version up to which everything has been handed out, or is no business of this watch.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ready.front().map_or(self.after, |next| next.rv - 1)
    }

    pub(super) fn start(store: Store, kind: Option<&str>, after: u64, log: &mut Log) -> Self {
        let news = match kind {
            Some(kind) => log.trail(kind).news.subscribe(),
            None => log.news.subscribe(),
        };
        let lost = after < log.compacted;
        Self { store, kind: kind.map(str::to_owned), after, lost, ready: VecDeque::new(), news }
    }
}

impl Log {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            all: VecDeque::new(),
            by_kind: HashMap::new(),
            dropped: 0,
            compacted: 0,
            news: watch::Sender::new(0),
        }
    }

    pub(super) fn push(&mut self, change: Change) {
        let (rv, change) = (change.rv, Arc::new(change));
        if self.all.len() == self.capacity {
            self.drop_oldest();
        }
        self.all.push_back(change.clone());
        let trail = self.trail(&change.key.kind);
        trail.changes.push_back(change);
        trail.news.send_replace(rv);
        self.news.send_replace(rv);
    }

    pub(super) fn compact(&mut self, keep_after: u64) {
        while self.all.front().is_some_and(|oldest| oldest.rv <= keep_after) {
            self.drop_oldest();
        }
        self.compacted = self.compacted.max(keep_after);
        // Wakes those who are behind, so that they hear of it.
        self.news.send_modify(|_| ());
        for trail in self.by_kind.values() {
            trail.news.send_modify(|_| ());
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Change>> {
        self.all.iter().cloned().collect()
    }

    /// Appends up to `limit` changes after `after` to `into`; says up to where that reaches.
    pub(super) fn read(
        &self,
        kind: Option<&str>,
        after: u64,
        newest: u64,
        limit: usize,
        into: &mut VecDeque<Arc<Change>>,
    ) -> Result<u64, Gone> {
        let (changes, dropped) = match kind {
            None => (&self.all, self.dropped),
            Some(kind) => match self.by_kind.get(kind) {
                Some(trail) => (&trail.changes, trail.dropped),
                None => return Ok(newest.max(after)),
            },
        };
        if after < dropped {
            return Err(Gone { after });
        }
        let first = changes.partition_point(|change| change.rv <= after);
        into.extend(changes.range(first..).take(limit).cloned());
        let everything = changes.len() - first <= limit;
        match into.back() {
            Some(last) if !everything => Ok(last.rv),
            _ => Ok(newest.max(after)),
        }
    }

    fn trail(&mut self, kind: &str) -> &mut Trail {
        if !self.by_kind.contains_key(kind) {
            let trail = Trail { changes: VecDeque::new(), dropped: 0, news: watch::Sender::new(0) };
            self.by_kind.insert(kind.to_owned(), trail);
        }
        self.by_kind.get_mut(kind).expect("inserted above if it was missing")
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.all.pop_front() else { return };
        self.dropped = oldest.rv;
        let trail = self.trail(&oldest.key.kind);
        trail.changes.pop_front();
        trail.dropped = oldest.rv;
    }
}
