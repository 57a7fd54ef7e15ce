//! Everything that is tested through the public interface; one binary, a module per subject.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod cli;
mod cluster_config_map;
mod cluster_evidence;
mod cluster_kit;
mod cluster_lease;
mod cluster_review;
mod config_broken;
mod config_files;
mod config_schema;
mod drive;
mod e2e;
mod e2e_ancestry;
mod e2e_command;
mod e2e_failures;
mod e2e_faults;
mod e2e_kit;
mod e2e_push;
mod e2e_secrets;
mod e2e_shared;
mod e2e_start;
mod eventually;
mod git;
mod git_errors;
mod git_kit;
mod git_signed;
mod git_ssh;
mod git_ssh_errors;
mod git_ssh_kit;
mod git_ssh_push;
mod history;
mod metrics;
mod metrics_table;
mod prometheus;
mod readme;
mod refusals_table;
mod replay;
mod service;
mod service_kit;
mod signing;
mod watch;
mod web_kit;
mod web_limits;
mod web_run;
mod web_stop;
