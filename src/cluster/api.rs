//! The one way of all requests to an API server: counted, bounded in time, never repeated.
//!
//! kube's own retries are off, for they would hide in what is measured. A connection that left a
//! request without answer may not be the only dead one of its pool, so the next request uses a
//! fresh pool.

use crate::cluster::access::{self, Access};
use crate::cluster::{Error, Target, Timing, refusal, skew};
use crate::model::{Clock, GroupKind, Moment};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::client::Body;
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;

/// The form of answers.
const JSON: &str = "application/json";

/// An API server, and what we asked of it so far.
pub(super) struct Api {
    pub(super) server: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timing: Timing,
    client: AsyncMutex<Client>,
    /// What a fresh client is made from; none if we were given the client.
    config: Option<Config>,
    stale: AtomicBool,
    requests: AtomicU64,
    restarts: Mutex<BTreeMap<(GroupKind, &'static str), u64>>,
    silence: Mutex<Option<Silence>>,
}

/// That the API server gives no answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// When a request was left without an answer for the first time.
    pub since: Timestamp,
    /// What the latest one came to.
    pub problem: String,
}

/// A request to the API server.
pub(super) struct Ask {
    /// What it is about.
    pub(super) target: Target,
    /// Path and query.
    pub(super) path: String,
}

/// What a request writes.
pub(super) struct Write {
    pub(super) method: Method,
    /// The media type of the body.
    pub(super) media: &'static str,
    pub(super) body: Value,
}

/// An answer: its body, and when it was asked for and complete.
pub(super) struct Answer {
    pub(super) body: Bytes,
    pub(super) sent: Moment,
    pub(super) at: Moment,
    /// When the server gave it, by its own clock.
    pub(super) date: Option<Timestamp>,
}

/// What came back, success or not.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) answer: Answer,
}

impl Api {
    /// Reaches the server that `access` names.
    pub(super) async fn reach(
        access: Access,
        timing: Timing,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let Access { server, config } = access;
        let client = fresh(&server, &config).await?;
        let api = Self::over(client, server, timing, clock);
        Ok(Self { config: Some(config), ..api })
    }

    /// Talks through a client that is already there.
    pub(super) fn over(
        client: Client,
        server: String,
        timing: Timing,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            server,
            clock,
            timing,
            client: AsyncMutex::new(client),
            config: None,
            stale: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            restarts: Mutex::default(),
            silence: Mutex::default(),
        }
    }

    /// That the latest request got no answer; none if it got one, whatever it said.
    pub(super) fn silence(&self) -> Option<Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Counts a watch that had to be opened again.
    pub(super) fn restarted(&self, kind: &GroupKind, reason: &'static str) {
        let mut restarts = self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        *restarts.entry((kind.clone(), reason)).or_default() += 1;
    }

    /// Watches that had to be opened again so far.
    pub(super) fn restarts(&self) -> BTreeMap<(GroupKind, &'static str), u64> {
        self.restarts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next request uses none of the connections there are.
    pub(super) fn distrust_connections(&self) {
        self.stale.store(true, Ordering::Relaxed);
    }

    /// Reads what `ask` names.
    pub(super) async fn get(&self, ask: &Ask) -> Result<Answer, Error> {
        let Reply { status, answer } = self.reply(ask).await?;
        if status.is_success() {
            return Ok(answer);
        }
        Err(refusal::refused(&self.server, &ask.target, status, &answer.body))
    }

    /// Reads what `ask` names, whatever its status.
    pub(super) async fn reply(&self, ask: &Ask) -> Result<Reply, Error> {
        self.exchange(ask, JSON, None).await
    }

    /// Reads what `ask` names in another form than plain JSON, whatever its status.
    pub(super) async fn reply_as(&self, ask: &Ask, accept: &'static str) -> Result<Reply, Error> {
        self.exchange(ask, accept, None).await
    }

    /// Writes what `ask` names, whatever the answer's status.
    pub(super) async fn write(&self, ask: &Ask, write: &Write) -> Result<Reply, Error> {
        self.exchange(ask, JSON, Some(write)).await
    }

    async fn exchange(
        &self,
        ask: &Ask,
        accept: &'static str,
        write: Option<&Write>,
    ) -> Result<Reply, Error> {
        let whole = async {
            let (sent, response) = self.send(ask, accept, write).await?;
            let date = skew::date(response.headers());
            let (status, body) = (response.status(), response.into_body());
            let body =
                body.collect().await.map_err(|it| refusal::unreachable(&self.server, &it))?;
            let answer = Answer { body: body.to_bytes(), sent, at: self.clock.now(), date };
            Ok(Reply { status, answer })
        };
        let reply = timeout(self.timing.answer, whole).await;
        self.hear(reply.unwrap_or_else(|_| Err(self.timed_out(ask))))
    }

    /// Opens a stream; the head of the answer, and when it was asked for.
    pub(super) async fn open(&self, ask: &Ask) -> Result<(Moment, Body), Error> {
        let head = async {
            let (sent, response) = self.send(ask, JSON, None).await?;
            let (status, body) = (response.status(), response.into_body());
            if status.is_success() {
                return Ok((sent, body));
            }
            let body =
                body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            Err(refusal::refused(&self.server, &ask.target, status, &body))
        };
        let head = timeout(self.timing.answer, head).await;
        self.hear(head.unwrap_or_else(|_| Err(self.timed_out(ask))))
    }

    /// Takes in whether there was an answer.
    fn hear<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        let problem = result.as_ref().err().filter(|it| it.is_silence()).map(ToString::to_string);
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        *silence = problem.map(|problem| {
            let since = silence.as_ref().map_or_else(|| self.clock.wall(), |it| it.since);
            Silence { since, problem }
        });
        drop(silence);
        result
    }

    /// Reads an answer as JSON.
    pub(super) fn read<T: DeserializeOwned>(&self, ask: &Ask, body: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(body).map_err(|it| Error::NotUnderstood {
            server: self.server.clone(),
            target: Box::new(ask.target.clone()),
            problem: format!("line {}, column {}", it.line(), it.column()),
        })
    }

    async fn send(
        &self,
        ask: &Ask,
        accept: &'static str,
        write: Option<&Write>,
    ) -> Result<(Moment, http::Response<Body>), Error> {
        let client = self.client().await;
        // Kubernetes 1.37 compresses each event of a watch by itself, which kube cannot read.
        let request = Request::get(&ask.path)
            .header(header::ACCEPT, accept)
            .header(header::ACCEPT_ENCODING, "identity");
        let request = match write {
            None => request.body(Body::empty()),
            Some(Write { method, media, body }) => request
                .method(method)
                .header(header::CONTENT_TYPE, *media)
                .body(Body::from(body.to_string().into_bytes())),
        };
        let request = request.map_err(|it| refusal::unreachable(&self.server, &it))?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let sent = self.clock.now();
        let response = client.send(request).await;
        Ok((sent, response.map_err(|it| refusal::unreachable(&self.server, &it))?))
    }

    async fn client(&self) -> Client {
        let mut client = self.client.lock().await;
        if self.stale.swap(false, Ordering::Relaxed)
            && let Some(config) = &self.config
            && let Ok(new) = fresh(&self.server, config).await
        {
            *client = new;
        }
        client.clone()
    }

    fn timed_out(&self, ask: &Ask) -> Error {
        self.distrust_connections();
        let (server, limit) = (self.server.clone(), self.timing.answer);
        Error::TimedOut { server, target: Box::new(ask.target.clone()), limit }
    }
}

/// A client with a pool of its own. Made where blocking is allowed, for it may run a plugin.
async fn fresh(server: &str, config: &Config) -> Result<Client, Error> {
    let (name, config) = (server.to_owned(), config.clone());
    let made = tokio::task::spawn_blocking(move || access::client(&name, config)).await;
    made.unwrap_or_else(|_| {
        let problem = "they made the client give up".to_owned();
        Err(Error::Credentials { server: server.to_owned(), problem })
    })
}
