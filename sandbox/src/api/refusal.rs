//! Error answers in Kubernetes' words: the `Status` object that every client parses.

use axum::{body::Body, response::Response};
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::store::{Resource, StoreError};

use super::rbac::Question;

/// An answer that is not what was asked for.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Value,
    retry_after: Option<u64>,
}

impl Refusal {
    pub(super) fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null, retry_after: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// What a user hears who may not do what the question asks.
    pub(super) fn forbidden(user: &str, question: &Question<'_>) -> Self {
        let message = match question {
            Question::Page { verb, path } => {
                format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"")
            }
            Question::Resource { verb, group, resource, namespace, name } => {
                let plural = resource.split('/').next().unwrap_or_default();
                let whole =
                    if group.is_empty() { plural.into() } else { format!("{plural}.{group}") };
                let object = if name.is_empty() { whole } else { format!("{whole} \"{name}\"") };
                let place = if namespace.is_empty() {
                    "at the cluster scope".to_owned()
                } else {
                    format!("in the namespace \"{namespace}\"")
                };
                format!(
                    "{object} is forbidden: User \"{user}\" cannot {verb} resource \"{resource}\" \
                     in API group \"{group}\" {place}"
                )
            }
        };
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    pub(super) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(resource, name)
    }

    pub(super) fn invalid(resource: &Resource, name: &str, field: &str, problem: &str) -> Self {
        let kind = if resource.group.is_empty() {
            resource.kind.clone()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        let message = format!("{kind} \"{name}\" is invalid: {field}: {problem}");
        let mut refusal =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).about(resource, name);
        refusal.details["kind"] = resource.kind.as_str().into();
        refusal.details["causes"] =
            json!([{ "reason": "FieldValueInvalid", "message": problem, "field": field }]);
        refusal
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(super) fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             {accepted}"
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// A version or a continue token that has been forgotten.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// A version that lies in the future of this server.
    pub(super) fn too_large_version(wanted: u64, newest: u64) -> Self {
        let message = format!("Too large resource version: {wanted}, current: {newest}");
        let mut refusal = Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message);
        refusal.details = json!({
            "causes": [{
                "reason": "ResourceVersionTooLarge",
                "message": "Too large resource version"
            }],
            "retryAfterSeconds": 1
        });
        refusal.retry_after = Some(1);
        refusal
    }

    pub(super) fn too_many_requests(seconds: u64) -> Self {
        let message = "the server has received too many requests and has asked us to try again \
                       later";
        let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        refusal.details = json!({ "retryAfterSeconds": seconds });
        refusal.retry_after = Some(seconds);
        refusal
    }

    /// What the store refused, said about the resource that was asked for.
    pub(super) fn from_store(error: &StoreError, resource: &Resource) -> Self {
        let conflict = |message: String, reason| Self::new(StatusCode::CONFLICT, reason, message);
        match error {
            StoreError::NotFound(key) | StoreError::NoStatus(key) => {
                Self::not_found(resource, &key.name)
            }
            StoreError::UnknownKind(kind) => Self::not_found(resource, kind),
            StoreError::AlreadyExists(key) => {
                let message = format!("{} \"{}\" already exists", resource.qualified(), key.name);
                conflict(message, "AlreadyExists").about(resource, &key.name)
            }
            StoreError::Conflict(key) => {
                let message = format!(
                    "Operation cannot be fulfilled on {} \"{}\": the object has been modified; \
                     please apply your changes to the latest version and try again",
                    resource.qualified(),
                    key.name
                );
                conflict(message, "Conflict").about(resource, &key.name)
            }
            StoreError::Invalid { key, field, problem } => {
                Self::invalid(resource, &key.name, field, problem)
            }
        }
    }

    /// The `Status` object.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code.as_u16(),
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }

    pub(super) fn response(&self) -> Response {
        let mut response = json_response(self.code, &self.status());
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.details = json!({ "name": name, "kind": resource.plural });
        if !resource.group.is_empty() {
            self.details["group"] = resource.group.as_str().into();
        }
        self
    }
}

/// A JSON answer.
pub(super) fn json_response(code: StatusCode, body: &Value) -> Response {
    bytes_response(code, body.to_string())
}

/// An answer whose body is JSON already.
pub(super) fn bytes_response(code: StatusCode, body: impl Into<Body>) -> Response {
    typed_response(code, "application/json", body)
}

/// What an API server says where nothing is served; not a `Status`.
pub(super) fn page_not_found() -> Response {
    typed_response(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n")
}

/// An answer of a given content type.
pub(super) fn typed_response(
    code: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
