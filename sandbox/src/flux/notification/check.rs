//! Whether a webhook call is what its receiver expects: one rule per type.
//!
//! Every failure is a 400 without a body, so a wrong signature proves that route, listener, path
//! and receiver work, without any effect.

use aws_lc_rs::hmac;
use http::HeaderMap;
use serde_json::Value;

/// Why a call was refused; nobody outside gets to read it.
pub(super) type Refused = &'static str;

/// What a receiver checks calls against.
pub(super) struct Expected<'a> {
    /// `spec.type`.
    pub(super) kind: &'a str,
    /// The token of its Secret.
    pub(super) token: &'a str,
    /// The events that it reacts to; all, if there are none.
    pub(super) events: Vec<&'a str>,
}

impl Expected<'_> {
    /// Checks one call.
    pub(super) fn check(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Refused> {
        match self.kind {
            "generic" => Ok(()),
            "generic-hmac" => self.signed(header(headers, "x-signature"), body),
            "github" => {
                self.hub_signed(headers, body)?;
                self.event(headers, "x-github-event")
            }
            "bitbucket" => {
                self.hub_signed(headers, body)?;
                self.event(headers, "x-event-key")
            }
            "gitlab" => {
                self.same(header(headers, "x-gitlab-token"))?;
                self.event(headers, "x-gitlab-event")
            }
            "harbor" => self.same(header(headers, "authorization")),
            "dockerhub" => has(body, &["/push_data/tag", "/repository/repo_url"]),
            "quay" => has(body, &["/docker_url", "/updated_tags"]),
            "acr" => has(body, &["/action", "/target/repository", "/target/tag"]),
            "nexus" => {
                let signature = header(headers, "x-nexus-webhook-signature");
                self.fits(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, signature, body)
            }
            "cdevents" => {
                has(body, &["/context/id", "/context/source", "/context/type", "/subject/id"])?;
                self.event(headers, "ce-type")
            }
            _ => Err("tokens of this type of receiver cannot be checked here"),
        }
    }

    fn hub_signed(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Refused> {
        let kind = header(headers, "content-type").split(';').next().unwrap_or_default().trim();
        if kind != "application/json" && kind != "application/x-www-form-urlencoded" {
            return Err("unexpected content type");
        }
        let signature = match header(headers, "x-hub-signature-256") {
            "" => header(headers, "x-hub-signature"),
            signature => signature,
        };
        self.signed(signature, body)
    }

    fn signed(&self, signature: &str, body: &[u8]) -> Result<(), Refused> {
        let (algorithm, digits) = signature.split_once('=').ok_or("no signature")?;
        let algorithm = match algorithm {
            "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            "sha256" => hmac::HMAC_SHA256,
            "sha512" => hmac::HMAC_SHA512,
            _ => return Err("unknown signature algorithm"),
        };
        self.fits(algorithm, digits, body)
    }

    fn fits(&self, algorithm: hmac::Algorithm, digits: &str, body: &[u8]) -> Result<(), Refused> {
        let tag = unhex(digits).ok_or("malformed signature")?;
        let key = hmac::Key::new(algorithm, self.token.as_bytes());
        hmac::verify(&key, body, &tag).map_err(|_| "wrong signature")
    }

    fn same(&self, token: &str) -> Result<(), Refused> {
        if token == self.token { Ok(()) } else { Err("wrong token") }
    }

    fn event(&self, headers: &HeaderMap, name: &str) -> Result<(), Refused> {
        let event = header(headers, name);
        let listed = self.events.iter().any(|wanted| wanted.eq_ignore_ascii_case(event));
        if self.events.is_empty() || listed { Ok(()) } else { Err("event not wanted") }
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(super) fn has(body: &[u8], fields: &[&str]) -> Result<(), Refused> {
    let body: Value = serde_json::from_slice(body).map_err(|_| "body is not JSON")?;
    let all = fields.iter().all(|field| body.pointer(field).is_some());
    if all { Ok(()) } else { Err("body lacks a field") }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
