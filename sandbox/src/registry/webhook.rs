//! Webhooks of a registry: what each maker of registries says of a pushed tag, and to whom.
//!
//! They are sent beside the answer to the client, so a receiver can be faster than the client's
//! own clock.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::content::hex;
use super::{Shared, TagUpdate};
use crate::git::WebhookFault;

/// Whose webhooks these look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// A body that nobody signs.
    Generic,
    /// A body signed in `X-Signature`.
    GenericHmac,
    /// Harbor's, the secret itself in `Authorization`.
    Harbor,
    /// Docker Hub's, without any proof.
    DockerHub,
    /// Quay's, without any proof.
    Quay,
}

/// A webhook of a repository. Not for printing.
#[derive(Clone)]
pub struct Webhook {
    /// Where it is posted.
    pub url: String,
    /// What it proves itself with, where the format knows a proof.
    pub secret: String,
    /// How it looks.
    pub format: WebhookFormat,
    /// What goes wrong with it.
    pub fault: Option<WebhookFault>,
}

/// One attempt to deliver a webhook, as the registry logs it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The repository's name.
    pub repository: String,
    /// The tag that it speaks of.
    pub tag: String,
    /// Where it was posted.
    pub url: String,
    /// When it was sent, or dropped if the fault was [`WebhookFault::Lost`].
    pub sent: Instant,
    /// How long the answer took.
    pub duration: Duration,
    /// The answer's status; none if there was no answer or nothing was sent.
    pub status: Option<u16>,
    /// The fault that it met.
    pub fault: Option<WebhookFault>,
}

impl Webhook {
    /// A webhook without faults.
    #[must_use]
    pub fn new(url: &str, secret: &str, format: WebhookFormat) -> Self {
        Self { url: url.to_owned(), secret: secret.to_owned(), format, fault: None }
    }
}

/// The client that all webhooks of a registry are posted with.
pub(super) fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10));
    client.user_agent("sandbox-registry").build().unwrap_or_default()
}

/// Sends the webhooks that the repository has now, if the tag was not removed.
pub(super) fn send(shared: &Arc<Shared>, update: &TagUpdate) {
    if update.digest.is_none() {
        return;
    }
    let webhooks = shared.lock().webhooks.get(&update.repository).cloned().unwrap_or_default();
    for webhook in webhooks {
        shared.runtime.spawn(deliver(shared.clone(), webhook, update.clone()));
    }
}

async fn deliver(shared: Arc<Shared>, webhook: Webhook, update: TagUpdate) {
    if let Some(WebhookFault::Late(by)) = webhook.fault {
        tokio::time::sleep(by).await;
    }
    let sent = Instant::now();
    let status = match webhook.fault {
        Some(WebhookFault::Lost) => None,
        _ => post(&shared, &webhook, &update).send().await.ok().map(|it| it.status().as_u16()),
    };
    let delivery = Delivery {
        repository: update.repository,
        tag: update.tag,
        url: webhook.url,
        sent,
        duration: sent.elapsed(),
        status,
        fault: webhook.fault,
    };
    shared.lock().deliveries.push(delivery);
}

fn post(shared: &Shared, webhook: &Webhook, update: &TagUpdate) -> reqwest::RequestBuilder {
    let body = payload(&shared.host, update, webhook.format).to_string();
    let secret = match webhook.fault {
        Some(WebhookFault::WrongSecret) => format!("not {}", webhook.secret),
        _ => webhook.secret.clone(),
    };
    let request = shared.client.post(&webhook.url).header("content-type", "application/json");
    let request = match webhook.format {
        WebhookFormat::GenericHmac => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let signature = hex(hmac::sign(&key, body.as_bytes()).as_ref());
            request.header("x-signature", format!("sha256={signature}"))
        }
        WebhookFormat::Harbor => request.header("authorization", secret),
        WebhookFormat::Generic | WebhookFormat::DockerHub | WebhookFormat::Quay => request,
    };
    request.body(body)
}

/// What the registry says of a pushed tag.
fn payload(host: &str, update: &TagUpdate, format: WebhookFormat) -> Value {
    let TagUpdate { repository, tag, digest, wall, .. } = update;
    let name = repository.rsplit('/').next().unwrap_or_default();
    let namespace = repository.split('/').next().unwrap_or_default();
    let image = format!("{host}/{repository}");
    match format {
        WebhookFormat::Generic | WebhookFormat::GenericHmac => {
            json!({"repository": image, "tag": tag, "digest": digest})
        }
        WebhookFormat::Harbor => json!({
            "type": "PUSH_ARTIFACT",
            "occur_at": wall.as_second(),
            "operator": "robot$sandbox",
            "event_data": {
                "resources": [{"digest": digest, "tag": tag,
                    "resource_url": format!("{image}:{tag}")}],
                "repository": {"name": name, "namespace": namespace, "repo_type": "private",
                    "repo_full_name": repository},
            },
        }),
        WebhookFormat::DockerHub => json!({
            "push_data": {"pushed_at": wall.as_second(), "pusher": "sandbox", "tag": tag},
            "repository": {"name": name, "namespace": namespace, "repo_name": repository,
                "repo_url": format!("http://{image}")},
        }),
        WebhookFormat::Quay => json!({
            "name": name, "namespace": namespace, "repository": repository,
            "docker_url": image, "homepage": format!("http://{image}"), "updated_tags": [tag],
        }),
    }
}
