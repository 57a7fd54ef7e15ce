//! The arguments of `hopclock discover`; their doc comments are its `--help`.

use crate::cli::args::{ClusterArguments, instance};
use crate::model::ObjectName;
use clap::Args;
use std::path::PathBuf;

/// Look at what is installed, and write scenarios for it.
#[derive(Debug, Args)]
pub(in crate::cli) struct DiscoverArguments {
    #[command(flatten)]
    pub(in crate::cli) target: TargetArguments,

    /// Look only into this namespace. Default: into all.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) namespace: Option<String>,

    /// Write each scenario to a file of its own in this folder. Default: to standard output.
    #[arg(long, value_name = "FOLDER")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// Overwrite files that are there.
    #[arg(long, requires = "output")]
    pub(in crate::cli) force: bool,

    /// Look at what this file or folder holds, such as the output of `kubectl get -A -o yaml`, and
    /// not at a cluster.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kubeconfig", "context"])]
    pub(in crate::cli) from: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,

    /// Name of the installation that is to run the scenarios.
    #[arg(long, env = "HOPCLOCK_INSTANCE", default_value = "hopclock", value_parser = instance)]
    pub(in crate::cli) instance: String,
}

/// What to write scenarios for.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(in crate::cli) struct TargetArguments {
    /// The path to what this Kustomization applies, as `namespace/name`.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) kustomization: Option<ObjectName>,

    /// The path to what this HelmRelease releases, by a new chart.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) helm_release: Option<ObjectName>,

    /// The path of a new image that this ImagePolicy chooses.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) image_policy: Option<ObjectName>,

    /// Every path that there is.
    #[arg(long)]
    pub(in crate::cli) all: bool,
}
