//! `Receiver` objects: the path of each webhook, made of its token, name and namespace.

use std::sync::Arc;

use aws_lc_rs::digest;

use super::NAME;
use crate::flux::artifacts::hex;
use crate::flux::context::Context;
use crate::flux::draft::Draft;
use crate::flux::draft::asks_for_work;
use crate::flux::queue::Next;
use crate::flux::runtime::Reconciler;
use crate::flux::secrets;
use crate::store::Change;
use crate::store::ChangeKind;
use crate::store::Key;

/// Publishes the paths.
pub(super) struct Receivers {
    context: Arc<Context>,
}

impl Receivers {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    fn publish(&self, draft: &mut Draft) -> Next {
        let (namespace, name) = (draft.key.namespace.clone(), draft.key.name.clone());
        let secret = draft.spec()["secretRef"]["name"].as_str().unwrap_or_default().to_owned();
        draft.echo_request();
        let token = match draft.spec()["type"].as_str() {
            // Its callers prove themselves, so it has no token.
            Some("generic-oidc") => Some(String::new()),
            _ => secrets::read_token(&self.context.store, &namespace, &secret),
        };
        let Some(token) = token else {
            let message = format!(
                "unable to read token from secret '{namespace}/{secret}' error: \
                 secrets \"{secret}\" not found"
            );
            draft.set_status("webhookPath", serde_json::Value::Null);
            draft.mark("Ready", "False", "TokenNotFound", &message);
            return Next::Retry;
        };
        let path = path_of(&token, &name, &namespace);
        draft.mark("Ready", "True", "Succeeded", &format!("Receiver initialized for path: {path}"));
        draft.set_status("webhookPath", path);
        draft.observe_generation();
        Next::After(draft.interval())
    }
}

impl Reconciler for Receivers {
    const KIND: &'static str = "Receiver";
    const WATCHES: &'static [&'static str] = &["Receiver"];

    fn wakes(&self, change: &Change) -> Vec<Key> {
        let asks = change.kind != ChangeKind::Deleted
            && asks_for_work(change.before.as_deref(), &change.object);
        if asks { vec![change.key.clone()] } else { Vec::new() }
    }

    async fn reconcile(&self, key: &Key) -> Next {
        let Some(mut draft) = Draft::load(&self.context.store, key, NAME) else {
            return Next::Rest;
        };
        let next = if draft.is_suspended() {
            draft.echo_request();
            Next::Rest
        } else {
            self.publish(&mut draft)
        };
        draft.patch(self.context.speeds().patch).await;
        next
    }
}

/// The path of a webhook, which anybody who knows the token can compute.
fn path_of(token: &str, name: &str, namespace: &str) -> String {
    let text = format!("{token}{name}{namespace}");
    format!("/hook/{}", hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_digest_of_token_name_and_namespace() {
        assert_eq!(
            path_of("a", "b", "c"),
            "/hook/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
