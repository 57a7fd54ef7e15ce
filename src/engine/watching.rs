//! Lets runs watch clusters: the port [`Watches`] on top of the cluster layer.

use crate::cluster::{self, Cluster, Clusters, Following};
use crate::engine::drive::{Watches, Watching};
use crate::model::{ClusterName, ObjectEvent, ProbeError, Seen, Subject};
use futures_util::future::{join_all, select_all, try_join_all};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[async_trait::async_trait]
impl Watches for Cluster {
    async fn open(&self, subjects: &[Arc<Subject>]) -> Result<Box<dyn Watching>, ProbeError> {
        let subjects: Vec<Subject> = subjects.iter().map(|it| (**it).clone()).collect();
        Ok(Box::new(self.follow(&subjects).await?))
    }

    async fn events(&self, subjects: &[Arc<Subject>]) -> BTreeMap<Arc<Subject>, Vec<ObjectEvent>> {
        let plain: Vec<Subject> = subjects.iter().map(|it| (**it).clone()).collect();
        // Evidence is welcome, not needed: a role that does not let us read Events is fine.
        let found = match self.events_of(&plain).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!("no Events as evidence: {error}");
                return BTreeMap::new();
            }
        };
        let mut all: BTreeMap<_, Vec<_>> =
            subjects.iter().map(|it| (it.clone(), Vec::new())).collect();
        // They come newest first.
        for it in found.into_iter().rev() {
            if let Some(events) = all.get_mut(&it.subject) {
                events.push(ObjectEvent {
                    r#type: it.severity,
                    reason: it.reason,
                    message: it.message,
                    count: u32::try_from(it.count).unwrap_or(u32::MAX),
                    first: it.first,
                    last: it.last,
                    reporter: it.reporter,
                });
            }
        }
        all
    }
}

/// Open watches of several clusters.
struct Several(Vec<Following>);

/// Each subject is watched in its own cluster.
#[async_trait::async_trait]
impl Watches for Clusters {
    async fn open(&self, subjects: &[Arc<Subject>]) -> Result<Box<dyn Watching>, ProbeError> {
        let open = by_cluster(subjects).into_iter().map(async |(name, subjects)| {
            let subjects: Vec<Subject> = subjects.iter().map(|it| (**it).clone()).collect();
            self.get(&name).await?.follow(&subjects).await
        });
        let mut all = try_join_all(open).await?;
        match all.len() {
            1 => Ok(Box::new(all.remove(0))),
            _ => Ok(Box::new(Several(all))),
        }
    }

    async fn events(&self, subjects: &[Arc<Subject>]) -> BTreeMap<Arc<Subject>, Vec<ObjectEvent>> {
        let ask = by_cluster(subjects).into_iter().map(async |(name, subjects)| {
            match self.get(&name).await {
                Ok(cluster) => Watches::events(&cluster, &subjects).await,
                Err(_) => BTreeMap::new(),
            }
        });
        join_all(ask).await.into_iter().flatten().collect()
    }
}

fn by_cluster(subjects: &[Arc<Subject>]) -> BTreeMap<ClusterName, Vec<Arc<Subject>>> {
    let mut all: BTreeMap<ClusterName, Vec<Arc<Subject>>> = BTreeMap::new();
    for subject in subjects {
        all.entry(subject.cluster.clone()).or_default().push(subject.clone());
    }
    all
}

#[async_trait::async_trait]
impl Watching for Several {
    async fn next(&mut self) -> Result<Seen, ProbeError> {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let next = self.0.iter_mut().map(Watching::next);
        select_all(next).await.0
    }

    async fn prove(&mut self, limit: Duration) -> Vec<Arc<Subject>> {
        let proofs = self.0.iter_mut().map(|it| Watching::prove(it, limit));
        join_all(proofs).await.into_iter().flatten().collect()
    }

    fn ready(&mut self) -> Option<Result<Seen, ProbeError>> {
        self.0.iter_mut().find_map(Watching::ready)
    }
}

#[async_trait::async_trait]
impl Watching for Following {
    async fn next(&mut self) -> Result<Seen, ProbeError> {
        loop {
            if let Some(seen) = sort(Following::next(self).await)? {
                return Ok(seen);
            }
        }
    }

    async fn prove(&mut self, limit: Duration) -> Vec<Arc<Subject>> {
        let unproven = Following::prove(self, limit).await;
        unproven.into_iter().map(|it| it.subject).collect()
    }

    fn ready(&mut self) -> Option<Result<Seen, ProbeError>> {
        while let Some(event) = self.try_next() {
            if let Some(seen) = sort(event).transpose() {
                return Some(seen);
            }
        }
        None
    }
}

/// A state goes on to the run; trouble that may pass is only said, and bounds what comes after it.
fn sort(event: cluster::Event) -> Result<Option<Seen>, ProbeError> {
    match event {
        cluster::Event::Seen(seen) => Ok(Some(seen)),
        cluster::Event::Broken { error, .. } if error.is_permanent() => Err(error.into()),
        // The watch itself has said so in the log, once for all who share it.
        cluster::Event::Broken { .. } | cluster::Event::Restored { .. } => Ok(None),
    }
}

impl From<cluster::Error> for ProbeError {
    fn from(error: cluster::Error) -> Self {
        Self { reason: error.reason().to_owned(), message: error.to_string() }
    }
}
