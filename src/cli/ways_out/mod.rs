//! Ways out: numbers are sent to whoever cannot come for them.
//!
//! Each way has a task of its own and takes nothing from runs: a way that is slow, cut or refused
//! loses exports, which are counted, and nothing else. To add one, give it arguments, implement
//! [`Way`] for it and a few lines in [`WaysOut::of`]; one that hears runs instead of counting them
//! is an observer with a [`Line`](line::Line).

mod arguments;
mod endpoint;
mod header;
mod line;
mod otlp;
mod pace;
mod pushgateway;
mod remote_write;
mod textfile;

#[cfg(test)]
mod tests;

use crate::cli::ways_out::arguments::{
    GatewayFormat, Histograms, OtlpArguments, OtlpHistograms, PushgatewayArguments,
    RemoteWriteArguments, Temporality, Version,
};
use crate::cli::ways_out::endpoint::{Endpoint, Given};
use crate::cli::ways_out::header::Header;
use crate::cli::ways_out::line::Line;
use crate::cli::ways_out::pace::{Hold, Pace, Source, Way, keep};
use crate::export::otlp::{Buckets, Memory};
use crate::export::remote_write::Protocol;
use crate::export::{Format, Metrics, WayOut};
use crate::model::Clock;
use crate::remote::Clients;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(super) use arguments::WaysOutArguments;

/// Ways that are not in use yet.
pub(super) struct WaysOut {
    planned: Vec<Planned>,
    pace: Pace,
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
    pub(super) fn of(arguments: &WaysOutArguments, instance: &str) -> Result<Self, String> {
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
        Ok(Self { planned, pace })
    }

    /// Begins to use them; nothing is sent while something holds it back.
    pub(super) fn open(self, metrics: &Arc<Metrics>, clock: &Arc<dyn Clock>, hold: &Hold) -> Open {
        let pace = self.pace;
        // All series are there before the first export.
        let lines = self.planned.into_iter().map(|it| {
            let line = Line::new(it.name, it.to, metrics.clone());
            (line, (it.way)(metrics))
        });
        let lines: Vec<_> = lines.collect();
        let keeping = lines.into_iter().map(|(line, way)| {
            let (stop, stopped) = oneshot::channel();
            let (metrics, clock, hold) = (metrics.clone(), clock.clone(), hold.clone());
            let source = Source { metrics, clock, hold };
            (stop, tokio::spawn(keep(way, line, source, pace, stopped)))
        });
        Open { keeping: keeping.collect(), flush: pace.flush }
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
            credentials: arguments.auth.as_ref(),
            headers: arguments.header.clone(),
            ca_file: arguments.ca_file.as_deref(),
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
    let mut labels: Vec<_> =
        arguments.label.iter().map(|it| (it.name.clone(), it.value.clone())).collect();
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
            credentials: arguments.auth.as_ref(),
            headers: arguments.header.clone(),
            ca_file: arguments.ca_file.as_deref(),
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
    let own = given(arguments.metrics_endpoint.as_deref()).map(str::to_owned);
    let common = given(arguments.endpoint.as_deref())
        .map(|it| format!("{}/v1/metrics", it.trim_end_matches('/')));
    let argument = if own.is_some() { "--otlp-metrics-endpoint" } else { "--otlp-endpoint" };
    let Some(url) = own.or(common) else { return Ok(None) };
    let endpoint = means.endpoint(
        Given {
            url: &url,
            credentials: arguments.auth.as_ref(),
            headers: arguments.header.iter().cloned().map(Header::decoded).collect(),
            ca_file: arguments.ca_file.as_deref(),
        },
        argument,
    )?;
    let buckets = match arguments.histograms {
        OtlpHistograms::Explicit => Buckets::Explicit,
        OtlpHistograms::Exponential => Buckets::Exponential,
    };
    let own = [
        ("service.name", arguments.service_name.as_str()),
        ("service.instance.id", means.instance),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let mut resource: Vec<_> = arguments.resource.iter().map(header::Pair::decoded).collect();
    // The name has its own argument, which wins; the rest is a default.
    resource.retain(|it| it.0 != "service.name");
    for (name, value) in own {
        if !resource.iter().any(|it| it.0 == name) {
            resource.push((name.to_owned(), value.to_owned()));
        }
    }
    let temporality = arguments.temporality;
    let to = endpoint.host();
    let way = Box::new(move |metrics: &Metrics| -> Box<dyn Way> {
        let memory = (temporality == Temporality::Delta).then(|| Memory::new(metrics.began()));
        Box::new(otlp::Otlp::new(endpoint, buckets, resource, memory))
    });
    Ok(Some(Planned { name: WayOut::OtlpMetrics, to, way }))
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
