//! Images: recordings in which a tag, or another digest behind the same one, is the change.
//!
//! The remote answers as a trigger does: by the tree of a commit, which holds our tag or does not,
//! and by the policy's order of tags. The key tells which commits hold it.

use crate::replay::{
    Push, Recording, Scene, assert_near, compare_failure, exact, hop, key, passage, plan,
};
use hopclock::engine::{Ancestry, Plan, PlannedHop};
use hopclock::hop::{
    Annotated, Applied, AutomationCommitted, ImageScanned, Live, LiveConfig, Merged, Place,
    PolicyUpdated, SourceFetched, Upstream, WebhookReceived,
};
use hopclock::model::{
    CanaryId, GitBranch, GroupKind, Moment, ObjectName, Passage, Revision, RunRecord, SourceKind,
    Subject, Via,
};
use serde_json::Value;
use std::sync::Arc;

/// The order in which a change passes the hops of the key.
const CHAIN: [&str; 7] = [
    "image_scanned",
    "policy_updated",
    "automation_committed",
    "merged",
    "source_fetched",
    "applied",
    "live",
];

#[test]
fn replay_image_webhook() {
    for record in replay("image-webhook") {
        assert_eq!(vias(&record), ["webhook", "upstream", "upstream", "webhook", "upstream"]);
        let waits: Vec<_> = record.hops.iter().filter(|it| has_wait(&it.passage)).collect();
        let waits: Vec<_> = waits.iter().map(|it| it.hop.as_str()).collect();
        assert_eq!(waits, ["image_scanned", "source_fetched", "applied"]);
    }
}

#[test]
fn replay_image_interval() {
    for record in replay("image-interval") {
        assert_eq!(vias(&record), ["interval", "upstream", "upstream", "webhook", "upstream"]);
        let scan = passage(&record, "image_scanned");
        assert!(matches!(scan, Passage::Reached { wait: None, .. }), "an interval is not split");
    }
}

#[test]
fn replay_image_branch() {
    for record in replay("image-branch") {
        let expected = &key("image-branch")[0]["merge_commit"];
        for hop in ["merged", "source_fetched", "applied"] {
            let Passage::Reached { carried_by, .. } = passage(&record, hop) else {
                panic!("{hop}")
            };
            assert_eq!(carried_by.as_deref(), expected.as_str(), "{hop}");
        }
    }
}

#[test]
fn replay_image_digest() {
    let vias: Vec<_> = replay("image-digest").iter().map(|it| vias(it).concat()).collect();
    assert_eq!(vias, ["upstream", "interval"]);
}

#[test]
fn replay_image_failures() {
    let records = replay("image-failures");
    assert_eq!(
        records[0].outcome.to_string(),
        "failed: no_marker at ImageUpdateAutomation flux-system/fleet"
    );
}

/// A tag that is not among the first ten is not shown by the scan: the last one that found other
/// tags is taken.
#[test]
fn a_scan_that_lists_other_tags_is_known_by_the_policy_that_follows_it() {
    for name in ["image-webhook", "image-interval"] {
        let (mut recording, runs) = (Recording::read(name), key(name));
        recording.edit(|subject, value| {
            if subject.kind.kind == "ImageRepository" {
                value["status"]["lastScanResult"]["latestTags"] = serde_json::json!(["z"]);
            }
        });
        for (index, expected) in runs.iter().enumerate() {
            let record = run(name, &recording, index, expected);
            compare(name, &record, expected);
        }
    }
}

/// Replays every run of a recording and compares it with the key.
fn replay(name: &str) -> Vec<RunRecord> {
    let (mut recording, runs) = (Recording::read(name), key(name));
    let merges: Vec<Push> = recording.pushes().filter(|it| is_merge(it)).cloned().collect();
    for merge in merges {
        let commit = merge.line["commit"].as_str().unwrap().to_owned();
        let before = runs[0]["merge_parents"][0].as_str().unwrap().to_owned();
        for (at, commit) in [(Moment::default(), before), (merge.acked, commit)] {
            let branch = GitBranch { commit, markers: Vec::new() };
            recording.also_saw(at, &branch_subject(), branch.to_value());
        }
    }
    let mut records = Vec::new();
    for (index, expected) in runs.iter().enumerate() {
        let record = run(name, &recording, index, expected);
        compare(&format!("{name} {}", expected["tag"]), &record, expected);
        records.push(record);
    }
    records
}

fn run(name: &str, recording: &Recording, index: usize, expected: &Value) -> RunRecord {
    let push = recording.pushes().filter(|it| !is_merge(it)).nth(index).unwrap();
    assert_eq!(push.line["tag"], expected["tag"]);
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let digest = Revision::Digest(text(&push.line["digest"]));
    let revisions = match name {
        "image-digest" => vec![digest],
        _ => vec![Revision::Tag(text(&push.line["tag"])), digest],
    };
    let commits = ["automation_commit", "merge_commit"].map(|it| expected[it].as_str());
    recording.run(Scene {
        plan: scenario(name, expected),
        canary: CanaryId::new("replay", index as u64),
        push,
        revisions,
        remote: &|other, _| match other {
            Revision::Commit(it) if commits.contains(&Some(it)) => Ancestry::Carries(None),
            _ => Ancestry::NotYet,
        },
        skipped: false,
    })
}

/// Compares a run with the key, to the millisecond.
fn compare(what: &str, record: &RunRecord, expected: &Value) {
    assert_eq!(record.outcome.as_str(), expected["outcome"], "{what}: outcome");
    let hops = expected["hops"].as_object().unwrap();
    let at = |hop: &str| hops.get(hop).and_then(Value::as_f64);
    for hop in hops.keys() {
        let passage = passage(record, hop);
        assert_near(&format!("{what}: {hop}"), passage.at().map(exact), at(hop));
        let Passage::Reached { stage, early, uncertain, reordered, .. } = passage else { continue };
        assert!(!early && !uncertain && !reordered, "{what}: {hop}: {passage:?}");
        let start = before(hop).into_iter().find_map(at);
        let length = at(hop).map(|it| it - start.unwrap_or(0.0));
        assert_near(&format!("{what}: stage of {hop}"), stage.map(exact), length);
    }
    compare_failure(what, record, expected);
}

/// The hops that one comes after, the nearest first.
fn before(hop: &str) -> Vec<&'static str> {
    let end = if matches!(hop, "applied" | "live") { "applied" } else { hop };
    let index = CHAIN.iter().position(|it| *it == end).unwrap_or(0);
    CHAIN[..index].iter().rev().copied().collect()
}

/// The hops of a recording that the key knows, each after the nearest before it (rule P1).
fn scenario(name: &str, expected: &Value) -> Plan {
    let known = expected["hops"].as_object().unwrap();
    let mut hops: Vec<PlannedHop> = Vec::new();
    for name in
        std::iter::once("webhook_received").chain(CHAIN).filter(|it| known.contains_key(*it))
    {
        let position = |it: &&str| hops.iter().position(|hop| hop.name == **it);
        let after = before(name).iter().find_map(position);
        let planned = planned(name, after.into_iter().collect());
        hops.push(planned);
    }
    let mut plan = plan(hops, expected["deadline"].as_f64().unwrap());
    if name == "image-digest" {
        let policy = image("ImagePolicy", "app-digest");
        plan.hops[0].subject = Arc::new(policy);
    }
    plan
}

fn planned(name: &str, after: Vec<usize>) -> PlannedHop {
    let source = Subject::local(GroupKind::git_repository(), "flux-system", "fleet");
    let applier = Subject::local(GroupKind::kustomization(), "flux-system", "apps");
    let live = Subject::local(GroupKind::new("", "ConfigMap"), "default", "app");
    let registry = image("ImageRepository", "app");
    match name {
        "webhook_received" => {
            let images = WebhookReceived::new(Upstream::Single, Annotated::ImageRepository);
            hop(name, &registry, Place::ScanRequest, after, Arc::new(images))
        }
        "image_scanned" => hop(name, &registry, Place::Scan, after, Arc::new(ImageScanned)),
        "policy_updated" => {
            let policy = image("ImagePolicy", "app");
            hop(name, &policy, Place::Policy, after, Arc::new(PolicyUpdated))
        }
        "automation_committed" => {
            let automation = image("ImageUpdateAutomation", "fleet");
            let committed = AutomationCommitted { policy: "app".to_owned() };
            hop(name, &automation, Place::Automation, after, Arc::new(committed))
        }
        "merged" => hop(name, &branch_subject(), Place::Merge, after, Arc::new(Merged::default())),
        "source_fetched" => {
            let fetched = SourceFetched(SourceKind::Git);
            hop(name, &source, Place::Fetch, after, Arc::new(fetched))
        }
        "applied" => hop(name, &applier, Place::Apply, after, Arc::new(Applied)),
        "live" => {
            let anywhere = Live::new(&LiveConfig::default());
            hop(name, &live, Place::Live, after, Arc::new(anywhere))
        }
        other => panic!("the key knows a hop `{other}`"),
    }
}

fn image(kind: &str, name: &str) -> Subject {
    Subject::local(GroupKind::image(kind), "flux-system", name)
}

fn branch_subject() -> Subject {
    GitBranch::subject(&ObjectName::new("flux-system", "fleet"), None)
}

fn is_merge(push: &Push) -> bool {
    push.line["tag"].is_null()
}

/// Who woke the hops that somebody wakes, in their order.
fn vias(record: &RunRecord) -> Vec<&'static str> {
    let via = |it: &Passage| match it {
        Passage::Reached { via, .. } => via.map(Via::as_str),
        Passage::Bypassed | Passage::Unreached => None,
    };
    record.hops.iter().filter_map(|it| via(&it.passage)).collect()
}

fn has_wait(passage: &Passage) -> bool {
    matches!(passage, Passage::Reached { wait: Some(_), .. })
}
