//! Whether Receivers show the address that their tokens make. Neither token nor address is told.

use crate::cluster::{Cluster, Error};
use crate::model::{GroupKind, Subject, flux};
use crate::path::Graph;
use crate::path::checkup::{Finding, table};
use aws_lc_rs::digest::{SHA256, digest};
use secrecy::ExposeSecret;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Receivers with wrong addresses, of those that matter.
pub(super) async fn check(
    cluster: &Cluster,
    graph: &Graph,
    seen: Option<&BTreeSet<Subject>>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let kind = GroupKind::receiver();
    let all = graph.snapshot().of_kind(&kind);
    for (receiver, object) in all.filter(|it| seen.is_none_or(|seen| seen.contains(it.0))) {
        // What is not ready has an address of old, or none.
        let is_ready = flux::condition(object, "Ready").is_some_and(|it| it.status == "True");
        let Some(shown) = object["status"]["webhookPath"].as_str().filter(|_| is_ready) else {
            continue;
        };
        match token(cluster, receiver, object).await {
            Ok(Some(token)) if path_of(&token, receiver) != shown => found.push(Finding::of(
                table::RECEIVER_PATH,
                receiver,
                "its token has changed, and the address that it shows is still the old one".to_owned(),
                format!(
                    "`flux reconcile receiver -n {} {}`, then give the new address to those who call it",
                    receiver.namespace, receiver.name
                ),
            )),
            Ok(_) => {}
            Err(error) => found.push(Finding::of(
                table::UNSEEN,
                receiver,
                format!("whether it shows the address that its token makes: {error}"),
                "let hopclock read that Secret, or leave it".to_owned(),
            )),
        }
    }
    found
}

/// The token of a Receiver; none if its Secret lacks it, which its readiness tells.
async fn token(
    cluster: &Cluster,
    receiver: &Subject,
    object: &Value,
) -> Result<Option<Vec<u8>>, Error> {
    if object["spec"]["type"] == "generic-oidc" {
        return Ok(Some(Vec::new()));
    }
    let name = object["spec"]["secretRef"]["name"].as_str().unwrap_or_default();
    match cluster.secret(&receiver.namespace, name).await {
        Ok(secret) => Ok(secret.bytes("token").ok().map(|it| it.expose_secret().to_vec())),
        Err(Error::NoSuchSecret { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The path of a Receiver, as notification-controller makes it: the digest of token, name and
/// namespace, one behind the other.
fn path_of(token: &[u8], receiver: &Subject) -> String {
    let text = [token, receiver.name.as_bytes(), receiver.namespace.as_bytes()].concat();
    let mut path = "/hook/".to_owned();
    for byte in digest(&SHA256, &text).as_ref() {
        let _ = write!(path, "{byte:02x}");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_digest_of_token_name_and_namespace() {
        let receiver = Subject::local(GroupKind::receiver(), "c", "b");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(path_of(b"a", &receiver), format!("/hook/{expected}"));
    }
}
