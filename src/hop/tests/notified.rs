//! Rules that the detector of `notified` obeys. Each state is a delivery, as it was recorded.

use crate::hop::tests::objects::{Object, change, commit, next, reached, revision};
use crate::hop::{Detector, Notified};
use crate::model::{Carried, Change, GroupKind, Revision, Sighting, Subject};
use serde_json::{Value, json};

const DIGEST: &str = "sha256:679571276cb98a1e8fa7d708d9544573e736061a535dc5f29d661d40d2e7c4c7";

fn delivery(kind: &str, reason: &str, metadata: &Value) -> Value {
    json!({
        "involvedObject": {"kind": kind, "namespace": "flux-system", "name": "apps"},
        "severity": "info",
        "reason": reason,
        "metadata": metadata,
    })
}

fn look(kind: GroupKind, delivery: Value, change: &Change) -> Sighting {
    let detector = Notified::new(Subject::local(kind, "flux-system", "apps"));
    detector.look(&[], &next(12.0, Object::of(delivery)), change)
}

fn of_kustomization(delivery: Value) -> Sighting {
    look(GroupKind::kustomization(), delivery, &change())
}

#[test]
fn the_success_of_the_applier_with_our_revision_is_reached() {
    let ours = json!({"commit_status": "update", "revision": revision('c')});
    let told = delivery("Kustomization", "ReconciliationSucceeded", &ours);
    assert_eq!(reached(of_kustomization(told)).carried, Carried::Ours);
}

#[test]
fn progress_failures_other_revisions_and_other_objects_are_not() {
    let ours = json!({"revision": revision('c')});
    let success =
        |kind: &str, metadata: &Value| delivery(kind, "ReconciliationSucceeded", metadata);
    let mut failed = success("Kustomization", &ours);
    failed["severity"] = json!("error");
    let mut another = success("Kustomization", &ours);
    another["involvedObject"]["name"] = json!("dependent");
    for told in [
        delivery("Kustomization", "Progressing", &ours),
        delivery("GitRepository", "NewArtifact", &ours),
        success("Kustomization", &json!({"revision": revision('a')})),
        success("Kustomization", &json!({})),
        success("HelmRelease", &ours),
        failed,
        another,
        Value::Null,
    ] {
        assert_eq!(of_kustomization(told.clone()), Sighting::NotYet, "{told}");
    }
}

#[test]
fn p10_the_commit_behind_an_artifact_counts() {
    let metadata = json!({"revision": format!("latest@{DIGEST}"), "originRevision": revision('c')});
    let told = delivery("Kustomization", "ReconciliationSucceeded", &metadata);
    assert_eq!(reached(of_kustomization(told)).carried, Carried::Ours);
}

#[test]
fn a_release_names_its_chart_whatever_stands_behind_the_version() {
    let mut change = change();
    change.announce(vec![Revision::Version("0.1.1".to_owned())]);
    for (reason, version) in
        [("UpgradeSucceeded", "0.1.1+679571276cb9"), ("InstallSucceeded", "0.1.1")]
    {
        let told = delivery("HelmRelease", reason, &json!({"revision": version}));
        assert_eq!(reached(look(GroupKind::helm_release(), told, &change)).carried, Carried::Ours);
    }
    let told = delivery("HelmRelease", "RollbackSucceeded", &json!({"revision": "0.1.1"}));
    assert_eq!(look(GroupKind::helm_release(), told, &change), Sighting::NotYet);
    change.announce(vec![Revision::Digest(DIGEST.to_owned())]);
    let told = json!({"revision": "7.7.7", "oci-digest": DIGEST});
    let told = delivery("HelmRelease", "UpgradeSucceeded", &told);
    assert_eq!(reached(look(GroupKind::helm_release(), told, &change)).carried, Carried::Ours);
}

#[test]
fn t9_a_later_commit_that_was_told_can_be_asked_for() {
    let applier = Subject::local(GroupKind::kustomization(), "flux-system", "apps");
    let detector = Notified::new(applier);
    let told = |kind: &str| {
        let metadata = json!({"revision": revision('d')});
        next(12.0, Object::of(delivery(kind, "ReconciliationSucceeded", &metadata)))
    };
    assert_eq!(detector.revisions(&told("Kustomization")), [commit('d')]);
    assert_eq!(detector.revisions(&told("GitRepository")), []);
}
