//! Those who share a watch, and what each of them is shown.

use crate::cluster::list::List;
use crate::cluster::queue::Queue;
use crate::cluster::track::{News, Track};
use crate::cluster::{Error, Event};
use crate::model::{Arrival, Moment, Seen, State, Subject, When};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Somebody who wants the states of some objects.
pub(super) struct Follower {
    pub(super) subjects: BTreeMap<String, Arc<Subject>>,
    pub(super) queue: Arc<Queue>,
    /// Told once the first states are in the queue.
    pub(super) ready: Option<oneshot::Sender<Result<(), Error>>>,
}

/// All followers of a watch.
#[derive(Default)]
pub(super) struct Followers {
    all: BTreeMap<u64, Follower>,
    names: BTreeSet<String>,
}

// === impl Follower ===

impl Follower {
    fn show(&self, name: &str, when: When, arrival: Arrival, value: &Arc<Value>) {
        if let Some(subject) = self.subjects.get(name) {
            let (subject, value) = (Arc::clone(subject), Arc::clone(value));
            self.queue.push(Event::Seen(Seen { subject, state: State { when, arrival, value } }));
        }
    }
}

// === impl Followers ===

impl Followers {
    /// Whether there is nobody.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Names of all objects that somebody follows.
    pub(super) fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// Somebody comes, and is shown what is known at once.
    pub(super) fn add(&mut self, id: u64, follower: Follower, track: &Track, now: Moment) {
        for name in follower.subjects.keys() {
            if let Some(known) = track.get(name) {
                let when = When::between(Moment::default(), now);
                follower.show(name, when, Arrival::First, &known.value);
            }
        }
        self.names.extend(follower.subjects.keys().cloned());
        self.all.insert(id, follower);
    }

    /// Somebody leaves.
    pub(super) fn remove(&mut self, id: u64) {
        self.all.remove(&id);
        self.count();
    }

    /// Names of all followed objects of which a list can say something.
    pub(super) fn names_in<'a>(&'a self, list: &'a List) -> impl Iterator<Item = &'a String> {
        self.names.iter().filter(|it| list.scope.covers(it))
    }

    /// Sends away those who still wait for the first state of an object that is `concerned`.
    pub(super) fn dismiss(&mut self, error: &Error, concerned: impl Fn(&str) -> bool) {
        self.all.retain(|_, follower| {
            if !follower.subjects.keys().any(|it| concerned(it)) {
                return true;
            }
            match follower.ready.take() {
                Some(ready) => {
                    let _ = ready.send(Err(error.clone()));
                    false
                }
                None => true,
            }
        });
        self.count();
    }

    /// Whether somebody waits for first states.
    pub(super) fn are_waiting(&self) -> bool {
        self.all.values().any(|it| it.ready.is_some())
    }

    /// Tells those who wait whose first states are all shown and `covered` by the open watch.
    pub(super) fn greet(&mut self, track: &Track, covered: impl Fn(&str) -> bool) {
        for follower in self.all.values_mut().filter(|it| it.ready.is_some()) {
            let shown = |it: &String| track.get(it).is_some() && covered(it);
            if follower.subjects.keys().all(shown)
                && let Some(ready) = follower.ready.take()
            {
                let _ = ready.send(Ok(()));
            }
        }
    }

    /// Shows news to all who follow its object. The first state of an object has been so for an
    /// unknown time.
    pub(super) fn deliver(&self, news: &News, when: When, arrival: Arrival) {
        let (when, arrival) = if news.first {
            (When::between(Moment::default(), when.latest), Arrival::First)
        } else {
            (when, arrival)
        };
        for follower in self.all.values() {
            follower.show(&news.name, when, arrival, &news.value);
        }
    }

    /// Tells all whose watch was open already.
    pub(super) fn tell(&self, event: &Event) {
        for follower in self.all.values().filter(|it| it.ready.is_none()) {
            follower.queue.push(event.clone());
        }
    }

    fn count(&mut self) {
        self.names = self.all.values().flat_map(|it| it.subjects.keys().cloned()).collect();
    }
}
