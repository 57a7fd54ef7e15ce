//! The README's table of findings is the one that the code has; `UPDATE=1` rewrites it.

use crate::readme_table;
use hopclock::path::checkup::CHECKS;
use std::fmt::Write;

const BEGIN: &str = "<!-- findings:begin -->\n";
const END: &str = "<!-- findings:end -->\n";

fn table() -> String {
    let mut table = String::from("| finding | severity | when |\n|---|---|---|\n");
    for check in CHECKS {
        writeln!(table, "| `{}` | {} | {} |", check.id, check.severity.as_str(), check.when)
            .unwrap();
    }
    table
}

#[test]
fn the_readme_lists_every_finding_of_the_doctor() {
    readme_table::check((BEGIN, END), &table(), "doctor_table");
}
