//! The loop of one run: look at the release, act, look again, until it is as wished for or given up.
//!
//! A failed release is remedied once in a run, and the next attempt is the next run's. What Helm
//! could not even write down counts as an error of the run instead.

use serde_json::Value;
use tokio::time::sleep;

use super::HelmReleases;
use super::action::Action;
use super::action::Done;
use super::history;
use super::render::Request;
use super::storage::Name;
use super::storage::Status;
use crate::flux::draft::Draft;
use crate::flux::gotime;

/// How a run ends.
pub(super) enum End {
    /// The release is as wished for.
    InSync,
    /// Remedied; the next run tries again.
    Remedied,
    /// Too many failures: nothing until something changes.
    GivenUp,
    /// Nothing was released.
    Failed,
}

/// How a release stands.
enum State {
    Absent,
    OutOfSync,
    InSync,
    Failed,
}

/// What to do about failures of an action.
struct Remediation {
    retries: i64,
    last_too: bool,
    uninstall: bool,
}

impl HelmReleases {
    /// Brings a release where it shall be.
    pub(super) async fn bring(&self, draft: &mut Draft, request: &Request) -> End {
        let name = (request.namespace.clone(), request.name.clone());
        let mut tried = false;
        loop {
            let action = match self.state(&name, request) {
                State::InSync => {
                    draft.set_status("history", history::cut(&draft.status()["history"]));
                    draft.unmark("Reconciling");
                    summarize(draft);
                    return End::InSync;
                }
                State::Absent | State::OutOfSync if tried => return pause(draft),
                State::Absent => Action::Install,
                State::OutOfSync => Action::Upgrade,
                State::Failed if failures(draft) == 0 && !tried => Action::Upgrade,
                State::Failed => match remedy(draft) {
                    Some(action) => action,
                    None => return give_up(draft),
                },
            };
            self.announce(draft, &action).await;
            match self.act(draft, request, &action).await {
                Done::Released => tried = true,
                Done::Nothing => return End::Failed,
                Done::Remedied => {
                    let remediation = remediation(draft);
                    return if remediation.exhausted(draft) {
                        give_up(draft)
                    } else {
                        pause(draft)
                    };
                }
            }
            draft.patch(self.context.speeds().patch).await;
            sleep(self.context.speeds().helm_observe).await;
        }
    }

    fn state(&self, name: &Name, request: &Request) -> State {
        let Some(latest) = self.storage.latest(name) else { return State::Absent };
        let wanted = &request.chart;
        let same = latest.chart == wanted.name
            && latest.chart_version == wanted.version
            && latest.config_digest == request.config_digest();
        match latest.status {
            Status::Failed => State::Failed,
            _ if same => State::InSync,
            _ => State::OutOfSync,
        }
    }

    /// Says what is about to be done. A remedy leaves `Ready` as it is: the failure stands there.
    async fn announce(&self, draft: &mut Draft, action: &Action) {
        let timeout = timeout(draft, action);
        let name = action.as_str();
        let message = format!("Running '{name}' action with timeout of {timeout}");
        draft.mark("Reconciling", "True", "Progressing", &message);
        if matches!(action, Action::Install | Action::Upgrade) {
            draft.mark("Ready", "Unknown", "Progressing", &message);
            if draft.status()["history"].is_array() {
                draft.set_status("history", history::sorted(&draft.status()["history"]));
            }
        }
        draft.patch(self.context.speeds().patch).await;
    }
}

impl Remediation {
    fn exhausted(&self, draft: &Draft) -> bool {
        let counter = counter_of(draft);
        let failures = draft.status()[counter].as_i64().unwrap_or(0);
        self.retries >= 0 && failures > self.retries
    }
}

/// Sums up in `Ready` what the last action came to.
pub(super) fn summarize(draft: &mut Draft) {
    let all = ["Remediated", "Released"];
    let Some(last) = all.iter().find_map(|name| draft.condition(name)).cloned() else { return };
    let text = |field: &str| last[field].as_str().unwrap_or_default();
    let status = if last["type"] == "Remediated" { "False" } else { text("status") };
    draft.mark("Ready", status, text("reason"), text("message"));
}

/// Counts one more failure.
pub(super) fn count_failure(draft: &mut Draft, counter: &str) {
    let count = draft.status()[counter].as_i64().unwrap_or(0);
    draft.set_status(counter, count + 1);
}

/// The longest time for an action, as Go writes it.
fn timeout(draft: &Draft, action: &Action) -> String {
    let own = draft.spec()[action.as_str()]["timeout"].as_str();
    let text = own.or(draft.spec()["timeout"].as_str()).unwrap_or("5m");
    gotime::parse(text).map_or_else(|| text.to_owned(), gotime::duration)
}

fn give_up(draft: &mut Draft) -> End {
    let action = draft.status()["lastAttemptedReleaseAction"].as_str().unwrap_or_default();
    let count = draft.status()[counter_of(draft)].as_i64().unwrap_or(0);
    let message = format!("Failed to {action} after {count} attempt(s)");
    draft.unmark("Reconciling");
    draft.mark("Stalled", "True", "RetriesExceeded", &message);
    End::GivenUp
}

/// What the spec says about failures of the last action.
fn remediation(draft: &Draft) -> Remediation {
    let install = draft.status()["lastAttemptedReleaseAction"] == "install";
    let action = if install { "install" } else { "upgrade" };
    let spec: &Value = &draft.spec()[action]["remediation"];
    let retries = spec["retries"].as_i64().unwrap_or(0);
    let last_too = spec["remediateLastFailure"].as_bool().unwrap_or(!install && retries != 0);
    let uninstall = install || spec["strategy"] == "uninstall";
    Remediation { retries, last_too, uninstall }
}

fn counter_of(draft: &Draft) -> &'static str {
    let install = draft.status()["lastAttemptedReleaseAction"] == "install";
    if install { "installFailures" } else { "upgradeFailures" }
}

fn failures(draft: &Draft) -> i64 {
    draft.status()[counter_of(draft)].as_i64().unwrap_or(0)
}

/// What to do about a failed release, if anything.
fn remedy(draft: &mut Draft) -> Option<Action> {
    let remediation = remediation(draft);
    if remediation.exhausted(draft) && !remediation.last_too {
        return None;
    }
    draft.set_status("history", history::cut(&draft.status()["history"]));
    if remediation.uninstall {
        return Some(Action::Uninstall);
    }
    history::before(&draft.status()["history"]).map(Action::Rollback)
}

fn pause(draft: &mut Draft) -> End {
    let ready = draft.condition("Ready").and_then(|ready| ready["message"].as_str());
    let message = ready.unwrap_or_default().to_owned();
    draft.mark("Reconciling", "True", "ProgressingWithRetry", &message);
    End::Remedied
}
