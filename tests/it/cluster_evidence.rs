//! What the cluster noted about an object comes back as evidence: the newest, shortened, in time.

use crate::cluster_kit::{answering, as_user, grant, shown};
use crate::watch::{Lab, source};
use hopclock::cluster::ObjectEvent;
use hopclock::model::{GroupKind, Subject};
use serde_json::{Value, json};

fn event(name: &str, place: usize, more: &Value) -> Value {
    let time = format!("2026-01-01T00:{place:02}:00Z");
    let mut event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"namespace": "lab", "name": format!("{name}.{place}")},
        "involvedObject": {"kind": "GitRepository", "namespace": "lab", "name": name,
                           "apiVersion": "source.toolkit.fluxcd.io/v1"},
        "type": "Warning", "reason": "GitOperationFailed", "message": format!("message {place}"),
        "count": 2, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": time,
        "source": {"component": "source-controller"},
    });
    for (key, value) in more.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

fn note(lab: &Lab, event: Value) {
    lab.store.create(event, "source-controller").unwrap();
}

fn messages(all: &[ObjectEvent]) -> Vec<&str> {
    all.iter().map(|it| it.message.as_str()).collect()
}

#[tokio::test]
async fn the_newest_events_of_the_objects_that_were_asked_for_come_first() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    for place in 0..30 {
        note(&lab, event("apps", place, &json!({})));
    }
    note(&lab, event("infra", 15, &json!({"message": "infra"})));
    note(&lab, event("other", 16, &json!({})));
    // Another kind of the same name, and another group with a kind of the same name.
    let elsewhere = json!({"kind": "Bucket", "name": "infra", "apiVersion": "v1"});
    note(&lab, event("infra", 17, &json!({"involvedObject": elsewhere})));
    let elsewhere =
        json!({"kind": "GitRepository", "name": "infra", "apiVersion": "example.com/v1"});
    note(&lab, event("infra", 18, &json!({"involvedObject": elsewhere})));

    let all = cluster.events_of(&[source("apps"), source("infra")]).await.unwrap();
    let mut expected: Vec<_> = (10..30).rev().map(|it| format!("message {it}")).collect();
    expected.insert(15, "infra".to_owned());
    assert_eq!(messages(&all), expected);
    let first = &all[0];
    assert_eq!((first.subject.name.as_str(), first.severity.as_str()), ("apps", "Warning"));
    assert_eq!((first.reason.as_str(), first.count), ("GitOperationFailed", 2));
    assert_eq!(first.first.unwrap().to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(first.last.unwrap().to_string(), "2026-01-01T00:29:00Z");
    assert_eq!(first.reporter, "source-controller");
    assert_eq!(cluster.events_of(&[source("quiet")]).await.unwrap(), []);
}

#[tokio::test]
async fn an_event_of_the_newer_form_is_read_as_well_and_a_long_message_shortened() {
    let item = json!({
        "metadata": {"creationTimestamp": "2026-01-01T00:00:01Z"},
        "involvedObject": {"apiVersion": "v1"},
        "eventTime": "2026-01-01T00:00:02.500000Z", "firstTimestamp": null, "lastTimestamp": null,
        "series": {"count": 7, "lastObservedTime": "2026-01-01T00:00:09.250000Z"},
        "reportingComponent": "kubelet", "source": {}, "type": "Normal", "reason": "Pulled",
        "message": "é".repeat(600),
    });
    let cluster = answering(200, &json!({"metadata": {}, "items": [item]}));
    let node = Subject::local(GroupKind::new("", "Node"), "", "one");
    let all = cluster.events_of(&[node]).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].message, "é".repeat(500));
    assert_eq!((all[0].count, all[0].reporter.as_str()), (7, "kubelet"));
    assert_eq!(all[0].first.unwrap().to_string(), "2026-01-01T00:00:02.5Z");
    assert_eq!(all[0].last.unwrap().to_string(), "2026-01-01T00:00:09.25Z");
}

#[tokio::test]
async fn an_answer_in_pages_is_read_to_a_limit() {
    let one = event("apps", 1, &json!({}));
    let cluster = answering(200, &json!({"metadata": {"continue": "a/b+c=="}, "items": [one]}));
    assert_eq!(cluster.events_of(&[source("apps")]).await.unwrap().len(), 4);
    assert_eq!(cluster.request_count(), 4);
}

#[tokio::test]
async fn who_may_not_see_events_is_told_what_to_grant() {
    let lab = Lab::new().await;
    let cluster = as_user(&lab, "carol", lab.clock.clone()).await;
    let error = cluster.events_of(&[source("apps")]).await.unwrap_err();
    assert_eq!(
        shown(&lab, &error),
        "the API server at `[server]` forbids `list` of `events` in namespace `lab` (403): grant \
         `apiGroups: [\"\"], resources: [\"events\"], verbs: [\"list\"]` in a Role"
    );
    grant(&lab, "carol", &json!({"apiGroups": [""], "resources": ["events"], "verbs": ["list"]}));
    assert_eq!(cluster.events_of(&[source("apps")]).await.unwrap(), []);
}

#[tokio::test]
async fn a_server_that_takes_its_time_is_not_waited_for() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    let hour = std::time::Duration::from_secs(3_600);
    let scope = hopclock_sandbox::api::Scope::all().kind("Event");
    lab.server.faults().slow_lists(hour, scope);
    let error = cluster.events_of(&[source("apps")]).await.unwrap_err();
    assert_eq!(error.reason(), "timeout");
    assert!(error.to_string().contains("did not answer `list` of `events`"), "{error}");
    assert!(error.to_string().contains("within 2s"), "{error}");
}
