//! Who may use whom: arrows point at the pure core, and only there.

use super::scrub::find_token;
use super::tree::{Complaints, File, rust, texts};
use std::collections::HashMap;

/// What each layer may use, itself aside; the same table stands in ARCHITECTURE.md.
const LAYERS: [(&str, &[&str]); 14] = [
    ("model", &[]),
    ("path", &["model"]),
    ("trigger", &["model", "remote"]),
    ("hop", &["model"]),
    ("config", &["model", "trigger", "hop"]),
    ("cluster", &["model"]),
    ("remote", &["model"]),
    ("engine", &["model", "trigger", "hop", "cluster", "remote"]),
    ("history", &["model", "engine"]),
    ("export", &["model", "engine"]),
    ("web", &["model", "history", "export"]),
    ("dashboard", &["model", "export"]),
    ("cli", &ALL),
    ("lib", &ALL),
];

const ALL: [&str; 13] = [
    "model",
    "path",
    "trigger",
    "hop",
    "config",
    "cluster",
    "remote",
    "engine",
    "history",
    "export",
    "web",
    "dashboard",
    "cli",
];

/// What of the engine those may use who write down what it emits.
const PORTS: [&str; 8] =
    ["Batch", "Journal", "Keeper", "Stamped", "Store", "StoreError", "Totals", "Unwritten"];

#[test]
fn layers_use_only_what_the_table_allows() {
    let mut complaints = Complaints::default();
    for file in rust(&["src/"]) {
        let Some(layer) = file.layer() else { continue };
        for (line, used, rest) in uses(&file) {
            let allowed = used == layer || may_use(layer).contains(&used.as_str());
            if !ALL.contains(&used.as_str()) {
                complaints.at(&file, line, &format!("`crate::{used}` is no layer"));
            } else if !allowed {
                complaints.at(&file, line, &format!("{layer} must not use {used}"));
            } else if used == "engine" && ["history", "export"].contains(&layer) && !is_port(&rest)
            {
                let what = format!("{layer} may use only the ports of engine, not `{rest}`");
                complaints.at(&file, line, &what);
            }
        }
        for (line, code, test) in file.code() {
            let depth = depth(&file) + usize::from(test);
            if code.contains(&"super::".repeat(depth)) {
                complaints.at(&file, line, "reaches out of its layer with `super`");
            }
        }
    }
    complaints.none();
}

#[test]
fn every_folder_of_src_is_a_layer() {
    let mut complaints = Complaints::default();
    for file in rust(&["src/"]) {
        let known = match file.layer() {
            Some(layer) => ALL.contains(&layer),
            None => ["src/main.rs", "src/lib.rs"].contains(&file.path.as_str()),
        };
        if !known {
            complaints.at(&file, 1, "lies in no layer of the table");
        }
    }
    complaints.none();
}

#[test]
fn one_use_line_per_module() {
    let mut complaints = Complaints::default();
    for file in rust(&["src/"]) {
        let mut seen: HashMap<(usize, String), usize> = HashMap::new();
        for (line, code, _) in file.code() {
            if code.contains("crate::{") {
                complaints.at(&file, line, "`crate::{..}` hides which layers are used");
            }
            let Some(path) = code.trim_start().strip_prefix("use crate::") else { continue };
            let key = module_of(path);
            let indent = code.len() - code.trim_start().len();
            if let Some(first) = seen.insert((indent, key.clone()), line) {
                complaints.at(
                    &file,
                    line,
                    &format!("`crate::{key}` is already used in line {first}"),
                );
            }
        }
    }
    complaints.none();
}

#[test]
fn the_architecture_page_has_the_same_table() {
    let page = texts().into_iter().find(|it| it.path == "ARCHITECTURE.md").unwrap();
    let table = page.text.split_once("| layer | may use |").expect("a table of layers").1;
    let rows = table.lines().skip(2).take_while(|it| it.starts_with('|'));
    let shown: Vec<String> = rows.map(|row| row.split('|').take(3).collect()).collect();
    let meant = LAYERS.iter().filter(|(layer, _)| *layer != "lib").map(|(layer, uses)| {
        let uses = match *layer {
            "model" => "nothing of ours".to_owned(),
            "cli" => "all".to_owned(),
            "history" | "export" => "model, the ports of engine".to_owned(),
            _ => uses.join(", "),
        };
        format!(" {layer}  {uses} ")
    });
    assert_eq!(shown, meant.collect::<Vec<_>>());
}

fn may_use(layer: &str) -> &'static [&'static str] {
    LAYERS.iter().find(|(name, _)| *name == layer).map_or(&[], |(_, uses)| *uses)
}

/// Each `crate::…` in a file: line, the layer, and what follows it.
fn uses(file: &File) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    for (line, code, _) in file.code() {
        let mut rest = code;
        while let Some(at) = find_token(rest, "crate::") {
            rest = &rest[at + "crate::".len()..];
            let name = first_name(rest);
            let tail = rest[name.len()..].trim_start_matches("::").trim_end_matches(';');
            if !name.is_empty() {
                found.push((line, name, tail.to_owned()));
            }
        }
    }
    found
}

fn is_port(rest: &str) -> bool {
    let names = rest.trim_start_matches('{').split(',').map(|it| first_name(it.trim()));
    names.filter(|it| !it.is_empty()).all(|it| PORTS.contains(&it.as_str()))
}

fn first_name(path: &str) -> String {
    path.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect()
}

/// The module that a `use` takes its names from.
fn module_of(path: &str) -> String {
    let path = path.split('{').next().unwrap_or(path).trim_end_matches("::");
    match path.strip_suffix(';').and_then(|it| it.rsplit_once("::")) {
        Some((module, _)) => module.to_owned(),
        None => path.to_owned(),
    }
}

/// How many times `super` leads from a file's module to the crate's root.
fn depth(file: &File) -> usize {
    let parts = file.path.split('/').count() - 1;
    if file.path.ends_with("/mod.rs") { parts - 1 } else { parts }
}
