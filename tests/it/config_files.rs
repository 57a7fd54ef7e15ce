//! Scenario files as a whole: the examples, directories, and what is no scenario at all.

use crate::config_broken::{broken, root, yaml_files};
use hopclock::config;
use std::fs;
use std::path::Path;

const GOOD: &str = "name: good\ndeadline: 5m\ntrigger: { git_commit: { source: a/b, path: c } }\n\
                    hops: [{ live: { config_map: a/b } }]\n";

/// The message about a file of these bytes, with the directory cut off.
fn message(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    fs::write(&file, bytes).unwrap();
    said(&config::load(&[&file]).unwrap_err(), folder.path())
}

fn said(problems: &config::Problems, folder: &Path) -> String {
    problems.to_string().replace(&format!("{}/", folder.display()), "")
}

#[test]
fn every_example_is_a_good_scenario_of_its_files_name() {
    let files = yaml_files(&root().join("scenarios"));
    assert!(files.len() >= 6, "{files:?}");
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let first = text.lines().next().unwrap();
        assert_eq!(first, "# yaml-language-server: $schema=scenario.schema.json", "{file:?}");
    }
    let scenarios = config::load(&files).unwrap_or_else(|it| panic!("{it}"));
    for (scenario, file) in scenarios.iter().zip(&files) {
        assert_eq!(Some(scenario.name.as_str()), file.file_stem().and_then(|it| it.to_str()));
        assert!(!scenario.description.is_empty(), "{file:?} says nothing of what it shows");
    }
    assert_eq!(config::load_dir(&root().join("scenarios")).unwrap(), scenarios);
}

#[test]
fn all_files_of_a_directory_are_judged_in_one_go() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), GOOD.replace("5m", "0s").replace("hops", "hop"))
        .unwrap();
    fs::write(folder.path().join("b.yml"), GOOD.replace("5m", "0s").replace("path: c", "path: /c"))
        .unwrap();
    fs::write(folder.path().join("c.yaml"), GOOD).unwrap();
    fs::write(folder.path().join("d.yaml"), GOOD).unwrap();
    fs::write(folder.path().join("notes.txt"), "no scenario").unwrap();
    let problems = config::load_dir(folder.path()).unwrap_err();
    insta::assert_snapshot!(said(&problems, folder.path()), @r"
    a.yaml:4:1: `hop` is no key here: did you mean `hops`?
      4 | hop: [{ live: { config_map: a/b } }]
        | ^
    b.yml:2:11: `deadline` must be longer than 0s
      2 | deadline: 0s
        |           ^
    b.yml:3:45: `path` is absolute: write it relative to the repository's root, as `canary/a.yaml`
      3 | trigger: { git_commit: { source: a/b, path: /c } }
        |                                             ^
    d.yaml:1:7: a scenario `good` stands in c.yaml too: give each its own `name`
      1 | name: good
        |       ^
    ");
    assert_eq!(problems.count(), 4);
}

#[test]
fn every_broken_scenario_is_found_in_one_go() {
    let files: Vec<_> = broken().into_iter().map(|it| it.1).collect();
    let problems = config::load(&files).unwrap_err();
    for file in files {
        let name = file.display().to_string();
        assert!(problems.iter().any(|it| it.file() == name), "{name}");
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_read() {
    let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    assert_eq!(config::load_text("a.yaml", &text).unwrap().name, "good");
    let problems = config::load_text("a.yaml", &text.replace("name", "nam")).unwrap_err();
    insta::assert_snapshot!(problems, @r"
    a.yaml:1:1: `nam` is no key here: did you mean `name`?
      1 | nam: good
        | ^
    ");
}

#[test]
fn anchors_and_merges_are_read() {
    let text = "name: good\ndeadline: &long 5m\n\
                trigger: { git_commit: { source: a/b, path: c } }\n\
                hops:\n\
                - &first { live: { config_map: a/b }, within: *long }\n\
                - { <<: *first, name: second, within: 1m }\n";
    let scenario = config::load_text("a.yaml", text).unwrap();
    let within: Vec<_> = scenario.hops.iter().map(|it| it.within.unwrap().as_secs()).collect();
    assert_eq!(within, [300, 60]);
}

#[test]
fn a_mistake_in_merged_keys_is_shown_where_it_was_written() {
    let text = "name: good\ndeadline: 5m\n\
                trigger: { git_commit: { source: a/b, path: c } }\n\
                hops:\n\
                - &first { live: { config_map: a/b }, within: 6m }\n\
                - { <<: *first, name: second }\n";
    let problems = config::load_text("a.yaml", text).unwrap_err();
    assert!(problems.iter().all(|it| it.position() == Some((5, 47))), "{problems}");
}

#[test]
fn what_is_no_scenario_gets_one_clear_sentence() {
    let sentences = [message(b"name: \xff\n"), message(&vec![b'#'; 2 << 20])];
    insta::assert_snapshot!(sentences.join("\n"), @r"
    a.yaml: is not UTF-8 from byte 7 on: save it as UTF-8
    a.yaml: is larger than 1048576 bytes, which no scenario is
    ");
}

#[test]
fn a_directory_and_a_missing_file_are_said_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.yaml");
    let inner = folder.path().join("inner.yaml");
    fs::create_dir(&inner).unwrap();
    let problems = config::load(&[&missing, &inner]).unwrap_err();
    insta::assert_snapshot!(said(&problems, folder.path()), @r"
    missing.yaml: cannot be read: there is no such file, check its path
    inner.yaml: is a directory: name the scenario files in it
    ");
    assert_eq!(problems.count(), 2);
}

#[test]
fn a_directory_without_scenarios_is_said_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let problems = config::load_dir(folder.path()).unwrap_err();
    assert!(problems.to_string().contains("holds no YAML files"), "{problems}");
    let problems = config::load_dir(&folder.path().join("missing")).unwrap_err();
    assert!(problems.to_string().contains("check its path"), "{problems}");
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_said_as_such() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    fs::write(&file, GOOD).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    // Whoever may read everything reads this, too.
    match config::load(&[&file]) {
        Ok(scenarios) => assert_eq!(scenarios[0].name, "good"),
        Err(problems) => assert!(problems.to_string().contains("check its mode"), "{problems}"),
    }
}
