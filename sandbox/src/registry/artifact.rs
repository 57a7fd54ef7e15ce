//! Artifacts that are no images, as the programs of their makers push them.
//!
//! What `flux push artifact` makes is a manifest with a config of two bytes and one layer: a
//! compressed archive. Charts differ by their media types.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::content::{MANIFEST, Manifest, TagUpdate, UpdatedBy, digest_of};
use super::{Registry, State};

/// The unit of which archives are made.
const BLOCK: usize = 512;

/// An artifact with one layer.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Media type and bytes of its config.
    pub config: (String, Vec<u8>),
    /// Media type and bytes of its layer.
    pub layer: (String, Vec<u8>),
    /// The manifest's annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// An artifact of manifests, as `flux push artifact` makes it of files by their path.
    #[must_use]
    pub fn flux(files: &[(&str, &str)], annotations: &[(&str, &str)]) -> Self {
        let own = |kind: &str| format!("application/vnd.cncf.flux.{kind}");
        let pairs = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Self {
            config: (own("config.v1+json"), b"{}".to_vec()),
            layer: (own("content.v1.tar+gzip"), archive_of(files)),
            annotations: pairs.collect(),
        }
    }
}

impl Registry {
    /// Puts an artifact under a tag, as somebody else's push; returns its digest. Webhooks follow.
    #[must_use]
    pub fn push_artifact(&self, repository: &str, tag: &str, artifact: &Artifact) -> String {
        let shared = &self.inner.shared;
        let update = shared.lock().push_artifact(repository, tag, artifact);
        let digest = update.digest.clone().unwrap_or_default();
        shared.tell(update);
        digest
    }
}

impl State {
    fn push_artifact(&mut self, name: &str, tag: &str, artifact: &Artifact) -> TagUpdate {
        let repository = self.repository(name);
        let mut part = |(kind, bytes): &(String, Vec<u8>)| {
            let digest = repository.add_blob(Bytes::from(bytes.clone()));
            json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
        };
        let (config, layer) = (part(&artifact.config), part(&artifact.layer));
        let mut manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": config, "layers": [layer]});
        if !artifact.annotations.is_empty() {
            manifest["annotations"] = json!(artifact.annotations);
        }
        let body = Bytes::from(manifest.to_string());
        let digest = digest_of(&body);
        let manifest = Manifest { media_type: MANIFEST.to_owned(), body };
        repository.manifests.insert(digest.clone(), manifest);
        self.move_tag(name, tag, Some(digest), UpdatedBy::Host)
    }
}

/// A compressed archive of files by their path.
#[must_use]
pub fn archive_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (path, text) in files {
        archive.extend(header(path, text.len()));
        archive.extend(text.as_bytes());
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    let mut compressed = Vec::new();
    let mut encoder = GzEncoder::new(&mut compressed, Compression::fast());
    // Memory takes every byte.
    let _ = encoder.write_all(&archive).and_then(|()| encoder.try_finish());
    drop(encoder);
    compressed
}

/// The block before a file; a long path is cut in two at a slash.
fn header(path: &str, size: usize) -> [u8; BLOCK] {
    let cut = if path.len() > 100 { path.rfind('/') } else { None };
    let (prefix, name) = cut.map_or(("", path), |at| (&path[..at], &path[at + 1..]));
    let mut block = [0; BLOCK];
    let mut put =
        |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\u{0}00");
    put(345, prefix);
    let sum: u32 = block.iter().map(|it| u32::from(*it)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
