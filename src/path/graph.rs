//! The installed pipeline as a graph: what feeds what, what wakes what, what tells of what.
//!
//! Edges run the way a change goes: from the source to the applier, from the Receiver to what it
//! annotates. An edge may end at an object that is not there; whoever draws conclusions asks.

use crate::model::Subject;
use crate::path::delivery::branch_of;
use crate::path::facts::Facts;
use crate::path::links::{self, Meant, Reference, Use, references};
use crate::path::snapshot::Snapshot;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The installed pipeline.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: BTreeMap<Subject, Node>,
    edges: Vec<Edge>,
    /// Where in `edges` those are that lead to an object, and from it.
    places: BTreeMap<Subject, [Vec<usize>; 2]>,
    snapshot: Snapshot,
}

/// One object of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Which it is.
    pub subject: Subject,
    /// What it says of itself.
    pub facts: Facts,
}

/// What one object does for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The one before.
    pub from: Subject,
    /// The one behind.
    pub to: Subject,
    /// What it does for it.
    pub link: Link,
}

/// What an object does for the one behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// A source is applied, packaged or composed; a new artifact wakes who does so.
    Feeds,
    /// A generator has made an artifact of its sources.
    Composes,
    /// A source is copied into another's artifact; that looks only at its own interval.
    Includes,
    /// Somebody waits until this is ready; nobody is woken, it is asked for again and again.
    Precedes,
    /// A scan is chosen from.
    Scanned,
    /// A choice is written.
    Chosen,
    /// A choice is committed to the repository of a source, which is not woken by it.
    Committed {
        /// The branch that is pushed to, where it is not the one that the source follows.
        branch: Option<String>,
    },
    /// Values are taken; only a labelled object wakes who takes them.
    Configures,
    /// A Receiver asks it to look now.
    Wakes(Request),
    /// An applier has written the object.
    Writes,
    /// Its events are told.
    ToldBy,
    /// Somebody is told by that way.
    TellsBy,
}

/// What comes of a Receiver's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// It is obeyed.
    Obeyed,
    /// Flux never looks at an object of this sort.
    Vain,
    /// The Receiver has to say the `apiVersion` of this kind, and does not: it answers 500.
    Failing,
}

/// Kinds whose `apiVersion` a Receiver knows by itself.
const KNOWN: [&str; 7] = [
    "Bucket",
    "HelmChart",
    "HelmRepository",
    "GitRepository",
    "OCIRepository",
    "ImageRepository",
    "ArtifactGenerator",
];

// === impl Graph ===

impl Graph {
    /// Draws the graph of a snapshot.
    #[must_use]
    pub fn of(snapshot: Snapshot) -> Self {
        let node = |(subject, object): (&Subject, &Value)| {
            let facts = Facts::of(subject, object);
            (subject.clone(), Node { subject: subject.clone(), facts })
        };
        let nodes: BTreeMap<_, _> = snapshot.objects().map(node).collect();
        let mut edges = Vec::new();
        for (subject, object) in snapshot.objects() {
            for reference in references(subject, object) {
                let meant: Vec<Subject> = match &reference.meant {
                    Meant::One(it) => vec![it.clone()],
                    Meant::Labelled { .. } => {
                        let all = snapshot.objects().filter(|it| reference.meant.is(it.0, it.1));
                        all.map(|it| it.0.clone()).collect()
                    }
                };
                let drawn = meant.iter();
                edges.extend(drawn.map(|it| edge(&snapshot, subject, object, &reference, it)));
            }
            let written = links::inventory(subject, object).into_iter();
            edges.extend(written.map(|to| Edge { from: subject.clone(), to, link: Link::Writes }));
        }
        let mut places: BTreeMap<Subject, [Vec<usize>; 2]> = BTreeMap::new();
        for (at, edge) in edges.iter().enumerate() {
            for (end, subject) in [&edge.to, &edge.from].into_iter().enumerate() {
                places.entry(subject.clone()).or_default()[end].push(at);
            }
        }
        Self { nodes, edges, places, snapshot }
    }

    /// An object; none if it is not there, or could not be seen.
    #[must_use]
    pub fn node(&self, subject: &Subject) -> Option<&Node> {
        self.nodes.get(subject)
    }

    /// All objects.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// All edges.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// What it was drawn of.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The object itself; null if it is not there.
    #[must_use]
    pub fn object(&self, subject: &Subject) -> &Value {
        self.snapshot.get(subject).unwrap_or(&Value::Null)
    }

    /// What it says of itself; of one that is not there, nothing.
    #[must_use]
    pub fn facts(&self, subject: &Subject) -> Facts {
        self.node(subject).map(|it| it.facts.clone()).unwrap_or_default()
    }

    /// The edges that lead to an object.
    pub fn into<'g>(&'g self, subject: &Subject) -> impl Iterator<Item = &'g Edge> {
        self.at(subject, 0)
    }

    /// The edges that lead from an object.
    pub fn out_of<'g>(&'g self, subject: &Subject) -> impl Iterator<Item = &'g Edge> {
        self.at(subject, 1)
    }

    fn at(&self, subject: &Subject, end: usize) -> impl Iterator<Item = &Edge> {
        let places = self.places.get(subject).map_or(&[][..], |it| it[end].as_slice());
        places.iter().map(|it| &self.edges[*it])
    }

    /// What an applier, chart or generator is fed with.
    pub fn fed_by<'g>(&'g self, subject: &'g Subject) -> impl Iterator<Item = &'g Subject> {
        let feeds = |it: &&Edge| matches!(it.link, Link::Feeds | Link::Composes);
        self.into(subject).filter(feeds).map(|it| &it.from)
    }

    /// The Receivers that ask an object to look and are obeyed; suspended ones are none.
    pub fn wakers<'g>(&'g self, subject: &'g Subject) -> impl Iterator<Item = &'g Subject> {
        let obeyed = |it: &&Edge| it.link == Link::Wakes(Request::Obeyed);
        let awake = |it: &&Subject| !self.facts(it).suspended;
        self.into(subject).filter(obeyed).map(|it| &it.from).filter(awake)
    }

    /// The appliers that have written an object.
    pub fn writers<'g>(&'g self, subject: &'g Subject) -> impl Iterator<Item = &'g Subject> {
        self.into(subject).filter(|it| it.link == Link::Writes).map(|it| &it.from)
    }

    /// What an object waits for before it begins (`dependsOn`), the whole chain, each level behind
    /// the ones that it waits for, without the object itself. Where several ways lead to one, the
    /// longest counts; a circle is walked once.
    #[must_use]
    pub fn levels(&self, subject: &Subject) -> Vec<Vec<Subject>> {
        let mut order = Vec::new();
        self.settle(subject, &mut BTreeSet::new(), &mut order);
        // Whoever waits stands behind all that it waits for: from the end, each has its distance
        // before it is handed on.
        let mut far = BTreeMap::from([(subject.clone(), 0_usize)]);
        let mut done = BTreeSet::new();
        for it in order.iter().rev() {
            done.insert(it);
            let distance = far.get(it).copied().unwrap_or_default() + 1;
            // Only a circle leads back to one that was done.
            for before in self.waited_for(it).filter(|it| !done.contains(it)) {
                let known = far.entry(before.clone()).or_default();
                *known = distance.max(*known);
            }
        }
        let mut levels = vec![Vec::new(); far.values().copied().max().unwrap_or_default()];
        let deepest = levels.len();
        for (it, distance) in far.into_iter().filter(|it| it.1 > 0) {
            levels[deepest - distance].push(it);
        }
        levels.retain(|it| !it.is_empty());
        levels
    }

    /// Whether an object waits for itself in the end: neither it nor anything on the circle is ever
    /// applied.
    #[must_use]
    pub fn waits_for_itself(&self, subject: &Subject) -> bool {
        let mut open: Vec<&Subject> = self.waited_for(subject).collect();
        let mut seen = BTreeSet::new();
        while let Some(it) = open.pop() {
            if it == subject {
                return true;
            }
            if seen.insert(it) {
                open.extend(self.waited_for(it));
            }
        }
        false
    }

    /// Puts an object into `order` behind all that it waits for.
    fn settle(&self, subject: &Subject, seen: &mut BTreeSet<Subject>, order: &mut Vec<Subject>) {
        // Without recursion: a chain may be as long as a cluster is big.
        let mut open = vec![(subject.clone(), false)];
        while let Some((it, is_left)) = open.pop() {
            if is_left {
                order.push(it);
            } else if seen.insert(it.clone()) {
                open.push((it.clone(), true));
                open.extend(self.waited_for(&it).map(|it| (it.clone(), false)));
            }
        }
    }

    fn waited_for(&self, subject: &Subject) -> impl Iterator<Item = &Subject> {
        self.into(subject).filter(|it| it.link == Link::Precedes).map(|it| &it.from)
    }
}

fn edge(
    snapshot: &Snapshot,
    subject: &Subject,
    object: &Value,
    reference: &Reference,
    other: &Subject,
) -> Edge {
    let read = |it: &Subject| snapshot.get(it).unwrap_or(&Value::Null);
    let forward = |link| Edge { from: subject.clone(), to: other.clone(), link };
    let back = |link| Edge { from: other.clone(), to: subject.clone(), link };
    match reference.used {
        Use::Source => back(Link::Feeds),
        Use::Generator => back(Link::Composes),
        Use::Include => back(Link::Includes),
        Use::DependsOn => back(Link::Precedes),
        Use::Scan => back(Link::Scanned),
        Use::Choice => back(Link::Chosen),
        Use::Values => back(Link::Configures),
        Use::Events => back(Link::ToldBy),
        Use::Provider => forward(Link::TellsBy),
        Use::Request => {
            let said = reference.entry["apiVersion"].is_string();
            let request = match other.kind.kind.as_str() {
                kind if !said && !KNOWN.contains(&kind) => Request::Failing,
                _ if Facts::of(other, read(other)).is_static => Request::Vain,
                _ => Request::Obeyed,
            };
            forward(Link::Wakes(request))
        }
        Use::Book => {
            let source = read(other);
            let git = &object["spec"]["git"];
            let followed = branch_of(other, source).ok();
            let checkout = git["checkout"]["ref"]["branch"].as_str();
            let pushed = git["push"]["branch"].as_str().or(checkout).map(str::to_owned);
            let branch = pushed.filter(|it| followed.as_ref() != Some(it));
            forward(Link::Committed { branch })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupKind;
    use serde_json::json;

    /// The names of each level before `apps`, where each Kustomization waits for some.
    fn levels(all: &[(&str, &[&str])]) -> Vec<Vec<String>> {
        let mut snapshot = Snapshot::default();
        let kind = GroupKind::kustomization();
        for (name, waits) in all {
            let waits: Vec<_> = waits.iter().map(|it| json!({ "name": it })).collect();
            let metadata = json!({"namespace": "a", "name": name});
            let object = json!({"metadata": metadata, "spec": {"dependsOn": waits}});
            snapshot.add(&kind, vec![object]);
        }
        let levels = Graph::of(snapshot).levels(&Subject::local(kind, "a", "apps"));
        levels.into_iter().map(|it| it.into_iter().map(|it| it.name).collect()).collect()
    }

    #[test]
    fn whoever_is_waited_for_on_two_ways_stands_before_the_longer_one() {
        let triangle: [(&str, &[&str]); 3] =
            [("apps", &["configs", "infra"]), ("configs", &["infra"]), ("infra", &[])];
        assert_eq!(levels(&triangle), [["infra"], ["configs"]]);
        let diamond: [(&str, &[&str]); 4] =
            [("apps", &["a", "b"]), ("a", &["base"]), ("b", &["base"]), ("base", &[])];
        assert_eq!(levels(&diamond), [vec!["base"], vec!["a", "b"]]);
    }

    #[test]
    fn a_circle_ends() {
        let circle: [(&str, &[&str]); 3] = [("apps", &["b"]), ("b", &["c"]), ("c", &["apps", "b"])];
        assert_eq!(levels(&circle), [["c"], ["b"]]);
        assert_eq!(levels(&[("apps", &["apps"])]), Vec::<Vec<String>>::new());
    }
}
