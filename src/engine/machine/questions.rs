//! Asks whose revisions they are that subjects show, and takes the answers in order (rule T9).
//!
//! Nothing is asked before the push is acknowledged: until then the remote's tip cannot carry our
//! change, and what somebody else pushed in between may become the base of our next attempt.
//! Answers are taken in the order of the questions, so that a hop is never reached by a later
//! carrier while an earlier one is still being asked for.

use crate::engine::machine::{Ancestry, Effect, Run};
use crate::model::{Carrier, Revision, When};
use std::collections::BTreeMap;

/// What was asked, and what is known.
#[derive(Debug, Default)]
pub(super) struct Questions {
    answers: BTreeMap<Revision, Option<Ancestry>>,
    /// Those whose answers were not taken yet, in the order in which they were shown.
    open: Vec<Revision>,
}

// === impl Questions ===

impl Questions {
    /// Whether everything was answered.
    pub(super) fn are_answered(&self) -> bool {
        !self.answers.values().any(|it| is_doubtful(it.as_ref()))
    }

    /// The revisions that came instead of ours.
    pub(super) fn gone(&self) -> impl Iterator<Item = &Revision> {
        self.answers.iter().filter(|it| *it.1 == Some(Ancestry::Gone)).map(|it| it.0)
    }
}

// === impl Run ===

impl Run {
    /// Keeps or asks for the revisions that a state shows.
    pub(super) fn note(&mut self, revisions: Vec<Revision>) {
        for revision in revisions {
            if self.change.began().is_none() {
                self.change.dismiss(revision);
                continue;
            }
            let known = self.change.carried(&revision).is_some()
                || self.change.is_stranger(&revision)
                || self.questions.answers.contains_key(&revision);
            let waiting = (0..self.plan.hops.len()).any(|it| self.is_waited_for(it));
            let may_ask = !self.change.ours().is_empty() && self.ended.is_none() && waiting;
            if !known && may_ask {
                self.questions.answers.insert(revision.clone(), None);
                self.questions.open.push(revision.clone());
                if self.push.is_some() {
                    self.effects.push(Effect::Ask(revision));
                }
            }
        }
    }

    /// Asks what had to wait for the acknowledgement.
    pub(super) fn ask_what_is_open(&mut self) {
        let change = &self.change;
        self.questions.open.retain(|it| change.carried(it).is_none());
        let open = &self.questions.open;
        self.questions.answers.retain(|it, answer| answer.is_some() || open.contains(it));
        self.effects.extend(open.iter().cloned().map(Effect::Ask));
    }

    /// Asks once more what could not be found out.
    pub(super) fn ask_once_more(&mut self) {
        for (revision, answer) in &mut self.questions.answers {
            if *answer == Some(Ancestry::Unknown) {
                *answer = None;
                if !self.questions.open.contains(revision) {
                    self.questions.open.push(revision.clone());
                }
                self.effects.push(Effect::Ask(revision.clone()));
            }
        }
    }

    /// Takes an answer; says whether more is known of the change. The first one that says
    /// something counts.
    pub(super) fn take_answer(&mut self, revision: &Revision, ancestry: Ancestry) -> bool {
        let known = self.questions.answers.get_mut(revision).filter(|it| is_doubtful(it.as_ref()));
        let Some(answer) = known else { return false };
        *answer = Some(ancestry);
        let is_open = |it: &Revision| matches!(self.questions.answers.get(it), Some(None));
        let unanswered = self.questions.open.iter().position(is_open);
        let ready = unanswered.unwrap_or(self.questions.open.len());
        self.take_first(ready)
    }

    /// Takes the answers that wait for an earlier one which did not come.
    pub(super) fn take_answers_that_wait(&mut self) -> bool {
        self.take_first(self.questions.open.len())
    }

    /// The first state of a hop's subject before `when` that shows a revision of which nobody
    /// could tell anything.
    pub(super) fn first_doubt(&self, hop: usize, when: When) -> Option<When> {
        let (subject, detector) = self.member(hop);
        let began = self.change.began()?;
        let doubtful = |it: &Revision| {
            self.questions.answers.get(it).is_some_and(|it| is_doubtful(it.as_ref()))
        };
        let states = self.subjects[&subject].iter().map(|it| (it.when, detector.revisions(it)));
        let mut before = states.filter(|it| it.0.latest >= began && it.0.latest < when.latest);
        before.find(|it| it.1.iter().any(doubtful)).map(|it| it.0)
    }

    fn take_first(&mut self, count: usize) -> bool {
        let mut learned = false;
        for revision in self.questions.open.drain(..count) {
            match self.questions.answers.get(&revision) {
                Some(Some(Ancestry::Carries(canary))) => {
                    self.change.learn(Carrier { revision, canary: canary.clone() });
                    learned = true;
                }
                Some(Some(Ancestry::NotYet | Ancestry::Gone)) => {
                    self.change.dismiss(revision);
                    learned = true;
                }
                _ => (),
            }
        }
        learned
    }
}

fn is_doubtful(answer: Option<&Ancestry>) -> bool {
    matches!(answer, None | Some(Ancestry::Unknown))
}
