//! The port to whoever knows which lanes are in use (rule S5).
//!
//! Two runs that push to one lane supersede each other, and both measure nothing. The push's own
//! compare-and-swap is the fence; this keeps honest neighbours from running into it.

use crate::model::ProbeError;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Who may use which lane.
#[async_trait::async_trait]
pub trait Lanes: Send + Sync {
    /// Takes a lane for a run of `scenario`, at once or not at all.
    async fn take(&self, lane: &str, scenario: &str) -> Result<Box<dyn Grip>, LaneError>;
}

/// A lane that is ours. Dropping it without releasing it leaves others to find out.
#[async_trait::async_trait]
pub trait Grip: Send + Sync {
    /// Gives the lane back.
    async fn release(self: Box<Self>);
}

/// Why a lane is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneError {
    /// Another run uses it; who, in words that fit behind "by".
    Held(String),
    /// It cannot be known.
    Unknown(ProbeError),
}

/// Lanes that only this process uses.
#[derive(Clone, Debug, Default)]
pub struct LocalLanes(Arc<Mutex<BTreeMap<String, String>>>);

struct LocalGrip {
    lanes: LocalLanes,
    lane: String,
}

// === impl LocalLanes ===

impl LocalLanes {
    fn free(&self, lane: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(lane);
    }
}

#[async_trait::async_trait]
impl Lanes for LocalLanes {
    async fn take(&self, lane: &str, scenario: &str) -> Result<Box<dyn Grip>, LaneError> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = held.get(lane) {
            return Err(LaneError::Held(format!("scenario `{other}` of this process")));
        }
        held.insert(lane.to_owned(), scenario.to_owned());
        Ok(Box::new(LocalGrip { lanes: self.clone(), lane: lane.to_owned() }))
    }
}

// === impl LocalGrip ===

#[async_trait::async_trait]
impl Grip for LocalGrip {
    /// Dropping it does the same.
    async fn release(self: Box<Self>) {}
}

impl Drop for LocalGrip {
    fn drop(&mut self) {
        self.lanes.free(&self.lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s5_a_lane_is_used_by_one_run_at_a_time() {
        let lanes = LocalLanes::default();
        let grip = lanes.take("https://h/x#main", "one").await.ok().unwrap();
        let refused = lanes.take("https://h/x#main", "two").await.err().unwrap();
        assert_eq!(refused, LaneError::Held("scenario `one` of this process".to_owned()));
        assert!(lanes.take("https://h/x#other", "two").await.is_ok());
        grip.release().await;
        let grip = lanes.take("https://h/x#main", "two").await.ok().unwrap();
        drop(grip);
        assert!(lanes.take("https://h/x#main", "one").await.is_ok());
    }
}
