//! A `ConfigMap` keeps what was written to it, or says why not and keeps what it had.

use crate::cluster_kit::{answering, as_user, grant, shown};
use crate::watch::Lab;
use hopclock::cluster::{ConfigMap, Error};
use hopclock_sandbox::api::{Namespaces, Options};
use hopclock_sandbox::store::{Key, Part};
use serde_json::json;

const MOST: usize = 1 << 20;

fn content(text: &str) -> ConfigMap {
    let mut content = ConfigMap::default();
    change(&mut content, text);
    content
}

fn change(content: &mut ConfigMap, text: &str) {
    content.data.insert("state".to_owned(), text.to_owned());
}

fn key() -> Key {
    Key::new("ConfigMap", "lab", "state")
}

#[tokio::test]
async fn what_is_written_is_read_and_what_others_added_stays() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    assert!(cluster.config_map("lab", "state").await.unwrap().is_none());
    let mut wanted = content("one");
    wanted.binary.insert("raw".to_owned(), vec![0, 159, 146, 150]);
    assert!(!wanted.exists());
    let written = cluster.put_config_map("lab", "state", &wanted, "a").await.unwrap();
    assert_eq!((&written.data, &written.binary), (&wanted.data, &wanted.binary));

    let label = json!({"metadata": {"labels": {"team": "blue"}}});
    lab.store.merge(&key(), &label, Part::Whole, "kubectl").unwrap();
    let mut read = cluster.config_map("lab", "state").await.unwrap().unwrap();
    assert_eq!(read.writer(), "`kubectl`");
    change(&mut read, "two");
    read.binary.clear();
    let second = cluster.put_config_map("lab", "state", &read, "a").await.unwrap();
    let third = cluster.put_config_map("lab", "state", &second, "a").await.unwrap();
    assert_eq!((third.data["state"].as_str(), third.binary.len()), ("two", 0));
    let stored = lab.store.get(&key()).unwrap();
    assert_eq!(stored["metadata"]["labels"]["team"], "blue");
    assert_eq!(stored["metadata"]["labels"]["app.kubernetes.io/managed-by"], "hopclock");
}

#[tokio::test]
async fn a_second_writer_is_named_and_nothing_of_its_is_lost() {
    let lab = Lab::new().await;
    let (one, two) = (lab.cluster().await, lab.cluster().await);
    let mut mine = one.put_config_map("lab", "state", &content("one"), "pod-1").await.unwrap();
    let mut theirs = two.config_map("lab", "state").await.unwrap().unwrap();
    change(&mut theirs, "two");
    two.put_config_map("lab", "state", &theirs, "pod-2").await.unwrap();

    change(&mut mine, "three");
    let error = one.put_config_map("lab", "state", &mine, "pod-1").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the ConfigMap `lab/state` was not written, for `pod-2` wrote it since we read it: read it \
         again, and let only one hopclock write it"
    );
    assert!(!error.is_permanent() && error.reason() == "conflict");
    assert_eq!(lab.store.get(&key()).unwrap()["data"]["state"], "two");

    let error = one.put_config_map("lab", "state", &content("new"), "pod-1").await.unwrap_err();
    assert!(error.to_string().contains("for `pod-2` wrote it since"), "{error}");
    lab.store.delete(&key(), "kubectl").unwrap();
    let error = one.put_config_map("lab", "state", &mine, "pod-1").await.unwrap_err();
    assert!(error.to_string().contains("for somebody deleted it since"), "{error}");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_may_be_repeated() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    for _ in 0..2 {
        cluster.put_config_map("lab", "state", &content("one"), "pod-1").await.unwrap();
    }
    let mut before = cluster.config_map("lab", "state").await.unwrap().unwrap();
    change(&mut before, "two");
    let first = cluster.put_config_map("lab", "state", &before, "pod-1").await.unwrap();
    let again = cluster.put_config_map("lab", "state", &before, "pod-1").await.unwrap();
    assert!(first == again);
    let error = cluster.put_config_map("lab", "state", &before, "pod-2").await.unwrap_err();
    assert!(matches!(error, Error::Conflict { .. }), "{error}");
}

#[tokio::test]
async fn what_does_not_fit_is_not_sent_and_what_was_there_stays() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    let mut state = content(&"x".repeat(MOST - 2));
    state.binary.insert("raw".to_owned(), vec![0; 2]);
    assert_eq!(state.size(), MOST);
    let mut stored = cluster.put_config_map("lab", "state", &state, "a").await.unwrap();

    stored.binary.insert("more".to_owned(), vec![0]);
    let before = cluster.request_count();
    let error = cluster.put_config_map("lab", "state", &stored, "a").await.unwrap_err();
    assert_eq!(cluster.request_count(), before);
    assert_eq!(
        error.to_string(),
        "the ConfigMap `lab/state` was not written, for 1048577 bytes are more than the 1048576 \
         that it may hold: keep less, or keep it on a volume"
    );
    assert_eq!(lab.store.get(&key()).unwrap()["binaryData"], json!({"raw": "AAA="}));
}

#[tokio::test]
async fn what_the_server_itself_finds_too_large_is_said_in_the_same_way() {
    let answers = [
        (413, "Request entity too large: limit is 3145728"),
        (422, "ConfigMap \"state\" is invalid: []: Too long: may not be more than 1048576 bytes"),
        (500, "etcdserver: request is too large"),
        (500, "rpc error: trying to send message larger than max (2097252 vs. 2097152)"),
    ];
    for (status, message) in answers {
        let cluster = answering(status, &json!({"kind": "Status", "message": message}));
        let error = cluster.put_config_map("lab", "state", &content("12"), "a").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the ConfigMap `lab/state` was not written, for 2 bytes are more than the API server or \
             its store accepts: keep less, or keep it on a volume"
        );
        assert!(error.is_permanent() && error.reason() == "too_large");
    }
}

#[tokio::test]
async fn what_no_role_can_grant_is_said_in_the_servers_words() {
    let message = "configmaps \"state\" is forbidden: exceeded quota: small, requested: count=1";
    let cluster = answering(403, &json!({"kind": "Status", "message": message}));
    let error = cluster.put_config_map("lab", "state", &content("12"), "a").await.unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("with 403: ") && shown.ends_with(message), "{shown}");
}

#[tokio::test]
async fn a_config_map_needs_three_verbs_and_says_which_one_is_missing() {
    let lab = Lab::new().await;
    let cluster = as_user(&lab, "carol", lab.clock.clone()).await;
    let rule =
        |verb: &str| json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": [verb]});
    let error = cluster.config_map("lab", "state").await.unwrap_err();
    assert!(error.to_string().contains("forbids `get` of `configmaps` named `state`"), "{error}");
    let error = cluster.put_config_map("lab", "state", &content("1"), "a").await.unwrap_err();
    assert_eq!(
        shown(&lab, &error),
        "the API server at `[server]` forbids `create` of `configmaps` named `state` in namespace \
         `lab` (403): grant `apiGroups: [\"\"], resources: [\"configmaps\"], verbs: [\"create\"]` in \
         a Role"
    );
    grant(&lab, "carol", &rule("create"));
    let written = cluster.put_config_map("lab", "state", &content("1"), "a").await.unwrap();
    let error = cluster.put_config_map("lab", "state", &written, "a").await.unwrap_err();
    assert!(error.to_string().contains("forbids `update` of `configmaps`"), "{error}");
    grant(&lab, "carol", &rule("update"));
    cluster.put_config_map("lab", "state", &written, "a").await.unwrap();
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_said() {
    let options = Options { namespaces: Namespaces::MustExist, ..Options::default() };
    let lab = Lab::with(options).await;
    let cluster = lab.cluster().await;
    let error = cluster.put_config_map("lab", "state", &content("1"), "a").await.unwrap_err();
    assert!(matches!(&error, Error::NoSuchNamespace { namespace, .. } if namespace == "lab"));
    assert!(error.is_permanent() && error.reason() == "namespace");
}
