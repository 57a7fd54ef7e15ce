//! The shapes of an answer: a plain sentence, or a JSON object that programs can tell apart.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A plain text.
pub(super) fn plain(status: StatusCode, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, text).into_response()
}

/// A refusal: `error` is a sentence for people, `reason` a bounded word for programs.
pub(super) fn refusal(status: StatusCode, reason: &'static str, error: &str) -> Response {
    let body = Json(json!({ "error": error, "reason": reason }));
    let mut response =
        (status, [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], body).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let scheme = header::HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}
