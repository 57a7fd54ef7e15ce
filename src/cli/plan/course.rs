//! A scenario as a plan has to know it.

use crate::config::{Hop, Scenario};
use crate::hop::Place;
use crate::model::{GroupKind, ObjectName, Subject};
use crate::path::checkup::Controllers;
use crate::path::plan::{Course, Leg, Sort};
use crate::path::{Graph, Link};
use crate::trigger::TriggerConfig;
use std::collections::BTreeSet;

/// Share of the changes that should hold the objectives of hops, where the scenario names none.
const UNSAID: f64 = 0.99;

/// The course that a scenario's changes take, as far as these controllers say how they were started. A hop that does not say what to look at is left out:
/// `check` lets none through.
pub(in crate::cli) fn of(graph: &Graph, scenario: &Scenario, controllers: &Controllers) -> Course {
    let hops = &scenario.hops;
    let position = |name: &String| hops.iter().position(|it| it.name == *name);
    let slo = scenario.slo.as_ref();
    let jitter = |it: &crate::model::Timetable| {
        it.jitter.unwrap_or_else(|| it.default_jitter(None, scenario.deadline))
    };
    let leg = |hop: &Hop| Leg {
        name: hop.name.clone(),
        sort: sort(hop),
        subject: hop.subject().unwrap_or_else(|| {
            Subject::local(GroupKind::new("", ""), "", &hop.name).in_cluster(&hop.cluster)
        }),
        after: hop.after.iter().filter_map(position).collect(),
        within: hop.within,
        needed: hop.required.is_needed(),
    };
    Course {
        legs: hops.iter().map(leg).collect(),
        entry: entry(graph, &scenario.trigger),
        until: slo.and_then(|it| it.until.as_ref()).and_then(position),
        within: slo.map(|it| it.within),
        objective: slo.map_or(UNSAID, |it| it.objective),
        deadline: scenario.deadline,
        jitter: scenario.schedule.as_ref().map(jitter),
        requeue: controllers.requeue(&GroupKind::kustomization()),
    }
}

fn sort(hop: &Hop) -> Sort {
    match hop.kind.kind().traits().place {
        Place::ScanRequest | Place::Request => Sort::Request,
        Place::Scan
        | Place::Policy
        | Place::Automation
        | Place::Fetch
        | Place::Chart
        | Place::Apply => Sort::Member,
        Place::Proposal | Place::Merge => Sort::Merge,
        Place::Live | Place::Rollout => Sort::Arrival,
        Place::Condition | Place::Notify => Sort::Other,
    }
}

/// The object whose remote the trigger changes; none if the scenario does not say, or nothing is
/// changed.
fn entry(graph: &Graph, trigger: &TriggerConfig) -> Option<Subject> {
    let named = |kind: GroupKind, it: &ObjectName| Subject::local(kind, &it.namespace, &it.name);
    let source = |kind: &str, it: &Option<ObjectName>| {
        it.as_ref().map(|it| named(GroupKind::source(kind), it))
    };
    match trigger {
        TriggerConfig::GitCommit(it) => source("GitRepository", &it.source),
        TriggerConfig::OciArtifact(it) => source("OCIRepository", &it.source),
        TriggerConfig::BucketObject(it) => source("Bucket", &it.source),
        TriggerConfig::HelmChart(it) => {
            let release = it.helm_release.as_ref().map(|it| named(GroupKind::helm_release(), it));
            Some(fed_from(graph, release.or_else(|| source("HelmChart", &it.helm_chart))?))
        }
        TriggerConfig::ImageTag(it) => {
            let policy = named(GroupKind::image("ImagePolicy"), &it.policy);
            let scanned = graph.into(&policy).find(|it| it.link == Link::Scanned);
            Some(scanned.map(|it| it.from.clone()).unwrap_or(policy))
        }
        TriggerConfig::ImageDigest(it) => Some(named(GroupKind::image("ImagePolicy"), &it.policy)),
        TriggerConfig::ReceiverPost(_) | TriggerConfig::ReceiverGet(_) => None,
    }
}

/// The source at the begin of a chart's way.
fn fed_from(graph: &Graph, mut at: Subject) -> Subject {
    let mut seen = BTreeSet::new();
    while seen.insert(at.clone()) {
        let Some(before) = graph.fed_by(&at).next() else { break };
        at = before.clone();
    }
    at
}
