//! A snapshot row by row, as databases hold it: each bucket of a classic histogram is a series of
//! its own, a native one is one series.
//!
//! Both forms of a histogram can be had, together or apart, because a database that does not know
//! the native one may refuse everything that came with it.

use crate::export::reference::Metric;
use crate::export::series::Labels;
use crate::export::snapshot::Snapshot;
use crate::model::{BOUNDS, Exemplar, Histogram, Native};
use std::sync::LazyLock;

/// A sort of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Counters and gauges.
    Numbers,
    /// Histograms as `_bucket`, `_sum` and `_count`.
    Classic,
    /// Histograms in their native form, one series each.
    Native,
}

/// One series and its value.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    pub(super) metric: Metric,
    /// What follows the metric's name.
    pub(super) suffix: &'static str,
    pub(super) labels: Labels<'a>,
    /// The upper bound, of a bucket.
    pub(super) le: Option<&'static str>,
    pub(super) value: Value<'a>,
    /// The older ones first.
    pub(super) exemplars: Vec<&'a Exemplar>,
}

/// The value of a series.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Number(f64),
    Native(&'a Histogram),
}

/// The upper bounds of classic buckets as labels; the same as in a scrape, where a change of form
/// must not make new series.
static LE: LazyLock<Vec<String>> = LazyLock::new(|| {
    BOUNDS.iter().map(|it| format!("{it:?}")).chain(["+Inf".to_owned()]).collect()
});

/// Shows each series of these sorts, in the order of a scrape.
pub(super) fn each<'a>(
    snapshot: &'a Snapshot,
    contents: &[Content],
    mut show: impl FnMut(Row<'a>),
) {
    for metric in Metric::ALL.iter().copied() {
        let row = |suffix, labels, value| Row {
            metric,
            suffix,
            labels,
            le: None,
            value: Value::Number(value),
            exemplars: Vec::new(),
        };
        if contents.contains(&Content::Numbers) {
            for (labels, value) in snapshot.numbers(metric) {
                show(row("", labels, value));
            }
        }
        for (labels, histogram) in snapshot.histograms(metric) {
            if contents.contains(&Content::Classic) {
                let mut below = 0;
                for ((_, count, exemplar), le) in histogram.classic().zip(LE.iter()) {
                    below += count;
                    let exemplars = exemplar.into_iter().collect();
                    let bucket = row("_bucket", labels, number(below));
                    show(Row { le: Some(le.as_str()), exemplars, ..bucket });
                }
                show(row("_sum", labels, histogram.sum()));
                show(row("_count", labels, number(below)));
            }
            if contents.contains(&Content::Native) {
                let mut exemplars: Vec<_> = histogram.classic().filter_map(|it| it.2).collect();
                exemplars.sort_by_key(|it| (it.at, it.value));
                let value = Value::Native(histogram);
                show(Row { value, exemplars, ..row("", labels, 0.0) });
            }
        }
    }
}

/// Runs of neighbouring buckets as offset to the run before and length, and each count as its
/// difference to the one before (Prometheus, "Native Histograms" specification, section
/// "Buckets").
pub(super) fn spans(native: &Native) -> (Vec<(i32, u32)>, Vec<i64>) {
    let mut spans: Vec<(i32, u32)> = Vec::new();
    let mut deltas = Vec::new();
    let (mut next, mut before) = (0, 0);
    for (index, count) in native.buckets() {
        match spans.last_mut().filter(|_| index == next) {
            Some(span) => span.1 += 1,
            None => spans.push((index - next, 1)),
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        deltas.push(count - before);
        (next, before) = (index + 1, count);
    }
    (spans, deltas)
}

#[expect(clippy::cast_precision_loss, reason = "nobody makes 2^52 runs")]
fn number(count: u64) -> f64 {
    count as f64
}
