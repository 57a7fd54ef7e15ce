//! How long a change will wait on its way, and whether its objectives can be met at all.
//!
//! Only waits can be planned: who wakes whom and how often somebody looks stands in the cluster,
//! what fetching, building and applying take does not. That comes on top, and is said so.

mod approach;
mod stage;
mod verdict;
mod wait;

#[cfg(test)]
mod tests;

use crate::model::Subject;
use crate::path::graph::Graph;
use approach::Approach;
use std::collections::BTreeSet;
use std::time::Duration;

pub use stage::{By, Stage, shown};
pub use verdict::{Case, Met, Prospect, Verdict};
pub use wait::{Sum, Wait};

/// What is to be planned.
#[derive(Clone, Debug)]
pub struct Course {
    /// The hops of a scenario.
    pub legs: Vec<Leg>,
    /// The object whose remote is changed, where the scenario says which.
    pub entry: Option<Subject>,
    /// The hop at which push-to-apply ends, where the scenario says so.
    pub until: Option<usize>,
    /// The objective from push to live.
    pub within: Option<Duration>,
    /// Share of the changes that should hold each objective.
    pub objective: f64,
    /// How long a run looks for its change.
    pub deadline: Duration,
    /// The longest random delay of a run, if it has a schedule and says one.
    pub jitter: Option<Duration>,
    /// After how long an applier asks again for what it depends on.
    pub requeue: Duration,
}

/// A hop of a scenario, as far as a plan has to know it.
#[derive(Clone, Debug)]
pub struct Leg {
    /// Its name.
    pub name: String,
    /// What it is for the change.
    pub sort: Sort,
    /// What is looked at.
    pub subject: Subject,
    /// The hops before it.
    pub after: Vec<usize>,
    /// Its own objective.
    pub within: Option<Duration>,
    /// Whether a run needs it.
    pub needed: bool,
}

/// What a hop is for the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Somebody is asked to look.
    Request,
    /// An object of Flux has taken the change.
    Member,
    /// Somebody merges the change.
    Merge,
    /// The change is in the cluster.
    Arrival,
    /// Something else follows from it.
    Other,
}

/// What a change will wait for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The hops, as the scenario lists them.
    pub hops: Vec<PlannedHop>,
    /// From the push to its end: as it should be, and what it becomes if webhooks are lost, where
    /// that makes a difference. None of an end that cannot be planned.
    pub total: Vec<(Case, Option<Sum>)>,
    /// Name of the hop at which push-to-apply ends.
    pub end: String,
    /// What becomes of each objective.
    pub verdicts: Vec<Verdict>,
    /// What whoever runs the scenario has to know, a sentence each.
    pub warnings: Vec<String>,
    /// Members of the path that were not seen: a run would not begin (rule P6).
    pub missing: Vec<Subject>,
}

/// A hop of a plan.
#[derive(Clone, Debug)]
pub struct PlannedHop {
    /// Its name.
    pub name: String,
    /// What is looked at.
    pub subject: Subject,
    /// What the change waits for since the hops before, in its order.
    pub stages: Vec<Stage>,
    /// Since the push: as it should be, and with lost webhooks. None of what cannot be planned.
    pub since_push: [Option<Sum>; 2],
}

/// The waits since the push, as they should be and with lost webhooks.
type Chains = [Vec<Option<Wait>>; 2];

// === impl Plan ===

impl Plan {
    /// Plans a course through an installed pipeline.
    #[must_use]
    pub fn of(graph: &Graph, course: &Course) -> Self {
        let stages: Vec<_> = (0..course.legs.len()).map(|it| stages(graph, course, it)).collect();
        let mut chains: Vec<Option<Chains>> = vec![None; course.legs.len()];
        for at in 0..course.legs.len() {
            chain(course, &stages, &mut chains, at);
        }
        let chains: Vec<Chains> = chains.into_iter().map(Option::unwrap_or_default).collect();
        let sums: Vec<_> = chains.iter().map(|it| [sum(&it[0]), sum(&it[1])]).collect();
        let end = end(course, &chains);
        let hops = course.legs.iter().zip(stages).zip(&sums);
        let hops: Vec<_> = hops
            .map(|((leg, stages), sums)| PlannedHop {
                name: leg.name.clone(),
                subject: leg.subject.clone(),
                stages,
                since_push: sums.clone(),
            })
            .collect();
        let cases = |at: usize| verdict::cases(&sums[at], chains[at][0] != chains[at][1]);
        let total = end.map(cases).unwrap_or_default();
        let mut verdicts = Vec::new();
        let spared = |at: usize| verdict::spared(&hops, course, at);
        if let (Some(within), Some(at)) = (course.within, end) {
            let it = Verdict::of("total", within, course.objective, &total, spared(at).as_deref());
            verdicts.push(it);
        }
        for (at, leg) in course.legs.iter().enumerate().filter(|it| it.1.sort != Sort::Request) {
            let of = |within| {
                Verdict::of(&leg.name, within, course.objective, &cases(at), spared(at).as_deref())
            };
            verdicts.extend(leg.within.map(of));
        }
        let warnings = verdict::warnings(graph, course, &hops, &total);
        let end = end.map(|it| course.legs[it].name.clone()).unwrap_or_default();
        let missing = missing(graph, course);
        Self { hops, total, end, verdicts, warnings, missing }
    }

    /// Whether there is an objective that cannot be met, even if every webhook arrives.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        let first = |it: &Verdict| it.cases.first().is_some_and(|it| it.met == Met::Not);
        self.verdicts.iter().any(first)
    }
}

/// Members of the path that the scenario names and nobody has seen.
fn missing(graph: &Graph, course: &Course) -> Vec<Subject> {
    let members = course.legs.iter().filter(|it| matches!(it.sort, Sort::Request | Sort::Member));
    let named: BTreeSet<_> = members.map(|it| &it.subject).chain(&course.entry).collect();
    named.into_iter().filter(|it| graph.node(it).is_none()).cloned().collect()
}

/// What the change waits for at a hop, since those before it.
fn stages(graph: &Graph, course: &Course, at: usize) -> Vec<Stage> {
    let leg = &course.legs[at];
    let mut before = BTreeSet::new();
    gather(course, at, &mut before);
    let of = |sort: fn(Sort) -> bool| {
        let all = before.iter().map(|it| &course.legs[*it]).filter(move |it| sort(it.sort));
        all.map(|it| it.subject.clone()).collect::<BTreeSet<_>>()
    };
    let arrivals = course.legs.iter().filter(|it| it.sort == Sort::Arrival);
    let approach = Approach {
        graph,
        entry: course.entry.as_ref(),
        known: of(|it| matches!(it, Sort::Member | Sort::Arrival)),
        near: leg.after.iter().map(|it| course.legs[*it].subject.clone()).collect(),
        merged: !of(|it| it == Sort::Merge).is_empty(),
        arrivals: arrivals.map(|it| it.subject.kind.clone()).collect(),
        requeue: course.requeue,
    };
    match leg.sort {
        Sort::Request => vec![approach.request(&leg.subject)],
        Sort::Member => approach.to(&leg.subject, true),
        Sort::Arrival => {
            let appliers = course.legs.iter().filter(|it| stage::is_applier(&it.subject));
            let appliers: Vec<_> = appliers.map(|it| &it.subject).rev().collect();
            approach.written(&leg.subject, &appliers)
        }
        Sort::Merge => vec![Stage::unplanned(&leg.subject, "somebody has to merge it")],
        Sort::Other => vec![approach::followed(&leg.subject)],
    }
}

/// All hops before one.
fn gather(course: &Course, at: usize, before: &mut BTreeSet<usize>) {
    for it in &course.legs[at].after {
        if before.insert(*it) {
            gather(course, *it, before);
        }
    }
}

/// The waits up to a hop. Where ways join, the one that may take longest counts.
fn chain(
    course: &Course,
    stages: &[Vec<Stage>],
    chains: &mut Vec<Option<Chains>>,
    at: usize,
) -> Chains {
    if let Some(known) = &chains[at] {
        return known.clone();
    }
    // Whoever goes in a circle finds itself.
    chains[at] = Some(Chains::default());
    let leg = &course.legs[at];
    let before: Vec<_> = leg.after.iter().map(|it| chain(course, stages, chains, *it)).collect();
    let own = |case: usize| {
        let longest = before.iter().map(|it| &it[case]).max_by_key(|it| rank(it));
        let mut all = longest.cloned().unwrap_or_default();
        // Nobody waits for a request, but for what comes of it.
        if leg.sort != Sort::Request {
            all.extend(stages[at].iter().map(|it| it.waits()[case]));
        }
        all
    };
    let own = [own(0), own(1)];
    chains[at] = Some(own.clone());
    own
}

/// How long a chain may take.
fn rank(chain: &[Option<Wait>]) -> (bool, Duration, Duration) {
    let known = || chain.iter().flatten();
    let worst = known().map(|it| it.worst()).sum();
    (chain.contains(&None), worst, known().map(|it| it.expected()).sum())
}

fn sum(chain: &[Option<Wait>]) -> Option<Sum> {
    let all: Option<Vec<Wait>> = chain.iter().copied().collect();
    all.map(|it| Sum::of(&it))
}

/// Where push-to-apply ends (rule P4).
fn end(course: &Course, chains: &[Chains]) -> Option<usize> {
    let needed = |it: &usize| course.legs[*it].needed;
    let all = || (0..course.legs.len()).filter(needed);
    let latest = |a: &usize, b: &usize| rank(&chains[*a][0]).cmp(&rank(&chains[*b][0]));
    let arrivals = all().filter(|it| course.legs[*it].sort == Sort::Arrival);
    let arrived = || arrivals.max_by(latest);
    let applied = || all().rfind(|it| stage::is_applier(&course.legs[*it].subject));
    course.until.or_else(arrived).or_else(applied).or_else(|| all().next_back())
}
