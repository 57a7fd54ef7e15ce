//! Which trace a run is told in: Flux's own, where an Alert tells a Provider of type `otel` of
//! objects on the path, else one of ours.
//!
//! Flux's notification-controller derives the id from the uid of the Alert and the revision of the
//! event (`internal/notifier/otel.go`): that of the object itself, or of the Kustomization at the
//! root of those that have made the object. So the revision is taken from the object as Flux wrote
//! it, and not put together.

use crate::engine::machine::Run;
use crate::model::{CanaryId, Subject, TraceId};
use aws_lc_rs::digest::{SHA256, digest};
use std::sync::Arc;

/// Which trace a run is told in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TracePlan {
    /// The Alert that tells of it; none: the trace is our own.
    pub alert: Option<AlertTrace>,
}

/// An Alert that tells a Provider of type `otel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertTrace {
    /// Its `metadata.uid`.
    pub uid: String,
    /// What its events name as their revision, for each object of which it tells, in the order of
    /// the path. The first that is known counts.
    pub revisions: Vec<ToldRevision>,
}

/// The revision of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToldRevision {
    /// The one with which this object first carries the change.
    Carried(Arc<Subject>),
    /// The same; the last one that this Kustomization has applied, where it never does.
    Applied(Arc<Subject>),
    /// This one, whatever happens.
    Always(String),
}

// === impl TracePlan ===

impl TracePlan {
    /// The trace of a run that has ended.
    pub(crate) fn of(&self, run: &Run, scenario: &str) -> TraceId {
        let flux = self.alert.as_ref().and_then(|it| it.of(run));
        flux.unwrap_or_else(|| own_trace(scenario, run.change().canary()))
    }
}

// === impl AlertTrace ===

impl AlertTrace {
    fn of(&self, run: &Run) -> Option<TraceId> {
        let revision = self.revisions.iter().find_map(|it| match it {
            ToldRevision::Carried(subject) => run.carried_text(subject),
            ToldRevision::Applied(subject) => {
                run.carried_text(subject).or_else(|| run.last_text(subject))
            }
            ToldRevision::Always(text) => Some(text.clone()),
        });
        Some(flux_trace(&self.uid, &revision?))
    }
}

/// The trace in which Flux tells of a revision by an Alert.
#[must_use]
pub fn flux_trace(alert: &str, revision: &str) -> TraceId {
    trace(&format!("{alert}:{revision}"))
}

/// The trace of a run of which Flux does not tell. Two runs of one instant may have one canary's
/// id, in different lanes.
#[must_use]
pub fn own_trace(scenario: &str, canary: &CanaryId) -> TraceId {
    trace(&format!("hopclock:{scenario}:{canary}"))
}

fn trace(text: &str) -> TraceId {
    let hash = digest(&SHA256, text.as_bytes());
    TraceId::of_hash(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected ids come from Python's `hashlib`.
    #[test]
    fn ids_are_the_first_half_of_what_sha_256_makes_of_the_text() {
        let alert = "0c9c2e41-5a1f-4d4b-9d0e-3f6f5b6f8a11";
        let revision = "main@sha1:8f0d1c6a0c3c2b7f0a4b5d6e7f8091a2b3c4d5e6";
        assert_eq!(flux_trace(alert, revision).to_string(), "2e925879968a1c9767598c32de84afb3");
        let canary = CanaryId::new("hopclock", 0x1a1_fbe6_7da8);
        assert_eq!(own_trace("fleet", &canary).to_string(), "5d858e9d83dcf7c4612dada7823ba8bc");
        assert_ne!(own_trace("other", &canary), own_trace("fleet", &canary));
    }
}
