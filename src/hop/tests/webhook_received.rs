//! Rules that the detector of `webhook_received` obeys.

use crate::hop::tests::images::{TAG, scanned, tag_change};
use crate::hop::tests::objects::{change, first, gap, next, reached, source, split, webhook};
use crate::hop::{
    Annotated, Detector, Kind, Objects, Place, Upstream, WebhookReceived, WebhookReceivedConfig,
};
use crate::model::{GroupKind, ObjectName, Sighting, SourceKind, State, Subject, Webhook};
use serde_json::{Value, json};

const GIT: Annotated = Annotated::Source(SourceKind::Git);

fn look(states: &[State]) -> Sighting {
    let (past, now) = split(states);
    WebhookReceived::new(Upstream::Shared, GIT).look(past, now, &change())
}

fn finish(states: &[State]) -> Sighting {
    WebhookReceived::new(Upstream::Shared, GIT).finish(states, &change())
}

#[test]
fn t12_the_webhook_is_the_one_that_the_fetch_of_ours_echoed() {
    let (one, two) = (webhook(11), webhook(12));
    let states = [
        first(1.0, source()),
        next(11.0, source().requested(&one)),
        next(12.0, source().requested(&two)),
        next(13.0, source().requested(&two).handled(&two).artifact('c')),
    ];
    assert_eq!(look(&states[..3]), Sighting::NotYet, "which one it was is not known yet");
    assert_eq!(reached(look(&states)).when, states[2].when);
}

#[test]
fn t12_a_fetch_that_echoes_no_new_request_leaves_the_first_since_publish_began() {
    let (one, two) = (webhook(11), webhook(12));
    let states = [
        first(1.0, source()),
        next(9.0, source().requested(&webhook(9))),
        next(11.0, source().requested(&one)),
        next(12.0, source().requested(&two)),
        next(13.0, source().requested(&two).artifact('c')),
    ];
    assert_eq!(reached(look(&states)).when, states[2].when);
}

#[test]
fn t12_a_fetch_that_echoes_somebody_elses_request_leaves_the_first_of_a_receiver() {
    let (ours, other) = (webhook(11), "2026-11-21T02:19:12.5Z");
    let states = [
        first(1.0, source()),
        next(11.0, source().requested(&ours)),
        next(12.0, source().requested(other)),
        next(13.0, source().requested(other).handled(other).artifact('c')),
    ];
    assert_eq!(reached(look(&states)).when, states[1].when);
}

#[test]
fn t12_a_webhook_that_the_fetch_of_another_revision_echoed_is_never_ours() {
    let (other, ours) = (webhook(11), webhook(12));
    let foreign = source().requested(&other).handled(&other).artifact('b');
    let states = [
        first(1.0, source()),
        next(11.0, source().requested(&other)),
        next(11.5, foreign.clone()),
        next(12.0, foreign.clone().requested(&ours)),
        next(13.0, foreign.clone().requested(&ours).artifact('c')),
    ];
    assert_eq!(reached(look(&states)).when, states[3].when);
    assert_eq!(finish(&states[..3]), Sighting::NotYet);
    let alone = [&states[..3], &[next(13.0, foreign.artifact('c'))]].concat();
    assert_eq!(look(&alone), Sighting::Passed);
}

#[test]
fn t12_a_fetch_without_any_webhook_passes_the_hop() {
    assert_eq!(look(&[first(1.0, source()), next(13.0, source().artifact('c'))]), Sighting::Passed);
    let manual = source().requested("now");
    let states =
        [first(1.0, source()), next(11.0, manual.clone()), next(13.0, manual.artifact('c'))];
    assert_eq!(look(&states), Sighting::Passed);
}

#[test]
fn t12_a_request_written_by_somebody_else_is_no_webhook() {
    let forged = source().requested(&webhook(11)).written_by("kubectl-annotate");
    let states =
        [first(1.0, source()), next(11.0, forged.clone()), next(13.0, forged.artifact('c'))];
    assert_eq!(look(&states), Sighting::Passed);
}

#[test]
fn t3_a_webhook_that_came_before_publish_began_is_not_ours() {
    let early = source().requested(&webhook(9));
    let done = early.clone().handled(&webhook(9)).artifact('c');
    assert_eq!(look(&[first(1.0, early), next(13.0, done)]), Sighting::Passed);
}

#[test]
fn t12_a_suspended_source_receives_its_webhook_all_the_same() {
    let request = webhook(11);
    let states = [
        first(1.0, source().suspended()),
        next(11.0, source().suspended().requested(&request)),
        next(11.1, source().suspended().requested(&request).handled(&request)),
    ];
    assert_eq!(look(&states), Sighting::NotYet);
    assert_eq!(reached(finish(&states)).when, states[1].when);
}

#[test]
fn t12_a_webhook_that_came_before_the_ref_was_visible_is_received_all_the_same() {
    let (early, late) = (webhook(11), "2026-11-21T02:19:12.5Z");
    let states = [
        first(1.0, source()),
        next(11.0, source().requested(&early)),
        next(11.1, source().requested(&early).handled(&early)),
        next(13.0, source().requested(late).handled(late).artifact('c')),
    ];
    assert_eq!(reached(look(&states)).when, states[1].when);
}

#[test]
fn t6_a_webhook_that_was_missed_lies_in_the_interval_of_the_state_that_shows_it() {
    let request = webhook(11);
    let done = source().requested(&request).handled(&request).artifact('c');
    let states = [first(1.0, source()), gap(10.5, 13.0, done)];
    assert_eq!(reached(look(&states)).when, states[1].when);
}

#[test]
fn t12_a_webhook_is_ours_only_where_one_repository_is_behind_the_receiver() {
    let request = webhook(11);
    let states = [
        first(1.0, source()),
        next(11.0, source().requested(&request)),
        next(13.0, source().requested(&request).handled(&request).artifact('c')),
    ];
    let (past, now) = split(&states);
    let webhook =
        |upstream| reached(WebhookReceived::new(upstream, GIT).look(past, now, &change())).webhook;
    assert_eq!(webhook(Upstream::Single), Some(Webhook::Ours));
    assert_eq!(webhook(Upstream::Shared), Some(Webhook::Shared));
}

#[test]
fn t12_the_webhook_of_a_registry_is_the_one_that_the_scan_echoed() {
    let (one, two) = (webhook(11), webhook(12));
    let old = || scanned("1", &["0.5.0"], 1);
    let states = [
        first(1.0, old()),
        next(11.0, old().requested(&one)),
        next(11.5, old().requested(&one).handled(&one)),
        next(12.0, old().requested(&two).handled(&one)),
        next(13.0, scanned("2", &[TAG, "0.5.0"], 2).requested(&two).handled(&two)),
    ];
    let images = WebhookReceived::new(Upstream::Single, Annotated::ImageRepository);
    let (past, now) = split(&states);
    assert_eq!(reached(images.look(past, now, &tag_change())).when, states[3].when);
    let found = reached(images.finish(&states[..3], &tag_change()));
    assert_eq!(found.when, states[1].when, "the scan moved nothing on");
}

#[test]
fn t12_a_scan_that_lists_all_tags_without_ours_did_not_answer_our_webhook() {
    let request = webhook(11);
    let finish = |tags: usize| {
        let scan = scanned("2", &["0.4.0", "0.3.0"], tags).requested(&request).handled(&request);
        let asked = scanned("1", &["0.3.0"], 1).requested(&request);
        let states = [first(1.0, scanned("1", &["0.3.0"], 1)), next(11.0, asked), next(12.0, scan)];
        let images = WebhookReceived::new(Upstream::Single, Annotated::ImageRepository);
        images.finish(&states, &tag_change())
    };
    assert_eq!(finish(2), Sighting::NotYet);
    assert_ne!(finish(11), Sighting::NotYet, "ours may be among those that are not listed");
}

/// What a Receiver of these kinds annotates, by the key that names it.
fn built(config: &WebhookReceivedConfig, object: Value) -> Result<(), String> {
    let subject = config.subject().unwrap();
    let resource = json!({"kind": subject.kind.kind, "name": subject.name});
    let receiver = json!({"spec": {"resources": [resource]}});
    let objects: Objects = [(config.needs().remove(0), receiver), (subject, object)].into();
    config.detector(&objects).map(|_| ())
}

#[test]
fn a_receiver_can_annotate_every_kind_of_source_and_what_scans_images() {
    let none = config();
    let places = ["GitRepository", "OCIRepository", "Bucket", "HelmRepository", "HelmChart"]
        .map(|kind| (kind, Place::Request))
        .into_iter()
        .chain(["ImageRepository", "ImagePolicy"].map(|kind| (kind, Place::ScanRequest)));
    for (kind, place) in places {
        let named = none.of(&annotated(kind)).unwrap();
        assert_eq!(named.subject().unwrap().kind.kind, kind);
        assert_eq!((named.traits().place, named.traits().required), (place, false), "{kind}");
        assert_eq!(built(&named, json!({})), Ok(()), "{kind}");
    }
    assert_eq!(none.of(&annotated("ExternalArtifact")), None);
    assert!(none.detector(&Objects::new()).unwrap_err().contains("give the hop"));
}

#[test]
fn a_helm_repository_of_type_oci_never_answers_a_receiver() {
    let config = config().of(&annotated("HelmRepository")).unwrap();
    assert_eq!(built(&config, json!({"spec": {"type": "default"}})), Ok(()));
    let why = built(&config, json!({"spec": {"type": "oci"}})).unwrap_err();
    let expected = "HelmRepository flux-system/x is of type `oci`: Flux never reconciles it, so a \
                    Receiver's request has no effect on it: point Receiver flux-system/r at the \
                    HelmChart, or use an OCIRepository with `chartRef`";
    assert_eq!(why, expected);
}

fn annotated(kind: &str) -> Subject {
    let group = if kind.starts_with("Image") { GroupKind::image } else { GroupKind::source };
    Subject::local(group(kind), "flux-system", "x")
}

fn config() -> WebhookReceivedConfig {
    serde_json::from_value(json!({"receiver": ObjectName::new("flux-system", "r")})).unwrap()
}
