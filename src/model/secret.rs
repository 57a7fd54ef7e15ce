//! A Kubernetes Secret: values that nobody can print by accident.

use crate::model::{ObjectName, ProbeError};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use std::collections::BTreeMap;
use std::fmt;

/// A Secret of the cluster.
#[derive(Clone)]
pub struct Secret {
    name: ObjectName,
    values: BTreeMap<String, SecretSlice<u8>>,
}

/// A Secret that does not hold what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It lacks a key.
    #[error("the Secret {secret} has no key `{key}`: it has {keys}")]
    NoSuchKey {
        /// Namespace and name of the Secret.
        secret: ObjectName,
        /// The key that was looked for.
        key: String,
        /// The keys that are there.
        keys: String,
    },
    /// Its value is no text.
    #[error("the key `{key}` of the Secret {secret} is no UTF-8 text: store it as text")]
    NotText {
        /// Namespace and name of the Secret.
        secret: ObjectName,
        /// The key.
        key: String,
    },
}

// === impl Secret ===

impl Secret {
    /// A Secret of that name with these values.
    #[must_use]
    pub fn new(name: ObjectName, values: BTreeMap<String, SecretSlice<u8>>) -> Self {
        Self { name, values }
    }

    /// Its keys, for a message.
    #[must_use]
    pub fn listed_keys(&self) -> String {
        let keys: Vec<_> = self.keys().map(|it| format!("`{it}`")).collect();
        if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
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
    /// [`SecretError::NoSuchKey`] names the keys that are there.
    pub fn bytes(&self, key: &str) -> Result<&SecretSlice<u8>, SecretError> {
        self.values.get(key).ok_or_else(|| SecretError::NoSuchKey {
            secret: self.name.clone(),
            key: key.to_owned(),
            keys: self.listed_keys(),
        })
    }

    /// The certificate authority of a host, where Flux looks for it: `ca.crt`, or `caFile` as it was
    /// called before.
    #[must_use]
    pub fn authority(&self) -> Option<Vec<u8>> {
        let bytes = ["ca.crt", "caFile"].into_iter().find_map(|it| self.bytes(it).ok())?;
        Some(bytes.expose_secret().to_vec())
    }

    /// The text of `key`, without the white space that editors and shells leave behind it.
    ///
    /// # Errors
    ///
    /// [`SecretError::NoSuchKey`], or [`SecretError::NotText`] if it is no UTF-8.
    pub fn text(&self, key: &str) -> Result<SecretString, SecretError> {
        let bytes = self.bytes(key)?.expose_secret();
        let text = std::str::from_utf8(bytes)
            .map_err(|_| SecretError::NotText { secret: self.name.clone(), key: key.to_owned() })?;
        Ok(SecretString::from(text.trim_end()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, {:?})", self.name, self.values.keys().collect::<Vec<_>>())
    }
}

// === impl SecretError ===

impl From<SecretError> for ProbeError {
    fn from(error: SecretError) -> Self {
        Self { reason: "secret".to_owned(), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        let values = [("token", b"planted\n".to_vec()), ("raw", vec![0xff])];
        let values = values.map(|(key, value)| (key.to_owned(), SecretSlice::from(value)));
        Secret::new(ObjectName::new("flux-system", "auth"), values.into())
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
