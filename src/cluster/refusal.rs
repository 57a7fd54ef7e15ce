//! Tells from what a request ended in, what went wrong.
//!
//! The HTTP stack wraps a failure in four or five layers, each with a text of its own that says
//! little; the one that matters lies at the bottom.

use crate::cluster::{Error, Target};
use http::StatusCode;
use serde::Deserialize;
use std::error::Error as StdError;
use std::io;

/// Longest part of a server's own words that we repeat.
const LONGEST: usize = 300;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    name: String,
}

/// Why `kube` could not send a request, or read its answer.
pub(super) fn unreachable(server: &str, error: &(dyn StdError + 'static)) -> Error {
    let server = server.to_owned();
    let mut next = Some(error);
    let mut deepest = error.to_string();
    while let Some(layer) = next {
        if let Some(kube::Error::Auth(auth)) = layer.downcast_ref() {
            return Error::Credentials { server, problem: credentials(auth) };
        }
        if let Some(auth) = layer.downcast_ref::<kube::client::AuthError>() {
            return Error::Credentials { server, problem: credentials(auth) };
        }
        if let Some(known) = io_error(&server, layer) {
            return known;
        }
        deepest = layer.to_string();
        next = layer.source();
    }
    Error::Unreachable { server, problem: shortened(&deepest) }
}

/// What an answer other than success says.
pub(super) fn refused(server: &str, target: &Target, status: StatusCode, body: &[u8]) -> Error {
    match status {
        StatusCode::UNAUTHORIZED => Error::Unauthorized { server: server.to_owned() },
        StatusCode::FORBIDDEN => {
            Error::Forbidden { server: server.to_owned(), target: Box::new(target.clone()) }
        }
        _ => answered(server, target, status, body),
    }
}

/// What an answer other than success to a write says. Not only a role forbids writes: quotas,
/// webhooks and a namespace's end do, too, and only their own words tell what would help.
pub(super) fn refused_write(
    server: &str,
    target: &Target,
    status: StatusCode,
    body: &[u8],
) -> Error {
    let answer: Status = serde_json::from_slice(body).unwrap_or_default();
    let by_role = answer.message.is_empty() || answer.message.contains(" cannot ");
    if status == StatusCode::FORBIDDEN && !by_role {
        return answered(server, target, status, body);
    }
    refused(server, target, status, body)
}

fn answered(server: &str, target: &Target, status: StatusCode, body: &[u8]) -> Error {
    let (server, target) = (server.to_owned(), Box::new(target.clone()));
    let text = serde_json::from_slice::<Status>(body)
        .map_or_else(|_| String::from_utf8_lossy(body).into_owned(), |it| it.message);
    let message = if text.trim().is_empty() {
        status.canonical_reason().unwrap_or("no explanation").to_owned()
    } else {
        shortened(&text)
    };
    Error::Answered { server, target, status: status.as_u16(), message }
}

/// Whether a 404 is about an object, not about the path of its kind.
pub(super) fn is_about_an_object(body: &[u8]) -> bool {
    let status: Status = serde_json::from_slice(body).unwrap_or_default();
    status.details.is_some_and(|it| !it.name.is_empty())
}

/// The first line of a text, not too much of it.
pub(super) fn shortened(text: &str) -> String {
    text.trim().lines().next().unwrap_or_default().chars().take(LONGEST).collect()
}

/// What went wrong with credentials; plugins print tokens, so nothing of what they said.
pub(super) fn credentials(error: &kube::client::AuthError) -> String {
    use kube::client::AuthError as Auth;
    match error {
        Auth::AuthExecStart(problem) => format!("their plugin cannot be started ({problem})"),
        // Not even its command line, which holds its environment.
        Auth::AuthExecRun { out, .. } => format!("their plugin failed ({})", out.status),
        Auth::AuthExecParse(_) | Auth::ExecPluginFailed | Auth::AuthExec(_) => {
            "their plugin printed no credentials".to_owned()
        }
        Auth::ReadTokenFile(problem, path) => {
            format!("the token file `{}` cannot be read ({problem})", path.display())
        }
        Auth::InvalidBasicAuth(_) | Auth::InvalidBearerToken(_) => {
            "the token holds characters that no header may hold".to_owned()
        }
        _ => "they cannot be read or renewed".to_owned(),
    }
}

fn io_error(server: &str, layer: &(dyn StdError + 'static)) -> Option<Error> {
    let server = server.to_owned();
    if layer.to_string().starts_with("dns error") {
        return Some(Error::UnknownHost { server });
    }
    if let Some(tls) = layer.downcast_ref::<rustls::Error>() {
        return Some(tls_error(server, tls));
    }
    let error = layer.downcast_ref::<io::Error>()?;
    // What an I/O error wraps is not its source.
    if let Some(known) = error.get_ref().and_then(|inner| io_error(&server, inner)) {
        return Some(known);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Error::Refused { server }),
        _ => None,
    }
}

fn tls_error(server: String, error: &rustls::Error) -> Error {
    let problem = shortened(&error.to_string());
    match error {
        rustls::Error::InvalidCertificate(_) => Error::Untrusted { server, problem },
        _ => Error::Unreachable { server, problem },
    }
}
