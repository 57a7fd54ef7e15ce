//! Generates pipelines whose truth is known, and what can befall the news of them on their way.
//!
//! Commits follow each other on a branch: some that ours descends from, ours, some that carry it,
//! at last perhaps one that takes it away. The source fetches some of them, for this reason or
//! that; the applier tries, fails, tries again, and the object changes just before it reports.

use crate::engine::machine::Ancestry;
use crate::engine::machine::tests::script::{APPLIED, LIVE, SOURCE, plan};
use crate::engine::plan::Plan;
use crate::hop::tests::objects::{
    Object, canary, commit, config_map, kustomization, revision, source, webhook,
};
use crate::model::{Moment, Revision};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use std::time::Duration;

/// Publish begins here, in milliseconds.
pub(super) const BEGAN: u64 = 10_000;

/// What truly happened.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    /// When the push was acknowledged.
    pub(super) acknowledged: Moment,
    /// What each subject showed, and when: 0 the source, 1 the applier, 2 the object.
    pub(super) shown: [Vec<(Moment, Object)>; 3],
    commits: Vec<Commit>,
    within: Option<u64>,
    truth: [Option<Moment>; 3],
}

/// What befalls the news: all of it is allowed to happen to a watch.
#[derive(Clone, Debug)]
pub(super) struct Turbulence {
    /// How late each subject's states are taken in, in milliseconds.
    pub(super) delays: [u64; 3],
    /// Which states arrive twice.
    pub(super) twice: Vec<bool>,
    /// Subject, first state and number of states that a gap swallows, and how late it is closed.
    pub(super) gaps: Vec<(usize, usize, usize, u64)>,
    /// How long each answer takes, and whether nothing was found out.
    pub(super) answers: Vec<(u64, bool)>,
    /// How long each settling takes, and which subject is not proven, if one of the three.
    pub(super) settles: Vec<(u64, usize)>,
    /// Ticks that nobody asked for.
    pub(super) ticks: Vec<u64>,
    /// The answer to the push was lost: zero is the interval since it was sent.
    pub(super) zero_is_uncertain: bool,
    /// The run is stopped from outside after so many steps.
    pub(super) stop_after: Option<usize>,
}

/// One commit of the branch, and what became of it.
#[derive(Clone, Debug)]
struct Commit {
    letter: char,
    sort: Sort,
    canary: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Ancestor,
    Ours,
    Carrier,
    Revert,
}

/// How one commit goes through the pipeline.
#[derive(Clone, Debug)]
struct Step {
    is_fetched: bool,
    is_applied: bool,
    has_canary: bool,
    pause: u64,
    work: u64,
    wake: usize,
    failures: usize,
}

/// What the subjects show at the moment, and what they have shown.
struct Story {
    now: u64,
    source: Object,
    applier: Object,
    shown: [Vec<(Moment, Object)>; 3],
}

// === impl Pipeline ===

impl Pipeline {
    /// The plan of a run through it.
    pub(super) fn plan(&self) -> Plan {
        let mut plan = plan();
        plan.within = self.within.map(Duration::from_secs);
        plan.hops[APPLIED].within = self.within.map(|it| Duration::from_secs(it / 2));
        plan
    }

    /// When each hop was truly reached.
    pub(super) fn truth(&self) -> [(usize, Option<Moment>); 3] {
        [(SOURCE, self.truth[0]), (APPLIED, self.truth[1]), (LIVE, self.truth[2])]
    }

    /// What the repository says of a commit.
    pub(super) fn ancestry(&self, revision: &Revision) -> Ancestry {
        let found = self.commits.iter().find(|it| commit(it.letter) == *revision).unwrap();
        match found.sort {
            Sort::Ancestor | Sort::Ours => Ancestry::NotYet,
            Sort::Carrier => Ancestry::Carries((found.canary > 100).then(|| canary(found.canary))),
            Sort::Revert => Ancestry::Gone,
        }
    }

    fn new(acknowledged: u64, within: Option<u64>, suspended: bool, steps: &[Step]) -> Self {
        let mut story = Story::new();
        let (mut truth, mut commits, mut held) = ([None; 3], Vec::new(), 1);
        for (index, step) in steps.iter().enumerate() {
            let (letter, sort) = [
                ('1', Sort::Ancestor),
                ('c', Sort::Ours),
                ('5', Sort::Carrier),
                ('6', Sort::Carrier),
                ('7', Sort::Carrier),
                ('9', Sort::Revert),
            ][index];
            held = match sort {
                Sort::Ancestor | Sort::Revert => 1,
                Sort::Ours => 100,
                Sort::Carrier if step.has_canary => 99 + index as u64,
                Sort::Carrier => held,
            };
            commits.push(Commit { letter, sort, canary: held });
            if sort == Sort::Ours {
                story.now = story.now.max(BEGAN);
            }
            let reached = story.play(step, letter, held);
            if matches!(sort, Sort::Ours | Sort::Carrier) {
                for (truth, reached) in truth.iter_mut().zip(reached) {
                    *truth = truth.or(reached);
                }
            }
        }
        if suspended {
            story.now += 500;
            story.source = story.source.clone().suspended();
            story.show_source();
        }
        let acknowledged = ms(BEGAN + acknowledged);
        Self { acknowledged, shown: story.shown, commits, within, truth }
    }
}

// === impl Story ===

impl Story {
    fn new() -> Self {
        let shown = [source(), kustomization(), config_map(1)].map(|it| vec![(ms(1_000), it)]);
        Self { now: 9_000, source: source(), applier: kustomization(), shown }
    }

    /// Brings a commit as far as it goes; says when it got to source, applier and object.
    fn play(&mut self, step: &Step, letter: char, canary: u64) -> [Option<Moment>; 3] {
        if !step.is_fetched {
            return [None; 3];
        }
        self.now += step.pause;
        self.fetch(step, letter);
        let fetched = Some(ms(self.now));
        if !step.is_applied {
            return [fetched, None, None];
        }
        self.now += 30;
        let message = format!("Fetching manifests for revision {}", revision(letter));
        self.applier = self.applier.clone().reconciling(&message).ready("Unknown", "Progressing");
        self.show_applier();
        for _ in 0..step.failures {
            self.now += step.work;
            self.applier = self.applier.clone().attempted(letter).ready("False", "BuildFailed");
            self.show_applier();
        }
        self.now += step.work;
        let live = ms(self.now);
        self.shown[2].push((live, config_map(canary)));
        self.now += 10;
        self.applier = kustomization().applied(letter);
        self.show_applier();
        [fetched, Some(ms(self.now)), Some(live)]
    }

    fn fetch(&mut self, step: &Step, letter: char) {
        let second = u32::try_from(self.now / 1_000 % 60).unwrap();
        let request = match step.wake {
            0 => None,
            1 => Some(webhook(second)),
            _ => Some(format!("2026-11-21T02:19:{second:02}.{:03}Z", self.now % 1_000)),
        };
        if let Some(request) = &request {
            self.source = self.source.clone().requested(request);
            self.show_source();
            self.now += 20;
            self.source = self.source.clone().reconciling("reconciliation in progress");
            self.show_source();
        }
        for _ in 0..step.failures / 2 {
            self.now += step.work;
            self.source = self.source.clone().ready("False", "GitOperationFailed");
            self.show_source();
        }
        self.now += step.work;
        let idle = self.source.clone().condition("Reconciling", "False", "Succeeded");
        self.source = idle.ready("True", "Succeeded").artifact(letter);
        if let Some(request) = &request {
            self.source = self.source.clone().handled(request);
        }
        self.show_source();
    }

    fn show_source(&mut self) {
        self.shown[0].push((ms(self.now), self.source.clone()));
    }

    fn show_applier(&mut self) {
        self.shown[1].push((ms(self.now), self.applier.clone()));
    }
}

// === impl Turbulence ===

impl Turbulence {
    /// Everything arrives at once, in order, and is answered at once.
    pub(super) fn none() -> Self {
        Self {
            delays: [0; 3],
            twice: Vec::new(),
            gaps: Vec::new(),
            answers: Vec::new(),
            settles: Vec::new(),
            ticks: Vec::new(),
            zero_is_uncertain: false,
            stop_after: None,
        }
    }
}

/// Any pipeline.
pub(super) fn pipelines() -> impl Strategy<Value = Pipeline> {
    let steps = vec(step(), 2..=6);
    let within = proptest::option::of(2_u64..59);
    (1_u64..6_000, within, proptest::bool::weighted(0.2), steps).prop_map(
        |(acknowledged, within, suspended, steps)| {
            Pipeline::new(acknowledged, within, suspended, &steps)
        },
    )
}

/// Any turbulence.
pub(super) fn turbulences() -> impl Strategy<Value = Turbulence> {
    let delays = [0_u64..3_000, 0..3_000, 0..3_000];
    let gaps = vec((0_usize..3, 1_usize..12, 1_usize..5, 0_u64..5_000), 0..4);
    let answers = vec((0_u64..20_000, proptest::bool::weighted(0.25)), 0..6);
    let settles = vec((0_u64..5_000, 0_usize..8), 0..4);
    let ticks = vec(9_000_u64..90_000, 0..6);
    let twice = vec(any::<bool>(), 0..40);
    (delays, twice, gaps, answers, settles, ticks, any::<bool>()).prop_map(
        |(delays, twice, gaps, answers, settles, ticks, zero_is_uncertain)| Turbulence {
            delays,
            twice,
            gaps,
            answers,
            settles,
            ticks,
            zero_is_uncertain,
            stop_after: None,
        },
    )
}

pub(super) fn ms(milliseconds: u64) -> Moment {
    Moment(Duration::from_millis(milliseconds))
}

fn step() -> impl Strategy<Value = Step> {
    let likely = || proptest::bool::weighted(0.8);
    (likely(), likely(), any::<bool>(), 1_u64..12_000, 1_u64..4_000, 0_usize..3, 0_usize..4)
        .prop_map(|(is_fetched, is_applied, has_canary, pause, work, wake, failures)| Step {
            is_fetched,
            is_applied,
            has_canary,
            pause,
            work,
            wake,
            failures,
        })
}
