//! Calls a Receiver, to see whether webhooks arrive: with effect, or as a preflight without.
//!
//! A request has no revision, and no memory on the other side: there is nothing to announce, and
//! after a call without an answer nobody can be asked whether it was taken (rule T2), so it is an
//! error and never sent again.

mod build;
mod call;
mod config;
mod explain;

use crate::model::{Ancestry, CanaryId, Revision, Subject, Usage, When};
use crate::remote::webhook::{self, Call, Webhook};
use crate::trigger::{Error, Published, Trigger};
use call::{Proof, Sort};
use explain::Purpose;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use tokio::sync::Mutex;

pub use config::{ReceiverGetConfig, ReceiverPostConfig};

/// Calls a Receiver with effect. See [`ReceiverPostConfig`].
pub struct ReceiverPost {
    hook: Hook,
    jwt: Option<SecretString>,
    prepared: Mutex<Option<Call>>,
}

/// Calls a Receiver without effect. See [`ReceiverGetConfig`].
pub struct ReceiverGet {
    hook: Hook,
}

/// A Receiver, and how it is called.
struct Hook {
    at: Webhook,
    subject: Subject,
    sort: Sort,
    token: SecretSlice<u8>,
    path: String,
    events: Vec<String>,
}

// === impl Hook ===

impl Hook {
    /// One for every address: what matters is whom it wakes.
    fn lane(&self) -> String {
        format!("receiver/{}/{}", self.subject.namespace, self.subject.name)
    }

    /// Calls once, and judges the answer.
    async fn call(&self, call: Call, purpose: Purpose) -> Result<Published, Error> {
        let webhook::Called { sent, answered, answer } = self.at.send(call).await?;
        let zero = When::at(answered);
        explain::judge(answer, purpose, &self.subject.to_string(), &self.at.host())?;
        Ok(Published { sent, zero, attempts: 1 })
    }
}

// === impl ReceiverPost ===

impl ReceiverPost {
    fn new(hook: Hook, jwt: Option<SecretString>) -> Self {
        Self { hook, jwt, prepared: Mutex::default() }
    }
}

#[async_trait::async_trait]
impl Trigger for ReceiverPost {
    fn lane(&self) -> String {
        self.hook.lane()
    }

    fn usage(&self) -> Usage {
        self.hook.at.usage()
    }

    /// Nothing of an earlier request stays anywhere.
    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        Ok(None)
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        let Hook { sort, token, path, events, .. } = &self.hook;
        let jwt = self.jwt.as_ref().map(ExposeSecret::expose_secret);
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let proof = Proof { token: token.expose_secret(), jwt };
        let call = sort.call(path, &proof, &events, canary)?;
        *self.prepared.lock().await = Some(call);
        Ok(Vec::new())
    }

    async fn publish(&self, _: &(dyn Fn(Vec<Revision>) + Send + Sync)) -> Result<Published, Error> {
        let call = self.prepared.lock().await.take().ok_or_else(|| Error {
            reason: "unprepared",
            message: "a call was to be sent that was not prepared".to_owned(),
        })?;
        self.hook.call(call, Purpose::Effect).await
    }

    /// Nobody remembers a request.
    async fn recover(&self, _: &CanaryId, _: &[Revision]) -> Result<Option<Vec<Revision>>, Error> {
        Ok(None)
    }

    async fn ancestry(&self, _: &Revision) -> Ancestry {
        Ancestry::NotYet
    }
}

// === impl ReceiverGet ===

impl ReceiverGet {
    fn new(hook: Hook) -> Self {
        Self { hook }
    }
}

#[async_trait::async_trait]
impl Trigger for ReceiverGet {
    /// Of its own: it stands in nobody's way.
    fn lane(&self) -> String {
        format!("{}#preflight", self.hook.lane())
    }

    fn usage(&self) -> Usage {
        self.hook.at.usage()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        Ok(None)
    }

    async fn prepare(&self, _: &CanaryId) -> Result<Vec<Revision>, Error> {
        Ok(Vec::new())
    }

    async fn publish(&self, _: &(dyn Fn(Vec<Revision>) + Send + Sync)) -> Result<Published, Error> {
        let Hook { sort, path, .. } = &self.hook;
        let purpose = Purpose::Preflight(sort.good());
        self.hook.call(sort.harmless(path), purpose).await
    }

    async fn recover(&self, _: &CanaryId, _: &[Revision]) -> Result<Option<Vec<Revision>>, Error> {
        Ok(None)
    }

    async fn ancestry(&self, _: &Revision) -> Ancestry {
        Ancestry::NotYet
    }
}

// === impl Error ===

impl From<webhook::Error> for Error {
    fn from(error: webhook::Error) -> Self {
        Self { reason: error.reason(), message: error.to_string() }
    }
}
