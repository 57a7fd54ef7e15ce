//! A Flux Receiver annotated the source: the webhook of the change arrived.
//!
//! Which of several requests was ours is known only from the fetch, which echoes the one that it
//! answered. So the detector watches the annotated source, and looks back when that has fetched.

use crate::hop::{Detector, Kind, Objects, Place, Traits, request, source_fetched};
use crate::model::{
    Carried, Change, GroupKind, ObjectName, Reached, Sighting, SourceKind, State, Subject, Webhook,
    flux,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The Receiver that is called when the change is pushed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookReceivedConfig {
    /// The Receiver.
    pub receiver: ObjectName,

    /// The GitRepository that the Receiver annotates. Default: the one that the scenario's
    /// `source_fetched` waits for.
    #[serde(default)]
    pub git_repository: Option<ObjectName>,
}

/// See [`WebhookReceivedConfig`]. Its subject is the annotated source, not the Receiver.
#[derive(Debug)]
pub struct WebhookReceived {
    upstream: Upstream,
}

/// How many repositories can be behind a Receiver's request (rule T12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// One: its webhooks are ours.
    Single,
    /// Several, or nobody knows.
    Shared,
}

/// Whether a Receiver annotates an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// It does not.
    Misses,
    /// It annotates this object and no other.
    Only,
    /// It annotates this object among others.
    Among,
}

// === impl WebhookReceivedConfig ===

impl WebhookReceivedConfig {
    /// The Receiver, which has to be there but is not what is looked at.
    fn receiver_subject(&self) -> Subject {
        Subject::local(GroupKind::receiver(), &self.receiver.namespace, &self.receiver.name)
    }
}

impl Kind for WebhookReceivedConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "webhook_received", place: Place::Request, required: false }
    }

    fn subject(&self) -> Option<Subject> {
        let it = self.git_repository.as_ref()?;
        Some(Subject::local(GroupKind::git_repository(), &it.namespace, &it.name))
    }

    fn needs(&self) -> Vec<Subject> {
        vec![self.receiver_subject()]
    }

    /// A Receiver that does not annotate the source would never be seen.
    fn detector(&self, objects: &Objects) -> Result<Arc<dyn Detector>, String> {
        let none = Value::Null;
        let object = |it: &Subject| objects.get(it).unwrap_or(&none);
        let receiver = object(&self.receiver_subject());
        let Some(source) = self.subject() else {
            return Err(format!(
                "nothing says what Receiver {} annotates: give the hop a `git_repository`",
                self.receiver
            ));
        };
        match reach(receiver, &self.receiver.namespace, &source, object(&source)) {
            Reach::Only => Ok(Arc::new(WebhookReceived::new(Upstream::Single))),
            Reach::Among => Ok(Arc::new(WebhookReceived::new(Upstream::Shared))),
            Reach::Misses => Err(format!(
                "Receiver {} does not annotate {source}: add it to the Receiver's \
                 `spec.resources`, or name the right Receiver",
                self.receiver
            )),
        }
    }
}

// === impl WebhookReceived ===

impl WebhookReceived {
    /// Looks for requests of a Receiver behind which there are so many repositories.
    #[must_use]
    pub fn new(upstream: Upstream) -> Self {
        Self { upstream }
    }

    fn received(&self, state: &State) -> Sighting {
        let webhook = match self.upstream {
            Upstream::Single => Webhook::Ours,
            Upstream::Shared => Webhook::Shared,
        };
        Sighting::Reached(Reached { webhook: Some(webhook), ..Reached::at(state.when) })
    }
}

impl Detector for WebhookReceived {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        if carried(change, now).is_none() {
            return Sighting::NotYet;
        }
        let since = arrivals_since(past, now, change);
        let echoed = past.last().map_or(flux::handled(&now.value), |it| request::echo(it, now));
        let answered = echoed.and_then(|it| since.iter().find(|(request, _)| *request == it));
        let first = || since.iter().find(|(request, _)| is_open(past, now, change, request));
        match answered.or_else(first) {
            Some((_, state)) => self.received(state),
            None => Sighting::Passed,
        }
    }

    fn finish(&self, past: &[State], change: &Change) -> Sighting {
        let Some((now, past)) = past.split_last() else { return Sighting::NotYet };
        let since = arrivals_since(past, now, change);
        match since.iter().find(|(request, _)| is_open(past, now, change, request)) {
            Some((_, state)) => self.received(state),
            None => Sighting::NotYet,
        }
    }
}

/// Whose revision the source holds, if it carries the change.
fn carried(change: &Change, state: &State) -> Option<Carried> {
    change.carried_in(source_fetched::artifact_revision(state), SourceKind::Git)
}

/// The Receiver's requests that came since publish began, each with the state that first shows it.
fn arrivals_since<'a>(
    past: &'a [State],
    now: &'a State,
    change: &Change,
) -> Vec<(&'a str, &'a State)> {
    let Some(began) = change.began() else { return Vec::new() };
    let mut last = None;
    let mut found = Vec::new();
    for state in past.iter().chain([now]) {
        let request = flux::requested(&state.value);
        if request == last {
            continue;
        }
        last = request;
        if let Some(request) = request
            && state.when.latest >= began
            && flux::is_from_receiver(&state.value)
        {
            found.push((request, state));
        }
    }
    found
}

/// Whether a request can still be ours: no fetch of a revision without our change has echoed it.
fn is_open(past: &[State], now: &State, change: &Change, request: &str) -> bool {
    let states: Vec<&State> = past.iter().chain([now]).collect();
    !states.windows(2).any(|pair| {
        let revision = source_fetched::artifact_revision(pair[1]);
        let moved = source_fetched::artifact_revision(pair[0]) != revision;
        moved
            && carried(change, pair[1]).is_none()
            && request::echo(pair[0], pair[1]) == Some(request)
    })
}

/// Whether a Receiver annotates an object, by the `spec.resources` that it lists.
fn reach(receiver: &Value, namespace: &str, subject: &Subject, object: &Value) -> Reach {
    let resources = receiver["spec"]["resources"].as_array().map_or(&[][..], Vec::as_slice);
    let by_name = |it: &Value| it["name"] == *subject.name;
    let by_labels = |it: &Value| {
        let labels = it["matchLabels"].as_object();
        it["name"] == "*"
            && labels.is_some_and(|all| {
                all.iter().all(|(key, value)| object["metadata"]["labels"][key] == *value)
            })
    };
    let fits = |it: &&Value| {
        it["kind"] == *subject.kind.kind
            && it["namespace"].as_str().unwrap_or(namespace) == subject.namespace
            && (by_name(it) || by_labels(it))
    };
    match resources.iter().find(fits) {
        None => Reach::Misses,
        Some(it) if resources.len() == 1 && by_name(it) => Reach::Only,
        Some(_) => Reach::Among,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn t12_a_receiver_of_one_object_has_a_single_upstream() {
        let source = Subject::local(GroupKind::git_repository(), "flux-system", "fleet");
        let receiver = |resources: Value| json!({"spec": {"resources": resources}});
        let fleet = json!({"metadata": {"labels": {"app": "fleet"}}});
        let of = |resources| reach(&receiver(resources), "flux-system", &source, &fleet);
        let (one, other) = (
            json!({"kind": "GitRepository", "name": "fleet"}),
            json!({"kind": "GitRepository", "name": "other"}),
        );
        assert_eq!(of(json!([one])), Reach::Only);
        assert_eq!(of(json!([one, other])), Reach::Among);
        assert_eq!(of(json!([other])), Reach::Misses);
        let all = |app: &str| json!([{"kind": "GitRepository", "name": "*", "matchLabels": {"app": app}}]);
        assert_eq!(of(all("fleet")), Reach::Among);
        assert_eq!(of(all("other")), Reach::Misses);
    }
}
