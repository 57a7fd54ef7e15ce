//! The state machine of one run: what was seen goes in, effects come out.
//!
//! Pure: it holds no clock, waits for nothing and talks to nobody, so that recorded streams and
//! random ones can be fed through the very code that runs in production. Whoever drives it calls
//! [`Run::tick`] at [`Run::wakes_at`] and carries out the [`Effect`]s.
//!
//! Invariant: an instant once taken never moves, an outcome once fixed never changes, and every
//! objective is counted at most once.

mod follower;
mod objectives;
mod record;
mod verdict;

#[cfg(test)]
mod tests;

use crate::engine::machine::follower::{Doing, Follower};
use crate::engine::machine::objectives::Objective;
use crate::engine::plan::Plan;
use crate::hop::{Detector, Place};
use crate::model::{
    Ancestry, CanaryId, Carried, Carrier, Change, Moment, Outcome, ProbeError, Reached, Revision,
    Seen, SloVerdict, State, Subject, When,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Longest time that a run goes on after its outcome is fixed (rule P3).
pub const LINGER: Duration = Duration::from_secs(10);

/// States kept of one subject. A run sees a few dozen; the rest guards against an object that is
/// rewritten all the time.
const STATES_KEPT: usize = 512;

/// One run of a scenario.
#[derive(Debug)]
pub struct Run {
    plan: Arc<Plan>,
    change: Change,
    push: Option<Published>,
    subjects: BTreeMap<Arc<Subject>, Vec<State>>,
    followers: Vec<Follower>,
    /// The instants of the hops, as they were taken.
    taken: Vec<Option<When>>,
    /// The hops whose passage was told.
    told: BTreeSet<usize>,
    /// Revisions that stood there before we pushed: they cannot carry the change.
    old: BTreeSet<Revision>,
    questions: BTreeMap<Revision, Option<Ancestry>>,
    objectives: Vec<Objective>,
    settling: Settling,
    ended: Option<(Outcome, Moment)>,
    effects: Vec<Effect>,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Find out whether this revision carries the change, and call [`Run::answer`] (rule T9).
    Ask(Revision),
    /// Prove that the watches are alive, show what they had missed, and call [`Run::settled`]
    /// (rule O2).
    Settle,
    /// A hop was reached; its index in the plan.
    Reached(usize),
    /// Count this verdict on this objective, now.
    Count(String, SloVerdict),
    /// The outcome is fixed.
    Ended,
}

/// Whether a run may begin, once every watch has shown its first state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// It may.
    Go,
    /// It ends here, and nothing is pushed.
    Ended(Outcome),
}

#[derive(Clone, Copy, Debug)]
struct Published {
    sent: Moment,
    zero: When,
    attempts: u32,
}

/// Where the proof of the watches stands (rule O2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settling {
    Idle,
    Asked { for_deadline: bool },
}

// === impl Run ===

impl Run {
    /// A run that waits for its watches.
    #[must_use]
    pub fn new(plan: Arc<Plan>, canary: CanaryId) -> Self {
        let followers = plan.hops.len() + plan.bystanders.len();
        Self {
            subjects: plan.subjects().into_iter().map(|it| (it, Vec::new())).collect(),
            followers: (0..followers).map(|_| Follower::default()).collect(),
            taken: vec![None; plan.hops.len()],
            told: BTreeSet::new(),
            objectives: objectives::of(&plan),
            change: Change::new(canary),
            push: None,
            old: BTreeSet::new(),
            questions: BTreeMap::new(),
            settling: Settling::Idle,
            ended: None,
            effects: Vec::new(),
            plan,
        }
    }

    /// The plan that it follows.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The change that it follows.
    #[must_use]
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// The outcome, once it is fixed.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.ended.as_ref().map(|it| &it.0)
    }

    /// Whether a hop was reached, by its index.
    #[must_use]
    pub fn has_reached(&self, hop: usize) -> bool {
        self.followers[hop].reached.is_some()
    }

    /// Whether somebody works on a hop that is not reached, by its index.
    #[must_use]
    pub fn is_working(&self, hop: usize) -> bool {
        self.followers[hop].reached.is_none() && self.followers[hop].doing == Doing::Work
    }

    /// The reason of the failure that stands at a hop, by its index.
    #[must_use]
    pub fn failing(&self, hop: usize) -> Option<&str> {
        self.followers[hop].standing.as_ref().map(|it| it.reason.as_str())
    }

    /// Takes in what was seen.
    pub fn seen(&mut self, seen: &Seen) -> Vec<Effect> {
        let Some(states) = self.subjects.get_mut(&seen.subject) else { return Vec::new() };
        if states.len() >= STATES_KEPT {
            states.remove(1); // the first stays: it tells what stood there before we pushed
        }
        states.push(seen.state.clone());
        for index in self.followers_of(&seen.subject) {
            let (subject, detector) = self.member(index);
            let states = &self.subjects[&subject];
            let revisions = detector.revisions(&states[states.len() - 1]);
            self.followers[index].look(&*detector, states, &self.change);
            self.note(revisions);
        }
        self.conclude(seen.state.when.latest)
    }

    /// Says whether the run may begin. Call it when every watch has shown its first state.
    pub fn start(&mut self, now: Moment) -> Start {
        let ended = self.missing().or_else(|| self.suspended()).or_else(|| self.already_true());
        match ended {
            Some(outcome) => {
                self.end(outcome.clone(), now);
                Start::Ended(outcome)
            }
            None => Start::Go,
        }
    }

    /// Says which revisions will be sent; before they are (rule T1).
    pub fn announce(&mut self, revisions: Vec<Revision>) -> Vec<Effect> {
        self.change.announce(revisions);
        self.look_again();
        self.take_instants();
        std::mem::take(&mut self.effects)
    }

    /// Says that publish begins.
    pub fn begin(&mut self, now: Moment) {
        self.change.begin(now);
        for follower in &mut self.followers {
            follower.begin(&self.change);
        }
    }

    /// Says that the push was sent at `sent` and acknowledged at, or within, `zero` (rules T1 and
    /// T2).
    pub fn published(&mut self, sent: Moment, zero: When, attempts: u32) -> Vec<Effect> {
        self.push = Some(Published { sent, zero, attempts });
        self.conclude(zero.latest)
    }

    /// Says that nothing can be measured.
    pub fn broken(&mut self, error: ProbeError, now: Moment) -> Vec<Effect> {
        self.end(Outcome::ProbeError(error), now);
        std::mem::take(&mut self.effects)
    }

    /// Answers [`Effect::Ask`].
    pub fn answer(&mut self, revision: &Revision, ancestry: Ancestry, now: Moment) -> Vec<Effect> {
        self.questions.insert(revision.clone(), Some(ancestry.clone()));
        if let Ancestry::Carries(canary) = ancestry {
            self.change.learn(Carrier { revision: revision.clone(), canary });
            self.look_again();
        }
        self.conclude(now)
    }

    /// Answers [`Effect::Settle`]; `unproven` are the subjects whose watch may be dead.
    pub fn settled(&mut self, unproven: &[Arc<Subject>], now: Moment) -> Vec<Effect> {
        let Settling::Asked { for_deadline } = self.settling else { return Vec::new() };
        self.settling = Settling::Idle;
        let settled = self.is_settled(unproven);
        self.decide_crossed(now, settled);
        if for_deadline && self.ended.is_none() {
            let outcome = self.at_deadline(unproven, settled);
            self.end(outcome, now);
        }
        self.conclude(now)
    }

    /// Takes in that time has passed.
    pub fn tick(&mut self, now: Moment) -> Vec<Effect> {
        let Some(zero) = self.zero() else { return Vec::new() };
        if self.ended.is_none() && self.settling == Settling::Idle {
            let for_deadline = now >= zero.latest + self.plan.deadline;
            if for_deadline || self.has_crossed(now) {
                self.settling = Settling::Asked { for_deadline };
                self.effects.push(Effect::Settle);
            }
        }
        self.conclude(now)
    }

    /// When [`Run::tick`] should be called next; none while nothing depends on time.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Moment> {
        let zero = self.zero()?;
        let deadline = zero.latest + self.plan.deadline;
        match &self.ended {
            Some((_, at)) => Some((*at + LINGER).min(deadline)),
            None if self.settling != Settling::Idle => None,
            None => Some(self.next_crossing().map_or(deadline, |it| it.min(deadline))),
        }
    }

    /// Whether nothing more can come of the run.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        let Some((outcome, at)) = &self.ended else { return false };
        let lingers = matches!(outcome, Outcome::Ok | Outcome::Slow);
        let complete = (0..self.plan.hops.len())
            .all(|it| self.followers[it].reached.is_some() || self.followers[it].passed);
        let end = self.zero().map_or(*at, |it| (*at + LINGER).min(it.latest + self.plan.deadline));
        !lingers || complete || now >= end
    }

    fn zero(&self) -> Option<When> {
        self.push.map(|it| it.zero)
    }

    fn end(&mut self, outcome: Outcome, now: Moment) {
        if self.ended.is_none() {
            self.ended = Some((outcome, now));
            self.effects.push(Effect::Ended);
        }
    }

    /// The subject and detector of a follower, by its index: hops first, then bystanders.
    fn member(&self, index: usize) -> (Arc<Subject>, Arc<dyn Detector>) {
        if let Some(hop) = self.plan.hops.get(index) {
            return (hop.subject.clone(), hop.detector.clone());
        }
        let bystander = &self.plan.bystanders[index - self.plan.hops.len()];
        (bystander.subject.clone(), Arc::new(bystander.detector))
    }

    fn followers_of(&self, subject: &Subject) -> Vec<usize> {
        let hops = self.plan.hops.iter().map(|it| &it.subject);
        let all = hops.chain(self.plan.bystanders.iter().map(|it| &it.subject));
        all.enumerate().filter(|(_, it)| ***it == *subject).map(|(index, _)| index).collect()
    }

    /// Keeps or asks for the revisions that a state shows (rule T9).
    fn note(&mut self, revisions: Vec<Revision>) {
        for revision in revisions {
            if self.change.began().is_none() {
                self.old.insert(revision);
                continue;
            }
            let known = self.change.carried(&revision).is_some() || self.old.contains(&revision);
            let waiting = (0..self.plan.hops.len()).any(|it| self.is_waited_for(it));
            let may_ask = !self.change.ours().is_empty() && self.ended.is_none() && waiting;
            if !known && may_ask && !self.questions.contains_key(&revision) {
                self.questions.insert(revision.clone(), None);
                self.effects.push(Effect::Ask(revision));
            }
        }
    }

    /// Shows all kept states again to whoever has not been reached (rule T8).
    fn look_again(&mut self) {
        for index in 0..self.followers.len() {
            let (subject, detector) = self.member(index);
            let states = &self.subjects[&subject];
            self.followers[index].look_again(&*detector, states, &self.change);
        }
    }

    /// Takes the instants of the hops that have just been reached, each once.
    fn take_instants(&mut self) {
        for hop in 0..self.plan.hops.len() {
            let Some(reached) = &self.followers[hop].reached else { continue };
            if self.taken[hop].is_none() {
                self.taken[hop] = Some(self.capped(hop, reached));
            }
        }
    }

    /// Says which hops were reached, each once, as soon as there is a zero to count from.
    fn tell_reached(&mut self) {
        let news = |it: &usize| self.taken[*it].is_some() && !self.told.contains(it);
        let hops: Vec<usize> = (0..self.taken.len()).filter(news).collect();
        self.effects.extend(hops.iter().copied().map(Effect::Reached));
        self.told.extend(hops);
    }

    /// The instant of a hop; no later than that of a hop behind it, where it was reached by a
    /// revision that had to be learned (rule T8).
    fn capped(&self, hop: usize, reached: &Reached) -> When {
        if reached.carried == Carried::Ours {
            return reached.when;
        }
        let instant = |it: usize| self.followers[it].reached.as_ref().map(|it| it.when);
        let behind = self.plan.behind(hop).filter(|&it| self.plan.hops[it].place != Place::Request);
        match behind.filter_map(instant).map(|it| it.latest).min() {
            Some(cap) if cap < reached.when.latest => {
                let before = self.plan.before(hop).filter_map(instant).map(|it| it.earliest).max();
                When::between(before.or(self.change.began()).unwrap_or(cap), cap)
            }
            _ => reached.when,
        }
    }

    /// Draws the conclusions of whatever has just changed.
    fn conclude(&mut self, now: Moment) -> Vec<Effect> {
        self.take_instants();
        if self.zero().is_some() {
            self.tell_reached();
            self.decide_reached();
            if self.ended.is_none()
                && let Some(outcome) = self.outcome_now(now)
            {
                self.end(outcome, now);
            }
        }
        std::mem::take(&mut self.effects)
    }
}
