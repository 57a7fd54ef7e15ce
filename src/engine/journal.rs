//! The port to whatever remembers a run across a crash.
//!
//! Awaited before a push, so that a process that was killed can account for its run. A one-shot
//! run has nothing to come back to: its journal is [`Unwritten`].

use crate::model::{CanaryId, Revision};

/// Remembers runs across a crash.
#[async_trait::async_trait]
pub trait Journal: Send + Sync {
    /// Remembers that this change is about to be sent, and along which path. Nothing is sent if that
    /// fails; the text says what, where and what to do.
    async fn publishing(
        &self,
        scenario: &str,
        canary: &CanaryId,
        revisions: &[Revision],
        path: Vec<String>,
    ) -> Result<(), String>;
}

/// Remembers nothing: for runs that nobody could resume.
#[derive(Clone, Copy, Debug)]
pub struct Unwritten;

// === impl Unwritten ===

#[async_trait::async_trait]
impl Journal for Unwritten {
    async fn publishing(
        &self,
        _: &str,
        _: &CanaryId,
        _: &[Revision],
        _: Vec<String>,
    ) -> Result<(), String> {
        Ok(())
    }
}
