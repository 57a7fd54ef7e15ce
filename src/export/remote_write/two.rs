//! Version 2.0 of remote write (`prompb/io/prometheus/write/v2/types.proto` of Prometheus, with the
//! start of counting at each sample, as since 2.0-rc.4).

use super::histogram::Histogram;
use super::one::kind;
use super::{Line, number};
use crate::export::finished::CANARY;
use prost::Message;
use std::collections::HashMap;

/// A request.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    /// Every text once; the first is empty.
    #[prost(string, repeated, tag = "4")]
    pub(super) symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub(super) timeseries: Vec<TimeSeries>,
}

/// A series. Labels are places in the list of symbols, in pairs.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeSeries {
    #[prost(uint32, repeated, tag = "1")]
    pub(super) labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(super) histograms: Vec<Histogram>,
    #[prost(message, repeated, tag = "4")]
    pub(super) exemplars: Vec<Exemplar>,
    #[prost(message, optional, tag = "5")]
    pub(super) metadata: Option<Metadata>,
}

/// A number at an instant, and since when it counts.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
    #[prost(int64, tag = "3")]
    pub(super) start_timestamp: i64,
}

/// A run that a bucket holds.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Exemplar {
    #[prost(uint32, repeated, tag = "1")]
    pub(super) labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
    #[prost(int64, tag = "3")]
    pub(super) timestamp: i64,
}

/// What a metric is.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Metadata {
    #[prost(int32, tag = "1")]
    pub(super) r#type: i32,
    #[prost(uint32, tag = "3")]
    pub(super) help_ref: u32,
    #[prost(uint32, tag = "4")]
    pub(super) unit_ref: u32,
}

/// Texts by their places.
struct Symbols {
    all: Vec<String>,
    places: HashMap<String, u32>,
}

// === impl Symbols ===

impl Symbols {
    fn place(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = u32::try_from(self.all.len()).expect("labels are bounded");
        self.all.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

/// The message of a request.
pub(super) fn encode(lines: &[Line<'_>], at: i64) -> Vec<u8> {
    let mut symbols = Symbols { all: Vec::new(), places: HashMap::new() };
    symbols.place("");
    let timeseries = lines.iter().map(|it| series(it, at, &mut symbols)).collect();
    Request { symbols: symbols.all, timeseries }.encode_to_vec()
}

fn series(line: &Line<'_>, timestamp: i64, symbols: &mut Symbols) -> TimeSeries {
    let labels = line.labels.iter().flat_map(|it| [it.0, it.1.as_ref()]);
    let labels_refs = labels.map(|it| symbols.place(it)).collect();
    let start_timestamp = line.since.map_or(0, jiff::Timestamp::as_millisecond);
    let number = number(&line.value).map(|value| Sample { value, timestamp, start_timestamp });
    let exemplar = |it: &&crate::model::Exemplar| Exemplar {
        labels_refs: vec![symbols.place(CANARY), symbols.place(&it.canary.to_string())],
        value: it.value.as_secs_f64(),
        timestamp: it.at.as_millisecond(),
    };
    let exemplars = line.exemplars.iter().map(exemplar).collect();
    let metadata = Metadata {
        r#type: kind(line.metric),
        help_ref: symbols.place(line.metric.doc().help),
        unit_ref: symbols.place(line.metric.unit().unwrap_or_default()),
    };
    TimeSeries {
        labels_refs,
        samples: number.into_iter().collect(),
        histograms: Histogram::of(&line.value, timestamp, start_timestamp).into_iter().collect(),
        exemplars,
        metadata: Some(metadata),
    }
}
