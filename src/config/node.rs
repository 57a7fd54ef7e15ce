//! YAML as a tree of nodes that know where they stand.
//!
//! The whole file is read into this tree first, and the scenario is read from the tree: so every
//! later finding, structural or not, can point at its line, and the types of triggers and hops
//! need not carry positions.

use serde::Deserialize;
use serde::Deserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// A line and a column of a file, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value of YAML's core schema.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Nothing,
    Truth(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

/// One step of the way to a node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    /// Into a map, by key.
    Key(&'a str),
    /// Into a list, by index.
    Item(usize),
}

/// Visits any value.
struct AnyValue;

// === impl Place ===

impl From<serde_saphyr::Location> for Place {
    fn from(it: serde_saphyr::Location) -> Self {
        let number = |it: u64| usize::try_from(it).unwrap_or(usize::MAX).max(1);
        Self { line: number(it.line()), column: number(it.column()) }
    }
}

// === impl Node ===

impl Node {
    /// Where the value at the end of `way` stands, or what comes nearest to it.
    pub(crate) fn place_of(&self, way: &[Step<'_>]) -> Place {
        self.walk(way).1
    }

    /// Where the key at the end of `way` stands, or what comes nearest to it.
    pub(crate) fn key_of(&self, way: &[Step<'_>]) -> Place {
        self.walk(way).0
    }

    /// The same value as JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Nothing => serde_json::Value::Null,
            Value::Truth(it) => (*it).into(),
            Value::Number(it) => it.clone().into(),
            Value::Text(it) => it.clone().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|(key, it)| (key.text.clone(), it.to_json())).collect()
            }
        }
    }

    /// Places of the last key and the last value on the way that exist.
    fn walk(&self, way: &[Step<'_>]) -> (Place, Place) {
        let (mut key, mut node) = (self.place, self);
        for step in way {
            match (step, &node.value) {
                (Step::Key(wanted), Value::Map(entries)) => {
                    let Some((found, value)) = entries.iter().find(|it| it.0.text == *wanted)
                    else {
                        return (key, key);
                    };
                    (key, node) = (found.place, value);
                }
                (Step::Item(index), Value::List(items)) if *index < items.len() => {
                    node = &items[*index];
                    key = node.place;
                }
                _ => break,
            }
        }
        (key, node.place)
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let it = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { place: it.defined.into(), value: it.value })
    }
}

// === impl Value ===

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Truth(it))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(Value::Number(it.into()))
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(Value::Number(it.into()))
    }

    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        // Infinities are no numbers in JSON; as text they are refused like any wrong type.
        let text = || Value::Text(it.to_string());
        Ok(serde_json::Number::from_f64(it).map_or_else(text, Value::Number))
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(Value::Text(it.to_owned()))
    }

    fn visit_string<E>(self, it: String) -> Result<Value, E> {
        Ok(Value::Text(it))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Key { place: key.defined.into(), text: key.value };
            entries.push((key, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::Step::{Item, Key};
    use super::*;

    fn place(line: usize, column: usize) -> Place {
        Place { line, column }
    }

    #[test]
    fn keys_and_values_know_where_they_stand() {
        let text = "name: é\nhops:\n  - live: { config_map: a/b }\n    within: 30s\n";
        let node: Node = serde_saphyr::from_str(text).unwrap();
        let within = [Key("hops"), Item(0), Key("within")];
        assert_eq!(node.key_of(&within), place(4, 5));
        assert_eq!(node.place_of(&within), place(4, 13));
        let map = [Key("hops"), Item(0), Key("live"), Key("config_map")];
        assert_eq!(node.place_of(&map), place(3, 25));
    }

    #[test]
    fn the_place_of_what_is_missing_is_that_of_its_owner() {
        let node: Node = serde_saphyr::from_str("hops:\n  - live: { config_map: a/b }\n").unwrap();
        assert_eq!(node.place_of(&[Key("hops"), Item(0), Key("live"), Key("x")]), place(2, 5));
        assert_eq!(node.place_of(&[Key("hops"), Item(7)]), place(2, 3));
    }

    #[test]
    fn a_merged_entry_stands_where_it_was_written() {
        let text = "a: &x { q: 1, r: 2 }\nb:\n  <<: *x\n  r: 3\n";
        let node: Node = serde_saphyr::from_str(text).unwrap();
        assert_eq!(node.place_of(&[Key("b"), Key("q")]), place(1, 12));
        assert_eq!(node.place_of(&[Key("b"), Key("r")]), place(4, 6));
        assert_eq!(node.to_json()["b"], serde_json::json!({ "q": 1, "r": 3 }));
    }
}
