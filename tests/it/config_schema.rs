//! The JSON Schema: as committed, and as strict as the reader.

use crate::config_broken::{broken, root, yaml_files};
use hopclock::config::{self, Instant, Percent, Window};
use hopclock::model::{Duration, ObjectName};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

const COMMITTED: &str = "scenarios/scenario.schema.json";

fn errors(schema: &jsonschema::Validator, file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let json = config::to_json("a.yaml", &text).unwrap_or_else(|it| panic!("{it}"));
    schema.iter_errors(&json).map(|it| it.to_string()).collect()
}

#[test]
fn the_committed_schema_is_the_one_that_the_types_give() {
    let generated = serde_json::to_string_pretty(&config::schema()).unwrap() + "\n";
    let file = root().join(COMMITTED);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &generated).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == generated, "{COMMITTED} is out of date: run the tests with UPDATE=1");
}

#[test]
fn the_schema_is_one_itself() {
    assert!(jsonschema::meta::is_valid(&config::schema()));
}

#[test]
fn the_schema_accepts_every_example() {
    let schema = jsonschema::validator_for(&config::schema()).unwrap();
    for file in yaml_files(&root().join("scenarios")) {
        assert_eq!(errors(&schema, &file), Vec::<String>::new(), "{}", file.display());
    }
}

#[test]
fn the_schema_rejects_every_structurally_broken_scenario() {
    let schema = jsonschema::validator_for(&config::schema()).unwrap();
    for (_, file) in broken().into_iter().filter(|it| it.0 == "structural") {
        assert!(!errors(&schema, &file).is_empty(), "{} passes", file.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_schema_and_the_reader_agree_on_durations(
        text in "([0-9]{0,2}[.]?[0-9]{0,2}(h|m|s|ms|d)?){0,4}",
    ) {
        let pattern = config::schema()["$defs"]["Duration"].clone();
        let schema = jsonschema::validator_for(&pattern).unwrap();
        let read = text.parse::<Duration>().is_ok();
        prop_assert_eq!(schema.is_valid(&text.clone().into()), read, "{}", text);
    }

    #[test]
    fn the_schema_and_the_reader_agree_on_instants(
        text in "[0-9]{4}-(0[1-9]|1[0-3])-(0[1-9]|[12][0-8])[T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9])?(Z|z|[+-][0-2][0-9](:[0-6][0-9])?)?",
    ) {
        let pattern = config::schema()["$defs"]["Instant"].clone();
        let schema = jsonschema::validator_for(&pattern).unwrap();
        let read = text.parse::<Instant>().is_ok();
        prop_assert_eq!(schema.is_valid(&text.clone().into()), read, "{}", text);
    }

    #[test]
    fn the_schema_and_the_reader_agree_on_objects(text in "[a-zA-Z0-9/ .-]{0,12}") {
        let pattern = config::schema()["$defs"]["ObjectName"].clone();
        let schema = jsonschema::validator_for(&pattern).unwrap();
        let read = text.parse::<ObjectName>().is_ok();
        prop_assert_eq!(schema.is_valid(&text.clone().into()), read, "{}", text);
    }

    #[test]
    fn the_schema_and_the_reader_agree_on_shares_and_windows(text in "[0-9.]{0,4}[%hdwm]?") {
        let schema = config::schema();
        let fits = |name: &str| {
            let schema = jsonschema::validator_for(&schema["$defs"][name]).unwrap();
            schema.is_valid(&text.clone().into())
        };
        prop_assert_eq!(fits("Percent"), text.parse::<Percent>().is_ok(), "{}", text);
        prop_assert_eq!(fits("Window"), text.parse::<Window>().is_ok(), "{}", text);
    }
}

#[test]
fn no_schema_could_judge_what_is_not_yaml() {
    for (_, file) in broken().into_iter().filter(|it| it.0 == "yaml") {
        let text = fs::read_to_string(&file).unwrap();
        assert!(config::to_json("a.yaml", &text).is_err(), "{}", file.display());
    }
}

#[test]
fn every_key_of_the_schema_is_described() {
    fn walk(way: &str, schema: &serde_json::Value, bare: &mut Vec<String>) {
        let Some(object) = schema.as_object() else {
            schema.as_array().into_iter().flatten().for_each(|it| walk(way, it, bare));
            return;
        };
        for (key, inner) in object {
            let way = format!("{way}/{key}");
            for (name, of) in
                inner.as_object().into_iter().flatten().filter(|_| key == "properties")
            {
                if of.get("description").is_none() && of.get("$ref").is_none() {
                    bare.push(format!("{way}/{name}"));
                }
            }
            walk(&way, inner, bare);
        }
    }
    let mut bare = Vec::new();
    walk("", &config::schema(), &mut bare);
    // One key names a variant, which is described itself.
    bare.retain(|it| !it.contains("oneOf"));
    assert_eq!(bare, Vec::<String>::new());
}
