//! Counts the connections of each client, so that none keeps the others out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many connections each client has open.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowd {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection of a client; it counts until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    of: IpAddr,
}

// === impl Crowd ===

impl Crowd {
    /// A place for one more connection of a client that may have `most`.
    pub(super) fn enter(&self, of: IpAddr, most: usize) -> Option<Place> {
        let mut open = self.lock();
        let count = open.entry(of).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Place { crowd: self.clone(), of })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.lock();
        if let Some(count) = open.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_at_its_limit_keeps_no_other_out_and_is_forgotten_when_it_has_left() {
        let crowd = Crowd::default();
        let [one, other] = [1, 2].map(|it| IpAddr::from([10, 0, 0, it]));
        let places = [crowd.enter(one, 2), crowd.enter(one, 2)];
        assert!(places.iter().all(Option::is_some));
        assert!(crowd.enter(one, 2).is_none());
        let others = crowd.enter(other, 2);
        assert!(others.is_some());
        drop(places);
        assert!(crowd.enter(one, 2).is_some());
        drop(others);
        assert!(crowd.lock().is_empty());
    }
}
