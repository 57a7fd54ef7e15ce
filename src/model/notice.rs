//! A notification, as Flux posts it to a `generic` or `generic-hmac` provider: what is kept of it.
//!
//! A body may be long, and thousands may come while a run waits. So only the fields are kept by
//! which a detector tells whose success it is, and of which revision.

use crate::model::{GroupKind, Subject};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest word that is kept.
const LONGEST: usize = 1 << 10;

/// What is kept of a notification. As JSON it is the body that Flux sends, but for what nobody
/// reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// The object that it is about.
    pub involved_object: Involved,
    /// `info` or `error`.
    pub severity: String,
    /// What happened, such as `ReconciliationSucceeded`.
    pub reason: String,
    /// Which revision it is about.
    #[serde(default)]
    pub metadata: Option<Facts>,
}

/// The object that a notification is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Involved {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What a notification says of revisions. All are texts; what else stands there is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The revision that was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The commit that an OCI artifact was made of.
    #[serde(default, rename = "originRevision", skip_serializing_if = "Option::is_none")]
    pub origin_revision: Option<String>,
    /// The digest of a chart from a registry.
    #[serde(default, rename = "oci-digest", skip_serializing_if = "Option::is_none")]
    pub oci_digest: Option<String>,
}

// === impl Notice ===

impl Notice {
    /// Reads a body; none if it is no notification of Flux's, whose words are never longer than
    /// 1 KiB: thousands may be kept.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let notice: Self = serde_json::from_slice(body).ok()?;
        let facts = notice.metadata.iter();
        let facts = facts.flat_map(|it| [&it.revision, &it.origin_revision, &it.oci_digest]);
        let object = &notice.involved_object;
        let names =
            [&notice.severity, &notice.reason, &object.kind, &object.namespace, &object.name];
        let fits = names.into_iter().chain(facts.flatten()).all(|it| it.len() <= LONGEST);
        fits.then_some(notice)
    }

    /// Whether it is about this object. Flux's events name the kind, and no group that could differ.
    #[must_use]
    pub fn is_about(&self, subject: &Subject) -> bool {
        let Involved { kind, namespace, name } = &self.involved_object;
        *kind == subject.kind.kind && *namespace == subject.namespace && *name == subject.name
    }

    /// The state's value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What a listener of this name hears.
    #[must_use]
    pub fn subject(listener: &str) -> Subject {
        Subject::local(GroupKind::notification(), "", listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"involvedObject":{"kind":"Kustomization","namespace":"flux-system",
        "name":"apps","uid":"u","apiVersion":"kustomize.toolkit.fluxcd.io/v1","resourceVersion":"1"},
        "severity":"info","timestamp":"2026-11-21T08:00:00Z","message":"long","reason":"R",
        "metadata":{"revision":"main@sha1:a","commit_status":"update"},
        "reportingController":"kustomize-controller","reportingInstance":"pod"}"#;

    #[test]
    fn a_body_is_cut_down_to_what_detectors_read() {
        let notice = Notice::read(BODY.as_bytes()).unwrap();
        let apps = Subject::local(GroupKind::kustomization(), "flux-system", "apps");
        assert!(notice.is_about(&apps));
        let other = Subject::local(GroupKind::helm_release(), "flux-system", "apps");
        assert!(!notice.is_about(&other));
        let kept = serde_json::json!({
            "involvedObject": {"kind": "Kustomization", "namespace": "flux-system", "name": "apps"},
            "severity": "info", "reason": "R", "metadata": {"revision": "main@sha1:a"},
        });
        assert_eq!(notice.to_value(), kept);
    }

    #[test]
    fn what_is_no_notification_is_not_read() {
        let long = BODY.replace("\"R\"", &format!("\"{}\"", "R".repeat(LONGEST + 1)));
        for body in [&long, "", "garbage", "[]", "{}", r#"{"involvedObject":{},"severity":1}"#] {
            assert_eq!(Notice::read(body.as_bytes()), None, "{body}");
        }
    }
}
