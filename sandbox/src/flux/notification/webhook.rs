//! Webhooks: from a call to the annotation that asks a source for a run.
//!
//! Each accepted call writes the annotation anew, without limit or merging; calls melt together
//! only in the queue of the controller that is asked. Answers have no body.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use http::Request;
use http::StatusCode;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use super::NAME;
use super::WebhookCall;
use super::check;
use super::check::Expected;
use super::server::LARGEST_BODY;
use crate::flux::context::Context;
use crate::flux::draft;
use crate::flux::draft::REQUESTED_AT;
use crate::flux::gotime;
use crate::flux::oidc;
use crate::flux::secrets;
use crate::store::Key;
use crate::store::Part;

/// The audience of tokens where a receiver names none.
const AUDIENCE: &str = "notification-controller";

/// The receivers as HTTP serves them.
pub(super) fn router(context: Arc<Context>, started: Instant) -> Router {
    Router::new().fallback(serve).with_state((context, started))
}

/// Handles one call.
pub(super) async fn answer(
    context: &Context,
    started: Instant,
    call: &WebhookCall<'_>,
) -> StatusCode {
    let (receivers, _) = context.store.list("Receiver", None);
    let path = Value::from(call.uri);
    let Some(receiver) = receivers.iter().find(|it| it["status"]["webhookPath"] == path) else {
        return StatusCode::NOT_FOUND;
    };
    if receiver["spec"]["suspend"] == true || !is_ready(receiver) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if call.body.len() > LARGEST_BODY {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    if let Err(why) = checked(context, receiver, call).await {
        tracing::debug!(why, "webhook refused");
        return StatusCode::BAD_REQUEST;
    }
    tokio::time::sleep(context.speeds().receiver).await;
    match annotate_all(context, started, receiver).await {
        Ok(()) => StatusCode::OK,
        Err(why) => {
            tracing::debug!(why, "webhook without full effect");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

async fn serve(
    State((context, started)): State<(Arc<Context>, Instant)>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let uri = parts.uri.path_and_query().map_or("/", |uri| uri.as_str());
    if !parts.uri.path().starts_with("/hook/") {
        return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    }
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let call = WebhookCall { uri, headers: parts.headers, body: &body };
    answer(&context, started, &call).await.into_response()
}

fn is_ready(receiver: &Value) -> bool {
    draft::is_true(receiver, "Ready")
        && !draft::is_true(receiver, "Reconciling")
        && !draft::is_true(receiver, "Stalled")
}

async fn checked(
    context: &Context,
    receiver: &Value,
    call: &WebhookCall<'_>,
) -> Result<(), &'static str> {
    let spec = &receiver["spec"];
    let namespace = receiver["metadata"]["namespace"].as_str().unwrap_or_default();
    let secret = spec["secretRef"]["name"].as_str().unwrap_or_default();
    let read = |key| match key {
        "token" => secrets::read_token(&context.store, namespace, secret),
        _ => secrets::read_text(&context.store, namespace, secret, key),
    };
    let bearer = call.headers.get("authorization").and_then(|it| it.to_str().ok());
    let bearer = bearer.unwrap_or_default();
    let now = context.store.now().as_second();
    match spec["type"].as_str().unwrap_or_default() {
        "generic-oidc" => {
            let providers = spec["oidcProviders"].as_array().map_or(&[][..], Vec::as_slice);
            let issuers = providers.iter().filter_map(|it| it["issuerURL"].as_str());
            let claims = oidc::claims(bearer, Some(&issuers.collect::<Vec<_>>()), now).await?;
            let provider = providers.iter().find(|it| it["issuerURL"] == claims["iss"]);
            let provider = provider.ok_or("the token is of another issuer")?;
            if !provider["validations"].is_null() || !provider["variables"].is_null() {
                return Err("validations are not evaluated here");
            }
            let audience = provider["audience"].as_str().unwrap_or(AUDIENCE);
            if oidc::is_for(&claims, audience) { Ok(()) } else { Err("another audience") }
        }
        "gcr" => {
            let wanted = read("email").zip(read("audience"));
            let (email, audience) = wanted.ok_or("the Secret names no email and audience")?;
            let claims = oidc::claims(bearer, None, now).await?;
            let is_right = claims["email"] == email.as_str() && oidc::is_for(&claims, &audience);
            if !is_right {
                return Err("another email or audience");
            }
            check::has(call.body, &["/message/data"])
        }
        kind => {
            let token = read("token").ok_or("the receiver's secret is missing")?;
            let events = spec["events"].as_array().into_iter().flatten();
            let events = events.filter_map(Value::as_str).collect();
            Expected { kind, token: &token, events }.check(&call.headers, call.body)
        }
    }
}

async fn annotate_all(
    context: &Context,
    started: Instant,
    receiver: &Value,
) -> Result<(), &'static str> {
    let spec = &receiver["spec"];
    let resources = spec["resources"].as_array().map_or(&[][..], Vec::as_slice);
    if !spec["resourceFilter"].is_null() || resources.iter().any(|it| !it["filter"].is_null()) {
        return Err("filters are not evaluated here");
    }
    let own = receiver["metadata"]["namespace"].as_str().unwrap_or_default();
    for (place, resource) in resources.iter().enumerate() {
        if place > 0 {
            tokio::time::sleep(context.speeds().receiver).await;
        }
        let text = |field: &str| resource[field].as_str().unwrap_or_default();
        let (kind, name) = (text("kind"), text("name"));
        if text("apiVersion").is_empty() && !has_default_version(kind) {
            return Err("a resource lacks its apiVersion");
        }
        let namespace = resource["namespace"].as_str().unwrap_or(own);
        if name == "*" {
            let labels = resource["matchLabels"].as_object().ok_or("`*` without labels")?;
            let (objects, _) = context.store.list(kind, Some(namespace));
            for object in objects.iter().filter(|object| {
                labels.iter().all(|(label, value)| object["metadata"]["labels"][label] == *value)
            }) {
                annotate(context, started, &Key::of(object))?;
            }
        } else {
            annotate(context, started, &Key::new(kind, namespace, name))?;
        }
    }
    Ok(())
}

fn annotate(context: &Context, started: Instant, key: &Key) -> Result<(), &'static str> {
    let now = gotime::time_with_monotonic(context.store.now(), started.elapsed());
    let patch = json!({"metadata": {"annotations": {REQUESTED_AT: now}}});
    let written = context.store.merge(key, &patch, Part::Whole, NAME);
    written.map(|_| ()).map_err(|_| "a resource does not exist")
}

fn has_default_version(kind: &str) -> bool {
    matches!(
        kind,
        "Bucket"
            | "HelmChart"
            | "HelmRepository"
            | "GitRepository"
            | "OCIRepository"
            | "ImageRepository"
            | "ArtifactGenerator"
    )
}
