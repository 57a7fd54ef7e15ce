//! The arguments of `hopclock doctor`; their doc comments are its `--help`.

use crate::cli::args::{ClusterArguments, InstanceArguments};
use crate::model::ObjectName;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Say what is wrong with what is installed.
#[derive(Debug, Args)]
pub(in crate::cli) struct DoctorArguments {
    /// Scenario files, or directories of them: only what matters for these is looked at. Default:
    /// the whole installation.
    #[arg(value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,

    /// Look at what this file or folder holds, such as the output of `kubectl get -A -o yaml`, and
    /// not at a cluster. Rights, hosts and clocks are not looked at then.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kubeconfig", "context"])]
    pub(in crate::cli) from: Option<PathBuf>,

    /// Ask for the rights of this service account, and not for our own.
    #[arg(long, value_name = "NAMESPACE/NAME", conflicts_with = "from")]
    pub(in crate::cli) service_account: Option<ObjectName>,

    /// Address at which Receivers are called from outside, such as
    /// `https://flux-webhook.example.com`: each is called so that nothing happens. Default: none
    /// is called.
    #[arg(long, value_name = "URL", conflicts_with = "from")]
    pub(in crate::cli) webhooks: Option<String>,

    /// Namespace of the Leases of lanes, and of what a service keeps. Default: that of the pod.
    #[arg(long, env = "HOPCLOCK_NAMESPACE", value_name = "NAME")]
    pub(in crate::cli) namespace: Option<String>,

    /// Ask also for the rights that Kubernetes Events about runs need.
    #[arg(
        long,
        env = "HOPCLOCK_EVENTS",
        action = clap::ArgAction::SetTrue,
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub(in crate::cli) events: bool,

    /// Ask also for the rights that it needs to tell runs in the traces of Flux.
    #[arg(long)]
    pub(in crate::cli) traces: bool,

    /// How to print what is found.
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) output: DoctorOutput,

    #[command(flatten)]
    pub(in crate::cli) cluster: ClusterArguments,

    #[command(flatten)]
    pub(in crate::cli) instance: InstanceArguments,
}

/// How to print what is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum DoctorOutput {
    /// A page for people, the gravest first.
    #[default]
    Text,
    /// One JSON object.
    Json,
}
