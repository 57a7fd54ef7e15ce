//! What is pushed: blobs, and the manifest that names them.

use crate::remote::registry::manifest::{Manifest, digest_of};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// Media types of images, as the OCI and as Docker name them.
pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Those of Flux's own artifacts.
const FLUX_CONFIG: &str = "application/vnd.cncf.flux.config.v1+json";
const FLUX_CONTENT: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";

/// Those of charts.
const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const HELM_CONTENT: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// An archive without anything in it: two blocks of zeros.
const EMPTY_ARCHIVE: [u8; 1024] = [0; 1024];

/// Bytes that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Their media type.
    pub media_type: String,
    /// They themselves.
    pub bytes: Vec<u8>,
    /// Whether the registry is likely to have them from an earlier push, so that asking is cheaper
    /// than sending.
    pub is_shared: bool,
}

/// An image or another artifact, complete and not sent yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// What the manifest says first.
    pub config: Blob,
    /// The content.
    pub layers: Vec<Blob>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

// === impl Blob ===

impl Blob {
    /// `sha256:` and the digest.
    #[must_use]
    pub fn digest(&self) -> String {
        digest_of(&self.bytes)
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": self.digest(),
            "size": self.bytes.len(),
        })
    }
}

// === impl Artifact ===

impl Artifact {
    /// The smallest image that a container runtime can pull: one empty layer, and these labels,
    /// which give it a digest of its own.
    #[must_use]
    pub fn tiny_image(labels: &BTreeMap<String, String>, created: jiff::Timestamp) -> Self {
        let config = json!({
            "created": created.to_string(),
            "architecture": "amd64",
            "os": "linux",
            "config": { "Labels": labels },
            "rootfs": { "type": "layers", "diff_ids": [digest_of(&EMPTY_ARCHIVE)] },
            "history": [{ "created": created.to_string(), "created_by": "hopclock" }],
        });
        let config = config.to_string().into_bytes();
        Self {
            config: Blob { media_type: OCI_CONFIG.to_owned(), bytes: config, is_shared: false },
            layers: vec![Blob {
                media_type: OCI_LAYER.to_owned(),
                bytes: compressed(&EMPTY_ARCHIVE),
                is_shared: true,
            }],
            annotations: labels.clone(),
        }
    }

    /// An artifact as `flux push artifact` makes it, from a compressed archive. Flux's sources look
    /// at the annotations `org.opencontainers.image.revision`, `….source` and `….created`.
    #[must_use]
    pub fn flux(archive: Vec<u8>, annotations: BTreeMap<String, String>) -> Self {
        Self::of(FLUX_CONFIG, b"{}".to_vec(), FLUX_CONTENT, archive, annotations)
    }

    /// A chart as `helm push` makes it, from its compressed archive and the JSON of its
    /// `Chart.yaml`.
    #[must_use]
    pub fn chart(chart: &Value, archive: Vec<u8>, annotations: BTreeMap<String, String>) -> Self {
        let config = chart.to_string().into_bytes();
        Self::of(HELM_CONFIG, config, HELM_CONTENT, archive, annotations)
    }

    /// An artifact of other media types, with one layer.
    #[must_use]
    pub fn of(
        config_type: &str,
        config: Vec<u8>,
        layer_type: &str,
        layer: Vec<u8>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let is_shared = config == b"{}";
        let config = Blob { media_type: config_type.to_owned(), bytes: config, is_shared };
        let layer = Blob { media_type: layer_type.to_owned(), bytes: layer, is_shared: false };
        Self { config, layers: vec![layer], annotations }
    }

    /// Its manifest, as the OCI has it.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.config.descriptor(),
            "layers": self.layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
        });
        if !self.annotations.is_empty() {
            manifest["annotations"] = json!(self.annotations);
        }
        Manifest::new(manifest.to_string().into_bytes(), OCI_MANIFEST)
    }

    /// The manifest of an image, as Docker had it before the OCI: for registries that refuse the
    /// newer one. None for what is no image.
    #[must_use]
    pub fn docker_manifest(&self) -> Option<Manifest> {
        if self.config.media_type != OCI_CONFIG {
            return None;
        }
        let renamed = |blob: &Blob, name: &str| {
            let mut descriptor = blob.descriptor();
            descriptor["mediaType"] = name.into();
            descriptor
        };
        let layers = self.layers.iter().map(|it| renamed(it, DOCKER_LAYER));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": renamed(&self.config, DOCKER_CONFIG),
            "layers": layers.collect::<Vec<_>>(),
        });
        Some(Manifest::new(manifest.to_string().into_bytes(), DOCKER_MANIFEST))
    }

    /// What has to be in the registry before the manifest.
    pub(super) fn blobs(&self) -> impl Iterator<Item = &Blob> {
        self.layers.iter().chain([&self.config])
    }
}

/// The same bytes for the same content, always: without a time in the header.
pub(super) fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(canary: &str) -> Artifact {
        let labels = BTreeMap::from([("dev.hopclock.canary".to_owned(), canary.to_owned())]);
        Artifact::tiny_image(&labels, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_tiny_image_has_a_digest_of_its_own_and_shares_its_layer() {
        let (one, two) = (image("a"), image("b"));
        assert_ne!(one.manifest().digest(), two.manifest().digest());
        assert_eq!(one.layers, two.layers);
        let config: Value = serde_json::from_slice(&one.config.bytes).unwrap();
        let diff = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
        assert_eq!(config["rootfs"]["diff_ids"][0], diff);
        assert!(one.blobs().map(|it| it.bytes.len()).sum::<usize>() < 600);
    }

    #[test]
    fn a_manifest_names_every_blob_by_digest_and_size() {
        let image = image("a");
        for (manifest, layer) in
            [(image.manifest(), OCI_LAYER), (image.docker_manifest().unwrap(), DOCKER_LAYER)]
        {
            let read: Value = serde_json::from_slice(manifest.bytes()).unwrap();
            assert_eq!(read["mediaType"], manifest.media_type());
            assert_eq!(read["config"]["digest"], image.config.digest());
            assert_eq!(read["layers"][0]["size"], image.layers[0].bytes.len());
            assert_eq!(read["layers"][0]["mediaType"], layer);
        }
    }

    #[test]
    fn fluxs_artifacts_and_charts_have_the_types_that_their_readers_want() {
        let annotations =
            BTreeMap::from([("org.opencontainers.image.revision".to_owned(), "r".to_owned())]);
        let flux = Artifact::flux(b"tgz".to_vec(), annotations);
        let read: Value = serde_json::from_slice(flux.manifest().bytes()).unwrap();
        assert_eq!(read["config"]["mediaType"], FLUX_CONFIG);
        assert_eq!(read["layers"][0]["mediaType"], FLUX_CONTENT);
        assert_eq!(read["annotations"]["org.opencontainers.image.revision"], "r");
        assert_eq!(flux.docker_manifest(), None);
        let chart = Artifact::chart(&json!({"name": "c"}), b"tgz".to_vec(), BTreeMap::new());
        let read: Value = serde_json::from_slice(chart.manifest().bytes()).unwrap();
        assert_eq!(read["config"]["mediaType"], HELM_CONFIG);
        assert_eq!(read["layers"][0]["mediaType"], HELM_CONTENT);
        assert_eq!(read.get("annotations"), None);
    }
}
