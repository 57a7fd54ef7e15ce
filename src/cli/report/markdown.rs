//! A report as issues and wikis show it.

use crate::cli::report::words;
use crate::history::report::{Report, ScenarioReport};
use std::fmt::Write;

/// Draws a report.
pub(super) fn draw(report: &Report) -> String {
    let mut text = "# How long delivery takes\n\n".to_owned();
    for line in words::periods(report) {
        let _ = writeln!(text, "- {line}");
    }
    if report.scenarios.is_empty() {
        let _ = writeln!(text, "\n{}", words::NOTHING);
        return text;
    }
    report.scenarios.iter().for_each(|it| scenario(&mut text, it));
    let _ = writeln!(text, "\n{}", words::HOW);
    text
}

fn scenario(text: &mut String, report: &ScenarioReport) {
    let _ = writeln!(text, "\n## {}\n", plain(&report.scenario));
    let _ = write!(text, "{}", words::outcomes(&report.outcomes));
    let _ = match &report.outcomes_before {
        Some(before) => writeln!(text, " (before: {})", words::outcomes(before)),
        None => writeln!(text),
    };
    let _ = writeln!(text, "\n| {} | also |", words::TITLES.join(" | "));
    let _ = writeln!(text, "|---|--:|--:|--:|--:|--:|--:|--:|---|---|");
    for row in &report.rows {
        let cells = words::cells(row).map(|it| plain(&it));
        let remarks = words::remarks(&row.measured).join(", ");
        let _ = writeln!(text, "| {} | {remarks} |", cells.join(" | "));
    }
    let changes = report.rows.iter().flat_map(|row| {
        let name = plain(&words::name(row));
        words::changes(row).into_iter().map(move |it| (name.clone(), it))
    });
    let changes: Vec<_> = changes.collect();
    if !changes.is_empty() {
        let _ = writeln!(text, "\n| stage | | change |\n|---|---|---|");
    }
    for (name, (percentile, change)) in changes {
        let _ = writeln!(text, "| {name} | {percentile} | {} |", plain(&change));
    }
}

/// A text that means nothing but itself: no HTML, no other cell, no markup.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for it in text.chars() {
        match it {
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            '|' | '`' | '*' | '[' | ']' | '\\' | '#' | '~' => {
                plain.push('\\');
                plain.push(it);
            }
            it if it.is_control() => plain.push(' '),
            it => plain.push(it),
        }
    }
    plain
}
