//! `ImagePolicy`: the tag that is chosen, and its digest where somebody wants to see that.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::time::sleep;

use super::Database;
use super::Failure;
use super::NAME;
use super::choose::NoChoice;
use super::choose::choose;
use super::conclude;
use super::progress;
use crate::flux::context::Context;
use crate::flux::draft::Draft;
use crate::flux::draft::asks_for_work;
use crate::flux::notification::Recorder;
use crate::flux::queue::Next;
use crate::flux::registry::ImageName;
use crate::flux::registry::access;
use crate::flux::runtime::Reconciler;
use crate::store::Change;
use crate::store::ChangeKind;
use crate::store::Key;

/// The message while an image has never been scanned.
const NO_TAGS: &str = "no tags in database";

/// Chooses tags.
pub(crate) struct ImagePolicies {
    context: Arc<Context>,
    database: Arc<Database>,
    recorder: Recorder,
}

impl ImagePolicies {
    pub(crate) fn new(context: Arc<Context>, database: Arc<Database>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, database, recorder }
    }

    async fn run(&self, draft: &mut Draft) -> Result<String, Failure> {
        if reflection(draft) == "Always" && draft.duration("interval").is_none() {
            let message =
                "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'";
            return Err(Failure::stalled("IntervalNotConfigured", message.to_owned()));
        }
        let (seen, generation) = (draft.observed_generation(), draft.generation());
        if seen == generation {
            progress(draft, "reconciliation in progress");
        } else {
            let message = format!("processing object: new generation {seen} -> {generation}");
            progress(draft, &message);
            draft.patch(self.context.speeds().patch).await;
        }
        let repository = self.repository(draft)?;
        let image = repository["spec"]["image"].as_str().unwrap_or_default().to_owned();
        let name = ImageName::parse(&image)
            .map_err(|problem| Failure::stalled("ImageURLInvalid", problem))?;
        sleep(self.context.speeds().choose).await;
        let tags = self.tags(&name.canonical()).await?;
        let tag = choose(draft.spec(), &tags).map_err(|none| match none {
            NoChoice::Invalid(problem) => Failure::stalled("InvalidPolicy", problem),
            NoChoice::NoTag(problem) => Failure::new("Failure", problem),
        })?;
        let mut latest = json!({"name": image, "tag": tag});
        if let Some(digest) = self.digest(draft, &repository, name, &latest).await? {
            latest["digest"] = digest.into();
        }
        let known = draft.status()["latestRef"].clone();
        if known != latest {
            draft.set_status("observedPreviousRef", known);
            draft.set_status("latestRef", latest);
        }
        Ok(ready_message(draft.status()))
    }

    /// The repository that the policy names, if it may be seen from here.
    fn repository(&self, draft: &Draft) -> Result<Arc<Value>, Failure> {
        let wish = &draft.spec()["imageRepositoryRef"];
        let name = wish["name"].as_str().unwrap_or_default();
        let namespace = wish["namespace"].as_str().unwrap_or(&draft.key.namespace);
        let failed = |reason, why: String| {
            let message = format!("failed to get the referred ImageRepository: {why}");
            Failure::new(reason, message)
        };
        let Some(found) = self.context.store.get(&repository_of(&draft.object)) else {
            return Err(failed(
                "DependencyNotReady",
                format!(
                    "referenced ImageRepository does not exist: \
                     imagerepositories.image.toolkit.fluxcd.io \"{name}\" not found"
                ),
            ));
        };
        if namespace != draft.key.namespace && !found["spec"]["accessFrom"].is_object() {
            let why = format!(
                "access denied: '{namespace}/{name}' can't be accessed due to missing ACL labels \
                 on 'accessFrom'"
            );
            return Err(failed("AccessDenied", why));
        }
        Ok(found)
    }

    /// The tags of a scan that may be under way just now.
    async fn tags(&self, canonical: &str) -> Result<Vec<String>, Failure> {
        let waits = self.context.speeds().no_tags_retries;
        let mut waits = waits.iter();
        loop {
            let tags = self.database.tags(canonical);
            if !tags.is_empty() {
                return Ok(tags);
            }
            let Some(wait) = waits.next() else {
                return Err(Failure::new("DependencyNotReady", NO_TAGS.to_owned()));
            };
            sleep(*wait).await;
        }
    }

    /// The digest to show beside a tag, asked for if the policy wants it to be.
    async fn digest(
        &self,
        draft: &Draft,
        repository: &Value,
        name: ImageName,
        latest: &Value,
    ) -> Result<Option<String>, Failure> {
        let known = &draft.status()["latestRef"];
        let same = known["name"] == latest["name"] && known["tag"] == latest["tag"];
        match reflection(draft) {
            "IfNotPresent" if same && known["digest"].is_string() => {
                return Ok(known["digest"].as_str().map(str::to_owned));
            }
            "Always" | "IfNotPresent" => {}
            _ => return Ok(None),
        }
        let tag = latest["tag"].as_str().unwrap_or_default();
        let failed = |why: String| {
            let image = latest["name"].as_str().unwrap_or_default();
            Failure::new("Failure", format!("failed fetching digest of {image}:{tag}: {why}"))
        };
        let access = access(&self.context.store, repository, name).map_err(failed)?;
        sleep(self.context.speeds().scan).await;
        access.digest(tag.to_owned()).await.map(Some).map_err(failed)
    }
}

impl Reconciler for ImagePolicies {
    const KIND: &'static str = "ImagePolicy";
    const WATCHES: &'static [&'static str] = &["ImagePolicy", "ImageRepository"];

    fn wakes(&self, change: &Change) -> Vec<Key> {
        let before = change.before.as_deref();
        if change.key.kind == Self::KIND {
            let asks = change.kind != ChangeKind::Deleted && asks_for_work(before, &change.object);
            return if asks { vec![change.key.clone()] } else { Vec::new() };
        }
        let revision = |object: &Value| object["status"]["lastScanResult"]["revision"].clone();
        let now = revision(&change.object);
        let modified = change.kind == ChangeKind::Modified;
        if !modified || now.is_null() || before.map(revision) == Some(now) {
            return Vec::new();
        }
        let (all, _) = self.context.store.list(Self::KIND, None);
        let follows = |policy: &&Arc<Value>| repository_of(policy) == change.key;
        all.iter().filter(follows).map(|policy| Key::of(policy)).collect()
    }

    async fn reconcile(&self, key: &Key) -> Next {
        let Some(mut draft) = Draft::load(&self.context.store, key, NAME) else {
            return Next::Rest;
        };
        let speeds = self.context.speeds();
        if draft.is_suspended() {
            draft.echo_request();
            draft.patch(speeds.patch).await;
            return Next::Rest;
        }
        let before = draft.object.clone();
        let outcome = self.run(&mut draft).await;
        let next = match &outcome {
            Ok(_) => interval(&draft).map_or(Next::Rest, Next::After),
            Err(failure) if failure.stalled => Next::Rest,
            Err(failure) if failure.message == NO_TAGS => Next::After(speeds.dependency_requeue),
            Err(_) => Next::Retry,
        };
        conclude(&self.recorder, &before, &mut draft, &outcome).await;
        draft.patch(speeds.patch).await;
        next
    }
}

fn reflection(draft: &Draft) -> &str {
    draft.spec()["digestReflectionPolicy"].as_str().unwrap_or("Never")
}

/// Policies look again by themselves only for the sake of a digest.
fn interval(draft: &Draft) -> Option<Duration> {
    if reflection(draft) == "Always" { draft.duration("interval") } else { None }
}

fn repository_of(policy: &Value) -> Key {
    let wish = &policy["spec"]["imageRepositoryRef"];
    let own = policy["metadata"]["namespace"].as_str().unwrap_or_default();
    let namespace = wish["namespace"].as_str().unwrap_or(own);
    Key::new("ImageRepository", namespace, wish["name"].as_str().unwrap_or_default())
}

fn ready_message(status: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (latest, previous) = (&status["latestRef"], &status["observedPreviousRef"]);
    let with = |before: &str, digest: &Value| {
        digest.as_str().map_or_else(String::new, |digest| format!("{before}{digest}"))
    };
    let digest = with(" with digest ", &latest["digest"]);
    let (name, tag) = (text(&latest["name"]), text(&latest["tag"]));
    let message = format!("Latest image tag for {name} resolved to {tag}{digest}");
    if previous.is_null() || previous == latest {
        return message;
    }
    let digest = with("@", &previous["digest"]);
    let (name, tag) = (text(&previous["name"]), text(&previous["tag"]));
    format!("{message} (previously {name}:{tag}{digest})")
}
