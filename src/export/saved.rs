//! How a tally outlives the process: what it has counted, written down small.
//!
//! Only what is not zero is written, by the names that queries use, so that a scenario that has
//! changed meanwhile finds what it still has. What only this process can know is not written.

use crate::export::reference::{Metric, MetricKind};
use crate::export::series::Labels;
use crate::export::tally::Tally;
use crate::model::Histogram;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The form that is written.
const VERSION: u32 = 1;

/// A tally as it is written: for each metric, its series by the values of their labels, the
/// scenario's aside.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    /// When all of it was zero; those who wrote totals first did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(default)]
    numbers: BTreeMap<String, Vec<(Vec<String>, f64)>>,
    #[serde(default)]
    histograms: BTreeMap<String, Vec<(Vec<String>, Value)>>,
}

/// What was read is no tally of ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotATally {
    /// It has another form altogether.
    #[error("the saved totals are damaged ({0}): start from an empty state")]
    Damaged(serde_json::Error),
    /// Another version wrote it.
    #[error(
        "the saved totals have version {0}, but this hopclock reads version {VERSION}: upgrade \
         it, or start from an empty state"
    )]
    Version(u32),
    /// A series that cannot be.
    #[error(
        "the saved totals hold {value} as `{series}`, which is no total: start from an empty state"
    )]
    Number { series: String, value: f64 },
    /// A series that belongs to another metric.
    #[error("the saved totals hold `{0}`, which has other labels: start from an empty state")]
    Labels(String),
    /// A histogram that cannot be.
    #[error("the saved totals hold no histogram as `{series}`: {cause}")]
    Histogram { series: String, cause: serde_json::Error },
}

/// What a tally has counted.
pub(super) fn write(tally: &Tally) -> Value {
    let words = |it: Labels<'_>| it.values().map(str::to_owned).collect();
    let since = tally.series().since();
    let (numbers, histograms) = <_>::default();
    let mut saved = Saved { version: VERSION, since, numbers, histograms };
    for metric in Metric::ALL.iter().filter(|it| !it.is_live()) {
        let name = metric.doc().name;
        let counted = tally.series().numbers(*metric, None).filter(|it| it.1 != 0.0);
        let numbers: Vec<_> = counted.map(|(labels, value)| (words(labels), value)).collect();
        if !numbers.is_empty() {
            saved.numbers.insert(name.to_owned(), numbers);
        }
        let counted = tally.series().histograms(*metric, None).filter(|it| it.1.count() > 0);
        let value = |it: &Histogram| serde_json::to_value(it).expect("a histogram can be written");
        let histograms: Vec<_> = counted.map(|(labels, it)| (words(labels), value(it))).collect();
        if !histograms.is_empty() {
            saved.histograms.insert(name.to_owned(), histograms);
        }
    }
    serde_json::to_value(saved).expect("totals can be written")
}

/// The tally with what was written instead of what it has counted. Series that its scenario does
/// not have any more are left out; where nothing was ever written, it begins at zero.
pub(super) fn read(tally: &Tally, saved: &Value) -> Result<Tally, NotATally> {
    let mut tally = tally.emptied();
    if saved.is_null() {
        return Ok(tally);
    }
    // A newer form may have other fields, so its version is asked for first.
    if let Some(version) = saved["version"].as_u64().and_then(|it| u32::try_from(it).ok())
        && version != VERSION
    {
        return Err(NotATally::Version(version));
    }
    let saved = Saved::deserialize(saved).map_err(NotATally::Damaged)?;
    tally.set_since(saved.since);
    for (name, series) in saved.numbers {
        let Some(metric) = kept(&name) else { continue };
        for (labels, value) in series {
            let labels = checked(metric, metric.doc().kind != MetricKind::Histogram, &labels)?;
            if !value.is_finite() || value < 0.0 {
                return Err(NotATally::Number { series: shown(&name, &labels), value });
            }
            tally.set(metric, &labels, value);
        }
    }
    for (name, series) in saved.histograms {
        let Some(metric) = kept(&name) else { continue };
        for (labels, value) in series {
            let labels = checked(metric, metric.doc().kind == MetricKind::Histogram, &labels)?;
            let histogram = serde_json::from_value::<Histogram>(value)
                .map_err(|cause| NotATally::Histogram { series: shown(&name, &labels), cause })?;
            tally.put(metric, &labels, Arc::new(histogram));
        }
    }
    Ok(tally)
}

/// The metric of this name, if there still is one whose series are kept for scenarios.
fn kept(name: &str) -> Option<Metric> {
    let named = Metric::ALL.iter().find(|it| it.doc().name == name);
    named.copied().filter(|it| it.is_of_a_scenario() && !it.is_live())
}

/// The labels, if they and the kind are the metric's.
fn checked(metric: Metric, fits: bool, labels: &[String]) -> Result<Vec<&str>, NotATally> {
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    if fits && labels.len() == metric.own_labels().len() {
        Ok(labels)
    } else {
        Err(NotATally::Labels(shown(metric.doc().name, &labels)))
    }
}

fn shown(name: &str, labels: &[&str]) -> String {
    format!("{name}{{{}}}", labels.join(", "))
}
