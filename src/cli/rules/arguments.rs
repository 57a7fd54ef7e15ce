//! The arguments of `hopclock rules`; their doc comments are its `--help`.

use crate::rules::Selector;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Write rules for Prometheus.
#[derive(Debug, Args)]
pub(in crate::cli) struct RulesArguments {
    /// Scenario files, or directories of them, whose objectives get alerts of their own. Without
    /// any there are the alerts that fit every scenario.
    #[arg(value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,

    /// What to write them for.
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) format: RulesFormat,

    /// Only what the objectives of the scenarios need, where the rest is there already.
    #[arg(long, requires = "files")]
    pub(in crate::cli) only_objectives: bool,

    /// Labels that tell installations apart which share a Prometheus; alerts keep them.
    #[arg(
        long,
        value_name = "LABELS",
        value_delimiter = ',',
        default_value = "cluster,namespace,job"
    )]
    pub(in crate::cli) by: Vec<String>,

    /// Only look at series with these labels, such as `job="hopclock"`; the labels are added to
    /// `--by`.
    #[arg(long, value_name = "MATCHERS")]
    pub(in crate::cli) selector: Option<Selector>,

    /// The series come by remote write at the end of a run (a `CronJob`), not by scrapes and not from
    /// a Pushgateway; what came last counts for four days, or longer if a schedule of the files is
    /// slower.
    #[arg(long)]
    pub(in crate::cli) pushed: bool,

    /// Where the runbooks are; the alert's name and `.md` are added.
    #[arg(long, value_name = "URL", default_value = "docs/runbooks")]
    pub(in crate::cli) runbooks: String,

    /// Address of a dashboard, for the annotation `dashboard_url`.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) dashboard: Option<String>,

    /// Name of the Kubernetes object.
    #[arg(long, value_name = "NAME", default_value = "hopclock")]
    pub(in crate::cli) name: String,

    /// Namespace of the Kubernetes object.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) namespace: Option<String>,

    /// A label of the Kubernetes object, as often as needed.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(in crate::cli) label: Vec<(String, String)>,
}

/// What to write rules for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum RulesFormat {
    /// A rule file of Prometheus.
    #[default]
    Prometheus,
    /// An object for the Prometheus operator.
    PrometheusRule,
    /// A spec for sloth; needs scenarios.
    Sloth,
    /// Objects for pyrra; needs scenarios.
    Pyrra,
}

/// A label and its value.
fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write `KEY=VALUE`".to_owned()),
    }
}
