//! Leads a run through a generated pipeline as a driver would, and notes all that it says.

use crate::engine::machine::tests::pipeline::{BEGAN, Pipeline, Turbulence, ms};
use crate::engine::machine::tests::script::{applier_subject, live_subject, source_subject};
use crate::engine::machine::{Ancestry, Effect, Run, Start};
use crate::hop::tests::objects::{canary, commit};
use crate::model::{
    Arrival, Moment, Outcome, Revision, RunRecord, Seen, SloVerdict, State, Subject, When,
};
use std::sync::Arc;

/// What a run said, and what became of it.
pub(super) struct Witness {
    pub(super) run: Run,
    pub(super) record: RunRecord,
    /// When it was over.
    pub(super) end: Moment,
    /// How often an instant that was taken moved.
    pub(super) moved: usize,
    /// The hops that it said were reached.
    pub(super) reached: Vec<usize>,
    /// How often it said that it had ended.
    pub(super) ended: usize,
    /// The different outcomes that it showed on the way.
    pub(super) outcomes: Vec<Outcome>,
    pub(super) counted: Vec<(String, SloVerdict)>,
    /// It wanted to be woken again and again.
    pub(super) spun: bool,
}

/// What lies ahead.
#[derive(Clone, Debug)]
enum Ahead {
    See(usize, State),
    Publish,
    Answer(Revision, Ancestry),
    Settled(usize),
    Tick,
}

struct Driver<'a> {
    pipeline: &'a Pipeline,
    turbulence: &'a Turbulence,
    run: Run,
    subjects: [Arc<Subject>; 3],
    ahead: Vec<(Moment, Ahead)>,
    said: Vec<Effect>,
    asked: usize,
    settled: usize,
    taken: Vec<Option<When>>,
    moved: usize,
    outcomes: Vec<Outcome>,
}

/// Leads a run through a pipeline to its end.
pub(super) fn follow(pipeline: &Pipeline, turbulence: &Turbulence) -> Witness {
    let mut driver = Driver::new(pipeline, turbulence);
    let (mut now, mut woken, mut steps) = (ms(9_999), 0, 0);
    driver.prepare();
    while !driver.run.is_over(now) && turbulence.stop_after.is_none_or(|it| steps < it) {
        let wake = driver.run.wakes_at();
        let Some(next) = driver.ahead.iter().map(|it| it.0).chain(wake).min() else { break };
        now = now.max(next);
        woken += 1;
        if wake == Some(next) {
            let effects = driver.run.tick(now);
            driver.carry_out(effects, now);
        } else {
            let index = driver.ahead.iter().position(|it| it.0 == next).unwrap();
            let (_, ahead) = driver.ahead.remove(index);
            driver.meet(ahead, now);
        }
        steps += 1;
        if woken > 2_000 {
            break;
        }
    }
    driver.finish(now, woken > 2_000)
}

// === impl Driver ===

impl<'a> Driver<'a> {
    fn new(pipeline: &'a Pipeline, turbulence: &'a Turbulence) -> Self {
        let run = Run::new(Arc::new(pipeline.plan()), canary(100));
        let subjects = [source_subject(), applier_subject(), live_subject()].map(Arc::new);
        let mut ahead: Vec<_> = (0..3).flat_map(|it| news(pipeline, turbulence, it)).collect();
        ahead.push((pipeline.acknowledged, Ahead::Publish));
        ahead.extend(turbulence.ticks.iter().map(|it| (ms(*it), Ahead::Tick)));
        ahead.sort_by_key(|it| it.0);
        Self {
            taken: run.taken.clone(),
            pipeline,
            turbulence,
            run,
            subjects,
            ahead,
            said: Vec::new(),
            asked: 0,
            settled: 0,
            moved: 0,
            outcomes: Vec::new(),
        }
    }

    /// Shows what stood there before the push, and begins it.
    fn prepare(&mut self) {
        let (before, ahead) = self.ahead.drain(..).partition(|it| it.0 < ms(BEGAN));
        self.ahead = ahead;
        let before: Vec<(Moment, Ahead)> = before;
        for (at, it) in before {
            self.meet(it, at);
        }
        assert_eq!(self.run.start(ms(9_999)), Start::Go);
        let effects = self.run.announce(vec![commit('c')]);
        self.carry_out(effects, ms(9_999));
        self.run.begin(ms(BEGAN));
    }

    fn meet(&mut self, ahead: Ahead, now: Moment) {
        let effects = match ahead {
            Ahead::See(subject, state) => {
                self.run.seen(&Seen { subject: self.subjects[subject].clone(), state })
            }
            Ahead::Publish => {
                let sent = ms(BEGAN);
                let uncertain = self.turbulence.zero_is_uncertain;
                let earliest = if uncertain { sent } else { now };
                self.run.published(sent, When::between(earliest, now), 1)
            }
            Ahead::Answer(revision, ancestry) => self.run.answer(&revision, ancestry, now),
            Ahead::Settled(unproven) => {
                self.show_what_was_missed(unproven, now);
                let unproven: Vec<_> = self.subjects.get(unproven).cloned().into_iter().collect();
                self.run.settled(&unproven, now)
            }
            Ahead::Tick => self.run.tick(now),
        };
        self.carry_out(effects, now);
    }

    fn show_what_was_missed(&mut self, unproven: usize, now: Moment) {
        let is_due = |it: &Ahead| matches!(it, Ahead::See(subject, state) if *subject != unproven && state.when.latest <= now);
        let (due, ahead) = self.ahead.drain(..).partition(|it| is_due(&it.1));
        self.ahead = ahead;
        let due: Vec<(Moment, Ahead)> = due;
        for (_, it) in due {
            self.meet(it, now);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>, now: Moment) {
        for (before, after) in self.taken.iter().zip(&self.run.taken) {
            self.moved += usize::from(before.is_some() && before != after);
        }
        self.taken.clone_from(&self.run.taken);
        if let Some(outcome) = self.run.outcome()
            && self.outcomes.last() != Some(outcome)
        {
            self.outcomes.push(outcome.clone());
        }
        for effect in &effects {
            match effect {
                Effect::Ask(revision) => self.ask(revision, now),
                Effect::Settle => {
                    let known = self.turbulence.settles.get(self.settled).copied();
                    let (delay, unproven) = known.unwrap_or((0, 9));
                    self.settled += 1;
                    self.plan(now + ms(delay).0, Ahead::Settled(unproven));
                }
                Effect::Errand(..) | Effect::Reached(_) | Effect::Count(..) | Effect::Ended => (),
            }
        }
        self.said.extend(effects);
    }

    fn ask(&mut self, revision: &Revision, now: Moment) {
        let known = self.turbulence.answers.get(self.asked).copied();
        let (delay, unknown) = known.unwrap_or((0, false));
        self.asked += 1;
        let truth = self.pipeline.ancestry(revision);
        let ancestry = if unknown { Ancestry::Unknown } else { truth };
        if delay == 0 {
            let effects = self.run.answer(revision, ancestry, now);
            self.carry_out(effects, now);
        } else {
            self.plan(now + ms(delay).0, Ahead::Answer(revision.clone(), ancestry));
        }
    }

    fn plan(&mut self, at: Moment, ahead: Ahead) {
        let index = self.ahead.partition_point(|it| it.0 <= at);
        self.ahead.insert(index, (at, ahead));
    }

    fn finish(mut self, end: Moment, spun: bool) -> Witness {
        let (record, effects) = self.run.finish(jiff::Timestamp::UNIX_EPOCH, end);
        self.carry_out(effects, end);
        let reached = |it: &Effect| if let Effect::Reached(hop) = it { Some(*hop) } else { None };
        let counted = |it: &Effect| match it {
            Effect::Count(slo, verdict) => Some((slo.clone(), *verdict)),
            _ => None,
        };
        Witness {
            end,
            moved: self.moved,
            reached: self.said.iter().filter_map(reached).collect(),
            ended: self.said.iter().filter(|it| **it == Effect::Ended).count(),
            outcomes: self.outcomes,
            counted: self.said.iter().filter_map(counted).collect(),
            run: self.run,
            record,
            spun,
        }
    }
}

/// The states of a subject as they arrive, each with the moment at which it is taken in.
fn news(pipeline: &Pipeline, turbulence: &Turbulence, subject: usize) -> Vec<(Moment, Ahead)> {
    let shown = &pipeline.shown[subject];
    let mut states: Vec<Option<State>> = shown
        .iter()
        .enumerate()
        .map(|(index, it)| {
            let arrival = if index == 0 { Arrival::First } else { Arrival::Next };
            let value = Arc::new(it.1.clone().into_value());
            Some(State { when: When::at(it.0), arrival, value })
        })
        .collect();
    for &(_, from, length, late) in turbulence.gaps.iter().filter(|it| it.0 == subject) {
        swallow(&mut states, from, length, late);
    }
    let delay = turbulence.delays[subject];
    let mut news = Vec::new();
    for (index, state) in states.into_iter().enumerate() {
        let Some(state) = state else { continue };
        let late = if state.when.latest < ms(BEGAN) { 0 } else { delay };
        let at = state.when.latest + ms(late).0;
        let copies = if turbulence.twice.get(index) == Some(&true) { 2 } else { 1 };
        news.extend(std::iter::repeat_n((at, Ahead::See(subject, state)), copies));
    }
    news
}

/// Loses some states in a row, and shows the last of them late and within bounds.
fn swallow(states: &mut [Option<State>], from: usize, length: usize, late: u64) {
    let last = (from + length - 1).min(states.len().saturating_sub(1));
    if from == 0 || from > last || states[from..=last].iter().any(Option::is_none) {
        return;
    }
    let Some(before) = states[..from].iter().rev().flatten().next() else { return };
    let since = before.when.latest;
    let shown = states[last].clone().unwrap();
    let limit = states[last + 1..].iter().flatten().next().map(|it| it.when.earliest);
    let until = shown.when.latest + ms(late).0;
    let until = limit.map_or(until, |it| until.min(it)).max(shown.when.latest);
    states[from..last].fill(None);
    let when = When::between(since, until);
    states[last] = Some(State { when, arrival: Arrival::AfterGap, ..shown });
}
