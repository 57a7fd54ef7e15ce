//! What lies between the store and the network: our own client, with an ear on it.
//!
//! The store tells neither instants nor what a refusal had in its headers. So every request passes
//! here, and whoever carries out an operation hears of the last one.

use crate::model::{Clock, Moment};
use crate::remote::bucket::names;
use crate::remote::client::{Cause, cause};
use crate::remote::meter::Meter;
use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode, Url};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How requests call themselves.
pub(super) const USER_AGENT: &str = concat!("hopclock/", env!("CARGO_PKG_VERSION"));

/// Longest answer that is read, as a rule: a page of a list, an index, or an object that somebody
/// put in our place.
pub(super) const LONGEST_ANSWER: usize = 16 << 20;

/// A request, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) sent: Moment,
    /// When it ended.
    pub(super) received: Moment,
    pub(super) result: Outcome,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// An answer, of whatever status; the text only of a refusal.
    Answered { status: StatusCode, headers: HeaderMap, text: String },
    /// None. Whether it may have been carried out.
    Lost { cause: Cause, may_be_done: bool },
    /// One that is longer than what is read of any.
    TooLarge,
}

/// Why there is no complete answer.
enum Failure {
    Lost(reqwest::Error),
    TooLarge,
}

/// The way to the servers. Clones share it.
#[derive(Clone)]
pub(super) struct Wire {
    client: Client,
    clock: Arc<dyn Clock>,
    pub(super) timeout: Duration,
    /// The longest answer that is read.
    pub(super) longest: usize,
    pub(super) meter: Meter,
}

type Ear = Arc<Mutex<Option<Exchange>>>;

tokio::task_local! {
    /// Who wants to hear of the requests of this task.
    static EAR: Ear;
}

// === impl Wire ===

impl Wire {
    pub(super) fn new(
        client: Client,
        clock: Arc<dyn Clock>,
        timeout: Duration,
        longest: usize,
    ) -> Self {
        Self { client, clock, timeout, longest, meter: Meter::default() }
    }

    /// Waits for an operation, and gives the last exchange that it made.
    pub(super) async fn listen<F: Future>(&self, operation: F) -> (F::Output, Option<Exchange>) {
        let ear = Ear::default();
        let output = EAR.scope(Arc::clone(&ear), operation).await;
        let heard = ear.lock().unwrap_or_else(PoisonError::into_inner).take();
        (output, heard)
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(super) fn wall(&self) -> jiff::Timestamp {
        self.clock.wall()
    }

    /// One request and its complete answer. Part of an answer would pass for the whole, and be
    /// written back; only of a refusal a part is enough.
    async fn exchange(&self, request: reqwest::Request) -> Result<Answer, Failure> {
        let mut response = self.client.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await? {
            body.extend_from_slice(&part);
            if body.len() > self.longest {
                if status.is_success() {
                    return Err(Failure::TooLarge);
                }
                break;
            }
        }
        Ok((status, headers, body))
    }
}

type Answer = (StatusCode, HeaderMap, Vec<u8>);

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Lost(error)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        let is_list = query.split('&').any(|it| matches!(it, "list-type=2" | "comp=list"));
        let body = body.collect().await?.to_bytes();
        let url = Url::parse(&parts.uri.to_string());
        let url = url.map_err(|why| HttpError::new(HttpErrorKind::Unknown, why))?;
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(body.into());
        self.meter.asked();
        let sent = self.clock.now();
        let answer = self.exchange(request).await;
        let received = self.clock.now();
        let (result, answer) = match answer {
            Ok((status, headers, body)) => {
                let is_refusal = !status.is_success();
                let text =
                    if is_refusal { String::from_utf8_lossy(&body).into() } else { String::new() };
                let body = if is_list && !is_refusal { readable(body) } else { body };
                let mut response = HttpResponse::new(body.into());
                *response.status_mut() = status;
                *response.headers_mut() = headers.clone();
                (Outcome::Answered { status, headers, text }, Ok(response))
            }
            Err(Failure::TooLarge) => {
                let refused = HttpError::new(HttpErrorKind::Decode, io::Error::other("too large"));
                (Outcome::TooLarge, Err(refused))
            }
            Err(Failure::Lost(error)) => {
                let may_be_done = !(error.is_connect() || error.is_builder());
                let cause = cause(&error);
                let kind = match cause {
                    Cause::Timeout => HttpErrorKind::Timeout,
                    Cause::Broken(_) => HttpErrorKind::Interrupted,
                    _ => HttpErrorKind::Connect,
                };
                let lost = HttpError::new(kind, io::Error::other("no answer"));
                (Outcome::Lost { cause, may_be_done }, Err(lost))
            }
        };
        let heard = Exchange { sent, received, result };
        // A store that asks from another task is not heard; then the operation has no instants.
        let _ = EAR.try_with(|ear| {
            *ear.lock().unwrap_or_else(PoisonError::into_inner) = Some(heard);
        });
        answer
    }
}

/// A list that the store can read.
fn readable(list: Vec<u8>) -> Vec<u8> {
    let readable = str::from_utf8(&list).ok().and_then(names::readable);
    readable.map_or(list, String::into_bytes)
}
