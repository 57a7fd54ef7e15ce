//! An automation has written our choice to git.
//!
//! The automation's status names its commit only after the push, so the branch may show it
//! earlier: [`BranchCommitted`] is a witness of the same hop. Both teach the commit (rule T8).
//! An automation that names our choice without a push found no marker to change.

use crate::hop::request::Cause;
use crate::hop::{Detector, Kind, Objects, Place, Traits, policy_updated, request, source_fetched};
use crate::model::{
    Change, Failure, FailureSort, GitBranch, GroupKind, ObjectName, Reached, Revision,
    RevisionSort, Sighting, State, Subject, Via, flux,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The automation that commits what a policy has chosen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutomationCommittedConfig {
    /// The ImageUpdateAutomation.
    pub image_update_automation: ObjectName,

    /// The ImagePolicy whose choice it commits. Default: the one of the scenario's
    /// `policy_updated`.
    #[serde(default)]
    pub image_policy: Option<ObjectName>,
}

/// Recognises the commit by the status of the automation.
#[derive(Clone, Debug)]
pub struct AutomationCommitted {
    /// The policy's name; an automation sees those of its own namespace.
    pub policy: String,
}

/// Recognises the commit by the branch that it was pushed to: by the lines with the policy's
/// marker.
#[derive(Clone, Debug)]
pub struct BranchCommitted {
    /// The policy, as markers name it: `<namespace>:<name>`.
    pub policy: String,
}

/// What an automation has made of our choice.
enum Made<'a> {
    /// It has not come to it yet.
    Nothing,
    /// It named our choice, and pushed in the same patch; the states up to the one that shows it.
    Commit(&'a [&'a State]),
    /// It named our choice and pushed nothing.
    NoMarker,
}

// === impl AutomationCommittedConfig ===

impl AutomationCommittedConfig {
    /// The branch that the automation pushes to, of the repository that it reads: `push.branch`, else
    /// the branch that is checked out; none of it names one where that is the repository's own. What
    /// `push.refspec` names is pushed to afterwards, and beside it.
    fn branch(&self, automation: &Value) -> Subject {
        let (spec, own) = (&automation["spec"], &self.image_update_automation.namespace);
        let reference = &spec["sourceRef"];
        let repository = ObjectName::new(
            reference["namespace"].as_str().unwrap_or(own),
            reference["name"].as_str().unwrap_or_default(),
        );
        let git = &spec["git"];
        let checkout = git["checkout"]["ref"]["branch"].as_str();
        let branch = git["push"]["branch"].as_str().filter(|it| !it.is_empty()).or(checkout);
        GitBranch::subject(&repository, branch)
    }
}

impl Kind for AutomationCommittedConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "automation_committed", place: Place::Automation, required: true }
    }

    fn subject(&self) -> Option<Subject> {
        let it = &self.image_update_automation;
        Some(Subject::local(GroupKind::image("ImageUpdateAutomation"), &it.namespace, &it.name))
    }

    fn needs(&self) -> Vec<Subject> {
        let kind = GroupKind::image("ImagePolicy");
        let policy = self.image_policy.as_ref();
        policy.map(|it| Subject::local(kind, &it.namespace, &it.name)).into_iter().collect()
    }

    /// An automation that does not select the policy never commits its choice.
    fn detector(&self, objects: &Objects) -> Result<Arc<dyn Detector>, String> {
        let automation = &self.image_update_automation;
        let Some(policy) = &self.image_policy else {
            return Err(format!(
                "nothing says whose choice ImageUpdateAutomation {automation} commits: give the \
                 hop an `image_policy`"
            ));
        };
        if policy.namespace != automation.namespace {
            return Err(format!(
                "ImageUpdateAutomation {automation} commits the choices of its own namespace \
                 only, and ImagePolicy {policy} stands in another: move one of them"
            ));
        }
        let none = Value::Null;
        let object = |it: Option<Subject>| it.and_then(|it| objects.get(&it)).unwrap_or(&none);
        let selector = &object(self.subject())["spec"]["policySelector"];
        let labels = &object(self.needs().pop())["metadata"]["labels"];
        if !flux::selects(selector, labels) {
            return Err(format!(
                "ImageUpdateAutomation {automation} does not select ImagePolicy {policy}: change \
                 its `spec.policySelector`, or the labels of the policy"
            ));
        }
        Ok(Arc::new(AutomationCommitted { policy: policy.name.clone() }))
    }

    fn witnesses(&self, objects: &Objects) -> Vec<(Subject, Arc<dyn Detector>)> {
        let automation = self.subject().and_then(|it| objects.get(&it));
        let (Some(policy), Some(automation)) = (&self.image_policy, automation) else {
            return Vec::new();
        };
        let policy = format!("{}:{}", policy.namespace, policy.name);
        vec![(self.branch(automation), Arc::new(BranchCommitted { policy }))]
    }

    fn suits(&self, sort: RevisionSort, _: Option<&Objects>) -> Result<(), String> {
        match sort {
            RevisionSort::Tag | RevisionSort::Digest => Ok(()),
            RevisionSort::Commit | RevisionSort::Version | RevisionSort::Request => {
                Err("`automation_committed` is for a trigger that pushes an image tag or digest: \
                     leave it out"
                    .to_owned())
            }
        }
    }
}

// === impl AutomationCommitted ===

impl AutomationCommitted {
    /// What the automation has named last as the policy's choice.
    fn choice<'a>(&self, state: &'a State) -> &'a Value {
        &choices(state)[&self.policy]
    }

    /// What the automation has made of our choice by the last of `states`.
    fn made<'a>(&self, states: &'a [&'a State], change: &Change) -> Made<'a> {
        let Some(began) = change.began() else { return Made::Nothing };
        let mut made = Made::Nothing;
        for index in 0..states.len() {
            let (now, before) = (states[index], index.checked_sub(1).map(|it| states[it]));
            if now.when.latest < began || !carries(self.choice(now), change) {
                continue;
            }
            let Some(before) = before else {
                if has_pushed_last(now) {
                    return Made::Commit(&states[..=index]);
                }
                continue;
            };
            let names_it_now = !carries(self.choice(before), change);
            // A later push is ours only if no other policy had something to write.
            if pushed(before) != pushed(now) && (names_it_now || choices(before) == choices(now)) {
                return Made::Commit(&states[..=index]);
            }
            if names_it_now {
                made = Made::NoMarker;
            }
        }
        made
    }
}

impl Detector for AutomationCommitted {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        let states: Vec<&State> = past.iter().chain([now]).collect();
        match self.made(&states, change) {
            Made::Commit(shown) => {
                let index = shown.len() - 1;
                let (past, now) = match past.get(index) {
                    Some(it) => (&past[..index], it),
                    None => (past, now),
                };
                let started = request::started(past, now);
                let via = Some(via(past, now));
                Sighting::Reached(Reached { started, via, ..Reached::at(now.when) })
            }
            Made::NoMarker if flux::is_suspended(&now.value) => Sighting::Suspended,
            Made::NoMarker => Sighting::Failing(Failure {
                reason: "no_marker".to_owned(),
                sort: FailureSort::OfOurs,
                stalled: false,
            }),
            Made::Nothing => source_fetched::trouble(past, now, change),
        }
    }

    /// The tag or digest that it has named last.
    fn revisions(&self, now: &State) -> Vec<Revision> {
        let tag = self.choice(now)["tag"].as_str();
        tag.map(|it| Revision::Tag(it.to_owned())).into_iter().collect()
    }

    fn learns(&self, past: &[State], now: &State, change: &Change) -> Vec<Revision> {
        let states: Vec<&State> = past.iter().chain([now]).collect();
        match self.made(&states, change) {
            Made::Commit(shown) if shown.len() == states.len() => {
                pushed(now).as_str().and_then(Revision::commit).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

// === impl BranchCommitted ===

impl BranchCommitted {
    /// The commit of a branch that holds our choice behind a marker of the policy.
    fn commit(&self, state: &State, change: &Change) -> Option<Revision> {
        let branch = GitBranch::read(&state.value)?;
        let mut ours = branch.markers.iter().filter(|it| it.policy == self.policy);
        ours.any(|it| it.carries(change)).then(|| Revision::commit(&branch.commit))?
    }
}

impl Detector for BranchCommitted {
    fn look(&self, _: &[State], now: &State, change: &Change) -> Sighting {
        match self.commit(now, change) {
            Some(_) => Sighting::Reached(Reached::at(now.when)),
            None => Sighting::NotYet,
        }
    }

    fn learns(&self, past: &[State], now: &State, change: &Change) -> Vec<Revision> {
        let known = past.last().is_some_and(|it| self.commit(it, change).is_some());
        self.commit(now, change).filter(|_| !known).into_iter().collect()
    }
}

fn carries(choice: &Value, change: &Change) -> bool {
    policy_updated::carries(choice, change)
}

/// What the automation has named last, by policy.
fn choices(state: &State) -> &Value {
    &state.value["status"]["observedPolicies"]
}

/// The commit that the automation pushed last.
fn pushed(state: &State) -> &Value {
    &state.value["status"]["lastPushCommit"]
}

/// Whether the automation's last reconciliation pushed, where nobody saw the state before it. Both
/// times are the automation's own: when it began, and when the push was done.
fn has_pushed_last(state: &State) -> bool {
    let time = |field: &str| state.value["status"][field].as_str()?.parse::<jiff::Timestamp>().ok();
    let times = time("lastAutomationRunTime").zip(time("lastPushTime"));
    times.is_some_and(|(began, pushed)| pushed >= began)
}

/// Who woke the automation: somebody's request, else the policy that it watches.
fn via(past: &[State], now: &State) -> Via {
    match request::cause(past, now) {
        Cause::Interval | Cause::Generation(_) => Via::Upstream,
        _ => request::via(past, now),
    }
}
