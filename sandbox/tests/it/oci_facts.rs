//! Facts about `OCIRepository`, each from the source of Flux or its recordings.

use std::time::Duration;

use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::registry::Account;
use hopclock_sandbox::registry::Artifact;
use hopclock_sandbox::registry::Gate;
use hopclock_sandbox::registry::Registry;
use hopclock_sandbox::registry::RegistryOptions;
use hopclock_sandbox::registry::Rights;
use hopclock_sandbox::registry::Route;
use hopclock_sandbox::registry::Scheme;
use serde_json::Value;
use serde_json::json;

use crate::lab::Lab;
use crate::lab::applier;
use crate::lab::map;
use crate::lab::object;

const REPOSITORY: &str = "manifests/app";
const OCI: &str = "OCIRepository";

/// A registry, a source of it, and what applies that.
struct Course {
    lab: Lab,
    registry: Registry,
}

impl Course {
    /// Begins with these tags; `more` is merged into the source's spec.
    async fn new(tags: &[&str], more: &Value) -> Self {
        let registry = Registry::start(RegistryOptions::default()).await.unwrap();
        for tag in tags {
            let _ = registry.push_artifact(REPOSITORY, tag, &artifact(tag));
        }
        let mut spec = json!({"insecure": true, "interval": "1m",
            "url": format!("oci://{}/{REPOSITORY}", registry.host())});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let reference = json!({"kind": OCI, "name": "app"});
        let objects = vec![
            object(OCI, "app", &spec),
            applier("app", json!({"path": "./", "sourceRef": reference})),
        ];
        let speeds = Speeds { jitter_seed: Some(7), ..Speeds::default() };
        Self { lab: Lab::start(speeds, objects, &[("README.md", "x")]).await, registry }
    }

    fn revision(&self) -> String {
        let object = self.lab.get(OCI, "app");
        object["status"]["artifact"]["revision"].as_str().unwrap_or_default().to_owned()
    }

    fn message(&self) -> String {
        let object = self.lab.get(OCI, "app");
        let all = object["status"]["conditions"].as_array().unwrap().iter();
        let mut ready = all.filter(|it| it["type"] == "Ready");
        ready.next().unwrap()["message"].as_str().unwrap().replace(self.registry.host(), "REGISTRY")
    }

    async fn fails(&self, reason: &str) -> String {
        let failed = format!("False/{reason}");
        self.lab.until(OCI, "app", |it| crate::lab::condition_of(it, "Ready") == failed).await;
        self.message()
    }
}

fn artifact(run: &str) -> Artifact {
    let files = [("canary.yaml", map("canary", run)), ("notes.md", run.to_owned())];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    Artifact::flux(&files, &[("org.opencontainers.image.revision", run)])
}

#[tokio::test(start_paused = true)]
async fn a_tag_a_range_and_a_digest_each_have_their_revision() {
    let tags = ["0.1.0", "0.2.0", "0.10.0", "1.0.0-rc.1", "latest", "zz"];
    let course = Course::new(&tags, &json!({"ref": {"semver": "0.x", "tag": "latest"}})).await;
    course.lab.until_ready(OCI, "app").await;
    let digest = |tag: &str| course.registry.digest(REPOSITORY, tag).unwrap();
    assert_eq!(course.revision(), format!("0.10.0@{}", digest("0.10.0")));
    for (reference, revision) in [
        (
            json!({"semver": "0.x", "semverFilter": "^0.[12]\\."}),
            format!("0.2.0@{}", digest("0.2.0")),
        ),
        (
            json!({"semver": null, "semverFilter": null, "tag": "zz"}),
            format!("zz@{}", digest("zz")),
        ),
        (json!({"digest": digest("0.1.0")}), digest("0.1.0")),
        (json!({"digest": null, "tag": null}), format!("latest@{}", digest("latest"))),
    ] {
        course.lab.spec(OCI, "app", &json!({"ref": reference}));
        course.lab.until_ready(OCI, "app").await;
        assert_eq!(course.revision(), revision, "{reference}");
    }
    let applied = course.lab.get("Kustomization", "app");
    assert!(applied["status"]["lastAppliedOriginRevision"].is_string());
}

#[tokio::test(start_paused = true)]
async fn without_a_request_it_polls_by_its_interval_and_pulls_only_what_is_new() {
    let mut course = Course::new(&["latest"], &json!({})).await;
    course.lab.until_ready(OCI, "app").await;
    course.lab.until_ready("Kustomization", "app").await;
    course.lab.begin();
    let blobs = course.registry.count(Route::Blob);
    course.lab.at(200.0).await;
    assert_eq!(course.registry.count(Route::Blob), blobs, "nothing was new");
    assert!(course.lab.changes(OCI, "app").is_empty(), "nor was anything said");
    course.lab.begin();
    let _ = course.registry.push_artifact(REPOSITORY, "latest", &artifact("1"));
    let digest = course.registry.digest(REPOSITORY, "latest").unwrap();
    course
        .lab
        .until(OCI, "app", |it| it["status"]["artifact"]["revision"] == format!("latest@{digest}"))
        .await;
    let waited = course.lab.first(OCI, "app", |_| true);
    assert!(waited <= 63.5, "{waited}");
    assert_eq!(course.registry.count(Route::Blob), blobs + 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_asked_pulled_or_unpacked_is_told_apart() {
    let course = Course::new(&["latest"], &json!({})).await;
    course.lab.until_ready(OCI, "app").await;
    course.lab.spec(OCI, "app", &json!({"ref": {"semver": ">=9"}}));
    assert_eq!(
        course.fails("ReadOperationFailed").await,
        "failed to determine the artifact tag for 'oci://REGISTRY/manifests/app': no match found \
         for semver: >=9"
    );
    course.lab.spec(
        OCI,
        "app",
        &json!({"ref": {"semver": null}, "layerSelector": {"mediaType": "a/b"}}),
    );
    assert_eq!(
        course.fails("OCIArtifactLayerOperationFailed").await,
        "failed to find layer with media type 'a/b' in artifact"
    );
    course.lab.spec(OCI, "app", &json!({"layerSelector": null, "url": "https://a/b"}));
    assert!(
        course.fails("URLInvalid").await.starts_with("URL validation failed for 'https://a/b'")
    );
    assert_eq!(course.lab.condition(OCI, "app", "Stalled"), "True/URLInvalid");
    assert!(!course.revision().is_empty(), "the old artifact stays");
}

#[tokio::test(start_paused = true)]
async fn what_is_ignored_is_no_part_of_an_artifact_and_a_new_wish_makes_a_new_one() {
    let course = Course::new(&["latest"], &json!({"ignore": "*.md"})).await;
    course.lab.until_ready(OCI, "app").await;
    let names = || {
        let object = course.lab.get(OCI, "app");
        let files = course.lab.flux.artifacts().get(&object["status"]["artifact"]).unwrap();
        files.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(), ["canary.yaml"]);
    let revision = course.revision();
    course.lab.spec(OCI, "app", &json!({"ignore": null}));
    course.lab.until_ready(OCI, "app").await;
    assert_eq!(names(), ["canary.yaml", "notes.md"]);
    assert_eq!(course.revision(), revision, "of the same digest");
}

#[tokio::test(start_paused = true)]
async fn a_locked_registry_wants_the_pull_secret() {
    let course = Course::new(&["latest"], &json!({"secretRef": {"name": "pull"}})).await;
    let message = course.fails("AuthenticationFailed").await;
    assert_eq!(message, "failed to get credential: secrets \"pull\" not found");
    let account = Account { user: "u".to_owned(), password: "p".to_owned(), rights: Rights::Pull };
    course.registry.set_gate(Gate {
        scheme: Scheme::Bearer,
        accounts: vec![account],
        ..Gate::default()
    });
    let config = json!({"auths": {course.registry.host(): {"username": "u", "password": "p"}}});
    let mut secret = object("Secret", "pull", &Value::Null);
    secret["stringData"] = json!({".dockerconfigjson": config.to_string()});
    course.lab.store.create(secret, "lab").unwrap();
    course.lab.until_ready(OCI, "app").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(course.revision().starts_with("latest@sha256:"));
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_is_copied_is_one_file_and_applied_all_the_same() {
    let copy = json!({"layerSelector": {"operation": "copy"}, "ignore": "*.yaml"});
    let course = Course::new(&["latest"], &copy).await;
    course.lab.until_ready("Kustomization", "app").await;
    let object = course.lab.get(OCI, "app");
    let files = course.lab.flux.artifacts().get(&object["status"]["artifact"]).unwrap();
    assert_eq!(files.len(), 1, "nothing is taken out of it");
    let canary = hopclock_sandbox::store::Key::new("ConfigMap", "default", "canary");
    assert_eq!(course.lab.store.get(&canary).unwrap()["data"]["run"], "latest");
}
