//! Everything that is tested through the public interface; one binary, a module per subject.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod metrics;
mod prometheus;
mod replay;
