//! One operation on a remote, by either of the two ways there, and what became of it.
//!
//! libgit2 reads and writes synchronously and knows one kind of error. So each operation has a
//! session that remembers what really happened: the typed error, and when the push went out and
//! was answered, which is the zero of every measurement.

use crate::model::Moment;
use crate::remote::git::{Error, http, ssh};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One operation on a remote.
#[derive(Clone)]
pub(super) enum Session {
    /// A request for every step.
    Http(Arc<http::Session>),
    /// One connection that lasts.
    Ssh(Arc<ssh::Session>),
}

/// What became of the requests of a session.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// Why the last request failed.
    pub(super) failure: Option<Error>,
    /// Where same-host redirects led.
    pub(super) base: Option<String>,
    /// How the push went.
    pub(super) push: Push,
}

/// How the request that carries the pack went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Push {
    /// It certainly never reached the host, or the host certainly refused it.
    #[default]
    NotTaken,
    /// It went out and no complete answer came: the branch may have moved.
    Unanswered { sent: Moment },
    /// The answer is complete.
    Answered { sent: Moment, acknowledged: Moment },
}

impl Session {
    /// What became of it so far.
    pub(super) fn trace(&self) -> MutexGuard<'_, Trace> {
        match self {
            Self::Http(session) => lock(&session.trace),
            Self::Ssh(session) => lock(&session.trace),
        }
    }
}

/// The trace, even if another thread panicked with it: it is whole after every step.
pub(super) fn lock(trace: &Mutex<Trace>) -> MutexGuard<'_, Trace> {
    trace.lock().unwrap_or_else(PoisonError::into_inner)
}
