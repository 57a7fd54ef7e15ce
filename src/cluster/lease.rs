//! A Lease: the right to be the only one who does something, in a cluster (rule S5).
//!
//! It is taken and renewed under the API server's optimistic lock, so that of two who try at the
//! same time one is refused. Whether the holder of an old one is dead is judged like client-go
//! does, by our own clock: a Lease that did not change for as long as it says it lasts, since we
//! first saw it so, is expired. Only a first look has nothing but the holder's clock to go by,
//! and believes it if the time is over by more than clocks are likely to differ. A lock like this
//! makes two runs at once unlikely, not impossible: the push's compare-and-swap is the fence.
//!
//! It needs `get`, `create` and `update` of `leases.coordination.k8s.io` in the namespace.

use crate::cluster::hub::Hub;
use crate::cluster::object::{MANAGED_BY, MANAGER, Place};
use crate::cluster::{Cluster, Error};
use crate::model::{Moment, fnv1a};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A Lease that we hold. Dropping it leaves it to expire; [`LeaseGrip::release`] is quicker.
#[must_use = "it is only held as long as it is renewed"]
pub struct LeaseGrip {
    hub: Arc<Hub>,
    place: Place,
    holder: String,
    duration: Duration,
    object: Value,
    /// When we began to write it last.
    renewed: Moment,
}

/// What we saw of the Leases of others, and since when.
#[derive(Default)]
pub(super) struct Sightings {
    seen: Mutex<HashMap<String, (Spec, Moment)>>,
}

/// How much the clocks of two machines may differ before the wrong one takes a Lease.
pub(super) const SKEW: Duration = Duration::from_secs(15);

/// The annotation with the lane in readable form.
pub(super) const LANE: &str = "hopclock.dev/lane";

/// The labels that make a Lease one of ours for a lane.
pub(super) const LABELS: [(&str, &str); 2] =
    [(MANAGED_BY, MANAGER), ("app.kubernetes.io/component", "lane")];

/// What stands in a Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) holder_identity: Option<String>,
    pub(super) lease_duration_seconds: Option<u64>,
    acquire_time: Option<String>,
    pub(super) renew_time: Option<String>,
    lease_transitions: Option<u64>,
}

// === impl Cluster ===

impl Cluster {
    /// Takes the Lease of a lane, for `duration` (whole seconds, at least one) from now.
    ///
    /// `lane` must hold no credentials: it can be read in an annotation. `holder` must be ours
    /// alone: who asks with the holder's name is taken for the holder, come back. The Lease's name
    /// is [`lease_name`]'s. A write that another one's overtakes is tried once more.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseHeld`] names who holds it; [`Error::NoSuchNamespace`]; or the Lease cannot be
    /// read or written.
    pub async fn take_lease(
        &self,
        namespace: &str,
        lane: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<LeaseGrip, Error> {
        let place = Place::new("coordination.k8s.io", "leases", namespace, &lease_name(lane));
        let mut grip = LeaseGrip {
            hub: Arc::clone(&self.hub),
            place,
            holder: holder.to_owned(),
            duration: whole_seconds(duration),
            object: Value::Null,
            renewed: Moment::default(),
        };
        // Who is overtaken twice has met somebody who holds it by now.
        for _ in 0..2 {
            match grip.take(lane).await {
                Err(error) if matches!(error.status(), Some(404 | 409)) => {}
                answer => return answer.map(|()| grip),
            }
        }
        let (holder, renewed) = ("somebody".to_owned(), "just now".to_owned());
        Err(Error::LeaseHeld { lease: grip.lease(), holder, renewed })
    }
}

// === impl LeaseGrip ===

impl LeaseGrip {
    /// Holds on for another of its durations.
    ///
    /// # Errors
    ///
    /// [`Error::LeaseLost`] if it is somebody else's now, or was deleted; other errors mean that
    /// it could not be renewed now, and may be tried until [`Self::expires`].
    pub async fn renew(&mut self) -> Result<(), Error> {
        let renew = |spec: Spec, grip: &Self| grip.held(spec);
        self.rewrite(renew).await
    }

    /// Lets go, so that the next one need not wait until it expires.
    ///
    /// # Errors
    ///
    /// As [`Self::renew`].
    pub async fn release(mut self) -> Result<(), Error> {
        let free = |spec: Spec, grip: &Self| Spec { holder_identity: None, ..grip.held(spec) };
        self.rewrite(free).await
    }

    /// When it is not ours any more unless it was renewed: whatever it protects ends before.
    #[must_use]
    pub fn expires(&self) -> Moment {
        self.renewed + self.duration
    }

    /// Namespace and name of the Lease.
    #[must_use]
    pub fn lease(&self) -> String {
        self.place.title()
    }

    async fn take(&mut self, lane: &str) -> Result<(), Error> {
        let hub = Arc::clone(&self.hub);
        let now = hub.api.clock.now();
        let stored = hub.api.find(&self.place).await?;
        let Some(mut object) = stored else {
            self.object = hub.api.create(&self.place, self.fresh(lane)).await?;
            self.renewed = now;
            return Ok(());
        };
        let spec = spec(&object);
        if !self.is_free(&spec) {
            let holder = spec.holder_identity.unwrap_or_default();
            let renewed = spec.renew_time.map_or("never".to_owned(), |it| format!("at {it}"));
            return Err(Error::LeaseHeld { lease: self.lease(), holder, renewed });
        }
        let came_back = spec.holder_identity.as_ref() == Some(&self.holder);
        let transitions = spec.lease_transitions.unwrap_or_default() + u64::from(!came_back);
        let taken = Spec { lease_transitions: Some(transitions), ..self.held(Spec::default()) };
        object["spec"] = json!(Spec { acquire_time: taken.renew_time.clone(), ..taken });
        object["metadata"]["annotations"][LANE] = lane.into();
        self.object = hub.api.replace(&self.place, object).await?;
        self.renewed = now;
        hub.leases.forget(&self.lease());
        Ok(())
    }

    /// Writes over our own; if it changed meanwhile and is still ours, once more.
    async fn rewrite(&mut self, change: impl Fn(Spec, &Self) -> Spec) -> Result<(), Error> {
        let hub = Arc::clone(&self.hub);
        let now = hub.api.clock.now();
        let mut object = self.object.clone();
        object["spec"] = json!(change(spec(&object), self));
        self.object = match hub.api.replace(&self.place, object).await {
            Err(error) if matches!(error.status(), Some(404 | 409)) => {
                let lost = |now: String| Error::LeaseLost { lease: self.lease(), now };
                let found = hub.api.find(&self.place).await?;
                let mut object = found.ok_or_else(|| lost("it was deleted".to_owned()))?;
                let spec = spec(&object);
                match spec.holder_identity.as_deref() {
                    Some(it) if it == self.holder => {}
                    None | Some("") => return Err(lost("it was released".to_owned())),
                    Some(other) => return Err(lost(format!("it is held by `{other}`"))),
                }
                object["spec"] = json!(change(spec, self));
                hub.api.replace(&self.place, object).await?
            }
            answer => answer?,
        };
        self.renewed = now;
        Ok(())
    }

    fn is_free(&self, spec: &Spec) -> bool {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.holder {
            return true;
        }
        let clock = &self.hub.api.clock;
        let lasts = Duration::from_secs(spec.lease_duration_seconds.unwrap_or_default());
        let unchanged = self.hub.leases.unchanged_for(self.lease(), spec, clock.now());
        // Without a date it is none that anybody ever renewed; then only our own clock tells.
        let renewed = spec.renew_time.as_ref().and_then(|it| it.parse::<Timestamp>().ok());
        let old = renewed.is_some_and(|it| clock.wall().duration_since(it) > signed(lasts + SKEW));
        // Who has been seen before is judged by our own clock alone: a wall clock can be set.
        unchanged.map_or(old, |it| it >= lasts)
    }

    /// The spec as its holder writes it.
    fn held(&self, spec: Spec) -> Spec {
        let now = self.hub.api.clock.wall().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        Spec {
            holder_identity: Some(self.holder.clone()),
            lease_duration_seconds: Some(self.duration.as_secs()),
            renew_time: Some(now),
            ..spec
        }
    }

    fn fresh(&self, lane: &str) -> Value {
        let spec = self.held(Spec::default());
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {
                "name": self.place.name, "namespace": self.place.namespace,
                "labels": BTreeMap::from(LABELS),
                "annotations": {LANE: lane},
            },
            "spec": Spec { acquire_time: spec.renew_time.clone(), lease_transitions: Some(0), ..spec },
        })
    }
}

impl fmt::Debug for LeaseGrip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseGrip({} by {}, until {:?})", self.lease(), self.holder, self.expires())
    }
}

// === impl Sightings ===

impl Sightings {
    /// For how long it has been as it is, for all that we know; none if we see it so only now.
    fn unchanged_for(&self, lease: String, spec: &Spec, now: Moment) -> Option<Duration> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(&lease) {
            Some((before, since)) if before == spec => Some(now.since(*since)),
            _ => {
                seen.insert(lease, (spec.clone(), now));
                None
            }
        }
    }

    fn forget(&self, lease: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(lease);
    }
}

/// The name of a lane's Lease: any text makes a valid one, always the same.
#[must_use]
pub fn lease_name(lane: &str) -> String {
    format!("hopclock-lane-{:016x}", fnv1a(lane.bytes()))
}

pub(super) fn spec(object: &Value) -> Spec {
    Spec::deserialize(&object["spec"]).unwrap_or_default()
}

/// As the API counts: whole seconds, none of them cut off, at least one.
fn whole_seconds(time: Duration) -> Duration {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    Duration::from_secs(seconds.max(1))
}

fn signed(time: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_every_lane_has_a_valid_name_of_its_own() {
        assert_eq!(lease_name(""), "hopclock-lane-cbf29ce484222325");
        assert_eq!(lease_name("a"), "hopclock-lane-af63dc4c8601ec8c");
        assert_ne!(lease_name("https://git/a"), lease_name("https://git/b"));
    }
}
