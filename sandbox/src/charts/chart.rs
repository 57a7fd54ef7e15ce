//! A Helm chart: what it is called, and its files.
//!
//! Kept as the archive that `helm package` makes: everything below one folder of the chart's name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tar;

/// The file that says what a chart is.
const METADATA: &str = "Chart.yaml";

/// A chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of what it installs.
    pub app_version: String,
    /// Every file by its path below the chart's folder, `Chart.yaml` included.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Chart {
    /// A chart of these files; `Chart.yaml` is written.
    #[must_use]
    pub fn new(name: &str, version: &str, files: &[(&str, &str)]) -> Self {
        let metadata = format!(
            "apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: \"{version}\"\n\
             type: application\n"
        );
        let own = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        let files = own.chain([(METADATA.to_owned(), metadata.into_bytes())]).collect();
        let (name, version) = (name.to_owned(), version.to_owned());
        Self { name, app_version: version.clone(), version, files }
    }

    /// A chart of one canary: a `ConfigMap` named like the release, with the chart's version and
    /// the value `run`, which is `run` unless the release says otherwise.
    #[must_use]
    pub fn canary(name: &str, version: &str, run: &str) -> Self {
        let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n\
                        data:\n  run: {{ .Values.run | quote }}\n  version: {{ .Chart.Version | \
                        quote }}\n";
        let values = format!("run: {run:?}\n");
        Self::new(name, version, &[("templates/cm.yaml", template), ("values.yaml", &values)])
    }

    /// Reads a chart from an archive; the error says what is wrong with it.
    ///
    /// # Errors
    ///
    /// When it is no archive, or has no `Chart.yaml` with a name and a version.
    pub fn unpack(bytes: &[u8]) -> Result<Self, String> {
        Self::of_files(&tar::unpack(bytes)?)
    }

    /// Reads a chart from files, which may lie in a folder.
    pub(crate) fn of_files(all: &BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
        let missing = || "Chart.yaml file is missing".to_owned();
        let is_metadata =
            |path: &&String| path.as_str() == METADATA || path.ends_with(&format!("/{METADATA}"));
        let path = all.keys().filter(is_metadata).min_by_key(|path| path.matches('/').count());
        let folder = path.ok_or_else(missing)?.strip_suffix(METADATA).unwrap_or_default();
        let files: BTreeMap<String, Vec<u8>> = all
            .iter()
            .filter_map(|(path, content)| {
                Some((path.strip_prefix(folder)?.to_owned(), content.clone()))
            })
            .collect();
        let text = std::str::from_utf8(&files[METADATA]).unwrap_or_default();
        let metadata: Value = serde_saphyr::from_str(text)
            .map_err(|error| format!("cannot load Chart.yaml: {}", error.without_snippet()))?;
        let field = |name: &str| match &metadata[name] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let (name, version) = (field("name"), field("version"));
        for (field, value) in [("name", &name), ("version", &version)] {
            if value.is_empty() {
                return Err(format!("validation: chart.metadata.{field} is required"));
            }
        }
        Ok(Self { name, version, app_version: field("appVersion"), files })
    }

    /// The chart as an archive; equal charts are equal bytes.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let inside = |path: &String| format!("{}/{path}", self.name);
        tar::pack(&self.files.iter().map(|(path, it)| (inside(path), it.clone())).collect())
    }

    /// The name of its archive.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name, self.version)
    }

    /// The same with another version, in `Chart.yaml` too.
    pub(crate) fn with_version(mut self, version: &str) -> Self {
        let text = String::from_utf8_lossy(&self.files[METADATA]).into_owned();
        let line = |line: &str| {
            if line.starts_with("version:") {
                format!("version: {version}\n")
            } else {
                format!("{line}\n")
            }
        };
        let text: String = text.lines().map(line).collect();
        self.files.insert(METADATA.to_owned(), text.into_bytes());
        version.clone_into(&mut self.version);
        self
    }

    /// The text of a file, if there is one.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(path)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_survives_its_archive() {
        let chart = Chart::canary("demo", "0.1.0", "seed");
        assert_eq!(Chart::unpack(&chart.pack()), Ok(chart.clone()));
        assert_eq!(chart.file_name(), "demo-0.1.0.tgz");
        let other = chart.with_version("0.1.0+abc");
        assert_eq!(Chart::unpack(&other.pack()).unwrap().version, "0.1.0+abc");
    }

    #[test]
    fn an_archive_without_a_proper_chart_is_refused() {
        let files = |text: &str| BTreeMap::from([("a/Chart.yaml".to_owned(), text.into())]);
        assert_eq!(Chart::of_files(&BTreeMap::new()).unwrap_err(), "Chart.yaml file is missing");
        assert_eq!(
            Chart::of_files(&files("name: a\n")).unwrap_err(),
            "validation: chart.metadata.version is required"
        );
        assert_eq!(Chart::of_files(&files("{name: a, version: 1.0.0}")).unwrap().version, "1.0.0");
    }
}
