//! What we and others are allowed, asked before it is tried; and whether the clocks agree.

use crate::cluster_kit::{answering, as_user, grant, shown};
use crate::watch::{Lab, RuntimeClock};
use axum::body::Body;
use hopclock::cluster::{Cluster, Timing, User};
use hopclock::engine::SystemClock;
use hopclock::model::{Clock, GroupKind, ObjectName, Subject};
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::time::Instant;

const PROBER: &str = "system:serviceaccount:lab:prober";

fn clock() -> Arc<dyn Clock> {
    Arc::new(RuntimeClock(Instant::now()))
}

fn maps(namespace: &str) -> Subject {
    Subject::local(GroupKind::new("", "ConfigMap"), namespace, "")
}

#[tokio::test]
async fn everybody_may_ask_what_he_is_allowed() {
    let lab = Lab::new().await;
    let prober = as_user(&lab, PROBER, clock()).await;
    let asked = prober.permits(None, "list", &maps("lab")).await.unwrap();
    assert!(!asked.allowed);
    let rule = "`apiGroups: [\"\"], resources: [\"configmaps\"], verbs: [\"list\"]` in a Role";
    assert_eq!(asked.target.rule(), rule);
    let allowed = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]});
    grant(&lab, PROBER, &allowed);
    assert!(prober.permits(None, "list", &maps("lab")).await.unwrap().allowed);
    assert!(!prober.permits(None, "watch", &maps("lab")).await.unwrap().allowed);
    assert!(!prober.permits(None, "list", &maps("")).await.unwrap().allowed, "everywhere");
}

#[tokio::test]
async fn what_others_are_allowed_only_some_may_ask() {
    let lab = Lab::new().await;
    let (admin, prober) = (lab.cluster().await, as_user(&lab, PROBER, clock()).await);
    let account = User::service_account(&ObjectName::new("lab", "prober"));
    assert_eq!(account.username, PROBER);
    let asked = admin.permits(Some(&account), "list", &maps("lab")).await.unwrap();
    assert!(!asked.allowed);
    let error = prober.permits(Some(&account), "list", &maps("lab")).await.unwrap_err();
    assert!(shown(&lab, &error).contains("subjectaccessreviews"), "{error}");
}

#[tokio::test]
async fn a_server_whose_clock_is_wrong_shows_it() {
    let clock = Arc::new(RuntimeClock(Instant::now()));
    let date = "Thu, 01 Jan 1970 00:01:30 GMT";
    assert_eq!(clock.wall(), Timestamp::UNIX_EPOCH);
    let service = tower::service_fn(move |_: Request<kube::client::Body>| {
        let version = Body::from(json!({"gitVersion": "v1.35.1"}).to_string());
        let answer = Response::builder().header("date", date).body(version).unwrap();
        async move { Ok::<_, Infallible>(answer) }
    });
    let client = kube::Client::new(service, "lab");
    let cluster = Cluster::over(client, Timing::default(), clock);
    assert_eq!(cluster.skew().await.unwrap(), Some(SignedDuration::from_secs(-90)));
    let silent = answering(200, &json!({"gitVersion": "v1.35.1"}));
    assert_eq!(silent.skew().await.unwrap(), None);
    let lab = Lab::new().await;
    let cluster = as_user(&lab, PROBER, Arc::new(SystemClock::new())).await;
    // A server may read its clock once a second only.
    let skew = cluster.skew().await.unwrap().unwrap();
    assert!(skew.abs() < SignedDuration::from_secs(5), "{skew}");
}
