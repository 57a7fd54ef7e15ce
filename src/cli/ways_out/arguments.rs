//! Where numbers are sent, as the command line and the environment say it.
//!
//! Secrets are named by their place, because others can read a command line. Variables that
//! OpenTelemetry defines are understood as it defines them.

use crate::cli::ways_out::unread::{OrDefault, Unread};
use crate::model::Duration;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

/// Where numbers are sent.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Ways out")]
pub(in crate::cli) struct WaysOutArguments {
    /// How often numbers are sent. What is sent holds all that was counted, so one that is lost is
    /// made up for by the next.
    #[arg(
        long,
        env = "HOPCLOCK_EXPORT_INTERVAL",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = some_time
    )]
    pub(super) export_interval: Duration,

    /// How long one request may take.
    #[arg(
        long,
        env = "HOPCLOCK_EXPORT_TIMEOUT",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = some_time
    )]
    pub(super) export_timeout: Duration,

    /// How long hopclock stays at its end to send the last numbers.
    #[arg(
        long,
        env = "HOPCLOCK_EXPORT_FLUSH",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = some_time
    )]
    pub(super) export_flush: Duration,

    #[command(flatten)]
    pub(super) remote_write: RemoteWriteArguments,

    #[command(flatten)]
    pub(super) pushgateway: PushgatewayArguments,

    #[command(flatten)]
    pub(super) otlp: OtlpArguments,

    /// Write the numbers to this file, for the textfile collector of `node_exporter`: its name
    /// ends in `.prom`. It is replaced as a whole.
    #[arg(long, env = "HOPCLOCK_TEXTFILE", value_name = "FILE")]
    pub(super) textfile: Option<PathBuf>,

    /// Write each run that ends as a line of JSON to the end of this file, as `run --output json`
    /// prints it; `-` is standard output, for a service only. A file that was renamed or deleted is
    /// made anew.
    #[arg(long, env = "HOPCLOCK_JSON_LINES", value_name = "FILE")]
    pub(super) json_lines: Option<PathBuf>,

    /// Write Kubernetes Events about each run to the objects of its hops. Needs the rights to
    /// `create` and `patch` `events`.
    #[arg(
        long,
        env = "HOPCLOCK_EVENTS",
        action = clap::ArgAction::SetTrue,
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub(super) events: bool,
}

/// Prometheus' remote write.
#[derive(Clone, Debug, Args)]
pub(super) struct RemoteWriteArguments {
    /// Send the numbers by Prometheus' remote write to this address, such as
    /// `http://prometheus:9090/api/v1/write`.
    #[arg(
        id = "remote_write_url",
        long = "remote-write-url",
        env = "HOPCLOCK_REMOTE_WRITE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(super) url: Option<String>,

    /// Version of its protocol.
    #[arg(
        id = "remote_write_version",
        long = "remote-write-version",
        env = "HOPCLOCK_REMOTE_WRITE_VERSION",
        value_name = "VERSION",
        value_enum,
        default_value_t
    )]
    pub(super) version: Version,

    /// Form of histograms. With `both`, native ones go in requests of their own; where they are
    /// refused, that is said once and classic ones go on.
    #[arg(
        id = "remote_write_histograms",
        long = "remote-write-histograms",
        env = "HOPCLOCK_REMOTE_WRITE_HISTOGRAMS",
        value_name = "FORM",
        value_enum,
        default_value_t
    )]
    pub(super) histograms: Histograms,

    /// A label more for every series. Without one of these names, `job` is `hopclock` and
    /// `instance` the name of the installation.
    #[arg(
        id = "remote_write_label",
        long = "remote-write-label",
        env = "HOPCLOCK_REMOTE_WRITE_LABEL",
        value_name = "NAME=VALUE",
        value_delimiter = ','
    )]
    pub(super) label: Vec<Unread>,

    /// What to prove ourselves with: `bearer:` or `basic:`, then `file:PATH` or `env:NAME`, the
    /// place of a token or of `USER:PASSWORD`.
    #[arg(
        id = "remote_write_auth",
        long = "remote-write-auth",
        env = "HOPCLOCK_REMOTE_WRITE_AUTH",
        value_name = "SCHEME:PLACE"
    )]
    pub(super) auth: Option<Unread>,

    /// A header more, such as `X-Scope-OrgID=team`; `NAME=file:PATH` and `NAME=env:NAME` say where
    /// its value is.
    #[arg(
        id = "remote_write_header",
        long = "remote-write-header",
        env = "HOPCLOCK_REMOTE_WRITE_HEADER",
        value_name = "NAME=VALUE",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(super) header: Vec<Unread>,

    /// File with further certificate authorities for it, in PEM.
    #[arg(
        id = "remote_write_ca_file",
        long = "remote-write-ca-file",
        env = "HOPCLOCK_REMOTE_WRITE_CA_FILE",
        value_name = "FILE"
    )]
    pub(super) ca_file: Option<String>,
}

/// A Pushgateway.
#[derive(Clone, Debug, Args)]
pub(super) struct PushgatewayArguments {
    /// Put the numbers to the Pushgateway at this address, such as `http://pushgateway:9091`, as
    /// the group of `job` and `instance`. It is never deleted.
    #[arg(
        id = "pushgateway_url",
        long = "pushgateway-url",
        env = "HOPCLOCK_PUSHGATEWAY_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(super) url: Option<String>,

    /// Job of the group.
    #[arg(
        id = "pushgateway_job",
        long = "pushgateway-job",
        env = "HOPCLOCK_PUSHGATEWAY_JOB",
        value_name = "NAME",
        default_value = "hopclock"
    )]
    pub(super) job: String,

    /// What is put: `protobuf` has native histograms and exemplars; others that speak its
    /// language may know `text` only.
    #[arg(
        id = "pushgateway_format",
        long = "pushgateway-format",
        env = "HOPCLOCK_PUSHGATEWAY_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub(super) format: GatewayFormat,

    /// What to prove ourselves with, as with remote write.
    #[arg(
        id = "pushgateway_auth",
        long = "pushgateway-auth",
        env = "HOPCLOCK_PUSHGATEWAY_AUTH",
        value_name = "SCHEME:PLACE"
    )]
    pub(super) auth: Option<Unread>,

    /// A header more, as with remote write.
    #[arg(
        id = "pushgateway_header",
        long = "pushgateway-header",
        env = "HOPCLOCK_PUSHGATEWAY_HEADER",
        value_name = "NAME=VALUE",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(super) header: Vec<Unread>,

    /// File with further certificate authorities for it, in PEM.
    #[arg(
        id = "pushgateway_ca_file",
        long = "pushgateway-ca-file",
        env = "HOPCLOCK_PUSHGATEWAY_CA_FILE",
        value_name = "FILE"
    )]
    pub(super) ca_file: Option<String>,
}

/// OTLP over HTTP.
#[derive(Clone, Debug, Args)]
pub(super) struct OtlpArguments {
    /// Send the numbers by OTLP (protobuf over HTTP) to this address followed by `/v1/metrics`, and
    /// runs as traces to the same followed by `/v1/traces`, such as `http://collector:4318`.
    #[arg(
        id = "otlp_endpoint",
        long = "otlp-endpoint",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(super) endpoint: Option<String>,

    /// The whole address for metrics, if it is another one.
    #[arg(
        id = "otlp_metrics_endpoint",
        long = "otlp-metrics-endpoint",
        env = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(super) metrics_endpoint: Option<String>,

    /// The whole address for traces, if it is another one.
    #[arg(
        id = "otlp_traces_endpoint",
        long = "otlp-traces-endpoint",
        env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(super) traces_endpoint: Option<String>,

    /// `none` sends no metrics by OTLP, whatever addresses there are.
    #[arg(
        id = "otlp_metrics",
        long = "otlp-metrics",
        env = "OTEL_METRICS_EXPORTER",
        value_name = "otlp|none",
        default_value = "otlp"
    )]
    pub(super) metrics: Signal,

    /// `none` sends no traces by OTLP, whatever addresses there are.
    #[arg(
        id = "otlp_traces",
        long = "otlp-traces",
        env = "OTEL_TRACES_EXPORTER",
        value_name = "otlp|none",
        default_value = "otlp"
    )]
    pub(super) traces: Signal,

    /// Whether totals are sent, or what was counted since the last time.
    #[arg(
        id = "otlp_temporality",
        long = "otlp-temporality",
        env = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        value_name = "WHAT",
        value_parser = OrDefault::<Temporality>::new(),
        ignore_case = true,
        default_value = "cumulative"
    )]
    pub(super) temporality: Temporality,

    /// Form of histograms.
    #[arg(
        id = "otlp_histograms",
        long = "otlp-histograms",
        env = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        value_name = "FORM",
        value_parser = OrDefault::<OtlpHistograms>::new(),
        ignore_case = true,
        default_value = "explicit"
    )]
    pub(super) histograms: OtlpHistograms,

    /// The attribute `service.name`.
    #[arg(
        id = "otlp_service_name",
        long = "otlp-service-name",
        env = "OTEL_SERVICE_NAME",
        value_name = "NAME",
        default_value = "hopclock"
    )]
    pub(super) service_name: String,

    /// A further attribute of the resource.
    #[arg(
        id = "otlp_resource",
        long = "otlp-resource",
        env = "OTEL_RESOURCE_ATTRIBUTES",
        value_name = "NAME=VALUE",
        value_delimiter = ','
    )]
    pub(super) resource: Vec<Unread>,

    /// What to prove ourselves with, as with remote write.
    #[arg(
        id = "otlp_auth",
        long = "otlp-auth",
        env = "HOPCLOCK_OTLP_AUTH",
        value_name = "SCHEME:PLACE"
    )]
    pub(super) auth: Option<Unread>,

    /// A header more, as with remote write.
    #[arg(
        id = "otlp_header",
        long = "otlp-header",
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        value_name = "NAME=VALUE",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(super) header: Vec<Unread>,

    /// File with further certificate authorities for it, in PEM.
    #[arg(
        id = "otlp_ca_file",
        long = "otlp-ca-file",
        env = "OTEL_EXPORTER_OTLP_CERTIFICATE",
        value_name = "FILE"
    )]
    pub(super) ca_file: Option<String>,
}

/// Version of remote write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Version {
    /// Everybody takes it.
    #[default]
    #[value(name = "1.0")]
    One,
    /// With help, units and the start of counting.
    #[value(name = "2.0")]
    Two,
}

/// Form of histograms in remote write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Histograms {
    /// Classic and native ones.
    #[default]
    Both,
    /// Only `_bucket`, `_sum` and `_count`.
    Classic,
    /// Only native ones.
    Native,
}

/// What a Pushgateway gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum GatewayFormat {
    /// Prometheus' protobuf.
    #[default]
    Protobuf,
    /// Prometheus' text format 0.0.4.
    Text,
}

/// What OTLP is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Temporality {
    /// Totals.
    #[default]
    Cumulative,
    /// What was counted since the last time that the other end took something.
    #[value(alias = "lowmemory")]
    Delta,
}

/// Whether a signal is sent by OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Where there is an address for it.
    Otlp,
    /// Never.
    None,
}

// === impl Signal ===

impl FromStr for Signal {
    type Err = String;

    /// A variable that is empty says nothing, as OpenTelemetry has it.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "otlp" | "" => Ok(Self::Otlp),
            "none" => Ok(Self::None),
            _ => Err("hopclock sends by `otlp` only: use `otlp` or `none`".to_owned()),
        }
    }
}

/// Form of histograms in OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OtlpHistograms {
    /// Classic buckets.
    #[default]
    #[value(alias = "explicit_bucket_histogram")]
    Explicit,
    /// Native buckets.
    #[value(alias = "base2_exponential_bucket_histogram")]
    Exponential,
}

/// A duration that is not zero.
fn some_time(text: &str) -> Result<Duration, String> {
    let time: Duration = text.parse().map_err(|it: crate::model::NotADuration| it.to_string())?;
    if time.0 < std::time::Duration::from_secs(1) {
        return Err("use at least `1s`".to_owned());
    }
    Ok(time)
}
