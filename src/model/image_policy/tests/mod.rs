//! What policies choose, and what they will choose next.

mod chosen;
mod next;
mod next_always;

use crate::model::CanaryId;
use crate::model::image_policy::ImagePolicy;
use serde_json::{Value, json};

/// A policy of this kind with this range or order, and these `filterTags`.
fn policy(kind: &str, argument: &str, pattern: &str, extract: &str) -> Value {
    let key = if kind == "semver" { "range" } else { "order" };
    let mut spec = json!({"policy": {kind: {key: argument}}});
    if !pattern.is_empty() {
        spec["filterTags"] = json!({"pattern": pattern, "extract": extract});
    }
    spec
}

fn read(kind: &str, argument: &str, pattern: &str, extract: &str) -> ImagePolicy {
    let spec = policy(kind, argument, pattern, extract);
    ImagePolicy::read(&spec, &json!({})).unwrap_or_else(|why| panic!("{spec}: {why}"))
}

fn tags(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn canary() -> CanaryId {
    CanaryId::new("hopclock", 0x1a1_fbe6_7da8)
}
