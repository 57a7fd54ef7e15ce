//! Commits: recordings in which a git push is the change.

use crate::replay::{
    Push, Recording, Scene, assert_near, compare_failure, exact, hop, key, notified, passage, plan,
};
use hopclock::engine::{Ancestry, Plan};
use hopclock::hop::{
    Annotated, Applied, Live, LiveConfig, Place, SourceFetched, Upstream, WebhookReceived,
};
use hopclock::model::{
    CanaryId, GroupKind, Moment, Passage, Revision, RunRecord, SourceKind, Subject, Via,
};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// What the objects of a recording are called.
struct Names {
    kustomization: &'static str,
    live: (&'static str, &'static str, &'static str),
}

/// The commits of a recording, with their parents.
struct History<'a> {
    parents: HashMap<String, Vec<String>>,
    canaries: HashMap<String, CanaryId>,
    pushes: Vec<&'a Push>,
}

#[test]
fn replay_git_webhook() {
    replay("git-webhook", &APPS);
}

#[test]
fn replay_git_interval() {
    replay("git-interval", &APPS);
}

#[test]
fn replay_git_failures() {
    replay("git-failures", &APPS);
}

#[test]
fn replay_depends_on() {
    replay(
        "depends-on",
        &Names { kustomization: "dependent", live: ("", "ConfigMap", "dependent") },
    );
}

#[test]
fn replay_health_check() {
    let live = ("example.com", "Widget", "slow");
    replay("health-check", &Names { kustomization: "apps", live });
}

#[test]
fn replay_source_failures() {
    replay("source-failures", &APPS);
}

#[test]
fn replay_restarts() {
    replay("restarts", &APPS);
}

const APPS: Names = Names { kustomization: "apps", live: ("", "ConfigMap", "canary") };

/// Replays every run of a recording and compares it with the key.
fn replay(name: &str, names: &Names) {
    let (recording, runs) = (Recording::read(name), key(name));
    let history = History::new(&runs, &recording);
    for expected in &runs {
        let deadline = expected["deadline"].as_f64().unwrap();
        let record = run(&recording, &history, expected, scenario(names, deadline));
        compare(&format!("{name} {} {}", expected["run"], expected["label"]), &record, expected);
        let Some(other) = expected["outcome_at"].as_object() else { continue };
        for (deadline, outcome) in other {
            let plan = scenario(names, deadline.parse().unwrap());
            let record = run(&recording, &history, expected, plan);
            assert_eq!(record.outcome.as_str(), outcome, "{name} under a deadline of {deadline} s");
        }
    }
}

fn run(recording: &Recording, history: &History<'_>, expected: &Value, plan: Plan) -> RunRecord {
    let push = recording.pushes().find(|it| it.line["run"] == expected["run"]).unwrap();
    let commit = push.line["commit"].as_str().unwrap();
    recording.run(Scene {
        plan,
        canary: expected["run"].as_str().unwrap().parse().unwrap(),
        push,
        revisions: vec![Revision::Commit(commit.to_owned())],
        remote: &|other, at| history.ancestry(commit, other.id(), at),
        skipped: expected["outcome"] == "skipped",
    })
}

/// Compares a run with the key, to the millisecond.
fn compare(what: &str, record: &RunRecord, expected: &Value) {
    assert_eq!(record.outcome.as_str(), expected["outcome"], "{what}: outcome");
    let key = |hop: &str| expected["hops"][hop].as_f64();
    for hop in ["webhook_received", "source_fetched", "applied", "live", "notified"] {
        let passage = passage(record, hop);
        let at = passage.at().map(exact);
        assert_near(&format!("{what}: {hop}"), at, key(hop));
        let Passage::Reached { stage, early, uncertain, reordered, .. } = passage else { continue };
        let start = if matches!(hop, "applied" | "live" | "notified") {
            key("source_fetched")
        } else {
            None
        };
        let length = key(hop).map(|it| it - start.unwrap_or(0.0));
        assert_near(&format!("{what}: stage of {hop}"), stage.map(exact), length);
        assert_eq!(*early, key(hop) == Some(0.0), "{what}: {hop} is early");
        assert_eq!(length == Some(0.0), *early, "{what}: only early stages are 0");
        assert!(!uncertain && !reordered, "{what}: {hop} is neither uncertain nor reordered");
    }
    let bypassed = passage(record, "webhook_received") == &Passage::Bypassed;
    let dead = key("webhook_received").is_none() && key("source_fetched").is_some();
    assert_eq!(bypassed, dead, "{what}: a webhook that the file does not know is bypassed");
    compare_fetch(what, record, expected);
    compare_failure(what, record, expected);
}

fn compare_fetch(what: &str, record: &RunRecord, expected: &Value) {
    let (via, carried_by, wait) = match passage(record, "source_fetched") {
        Passage::Reached { via, carried_by, wait, .. } => (*via, carried_by.clone(), *wait),
        _ => (None, None, None),
    };
    assert_eq!(via.map(Via::as_str), expected["hops"]["via"].as_str(), "{what}: via");
    if let Some(key) = expected.get("carried_by") {
        assert_eq!(carried_by.as_deref(), key.as_str(), "{what}: carried by");
    }
    if let Some(key) = expected.get("picked_up") {
        assert_near(&format!("{what}: picked up"), wait.map(exact), key.as_f64());
    }
}

// === impl History ===

impl<'a> History<'a> {
    fn new(runs: &[Value], recording: &'a Recording) -> Self {
        let commit = |it: &Value| it["commit"].as_str().unwrap().to_owned();
        let parents = |it: &Value| {
            let parents = it["parents"].as_array().unwrap().iter();
            parents.map(|it| it.as_str().unwrap().to_owned()).collect()
        };
        Self {
            parents: runs.iter().map(|it| (commit(it), parents(it))).collect(),
            canaries: runs
                .iter()
                .map(|it| (commit(it), it["run"].as_str().unwrap().parse().unwrap()))
                .collect(),
            pushes: recording.pushes().collect(),
        }
    }

    /// What the repository says of another's commit (rule T9).
    fn ancestry(&self, ours: &str, other: &str, at: Moment) -> Ancestry {
        if self.descends(other, ours) {
            return Ancestry::Carries(self.canaries.get(other).cloned());
        }
        if self.descends(ours, other) {
            return Ancestry::NotYet;
        }
        let pushed = self.pushes.iter().take_while(|it| it.acked <= at);
        let tip = pushed.last().and_then(|it| it.line["commit"].as_str());
        let kept = tip.is_some_and(|it| it == ours || self.descends(it, ours));
        if kept { Ancestry::NotYet } else { Ancestry::Gone }
    }

    fn descends(&self, commit: &str, ancestor: &str) -> bool {
        let Some(parents) = self.parents.get(commit) else { return false };
        parents.iter().any(|it| it == ancestor || self.descends(it, ancestor))
    }
}

/// The scenario of a recording.
fn scenario(names: &Names, deadline: f64) -> Plan {
    let source = Subject::local(GroupKind::git_repository(), "flux-system", "fleet");
    let applier = Subject::local(GroupKind::kustomization(), "flux-system", names.kustomization);
    let (group, kind, name) = names.live;
    let live = Subject::local(GroupKind::new(group, kind), "default", name);
    let git = Annotated::Source(SourceKind::Git);
    let webhook = Arc::new(WebhookReceived::new(Upstream::Shared, git));
    let fetched = Arc::new(SourceFetched(SourceKind::Git));
    let told = notified(&applier, vec![1]);
    let hops = vec![
        hop("webhook_received", &source, Place::Request, vec![], webhook),
        hop("source_fetched", &source, Place::Fetch, vec![], fetched),
        hop("applied", &applier, Place::Apply, vec![1], Arc::new(Applied)),
        hop("live", &live, Place::Live, vec![1], Arc::new(Live::new(&LiveConfig::default()))),
        told,
    ];
    plan(hops, deadline)
}
