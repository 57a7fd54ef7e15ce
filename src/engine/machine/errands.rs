//! Says when an errand of hopclock's own is due, and takes in what came of it.
//!
//! It is due once: when every hop before it was reached, and a commit is known that carries the
//! change. Whether it is done already, whoever runs it looks; a hop that somebody else has brought
//! about needs none.

use crate::engine::errand::ErrandDone;
use crate::engine::machine::{Effect, Run};
use crate::model::{
    Arrival, Carrier, Moment, Outcome, ProbeError, Revision, RevisionSort, Seen, State, When,
};
use std::sync::Arc;

// === impl Run ===

impl Run {
    /// Says which revision an errand is about to send; before it does (rule T1).
    pub fn errand_sends(&mut self, revision: Revision, now: Moment) -> Vec<Effect> {
        if self.change.carried(&revision).is_none() {
            self.change.learn(Carrier { revision, canary: None });
            self.look_again();
            self.follow_up();
        }
        self.conclude(now)
    }

    /// Says what came of [`Effect::Errand`]. What was done is what the subject of the hop shows
    /// since; what could not be done ends the run, unless the hop was reached without it.
    pub fn errand_done(
        &mut self,
        hop: usize,
        done: Result<ErrandDone, ProbeError>,
        now: Moment,
    ) -> Vec<Effect> {
        match done {
            Err(error) if self.taken[hop].is_none() => self.end(Outcome::ProbeError(error), now),
            Err(_) | Ok(ErrandDone::Already) => {}
            Ok(ErrandDone::Now { at, state }) => {
                let (when, value) = (When::at(at), Arc::new(state));
                let state = State { when, arrival: Arrival::Next, value };
                let subject = Arc::clone(&self.plan.hops[hop].subject);
                return self.seen(&Seen { subject, state });
            }
        }
        self.conclude(now)
    }

    /// Tells the errands whose time has come, each once.
    pub(super) fn send_on_errands(&mut self) {
        let newest = self.change.known().filter(|it| it.sort() == RevisionSort::Commit).last();
        let Some(commit) = newest.cloned().filter(|_| self.ended.is_none()) else { return };
        for hop in 0..self.plan.hops.len() {
            if self.is_due(hop) && self.errands.insert(hop) {
                self.effects.push(Effect::Errand(hop, commit.clone()));
            }
        }
    }

    fn is_due(&self, hop: usize) -> bool {
        let it = &self.plan.hops[hop];
        let reached = |it: &usize| self.taken[*it].is_some();
        it.detector.needs_errand() && self.taken[hop].is_none() && it.after.iter().all(reached)
    }
}
