//! The files of several tools, out of the same groups and objectives.

mod prometheus;
mod pyrra;
mod sloth;

pub use prometheus::{prometheus, prometheus_rule};
pub use pyrra::pyrra;
pub use sloth::sloth;

use serde::Serialize;
use std::collections::BTreeMap;

/// What a Kubernetes object is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Its namespace; unsaid, that of whoever applies it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its labels, by which operators choose.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A value as YAML that people can read: long texts and queries over several lines.
fn yaml<T: Serialize>(value: &T) -> String {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 120 };
    // Every value is a struct of texts, numbers, lists and maps with texts as keys.
    serde_saphyr::to_string_with_options(value, options).expect("plain values are YAML")
}

/// A comment at the head of a file, a line each.
fn head(lines: &[String]) -> String {
    format!("# {}\n", lines.join("\n# "))
}
