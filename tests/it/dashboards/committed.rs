//! The files in `dashboards/` are the ones that the code makes; `UPDATE=1` rewrites them.

use crate::config_broken::root;
use hopclock::dashboard::dashboards;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

const BEGIN: &str = "<!-- panels:begin -->\n";
const END: &str = "<!-- panels:end -->\n";

#[test]
fn the_committed_dashboards_are_those_that_the_code_makes() {
    let folder = root().join("dashboards");
    let made: BTreeMap<String, String> =
        dashboards().iter().map(|it| (format!("{}.json", it.name()), it.text())).collect();
    if std::env::var_os("UPDATE").is_some() {
        for (name, text) in &made {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let files = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path());
    let jsons = files.filter(|it| it.extension().is_some_and(|it| it == "json"));
    let committed: BTreeMap<String, String> = jsons
        .map(|it| {
            let name = it.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&it).unwrap())
        })
        .collect();
    assert!(committed == made, "run `UPDATE=1 cargo test --test it dashboards` and commit");
}

#[test]
fn the_readme_says_of_every_panel_what_it_shows() {
    let mut pages = String::new();
    for board in dashboards() {
        write!(pages, "### {}\n\n{}\n", board.title(), board.description()).unwrap();
        for panel in board.json()["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            if panel["type"] == "row" {
                write!(pages, "\n**{title}**\n\n| panel | what it shows |\n|---|---|\n").unwrap();
            } else {
                let description = panel["description"].as_str().unwrap();
                writeln!(pages, "| {title} | {description} |").unwrap();
            }
        }
        pages.push('\n');
    }
    let path = root().join("dashboards/README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).expect("the beginning of the panels");
    let (committed, tail) = rest.split_once(END).expect("the end of the panels");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{head}{BEGIN}{pages}{END}{tail}")).unwrap();
        return;
    }
    assert!(committed == pages, "run `UPDATE=1 cargo test --test it dashboards` and commit");
}

/// What is applied the other way is kept whole in an annotation, which has no room for it.
#[test]
fn the_readme_makes_a_config_map_that_a_cluster_takes() {
    let readme = fs::read_to_string(root().join("dashboards/README.md")).unwrap();
    let (_, recipe) = readme.split_once("kubectl create configmap").unwrap();
    let (recipe, _) = recipe.split_once("```").unwrap();
    let files = recipe.split("--from-file=").skip(1);
    let files: Vec<_> = files.map(|it| it.split_whitespace().next().unwrap()).collect();
    let made: Vec<_> =
        dashboards().iter().map(|it| format!("dashboards/{}.json", it.name())).collect();
    assert_eq!(files, made);
    let size: usize = dashboards().iter().map(|it| it.text().len()).sum();
    assert!(size < 1_000_000, "{size} bytes are too many for a ConfigMap");
    assert!(recipe.contains("kubectl apply --server-side"), "{recipe}");
}

#[tokio::test]
async fn the_command_writes_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("new/folder");
    let command = tokio::process::Command::new(env!("CARGO_BIN_EXE_hopclock"))
        .args(["dashboards", "--output"])
        .arg(&output)
        .output()
        .await
        .unwrap();
    assert!(command.status.success(), "{command:?}");
    for board in dashboards() {
        let text = fs::read_to_string(output.join(format!("{}.json", board.name()))).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), board.json());
        assert!(text == board.text(), "{}", board.name());
        assert!(String::from_utf8_lossy(&command.stdout).contains(board.description()));
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let command = tokio::process::Command::new(env!("CARGO_BIN_EXE_hopclock"))
        .args(["dashboards", "--output"])
        .arg(file.join("below"))
        .output()
        .await
        .unwrap();
    assert_eq!(command.status.code(), Some(2));
    let said = String::from_utf8(command.stderr).unwrap();
    assert!(said.starts_with("error: cannot make the folder `"), "{said}");
    assert!(command.stdout.is_empty());
}
