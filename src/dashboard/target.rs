//! One query of a panel.

use serde_json::{Value, json};

/// A query of a panel.
#[derive(Clone, Debug)]
pub(super) struct Target {
    expr: String,
    legend: String,
    shape: Shape,
    exemplars: bool,
}

/// What a query yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Curves.
    Curves,
    /// Counts by bucket, over time.
    Buckets,
    /// What is true at the end of the time range.
    Now,
    /// The same as rows of a table.
    Rows,
}

/// Name of the variable that says which Prometheus to ask.
pub(super) const DATASOURCE: &str = "datasource";

/// Names of targets, in their order.
const REF_IDS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

// === impl Target ===

impl Target {
    /// Values over time, named by `legend`, such as `{{hop}}`.
    pub(super) fn curve(legend: &str, expr: impl Into<String>) -> Self {
        Self::new(legend, expr.into(), Shape::Curves)
    }

    /// A value at the end of the time range, named by `legend`.
    pub(super) fn now(legend: &str, expr: impl Into<String>) -> Self {
        Self::new(legend, expr.into(), Shape::Now)
    }

    /// A column of a table: a row for each series, as of the end of the time range.
    pub(super) fn rows(expr: impl Into<String>) -> Self {
        Self::new("", expr.into(), Shape::Rows)
    }

    /// Counts by bucket for a heatmap, with exemplars.
    pub(super) fn buckets(expr: impl Into<String>) -> Self {
        Self { exemplars: true, ..Self::new("{{le}}", expr.into(), Shape::Buckets) }
    }

    /// The same with exemplars of the series that it asks for.
    pub(super) fn exemplars(self) -> Self {
        Self { exemplars: true, ..self }
    }

    fn new(legend: &str, expr: String, shape: Shape) -> Self {
        Self { expr, legend: legend.to_owned(), shape, exemplars: false }
    }

    /// Its JSON, as the target of a panel at this place.
    pub(super) fn json(&self, place: usize) -> Value {
        let format = match self.shape {
            Shape::Curves | Shape::Now => "time_series",
            Shape::Buckets => "heatmap",
            Shape::Rows => "table",
        };
        let instant = matches!(self.shape, Shape::Now | Shape::Rows);
        json!({
            "datasource": source(),
            "editorMode": "code",
            "exemplar": self.exemplars,
            "expr": self.expr,
            "format": format,
            "instant": instant,
            "legendFormat": self.legend,
            "range": !instant,
            "refId": ref_id(place),
        })
    }
}

/// Name of the target at a place.
pub(super) fn ref_id(place: usize) -> &'static str {
    REF_IDS.get(place..=place).expect("a panel has few targets")
}

/// The Prometheus that is chosen.
pub(super) fn source() -> Value {
    json!({"type": "prometheus", "uid": format!("${{{DATASOURCE}}}")})
}
