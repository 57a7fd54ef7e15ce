//! Draws a run as people read it: one line for each hop, with a bar that says where the time went.

use crate::model::{HopRecord, Outcome, Passage, RunRecord, SloVerdict, Span, Webhook};
use std::fmt::Write;
use std::time::Duration;

/// Width of the bars, in characters.
const WIDTH: usize = 40;

/// How the subject of a listener begins.
const NOTICE: &str = "Notification ";

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
        let _ = match names.as_slice() {
            [] => write!(text, "  called as {}", record.canary),
            names => write!(text, "  pushed {} as {}", record.canary, names.join(", ")),
        };
        let _ = write!(text, ", acknowledged after {}", length(push.took));
        let _ = match push.attempts {
            0 | 1 => writeln!(text),
            n => writeln!(text, " at the {n}th attempt"),
        };
        if !record.hops.is_empty() {
            draw_hops(&mut text, record);
        }
    }
    draw_failure(&mut text, record);
    draw_silence(&mut text, record);
    draw_objectives(&mut text, record);
    draw_usage(&mut text, record);
    if let Some(trace) = record.trace_id {
        let _ = writeln!(text, "  told as trace {trace}");
    }
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
    let outcome = match &record.outcome {
        // The sentence is said on standard error.
        Outcome::ProbeError(error) => format!("could not measure: {}", error.reason),
        other => other.to_string(),
    };
    let outcome = match paint {
        Paint::Colour => format!("\x1b[1;{colour}m{outcome}\x1b[0m"),
        Paint::Plain => outcome,
    };
    match (&record.outcome, record.push_to_apply) {
        (Outcome::Ok | Outcome::Slow, Some(time)) => {
            let is_request = record.push.as_ref().is_some_and(|it| it.revisions.is_empty());
            let way = if is_request { "after the call" } else { "from push to live" };
            format!("{outcome}  {} {way}", length(time))
        }
        (_, Some(time)) => format!("{outcome}  given up after {}", length(time)),
        (_, None) => outcome,
    }
}

/// The cells of a hop's line.
struct Row {
    hop: String,
    at: String,
    bar: String,
    stage: String,
    how: String,
}

fn draw_hops(text: &mut String, record: &RunRecord) {
    let reached = record.hops.iter().filter_map(|it| it.passage.at());
    let end = reached.map(|it| it.most).max().unwrap_or_default();
    let rows: Vec<Row> = record.hops.iter().map(|it| row(it, end)).collect();
    let title = Row::new("hop", "at", String::new(), "stage", "how".to_owned());
    let all = || std::iter::once(&title).chain(&rows);
    let width = |cell: fn(&Row) -> &str| all().map(|it| cell(it).len()).max().unwrap_or(0);
    let (hop, at, stage) = (width(|it| &it.hop), width(|it| &it.at), width(|it| &it.stage));
    text.push('\n');
    for row in all() {
        let Row { hop: name, at: instant, bar, stage: length, how } = row;
        let line = format!("  {name:hop$}  {instant:>at$}  {bar:WIDTH$}  {length:>stage$}  {how}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let legend = legend(record);
    if !legend.is_empty() {
        let _ = writeln!(text, "  {:hop$}  {:at$}  {}", "", "", legend.join("   "));
    }
}

/// What the bars' patterns mean, as far as they occur.
fn legend(record: &RunRecord) -> Vec<&'static str> {
    let stages = || {
        record.hops.iter().filter_map(|it| match it.passage {
            Passage::Reached { stage: Some(_), wait, .. } => Some(wait.is_some()),
            _ => None,
        })
    };
    let mut legend = Vec::new();
    if stages().any(|it| it) {
        legend.push("░ wait  █ work");
    }
    if stages().any(|it| !it) {
        legend.push("▒ both, not told apart");
    }
    legend
}

fn row(hop: &HopRecord, end: Duration) -> Row {
    match &hop.passage {
        Passage::Bypassed => {
            let why = if hop.subject.starts_with(NOTICE) {
                "nobody told, though the change is there"
            } else {
                "not seen, though the change went on"
            };
            let why = why.to_owned();
            Row::new(&hop.hop, "-", why, "", String::new())
        }
        Passage::Unreached => Row::new(&hop.hop, "-", "not reached".to_owned(), "", String::new()),
        Passage::Reached { at, stage, wait, .. } => {
            let length_of_stage = stage.map_or_else(|| "-".to_owned(), length);
            let bar = bar(*at, *stage, *wait, end);
            Row::new(&hop.hop, &length(*at), bar, &length_of_stage, how(hop).join(", "))
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
        notes.push(match webhook {
            Webhook::Ours => "our webhook".to_owned(),
            Webhook::Shared => "a shared webhook".to_owned(),
        });
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

// === impl Row ===

impl Row {
    fn new(hop: &str, at: &str, bar: String, stage: &str, how: String) -> Self {
        Self { hop: hop.to_owned(), at: at.to_owned(), bar, stage: stage.to_owned(), how }
    }
}

fn draw_failure(text: &mut String, record: &RunRecord) {
    if let Some(failure) = &record.failing_since {
        let cleared = matches!(record.outcome, Outcome::Ok | Outcome::Slow);
        let end = if cleared { ", and recovered" } else { "" };
        let (subject, reason, at) = (&failure.subject, &failure.reason, length(failure.at));
        let _ = writeln!(text, "  {subject} failed with {reason} after {at}{end}");
    }
}

/// What to look at where Flux told nobody of a change that is there.
fn draw_silence(text: &mut String, record: &RunRecord) {
    let silent =
        |it: &&HopRecord| it.subject.starts_with(NOTICE) && it.passage == Passage::Bypassed;
    if let Some(hop) = record.hops.iter().find(silent) {
        let listener = hop.subject.trim_start_matches(NOTICE);
        let _ = writeln!(
            text,
            "  no notification came: see that notification-controller runs, that an Alert selects \
             the applier, and that its Provider's address ends in `/notify/{listener}`; one that \
             was refused is counted in `hopclock_notifications_total`, and the log says why"
        );
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

/// Says it if the remote asked for patience: then some of the time before the push was its own.
fn draw_usage(text: &mut String, record: &RunRecord) {
    let _ = match record.usage.throttled {
        0 => Ok(()),
        1 => writeln!(text, "  the remote asked for patience once"),
        n => writeln!(text, "  the remote asked for patience {n} times"),
    };
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
