//! A `ConfigMap` as a place to keep something: small, replaced whole, never over somebody else's.
//!
//! It is written under the API server's optimistic lock and only if it fits, so that what was
//! kept before stays as it is whenever a write is refused. Who wrote it last stands in an
//! annotation, for `managedFields` knows two hopclocks by the same name.
//!
//! It needs `get`, `create` and `update` of `configmaps` in the namespace.

use crate::cluster::object::{MANAGED_BY, MANAGER, Place};
use crate::cluster::{Cluster, Error};
use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// What a `ConfigMap` holds, and what has to be known to replace it.
#[derive(Clone, Default, PartialEq)]
pub struct ConfigMap {
    /// Its texts.
    pub data: BTreeMap<String, String>,
    /// Its bytes.
    pub binary: BTreeMap<String, Vec<u8>>,
    /// As it was read, with its version; empty if it has yet to be created.
    metadata: Map<String, Value>,
}

/// All that the values of a `ConfigMap` may be together; keys are not counted.
const MOST: usize = 1 << 20;

/// The annotation that says who wrote last.
const WRITER: &str = "hopclock.dev/written-by";

// === impl Cluster ===

impl Cluster {
    /// Reads a `ConfigMap`, none if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ConfigMap>, Error> {
        let stored = self.hub.api.find(&place(namespace, name)).await?;
        Ok(stored.map(ConfigMap::read))
    }

    /// Writes a `ConfigMap` over the version that was read, or creates it if none was; returns it
    /// as what to replace next. `writer` is the name by which others will know us.
    ///
    /// A write whose answer was lost may be tried again: what is already there as we want it, by
    /// our hand, counts as written.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if it is not the version that was read, [`Error::TooLarge`],
    /// [`Error::NoSuchNamespace`], or it cannot be written. What was there stays as it is.
    pub async fn put_config_map(
        &self,
        namespace: &str,
        name: &str,
        content: &ConfigMap,
        writer: &str,
    ) -> Result<ConfigMap, Error> {
        let (api, place) = (&self.hub.api, place(namespace, name));
        let size = content.size();
        let too_large = |limit| Error::TooLarge { config_map: place.title(), size, limit };
        if size > MOST {
            return Err(too_large("the 1048576 that it may hold"));
        }
        let object = content.write(&place, writer);
        let written = if content.exists() {
            api.replace(&place, object).await
        } else {
            api.create(&place, object).await
        };
        match written {
            Ok(stored) => Ok(ConfigMap::read(stored)),
            Err(error) if is_too_large(&error) => {
                Err(too_large("the API server or its store accepts"))
            }
            Err(error) if matches!(error.status(), Some(404 | 409)) => {
                let stored = api.find(&place).await?.map(ConfigMap::read);
                let config_map = place.title();
                let cause = match stored {
                    Some(stored) if stored.is_what(content, writer) => return Ok(stored),
                    Some(stored) => format!("{} wrote it", stored.writer()),
                    None => "somebody deleted it".to_owned(),
                };
                Err(Error::Conflict { config_map, cause })
            }
            Err(error) => Err(error),
        }
    }
}

// === impl ConfigMap ===

impl ConfigMap {
    /// Whether it is there, as far as we know.
    #[must_use]
    pub fn exists(&self) -> bool {
        !self.metadata.is_empty()
    }

    /// The same content, to be written over `stored`, or anew if nothing is stored any more.
    #[must_use]
    pub fn over(mut self, stored: Option<&Self>) -> Self {
        self.metadata = stored.map(|it| it.metadata.clone()).unwrap_or_default();
        self
    }

    /// Whether `stored` holds what we wrote or read last, and was not written by another hopclock
    /// since: others may have changed labels, annotations or owners.
    #[must_use]
    pub fn is_kept_by(&self, stored: &Self) -> bool {
        let written_by = |it: &Self| it.metadata.get("annotations").map(|it| it[WRITER].clone());
        self.data == stored.data
            && self.binary == stored.binary
            && written_by(self) == written_by(stored)
    }

    /// Size of all values, which must not exceed 1 MiB.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = self.data.values().map(String::len);
        texts.chain(self.binary.values().map(Vec::len)).sum()
    }

    /// Who wrote it last, as far as it is known.
    #[must_use]
    pub fn writer(&self) -> String {
        let annotated = self.metadata.get("annotations").and_then(|it| it[WRITER].as_str());
        let fields = self.metadata.get("managedFields").and_then(Value::as_array);
        let last = fields.into_iter().flatten().max_by_key(|it| it["time"].as_str());
        let managed = last.and_then(|it| it["manager"].as_str());
        // An annotation outlives the writes of those who do not know it.
        let writer = match (annotated, managed) {
            (Some(writer), Some(MANAGER) | None) => Some(writer),
            (_, manager) => manager,
        };
        writer.map_or("somebody".to_owned(), |it| format!("`{it}`"))
    }

    fn read(mut object: Value) -> Self {
        let metadata = object["metadata"].as_object_mut().map(std::mem::take);
        let values = |it: &mut Value| it.as_object_mut().map(std::mem::take).unwrap_or_default();
        let texts = values(&mut object["data"]).into_iter();
        let bytes = values(&mut object["binaryData"]).into_iter();
        Self {
            data: texts.filter_map(|(key, it)| Some((key, it.as_str()?.to_owned()))).collect(),
            binary: bytes
                .filter_map(|(key, it)| {
                    let ByteString(bytes) = serde_json::from_value(it).ok()?;
                    Some((key, bytes))
                })
                .collect(),
            metadata: metadata.unwrap_or_default(),
        }
    }

    /// The object to send: what others added to its metadata stays.
    fn write(&self, place: &Place, writer: &str) -> Value {
        let mut metadata = Value::Object(self.metadata.clone());
        if !self.exists() {
            metadata = json!({"labels": {MANAGED_BY: MANAGER}});
        }
        metadata["name"] = place.name.as_str().into();
        metadata["namespace"] = place.namespace.as_str().into();
        metadata["annotations"][WRITER] = writer.into();
        let binary: BTreeMap<_, _> =
            self.binary.iter().map(|(key, it)| (key, ByteString(it.clone()))).collect();
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata,
            "data": self.data, "binaryData": binary,
        })
    }

    fn is_what(&self, content: &Self, writer: &str) -> bool {
        self.data == content.data
            && self.binary == content.binary
            && self.writer() == format!("`{writer}`")
    }
}

/// Shows the keys: what is kept may be anything.
impl fmt::Debug for ConfigMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.data.keys().chain(self.binary.keys()).collect();
        f.debug_struct("ConfigMap").field("keys", &keys).finish_non_exhaustive()
    }
}

fn place(namespace: &str, name: &str) -> Place {
    Place::new("", "configmaps", namespace, name)
}

/// Whether the server finds it too large: the API server when it reads or checks it, or etcd.
fn is_too_large(error: &Error) -> bool {
    match error {
        Error::Answered { status: 413, .. } => true,
        Error::Answered { status: 422, message, .. } => message.contains("Too long"),
        Error::Answered { status: 500, message, .. } => {
            message.contains("too large") || message.contains("larger than max")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(annotated: Option<&str>, managers: &[(&str, &str)]) -> String {
        let fields: Vec<_> =
            managers.iter().map(|(it, time)| json!({"manager": it, "time": time})).collect();
        let mut object = json!({"metadata": {"name": "a", "managedFields": fields}});
        if let Some(annotated) = annotated {
            object["metadata"]["annotations"][WRITER] = annotated.into();
        }
        ConfigMap::read(object).writer()
    }

    #[test]
    fn the_last_writer_is_told_from_the_one_before() {
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
        assert_eq!(written(Some("one"), &[]), "`one`");
        assert_eq!(written(Some("one"), &[("kubectl", early), ("hopclock", late)]), "`one`");
        assert_eq!(written(Some("one"), &[("hopclock", early), ("kubectl", late)]), "`kubectl`");
        assert_eq!(written(None, &[]), "somebody");
    }

    #[test]
    fn content_is_never_printed() {
        let data = BTreeMap::from([("key".to_owned(), "planted".to_owned())]);
        let printed = format!("{:?}", ConfigMap { data, ..ConfigMap::default() });
        assert!(printed.contains("key") && !printed.contains("planted"), "{printed}");
    }
}
