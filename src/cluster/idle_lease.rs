//! Leases of lanes that nobody holds: what is left of a lane that no scenario has any more.
//!
//! A Lease that is free protects nothing, and the next run on its lane makes it anew. So it may go,
//! but only as it was seen: whoever takes it meanwhile has changed it, and keeps it.
//!
//! It needs `list` and `delete` of `leases.coordination.k8s.io` in the namespace.

use crate::cluster::lease::{LABELS, LANE, SKEW, lease_name, spec};
use crate::cluster::object::Place;
use crate::cluster::{Cluster, Error};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// A Lease of a lane that nobody holds.
#[derive(Clone, Debug)]
pub struct IdleLease {
    /// The lane.
    pub lane: String,
    /// Since when nobody has renewed it; none if that is not known.
    pub since: Option<Timestamp>,
    place: Place,
    object: Value,
}

#[derive(Deserialize)]
struct Listed {
    items: Vec<Value>,
}

// === impl Cluster ===

impl Cluster {
    /// The Leases of lanes in a namespace that hopclock has made and nobody holds now.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    pub async fn idle_leases(&self, namespace: &str) -> Result<Vec<IdleLease>, Error> {
        let api = &self.hub.api;
        let all = Place::new("coordination.k8s.io", "leases", namespace, "");
        let labels: Vec<_> =
            LABELS.iter().map(|(key, it)| format!("{}%3D{it}", key.replace('/', "%2F"))).collect();
        let path = format!("{}?labelSelector={}", all.collection(), labels.join("%2C"));
        let ask = all.ask("list", path);
        let answer = api.get(&ask).await?;
        let Listed { items } = api.read(&ask, &answer.body)?;
        let now = api.clock.wall();
        Ok(items.into_iter().filter_map(|it| IdleLease::of(it, namespace, now)).collect())
    }

    /// Deletes a Lease as it was seen; false if it is not there any more, or somebody has taken it
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// If it cannot be deleted.
    pub async fn delete_lease(&self, lease: &IdleLease) -> Result<bool, Error> {
        self.hub.api.delete(&lease.place, &lease.object).await
    }
}

// === impl IdleLease ===

impl IdleLease {
    /// Namespace and name.
    #[must_use]
    pub fn title(&self) -> String {
        self.place.title()
    }

    /// None if it is not ours, or somebody holds it.
    fn of(object: Value, namespace: &str, now: Timestamp) -> Option<Self> {
        let lane = object["metadata"]["annotations"][LANE].as_str()?.to_owned();
        let name = object["metadata"]["name"].as_str()?;
        if name != lease_name(&lane) {
            return None;
        }
        let place = Place::new("coordination.k8s.io", "leases", namespace, name);
        let spec = spec(&object);
        let since = spec.renew_time.as_ref().and_then(|it| it.parse::<Timestamp>().ok());
        if spec.holder_identity.is_some_and(|it| !it.is_empty()) {
            let lasts = Duration::from_secs(spec.lease_duration_seconds.unwrap_or_default());
            // Who has not seen it change before has only the holder's clock to go by.
            let over = since.and_then(|it| it.checked_add(lasts + SKEW).ok());
            over.filter(|it| *it < now)?;
        }
        Some(Self { lane, since, place, object })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lease(lane: &str, named: &str, spec: &Value) -> Value {
        let name = lease_name(named);
        json!({"metadata": {"name": name, "annotations": {LANE: lane}}, "spec": spec})
    }

    #[test]
    fn s5_a_lease_that_is_held_or_of_somebody_else_is_not_idle() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let held =
            |at: &str| json!({"holderIdentity": "a", "leaseDurationSeconds": 30, "renewTime": at});
        let is_idle = |object: Value| IdleLease::of(object, "lab", now).is_some();
        assert!(is_idle(lease("x", "x", &json!({"renewTime": "2026-11-21T11:59:59.000000Z"}))));
        assert!(is_idle(lease("x", "x", &json!({"holderIdentity": ""}))));
        assert!(is_idle(lease("x", "x", &held("2026-11-21T11:59:14.000000Z"))));
        assert!(!is_idle(lease("x", "x", &held("2026-11-21T11:59:16.000000Z"))), "clocks differ");
        assert!(!is_idle(lease("x", "x", &json!({"holderIdentity": "a"}))), "nobody knows");
        assert!(!is_idle(lease("x", "another", &json!({}))), "not hopclock's name");
        let name = lease_name("x");
        assert!(!is_idle(json!({"metadata": {"name": name}, "spec": {}})), "no lane");
    }
}
