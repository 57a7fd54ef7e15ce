//! What a server means by a refusal.
//!
//! The codes are S3's, which Google's and Azure's servers repeat in part. A wrong key, a wrong right
//! and a wrong clock have the same status, and only the code tells them apart.

use crate::remote::bucket::error::Lost;
use crate::remote::bucket::wire::{Exchange, Outcome};
use crate::remote::bucket::{Bucket, Deed, Error};
use crate::remote::client::Cause;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use std::time::Duration;

/// Codes that say: these are no credentials of ours.
const STRANGERS: [&str; 9] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "ExpiredToken",
    "TokenRefreshRequired",
    "AuthenticationFailed",
    "AuthenticationRequired",
    "InvalidSecurity",
    "InvalidAuthenticationInfo",
];

/// Codes that say: not now.
const BUSY: [&str; 6] = [
    "SlowDown",
    "ServiceUnavailable",
    "ServerBusy",
    "TooManyRequests",
    "Throttling",
    "RequestLimitExceeded",
];

/// Longest code that is repeated.
const LONGEST_CODE: usize = 60;

// === impl Bucket ===

impl Bucket {
    /// What went wrong with an operation, by the last request that it made.
    pub(super) fn judge(
        &self,
        deed: Deed,
        error: &object_store::Error,
        exchange: Option<Exchange>,
    ) -> Lost {
        let bucket = self.address.to_string();
        let Some(exchange) = exchange else {
            // Nothing was sent: what was to be signed with is of no use.
            return Lost { sent: None, why: Error::UnusableCredentials { bucket } };
        };
        match exchange.result {
            Outcome::Lost { cause, may_be_done } => {
                let sent = may_be_done.then_some(exchange.sent);
                Lost { sent, why: self.lost(cause) }
            }
            Outcome::TooLarge => {
                let why = Error::TooLarge { bucket, longest: self.wire.longest };
                Lost { sent: (deed == Deed::Write).then_some(exchange.sent), why }
            }
            Outcome::Answered { status, headers, text } => {
                let why = if status.is_success() {
                    self.not_a_server(status.as_u16())
                } else {
                    self.refused(deed, error, status, &headers, &text)
                };
                // A gateway that lost its server does not know whether the write was done.
                let open = deed == Deed::Write
                    && matches!(why, Error::Status { status: 500 | 502..=504, .. });
                Lost { sent: open.then_some(exchange.sent), why }
            }
        }
    }

    fn lost(&self, cause: Cause) -> Error {
        let bucket = self.address.to_string();
        match cause {
            Cause::Timeout => Error::Timeout { bucket, after: self.wire.timeout },
            Cause::UntrustedCertificate(why) => Error::UntrustedCertificate { bucket, why },
            Cause::UnknownHost => Error::UnknownHost { bucket },
            Cause::Unreachable(why) => Error::Unreachable { bucket, why },
            Cause::Broken(why) => Error::Broken { bucket, why },
        }
    }

    fn refused(
        &self,
        deed: Deed,
        error: &object_store::Error,
        status: StatusCode,
        headers: &HeaderMap,
        text: &str,
    ) -> Error {
        let bucket = self.address.to_string();
        let code = code_of(text, headers);
        let code = code.as_str();
        match status.as_u16() {
            _ if matches!(code, "NoSuchBucket" | "ContainerNotFound") => Error::NoBucket { bucket },
            404 => Error::NoObject { bucket },
            409 | 412 if deed == Deed::Write => Error::Changed { bucket },
            _ if matches!(error, object_store::Error::Precondition { .. }) => {
                Error::Changed { bucket }
            }
            _ if matches!(code, "RequestTimeTooSkewed" | "RequestExpired") => {
                Error::ClockSkew { bucket, ahead: self.ahead(headers) }
            }
            301 | 307 | 400 if wrong_region(text, headers, code).is_some() => {
                let wanted = wrong_region(text, headers, code).unwrap_or_default();
                let region = self.address.region().to_owned();
                Error::WrongRegion { bucket, region, wanted }
            }
            429 => Error::Throttled { bucket, retry_after: self.retry_after(headers) },
            503 if BUSY.contains(&code) || headers.contains_key(RETRY_AFTER) => {
                Error::Throttled { bucket, retry_after: self.retry_after(headers) }
            }
            401 | 403 if self.anonymous => Error::NoCredentials { bucket },
            401 => Error::Unauthorized { bucket, code: named(code, "401") },
            _ if STRANGERS.contains(&code) => {
                Error::Unauthorized { bucket, code: named(code, "403") }
            }
            403 => Error::Forbidden { bucket, deed },
            301..=308 => Error::Redirected { bucket },
            status => Error::Status { bucket, deed, status, code: code.to_owned() },
        }
    }

    /// How far our clock is ahead of the server's, in seconds.
    fn ahead(&self, headers: &HeaderMap) -> Option<i64> {
        let date = jiff::fmt::rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?;
        Some(self.wire.wall().as_second() - date.timestamp().as_second())
    }

    /// `Retry-After`: seconds, or a date.
    fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Some(Duration::try_from(until.duration_since(self.wire.wall())).unwrap_or_default())
    }
}

/// The code of a refusal, of which nothing but letters, digits, dots and lines is kept.
fn code_of(text: &str, headers: &HeaderMap) -> String {
    let header = headers.get("x-ms-error-code").and_then(|it| it.to_str().ok());
    let code = element(text, "Code").or(header).unwrap_or_default();
    let tame = |it: &char| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_');
    code.chars().filter(tame).take(LONGEST_CODE).collect()
}

/// The region that the server names instead of ours.
fn wrong_region(text: &str, headers: &HeaderMap, code: &str) -> Option<String> {
    let header = headers.get("x-amz-bucket-region").and_then(|it| it.to_str().ok());
    let about = matches!(
        code,
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException"
    );
    let named = element(text, "Region").or(header).filter(|_| about)?;
    let part = |it: char| it.is_ascii_alphanumeric() || it == '-';
    named.chars().all(part).then(|| named.chars().take(LONGEST_CODE).collect())
}

fn named(code: &str, otherwise: &str) -> String {
    if code.is_empty() { otherwise.to_owned() } else { code.to_owned() }
}

/// The text of the first such element.
fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let rest = xml.split_once(&format!("<{name}>"))?.1;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim())
}
