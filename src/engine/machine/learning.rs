//! Takes in revisions that Flux made from ours, as soon as a subject names them (rule T8).
//!
//! What such a revision has reached by then may have been seen already, so all kept states are
//! looked at again, and what they show of the same sort can now be asked for.

use crate::engine::machine::Run;
use crate::hop::Detector;
use crate::model::{Change, Revision, State};
use std::sync::Arc;

// === impl Run ===

impl Run {
    /// Takes in what was learned, and whatever follows from that.
    pub(super) fn learn(&mut self, mut learned: Vec<Revision>) {
        loop {
            learned.retain(|it| self.change.carried(it).is_none());
            if learned.is_empty() {
                return;
            }
            for revision in learned.drain(..) {
                self.change.extend(revision);
            }
            self.look_again();
            self.note_again();
            learned = self.taught();
        }
    }

    /// Learns from all kept states, for our own revisions are others now.
    pub(super) fn learn_again(&mut self) {
        let learned = self.taught();
        self.learn(learned);
    }

    /// Whether the subject of a hop names a revision that was made from ours.
    pub(super) fn has_taught(&self, hop: usize) -> bool {
        let hop = &self.plan.hops[hop];
        let states = &self.subjects[&hop.subject];
        (1..=states.len())
            .any(|end| !learned(&*hop.detector, &states[..end], &self.change).is_empty())
    }

    /// Lets hops that were not seen tell what they can, now that a hop directly behind them was
    /// reached; says whether one did.
    pub(super) fn look_back(&mut self) -> bool {
        let plan = Arc::clone(&self.plan);
        let mut told = false;
        for (index, hop) in plan.hops.iter().enumerate() {
            let direct = (0..plan.hops.len()).filter(|&it| plan.hops[it].after.contains(&index));
            let next = direct.filter_map(|it| self.taken[it]).min_by_key(|it| it.latest);
            let Some(next) = next.filter(|_| self.taken[index].is_none()) else { continue };
            let states = &self.subjects[&hop.subject];
            told |= self.followers[index].look_back(&*hop.detector, states, next, &self.change);
        }
        told
    }

    /// Notes what was shown since publish began, and could not be asked for then.
    fn note_again(&mut self) {
        let Some(began) = self.change.began() else { return };
        let plan = Arc::clone(&self.plan);
        for member in plan.members() {
            let states = &self.subjects[member.subject];
            let since = states.iter().filter(|it| it.when.latest >= began);
            let revisions = since.flat_map(|it| member.detector.revisions(it)).collect();
            self.note(revisions);
        }
    }

    /// Everything that all kept states teach.
    fn taught(&self) -> Vec<Revision> {
        let of_states = |states: &[State], detector: &dyn Detector| -> Vec<Revision> {
            let ends = 1..=states.len();
            ends.flat_map(|end| learned(detector, &states[..end], &self.change)).collect()
        };
        let members = self.plan.members();
        members.flat_map(|it| of_states(&self.subjects[it.subject], it.detector)).collect()
    }
}

/// What the last of `states` teaches: nothing before publish began.
pub(super) fn learned(detector: &dyn Detector, states: &[State], change: &Change) -> Vec<Revision> {
    let Some((now, past)) = states.split_last() else { return Vec::new() };
    if change.began().is_none_or(|began| now.when.latest < began) {
        return Vec::new();
    }
    detector.learns(past, now, change)
}
