//! What Helm does: install, upgrade, rollback, uninstall, each with its waits, objects and events.
//!
//! Objects are applied one after the other, so an upgrade that fails at the second has changed the
//! first already; the rollback changes it back.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;
use tokio::time::sleep;

use super::HelmReleases;
use super::NAME;
use super::history;
use super::release::count_failure;
use super::release::summarize;
use super::render::Request;
use super::storage::Name;
use super::storage::Release;
use super::storage::Status;
use crate::flux::draft::Draft;
use crate::flux::gotime;
use crate::flux::kustomize::apply::invalid;
use crate::flux::kustomize::health;
use crate::flux::notification::Severity;
use crate::store::Key;
use crate::store::Part;
use crate::store::Store;

/// One action of Helm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Install,
    Upgrade,
    /// To a release of this version.
    Rollback(u64),
    Uninstall,
}

/// What came of an action.
pub(super) enum Done {
    /// There is a new release, good or bad.
    Released,
    /// Nothing was released, since it failed before.
    Nothing,
    /// A failed release was undone.
    Remedied,
}

impl Action {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Rollback(_) => "rollback",
            Self::Uninstall => "uninstall",
        }
    }

    /// The reason of success or failure.
    fn reason(self, good: bool) -> &'static str {
        match (self, good) {
            (Self::Install, true) => "InstallSucceeded",
            (Self::Install, false) => "InstallFailed",
            (_, true) => "UpgradeSucceeded",
            (_, false) => "UpgradeFailed",
        }
    }
}

impl HelmReleases {
    /// Does one action, and puts what came of it into the draft.
    pub(super) async fn act(&self, draft: &mut Draft, request: &Request, action: &Action) -> Done {
        let name = (request.namespace.clone(), request.name.clone());
        match *action {
            Action::Rollback(version) => self.roll_back(draft, &name, version).await,
            Action::Uninstall => self.uninstall(draft, &name).await,
            action => self.release(draft, request, &name, action).await,
        }
    }

    async fn release(
        &self,
        draft: &mut Draft,
        request: &Request,
        name: &Name,
        action: Action,
    ) -> Done {
        let (started, speeds) = (Instant::now(), self.context.speeds());
        draft.unmark("Remediated");
        sleep(speeds.helm_render).await;
        let latest = self.storage.latest(name);
        let version = latest.as_ref().map_or(1, |it| it.version + 1);
        let chart = format!("{}@{}", request.chart.name, request.chart.version);
        let done_to = format!("Helm {} {{}} for release {}/{}", action.as_str(), name.0, name.1);
        let objects = match request.render(&self.context.store, version) {
            Ok(objects) => objects,
            Err(why) => {
                let message =
                    format!("{} with chart {chart}: {why}", done_to.replace("{}", "failed"));
                note_attempt(draft, action, started);
                count_failure(draft, "failures");
                self.conclude(draft, action, &message, false, None).await;
                return Done::Nothing;
            }
        };
        sleep(speeds.helm_apply).await;
        let old = latest.as_ref().map(|it| it.objects.clone()).unwrap_or_default();
        let mut applied = apply(&self.context.store, &objects);
        if applied.is_ok() {
            applied = self.wait(draft, &objects).await;
        }
        if applied.is_ok() {
            prune(&self.context.store, &old, &objects);
        }
        sleep(speeds.helm_record).await;
        let now = gotime::seconds(self.context.store.now());
        let status = if applied.is_ok() { Status::Deployed } else { Status::Failed };
        let release = Release {
            version,
            status,
            chart: request.chart.name.clone(),
            chart_version: request.chart.version.clone(),
            app_version: request.chart.app_version.clone(),
            config_digest: request.config_digest(),
            oci_digest: request.oci_digest.clone(),
            first: latest.map_or_else(|| now.clone(), |it| it.first),
            last: now,
            objects,
        };
        note_attempt(draft, action, started);
        draft.set_status("inventory", inventory(&self.context.store, &release.objects));
        let (changed, _) = self.storage.add(name, release.clone());
        let mut history = draft.status()["history"].clone();
        for old in &changed {
            history::replace(&mut history, &history::entry(name, old, None));
        }
        let entry = history::entry(name, &release, Some(action.as_str()));
        draft.set_status("history", history::prepend(&history, entry));
        let message = match &applied {
            Ok(()) => {
                format!("{}.v{version} with chart {chart}", done_to.replace("{}", "succeeded"))
            }
            Err(why) => {
                count_failure(draft, "failures");
                let install = action == Action::Install;
                count_failure(draft, if install { "installFailures" } else { "upgradeFailures" });
                format!("{} with chart {chart}: {why}", done_to.replace("{}", "failed"))
            }
        };
        self.conclude(draft, action, &message, applied.is_ok(), Some(&release)).await;
        Done::Released
    }

    /// Waits for health, unless that is switched off.
    async fn wait(&self, draft: &Draft, objects: &[Value]) -> Result<(), String> {
        let spec = draft.spec();
        if spec["install"]["disableWait"] == true || spec["upgrade"]["disableWait"] == true {
            return Ok(());
        }
        let timeout = draft.duration("timeout").unwrap_or(Duration::from_secs(300));
        let keys: Vec<Key> = objects.iter().map(Key::of).collect();
        health::wait(&self.context.store, &keys, &self.context.speeds(), timeout).await
    }

    async fn roll_back(&self, draft: &mut Draft, name: &Name, version: u64) -> Done {
        let speeds = self.context.speeds();
        let target = self.storage.get(name, version);
        let (Some(target), Some(latest)) = (target, self.storage.latest(name)) else {
            return Done::Nothing;
        };
        sleep(speeds.helm_render).await;
        // What Helm released once is applied as it was.
        let _ = apply(&self.context.store, &target.objects);
        prune(&self.context.store, &latest.objects, &target.objects);
        sleep(speeds.helm_rollback).await;
        let last = gotime::seconds(self.context.store.now());
        let (version, status) = (latest.version + 1, Status::Deployed);
        let release = Release { version, status, last, ..target.clone() };
        draft.set_status("inventory", inventory(&self.context.store, &release.objects));
        let (changed, gone) = self.storage.add(name, release.clone());
        let mut history = draft.status()["history"].clone();
        for old in &changed {
            history::replace(&mut history, &history::entry(name, old, Some("rollback")));
        }
        let known = |it: &Release| {
            let mut all = history.as_array().into_iter().flatten();
            all.any(|old| old["version"] == it.version)
        };
        if let Some(gone) = gone.filter(|it| !known(it)) {
            history = history::prepend(&history, history::entry(name, &gone, None));
        }
        let entry = history::entry(name, &release, Some("rollback"));
        draft.set_status("history", history::prepend(&history, entry));
        let message = format!(
            "Helm rollback to previous release {}/{}.v{} with chart {}@{} succeeded",
            name.0, name.1, target.version, target.chart, target.chart_version
        );
        self.conclude_remedy(draft, "RollbackSucceeded", &message, &target).await;
        Done::Remedied
    }

    async fn uninstall(&self, draft: &mut Draft, name: &Name) -> Done {
        let Some(latest) = self.storage.latest(name) else { return Done::Nothing };
        sleep(self.context.speeds().helm_render).await;
        prune(&self.context.store, &latest.objects, &[]);
        self.storage.remove(name);
        let mut history = draft.status()["history"].clone();
        history[0]["status"] = "uninstalled".into();
        draft.set_status("history", history);
        draft.set_status("inventory", Value::Null);
        let message = format!(
            "Helm uninstall remediation for release {}/{}.v{} with chart {}@{} succeeded",
            name.0, name.1, latest.version, latest.chart, latest.chart_version
        );
        self.conclude_remedy(draft, "UninstallSucceeded", &message, &latest).await;
        Done::Remedied
    }

    /// Posts what came of an action, then says it in conditions.
    async fn conclude(
        &self,
        draft: &mut Draft,
        action: Action,
        message: &str,
        good: bool,
        release: Option<&Release>,
    ) {
        let reason = action.reason(good);
        let (severity, status) =
            if good { (Severity::Info, "True") } else { (Severity::Error, "False") };
        let told = if good { message.to_owned() } else { self.with_logs(draft, message) };
        self.post(draft, severity, reason, &told, release.filter(|_| good)).await;
        draft.mark("Released", status, reason, message);
        summarize(draft);
    }

    async fn conclude_remedy(
        &self,
        draft: &mut Draft,
        reason: &'static str,
        message: &str,
        release: &Release,
    ) {
        self.post(draft, Severity::Info, reason, message, Some(release)).await;
        draft.mark("Remediated", "True", reason, message);
        summarize(draft);
    }

    /// Posts an event about a release, or about the attempt at one.
    async fn post(
        &self,
        draft: &Draft,
        severity: Severity,
        reason: &str,
        message: &str,
        release: Option<&Release>,
    ) {
        let text = |field: &str| draft.status()[field].as_str().unwrap_or_default().to_owned();
        let attempted = text("lastAttemptedRevision");
        let config = text("lastAttemptedConfigDigest");
        let revision = release.map_or(attempted.as_str(), |it| it.chart_version.as_str());
        let mut metadata = vec![
            ("helm.toolkit.fluxcd.io/revision", revision),
            ("helm.toolkit.fluxcd.io/token", config.as_str()),
        ];
        if let Some(release) = release {
            if !release.app_version.is_empty() {
                metadata.push(("helm.toolkit.fluxcd.io/app-version", release.app_version.as_str()));
            }
            if let Some(digest) = &release.oci_digest {
                metadata.push(("helm.toolkit.fluxcd.io/oci-digest", digest));
            }
        }
        self.recorder.post(&draft.object, severity, reason, message, &metadata).await;
    }

    /// A failure with what Helm logged on the way, as events have it.
    fn with_logs(&self, draft: &Draft, message: &str) -> String {
        let now = self.context.store.now();
        let name = json!({"name": draft.key.name});
        format!("{message}\n\nLast Helm logs:\n\n{now}: preparing upgrade: {name}")
    }
}

/// Puts down which action was tried, and how long it took.
fn note_attempt(draft: &mut Draft, action: Action, started: Instant) {
    draft.set_status("lastAttemptedReleaseAction", action.as_str());
    let took = gotime::duration(started.elapsed());
    draft.set_status("lastAttemptedReleaseActionDuration", took);
}

/// Applies objects one after the other; the error is that of the first that the API refuses.
fn apply(store: &Store, objects: &[Value]) -> Result<(), String> {
    for object in objects {
        let key = Key::of(object);
        let verb = if store.get(&key).is_some() { "update" } else { "create" };
        let group = object["apiVersion"].as_str().unwrap_or_default();
        let group = if group.contains('/') { group.to_owned() } else { format!("/{group}") };
        let failed = |why: String| {
            format!(
                "failed to {verb} resource: server-side apply failed for object {}/{} {group}, \
                 Kind={}: {why}",
                key.namespace, key.name, key.kind
            )
        };
        if let Some(why) = invalid(object) {
            return Err(failed(why));
        }
        let applied = store.apply(&key, object.clone(), Part::Whole, NAME);
        applied.map_err(|problem| failed(problem.to_string()))?;
    }
    Ok(())
}

/// Removes what is no longer among the objects.
pub(super) fn prune(store: &Store, old: &[Value], new: &[Value]) {
    let kept: Vec<Key> = new.iter().map(Key::of).collect();
    for key in old.iter().map(Key::of).filter(|key| !kept.contains(key)) {
        // Gone already is as good.
        let _ = store.delete(&key, NAME);
    }
}

fn inventory(store: &Store, objects: &[Value]) -> Value {
    let entry = |object: &Value| {
        let key = Key::of(object);
        let resource = store.resource(&key.kind)?;
        let id = format!("{}_{}_{}_{}", key.namespace, key.name, resource.group, key.kind);
        Some(json!({"id": id, "v": resource.version}))
    };
    json!({"entries": objects.iter().filter_map(entry).collect::<Vec<_>>()})
}
