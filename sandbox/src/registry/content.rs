//! What a registry keeps, and the stamp on every tag that moves.
//!
//! Blobs belong to their repository, as they do where access is checked: another repository gets
//! them by mounting only.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use aws_lc_rs::digest;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::State;

/// The media type of an OCI image's manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Who moved a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdatedBy {
    /// A request over the wire.
    Push,
    /// A call of this process.
    Host,
}

/// One moved tag and the moment from which others could see it.
#[derive(Debug, Clone)]
pub struct TagUpdate {
    /// The repository's name.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The digest that it points to; none if it is gone.
    pub digest: Option<String>,
    /// The digest that it pointed to; none if it is new.
    pub before: Option<String>,
    /// When it became visible.
    pub at: Instant,
    /// The same by the wall clock.
    pub wall: Timestamp,
    /// Who moved it.
    pub by: UpdatedBy,
}

/// What may be deleted from a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deletion {
    /// Tags and manifests.
    #[default]
    Allowed,
    /// Manifests by their digest, with all their tags; not a tag alone.
    ByDigest,
    /// Nothing: 405.
    Refused,
}

/// What a repository refuses; the default refuses nothing.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// A tag that exists cannot be moved to another digest: 412, as Harbor answers.
    pub immutable_tags: bool,
    /// Media types of manifests that are not taken: 400 `MANIFEST_INVALID`.
    pub refused_media_types: Vec<String>,
    /// What may be deleted.
    pub deletion: Deletion,
    /// The most tags that a page of the list holds, whatever the client asked for.
    pub page: Option<usize>,
}

/// One repository.
#[derive(Default)]
pub(super) struct Repository {
    pub(super) blobs: HashMap<String, Bytes>,
    pub(super) manifests: BTreeMap<String, Manifest>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) uploads: HashMap<String, Vec<u8>>,
}

/// One manifest as it was pushed.
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) body: Bytes,
}

impl Repository {
    /// Digest and manifest behind a tag or digest.
    pub(super) fn manifest(&self, reference: &str) -> Option<(&str, &Manifest)> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        let (digest, manifest) = self.manifests.get_key_value(digest)?;
        Some((digest, manifest))
    }

    pub(super) fn add_blob(&mut self, bytes: Bytes) -> String {
        let digest = digest_of(&bytes);
        self.blobs.insert(digest.clone(), bytes);
        digest
    }
}

impl State {
    pub(super) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    pub(super) fn rules_of(&self, name: &str) -> Rules {
        self.rules.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        self.repositories.get(repository)?.tags.get(tag).cloned()
    }

    /// Points a tag somewhere, or nowhere, and stamps that.
    pub(super) fn move_tag(
        &mut self,
        repository: &str,
        tag: &str,
        digest: Option<String>,
        by: UpdatedBy,
    ) -> TagUpdate {
        let tags = &mut self.repository(repository).tags;
        let before = match &digest {
            Some(digest) => tags.insert(tag.to_owned(), digest.clone()),
            None => tags.remove(tag),
        };
        let update = TagUpdate {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest,
            before,
            at: Instant::now(),
            wall: Timestamp::now(),
            by,
        };
        self.updates.push(update.clone());
        update
    }

    /// Makes an image of one layer and tags it.
    pub(super) fn push_image(&mut self, name: &str, tag: &str, text: &str) -> TagUpdate {
        let repository = self.repository(name);
        let layer = Bytes::from(text.to_owned());
        let config = json!({"architecture": "amd64", "os": "linux",
            "config": {"Labels": {"text": text}},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(&layer)]}});
        let config = Bytes::from(config.to_string());
        let sizes = [config.len(), layer.len()];
        let [config, layer] = [config, layer].map(|blob| repository.add_blob(blob));
        let part = |kind: &str, digest: &str, size: usize| json!({"mediaType": kind, "digest": digest, "size": size});
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": part("application/vnd.oci.image.config.v1+json", &config, sizes[0]),
            "layers": [part("application/vnd.oci.image.layer.v1.tar", &layer, sizes[1])]});
        let body = Bytes::from(manifest.to_string());
        let digest = digest_of(&body);
        let manifest = Manifest { media_type: MANIFEST.to_owned(), body };
        repository.manifests.insert(digest.clone(), manifest);
        self.move_tag(name, tag, Some(digest), UpdatedBy::Host)
    }
}

impl State {
    /// Makes an artifact of a config and one layer, and tags it.
    pub(super) fn push_artifact(
        &mut self,
        (name, tag): (&str, &str),
        config: (&str, Bytes),
        layer: (&str, Bytes),
    ) -> TagUpdate {
        let repository = self.repository(name);
        let mut part = |(kind, bytes): (&str, Bytes)| {
            let size = bytes.len();
            json!({"mediaType": kind, "digest": repository.add_blob(bytes), "size": size})
        };
        let (config, layer) = (part(config), part(layer));
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
            "layers": [layer]});
        let body = Bytes::from(manifest.to_string());
        let digest = digest_of(&body);
        let manifest = Manifest { media_type: MANIFEST.to_owned(), body };
        repository.manifests.insert(digest.clone(), manifest);
        self.move_tag(name, tag, Some(digest), UpdatedBy::Host)
    }
}

/// The digests that a manifest needs: blobs, then other manifests.
pub(super) fn needs(manifest: &Value) -> (Vec<&str>, Vec<&str>) {
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let local = layers.filter(|layer| !layer["urls"].is_array());
    let blobs = local.chain([&manifest["config"]]).filter_map(|it| it["digest"].as_str());
    let children = manifest["manifests"].as_array().into_iter().flatten();
    (blobs.collect(), children.filter_map(|it| it["digest"].as_str()).collect())
}

/// The digest by which bytes are addressed.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(digest::digest(&digest::SHA256, bytes).as_ref()))
}

/// Bytes in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}
