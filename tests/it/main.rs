//! hopclock against the sandbox, over real sockets: one binary, a module per subject.
#![allow(clippy::unwrap_used, reason = "everything here is a test or made for one")]

mod git;
mod git_errors;
mod git_kit;
