//! image-automation-controller: `ImageUpdateAutomation`.
//!
//! What a stopwatch can see of it: nothing between pick-up and end, so a commit is on the git host
//! before status names it. And after that nobody is told: the source has to hear of the commit by
//! itself.

mod host;
mod observe;
mod push;
mod setters;
mod template;
mod workspace;

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;
use tokio::time::sleep;

pub use workspace::PushOrder;
pub use workspace::SourcePusher;
pub use workspace::Workspace;

use self::observe::Plan;
use self::push::Pushed;
use super::context::Context;
use super::draft;
use super::draft::Draft;
use super::draft::asks_for_work;
use super::gotime;
use super::notification::Recorder;
use super::notification::Severity;
use super::queue::Next;
use super::runtime::Reconciler;
use crate::store::Change;
use crate::store::ChangeKind;
use crate::store::Key;

/// The field manager and event source.
const NAME: &str = "image-automation-controller";

/// The message of a ready object, whatever was pushed.
const READY: &str = "repository up-to-date";

/// Commits what policies choose.
pub(crate) struct ImageUpdateAutomations {
    context: Arc<Context>,
    git: Arc<dyn SourcePusher>,
    recorder: Recorder,
}

/// Why a run ended without success.
struct Failure {
    reason: &'static str,
    message: String,
    stalled: bool,
}

impl Failure {
    fn new(reason: &'static str, message: String) -> Self {
        Self { reason, message, stalled: false }
    }

    fn stalled(reason: &'static str, message: String) -> Self {
        Self { reason, message, stalled: true }
    }
}

impl ImageUpdateAutomations {
    pub(crate) fn new(context: Arc<Context>, git: Arc<dyn SourcePusher>) -> Self {
        let recorder = Recorder::new(context.clone(), NAME);
        Self { context, git, recorder }
    }

    async fn run(&self, draft: &mut Draft) -> Result<Option<Pushed>, Failure> {
        let started = gotime::seconds(self.context.store.now());
        draft.set_status("lastAutomationRunTime", started);
        self.take_up(draft).await;
        let plan = Plan::of(&self.context.store, draft)?;
        if !plan.is_due && self.is_unchanged(draft, &plan).await? {
            return Ok(None);
        }
        let workspace = self.clone_source(&plan).await?;
        let update = setters::update(workspace.files(), &plan.folder, &plan.policies);
        let source = plan.revision(workspace.commit());
        if update.files.is_empty() {
            draft.set_status("observedSourceRevision", source);
            draft.set_status("observedPolicies", plan.observed());
            return Ok(None);
        }
        let pushed = self.commit_and_push(draft, &plan, workspace, update).await?;
        let revision = if plan.switches_branch() { source } else { plan.revision(&pushed.commit) };
        draft.set_status("observedSourceRevision", revision);
        draft.set_status("observedPolicies", plan.observed());
        draft.set_status("lastPushCommit", pushed.commit.as_str());
        draft.set_status("lastPushTime", gotime::seconds(self.context.store.now()));
        Ok(Some(pushed))
    }

    /// Shows that the object was taken up, if anybody waits for that.
    async fn take_up(&self, draft: &mut Draft) {
        let (seen, generation) = (draft.observed_generation(), draft.generation());
        let handled = draft.status()["lastHandledReconcileAt"].as_str().unwrap_or_default();
        let requested = draft.requested_at() != handled;
        let message = if seen == generation {
            "reconciliation in progress".to_owned()
        } else {
            format!("processing object: new generation {seen} -> {generation}")
        };
        draft.mark("Reconciling", "True", "Progressing", &message);
        if draft.condition("Ready").is_none() {
            draft.mark("Ready", "Unknown", "Progressing", &message);
        }
        if requested || seen != generation {
            draft.patch(self.context.speeds().patch).await;
        }
    }

    /// Whether the remote still has what was looked at last.
    async fn is_unchanged(&self, draft: &Draft, plan: &Plan) -> Result<bool, Failure> {
        let Some(observed) = draft.status()["observedSourceRevision"].as_str() else {
            return Ok(false);
        };
        sleep(self.context.speeds().list_remote).await;
        let (git, plan) = (self.git.clone(), plan.clone());
        let look = move || {
            git.fetch(&plan.url, plan.credentials(), &plan.reference)
                .map(|fetched| plan.revision(&fetched.commit))
                .map_err(|failure| plan.checkout_failed(&failure))
        };
        let revision = tokio::task::spawn_blocking(look).await.unwrap_or_else(|_| Err(gone()));
        Ok(revision? == observed)
    }

    async fn clone_source(&self, plan: &Plan) -> Result<Box<dyn Workspace>, Failure> {
        let (git, plan) = (self.git.clone(), plan.clone());
        let clone = move || {
            git.clone_at(&plan.url, plan.credentials(), &plan.reference)
                .map_err(|failure| plan.checkout_failed(&failure))
        };
        let cloned = tokio::task::spawn_blocking(clone);
        let (cloned, ()) = tokio::join!(cloned, sleep(self.context.speeds().automation_clone));
        cloned.unwrap_or_else(|_| Err(gone()))
    }

    /// Posts what the world should hear of a run, and waits until it is posted.
    async fn tell(&self, before: &Value, draft: &Draft, outcome: &Result<Option<Pushed>, Failure>) {
        let (severity, reason, message) = match outcome {
            Err(failure) => (Severity::Error, failure.reason, failure.message.clone()),
            Ok(Some(pushed)) => (Severity::Info, "Succeeded", pushed.summary()),
            Ok(None) if !draft::is_true(before, "Ready") => {
                (Severity::Info, "Succeeded", READY.to_owned())
            }
            Ok(None) => return,
        };
        self.recorder.post(&draft.object, severity, reason, &message, &[]).await;
    }
}

impl Reconciler for ImageUpdateAutomations {
    const KIND: &'static str = "ImageUpdateAutomation";
    const WATCHES: &'static [&'static str] =
        &["ImageUpdateAutomation", "ImagePolicy", "GitRepository"];

    fn wakes(&self, change: &Change) -> Vec<Key> {
        let before = change.before.as_deref();
        let now = &*change.object;
        let concerned: Box<dyn Fn(&Value) -> bool> = match change.key.kind.as_str() {
            _ if change.kind == ChangeKind::Deleted => return Vec::new(),
            Self::KIND if asks_for_work(before, now) => return vec![change.key.clone()],
            "ImagePolicy" => {
                let latest = |object: &Value| object["status"]["latestRef"].clone();
                if before.is_none_or(|before| latest(before) == latest(now)) {
                    return Vec::new();
                }
                Box::new(|_| true)
            }
            "GitRepository" => {
                let generation = |object: &Value| object["metadata"]["generation"].clone();
                if before.is_some_and(|before| generation(before) == generation(now)) {
                    return Vec::new();
                }
                Box::new(|automation| automation["spec"]["sourceRef"]["name"] == change.key.name)
            }
            _ => return Vec::new(),
        };
        let (all, _) = self.context.store.list(Self::KIND, Some(&change.key.namespace));
        all.iter().filter(|it| concerned(it)).map(|it| Key::of(it)).collect()
    }

    async fn reconcile(&self, key: &Key) -> Next {
        let Some(mut draft) = Draft::load(&self.context.store, key, NAME) else {
            return Next::Rest;
        };
        // Unlike the others, this controller does not even echo a request when it is suspended.
        if draft.is_suspended() {
            return Next::Rest;
        }
        let before = draft.object.clone();
        let outcome = self.run(&mut draft).await;
        draft.echo_request();
        let next = match &outcome {
            Ok(_) => {
                draft.unmark("Reconciling");
                draft.unmark("Stalled");
                draft.mark("Ready", "True", "Succeeded", READY);
                draft.observe_generation();
                Next::After(draft.interval())
            }
            Err(Failure { reason, message, stalled }) => {
                draft.mark("Ready", "False", reason, message);
                if *stalled {
                    draft.unmark("Reconciling");
                    draft.mark("Stalled", "True", reason, message);
                    draft.observe_generation();
                    Next::Rest
                } else {
                    draft.set_reason("Reconciling", "ProgressingWithRetry");
                    Next::Retry
                }
            }
        };
        self.tell(&before, &draft, &outcome).await;
        draft.patch(self.context.speeds().patch).await;
        next
    }
}

/// The failure of work whose thread is gone, as at the end of the process.
fn gone() -> Failure {
    Failure::new("GitOperationFailed", "context canceled".to_owned())
}

/// What templates see: who writes, what changed, and the values of the spec.
fn template_data(draft: &Draft, update: &setters::Update) -> Value {
    let change = |change: &setters::Change| json!({"OldValue": change.old, "NewValue": change.new, "Setter": change.setter});
    let (mut files, mut objects) = (json!({}), json!({}));
    let list = |place: &mut Value, entry: Value| match place.as_array_mut() {
        Some(all) => all.push(entry),
        None => *place = json!([entry]),
    };
    for it in &update.changes {
        let object = it.object.join("/");
        list(&mut files[&it.file][&object], change(it));
        list(&mut objects[&object], change(it));
    }
    let mut values = draft.spec()["git"]["commit"]["messageTemplateValues"].clone();
    if !values.is_object() {
        values = json!({});
    }
    json!({
        "AutomationObject": {"Name": draft.key.name, "Namespace": draft.key.namespace},
        "Changed": {
            "Changes": update.changes.iter().map(change).collect::<Vec<_>>(),
            "FileChanges": files,
            "Objects": objects,
        },
        "Values": values,
    })
}
