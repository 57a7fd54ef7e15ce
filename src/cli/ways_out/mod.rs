//! Ways out: numbers and runs are sent to whoever cannot come for them.
//!
//! Each way has a task of its own and takes nothing from runs: a way that is slow, cut or refused
//! loses exports, which are counted, and nothing else. To add one, give it arguments, implement
//! [`Way`] for it, or [`Tell`] if it tells of runs instead of counting them, and a few lines in
//! [`WaysOut::of`].

mod arguments;
mod ear;
mod endpoint;
mod events;
mod header;
mod json_lines;
mod line;
mod otlp;
mod pace;
mod pushgateway;
mod remote_write;
mod tell;
mod telling;
mod textfile;
mod traces;
mod unread;

#[cfg(test)]
mod tell_tests;
#[cfg(test)]
mod tests;

use crate::cli::ways_out::arguments::{
    GatewayFormat, Histograms, OtlpArguments, OtlpHistograms, PushgatewayArguments,
    RemoteWriteArguments, Signal, Temporality, Version,
};
use crate::cli::ways_out::ear::{Ear, Heard, Mouth};
use crate::cli::ways_out::endpoint::{Endpoint, Given};
use crate::cli::ways_out::header::{Header, Pair};
use crate::cli::ways_out::line::Line;
use crate::cli::ways_out::pace::{Hold, Pace, Source, Way, keep};
use crate::cli::ways_out::tell::{Tell, tell_all};
use crate::cli::ways_out::unread::{read_all, read_one};
use crate::cluster::Clusters;
use crate::export::otlp::{Buckets, Memory};
use crate::export::remote_write::Protocol;
use crate::export::{Format, Metrics, WayOut};
use crate::model::{Clock, Observer};
use crate::remote::Clients;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(super) use arguments::WaysOutArguments;
pub(super) use telling::Telling;

/// Ways that are not in use yet.
pub(super) struct WaysOut {
    planned: Vec<Planned>,
    tellers: Vec<PlannedTeller>,
    mouths: Vec<Mouth>,
    telling: Arc<Telling>,
    pace: Pace,
}

/// What standard output is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// For what comes of the command.
    Taken,
    /// For nothing.
    Free,
}

/// Ways that are in use. Dropping them leaves them so; [`Open::close`] ends them.
pub(super) struct Open {
    keeping: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
    flush: Duration,
}

/// A way with its name and where it leads.
struct Planned {
    name: WayOut,
    to: String,
    way: Make,
}

/// Makes a way for those metrics.
type Make = Box<dyn FnOnce(&Metrics) -> Box<dyn Way> + Send>;

/// A way that tells of runs, with its name and where it leads.
struct PlannedTeller {
    name: WayOut,
    to: String,
    heard: Heard,
    way: MakeTeller,
}

/// Makes a way for these clusters, as soon as they are reached.
type MakeTeller = Box<dyn FnOnce(&Arc<OnceLock<Clusters>>) -> Box<dyn Tell> + Send>;

/// What every way is made with.
struct Means<'a> {
    instance: &'a str,
    timeout: Duration,
    clients: Clients,
}

/// How long tasks that end by themselves get beyond their bound.
const GRACE: Duration = Duration::from_millis(500);

// === impl WaysOut ===

impl WaysOut {
    /// The ways that are asked for; what is wrong with them, in a sentence.
    pub(super) fn of(
        arguments: &WaysOutArguments,
        instance: &str,
        output: Output,
    ) -> Result<Self, String> {
        let (interval, timeout) = (arguments.export_interval.0, arguments.export_timeout.0);
        let flush = arguments.export_flush.0;
        let pace = Pace { interval, limit: interval.max(timeout), flush };
        let means = Means { instance, timeout, clients: Clients::default() };
        let mut planned = Vec::new();
        planned.extend(remote_write(&arguments.remote_write, &means)?);
        planned.extend(pushgateway(&arguments.pushgateway, &means)?);
        planned.extend(otlp(&arguments.otlp, &means)?);
        if let Some(path) = &arguments.textfile {
            let way = textfile::Textfile::new(path)?;
            let to = format!("the file `{}`", path.display());
            planned.push(Planned { name: WayOut::Textfile, to, way: Box::new(|_| Box::new(way)) });
        }
        let traces = traces(&arguments.otlp, &means)?;
        let telling = Arc::new(Telling::new(traces.is_some(), arguments.events));
        let mut ways = Self { planned, tellers: Vec::new(), mouths: Vec::new(), telling, pace };
        if let Some((to, way)) = traces {
            ways.add(WayOut::OtlpTraces, to, Box::new(|_| Box::new(way)));
        }
        if let Some(path) = &arguments.json_lines {
            if json_lines::is_out(path) && output == Output::Taken {
                return Err("`--json-lines -` would write between what this command prints: give \
                            `--output json`, which prints the same lines, or a file"
                    .to_owned());
            }
            let way = json_lines::JsonLines::new(path);
            let to = format!("the file `{}`", path.display());
            ways.add(WayOut::JsonLines, to, Box::new(|_| Box::new(way)));
        }
        if arguments.events {
            let (telling, instance) = (ways.telling.clone(), instance.to_owned());
            let way: MakeTeller = Box::new(move |clusters| {
                Box::new(events::Events::new(clusters.clone(), telling, &instance))
            });
            ways.add(WayOut::Events, "the API server".to_owned(), way);
        }
        Ok(ways)
    }

    fn add(&mut self, name: WayOut, to: String, way: MakeTeller) {
        let (mouth, heard) = ear::line();
        self.mouths.push(mouth);
        self.tellers.push(PlannedTeller { name, to, heard, way });
    }

    /// What hears of runs for those that tell of them. They are told as soon as the ways are open.
    pub(super) fn ear(&mut self, clock: &Arc<dyn Clock>) -> Arc<dyn Observer> {
        Arc::new(Ear::new(clock.clone(), std::mem::take(&mut self.mouths)))
    }

    /// What those who make jobs must know of them.
    pub(super) fn telling(&self) -> Arc<Telling> {
        self.telling.clone()
    }

    /// Begins to use them; no numbers are sent while something holds them back.
    pub(super) fn open(
        self,
        metrics: &Arc<Metrics>,
        clusters: &Arc<OnceLock<Clusters>>,
        clock: &Arc<dyn Clock>,
        hold: &Hold,
    ) -> Open {
        let pace = self.pace;
        // All series are there before the first export.
        let lines = self.planned.into_iter().map(|it| {
            let line = Line::new(it.name, it.to, metrics.clone());
            (line, (it.way)(metrics))
        });
        let lines: Vec<_> = lines.collect();
        let tellers = self.tellers.into_iter().map(|it| {
            let line = Line::new(it.name, it.to, metrics.clone());
            (line, it.heard, (it.way)(clusters))
        });
        let tellers: Vec<_> = tellers.collect();
        let keeping = lines.into_iter().map(|(line, way)| {
            let (stop, stopped) = oneshot::channel();
            let (metrics, clock, hold) = (metrics.clone(), clock.clone(), hold.clone());
            let source = Source { metrics, clock, hold };
            (stop, tokio::spawn(keep(way, line, source, pace, stopped)))
        });
        let telling = tellers.into_iter().map(|(line, heard, way)| {
            let (stop, stopped) = oneshot::channel();
            (stop, tokio::spawn(tell_all(way, line, heard, pace, stopped)))
        });
        Open { keeping: keeping.chain(telling).collect(), flush: pace.flush }
    }
}

// === impl Open ===

impl Open {
    /// Sends the last numbers, for as long as that may take.
    pub(super) async fn close(self) {
        let (stops, tasks): (Vec<_>, Vec<_>) = self.keeping.into_iter().unzip();
        // One that has ended needs no word.
        for stop in stops {
            let _ = stop.send(());
        }
        let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let all = futures_util::future::join_all(tasks);
        if tokio::time::timeout(self.flush + GRACE, all).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }
}

// === impl Means ===

impl Means<'_> {
    fn endpoint(&self, given: Given<'_>, argument: &str) -> Result<Endpoint, String> {
        Endpoint::of(given, argument, self.timeout, &self.clients)
    }
}

fn remote_write(
    arguments: &RemoteWriteArguments,
    means: &Means<'_>,
) -> Result<Option<Planned>, String> {
    let Some(url) = given(arguments.url.as_deref()) else { return Ok(None) };
    let endpoint = means.endpoint(
        Given {
            url,
            credentials: read_one(arguments.auth.as_ref(), "--remote-write-auth")?,
            headers: read_all(&arguments.header, "--remote-write-header")?,
            ca_file: given(arguments.ca_file.as_deref()),
        },
        "--remote-write-url",
    )?;
    let protocol = match arguments.version {
        Version::One => Protocol::One,
        Version::Two => Protocol::Two,
    };
    let histograms = match arguments.histograms {
        Histograms::Both => remote_write::Histograms::Both,
        Histograms::Classic => remote_write::Histograms::Classic,
        Histograms::Native => remote_write::Histograms::Native,
    };
    let labels: Vec<Pair> = read_all(&arguments.label, "--remote-write-label")?;
    let mut labels: Vec<_> = labels.into_iter().map(|it| (it.name, it.value)).collect();
    if let Some((name, _)) = labels.iter().find(|it| !is_label(&it.0)) {
        return Err(format!(
            "`--remote-write-label {name}` would be refused: use letters, digits and `_`, no digit \
             first, and not `__`"
        ));
    }
    for (name, value) in [("job", "hopclock"), ("instance", means.instance)] {
        if !labels.iter().any(|it| it.0 == name) {
            labels.push((name.to_owned(), value.to_owned()));
        }
    }
    let to = endpoint.host();
    let way = Box::new(move |metrics: &Metrics| -> Box<dyn Way> {
        let began = metrics.began();
        Box::new(remote_write::RemoteWrite::new(endpoint, protocol, histograms, labels, began))
    });
    Ok(Some(Planned { name: WayOut::RemoteWrite, to, way }))
}

fn pushgateway(
    arguments: &PushgatewayArguments,
    means: &Means<'_>,
) -> Result<Option<Planned>, String> {
    let Some(url) = given(arguments.url.as_deref()) else { return Ok(None) };
    let endpoint = means.endpoint(
        Given {
            url: &pushgateway::group(url, &arguments.job, means.instance),
            credentials: read_one(arguments.auth.as_ref(), "--pushgateway-auth")?,
            headers: read_all(&arguments.header, "--pushgateway-header")?,
            ca_file: given(arguments.ca_file.as_deref()),
        },
        "--pushgateway-url",
    )?;
    let format = match arguments.format {
        GatewayFormat::Protobuf => Format::Protobuf,
        GatewayFormat::Text => Format::Plain,
    };
    let to = endpoint.host();
    let way = pushgateway::Pushgateway::new(endpoint, format);
    let way = Box::new(|_: &Metrics| -> Box<dyn Way> { Box::new(way) });
    Ok(Some(Planned { name: WayOut::Pushgateway, to, way }))
}

fn otlp(arguments: &OtlpArguments, means: &Means<'_>) -> Result<Option<Planned>, String> {
    if arguments.metrics == Signal::None {
        return Ok(None);
    }
    let own = (arguments.metrics_endpoint.as_deref(), "--otlp-metrics-endpoint");
    let Some(endpoint) = otlp_endpoint(arguments, own, "/v1/metrics", means)? else {
        return Ok(None);
    };
    let buckets = match arguments.histograms {
        OtlpHistograms::Explicit => Buckets::Explicit,
        OtlpHistograms::Exponential => Buckets::Exponential,
    };
    let resource = otlp_resource(arguments, means)?;
    let temporality = arguments.temporality;
    let to = endpoint.host();
    let way = Box::new(move |metrics: &Metrics| -> Box<dyn Way> {
        let memory = (temporality == Temporality::Delta).then(|| Memory::new(metrics.began()));
        Box::new(otlp::Otlp::new(endpoint, buckets, resource, memory))
    });
    Ok(Some(Planned { name: WayOut::OtlpMetrics, to, way }))
}

/// Where traces go, and the way there.
fn traces(
    arguments: &OtlpArguments,
    means: &Means<'_>,
) -> Result<Option<(String, traces::Traces)>, String> {
    if arguments.traces == Signal::None {
        return Ok(None);
    }
    let own = (arguments.traces_endpoint.as_deref(), "--otlp-traces-endpoint");
    let endpoint = otlp_endpoint(arguments, own, "/v1/traces", means)?;
    let resource = otlp_resource(arguments, means)?;
    Ok(endpoint.map(|it| (it.host(), traces::Traces::new(it, resource))))
}

/// The address of one signal: its own, or the common one and its path.
fn otlp_endpoint(
    arguments: &OtlpArguments,
    (own, own_argument): (Option<&str>, &str),
    path: &str,
    means: &Means<'_>,
) -> Result<Option<Endpoint>, String> {
    let own = given(own).map(str::to_owned);
    let common = given(arguments.endpoint.as_deref());
    let common = common.map(|it| format!("{}{path}", it.trim_end_matches('/')));
    let argument = if own.is_some() { own_argument } else { "--otlp-endpoint" };
    let Some(url) = own.or(common) else { return Ok(None) };
    let headers: Vec<Header> = read_all(&arguments.header, "--otlp-header")?;
    let given_end = Given {
        url: &url,
        credentials: read_one(arguments.auth.as_ref(), "--otlp-auth")?,
        headers: headers.into_iter().map(Header::decoded).collect(),
        ca_file: given(arguments.ca_file.as_deref()),
    };
    means.endpoint(given_end, argument).map(Some)
}

/// The attributes of the resource.
fn otlp_resource(
    arguments: &OtlpArguments,
    means: &Means<'_>,
) -> Result<Vec<(String, String)>, String> {
    let own = [
        ("service.name", arguments.service_name.as_str()),
        ("service.instance.id", means.instance),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let resource: Vec<Pair> = read_all(&arguments.resource, "--otlp-resource")?;
    let mut resource: Vec<_> = resource.iter().map(Pair::decoded).collect();
    // The name has its own argument, which wins; the rest is a default.
    resource.retain(|it| it.0 != "service.name");
    for (name, value) in own {
        if !resource.iter().any(|it| it.0 == name) {
            resource.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(resource)
}

/// Whether everybody takes a label of this name.
fn is_label(name: &str) -> bool {
    let fits = |it: char| it.is_ascii_alphanumeric() || it == '_';
    name.chars().all(fits)
        && !name.starts_with(|it: char| it.is_ascii_digit())
        && !name.starts_with("__")
}

/// An address, unless it is empty: a variable that is empty is none.
fn given(url: Option<&str>) -> Option<&str> {
    url.map(str::trim).filter(|it| !it.is_empty())
}
