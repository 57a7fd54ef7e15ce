//! Revisions as Flux wrote them: what its own events name, word by word.

use crate::engine::machine::Run;
use crate::model::{GroupKind, SourceKind, Subject};
use serde_json::Value;

/// Kinds whose revisions a Kustomization repeats; it does not say of which kind its source is.
const APPLIED: [SourceKind; 4] =
    [SourceKind::Git, SourceKind::Oci, SourceKind::Bucket, SourceKind::External];

// === impl Run ===

impl Run {
    /// The revision with which a source or applier carried the change, first if there are several.
    pub(crate) fn carried_text(&self, subject: &Subject) -> Option<String> {
        let field = field(subject)?;
        let kinds = match SourceKind::of(&subject.kind.kind) {
            Some(kind) => vec![kind],
            None if subject.kind == GroupKind::helm_release() => vec![SourceKind::HelmChart],
            None => APPLIED.to_vec(),
        };
        let states = self.subjects.get(subject)?;
        let mut carrying = states.iter().filter(|it| {
            let written = it.value.pointer(field).unwrap_or(&Value::Null);
            kinds.iter().any(|kind| self.change.carried_in(written, *kind).is_some())
        });
        // A release says what it is made of when it is done, long after it says what it will be.
        let is_release = subject.kind == GroupKind::helm_release();
        let state = if is_release { carrying.next_back() } else { carrying.next() };
        text(&state?.value, field)
    }

    /// The revision that a source or applier showed last.
    pub(crate) fn last_text(&self, subject: &Subject) -> Option<String> {
        text(&self.subjects.get(subject)?.last()?.value, field(subject)?)
    }
}

/// Where an object says what it has.
fn field(subject: &Subject) -> Option<&'static str> {
    match subject.kind.kind.as_str() {
        "Kustomization" => Some("/status/lastAppliedRevision"),
        "HelmRelease" => Some("/status/lastAttemptedRevision"),
        other => SourceKind::of(other).map(|_| "/status/artifact/revision"),
    }
}

/// What Flux's events name. Of a release whose chart is an OCI artifact they name the version of
/// the application and the artifact's digest instead (`getRevision` in Flux's `otel.go`).
fn text(object: &Value, field: &str) -> Option<String> {
    let release = &object["status"]["history"][0];
    let of_release = object["kind"] == "HelmRelease";
    let parts = (release["appVersion"].as_str(), release["ociDigest"].as_str());
    if let (true, (Some(version), Some(digest))) = (of_release, parts) {
        return Some(format!("{version}@{digest}"));
    }
    object.pointer(field)?.as_str().filter(|it| !it.is_empty()).map(str::to_owned)
}
