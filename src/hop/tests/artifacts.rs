//! Rules that `source_fetched` obeys where the source is no GitRepository.

use crate::hop::tests::objects::{Object, change, commit, first, next, reached, split};
use crate::hop::{Detector, HopConfig, Kind, Objects, Place, SourceFetched, SourceFetchedConfig};
use crate::model::{Carried, Carrier, Change, Revision, Sighting, SourceKind, State, Via};
use serde_json::{Value, json};

const OLD: &str = "sha256:cc1b7c251d0d77e3ef5da3fd2db679386895800083e84945f67c084accf4bdb4";
const NEW: &str = "sha256:07add0925eeb27af1b271bcff656330b500082f11738102bceb85ec295b041fa";

fn digest(text: &str) -> Revision {
    Revision::Digest(text.to_owned())
}

fn version(text: &str) -> Revision {
    Revision::Version(text.to_owned())
}

fn bringing(ours: Vec<Revision>) -> Change {
    let mut change = change();
    change.announce(ours);
    change
}

fn source(revision: &str) -> Value {
    json!({"metadata": {"generation": 1}, "spec": {}, "status": {
        "observedGeneration": 1, "artifact": {"revision": revision}, "conditions": [],
    }})
}

/// An artifact that was made of a commit.
fn made_of(revision: &str, origin: &str) -> Value {
    let mut object = source(revision);
    object["status"]["artifact"]["metadata"] = json!({"org.opencontainers.image.revision": origin});
    object
}

/// A chart that was packaged from a revision of its source.
fn chart(version: &str, kind: &str, from: &str) -> Value {
    let mut object = source(version);
    object["spec"]["sourceRef"] = json!({"kind": kind, "name": "charts"});
    object["status"]["observedSourceArtifactRevision"] = json!(from);
    object
}

fn states(old: Value, new: Value) -> [State; 2] {
    [first(1.0, Object::of(old)), next(12.0, Object::of(new))]
}

fn look(kind: SourceKind, states: &[State], change: &Change) -> Sighting {
    let (past, now) = split(states);
    SourceFetched(kind).look(past, now, change)
}

fn learns(kind: SourceKind, states: &[State], change: &Change) -> Vec<Revision> {
    let (past, now) = split(states);
    SourceFetched(kind).learns(past, now, change)
}

#[test]
fn an_oci_artifact_is_ours_by_its_digest() {
    let states = states(source(&format!("latest@{OLD}")), source(&format!("latest@{NEW}")));
    let ours = bringing(vec![digest(NEW)]);
    assert_eq!(reached(look(SourceKind::Oci, &states, &ours)).carried, Carried::Ours);
    assert_eq!(look(SourceKind::Oci, &states[..1], &ours), Sighting::NotYet);
}

#[test]
fn p10_an_oci_artifact_that_was_made_of_our_commit_teaches_its_digest() {
    let commit_of = |form: &str| format!("{form}{}", commit('c').id());
    for origin in ["main@sha1:", "sha1:", ""].map(commit_of) {
        let new = made_of(&format!("latest@{NEW}"), &origin);
        let states = states(source(&format!("latest@{OLD}")), new);
        assert_eq!(reached(look(SourceKind::Oci, &states, &change())).carried, Carried::Ours);
        assert_eq!(learns(SourceKind::Oci, &states, &change()), [digest(NEW)], "{origin}");
    }
}

#[test]
fn p10_an_oci_artifact_of_a_later_commit_can_be_asked_for_and_is_carried_by_it() {
    let new = made_of(&format!("latest@{NEW}"), &format!("main@sha1:{}", commit('d').id()));
    let states = states(source(&format!("latest@{OLD}")), new);
    assert_eq!(look(SourceKind::Oci, &states, &change()), Sighting::NotYet);
    assert!(SourceFetched(SourceKind::Oci).revisions(&states[1]).contains(&commit('d')));
    let mut learned = change();
    learned.learn(Carrier { revision: commit('d'), canary: None });
    let reached = reached(look(SourceKind::Oci, &states, &learned));
    assert_eq!(reached.carried, Carried::By(commit('d')));
}

#[test]
fn a_chart_is_ours_by_its_version_and_names_the_index_that_it_came_from() {
    let states =
        states(chart("0.1.0", "HelmRepository", OLD), chart("0.1.1", "HelmRepository", NEW));
    let ours = bringing(vec![version("0.1.1")]);
    let reached = reached(look(SourceKind::HelmChart, &states, &ours));
    assert_eq!((reached.carried, reached.via), (Carried::Ours, Some(Via::Upstream)));
    assert_eq!(learns(SourceKind::HelmChart, &states, &ours), [digest(NEW)]);
    assert!(SourceFetched(SourceKind::HelmChart).knows_better(&ours));
    assert_eq!(look(SourceKind::HelmChart, &states[..1], &ours), Sighting::NotYet);
}

#[test]
fn a_chart_that_was_packaged_from_our_commit_teaches_its_version() {
    let from = |letter| format!("main@sha1:{}", commit(letter).id());
    let old = chart("0.1.0+aaaaaaaaaaaa", "GitRepository", &from('a'));
    let states = states(old, chart("0.1.0+cccccccccccc", "GitRepository", &from('c')));
    let reached = reached(look(SourceKind::HelmChart, &states, &change()));
    assert_eq!(reached.carried, Carried::Ours);
    assert_eq!(learns(SourceKind::HelmChart, &states, &change()), [version("0.1.0+cccccccccccc")]);
    assert_eq!(look(SourceKind::HelmChart, &states[..1], &change()), Sighting::NotYet);
}

#[test]
fn t9_a_chart_of_a_later_commit_can_be_asked_for_and_one_of_an_old_commit_has_lost_ours() {
    let chart = |letter: char| {
        let from = format!("main@sha1:{}", commit(letter).id());
        let build = letter.to_string().repeat(12);
        next(20.0, Object::of(chart(&format!("0.1.0+{build}"), "GitRepository", &from)))
    };
    let detector = SourceFetched(SourceKind::HelmChart);
    assert!(detector.revisions(&chart('d')).contains(&commit('d')));
    let mut change = change();
    change.dismiss(commit('a'));
    change.dismiss(version("0.1.0"));
    assert!(detector.has_lost(&chart('a'), &change));
    assert!(!detector.has_lost(&chart('d'), &change), "p11: it may bring ours along");
}

#[test]
fn a_version_that_stood_before_is_not_learned() {
    let from = |letter| format!("main@sha1:{}", commit(letter).id());
    let old = chart("0.1.0", "GitRepository", &from('a'));
    let states = states(old, chart("0.1.0", "GitRepository", &from('c')));
    assert_eq!(learns(SourceKind::HelmChart, &states, &change()), []);
}

#[test]
fn p9_only_what_nobody_can_compute_is_supposed_to_be_ours() {
    let supposes =
        |kind, revision: &Revision, change: &Change| SourceFetched(kind).supposes(revision, change);
    for kind in [SourceKind::Bucket, SourceKind::HelmRepository, SourceKind::External] {
        assert!(supposes(kind, &digest(NEW), &change()), "{kind:?}");
    }
    for kind in [SourceKind::Git, SourceKind::Oci, SourceKind::HelmChart] {
        assert!(!supposes(kind, &digest(NEW), &change()), "{kind:?}");
    }
    let known = bringing(vec![digest(NEW)]);
    assert!(!supposes(SourceKind::Bucket, &digest(OLD), &known), "it was computed");
    assert!(!supposes(SourceKind::External, &commit('d'), &change()), "the remote can tell");
}

#[test]
fn a_helm_repository_of_a_registry_is_refused_for_flux_never_fetches_it() {
    let config: HopConfig =
        serde_json::from_value(json!({"source_fetched": {"helm_repository": "a/b"}})).unwrap();
    let kind = config.kind();
    assert!(kind.reads_subject());
    let objects = |kind_of: &str| {
        let object = json!({"spec": {"type": kind_of, "url": "oci://example.com/charts"}});
        Objects::from([(kind.subject().unwrap(), object)])
    };
    let refused = kind.detector(&objects("oci")).unwrap_err();
    assert!(refused.contains("HelmRepository a/b is of type `oci`"), "{refused}");
    assert!(refused.contains("`helm_chart`"), "{refused}");
    assert!(kind.detector(&objects("default")).is_ok());
}

#[test]
fn p1_a_chart_stands_behind_what_is_fetched() {
    let name = || "a/b".parse().unwrap();
    let place = |config: SourceFetchedConfig| config.traits().place;
    assert_eq!(place(SourceFetchedConfig::HelmChart(name())), Place::Chart);
    assert_eq!(place(SourceFetchedConfig::HelmRepository(name())), Place::Fetch);
    assert_eq!(place(SourceFetchedConfig::OciRepository(name())), Place::Fetch);
}
