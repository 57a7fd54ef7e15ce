//! The README says what is true: its scenarios load, its tables are complete, and what it shows of
//! the demo is what the demo prints. `UPDATE=1` pastes a new run of it.

use crate::cli::{hopclock, timeless, told};
use hopclock::config;
use hopclock::model::Outcome;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

const BEGIN: &str = "<!-- demo:begin -->\n";
const END: &str = "<!-- demo:end -->";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

fn readme() -> String {
    fs::read_to_string(path()).unwrap()
}

/// The blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let readme = readme();
    let fence = format!("```{language}\n");
    let parts = readme.split(&fence).skip(1);
    parts.map(|it| it.split("```").next().unwrap().to_owned()).collect()
}

/// The blocks in YAML: objects of Kubernetes, and scenarios.
fn yaml() -> (Vec<String>, Vec<String>) {
    blocks("yaml").into_iter().partition(|it| it.starts_with("apiVersion:"))
}

/// The cells of the rows of the table under a heading.
fn table(heading: &str) -> Vec<Vec<String>> {
    let readme = readme();
    let (_, section) = readme.split_once(&format!("## {heading}\n")).expect(heading);
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|it| it.starts_with('|')).skip(2);
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|it| it.trim().to_owned()).collect();
    rows.map(cells).collect()
}

fn quoted(words: impl IntoIterator<Item = impl AsRef<str>>) -> BTreeSet<String> {
    words.into_iter().map(|it| format!("`{}`", it.as_ref())).collect()
}

#[test]
fn every_scenario_of_the_readme_loads() {
    let (_, scenarios) = yaml();
    assert!(!scenarios.is_empty(), "the README shows no scenario");
    for text in scenarios {
        config::load_text("README.md", &text).unwrap_or_else(|it| panic!("{it}"));
    }
}

#[tokio::test]
async fn the_cron_job_of_the_readme_calls_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let (objects, _) = yaml();
    let jobs = objects.iter().filter(|it| it.contains("kind: CronJob"));
    let mut calls = 0;
    for text in jobs {
        let job: serde_json::Value = serde_saphyr::from_str(text).unwrap();
        let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        let arguments: Vec<_> = pod["containers"][0]["args"].as_array().unwrap().clone();
        let mut arguments: Vec<_> = arguments.iter().map(|it| it.as_str().unwrap()).collect();
        let at = arguments.iter().position(|it| it.starts_with("http://")).unwrap();
        arguments[at] = "http://hopclock.invalid";
        let told = told(hopclock(folder.path(), &arguments)).await;
        // Bad usage would be 2; that nobody is there is 3.
        assert_eq!(told.code, Some(3), "{told:?}");
        calls += 1;
    }
    assert_eq!(calls, 1, "the README shows no CronJob");
}

#[test]
fn the_table_of_hops_has_every_kind_of_hop() {
    let schema = config::schema();
    let kinds = schema["$defs"]["Hop"]["oneOf"].as_array().unwrap();
    let kinds = kinds.iter().map(|it| it["required"][0].as_str().unwrap());
    let rows: BTreeSet<String> = table("Hops").iter().map(|it| it[0].clone()).collect();
    assert_eq!(rows, quoted(kinds));
}

#[test]
fn the_table_of_outcomes_has_every_outcome_with_its_exit_code() {
    let rows = table("Outcomes and exit codes");
    let outcomes: BTreeSet<String> = rows.iter().map(|it| it[0].clone()).collect();
    assert_eq!(outcomes, quoted(Outcome::LABELS));
    for row in &rows {
        let code = match row[0].as_str() {
            "`ok`" => "0",
            "`probe_error`" => "3",
            _ => "1",
        };
        assert_eq!(row[2], code, "{}", row[0]);
    }
}

#[tokio::test]
async fn the_readme_shows_what_the_demo_prints() {
    let folder = tempfile::tempdir().unwrap();
    let told = told(hopclock(folder.path(), &["demo"])).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let block = format!("```text\n$ cargo run -- demo\n{}```\n", told.out);
    let readme = readme();
    let (head, rest) = readme.split_once(BEGIN).expect("the beginning of the demo");
    let (shown, tail) = rest.split_once(END).expect("the end of the demo");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path(), format!("{head}{BEGIN}{block}{END}{tail}")).unwrap();
        return;
    }
    let hint = "run `UPDATE=1 cargo test --test it readme` and commit";
    for (shown, printed) in timeless(shown).lines().zip(timeless(&block).lines()) {
        assert_eq!(shown, printed, "{hint}");
    }
    assert_eq!(shown.lines().count(), block.lines().count(), "{hint}");
}
