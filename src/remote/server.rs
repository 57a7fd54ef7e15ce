//! Another hopclock that runs as a service, and is asked for a run.
//!
//! What it answers is told apart from what a proxy, a login page or a wrong port answers: a
//! pipeline that believes such an answer would wait for a run that nobody makes.

use crate::model::RunRecord;
use crate::remote::client::{Cause, cause, client};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Duration;

const USER_AGENT: &str = concat!("hopclock/", env!("CARGO_PKG_VERSION"));

/// Longest answer that is read: a record of very many hops.
const LONGEST_ANSWER: usize = 8 << 20;

/// Most that is repeated of a sentence that came over the network.
const LONGEST_SENTENCE: usize = 500;

/// Which service, and how to get there.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// HTTP or HTTPS address, perhaps with a path that a proxy takes away.
    pub url: String,
    /// What to prove ourselves with.
    pub token: Option<SecretString>,
    /// Further certificate authorities, in PEM.
    pub ca: Option<Vec<u8>>,
    /// How long one request may take, the wait for a run's end included.
    pub timeout: Duration,
}

/// A service that can be asked for runs. Its token is not shown by `Debug`.
#[derive(Clone, Debug)]
pub struct Server {
    url: Url,
    client: Client,
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

/// A run that the service has accepted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Accepted {
    /// The run's name: the instant at which it is due.
    pub run: String,
    /// What came of it; none unless its end was waited for.
    pub record: Option<Box<RunRecord>>,
}

/// What a service says when it makes no run.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    reason: String,
}

/// Why no run could be asked for. No message holds the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address cannot be used.
    #[error(
        "the server's address cannot be used: {why}; give one like `http://hopclock.hopclock:9780`"
    )]
    BadUrl {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The authority given for the server is no certificate.
    #[error(
        "the certificate authority given for `{url}` is not PEM: give a file that begins with \
         `-----BEGIN CERTIFICATE-----`"
    )]
    BadAuthority {
        /// The server.
        url: String,
    },
    /// The token cannot be sent.
    #[error(
        "the token holds characters that cannot be sent: write it without spaces or line breaks \
         in it"
    )]
    UnusableToken,
    /// The server's name is not known.
    #[error(
        "the server `{url}` has an unknown host name: check the address and the DNS of this machine"
    )]
    UnknownHost {
        /// The server.
        url: String,
    },
    /// Nobody listens there, or the way there is cut.
    #[error(
        "the server `{url}` cannot be connected to ({why}): check that `hopclock serve` is up and \
         that a firewall or proxy lets this through"
    )]
    Unreachable {
        /// The server.
        url: String,
        /// What the system said.
        why: String,
    },
    /// The server's certificate is not signed by an authority that we trust.
    #[error(
        "the server `{url}` shows a certificate that is not trusted ({why}): give its authority \
         with `--ca-file`"
    )]
    UntrustedCertificate {
        /// The server.
        url: String,
        /// What is wrong with the certificate.
        why: String,
    },
    /// It took too long.
    #[error(
        "the server `{url}` did not answer within {}: a run that it has accepted goes on; give it \
         longer with `--timeout`",
        crate::model::Duration(*after)
    )]
    Timeout {
        /// The server.
        url: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended before the answer did.
    #[error(
        "the connection to the server `{url}` broke ({why}): a run that it has accepted goes on; \
         see its log"
    )]
    Broken {
        /// The server.
        url: String,
        /// What the system said.
        why: String,
    },
    /// Something else answered.
    #[error(
        "what answers at `{url}` (status {status}) is not hopclock: check the address, its port and \
         any proxy in front of it"
    )]
    NotHopclock {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server cannot be asked for runs.
    #[error("the server `{url}` takes no requests: {said}")]
    Off {
        /// The server.
        url: String,
        /// What it said.
        said: String,
    },
    /// The server wants a token, and we have none.
    #[error(
        "the server `{url}` wants a token and none was given: name it with `--token-file` or \
         `--token-env`"
    )]
    NoToken {
        /// The server.
        url: String,
    },
    /// The token is wrong or not enough.
    #[error("the server `{url}` does not let us ask: {said}")]
    Denied {
        /// The server.
        url: String,
        /// What it said.
        said: String,
    },
    /// The server knows no such scenario.
    #[error("the server `{url}` does not know scenario `{scenario}`: {said}")]
    UnknownScenario {
        /// The server.
        url: String,
        /// The scenario that was asked for.
        scenario: String,
        /// What it said.
        said: String,
    },
    /// The server makes no run now.
    #[error("the server `{url}` does not run scenario `{scenario}` now: {said}")]
    NotNow {
        /// The server.
        url: String,
        /// The scenario that was asked for.
        scenario: String,
        /// What it said.
        said: String,
    },
    /// The server does not take the request as we send it, so it is of another version.
    #[error("the server `{url}` does not understand the request (status {status}): {said}")]
    Misunderstood {
        /// The server.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        said: String,
    },
}

// === impl Error ===

impl Error {
    /// Whether the mistake is in what was asked for or with which right, so that asking again in
    /// the same way is of no use.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::BadUrl { .. }
                | Self::BadAuthority { .. }
                | Self::UnusableToken
                | Self::Off { .. }
                | Self::NoToken { .. }
                | Self::Denied { .. }
                | Self::UnknownScenario { .. }
        )
    }
}

// === impl Server ===

impl Server {
    /// Prepares to ask a service; sends nothing yet.
    ///
    /// # Errors
    /// When the address, the authority or the token cannot be used.
    pub fn new(options: ServerOptions) -> Result<Self, Error> {
        let url = address(&options.url)?;
        let client = client(USER_AGENT, options.ca.as_deref(), options.timeout)
            .map_err(|_| Error::BadAuthority { url: shown(&url) })?;
        let authorization = options.token.map(|it| header(&it)).transpose()?;
        Ok(Self { url, client, authorization, timeout: options.timeout })
    }

    /// Asks for a run of a scenario; with `wait`, until the run has ended.
    ///
    /// # Errors
    /// When no run takes place, or nobody can tell.
    pub async fn request(&self, scenario: &str, wait: bool) -> Result<Accepted, Error> {
        let mut target = self.url.clone();
        if let Ok(mut path) = target.path_segments_mut() {
            path.pop_if_empty().extend(["run", scenario]);
        }
        target.set_query(wait.then_some("wait=true"));
        let mut request = self.client.post(target);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let response = request.send().await.map_err(|error| self.classify(&error))?;
        let status = response.status();
        let body = self.read(response).await?;
        match status {
            StatusCode::OK | StatusCode::ACCEPTED => {
                let mut accepted: Accepted =
                    serde_json::from_slice(&body).map_err(|_| self.not_hopclock(status))?;
                accepted.run = tame(&accepted.run);
                // A record of another scenario is not the answer to this question.
                let strange = accepted.record.as_ref().is_some_and(|it| it.scenario != scenario);
                if strange { Err(self.not_hopclock(status)) } else { Ok(accepted) }
            }
            _ => Err(self.refusal(scenario, status, &body)),
        }
    }

    /// The body of an answer, if it is not absurdly long.
    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.classify(&error))? {
            if body.len() + part.len() > LONGEST_ANSWER {
                return Err(self.not_hopclock(response.status()));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    /// The typed error behind a refusal.
    fn refusal(&self, scenario: &str, status: StatusCode, body: &[u8]) -> Error {
        let Ok(Refusal { error, reason }) = serde_json::from_slice(body) else {
            return self.not_hopclock(status);
        };
        let (url, said, scenario) = (shown(&self.url), tame(&error), scenario.to_owned());
        match (status.as_u16(), reason.as_str()) {
            (404, "off") => Error::Off { url, said },
            (404, "unknown_scenario") => Error::UnknownScenario { url, scenario, said },
            (401, _) if self.authorization.is_none() => Error::NoToken { url },
            (401 | 403, _) => Error::Denied { url, said },
            (409 | 503, _) => Error::NotNow { url, scenario, said },
            (status, _) => Error::Misunderstood { url, status, said },
        }
    }

    fn not_hopclock(&self, status: StatusCode) -> Error {
        Error::NotHopclock { url: shown(&self.url), status: status.as_u16() }
    }

    /// The typed error behind one of the HTTP client's.
    fn classify(&self, error: &reqwest::Error) -> Error {
        let url = shown(&self.url);
        match cause(error) {
            Cause::Timeout => Error::Timeout { url, after: self.timeout },
            Cause::UntrustedCertificate(why) => Error::UntrustedCertificate { url, why },
            Cause::UnknownHost => Error::UnknownHost { url },
            Cause::Unreachable(why) => Error::Unreachable { url, why },
            Cause::Broken(why) => Error::Broken { url, why },
        }
    }
}

/// An address that can be asked. What is wrong is said without it: it may hold a password.
fn address(text: &str) -> Result<Url, Error> {
    let bad = |why| Error::BadUrl { why };
    let url = Url::parse(text.trim()).map_err(|_| bad("it is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it begins with neither `http://` nor `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it holds a user or a password, and hopclock takes tokens only"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it goes on with `?` or `#`"));
    }
    Ok(url)
}

fn header(token: &SecretString) -> Result<HeaderValue, Error> {
    let token = token.expose_secret().trim();
    // What is between words cannot be told from two tokens.
    let fits = !token.is_empty() && token.bytes().all(|it| it.is_ascii_graphic());
    let value = fits.then(|| HeaderValue::from_str(&format!("Bearer {token}")).ok()).flatten();
    let mut value = value.ok_or(Error::UnusableToken)?;
    value.set_sensitive(true);
    Ok(value)
}

fn shown(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// A sentence of somebody else's, as one line without what a terminal would obey.
pub(super) fn tame(text: &str) -> String {
    let line = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    line.take(LONGEST_SENTENCE).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str, token: &str) -> ServerOptions {
        let timeout = Duration::from_secs(1);
        ServerOptions { url: url.to_owned(), token: Some(token.into()), ca: None, timeout }
    }

    #[test]
    fn the_token_is_in_no_debug_and_in_no_error() {
        let token = "pl4nted-T0ken-71ab";
        let options = options("http://localhost:1", token);
        assert!(!format!("{options:?}").contains(token));
        assert!(!format!("{:?}", Server::new(options.clone()).unwrap()).contains(token));
        let split = ServerOptions { token: Some(format!("{token} {token}").into()), ..options };
        let error = Server::new(split).unwrap_err();
        assert_eq!(error, Error::UnusableToken);
    }

    #[test]
    fn an_address_that_cannot_be_asked_is_refused_without_repeating_it() {
        for url in ["", "hopclock:9780", "ftp://host", "http://u:pass@host", "http://host/?a=pass"]
        {
            let error = Server::new(options(url, "token")).unwrap_err();
            assert!(error.is_usage() && matches!(error, Error::BadUrl { .. }), "{url}");
            assert!(!error.to_string().contains("pass@") && !error.to_string().contains("a=pass"));
        }
    }

    #[test]
    fn a_sentence_from_outside_obeys_no_terminal_and_ends_somewhere() {
        assert_eq!(tame(" a\x1b[31m\nb "), "a [31m b");
        assert_eq!(tame(&"x".repeat(9000)).len(), LONGEST_SENTENCE);
    }
}
