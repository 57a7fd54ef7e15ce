//! The README's table of metrics is the one that the code has; `UPDATE=1` rewrites it.

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
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).expect("the beginning of the table");
    let (committed, tail) = rest.split_once(END).expect("the end of the table");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{}{END}{tail}", table())).unwrap();
        return;
    }
    assert!(committed == table(), "run `UPDATE=1 cargo test --test it metrics_table` and commit");
}
