//! What waits for one follower: bounded, and never short of a state without saying so.
//!
//! A follower that does not keep up gets, instead of the states that it missed, the last one of
//! each subject, marked as one after a gap and bounded by what was left out.

use crate::cluster::Event;
use crate::model::{Arrival, Seen, State, When};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What waits for one follower.
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Event>>,
    wake: Notify,
    most: usize,
}

impl Queue {
    /// A queue that holds `most` events, or one for each subject and watch if those are more.
    pub(super) fn new(most: usize) -> Self {
        Self { waiting: Mutex::default(), wake: Notify::new(), most }
    }

    /// Adds an event; when full, all that wait shrink to the last one of each subject and watch.
    pub(super) fn push(&self, event: Event) {
        let mut waiting = self.lock();
        waiting.push_back(event);
        if waiting.len() > self.most {
            let all = std::mem::take(&mut *waiting);
            *waiting = shrunk(all);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// The next event, as soon as there is one. For one waiter at a time.
    pub(super) async fn pop(&self) -> Event {
        loop {
            if let Some(event) = self.try_pop() {
                return event;
            }
            self.wake.notified().await;
        }
    }

    /// The next event, if one waits.
    pub(super) fn try_pop(&self) -> Option<Event> {
        self.lock().pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last state of each subject, bounded by all that it stands for, and the last word on each
/// watch; in the order of those last ones.
fn shrunk(all: VecDeque<Event>) -> VecDeque<Event> {
    tracing::warn!(events = all.len(), "a follower is too slow: states in between are left out");
    let mut last: BTreeMap<String, (usize, Event)> = BTreeMap::new();
    for (place, event) in all.into_iter().enumerate() {
        let (key, event) = match event {
            Event::Seen(seen) => {
                let key = format!("state {}", seen.subject);
                let event = match last.remove(&key) {
                    Some((_, Event::Seen(before))) => Event::Seen(merged(&before, seen)),
                    _ => Event::Seen(seen),
                };
                (key, event)
            }
            Event::Broken { ref watch, .. } | Event::Restored { ref watch, .. } => {
                (format!("watch {watch}"), event)
            }
        };
        last.insert(key, (place, event));
    }
    let mut left: Vec<_> = last.into_values().collect();
    left.sort_by_key(|(place, _)| *place);
    left.into_iter().map(|(_, event)| event).collect()
}

/// One state for two: it came to be so at some time from the first on.
fn merged(before: &Seen, after: Seen) -> Seen {
    let when = When::between(before.state.when.earliest, after.state.when.latest);
    let arrival = match before.state.arrival {
        Arrival::First => Arrival::First,
        Arrival::Next | Arrival::AfterGap => Arrival::AfterGap,
    };
    Seen { subject: after.subject, state: State { when, arrival, value: after.state.value } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GroupKind, Moment, Subject};
    use serde_json::json;
    use std::sync::Arc;
    use std::time::Duration;

    fn seen(name: &str, second: u64, arrival: Arrival) -> Event {
        let subject = Arc::new(Subject::local(GroupKind::kustomization(), "flux-system", name));
        let when = When::at(Moment(Duration::from_secs(second)));
        Event::Seen(Seen {
            subject,
            state: State { when, arrival, value: Arc::new(json!(second)) },
        })
    }

    #[test]
    fn t6_a_slow_follower_gets_the_last_states_bounded_by_what_it_missed() {
        let queue = Queue::new(4);
        for second in 1..=4 {
            queue.push(seen("apps", second, Arrival::Next));
        }
        queue.push(seen("infra", 5, Arrival::Next));
        let mut left = Vec::new();
        while let Some(Event::Seen(seen)) = queue.try_pop() {
            left.push((seen.subject.name.clone(), seen.state));
        }
        let second = |it| Moment(Duration::from_secs(it));
        assert_eq!(left.len(), 2);
        assert_eq!((left[0].0.as_str(), &*left[0].1.value), ("apps", &json!(4)));
        assert_eq!(left[0].1.when, When::between(second(1), second(4)));
        assert_eq!(left[0].1.arrival, Arrival::AfterGap);
        assert_eq!((left[1].0.as_str(), left[1].1.arrival), ("infra", Arrival::Next));
        assert_eq!(left[1].1.when, When::at(second(5)));
    }

    #[test]
    fn a_queue_never_grows_beyond_its_limit() {
        let queue = Queue::new(8);
        for second in 0..1_000 {
            queue.push(seen("apps", second, Arrival::Next));
            assert!(queue.lock().len() <= 8);
        }
    }
}
