//! OTLP metrics, in protobuf over HTTP.

use crate::cli::ways_out::endpoint::Endpoint;
use crate::cli::ways_out::pace::Way;
use crate::export::Snapshot;
use crate::export::otlp::{Buckets, Memory, Writing, rejected};
use crate::remote::post::{NotTaken, Verb};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;

/// OTLP metrics to one address.
pub(super) struct Otlp {
    endpoint: Endpoint,
    buckets: Buckets,
    resource: Arc<[(String, String)]>,
    /// What the other end has, if only differences are sent.
    memory: Option<Memory>,
}

/// Most numbers of a request: collectors take some megabytes.
const MOST: usize = 4_000;

// === impl Otlp ===

impl Otlp {
    /// A way of which nothing was sent yet; with a memory it sends differences.
    pub(super) fn new(
        endpoint: Endpoint,
        buckets: Buckets,
        resource: Vec<(String, String)>,
        memory: Option<Memory>,
    ) -> Self {
        Self { endpoint, buckets, resource: resource.into(), memory }
    }

    async fn encode(&self, part: Snapshot, at: Timestamp) -> Option<Vec<u8>> {
        let (buckets, resource) = (self.buckets, self.resource.clone());
        let memory = self.memory.clone();
        let encoding = tokio::task::spawn_blocking(move || {
            let version = env!("CARGO_PKG_VERSION");
            let writing = Writing { at, buckets, resource: &resource, version };
            match &memory {
                Some(memory) => writing.deltas(&part, memory),
                None => writing.totals(&part),
            }
        });
        encoding.await.expect("encoding does not panic")
    }
}

#[async_trait]
impl Way for Otlp {
    async fn send(&mut self, snapshot: &Snapshot, at: Timestamp) -> Result<(), NotTaken> {
        let headers = [("Content-Type", "application/x-protobuf")];
        let mut refused = None;
        if let Some(memory) = &mut self.memory {
            memory.see(snapshot, at);
        }
        for part in snapshot.parts(MOST) {
            if let Some(body) = self.encode(part.clone(), at).await {
                let receipt = self.endpoint.send(Verb::Post, &headers, body).await?;
                refused = refused.or(rejected(&receipt.body));
            }
            if let Some(memory) = &mut self.memory {
                memory.acknowledge(&part, at);
            }
        }
        if let Some(memory) = &mut self.memory {
            memory.forget_others(snapshot);
        }
        // What is refused will be refused again, and must not be sent again.
        match refused {
            Some(it) => Err(NotTaken::Refused {
                status: 200,
                why: format!(
                    "{} did not take {} points (`{}`): see its log",
                    self.endpoint.host(),
                    it.points,
                    it.why
                ),
            }),
            None => Ok(()),
        }
    }
}
