//! The arguments of `hopclock gc`; their doc comments are its `--help`.

use crate::cli::args::{ClusterArguments, InstanceArguments, Output};
use clap::Args;
use std::path::PathBuf;

/// Take away what runs have left behind.
#[derive(Debug, Args)]
pub(in crate::cli) struct GcArguments {
    /// Scenario files, or directories of them.
    #[arg(required = true, value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,

    /// Take away every canary of these scenarios, because their lanes are given up: also the latest
    /// one, the file on a branch and the object in a bucket; and the Leases and lock files of lanes
    /// that nobody uses any more.
    #[arg(long)]
    pub(in crate::cli) all: bool,

    /// Only say what would be taken away.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,

    /// How to print what was taken away.
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) output: Output,

    /// Namespace of the Leases of lanes. Default: that of the pod; elsewhere lanes are locked by
    /// files.
    #[arg(long, env = "HOPCLOCK_NAMESPACE", value_name = "NAME")]
    pub(in crate::cli) namespace: Option<String>,

    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,

    #[command(flatten)]
    pub(in crate::cli) instance: InstanceArguments,
}
