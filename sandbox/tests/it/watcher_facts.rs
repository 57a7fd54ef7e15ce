//! Facts about source-watcher, each from its source.

use hopclock_sandbox::flux::Files;
use hopclock_sandbox::flux::Speeds;
use serde_json::Value;
use serde_json::json;

use crate::lab::Lab;
use crate::lab::TOKEN;
use crate::lab::applier;
use crate::lab::fleet;
use crate::lab::map;
use crate::lab::object;
use crate::lab::receiver;

const EXTERNAL: &str = "ExternalArtifact";

/// A generator of the lab's repository, and what applies the artifact; `more` goes into the artifact.
async fn lab(more: &Value) -> Lab {
    let mut artifact = json!({"name": "composed",
        "copy": [{"from": "@git/apps/**", "to": "@artifact/"}]});
    for (field, value) in more.as_object().unwrap() {
        artifact[field] = value.clone();
    }
    let generator = object(
        "ArtifactGenerator",
        "composed",
        &json!({"sources": [{"alias": "git", "kind": "GitRepository", "name": "fleet"}],
            "artifacts": [artifact]}),
    );
    let mut objects = receiver();
    let reference = json!({"kind": EXTERNAL, "name": "composed"});
    objects.push(fleet("1m"));
    objects.push(generator);
    objects.push(applier("composed", json!({"path": "./", "sourceRef": reference})));
    let canary = map("canary", "0");
    let files = [("apps/canary.yaml", canary.as_str()), ("README.md", "x")];
    let lab = Lab::start(Speeds::default(), objects, &files).await;
    lab.until(EXTERNAL, "composed", |it| it["status"]["artifact"].is_object()).await;
    lab
}

fn revision(object: &Value) -> &str {
    object["status"]["artifact"]["revision"].as_str().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn an_artifact_is_composed_anew_when_its_source_has_news_and_published_in_one_write() {
    let mut lab = lab(&json!({})).await;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let old = revision(&lab.get(EXTERNAL, "composed")).to_owned();
    assert!(old.starts_with("latest@sha256:"), "{old}");
    lab.begin();
    lab.git.commit("canary", &[("apps/canary.yaml", Some(&map("canary", "1")))]);
    assert_eq!(lab.webhook(TOKEN).await, 200);
    lab.until(EXTERNAL, "composed", |it| revision(it) != old).await;
    let changes = lab.changes(EXTERNAL, "composed");
    assert_eq!(changes.len(), 1, "conditions and revision come together");
    let new = revision(&lab.get(EXTERNAL, "composed")).to_owned();
    lab.until("Kustomization", "composed", |it| it["status"]["lastAppliedRevision"] == *new).await;
    let canary = hopclock_sandbox::store::Key::new("ConfigMap", "default", "canary");
    assert_eq!(lab.store.get(&canary).unwrap()["data"]["run"], "1");

    // What is not copied is no news.
    lab.begin();
    lab.git.commit("readme", &[("README.md", Some("y"))]);
    assert_eq!(lab.webhook(TOKEN).await, 200);
    lab.at(30.0).await;
    assert!(lab.changes(EXTERNAL, "composed").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_artifact_may_bear_the_revision_of_its_source() {
    let lab = lab(&json!({"revision": "@git"})).await;
    let fetched = lab.get("GitRepository", "fleet");
    assert_eq!(revision(&lab.get(EXTERNAL, "composed")), revision(&fetched));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_not_there_is_looked_for_again_after_five_seconds() {
    let mut lab = lab(&json!({})).await;
    lab.until_ready("ArtifactGenerator", "composed").await;
    let sources = json!({"sources": [{"alias": "git", "kind": "Bucket", "name": "late"}]});
    lab.begin();
    lab.spec("ArtifactGenerator", "composed", &sources);
    lab.until("ArtifactGenerator", "composed", |it| {
        crate::lab::condition_of(it, "Ready") == "False/SourceFetchFailed"
    })
    .await;
    let failed = lab.start.elapsed();
    assert!(failed.as_secs() < 1, "{failed:?}");
    lab.at(1.0).await;
    lab.store.create(object("Bucket", "late", &json!({"suspend": true})), "lab").unwrap();
    let files = Files::from([("apps/canary.yaml".to_owned(), map("canary", "2").into_bytes())]);
    lab.publish("Bucket", "late", "sha256:00", files);
    lab.until_ready("ArtifactGenerator", "composed").await;
    assert!(lab.start.elapsed().as_secs() <= 5, "{:?}", lab.start.elapsed());
}
