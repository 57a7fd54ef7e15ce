//! Artifacts that must not be pushed, cannot be, or get lost: one clear sentence, the right outcome.

use crate::e2e_oci_kit::OciCourse;
use hopclock::model::{CanaryId, Outcome, Passage, Revision};
use hopclock::trigger::Sweep;
use hopclock_sandbox::pipeline::{OciLane, ScanHook};
use hopclock_sandbox::registry::{Artifact, Fault, FaultRule, Route, Rules};
use reqwest::Method;
use serde_json::json;

const OCI: &str = "OCIRepository";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

async fn course() -> OciCourse {
    OciCourse::new(&OciLane::new("app")).await
}

fn theirs() -> Artifact {
    Artifact::flux(&[("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")], &[])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_a_source_has_to_consent_unless_there_are_only_canaries() {
    let mut course = course().await;
    let push = |artifact: &Artifact| {
        let _ = course.bench.sandbox.registry().push_artifact("manifests/app", "latest", artifact);
    };
    push(&theirs());
    course.annotate(None);
    assert_eq!(
        course.refused_for("no_consent").await,
        "error: scenario `app`: the repository `REGISTRY/manifests/app` holds `latest`, which is no \
         canary, and OCIRepository flux-system/app does not consent: if canaries may be pushed \
         there, say so with `kubectl annotate ocirepository -n flux-system app \
         hopclock.dev/canary=hopclock`"
    );
    course.annotate(Some("team-b"));
    let error = course.refused("foreign consent").await;
    assert!(error.contains("consents to the canaries of instance `team-b`"), "{error}");
    course.annotate(Some("hopclock"));
    let error = course.refused("somebody's artifact").await;
    assert!(
        error.contains("`latest` of `REGISTRY/manifests/app`, which is fetched now"),
        "{error}"
    );
    push(&OciLane::new("app").first_artifact());
    course.delivered().await;
    course.annotate(Some("team-b"));
    course.instance = "team-b";
    let error = course.refused("foreign canary").await;
    assert!(
        error.contains("`latest` of `REGISTRY/manifests/app` is a canary of instance"),
        "{error}"
    );
    course.instance = "hopclock";
    course.annotate(None);
    course.delivered().await;
    let _ = course.bench.sandbox.registry().push_artifact("manifests/app", "v1", &theirs());
    let error = course.refused("somebody else's tag").await;
    assert!(error.contains("holds `v1`, which is no canary"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_an_artifact_that_others_apply_needs_shared() {
    let mut course = course().await;
    let spec = json!({"interval": "10m", "path": "./", "prune": true,
        "sourceRef": {"kind": OCI, "name": "app"}});
    let other = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "shop", "namespace": "flux-system"}, "spec": spec});
    course.bench.sandbox.store().create(other, "somebody").unwrap();
    let error = course.refused_for("shared_source").await;
    assert!(error.contains("is also applied by Kustomization flux-system/shop"), "{error}");
    assert!(error.contains("a repository and an applier of its own"), "{error}");
    course.trigger.push_str(", shared: true");
    let told = course.tell().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.err.contains("each run wakes 2 appliers ("), "{}", told.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_what_would_never_be_fetched_or_applied_is_refused() {
    let mut course = course().await;
    let digest = course.bench.sandbox.registry().digest("manifests/app", "latest").unwrap();
    for (reason, kind, wrong, right) in [
        (
            "pinned_digest",
            OCI,
            json!({"ref": {"digest": digest}}),
            json!({"ref": {"digest": null}}),
        ),
        (
            "layer_not_selected",
            OCI,
            json!({"layerSelector": {"mediaType": "application/x"}}),
            json!({"layerSelector": null}),
        ),
        ("ignored", OCI, json!({"ignore": "/*.yaml"}), json!({"ignore": null})),
        (
            "verify_unsatisfied",
            OCI,
            json!({"verify": {"provider": "cosign"}}),
            json!({"verify": null}),
        ),
        ("outside_applier", "Kustomization", json!({"path": "./apps"}), json!({"path": "./"})),
    ] {
        course.spec(kind, &wrong);
        let error = course.refused_for(reason).await;
        assert!(error.contains("flux-system/app"), "{reason}: {error}");
        course.spec(kind, &right);
    }
    let url = course.places.url.clone();
    course.trigger = format!("url: '{url}', insecure: true, tag: next");
    let error = course.refused_for("another_tag").await;
    assert!(
        error.contains("follows the tag `latest`, and the trigger pushes the tag `next`"),
        "{error}"
    );
    course.trigger = format!("url: '{url}-other', insecure: true");
    course.refused_for("another_repository").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_that_leaves_no_room_is_refused_with_an_explanation() {
    let reference = json!({"semver": "0.1.0"});
    let lane = OciLane { reference, first_tag: "0.1.0".to_owned(), ..OciLane::new("app") };
    let course = OciCourse::new(&lane).await;
    let error = course.refused("no room").await;
    assert!(error.contains("OCIRepository flux-system/app: no tag can follow `0.1.0`"), "{error}");
    assert!(error.contains("the range `0.1.0` admits no version above it"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_refuses_is_told_apart() {
    let course = course().await;
    let registry = course.bench.sandbox.registry();
    for (route, fault, says) in [
        (Route::Tags, Fault::Status(401, None), "credentials"),
        (Route::Upload, Fault::Status(403, None), "lack the right to push"),
        (Route::Upload, Fault::Status(404, None), "has no repository `"),
        (Route::Tags, Fault::Status(429, Some(3600)), "again in 3600 s"),
    ] {
        let rule = FaultRule::always(route, fault.clone());
        registry.add_fault(rule);
        let error = course.refused(&format!("{fault:?}")).await;
        assert!(error.contains(says), "{fault:?}: {error}");
        registry.clear_faults();
    }
    let refused = vec![MANIFEST.to_owned()];
    let rules = Rules { refused_media_types: refused, ..Rules::default() };
    registry.set_rules(&course.places.repository, rules);
    let error = course.refused("refused type").await;
    assert!(error.contains(&format!("refuses a manifest of type `{MANIFEST}`")), "{error}");
    registry
        .set_rules(&course.places.repository, Rules { immutable_tags: true, ..Rules::default() });
    let error = course.refused("immutable").await;
    assert!(error.contains("has the tag `latest` already, and its tags are immutable"), "{error}");
    registry.set_rules(&course.places.repository, Rules::default());
    registry.add_fault(FaultRule::once(Route::Tags, Fault::Status(429, Some(1))));
    assert_eq!(course.delivered().await["outcome"], "ok", "a little patience is given");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_an_answer_that_is_lost_is_looked_for_once() {
    let course = course().await;
    let registry = course.bench.sandbox.registry();
    let put = |fault| FaultRule::once(Route::Manifest, fault).for_method(Method::PUT);
    registry.add_fault(put(Fault::CutAfter));
    let measured = course.measure(|| ()).await;
    assert_eq!(measured.outcome(), "ok", "{:#?}", measured.record);
    assert!(!measured.record.push.as_ref().unwrap().took.is_exact());
    registry.add_fault(put(Fault::Cut));
    let pushes = registry.tag_updates().len();
    let measured = course.measure(|| ()).await;
    // The tag still stands for the canary before.
    assert_eq!(measured.error().0, "push_lost");
    assert_eq!(registry.tag_updates().len(), pushes, "nothing is sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_tag_that_somebody_pushes_behind_prepare_is_not_pushed_over() {
    let course = course().await;
    let registry = course.bench.sandbox.registry();
    let trigger = course.job().await.trigger;
    trigger.latest().await.unwrap();
    trigger.prepare(&CanaryId::new("hopclock", 1)).await.unwrap();
    let digest = registry.push_artifact("manifests/app", "latest", &theirs());
    let error = trigger.publish(&|_| ()).await.unwrap_err();
    assert_eq!(error.reason, "second_writer");
    assert_eq!(registry.digest("manifests/app", "latest"), Some(digest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_what_ours_replaced_stays_if_somebody_gave_it_a_tag_meanwhile() {
    let course = course().await;
    let registry = course.bench.sandbox.registry();
    let trigger = course.job().await.trigger;
    for (number, kept) in [(1, false), (2, true), (3, false)] {
        trigger.latest().await.unwrap();
        let before = registry.digest("manifests/app", "latest").unwrap();
        trigger.prepare(&CanaryId::new("hopclock", number)).await.unwrap();
        if kept {
            registry.retag("manifests/app", "latest", "mine").unwrap();
        }
        trigger.publish(&|_| ()).await.unwrap();
        let tidied = trigger.tidy(&Sweep::after_run()).await.unwrap();
        assert_eq!(tidied.removed.len(), usize::from(!kept), "{number}: {tidied:?}");
        assert_eq!(tidied.leftovers(), 0, "{number}");
        let there = registry.manifest("manifests/app", &before).is_some();
        assert_eq!(there, kept, "{number}");
        if kept {
            registry.delete_tag("manifests/app", "mine").unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_somebody_elses_artifact_supersedes_ours_and_a_later_canary_carries_it() {
    let (hook, interval) = (ScanHook::Silent, "3s".to_owned());
    let course = OciCourse::new(&OciLane { hook, interval, ..OciLane::new("app") }).await;
    let sandbox = course.bench.sandbox.clone();
    let measured = course
        .measure(move || {
            let _ = sandbox.registry().push_artifact("manifests/app", "latest", &theirs());
        })
        .await;
    assert!(
        matches!(measured.record.outcome, Outcome::Superseded { .. }),
        "{:#?}",
        measured.record
    );

    let _ = course.bench.sandbox.registry().push_artifact(
        "manifests/app",
        "latest",
        &OciLane::new("app").first_artifact(),
    );
    // A second process of this installation pushes the next canary at once.
    let later = course.job().await.trigger;
    let (ours, next) = (CanaryId::new("hopclock", 1), CanaryId::new("hopclock", 2));
    let first = course.job().await.trigger;
    first.latest().await.unwrap();
    let revisions = first.prepare(&ours).await.unwrap();
    first.publish(&|_| ()).await.unwrap();
    later.latest().await.unwrap();
    let following = later.prepare(&next).await.unwrap();
    later.publish(&|_| ()).await.unwrap();
    let carries = hopclock::model::Ancestry::Carries(Some(next));
    assert_eq!(first.ancestry(&following[0]).await, carries);
    assert_eq!(later.ancestry(&revisions[0]).await, hopclock::model::Ancestry::NotYet);
    let nobody = Revision::Digest(format!("sha256:{}", "0".repeat(64)));
    assert_eq!(first.ancestry(&nobody).await, hopclock::model::Ancestry::NotYet, "ours is the tip");
    assert_eq!(first.recover(&ours, &revisions).await.unwrap(), Some(revisions));
    assert_eq!(first.recover(&ours, &[nobody]).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_that_cannot_be_pulled_is_the_failure() {
    let mut course = course().await;
    let registry = course.bench.sandbox.registry();
    registry.add_fault(
        FaultRule::always(Route::Blob, Fault::Status(500, None)).for_method(Method::GET),
    );
    course.deadline = "6s";
    let measured = course.measure(|| ()).await;
    let Outcome::Failed { reason, .. } = &measured.record.outcome else {
        panic!("{:#?}", measured.record)
    };
    assert_eq!(reason, "OCIArtifactLayerOperationFailed");
    assert!(!matches!(measured.passage("source_fetched"), Passage::Reached { .. }));
}
