//! Takes up a run that an earlier process left behind (rule T6).
//!
//! What that process measured stands as it is. What is seen from now on is counted from a zero
//! that is known by the wall clock only, so every further time is uncertain.

use crate::engine::machine::objectives::Objective;
use crate::engine::machine::{Published, Run};
use crate::model::{Carried, Moment, Passage, Reached, Revision, SloRecord, Span, When};
use std::time::Duration;

/// How far the wall clocks of two processes are trusted to agree.
pub(crate) const WALL_DOUBT: Duration = Duration::from_millis(500);

/// What an earlier process knew of a run, in moments of this one.
#[derive(Clone, Debug)]
pub struct LeftBehind {
    /// What it had pushed.
    pub revisions: Vec<Revision>,
    /// When publish began.
    pub began: Moment,
    /// When the change was sent.
    pub sent: Moment,
    /// When it was acknowledged, by the wall clock.
    pub zero: When,
    /// How often it was sent.
    pub attempts: u32,
    /// The hops that it had seen reached.
    pub reached: Vec<(String, Passage)>,
    /// The objectives that it had counted.
    pub decided: Vec<SloRecord>,
}

// === impl Run ===

impl Run {
    /// Goes on with a run that was left behind. Call it on a new run, before anything is seen.
    /// Nothing that was told or counted is told or counted again.
    pub fn resume(&mut self, left: LeftBehind) {
        self.change.announce(left.revisions);
        self.begin(left.began);
        let least = Moment(left.zero.earliest.0.saturating_sub(WALL_DOUBT));
        let zero = When::between(least.max(left.began), left.zero.latest + WALL_DOUBT);
        self.push = Some(Published { sent: left.sent, zero, attempts: left.attempts });
        for (name, passage) in left.reached {
            let index = self.plan.hops.iter().position(|it| it.name == name);
            if let (Some(index), Some(reached)) = (index, reached(&passage, left.zero)) {
                self.taken[index] = Some(reached.when);
                self.followers[index].reached = Some(reached);
                self.told.insert(index);
                self.restored.insert(index, passage);
            }
        }
        for decided in left.decided {
            self.objectives.iter_mut().for_each(|it| Objective::restore(it, &decided));
        }
    }
}

/// How a hop was reached, in moments again; none if it was not.
fn reached(passage: &Passage, zero: When) -> Option<Reached> {
    let Passage::Reached { at, stage, wait, via, webhook, carried_by, .. } = passage else {
        return None;
    };
    let after = |span: Span| When::between(zero.earliest + span.least, zero.latest + span.most);
    let started = stage.zip(*wait).map(|(stage, wait)| {
        let start = Span {
            least: at.least.saturating_sub(stage.most) + wait.least,
            most: at.most.saturating_sub(stage.least) + wait.most,
        };
        after(start)
    });
    Some(Reached {
        when: after(*at),
        started,
        via: *via,
        carried: Carried::Ours,
        canary: carried_by.clone(),
        webhook: *webhook,
    })
}
