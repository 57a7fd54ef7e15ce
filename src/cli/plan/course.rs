//! A scenario as a plan has to know it.

use crate::config::{Hop, Scenario};
use crate::hop::Place;
use crate::model::{GroupKind, ObjectName, Subject};
use crate::path::plan::{Course, Leg, Sort};
use crate::path::{Graph, Link};
use crate::trigger::TriggerConfig;

/// Share of the changes that should hold the objectives of hops, where the scenario names none.
const UNSAID: f64 = 0.99;

/// The course that a scenario's changes take. A hop that does not say what to look at is left out:
/// `check` lets none through.
pub(super) fn of(graph: &Graph, scenario: &Scenario) -> Course {
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

/// The object whose remote the trigger changes.
fn entry(graph: &Graph, trigger: &TriggerConfig) -> Option<Subject> {
    let named = |kind: GroupKind, it: &ObjectName| Subject::local(kind, &it.namespace, &it.name);
    let policy = |it: &ObjectName| named(GroupKind::image("ImagePolicy"), it);
    match trigger {
        TriggerConfig::GitCommit(it) => {
            it.source.as_ref().map(|it| named(GroupKind::git_repository(), it))
        }
        TriggerConfig::ImageTag(it) => {
            let policy = policy(&it.policy);
            let scanned = graph.into(&policy).find(|it| it.link == Link::Scanned);
            Some(scanned.map(|it| it.from.clone()).unwrap_or(policy))
        }
        TriggerConfig::ImageDigest(it) => Some(policy(&it.policy)),
    }
}
