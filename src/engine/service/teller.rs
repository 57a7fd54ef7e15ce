//! Tells events in the order of their ticks.
//!
//! Between a tick and its account lie questions to the cluster. Whatever a later tick brings
//! meanwhile waits, or the position that is kept would pass over the tick that is not accounted
//! for yet, and a process killed just then would have lost it.

use crate::model::{Event, Observer};
use std::sync::{Arc, Mutex, PoisonError};

/// Tells events of one scenario in the order of their ticks. Clones share the order.
#[derive(Clone)]
pub(super) struct Teller {
    observer: Arc<dyn Observer>,
    /// What waits; none while no tick is open.
    held: Arc<Mutex<Option<Vec<Event>>>>,
}

// === impl Teller ===

impl Teller {
    pub(super) fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer, held: Arc::default() }
    }

    /// A tick is open: others wait until it is accounted for.
    pub(super) fn open(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get_or_insert_default();
    }

    /// Tells what became of the open tick, and what has waited for that.
    pub(super) fn account(&self, event: &Event) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.observer.observe(event);
        held.take().unwrap_or_default().iter().for_each(|it| self.observer.observe(it));
    }

    /// Whether a tick is open.
    pub(super) fn is_open(&self) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The open tick and whatever waits for it are left to the next process, which finds them due.
    pub(super) fn leave(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = &mut *held {
            held.clear();
        }
    }

    /// Tells of another tick.
    pub(super) fn tell(&self, event: Event) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            Some(held) => held.push(event),
            None => self.observer.observe(&event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Missed;
    use jiff::Timestamp;

    #[derive(Default)]
    struct Heard(Mutex<Vec<Event>>);

    impl Observer for Heard {
        fn observe(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }

    fn missed(second: i64) -> Event {
        let due = Timestamp::from_second(second).unwrap();
        Event::Missed { scenario: "a".to_owned(), reason: Missed::Overlap, count: 1, due }
    }

    #[test]
    fn o4_a_later_tick_waits_until_the_open_one_is_accounted_for() {
        let heard = Arc::new(Heard::default());
        let teller = Teller::new(heard.clone());
        teller.tell(missed(1));
        teller.open();
        teller.tell(missed(3));
        assert_eq!(heard.0.lock().unwrap().len(), 1);
        teller.account(&missed(2));
        teller.tell(missed(4));
        assert_eq!(*heard.0.lock().unwrap(), [missed(1), missed(2), missed(3), missed(4)]);
    }
}
