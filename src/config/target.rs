//! A target: what the change is to arrive at, where a scenario does not list the hops.

use super::file::ScenarioFile;
use super::hop_file::HopFile;
use super::node::{Node, Place, Value};
use super::scenario::Scenario;
use crate::model::{GroupKind, ObjectName, Subject};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// What the change is to arrive at: one key, naming the kind. The hops are discovered at the start
/// of each run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetConfig {
    /// What this Kustomization applies.
    Kustomization(ObjectName),
    /// What this HelmRelease releases.
    HelmRelease(ObjectName),
    /// What this ImagePolicy chooses, and what becomes of it.
    ImagePolicy(ObjectName),
}

/// A target of a scenario, whose hops are not known yet.
#[derive(Clone, Debug)]
pub struct Target {
    /// What it is.
    pub config: TargetConfig,
    /// The scenario as it is written, for when the hops are known.
    file: Arc<ScenarioFile>,
}

// === impl TargetConfig ===

impl TargetConfig {
    /// The object.
    #[must_use]
    pub fn subject(&self) -> Subject {
        let (kind, name) = match self {
            Self::Kustomization(it) => (GroupKind::kustomization(), it),
            Self::HelmRelease(it) => (GroupKind::helm_release(), it),
            Self::ImagePolicy(it) => (GroupKind::image("ImagePolicy"), it),
        };
        Subject::local(kind, &name.namespace, &name.name)
    }
}

// === impl Target ===

impl Target {
    /// The target of a scenario, if it has one.
    pub(crate) fn of(file: &ScenarioFile) -> Option<Self> {
        let config = file.target.clone()?;
        Some(Self { config, file: Arc::new(file.clone()) })
    }

    /// The scenario with the hops that were found.
    ///
    /// # Errors
    ///
    /// One sentence, if the rest of the scenario does not suit them.
    pub fn with_hops(&self, hops: Vec<HopFile>) -> Result<Scenario, String> {
        let file = ScenarioFile { hops, target: None, ..(*self.file).clone() };
        // There is no text that a mistake could point into: the sentence has to do.
        let place = Place { line: 1, column: 1 };
        let nowhere = Node { place, value: Value::Map(Vec::new()) };
        match super::check::check(&file, &nowhere).into_iter().next() {
            None => Ok(file.into()),
            Some((_, mistake)) => Err(mistake.to_string()),
        }
    }
}

impl PartialEq for Target {
    /// The same target; what else the scenario says is compared there.
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{HopFile, load_text};

    const TEXT: &str = "name: a\ndeadline: 5m\nslo: { within: 2m, until: released }\n\
        trigger: { git_commit: { source: a/b, path: c/d.yaml } }\n\
        target: { kustomization: a/apps }\n";

    fn hops(text: &str) -> Vec<HopFile> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_scenario_with_a_target_gets_its_hops_and_all_their_defaults_later() {
        let scenario = load_text("a.yaml", &TEXT.replace(", until: released", "")).unwrap();
        assert!(scenario.hops.is_empty());
        let target = scenario.target.unwrap();
        assert_eq!(target.config.subject().to_string(), "Kustomization a/apps");
        let found = hops(
            r#"[{"source_fetched": {"git_repository": "a/b"}}, {"live": {"config_map": "a/x"}}]"#,
        );
        let found = target.with_hops(found).unwrap();
        assert_eq!(
            (found.hops[1].after.as_slice(), found.target),
            (&["source_fetched".to_owned()][..], None)
        );
    }

    #[test]
    fn what_does_not_suit_the_hops_that_were_found_is_one_sentence() {
        let target = load_text("a.yaml", TEXT).unwrap().target.unwrap();
        let found = hops(r#"[{"live": {"config_map": "a/x"}}]"#);
        let why = target.with_hops(found).unwrap_err();
        assert!(why.starts_with("`released` names no hop"), "{why}");
    }
}
