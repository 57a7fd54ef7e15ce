//! A hop as it is written: the key that names its kind, and beside it the keys that all hops
//! share.
//!
//! Read by hand, because serde's `flatten` either lets typos pass or loses their place.

use super::read::Refused;
use crate::hop::HopConfig;
use crate::model::Duration;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

/// One step that the change has to take: one key naming the kind, and keys that all hops share.
#[derive(Clone, Debug)]
pub struct HopFile {
    /// The kind's key.
    pub kind: String,
    /// What recognises the change.
    pub config: HopConfig,
    /// What all hops share.
    pub shared: SharedKeys,
}

/// The keys that all hops share.
#[derive(Clone, Debug, Default, JsonSchema)]
pub struct SharedKeys {
    /// Name of the hop in results and metrics. Default: the kind.
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$"))]
    pub name: Option<String>,

    /// The hop, or hops, that come before this one; an empty list stands for the push. Default:
    /// the nearest hop that is upstream by kind.
    pub after: Option<Names>,

    /// Objective: the hop should be reached within this time of the acknowledged push.
    pub within: Option<Duration>,

    /// `true` waits for the hop to the deadline even if a later one was reached; `false` times it
    /// if it is reached, and never delays or fails a run. Default: webhook hops are not required,
    /// the others are, but nobody waits for them once a later hop was reached.
    pub required: Option<bool>,

    /// The cluster to look in. Default: the one that hopclock itself talks to.
    pub cluster: Option<String>,
}

/// A name, or a list of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

/// Every key that may stand in a hop; the shared ones first.
static KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let shared = ["name", "after", "within", "required", "cluster"];
    shared.into_iter().chain(kinds().iter().copied()).collect()
});

/// Reads a key; `first` is the kind that was already named.
struct KeyOfHop<'a> {
    first: Option<&'a str>,
}

/// A map's next value, as the value of the kind whose key was just read.
struct Keyed<'a, A> {
    kind: &'a str,
    map: &'a mut A,
}

struct HopVisitor;

struct NamesVisitor;

// === impl HopFile ===

impl<'de> Deserialize<'de> for HopFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HopVisitor)
    }
}

impl JsonSchema for HopFile {
    fn schema_name() -> Cow<'static, str> {
        "Hop".into()
    }

    /// One closed object per kind. The shared keys are repeated in each: a closed object cannot
    /// take them from elsewhere.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let shared = SharedKeys::json_schema(generator).to_value();
        let mut of_kinds = HopConfig::json_schema(generator).to_value();
        for kind in of_kinds["oneOf"].as_array_mut().into_iter().flatten() {
            if let (Some(of_kind), Some(shared)) =
                (kind["properties"].as_object_mut(), shared["properties"].as_object())
            {
                of_kind.extend(shared.clone());
            }
        }
        let kinds = of_kinds["oneOf"].take();
        let description = "One step that the change has to take: one key naming the kind, and \
                           keys that all hops share.";
        Schema::try_from(json!({ "description": description, "oneOf": kinds }))
            .expect("an object is a schema")
    }
}

// === impl HopVisitor ===

impl<'de> Visitor<'de> for HopVisitor {
    type Value = HopFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hop: one key naming its kind")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<HopFile, M::Error> {
        let mut shared = SharedKeys::default();
        let mut kind: Option<(String, HopConfig)> = None;
        while let Some(key) =
            map.next_key_seed(KeyOfHop { first: kind.as_ref().map(|it| it.0.as_str()) })?
        {
            match key.as_str() {
                "name" => shared.name = map.next_value()?,
                "after" => shared.after = map.next_value()?,
                "within" => shared.within = map.next_value()?,
                "required" => shared.required = map.next_value()?,
                "cluster" => shared.cluster = map.next_value()?,
                _ => {
                    let config = HopConfig::deserialize(Keyed { kind: &key, map: &mut map })?;
                    kind = Some((key, config));
                }
            }
        }
        let Some((kind, config)) = kind else {
            let known = super::nearest::any_of(kinds().iter().copied());
            return Err(M::Error::custom(format_args!("a hop needs a kind: add {known}")));
        };
        Ok(HopFile { kind, config, shared })
    }
}

impl<'de> DeserializeSeed<'de> for KeyOfHop<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let key = String::deserialize(deserializer)?;
        if !KEYS.contains(&key.as_str()) {
            return Err(D::Error::unknown_field(&key, &KEYS));
        }
        match self.first {
            Some(first) if kinds().contains(&key.as_str()) => Err(D::Error::custom(format_args!(
                "`{first}` and `{key}` are two kinds in one hop: begin the second with `- `"
            ))),
            _ => Ok(key),
        }
    }
}

// === impl Keyed ===

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Keyed<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Keyed<'_, A> {
    type Error = A::Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), A::Error> {
        Ok((seed.deserialize(StrDeserializer::new(self.kind))?, self))
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Keyed<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.map.next_value()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.map.next_value_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("a kind of hop holds one config"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("a kind of hop holds one config"))
    }
}

// === impl Names ===

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamesVisitor)
    }
}

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a hop, or a list of names")
    }

    fn visit_str<E>(self, name: &str) -> Result<Names, E> {
        Ok(Names(vec![name.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        Ok(Names(names))
    }
}

impl JsonSchema for Names {
    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let name = json!({ "type": "string" });
        let list: Value = json!({ "type": "array", "items": name });
        schemars::json_schema!({
            "description": "A name, or a list of names.",
            "anyOf": [name, list]
        })
    }
}

/// The kinds of hop. They stand in `HopConfig` alone, whose refusal of no name lists them.
pub(crate) fn kinds() -> &'static [&'static str] {
    static KINDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let refused = HopConfig::deserialize(StrDeserializer::<Refused>::new("")).err();
        refused.map(Refused::into_known).unwrap_or_default()
    });
    &KINDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_kinds_are_those_of_the_config() {
        let expected = [
            "webhook_received",
            "image_scanned",
            "policy_updated",
            "automation_committed",
            "merged",
            "source_fetched",
            "applied",
            "live",
        ];
        assert_eq!(kinds(), expected);
    }

    #[test]
    fn the_schema_and_the_reader_know_the_same_keys() {
        let schema = schemars::schema_for!(HopFile).to_value();
        let kinds = schema["oneOf"].as_array().unwrap();
        let keys = |it: &Value| it["properties"].as_object().unwrap().keys().cloned().collect();
        let of_schema: BTreeSet<String> =
            kinds.iter().flat_map(|it| -> Vec<_> { keys(it) }).collect();
        assert_eq!(of_schema, KEYS.iter().map(|it| (*it).to_owned()).collect());
    }

    #[test]
    fn a_hop_is_read_from_any_format() {
        let json = r#"{ "within": "30s", "live": { "config_map": "a/b" }, "after": ["x", "y"] }"#;
        let hop: HopFile = serde_json::from_str(json).unwrap();
        assert_eq!(hop.kind, "live");
        assert_eq!(hop.shared.after, Some(Names(vec!["x".to_owned(), "y".to_owned()])));
        assert!(serde_json::from_str::<HopFile>(r#"{ "within": "30s" }"#).is_err());
    }
}
