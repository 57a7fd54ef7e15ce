//! Decides each objective of a run once, when it is met or crossed (rule O2).

use crate::engine::machine::follower::Hold;
use crate::engine::machine::{Effect, Run};
use crate::engine::plan::Plan;
use crate::model::{Moment, Outcome, SloRecord, SloVerdict, Span};
use std::time::Duration;

/// Label of the objective of the whole delivery.
const TOTAL: &str = "total";

/// An objective, and what the run says of it.
#[derive(Clone, Debug)]
pub(super) struct Objective {
    label: String,
    limit: Duration,
    /// The hop; none for the whole delivery.
    hop: Option<usize>,
    verdict: Option<SloVerdict>,
}

/// Where the thing that an objective speaks of stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was reached, so long after zero.
    Reached(Span),
    /// It is still waited for.
    Waiting,
    /// It went by unseen: nobody can say when.
    Unseen,
    /// It did not happen, and will not.
    Missed,
}

/// The objectives of a plan: the total, and those of its hops.
pub(super) fn of(plan: &Plan) -> Vec<Objective> {
    let total = plan.within.map(|limit| Objective {
        label: TOTAL.to_owned(),
        limit,
        hop: None,
        verdict: None,
    });
    let hops = plan.hops.iter().enumerate().filter_map(|(index, hop)| {
        let (label, hop_index) = (hop.name.clone(), Some(index));
        hop.within.map(|limit| Objective { label, limit, hop: hop_index, verdict: None })
    });
    total.into_iter().chain(hops).collect()
}

// === impl Objective ===

impl Objective {
    /// Takes over what an earlier process has counted, if it is of this objective.
    pub(super) fn restore(&mut self, decided: &SloRecord) {
        if self.label == decided.slo {
            self.verdict = Some(decided.verdict);
        }
    }

    /// What a standing says, if it says something for good.
    fn verdict_of(&self, standing: Standing) -> Option<SloVerdict> {
        match standing {
            Standing::Reached(at) if at.most <= self.limit => Some(SloVerdict::Good),
            Standing::Reached(at) if at.least > self.limit => Some(SloVerdict::Bad),
            Standing::Reached(_) => Some(SloVerdict::Unknown),
            Standing::Missed => Some(SloVerdict::Bad),
            Standing::Waiting | Standing::Unseen => None,
        }
    }
}

// === impl Run ===

impl Run {
    /// The first crossing of an objective that is not decided. Delivery that was seen in time is
    /// not crossed, though it counts only once the outcome is known.
    pub(super) fn next_crossing(&self) -> Option<Moment> {
        let zero = self.zero()?;
        let open = self.objectives.iter().filter(|it| it.verdict.is_none());
        let waiting = open.filter(|it| !matches!(self.standing(it.hop), Standing::Reached(_)));
        waiting.map(|it| zero.latest + it.limit).min()
    }

    /// Whether an objective that is not decided is crossed.
    pub(super) fn has_crossed(&self, now: Moment) -> bool {
        self.next_crossing().is_some_and(|it| now >= it)
    }

    /// Whether an objective was missed: it was counted as bad, or was reached too late though
    /// nobody could say so when it was crossed.
    pub(super) fn has_missed(&self) -> bool {
        self.objectives.iter().any(|it| {
            let late = it.verdict_of(self.standing(it.hop)) == Some(SloVerdict::Bad);
            late || it.verdict == Some(SloVerdict::Bad)
        })
    }

    /// Decides what was reached.
    pub(super) fn decide_reached(&mut self) {
        self.decide(Self::verdict_now);
    }

    /// What can be said of an objective now. A change that is delivered can still be rolled back
    /// or fail its checks, which is bad; so delivery is good only with all that is required.
    fn verdict_now(&self, objective: &Objective) -> Option<SloVerdict> {
        let verdict = objective.verdict_of(self.standing(objective.hop))?;
        let open = objective.hop.is_none() && verdict != SloVerdict::Bad && !self.is_delivered();
        (!open).then_some(verdict)
    }

    /// Decides what was crossed; only if everything is `settled` can it be bad.
    pub(super) fn decide_crossed(&mut self, now: Moment, settled: bool) {
        let Some(zero) = self.zero() else { return };
        self.decide(|run, it| {
            let standing = run.standing(it.hop);
            let reached = matches!(standing, Standing::Reached(_));
            let crossed = !reached && now >= zero.latest + it.limit;
            run.verdict_now(it).or_else(|| {
                let bad = settled && standing == Standing::Waiting;
                crossed.then_some(if bad { SloVerdict::Bad } else { SloVerdict::Unknown })
            })
        });
    }

    /// Decides the rest when the run is over: what failed for good is bad, what was not seen is
    /// unknown, and a run that is no measurement says nothing.
    pub(super) fn decide_rest(&mut self) {
        let failed = match self.outcome() {
            Some(Outcome::Failed { .. } | Outcome::Timeout) => true,
            Some(Outcome::Ok | Outcome::Slow) => false,
            _ => return,
        };
        self.decide(|run, it| {
            let standing = run.standing(it.hop);
            let bad = failed && (it.hop.is_none() || standing == Standing::Waiting);
            let rest = if bad { SloVerdict::Bad } else { SloVerdict::Unknown };
            let total_failed = failed && it.hop.is_none();
            it.verdict_of(standing).filter(|_| !total_failed).or(Some(rest))
        });
    }

    /// What the run says of its objectives.
    pub(super) fn slo_records(&self) -> Vec<SloRecord> {
        let decided =
            |it: &Objective| Some(SloRecord { slo: it.label.clone(), verdict: it.verdict? });
        self.objectives.iter().filter_map(decided).collect()
    }

    /// Where delivery stands: at the latest of the hops at which it ends (rule P4).
    pub(super) fn delivery(&self) -> Standing {
        let mut latest: Option<Span> = None;
        for hop in self.plan.ends() {
            match self.standing(Some(hop)) {
                Standing::Reached(at) => {
                    let so_far = latest.unwrap_or(Span::ZERO);
                    latest = Some(Span {
                        least: so_far.least.max(at.least),
                        most: so_far.most.max(at.most),
                    });
                }
                Standing::Waiting => return Standing::Waiting,
                Standing::Unseen | Standing::Missed => (),
            }
        }
        latest.map_or(Standing::Unseen, Standing::Reached)
    }

    fn standing(&self, hop: Option<usize>) -> Standing {
        let Some(hop) = hop else { return self.delivery() };
        let follower = &self.followers[hop];
        match self.taken[hop].and_then(|it| self.since_zero(it)) {
            Some(_) if follower.hold == Hold::Lost => Standing::Waiting,
            Some(at) => Standing::Reached(at),
            None if follower.passed => Standing::Missed,
            // A candidate may be taken back: nobody can say when, yet (rule P9).
            None if self.is_bypassed(hop) || self.has_reached(hop) => Standing::Unseen,
            None => Standing::Waiting,
        }
    }

    fn decide(&mut self, verdict: impl Fn(&Self, &Objective) -> Option<SloVerdict>) {
        for index in 0..self.objectives.len() {
            let objective = &self.objectives[index];
            if objective.verdict.is_none()
                && let Some(verdict) = verdict(self, objective)
            {
                self.effects.push(Effect::Count(objective.label.clone(), verdict));
                self.objectives[index].verdict = Some(verdict);
            }
        }
    }
}
