//! The README's table of refusals is the one that the code has; `UPDATE=1` rewrites it.

use hopclock::path::delivery::REASONS;
use std::fmt::Write;

const BEGIN: &str = "<!-- refusals:begin -->\n";
const END: &str = "<!-- refusals:end -->\n";

fn table() -> String {
    let mut table = String::from("| reason | when |\n|---|---|\n");
    for (reason, when) in REASONS {
        writeln!(table, "| `{reason}` | {when} |").unwrap();
    }
    table
}

#[test]
fn p7_the_readme_lists_every_reason_for_which_nothing_is_pushed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).expect("the beginning of the table");
    let (committed, tail) = rest.split_once(END).expect("the end of the table");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{}{END}{tail}", table())).unwrap();
        return;
    }
    assert!(committed == table(), "run `UPDATE=1 cargo test --test it refusals_table` and commit");
}

#[test]
fn p7_every_reason_is_met_by_a_whole_run() {
    let runs = concat!(
        include_str!("cli/delivery.rs"),
        include_str!("e2e_image.rs"),
        include_str!("e2e_bucket.rs"),
        include_str!("e2e_chart.rs"),
        include_str!("e2e_oci_failures.rs")
    );
    for (reason, _) in REASONS {
        assert!(runs.contains(&format!("\"{reason}\"")), "no run ends with `{reason}`");
    }
}
