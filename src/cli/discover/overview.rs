//! What there is, in a table: each path, what changes it, how fast it may be, and what is missing.

use crate::cli::discover::Drafted;
use crate::model::Duration;
use crate::path::{Consented, Graph};
use std::fmt::Write;

/// Heads of the columns.
const HEADS: [&str; 5] = ["TARGET", "TRIGGER", "SOURCE", "WITHIN", "CONSENT"];

/// The table, and how to go on.
pub(super) fn show(graph: &Graph, drafted: &[Drafted]) -> String {
    let mut text = String::new();
    let absent: Vec<_> = graph.snapshot().absent().map(|it| it.kind.as_str()).collect();
    if drafted.is_empty() {
        let _ = writeln!(text, "There is no Kustomization, HelmRelease or ImagePolicy to be seen.");
    } else {
        text.push_str(&table(drafted));
    }
    if !absent.is_empty() {
        let _ = writeln!(text, "\nNot installed: {}.", absent.join(", "));
    }
    if !drafted.is_empty() {
        text.push_str(
            "\nA scenario for one of them: hopclock discover --kustomization NAMESPACE/NAME\n\
             (or --helm-release, --image-policy); for each: hopclock discover --all --output FOLDER\n",
        );
    }
    text
}

fn table(drafted: &[Drafted]) -> String {
    let row = |(target, draft): &Drafted| match draft {
        Ok(it) => [
            target.to_string(),
            it.trigger.to_owned(),
            it.lane.to_string(),
            Duration(it.times.within).to_string(),
            match &it.consent {
                Consented::Given => "given".to_owned(),
                Consented::Missing(_) => "missing".to_owned(),
                Consented::Other(instance) => format!("to `{instance}`"),
            },
        ],
        Err(why) => [
            target.to_string(),
            String::new(),
            format!("none: {why}"),
            String::new(),
            String::new(),
        ],
    };
    let rows: Vec<_> =
        std::iter::once(HEADS.map(str::to_owned)).chain(drafted.iter().map(row)).collect();
    let short = |it: &&[String; 5]| !it[1].is_empty();
    let width = |column: usize| {
        let all = rows.iter().filter(|it| column == 0 || short(it));
        all.map(|it| it[column].chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..HEADS.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
