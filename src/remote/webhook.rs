//! Calls of a Receiver's address, and what answers there.
//!
//! A Receiver's own answers have no body. So the body tells whether it was the Receiver that
//! answered, Go's router beside it, or something in front of both.

use crate::model::{Clock, Moment, Usage};
use crate::remote::client::{Cause, Clients, cause};
use crate::remote::meter::Meter;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use std::sync::Arc;
use std::time::Duration;

pub use reqwest::Method;

const USER_AGENT: &str = concat!("hopclock/", env!("CARGO_PKG_VERSION"));

/// How long a call may take: Flux reads for half a minute, and annotates within moments.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Most that is read of an answer's body, and how long that may take.
const LONGEST: usize = 4 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// What Go's router says of a path that it does not know.
const GO_NOT_FOUND: &str = "404 page not found";

/// An address that takes webhooks.
#[derive(Clone)]
pub struct Webhook {
    base: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    meter: Meter,
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

/// A call that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called {
    /// When it was sent.
    pub sent: Moment,
    /// When the head of the answer had arrived: it says whether the call was taken.
    pub answered: Moment,
    /// What answered.
    pub answer: Answer,
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
    pub fn new(
        clients: &Clients,
        base: &str,
        ca: Option<&[u8]>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
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
        Ok(Self { base, client, clock, meter: Meter::default() })
    }

    /// The address without path and port's default, for messages.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// What was asked of the address so far, by all clones.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.meter.usage()
    }

    /// Sends one call, once.
    ///
    /// # Errors
    /// If nobody answers.
    pub async fn send(&self, call: Call) -> Result<Called, Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in call.headers {
            let mut value = HeaderValue::from_str(&value).map_err(|_| Error::UnusableToken)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), call.path));
        let request = self.client.request(call.method, url).headers(headers).body(call.body);
        self.meter.asked();
        let sent = self.clock.now();
        let mut answer = request.send().await.map_err(|it| self.classify(&it))?;
        let answered = self.clock.now();
        let status = answer.status().as_u16();
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            self.meter.throttled();
        }
        let body = beginning(&mut answer).await;
        let text = String::from_utf8_lossy(&body);
        let voice = match text.trim() {
            "" => Voice::Silent,
            GO_NOT_FOUND => Voice::GoRouter,
            _ => Voice::Other,
        };
        Ok(Called { sent, answered, answer: Answer { status, voice } })
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

/// What an answer's body begins with. Only who answered is of interest, and that is known without a
/// body, too: it is not waited for long.
async fn beginning(answer: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    let read = async {
        while body.len() < LONGEST {
            let Ok(Some(part)) = answer.chunk().await else { break };
            body.extend_from_slice(&part);
        }
    };
    // Out of time: what has come has to do.
    let _ = tokio::time::timeout(BODY_TIMEOUT, read).await;
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::Notify;

    /// One second later each time; says when it was asked for the second time.
    #[derive(Default)]
    struct Counting {
        asked: AtomicU64,
        twice: Notify,
    }

    impl Clock for Counting {
        fn now(&self) -> Moment {
            let now = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            if now == 2 {
                self.twice.notify_one();
            }
            Moment(Duration::from_secs(now))
        }

        fn wall(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }

    /// Calls an address that answers with a head at once, and with the body when the clock was
    /// asked about the head; a body that is none never comes.
    async fn called(body: Option<&'static str>) -> (Called, Arc<Counting>) {
        let clock = Arc::new(Counting::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stamped = Arc::clone(&clock);
        let server = tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            let mut request = [0; 4096];
            assert_ne!(stream.read(&mut request).await.unwrap(), 0);
            stream
                .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 18\r\n\r\n")
                .await
                .unwrap();
            stamped.twice.notified().await;
            if let Some(body) = body {
                stream.write_all(body.as_bytes()).await.unwrap();
            }
            // Until the caller hangs up.
            while stream.read(&mut request).await.is_ok_and(|it| it != 0) {}
        });
        let at = Webhook::new(&Clients::default(), &base, None, Arc::<Counting>::clone(&clock));
        let at = at.unwrap();
        let call = Call {
            method: Method::GET,
            path: "/hook/x".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let called = at.send(call).await.unwrap();
        server.abort();
        (called, clock)
    }

    #[tokio::test]
    async fn a_call_is_answered_when_the_head_arrives_and_not_when_the_body_ends() {
        let (called, clock) = called(Some(GO_NOT_FOUND)).await;
        let second = |it| Moment(Duration::from_secs(it));
        let answer = Answer { status: 404, voice: Voice::GoRouter };
        // The body was sent only after the second stamp.
        assert_eq!(called, Called { sent: second(1), answered: second(2), answer });
        assert_eq!(clock.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_not_waited_for() {
        let (called, _) = called(None).await;
        assert_eq!(called.answer, Answer { status: 404, voice: Voice::Silent });
    }
}
