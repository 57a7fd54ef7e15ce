//! Calls of a Receiver's address, and what answers there.
//!
//! A Receiver's own answers have no body. So the body tells whether it was the Receiver that
//! answered, Go's router beside it, or something in front of both.

use crate::remote::client::{Cause, Clients, cause};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use std::time::Duration;

pub use reqwest::Method;

const USER_AGENT: &str = concat!("hopclock/", env!("CARGO_PKG_VERSION"));

/// How long a call may take: Flux reads for half a minute, and annotates within moments.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Most that is read of an answer's body.
const LONGEST: usize = 4 << 10;

/// What Go's router says of a path that it does not know.
const GO_NOT_FOUND: &str = "404 page not found";

/// An address that takes webhooks.
#[derive(Clone, Debug)]
pub struct Webhook {
    base: Url,
    client: Client,
}

/// One call. Not for printing: its headers may be secrets.
#[derive(Clone)]
pub struct Call {
    /// `GET` or `POST`.
    pub method: Method,
    /// The path, such as `/hook/…`.
    pub path: String,
    /// Headers that the caller adds.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What the body says of who answered.
    pub voice: Voice,
}

/// Who answered, as far as the body tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Nobody who says anything, as Receivers do.
    Silent,
    /// Go's router, which knows no such path.
    GoRouter,
    /// Somebody who writes pages: a proxy, an ingress, another service.
    Other,
}

/// Why there was no answer. No message holds a header or a path, which is as good as a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address cannot be used.
    #[error(
        "the address of the webhook cannot be used: {why}; give one like \
         `https://flux-webhook.example.com`, without the path"
    )]
    BadUrl {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The authority is no certificate.
    #[error(
        "the certificate authority given for `{host}` is not PEM: give a file that begins with \
         `-----BEGIN CERTIFICATE-----`"
    )]
    BadAuthority {
        /// The host.
        host: String,
    },
    /// The token cannot be sent in a header.
    #[error(
        "the token holds characters that no header can carry, perhaps a line end: then no git host \
         or registry can send it either; store it without"
    )]
    UnusableToken,
    /// The host's name is not known.
    #[error(
        "the webhook's host `{host}` is not known: check `url`, the DNS record, or whether the \
         Service is in that namespace"
    )]
    UnknownHost {
        /// The host.
        host: String,
    },
    /// Nobody listens there.
    #[error(
        "the webhook's host `{host}` cannot be connected to ({why}): see whether \
         notification-controller and the ingress run, and whether a NetworkPolicy or firewall \
         stands in between"
    )]
    Unreachable {
        /// The host.
        host: String,
        /// What the system said.
        why: String,
    },
    /// The certificate is not trusted.
    #[error(
        "the webhook's host `{host}` shows a certificate that is not trusted ({why}): renew it, or \
         give its authority as `ca`"
    )]
    UntrustedCertificate {
        /// The host.
        host: String,
        /// What is wrong with it.
        why: String,
    },
    /// The call was sent and nobody answered.
    #[error(
        "the webhook's host `{host}` gave no answer ({why}): whether the call was taken is not known, \
         and it is not sent again"
    )]
    NoAnswer {
        /// The host.
        host: String,
        /// How it ended.
        why: String,
    },
}

// === impl Error ===

impl Error {
    /// A bounded name for labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } | Self::BadAuthority { .. } => "unusable_scenario",
            Self::UnusableToken => "receiver_token",
            Self::UnknownHost { .. } => "webhook_host_unknown",
            Self::Unreachable { .. } => "webhook_unreachable",
            Self::UntrustedCertificate { .. } => "webhook_certificate",
            Self::NoAnswer { .. } => "webhook_no_answer",
        }
    }
}

// === impl Webhook ===

impl Webhook {
    /// Prepares calls; sends nothing yet.
    ///
    /// # Errors
    /// If address or authority cannot be used.
    pub fn new(clients: &Clients, base: &str, ca: Option<&[u8]>) -> Result<Self, Error> {
        let bad = |why| Error::BadUrl { why };
        let base = Url::parse(base).map_err(|_| bad("it is no URL"))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(bad("it begins with neither `http://` nor `https://`"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(bad("it holds a user or a password"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(bad("it has a query, which a Receiver takes for another path"));
        }
        let host = base.host_str().ok_or_else(|| bad("it names no host"))?.to_owned();
        let client = clients.get(USER_AGENT, ca, TIMEOUT);
        let client = client.map_err(|_| Error::BadAuthority { host })?;
        Ok(Self { base, client })
    }

    /// The address without path and port's default, for messages.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Sends one call, once.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn send(&self, call: Call) -> Result<Answer, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in call.headers {
            let mut value = HeaderValue::from_str(&value).map_err(|_| Error::UnusableToken)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), call.path));
        let request = self.client.request(call.method, url).headers(headers).body(call.body);
        let mut answer = request.send().await.map_err(|it| self.classify(&it))?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while body.len() < LONGEST {
            // Only who answered is of interest; that is known without a body, too.
            let Ok(Some(part)) = answer.chunk().await else { break };
            body.extend_from_slice(&part);
        }
        let text = String::from_utf8_lossy(&body);
        let voice = match text.trim() {
            "" => Voice::Silent,
            GO_NOT_FOUND => Voice::GoRouter,
            _ => Voice::Other,
        };
        Ok(Answer { status, voice })
    }

    fn classify(&self, error: &reqwest::Error) -> Error {
        let host = self.host();
        match cause(error) {
            Cause::Timeout if error.is_connect() => {
                Error::Unreachable { host, why: "it takes too long".to_owned() }
            }
            Cause::Timeout => Error::NoAnswer { host, why: "it takes too long".to_owned() },
            Cause::UntrustedCertificate(why) => Error::UntrustedCertificate { host, why },
            Cause::UnknownHost => Error::UnknownHost { host },
            Cause::Unreachable(why) => Error::Unreachable { host, why },
            Cause::Broken(why) => Error::NoAnswer { host, why },
        }
    }
}
