//! From an event to the providers that want it: `Alert`, `Provider`, and the post to each.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::Value;

use super::Event;
use super::Severity;
use crate::flux::Speeds;
use crate::flux::artifacts::hex;
use crate::flux::gotime;
use crate::flux::secrets;
use crate::store::Key;
use crate::store::Store;

/// One event on its way to one provider.
pub(super) struct Delivery {
    address: String,
    body: Vec<u8>,
    headers: Vec<(String, String)>,
    retries: Vec<Duration>,
    timeout: Duration,
}

impl Delivery {
    /// Posts until the provider takes it, the retries are used up or the time is over.
    pub(super) async fn send(self, client: &reqwest::Client) -> bool {
        let timeout = self.timeout;
        tokio::time::timeout(timeout, self.attempts(client)).await.unwrap_or(false)
    }

    async fn attempts(self, client: &reqwest::Client) -> bool {
        let mut retries = self.retries.iter();
        loop {
            let mut request = client.post(&self.address).body(self.body.clone());
            for (name, value) in &self.headers {
                request = request.header(name, value);
            }
            if request.send().await.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            let Some(wait) = retries.next() else { return false };
            tokio::time::sleep(*wait).await;
        }
    }
}

/// The deliveries that the alerts of the cluster want made of an event.
pub(super) fn deliveries(store: &Store, event: &Event, speeds: &Speeds) -> Vec<Delivery> {
    let (alerts, _) = store.list("Alert", None);
    alerts.iter().filter_map(|alert| delivery(store, alert, event, speeds)).collect()
}

fn delivery(store: &Store, alert: &Value, event: &Event, speeds: &Speeds) -> Option<Delivery> {
    let spec = &alert["spec"];
    let namespace = alert["metadata"]["namespace"].as_str().unwrap_or_default();
    if spec["suspend"] == true || !wants(store, spec, namespace, event) {
        return None;
    }
    let name = spec["providerRef"]["name"].as_str()?;
    let provider = store.get(&Key::new("Provider", namespace, name))?;
    let provider = &provider["spec"];
    let kind = provider["type"].as_str()?;
    if provider["suspend"] == true || !matches!(kind, "generic" | "generic-hmac") {
        return None;
    }
    let secret = provider["secretRef"]["name"].as_str();
    let read = |key| secret.and_then(|name| secrets::read_text(store, namespace, name, key));
    let address = read("address").or_else(|| provider["address"].as_str().map(str::to_owned))?;
    let body = serde_json::to_vec(&event.for_provider(&spec["eventMetadata"])).ok()?;
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("gotk-component".to_owned(), event.reporting_controller.clone()),
    ];
    if kind == "generic-hmac" {
        let token = secret.and_then(|name| secrets::read_token(store, namespace, name));
        let key = hmac::Key::new(hmac::HMAC_SHA256, token.unwrap_or_default().as_bytes());
        let signature = hex(hmac::sign(&key, &body).as_ref());
        headers.push(("x-signature".to_owned(), format!("sha256={signature}")));
    }
    let more: Option<std::collections::BTreeMap<String, String>> =
        read("headers").and_then(|text| serde_saphyr::from_str(&text).ok());
    headers.extend(more.into_iter().flatten());
    let timeout = provider["timeout"].as_str().and_then(gotime::parse);
    Some(Delivery {
        address,
        body,
        headers,
        retries: speeds.provider_retries.clone(),
        timeout: timeout.unwrap_or(speeds.provider_timeout),
    })
}

fn wants(store: &Store, spec: &Value, namespace: &str, event: &Event) -> bool {
    let listed = |field: &str| {
        let patterns = spec[field].as_array().into_iter().flatten();
        patterns.filter_map(Value::as_str).any(|pattern| fits(pattern, &event.message))
    };
    let only_errors = spec["eventSeverity"] == "error";
    let included = spec["inclusionList"].as_array().is_none_or(Vec::is_empty);
    (!only_errors || event.severity == Severity::Error)
        && (included || listed("inclusionList"))
        && !listed("exclusionList")
        && spec["eventSources"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|source| comes_from(store, source, namespace, event))
}

fn comes_from(store: &Store, source: &Value, namespace: &str, event: &Event) -> bool {
    let object = &event.involved_object;
    let wanted = source["namespace"].as_str().unwrap_or(namespace);
    if source["kind"] != object.kind.as_str() || wanted != object.namespace {
        return false;
    }
    if source["name"] != "*" {
        return source["name"] == object.name.as_str();
    }
    let key = Key::new(&object.kind, &object.namespace, &object.name);
    let labels = source["matchLabels"].as_object();
    labels.into_iter().flatten().all(|(label, value)| {
        store.get(&key).is_some_and(|object| object["metadata"]["labels"][label] == *value)
    })
}

/// Whether a message fits a pattern of literal text, `.*`, `^` and `$`: no more of the language of
/// regular expressions is known here.
fn fits(pattern: &str, message: &str) -> bool {
    let (from_start, pattern) =
        pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let (to_end, pattern) = pattern.strip_suffix('$').map_or((false, pattern), |rest| (true, rest));
    let parts: Vec<&str> = pattern.split(".*").collect();
    let mut rest = message;
    for (place, part) in parts.iter().enumerate() {
        let (first, last) = (place == 0, place + 1 == parts.len());
        if last && to_end && rest.ends_with(part) && (!(first && from_start) || rest == *part) {
            return true;
        }
        match rest.find(part) {
            Some(0) => rest = &rest[part.len()..],
            Some(found) if !(first && from_start) => rest = &rest[found + part.len()..],
            _ => return false,
        }
    }
    !to_end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_know_literal_text_gaps_and_anchors() {
        let message = "stored artifact for commit 'canary 1'";
        for yes in ["artifact", "^stored.*commit", "canary 1'$", "^stored.*'$", ".*"] {
            assert!(fits(yes, message), "`{yes}`");
        }
        for no in ["^artifact", "commit$", "no such text", "commit.*stored", "^stored$"] {
            assert!(!fits(no, message), "`{no}`");
        }
    }
}
