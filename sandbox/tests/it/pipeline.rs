//! The whole pipeline over real sockets: git host, webhook, receiver, cluster.

use std::sync::Arc;

use hopclock_sandbox::flux::Flux;
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::git::GitHost;
use hopclock_sandbox::git::GitHostOptions;
use hopclock_sandbox::git::NewCommit;
use hopclock_sandbox::git::Webhook;
use hopclock_sandbox::git::WebhookFormat;
use hopclock_sandbox::store::Key;
use hopclock_sandbox::store::Store;
use serde_json::Value;
use serde_json::json;

use crate::lab::TOKEN;
use crate::lab::applier;
use crate::lab::condition_of;
use crate::lab::fleet;
use crate::lab::key;
use crate::lab::map;
use crate::lab::receiver;

/// Waits until an object is as it should be.
async fn until(store: &Store, key: &Key, is: impl Fn(&Value) -> bool) -> Arc<Value> {
    let mut watch = store.watch_kind(&key.kind, store.version());
    loop {
        if let Some(object) = store.get(key).filter(|object| is(object)) {
            return object;
        }
        watch.next().await.unwrap();
    }
}

#[tokio::test]
async fn a_push_to_the_git_host_is_live_in_the_cluster() {
    let git = GitHost::start(GitHostOptions::default()).await.unwrap();
    let files = [("apps/canary.yaml", map("canary", "0"))];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let url = git.create_repository("fleet", &files, "main").unwrap();
    let store = Store::new();
    let mut source = fleet("1h");
    source["spec"]["url"] = url.as_str().into();
    for object in receiver().into_iter().chain([source, applier("apps", json!({"wait": true}))]) {
        store.create(object, "lab").unwrap();
    }
    let flux = Flux::start(store.clone(), Arc::new(git.clone()), Speeds::default()).await.unwrap();
    let published = |it: &Value| it["status"]["webhookPath"].is_string();
    let hook = until(&store, &key("Receiver", "fleet"), published).await;
    let path = hook["status"]["webhookPath"].as_str().unwrap().to_owned();
    let hook = format!("{}{path}", flux.receiver_url());
    git.add_webhook(&url, Webhook::new(&hook, TOKEN, WebhookFormat::GitHub)).unwrap();
    let applied = |revision: Option<String>| {
        let key = key("Kustomization", "apps");
        let store = store.clone();
        async move {
            until(&store, &key, |object| match &revision {
                Some(revision) => object["status"]["lastAppliedRevision"] == *revision,
                None => object["status"]["lastAppliedRevision"].is_string(),
            })
            .await
        }
    };
    applied(None).await;

    let push = NewCommit::new("main", "canary 1").file("apps/canary.yaml", &map("canary", "1"));
    let commit = git.commit(&url, &push).unwrap();
    applied(Some(format!("main@sha1:{commit}"))).await;
    let canary = store.get(&Key::new("ConfigMap", "default", "canary")).unwrap();
    assert_eq!(canary["data"]["run"], "1");

    git.go_down();
    let request = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
    let source = key("GitRepository", "fleet");
    store.merge(&source, &request, hopclock_sandbox::store::Part::Whole, "flux").unwrap();
    let failing = |object: &Value| condition_of(object, "Ready") == "False/GitOperationFailed";
    until(&store, &source, failing).await;
    git.come_back().unwrap();
    until(&store, &source, |object| condition_of(object, "Ready") == "True/Succeeded").await;
}
