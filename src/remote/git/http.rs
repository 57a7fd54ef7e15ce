//! The HTTP requests of smart git, over the client that the rest of hopclock uses.
//!
//! A request is sent as a whole and its answer read as a whole: the two instants of a push are
//! taken around that.

use crate::model::Clock;
use crate::remote::client::{Cause, cause};
use crate::remote::git::session::{self, Push, Trace};
use crate::remote::git::{Deed, Error, RemoteUrl};
use crate::remote::meter::Meter;
use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Client, Response, Url};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::runtime::Handle;

/// Redirects that are followed before a host is taken to be confused.
const MOST_REDIRECTS: usize = 5;

/// One request of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    FetchRefs,
    Fetch,
    PushRefs,
    Push,
}

/// One operation on a remote: its requests and what became of them.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) runtime: Handle,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) remote: RemoteUrl,
    /// The same address, to compare redirects with.
    pub(super) address: Url,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) timeout: Duration,
    pub(super) meter: Meter,
    pub(super) trace: Mutex<Trace>,
}

impl Ask {
    fn path(self) -> &'static str {
        match self {
            Self::FetchRefs => "/info/refs?service=git-upload-pack",
            Self::Fetch => "/git-upload-pack",
            Self::PushRefs => "/info/refs?service=git-receive-pack",
            Self::Push => "/git-receive-pack",
        }
    }

    fn service(self) -> &'static str {
        match self {
            Self::FetchRefs | Self::Fetch => "git-upload-pack",
            Self::PushRefs | Self::Push => "git-receive-pack",
        }
    }

    fn deed(self) -> Deed {
        match self {
            Self::FetchRefs | Self::Fetch => Deed::Read,
            Self::PushRefs | Self::Push => Deed::Push,
        }
    }

    fn is_refs(self) -> bool {
        matches!(self, Self::FetchRefs | Self::PushRefs)
    }
}

impl Session {
    /// Sends one request and returns the complete body of a good answer. Blocks; only for threads
    /// that may.
    ///
    /// # Errors
    /// With a text for libgit2; the typed error stays in the trace.
    pub(super) fn ask(&self, ask: Ask, body: Vec<u8>) -> io::Result<Bytes> {
        self.runtime.block_on(self.exchange(ask, body.into())).map_err(|error| {
            let text = error.to_string();
            self.trace().failure = Some(error);
            io::Error::other(text)
        })
    }

    fn trace(&self) -> MutexGuard<'_, Trace> {
        session::lock(&self.trace)
    }

    fn url(&self) -> String {
        self.remote.to_string()
    }

    async fn exchange(&self, ask: Ask, body: Bytes) -> Result<Bytes, Error> {
        let base = self.trace().base.clone().unwrap_or_else(|| self.remote.to_string());
        let mut target = format!("{base}{}", ask.path());
        for _ in 0..MOST_REDIRECTS {
            let response = self.send(ask, &target, body.clone()).await?;
            if !response.status().is_redirection() {
                return self.receive(ask, response).await;
            }
            target = self.redirect(ask, &target, response.headers())?;
        }
        Err(Error::Redirected { url: self.url(), to: target })
    }

    async fn send(&self, ask: Ask, target: &str, body: Bytes) -> Result<Response, Error> {
        let mut request = if ask.is_refs() {
            self.client.get(target)
        } else {
            let kind = format!("application/x-{}-request", ask.service());
            let wanted = format!("application/x-{}-result", ask.service());
            self.client.post(target).header(CONTENT_TYPE, kind).header(ACCEPT, wanted).body(body)
        };
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if ask == Ask::Push {
            self.trace().push = Push::Unanswered { sent: self.clock.now() };
        }
        self.meter.asked();
        request.send().await.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                self.trace().push = Push::NotTaken;
            }
            self.classify(&error)
        })
    }

    async fn receive(&self, ask: Ask, response: Response) -> Result<Bytes, Error> {
        let status = response.status();
        if !status.is_success() {
            // A gateway's error may hide a push that was carried out behind it.
            if status.is_client_error() {
                self.trace().push = Push::NotTaken;
            }
            return Err(self.refusal(ask, status.as_u16(), response.headers()));
        }
        if ask.is_refs() {
            let wanted = format!("application/x-{}-advertisement", ask.service());
            let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            if kind != Some(wanted.as_str()) {
                return Err(Error::NotGit { url: self.url() });
            }
        }
        let body = response.bytes().await.map_err(|error| self.classify(&error))?;
        let mut trace = self.trace();
        if let (Ask::Push, Push::Unanswered { sent }) = (ask, trace.push) {
            trace.push = Push::Answered { sent, acknowledged: self.clock.now() };
        }
        Ok(body)
    }

    /// Where a redirect leads, if that is the same host: credentials go nowhere else.
    fn redirect(&self, ask: Ask, from: &str, headers: &HeaderMap) -> Result<String, Error> {
        let location = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
        let to = Url::parse(from).and_then(|from| from.join(location));
        let to = to.map_err(|_| Error::NotGit { url: self.url() })?;
        let origin = |url: &Url| (url.host_str().map(str::to_owned), url.port());
        let safer = to.scheme() == "https" || to.scheme() == self.address.scheme();
        let base = to.as_str().strip_suffix(ask.path()).map(str::to_owned);
        match base {
            Some(base) if ask.is_refs() && safer && origin(&to) == origin(&self.address) => {
                self.trace().base = Some(base);
                Ok(to.into())
            }
            _ => {
                let mut shown = to;
                let _ = shown.set_username("");
                let _ = shown.set_password(None);
                shown.set_query(None);
                let shown = shown.as_str().trim_end_matches("/info/refs").to_owned();
                Err(Error::Redirected { url: self.url(), to: shown })
            }
        }
    }

    fn refusal(&self, ask: Ask, status: u16, headers: &HeaderMap) -> Error {
        let url = self.url();
        match status {
            401 if self.authorization.is_none() => Error::NoCredentials { url },
            401 => Error::Unauthorized { url },
            403 => Error::Forbidden { url, deed: ask.deed() },
            404 | 410 => Error::NoRepository { url },
            429 => {
                self.meter.throttled();
                let after = headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok());
                Error::RateLimited { url, retry_after: after.and_then(|after| self.pause(after)) }
            }
            _ => Error::Status { url, status },
        }
    }

    /// `Retry-After`: seconds, or a date.
    fn pause(&self, text: &str) -> Option<Duration> {
        if let Ok(seconds) = text.trim().parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
        Some(Duration::try_from(until.duration_since(self.clock.wall())).unwrap_or_default())
    }

    /// The typed error behind one of the HTTP client's.
    fn classify(&self, error: &reqwest::Error) -> Error {
        let url = self.url();
        match cause(error) {
            Cause::Timeout => Error::Timeout { url, after: self.timeout },
            Cause::UntrustedCertificate(why) => Error::UntrustedCertificate { url, why },
            Cause::UnknownHost => Error::UnknownHost { url },
            Cause::Unreachable(why) => Error::Unreachable { url, why },
            Cause::Broken(why) => Error::Broken { url, why },
        }
    }
}
