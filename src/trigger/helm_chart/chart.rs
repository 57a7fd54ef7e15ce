//! A chart, complete but for its version and canary.

use crate::model::CanaryId;
use crate::trigger::PLACEHOLDER;
use crate::trigger::helm_chart::archive::{self, Files};
use crate::trigger::helm_chart::lint::{CHART, LintError, lint, text_of};
use crate::trigger::helm_chart::yaml;
use serde_json::{Value, json};

/// The annotation that names a canary: on a chart, its index entry and its manifest.
pub(super) const CANARY: &str = "hopclock.dev/canary";

/// The one template of our own chart. Nothing but built-in values: nobody's values can hide the
/// canary.
const TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
  annotations:
    hopclock.dev/canary: \"{{ .Chart.AppVersion }}\"
data:
  canary: \"{{ .Chart.AppVersion }}\"
  version: \"{{ .Chart.Version }}\"
";

/// A chart, complete but for its version and canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chart {
    name: String,
    /// The version that it has already.
    version: Option<String>,
    files: Files,
}

/// A chart that can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Package {
    /// Its version.
    pub(super) version: String,
    /// What its `Chart.yaml` says.
    pub(super) about: Value,
    /// Its archive.
    pub(super) archive: Vec<u8>,
}

// === impl Chart ===

impl Chart {
    /// The smallest chart by which a canary becomes live: one ConfigMap, named after the release.
    pub(super) fn tiny(name: &str) -> Self {
        let about = format!(
            "apiVersion: v2\nname: {}\ndescription: A canary of hopclock.\ntype: application\n\
             version: 0.0.0\n",
            Value::from(name)
        );
        let files = [
            (CHART, about.as_str()),
            ("templates/canary.yaml", TEMPLATE),
            ("values.yaml", "# The chart takes no values.\n{}\n"),
        ];
        let files = files.into_iter().map(|(path, text)| (path.to_owned(), text.into())).collect();
        Self { name: name.to_owned(), version: None, files }
    }

    /// Somebody's own chart.
    pub(super) fn of(files: Files) -> Result<Self, LintError> {
        let about = lint(&files)?;
        let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
        Ok(Self { name: text("name"), version: Some(text("version")), files })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is our own, which installs nothing but a canary.
    pub(super) fn is_tiny(&self) -> bool {
        self.version.is_none()
    }

    /// The version that it has already.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The chart as it is sent.
    pub(super) fn package(&self, version: &str, canary: &CanaryId) -> Result<Package, LintError> {
        let mut files = self.files.clone();
        let id = canary.to_string();
        for content in files.values_mut() {
            let Ok(text) = str::from_utf8(content) else { continue };
            if text.contains(PLACEHOLDER) {
                *content = text.replace(PLACEHOLDER, &id).into_bytes();
            }
        }
        let mut about = text_of(&files, CHART)?.to_owned();
        about = bumped(&about, version)?;
        if self.version.is_none() {
            about = set(&about, &["appVersion"], &id)?;
        }
        about = set(&about, &["annotations", CANARY], &id)?;
        files.insert(CHART.to_owned(), about.clone().into_bytes());
        let about = lint(&files)?;
        let archive = archive::compressed(&self.name, CHART, &files);
        Ok(Package { version: version.to_owned(), about, archive })
    }
}

// === impl Package ===

impl Package {
    /// The name of its file, as every chart repository has it.
    pub(super) fn file(&self) -> String {
        format!("{}-{}.tgz", self.about["name"].as_str().unwrap_or_default(), self.version)
    }
}

/// A `Chart.yaml` with another version.
pub(in crate::trigger) fn bumped(text: &str, version: &str) -> Result<String, LintError> {
    set(text, &["version"], version)
}

/// A `Chart.yaml` in which the text at the end of `way` is another.
fn set(text: &str, way: &[&str], value: &str) -> Result<String, LintError> {
    let mut meant = yaml::read(text).map_err(LintError::of(CHART))?;
    let edit = match way {
        [key] if meant.get(key).is_some() => yaml::with_text(text, key, value),
        [key] => Some(format!("{}\n{key}: {}\n", text.trim_end(), json!(value))),
        [map, key, ..] => yaml::with_entry(text, map, key, value),
        [] => None,
    };
    let mut at = &mut meant;
    for key in way {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[*key];
    }
    *at = value.into();
    Ok(yaml::edited(edit, &meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary() -> CanaryId {
        CanaryId::new("team-a", 0x1a1_fbe6_7da8)
    }

    #[test]
    fn our_own_chart_lints_and_is_the_same_bytes_each_time() {
        let package = Chart::tiny("canary").package("0.1.7", &canary()).unwrap();
        assert_eq!(package, Chart::tiny("canary").package("0.1.7", &canary()).unwrap());
        assert_eq!(package.file(), "canary-0.1.7.tgz");
        assert_eq!(package.about["version"], "0.1.7");
        assert_eq!(package.about["appVersion"], "team-a-1a1fbe67da8");
        assert_eq!(package.about["annotations"][CANARY], "team-a-1a1fbe67da8");
        assert_eq!(package.about["apiVersion"], "v2");
    }

    #[test]
    fn a_chart_of_ones_own_is_given_version_and_canary_and_keeps_the_rest() {
        let about = "# ours\napiVersion: v2\nname: web\nversion: 1.4.0\nappVersion: '7'\n";
        let files = Files::from([
            (CHART.to_owned(), about.into()),
            ("templates/a.yaml".to_owned(), b"run: ${canary} {{ .Values.x }}\n".to_vec()),
        ]);
        let chart = Chart::of(files).unwrap();
        assert_eq!((chart.name(), chart.version()), ("web", Some("1.4.0")));
        let package = chart.package("1.4.1", &canary()).unwrap();
        assert_eq!(package.about["version"], "1.4.1");
        assert_eq!(package.about["appVersion"], "7");
        assert_eq!(
            bumped(about, "1.4.1").unwrap(),
            "# ours\napiVersion: v2\nname: web\nversion: \"1.4.1\"\nappVersion: '7'\n"
        );
    }
}
