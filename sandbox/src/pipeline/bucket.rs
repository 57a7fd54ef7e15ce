//! Bucket lanes: from an object on the bucket server to the cluster, by source and applier.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{
    CONSENT, Door, FIRST, FLUX_NAMESPACE, GUEST, Hook, Sandbox, SandboxError, canary, secret,
};
use crate::bucket::Account;

/// Where a lane's canary stands in its bucket.
pub const CANARY_KEY: &str = "canary/configmap.yaml";

/// A way for objects of a bucket into the cluster.
#[derive(Clone, Debug)]
pub struct BucketLane {
    /// Name of its bucket, Flux objects and canary.
    pub name: String,
    /// How often its source lists the bucket, in Flux's notation.
    pub interval: String,
    /// Whether writes are announced; with the wrong secret, at an address that nobody has.
    pub hook: Hook,
    /// Who may use the bucket server; locking one lane locks it for all.
    pub door: Door,
}

/// Where a bucket lane can be reached. Not for printing: it knows a secret key.
#[derive(Clone)]
pub struct BucketLanePlaces {
    /// The bucket.
    pub bucket: String,
    /// Access key and secret key, where it is locked.
    pub keys: Option<(String, String)>,
}

// === impl BucketLane ===

impl BucketLane {
    /// A lane whose writes are announced.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let (name, interval) = (name.to_owned(), "1m".to_owned());
        Self { name, interval, hook: Hook::Right, door: Door::Open }
    }

    /// Source, applier and receiver with what they know.
    fn objects(&self, endpoint: &str, keys: Option<&(String, String)>, token: &str) -> Vec<Value> {
        let name = self.name.as_str();
        let metadata = |name: String| json!({"name": name, "namespace": FLUX_NAMESPACE});
        let mut spec = json!({"interval": self.interval, "provider": "generic", "insecure": true,
            "endpoint": endpoint, "bucketName": name, "region": "us-east-1", "timeout": "60s"});
        let mut objects = Vec::new();
        if let Some((access, word)) = keys {
            spec["secretRef"] = json!({"name": format!("{name}-s3")});
            objects.push(json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": metadata(format!("{name}-s3")),
                "data": {"accesskey": STANDARD.encode(access), "secretkey": STANDARD.encode(word)}}));
        }
        objects.extend([
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata(format!("{name}-hook")),
                "data": {"token": STANDARD.encode(token)}}),
            json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "Bucket",
                "metadata": {"name": name, "namespace": FLUX_NAMESPACE,
                    "annotations": {CONSENT: GUEST}},
                "spec": spec}),
            json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": metadata(name.to_owned()),
                "spec": {"interval": "10m", "path": "./canary", "prune": true, "wait": true,
                    "force": false, "sourceRef": {"kind": "Bucket", "name": name}}}),
            json!({"apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver",
                "metadata": metadata(name.to_owned()),
                "spec": {"type": "generic", "interval": "10m",
                    "secretRef": {"name": format!("{name}-hook")},
                    "resources": [{"kind": "Bucket", "name": name}]}}),
        ]);
        objects
    }
}

// === impl Sandbox ===

impl Sandbox {
    /// Adds a bucket lane, and returns where it can be reached once its first canary is applied.
    ///
    /// # Errors
    /// If the lane is there already, or delivers nothing.
    pub async fn add_bucket_lane(
        &self,
        lane: &BucketLane,
    ) -> Result<BucketLanePlaces, SandboxError> {
        let (name, host) = (lane.name.as_str(), self.bucket());
        host.put(name, CANARY_KEY, &canary(name, FIRST));
        let keys = (lane.door == Door::Locked).then(|| (name.to_owned(), secret()));
        if let Some((access_key, secret_key)) = keys.clone() {
            host.add_account(Account { access_key, secret_key, may_write: true });
        }
        for object in lane.objects(host.host(), keys.as_ref(), &secret()) {
            self.store().create(object, "sandbox")?;
        }
        self.applied(name).await?;
        let hook = self.receiver_of(name).await;
        match lane.hook {
            Hook::Silent => {}
            Hook::Right => host.add_webhook(name, &hook),
            Hook::WrongSecret => host.add_webhook(name, &format!("{hook}0")),
        }
        Ok(BucketLanePlaces { bucket: name.to_owned(), keys })
    }
}
