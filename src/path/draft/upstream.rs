//! From the trigger to the source that holds the change: which trigger a source takes, and every hop
//! on the way.

use crate::model::{GroupKind, Subject};
use crate::path::delivery::branch_of;
use crate::path::draft::times::{Poll, WOKEN};
use crate::path::draft::{Drafter, Field, NotDrafted, Step, key_of, named};
use crate::path::graph::{Link, Request};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// What brings a change into a source.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    pub(super) trigger: &'static str,
    pub(super) fields: Vec<Field>,
    /// The object whose consent counts.
    pub(super) lane: Subject,
    /// What carries the change, in a word.
    pub(super) what: &'static str,
    pub(super) steps: Vec<Step>,
    pub(super) polls: Vec<Poll>,
    pub(super) notes: Vec<String>,
}

/// Interval of what does not say one.
const UNSAID: Duration = Duration::from_secs(600);

// === impl Field ===

impl Field {
    /// A key of a trigger.
    pub(super) fn new(key: &'static str, value: impl Into<Value>, why: &str) -> Self {
        Self { key, value: value.into(), why: why.to_owned() }
    }
}

// === impl Drafter ===

impl Drafter<'_> {
    /// What brings a change into a source.
    pub(super) fn upstream(&self, source: &Subject) -> Result<Upstream, NotDrafted> {
        self.upstream_of(source, &mut BTreeSet::new())
    }

    /// The same; `seen` are the sources that were asked on the way here.
    fn upstream_of(
        &self,
        source: &Subject,
        seen: &mut BTreeSet<Subject>,
    ) -> Result<Upstream, NotDrafted> {
        if !seen.insert(source.clone()) {
            return Err(NotDrafted(format!(
                "{source} is made of itself: correct the sources of its generator"
            )));
        }
        if self.graph.node(source).is_none() {
            return Err(self.absent(source));
        }
        let object = self.graph.object(source);
        match source.kind.kind.as_str() {
            "GitRepository" => {
                branch_of(source, object).map_err(|it| NotDrafted(it.message))?;
                let mut it = self.direct(source, "git_commit", "a commit");
                if !object["spec"]["verify"].is_null() {
                    it.notes.push(format!(
                        "{source} verifies signatures (`spec.verify`): give the trigger a \
                         `signing` key that it accepts, or nothing is pushed"
                    ));
                }
                Ok(it)
            }
            "OCIRepository" => Ok(self.direct(source, "oci_artifact", "an OCI artifact")),
            "Bucket" => Ok(self.direct(source, "bucket_object", "an object of a bucket")),
            "HelmRepository" => Ok(self.direct(source, "helm_chart", "a chart")),
            "HelmChart" => self.chart(source, object, seen),
            "ExternalArtifact" => self.composed(source, seen),
            _ => Err(NotDrafted(format!("no trigger changes what {source} holds"))),
        }
    }

    /// A source that is changed from outside.
    fn direct(&self, source: &Subject, trigger: &'static str, what: &'static str) -> Upstream {
        let (steps, poll, notes) = self.fetched(source);
        let why =
            "URL and credentials are taken from it; where those are read-only, add `push_auth`";
        Upstream {
            trigger,
            fields: vec![Field::new("source", named(source), why)],
            lane: source.clone(),
            what,
            steps,
            polls: vec![poll],
            notes,
        }
    }

    /// A chart, after what it is packaged from.
    fn chart(
        &self,
        chart: &Subject,
        object: &Value,
        seen: &mut BTreeSet<Subject>,
    ) -> Result<Upstream, NotDrafted> {
        let none = || NotDrafted(format!("{chart} names no source: correct its `spec.sourceRef`"));
        let source = self.graph.fed_by(chart).next().ok_or_else(none)?;
        let (steps, poll, notes) = self.fetched(chart);
        if self.graph.facts(source).is_static {
            let why = "the repository is of type `oci`, which Flux never fetches: the chart looks \
                       into the registry itself";
            return Ok(Upstream {
                trigger: "helm_chart",
                fields: vec![Field::new("source", named(source), why)],
                lane: source.clone(),
                what: "a chart",
                steps,
                polls: vec![poll],
                notes,
            });
        }
        let mut it = self.upstream_of(source, seen)?;
        let by_version = object["spec"]["reconcileStrategy"] != "Revision";
        if it.trigger != "helm_chart" && by_version {
            it.notes.push(format!(
                "{chart} is packaged anew only when the chart's version changes: each run raises it \
                 in `Chart.yaml`; with `reconcileStrategy: Revision` it need not"
            ));
        }
        // What it is packaged from wakes it.
        let woken = |step: Step| Step { within: step.within.and(Some(WOKEN)), ..step };
        it.steps.extend(steps.into_iter().map(woken));
        it.notes.extend(notes);
        Ok(it)
    }

    /// An artifact that a generator composes; the change goes into the first of its sources.
    fn composed(
        &self,
        artifact: &Subject,
        seen: &mut BTreeSet<Subject>,
    ) -> Result<Upstream, NotDrafted> {
        let none = || NotDrafted(format!("nothing says which generator has composed {artifact}"));
        let generator = self.graph.fed_by(artifact).next().ok_or_else(none)?;
        let mut sources: Vec<_> = self.graph.fed_by(generator).collect();
        sources.sort();
        let none = || NotDrafted(format!("{generator} has no sources"));
        let (first, others) = sources.split_first().ok_or_else(none)?;
        let mut it = self.upstream_of(first, seen)?;
        let step = Step::new(
            "source_fetched",
            json!({ key_of(&artifact.kind.kind): named(artifact) }),
            artifact,
            "composed at once when one of its sources has a new artifact",
        );
        it.steps.push(step);
        if !others.is_empty() {
            let others: Vec<_> = others.iter().map(ToString::to_string).collect();
            let others = others.join(", ");
            it.notes
                .push(format!("{generator} is also made of {others}: each is a path of its own"));
        }
        it.notes.push(format!(
            "`path` has to be one that {generator} copies into {artifact} (`spec.artifacts`)"
        ));
        Ok(it)
    }

    /// The hops at which an object looks at its remote: who asks it to, and that it did.
    pub(super) fn fetched(&self, source: &Subject) -> (Vec<Step>, Poll, Vec<String>) {
        let (mut steps, poll, notes) = self.asked(source);
        let why = self.waits(&poll);
        let fetched = json!({ key_of(&source.kind.kind): named(source) });
        let fetched = Step::new("source_fetched", fetched, source, &why);
        steps.push(fetched.within(poll.objective()));
        (steps, poll, notes)
    }

    /// Who asks an object to look, and how often it does by itself.
    pub(super) fn asked(&self, subject: &Subject) -> (Vec<Step>, Poll, Vec<String>) {
        let wakers: Vec<_> = self.graph.wakers(subject).collect();
        let step = |receiver: &&Subject| {
            let config = json!({
                "receiver": named(receiver), key_of(&subject.kind.kind): named(subject),
            });
            Step::new("webhook_received", config, subject, "timed if it arrives, never waited for")
        };
        let steps: Vec<_> = wakers.iter().map(step).collect();
        let interval = self.graph.facts(subject).interval.unwrap_or(UNSAID);
        let poll = Poll { subject: subject.clone(), interval, woken: !wakers.is_empty() };
        let mut notes = Vec::new();
        for edge in self.graph.into(subject) {
            let note = match edge.link {
                Link::Wakes(Request::Vain) => format!(
                    "{} points at {subject}, which Flux never reconciles: point it at the \
                     HelmChart, or use an OCIRepository",
                    edge.from
                ),
                Link::Wakes(Request::Failing) => format!(
                    "{} answers 500, for it does not say the `apiVersion` of {subject}: add it to \
                     its `spec.resources`",
                    edge.from
                ),
                Link::Wakes(Request::Obeyed) if self.graph.facts(&edge.from).suspended => {
                    format!("{} is suspended: no webhook arrives", edge.from)
                }
                Link::Includes => {
                    format!("{subject} also includes {}: a change there is another path", edge.from)
                }
                _ => continue,
            };
            notes.push(note);
        }
        (steps, poll, notes)
    }

    /// What a change waits for at an object that looks by itself.
    pub(super) fn waits(&self, poll: &Poll) -> String {
        let interval = crate::model::Duration(poll.interval);
        match poll.woken {
            true => format!("asked by its Receiver; without it, it looks every {interval}"),
            false if self.can_be_asked(&poll.subject) => {
                format!("looks every {interval}, for no Receiver asks it to")
            }
            false => format!("looks every {interval}"),
        }
    }

    fn can_be_asked(&self, subject: &Subject) -> bool {
        let receivers = self.graph.snapshot().unseen().any(|it| *it.0 == GroupKind::receiver());
        !receivers && !self.graph.facts(subject).is_static
    }
}
