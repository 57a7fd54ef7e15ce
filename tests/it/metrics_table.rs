//! The README's table of metrics is the one that the code has; `UPDATE=1` rewrites it.

use crate::readme_table;
use hopclock::export::reference;
use std::fmt::Write;

const BEGIN: &str = "<!-- metrics:begin -->\n";
const END: &str = "<!-- metrics:end -->\n";

fn table() -> String {
    let mut table = String::from("| metric | type | labels | what it says |\n|---|---|---|---|\n");
    for metric in reference() {
        let (kind, labels) = (metric.kind.as_str(), metric.labels.join(", "));
        writeln!(table, "| `{}` | {kind} | {labels} | {} |", metric.name, metric.help).unwrap();
    }
    table
}

#[test]
fn the_readme_lists_every_metric_with_its_labels() {
    readme_table::check((BEGIN, END), &table(), "metrics_table");
}
