//! The built program: what it prints, says and returns, as a person or a pipeline meets it.

mod bad_cluster;
mod bad_files;
mod bad_git;
mod bad_source;
mod delivery;
mod demo;
mod discover;
mod doctor;
mod exit_codes;
mod help;
mod kept;
mod killed;
#[allow(dead_code, reason = "the benches use more of it")]
mod killed_kit;
pub(crate) mod kit;
mod notified;
mod output;
mod over_ssh;
mod past;
mod plan;
mod rights;
mod rules;
mod scheduled;
mod serve;
mod serve_bad_input;
mod serve_faults;
mod serve_gone;
pub(crate) mod serve_kit;
mod serve_lanes;
mod serve_merges;
mod serve_outcomes;
mod serve_pod;
mod serve_resume;
mod serve_stop;
mod signed;
mod stop;
mod tokens;
mod trigger;
mod two_clusters;
mod zones;

pub(crate) use kit::{hopclock, timeless, told};
