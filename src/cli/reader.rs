//! Reads objects of the cluster for one job, each once: hops, path and trigger ask for the same.

use crate::cluster::{Cluster, Error};
use crate::hop::Objects;
use crate::model::{GroupKind, Secret, Subject};
use serde_json::Value;
use tokio::sync::Mutex;

/// What was read of a cluster so far.
pub(super) struct Reader<'a> {
    cluster: &'a Cluster,
    objects: Mutex<Objects>,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Has read nothing yet.
    pub(super) fn new(cluster: &'a Cluster) -> Self {
        Self { cluster, objects: Mutex::default() }
    }

    /// An object, as it was when it was first asked for.
    pub(super) async fn get(&self, subject: &Subject) -> Result<Value, Error> {
        let mut objects = self.objects.lock().await;
        if let Some(object) = objects.get(subject) {
            return Ok(object.clone());
        }
        let object = self.cluster.get(subject).await?;
        objects.insert(subject.clone(), object.clone());
        Ok(object)
    }

    /// All objects of a kind in a namespace; none where the kind is not served. Not kept.
    pub(super) async fn all(&self, kind: &GroupKind, namespace: &str) -> Result<Vec<Value>, Error> {
        Ok(self.cluster.all(kind, Some(namespace)).await?.unwrap_or_default())
    }

    /// A Secret. It is asked for once by nature, and not kept.
    pub(super) async fn secret(&self, namespace: &str, name: &str) -> Result<Secret, Error> {
        self.cluster.secret(namespace, name).await
    }
}
