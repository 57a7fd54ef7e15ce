//! The README's table of findings is the one that the code has; `UPDATE=1` rewrites it.

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
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).expect("the beginning of the table");
    let (committed, tail) = rest.split_once(END).expect("the end of the table");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{}{END}{tail}", table())).unwrap();
        return;
    }
    assert!(committed == table(), "run `UPDATE=1 cargo test --test it doctor_table` and commit");
}
