//! Follows one detector through the states of its subject.
//!
//! A follower is a fold: shown the same states and the same change again, it says the same. That
//! is what makes late learning possible (rule T8): when a further revision is learned, the states
//! that were kept are simply shown once more to every follower that has not been reached.

use crate::hop::Detector;
use crate::model::{Change, Failure, Reached, Revision, Sighting, State, When};

/// What one detector has said so far.
#[derive(Debug, Default)]
pub(super) struct Follower {
    /// How the hop was reached. Invariant: once taken, it never moves.
    pub(super) reached: Option<Reached>,
    /// The hop cannot be reached any more.
    pub(super) passed: bool,
    /// Said to be reached before anything was pushed (rule T3).
    pub(super) already_true: bool,
    /// What the newest state says the subject does.
    pub(super) doing: Doing,
    /// The first failure that counted; kept whatever comes after it.
    pub(super) first_failure: Option<(String, When)>,
    /// The failure that stands (rule O1): success clears it, a retry does not.
    pub(super) standing: Option<Failure>,
    /// Whether the subject kept the change (rule P11).
    pub(super) hold: Hold,
}

/// What a subject does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Doing {
    #[default]
    Nothing,
    Work,
    /// It is suspended.
    Wait,
}

/// Whether a subject kept the change once it had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Hold {
    #[default]
    Kept,
    Lost,
    /// It lost the change, and has it again.
    Regained,
}

// === impl Follower ===

impl Follower {
    /// Takes in the last of `states`.
    pub(super) fn look(&mut self, detector: &dyn Detector, states: &[State], change: &Change) {
        let Some((now, past)) = states.split_last() else { return };
        if self.passed {
            return;
        }
        let sighting = detector.look(past, now, change);
        if self.reached.is_some() {
            self.hold = match (&sighting, self.hold) {
                (Sighting::Reached(_), Hold::Lost) => Hold::Regained,
                (Sighting::Reached(_), hold) => hold,
                _ if detector.has_lost(now, change) => Hold::Lost,
                (_, hold) => hold,
            };
            return;
        }
        let began = change.began().filter(|it| now.when.latest >= *it);
        self.doing = match sighting {
            Sighting::Suspended => Doing::Wait,
            Sighting::Progress => Doing::Work,
            _ => Doing::Nothing,
        };
        match sighting {
            Sighting::Reached(_) if began.is_none() => self.already_true = true,
            Sighting::Reached(reached) => {
                self.reached = Some(reached);
                self.standing = None;
            }
            Sighting::Passed => self.passed = began.is_some(),
            Sighting::NotYet => self.standing = None,
            Sighting::Progress | Sighting::Suspended => (),
            Sighting::Failing(failure) => {
                if began.is_some() {
                    self.first_failure.get_or_insert((failure.reason.clone(), now.when));
                }
                self.standing = Some(failure);
            }
        }
    }

    /// Says that publish begins: a failure that stands counts from there.
    pub(super) fn begin(&mut self, change: &Change) {
        if let (Some(failure), Some(began)) = (&self.standing, change.began()) {
            self.first_failure.get_or_insert((failure.reason.clone(), When::at(began)));
        }
    }

    /// Looks at all states again, because more is known of the change. Nothing that was taken
    /// moves; but a subject may turn out to have lost what it had.
    pub(super) fn look_again(
        &mut self,
        detector: &dyn Detector,
        states: &[State],
        change: &Change,
    ) {
        if self.reached.is_some() {
            self.look(detector, states, change);
            return;
        }
        *self = Self { already_true: self.already_true, ..Self::default() };
        let begins = change.began();
        let mut counted = false;
        for end in 1..=states.len() {
            let after = begins.is_some_and(|it| states[end - 1].when.latest >= it);
            if after && !counted {
                self.begin(change);
                counted = true;
            }
            self.look(detector, &states[..end], change);
        }
        if !counted {
            self.begin(change);
        }
    }

    /// What can be said now that a hop behind this one was reached; whether that is something.
    pub(super) fn look_back(
        &mut self,
        detector: &dyn Detector,
        states: &[State],
        next: When,
        change: &Change,
    ) -> bool {
        if self.reached.is_none()
            && !self.passed
            && let Sighting::Reached(reached) = detector.look_back(states, next, change)
        {
            self.reached = Some(reached);
            self.standing = None;
            return true;
        }
        false
    }

    /// What can still be said now that the run is over.
    pub(super) fn finish(&mut self, detector: &dyn Detector, states: &[State], change: &Change) {
        if self.reached.is_none()
            && !self.passed
            && let Sighting::Reached(reached) = detector.finish(states, change)
        {
            self.reached = Some(reached);
        }
    }

    /// Whether a revision was shown since publish began.
    pub(super) fn has_shown(
        detector: &dyn Detector,
        states: &[State],
        change: &Change,
        revision: &Revision,
    ) -> bool {
        let since = states.iter().rev().take_while(|it| Some(it.when.latest) >= change.began());
        since.into_iter().any(|it| detector.revisions(it).contains(revision))
    }
}
