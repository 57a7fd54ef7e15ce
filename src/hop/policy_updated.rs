//! An image policy has chosen our tag, or our digest behind the tag that it had chosen already.

use crate::hop::request::Cause;
use crate::hop::{Detector, Kind, Objects, Place, Traits, request, source_fetched};
use crate::model::{
    Change, GroupKind, ObjectName, Reached, Revision, RevisionSort, Sighting, State, Subject, Via,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The policy that chooses the change: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyUpdatedConfig {
    /// An ImagePolicy: its `status.latestRef` is our tag; our digest, where the trigger pushes a
    /// tag again.
    ImagePolicy(ObjectName),
}

/// See [`PolicyUpdatedConfig`].
#[derive(Clone, Copy, Debug)]
pub struct PolicyUpdated;

// === impl PolicyUpdatedConfig ===

impl Kind for PolicyUpdatedConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "policy_updated", place: Place::Policy, required: true }
    }

    fn subject(&self) -> Option<Subject> {
        let Self::ImagePolicy(it) = self;
        Some(Subject::local(GroupKind::image("ImagePolicy"), &it.namespace, &it.name))
    }

    fn detector(&self, _: &Objects) -> Result<Arc<dyn Detector>, String> {
        Ok(Arc::new(PolicyUpdated))
    }

    /// Only a policy that reflects digests, and always, ever looks at the digest again.
    fn suits(&self, sort: RevisionSort, objects: Option<&Objects>) -> Result<(), String> {
        let Self::ImagePolicy(name) = self;
        let policy = self.subject().and_then(|it| objects?.get(&it));
        let reflects = policy.is_none_or(|it| it["spec"]["digestReflectionPolicy"] == "Always");
        match sort {
            RevisionSort::Tag => Ok(()),
            RevisionSort::Digest if reflects => Ok(()),
            RevisionSort::Digest => Err(format!(
                "ImagePolicy {name} never looks at the digest of a tag again: set its \
                 `spec.digestReflectionPolicy` to `Always`, with a `spec.interval`"
            )),
            RevisionSort::Commit | RevisionSort::Version | RevisionSort::Request => {
                Err("`policy_updated` is for a trigger that pushes an image tag or digest: leave \
                     it out"
                    .to_owned())
            }
        }
    }
}

// === impl PolicyUpdated ===

impl Detector for PolicyUpdated {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        if !carries(latest(now), change) {
            return source_fetched::trouble(past, now, change);
        }
        let started = request::started(past, now);
        Sighting::Reached(Reached { started, via: Some(via(past, now)), ..Reached::at(now.when) })
    }

    /// The tag; the digest too where the policy always reflects it.
    fn revisions(&self, now: &State) -> Vec<Revision> {
        let latest = latest(now);
        let text = |field: &str| latest[field].as_str().map(str::to_owned);
        let reflects = now.value["spec"]["digestReflectionPolicy"] == "Always";
        let digest = text("digest").filter(|_| reflects).map(Revision::Digest);
        text("tag").map(Revision::Tag).into_iter().chain(digest).collect()
    }

    fn has_lost(&self, now: &State, change: &Change) -> bool {
        !carries(latest(now), change) && self.revisions(now).iter().any(|it| change.is_stranger(it))
    }
}

/// Whether a policy's choice, as the policy or an automation names it, is ours.
pub(super) fn carries(choice: &Value, change: &Change) -> bool {
    let (field, revision): (_, fn(String) -> Revision) =
        if change.knows_a_tag() { ("tag", Revision::Tag) } else { ("digest", Revision::Digest) };
    let chosen = choice[field].as_str().map(|it| revision(it.to_owned()));
    chosen.is_some_and(|it| change.carried(&it).is_some())
}

/// What the policy has chosen.
pub(super) fn latest(state: &State) -> &Value {
    &state.value["status"]["latestRef"]
}

/// Who woke the policy: somebody's request; the scan that found another tag, whatever generation it
/// observed meanwhile; its own interval, which alone sees that a tag was pushed again.
fn via(past: &[State], now: &State) -> Via {
    let same_tag = past.last().is_some_and(|it| latest(it)["tag"] == latest(now)["tag"]);
    match request::cause(past, now) {
        Cause::Interval | Cause::Generation(_) if !same_tag => Via::Upstream,
        _ => request::via(past, now),
    }
}
