//! Answers of the registry: what succeeds, and what is refused with the code of the specification.

use bytes::Bytes;
use http::response::Builder;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::loopback::Answer;

/// Begins an answer.
pub(super) fn status(status: u16) -> Builder {
    Response::builder().status(status).header("docker-distribution-api-version", "registry/2.0")
}

/// Ends an answer.
pub(super) fn finish(answer: Builder, body: impl Into<Bytes>) -> Answer {
    answer.body(Full::new(body.into())).unwrap_or_else(|_| {
        let mut answer = Response::new(Full::new(Bytes::new()));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    })
}

/// Ends an answer with JSON in it.
pub(super) fn json(answer: Builder, body: &Value) -> Answer {
    finish(answer.header(header::CONTENT_TYPE, "application/json"), body.to_string())
}

/// A refusal with its code and what it says about it.
pub(super) fn refuse(number: u16, code: &str, message: &str) -> Answer {
    json(status(number), &errors(code, message))
}

/// A refusal of a manifest that is not there.
pub(super) fn no_manifest(reference: &str) -> Answer {
    let what = if reference.starts_with("sha256:") { "Digest" } else { "Tag" };
    let mut body = errors("MANIFEST_UNKNOWN", "manifest unknown");
    body["errors"][0]["detail"] = json!({ what: reference });
    json(status(404), &body)
}

/// The body of a refusal.
pub(super) fn errors(code: &str, message: &str) -> Value {
    json!({"errors": [{"code": code, "message": message, "detail": null}]})
}

/// The answer of a fault: a status, with the body that registries send along.
pub(super) fn spoiled(number: u16, retry_after: Option<u32>) -> Answer {
    let (code, message) = match number {
        401 => ("UNAUTHORIZED", "authentication required"),
        403 => ("DENIED", "requested access to the resource is denied"),
        404 => ("NAME_UNKNOWN", "repository name not known to registry"),
        429 => ("TOOMANYREQUESTS", "too many requests"),
        _ => ("UNKNOWN", "unknown error"),
    };
    let mut answer = status(number);
    if let Some(seconds) = retry_after {
        answer = answer.header(header::RETRY_AFTER, seconds);
    }
    json(answer, &errors(code, message))
}
