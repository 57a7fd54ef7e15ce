//! Notes about objects that people find where they look: Events, as `kubectl describe` shows them.
//!
//! One Event for each object, matter and reason, which counts: a note every few minutes must not
//! fill etcd. They are Events of the core group, with `count` and `lastTimestamp`: those are what every
//! `kubectl` shows, and what the newer form is converted from and to.
//!
//! It needs `create` and `patch` of `events` in the namespace of the object, and uses `get` of the
//! object, where it is allowed, to say which object of that name is meant.

use crate::cluster::object::{MANAGED_BY, MANAGER, Place};
use crate::cluster::{Cluster, Error};
use crate::model::{Subject, fnv1a};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A note about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The object.
    pub subject: Subject,
    /// How it looks to people.
    pub tone: Tone,
    /// Why, in one word of a bounded number of words.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
    /// What it is about: notes about one matter, for one reason, are one Event.
    pub matter: String,
    /// Which installation says so.
    pub instance: String,
    /// When.
    pub at: Timestamp,
}

/// How a note looks to people. Its text is the Event's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Normal,
    /// Somebody should look.
    Warning,
}

/// Longest part of an object's name in the name of an Event.
const LONGEST_NAME: usize = 200;

/// Longest message that the API server takes.
const LONGEST_MESSAGE: usize = 1024;

// === impl Tone ===

impl Tone {
    /// The Event's `type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

// === impl Cluster ===

impl Cluster {
    /// Notes something about an object: once more, if it was noted before, else anew.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] says what to grant; or it cannot be written.
    pub async fn note(&self, note: &Note) -> Result<(), Error> {
        let (version, uid) = self.identity(&note.subject).await?;
        let place = note.place(&uid);
        let at = note.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut changed = json!({
            "type": note.tone.as_str(), "message": note.message(), "lastTimestamp": at,
        });
        let api = &self.hub.api;
        // A patch cannot add, so the first one asks how often it was.
        let again = |it: &Value| it["count"].as_u64().unwrap_or(1) + 1;
        if let Some(known) = api.merge(&place, changed.clone()).await? {
            api.merge(&place, json!({"count": again(&known)})).await?;
            return Ok(());
        }
        let event = note.event(&place, &version, &uid, &at);
        match api.create(&place, event).await {
            // Another one was quicker.
            Err(error) if error.status() == Some(409) => {
                if let Some(known) = api.merge(&place, changed.take()).await? {
                    api.merge(&place, json!({"count": again(&known)})).await?;
                }
                Ok(())
            }
            made => made.map(|_| ()),
        }
    }

    /// The version and uid of an object; empty where it is not there, or not ours to read.
    async fn identity(&self, subject: &Subject) -> Result<(String, String), Error> {
        let object = match self.read(&subject.kind, &subject.namespace, &subject.name).await {
            Ok(object) => object.unwrap_or_default(),
            Err(error) if error.is_silence() => return Err(error),
            Err(_) => Value::Null,
        };
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        Ok((text(&object["apiVersion"]), text(&object["metadata"]["uid"])))
    }
}

// === impl Note ===

impl Note {
    /// Where its Event is. Events about what has no namespace lie in `default`.
    fn place(&self, uid: &str) -> Place {
        let Subject { kind, namespace, name, .. } = &self.subject;
        let own: [&str; 7] =
            [&kind.group, &kind.kind, namespace, name, uid, &self.matter, &self.instance];
        let all = own.join("\n") + "\n" + self.reason;
        let fit = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        let name: String =
            name.chars().take(LONGEST_NAME).map(|it| if fit(it) { it } else { '-' }).collect();
        let name = format!("{}.{:016x}", name.trim_matches('-'), fnv1a(all.into_bytes()));
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        Place::new("", "events", namespace, name.trim_start_matches('.'))
    }

    fn message(&self) -> String {
        // The limit is one of bytes.
        let fits = |it: &usize| self.message.is_char_boundary(*it);
        let end = (0..=LONGEST_MESSAGE.min(self.message.len())).rev().find(fits).unwrap_or(0);
        self.message[..end].to_owned()
    }

    fn event(&self, place: &Place, version: &str, uid: &str, at: &str) -> Value {
        let Subject { kind, namespace, name, .. } = &self.subject;
        let mut involved = json!({"kind": kind.kind, "name": name});
        for (field, value) in
            [("namespace", namespace.as_str()), ("apiVersion", version), ("uid", uid)]
        {
            if !value.is_empty() {
                involved[field] = value.into();
            }
        }
        json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {
                "namespace": place.namespace, "name": place.name,
                "labels": {MANAGED_BY: MANAGER},
            },
            "involvedObject": involved,
            "type": self.tone.as_str(), "reason": self.reason, "message": self.message(),
            "count": 1, "firstTimestamp": at, "lastTimestamp": at,
            "source": {"component": MANAGER},
            "reportingComponent": MANAGER, "reportingInstance": self.instance,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupKind;

    fn note(name: &str, matter: &str, reason: &'static str) -> Note {
        Note {
            subject: Subject::local(GroupKind::kustomization(), "flux-system", name),
            tone: Tone::Normal,
            reason,
            message: "é".repeat(2000),
            matter: matter.to_owned(),
            instance: "hopclock".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_event_has_one_name_for_each_object_matter_and_reason() {
        let name = |name: &str, matter: &str, reason, uid: &str| {
            note(name, matter, reason).place(uid).name
        };
        let one = name("apps", "fleet", "Reached", "1");
        assert_eq!(one, name("apps", "fleet", "Reached", "1"));
        for other in [
            name("apps", "fleet", "Reached", "2"),
            name("apps", "fleet", "Failed", "1"),
            name("apps", "other", "Reached", "1"),
            name("infra", "fleet", "Reached", "1"),
        ] {
            assert_ne!(one, other);
        }
        // Names of roles may hold what those of Events may not.
        let role = name("system:Node", "fleet", "Reached", "1");
        assert!(role.starts_with("system--ode."), "{role}");
        assert!(name(&"a".repeat(253), "fleet", "Reached", "1").len() <= 253);
        assert!(note("apps", "fleet", "Reached").message().len() <= LONGEST_MESSAGE);
    }
}
