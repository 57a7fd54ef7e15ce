//! The integration tests: one binary, for each further one would link the whole stack again.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod config_broken;
mod config_files;
mod config_schema;
