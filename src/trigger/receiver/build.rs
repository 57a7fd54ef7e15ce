//! Builds a `receiver_post` or `receiver_get`: reads the Receiver and its Secret, and compares the
//! path that Flux shows with the one that it should have.

use crate::model::{GroupKind, ObjectName, ProbeError, ReceiverLanding, RevisionSort, Subject};
use crate::remote::webhook::{self, Webhook};
use crate::trigger::receiver::call::{self, Sort};
use crate::trigger::receiver::{
    Hook, ReceiverGet, ReceiverGetConfig, ReceiverPost, ReceiverPostConfig,
};
use crate::trigger::{Built, Destination, Kind, Site, unusable};
use secrecy::ExposeSecret;
use std::path::Path;
use std::sync::Arc;

/// Where Flux's own manifests put the Receivers' Service.
const SERVICE: &str = "http://webhook-receiver.flux-system";

/// The key of a Receiver's Secret.
const KEY: &str = "token";

// === impl ReceiverPostConfig ===

#[async_trait::async_trait]
impl Kind for ReceiverPostConfig {
    fn announces(&self) -> RevisionSort {
        RevisionSort::Request
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    fn needs(&self) -> Vec<Subject> {
        vec![subject(&self.receiver)]
    }

    async fn build(&self, site: &dyn Site) -> Result<Built, ProbeError> {
        let hook = open(site, &self.receiver, self.url.as_deref(), self.ca.as_deref()).await?;
        let jwt = match (&self.token, hook.sort.wants_jwt()) {
            (Some(token), true) => Some(site.secret_text(token)?),
            (None, false) => None,
            (None, true) => {
                return Err(unusable(format!(
                    "Receiver {} believes only callers with a JWT, and hopclock cannot sign one: \
                     give a file that holds one as `token`, such as a projected service account \
                     token with the Receiver's audience",
                    self.receiver
                )));
            }
            (Some(_), false) => {
                return Err(unusable(format!(
                    "Receiver {} wants no JWT, so `token` would never be used: leave it out",
                    self.receiver
                )));
            }
        };
        let landing = ReceiverLanding { receiver: subject(&self.receiver), shared: self.shared };
        Ok(Built {
            trigger: Arc::new(ReceiverPost::new(hook, jwt)),
            destination: Destination::Receiver(landing),
        })
    }
}

// === impl ReceiverGetConfig ===

#[async_trait::async_trait]
impl Kind for ReceiverGetConfig {
    fn announces(&self) -> RevisionSort {
        RevisionSort::Request
    }

    fn needs(&self) -> Vec<Subject> {
        vec![subject(&self.receiver)]
    }

    async fn build(&self, site: &dyn Site) -> Result<Built, ProbeError> {
        let hook = open(site, &self.receiver, self.url.as_deref(), self.ca.as_deref()).await?;
        let trigger = Arc::new(ReceiverGet::new(hook));
        Ok(Built { trigger, destination: Destination::Nowhere })
    }
}

fn subject(receiver: &ObjectName) -> Subject {
    Subject::local(GroupKind::receiver(), &receiver.namespace, &receiver.name)
}

/// Finds out how and where a Receiver is called.
async fn open(
    site: &dyn Site,
    receiver: &ObjectName,
    url: Option<&str>,
    ca: Option<&Path>,
) -> Result<Hook, ProbeError> {
    let subject = subject(receiver);
    let object = site.object(&subject).await?;
    let kind = object["spec"]["type"].as_str().unwrap_or_default();
    let sort = Sort::of(kind).ok_or_else(|| {
        unusable(format!("{subject} is of type `{kind}`, of which this version knows no calls"))
    })?;
    let token = match object["spec"]["secretRef"]["name"].as_str() {
        Some(name) => {
            let secret = site.secret(&ObjectName::new(&receiver.namespace, name)).await?;
            secret.bytes(KEY)?.clone()
        }
        None => Vec::new().into(),
    };
    let path = call::path(token.expose_secret(), &receiver.name, &receiver.namespace);
    match object["status"]["webhookPath"].as_str() {
        Some(shown) if shown == path => {}
        None | Some("") => {
            return Err(ProbeError {
                reason: "receiver_not_ready".to_owned(),
                message: format!(
                    "{subject} has no `status.webhookPath`: notification-controller has not looked \
                     at it, or finds a mistake in it; see its conditions"
                ),
            });
        }
        Some(_) => {
            return Err(ProbeError {
                reason: "webhook_path_differs".to_owned(),
                message: format!(
                    "the `status.webhookPath` of {subject} is not that of the token in its Secret: \
                     the token was exchanged, and Flux moves the path at its next look; whoever calls \
                     it needs the new path then. The label `reconcile.fluxcd.io/watch: Enabled` on \
                     the Secret has Flux look at once"
                ),
            });
        }
    }
    let ca = ca.map(|it| site.file(it, "certificate authority")).transpose()?;
    let at = Webhook::new(&site.clients(), url.unwrap_or(SERVICE), ca.as_deref(), site.clock());
    let at = at.map_err(|it| probe_error(&it))?;
    let events = object["spec"]["events"].as_array().into_iter().flatten();
    let events = events.filter_map(|it| it.as_str().map(str::to_owned)).collect();
    Ok(Hook { at, subject, sort, token, path, events })
}

fn probe_error(error: &webhook::Error) -> ProbeError {
    ProbeError { reason: error.reason().to_owned(), message: error.to_string() }
}
