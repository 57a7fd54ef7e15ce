//! The two text forms of a scrape: OpenMetrics 1.0 and the older Prometheus text format 0.0.4.
//!
//! They have no native histograms; only OpenMetrics has exemplars and units. Bounds are written
//! as `1.0` in both, so that a change of form does not make new series. Labels are put together
//! once for each series, and nothing is made for a line alone: there may be hundreds of thousands.

use crate::export::finished::exemplar_labels;
use crate::export::reference::{Metric, MetricKind};
use crate::export::series::Labels;
use crate::export::snapshot::Snapshot;
use crate::model::{BOUNDS, Exemplar, Histogram};
use std::fmt::Write;

/// Which of the text forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenMetrics,
    Plain,
}

/// A text that is being written.
struct Page {
    text: String,
    dialect: Dialect,
    /// The label `le` of each bucket, up to the space before its count.
    bounds: Vec<String>,
    /// The labels of the series that is being written.
    labels: String,
}

/// From here on a number may have been rounded before it was written.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Writes every family that has series.
pub(super) fn write(snapshot: &Snapshot, dialect: Dialect) -> Vec<u8> {
    let finite = BOUNDS.iter().map(|it| format!("le=\"{it:?}\"}} "));
    let bounds = finite.chain(["le=\"+Inf\"} ".to_owned()]).collect();
    let mut page = Page { text: String::new(), dialect, bounds, labels: String::new() };
    for metric in Metric::ALL.iter().copied().filter(|it| snapshot.has(*it)) {
        page.head(metric);
        let name = metric.doc().name;
        for (labels, value) in snapshot.numbers(metric) {
            page.label(labels);
            page.sample(name, "", value);
        }
        for (labels, histogram) in snapshot.histograms(metric) {
            page.label(labels);
            page.histogram(name, histogram);
        }
    }
    if dialect == Dialect::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text.into_bytes()
}

// === impl Page ===

impl Page {
    fn head(&mut self, metric: Metric) {
        let doc = metric.doc();
        let name = match self.dialect {
            Dialect::OpenMetrics if doc.kind == MetricKind::Counter => {
                doc.name.strip_suffix("_total").unwrap_or(doc.name)
            }
            _ => doc.name,
        };
        self.line(format_args!("# TYPE {name} {}", doc.kind.as_str()));
        if let Some(unit) = metric.unit().filter(|_| self.dialect == Dialect::OpenMetrics) {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
        // OpenMetrics escapes quotes in help texts as in labels, the older format does not.
        let help = doc.help.replace('\\', r"\\").replace('\n', r"\n");
        match self.dialect {
            Dialect::OpenMetrics => {
                self.line(format_args!("# HELP {name} {}", help.replace('"', r#"\""#)));
            }
            Dialect::Plain => self.line(format_args!("# HELP {name} {help}")),
        }
    }

    /// Puts labels together, as they stand between the braces.
    fn label(&mut self, labels: Labels<'_>) {
        self.labels.clear();
        for (name, value) in labels.pairs() {
            if !self.labels.is_empty() {
                self.labels.push(',');
            }
            self.labels.push_str(name);
            self.labels.push_str("=\"");
            escape(&mut self.labels, value);
            self.labels.push('"');
        }
    }

    fn sample(&mut self, name: &str, suffix: &str, value: f64) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        if !self.labels.is_empty() {
            self.text.push('{');
            self.text.push_str(&self.labels);
            self.text.push('}');
        }
        self.text.push(' ');
        self.number(value);
        self.text.push('\n');
    }

    fn histogram(&mut self, name: &str, it: &Histogram) {
        let mut below = 0;
        for (bucket, (_, count, exemplar)) in it.classic().enumerate() {
            below += count;
            self.text.push_str(name);
            self.text.push_str("_bucket{");
            if !self.labels.is_empty() {
                self.text.push_str(&self.labels);
                self.text.push(',');
            }
            self.text.push_str(&self.bounds[bucket]);
            self.count(below);
            if let Some(exemplar) = exemplar.filter(|_| self.dialect == Dialect::OpenMetrics) {
                self.exemplar(exemplar);
            }
            self.text.push('\n');
        }
        self.sample(name, "_sum", it.sum());
        self.text.push_str(name);
        self.text.push_str("_count");
        if !self.labels.is_empty() {
            self.text.push('{');
            self.text.push_str(&self.labels);
            self.text.push('}');
        }
        self.text.push(' ');
        self.count(below);
        self.text.push('\n');
    }

    fn exemplar(&mut self, it: &Exemplar) {
        self.text.push_str(" # {");
        for (place, (name, value)) in exemplar_labels(it).iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            self.write(format_args!("{comma}{name}=\""));
            escape(&mut self.text, value);
            self.text.push('"');
        }
        let (value, at) = (it.value.as_secs_f64(), it.at.as_millisecond());
        let (seconds, millis) = (at.div_euclid(1000), at.rem_euclid(1000));
        self.write(format_args!("}} {value} {seconds}.{millis:03}"));
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole")]
    fn number(&mut self, value: f64) {
        if value.fract() == 0.0 && (0.0..EXACT).contains(&value) {
            self.count(value as u64);
        } else {
            self.write(format_args!("{value}"));
        }
    }

    fn count(&mut self, value: u64) {
        // Nearly every number is this one.
        if value == 0 {
            self.text.push('0');
        } else {
            self.write(format_args!("{value}"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.write(line);
        self.text.push('\n');
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a string cannot fail");
    }
}

fn escape(to: &mut String, text: &str) {
    for part in text.split_inclusive(['\\', '"', '\n']) {
        let plain = part.strip_suffix(['\\', '"', '\n']).unwrap_or(part);
        to.push_str(plain);
        match part[plain.len()..].chars().next() {
            Some('\n') => to.push_str(r"\n"),
            Some(other) => to.extend(['\\', other]),
            None => (),
        }
    }
}
