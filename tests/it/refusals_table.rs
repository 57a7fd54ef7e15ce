//! The README's table of refusals is the one that the code has; `UPDATE=1` rewrites it. Each of its
//! reasons is asserted of a run of the program, not only of the function that gives it.

use crate::readme_table;
use hopclock::path::delivery::REASONS;
use std::fmt::Write;
use std::path::{Path, PathBuf};

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
    readme_table::check((BEGIN, END), &table(), "refusals_table");
}

#[test]
fn p7_every_reason_is_asserted_of_a_whole_run() {
    let runs = whole_runs();
    assert!(runs.len() > 20, "only {} tests of rules run the program", runs.len());
    for (reason, _) in REASONS {
        assert!(
            runs.iter().any(|body| asserts(body, reason)),
            "no test of a rule runs the program and says `refused_for(\"{reason}\", …)`"
        );
    }
}

#[test]
fn a_reason_that_is_only_named_is_asserted_by_nobody() {
    let test = |body: &str| {
        let source = format!("#[tokio::test]\nasync fn p7_a() {{\n{body}\n}}\n");
        asserts(&bodies(&source).unwrap()[0], "ignored")
    };
    assert!(test("    course.refused_for(\n        \"ignored\",\n        SOURCE,\n    ).await;"));
    let table = |it: &str| {
        format!(
            "    for (reason, patch) in [\n        ({it}, a()),\n    ] {{\n        {{}}\n    }}"
        )
    };
    let checked = |it: &str| table(it).replace("{}", "course.refused_for(reason, b()).await;");
    assert!(test(&checked("\"ignored\"")));
    assert!(!test(&checked("\"ignored or not\"")));
    assert!(!test(&table("\"ignored\"")), "the table is not asked of anybody");
    assert!(!test("    // course.refused_for(\"ignored\").await;\n    course.delivered().await;"));
    assert!(!test("    course.refused(\"ignored\").await;"));
    let unruly =
        "#[tokio::test]\nasync fn an_object() {\n    a.refused_for(\"ignored\").await;\n}\n";
    assert_eq!(bodies(unruly).unwrap(), Vec::<String>::new(), "its name is of no rule");
}

/// The tests of rules that run the program, without comments and white space.
fn whole_runs() -> Vec<String> {
    let tests = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it"));
    let named = |folder: PathBuf, begins: &'static str| {
        let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
        files.filter(move |it| {
            let name = it.file_stem().unwrap().to_str().unwrap();
            name.starts_with(begins) && it.extension().is_some_and(|it| it == "rs")
        })
    };
    let files = named(tests.to_owned(), "e2e_").chain(named(tests.join("cli"), ""));
    let read = |it: PathBuf| bodies(&std::fs::read_to_string(it).unwrap()).unwrap();
    files.flat_map(read).collect()
}

/// The bodies of the tests of a file whose names begin with a rule; none if one has no end.
fn bodies(source: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for test in source.split("\n#[tokio::test").skip(1).chain(source.strip_prefix("#[tokio::test"))
    {
        let (_, test) = test.split_once("async fn ")?;
        let (name, body) = test.split_once('(')?;
        let (body, _) = body.split_once("\n}\n")?;
        let (rule, _) = name.split_once('_')?;
        let is_rule = rule
            .strip_prefix(['o', 'p', 's', 't'])
            .is_some_and(|it| !it.is_empty() && it.chars().all(|it| it.is_ascii_digit()));
        if is_rule {
            let lines = body.lines().filter(|it| !it.trim_start().starts_with("//"));
            found.push(lines.flat_map(str::split_whitespace).collect());
        }
    }
    Some(found)
}

/// Whether a test says of a run that it was refused for this reason: by itself, or for each line of
/// a table that begins with it.
fn asserts(body: &str, reason: &str) -> bool {
    let loops = body.match_indices("for(reason,").map(|it| body.split_at(it.0));
    let mut tables = loops.filter(|it| !it.0.ends_with('_')).filter_map(|it| it.1.split_once("]{"));
    let of_a_table = tables.any(|(table, then)| {
        table.contains(&format!("(\"{reason}\",")) && then.contains(".refused_for(reason")
    });
    of_a_table || body.contains(&format!(".refused_for(\"{reason}\""))
}
