//! The log of requests: what clients really asked, for tests and benchmarks.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

/// One answered request. A watch is noted when it begins.
#[derive(Clone, Debug)]
pub struct Request {
    /// When the answer began.
    pub at: Instant,
    /// `GET`, `PATCH` and so on.
    pub method: String,
    /// The path of the URL.
    pub path: String,
    /// What follows the question mark, empty if nothing does.
    pub query: String,
    /// The user's name, empty if the token was not good.
    pub user: String,
    /// Kubernetes' verb: `list`, `watch`, `patch` and so on.
    pub verb: &'static str,
    /// The HTTP status of the answer.
    pub status: u16,
}

/// The newest requests.
pub(super) struct RequestLog {
    kept: Mutex<VecDeque<Request>>,
    capacity: usize,
}

impl RequestLog {
    pub(super) fn new(capacity: usize) -> Self {
        Self { kept: Mutex::new(VecDeque::new()), capacity }
    }

    pub(super) fn note(&self, request: Request) {
        let mut kept = self.kept();
        if kept.len() >= self.capacity {
            kept.pop_front();
        }
        if self.capacity > 0 {
            kept.push_back(request);
        }
    }

    pub(super) fn all(&self) -> Vec<Request> {
        self.kept().iter().cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Request>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
