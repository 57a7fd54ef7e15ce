//! `history` and `report`: what they print of a file, and what they say where there is none.

use crate::cli::kit::{Page, Told, check, hopclock, told};
use crate::history::kit::{delivered, hop, minutes_ago, reached, run, timed_out, write};
use hopclock::model::{Evidence, Outcome, Passage, Usage, Via};
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::path::Path;

/// A hop's name that must be text wherever it is printed.
const HOSTILE: &str = "<script>alert('|')</script>";

/// A file with an hour of runs in which the fetch became slower, and some that went wrong.
async fn file(folder: &Path) {
    let mut runs = Vec::new();
    for number in 0..60 {
        let at = minutes_ago(60 - number);
        let wobble = f64::from(i32::try_from(number * 7 % 10).unwrap()) / 10.0;
        let fetch = if number < 30 { 1.0 + wobble } else { 4.0 + wobble };
        let via = if number % 5 == 0 { Via::Interval } else { Via::Webhook };
        runs.push(delivered("fleet", at, fetch, 2.0 + wobble, via));
    }
    runs[55] = timed_out("fleet", minutes_ago(5));
    runs[55].record.usage = Usage { requests: 11, throttled: 2 };
    runs[55].evidence.push(Evidence {
        subject: "GitRepository flux-system/canary".to_owned(),
        at: minutes_ago(5),
        status: json!({"generation": 3, "conditions": [
            {"type": "Ready", "status": "False", "reason": "GitOperationFailed", "message": "no"},
        ]}),
        events: None,
    });
    let hostile = vec![hop(HOSTILE, reached(1.0, 1.0, None, None)), hop("live", Passage::Bypassed)];
    runs.push(run("other", minutes_ago(7), hostile, Outcome::Ok, 1.0));
    write(&folder.join("history.sqlite"), runs).await;
}

async fn call(folder: &Path, arguments: &[&str]) -> Told {
    let mut call = hopclock(folder, arguments);
    call.env("HOPCLOCK_DB", "history.sqlite");
    told(call).await
}

#[tokio::test]
async fn past_runs_are_listed_and_one_is_shown_fully() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path()).await;
    let mut page = Page::default();
    let failed = timed_out("fleet", minutes_ago(5)).record.canary.to_string();
    for arguments in [
        ["history", "--limit=3"].as_slice(),
        &["history", "--outcome=timeout"],
        &["history", "--scenario=other"],
        &["history", "--scenario=others"],
        &["history", "--since=2027-01-01T00:00:00Z"],
        &["history", &failed],
    ] {
        let told = call(folder.path(), arguments).await;
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{arguments:?}");
        page.add(&arguments.join(" "), told.out.trim_end());
    }
    check(|| assert_snapshot!("past_history", page.text()));
    let told = call(folder.path(), &["history", "--limit=2", "--output=json"]).await;
    let runs: Vec<Value> = told.out.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!((runs.len(), runs[0]["slowest"]["hop"].as_str()), (2, Some("source_fetched")));
    let told = call(folder.path(), &["history", &failed, "--output=json"]).await;
    let one: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(one["evidence"][0]["status"]["generation"], 3);
    assert_eq!(one["record"]["usage"], json!({"requests": 11, "throttled": 2}), "{one}");
}

#[tokio::test]
async fn what_cannot_be_shown_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path()).await;
    std::fs::write(folder.path().join("garbage"), "hello ".repeat(2000)).unwrap();
    let mut page = Page::default();
    for (arguments, code) in [
        (["history", "hopclock-00000000000z"].as_slice(), 2),
        (&["history", "hopclock-"], 2),
        (&["history", "--db=missing"], 2),
        (&["history", "--db=garbage"], 3),
        (&["report", "--db=missing"], 2),
        (&["report", "--compare-since=7d"], 2),
        (&["report", "--since=2026-11-20T00:00:00Z", "--until=2026-11-19T00:00:00Z"], 2),
    ] {
        let told = call(folder.path(), arguments).await;
        assert_eq!((told.code, told.out.as_str()), (Some(code), ""), "{arguments:?}: {told:?}");
        page.add(&arguments.join(" "), told.err.trim_end());
    }
    check(|| assert_snapshot!("past_refused", page.text()));
    let told = told(hopclock(folder.path(), &["history"])).await;
    let default = folder.path().join("home/.local/state/hopclock/history.sqlite");
    assert!(told.err.contains(default.to_str().unwrap()), "{told:?}");
}

#[tokio::test]
async fn a_report_is_the_same_in_all_its_forms() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path()).await;
    let around = ["--around=2026-11-20T11:30:00Z", "--until=2026-11-20T12:00:00Z"];
    for (form, name) in [
        ("text", "past_report_text"),
        ("json", "past_report_json"),
        ("markdown", "past_report_markdown"),
        ("html", "past_report_html"),
    ] {
        let output = format!("--output={form}");
        let told = call(folder.path(), &["report", around[0], around[1], &output]).await;
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{form}");
        if form != "json" {
            assert!(told.out.contains("slower by 3.000 s (95 % CI "), "{form}: {}", told.out);
            assert_eq!(told.out.contains("<script"), form == "text", "{form}");
        }
        check(|| assert_snapshot!(name, told.out));
    }
    let told = call(folder.path(), &["report", "--scenario=fleet"]).await;
    check(|| assert_snapshot!("past_report_one_period", told.out));
}
