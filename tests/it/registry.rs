//! The registry client against Debian's `docker-registry`, a real one.
//!
//! Without it on the PATH these tests say so and pass, unless `HOPCLOCK_REQUIRE_TOOLS=1` makes that
//! a failure.

use crate::registry_kit::{PASSWORD, RealRegistry, USER, client, open, options};
use hopclock::remote::registry::{
    Artifact, Credentials, Error, Registry, RegistryOptions, Removal, Repository,
};
use serde_json::json;
use std::collections::BTreeMap;

fn labels(canary: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("dev.hopclock.canary".to_owned(), canary.to_owned())])
}

fn image(canary: &str) -> Artifact {
    Artifact::tiny_image(&labels(canary), jiff::Timestamp::UNIX_EPOCH)
}

async fn push(registry: &Registry, tag: &str, artifact: &Artifact) -> String {
    registry.upload(artifact).await.unwrap();
    registry.publish(tag, &artifact.manifest()).await.unwrap().digest
}

#[tokio::test]
async fn t1_a_tag_is_pushed_between_the_two_instants_that_are_told() {
    let Some(real) = RealRegistry::start(false).await else { return };
    let registry = client(&real.host, Credentials::None);
    registry.probe().await.unwrap();
    let image = image("one");
    registry.upload(&image).await.unwrap();
    assert!(matches!(registry.tags().await, Err(Error::NoRepository { .. })));
    let before = registry.now();
    let published = registry.publish("1.0.0", &image.manifest()).await.unwrap();
    assert!(before <= published.sent && published.sent < published.acknowledged);
    assert!(published.acknowledged <= registry.now());
    assert_eq!(registry.tags().await.unwrap(), ["1.0.0"]);
    assert_eq!(registry.digest("1.0.0").await.unwrap(), Some(published.digest));
    assert_eq!(registry.digest("1.0.1").await.unwrap(), None);
    assert!(matches!(registry.manifest("1.0.1").await, Err(Error::NoManifest { .. })));
}

#[tokio::test]
async fn a_manifest_is_carried_to_another_tag_byte_by_byte() {
    let Some(real) = RealRegistry::start(false).await else { return };
    let registry = client(&real.host, Credentials::None);
    let image = image("one");
    let digest = push(&registry, "1.0.0", &image).await;
    let manifest = registry.manifest("1.0.0").await.unwrap();
    assert_eq!(manifest, image.manifest());
    assert_eq!(registry.publish("1.0.1", &manifest).await.unwrap().digest, digest);
    assert_eq!(registry.manifest(&digest).await.unwrap(), manifest);
    let mut tags = registry.tags().await.unwrap();
    tags.sort();
    assert_eq!(tags, ["1.0.0", "1.0.1"]);
}

#[tokio::test]
async fn artifacts_of_flux_and_charts_and_images_of_dockers_form_are_taken() {
    let Some(real) = RealRegistry::start(false).await else { return };
    let registry = client(&real.host, Credentials::None);
    let revision = BTreeMap::from([(
        "org.opencontainers.image.revision".to_owned(),
        "main@sha1:0000000000000000000000000000000000000000".to_owned(),
    )]);
    let flux = Artifact::flux(b"archive".to_vec(), revision);
    let chart = json!({"name": "canary", "version": "1.0.0", "apiVersion": "v2"});
    let chart = Artifact::chart(&chart, b"chart".to_vec(), BTreeMap::new());
    for (tag, artifact) in [("flux", &flux), ("chart", &chart)] {
        let digest = push(&registry, tag, artifact).await;
        assert_eq!(registry.manifest(tag).await.unwrap().digest(), digest);
    }
    let image = image("docker");
    registry.upload(&image).await.unwrap();
    let docker = image.docker_manifest().unwrap();
    registry.publish("docker", &docker).await.unwrap();
    assert_eq!(registry.manifest("docker").await.unwrap(), docker);
}

#[tokio::test]
async fn s6_what_was_pushed_can_be_deleted_and_a_tag_alone_cannot() {
    let Some(real) = RealRegistry::start(false).await else { return };
    let registry = client(&real.host, Credentials::None);
    push(&registry, "stays", &image("stays")).await;
    let digest = push(&registry, "goes", &image("goes")).await;
    let refused = registry.delete_tag("goes").await.unwrap_err();
    assert!(matches!(&refused, Error::DeletionRefused { reference, .. } if reference == "goes"));
    assert_eq!(registry.delete_manifest(&digest).await.unwrap(), Removal::Removed);
    assert_eq!(registry.delete_manifest(&digest).await.unwrap(), Removal::WasNotThere);
    assert_eq!(registry.digest("goes").await.unwrap(), None);
    assert!(registry.digest("stays").await.unwrap().is_some());
}

#[tokio::test]
async fn a_manifest_whose_blobs_are_missing_is_refused() {
    let Some(real) = RealRegistry::start(false).await else { return };
    let registry = client(&real.host, Credentials::None);
    let error = registry.publish("1.0.0", &image("x").manifest()).await.unwrap_err();
    assert_eq!(error.reason(), "registry_status", "{error}");
    assert!(error.to_string().contains("blob"), "{error}");
}

#[tokio::test]
async fn a_guarded_registry_takes_the_right_password_from_wherever_it_is_kept() {
    let Some(real) = RealRegistry::start(true).await else { return };
    let repository = options(&real.host, Credentials::None).repository;
    let config = json!({"auths": {&real.host: {"username": USER, "password": PASSWORD}}});
    let bytes = config.to_string().into_bytes();
    for credentials in [
        Credentials::basic(USER, &format!("{PASSWORD}\n")),
        Credentials::of_pull_secret(&bytes, &repository).unwrap(),
        Credentials::of_docker_config(&bytes, &repository).await.unwrap(),
    ] {
        let registry = client(&real.host, credentials);
        registry.probe().await.unwrap();
        push(&registry, "1.0.0", &image("x")).await;
    }
    let none = client(&real.host, Credentials::None).probe().await.unwrap_err();
    assert!(matches!(none, Error::NoCredentials { .. }), "{none}");
    let wrong = client(&real.host, Credentials::basic(USER, "pl4nted-wrong"));
    let wrong = wrong.tags().await.unwrap_err();
    assert!(matches!(wrong, Error::Unauthorized { .. }), "{wrong}");
    assert!(!format!("{wrong} {wrong:?}").contains("pl4nted"));
}

#[tokio::test]
async fn a_whole_run_costs_at_most_12_requests() {
    let Some(real) = RealRegistry::start(true).await else { return };
    let credentials = || Credentials::basic(USER, PASSWORD);
    push(&client(&real.host, credentials()), "1.0.0", &image("before")).await;
    let registry = client(&real.host, credentials());
    assert_eq!(registry.tags().await.unwrap(), ["1.0.0"]);
    assert_eq!(registry.digest("1.0.1").await.unwrap(), None);
    let digest = push(&registry, "1.0.1", &image("now")).await;
    assert_eq!(registry.digest("1.0.1").await.unwrap(), Some(digest.clone()));
    assert_eq!(registry.delete_manifest(&digest).await.unwrap(), Removal::Removed);
    assert_eq!(registry.usage().requests, 9);
}

#[tokio::test]
async fn what_speaks_plain_http_is_not_taken_for_encrypted() {
    let Some(real) = RealRegistry::start(false).await else { return };
    let repository = Repository::parse(&format!("{}/team/app", real.host), false).unwrap();
    let insecure = options(&real.host, Credentials::None);
    let error = open(RegistryOptions { repository, ..insecure }).probe().await.unwrap_err();
    assert_eq!(error.reason(), "registry_unreachable", "{error}");
}
