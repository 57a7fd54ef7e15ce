//! A Flux Receiver annotated an object: the webhook of the change arrived.
//!
//! Which of several requests was ours is known only from the fetch or scan, which echoes the one
//! that it answered. So the detector watches the annotated object, and looks back when that has
//! moved on to the change.

use crate::hop::{
    Detector, Kind, Objects, Place, Traits, image_scanned, policy_updated, request, source_fetched,
};
use crate::model::{
    Change, GroupKind, ObjectName, Reached, Sighting, SourceKind, State, Subject, Webhook, flux,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The Receiver that is called when the change is pushed, and what it annotates.
///
/// At most one of `git_repository`, `oci_repository`, `bucket`, `helm_repository`, `helm_chart`,
/// `image_repository` and `image_policy`. Default: the one object that the scenario's
/// `source_fetched` and `image_scanned` look at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookReceivedConfig {
    /// The Receiver.
    pub receiver: ObjectName,

    /// The GitRepository that it annotates.
    #[serde(default)]
    pub git_repository: Option<ObjectName>,
    /// The OCIRepository that it annotates.
    #[serde(default)]
    pub oci_repository: Option<ObjectName>,
    /// The Bucket that it annotates.
    #[serde(default)]
    pub bucket: Option<ObjectName>,
    /// The HelmRepository that it annotates; not one of type `oci`, which Flux never reconciles.
    #[serde(default)]
    pub helm_repository: Option<ObjectName>,
    /// The HelmChart that it annotates.
    #[serde(default)]
    pub helm_chart: Option<ObjectName>,
    /// The ImageRepository that it annotates.
    #[serde(default)]
    pub image_repository: Option<ObjectName>,
    /// The ImagePolicy that it annotates.
    #[serde(default)]
    pub image_policy: Option<ObjectName>,
}

/// See [`WebhookReceivedConfig`]. Its subject is the annotated object, not the Receiver.
#[derive(Debug)]
pub struct WebhookReceived {
    upstream: Upstream,
    annotated: Annotated,
    receiver: Option<Subject>,
}

/// How many repositories can be behind a Receiver's request (rule T12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// One: its webhooks are ours.
    Single,
    /// Several, or nobody knows.
    Shared,
}

/// What sort of object is annotated: which of its fields moves on when it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotated {
    /// A source: its artifact.
    Source(SourceKind),
    /// An ImageRepository: its last scan.
    ImageRepository,
    /// An ImagePolicy: its choice.
    ImagePolicy,
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
    /// The objects that it says the Receiver annotates, each by its key.
    #[must_use]
    pub fn annotated(&self) -> Vec<(&'static str, Subject)> {
        let source = GroupKind::source;
        let named = [
            ("git_repository", GroupKind::git_repository(), &self.git_repository),
            ("oci_repository", source("OCIRepository"), &self.oci_repository),
            ("bucket", source("Bucket"), &self.bucket),
            ("helm_repository", source("HelmRepository"), &self.helm_repository),
            ("helm_chart", source("HelmChart"), &self.helm_chart),
            ("image_repository", GroupKind::image("ImageRepository"), &self.image_repository),
            ("image_policy", GroupKind::image("ImagePolicy"), &self.image_policy),
        ];
        let subjects = named.into_iter().filter_map(|(key, kind, name)| {
            let name = name.as_ref()?;
            Some((key, Subject::local(kind, &name.namespace, &name.name)))
        });
        subjects.collect()
    }

    /// The same Receiver, annotating this object; none if no Receiver's request does anything to an
    /// object of that kind.
    #[must_use]
    pub fn of(&self, annotated: &Subject) -> Option<Self> {
        let mut config = self.clone();
        let slot = match annotated.kind.kind.as_str() {
            "GitRepository" => &mut config.git_repository,
            "OCIRepository" => &mut config.oci_repository,
            "Bucket" => &mut config.bucket,
            "HelmRepository" => &mut config.helm_repository,
            "HelmChart" => &mut config.helm_chart,
            "ImageRepository" => &mut config.image_repository,
            "ImagePolicy" => &mut config.image_policy,
            _ => return None,
        };
        *slot = Some(ObjectName::new(&annotated.namespace, &annotated.name));
        Some(config)
    }

    /// The Receiver, which has to be there but is not what is looked at.
    fn receiver_subject(&self) -> Subject {
        Subject::local(GroupKind::receiver(), &self.receiver.namespace, &self.receiver.name)
    }
}

impl Kind for WebhookReceivedConfig {
    fn traits(&self) -> Traits {
        let images = self.image_repository.is_some() || self.image_policy.is_some();
        let place = if images { Place::ScanRequest } else { Place::Request };
        Traits { kind: "webhook_received", place, required: false }
    }

    fn subject(&self) -> Option<Subject> {
        self.annotated().into_iter().next().map(|it| it.1)
    }

    fn needs(&self) -> Vec<Subject> {
        vec![self.receiver_subject()]
    }

    /// A Receiver that does not annotate the object would never be seen, nor one that annotates
    /// what Flux never looks at.
    fn detector(&self, objects: &Objects) -> Result<Arc<dyn Detector>, String> {
        let none = Value::Null;
        let object = |it: &Subject| objects.get(it).unwrap_or(&none);
        let receiver = object(&self.receiver_subject());
        let Some(subject) = self.subject() else {
            return Err(format!(
                "nothing says what Receiver {} annotates: give the hop a `git_repository`, or \
                 what else it is",
                self.receiver
            ));
        };
        let annotated = match SourceKind::of(&subject.kind.kind) {
            Some(kind) => Annotated::Source(kind),
            None if self.image_policy.is_some() => Annotated::ImagePolicy,
            None => Annotated::ImageRepository,
        };
        if self.helm_repository.is_some() && object(&subject)["spec"]["type"] == "oci" {
            return Err(format!(
                "{subject} is of type `oci`: Flux never reconciles it, so a Receiver's request has \
                 no effect on it: point Receiver {} at the HelmChart, or use an OCIRepository with \
                 `chartRef`",
                self.receiver
            ));
        }
        let upstream = match reach(receiver, &self.receiver.namespace, &subject, object(&subject)) {
            Reach::Only => Upstream::Single,
            Reach::Among => Upstream::Shared,
            Reach::Misses => {
                return Err(format!(
                    "Receiver {} does not annotate {subject}: add it to the Receiver's \
                     `spec.resources`, or name the right Receiver",
                    self.receiver
                ));
            }
        };
        Ok(Arc::new(WebhookReceived::new(upstream, annotated).by(self.receiver_subject())))
    }
}

// === impl WebhookReceived ===

impl WebhookReceived {
    /// Looks at an object of this sort for requests of a Receiver behind which there are so many
    /// repositories.
    #[must_use]
    pub fn new(upstream: Upstream, annotated: Annotated) -> Self {
        Self { upstream, annotated, receiver: None }
    }

    /// The same, by this Receiver.
    #[must_use]
    pub fn by(self, receiver: Subject) -> Self {
        Self { receiver: Some(receiver), ..self }
    }

    fn received(&self, state: &State) -> Sighting {
        let webhook = match self.upstream {
            Upstream::Single => Webhook::Ours,
            Upstream::Shared => Webhook::Shared,
        };
        Sighting::Reached(Reached { webhook: Some(webhook), ..Reached::at(state.when) })
    }

    /// Whether a request can still be ours: nothing without our change has echoed it.
    fn is_open(&self, past: &[State], now: &State, change: &Change, request: &str) -> bool {
        let states: Vec<&State> = past.iter().chain([now]).collect();
        !states.windows(2).any(|pair| {
            self.annotated.moved(pair[0], pair[1])
                && self.annotated.lacks_ours(pair[1], change)
                && request::echo(pair[0], pair[1]) == Some(request)
        })
    }
}

impl Detector for WebhookReceived {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        if change.is_a_request() {
            // Nothing carries it, so nothing could tell it from somebody else's at the same time.
            let since = arrivals_since(past, now, change);
            return since.first().map_or(Sighting::NotYet, |it| self.received(it.1));
        }
        if !self.annotated.shows_ours(now, change) {
            return Sighting::NotYet;
        }
        let since = arrivals_since(past, now, change);
        let echoed = past.last().map_or(flux::handled(&now.value), |it| request::echo(it, now));
        let answered = echoed.and_then(|it| since.iter().find(|(request, _)| *request == it));
        let first = || since.iter().find(|(request, _)| self.is_open(past, now, change, request));
        match answered.or_else(first) {
            Some((_, state)) => self.received(state),
            None => Sighting::Passed,
        }
    }

    fn finish(&self, past: &[State], change: &Change) -> Sighting {
        let Some((now, past)) = past.split_last() else { return Sighting::NotYet };
        let since = arrivals_since(past, now, change);
        match since.iter().find(|(request, _)| self.is_open(past, now, change, request)) {
            Some((_, state)) => self.received(state),
            None => Sighting::NotYet,
        }
    }

    fn relies_on(&self) -> Option<&Subject> {
        self.receiver.as_ref()
    }
}

// === impl Annotated ===

impl Annotated {
    /// Whether what the object holds is another thing now.
    fn moved(self, before: &State, now: &State) -> bool {
        let held = |it| match self {
            Self::Source(_) => source_fetched::artifact_revision(it),
            Self::ImageRepository => &image_scanned::scan(it)["revision"],
            Self::ImagePolicy => policy_updated::latest(it),
        };
        held(before) != held(now)
    }

    /// Whether what the object holds is the change.
    fn shows_ours(self, state: &State, change: &Change) -> bool {
        match self {
            Self::Source(kind) => {
                change.carried_in(source_fetched::artifact_revision(state), kind).is_some()
            }
            Self::ImageRepository => image_scanned::shows_ours(state, change),
            Self::ImagePolicy => policy_updated::carries(policy_updated::latest(state), change),
        }
    }

    /// Whether what the object holds is known not to be the change. A scan lists but ten tags.
    fn lacks_ours(self, state: &State, change: &Change) -> bool {
        match self {
            Self::Source(_) | Self::ImagePolicy => !self.shows_ours(state, change),
            Self::ImageRepository => image_scanned::lacks_ours(state, change),
        }
    }
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
