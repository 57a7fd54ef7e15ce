//! Draws a run as people read it: one line for each hop, with a bar that says where the time went.

use crate::model::{HopRecord, Outcome, Passage, RunRecord, SloVerdict, Span};
use std::fmt::Write;
use std::time::Duration;

/// Width of the bars, in characters.
const WIDTH: usize = 40;

/// Whether to paint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    /// With the colours of a terminal.
    Colour,
    /// Plain text.
    Plain,
}

/// Draws a run.
pub(super) fn draw(record: &RunRecord, paint: Paint) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}  {}", record.scenario, headline(record, paint));
    if let Some(push) = &record.push {
        let names: Vec<String> = push.revisions.iter().map(ToString::to_string).collect();
        let _ = write!(text, "  pushed {} as {}", record.canary, names.join(", "));
        let _ = write!(text, ", acknowledged after {}", length(push.took));
        let _ = match push.attempts {
            0 | 1 => writeln!(text),
            n => writeln!(text, " at the {n}th attempt"),
        };
        draw_hops(&mut text, record);
    }
    draw_failure(&mut text, record);
    draw_objectives(&mut text, record);
    text
}

/// The outcome and, where there is one, the time.
fn headline(record: &RunRecord, paint: Paint) -> String {
    let colour = match &record.outcome {
        Outcome::Ok => "32",
        Outcome::Slow | Outcome::Superseded { .. } | Outcome::Skipped(_) => "33",
        Outcome::Failed { .. } | Outcome::Timeout => "31",
        Outcome::ProbeError(_) => "35",
    };
    let outcome = record.outcome.to_string();
    let outcome = match paint {
        Paint::Colour => format!("\x1b[1;{colour}m{outcome}\x1b[0m"),
        Paint::Plain => outcome,
    };
    match (&record.outcome, record.push_to_apply) {
        (Outcome::Ok | Outcome::Slow, Some(time)) => {
            format!("{outcome}  {} from push to live", length(time))
        }
        (_, Some(time)) => format!("{outcome}  given up after {}", length(time)),
        (_, None) => outcome,
    }
}

fn draw_hops(text: &mut String, record: &RunRecord) {
    let name = record.hops.iter().map(|it| it.hop.len()).max().unwrap_or(0).max(4);
    let reached = record.hops.iter().filter_map(|it| it.passage.at());
    let end = reached.map(|it| it.most).max().unwrap_or_default();
    let _ = writeln!(text);
    let _ = writeln!(text, "  {:name$}  {:>9}  {:WIDTH$}  {:>9}  how", "hop", "at", "", "stage");
    for hop in &record.hops {
        let _ = writeln!(text, "{}", hop_line(hop, name, end).trim_end());
    }
    let split = |it: &HopRecord| matches!(it.passage, Passage::Reached { wait: Some(_), .. });
    let whole = |it: &HopRecord| matches!(it.passage, Passage::Reached { wait: None, .. });
    let mut legend = Vec::new();
    if record.hops.iter().any(split) {
        legend.push("░ wait  █ work");
    }
    if record.hops.iter().any(whole) {
        legend.push("▒ wait and work, not told apart");
    }
    if !legend.is_empty() {
        let _ = writeln!(text, "  {:name$}  {:>9}  {}", "", "", legend.join("  "));
    }
}

fn hop_line(hop: &HopRecord, name: usize, end: Duration) -> String {
    let missing = |why: &str| format!("  {:name$}  {:>9}  {why}", hop.hop, "-");
    match &hop.passage {
        Passage::Bypassed => missing("not seen, though the change went on"),
        Passage::Unreached => missing("not reached"),
        Passage::Reached { at, stage, wait, .. } => {
            let bar = bar(*at, *stage, *wait, end);
            let stage = stage.map_or_else(|| "-".to_owned(), length);
            let how = how(hop).join(", ");
            format!("  {:name$}  {:>9}  {bar:WIDTH$}  {stage:>9}  {how}", hop.hop, length(*at))
        }
    }
}

/// What is worth saying of a hop that was reached.
fn how(hop: &HopRecord) -> Vec<String> {
    let Passage::Reached { wait, early, reordered, uncertain, via, webhook, carried_by, .. } =
        &hop.passage
    else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    if let Some(via) = via {
        notes.push(format!("via {}", via.as_str()));
    }
    if let Some(wait) = wait {
        notes.push(format!("waited {}", length(*wait)));
    }
    if let Some(webhook) = webhook {
        notes.push(format!("{} webhook", webhook.as_str()));
    }
    if let Some(by) = carried_by {
        notes.push(format!("carried by {}", by.get(..10).filter(|_| by.len() >= 40).unwrap_or(by)));
    }
    let marks = [
        (*early, "early"),
        (*reordered, "before a hop that should come first"),
        (*uncertain, "uncertain"),
        (hop.reverted, "lost again"),
    ];
    notes.extend(marks.into_iter().filter(|it| it.0).map(|it| it.1.to_owned()));
    notes
}

/// The bar of a stage: where it began and ended, and how much of it was waiting.
fn bar(at: Span, stage: Option<Span>, wait: Option<Span>, end: Duration) -> String {
    let column = |time: Duration| {
        let (width, whole) = (WIDTH as u128, end.as_nanos().max(1));
        let column = (time.as_nanos() * width + whole / 2) / whole;
        usize::try_from(column).map_or(WIDTH, |it| it.min(WIDTH))
    };
    let Some(stage) = stage else { return String::new() };
    let start = column(at.most.saturating_sub(stage.most)).min(WIDTH - 1);
    let stop = column(at.most).max(start + 1);
    let turn =
        wait.map(|it| column(at.most.saturating_sub(stage.most) + it.most).clamp(start, stop));
    let (waits, works) = match turn {
        Some(turn) => ("░".repeat(turn - start), "█".repeat(stop - turn)),
        None => (String::new(), "▒".repeat(stop - start)),
    };
    format!("{}{waits}{works}", " ".repeat(start))
}

fn draw_failure(text: &mut String, record: &RunRecord) {
    if let Some(failure) = &record.failing_since {
        let cleared = matches!(record.outcome, Outcome::Ok | Outcome::Slow);
        let end = if cleared { ", and recovered" } else { "" };
        let (subject, reason, at) = (&failure.subject, &failure.reason, length(failure.at));
        let _ = writeln!(text, "  {subject} failed with {reason} after {at}{end}");
    }
}

fn draw_objectives(text: &mut String, record: &RunRecord) {
    for slo in &record.slo {
        let verdict = match slo.verdict {
            SloVerdict::Good => "met",
            SloVerdict::Bad => "missed",
            SloVerdict::Unknown => "not known to be met or missed",
        };
        let _ = writeln!(text, "  objective `{}` {verdict}", slo.slo);
    }
}

/// A length as people read it, with its bounds where it is uncertain.
pub(super) fn length(span: Span) -> String {
    let one = |it: Duration| {
        let seconds = it.as_secs_f64();
        if seconds < 10.0 { format!("{seconds:.3} s") } else { format!("{seconds:.1} s") }
    };
    if span.is_exact() {
        one(span.most)
    } else {
        format!("{}..{}", one(span.least).trim_end_matches(" s"), one(span.most))
    }
}
