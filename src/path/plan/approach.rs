//! Who hands the change on, from the hops before to an object: what stands between them is found,
//! also where the scenario does not name it.

use crate::model::{GroupKind, Subject};
use crate::path::graph::{Edge, Graph, Link};
use crate::path::plan::Wait;
use crate::path::plan::stage::{self, By, Stage, shown};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// The way to a hop.
pub(super) struct Approach<'g> {
    pub(super) graph: &'g Graph,
    /// The object whose remote is changed.
    pub(super) entry: Option<&'g Subject>,
    /// The objects that the hops before have seen with the change.
    pub(super) known: BTreeSet<Subject>,
    /// Those of them directly before.
    pub(super) near: BTreeSet<Subject>,
    /// Whether a hop before waits for a merge.
    pub(super) merged: bool,
    /// Kinds of the objects that the change makes.
    pub(super) arrivals: BTreeSet<GroupKind>,
    /// After how long an applier looks at a dependency again.
    pub(super) requeue: Duration,
}

/// After how long health is looked at again.
const HEALTH: Duration = Duration::from_secs(5);

/// Kinds that are healthy as soon as they are there, as far as people's canaries are of them.
const HEALTHY_AT_ONCE: [&str; 4] = ["ConfigMap", "Secret", "ServiceAccount", "Namespace"];

// === impl Approach ===

impl Approach<'_> {
    /// What the change waits for until an object of Flux has it, and, where health is asked for,
    /// reports it.
    pub(super) fn to(&self, target: &Subject, reports: bool) -> Vec<Stage> {
        if self.known.contains(target) {
            let mut stages = vec![Stage::woken(target, "its own spec changes".to_owned())];
            self.begin_and_end(target, reports, &mut stages);
            return stages;
        }
        let Some(way) = self.way(target) else {
            return vec![self.origin(target)];
        };
        let mut stages = Vec::new();
        for (at, edge) in way.iter().enumerate() {
            if at == 0 && !self.known.contains(&edge.from) {
                stages.extend(self.enters(&edge.from));
            }
            let quiet = self.is_quiet(&edge.from, &way);
            self.passes(edge, quiet, reports && edge.to == *target, &mut stages);
        }
        if way.is_empty() {
            stages.extend(self.enters(target));
        }
        stages
    }

    /// What the change waits for until an object that somebody applies is there; where nothing says
    /// who does, it is the first of `appliers`, or one of them that has the change already.
    pub(super) fn written(&self, target: &Subject, appliers: &[&Subject]) -> Vec<Stage> {
        let writers: Vec<_> = self.graph.writers(target).collect();
        let writer = self.likely(&writers).or_else(|| self.likely(appliers));
        let Some(writer) = writer else {
            return vec![Stage::unplanned(target, "nothing says who applies it")];
        };
        let mut stages = Vec::new();
        if !self.known.contains(writer) {
            stages = self.to(writer, false);
        }
        stages.push(Stage::woken(target, format!("applied by {writer}")));
        stages
    }

    /// The one that has the change already, else the first.
    fn likely<'s>(&self, all: &[&'s Subject]) -> Option<&'s Subject> {
        let known = all.iter().find(|it| self.known.contains(**it));
        known.or(all.first()).copied()
    }

    /// A request, which nobody waits for.
    pub(super) fn request(&self, target: &Subject) -> Stage {
        let receivers: Vec<_> = self.graph.wakers(target).map(ToString::to_string).collect();
        if receivers.is_empty() {
            let why = format!("no Receiver asks {target} to look");
            return Stage::unplanned(target, &why);
        }
        let why = format!("{}, if somebody calls it", receivers.join(", "));
        Stage::new(target, By::Webhook, why, Wait::Zero)
    }

    /// The shortest way back to something that has the change: its edges, in the order of the
    /// change.
    fn way(&self, target: &Subject) -> Option<Vec<&Edge>> {
        if self.entry == Some(target) {
            return Some(Vec::new());
        }
        let mut seen = BTreeSet::from([target]);
        let mut open = VecDeque::from([(target, Vec::new())]);
        while let Some((at, way)) = open.pop_front() {
            let mut edges: Vec<_> =
                self.graph.into(at).filter_map(|it| Some((rank(it)?, it))).collect();
            edges.sort_by_key(|it| (!self.near.contains(&it.1.from), it.0));
            for (_, edge) in edges {
                let mut way: Vec<&Edge> = way.clone();
                way.insert(0, edge);
                if self.known.contains(&edge.from) || self.entry == Some(&edge.from) {
                    return Some(way);
                }
                if seen.insert(&edge.from) {
                    open.push_back((&edge.from, way));
                }
            }
        }
        // Of a remote that the scenario names by hand only the last fetch is known.
        let mut way = Vec::new();
        let mut at = target;
        while self.entry.is_none() && self.known.is_empty() {
            let feeds = |it: &&Edge| matches!(it.link, Link::Feeds | Link::Composes);
            match self.graph.into(at).find(feeds) {
                Some(edge) if !way.contains(&edge) => {
                    way.insert(0, edge);
                    at = &edge.from;
                }
                _ => return (!way.is_empty()).then_some(way),
            }
        }
        None
    }

    /// An object to which no way leads from the hops before: it looks by itself, if at all.
    fn origin(&self, target: &Subject) -> Stage {
        if self.graph.node(target).is_none() {
            return Stage::unplanned(target, "it was not seen");
        }
        if stage::is_applier(target) {
            let why = "nothing of what the change passes before leads to it";
            return Stage::unplanned(target, why);
        }
        self.polled(target)
    }

    /// The object whose remote is changed.
    fn enters(&self, subject: &Subject) -> Option<Stage> {
        let facts = self.graph.facts(subject);
        if facts.is_static {
            return None;
        }
        Some(match self.graph.node(subject) {
            None => Stage::unplanned(subject, "it was not seen"),
            Some(_) => self.polled(subject),
        })
    }

    fn polled(&self, subject: &Subject) -> Stage {
        let wakers: Vec<_> = self.graph.wakers(subject).collect();
        Stage::polled(subject, &self.graph.facts(subject), &wakers)
    }

    /// Whether the change came into a source by what that includes: its artifact is a new one then,
    /// of the same revision.
    fn is_quiet(&self, source: &Subject, way: &[&Edge]) -> bool {
        let came = |it: &Edge| {
            let holds = |by: &Subject| self.known.contains(by) || self.entry == Some(by);
            it.link == Link::Includes && (holds(&it.from) || way.contains(&it))
        };
        self.entry != Some(source) && self.graph.into(source).any(came)
    }

    /// The change goes along an edge; a quiet one is that of a source whose revision stays.
    fn passes(&self, edge: &Edge, quiet: bool, reports: bool, stages: &mut Vec<Stage>) {
        let Edge { from, to, link } = edge;
        let facts = self.graph.facts(to);
        let woken = || Stage::woken(to, format!("woken by {from}"));
        match link {
            Link::Includes => {
                let it = Stage::polled(to, &facts, &[]);
                let why =
                    format!("{}: a change of {from}, which it includes, wakes nobody", it.why);
                stages.push(Stage { why, ..it });
            }
            Link::Committed { branch } => {
                if let Some(branch) = branch.as_ref().filter(|_| !self.merged) {
                    let why = format!("somebody has to merge `{branch}`");
                    stages.push(Stage::unplanned(to, &why));
                }
                stages.push(self.polled(to));
            }
            Link::Feeds if self.graph.facts(from).is_static => stages.push(self.polled(to)),
            Link::Feeds if quiet => {
                let it = Stage::polled(to, &facts, &[]);
                let why = format!(
                    "{}: what {from} includes changes no revision, and wakes nobody",
                    it.why
                );
                stages.push(Stage { why, ..it });
            }
            Link::Configures if !self.graph.facts(from).watched => {
                let it = Stage::polled(to, &facts, &[]);
                let why = format!(
                    "{}: {from} lacks the label `reconcile.fluxcd.io/watch: Enabled`",
                    it.why
                );
                stages.push(Stage { why, ..it });
            }
            // What is written on the way is there at once.
            Link::Writes if !stage::is_applier(to) => return,
            Link::Writes => {
                stages.push(Stage::woken(to, format!("{from} changes its spec")));
            }
            _ => stages.push(woken()),
        }
        self.begin_and_end(to, reports, stages);
    }

    /// What an applier waits for before it begins and, where it is asked for, before it reports.
    fn begin_and_end(&self, applier: &Subject, reports: bool, stages: &mut Vec<Stage>) {
        if !stage::is_applier(applier) {
            return;
        }
        let facts = self.graph.facts(applier);
        if let Some(last) = stages.last_mut() {
            last.retry = facts
                .retry
                .or(facts.interval)
                .filter(|_| applier.kind == GroupKind::kustomization());
        }
        stages.extend(self.depends(applier));
        let at_once = |it: &GroupKind| HEALTHY_AT_ONCE.contains(&it.kind.as_str());
        let quick = !self.arrivals.is_empty() && self.arrivals.iter().all(at_once);
        if reports && facts.waits && !quick {
            let why = format!("it looks at the health of what it applied every {}", shown(HEALTH));
            stages.push(Stage::new(applier, By::Health, why, Wait::UpTo(HEALTH)));
        }
    }

    /// The levels of `dependsOn` that take the change from the same source: nothing wakes who
    /// depends on another, so each level costs a requeue.
    fn depends(&self, applier: &Subject) -> Option<Stage> {
        if self.graph.waits_for_itself(applier) {
            return Some(Stage::unplanned(applier, "its `dependsOn` leads back to itself"));
        }
        let levels = self.graph.levels(applier);
        let before: BTreeSet<_> = levels.iter().flatten().collect();
        let reached = before.iter().filter(|it| self.known.contains(**it));
        let reached = reached.map(|it| self.depth(it, &mut BTreeSet::new()) + 1).max();
        let depth = self.depth(applier, &mut BTreeSet::new());
        let costs = depth.saturating_sub(reached.map_or(0, |it| it - 1));
        let costs = u32::try_from(costs).unwrap_or(u32::MAX);
        let all: Vec<_> = self.waited_for(applier).map(ToString::to_string).collect();
        let wait = self.requeue.saturating_mul(costs);
        let each =
            format!("waits for {}, and looks again every {}", all.join(", "), shown(self.requeue));
        match costs {
            0 => None,
            // A release looks only whether others are ready, which they may still be.
            _ if applier.kind == GroupKind::helm_release() => {
                Some(Stage::new(applier, By::Requeue, each, Wait::UpTo(wait)))
            }
            1 => Some(Stage::new(applier, By::Requeue, each, Wait::Fixed(wait))),
            _ => {
                let why = format!("{each}: {costs} levels of `dependsOn`");
                Some(Stage::new(applier, By::Requeue, why, Wait::Fixed(wait)))
            }
        }
    }

    /// What an applier depends on that takes the change too.
    fn waited_for<'s>(&'s self, applier: &'s Subject) -> impl Iterator<Item = &'s Subject> {
        let fed: BTreeSet<_> = self.graph.fed_by(applier).collect();
        let waits = self.graph.into(applier).filter(|it| it.link == Link::Precedes);
        waits.map(|it| &it.from).filter(move |it| self.graph.fed_by(it).any(|it| fed.contains(it)))
    }

    fn depth(&self, applier: &Subject, seen: &mut BTreeSet<Subject>) -> usize {
        if !seen.insert(applier.clone()) {
            return 0;
        }
        let levels: Vec<_> =
            self.waited_for(applier).map(|it| self.depth(it, &mut seen.clone()) + 1).collect();
        levels.into_iter().max().unwrap_or(0)
    }
}

/// Something that follows from the change, and is no object of Flux.
pub(super) fn followed(target: &Subject) -> Stage {
    if target.kind == GroupKind::notification() {
        return Stage::woken(target, "told at once".to_owned());
    }
    Stage::woken(target, "it follows from the change: who looks at it is not known".to_owned())
}

/// Which edges hand a change on, the likelier ones first.
fn rank(edge: &Edge) -> Option<u8> {
    match edge.link {
        Link::Feeds | Link::Composes | Link::Scanned | Link::Chosen => Some(0),
        Link::Committed { .. } => Some(1),
        Link::Configures => Some(2),
        // Only the spec of a release carries changes of others.
        Link::Writes if edge.to.kind == GroupKind::kustomization() => None,
        Link::Writes => Some(3),
        Link::Includes => Some(4),
        _ => None,
    }
}
