//! One request: logged, spoiled if a fault says so, let in or not, and served.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::fault::{self, Fault, RequestRecord};
use super::gate::give_token;
use super::place::Place;
use super::refusal::{finish, json, refuse, spoiled, status};
use super::{Shared, TagUpdate};
use crate::loopback::{Answer, Cut, Service};

/// What came of a request: the answer, and the tag that it moved.
pub(super) struct Served {
    pub(super) answer: Answer,
    pub(super) moved: Option<TagUpdate>,
}

/// A request that was let in.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) query: &'a str,
    pub(super) headers: &'a http::HeaderMap,
    pub(super) body: Bytes,
}

impl From<Answer> for Served {
    fn from(answer: Answer) -> Self {
        Self { answer, moved: None }
    }
}

impl Asked<'_> {
    /// A value of the query.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        super::gate::pairs(self.query).find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A header as text, empty without it.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Service for Shared {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, Cut> {
        let (parts, body) = request.into_parts();
        let place = Place::of(parts.uri.path());
        let (number, fault) = self.log(&parts, &place);
        match &fault {
            Some(Fault::Cut) => return Err(Cut),
            Some(Fault::Silence) => std::future::pending().await,
            Some(Fault::Slow(by)) => tokio::time::sleep(*by).await,
            Some(Fault::Status(status, retry_after)) => {
                self.lock().requests[number].status = Some(*status);
                return Ok(spoiled(*status, *retry_after));
            }
            _ => {}
        }
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let answer = self.serve(&parts, &place, body);
        match fault {
            Some(Fault::CutAfter) => return Err(Cut),
            Some(Fault::AnswerLate(by)) => tokio::time::sleep(by).await,
            _ => {}
        }
        self.lock().requests[number].status = Some(answer.status().as_u16());
        Ok(answer)
    }
}

impl Shared {
    /// Writes the request down and takes the fault that it meets.
    fn log(&self, parts: &Parts, place: &Place) -> (usize, Option<Fault>) {
        let user_agent = parts.headers.get(header::USER_AGENT);
        let record = RequestRecord {
            method: parts.method.clone(),
            route: place.route(),
            target: parts.uri.to_string(),
            authorized: parts.headers.contains_key(header::AUTHORIZATION),
            user_agent: user_agent.and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned(),
            at: Instant::now(),
            status: None,
        };
        let mut state = self.lock();
        state.requests.push(record);
        let fault = fault::take(&mut state.faults, &parts.method, place.route());
        (state.requests.len() - 1, fault)
    }

    fn serve(self: &Arc<Self>, parts: &Parts, place: &Place, body: Bytes) -> Answer {
        let query = parts.uri.query().unwrap_or_default();
        let asked = Asked { method: &parts.method, query, headers: &parts.headers, body };
        let served = {
            let state = &mut *self.lock();
            if *place == Place::Token {
                return give_token(state, query, &asked.body, &parts.headers);
            }
            if let Err(refused) = self.admit(state, &parts.method, place, &parts.headers) {
                return *refused;
            }
            if place.repository().is_some_and(|name| !is_name(name)) {
                return refuse(400, "NAME_INVALID", "invalid repository name");
            }
            match place {
                Place::Ping => json(status(200), &serde_json::json!({})).into(),
                Place::Tags { name } => state.list_tags(name, &asked).into(),
                Place::Manifest { name, reference } => state.manifest(name, reference, &asked),
                Place::Referrers { name, digest } => state.referrers(name, digest).into(),
                Place::Blob { name, digest } => state.blob(name, digest, &asked).into(),
                Place::Uploads { name } => state.begin_upload(name, &asked).into(),
                Place::Upload { name, id } => state.upload(name, id, &asked).into(),
                Place::Token | Place::Other => {
                    Served::from(finish(status(404), "404 page not found\n"))
                }
            }
        };
        if let Some(update) = served.moved {
            self.tell(update);
        }
        served.answer
    }
}

/// The refusal of a method that a place does not know.
pub(super) fn no_method() -> Answer {
    refuse(405, "UNSUPPORTED", "the operation is unsupported")
}

fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        part.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-".contains(&c))
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    name.len() < 256 && name.split('/').all(part)
}
