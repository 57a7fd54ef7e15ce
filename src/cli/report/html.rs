//! A report as one page that needs nothing beside it: no script, no other file.
//!
//! The bars are drawn to one scale for each scenario: the dark part reaches to the median, the
//! light one to the ninetieth percentile, or to the longest time where that is not known.

use crate::cli::report::words;
use crate::history::report::{Measured, Report, Row, ScenarioReport};
use crate::model::statistics::{Comparison, Time, Verdict};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Width of the bars, in units of the picture.
const WIDTH: f64 = 200.0;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2733; --dim: #5d6b7a; --line: #d9e0e7; --page: #fff;
  --half: #1f6feb; --most: #9ec5fe; --worse: #b42318; --better: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4eaf1; --dim: #93a1b0; --line: #303b47;
  --page: #11171e; --half: #58a6ff; --most: #264a75; --worse: #ff8b80; --better: #56d374; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 75rem; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .25rem; }
p { margin: .25rem 0; } .dim, small { color: var(--dim); }
.scroll { overflow-x: auto; margin-top: .75rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; vertical-align: top; }
th { font-weight: 600; color: var(--dim); } th:first-child, td:first-child, .text { text-align: left; }
th:first-child, td:first-child { padding-left: 0; } th:first-child { width: 14rem; }
.notes { margin-top: 2rem; padding-top: .75rem; border-top: 1px solid var(--line); }
code { font-family: ui-monospace, monospace; }
td small { display: block; white-space: normal; min-width: 9rem; }
svg { display: block; width: 12.5rem; height: 1rem; margin-top: .2rem; }
.half { fill: var(--half); } .most { fill: var(--most); }
ul { list-style: none; margin: .75rem 0 0; padding: 0; } li { padding: .2rem 0; }
.worse { color: var(--worse); } .better { color: var(--better); }
@media (max-width: 40rem) { svg { width: 7rem; } th, td { padding: .3rem .4rem; }
  th:first-child { width: auto; } }
";

/// Draws a report.
pub(super) fn draw(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'";
                title { "hopclock: how long delivery takes" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "How long delivery takes" }
                @for line in words::periods(report) { p { (line) } }
                @if report.scenarios.is_empty() { p { (words::NOTHING) } }
                @for it in &report.scenarios { (scenario(it)) }
                @if !report.scenarios.is_empty() { p.notes { small { (notes()) } } }
            }
        }
    };
    page.into_string() + "\n"
}

fn scenario(report: &ScenarioReport) -> Markup {
    let longest = report.rows.iter().filter_map(|it| end(&it.measured)).fold(0.0, f64::max);
    html! {
        h2 { (report.scenario) }
        p.dim {
            (words::outcomes(&report.outcomes))
            @if let Some(before) = &report.outcomes_before {
                " (before: " (words::outcomes(before)) ")"
            }
        }
        div.scroll {
            table {
                thead {
                    tr {
                        @for (at, title) in words::TITLES.iter().enumerate() {
                            th.text[at == 8] scope="col" { (title) }
                            @if at == 0 { th.text scope="col" { "p50, p90" } }
                        }
                    }
                }
                tbody { @for it in &report.rows { (line(it, longest)) } }
            }
        }
        @if report.rows.iter().any(|it| !words::changes(it).is_empty()) {
            ul { @for it in &report.rows { (changes(it)) } }
        }
    }
}

fn line(row: &Row, longest: f64) -> Markup {
    let cells = words::cells(row);
    let remarks = words::remarks(&row.measured).join(", ");
    html! {
        tr {
            @for (at, cell) in cells.iter().enumerate() {
                td.text[at == 8].dim[cell == "-"] {
                    (cell)
                    @if at == 0 && !remarks.is_empty() { small { (remarks) } }
                }
                @if at == 0 { td.text { (bar(&row.measured, longest)) } }
            }
        }
    }
}

/// How to read the tables.
fn notes() -> Markup {
    html! {
        @for (at, part) in words::HOW.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn bar(measured: &Measured, longest: f64) -> Markup {
    let (Some(half), Some(most)) = (measured.p50, end(measured)) else { return html! {} };
    let width = |it: f64| {
        if longest > 0.0 { format!("{:.1}", it / longest * WIDTH) } else { "0".to_owned() }
    };
    let said = format!("median {}", words::time(half));
    html! {
        svg viewBox={ "0 0 " (WIDTH) " 16" } preserveAspectRatio="none" role="img" aria-label=(said) {
            rect.most x="0" y="2" width=(width(most)) height="12" {}
            rect.half x="0" y="2" width=(width(half.seconds())) height="12" {}
        }
    }
}

/// Where the bar of a row ends.
fn end(measured: &Measured) -> Option<f64> {
    measured.p90.or(measured.max).map(Time::seconds)
}

fn changes(row: &Row) -> Markup {
    let class = match row.median {
        Some(Comparison::Found(it)) => match it.verdict {
            Verdict::Slower => "worse",
            Verdict::Faster => "better",
            Verdict::NoDifference | Verdict::Unknown => "",
        },
        _ => "dim",
    };
    html! {
        @for (percentile, change) in words::changes(row) {
            li { strong { (words::name(row)) } " " (percentile) " " span class=(class) { (change) } }
        }
    }
}
