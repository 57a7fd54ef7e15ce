//! A HelmRelease has released the change: a new chart, or new values.
//!
//! A new chart is told by its version or digest. New values show in no version: they are ours from
//! the first generation whose spec holds the canary, or, where they stand in an object of their
//! own, from the first new digest of the values after that object came to hold it.

use crate::hop::applied::OF_NO_REVISION;
use crate::hop::{Detector, Live, chart};
use crate::model::{
    Carried, Change, Failure, FailureSort, Reached, Revision, Sighting, SourceKind, State, Via,
    When, flux,
};
use serde_json::Value;

/// Reasons that name what Helm did about a failure, not the failure (rule O1).
const REMEDIES: [&str; 2] = ["RollbackSucceeded", "UninstallSucceeded"];

/// See [`AppliedConfig::HelmRelease`](crate::hop::AppliedConfig::HelmRelease).
#[derive(Debug)]
pub struct Released;

/// From where on a release has our values.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Values {
    /// From this generation of its own spec.
    Generation(i64, Option<String>),
    /// From this state of those it was shown in.
    State(usize),
}

// === impl Released ===

impl Detector for Released {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        let latest = &now.value["status"]["history"][0];
        let deployed = latest["status"] == "deployed";
        let reached = |started, carried, canary| {
            let reached = Reached { started, carried, canary, ..Reached::at(now.when) };
            Sighting::Reached(Reached { via: Some(Via::Upstream), ..reached })
        };
        if let Some(carried) = chart_of(change, latest).filter(|_| deployed) {
            return reached(first(past, now, |it| attempts_chart(it, change)), carried, None);
        }
        let Some(values) = values(past, now, change) else { return trouble(past, now, change) };
        let attempted = &now.value["status"]["lastAttemptedConfigDigest"];
        let complete = values.are_observed(now) && values.are_attempted(now);
        if complete && deployed && !attempted.is_null() && latest["configDigest"] == *attempted {
            let canary = match &values {
                Values::Generation(_, canary) => canary.clone(),
                Values::State(_) => None,
            };
            return reached(values.started(past, now), Carried::Ours, canary);
        }
        trouble(past, now, change)
    }

    fn revisions(&self, now: &State) -> Vec<Revision> {
        let status = &now.value["status"];
        let versions = [&status["history"][0]["chartVersion"], &status["lastAttemptedRevision"]];
        let digests = [&status["history"][0]["ociDigest"], &status["lastAttemptedRevisionDigest"]];
        let read = |field: &Value, kind: SourceKind| kind.revision(field.as_str()?);
        let versions = versions.into_iter().filter_map(|it| read(it, SourceKind::HelmChart));
        versions.chain(digests.into_iter().filter_map(|it| read(it, SourceKind::Oci))).collect()
    }

    fn applies(&self) -> bool {
        true
    }

    fn knows_better(&self, change: &Change) -> bool {
        change.sends_version()
    }

    /// The newest release that is deployed is another one: of a chart that stood before, or of
    /// values that are not those that were attempted, since Helm has rolled them back.
    fn has_lost(&self, now: &State, change: &Change) -> bool {
        let status = &now.value["status"];
        let latest = &status["history"][0];
        let released = flux::condition(&now.value, "Released");
        let failed = released.is_some_and(|it| it.status == "False");
        let old_chart = change.is_lost_in(&latest["chartVersion"], SourceKind::HelmChart);
        let other_values = latest["configDigest"] != status["lastAttemptedConfigDigest"];
        // A version that was only learned may have been the same before, of another build.
        let lost = if change.sends_version() {
            old_chart
        } else {
            failed && (other_values || follows_chart(change) && old_chart)
        };
        latest["status"] == "deployed" && lost
    }
}

// === impl Values ===

impl Values {
    fn are_attempted(&self, now: &State) -> bool {
        self.are_shown(&now.value["status"]["lastAttemptedGeneration"])
    }

    fn are_observed(&self, now: &State) -> bool {
        self.are_shown(&now.value["status"]["observedGeneration"])
    }

    /// Whether a field has come to their generation; a digest of them was an attempt already.
    fn are_shown(&self, field: &Value) -> bool {
        match self {
            Self::Generation(generation, _) => field.as_i64() >= Some(*generation),
            Self::State(_) => true,
        }
    }

    /// When somebody started on them (rule T10): Reconciling for their generation, or the attempt.
    fn started(&self, past: &[State], now: &State) -> Option<When> {
        match self {
            Self::Generation(generation, _) => first(past, now, |it| {
                let of_it = |observed: Option<i64>| observed >= Some(*generation);
                let reconciling = flux::condition(&it.value, "Reconciling")
                    .is_some_and(|it| it.status == "True" && of_it(it.observed_generation));
                reconciling || of_it(it.value["status"]["lastAttemptedGeneration"].as_i64())
            }),
            Self::State(since) => past.iter().chain([now]).nth(*since).map(|it| it.when),
        }
    }
}

/// What a HelmRelease says while it has not released the change.
pub(super) fn trouble(past: &[State], now: &State, change: &Change) -> Sighting {
    if flux::is_suspended(&now.value) {
        return Sighting::Suspended;
    }
    let Some(ready) = flux::condition(&now.value, "Ready") else { return Sighting::NotYet };
    let values = || values(past, now, change);
    let attempted = attempts_chart(now, change) || values().is_some_and(|it| it.are_attempted(now));
    let sort = match (ready.status, ready.reason) {
        ("True", _) => return Sighting::NotYet,
        ("False", "HealthCheckCanceled") => return Sighting::Progress,
        ("False", reason) if OF_NO_REVISION.contains(&reason) => FailureSort::OfAny,
        ("False", _) if attempted => FailureSort::OfOurs,
        _ => return Sighting::Progress,
    };
    let failed = flux::condition(&now.value, "Released").filter(|it| it.status == "False");
    let remedied = REMEDIES.contains(&ready.reason);
    let reason = failed.filter(|_| remedied).map_or(ready.reason, |it| it.reason).to_owned();
    let stalled = attempted && flux::has_stalled(past, now, change.began());
    Sighting::Failing(Failure { reason, sort, stalled })
}

/// Whose chart a release is of, if it carries the change.
fn chart_of(change: &Change, release: &Value) -> Option<Carried> {
    let by_digest = change.carried_in(&release["ociDigest"], SourceKind::Oci);
    by_digest.or_else(|| chart::carried(change, &release["chartVersion"]))
}

/// Whether the chart that it tries to release carries the change.
fn attempts_chart(state: &State, change: &Change) -> bool {
    let status = &state.value["status"];
    change.carried_in(&status["lastAttemptedRevisionDigest"], SourceKind::Oci).is_some()
        || chart::carried(change, &status["lastAttemptedRevision"]).is_some()
}

/// From where on the release has our values; none while it has them not, or where we brought a
/// chart: its version may stand in the spec long before there is one.
fn values(past: &[State], now: &State, change: &Change) -> Option<Values> {
    if change.sends_version() {
        return None;
    }
    let states = || past.iter().chain([now]);
    let spec = Live::below(&["spec"]);
    // A version that was learned is that of the chart; the spec may have named it all along.
    let of_chart = |it: &Reached| it.carried == Carried::Learned && follows_chart(change);
    let in_spec = states().find_map(|it| match spec.look(&[], it, change) {
        Sighting::Reached(reached) if !of_chart(&reached) => {
            Some(Values::Generation(it.value["metadata"]["generation"].as_i64()?, reached.canary))
        }
        _ => None,
    });
    in_spec.or_else(|| {
        let since = arrived(now, change)?;
        let digest = |it: &State| it.value["status"]["lastAttemptedConfigDigest"].clone();
        let before = states().take_while(|it| it.when.latest < since.earliest).last().map(digest);
        let after = states().skip_while(|it| it.when.latest < since.earliest);
        let skipped = states().count() - after.clone().count();
        let new = after.map(digest).position(|it| !it.is_null() && Some(&it) != before.as_ref())?;
        Some(Values::State(skipped + new))
    })
}

/// Whether the version of a chart is known to be ours.
fn follows_chart(change: &Change) -> bool {
    change.known().any(|it| matches!(it, Revision::Version(_)))
}

/// When one of the objects that hold its values came to hold the change.
fn arrived(state: &State, change: &Change) -> Option<When> {
    let namespace = state.value["metadata"]["namespace"].as_str().unwrap_or_default();
    let sources = state.value["spec"]["valuesFrom"].as_array().into_iter().flatten();
    let arrived = sources
        .filter_map(|it| change.arrived_in(it["kind"].as_str()?, namespace, it["name"].as_str()?));
    arrived.min_by_key(|it| it.latest)
}

/// The instant of the first state that is so.
fn first(past: &[State], now: &State, is_so: impl Fn(&State) -> bool) -> Option<When> {
    past.iter().chain([now]).find(|it| is_so(it)).map(|it| it.when)
}
