//! The two text forms of a scrape: OpenMetrics 1.0 and the older Prometheus text format 0.0.4.
//!
//! Both are written from the same families as the protobuf form. They have no native histograms;
//! only OpenMetrics has exemplars and units. Bounds are written as `1.0` in both, so that a
//! change of form does not make new series.

use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model as data_model;
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
}

/// Writes families as text.
pub(super) fn write(
    families: impl Iterator<Item = data_model::MetricFamily>,
    dialect: Dialect,
) -> Vec<u8> {
    let mut page = Page { text: String::new(), dialect };
    families.for_each(|it| page.family(&it));
    if dialect == Dialect::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text.into_bytes()
}

// === impl Page ===

impl Page {
    fn family(&mut self, it: &data_model::MetricFamily) {
        let counter = it.r#type() == data_model::MetricType::Counter;
        let name = match self.dialect {
            Dialect::OpenMetrics if counter => it.name.strip_suffix("_total").unwrap_or(&it.name),
            _ => &it.name,
        };
        let kind = it.r#type().as_str_name().to_ascii_lowercase();
        self.line(format_args!("# TYPE {name} {kind}"));
        if self.dialect == Dialect::OpenMetrics && !it.unit.is_empty() {
            self.line(format_args!("# UNIT {name} {}", it.unit));
        }
        self.line(format_args!("# HELP {name} {}", self.help(&it.help)));
        it.metric.iter().for_each(|metric| self.metric(&it.name, metric));
    }

    fn metric(&mut self, name: &str, it: &data_model::Metric) {
        let labels = labels(&it.label);
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        if let Some(counter) = &it.counter {
            self.line(format_args!("{name}{braced} {}", counter.value));
        }
        if let Some(gauge) = &it.gauge {
            self.line(format_args!("{name}{braced} {}", gauge.value));
        }
        if let Some(histogram) = &it.histogram {
            let comma = if labels.is_empty() { "" } else { "," };
            for bucket in &histogram.bucket {
                self.bucket(format_args!("{name}_bucket{{{labels}{comma}"), bucket);
            }
            self.line(format_args!("{name}_sum{braced} {}", histogram.sample_sum));
            self.line(format_args!("{name}_count{braced} {}", histogram.sample_count));
        }
    }

    fn bucket(&mut self, start: std::fmt::Arguments<'_>, it: &data_model::Bucket) {
        self.write(start);
        if it.upper_bound.is_infinite() {
            self.text.push_str("le=\"+Inf\"");
        } else {
            self.write(format_args!("le=\"{:?}\"", it.upper_bound));
        }
        self.write(format_args!("}} {}", it.cumulative_count));
        if let Some(exemplar) =
            it.exemplar.as_ref().filter(|_| self.dialect == Dialect::OpenMetrics)
        {
            self.write(format_args!(" # {{{}}} {}", labels(&exemplar.label), exemplar.value));
            if let Some(at) = &exemplar.timestamp {
                self.write(format_args!(" {}.{:03}", at.seconds, at.nanos / 1_000_000));
            }
        }
        self.text.push('\n');
    }

    /// OpenMetrics escapes quotes in help texts as in labels, the older format does not.
    fn help(&self, text: &str) -> String {
        match self.dialect {
            Dialect::OpenMetrics => escaped(text),
            Dialect::Plain => text.replace('\\', r"\\").replace('\n', r"\n"),
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

fn labels(pairs: &[data_model::LabelPair]) -> String {
    let pairs: Vec<_> =
        pairs.iter().map(|it| format!("{}=\"{}\"", it.name, escaped(&it.value))).collect();
    pairs.join(",")
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}
