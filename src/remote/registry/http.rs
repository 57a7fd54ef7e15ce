//! The requests to a registry: proven, counted, and slowed down when it asks for that.
//!
//! Nothing is sent twice behind anybody's back, but for two answers that say that a request was not
//! carried out: 401 before we have proven who we are, and 429. Both are counted.

use crate::model::{Clock, Moment};
use crate::remote::client::{Cause, cause};
use crate::remote::meter::Meter;
use crate::remote::registry::challenge::Challenge;
use crate::remote::registry::credentials::header;
use crate::remote::registry::refusal::tame;
use crate::remote::registry::{Credentials, Error, Repository, Rights};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest answer that is read: a very long list of tags.
const LONGEST_ANSWER: usize = 16 << 20;

/// How long to wait when a registry asks for patience and does not say for how much.
const PAUSE: Duration = Duration::from_secs(2);

/// One request.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Bytes,
}

/// A complete answer, of whatever status, and the instants around it.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) sent: Moment,
    pub(super) received: Moment,
}

/// Why there is no answer.
pub(super) struct NoAnswer {
    /// When the request was sent, if it may have been carried out.
    pub(super) sent: Option<Moment>,
    pub(super) why: Error,
}

/// A registry, and what we have learned of it so far.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) repository: Repository,
    pub(super) credentials: Credentials,
    pub(super) rights: Rights,
    pub(super) timeout: Duration,
    pub(super) patience: Duration,
    pub(super) learned: Mutex<Learned>,
    pub(super) meter: Meter,
}

/// What a registry has told us.
#[derive(Default)]
pub(super) struct Learned {
    pub(super) challenge: Option<Challenge>,
    pub(super) token: Option<SecretString>,
}

// === impl Ask ===

impl Ask {
    pub(super) fn new(method: Method, url: String) -> Self {
        Self { method, url, headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn sending(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

impl From<Error> for NoAnswer {
    fn from(why: Error) -> Self {
        Self { sent: None, why }
    }
}

// === impl Session ===

impl Session {
    /// Sends a request until there is an answer that says something about it.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<Answer, NoAnswer> {
        let ours = self.is_ours(&ask.url);
        let mut proven = !ours;
        let mut waited = Duration::ZERO;
        loop {
            let authorization = if ours { self.authorization().await? } else { None };
            let answer = self.send(ask, authorization).await?;
            match answer.status {
                StatusCode::UNAUTHORIZED if !proven && self.learn(&answer.headers) => {
                    proven = true;
                }
                StatusCode::TOO_MANY_REQUESTS => {
                    waited += self.be_patient(&answer.headers, waited).await?;
                }
                status if status.is_redirection() => {
                    return Err(self.redirected(&ask.url, &answer.headers).into());
                }
                _ => return Ok(answer),
            }
        }
    }

    /// One request and its answer.
    pub(super) async fn send(
        &self,
        ask: &Ask,
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, NoAnswer> {
        let mut request = self.client.request(ask.method.clone(), &ask.url).body(ask.body.clone());
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        self.meter.asked();
        let sent = self.clock.now();
        let lost = |error: reqwest::Error| {
            let never_sent = error.is_connect() || error.is_builder();
            NoAnswer { sent: (!never_sent).then_some(sent), why: self.classify(&error) }
        };
        let mut response = request.send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status == StatusCode::TOO_MANY_REQUESTS {
            self.meter.throttled();
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(lost)? {
            if body.len() + part.len() > LONGEST_ANSWER {
                let registry = self.registry();
                let why = Error::NotARegistry { registry, status: status.as_u16() };
                return Err(NoAnswer { sent: Some(sent), why });
            }
            body.extend_from_slice(&part);
        }
        let received = self.clock.now();
        Ok(Answer { status, headers, body: body.into(), sent, received })
    }

    /// How requests are proven, as far as we know by now.
    async fn authorization(&self) -> Result<Option<HeaderValue>, Error> {
        let registry = self.registry();
        let challenge = self.learned().challenge.clone();
        match (challenge, &self.credentials) {
            (None, _) => Ok(None),
            (Some(_), Credentials::Bearer(token)) => {
                header(&format!("Bearer {}", token.expose_secret()), &registry).map(Some)
            }
            (Some(Challenge::Basic), credentials) => credentials.basic_header(&registry),
            (Some(Challenge::Bearer { realm, service }), _) => {
                let known = self.learned().token.clone();
                let token = match known {
                    Some(token) => token,
                    None => self.fetch_token(&realm, service.as_deref()).await?,
                };
                let value = header(&format!("Bearer {}", token.expose_secret()), &registry)?;
                self.learned().token = Some(token);
                Ok(Some(value))
            }
        }
    }

    /// Keeps what a 401 says; whether there is any use in asking again.
    fn learn(&self, headers: &HeaderMap) -> bool {
        let Some(challenge) = Challenge::of(headers) else { return false };
        let open = matches!(challenge, Challenge::Bearer { .. });
        let mut learned = self.learned();
        learned.challenge = Some(challenge);
        // It may have run out: 401 in the middle of a run.
        learned.token = None;
        open || self.credentials.are_given()
    }

    /// Waits as long as the registry asks for, if that is not too long; says how long that was.
    async fn be_patient(&self, headers: &HeaderMap, waited: Duration) -> Result<Duration, Error> {
        let after = headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok());
        let retry_after = after.and_then(|it| self.pause(it));
        let pause = retry_after.unwrap_or(PAUSE);
        // A registry may ask for any number of seconds.
        if waited.saturating_add(pause) > self.patience
            || (pause.is_zero() && self.patience.is_zero())
        {
            return Err(Error::RateLimited { registry: self.registry(), retry_after });
        }
        // A registry that says 0 over and over must not be asked without end.
        let pause = pause.max(Duration::from_millis(100));
        tokio::time::sleep(pause).await;
        Ok(pause)
    }

    /// `Retry-After`: seconds, or a date.
    fn pause(&self, text: &str) -> Option<Duration> {
        if let Ok(seconds) = text.trim().parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
        Some(Duration::try_from(until.duration_since(self.clock.wall())).unwrap_or_default())
    }

    /// Whether an address is the registry's own, which alone gets our credentials.
    pub(super) fn is_ours(&self, url: &str) -> bool {
        let base = self.repository.base();
        Url::parse(url).is_ok_and(|it| it.origin() == base.origin())
    }

    fn redirected(&self, from: &str, headers: &HeaderMap) -> Error {
        let location = headers.get(LOCATION).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let to = Url::parse(from).and_then(|it| it.join(location)).ok();
        let to = to.and_then(|it| it.host_str().map(tame)).unwrap_or_else(|| "nowhere".to_owned());
        Error::Redirected { registry: self.registry(), to }
    }

    /// The typed error behind one of the HTTP client's.
    pub(super) fn classify(&self, error: &reqwest::Error) -> Error {
        let registry = self.registry();
        match cause(error) {
            Cause::Timeout => Error::Timeout { registry, after: self.timeout },
            Cause::UntrustedCertificate(why) => Error::UntrustedCertificate { registry, why },
            Cause::UnknownHost => Error::UnknownHost { registry },
            Cause::Unreachable(why) => Error::Unreachable { registry, why },
            Cause::Broken(why) => Error::Broken { registry, why },
        }
    }

    pub(super) fn registry(&self) -> String {
        self.repository.host().to_owned()
    }

    pub(super) fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
