//! Reads objects of the clusters for one job, each once: hops, path and trigger ask for the same.

use crate::cluster::{Clusters, Error};
use crate::hop::Objects;
use crate::model::{ClusterName, GroupKind, ObjectName, Secret, Subject};
use serde_json::Value;
use tokio::sync::Mutex;

/// What was read of the clusters so far.
pub(super) struct Reader<'a> {
    clusters: &'a Clusters,
    objects: Mutex<Objects>,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Has read nothing yet.
    pub(super) fn new(clusters: &'a Clusters) -> Self {
        Self { clusters, objects: Mutex::default() }
    }

    /// An object, as it was when it was first asked for.
    pub(super) async fn get(&self, subject: &Subject) -> Result<Value, Error> {
        let mut objects = self.objects.lock().await;
        if let Some(object) = objects.get(subject) {
            return Ok(object.clone());
        }
        let object = self.clusters.object(subject).await?;
        objects.insert(subject.clone(), object.clone());
        Ok(object)
    }

    /// All objects of a kind in a namespace; none where the kind is not served. Not kept.
    pub(super) async fn all(
        &self,
        cluster: &ClusterName,
        kind: &GroupKind,
        namespace: &str,
    ) -> Result<Vec<Value>, Error> {
        let cluster = self.clusters.get(cluster).await?;
        Ok(cluster.all(kind, Some(namespace)).await?.unwrap_or_default())
    }

    /// A Secret. It is asked for once by nature, and not kept.
    pub(super) async fn secret(
        &self,
        cluster: &ClusterName,
        name: &ObjectName,
    ) -> Result<Secret, Error> {
        self.clusters.get(cluster).await?.secret(&name.namespace, &name.name).await
    }
}
