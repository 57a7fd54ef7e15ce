//! Prometheus' remote write.
//!
//! Classic and native histograms go in requests of their own: a Prometheus 2 without the feature
//! refuses a request with native ones as a whole. Both are kept where both are taken, so queries
//! hold on every Prometheus, whatever it keeps.

use crate::cli::ways_out::endpoint::Endpoint;
use crate::cli::ways_out::pace::Way;
use crate::export::remote_write::{Body, Protocol, Writing};
use crate::export::{Content, Snapshot};
use crate::remote::post::{NotTaken, Verb};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;

/// Prometheus' remote write to one address.
pub(super) struct RemoteWrite {
    endpoint: Endpoint,
    protocol: Protocol,
    histograms: Histograms,
    labels: Arc<[(String, String)]>,
    /// What the other end has.
    before: Option<Snapshot>,
    /// Exemplars up to then are not sent again, whatever became of them: 2.0 refuses what it has,
    /// and an answer may have been lost.
    told: Timestamp,
    /// Whether it was said that native histograms are refused.
    has_said: bool,
}

/// Which form of histograms is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Histograms {
    Classic,
    Native,
    Both,
    /// Both were meant, but native ones are refused; they are tried again after so many exports.
    Refused(u32),
}

/// Most samples of a request, about as many as Prometheus sends itself.
const MOST: usize = 4_000;

/// After how many exports native histograms are tried again: the other end may have learned them.
const AGAIN: u32 = 120;

/// What the refusals of native histograms have in common.
const REFUSAL: &str = "native histogram";

/// Says how many samples an end that speaks 2.0 has written; one that does not say it has not
/// understood (remote write 2.0, section "Required Written Response Headers").
const WRITTEN: [&str; 2] =
    ["X-Prometheus-Remote-Write-Samples-Written", "X-Prometheus-Remote-Write-Histograms-Written"];

// === impl RemoteWrite ===

impl RemoteWrite {
    /// A way on which nothing was sent yet, of a process that began then: what it has of an earlier
    /// one was told by that.
    pub(super) fn new(
        endpoint: Endpoint,
        protocol: Protocol,
        histograms: Histograms,
        labels: Vec<(String, String)>,
        began: Timestamp,
    ) -> Self {
        let labels = labels.into();
        Self { endpoint, protocol, histograms, labels, before: None, told: began, has_said: false }
    }

    async fn write_all(&mut self, snapshot: &Snapshot, at: Timestamp) -> Result<(), NotTaken> {
        let mut refused = None;
        for part in snapshot.parts(MOST) {
            // What is refused of one scenario holds up no other.
            keep_refused(self.write(&part, at, Sort::Values).await, &mut refused)?;
        }
        refused.map_or(Ok(()), Err)
    }

    /// Sends one part in one or two requests.
    async fn write(&mut self, part: &Snapshot, at: Timestamp, sort: Sort) -> Result<(), NotTaken> {
        use Content::{Classic, Native, Numbers};
        let requests: &[&'static [Content]] = match self.histograms {
            Histograms::Classic | Histograms::Refused(_) => &[&[Numbers, Classic]],
            Histograms::Native => &[&[Numbers], &[Native]],
            Histograms::Both => &[&[Numbers, Classic], &[Native]],
        };
        let mut refused = None;
        for contents in requests {
            let Some(body) = self.encode(part.clone(), at, contents, sort).await else { continue };
            match self.post(body).await {
                Err(error) if *contents == [Native] && self.is_refusal(&error) => {
                    if !std::mem::replace(&mut self.has_said, true) {
                        tracing::warn!(
                            "remote_write: {error}; classic histograms go on, and native ones are \
                             tried again from time to time (`--remote-write-histograms classic` \
                             leaves them out)"
                        );
                    }
                    self.histograms = Histograms::Refused(AGAIN);
                }
                result => keep_refused(result, &mut refused)?,
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Beside everything else, because it takes a while with many scenarios.
    async fn encode(
        &self,
        part: Snapshot,
        at: Timestamp,
        contents: &'static [Content],
        sort: Sort,
    ) -> Option<Body> {
        let (protocol, labels) = (self.protocol, self.labels.clone());
        let exemplars_after = Some(self.told);
        let encoding = tokio::task::spawn_blocking(move || {
            let writing = Writing { protocol, contents, at, labels: &labels, exemplars_after };
            match sort {
                Sort::Values => writing.body(&part),
                Sort::End => writing.end(&part),
            }
        });
        encoding.await.expect("encoding does not panic")
    }

    async fn post(&self, body: Body) -> Result<(), NotTaken> {
        let [kind, version] = self.protocol.headers();
        let headers = [kind, version, ("Content-Encoding", "snappy")];
        let receipt = self.endpoint.send(Verb::Post, &headers, body.bytes).await?;
        if self.protocol == Protocol::Two && WRITTEN.iter().all(|it| receipt.number(it).is_none()) {
            let why = format!(
                "{} does not speak remote write 2.0: use `--remote-write-version 1.0`",
                self.endpoint.host()
            );
            return Err(NotTaken::Refused { status: 200, why });
        }
        Ok(())
    }

    fn is_refusal(&self, error: &NotTaken) -> bool {
        self.histograms == Histograms::Both && error.to_string().contains(REFUSAL)
    }
}

/// What is sent of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Values,
    /// That they are no more.
    End,
}

#[async_trait]
impl Way for RemoteWrite {
    async fn send(&mut self, snapshot: &Snapshot, at: Timestamp) -> Result<(), NotTaken> {
        self.histograms = match self.histograms {
            Histograms::Refused(0) => Histograms::Both,
            Histograms::Refused(more) => Histograms::Refused(more - 1),
            other => other,
        };
        let gone = self.before.as_ref().and_then(|it| it.gone(snapshot));
        let result = self.write_all(snapshot, at).await;
        self.told = at;
        if matches!(result, Err(NotTaken::Later { .. })) {
            return result;
        }
        for part in gone.iter().flat_map(|it| it.parts(MOST)) {
            self.write(&part, at, Sort::End).await?;
        }
        self.before = Some(snapshot.clone());
        result
    }
}

/// Keeps the first refusal for later; what may be taken later ends all at once.
fn keep_refused(
    result: Result<(), NotTaken>,
    refused: &mut Option<NotTaken>,
) -> Result<(), NotTaken> {
    match result {
        Err(error @ NotTaken::Refused { .. }) => {
            refused.get_or_insert(error);
            Ok(())
        }
        result => result,
    }
}
