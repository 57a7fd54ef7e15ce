//! Lets runs watch a cluster: the port [`Watches`] on top of the cluster layer.

use crate::cluster::{self, Cluster, Following};
use crate::engine::drive::{Watches, Watching};
use crate::model::{ProbeError, Seen, Subject};
use std::sync::Arc;
use std::time::Duration;

#[async_trait::async_trait]
impl Watches for Cluster {
    async fn open(&self, subjects: &[Arc<Subject>]) -> Result<Box<dyn Watching>, ProbeError> {
        let subjects: Vec<Subject> = subjects.iter().map(|it| (**it).clone()).collect();
        Ok(Box::new(self.follow(&subjects).await?))
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

    fn ready(&mut self) -> Option<Seen> {
        while let Some(event) = self.try_next() {
            match sort(event) {
                Ok(Some(seen)) => return Some(seen),
                Ok(None) => (),
                // It is said again by the proof, which then fails, too.
                Err(error) => tracing::warn!("{}", error.message),
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
        cluster::Event::Broken { watch, error, .. } => {
            tracing::warn!("the watch of {watch} is broken: {error}");
            Ok(None)
        }
        cluster::Event::Restored { watch, .. } => {
            tracing::info!("the watch of {watch} is open again");
            Ok(None)
        }
    }
}

impl From<cluster::Error> for ProbeError {
    fn from(error: cluster::Error) -> Self {
        Self { reason: error.reason().to_owned(), message: error.to_string() }
    }
}
