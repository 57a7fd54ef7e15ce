//! The state machine of one run: what was seen goes in, effects come out.
//!
//! Pure: it holds no clock, waits for nothing and talks to nobody, so that recorded streams and
//! random ones can be fed through the very code that runs in production. Whoever drives it calls
//! [`Run::tick`] at [`Run::wakes_at`] and carries out the [`Effect`]s.
//!
//! Invariant: an instant once taken never moves, an outcome once fixed never changes, and every
//! objective is counted at most once.

mod candidates;
mod errands;
mod follower;
mod learning;
mod objectives;
mod questions;
mod record;
mod resume;
mod verdict;
mod written;

#[cfg(test)]
mod tests;

use crate::engine::machine::follower::Follower;
use crate::engine::machine::learning::learned;
use crate::engine::machine::objectives::Objective;
use crate::engine::machine::questions::Questions;
use crate::engine::plan::{Part, Plan};
use crate::model::{
    Ancestry, Arrival, CanaryId, Carried, Change, Moment, Outcome, Passage, ProbeError, Reached,
    Revision, Seen, SloVerdict, Span, State, Subject, When,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use resume::LeftBehind;

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
    /// How hops were passed while an earlier process looked on.
    restored: BTreeMap<usize, Passage>,
    questions: Questions,
    /// The sources of which some revision may be supposed to be ours (rule P9).
    supposing: BTreeSet<Arc<Subject>>,
    /// The hops whose errand was told.
    errands: BTreeSet<usize>,
    /// The revisions that are taken for ours while something may still know better (rule P9).
    open: Vec<Revision>,
    objectives: Vec<Objective>,
    settling: Settling,
    ended: Option<(Outcome, Moment)>,
    /// How long delivery took, fixed together with the outcome.
    took: Option<Span>,
    effects: Vec<Effect>,
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Find out whether this revision carries the change, and call [`Run::answer`] (rule T9). What
    /// could not be found out is asked once more with each [`Effect::Settle`].
    Ask(Revision),
    /// Prove that the watches are alive, show what they had missed, and call [`Run::settled`]
    /// (rule O2).
    Settle,
    /// Do what the hop of this index needs done with this revision. Call [`Run::errand_sends`]
    /// before something is sent for it, and [`Run::errand_done`].
    Errand(usize, Revision),
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
        let followers = plan.members().count();
        Self {
            subjects: plan.subjects().into_iter().map(|it| (it, Vec::new())).collect(),
            followers: (0..followers).map(|_| Follower::default()).collect(),
            taken: vec![None; plan.hops.len()],
            told: BTreeSet::new(),
            restored: BTreeMap::new(),
            objectives: objectives::of(&plan),
            change: Change::new(canary),
            push: None,
            questions: Questions::default(),
            supposing: BTreeSet::new(),
            errands: BTreeSet::new(),
            open: Vec::new(),
            settling: Settling::Idle,
            ended: None,
            took: None,
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
        self.reached(hop).is_some()
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
            forget_one(states, self.change.began());
        }
        states.push(seen.state.clone());
        let plan = Arc::clone(&self.plan);
        let members = || plan.members().enumerate();
        for (index, member) in members().filter(|it| *it.1.subject == seen.subject) {
            let states = &self.subjects[&seen.subject];
            let revisions = member.detector.revisions(&states[states.len() - 1]);
            self.followers[index].look(member.detector, states, &self.change);
            self.note_source(&member, &revisions);
            self.note(member.detector, revisions);
        }
        let states = &self.subjects[&seen.subject];
        let looking = members().filter(|it| *it.1.subject == seen.subject);
        let learned = looking.flat_map(|it| learned(it.1.detector, states, &self.change)).collect();
        self.learn(learned);
        self.follow_up();
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
        self.learn_again();
        self.follow_up();
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
        self.ask_what_is_open();
        self.conclude(zero.latest)
    }

    /// Says that nothing can be measured.
    pub fn broken(&mut self, error: ProbeError, now: Moment) -> Vec<Effect> {
        self.end(Outcome::ProbeError(error), now);
        std::mem::take(&mut self.effects)
    }

    /// Answers [`Effect::Ask`].
    pub fn answer(&mut self, revision: &Revision, ancestry: Ancestry, now: Moment) -> Vec<Effect> {
        if self.take_answer(revision, ancestry) {
            self.look_again();
            self.follow_up();
        }
        self.conclude(now)
    }

    /// Answers [`Effect::Settle`]; `unproven` are the subjects whose watch may be dead.
    pub fn settled(&mut self, unproven: &[Arc<Subject>], now: Moment) -> Vec<Effect> {
        let Settling::Asked { for_deadline } = self.settling else { return Vec::new() };
        self.settling = Settling::Idle;
        if for_deadline && self.take_answers_that_wait() {
            self.look_again();
            self.follow_up();
            self.take_instants();
        }
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
        if self.settling == Settling::Idle && (self.ended.is_none() || self.lingers_at(now)) {
            let for_deadline = self.ended.is_none() && now >= zero.latest + self.plan.deadline;
            if for_deadline || self.has_crossed(now) {
                self.settling = Settling::Asked { for_deadline };
                self.ask_once_more();
                self.effects.push(Effect::Settle);
            }
        }
        self.conclude(now)
    }

    /// When [`Run::tick`] should be called next; none while nothing depends on time.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Moment> {
        let zero = self.zero()?;
        let crossing = self.next_crossing().filter(|_| self.settling == Settling::Idle);
        let last = match &self.ended {
            Some((_, at)) => self.end_of_linger(*at),
            None if self.settling != Settling::Idle => return None,
            None => zero.latest + self.plan.deadline,
        };
        Some(crossing.map_or(last, |it| it.min(last)))
    }

    /// Whether nothing more can come of the run.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        self.ended.is_some() && !self.lingers_at(now)
    }

    /// Whether the outcome is fixed, and hops that were not seen may still be (rule P3).
    fn lingers_at(&self, now: Moment) -> bool {
        let Some((Outcome::Ok | Outcome::Slow, at)) = &self.ended else { return false };
        let complete =
            (0..self.plan.hops.len()).all(|it| self.has_reached(it) || self.followers[it].passed);
        !complete && now < self.end_of_linger(*at)
    }

    fn end_of_linger(&self, ended: Moment) -> Moment {
        let end = ended + LINGER;
        self.zero().map_or(ended, |it| end.min(it.latest + self.plan.deadline))
    }

    fn zero(&self) -> Option<When> {
        self.push.map(|it| it.zero)
    }

    fn end(&mut self, outcome: Outcome, now: Moment) {
        if self.ended.is_none() {
            if matches!(outcome, Outcome::Ok | Outcome::Slow) {
                self.took = self.delivered_in();
            }
            self.ended = Some((outcome, now));
            self.effects.push(Effect::Ended);
        }
    }

    /// How a hop was reached, as its own subject or a witness first shows it.
    fn reached(&self, hop: usize) -> Option<&Reached> {
        let members = self.plan.members().enumerate();
        let of_hop =
            members.filter(|it| matches!(it.1.of, Part::Hop(of) | Part::Witness(of) if of == hop));
        let reached = of_hop.filter_map(|(index, _)| self.followers[index].reached.as_ref());
        reached.min_by_key(|it| it.when.latest)
    }

    /// The subject of a follower, by its index.
    fn subject(&self, index: usize) -> Option<&Arc<Subject>> {
        self.plan.members().nth(index).map(|it| it.subject)
    }

    /// Shows all kept states again to whoever has not been reached (rule T8).
    fn look_again(&mut self) {
        let plan = Arc::clone(&self.plan);
        for (index, member) in plan.members().enumerate() {
            let states = &self.subjects[member.subject];
            let taken = matches!(member.of, Part::Hop(hop) | Part::Witness(hop) if self.taken[hop].is_some());
            if !taken {
                self.followers[index].reconsider(&self.change);
            }
            self.followers[index].look_again(member.detector, states, &self.change);
        }
    }

    /// Takes the instants of the hops that have just been reached, each once. One that was reached
    /// by a candidate waits until the candidate is confirmed, or nobody is left to do so.
    fn take_instants(&mut self) {
        self.take_reached();
        if self.look_back() {
            self.follow_up();
            self.take_reached();
        }
    }

    fn take_reached(&mut self) {
        let closed = self.ended.is_some() || self.is_delivered();
        for hop in 0..self.plan.hops.len() {
            if self.taken[hop].is_none()
                && let Some(reached) = self.reached(hop)
                && (closed || !self.is_open(reached))
            {
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

    /// The instant of a hop. Where it was reached by what had to be learned, it was no later than
    /// a hop behind it (rule T8), and may have come with an earlier revision that nobody could
    /// tell anything of (rule T6).
    fn capped(&self, hop: usize, reached: &Reached) -> When {
        let when = reached.when;
        let by_other = !matches!(reached.carried, Carried::Ours);
        if !by_other && !self.has_taught(hop) {
            return when;
        }
        let doubt = self.first_doubt(hop, when).filter(|_| by_other);
        let doubt = doubt.map_or(when.earliest, |it| it.earliest);
        let when = When { earliest: when.earliest.min(doubt), ..when };
        let instant = |it: usize| self.reached(it).map(|it| it.when.latest);
        let bounds = |it: &usize| self.plan.hops[*it].place.bounds_earlier_hops();
        let behind = self.plan.behind(hop).filter(bounds);
        match behind.filter_map(instant).min() {
            Some(cap) if cap < when.latest => {
                let began = self.change.began().unwrap_or(cap);
                When::between(if when.earliest < cap { when.earliest } else { began }, cap)
            }
            _ => when,
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
            self.send_on_errands();
        }
        std::mem::take(&mut self.effects)
    }
}

/// Drops the state that tells least: one that was followed by another before publish began, else
/// the first one since. What comes behind it is then no longer known to be the next.
fn forget_one(states: &mut Vec<State>, began: Option<Moment>) {
    let before = states.iter().take_while(|it| began.is_none_or(|began| it.when.latest < began));
    let index = match before.count() {
        before if before > 1 => 0,
        before => before,
    };
    let gone = states.remove(index);
    if index > 0
        && let Some(next) = states.get_mut(index)
    {
        next.when = When::between(gone.when.earliest, next.when.latest);
        next.arrival = Arrival::AfterGap;
    }
}
