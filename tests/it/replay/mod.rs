//! Watch streams of real Flux controllers, fed through the state machine and the detectors that
//! run in production, at their recorded instants, and compared with an independent answer key.
//!
//! `tests/recordings/` holds the streams; `expected.json` says per push when it passed which hop,
//! who brought it, who woke the fetch, and how the run ends under which deadline. Here stands what
//! all recordings share; what a change is, and what its remote answers, is said beside their tests.

mod git;
mod helm;
mod image;

use hopclock::engine::{Ancestry, Effect, Plan, PlannedHop, Run, Start};
use hopclock::hop::{Detector, Notified, Place};
use hopclock::model::{
    Arrival, CanaryId, GroupKind, Moment, Passage, Requirement, Revision, RunRecord, Seen, Span,
    State, Subject, When,
};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Everything that a recording holds, in order of arrival.
pub(crate) struct Recording {
    lines: Vec<(Moment, Line)>,
}

/// What a recording holds at one instant.
enum Line {
    Event { subject: Arc<Subject>, state: State },
    Push(Push),
}

/// A change that was pushed; its line stands at its acknowledgement.
#[derive(Clone)]
pub(crate) struct Push {
    pub(crate) line: Value,
    pub(crate) sent: Moment,
    pub(crate) acked: Moment,
}

/// One run through a recording.
pub(crate) struct Scene<'a> {
    pub(crate) plan: Plan,
    pub(crate) canary: CanaryId,
    pub(crate) push: &'a Push,
    /// What the push brings.
    pub(crate) revisions: Vec<Revision>,
    /// What the remote says of another's revision (rule T9).
    pub(crate) remote: &'a dyn Fn(&Revision, Moment) -> Ancestry,
    /// Something on the path is suspended: production would push nothing.
    pub(crate) skipped: bool,
}

/// A run on its way through a recording.
struct Replay<'a> {
    run: Run,
    recording: &'a Recording,
    remote: &'a dyn Fn(&Revision, Moment) -> Ancestry,
}

// === impl Recording ===

impl Recording {
    /// Reads a recording by its name.
    pub(crate) fn read(name: &str) -> Self {
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

    /// Adds what was seen by other ways than a watch, such as a poll.
    pub(crate) fn also_saw(&mut self, at: Moment, subject: &Subject, value: Value) {
        let state = State { when: When::at(at), arrival: Arrival::Next, value: Arc::new(value) };
        let event = Line::Event { subject: Arc::new(subject.clone()), state };
        let index = self.lines.partition_point(|it| it.0 <= at);
        self.lines.insert(index, (at, event));
    }

    /// Changes what every state of a subject shows.
    pub(crate) fn edit(&mut self, change: impl Fn(&Subject, &mut Value)) {
        for (_, line) in &mut self.lines {
            if let Line::Event { subject, state } = line {
                change(subject, Arc::make_mut(&mut state.value));
            }
        }
    }

    /// Every push, in order.
    pub(crate) fn pushes(&self) -> impl Iterator<Item = &Push> {
        let push = |it: &'_ (Moment, Line)| matches!(it.1, Line::Push(_));
        self.lines.iter().filter(move |it| push(it)).filter_map(|it| match &it.1 {
            Line::Push(push) => Some(push),
            Line::Event { .. } => None,
        })
    }

    /// One run, with the recorded stream from shortly before its push to its deadline.
    pub(crate) fn run(&self, scene: Scene<'_>) -> RunRecord {
        let Scene { plan, canary, push, revisions, remote, skipped } = scene;
        let run = Run::new(Arc::new(plan), canary);
        let mut replay = Replay { run, recording: self, remote };
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
        assert_eq!(replay.run.start(push.sent) != Start::Go, skipped, "{}", push.line);
        replay.push_and_watch(push, revisions)
    }
}

// === impl Replay ===

impl Replay<'_> {
    fn push_and_watch(mut self, push: &Push, revisions: Vec<Revision>) -> RunRecord {
        let effects = self.run.announce(revisions);
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
                Line::Push(it) if it.acked == push.acked => {
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
                    let ancestry = (self.remote)(&revision, at);
                    self.run.answer(&revision, ancestry, at)
                }
                Effect::Settle => self.run.settled(&[], at),
                Effect::Errand(..) | Effect::Reached(_) | Effect::Count(..) | Effect::Ended => {
                    Vec::new()
                }
            };
            self.carry_out(more, at);
        }
    }
}

// === impl Line ===

impl Line {
    fn parse(line: &Value, at: Moment, moment: impl Fn(&Value) -> Moment) -> Option<Self> {
        if let Some(push) = line.get("push") {
            let sent = moment(&push["sent"]);
            return Some(Self::Push(Push { line: push.clone(), sent, acked: at }));
        }
        if let Some(delivery) = line.get("notification") {
            let subject = Subject::local(GroupKind::notification(), "", "flux");
            let value = Arc::new(delivery["body"].clone());
            let state = State { when: When::at(at), arrival: Arrival::Next, value };
            return Some(Self::Event { subject: Arc::new(subject), state });
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

/// The hop at which the listener is told of an applier; a run ends well without it.
pub(crate) fn notified(applier: &Subject, after: Vec<usize>) -> PlannedHop {
    let listener = Subject::local(GroupKind::notification(), "", "flux");
    let detector = Arc::new(Notified::new(applier.clone()));
    let told = hop("notified", &listener, Place::Notify, after, detector);
    PlannedHop { need: Requirement::Optional, ..told }
}

/// The runs of a recording, as the key has them.
pub(crate) fn key(name: &str) -> Vec<Value> {
    let key: Value = serde_json::from_str(&read("expected.json")).unwrap();
    let runs = key[name].as_array().unwrap().clone();
    assert!(!runs.is_empty(), "{name}: the key has no run");
    runs
}

/// A hop of a plan; requests are optional, as in scenarios that do not say.
pub(crate) fn hop(
    name: &str,
    subject: &Subject,
    place: Place,
    after: Vec<usize>,
    detector: Arc<dyn Detector>,
) -> PlannedHop {
    let optional = place.is_request();
    PlannedHop {
        name: name.to_owned(),
        subject: Arc::new(subject.clone()),
        place,
        after,
        within: None,
        need: if optional { Requirement::Optional } else { Requirement::Required },
        detector,
        witnesses: Vec::new(),
    }
}

/// A scenario of these hops.
pub(crate) fn plan(hops: Vec<PlannedHop>, deadline: f64) -> Plan {
    Plan {
        scenario: "replay".to_owned(),
        deadline: Duration::from_secs_f64(deadline),
        within: None,
        until: None,
        hops,
        bystanders: Vec::new(),
    }
}

/// Compares the first failure that counted with the key.
pub(crate) fn compare_failure(what: &str, record: &RunRecord, expected: &Value) {
    let first = record.failing_since.as_ref();
    let since = &expected["failing_since"];
    assert_eq!(first.map(|it| it.reason.as_str()), since[1].as_str(), "{what}: first reason");
    assert_near(&format!("{what}: failing since"), first.map(|it| exact(it.at)), since[0].as_f64());
}

/// Compares with the key to the millisecond.
pub(crate) fn assert_near(what: &str, found: Option<f64>, key: Option<f64>) {
    let near = match (found, key) {
        (Some(found), Some(key)) => (found - key).abs() <= 0.001,
        (None, None) => true,
        _ => false,
    };
    assert!(near, "{what}: {found:?} s, the key says {key:?} s");
}

/// What came of a hop.
pub(crate) fn passage<'a>(record: &'a RunRecord, hop: &str) -> &'a Passage {
    &record.hops.iter().find(|it| it.hop == hop).unwrap().passage
}

/// A length that is exact, in seconds.
pub(crate) fn exact(span: Span) -> f64 {
    assert!(span.is_exact(), "{span:?}");
    span.most.as_secs_f64()
}

fn read(file: &str) -> String {
    let path = format!("{}/tests/recordings/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn seconds(seconds: f64) -> Moment {
    Moment(Duration::from_secs_f64(seconds))
}
