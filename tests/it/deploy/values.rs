//! Every value is said in the schema and in the chart's README, and what the chart copies is the same.

use crate::deploy::{chart, folder};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

const BEGIN: &str = "<!-- values:begin -->\n";
const END: &str = "<!-- values:end -->\n";

/// A value of the chart: its name, its default, and what its comment says.
struct Said {
    name: String,
    default: String,
    comment: String,
}

/// The values as `values.yaml` says them: a comment, and a key below it.
fn said() -> Vec<Said> {
    let text = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let (mut all, mut path, mut comment) =
        (Vec::<Said>::new(), Vec::<String>::new(), String::new());
    for line in text.lines() {
        let bare = line.trim_start();
        if let Some(more) = bare.strip_prefix("# ") {
            more.clone_into(&mut comment);
            continue;
        }
        let depth = (line.len() - bare.len()) / 2;
        let Some((key, default)) = bare.split_once(':').filter(|it| !it.0.contains(['-', ' ']))
        else {
            comment.clear();
            continue;
        };
        path.truncate(depth);
        path.push(key.to_owned());
        let is_value = !default.trim().is_empty() || !comment.is_empty();
        let is_part = all.iter().any(|it| path.join(".").starts_with(&format!("{}.", it.name)));
        if is_value && !is_part {
            let default =
                if default.trim().is_empty() { "see `values.yaml`" } else { default.trim() };
            all.push(Said {
                name: path.join("."),
                default: default.to_owned(),
                comment: std::mem::take(&mut comment),
            });
        }
    }
    all
}

#[test]
fn every_value_is_said_with_its_meaning() {
    let all = said();
    assert!(all.len() > 60, "{}", all.len());
    for Said { name, comment, .. } in &all {
        assert!(
            comment.ends_with('.') || comment.ends_with("`."),
            "`{name}` is not explained: {comment}"
        );
    }
    let mut table = String::from("| value | default | what it says |\n|---|---|---|\n");
    for Said { name, default, comment } in all {
        let default = if default.starts_with("see") { default } else { format!("`{default}`") };
        writeln!(table, "| `{name}` | {default} | {} |", comment.replace('|', "\\|")).unwrap();
    }
    let path = chart().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = readme.split_once(BEGIN).unwrap();
    let (committed, tail) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        return;
    }
    assert!(committed == table, "run `UPDATE=1 cargo test --test it deploy::values` and commit");
}

#[test]
fn the_schema_knows_every_value_and_nothing_else() {
    let text = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let text = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let differ = different(&schema, &values, "");
    assert!(differ.is_empty(), "{differ:?}");
    for Said { name, comment, .. } in said() {
        let place = format!("/properties/{}", name.replace('.', "/properties/"));
        let described = &schema.pointer(&place).unwrap_or_else(|| panic!("{name}"))["description"];
        assert_eq!(*described, comment, "{name}");
    }
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&values));
}

/// Where the properties of a schema and the values are not the same.
fn different(schema: &Value, values: &Value, place: &str) -> Vec<String> {
    let (Some(known), Some(values)) = (schema["properties"].as_object(), values.as_object()) else {
        return Vec::new();
    };
    // Lists by kind of object begin empty.
    if schema["additionalProperties"] == false && place == "rbac.objects" {
        return Vec::new();
    }
    let mut differ = Vec::new();
    if schema["additionalProperties"] != false {
        differ.push(format!("{place} is open"));
    }
    let at = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    // Helm hands `global` to every chart.
    differ.extend(
        known.keys().filter(|it| !values.contains_key(*it) && *it != "global").map(|it| at(it)),
    );
    for (key, value) in values {
        match known.get(key) {
            Some(schema) => differ.extend(different(schema, value, &at(key))),
            None => differ.push(at(key)),
        }
    }
    differ
}

#[test]
fn what_the_chart_brings_along_is_what_the_project_has() {
    copies(&folder().join("rules"), &chart().join("files/rules"), |it| it.starts_with("hopclock"));
    copies(
        &folder().parent().unwrap().join("dashboards"),
        &chart().join("files/dashboards"),
        |it| it.ends_with("json"),
    );
}

/// A chart can hold only what lies in its folder, so it has copies; `UPDATE=1` makes them anew.
fn copies(from: &Path, to: &Path, is_meant: fn(&str) -> bool) {
    let named = |folder: &Path| -> BTreeMap<String, String> {
        let all = std::fs::read_dir(folder).into_iter().flatten().map(|it| it.unwrap().path());
        let name = |it: &Path| it.file_name().unwrap().to_str().unwrap().to_owned();
        let all = all.filter(|it| is_meant(&name(it)));
        all.map(|it| (name(&it), std::fs::read_to_string(&it).unwrap())).collect()
    };
    let (originals, copies) = (named(from), named(to));
    if std::env::var_os("UPDATE").is_some() {
        for name in copies.keys() {
            std::fs::remove_file(to.join(name)).unwrap();
        }
        for (name, text) in &originals {
            std::fs::create_dir_all(to).unwrap();
            std::fs::write(to.join(name), text).unwrap();
        }
        return;
    }
    assert!(
        originals == copies,
        "{} differ: run `UPDATE=1 cargo test --test it deploy::values`",
        to.display()
    );
}
