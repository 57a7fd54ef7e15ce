//! Asks whose revisions they are that subjects show, and takes the answers in order (rule T9).
//!
//! Nothing is asked before the push is acknowledged: until then the remote's tip cannot carry our
//! change, and what somebody else pushed in between may become the base of our next attempt.
//! Answers are taken in the order of the questions, so that a hop is never reached by a later
//! carrier while an earlier one is still being asked for.

use crate::engine::machine::{Ancestry, Effect, Run};
use crate::engine::plan::PlannedHop;
use crate::hop::Detector;
use crate::model::{Carrier, Revision, When};

/// What was asked, in the order in which it was shown, and what is known.
#[derive(Debug, Default)]
pub(super) struct Questions(Vec<Question>);

#[derive(Debug)]
struct Question {
    revision: Revision,
    answer: Option<Ancestry>,
    /// The change knows of the answer.
    is_taken: bool,
}

// === impl Question ===

impl Question {
    /// Whether there is no answer that says something.
    fn is_open(&self) -> bool {
        matches!(self.answer, None | Some(Ancestry::Unknown))
    }
}

// === impl Questions ===

impl Questions {
    /// Whether everything was answered.
    pub(super) fn are_answered(&self) -> bool {
        !self.0.iter().any(Question::is_open)
    }

    /// The revisions that came instead of ours.
    pub(super) fn gone(&self) -> impl Iterator<Item = &Revision> {
        self.0.iter().filter(|it| it.answer == Some(Ancestry::Gone)).map(|it| &it.revision)
    }

    fn of(&self, revision: &Revision) -> Option<&Question> {
        self.0.iter().find(|it| it.revision == *revision)
    }
}

// === impl Run ===

impl Run {
    /// Keeps or asks for the revisions that a state shows.
    pub(super) fn note(&mut self, detector: &dyn Detector, revisions: Vec<Revision>) {
        for revision in revisions {
            if self.change.began().is_none() {
                self.change.dismiss(revision);
                continue;
            }
            let known = self.change.carried(&revision).is_some()
                || self.change.is_stranger(&revision)
                || self.questions.of(&revision).is_some();
            if detector.supposes(&revision, &self.change) {
                continue;
            }
            let waiting = (0..self.plan.hops.len()).any(|it| self.is_waited_for(it));
            let may_ask = self.change.knows_sort_of(&revision) && self.ended.is_none() && waiting;
            if !known && may_ask {
                if self.push.is_some() {
                    self.effects.push(Effect::Ask(revision.clone()));
                }
                self.questions.0.push(Question { revision, answer: None, is_taken: false });
            }
        }
    }

    /// Asks what had to wait for the acknowledgement.
    pub(super) fn ask_what_is_open(&mut self) {
        let change = &self.change;
        self.questions.0.retain(|it| change.carried(&it.revision).is_none());
        self.effects.extend(self.questions.0.iter().map(|it| Effect::Ask(it.revision.clone())));
    }

    /// Asks once more what could not be found out.
    pub(super) fn ask_once_more(&mut self) {
        for question in &mut self.questions.0 {
            if question.answer == Some(Ancestry::Unknown) {
                question.answer = None;
                self.effects.push(Effect::Ask(question.revision.clone()));
            }
        }
    }

    /// Takes an answer; says whether more is known of the change. The first one that says
    /// something counts.
    pub(super) fn take_answer(&mut self, revision: &Revision, ancestry: Ancestry) -> bool {
        let mut asked = self.questions.0.iter_mut();
        let Some(question) = asked.find(|it| it.revision == *revision && it.is_open()) else {
            return false;
        };
        question.answer = Some(ancestry);
        let unanswered = self.questions.0.iter().position(|it| it.answer.is_none());
        self.take_first(unanswered.unwrap_or(self.questions.0.len()))
    }

    /// Takes the answers that wait for an earlier one which did not come.
    pub(super) fn take_answers_that_wait(&mut self) -> bool {
        self.take_first(self.questions.0.len())
    }

    /// The first state of a hop's subject up to `when` that shows a revision of which nobody
    /// could tell anything.
    pub(super) fn first_doubt(&self, hop: usize, when: When) -> Option<When> {
        let PlannedHop { subject, detector, .. } = self.plan.hops.get(hop)?;
        let began = self.change.began()?;
        let doubtful = |it: &Revision| self.questions.of(it).is_some_and(|it| !it.is_taken);
        let states = self.subjects[subject].iter().map(|it| (it.when, detector.revisions(it)));
        let mut before = states.filter(|it| it.0.latest >= began && it.0.latest <= when.latest);
        before.find(|it| it.1.iter().any(doubtful)).map(|it| it.0)
    }

    fn take_first(&mut self, count: usize) -> bool {
        let mut learned = false;
        let first = self.questions.0.iter_mut().take(count);
        for question in first.filter(|it| !it.is_taken && !it.is_open()) {
            let revision = question.revision.clone();
            match &question.answer {
                Some(Ancestry::Carries(canary)) => {
                    self.change.learn(Carrier { revision, canary: canary.clone() });
                }
                _ => self.change.dismiss(revision),
            }
            question.is_taken = true;
            learned = true;
        }
        learned
    }
}
