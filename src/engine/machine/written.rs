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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(kind: &str, status: &Value) -> Option<String> {
        let subject = Subject::local(GroupKind::new("", kind), "lab", "a");
        text(&json!({"kind": kind, "status": status}), field(&subject)?)
    }

    #[test]
    fn each_kind_has_its_revision_where_flux_reads_it() {
        let artifact = json!({"artifact": {"revision": "v1@sha256:ab"}});
        assert_eq!(told("OCIRepository", &artifact).as_deref(), Some("v1@sha256:ab"));
        assert_eq!(told("GitRepository", &json!({})), None);
        let applied = json!({"lastAppliedRevision": "main@sha1:ab", "lastAttemptedRevision": "no"});
        assert_eq!(told("Kustomization", &applied).as_deref(), Some("main@sha1:ab"));
        assert_eq!(told("ConfigMap", &artifact), None);
    }

    #[test]
    fn a_release_of_an_oci_chart_is_told_by_its_application_and_digest() {
        let attempted = "1.2.3+ab";
        let release =
            |history: Value| json!({"lastAttemptedRevision": attempted, "history": history});
        assert_eq!(told("HelmRelease", &release(json!([]))).as_deref(), Some(attempted));
        let one = json!([{"appVersion": "7", "chartVersion": attempted}]);
        assert_eq!(told("HelmRelease", &release(one)).as_deref(), Some(attempted));
        let two = json!([{"appVersion": "7", "ociDigest": "sha256:ab"}, {"appVersion": "6"}]);
        assert_eq!(told("HelmRelease", &release(two)).as_deref(), Some("7@sha256:ab"));
    }
}
