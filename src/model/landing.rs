//! Where a change lands: what a trigger pushes to, and what it rewrites there.
//!
//! The trigger knows it, and the path proves by it that the change is delivered (rule P7) and may be
//! made (rules S0 to S4).

use crate::model::Subject;
use serde_json::Value;

/// The branch that a trigger pushes to, and the file that it rewrites there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The GitRepository that the trigger names.
    pub source: Option<Subject>,
    /// Address of the repository, without credentials.
    pub url: String,
    /// The branch.
    pub branch: String,
    /// The file, relative to the root.
    pub path: String,
    /// Whether the scenario says that others use the source too.
    pub shared: bool,
    /// Whether it replaces commits of the branch.
    pub replaces: bool,
    /// What it signs its commits with.
    pub signs_with: Option<Signature>,
}

/// The image repository that a trigger pushes a tag to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLanding {
    /// The ImagePolicy that is to choose the tag.
    pub policy: Subject,
    /// The repository, one name for all its spellings.
    pub repository: String,
    /// Whether the tag stands for a new image, in which there is nothing to run.
    pub is_empty: bool,
}

/// The repository of artifacts that a trigger pushes to, and the file that it writes into them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactLanding {
    /// The OCIRepository that the trigger names.
    pub source: Option<Subject>,
    /// The repository, one name for all its spellings: `host/path`.
    pub repository: String,
    /// The tag that is pushed; none where each canary has a version of its own.
    pub tag: Option<String>,
    /// The file, relative to the root of the artifact.
    pub path: String,
    /// Whether the scenario says that others use the artifact too.
    pub shared: bool,
}

/// The bucket that a trigger writes to, and the object that it rewrites there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketLanding {
    /// The Bucket that the trigger names.
    pub source: Option<Subject>,
    /// The bucket, as messages name it.
    pub place: String,
    /// The host of its server.
    pub host: String,
    /// Its name.
    pub bucket: String,
    /// The object.
    pub key: String,
    /// Whether the scenario says that others use the source too.
    pub shared: bool,
}

/// Where a trigger publishes a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartLanding {
    /// The chart's name.
    pub chart: String,
    /// The HelmRepository or OCIRepository that is fetched from there.
    pub source: Subject,
    /// The HelmRelease or HelmChart that takes it, and what lies between that and the source.
    pub takers: Vec<Subject>,
    /// The place, as messages name it.
    pub place: String,
    /// Address of the source, as it says itself.
    pub url: String,
    /// What the files lie in that are written.
    pub files: ChartFiles,
    /// Whether the scenario says that others use the chart too.
    pub shared: bool,
}

/// What the files of a chart repository lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChartFiles {
    /// A repository of a registry, which holds nothing but the chart.
    Registry,
    /// A branch, and the index on it.
    Branch(Box<Landing>),
    /// A bucket, and the index in it.
    Bucket(Box<BucketLanding>),
}

/// A chart on the path that Flux packages from files of a source whenever its version changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackagedChart {
    /// The HelmChart.
    pub chart: Subject,
    /// The GitRepository or Bucket.
    pub source: Subject,
    /// The source's address.
    pub url: String,
    /// The chart's folder, without `/` at its ends; empty for the root.
    pub folder: String,
    /// Files of values that go into it from elsewhere in the source.
    pub values: Vec<String>,
}

// === impl PackagedChart ===

impl PackagedChart {
    /// Reads a HelmChart; none for one that comes from a repository, or is packaged anew at every
    /// revision of its source.
    #[must_use]
    pub fn of(chart: &Subject, object: &Value, source: &Subject, url: &str) -> Option<Self> {
        let spec = &object["spec"];
        let kind = spec["sourceRef"]["kind"].as_str()?;
        if !matches!(kind, "GitRepository" | "Bucket") || spec["reconcileStrategy"] == "Revision" {
            return None;
        }
        let clean = |it: &str| it.trim_start_matches("./").trim_matches('/').to_owned();
        let folder = clean(spec["chart"].as_str().unwrap_or_default());
        let values = spec["valuesFiles"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Some(Self {
            chart: chart.clone(),
            source: source.clone(),
            url: url.to_owned(),
            folder: if folder == "." { String::new() } else { folder },
            values: values.map(clean).collect(),
        })
    }

    /// Whether a file of the source is part of the chart.
    #[must_use]
    pub fn holds(&self, path: &str) -> bool {
        let inside = path.strip_prefix(&self.folder).is_some_and(|it| it.starts_with('/'));
        self.folder.is_empty() || inside || self.values.iter().any(|it| it == path)
    }

    /// The file that holds its version.
    #[must_use]
    pub fn file(&self) -> String {
        let between = if self.folder.is_empty() { "" } else { "/" };
        format!("{}{between}Chart.yaml", self.folder)
    }
}

/// The Receiver that a trigger calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverLanding {
    /// The Receiver.
    pub receiver: Subject,
    /// Whether the scenario says that everything that it lists may be woken.
    pub shared: bool,
}

/// What a trigger signs its commits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// A GPG key.
    Gpg,
    /// An SSH key.
    Ssh,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupKind;
    use serde_json::json;

    #[test]
    fn p7_a_file_belongs_to_a_chart_that_is_packaged_by_version() {
        let subject = |kind: &str| Subject::local(GroupKind::source(kind), "flux-system", "web");
        let read = |kind: &str, strategy: Value, folder: &str| {
            let spec = json!({
                "chart": folder, "sourceRef": {"kind": kind, "name": "web"},
                "reconcileStrategy": strategy, "valuesFiles": ["./env/prod.yaml"],
            });
            PackagedChart::of(
                &subject("HelmChart"),
                &json!({ "spec": spec }),
                &subject(kind),
                "https://h/a",
            )
        };
        let chart = read("GitRepository", Value::Null, "./charts/web/").unwrap();
        assert_eq!(chart.file(), "charts/web/Chart.yaml");
        for (path, inside) in [
            ("charts/web/values.yaml", true),
            ("charts/web/templates/a.yaml", true),
            ("env/prod.yaml", true),
            ("charts/website/values.yaml", false),
            ("env/test.yaml", false),
        ] {
            assert_eq!(chart.holds(path), inside, "{path}");
        }
        let root = read("Bucket", json!("ChartVersion"), ".").unwrap();
        assert!(root.holds("values.yaml") && root.file() == "Chart.yaml");
        assert_eq!(read("GitRepository", json!("Revision"), "charts/web"), None);
        assert_eq!(read("HelmRepository", Value::Null, "web"), None);
    }
}
