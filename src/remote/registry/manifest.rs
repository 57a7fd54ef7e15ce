//! A manifest as it lies in a registry: its bytes, their type and their digest.
//!
//! The bytes are never parsed and written again: a digest holds for these bytes only.

use crate::remote::registry::artifact::DOCKER_MANIFEST;
use aws_lc_rs::digest::{SHA256, digest};
use std::fmt::Write;

/// A manifest: of an image, of an index of images, or of another artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    bytes: Vec<u8>,
    media_type: String,
}

// === impl Manifest ===

impl Manifest {
    /// A manifest of these bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>, media_type: &str) -> Self {
        Self { bytes, media_type: media_type.to_owned() }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Whether it is of the type that was there before the OCI had one.
    #[must_use]
    pub fn is_older(&self) -> bool {
        self.media_type == DOCKER_MANIFEST
    }

    /// `sha256:` and the digest of its bytes: what a tag that carries it resolves to.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(&self.bytes)
    }
}

/// `sha256:` and the digest of some bytes.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in digest(&SHA256, bytes).as_ref() {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_the_bytes() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Manifest::new(Vec::new(), "x").digest(), empty);
    }
}
