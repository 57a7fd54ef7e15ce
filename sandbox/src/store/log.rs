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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use crate::store::{ChangeKind, Gone, Key, Part, Store};

    fn widget(name: &str) -> serde_json::Value {
        json!({ "kind": "Widget", "metadata": { "name": name, "namespace": "lab" } })
    }

    fn grow(store: &Store, name: &str, size: u64) {
        let patch = json!({ "spec": { "size": size } });
        store.merge(&Key::new("Widget", "lab", name), &patch, Part::Whole, "test").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_tells_every_change_in_order_and_waits_for_the_next() {
        let store = Store::new();
        let mut watch = store.watch(store.version());
        store.create(widget("a"), "test").unwrap();
        grow(&store, "a", 1);
        store.delete(&Key::new("Widget", "lab", "a"), "test").unwrap();
        let mut last = 0;
        for wanted in [ChangeKind::Added, ChangeKind::Modified, ChangeKind::Deleted] {
            let change = watch.next().await.unwrap();
            assert_eq!(change.kind, wanted);
            assert_eq!(change.object["metadata"]["resourceVersion"], change.rv.to_string());
            assert!(change.rv > last);
            last = change.rv;
        }
        let later = store.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(600)).await;
            later.create(widget("b"), "test").unwrap();
        });
        assert_eq!(watch.next().await.unwrap().key.name, "b");
    }

    #[tokio::test(start_paused = true)]
    async fn stamps_follow_paused_time() {
        let store = Store::new();
        store.create(widget("a"), "test").unwrap();
        tokio::time::advance(Duration::from_secs(3600)).await;
        store.create(widget("b"), "test").unwrap();
        let changes = store.changes();
        assert_eq!(changes[1].at - changes[0].at, Duration::from_secs(3600));
        assert_eq!(changes[1].wall - changes[0].wall, jiff::Span::new().seconds(3600).fieldwise());
        assert_eq!(changes[1].writer, "test");
    }

    #[test]
    fn a_watch_that_the_log_has_overtaken_is_gone_and_stays_gone() {
        let store = Store::with_log_capacity(3);
        let mut watch = store.watch(store.version());
        for name in ["a", "b", "c", "d"] {
            store.create(widget(name), "test").unwrap();
        }
        assert_eq!(store.changes().len(), 3);
        assert_eq!(watch.try_next().unwrap_err(), Gone { after: 1 });
        assert!(watch.try_next().is_err());
    }

    #[test]
    fn a_watch_of_a_quiet_kind_is_not_overtaken_by_a_busy_one() {
        let store = Store::with_log_capacity(3);
        let mut quiet = store.watch_kind("Secret", store.version());
        store.create(widget("a"), "test").unwrap();
        for size in 0..10 {
            grow(&store, "a", size);
        }
        assert_eq!(quiet.try_next(), Ok(None));
        assert_eq!(quiet.position(), store.version());
    }

    #[test]
    fn after_compaction_who_is_behind_is_gone_and_who_is_not_goes_on() {
        let store = Store::new();
        let start = store.version();
        let (mut behind, mut level) = (store.watch(start), store.watch(start));
        store.create(widget("a"), "test").unwrap();
        assert!(level.try_next().unwrap().is_some());
        store.compact(store.version());
        assert!(behind.try_next().is_err());
        assert!(store.watch_kind("Widget", start).try_next().is_err());
        assert_eq!(level.try_next(), Ok(None));
        grow(&store, "a", 1);
        assert_eq!(level.try_next().unwrap().unwrap().rv, store.version());
    }

    #[test]
    fn a_position_never_passes_what_was_not_handed_out() {
        let store = Store::new();
        store.create(widget("a"), "test").unwrap();
        store.create(widget("b"), "test").unwrap();
        let mut watch = store.watch(1);
        assert_eq!(watch.position(), 1);
        watch.try_next().unwrap();
        assert_eq!(watch.position(), 2);
        watch.try_next().unwrap();
        assert_eq!(watch.position(), 3);
    }

    #[test]
    fn all_readers_share_one_encoded_line() {
        let store = Store::new();
        store.create(widget("a"), "test").unwrap();
        let change = &store.changes()[0];
        let (first, second) = (change.line(), change.line());
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert!(first.starts_with(b"{\"type\":\"ADDED\",\"object\":{") && first.ends_with(b"}\n"));
    }
}
