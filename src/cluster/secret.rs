//! A Kubernetes Secret: values that nobody can print by accident.

use crate::cluster::Error;
use k8s_openapi::ByteString;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A Secret of the cluster.
#[derive(Clone)]
pub struct Secret {
    name: String,
    values: BTreeMap<String, SecretSlice<u8>>,
}

impl Secret {
    /// Reads the object.
    pub(super) fn read(namespace: &str, name: &str, object: &mut Value) -> Self {
        let data = object["data"].as_object_mut().map(std::mem::take).unwrap_or_default();
        let values = data.into_iter().filter_map(|(key, value)| {
            let ByteString(bytes) = serde_json::from_value(value).ok()?;
            Some((key, SecretSlice::from(bytes)))
        });
        Self { name: format!("{namespace}/{name}"), values: values.collect() }
    }

    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether it has `key`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The bytes of `key`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchKey`] names the keys that are there.
    pub fn bytes(&self, key: &str) -> Result<&SecretSlice<u8>, Error> {
        self.values.get(key).ok_or_else(|| {
            let keys: Vec<_> = self.keys().map(|it| format!("`{it}`")).collect();
            let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
            Error::NoSuchKey { secret: self.name.clone(), key: key.to_owned(), keys }
        })
    }

    /// The text of `key`, without the white space that editors and shells leave behind it.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchKey`], or [`Error::NotText`] if it is no UTF-8.
    pub fn text(&self, key: &str) -> Result<SecretString, Error> {
        let bytes = self.bytes(key)?.expose_secret();
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::NotText { secret: self.name.clone(), key: key.to_owned() })?;
        Ok(SecretString::from(text.trim_end()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, {:?})", self.name, self.values.keys().collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret() -> Secret {
        let mut object = json!({"data": {"token": "cGxhbnRlZAo=", "raw": "/w=="}});
        Secret::read("flux-system", "auth", &mut object)
    }

    #[test]
    fn a_value_comes_without_its_newline_and_is_never_printed() {
        let secret = secret();
        assert_eq!(secret.text("token").unwrap().expose_secret(), "planted");
        assert_eq!(secret.bytes("raw").unwrap().expose_secret(), &[0xff]);
        let printed = format!("{secret:?} {:?}", secret.text("token"));
        assert!(!printed.contains("planted") && !printed.contains("112"), "{printed}");
    }

    #[test]
    fn a_missing_key_is_an_error_that_lists_the_others() {
        assert_eq!(
            secret().text("password").unwrap_err().to_string(),
            "the Secret flux-system/auth has no key `password`: it has `raw`, `token`"
        );
        assert_eq!(
            secret().text("raw").unwrap_err().to_string(),
            "the key `raw` of the Secret flux-system/auth is no UTF-8 text: store it as text"
        );
    }
}
