//! Nodes to values: a deserializer whose refusals are our own sentences, at exact places.
//!
//! serde's derived code calls back with what it misses or does not know. Each refusal takes the
//! place of the innermost node or key that it passes on its way out; a missing key takes that of
//! the key whose value misses it.

use super::mistake::Mistake;
use super::node::{Key, Node, Place, Value};
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};
use std::fmt;

/// A mistake, and where it is once that is known.
#[derive(Debug)]
pub(crate) struct Refused {
    place: Option<Place>,
    mistake: Mistake,
}

/// Reads one node.
#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    /// Where something missing is reported: the key whose value this is, or the item.
    owner: Place,
}

/// Reads a map's entries.
struct Entries<'a> {
    rest: std::slice::Iter<'a, (Key, Node)>,
    value: Option<Reader<'a>>,
}

/// Reads a list's items.
struct Items<'a>(std::slice::Iter<'a, Node>);

/// Reads a kind and its value.
struct Kind<'a> {
    name: &'a str,
    place: Place,
    value: Option<Reader<'a>>,
}

// === impl Refused ===

impl Refused {
    fn because(mistake: Mistake) -> Self {
        Self { place: None, mistake }
    }

    /// The kinds that would have been known, if it is about an unknown one.
    pub(crate) fn into_known(self) -> Vec<&'static str> {
        match self.mistake {
            Mistake::UnknownKind { known, .. } => known,
            _ => Vec::new(),
        }
    }

    fn at(self, place: Place) -> Self {
        Self { place: self.place.or(Some(place)), ..self }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mistake.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::because(Mistake::Unfit(text.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        // Values are left out of the sentence: one of them could be a secret.
        let found = match found {
            Unexpected::Bool(_) => "`true` or `false`",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) => "text",
            Unexpected::Seq => "a list",
            Unexpected::Map => "keys and values",
            _ => "nothing",
        };
        Self::custom(format_args!("expected {expected}, found {found}"))
    }

    fn unknown_variant(kind: &str, known: &'static [&'static str]) -> Self {
        Self::because(Mistake::UnknownKind { kind: kind.to_owned(), known: known.to_vec() })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::because(Mistake::UnknownKey { key: key.to_owned(), known: known.to_vec() })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::because(Mistake::MissingKey { key })
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn wrong_type(self, expected: &'static str) -> Refused {
        let found = self.node.value.sort();
        let mistake = match (expected, &self.node.value) {
            ("text", Value::Number(_)) => Mistake::UnquotedNumber,
            ("text", Value::Truth(_)) => Mistake::UnquotedTruth,
            _ => Mistake::WrongType { expected, found },
        };
        // Nothing stands nowhere: its key is what can be seen.
        let nothing = self.node.value == Value::Nothing;
        Refused::because(mistake).at(if nothing { self.owner } else { self.node.place })
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.node.value {
            Value::Text(it) => visitor.visit_str(it).map_err(|it: Refused| it.at(self.node.place)),
            _ => Err(self.wrong_type("text")),
        }
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.node.value {
            Value::List(items) => {
                visitor.visit_seq(Items(items.iter())).map_err(|it| it.at(self.owner))
            }
            _ => Err(self.wrong_type("a list")),
        }
    }

    fn map<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.node.value {
            Value::Map(entries) => {
                let entries = Entries { rest: entries.iter(), value: None };
                visitor.visit_map(entries).map_err(|it| it.at(self.owner))
            }
            _ => Err(self.wrong_type("keys and values")),
        }
    }

    /// The one key that names a kind, or the text that does for a kind without a value.
    fn kind(self, known: &'static [&'static str]) -> Result<Kind<'a>, Refused> {
        let place = self.node.place;
        match &self.node.value {
            Value::Text(name) => Ok(Kind { name, place, value: None }),
            Value::Nothing => {
                Err(Refused::because(Mistake::NoKind { known: known.to_vec() }).at(self.owner))
            }
            Value::Map(entries) => match entries.as_slice() {
                [] => Err(Refused::because(Mistake::NoKind { known: known.to_vec() }).at(place)),
                [(key, node)] => {
                    let value = Some(Reader { node, owner: key.place });
                    Ok(Kind { name: &key.text, place: key.place, value })
                }
                [(first, _), (second, _), ..] => Err(two_kinds(first, second, known)),
            },
            _ => Err(self.wrong_type("a key that names the kind")),
        }
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let done = match &self.node.value {
            Value::Nothing => visitor.visit_unit(),
            Value::Truth(it) => visitor.visit_bool(*it),
            Value::Number(it) => match (it.as_u64(), it.as_i64(), it.as_f64()) {
                (Some(it), ..) => visitor.visit_u64(it),
                (_, Some(it), _) => visitor.visit_i64(it),
                (.., it) => visitor.visit_f64(it.unwrap_or_default()),
            },
            Value::Text(it) => visitor.visit_str(it),
            Value::List(_) => return self.list(visitor),
            Value::Map(_) => return self.map(visitor),
        };
        done.map_err(|it: Refused| it.at(self.node.place))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.node.value {
            Value::Truth(it) => visitor.visit_bool(it),
            _ => Err(self.wrong_type("`true` or `false`")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.node.value {
            Value::Nothing => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self).map_err(|it| it.at(self.node.place))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.list(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.map(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let kind = self.kind(known)?;
        let place = kind.place;
        visitor.visit_enum(kind).map_err(|it| it.at(place))
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct identifier ignored_any
    }
}

// === impl Value ===

impl Value {
    /// What it is, without its content.
    fn sort(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Truth(_) => "`true` or `false`",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "keys and values",
        }
    }
}

// === impl Entries ===

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        let Some((key, node)) = self.rest.next() else { return Ok(None) };
        self.value = Some(Reader { node, owner: key.place });
        let text = StrDeserializer::<Refused>::new(&key.text);
        seed.deserialize(text).map(Some).map_err(|it| it.at(key.place))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        let value = self.value.take().expect("serde asks for a value once after its key");
        seed.deserialize(value).map_err(|it| it.at(value.node.place))
    }
}

// === impl Items ===

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        let Some(node) = self.0.next() else { return Ok(None) };
        let item = Reader { node, owner: node.place };
        seed.deserialize(item).map(Some).map_err(|it| it.at(node.place))
    }
}

// === impl Kind ===

impl<'de> EnumAccess<'de> for Kind<'_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        let name = StrDeserializer::<Refused>::new(self.name);
        let variant = seed.deserialize(name).map_err(|it| it.at(self.place))?;
        Ok((variant, self))
    }
}

impl Kind<'_> {
    fn without_value(self) -> Refused {
        let why = format!("`{}` needs a value: write `{}: …`", self.name, self.name);
        Refused::because(Mistake::Unfit(why)).at(self.place)
    }
}

impl<'de> VariantAccess<'de> for Kind<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        match self.value {
            Some(it) if it.node.value != Value::Nothing => {
                let why = format!("`{}` takes no value: write it alone", self.name);
                Err(Refused::because(Mistake::Unfit(why)).at(it.node.place))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        match self.value {
            Some(it) => seed.deserialize(it),
            None => Err(self.without_value()),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        match self.value {
            Some(it) => it.list(visitor),
            None => Err(self.without_value()),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        match self.value {
            Some(it) => it.map(visitor),
            None => Err(self.without_value()),
        }
    }
}

/// Reads a value from `node`.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(node: &Node) -> Result<T, (Place, Mistake)> {
    let start = Reader { node, owner: node.place };
    T::deserialize(start).map_err(|it| (it.place.unwrap_or(node.place), it.mistake))
}

/// Two keys where one names the kind: the one that is unknown is the mistake, if any is.
fn two_kinds(first: &Key, second: &Key, known: &'static [&'static str]) -> Refused {
    let unknown = |it: &&Key| !known.contains(&it.text.as_str());
    if let Some(key) = [first, second].into_iter().find(unknown) {
        let mistake = Mistake::UnknownKind { kind: key.text.clone(), known: known.to_vec() };
        return Refused::because(mistake).at(key.place);
    }
    let (one, other) = (first.text.clone(), second.text.clone());
    Refused::because(Mistake::TwoKinds { first: one, second: other }).at(second.place)
}
