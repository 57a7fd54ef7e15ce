//! Where bodies are sent that nobody waits for: databases and collectors of metrics.
//!
//! What comes of it is sorted by what is to be done next: nothing, to try again, or to mend
//! something. No message holds more of an address than its host, and none holds a header.

use crate::remote::Clients;
use crate::remote::client::{Cause, cause};
use crate::remote::server::tame;
use bytes::Bytes;
use http::HeaderMap;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

const USER_AGENT: &str = concat!("hopclock/", env!("CARGO_PKG_VERSION"));

/// Most that is read of an answer.
const LONGEST_ANSWER: usize = 64 << 10;

/// Fewest bytes of a header's value that may be a secret.
const SHORTEST_SECRET: usize = 6;

/// Where bodies are sent.
#[derive(Clone, Debug)]
pub struct Destination {
    url: Url,
    client: Client,
    timeout: Duration,
}

/// A body on its way. Not for printing: its headers may be secrets.
pub struct Parcel {
    /// How it is sent.
    pub verb: Verb,
    /// Headers by name.
    pub headers: Vec<(String, SecretString)>,
    /// What is sent.
    pub body: Vec<u8>,
}

/// How a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
}

/// What was answered to a body that was taken.
#[derive(Clone, Debug)]
pub struct Receipt {
    headers: HeaderMap,
    /// The answer itself, as far as it was read.
    pub body: Vec<u8>,
}

/// An address that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDestination {
    /// It is no HTTP address.
    #[error("it is no address of HTTP or HTTPS: give one like `https://prometheus.example/path`")]
    Url,
    /// It holds a password.
    #[error("it holds a user or password, which others can read: name their place instead")]
    Password,
    /// The authority given for it is no certificate.
    #[error(
        "the certificate authority given for it is not PEM: give a file that begins with \
         `-----BEGIN CERTIFICATE-----`"
    )]
    Authority,
}

/// Why a body was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It may be taken later.
    #[error("{why}")]
    Later {
        /// What happened.
        why: String,
        /// How long the other end asks to wait.
        after: Option<Duration>,
    },
    /// It will never be taken as it is.
    #[error("{why}")]
    Refused {
        /// The status of the answer; 0 if it could not be sent.
        status: u16,
        /// What happened, and what would mend it.
        why: String,
    },
}

// === impl Destination ===

impl Destination {
    /// An address, reached by a shared client, each request in at most `timeout`.
    ///
    /// # Errors
    ///
    /// If the address or the authority cannot be used.
    pub fn new(
        url: &str,
        ca: Option<&[u8]>,
        timeout: Duration,
        clients: &Clients,
    ) -> Result<Self, BadDestination> {
        let url = Url::parse(url.trim()).map_err(|_| BadDestination::Url)?;
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
            return Err(BadDestination::Url);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadDestination::Password);
        }
        let client = clients.get(USER_AGENT, ca, timeout).map_err(|_| BadDestination::Authority)?;
        Ok(Self { url, client, timeout })
    }

    /// The address without what may be a secret.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|it| format!(":{it}")).unwrap_or_default();
        format!("{}://{host}{port}", self.url.scheme())
    }

    /// Sends a body once.
    ///
    /// # Errors
    ///
    /// If it was not taken.
    pub async fn send(&self, parcel: Parcel) -> Result<Receipt, NotTaken> {
        let method = match parcel.verb {
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
        };
        let mut request = self.client.request(method, self.url.clone()).body(parcel.body);
        for (name, value) in &parcel.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| self.unusable(name))?;
            let text = value.expose_secret().trim();
            let mut value =
                HeaderValue::from_str(text).map_err(|_| self.unusable(name.as_str()))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(response) => self.judge(response, &parcel.headers).await,
            Err(error) => Err(self.lost(&cause(&error))),
        }
    }

    async fn judge(
        &self,
        response: Response,
        sent: &[(String, SecretString)],
    ) -> Result<Receipt, NotTaken> {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match beginning(response).await {
            Ok(body) => body,
            Err(error) if status.is_success() => return Err(self.lost(&cause(&error))),
            Err(_) => Vec::new(),
        };
        if status.is_success() {
            return Ok(Receipt { headers, body });
        }
        let said = tame(&without(&String::from_utf8_lossy(&body), sent));
        let said = if said.is_empty() { String::new() } else { format!(" (`{said}`)") };
        let what = format!("{} answered {}{said}", self.host(), status.as_u16());
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Err(NotTaken::Later { why: what, after: patience(&headers) });
        }
        let advice = match status.as_u16() {
            300..=399 => "give the address that it redirects to",
            401 | 403 => "check the credentials that are given for it",
            404 | 405 => "check the path of its address, and that it receives such requests",
            413 => "let it take longer requests",
            415 => "it does not know this form: choose another version",
            _ => "see its log",
        };
        Err(NotTaken::Refused { status: status.as_u16(), why: format!("{what}: {advice}") })
    }

    fn lost(&self, cause: &Cause) -> NotTaken {
        let host = self.host();
        let why = match cause {
            Cause::Timeout => {
                let limit = crate::model::Duration(self.timeout);
                format!("{host} did not answer within {limit}")
            }
            Cause::UntrustedCertificate(why) => {
                format!(
                    "{host} shows a certificate that is not trusted ({why}): give its authority"
                )
            }
            Cause::UnknownHost => format!("{host} has an unknown host name"),
            Cause::Unreachable(why) => format!("{host} cannot be connected to ({why})"),
            Cause::Broken(why) => format!("the connection to {host} broke ({why})"),
        };
        NotTaken::Later { why, after: None }
    }

    fn unusable(&self, header: &str) -> NotTaken {
        let why = format!(
            "the header `{header}` for {} holds what cannot be sent: write it without spaces or \
             line breaks in it",
            self.host()
        );
        NotTaken::Refused { status: 0, why }
    }
}

// === impl Receipt ===

impl Receipt {
    /// The number in a header of the answer, if there is one.
    #[must_use]
    pub fn number(&self, header: &str) -> Option<usize> {
        self.headers.get(header)?.to_str().ok()?.trim().parse().ok()
    }
}

/// An answer without the headers that were sent: some servers tell them back.
///
/// Short values, such as numbers of versions, are no secrets, and would be found anywhere.
fn without(said: &str, sent: &[(String, SecretString)]) -> String {
    let values = sent.iter().flat_map(|(_, value)| {
        let value = value.expose_secret().trim();
        // The secret may be told back without its scheme.
        [Some(value), value.split_once(' ').map(|it| it.1.trim())]
    });
    let secrets = values.flatten().filter(|it| it.len() >= SHORTEST_SECRET);
    secrets.fold(said.to_owned(), |said, it| said.replace(it, "***"))
}

/// The beginning of an answer's body.
async fn beginning(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let chunk: Bytes = chunk;
        body.extend_from_slice(&chunk[..chunk.len().min(LONGEST_ANSWER - body.len())]);
        if body.len() == LONGEST_ANSWER {
            break;
        }
    }
    Ok(body)
}

/// `Retry-After`: seconds, or a date, which is compared with that of the answer.
fn patience(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let wait = text(RETRY_AFTER)?;
    if let Ok(seconds) = wait.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(wait).ok()?;
    let now = rfc2822::parse(text(DATE)?).ok()?;
    until.duration_since(&now).try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(url: &str) -> Result<Destination, BadDestination> {
        Destination::new(url, None, Duration::from_secs(1), &Clients::default())
    }

    #[test]
    fn an_address_with_a_password_is_refused_and_one_is_shown_by_its_host() {
        assert_eq!(destination("https://u:p@h/x").unwrap_err(), BadDestination::Password);
        assert_eq!(destination("h.test/x").unwrap_err(), BadDestination::Url);
        assert_eq!(destination("ftp://h.test/x").unwrap_err(), BadDestination::Url);
        let shown = destination("https://h.test:8443/api/token?key=secret").unwrap().host();
        assert_eq!(shown, "https://h.test:8443");
        let other = Destination::new(
            "https://h.test",
            Some(b"no certificate"),
            Duration::from_secs(1),
            &Clients::default(),
        );
        assert_eq!(other.unwrap_err(), BadDestination::Authority);
    }

    #[test]
    fn patience_is_asked_for_in_seconds_or_until_a_date() {
        let of = |retry: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, retry.parse().unwrap());
            date.map(|it| headers.insert(DATE, it.parse().unwrap()));
            patience(&headers)
        };
        assert_eq!(of("7", None), Some(Duration::from_secs(7)));
        let date = "Sat, 21 Nov 2026 20:00:00 GMT";
        let later = of("Sat, 21 Nov 2026 20:00:30 GMT", Some(date));
        assert_eq!(later, Some(Duration::from_secs(30)));
        assert_eq!(of("Sat, 21 Nov 2026 19:59:00 GMT", Some(date)), None);
        assert_eq!(of("soon", None), None);
        assert_eq!(patience(&HeaderMap::new()), None);
    }
}
