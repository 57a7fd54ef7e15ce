//! What a run prints: for people, for programs, on a terminal, into a pipe that is closed.

use crate::cli::exit_codes::records;
use crate::cli::kit::{
    HOPS, SOURCE, Stage, check, has, hopclock, program, scenario, timeless, told,
};
use insta::assert_snapshot;
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

/// Where a line's column of that title ends.
fn end_of(line: &str, part: &str) -> usize {
    let at = line.find(part).unwrap_or_else(|| panic!("no `{part}` in `{line}`"));
    line[..at + part.len()].chars().count()
}

#[tokio::test]
async fn a_waterfall_and_plain_progress_are_printed_where_there_is_no_terminal() {
    let stage = Stage::new().await;
    let told = stage.tell(&["run", stage.scenario(SOURCE, HOPS)]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(!told.out.contains('\u{1b}') && !told.err.contains('\u{1b}'), "{told:?}");
    let title = told.out.lines().find(|it| it.trim_start().starts_with("hop ")).unwrap();
    let (at, stage_at) = (end_of(title, " at"), end_of(title, "stage"));
    let rows: Vec<_> =
        told.out.lines().filter(|it| it.contains(['█', '▒']) && !it.contains("both")).collect();
    assert!(rows.len() >= 3, "bars are missing:\n{}", told.out);
    for row in rows {
        let cell = |end: usize| row.chars().take(end).collect::<String>();
        assert!(cell(at).ends_with(" s") && cell(stage_at).ends_with(" s"), "out of line: {row}");
    }
    let mut progress: Vec<_> = told.err.lines().map(timeless).collect();
    // Which hop is seen first is a matter of microseconds.
    progress[3..].sort();
    let page = format!("{}\n\n{}", timeless(&told.out), progress.join("\n"));
    check(|| assert_snapshot!("output_text", page));
}

/// The keys of a value, with the kinds of what they hold.
fn keys(value: &Value) -> Value {
    match value {
        Value::Object(it) => it.iter().map(|(key, it)| (key.clone(), keys(it))).collect(),
        Value::Array(it) => it.iter().map(keys).collect(),
        Value::Number(_) => "number".into(),
        Value::Bool(_) => "boolean".into(),
        Value::String(_) => "text".into(),
        Value::Null => Value::Null,
    }
}

#[tokio::test]
async fn json_is_one_object_to_a_line_that_reads_back() {
    let stage = Stage::new().await;
    let told = stage.tell(&["run", stage.scenario(SOURCE, HOPS), "--output", "json"]).await;
    let [record] = records(&told.out).try_into().unwrap();
    assert_eq!(record.outcome.as_str(), "ok");
    let value: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(serde_json::to_value(&record).unwrap(), value, "nothing is lost on the way back");
    check(|| {
        assert_snapshot!("output_json_ok", serde_json::to_string_pretty(&keys(&value)).unwrap());
    });
    let lost = stage.scenario("source: flux-system/lost", HOPS);
    let told = stage.tell(&["run", lost, "--output", "json"]).await;
    let mut value: Value = serde_json::from_str(&told.out).unwrap();
    value["started"] = "TIME".into();
    check(|| assert_snapshot!("output_json_error", serde_json::to_string_pretty(&value).unwrap()));
}

#[tokio::test]
async fn a_terminal_gets_moving_lines_and_colours() {
    if !has("script") {
        return;
    }
    let stage = Stage::new().await;
    let file = stage.scenario(SOURCE, HOPS);
    let mut call = stage.call(&[]);
    let line = format!("'{}' run {file}", program().display());
    let mut under = tokio::process::Command::new("script");
    under.args(["-qec", &line, "/dev/null"]).current_dir(stage.folder.path()).env("TERM", "xterm");
    for (key, value) in call.as_std_mut().get_envs() {
        under.env(key, value.unwrap_or_default());
    }
    under.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let told = told(under).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("\u{1b}[1;32mok\u{1b}[0m"), "no colours: {told:?}");
    assert!(told.out.contains("source_fetched     "), "no moving lines: {told:?}");
    assert!(!told.out.contains("canary: opening watches"), "plain lines: {told:?}");
    // What was drawn last is the waterfall: all moving lines are gone from under it.
    let (_, rest) = told.out.split_once("canary  ").unwrap();
    assert!(!rest.contains('⠋') && rest.contains("webhook_received"), "{rest}");
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_ends_the_program_quietly() {
    let stage = Stage::new().await;
    let file = stage.scenario(SOURCE, HOPS);
    for arguments in [["schema"].as_slice(), &["completions", "bash"], &["run", file]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut call = stage.call(arguments);
        call.stdout(writer);
        let told = told(call).await;
        assert_eq!(told.code, Some(0), "{arguments:?}: {told:?}");
        assert!(!told.err.contains("error") && !told.err.contains("panic"), "{told:?}");
    }
}

#[tokio::test]
async fn an_error_that_nobody_can_read_is_an_exit_code_all_the_same() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut call = hopclock(Path::new("."), &["check", "missing.yaml"]);
    call.stderr(writer);
    assert_eq!(told(call).await.code, Some(2));
}

#[tokio::test]
async fn junit_is_one_report_of_all_runs_whatever_became_of_them() {
    let stage = Stage::new().await;
    let file = stage.scenario(SOURCE, HOPS);
    let other = scenario("other", "source: flux-system/nowhere", HOPS);
    let told =
        stage.tell(&["run", file, stage.file("other.yaml", &other), "--output", "junit"]).await;
    assert_eq!(told.code, Some(3), "{told:?}");
    assert!(told.out.starts_with("<?xml") && told.out.ends_with("</testsuites>\n"), "{told:?}");
    for part in [
        "<testsuites name=\"hopclock\" tests=\"",
        "<testsuite name=\"canary\" tests=\"6\" failures=\"0\" errors=\"0\" skipped=\"0\"",
        "<testsuite name=\"other\" tests=\"5\" failures=\"0\" errors=\"1\" skipped=\"4\"",
        "flux-system/nowhere",
    ] {
        assert!(told.out.contains(part), "no `{part}` in {}", told.out);
    }
}
