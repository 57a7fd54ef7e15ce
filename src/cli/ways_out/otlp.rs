//! OTLP metrics, in protobuf over HTTP.
//!
//! Totals are said anew each time. Differences whose answer was lost may have been added already, and
//! nobody knows. They are sent again as they were, over the same window of time, before any newer ones:
//! a receiver that has their end drops them, as Prometheus' and the Collector's `deltatocumulative`
//! do. With newer ones in them they would be new to everybody, and count twice.

use crate::cli::ways_out::endpoint::Endpoint;
use crate::cli::ways_out::pace::Way;
use crate::export::Snapshot;
use crate::export::otlp::{Buckets, Memory, Writing, rejected};
use crate::remote::post::{NotTaken, Receipt, Verb};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;

/// OTLP metrics to one address.
pub(super) struct Otlp {
    endpoint: Endpoint,
    buckets: Buckets,
    resource: Arc<[(String, String)]>,
    /// What the other end has, if only differences are sent.
    memory: Option<Memory>,
    under_way: Option<UnderWay>,
}

/// What the other end may have, or not.
struct UnderWay {
    /// The instant that it is of.
    at: Timestamp,
    /// The parts that are not known to be there.
    left: VecDeque<Snapshot>,
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
        Self { endpoint, buckets, resource: resource.into(), memory, under_way: None }
    }

    /// Sends what is under way. What nobody knows of, or is not taken now, stays so.
    async fn deliver(&mut self) -> Result<(), NotTaken> {
        let headers = [("Content-Type", "application/x-protobuf")];
        let mut refused = None;
        while let Some((at, part)) = self.next() {
            if let Some(body) = self.encode(part.clone(), at).await {
                match self.endpoint.send(Verb::Post, &headers, body).await {
                    Ok(receipt) => refused = refused.or(self.complaint(&receipt)),
                    Err(error) if is_for_good(&error) => refused = refused.or(Some(error)),
                    Err(error) => return Err(error),
                }
            }
            if let Some(memory) = &mut self.memory {
                memory.acknowledge(&part, at);
            }
            if let Some(it) = &mut self.under_way {
                it.left.pop_front();
            }
        }
        self.under_way = None;
        refused.map_or(Ok(()), Err)
    }

    fn next(&self) -> Option<(Timestamp, Snapshot)> {
        let under_way = self.under_way.as_ref()?;
        Some((under_way.at, under_way.left.front()?.clone()))
    }

    /// What an answer says that was not taken. It would be refused again, and must not be sent again.
    fn complaint(&self, receipt: &Receipt) -> Option<NotTaken> {
        let it = rejected(&receipt.body)?;
        let (host, points, why) = (self.endpoint.host(), it.points, it.why);
        let why = format!("{host} did not take {points} points (`{why}`): see its log");
        Some(NotTaken::Refused { status: 200, why })
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
        if self.memory.is_none() {
            self.under_way = None;
        }
        let before = self.deliver().await;
        if self.under_way.is_some() {
            return before;
        }
        if let Some(memory) = &mut self.memory {
            memory.see(snapshot, at);
        }
        self.under_way = Some(UnderWay { at, left: snapshot.parts(MOST).into() });
        let now = self.deliver().await;
        if self.under_way.is_some() {
            return now;
        }
        if let Some(memory) = &mut self.memory {
            memory.forget_others(snapshot);
        }
        before.and(now)
    }
}

/// Whether what was sent will never be taken as it is, or the other end has it already.
fn is_for_good(error: &NotTaken) -> bool {
    matches!(error, NotTaken::Refused { status: 400 | 409 | 413 | 422, .. })
}
