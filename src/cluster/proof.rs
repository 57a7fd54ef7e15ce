//! A proof that a watch has told everything (rule O2): a fresh list that shows nothing new.
//!
//! A list proves only what happened before it was asked for, so provers share one that has not
//! been sent yet, never one under way. A list may overtake the watch by a moment; the watch gets
//! that moment, for what it tells itself has an exact instant.

use crate::cluster::Error;
use crate::cluster::list::List;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

/// Somebody who wants a proof.
pub(super) type Prover = oneshot::Sender<Result<(), Error>>;

/// The proofs of a watch.
#[derive(Default)]
pub(super) struct Proof {
    waiting: Vec<Prover>,
    under_way: bool,
    open: Option<(Vec<Prover>, List)>,
    grace: Option<Pin<Box<Sleep>>>,
}

impl Proof {
    /// Somebody wants a proof.
    pub(super) fn wanted(&mut self, prover: Prover) {
        self.waiting.push(prover);
    }

    /// Those for whom a list has to be sent now, if any.
    pub(super) fn begin(&mut self) -> Option<Vec<Prover>> {
        self.waiting.retain(|it| !it.is_closed());
        if self.under_way || self.waiting.is_empty() {
            return None;
        }
        self.under_way = true;
        Some(std::mem::take(&mut self.waiting))
    }

    /// Their list is here; the watch has `grace` to tell the same.
    pub(super) fn listed(&mut self, provers: Vec<Prover>, list: List, grace: Duration) {
        self.open = Some((provers, list));
        self.grace = Some(Box::pin(sleep(grace)));
    }

    /// Their list did not come.
    pub(super) fn failed(&mut self, provers: Vec<Prover>, error: &Error) {
        self.under_way = false;
        for prover in provers {
            let _ = prover.send(Err(error.clone()));
        }
    }

    /// The list whose content the watch still has to tell.
    pub(super) fn list(&self) -> Option<&List> {
        self.open.as_ref().map(|(_, list)| list)
    }

    /// The timer of the watch's grace.
    pub(super) fn grace(&mut self) -> &mut Option<Pin<Box<Sleep>>> {
        &mut self.grace
    }

    /// All that the list shows was told.
    pub(super) fn done(&mut self) {
        self.under_way = false;
        self.grace = None;
        for prover in self.open.take().into_iter().flat_map(|(provers, _)| provers) {
            let _ = prover.send(Ok(()));
        }
    }
}
