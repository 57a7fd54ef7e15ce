//! A small language for the streams that a run is shown: what each subject shows and when, what
//! the remote answers, and what came of it.
//!
//! Publish begins at second 10, is acknowledged at second 11 unless a test says otherwise, and
//! brings commit `c` with canary 100 of the lane, under a deadline of 60 s.

use crate::engine::machine::{Ancestry, Effect, Run, Start};
use crate::engine::plan::{Plan, PlannedBystander, PlannedHop};
use crate::hop::tests::objects::{
    Object, at, canary, commit, config_map, first, gap, kustomization, next, source,
};
use crate::hop::{
    Annotated, Applied, Bystander, Detector, Live, LiveConfig, Place, SourceFetched, Upstream,
    WebhookReceived,
};
use crate::model::{
    GroupKind, Outcome, Passage, Requirement, RunRecord, Seen, SloVerdict, SourceKind, Span, State,
    Subject, When,
};
use std::sync::Arc;
use std::time::Duration;

pub(super) const WEBHOOK: usize = 0;
pub(super) const SOURCE: usize = 1;
pub(super) const APPLIED: usize = 2;
pub(super) const LIVE: usize = 3;

/// A run, and everything that it has said.
pub(super) struct Script {
    pub(super) run: Run,
    /// Every effect so far.
    pub(super) said: Vec<Effect>,
    /// The subjects whose watch does not answer.
    pub(super) unproven: Vec<Arc<Subject>>,
}

// === impl Script ===

impl Script {
    /// A run of a plan, whose watches have not shown anything.
    pub(super) fn of(plan: Plan) -> Self {
        let run = Run::new(Arc::new(plan), canary(100));
        Self { run, said: Vec::new(), unproven: Vec::new() }
    }

    /// A run whose watches have shown that all is well.
    pub(super) fn ready(plan: Plan) -> Self {
        let mut script = Self::of(plan);
        script.see(&source_subject(), first(1.0, source()));
        script.see(&applier_subject(), first(1.0, kustomization()));
        script.see(&live_subject(), first(1.0, config_map(1)));
        script
    }

    /// A run that was pushed from second 10 to second 11.
    pub(super) fn pushed(plan: Plan) -> Self {
        let mut script = Self::sending(plan);
        script.publish(When::at(at(11.0)));
        script
    }

    /// A run whose push is under way since second 10.
    pub(super) fn sending(plan: Plan) -> Self {
        let mut script = Self::ready(plan);
        assert_eq!(script.run.start(at(9.0)), Start::Go);
        script.announce('c');
        script.run.begin(at(10.0));
        script
    }

    pub(super) fn announce(&mut self, revision: char) {
        let effects = self.run.announce(vec![commit(revision)]);
        self.said.extend(effects);
    }

    pub(super) fn publish(&mut self, zero: When) {
        let effects = self.run.published(at(10.0), zero, 1);
        self.said.extend(effects);
    }

    pub(super) fn see(&mut self, subject: &Subject, state: State) {
        let effects = self.run.seen(&Seen { subject: Arc::new(subject.clone()), state });
        self.said.extend(effects);
    }

    pub(super) fn source(&mut self, seconds: f64, object: Object) {
        self.see(&source_subject(), next(seconds, object));
    }

    pub(super) fn kustomization(&mut self, seconds: f64, object: Object) {
        self.see(&applier_subject(), next(seconds, object));
    }

    pub(super) fn live(&mut self, seconds: f64, sequence: u64) {
        self.see(&live_subject(), next(seconds, config_map(sequence)));
    }

    /// The source holds a commit.
    pub(super) fn fetched(&mut self, seconds: f64, commit: char) {
        self.source(seconds, source().artifact(commit));
    }

    /// The same, but seen behind a gap.
    pub(super) fn fetched_between(&mut self, since: f64, until: f64, commit: char) {
        self.see(&source_subject(), gap(since, until, source().artifact(commit)));
    }

    /// The applier has applied a commit.
    pub(super) fn applied(&mut self, seconds: f64, commit: char) {
        self.kustomization(seconds, kustomization().applied(commit));
    }

    pub(super) fn answer(&mut self, seconds: f64, revision: char, ancestry: Ancestry) {
        let effects = self.run.answer(&commit(revision), ancestry, at(seconds));
        self.said.extend(effects);
    }

    /// Lets time pass as a driver does: ticks when the run wants to be woken, and settles.
    pub(super) fn pass(&mut self, until: f64) {
        for _ in 0..64 {
            let due = self.run.wakes_at().filter(|it| *it <= at(until));
            let Some(now) = due.filter(|it| !self.run.is_over(*it)) else { return };
            let effects = self.run.tick(now);
            let settle = effects.contains(&Effect::Settle);
            self.said.extend(effects);
            if settle {
                self.settle(now.0.as_secs_f64());
            }
        }
        panic!("the run wants to be woken again and again");
    }

    pub(super) fn settle(&mut self, seconds: f64) {
        let unproven = self.unproven.clone();
        let effects = self.run.settled(&unproven, at(seconds));
        self.said.extend(effects);
    }

    pub(super) fn outcome(&self) -> &'static str {
        self.run.outcome().map_or("none", Outcome::as_str)
    }

    pub(super) fn finish(&mut self, seconds: f64) -> RunRecord {
        let (record, effects) = self.run.finish(jiff::Timestamp::UNIX_EPOCH, at(seconds));
        self.said.extend(effects);
        record
    }

    /// The revisions that were asked for, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        let letter = |it: &Effect| match it {
            Effect::Ask(revision) => Some(revision.id()[..1].to_owned()),
            _ => None,
        };
        self.said.iter().filter_map(letter).collect()
    }

    /// What was counted, in order.
    pub(super) fn counted(&self) -> Vec<(&str, &'static str)> {
        let count = |it: &'_ Effect| match it {
            Effect::Count(slo, verdict) => Some((slo.clone(), SloVerdict::as_str(*verdict))),
            _ => None,
        };
        let labels = ["total", "webhook_received", "source_fetched", "applied", "live"];
        let known = |slo: &str| *labels.iter().find(|it| **it == slo).unwrap();
        self.said.iter().filter_map(count).map(|(slo, verdict)| (known(&slo), verdict)).collect()
    }
}

/// What is kept of a hop that was reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds {
    pub(super) at: (f64, f64),
    pub(super) stage: Option<(f64, f64)>,
    pub(super) wait: Option<(f64, f64)>,
    pub(super) early: bool,
    pub(super) reordered: bool,
    pub(super) uncertain: bool,
}

/// What is kept of a hop, if it was reached, in seconds.
pub(super) fn kept(record: &RunRecord, hop: usize) -> Option<Seconds> {
    let seconds = |it: Span| (it.least.as_secs_f64(), it.most.as_secs_f64());
    match &record.hops[hop].passage {
        Passage::Reached { at, stage, wait, early, reordered, uncertain, .. } => Some(Seconds {
            at: seconds(*at),
            stage: stage.map(seconds),
            wait: wait.map(seconds),
            early: *early,
            reordered: *reordered,
            uncertain: *uncertain,
        }),
        Passage::Bypassed | Passage::Unreached => None,
    }
}

/// Webhook, fetch, apply and live, as design.md's own example has them.
pub(super) fn plan() -> Plan {
    let hop =
        |name: &str, subject: Subject, place, after, detector: Arc<dyn Detector>| PlannedHop {
            name: name.to_owned(),
            subject: Arc::new(subject),
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
    let git = Annotated::Source(SourceKind::Git);
    let webhook = Arc::new(WebhookReceived::new(Upstream::Single, git));
    let live = Arc::new(Live::new(&LiveConfig::default()));
    Plan {
        scenario: "script".to_owned(),
        deadline: Duration::from_secs(60),
        within: None,
        until: None,
        hops: vec![
            hop("webhook_received", source_subject(), Place::Request, vec![], webhook),
            hop(
                "source_fetched",
                source_subject(),
                Place::Fetch,
                vec![],
                Arc::new(SourceFetched(SourceKind::Git)),
            ),
            hop("applied", applier_subject(), Place::Apply, vec![SOURCE], Arc::new(Applied)),
            hop("live", live_subject(), Place::Live, vec![SOURCE], live),
        ],
        bystanders: Vec::new(),
    }
}

/// The same, with an objective of so many seconds.
pub(super) fn plan_within(seconds: u64) -> Plan {
    Plan { within: Some(Duration::from_secs(seconds)), ..plan() }
}

/// The same, with another need of one hop.
pub(super) fn plan_with(hop: usize, need: Requirement) -> Plan {
    let mut plan = plan();
    plan.hops[hop].need = need;
    plan
}

/// The same, with a further member of the path.
pub(super) fn plan_beside(name: &str, kind: GroupKind, detector: Bystander) -> (Plan, Subject) {
    let subject = Subject::local(kind, "flux-system", name);
    let bystander = PlannedBystander { subject: Arc::new(subject.clone()), detector };
    (Plan { bystanders: vec![bystander], ..plan() }, subject)
}

pub(super) fn source_subject() -> Subject {
    Subject::local(GroupKind::git_repository(), "flux-system", "fleet")
}

pub(super) fn applier_subject() -> Subject {
    Subject::local(GroupKind::kustomization(), "flux-system", "apps")
}

pub(super) fn live_subject() -> Subject {
    Subject::local(GroupKind::new("", "ConfigMap"), "default", "canary")
}
