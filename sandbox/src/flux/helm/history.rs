//! `status.history`: what helm-controller saw of Helm's memory during its own actions.
//!
//! With the oddities of the real one: whoever is superseded loses his action to an upgrade and gets
//! that of a rollback, a rollback also shows the release that Helm forgot for it, and the list is
//! put in order only when it is cut.

use serde_json::Value;
use serde_json::json;

use super::storage::Name;
use super::storage::Release;

/// The most entries that are kept where none of them was ever deployed.
const KEPT: usize = 5;

/// An entry for a release.
pub(super) fn entry(name: &Name, release: &Release, action: Option<&str>) -> Value {
    let mut entry = json!({
        "apiVersion": "v2",
        "appVersion": release.app_version,
        "chartName": release.chart,
        "chartVersion": release.chart_version,
        "configDigest": release.config_digest,
        "digest": super::values::digest(&json!({
            "version": release.version, "objects": release.objects,
            "status": release.status.as_str(), "at": release.last})),
        "firstDeployed": release.first,
        "lastDeployed": release.last,
        "name": name.1,
        "namespace": name.0,
        "status": release.status.as_str(),
        "version": release.version,
    });
    if let Some(action) = action {
        entry["action"] = action.into();
    }
    if let Some(digest) = &release.oci_digest {
        entry["ociDigest"] = digest.as_str().into();
    }
    entry
}

/// Puts an entry in front.
pub(super) fn prepend(history: &Value, entry: Value) -> Value {
    let old = history.as_array().cloned().unwrap_or_default();
    std::iter::once(entry).chain(old).collect()
}

/// Replaces the entry of the same version, if there is one.
pub(super) fn replace(history: &mut Value, entry: &Value) {
    for old in history.as_array_mut().into_iter().flatten() {
        if old["version"] == entry["version"] {
            *old = entry.clone();
        }
    }
}

/// The newest first.
pub(super) fn sorted(history: &Value) -> Value {
    let mut all = history.as_array().cloned().unwrap_or_default();
    all.sort_by_key(|it| std::cmp::Reverse(it["version"].as_u64()));
    all.into()
}

/// In order, and cut behind the release that came before.
pub(super) fn cut(history: &Value) -> Value {
    let Value::Array(mut all) = sorted(history) else { return Value::Null };
    let before = all.iter().skip(1).position(was_deployed);
    all.truncate(before.map_or(KEPT, |at| at + 2));
    all.into()
}

/// The version to which a failed release can be rolled back.
pub(super) fn before(history: &Value) -> Option<u64> {
    let mut all = history.as_array()?.iter().skip(1);
    all.find(|it| was_deployed(it))?["version"].as_u64()
}

fn was_deployed(entry: &Value) -> bool {
    matches!(entry["status"].as_str(), Some("deployed" | "superseded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(all: &[(&str, u64)]) -> Value {
        all.iter().map(|(status, version)| json!({"status": status, "version": version})).collect()
    }

    #[test]
    fn the_list_is_cut_behind_the_release_that_was_deployed_before() {
        let mixed =
            history(&[("deployed", 8), ("superseded", 2), ("failed", 6), ("superseded", 7)]);
        assert_eq!(cut(&mixed), history(&[("deployed", 8), ("superseded", 7)]));
        let failed = history(&[("failed", 6), ("failed", 5), ("deployed", 4), ("failed", 3)]);
        assert_eq!(cut(&failed), history(&[("failed", 6), ("failed", 5), ("deployed", 4)]));
        assert_eq!(before(&failed), Some(4));
        let never: Vec<_> = (0..7).map(|version| ("failed", 7 - version)).collect();
        assert_eq!(cut(&history(&never)), history(&never[..5]));
        assert_eq!(cut(&history(&[("deployed", 1)])), history(&[("deployed", 1)]));
    }
}
