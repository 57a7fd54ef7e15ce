//! What one run waits for: the checked, resolved form of a scenario, with its detectors built.

use crate::hop::{Bystander, Detector, Place};
use crate::model::{Requirement, Subject};
use std::sync::Arc;
use std::time::Duration;

/// What one run waits for.
///
/// Invariant: `after` and `until` name hops of the same plan, and `after` has no cycle.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name of the scenario.
    pub scenario: String,
    /// Time from zero after which a run is given up.
    pub deadline: Duration,
    /// Objective of the whole delivery, `slo.within`.
    pub within: Option<Duration>,
    /// Hop at which delivery ends, `slo.until`; none: where rule P4 says.
    pub until: Option<usize>,
    /// The hops, in the order of the scenario.
    pub hops: Vec<PlannedHop>,
    /// Members of the path without a hop of their own.
    pub bystanders: Vec<PlannedBystander>,
}

/// A hop that a run waits for.
#[derive(Clone, Debug)]
pub struct PlannedHop {
    /// Name, unique in the scenario.
    pub name: String,
    /// What is looked at.
    pub subject: Arc<Subject>,
    /// Where in the path the kind stands.
    pub place: Place,
    /// The hops that it comes after; empty: after the push.
    pub after: Vec<usize>,
    /// Its own objective, from zero.
    pub within: Option<Duration>,
    /// Whether the run waits for it.
    pub need: Requirement,
    /// Recognises the change.
    pub detector: Arc<dyn Detector>,
    /// Where else it may be seen, and earlier: a branch besides the object that pushes to it. The
    /// first sight counts.
    pub witnesses: Vec<Witness>,
}

/// A further subject that may show that a hop was passed.
#[derive(Clone, Debug)]
pub struct Witness {
    /// What is looked at.
    pub subject: Arc<Subject>,
    /// Recognises the change.
    pub detector: Arc<dyn Detector>,
}

/// A member of the path without a hop of its own.
#[derive(Clone, Debug)]
pub struct PlannedBystander {
    /// What is looked at.
    pub subject: Arc<Subject>,
    /// What sort of member it is.
    pub detector: Bystander,
}

/// Whoever looks at something.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    /// What is looked at.
    pub(crate) subject: &'a Arc<Subject>,
    /// What recognises the change there.
    pub(crate) detector: &'a dyn Detector,
    /// What its sightings mean.
    pub(crate) of: Part,
}

/// The part that a member plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It is the hop of this index.
    Hop(usize),
    /// It only stands in the way.
    Bystander,
    /// It may show the hop of this index earlier.
    Witness(usize),
}

// === impl Plan ===

impl Plan {
    /// The hops in words, each with its subject: what a run that is taken up again compares.
    #[must_use]
    pub fn path(&self) -> Vec<String> {
        self.hops.iter().map(|it| format!("{} at {}", it.name, it.subject)).collect()
    }

    /// Whether hop `other` is a transitive `after` of `hop`.
    #[must_use]
    pub fn comes_after(&self, hop: usize, other: usize) -> bool {
        self.hops[hop].after.iter().any(|&it| it == other || self.comes_after(it, other))
    }

    /// The hops that come after `hop`, transitively.
    pub fn behind(&self, hop: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.hops.len()).filter(move |&it| self.comes_after(it, hop))
    }

    /// The transitive `after`s of `hop`.
    pub fn before(&self, hop: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.hops.len()).filter(move |&it| self.comes_after(hop, it))
    }

    /// The hops at which delivery ends (rule P4): `slo.until`; else the required ones that are
    /// live; else the required appliers; else all that are required.
    #[must_use]
    pub fn ends(&self) -> Vec<usize> {
        if let Some(hop) = self.until {
            return vec![hop];
        }
        let choices: [fn(Place) -> bool; 3] =
            [Place::is_arrival, |place| place == Place::Apply, |_| true];
        let required = |fits: fn(Place) -> bool| -> Vec<usize> {
            let ends = |it: &PlannedHop| it.need != Requirement::Optional && fits(it.place);
            (0..self.hops.len()).filter(|&it| ends(&self.hops[it])).collect()
        };
        choices.map(required).into_iter().find(|it| !it.is_empty()).unwrap_or_default()
    }

    /// How far apart the bounds of an uncertain time may be for its upper bound to be observed
    /// (rule T6): a tenth of the objective, and a second where that is less.
    #[must_use]
    pub fn tolerance(&self) -> Duration {
        self.within.map_or(Duration::ZERO, |it| it / 10).max(Duration::from_secs(1))
    }

    /// Every subject that has to be watched, each once.
    #[must_use]
    pub fn subjects(&self) -> Vec<Arc<Subject>> {
        let mut all: Vec<_> = self.members().map(|it| it.subject.clone()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Whoever looks at something: the hops, in their order; then the bystanders; then the
    /// witnesses.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member<'_>> {
        let hops = self.hops.iter().enumerate().map(|(index, it)| Member {
            subject: &it.subject,
            detector: &*it.detector,
            of: Part::Hop(index),
        });
        let bystanders = self.bystanders.iter().map(|it| Member {
            subject: &it.subject,
            detector: &it.detector,
            of: Part::Bystander,
        });
        let witnesses = self.hops.iter().enumerate().flat_map(|(index, hop)| {
            hop.witnesses.iter().map(move |it| Member {
                subject: &it.subject,
                detector: &*it.detector,
                of: Part::Witness(index),
            })
        });
        hops.chain(bystanders).chain(witnesses)
    }
}
