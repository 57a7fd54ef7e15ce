//! A report as a terminal shows it.

use crate::cli::report::words;
use crate::history::report::{Report, ScenarioReport};
use std::fmt::Write;

/// Draws a report.
pub(super) fn draw(report: &Report) -> String {
    let mut text = words::periods(report).join("\n") + "\n";
    if report.scenarios.is_empty() {
        let _ = writeln!(text, "{}", words::NOTHING);
        return text;
    }
    report.scenarios.iter().for_each(|it| scenario(&mut text, it));
    text
}

fn scenario(text: &mut String, report: &ScenarioReport) {
    let _ = write!(text, "\n{}  {}", report.scenario, words::outcomes(&report.outcomes));
    let _ = match &report.outcomes_before {
        Some(before) => writeln!(text, "  (before: {})\n", words::outcomes(before)),
        None => writeln!(text, "\n"),
    };
    let mut rows = vec![words::TITLES.map(str::to_owned)];
    rows.extend(report.rows.iter().map(words::cells));
    let width = |at: usize| rows.iter().map(|it| it[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..words::TITLES.len()).map(width).collect();
    for row in &rows {
        let mut line = String::from("  ");
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match at {
                0 | 8 => write!(line, "{cell:width$}  "),
                _ => write!(line, "{cell:>width$}  "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for row in &report.rows {
        let remarks = words::remarks(&row.measured);
        if !remarks.is_empty() {
            let _ = writeln!(text, "  {}: {}", words::name(row), remarks.join(", "));
        }
    }
    let changes: Vec<_> =
        report.rows.iter().map(|it| (words::name(it), words::changes(it))).collect();
    if changes.iter().any(|it| !it.1.is_empty()) {
        text.push('\n');
    }
    for (name, changes) in changes {
        for (percentile, change) in changes {
            let _ = writeln!(text, "  {name:first$}  {percentile} {change}", first = widths[0]);
        }
    }
}
