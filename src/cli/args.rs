//! The arguments. Their doc comments are the reference: `--help` prints them.

use crate::model::Duration;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A stopwatch for GitOps pipelines: pushes one real change and times it through every hop of
/// Flux.
#[derive(Debug, Parser)]
#[command(name = "hopclock", version, propagate_version = true)]
pub(super) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenarios once, one after the other, and show where the time went.
    ///
    /// Exit code: 0 all were delivered in time, 1 a change was not, 2 bad usage or scenario, 3
    /// something could not be measured.
    Run(RunArguments),

    /// Ask a hopclock that runs as a service for a run of one of its scenarios now.
    ///
    /// Exit code: 0 the run was accepted or, with `--wait`, delivered in time, 1 it was not
    /// delivered in time, 2 bad usage, unknown scenario or not allowed, 3 the service could not be
    /// reached, makes no run now or could not measure.
    Trigger(TriggerArguments),

    /// Run three scenarios against a GitOps pipeline that fits in this process. Needs only git.
    #[cfg(feature = "sandbox")]
    Demo(DemoArguments),

    /// Check scenario files, without a cluster.
    Check(CheckArguments),

    /// Print the JSON Schema of scenario files.
    Schema,

    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Run scenarios once.
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Scenario files, or directories of them.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    /// How to print what was measured.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: Output,

    /// Serve metrics at this address while the scenarios run, such as `127.0.0.1:9780`.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<SocketAddr>,

    #[command(flatten)]
    pub(super) cluster: ClusterArguments,

    #[command(flatten)]
    pub(super) instance: InstanceArguments,
}

/// Ask a service for a run.
#[derive(Debug, Args)]
pub(super) struct TriggerArguments {
    /// Name of the scenario, as the service knows it.
    pub(super) scenario: String,

    /// Address of the service, such as `http://hopclock.hopclock:9780`.
    #[arg(long, env = "HOPCLOCK_SERVER", value_name = "URL")]
    pub(super) server: String,

    /// File that holds the token to prove ourselves with. Default: in a pod, that of its service
    /// account.
    #[arg(long, value_name = "FILE", conflicts_with = "token_env")]
    pub(super) token_file: Option<PathBuf>,

    /// Environment variable that holds the token.
    #[arg(long, value_name = "NAME")]
    pub(super) token_env: Option<String>,

    /// Wait until the run has ended, and show where the time went.
    #[arg(long)]
    pub(super) wait: bool,

    /// How long to wait for the service's answer. Default: `30s`, with `--wait` `1h`.
    #[arg(long, value_name = "DURATION")]
    pub(super) timeout: Option<Duration>,

    /// File with further certificate authorities for the service, in PEM.
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,

    /// How to print what the service says.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: Output,
}

/// Which cluster to talk to.
#[derive(Debug, Args)]
pub(super) struct ClusterArguments {
    /// Kubeconfig file. Default: that of kubectl, else the cluster that hopclock runs in.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig. Default: its current one.
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
}

/// Which installation this is.
#[derive(Debug, Args)]
pub(super) struct InstanceArguments {
    /// Name of this installation; stands in canary ids and commits.
    #[arg(long, env = "HOPCLOCK_INSTANCE", default_value = "hopclock", value_parser = instance)]
    pub(super) instance: String,

    /// Folder for git caches. Default: `hopclock` in the user's cache folder.
    #[arg(long, env = "HOPCLOCK_CACHE_DIR", value_name = "FOLDER")]
    pub(super) cache_dir: Option<PathBuf>,
}

/// Show hopclock at work.
#[cfg(feature = "sandbox")]
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Stay up afterwards, and say how to look around with kubectl, git and a browser.
    #[arg(long)]
    pub(super) keep: bool,

    /// Serve metrics at this address while it stays up.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", requires = "keep")]
    pub(super) listen: SocketAddr,
}

/// Check scenario files.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Scenario files, or directories of them.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

/// How to print what was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// A waterfall for people.
    #[default]
    Text,
    /// A JSON object for each run, on a line of its own.
    Json,
}

/// Names of installations stand in labels, branch names and canary ids.
fn instance(text: &str) -> Result<String, String> {
    let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    let edge = |it: Option<char>| it.is_some_and(|it| it != '-');
    let fine = text.len() <= 40 && text.chars().all(fits);
    if fine && edge(text.chars().next()) && edge(text.chars().last()) {
        Ok(text.to_owned())
    } else {
        Err("use at most 40 lower-case letters, digits and `-`".to_owned())
    }
}
