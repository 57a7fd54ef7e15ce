//! Watches: where they start, what they show, how they end.

use hopclock_sandbox::store::Key;
use serde_json::{Value, json};

use super::{Lab, WIDGETS, refusal};

#[tokio::test]
async fn a_watch_after_a_version_shows_what_came_then_and_comes() {
    let lab = Lab::new().await;
    let before = lab.widget("a", &Value::Null);
    lab.widget("b", &Value::Null);
    let mut lines = lab.watch(&format!("{WIDGETS}?watch=true&resourceVersion={before}")).await;
    assert_eq!(lines.next().await, "ADDED b");
    lab.grow("a", 2);
    let event = lines.try_next().await.unwrap().unwrap();
    assert_eq!(event["type"], "MODIFIED");
    assert_eq!(event["object"], *lab.store.get(&Key::new("Widget", "lab", "a")).unwrap());
    lab.store.delete(&Key::new("Widget", "lab", "b"), "test").unwrap();
    let gone = lines.try_next().await.unwrap().unwrap();
    assert_eq!(gone["type"], "DELETED");
    assert_eq!(gone["object"]["metadata"]["resourceVersion"], lab.store.version().to_string());
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_is_there() {
    let lab = Lab::new().await;
    lab.widget("a", &Value::Null);
    for start in ["", "&resourceVersion=0"] {
        let mut lines = lab.watch(&format!("{WIDGETS}?watch=1{start}")).await;
        assert_eq!(lines.next().await, "ADDED a");
    }
}

#[tokio::test]
async fn initial_events_end_with_their_bookmark() {
    let lab = Lab::new().await;
    lab.widget("a", &Value::Null);
    let newest = lab.widget("b", &Value::Null);
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                 &allowWatchBookmarks=true";
    let mut lines = lab.watch(&format!("{WIDGETS}?{query}")).await;
    assert_eq!(lines.next().await, "ADDED a");
    assert_eq!(lines.next().await, "ADDED b");
    let bookmark = lines.try_next().await.unwrap().unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    let metadata = &bookmark["object"]["metadata"];
    assert_eq!(metadata["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(metadata["resourceVersion"], newest.to_string());
    lab.grow("b", 2);
    assert_eq!(lines.next().await, "MODIFIED b");
}

#[tokio::test]
async fn initial_events_need_their_match() {
    let lab = Lab::new().await;
    for query in ["sendInitialEvents=true", "resourceVersionMatch=NotOlderThan"] {
        let refused = refusal(lab.get(&format!("{WIDGETS}?watch=true&{query}")).await);
        assert_eq!(refused.0, "422 Invalid", "{query}");
    }
}

#[tokio::test]
async fn an_object_that_leaves_the_selection_is_deleted_there_and_added_when_it_returns() {
    let lab = Lab::new().await;
    let key = Key::new("Widget", "lab", "a");
    let mut from = lab.widget("a", &json!({ "team": "x" }));
    let path = |from| format!("{WIDGETS}?watch=true&resourceVersion={from}&labelSelector=team%3Dx");
    let mut lines = lab.watch(&path(from)).await;
    let join = |team: &str| {
        let labels = json!({ "metadata": { "labels": { "team": team } } });
        lab.store.merge(&key, &labels, hopclock_sandbox::store::Part::Whole, "test").unwrap();
        lab.store.version()
    };
    from = join("y");
    let left = lines.try_next().await.unwrap().unwrap();
    assert_eq!(left["type"], "DELETED");
    assert_eq!(left["object"]["metadata"]["labels"]["team"], "x", "its last selected state");
    assert_eq!(left["object"]["metadata"]["resourceVersion"], from.to_string());
    lab.grow("a", 2);
    join("x");
    assert_eq!(lines.next().await, "ADDED a");
    lab.grow("a", 3);
    assert_eq!(lines.next().await, "MODIFIED a");
}

#[tokio::test]
async fn a_watch_of_one_name_shows_that_object_only() {
    let lab = Lab::new().await;
    let from = lab.widget("a", &Value::Null);
    let query = format!("watch=true&resourceVersion={from}&fieldSelector=metadata.name%3Db");
    let mut lines = lab.watch(&format!("{WIDGETS}?{query}")).await;
    lab.grow("a", 2);
    lab.widget("b", &Value::Null);
    assert_eq!(lines.next().await, "ADDED b");
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_gets_an_error_in_the_stream() {
    let lab = Lab::new().await;
    let from = lab.widget("a", &Value::Null);
    lab.grow("a", 2);
    lab.store.compact(lab.store.version());
    let mut lines = lab.watch(&format!("{WIDGETS}?watch=true&resourceVersion={from}")).await;
    let error = lines.try_next().await.unwrap().unwrap();
    assert_eq!(error["type"], "ERROR");
    assert_eq!(
        (&error["object"]["code"], &error["object"]["reason"]),
        (&json!(410), &json!("Expired"))
    );
    assert_eq!(lines.next().await, "end");
}

#[tokio::test]
async fn a_watch_ends_at_its_timeout_after_a_last_bookmark() {
    let lab = Lab::new().await;
    let from = lab.widget("a", &Value::Null);
    let secret = json!({ "kind": "Secret", "metadata": { "name": "s", "namespace": "lab" } });
    lab.store.create(secret, "test").unwrap();
    let query = format!("watch=true&resourceVersion={from}&timeoutSeconds=1");
    let mut lines = lab.watch(&format!("{WIDGETS}?{query}&allowWatchBookmarks=true")).await;
    let bookmark = lines.try_next().await.unwrap().unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    let version = &bookmark["object"]["metadata"]["resourceVersion"];
    assert_eq!(version, &lab.store.version().to_string(), "other kinds' versions are passed too");
    assert_eq!(lines.next().await, "end");
    assert_eq!(lab.watch(&format!("{WIDGETS}?{query}")).await.next().await, "end");
}

#[tokio::test]
async fn many_watchers_all_see_every_change_in_order() {
    let lab = Lab::new().await;
    let from = lab.widget("a", &Value::Null);
    let path = format!("{WIDGETS}?watch=true&resourceVersion={from}");
    let mut watchers = Vec::new();
    for _ in 0..50 {
        watchers.push(lab.watch(&path).await);
    }
    for size in 2..202 {
        lab.grow("a", size);
    }
    for lines in &mut watchers {
        for size in 2..202 {
            let event = lines.try_next().await.unwrap().unwrap();
            assert_eq!(event["object"]["spec"]["size"], size);
        }
    }
}
