//! `hopclock history`: lists past runs, or shows one of them fully.

use crate::cli::args::{HistoryArguments, Output};
use crate::cli::run::paint;
use crate::cli::waterfall::{self, length};
use crate::cli::{Exit, complain, print, state_dir};
use crate::engine::SystemClock;
use crate::history::{Error, Filter, Found, History, RunSummary, Which};
use crate::model::{Evidence, KeptRun};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write;

/// Prints what is asked for.
pub(super) fn history(arguments: &HistoryArguments) -> anyhow::Result<Exit> {
    let path = state_dir::history(arguments.database.db.clone());
    let result = History::open_read_only(&path).and_then(|history| match &arguments.canary {
        Some(canary) => one(&history, arguments, canary),
        None => list(&history, arguments),
    });
    match result {
        Ok(Ok(text)) => print(&text).map(|()| Exit::Delivered),
        Ok(Err(wrong)) => {
            complain(&wrong);
            Ok(Exit::Usage)
        }
        Err(error) => Ok(refuse(&error)),
    }
}

/// Says why a history cannot be read.
pub(super) fn refuse(error: &Error) -> Exit {
    complain(error);
    match error {
        Error::Missing { .. } | Error::Folder { .. } | Error::Foreign { .. } => Exit::Usage,
        _ => Exit::Unmeasured,
    }
}

/// An instant as people read it, to the second.
pub(super) fn when(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The list of runs, or a sentence of what is wrong.
fn list(history: &History, arguments: &HistoryArguments) -> Result<Result<String, String>, Error> {
    let clock = SystemClock::new();
    let filter = Filter {
        scenario: arguments.scenario.clone(),
        outcome: arguments.outcome.clone(),
        since: arguments.since.map(|it| it.instant(&clock)),
        limit: Some(arguments.limit),
        ..Filter::default()
    };
    let runs = history.runs(&filter)?;
    if let Output::Json = arguments.output {
        let lines: Vec<String> = runs.iter().map(|it| as_json(it).to_string() + "\n").collect();
        return Ok(Ok(lines.concat()));
    }
    if !runs.is_empty() {
        return Ok(Ok(table(&runs)));
    }
    let scenarios = history.scenarios()?;
    Ok(Ok(match &arguments.scenario {
        _ if scenarios.is_empty() => "no runs are kept yet\n".to_owned(),
        Some(name) if !scenarios.contains(name) => {
            let kept: Vec<_> = scenarios.iter().map(|it| format!("`{it}`")).collect();
            format!("no runs of `{name}` are kept, only of {}\n", kept.join(", "))
        }
        _ => "no runs that fit are kept\n".to_owned(),
    }))
}

fn table(runs: &[RunSummary]) -> String {
    let title =
        ["started", "scenario", "outcome", "push to live", "slowest stage", "via", "canary"];
    let mut rows = vec![title.map(str::to_owned)];
    rows.extend(runs.iter().map(row));
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = match at {
                3 => write!(line, "{cell:>width$}  "),
                _ => write!(line, "{cell:width$}  "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn row(run: &RunSummary) -> [String; 7] {
    let outcome = match &run.reason {
        Some(reason) if run.outcome != "superseded" => format!("{}: {reason}", run.outcome),
        _ => run.outcome.clone(),
    };
    let total = match (run.outcome.as_str(), run.push_to_apply) {
        ("ok" | "slow", Some(span)) => length(span),
        (_, Some(span)) => format!("> {}", length(span)),
        (_, None) => "-".to_owned(),
    };
    let slowest = run.slowest.as_ref().map_or_else(
        || "-".to_owned(),
        |it| format!("{} {}", at_cluster(&it.hop, &it.target_cluster), length(it.stage)),
    );
    let via = run.via.clone().unwrap_or_else(|| "-".to_owned());
    let started = when(run.cursor.started);
    [started, run.scenario.clone(), outcome, total, slowest, via, run.canary.clone()]
}

/// A hop, with its cluster where that is not our own.
pub(super) fn at_cluster(hop: &str, cluster: &str) -> String {
    if cluster.is_empty() { hop.to_owned() } else { format!("{hop} ({cluster})") }
}

fn as_json(run: &RunSummary) -> Value {
    json!({
        "scenario": run.scenario,
        "canary": run.canary,
        "due": run.due,
        "started": run.cursor.started,
        "ended": run.ended,
        "outcome": run.outcome,
        "reason": run.reason,
        "push_to_apply": run.push_to_apply,
        "slowest": run.slowest.as_ref().map(|it| json!({
            "hop": it.hop,
            "target_cluster": it.target_cluster,
            "stage": it.stage,
        })),
        "via": run.via,
    })
}

/// One run, or a sentence of what is wrong.
fn one(
    history: &History,
    arguments: &HistoryArguments,
    canary: &str,
) -> Result<Result<String, String>, Error> {
    let quoted = |marks: Vec<String>| {
        marks.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
    };
    Ok(match history.run(arguments.scenario.as_deref(), Which::Canary(canary))? {
        Found::One(run) => Ok(match arguments.output {
            Output::Json => json!(run).to_string() + "\n",
            Output::Text => whole(&run),
        }),
        Found::Several(runs) => {
            let name = |it: RunSummary| format!("{} of {}", it.canary, it.scenario);
            let some = quoted(runs.into_iter().map(name).collect());
            Err(format!(
                "`{canary}` could be several runs, such as {some}: say more of it, or `--scenario`"
            ))
        }
        Found::None(near) if near.is_empty() => {
            Err(format!("no run `{canary}` is kept: no runs are"))
        }
        Found::None(near) => {
            Err(format!("no run `{canary}` is kept; near to it are {}", quoted(near)))
        }
    })
}

/// All that is kept of a run.
fn whole(run: &KeptRun) -> String {
    let mut text = waterfall::draw(&run.record, paint());
    let (due, started, ended) = (when(run.due), when(run.record.started), when(run.ended));
    let _ = writeln!(text, "\n  due {due}, started {started}, ended {ended}");
    if !run.evidence.is_empty() {
        text.push_str("\nwhat the objects said\n");
    }
    run.evidence.iter().for_each(|it| tell(&mut text, it));
    if !run.log.is_empty() {
        text.push_str("\nlog\n");
    }
    for line in &run.log {
        let _ = writeln!(text, "  {}  {}", line.at.strftime("%H:%M:%S%.3fZ"), line.text);
    }
    text
}

fn tell(text: &mut String, evidence: &Evidence) {
    let _ = writeln!(text, "  {} at {}", evidence.subject, when(evidence.at));
    for (key, value) in evidence.status.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("conditions", Value::Array(conditions)) => {
                for it in conditions {
                    let part = |key: &str| it[key].as_str().unwrap_or_default();
                    let (name, status) = (part("type"), part("status"));
                    let (reason, message) = (part("reason"), part("message"));
                    let _ = writeln!(text, "    {name}={status}  {reason}: {message}");
                }
            }
            (_, Value::String(it)) => {
                let _ = writeln!(text, "    {key}: {it}");
            }
            _ => {
                let _ = writeln!(text, "    {key}: {value}");
            }
        }
    }
    match &evidence.events {
        None => text.push_str("    its events could not be read\n"),
        Some(events) => {
            for it in events {
                let last = it.last.map(|at| format!("{}  ", when(at))).unwrap_or_default();
                let times =
                    if it.count > 1 { format!(" ({} times)", it.count) } else { String::new() };
                let (sort, reason, message) = (&it.r#type, &it.reason, &it.message);
                let _ = writeln!(text, "    {last}{sort} {reason}: {message}{times}");
            }
        }
    }
}
