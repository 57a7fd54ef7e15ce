//! Decides how a run ends: the outcome table of the design, rules P3, P5, P6, T3, T9 and O1.

use crate::engine::machine::Run;
use crate::engine::machine::follower::{Doing, Follower, Hold};
use crate::engine::plan::Part;
use crate::model::{
    FailureSort, Moment, Outcome, ProbeError, Requirement, Revision, Skip, State, Subject,
};
use std::sync::Arc;

// === impl Run ===

impl Run {
    /// A member of the path that is not there, though it has to be (rule P6).
    pub(super) fn missing(&self) -> Option<Outcome> {
        let mut members = (0..self.followers.len()).filter(|&it| !self.may_be_absent(it));
        let index = members.find(|&it| !self.exists(it))?;
        let subject = self.subject(index)?;
        Some(Outcome::ProbeError(ProbeError {
            reason: "subject_missing".to_owned(),
            message: format!(
                "{subject} does not exist: create it, or name the right one in the scenario"
            ),
        }))
    }

    /// A member of the path that is suspended before anything is pushed (rule P5).
    pub(super) fn suspended(&self) -> Option<Outcome> {
        let index =
            (0..self.followers.len()).find(|&it| self.followers[it].doing == Doing::Wait)?;
        let subject = self.subject(index)?.to_string();
        Some(Outcome::Skipped(Skip::Suspended { subject }))
    }

    /// A hop that is reached before anything is pushed (rule T3).
    pub(super) fn already_true(&self) -> Option<Outcome> {
        let hop = self.plan.members().zip(&self.followers).find_map(|(member, follower)| {
            let (Part::Hop(hop) | Part::Witness(hop)) = member.of else { return None };
            follower.already_true.then_some(hop)
        })?;
        let hop = &self.plan.hops[hop];
        Some(Outcome::ProbeError(ProbeError {
            reason: "already_true".to_owned(),
            message: format!(
                "hop `{}` is reached before anything was pushed: {} must not hold the canary yet",
                hop.name, hop.subject
            ),
        }))
    }

    /// The outcome that follows from what has been seen, without regard to the deadline.
    pub(super) fn outcome_now(&self, now: Moment) -> Option<Outcome> {
        if self.is_delivered() {
            return Some(if self.has_missed() { Outcome::Slow } else { Outcome::Ok });
        }
        let stalled = |it: &Follower| it.standing.as_ref().is_some_and(|it| it.stalled);
        if let Some(index) = self.waited_for().find(|&it| stalled(&self.followers[it])) {
            return self.failed_at(index);
        }
        if let Some(by) = self.superseded_by() {
            return Some(Outcome::Superseded { by: by.id().to_owned() });
        }
        self.suspended_during(now)
    }

    /// The outcome at the deadline, if nothing ended the run before. Whoever could not be looked
    /// at makes it an error of ours: we do not know.
    pub(super) fn at_deadline(&self, unproven: &[Arc<Subject>], settled: bool) -> Outcome {
        let error = |reason: &str, message: String| {
            Outcome::ProbeError(ProbeError { reason: reason.to_owned(), message })
        };
        let mut members = self.waited_for().filter_map(|it| self.subject(it));
        if let Some(blind) = members.find(|it| unproven.contains(it)) {
            return error(
                "watch_lost",
                format!("{blind} cannot be watched: see whether the API server answers"),
            );
        }
        if let Some(failed) = self.standing_failure().and_then(|it| self.failed_at(it)) {
            return failed;
        }
        if let Some(missing) = self.missing() {
            return missing;
        }
        if !settled {
            return error(
                "ancestry_unknown",
                "another commit was delivered, and the repository did not say whether it brings \
                 ours along: see whether it answers"
                    .to_owned(),
            );
        }
        Outcome::Timeout
    }

    /// Whether every watch that matters is proven alive and every question is answered.
    pub(super) fn is_settled(&self, unproven: &[Arc<Subject>]) -> bool {
        self.questions.are_answered()
            && self.waited_for().filter_map(|it| self.subject(it)).all(|it| !unproven.contains(it))
    }

    /// Whether the run waits for a follower: a hop while it is unreached and neither bypassed nor
    /// optional, one that is required explicitly even then; a bystander while any hop is waited
    /// for.
    pub(super) fn is_waited_for(&self, index: usize) -> bool {
        let Some(hop) = self.plan.hops.get(index) else {
            let is_bystander = index < self.plan.hops.len() + self.plan.bystanders.len();
            return is_bystander && (0..self.plan.hops.len()).any(|it| self.is_waited_for(it));
        };
        let follower = &self.followers[index];
        let open = !self.has_reached(index) || follower.hold == Hold::Lost;
        match hop.need {
            Requirement::Waited => open,
            Requirement::Required => open && !follower.passed && !self.is_bypassed(index),
            Requirement::Optional => false,
        }
    }

    /// Whether a hop behind this one is reached, and this one is not (rule P3).
    pub(super) fn is_bypassed(&self, hop: usize) -> bool {
        let reached = |it: usize| self.has_reached(it);
        !reached(hop) && self.plan.behind(hop).any(reached)
    }

    fn waited_for(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.followers.len()).filter(|&it| self.is_waited_for(it))
    }

    /// Whether nothing is waited for any more, and something was reached. A plan without hops is one
    /// of a trigger that has no effect: its answer is all there is.
    pub(super) fn is_delivered(&self) -> bool {
        let any =
            self.plan.hops.is_empty() || (0..self.plan.hops.len()).any(|it| self.has_reached(it));
        any && self.waited_for().next().is_none()
    }

    fn failed_at(&self, index: usize) -> Option<Outcome> {
        let reason = self.followers[index].standing.as_ref()?.reason.clone();
        Some(Outcome::Failed { reason, subject: self.subject(index)?.to_string() })
    }

    /// The follower whose failure tells most: one of our own revision before one of any, a hop
    /// before a bystander.
    fn standing_failure(&self) -> Option<usize> {
        let sort = |it: usize| self.followers[it].standing.as_ref().map(|it| it.sort);
        let of_ours = self.waited_for().find(|&it| sort(it) == Some(FailureSort::OfOurs));
        of_ours.or_else(|| self.waited_for().find(|&it| sort(it).is_some()))
    }

    /// The revision that came instead of ours, at a hop that is still waited for (rule T9).
    fn superseded_by(&self) -> Option<&Revision> {
        self.questions.gone().find(|revision| {
            self.waited_for().filter_map(|it| self.plan.hops.get(it)).any(|hop| {
                let states = &self.subjects[&hop.subject];
                Follower::has_shown(&*hop.detector, states, &self.change, revision)
            })
        })
    }

    /// A member of the path that was suspended while the run waits and before the objective is
    /// crossed (rule P5). An optional hop stands in the way as well as any other.
    fn suspended_during(&self, now: Moment) -> Option<Outcome> {
        let zero = self.zero()?;
        let crossing = zero.latest + self.plan.within.unwrap_or(self.plan.deadline);
        self.waited_for().next()?;
        let bypassed = |it: usize| it < self.plan.hops.len() && self.is_bypassed(it);
        let index = (0..self.followers.len())
            .find(|&it| self.followers[it].doing == Doing::Wait && !bypassed(it))?;
        let subject = self.subject(index)?.to_string();
        (now < crossing).then_some(Outcome::Skipped(Skip::SuspendedDuring { subject }))
    }

    fn may_be_absent(&self, index: usize) -> bool {
        match self.plan.members().nth(index).map(|it| it.of) {
            Some(Part::Hop(hop)) => self.plan.hops[hop].place.may_be_absent(),
            Some(Part::Witness(_)) | None => true,
            Some(Part::Bystander) => false,
        }
    }

    fn exists(&self, index: usize) -> bool {
        let states = self.subject(index).and_then(|it| self.subjects.get(it));
        states.and_then(|it| it.last()).is_some_and(State::exists)
    }
}
