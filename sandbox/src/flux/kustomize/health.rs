//! Whether an object has become what it was asked to be: kstatus, for the kinds that matter here.
//!
//! Health is polled, so an object that becomes current is believed up to five seconds later; the
//! first look is at once.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::apply::label;
use crate::flux::Speeds;
use crate::flux::draft;
use crate::flux::gotime;
use crate::store::Key;
use crate::store::Store;

/// What an object says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Current,
    InProgress,
    Failed,
    NotFound,
}

impl Health {
    fn as_str(self) -> &'static str {
        match self {
            Self::Current => "Current",
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::NotFound => "NotFound",
        }
    }
}

/// Waits until all objects are current; the error is the message without how long it took.
pub(crate) async fn wait(
    store: &Store,
    objects: &[Key],
    speeds: &Speeds,
    timeout: Duration,
) -> Result<(), String> {
    let start = Instant::now();
    let mut looks = 0;
    loop {
        tokio::time::sleep(speeds.health_look).await;
        let found: Vec<(&Key, Health)> = objects
            .iter()
            .map(|key| (key, store.get(key).map_or(Health::NotFound, |object| look(&object))))
            .filter(|(_, health)| *health != Health::Current)
            .collect();
        if found.is_empty() {
            return Ok(());
        }
        if found.iter().any(|(_, health)| *health == Health::Failed) {
            return Err(format!("failed early due to stalled resources: [{}]", list(&found)));
        }
        looks += 1;
        let next = speeds.health_poll * looks;
        if next < timeout {
            tokio::time::sleep_until(start + next).await;
            continue;
        }
        tokio::time::sleep_until(start + timeout).await;
        // A look that is due just when the time is up is refused by the client's rate limiter.
        return Err(if next == timeout {
            "client rate limiter Wait returned an error: rate: Wait(n=1) would exceed context \
             deadline"
                .to_owned()
        } else {
            format!("timeout waiting for: [{}]", list(&found))
        });
    }
}

/// The time limit of a `Kustomization`: never below 30 s, whatever it says.
pub(super) fn timeout_of(spec: &Value) -> Duration {
    let floor = Duration::from_secs(30);
    let read = |field: &str| spec[field].as_str().and_then(gotime::parse);
    let from_interval = || read("interval").unwrap_or_default().saturating_sub(floor);
    read("timeout").unwrap_or_else(from_interval).max(floor)
}

/// The health of one object.
pub(super) fn look(object: &Value) -> Health {
    let status = &object["status"];
    let generation = &object["metadata"]["generation"];
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Health::InProgress;
    }
    let observed = &status["observedGeneration"];
    if !observed.is_null() && observed != generation {
        return Health::InProgress;
    }
    if draft::is_true(object, "Stalled") {
        return Health::Failed;
    }
    if draft::is_true(object, "Reconciling") {
        return Health::InProgress;
    }
    if object["kind"] == "Deployment" {
        return deployment(object);
    }
    match draft::condition(object, "Ready").and_then(|ready| ready["status"].as_str()) {
        Some("False" | "Unknown") => Health::InProgress,
        _ => Health::Current,
    }
}

fn deployment(object: &Value) -> Health {
    let status = &object["status"];
    let count = |field: &str| status[field].as_u64().unwrap_or(0);
    let wanted = object["spec"]["replicas"].as_u64().unwrap_or(1);
    let late = draft::condition(object, "Progressing")
        .is_some_and(|progress| progress["reason"] == "ProgressDeadlineExceeded");
    if late {
        return Health::Failed;
    }
    let seen = status["observedGeneration"] == object["metadata"]["generation"];
    let complete = count("updatedReplicas") >= wanted
        && count("replicas") <= count("updatedReplicas")
        && count("availableReplicas") >= wanted
        && count("readyReplicas") >= wanted;
    if seen && complete { Health::Current } else { Health::InProgress }
}

fn list(found: &[(&Key, Health)]) -> String {
    let one =
        |(key, health): &(&Key, Health)| format!("{} status: '{}'", label(key), health.as_str());
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_data_is_always_current() {
        assert_eq!(look(&json!({"kind": "ConfigMap", "metadata": {}})), Health::Current);
    }

    #[test]
    fn a_custom_resource_is_current_without_status_and_with_its_generation_seen() {
        let mut widget = json!({"kind": "Widget", "metadata": {"generation": 2}});
        assert_eq!(look(&widget), Health::Current);
        widget["status"] = json!({"observedGeneration": 1});
        assert_eq!(look(&widget), Health::InProgress);
        widget["status"] = json!({"observedGeneration": 2});
        assert_eq!(look(&widget), Health::Current);
        widget["status"]["conditions"] = json!([{"type": "Ready", "status": "False"}]);
        assert_eq!(look(&widget), Health::InProgress);
        widget["status"]["conditions"] = json!([{"type": "Stalled", "status": "True"}]);
        assert_eq!(look(&widget), Health::Failed);
    }

    #[test]
    fn a_deployment_is_current_when_all_its_replicas_are_new_and_there() {
        let mut object = json!({"kind": "Deployment", "metadata": {"generation": 3},
            "spec": {"replicas": 2}});
        assert_eq!(look(&object), Health::InProgress);
        object["status"] = json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2,
            "availableReplicas": 2, "readyReplicas": 2});
        assert_eq!(look(&object), Health::Current);
        object["status"]["replicas"] = 3.into();
        assert_eq!(look(&object), Health::InProgress);
        object["status"]["conditions"] = json!([{"type": "Progressing", "status": "False",
            "reason": "ProgressDeadlineExceeded"}]);
        assert_eq!(look(&object), Health::Failed);
    }

    #[test]
    fn a_timeout_below_30_s_is_raised_to_30_s() {
        let timeout = |spec: Value| timeout_of(&spec).as_secs();
        assert_eq!(timeout(json!({"interval": "10m", "timeout": "20s"})), 30);
        assert_eq!(timeout(json!({"interval": "10m"})), 570);
        assert_eq!(timeout(json!({"interval": "10s"})), 30);
        assert_eq!(timeout(json!({"interval": "10m", "timeout": "2m"})), 120);
    }

    #[tokio::test(start_paused = true)]
    async fn health_is_looked_at_at_once_and_then_every_five_seconds() {
        let store = Store::new();
        let key = Key::new("Widget", "default", "slow");
        let widget = json!({"kind": "Widget", "metadata": {"namespace": "default", "name": "slow"},
            "status": {"observedGeneration": 0}});
        store.seed(widget, "test").unwrap();
        let (later, slow) = (store.clone(), key.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(7)).await;
            let patch = json!({"status": {"observedGeneration": 1}});
            later.merge(&slow, &patch, crate::store::Part::Status, "test").unwrap();
        });
        let start = Instant::now();
        let speeds = Speeds::default();
        wait(&store, &[key], &speeds, Duration::from_secs(30)).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(10) + speeds.health_look);
    }
}
