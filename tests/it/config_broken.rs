//! Broken scenarios: one mistake to a file, and the exact message as its snapshot.

use hopclock::config;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders below `tests/broken`, by the gate that stops their files.
const FOLDERS: [&str; 3] = ["yaml", "structural", "semantic"];
/// A secret that some of the files hold where no secret belongs.
const PLANTED: [&str; 2] = ["planted", "4f1d9c"];

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The scenarios of a folder, in the order of their names.
pub(crate) fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().unwrap().map(|it| it.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|it| it.extension().is_some_and(|it| it == "yaml")).collect();
    files.sort();
    files
}

pub(crate) fn broken() -> Vec<(&'static str, PathBuf)> {
    let of = |folder| yaml_files(&root().join("tests/broken").join(folder));
    FOLDERS.into_iter().flat_map(|it| of(it).into_iter().map(move |file| (it, file))).collect()
}

fn stem(file: &Path) -> &str {
    file.file_stem().and_then(|it| it.to_str()).unwrap()
}

fn load(file: &Path) -> config::Problems {
    let text = std::fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    config::load_text(name, &text).map(|it| it.name).expect_err(name)
}

#[test]
fn every_broken_scenario_is_refused_with_its_message() {
    let files = broken();
    assert!(files.len() >= 100, "only {} broken scenarios", files.len());
    for (folder, file) in files {
        insta::with_settings!({
            snapshot_path => root().join("tests/broken").join(folder),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(stem(&file), load(&file).to_string());
        });
    }
}

#[test]
fn every_snapshot_belongs_to_a_broken_scenario() {
    let names: BTreeSet<_> =
        broken().iter().map(|it| format!("{}/{}.snap", it.0, stem(&it.1))).collect();
    for folder in FOLDERS {
        for entry in root().join("tests/broken").join(folder).read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
            let kept = path.extension().is_some_and(|it| it == "yaml") || names.contains(&name);
            assert!(kept, "`{name}` belongs to no broken scenario: delete it");
        }
    }
}

#[test]
fn every_message_is_a_sentence_with_a_place_and_its_line() {
    for (_, file) in broken() {
        for problem in &load(&file) {
            let (message, shown) = (problem.message(), problem.to_string());
            let name = stem(&file);
            assert!(problem.position().is_some(), "{name}: no place");
            assert_eq!(shown.lines().count(), 3, "{name}: {shown}");
            assert!(shown.trim_end().ends_with('^'), "{name}: {shown}");
            assert!(!message.ends_with('.'), "{name}: {message}");
            assert!(!message.starts_with(char::is_uppercase), "{name}: {message}");
            assert!(!message.contains("struct "), "{name}: {message}");
        }
    }
}

#[test]
fn a_planted_secret_appears_in_no_message() {
    let mut seen = 0;
    for (_, file) in broken() {
        seen += usize::from(std::fs::read_to_string(&file).unwrap().contains(PLANTED[0]));
        let problems = load(&file);
        for part in PLANTED {
            assert!(!problems.to_string().contains(part), "{}", file.display());
            assert!(!format!("{problems:?}").contains(part), "{}", file.display());
        }
    }
    assert!(seen >= 4, "only {seen} files hold the planted secret");
}

#[test]
fn a_secret_in_any_place_of_a_good_scenario_appears_in_no_message() {
    let text = std::fs::read_to_string(root().join("scenarios/by-hand.yaml")).unwrap();
    let url = "https://bot:planted-4f1d9c@git.example.com/x";
    for (at, _) in text.match_indices(": ") {
        let end = text[at..].find('\n').map_or(text.len(), |it| at + it);
        for secret in [
            url,
            "{ password: planted-4f1d9c }",
            "[token: planted-4f1d9c",
            "'\n  token: planted-4f1d9c",
        ] {
            let changed = format!("{}: {secret}{}", &text[..at], &text[end..]);
            if let Err(problems) = config::load_text("a.yaml", &changed) {
                assert!(!problems.to_string().contains("4f1d9c"), "{changed}\n{problems}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_slip_of_the_keys_makes_the_loader_panic(
        slips in prop::collection::vec((0..1_000_usize, 0..6_usize, "[ -~\\n\u{e9}]{0,4}"), 1..4),
    ) {
        let mut text: Vec<char> =
            std::fs::read_to_string(root().join("scenarios/by-hand.yaml")).unwrap().chars().collect();
        for (at, removed, added) in slips {
            let at = at % text.len().max(1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, added.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(problems) = config::load_text("a.yaml", &text) {
            let lines = text.lines().count() + 1;
            for problem in &problems {
                let (line, column) = problem.position().unwrap();
                prop_assert!(line <= lines && column >= 1, "{problem}");
            }
        }
    }
}
