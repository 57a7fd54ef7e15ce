//! The queue between a controller's watch and its workers.
//!
//! Each object stands in it once, at the earliest time that anybody asked for: ten changes while a
//! worker is busy cost one run, and a request supersedes a pending retry instead of adding to it.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::store::Key;

/// What a reconciliation wants to happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing until something changes.
    Rest,
    /// Another run after this time; failures so far are forgotten.
    After(Duration),
    /// Another run after the failure wait.
    Retry,
    /// Nothing until something changes, and failures so far still count then.
    GiveUp,
}

/// Objects that wait for a worker.
///
/// Invariant: an object is with one worker at a time.
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: HashMap<Key, Place>,
    running: HashSet<Key>,
    failures: HashMap<Key, u32>,
    places: u64,
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    due: Instant,
    order: u64,
}

enum Look {
    Take(Key),
    WaitUntil(Instant),
    Wait,
    Closed,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), changed: Notify::new() }
    }

    /// Asks for a run as soon as a worker is free.
    pub(crate) fn add(&self, key: Key) {
        self.add_after(key, Duration::ZERO);
    }

    /// Asks for a run after `delay`, unless one is due earlier.
    pub(crate) fn add_after(&self, key: Key, delay: Duration) {
        let mut state = self.state();
        state.places += 1;
        let place = Place { due: Instant::now() + delay, order: state.places };
        let waiting = state.waiting.entry(key).or_insert(place);
        if place.due < waiting.due {
            *waiting = place;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The next object that is due, as soon as there is one; none once the queue is closed.
    pub(crate) async fn next(&self) -> Option<Key> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.look() {
                Look::Take(key) => return Some(key),
                Look::Closed => return None,
                Look::Wait => changed.await,
                Look::WaitUntil(due) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(due) => {}
                },
            }
        }
    }

    /// Takes the object back from a worker; `backoff` tells the wait after so many failures.
    pub(crate) fn done(&self, key: Key, next: Next, backoff: impl FnOnce(u32) -> Duration) {
        let delay = {
            let mut state = self.state();
            state.running.remove(&key);
            match next {
                Next::Retry => {
                    let failures = state.failures.entry(key.clone()).or_insert(0);
                    *failures += 1;
                    Some(backoff(*failures - 1))
                }
                Next::After(delay) => {
                    state.failures.remove(&key);
                    Some(delay)
                }
                Next::Rest => {
                    state.failures.remove(&key);
                    None
                }
                Next::GiveUp => None,
            }
        };
        match delay {
            Some(delay) => self.add_after(key, delay),
            None => self.changed.notify_waiters(),
        }
    }

    /// Lets workers finish what they have and take nothing more.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_waiters();
    }

    fn look(&self) -> Look {
        let state = &mut *self.state();
        if state.closed {
            return Look::Closed;
        }
        let first = state
            .waiting
            .iter()
            .filter(|(key, _)| !state.running.contains(*key))
            .min_by_key(|(_, place)| **place);
        let Some((key, place)) = first else { return Look::Wait };
        if place.due > Instant::now() {
            return Look::WaitUntil(place.due);
        }
        let key = key.clone();
        state.waiting.remove(&key);
        state.running.insert(key.clone());
        Look::Take(key)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(name: &str) -> Key {
        Key::new("Thing", "default", name)
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_added_twice_is_handed_out_once() {
        let queue = Queue::new();
        queue.add(key("a"));
        queue.add(key("a"));
        assert_eq!(queue.next().await, Some(key("a")));
        assert!(tokio::time::timeout(SECOND, queue.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_changes_while_it_is_handled_waits_for_its_worker() {
        let queue = Queue::new();
        queue.add(key("a"));
        let a = queue.next().await.unwrap();
        queue.add(key("a"));
        assert!(tokio::time::timeout(SECOND, queue.next()).await.is_err());
        queue.done(a, Next::Rest, |_| SECOND);
        assert_eq!(queue.next().await, Some(key("a")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_supersedes_the_pending_retry() {
        let queue = Queue::new();
        queue.add_after(key("a"), SECOND * 30);
        queue.add(key("a"));
        let start = Instant::now();
        let a = queue.next().await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        queue.done(a, Next::After(SECOND * 60), |_| SECOND);
        queue.next().await.unwrap();
        assert_eq!(start.elapsed(), SECOND * 60);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_after_failures_start_over_after_a_success() {
        let queue = Queue::new();
        let mut waits = Vec::new();
        queue.add(key("a"));
        for next in [Next::Retry, Next::Retry, Next::After(SECOND), Next::Retry, Next::Rest] {
            let start = Instant::now();
            let a = queue.next().await.unwrap();
            waits.push(start.elapsed().as_secs());
            queue.done(a, next, |failures| SECOND * (10 + failures));
        }
        assert_eq!(waits, [0, 10, 11, 1, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_queue_hands_out_nothing() {
        let queue = Queue::new();
        queue.add(key("a"));
        queue.close();
        assert_eq!(queue.next().await, None);
    }
}
