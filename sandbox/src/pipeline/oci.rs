//! OCI lanes: an artifact in the registry, an `OCIRepository` that fetches it, what applies it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::image::pull_secret;
use super::{CANARY_NAMESPACE, CONSENT, Door, FIRST, FLUX_NAMESPACE, GUEST, Sandbox, SandboxError};
use super::{ScanHook, canary, secret};
use crate::registry::{Artifact, WebhookFormat};

/// A way for artifacts from the registry into the cluster.
#[derive(Clone, Debug)]
pub struct OciLane {
    /// Name of its Flux objects and canary; its repository is `manifests/<name>`.
    pub name: String,
    /// How often its source polls, in Flux's notation.
    pub interval: String,
    /// `spec.ref` of the `OCIRepository`.
    pub reference: Value,
    /// The tag that is there from the start, and that the reference means.
    pub first_tag: String,
    /// Whether pushed artifacts are announced.
    pub hook: ScanHook,
    /// Who may use the registry; locking one lane locks it for all.
    pub door: Door,
}

/// Where an OCI lane can be reached. Not for printing: it knows a password.
#[derive(Clone)]
pub struct OciLanePlaces {
    /// Its address, as in an `OCIRepository`.
    pub url: String,
    /// The repository in the registry.
    pub repository: String,
    /// User and password for the registry, where it is locked.
    pub account: Option<(String, String)>,
}

// === impl OciLane ===

impl OciLane {
    /// A lane that follows the tag `latest`, with a working webhook.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            interval: "1m".to_owned(),
            reference: json!({"tag": "latest"}),
            first_tag: "latest".to_owned(),
            hook: ScanHook::Right(WebhookFormat::GenericHmac),
            door: Door::Open,
        }
    }

    /// The artifact that is there from the start.
    #[must_use]
    pub fn first_artifact(&self) -> Artifact {
        let annotations = [
            ("org.opencontainers.image.created", "2026-11-21T00:00:00Z"),
            (
                "org.opencontainers.image.revision",
                "main@sha1:0000000000000000000000000000000000000000",
            ),
            ("org.opencontainers.image.source", "https://git.example.org/fleet"),
            (CONSENT, FIRST),
        ];
        Artifact::flux(&[("canary.yaml", &canary(&self.name, FIRST))], &annotations)
    }

    fn objects(&self, url: &str, token: &str) -> Vec<Value> {
        let name = &self.name;
        let metadata = json!({"name": name, "namespace": FLUX_NAMESPACE});
        let mut source = json!({"apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "OCIRepository", "metadata": metadata,
            "spec": {"interval": self.interval, "url": url, "ref": self.reference,
                "insecure": true, "provider": "generic", "timeout": "60s"}});
        source["metadata"]["annotations"] = json!({ CONSENT: GUEST });
        if self.door == Door::Locked {
            source["spec"]["secretRef"] = json!({"name": self.secret_name()});
        }
        vec![
            json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": format!("{name}-hook"), "namespace": FLUX_NAMESPACE},
                "data": {"token": STANDARD.encode(token)}}),
            source,
            json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": metadata,
                "spec": {"interval": "10m", "path": "./", "prune": true, "wait": true,
                    "force": false, "targetNamespace": CANARY_NAMESPACE,
                    "sourceRef": {"kind": "OCIRepository", "name": name}}}),
            json!({"apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver",
                "metadata": metadata,
                "spec": {"type": self.hook.receiver_type(), "interval": "10m",
                    "secretRef": {"name": format!("{name}-hook")},
                    "resources": [{"kind": "OCIRepository", "name": name}]}}),
        ]
    }

    fn secret_name(&self) -> String {
        format!("{}-registry", self.name)
    }
}

// === impl Sandbox ===

impl Sandbox {
    /// Adds an OCI lane, and returns where it can be reached once its first artifact is applied.
    ///
    /// # Errors
    /// If the lane is there already, or delivers nothing.
    pub async fn add_oci_lane(&self, lane: &OciLane) -> Result<OciLanePlaces, SandboxError> {
        let repository = format!("manifests/{}", lane.name);
        let url = format!("oci://{}/{repository}", self.registry().host());
        let artifact = lane.first_artifact();
        let _ = self.registry().push_artifact(&repository, &lane.first_tag, &artifact);
        let (password, token) = (secret(), secret());
        let mut account = None;
        if lane.door == Door::Locked {
            self.lock_registry(&password);
            let host = self.registry().host().to_owned();
            self.create(pull_secret(&lane.secret_name(), &host, &password))?;
            account = Some((GUEST.to_owned(), password));
        }
        for object in lane.objects(&url, &token) {
            self.create(object)?;
        }
        self.applied(&lane.name).await?;
        self.hook_up_registry(lane.hook, &lane.name, &repository, &token).await;
        Ok(OciLanePlaces { url, repository, account })
    }
}
