//! Turns instants into the lengths that are kept: stages, waits and the whole delivery (rules P2,
//! P4, T1, T6 and T10).

use crate::engine::machine::follower::Hold;
use crate::engine::machine::objectives::Standing;
use crate::engine::machine::{Effect, Run};
use crate::engine::plan::Part;
use crate::hop::Place;
use crate::model::{
    Carried, FailureRecord, HopRecord, Moment, Outcome, Passage, ProbeError, Push, RunRecord,
    Sight, Span, Subject, Usage, When, flux,
};
use serde_json::{Value, json};
use std::time::Duration;

// === impl Run ===

impl Run {
    /// Ends the run and says what is kept of it. Whatever was not seen by now is not reached.
    ///
    /// A run that is ended before its outcome was fixed was stopped from outside, which is an
    /// error of ours.
    pub fn finish(&mut self, started: jiff::Timestamp, now: Moment) -> (RunRecord, Vec<Effect>) {
        for (index, hop) in self.plan.hops.iter().enumerate() {
            let states = &self.subjects[&hop.subject];
            self.followers[index].finish(&*hop.detector, states, &self.change);
        }
        // Nobody will know better any more.
        self.open.clear();
        self.take_instants();
        if self.push.is_some() {
            self.tell_reached();
        }
        let stopped = ProbeError {
            reason: "stopped".to_owned(),
            message: "the run was stopped before its outcome was known".to_owned(),
        };
        self.end(Outcome::ProbeError(stopped), now);
        self.decide_rest();
        (self.record(started), std::mem::take(&mut self.effects))
    }

    /// What a subject last said of itself: its generation and its status; none if it was never
    /// seen, null where it does not exist.
    #[must_use]
    pub fn testimony(&self, subject: &Subject) -> Option<Value> {
        let object = &self.subjects.get(subject)?.last()?.value;
        if object.is_null() {
            return Some(Value::Null);
        }
        let requested = &object["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"];
        Some(json!({
            "generation": object["metadata"]["generation"],
            "requestedAt": requested,
            "status": object["status"],
        }))
    }

    /// How long after zero something was; none before the push is acknowledged.
    pub(super) fn since_zero(&self, when: When) -> Option<Span> {
        let zero = self.zero()?;
        Some(between(zero, when))
    }

    fn record(&self, started: jiff::Timestamp) -> RunRecord {
        RunRecord {
            scenario: self.plan.scenario.clone(),
            canary: self.change.canary().clone(),
            started,
            push: self.push.map(|it| Push {
                revisions: self.change.ours().to_vec(),
                took: between(When::at(it.sent), it.zero),
                attempts: it.attempts,
            }),
            hops: (0..self.plan.hops.len()).map(|it| self.hop_record(it)).collect(),
            outcome: self.outcome().cloned().unwrap_or(Outcome::Timeout),
            push_to_apply: self.push_to_apply(),
            tolerance: self.plan.tolerance(),
            failing_since: self.failing_since(),
            slo: self.slo_records(),
            // Who asks anybody anything fills it in.
            usage: Usage::default(),
        }
    }

    fn hop_record(&self, index: usize) -> HopRecord {
        let hop = &self.plan.hops[index];
        let passage = match self.passage(index) {
            Some(reached) => reached,
            None if self.followers[index].passed
                || self.is_bypassed(index)
                || self.is_untold(index) =>
            {
                Passage::Bypassed
            }
            None => Passage::Unreached,
        };
        HopRecord {
            hop: hop.name.clone(),
            subject: hop.subject.to_string(),
            target_cluster: hop.subject.cluster.0.clone(),
            unready: passage.at().is_none() && self.relied_in_vain(index),
            passage,
            reverted: self.followers[index].hold != Hold::Kept,
            sights: if hop.witnesses.is_empty() { Vec::new() } else { self.sights(index) },
        }
    }

    /// Whether the change was delivered and nobody told: nothing comes behind a notification that
    /// could show it.
    fn is_untold(&self, hop: usize) -> bool {
        let delivered = matches!(self.outcome(), Some(Outcome::Ok | Outcome::Slow));
        delivered && self.plan.hops[hop].place == Place::Notify
    }

    /// Whether who has to work for a hop was suspended or not ready at any time since publish began:
    /// a Receiver refuses all calls then.
    fn relied_in_vain(&self, hop: usize) -> bool {
        let hop = &self.plan.hops[hop];
        let relied = hop.detector.relies_on().map(|it| it.clone().in_cluster(&hop.subject.cluster));
        let states = relied.and_then(|it| self.subjects.get(&it));
        let (Some(states), Some(began)) = (states, self.change.began()) else { return false };
        let before = states.partition_point(|it| it.when.latest < began).saturating_sub(1);
        let refuses = |it: &Value| {
            let ready = flux::condition(it, "Ready").is_none_or(|it| it.status != "False");
            it.is_null() || flux::is_suspended(it) || !ready
        };
        states[before..].iter().any(|it| refuses(&it.value))
    }

    /// Every sight of a hop: by its own subject, then by its witnesses.
    fn sights(&self, hop: usize) -> Vec<Sight> {
        let members = self.plan.members().zip(&self.followers);
        let of_hop =
            members.filter(|it| matches!(it.0.of, Part::Hop(of) | Part::Witness(of) if of == hop));
        let seen = of_hop.filter_map(|(member, follower)| {
            let at = self.since_zero(follower.reached.as_ref()?.when)?;
            Some(Sight { subject: member.subject.to_string(), at })
        });
        seen.collect()
    }

    /// How a hop was reached, by its index; none if it was not, or nothing is pushed yet.
    #[must_use]
    pub fn passage(&self, index: usize) -> Option<Passage> {
        if let Some(passage) = self.restored.get(&index) {
            return Some(passage.clone());
        }
        let (when, zero) = (self.taken[index]?, self.zero()?);
        let reached = self.reached(index)?;
        let before = || self.plan.before(index).filter_map(|it| self.taken[it]);
        let reordered = before().any(|it| when.latest < it.earliest);
        let start = before().fold(zero, When::later);
        let stage = (!reordered).then(|| between(start, when));
        let wait = reached.started.and_then(|it| Some(shorter(between(start, it), stage?)));
        Some(Passage::Reached {
            at: between(zero, when),
            stage,
            wait,
            early: when.latest <= zero.earliest,
            reordered,
            uncertain: !when.is_certain() || !start.is_certain(),
            via: reached.via,
            webhook: reached.webhook,
            carried_by: match &reached.carried {
                Carried::Ours | Carried::Learned | Carried::Candidate(_) => reached.canary.clone(),
                Carried::By(revision) => Some(revision.id().to_owned()),
            },
        })
    }

    fn push_to_apply(&self) -> Option<Span> {
        let zero = self.zero()?;
        let (outcome, at) = self.ended.as_ref()?;
        match outcome {
            Outcome::Ok | Outcome::Slow => self.took.or_else(|| self.delivered_in()),
            Outcome::Timeout => Some(Span::exactly(self.plan.deadline)),
            Outcome::Failed { .. } => {
                Some(Span::exactly(at.since(zero.latest).min(self.plan.deadline)))
            }
            Outcome::Superseded { .. } | Outcome::Skipped(_) | Outcome::ProbeError(_) => None,
        }
    }

    /// How long delivery took (rule P4). Where its end went by unseen, it came no later than
    /// what was seen behind it.
    pub(super) fn delivered_in(&self) -> Option<Span> {
        match self.delivery() {
            Standing::Reached(at) => Some(at),
            Standing::Unseen => {
                let seen = self.taken.iter().filter_map(|it| self.since_zero((*it)?));
                seen.map(|it| Span { least: Duration::ZERO, most: it.most })
                    .max_by_key(|it| it.most)
            }
            Standing::Waiting | Standing::Missed => None,
        }
    }

    /// The first failure that counted; what fails once the outcome is fixed does not.
    fn failing_since(&self) -> Option<FailureRecord> {
        let end = self.ended.as_ref().map(|it| it.1);
        let failures = self.followers.iter().enumerate().filter_map(|(index, it)| {
            let (reason, when) = it.first_failure.as_ref()?;
            let counts = end.is_none_or(|end| when.latest <= end);
            Some((index, reason, self.since_zero(*when)?)).filter(|_| counts)
        });
        let (index, reason, at) = failures.min_by_key(|it| it.2.most)?;
        let subject = self.subject(index)?.to_string();
        Some(FailureRecord { reason: reason.clone(), at, subject })
    }
}

/// The time from `start` to `end`, never negative.
fn between(start: When, end: When) -> Span {
    Span { least: end.earliest.since(start.latest), most: end.latest.since(start.earliest) }
}

/// The shorter of two lengths, bound by bound: a wait cannot outlast its stage.
fn shorter(one: Span, other: Span) -> Span {
    Span { least: one.least.min(other.least), most: one.most.min(other.most) }
}
