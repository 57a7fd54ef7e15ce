//! Which rights the runs of scenarios need, request by request.

use crate::cli::doctor::rehearsal::Rehearsed;
use crate::cli::serve::{ECHO, STATE};
use crate::config::{Hop, Scenario};
use crate::model::{GroupKind, ObjectName, Subject};
use crate::path::delivery::KINDS;
use crate::path::{Graph, flux_kind, role, upstream_of};
use crate::trigger::TriggerConfig;
use std::collections::{BTreeMap, BTreeSet};

/// One request that runs make. Without a name or a namespace, all are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Need {
    /// What of, in its cluster.
    pub(super) subject: Subject,
    /// What it does.
    pub(super) verb: &'static str,
    /// What comes of it without; none if no run can do without.
    pub(super) lacks: Option<&'static str>,
}

/// Ways out that need rights of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways {
    /// Whether Events are written about runs.
    pub(super) events: bool,
    /// Whether runs are told as traces.
    pub(super) traces: bool,
}

/// What runs need, and the scenarios that need it; none stands for all.
pub(super) type Needs = BTreeMap<Need, BTreeSet<String>>;

/// What the runs of these scenarios need; `place` is hopclock's own namespace.
pub(super) fn of(all: &[Rehearsed], graph: &Graph, place: Option<&str>, ways: Ways) -> Needs {
    let mut needs = Needs::new();
    let paths: Vec<_> = all.iter().map(|it| followed(it, graph)).collect();
    let everything: BTreeSet<_> = paths.iter().flatten().collect();
    for (Rehearsed { scenario, .. }, path) in all.iter().zip(&paths) {
        let mut need = |subject: Subject, verb, lacks| {
            let need = Need { subject, verb, lacks };
            needs.entry(need).or_default().insert(scenario.name.clone());
        };
        for subject in path {
            // A kind of which two objects of a namespace are followed is followed as a whole, and
            // the runs of a service share what they follow.
            let beside = |it: &&&Subject| {
                it.kind == subject.kind
                    && it.namespace == subject.namespace
                    && it.cluster == subject.cluster
            };
            let is_one = everything.iter().filter(beside).count() == 1;
            let name = if is_one { subject.name.clone() } else { String::new() };
            let watched = Subject { name, ..subject.clone() };
            need(watched.clone(), "list", None);
            need(watched, "watch", None);
            let told = "no run can tell what the cluster itself notes of a change that is late";
            need(all_of(&GroupKind::new("", "Event"), subject), "list", Some(told));
        }
        let pushed_by = of_trigger(scenario, graph);
        let read: BTreeSet<Subject> = read(scenario, path).into_iter().chain(pushed_by).collect();
        for subject in read.iter().cloned().chain(secret(scenario, graph)) {
            need(subject, "get", None);
        }
        let objects = scenario.hops.iter().filter_map(Hop::subject);
        for subject in objects.filter(|it| ways.events && is_object(&it.kind)) {
            for verb in ["create", "patch"] {
                let lacks = Some("no Event there says what becomes of a change");
                need(all_of(&GroupKind::new("", "Event"), &subject), verb, lacks);
            }
            // What a run reads anyway is asked for without that.
            if !read.contains(&subject) {
                let lacks = "`kubectl describe` shows no Event there, for none names its uid";
                need(subject, "get", Some(lacks));
            }
        }
        // Which they are, the Alerts say, and the labels of what was made.
        for kind in TRACED.into_iter().filter(|_| ways.traces) {
            let lacks = "traces are our own, and not Flux's, where an Alert tells of the path";
            need(Subject::local(flux_kind(kind), "", ""), "get", Some(lacks));
        }
        for (group, kind) in KINDS {
            let kind = GroupKind::new(group, kind);
            let others = "others who use what is pushed to are known only in part";
            let everywhere = Subject::local(kind, "", "");
            if graph.snapshot().absent().all(|it| *it != everywhere.kind) {
                need(everywhere, "list", Some(others));
            }
        }
    }
    if let Some(place) = place.filter(|_| !all.is_empty()) {
        own(place, &mut needs);
    }
    needs
}

/// What is read to find the trace in which Flux tells of a run, beside the Alerts.
const TRACED: [&str; 2] = ["Provider", "Kustomization"];

/// What stands in hopclock's own namespace.
fn own(place: &str, needs: &mut Needs) {
    let lease = GroupKind::new("coordination.k8s.io", "Lease");
    for verb in ["get", "create", "update"] {
        let subject = Subject::local(lease.clone(), place, "");
        needs.insert(Need { subject, verb, lacks: None }, BTreeSet::new());
    }
    let (state, echo) = ("a service cannot keep its state there", "there is no watch echo");
    for (verb, name, lacks) in [
        ("create", "", "a service cannot keep its state there, and has no watch echo"),
        ("get", STATE, state),
        ("update", STATE, state),
        ("list", ECHO, echo),
        ("watch", ECHO, echo),
        ("patch", ECHO, echo),
    ] {
        let subject = Subject::local(GroupKind::new("", "ConfigMap"), place, name);
        needs.insert(Need { subject, verb, lacks: Some(lacks) }, BTreeSet::new());
    }
}

/// The objects of the API that a run follows.
fn followed(Rehearsed { scenario, watched, .. }: &Rehearsed, graph: &Graph) -> BTreeSet<Subject> {
    let path = match watched {
        Some(watched) => watched.iter().map(|it| (**it).clone()).collect(),
        None => path_of(scenario, graph),
    };
    path.into_iter().filter(|it| is_object(&it.kind)).collect()
}

/// The objects that are read before a run: members of the path, what hops need, and the subjects
/// of those that need something.
fn read(scenario: &Scenario, path: &BTreeSet<Subject>) -> BTreeSet<Subject> {
    let members = path.iter().filter(|it| role(&it.kind).is_some()).cloned();
    let mut read: BTreeSet<_> = members.collect();
    for hop in &scenario.hops {
        let needs = hop.needs();
        if !needs.is_empty() || hop.kind.kind().reads_subject() {
            read.extend(hop.subject());
        }
        read.extend(needs);
    }
    read.retain(|it| is_object(&it.kind));
    read
}

/// The objects that the trigger takes its address and its credentials from.
fn of_trigger(scenario: &Scenario, graph: &Graph) -> Vec<Subject> {
    let of = |kind: GroupKind, name: &ObjectName| Subject::local(kind, &name.namespace, &name.name);
    let source = |kind: &str, name: &Option<ObjectName>| {
        name.as_ref().map(|it| of(GroupKind::source(kind), it)).into_iter().collect()
    };
    let policy = |name: &ObjectName| {
        let policy = of(GroupKind::image("ImagePolicy"), name);
        repository(graph, name).into_iter().chain([policy]).collect()
    };
    match &scenario.trigger {
        TriggerConfig::GitCommit(it) => source("GitRepository", &it.source),
        TriggerConfig::ImageTag(it) => policy(&it.policy),
        TriggerConfig::ImageDigest(it) => policy(&it.policy),
        TriggerConfig::OciArtifact(it) => source("OCIRepository", &it.source),
        TriggerConfig::BucketObject(it) => source("Bucket", &it.source),
        TriggerConfig::HelmChart(it) => {
            let release = it.helm_release.as_ref().map(|it| of(GroupKind::helm_release(), it));
            let chart = it.helm_chart.as_ref().map(|it| of(GroupKind::source("HelmChart"), it));
            let branch = it.git.as_ref().and_then(|it| it.source.as_ref());
            let branch = branch.map(|it| of(GroupKind::git_repository(), it));
            release.into_iter().chain(chart).chain(branch).collect()
        }
        TriggerConfig::ReceiverPost(it) => vec![of(GroupKind::receiver(), &it.receiver)],
        TriggerConfig::ReceiverGet(it) => vec![of(GroupKind::receiver(), &it.receiver)],
    }
}

/// The objects that a run would watch, as far as they are known without it.
fn path_of(scenario: &Scenario, graph: &Graph) -> Vec<Subject> {
    let mut known = BTreeSet::new();
    let hops = scenario.hops.iter();
    let mut open: Vec<_> = hops.flat_map(|it| it.subject().into_iter().chain(it.needs())).collect();
    while let Some(subject) = open.pop() {
        if known.insert(subject.clone()) && role(&subject.kind).is_some() {
            open.extend(upstream_of(&subject, graph.object(&subject)));
        }
    }
    known.into_iter().collect()
}

/// The Secret that the trigger takes its credentials from, where it takes them from a source.
fn secret(scenario: &Scenario, graph: &Graph) -> Option<Subject> {
    let of = |kind: GroupKind, name: &ObjectName| Subject::local(kind, &name.namespace, &name.name);
    let source = match &scenario.trigger {
        TriggerConfig::GitCommit(it) if it.push_auth.is_none() => {
            of(GroupKind::git_repository(), it.source.as_ref()?)
        }
        TriggerConfig::ImageTag(it) => repository(graph, &it.policy)?,
        TriggerConfig::ImageDigest(it) => repository(graph, &it.policy)?,
        TriggerConfig::OciArtifact(it) if it.push_auth.is_none() => {
            of(GroupKind::source("OCIRepository"), it.source.as_ref()?)
        }
        TriggerConfig::BucketObject(it) if it.push_auth.is_none() => {
            of(GroupKind::source("Bucket"), it.source.as_ref()?)
        }
        TriggerConfig::ReceiverPost(it) => of(GroupKind::receiver(), &it.receiver),
        TriggerConfig::ReceiverGet(it) => of(GroupKind::receiver(), &it.receiver),
        // They name what they use, and the rehearsal has read it.
        TriggerConfig::GitCommit(_)
        | TriggerConfig::OciArtifact(_)
        | TriggerConfig::BucketObject(_)
        | TriggerConfig::HelmChart(_) => return None,
    };
    let name = graph.object(&source)["spec"]["secretRef"]["name"].as_str()?;
    Some(Subject::local(GroupKind::new("", "Secret"), &source.namespace, name))
}

fn repository(graph: &Graph, policy: &ObjectName) -> Option<Subject> {
    let policy = Subject::local(GroupKind::image("ImagePolicy"), &policy.namespace, &policy.name);
    upstream_of(&policy, graph.object(&policy)).into_iter().next()
}

/// All objects of a kind beside another one.
fn all_of(kind: &GroupKind, beside: &Subject) -> Subject {
    let namespace = if beside.namespace.is_empty() { "default" } else { &beside.namespace };
    Subject::local(kind.clone(), namespace, "").in_cluster(&beside.cluster)
}

/// Whether an API server has such objects.
fn is_object(kind: &GroupKind) -> bool {
    kind.group != GroupKind::git_branch().group
}
