//! What is noted about an object is one Event that counts, about the very object that was meant.

use crate::cluster_kit::{as_user, grant, shown};
use crate::watch::{Lab, source};
use hopclock::cluster::{Note, Tone};
use hopclock_sandbox::store::Key;
use jiff::Timestamp;
use serde_json::{Value, json};

fn note(object: &str, second: i64) -> Note {
    Note {
        subject: source(object),
        tone: Tone::Normal,
        reason: "HopclockReached",
        message: format!("message {second}"),
        matter: "fleet".to_owned(),
        instance: "here".to_owned(),
        at: Timestamp::from_second(second).unwrap(),
    }
}

fn events(lab: &Lab) -> Vec<Value> {
    let (all, _) = lab.store.list("Event", Some("lab"));
    all.iter().map(|it| Value::clone(it)).collect()
}

fn uid(lab: &Lab, name: &str) -> Value {
    let object = lab.store.get(&Key::new("GitRepository", "lab", name)).unwrap();
    object["metadata"]["uid"].clone()
}

#[tokio::test]
async fn a_note_that_comes_again_counts() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    lab.create("apps");
    for second in [10, 20, 30] {
        cluster.note(&note("apps", second)).await.unwrap();
    }
    let [event] = events(&lab).try_into().unwrap();
    assert_eq!((&event["count"], &event["message"]), (&json!(3), &json!("message 30")));
    assert_eq!(event["firstTimestamp"], "1970-01-01T00:00:10Z");
    assert_eq!(event["lastTimestamp"], "1970-01-01T00:00:30Z");
    let expected = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "namespace": "lab",
        "name": "apps", "uid": uid(&lab, "apps"),
    });
    assert_eq!(event["involvedObject"], expected);
    assert_eq!(event["source"]["component"], "hopclock");
    assert_eq!(event["reportingComponent"], "hopclock");
    assert_eq!(event["reportingInstance"], "here");
    // Another reason, and another matter, are other Events.
    let failed = Note { tone: Tone::Warning, reason: "HopclockFailed", ..note("apps", 40) };
    cluster.note(&failed).await.unwrap();
    cluster.note(&Note { matter: "other".to_owned(), ..note("apps", 40) }).await.unwrap();
    assert_eq!(events(&lab).len(), 3);
    let seen = cluster.events_of(&[source("apps")]).await.unwrap();
    assert_eq!(seen.iter().map(|it| it.count).sum::<u64>(), 5);
}

#[tokio::test]
async fn an_object_that_is_gone_or_new_is_not_taken_for_the_one_before() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    cluster.note(&note("apps", 10)).await.unwrap();
    let [event] = events(&lab).try_into().unwrap();
    assert_eq!(event["involvedObject"].get("uid"), None, "there is no such object");
    lab.create("apps");
    cluster.note(&note("apps", 20)).await.unwrap();
    let (all, uid) = (events(&lab), uid(&lab, "apps"));
    assert_eq!(all.len(), 2);
    assert!(all.iter().any(|it| it["involvedObject"]["uid"] == uid), "{all:?}");
}

#[tokio::test]
async fn who_may_not_note_is_told_what_to_grant() {
    let lab = Lab::new().await;
    let cluster = as_user(&lab, "carol", lab.clock.clone()).await;
    lab.create("apps");
    for verb in ["patch", "create"] {
        let error = cluster.note(&note("apps", 10)).await.unwrap_err();
        let rule = format!("`apiGroups: [\"\"], resources: [\"events\"], verbs: [\"{verb}\"]`");
        assert!(shown(&lab, &error).contains(&rule), "{error}");
        let rule = json!({"apiGroups": [""], "resources": ["events"], "verbs": [verb]});
        grant(&lab, "carol", &rule);
    }
    // It is enough, though the object itself cannot be read.
    cluster.note(&note("apps", 10)).await.unwrap();
    let [event] = events(&lab).try_into().unwrap();
    assert_eq!(event["involvedObject"].get("uid"), None);
}
