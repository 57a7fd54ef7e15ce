//! Whether a chart can be installed at all, as far as that can be told without rendering it.

use crate::remote::registry::fits_archive;
use crate::trigger::helm_chart::archive::Files;
use crate::trigger::helm_chart::choice::is_version;
use crate::trigger::helm_chart::yaml;
use serde_json::Value;

/// The file that every chart has.
pub(super) const CHART: &str = "Chart.yaml";

/// Largest chart, not compressed: a release is kept in a Secret, which takes one MiB.
pub(super) const LARGEST: usize = 1 << 20;

/// Why a chart does not lint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::trigger) enum LintError {
    #[error("it has no `{CHART}`: name the folder that holds one")]
    NoChart,
    #[error("`{file}` is no YAML ({why}): mend it")]
    NoYaml { file: String, why: String },
    #[error("`{file}` is no text: store it as UTF-8")]
    NoText { file: String },
    #[error("`{CHART}` says `{key}: {value}`, and it should be {wanted}")]
    Field { key: &'static str, value: String, wanted: &'static str },
    #[error("it depends on `{name}`, which is not in `charts/`: run `helm dependency build`")]
    MissingDependency { name: String },
    #[error("`{file}` has a `{{{{` without its `}}}}`: close it")]
    OpenAction { file: String },
    #[error("the path `{file}` is too long for an archive: shorten it")]
    LongPath { file: String },
    #[error("its files hold {size} bytes, and a release holds at most {LARGEST}: make it smaller")]
    TooLarge { size: usize },
}

// === impl LintError ===

impl LintError {
    /// Of a file that is no YAML.
    pub(super) fn of(file: &str) -> impl Fn(String) -> Self + '_ {
        move |why| Self::NoYaml { file: file.to_owned(), why }
    }
}

/// What the `Chart.yaml` says of a chart that lints.
pub(super) fn lint(files: &Files) -> Result<Value, LintError> {
    let about = yaml::read(text_of(files, CHART)?).map_err(LintError::of(CHART))?;
    check(&about, "apiVersion", "`v2` or `v1`", |it| matches!(it, "v1" | "v2"))?;
    check(&about, "name", "a name of letters, digits, `-`, `_` and `.`", is_name)?;
    let version = "a version such as `1.2.3` or `1.2.3-rc.1`, without zeros before its numbers";
    check(&about, "version", version, is_version)?;
    if !about["type"].is_null() {
        check(&about, "type", "`application`, or nothing is installed", |it| it == "application")?;
    }
    for dependency in about["dependencies"].as_array().into_iter().flatten() {
        let name = dependency["name"].as_str().unwrap_or_default();
        let folder = format!("charts/{name}");
        let there =
            |it: &String| it.strip_prefix(&folder).is_some_and(|rest| rest.starts_with(['/', '-']));
        if !files.keys().any(there) {
            return Err(LintError::MissingDependency { name: name.to_owned() });
        }
    }
    if files.contains_key("values.yaml") {
        let values = yaml::read(text_of(files, "values.yaml")?);
        values.map_err(LintError::of("values.yaml"))?;
    }
    for (file, content) in files {
        let is_template = file.starts_with("templates/");
        if is_template && opens(&String::from_utf8_lossy(content)) {
            return Err(LintError::OpenAction { file: file.clone() });
        }
        let name = about["name"].as_str().unwrap_or_default();
        if !fits_archive(&format!("{name}/{file}")) {
            return Err(LintError::LongPath { file: file.clone() });
        }
    }
    let size = files.values().map(Vec::len).sum();
    if size > LARGEST { Err(LintError::TooLarge { size }) } else { Ok(about) }
}

/// A file of the chart, which has to be a text.
pub(super) fn text_of<'a>(files: &'a Files, file: &str) -> Result<&'a str, LintError> {
    let content = files.get(file).ok_or(LintError::NoChart)?;
    str::from_utf8(content).map_err(|_| LintError::NoText { file: file.to_owned() })
}

fn check(
    about: &Value,
    key: &'static str,
    wanted: &'static str,
    fits: impl Fn(&str) -> bool,
) -> Result<(), LintError> {
    let value = &about[key];
    if value.as_str().is_some_and(fits) {
        return Ok(());
    }
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Err(LintError::Field { key, value, wanted })
}

fn is_name(text: &str) -> bool {
    let part = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    !text.is_empty() && text != "." && text != ".." && text.chars().all(part)
}

/// Whether an action of a template is never closed.
fn opens(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, action)) = rest.split_once("{{") {
        let Some((_, after)) = action.split_once("}}") else { return true };
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(files: &[(&str, &str)]) -> String {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).into())).collect();
        lint(&files).unwrap_err().to_string()
    }

    #[test]
    fn a_chart_that_does_not_lint_is_refused_with_what_is_wrong() {
        const GOOD: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\n";
        assert!(say(&[]).starts_with("it has no `Chart.yaml`"));
        assert!(say(&[(CHART, "name: [")]).starts_with("`Chart.yaml` is no YAML"));
        let table = [
            ("name: web\nversion: 1.0.0\n", "`Chart.yaml` says `apiVersion: null`"),
            ("apiVersion: v2\nname: a/b\nversion: 1.0.0\n", "`Chart.yaml` says `name: a/b`"),
            ("apiVersion: v2\nname: web\nversion: 1.0\n", "`Chart.yaml` says `version: 1.0`"),
            (
                "apiVersion: v2\nname: web\nversion: 1.0.0-020240101\n",
                "`Chart.yaml` says `version: 1.0.0-020240101`, and it should be a version such as",
            ),
            (
                "apiVersion: v2\nname: web\nversion: 1.0.0\ntype: library\n",
                "`Chart.yaml` says `type: library`",
            ),
            (
                "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: redis}]\n",
                "it depends on `redis`",
            ),
        ];
        for (about, expected) in table {
            let said = say(&[(CHART, about)]);
            assert!(said.starts_with(expected), "{said}");
        }
        assert!(
            say(&[(CHART, GOOD), ("values.yaml", "a: [")]).contains("`values.yaml` is no YAML")
        );
        assert!(say(&[(CHART, GOOD), ("templates/a.yaml", "{{ if }}{{ x")]).contains("`{{`"));
        let long = format!("templates/{}", "x".repeat(120));
        assert!(say(&[(CHART, GOOD), (&long, "")]).contains("too long"));
        let big = "x".repeat(LARGEST);
        assert!(say(&[(CHART, GOOD), ("files/a", &big)]).contains("at most 1048576"));
    }
}
