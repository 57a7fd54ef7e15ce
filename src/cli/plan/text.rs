//! A plan as people read it: a line for each wait, then what becomes of the objectives.

use crate::model::Duration;
use crate::path::plan::{By, Case, Plan, Stage, Sum, Wait, shown};
use std::fmt::Write;

/// Draws a plan.
pub(super) fn draw(scenario: &str, plan: &Plan) -> String {
    let mut text = String::new();
    let totals: Vec<_> = plan.total.iter().map(|it| total(it.0, it.1.as_ref())).collect();
    let _ = match plan.end.as_str() {
        "" => writeln!(text, "{scenario}  no hop waits for a change\n"),
        end => writeln!(text, "{scenario}  waits from push to {end}: {}\n", totals.join("; ")),
    };
    table(&mut text, &hops(plan));
    let sums = plan.total.iter().any(|it| it.1.as_ref().is_some_and(|it| !it.worst().is_zero()));
    if sums {
        text.push('\n');
        table(&mut text, &sums_of(plan));
    }
    text.push_str(
        "\n  What fetching, building and applying take comes on top: a plan cannot know it.\n",
    );
    for it in &plan.verdicts {
        for case in &it.cases {
            let (within, share) = (Duration(it.within), share(it.objective));
            let _ = writeln!(
                text,
                "  objective `{}`, {share} within {within}: {}",
                it.slo, case.sentence
            );
        }
    }
    for it in &plan.warnings {
        let _ = writeln!(text, "  note: {it}");
    }
    text.push('\n');
    text
}

/// What a case comes to.
fn total(case: Case, sum: Option<&Sum>) -> String {
    let given = match case {
        Case::Plain => "",
        Case::Webhooks => "with webhooks ",
        Case::Lost => "without ",
    };
    match sum {
        None => format!("{given}not to be planned"),
        Some(it) if it.worst().is_zero() => format!("{given}none"),
        Some(it) => {
            let (expected, worst) = (shown(it.expected()), shown(it.worst()));
            format!("{given}{expected} expected, {worst} at worst")
        }
    }
}

/// A line for each wait; a hop's name stands before its first.
fn hops(plan: &Plan) -> Vec<[String; 5]> {
    let heads = ["hop", "expected", "worst", "woken by", "why"];
    let mut rows = vec![heads.map(str::to_owned)];
    for hop in &plan.hops {
        let mut name = hop.name.clone();
        for stage in &hop.stages {
            let cell = |length: fn(Wait) -> std::time::Duration| {
                stage.wait.map_or_else(|| "?".to_owned(), |it| shown(length(it)))
            };
            let row = [cell(Wait::expected), cell(Wait::worst), stage.by.as_str().to_owned()];
            let [expected, worst, by] = row;
            rows.push([
                std::mem::take(&mut name),
                expected,
                worst,
                by,
                why(stage, hop.stages.len()),
            ]);
            if let Some(lost) = stage.lost {
                let (expected, worst) = (shown(lost.expected()), shown(lost.worst()));
                let every = stage.interval.map(shown).unwrap_or_default();
                let why = format!("if that is lost: it looks every {every}");
                let by = By::Interval.as_str().to_owned();
                rows.push([String::new(), expected, worst, by, why]);
            }
        }
    }
    rows
}

/// Why a wait ends; with the object, where the hop has others before it.
fn why(stage: &Stage, stages: usize) -> String {
    if stages > 1 { format!("{}: {}", stage.subject, stage.why) } else { stage.why.clone() }
}

/// The distribution of the whole.
fn sums_of(plan: &Plan) -> Vec<[String; 5]> {
    let mut rows = vec![["all waits", "expected", "95%", "99%", "worst"].map(str::to_owned)];
    for (case, sum) in &plan.total {
        let name = match case {
            Case::Plain => "",
            Case::Webhooks => "webhooks arrive",
            Case::Lost => "webhooks are lost",
        };
        if let Some(it) = sum {
            let lengths = [it.expected(), it.quantile(0.95), it.quantile(0.99), it.worst()];
            let [expected, most, nearly, worst] = lengths.map(shown);
            rows.push([name.to_owned(), expected, most, nearly, worst]);
        }
    }
    rows
}

fn table(text: &mut String, rows: &[[String; 5]]) {
    let width = |column: usize| rows.iter().map(|it| it[column].chars().count()).max().unwrap_or(0);
    let [first, second, third, fourth, _] = [0, 1, 2, 3, 4].map(width);
    for [name, one, two, three, four] in rows {
        let line =
            format!("  {name:first$}  {one:>second$}  {two:>third$}  {three:fourth$}  {four}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// A share as scenarios have it.
fn share(share: f64) -> String {
    let percent = format!("{:.3}", share * 100.0);
    format!("{}%", percent.trim_end_matches('0').trim_end_matches('.'))
}
