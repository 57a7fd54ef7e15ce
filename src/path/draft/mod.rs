//! A scenario for an installed path, drafted from the graph: trigger, hops, times, and why each is
//! as it is.
//!
//! What comes of it is plain data: the command line writes it down as YAML with comments, or runs it
//! where a scenario only names a `target`. Both take the same path.

mod image;
mod kustomization;
mod release;
mod times;
mod upstream;

#[cfg(test)]
mod tests;

use crate::model::{ClusterName, GroupKind, Subject, fnv1a};
use crate::path::delivery::{self, Neighbours, consent_command};
use crate::path::graph::{Graph, Link};
use serde_json::Value;
use std::time::Duration;

pub use times::Times;

/// Drafts scenarios for what a graph holds.
#[derive(Clone, Debug)]
pub struct Drafter<'g> {
    graph: &'g Graph,
    neighbours: Neighbours,
    instance: String,
}

/// What whoever asks already knows.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The object that the trigger will write.
    pub live: Option<Subject>,
    /// Whether a canary that is applied already is to be looked at, and not a new one.
    pub reuse: bool,
}

/// A drafted scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What it is for.
    pub target: Subject,
    /// Its name.
    pub name: String,
    /// What it shows, in a sentence.
    pub description: String,
    /// What a reader has to know, and what is missing.
    pub notes: Vec<String>,
    /// The object that has to consent (rule S0).
    pub lane: Subject,
    /// Whether it does.
    pub consent: Consented,
    /// Kind of the trigger.
    pub trigger: &'static str,
    /// Its keys.
    pub fields: Vec<Field>,
    /// The hops.
    pub hops: Vec<Step>,
    /// Schedule, deadline and objective.
    pub times: Times,
    /// The hop at which push-to-apply ends, where that has to be said.
    pub until: Option<String>,
}

/// Whether a lane consents to our canaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consented {
    /// It does.
    Given,
    /// It says nothing; this command lets it.
    Missing(String),
    /// It consents to those of another instance.
    Other(String),
}

/// A key of a trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
    /// Why it is so, in a few words.
    pub why: String,
}

/// A hop.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its name: the kind, unless there are several of it.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// What the kind is told.
    pub config: Value,
    /// The hops before it, where that is not what their kinds say.
    pub after: Option<Vec<String>>,
    /// Its own objective, from the push.
    pub within: Option<Duration>,
    /// Whether a run needs it, where that is not what its kind says.
    pub required: Option<bool>,
    /// What is looked at.
    pub subject: Subject,
    /// Why it is there, in a few words.
    pub why: String,
}

/// Why there is no scenario for an object: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotDrafted(pub String);

// === impl Drafter ===

impl<'g> Drafter<'g> {
    /// Drafts for the canaries of `instance`.
    #[must_use]
    pub fn new(graph: &'g Graph, instance: &str) -> Self {
        let mut neighbours = Neighbours::default();
        for (group, kind) in delivery::KINDS {
            let kind = GroupKind::new(group, kind);
            let all = graph.snapshot().of_kind(&kind).map(|it| it.1.clone()).collect();
            neighbours.add(&ClusterName::default(), &kind, all);
        }
        Self { graph, neighbours, instance: instance.to_owned() }
    }

    /// Drafts a scenario for a Kustomization, a HelmRelease or an ImagePolicy.
    ///
    /// # Errors
    /// One sentence that says why there can be none.
    pub fn draft(&self, target: &Subject, wish: &Wish) -> Result<Draft, NotDrafted> {
        if self.graph.node(target).is_none() {
            return Err(self.absent(target));
        }
        let mut draft = match target.kind.kind.as_str() {
            "Kustomization" => self.kustomization(target, wish),
            "HelmRelease" => self.release(target, wish),
            "ImagePolicy" => self.policy(target, wish),
            _ => Err(NotDrafted(format!(
                "a path leads to a Kustomization, a HelmRelease or an ImagePolicy, not to {target}"
            ))),
        }?;
        name_hops(&mut draft.hops);
        add_up(&mut draft.hops);
        let ends = |it: &Step| matches!(it.kind, "applied" | "live");
        if !draft.hops.iter().any(ends) {
            draft.until = draft.hops.last().map(|it| it.name.clone());
        }
        self.remark(&mut draft);
        Ok(draft)
    }

    /// Why an object is not in the graph.
    fn absent(&self, subject: &Subject) -> NotDrafted {
        let unseen = self.graph.snapshot().unseen().find(|it| *it.0 == subject.kind);
        let lacks = self.graph.snapshot().absent().any(|it| *it == subject.kind);
        NotDrafted(match unseen {
            None if lacks => format!(
                "there is no {subject}, for the cluster does not know the kind: install its \
                 controller, or name another"
            ),
            Some((_, why)) => format!("{subject} could not be looked at: {why}"),
            None => format!("there is no {subject}: check its name, or whether it was looked for"),
        })
    }

    /// What holds for every draft: who consents, who is suspended, who is told.
    fn remark(&self, draft: &mut Draft) {
        let facts = self.graph.facts(&draft.lane);
        match facts.consents {
            Some(it) if it == self.instance => {}
            Some(other) => {
                draft.notes.push(format!(
                    "{} consents to the canaries of instance `{other}`: run as `--instance {other}`, \
                     or give this one a lane of its own",
                    draft.lane
                ));
                draft.consent = Consented::Other(other);
            }
            None => {
                let command = consent_command(&draft.lane, &self.instance);
                draft.consent = Consented::Missing(command);
            }
        }
        let mut seen: Vec<Subject> = draft.hops.iter().map(|it| it.subject.clone()).collect();
        seen.push(draft.lane.clone());
        seen.sort();
        seen.dedup();
        for it in &seen {
            if self.graph.facts(it).suspended {
                let note = format!("{it} is suspended: runs are `skipped` until it is resumed");
                draft.notes.push(note);
            }
        }
        let told = seen.iter().flat_map(|it| self.graph.out_of(it));
        let told = told.filter(|it| it.link == Link::ToldBy).map(|it| it.to.to_string());
        let mut told: Vec<_> = told.collect();
        told.sort();
        told.dedup();
        if !told.is_empty() {
            draft.notes.push(format!("each run may be told to people by {}", told.join(", ")));
        }
    }
}

// === impl Step ===

impl Step {
    fn new(kind: &'static str, config: Value, subject: &Subject, why: &str) -> Self {
        let (name, subject, why) = (String::new(), subject.clone(), why.to_owned());
        Self { name, kind, config, after: None, within: None, required: None, subject, why }
    }

    fn within(self, within: Duration) -> Self {
        Self { within: Some(within), ..self }
    }
}

/// `namespace/name`.
fn named(subject: &Subject) -> String {
    format!("{}/{}", subject.namespace, subject.name)
}

/// The key by which hops name an object of a kind of Flux: `OCIRepository` is `oci_repository`.
#[must_use]
pub fn key_of(kind: &str) -> String {
    let kind = kind.replace("OCI", "Oci");
    let mut key = String::new();
    for it in kind.chars() {
        if it.is_ascii_uppercase() && !key.is_empty() {
            key.push('_');
        }
        key.push(it.to_ascii_lowercase());
    }
    key
}

/// A name of a scenario, or of an object, made of others: lower-case letters, digits and `-`; where
/// something had to be changed or cut, with a short hash of the whole.
fn label(parts: &[&str], longest: usize) -> String {
    let whole = parts.join("-");
    let text = whole.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' });
    let text = text.collect::<String>().to_ascii_lowercase();
    let text = text.trim_matches('-');
    if text == whole && text.len() <= longest {
        return whole;
    }
    // What was changed or cut may now read like another one.
    let hash = format!("{:016x}", fnv1a(whole.bytes()));
    let text: String = text.chars().take(longest.saturating_sub(7)).collect();
    format!("{}-{}", text.trim_end_matches('-'), &hash[10..])
}

/// Objectives of hops count from the push: each allows for the waits before it, too. Behind somebody
/// who has to merge, nothing can be promised.
fn add_up(hops: &mut [Step]) {
    let mut since_push = Some(Duration::ZERO);
    for hop in hops {
        let own = hop.within.unwrap_or_default();
        let more = if hop.kind == "automation_committed" { times::WOKEN } else { own };
        since_push = since_push.map(|it| it + more).filter(|_| hop.kind != "merged");
        hop.within = hop.within.and(since_push);
    }
}

/// Hops of which there is only one are called by their kind, others by the kinds of their subjects, or
/// by the names of these.
fn name_hops(hops: &mut [Step]) {
    let all: Vec<_> = hops.iter().map(|it| (it.kind, it.subject.clone())).collect();
    let mut names: Vec<String> = Vec::new();
    for (kind, subject) in &all {
        let like = all.iter().filter(|it| it.0 == *kind);
        let same_sort = like.clone().filter(|it| it.1.kind == subject.kind).count() > 1;
        let first = kind.split('_').next().unwrap_or(kind);
        let plain = match (like.count() > 1, same_sort) {
            (false, _) => (*kind).to_owned(),
            (true, false) => format!("{first}_{}", key_of(&subject.kind.kind)),
            (true, true) => format!("{first}_{}", label(&[&subject.name], 40)),
        };
        let numbered = (2..).map(|it| format!("{plain}_{it}"));
        let mut possible = std::iter::once(plain.clone()).chain(numbered);
        names.push(possible.find(|it| !names.contains(it)).unwrap_or(plain));
    }
    for (hop, name) in hops.iter_mut().zip(&names) {
        hop.name.clone_from(name);
        // Until here a hop names those before it by their subjects.
        for after in hop.after.iter_mut().flatten() {
            let same = |it: &(&str, Subject)| it.1.to_string() == *after && it.0 == hop.kind;
            if let Some(at) = all.iter().position(same) {
                after.clone_from(&names[at]);
            }
        }
    }
}
