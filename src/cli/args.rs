//! The arguments. Their doc comments are the reference: `--help` prints them.

use crate::cli::dashboards::DashboardsArguments;
use crate::cli::discover::DiscoverArguments;
use crate::cli::doctor::DoctorArguments;
use crate::cli::gc::GcArguments;
use crate::cli::notify::NotifyToken;
use crate::cli::printed::RunOutput;
use crate::cli::rules::RulesArguments;
use crate::cli::since::Since;
use crate::cli::state::StatePlace;
use crate::cli::undelivered::UndeliveredArguments;
use crate::cli::ways_out::WaysOutArguments;
use crate::cluster::ClusterWay;
use crate::model::{Duration, Outcome};
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

    /// Run the scenarios of a folder on their schedules, until it is stopped.
    ///
    /// The folder is read again whenever it changes: a broken file keeps its last good form, and
    /// scenarios that did not change are not touched. SIGTERM ends it: no run begins any more, and
    /// those under way get `--grace`; what is left then is taken up by the next process.
    Serve(ServeArguments),

    /// Run a few scenarios against a GitOps pipeline that fits in this process. Needs only git.
    #[cfg(feature = "sandbox")]
    Demo(DemoArguments),

    /// Check scenario files, without a cluster.
    Check(CheckArguments),

    /// Look at what is installed, and write scenarios for it.
    ///
    /// Without a target it lists what there is. Reads only. Exit code: 0 done, 2 bad usage, no such
    /// object or none with a path, 3 the cluster could not be read.
    Discover(DiscoverArguments),

    /// Take away what runs have left behind: tags, versions and files of canaries.
    ///
    /// Takes away what is beyond those that stay (`keep`), or with `--all` every canary of lanes that
    /// are given up. What somebody uses stays, and says so. Exit code: 0 all is done, 2 bad usage or
    /// scenario, 3 something could not be looked at or taken away, or a run is under way there.
    Gc(GcArguments),

    /// Say what is wrong with what is installed, and what mends it.
    ///
    /// Without a file it looks at the whole installation; with scenarios at their paths, at the
    /// rights that their runs need, and whether a run would begin. Pushes nothing. Exit code: 0
    /// there is no error, 1 there are some, 2 bad usage or scenario, 3 it could not look.
    Doctor(DoctorArguments),

    /// Show how long the changes of scenarios will wait on their way, and whether their objectives
    /// can be met at all.
    ///
    /// Reads only, and pushes nothing. What fetching, building and applying take is not known to a
    /// plan, and comes on top. Exit code: 0 done, 1 an objective cannot be met, even if every
    /// webhook arrives, 2 bad usage or scenario, 3 the cluster could not be read, or lacks something
    /// that a scenario names.
    Plan(PlanArguments),

    /// List past runs, or show one of them fully.
    ///
    /// Reads what a service keeps, also while it runs. Exit code: 0 done, 2 bad usage, no such file
    /// or run, 3 the file cannot be read.
    History(HistoryArguments),

    /// Say how long each hop takes, and whether that has changed.
    ///
    /// Reads what a service keeps, also while it runs. Percentiles are ranks; a change that was not
    /// delivered counts as longer than it was waited for. Exit code: 0 done, 2 bad usage or no such
    /// file, 3 the file cannot be read.
    Report(ReportArguments),

    /// Write recording and alerting rules for Prometheus, its operator, sloth or pyrra.
    ///
    /// Without a file they fit every scenario; for each objective of a scenario there are burn-rate
    /// alerts whose windows fit its schedule. Exit code: 0 done, 2 bad usage or scenario, or an
    /// objective that its schedule cannot support.
    Rules(RulesArguments),

    /// Write Grafana dashboards over the metrics of this version, one JSON file each.
    ///
    /// Exit code: 0 done, 2 bad usage, or the folder cannot be written.
    Dashboards(DashboardsArguments),

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
    pub(super) output: RunOutput,

    #[command(flatten)]
    pub(super) undelivered: UndeliveredArguments,

    /// Stand for the tick of each scenario's `schedule`, as a `CronJob` does: begin after its random
    /// delay (`jitter`), and not at all in a pause, which is counted as missed.
    #[arg(long)]
    pub(super) scheduled: bool,

    /// Serve metrics at this address while the scenarios run, such as `127.0.0.1:9780`.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<SocketAddr>,

    /// Where totals live between one run and the next, so that what short-lived pods export only
    /// grows: `configmap:NAMESPACE/NAME`, `file:PATH` (with history) or `none`. Default: `none`.
    #[arg(long, env = "HOPCLOCK_STATE", value_name = "PLACE")]
    pub(super) state: Option<StatePlace>,

    /// Namespace of the Leases of lanes. Default: that of the pod; elsewhere lanes are locked by
    /// files.
    #[arg(long, env = "HOPCLOCK_NAMESPACE", value_name = "NAME")]
    pub(super) namespace: Option<String>,

    #[command(flatten)]
    pub(super) notify: NotifyArguments,

    #[command(flatten)]
    pub(super) ways_out: WaysOutArguments,

    #[command(flatten)]
    pub(super) cluster: ClusterArguments,

    #[command(flatten)]
    pub(super) instance: InstanceArguments,
}

/// Run scenarios on their schedules.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// Folder of scenario files.
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,

    /// Where to serve metrics, `/healthz`, `/readyz` and requests for runs.
    #[arg(long, env = "HOPCLOCK_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9780")]
    pub(super) listen: SocketAddr,

    /// Where schedule position, runs under way, totals and history live: `file:PATH`,
    /// `configmap:NAMESPACE/NAME` (no history) or `none`. Default: in a pod the ConfigMap
    /// `hopclock-state` of its namespace, elsewhere a file in the user's state folder.
    #[arg(long, env = "HOPCLOCK_STATE", value_name = "PLACE")]
    pub(super) state: Option<StatePlace>,

    /// Namespace for hopclock's own Leases and for the ConfigMap of its watch echo. Default: that
    /// of the pod; elsewhere lanes are locked by files, and there is no echo.
    #[arg(long, env = "HOPCLOCK_NAMESPACE", value_name = "NAME")]
    pub(super) namespace: Option<String>,

    /// How long runs under way may take to end when hopclock is stopped.
    #[arg(long, value_name = "DURATION", default_value = "20s")]
    pub(super) grace: Duration,

    /// Let those ask for runs who show the token in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "token_review")]
    pub(super) token_file: Option<PathBuf>,

    /// Let those ask for runs whom the cluster knows by their token and allows to `post` to the
    /// path `/run/SCENARIO`.
    #[arg(long)]
    pub(super) token_review: bool,

    #[command(flatten)]
    pub(super) notify: NotifyArguments,

    #[command(flatten)]
    pub(super) ways_out: WaysOutArguments,

    #[command(flatten)]
    pub(super) cluster: ClusterArguments,

    #[command(flatten)]
    pub(super) instance: InstanceArguments,
}

/// Where Flux's notifications come in.
#[derive(Debug, Args)]
pub(super) struct NotifyArguments {
    /// Where to listen for Flux's notifications, such as `0.0.0.0:9781`, for hops of kind
    /// `notified`. The Provider's address is then `http://THIS-HOST:9781/notify/flux`.
    #[arg(long, env = "HOPCLOCK_NOTIFY_LISTEN", value_name = "ADDRESS", requires = "notify_token")]
    pub(super) notify_listen: Option<SocketAddr>,

    /// How notifications prove themselves: `LISTENER=PLACE`, with the place of the token that the
    /// Provider signs with: `secret:NAMESPACE/NAME` (its key `token`, as Flux has it), `file:PATH`
    /// or `env:NAME`; or `unsigned`, for Providers of type `generic`, whom anybody can imitate who
    /// reaches the port. Once for each listener.
    #[arg(
        long,
        env = "HOPCLOCK_NOTIFY_TOKEN",
        value_name = "LISTENER=PLACE",
        value_delimiter = ',',
        requires = "notify_listen"
    )]
    pub(super) notify_token: Vec<NotifyToken>,
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

    #[command(flatten)]
    pub(super) undelivered: UndeliveredArguments,
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

    /// How another cluster is reached that hops name with `cluster`: `NAME=FILE` for a kubeconfig,
    /// `NAME=context:CONTEXT`, or `NAME=secret:NAMESPACE/NAME[/KEY]` for a kubeconfig in a Secret.
    /// Default: the context of that name. Can be given several times.
    #[arg(long = "cluster", value_name = "NAME=WAY", value_parser = other_cluster)]
    pub(super) clusters: Vec<(String, ClusterWay)>,
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
    /// What travels. Default: commits.
    #[arg(value_enum, value_name = "STORY")]
    pub(super) story: Option<Story>,

    /// Stay up afterwards, and say how to look around with kubectl, git and a browser.
    #[arg(long)]
    pub(super) keep: bool,

    /// Serve metrics at this address while it stays up.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", requires = "keep")]
    pub(super) listen: SocketAddr,
}

/// What a demo is about, if not commits.
#[cfg(feature = "sandbox")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Story {
    /// New values of a HelmRelease.
    Helm,
    /// A new tag of an image.
    Image,
}

/// Check scenario files.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Scenario files, or directories of them.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

/// Show how long changes will wait.
#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    /// Scenario files, or directories of them.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    /// How to print the plans.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: Output,

    /// Look only into this namespace. Default: into all.
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,

    /// Look at what this file or folder holds, such as the output of `kubectl get -A -o yaml`, and
    /// not at a cluster.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kubeconfig", "context"])]
    pub(super) from: Option<PathBuf>,

    #[command(flatten)]
    pub(super) cluster: ClusterArguments,

    /// Name of the installation that is to run the scenarios.
    #[arg(long, env = "HOPCLOCK_INSTANCE", default_value = "hopclock", value_parser = instance)]
    pub(super) instance: String,
}

/// Where the history is.
#[derive(Debug, Args)]
pub(super) struct DatabaseArguments {
    /// File of the history. Default: `hopclock/history.sqlite` in the user's state folder.
    #[arg(long, env = "HOPCLOCK_DB", value_name = "FILE")]
    pub(super) db: Option<PathBuf>,
}

/// List past runs, or show one.
#[derive(Debug, Args)]
pub(super) struct HistoryArguments {
    /// Show this run: the canary id of its change, or how that begins.
    #[arg(value_name = "CANARY")]
    pub(super) canary: Option<String>,

    #[command(flatten)]
    pub(super) database: DatabaseArguments,

    /// Only runs of this scenario.
    #[arg(long, value_name = "NAME")]
    pub(super) scenario: Option<String>,

    /// Only runs that ended so.
    #[arg(long, value_parser = Outcome::LABELS, conflicts_with = "canary")]
    pub(super) outcome: Option<String>,

    /// Only runs that started since then: `24h`, `7d`, or an instant such as
    /// `2026-11-21T08:00:00Z`.
    #[arg(long, value_name = "WHEN", conflicts_with = "canary")]
    pub(super) since: Option<Since>,

    /// Most runs to list, the newest first.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, conflicts_with = "canary")]
    pub(super) limit: u32,

    /// How to print them.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: Output,
}

/// Say how long each hop takes.
#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    #[command(flatten)]
    pub(super) database: DatabaseArguments,

    /// Only this scenario.
    #[arg(long, value_name = "NAME")]
    pub(super) scenario: Option<String>,

    /// Begin of the period: `24h`, `7d`, or an instant. Default: all that is kept, or 7 days
    /// before `--around`.
    #[arg(long, value_name = "WHEN")]
    pub(super) since: Option<Since>,

    /// End of the period. Default: now, or 7 days after `--around`.
    #[arg(long, value_name = "WHEN")]
    pub(super) until: Option<Since>,

    /// Compare with the period that begins then.
    #[arg(long, value_name = "WHEN")]
    pub(super) compare_since: Option<Since>,

    /// End of the period to compare with. Default: the begin of the other.
    #[arg(long, value_name = "WHEN")]
    pub(super) compare_until: Option<Since>,

    /// Compare what was before this instant with what came after it.
    #[arg(long, value_name = "WHEN", conflicts_with_all = ["compare_since", "compare_until"])]
    pub(super) around: Option<Since>,

    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    pub(super) output: ReportOutput,
}

/// How to print a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportOutput {
    /// Tables for people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// Tables for issues and pages.
    Markdown,
    /// One page that needs nothing beside it.
    Html,
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

/// Another cluster: its name, and the way to it.
fn other_cluster(text: &str) -> Result<(String, ClusterWay), String> {
    match text.split_once('=') {
        Some((name, way)) if !name.is_empty() => Ok((name.to_owned(), way.parse()?)),
        _ => {
            Err("write `NAME=FILE`, `NAME=context:CONTEXT` or `NAME=secret:NAMESPACE/NAME`"
                .to_owned())
        }
    }
}

/// Names of installations stand in labels, branch names and canary ids.
pub(super) fn instance(text: &str) -> Result<String, String> {
    let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    let edge = |it: Option<char>| it.is_some_and(|it| it != '-');
    let fine = text.len() <= 40 && text.chars().all(fits);
    if fine && edge(text.chars().next()) && edge(text.chars().last()) {
        Ok(text.to_owned())
    } else {
        Err("use at most 40 lower-case letters, digits and `-`".to_owned())
    }
}
