//! Watch streams of real Flux controllers, fed through the state machine and the detectors that
//! run in production, at their recorded instants, and compared with an independent answer key.
//!
//! `tests/recordings/` holds the streams; `expected.json` says per pushed commit when it passed
//! which hop, who brought it, who woke the fetch, and how the run ends under which deadline.

use hopclock::engine::{Ancestry, Effect, Plan, PlannedHop, Run, Start};
use hopclock::hop::{
    Applied, Detector, Live, LiveConfig, Place, SourceFetched, Upstream, WebhookReceived,
};
use hopclock::model::{
    Arrival, CanaryId, GroupKind, Moment, Passage, Requirement, Revision, RunRecord, Seen,
    SourceKind, Span, State, Subject, Via, When,
};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Everything that a recording holds, in order of arrival.
struct Recording {
    lines: Vec<(Moment, Line)>,
}

enum Line {
    Event { subject: Arc<Subject>, state: State },
    Push(Push),
}

#[derive(Clone)]
struct Push {
    run: String,
    commit: String,
    sent: Moment,
}

/// What the objects of a recording are called.
struct Names {
    kustomization: &'static str,
    live: (&'static str, &'static str, &'static str),
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
    let recording = Recording::read(name);
    let key: Value = serde_json::from_str(&read("expected.json")).unwrap();
    let runs = key[name].as_array().unwrap();
    assert!(!runs.is_empty(), "{name}: the key has no run");
    for expected in runs {
        let deadline = expected["deadline"].as_f64().unwrap();
        let record = recording.run(expected, runs, names, deadline);
        compare(&format!("{name} {} {}", expected["run"], expected["label"]), &record, expected);
        let Some(other) = expected["outcome_at"].as_object() else { continue };
        for (deadline, outcome) in other {
            let record = recording.run(expected, runs, names, deadline.parse().unwrap());
            assert_eq!(record.outcome.as_str(), outcome, "{name} under a deadline of {deadline} s");
        }
    }
}

/// Compares a run with the key, to the millisecond.
fn compare(what: &str, record: &RunRecord, expected: &Value) {
    assert_eq!(record.outcome.as_str(), expected["outcome"], "{what}: outcome");
    let key = |hop: &str| expected["hops"][hop].as_f64();
    for hop in ["webhook_received", "source_fetched", "applied", "live"] {
        let passage = passage(record, hop);
        let at = passage.at().map(exact);
        assert_near(&format!("{what}: {hop}"), at, key(hop));
        let Passage::Reached { stage, early, uncertain, reordered, .. } = passage else { continue };
        let start = if matches!(hop, "applied" | "live") { key("source_fetched") } else { None };
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
    let first = record.failing_since.as_ref();
    let since = &expected["failing_since"];
    assert_eq!(first.map(|it| it.reason.as_str()), since[1].as_str(), "{what}: first reason");
    assert_near(&format!("{what}: failing since"), first.map(|it| exact(it.at)), since[0].as_f64());
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

fn assert_near(what: &str, found: Option<f64>, key: Option<f64>) {
    let near = match (found, key) {
        (Some(found), Some(key)) => (found - key).abs() <= 0.001,
        (None, None) => true,
        _ => false,
    };
    assert!(near, "{what}: {found:?} s, the key says {key:?} s");
}

fn passage<'a>(record: &'a RunRecord, hop: &str) -> &'a Passage {
    &record.hops.iter().find(|it| it.hop == hop).unwrap().passage
}

fn exact(span: Span) -> f64 {
    assert!(span.is_exact(), "{span:?}");
    span.most.as_secs_f64()
}

// === impl Recording ===

impl Recording {
    fn read(name: &str) -> Self {
        let text = read(&format!("{name}.jsonl"));
        let lines: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
        let origin = lines[0]["t"].as_f64().unwrap();
        let moment = |it: &Value| seconds(it.as_f64().unwrap() - origin + 1.0);
        let lines = lines.iter().filter_map(|line| {
            let at = moment(&line["t"]);
            Some((at, Line::parse(line, at, moment)?))
        });
        Self { lines: lines.collect() }
    }

    /// One run, with the recorded stream from shortly before its push to its deadline.
    fn run(&self, expected: &Value, runs: &[Value], names: &Names, deadline: f64) -> RunRecord {
        let push = self.pushes().find(|it| expected["run"] == it.run).unwrap().clone();
        let mut replay = Replay {
            run: Run::new(Arc::new(plan(names, deadline)), push.run.parse().unwrap()),
            history: History::new(runs),
            recording: self,
            commit: push.commit.clone(),
        };
        let mut last: HashMap<&Arc<Subject>, &State> = HashMap::new();
        for (_, line) in self.lines.iter().take_while(|it| it.0 < push.sent) {
            if let Line::Event { subject, state } = line {
                last.insert(subject, state);
            }
        }
        for (subject, state) in last {
            let state = State { arrival: Arrival::First, ..state.clone() };
            replay.run.seen(&Seen { subject: subject.clone(), state });
        }
        let skipped = expected["outcome"] == "skipped";
        assert_eq!(replay.run.start(push.sent) != Start::Go, skipped, "{}", push.run);
        replay.push_and_watch(&push)
    }

    fn pushes(&self) -> impl Iterator<Item = &Push> {
        self.lines
            .iter()
            .filter_map(|it| if let Line::Push(push) = &it.1 { Some(push) } else { None })
    }
}

/// A run on its way through a recording.
struct Replay<'a> {
    run: Run,
    history: History,
    recording: &'a Recording,
    commit: String,
}

// === impl Replay ===

impl Replay<'_> {
    fn push_and_watch(mut self, push: &Push) -> RunRecord {
        let effects = self.run.announce(vec![Revision::Commit(self.commit.clone())]);
        self.carry_out(effects, push.sent);
        self.run.begin(push.sent);
        let mut end = None;
        for (at, line) in self.recording.lines.iter().skip_while(|it| it.0 < push.sent) {
            self.tick_until(*at);
            if end.is_some_and(|end| *at > end) {
                break;
            }
            let effects = match line {
                Line::Event { subject, state } => {
                    self.run.seen(&Seen { subject: subject.clone(), state: state.clone() })
                }
                Line::Push(it) if it.run == push.run => {
                    end = Some(*at + self.run.plan().deadline);
                    self.run.published(push.sent, When::at(*at), 1)
                }
                Line::Push(_) => Vec::new(),
            };
            self.carry_out(effects, *at);
        }
        let end = end.unwrap();
        self.tick_until(end + Duration::from_millis(1));
        self.run.finish(jiff::Timestamp::UNIX_EPOCH, end).0
    }

    fn tick_until(&mut self, now: Moment) {
        while let Some(at) = self.run.wakes_at().filter(|it| *it < now) {
            let effects = self.run.tick(at);
            if effects.is_empty() {
                break;
            }
            self.carry_out(effects, at);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>, at: Moment) {
        for effect in effects {
            let more = match effect {
                Effect::Ask(revision) => {
                    let ancestry = self.ancestry(revision.id(), at);
                    self.run.answer(&revision, ancestry, at)
                }
                Effect::Settle => self.run.settled(&[], at),
                Effect::Reached(_) | Effect::Count(..) | Effect::Ended => Vec::new(),
            };
            self.carry_out(more, at);
        }
    }

    /// What the repository says of another's commit (rule T9).
    fn ancestry(&self, other: &str, at: Moment) -> Ancestry {
        let history = &self.history;
        if history.descends(other, &self.commit) {
            return Ancestry::Carries(history.canary(other));
        }
        if history.descends(&self.commit, other) {
            return Ancestry::NotYet;
        }
        let lines = self.recording.lines.iter().take_while(|it| it.0 <= at);
        let pushed =
            lines.filter_map(|it| if let Line::Push(it) = &it.1 { Some(it) } else { None });
        let tip = pushed.last().map(|it| it.commit.as_str());
        let kept = tip.is_some_and(|it| it == self.commit || history.descends(it, &self.commit));
        if kept { Ancestry::NotYet } else { Ancestry::Gone }
    }
}

/// The commits of a recording, with their parents.
struct History {
    parents: HashMap<String, Vec<String>>,
    canaries: HashMap<String, CanaryId>,
}

// === impl History ===

impl History {
    fn new(runs: &[Value]) -> Self {
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
        }
    }

    fn descends(&self, commit: &str, ancestor: &str) -> bool {
        let Some(parents) = self.parents.get(commit) else { return false };
        parents.iter().any(|it| it == ancestor || self.descends(it, ancestor))
    }

    fn canary(&self, commit: &str) -> Option<CanaryId> {
        self.canaries.get(commit).cloned()
    }
}

// === impl Line ===

impl Line {
    fn parse(line: &Value, at: Moment, moment: impl Fn(&Value) -> Moment) -> Option<Self> {
        if let Some(push) = line.get("push") {
            return Some(Self::Push(Push {
                run: push["run"].as_str()?.to_owned(),
                commit: push["commit"].as_str()?.to_owned(),
                sent: moment(&push["sent"]),
            }));
        }
        let object = &line["event"]["object"];
        let (group, _) = object["apiVersion"].as_str()?.split_once('/').unwrap_or_default();
        let kind = GroupKind::new(group, object["kind"].as_str()?);
        let text = |it: &Value| it.as_str().unwrap_or("").to_owned();
        let metadata = &object["metadata"];
        let subject = Subject::local(kind, &text(&metadata["namespace"]), &text(&metadata["name"]));
        let deleted = line["event"]["type"] == "DELETED";
        let value = Arc::new(if deleted { Value::Null } else { object.clone() });
        let state = State { when: When::at(at), arrival: Arrival::Next, value };
        Some(Self::Event { subject: Arc::new(subject), state })
    }
}

/// The scenario of a recording.
fn plan(names: &Names, deadline: f64) -> Plan {
    let source = Subject::local(GroupKind::git_repository(), "flux-system", "fleet");
    let applier = Subject::local(GroupKind::kustomization(), "flux-system", names.kustomization);
    let (group, kind, name) = names.live;
    let live = Subject::local(GroupKind::new(group, kind), "default", name);
    let hop =
        |name: &str, subject: &Subject, place, after, detector: Arc<dyn Detector>| PlannedHop {
            name: name.to_owned(),
            subject: Arc::new(subject.clone()),
            place,
            after,
            within: None,
            need: if place == Place::Request {
                Requirement::Optional
            } else {
                Requirement::Required
            },
            detector,
            witnesses: Vec::new(),
        };
    let webhook = Arc::new(WebhookReceived::new(Upstream::Shared));
    let live_detector = Arc::new(Live::new(&LiveConfig::default()));
    Plan {
        scenario: "replay".to_owned(),
        deadline: Duration::from_secs_f64(deadline),
        within: None,
        until: None,
        hops: vec![
            hop("webhook_received", &source, Place::Request, vec![], webhook),
            hop(
                "source_fetched",
                &source,
                Place::Fetch,
                vec![],
                Arc::new(SourceFetched(SourceKind::Git)),
            ),
            hop("applied", &applier, Place::Apply, vec![1], Arc::new(Applied)),
            hop("live", &live, Place::Live, vec![1], live_detector),
        ],
        bystanders: Vec::new(),
    }
}

fn read(file: &str) -> String {
    let path = format!("{}/tests/recordings/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn seconds(seconds: f64) -> Moment {
    Moment(Duration::from_secs_f64(seconds))
}
