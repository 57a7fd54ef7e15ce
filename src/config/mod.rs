//! Scenario files: YAML in, checked scenarios or everything that is wrong with them out.
//!
//! A file passes three gates: `yaml` makes a tree with positions of its text, `read`
//! makes a [`ScenarioFile`] of the tree and stops at the first structural mistake, `check` looks at
//! what the structure cannot say and finds all of it. Mistakes are collected over all files.

mod check;
mod file;
mod hop_file;
mod mistake;
mod nearest;
mod node;
mod problem;
mod read;
mod scenario;
mod schedule;
mod schedule_file;
mod secrets;
mod target;
mod texts;
mod yaml;

use crate::trigger::TriggerConfig;
use mistake::Mistake;
use node::{Node, Place, Step};
use secrets::Secrets;
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use file::{NotAPercent, NotAWindow, Percent, ScenarioFile, SloFile, Window};
pub use hop_file::{HopFile, Names, SharedKeys};
pub use problem::{Problem, Problems};
pub use scenario::{Hop, Scenario, Slo};
pub use schedule_file::{Instant, NotAnInstant, PauseFile, ScheduleFile};
pub use target::{Target, TargetConfig};
pub use texts::Texts;

/// Longest scenario, in bytes.
const LONGEST: u64 = 1 << 20;

/// A scenario, and what is needed to point into its file once more.
struct Loaded {
    file: String,
    text: String,
    scenario: Scenario,
    /// Where its name stands.
    name: Place,
}

/// Loads the scenarios of all `files`.
///
/// # Errors
///
/// Everything that is wrong with any of them: of each file the first mistake that keeps it from
/// being understood, else every rule that it breaks, and names that two of them share.
pub fn load<P: AsRef<Path>>(files: &[P]) -> Result<Vec<Scenario>, Problems> {
    let mut problems = Vec::new();
    let mut loaded = Vec::new();
    for path in files {
        let file = path.as_ref().display().to_string();
        match contents(path.as_ref()) {
            Err(mistake) => problems.push(Problem::of_file(&file, &mistake)),
            Ok(text) => match load_one(&file, &text) {
                Ok(it) => loaded.push(it),
                Err(mut found) => problems.append(&mut found),
            },
        }
    }
    problems.append(&mut same_names(&loaded));
    if problems.is_empty() {
        Ok(loaded.into_iter().map(|it| it.scenario).collect())
    } else {
        Err(Problems::of(problems))
    }
}

/// Loads every `.yaml` and `.yml` file of a directory, in the order of their names.
///
/// # Errors
///
/// As [`load`]; also if the directory cannot be read, or holds no such file.
pub fn load_dir(directory: &Path) -> Result<Vec<Scenario>, Problems> {
    load(&files_of(directory).map_err(|mistake| of_directory(directory, &mistake))?)
}

/// A file of a directory, looked at by itself.
#[derive(Debug)]
pub struct Found {
    /// The file.
    pub file: String,
    /// What it says without comments and layout: equal for equal scenarios.
    pub fingerprint: String,
    /// The scenario, or everything that is wrong with the file.
    pub scenario: Result<Box<Scenario>, Problems>,
}

/// Loads a scenario from `text`, which messages call `name`.
///
/// # Errors
///
/// Everything that is wrong with it, as [`load`].
pub fn load_text(name: &str, text: &str) -> Result<Scenario, Problems> {
    load_one(name, text).map(|it| it.scenario).map_err(Problems::of)
}

/// The JSON Schema of a scenario.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(ScenarioFile).to_value();
    schema["title"] = "hopclock scenario".into();
    schema
}

/// The kinds of trigger that scenarios may ask for.
#[must_use]
pub fn trigger_kinds() -> Vec<&'static str> {
    let refused = TriggerConfig::deserialize(StrDeserializer::<read::Refused>::new("")).err();
    refused.map(read::Refused::into_known).unwrap_or_default()
}

/// What a text says as JSON, with anchors and merges resolved, as a schema would judge it.
///
/// # Errors
///
/// What keeps it from being YAML.
pub fn to_json(name: &str, text: &str) -> Result<serde_json::Value, Problems> {
    let text = without_mark(text);
    yaml::parse(text).map(|it| it.to_json()).map_err(|(place, mistake)| {
        let secrets = Secrets::of(text, None);
        Problems::of(vec![Problem::at(name, text, place, &mistake, &secrets)])
    })
}

fn load_one(file: &str, text: &str) -> Result<Loaded, Vec<Problem>> {
    let text = without_mark(text);
    let problem = |root: Option<&Node>, found: Vec<(Place, Mistake)>| -> Vec<Problem> {
        let secrets = Secrets::of(text, root);
        let at = |it: &(Place, Mistake)| Problem::at(file, text, it.0, &it.1, &secrets);
        found.iter().map(at).collect()
    };
    let root = yaml::parse(text).map_err(|it| problem(None, vec![it]))?;
    let read = read::read::<ScenarioFile>(&root).map_err(|it| problem(Some(&root), vec![it]))?;
    let found = check::check(&read, &root);
    if !found.is_empty() {
        return Err(problem(Some(&root), found));
    }
    let name = root.place_of(&[Step::Key("name")]);
    Ok(Loaded { file: file.to_owned(), text: text.to_owned(), scenario: read.into(), name })
}

/// Scenarios that bear the name of an earlier one: their metrics would be mixed.
fn same_names(loaded: &[Loaded]) -> Vec<Problem> {
    let mut first: BTreeMap<&str, &Loaded> = BTreeMap::new();
    let mut problems = Vec::new();
    for it in loaded {
        let name = it.scenario.name.as_str();
        let Some(other) = first.get(name) else {
            first.insert(name, it);
            continue;
        };
        let (name, other) = (name.to_owned(), other.file.clone());
        let secrets = Secrets::of(&it.text, None);
        let mistake = Mistake::SameScenario { name, other };
        problems.push(Problem::at(&it.file, &it.text, it.name, &mistake, &secrets));
    }
    problems
}

/// What is wrong with a directory as a whole.
fn of_directory(directory: &Path, mistake: &Mistake) -> Problems {
    Problems::of(vec![Problem::of_file(&directory.display().to_string(), mistake)])
}

fn files_of(directory: &Path) -> Result<Vec<PathBuf>, Mistake> {
    let unreadable = |error: std::io::Error| Mistake::Unreadable(reason(&error));
    let mut files = Vec::new();
    for entry in directory.read_dir().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_yaml = path.extension().is_some_and(|it| it == "yaml" || it == "yml");
        if is_yaml && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() { Err(Mistake::EmptyDirectory) } else { Ok(files) }
}

fn contents(path: &Path) -> Result<String, Mistake> {
    let unreadable = |error: std::io::Error| Mistake::Unreadable(reason(&error));
    if path.is_dir() {
        return Err(Mistake::Directory);
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Mistake::TooLarge { limit: LONGEST });
    }
    String::from_utf8(bytes)
        .map_err(|error| Mistake::NotUtf8 { byte: error.utf8_error().valid_up_to() + 1 })
}

/// Why a file could not be read, and what may help.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file, check its path".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied, check its mode".to_owned(),
        _ => error.to_string(),
    }
}

/// The text without the byte order mark that some editors put first.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
