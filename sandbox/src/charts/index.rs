//! The index of a chart repository: written from the archives, read by source-controller.
//!
//! It says nothing of when it was made, so that the same archives have the same index, and Flux
//! sees a new revision only where something is new.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use bytes::Bytes;
use serde_json::{Value, json};

use super::Chart;
use crate::flux::hex;

/// One version of a chart, as an index names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The version.
    pub(crate) version: String,
    /// Where the archive is, from the repository on or in full.
    pub(crate) url: String,
    /// The digest of the archive, if the index says it.
    pub(crate) digest: Option<String>,
}

/// The index of these files.
pub(super) fn write(files: &BTreeMap<String, Bytes>, base: &str) -> String {
    let mut entries: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (path, bytes) in files {
        let Ok(chart) = Chart::unpack(bytes) else { continue };
        entries.entry(chart.name.clone()).or_default().push(json!({
            "apiVersion": "v2",
            "name": chart.name,
            "version": chart.version,
            "appVersion": chart.app_version,
            "digest": sha256(bytes),
            "urls": [format!("{base}/{path}")],
        }));
    }
    let index = json!({"apiVersion": "v1", "entries": entries});
    // Every JSON text is a YAML text; helm reads both.
    format!("{index:#}\n")
}

/// The versions of a chart in an index; none if the text is no index. Error: what is wrong.
pub(crate) fn read(text: &str, chart: &str) -> Result<Vec<Entry>, String> {
    let index: Value = serde_saphyr::from_str(text)
        .map_err(|error| format!("failed to parse index: {}", error.without_snippet()))?;
    if index["apiVersion"].is_null() {
        return Err("no API version specified".to_owned());
    }
    let own = |value: &Value| value.as_str().map(str::to_owned);
    let entry = |it: &Value| {
        let url = own(&it["urls"][0])?;
        Some(Entry { version: own(&it["version"])?, url, digest: own(&it["digest"]) })
    };
    let all = index["entries"][chart].as_array().into_iter().flatten();
    Ok(all.filter_map(entry).collect())
}

/// The revision that Flux gives to an index.
pub(super) fn revision(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_version_by_version() {
        let charts = ["0.1.0", "0.2.0"].map(|version| Chart::canary("demo", version, "x"));
        let files = charts.iter().map(|it| (it.file_name(), Bytes::from(it.pack()))).collect();
        let text = write(&files, "http://127.0.0.1:1");
        let entries = read(&text, "demo").unwrap();
        let versions: Vec<_> = entries.iter().map(|it| it.version.as_str()).collect();
        assert_eq!(versions, ["0.1.0", "0.2.0"]);
        assert_eq!(entries[0].url, "http://127.0.0.1:1/demo-0.1.0.tgz");
        assert_eq!(entries[0].digest.as_deref(), Some(sha256(&charts[0].pack()).as_str()));
        assert!(read(&text, "other").unwrap().is_empty());
        assert!(read("entries: {}", "demo").is_err());
    }
}
