//! The calls of each type of Receiver: as its sender would make it, and so that nothing happens.
//!
//! What each type checks is what notification-controller does in `receiver_handlers.go`; the token
//! is taken byte by byte, as Flux takes it.

use crate::model::CanaryId;
use crate::remote::webhook::{Call, Error, Method};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fmt::Write;

/// What stands where a signature or token should, in a call that is to be refused.
const WRONG: &str = "hopclock-preflight";

/// The last part of a path that no Receiver has.
const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A type of Receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Generic,
    GenericHmac,
    GenericOidc,
    GitHub,
    GitLab,
    Bitbucket,
    Harbor,
    DockerHub,
    Quay,
    Gcr,
    Nexus,
    Acr,
    CdEvents,
}

/// How a call proves itself.
pub(super) struct Proof<'a> {
    /// The token of the Receiver's Secret.
    pub(super) token: &'a [u8],
    /// The JWT of the caller, where the type wants one.
    pub(super) jwt: Option<&'a str>,
}

// === impl Sort ===

impl Sort {
    /// Every type, by its name in `spec.type`.
    pub(super) const ALL: [(&'static str, Self); 13] = [
        ("generic", Self::Generic),
        ("generic-hmac", Self::GenericHmac),
        ("generic-oidc", Self::GenericOidc),
        ("github", Self::GitHub),
        ("gitlab", Self::GitLab),
        ("bitbucket", Self::Bitbucket),
        ("harbor", Self::Harbor),
        ("dockerhub", Self::DockerHub),
        ("quay", Self::Quay),
        ("gcr", Self::Gcr),
        ("nexus", Self::Nexus),
        ("acr", Self::Acr),
        ("cdevents", Self::CdEvents),
    ];

    /// The type of this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.0 == name).map(|it| it.1)
    }

    /// Whether the caller proves himself by a JWT.
    pub(super) fn wants_jwt(self) -> bool {
        matches!(self, Self::GenericOidc | Self::Gcr)
    }

    /// The call that its sender would make.
    pub(super) fn call(
        self,
        path: &str,
        proof: &Proof<'_>,
        events: &[&str],
        canary: &CanaryId,
    ) -> Result<Call, Error> {
        let event = |usual: &[&str]| chosen(events, usual);
        let body = self.payload(canary, &event(&["dev.cdevents.change.merged.0.2.0"]));
        let body = body.to_string().into_bytes();
        let mut headers = vec![("content-type", "application/json".to_owned())];
        let text = || std::str::from_utf8(proof.token).map_err(|_| Error::UnusableToken);
        match self {
            Self::GenericHmac => headers.push(("x-signature", sha256(proof.token, &body))),
            Self::GitHub => {
                headers.push(("x-hub-signature-256", sha256(proof.token, &body)));
                headers.push(("x-github-event", event(&["push", "ping"])));
            }
            Self::Bitbucket => {
                headers.push(("x-hub-signature", sha256(proof.token, &body)));
                headers.push(("x-event-key", event(&["repo:refs_changed", "repo:push"])));
            }
            Self::GitLab => {
                headers.push(("x-gitlab-token", text()?.to_owned()));
                headers.push(("x-gitlab-event", event(&["Push Hook", "Tag Push Hook"])));
            }
            Self::Harbor => headers.push(("authorization", text()?.to_owned())),
            Self::Nexus => {
                let algorithm = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
                let signature = sign(algorithm, proof.token, &body);
                headers.push(("x-nexus-webhook-signature", signature));
            }
            Self::GenericOidc | Self::Gcr => {
                headers
                    .push(("authorization", format!("Bearer {}", proof.jwt.unwrap_or_default())));
            }
            Self::CdEvents => {
                headers.push(("ce-type", event(&["dev.cdevents.change.merged.0.2.0"])));
            }
            Self::Generic | Self::DockerHub | Self::Quay | Self::Acr => {}
        }
        Ok(Call { method: Method::POST, path: path.to_owned(), headers, body })
    }

    /// A call that has no effect whatever the Receiver is like: it is refused, or leads nowhere.
    pub(super) fn harmless(self, path: &str) -> Call {
        let wrong = "0".repeat(64);
        let mut headers = vec![("content-type", "application/json".to_owned())];
        match self {
            // It takes everything, so its own path is not called.
            Self::Generic => {
                let path = format!("/hook/{NOBODY}");
                return Call { method: Method::POST, path, headers, body: b"{}".to_vec() };
            }
            Self::GenericHmac => headers.push(("x-signature", format!("sha256={wrong}"))),
            Self::GitHub | Self::Bitbucket => {
                headers.push(("x-hub-signature-256", format!("sha256={wrong}")));
            }
            Self::GitLab => headers.push(("x-gitlab-token", WRONG.to_owned())),
            Self::Harbor => headers.push(("authorization", WRONG.to_owned())),
            Self::GenericOidc | Self::Gcr => {
                headers.push(("authorization", format!("Bearer {WRONG}")));
            }
            Self::Nexus => headers.push(("x-nexus-webhook-signature", wrong[..40].to_owned())),
            // They check no secret, but want a payload.
            Self::DockerHub | Self::Quay | Self::Acr | Self::CdEvents => {}
        }
        // The event server refuses what is no JSON like a Receiver does; of JSON it makes an event
        // of no object, which no alert wants, and says 202 or 429, as no Receiver does.
        let body = match self {
            Self::DockerHub => json!({"push_data": 0}),
            Self::Quay => json!({"docker_url": 0}),
            Self::Acr => json!({"action": 0}),
            _ => json!({}),
        };
        let (path, body) = (path.to_owned(), body.to_string().into_bytes());
        Call { method: Method::POST, path, headers, body }
    }

    /// The answer to [`Sort::harmless`] that shows that all is well.
    pub(super) fn good(self) -> u16 {
        if self == Self::Generic { 404 } else { 400 }
    }

    /// The smallest payload that the type takes, with the canary in it where there is room.
    fn payload(self, canary: &CanaryId, event: &str) -> Value {
        let canary = canary.to_string();
        let image = "hopclock/canary";
        match self {
            Self::Generic | Self::GenericHmac | Self::GenericOidc => json!({"hopclock": canary}),
            Self::GitHub | Self::GitLab | Self::Bitbucket => {
                json!({"ref": "refs/heads/main", "hopclock": canary})
            }
            Self::Harbor => json!({"type": "PUSH_ARTIFACT", "operator": "hopclock",
                "event_data": {"resources": [{"tag": canary}], "repository": {"name": image}}}),
            Self::DockerHub => json!({"push_data": {"tag": canary},
                "repository": {"repo_url": "https://registry.hub.docker.com/r/hopclock/canary"}}),
            Self::Quay => {
                json!({"docker_url": "quay.io/hopclock/canary", "updated_tags": [canary]})
            }
            Self::Gcr => {
                let data = json!({"action": "INSERT", "tag": format!("gcr.io/{image}:{canary}")});
                json!({"message": {"data": STANDARD.encode(data.to_string()),
                    "messageId": canary}, "subscription": "hopclock"})
            }
            Self::Nexus => json!({"action": "UPDATED", "initiator": "hopclock",
                "repositoryName": "hopclock", "component": {"name": image, "version": canary}}),
            Self::Acr => json!({"action": "push",
                "target": {"repository": image, "tag": canary}}),
            Self::CdEvents => {
                // dev.cdevents.SUBJECT.PREDICATE.VERSION
                let subject = event.split('.').nth(2).unwrap_or_default();
                json!({"context": {"version": "0.4.1", "id": canary, "source": "/hopclock",
                        "type": event, "timestamp": "2026-01-01T00:00:00Z"},
                    "subject": {"id": canary, "source": "/hopclock", "type": subject,
                        "content": {}}})
            }
        }
    }
}

/// The path of a Receiver: what Flux computes of its token, its name and its namespace.
pub(super) fn path(token: &[u8], name: &str, namespace: &str) -> String {
    let mut digest = digest::Context::new(&digest::SHA256);
    for part in [token, name.as_bytes(), namespace.as_bytes()] {
        digest.update(part);
    }
    format!("/hook/{}", hex(digest.finish().as_ref()))
}

/// The event that is said to have happened: one that the Receiver reacts to, a usual one if it can
/// be.
fn chosen(events: &[&str], usual: &[&str]) -> String {
    let wanted = |usual: &&&str| events.iter().any(|it| it.eq_ignore_ascii_case(usual));
    let usual_one = usual.iter().find(wanted).copied();
    usual_one.or_else(|| events.first().copied()).unwrap_or(usual[0]).to_owned()
}

fn sha256(token: &[u8], body: &[u8]) -> String {
    format!("sha256={}", sign(hmac::HMAC_SHA256, token, body))
}

fn sign(algorithm: hmac::Algorithm, token: &[u8], body: &[u8]) -> String {
    hex(hmac::sign(&hmac::Key::new(algorithm, token), body).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, it| {
        let _ = write!(text, "{it:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_one_that_the_receiver_reacts_to() {
        assert_eq!(chosen(&[], &["push", "ping"]), "push");
        assert_eq!(chosen(&["ping", "Push"], &["push", "ping"]), "push");
        assert_eq!(chosen(&["ping"], &["push", "ping"]), "ping");
        assert_eq!(chosen(&["release"], &["push", "ping"]), "release");
    }

    #[test]
    fn what_is_to_have_no_effect_is_json_that_no_type_takes() {
        for (name, sort) in Sort::ALL {
            let call = sort.harmless("/hook/a");
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            // Else the event server would refuse it like a Receiver.
            assert!(call.method == Method::POST && body.is_object(), "{name}");
            assert_eq!(call.path == "/hook/a", sort != Sort::Generic, "{name}");
        }
    }

    #[test]
    fn a_path_is_the_digest_of_token_name_and_namespace() {
        // As a real notification-controller has written it to `status.webhookPath`.
        let recorded = "de5be985d67eb7fef89415b4affb517b84e8286453d9dcebb0c75e0ed27cfcb7";
        let found = path(b"lab-token", "fleet", "flux-system");
        assert_eq!(found, format!("/hook/{recorded}"));
        assert_ne!(found, path(b"lab-token\n", "fleet", "flux-system"), "a line end counts");
    }
}
