//! Webhooks of a git host: payload, signature, faults, and the log of deliveries.
//!
//! A host may send them before the pusher has its answer, so a receiver can be faster than the
//! pusher's own clock; both orders can be had here.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{RefUpdate, Shared, history};

/// Whose webhooks these look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// GitHub's `push` event, signed in `X-Hub-Signature-256`.
    GitHub,
    /// GitLab's `Push Hook`, the secret itself in `X-Gitlab-Token`.
    GitLab,
    /// A body signed in `X-Signature`.
    GenericHmac,
}

/// When a webhook is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookMoment {
    /// The pusher waits for the receiver's answer.
    BeforeAcknowledgement,
    /// Beside the answer to the pusher.
    AfterAcknowledgement,
}

/// How a webhook goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFault {
    /// It is never sent, and nobody is told.
    Lost,
    /// It is sent this much later.
    Late(Duration),
    /// It is signed with another secret.
    WrongSecret,
}

/// A webhook of a repository.
#[derive(Clone)]
pub struct Webhook {
    /// Where it is posted.
    pub url: String,
    /// What it is signed with.
    pub secret: String,
    /// How it looks.
    pub format: WebhookFormat,
    /// When it is sent.
    pub moment: WebhookMoment,
    /// What goes wrong with it.
    pub fault: Option<WebhookFault>,
}

/// One attempt to deliver a webhook, as the host logs it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The repository's name.
    pub repository: String,
    /// The commit that it speaks of.
    pub commit: String,
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
    /// A webhook that is sent as soon as the push has been answered, without faults.
    #[must_use]
    pub fn new(url: &str, secret: &str, format: WebhookFormat) -> Self {
        Self {
            url: url.to_owned(),
            secret: secret.to_owned(),
            format,
            moment: WebhookMoment::AfterAcknowledgement,
            fault: None,
        }
    }
}

/// The client that all webhooks of a host are posted with.
pub(super) fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10));
    client.user_agent("GitHub-Hookshot/sandbox").build().unwrap_or_default()
}

/// Sends the webhooks that the repository has now; the future waits for those that the pusher
/// has to wait for.
pub(super) fn send(shared: &Arc<Shared>, update: &RefUpdate) -> impl Future<Output = ()> + 'static {
    let webhooks = {
        let state = shared.lock();
        let repository = state.repositories.get(&update.repository);
        repository.map(|repository| repository.webhooks.clone()).unwrap_or_default()
    };
    let (shared, update) = (shared.clone(), update.clone());
    async move {
        for webhook in webhooks {
            let delivery = deliver(shared.clone(), webhook.clone(), update.clone());
            let waits = webhook.moment == WebhookMoment::BeforeAcknowledgement;
            if waits && !matches!(webhook.fault, Some(WebhookFault::Late(_))) {
                delivery.await;
            } else {
                shared.runtime.spawn(delivery);
            }
        }
    }
}

async fn deliver(shared: Arc<Shared>, webhook: Webhook, update: RefUpdate) {
    if let Some(WebhookFault::Late(by)) = webhook.fault {
        tokio::time::sleep(by).await;
    }
    let sent = Instant::now();
    let status = match webhook.fault {
        Some(WebhookFault::Lost) => None,
        _ => match post(&shared, &webhook, &update).send().await {
            Ok(answer) => Some(answer.status().as_u16()),
            Err(_) => None,
        },
    };
    let delivery = Delivery {
        repository: update.repository,
        commit: update.new,
        url: webhook.url,
        sent,
        duration: sent.elapsed(),
        status,
        fault: webhook.fault,
    };
    shared.lock().deliveries.push(delivery);
}

fn post(shared: &Shared, webhook: &Webhook, update: &RefUpdate) -> reqwest::RequestBuilder {
    let body = payload(shared, update, webhook.format).to_string();
    let secret = match webhook.fault {
        Some(WebhookFault::WrongSecret) => format!("not {}", webhook.secret),
        _ => webhook.secret.clone(),
    };
    let signature = format!("sha256={}", sign(&secret, body.as_bytes()));
    let request = shared.client.post(&webhook.url).header("content-type", "application/json");
    let id = format!("{:032x}", fastrand::u128(..));
    let request = match webhook.format {
        WebhookFormat::GitHub => request
            .header("x-github-event", "push")
            .header("x-github-delivery", id)
            .header("x-hub-signature-256", signature),
        WebhookFormat::GitLab => request
            .header("x-gitlab-event", "Push Hook")
            .header("x-gitlab-event-uuid", id)
            .header("x-gitlab-token", secret),
        WebhookFormat::GenericHmac => request.header("x-signature", signature),
    };
    request.body(body)
}

/// What the host says of a moved ref.
fn payload(shared: &Shared, update: &RefUpdate, format: WebhookFormat) -> Value {
    let url = format!("{}/{}.git", shared.base_url, update.repository);
    let name = update.repository.rsplit('/').next().unwrap_or_default();
    let message = history::message(&shared.folder(&update.repository), &update.new);
    let commit = json!({
        "id": update.new,
        "message": message.unwrap_or_default(),
        "timestamp": update.wall.to_string(),
    });
    let common = json!({
        "ref": update.reference,
        "before": update.old,
        "after": update.new,
        "commits": [commit],
    });
    let own = match format {
        WebhookFormat::GitLab => json!({
            "object_kind": "push",
            "event_name": "push",
            "checkout_sha": update.new,
            "project": {
                "name": name,
                "path_with_namespace": update.repository,
                "git_http_url": url,
            },
        }),
        WebhookFormat::GitHub | WebhookFormat::GenericHmac => json!({
            "head_commit": commit,
            "repository": {"name": name, "full_name": update.repository, "clone_url": url},
        }),
    };
    let mut payload = common;
    json_patch::merge(&mut payload, &own);
    payload
}

fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, body).as_ref().iter().fold(String::new(), |text, byte| {
        let digits =
            [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
        text + &String::from_iter(digits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256_in_hexadecimal() {
        // Test case 2 of RFC 4231.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign("Jefe", b"what do ya want for nothing?"), expected);
    }
}
