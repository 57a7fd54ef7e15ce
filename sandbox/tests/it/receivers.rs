//! Receivers and the event server, called in process and over real HTTP.

use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use hopclock_sandbox::flux::Controller;
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::flux::WebhookCall;
use http::HeaderMap;
use http::HeaderName;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::lab::Lab;
use crate::lab::TOKEN;
use crate::lab::fleet;
use crate::lab::hex;
use crate::lab::object;
use crate::lab::receiver;
use crate::lab::signature;

const BODY: &[u8] = br#"{"ref":"refs/heads/main"}"#;

/// A call: its receiver, headers and body.
type Call<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8]);

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn of_type(name: &str, kind: &str, more: &Value) -> Value {
    let mut spec = json!({"type": kind, "secretRef": {"name": "webhook-token"},
        "resources": [{"kind": "GitRepository", "name": "fleet"}]});
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    object("Receiver", name, &spec)
}

/// A pipeline at full speed whose receivers are ready.
async fn lab(more: Vec<Value>) -> Lab {
    let names: Vec<String> = more
        .iter()
        .filter(|object| object["kind"] == "Receiver" && object["spec"]["suspend"] != true)
        .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    let mut objects = receiver();
    objects.push(fleet("1h"));
    objects.extend(more);
    let speeds = Speeds { start: Duration::ZERO, ..Speeds::default() };
    let lab = Lab::start(speeds, objects, &[("a.yaml", "")]).await;
    for name in names.iter().map(String::as_str).chain(["fleet"]) {
        lab.until_ready("Receiver", name).await;
    }
    lab
}

fn path(lab: &Lab, name: &str) -> String {
    lab.get("Receiver", name)["status"]["webhookPath"].as_str().unwrap().to_owned()
}

async fn call(lab: &Lab, name: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    let call = WebhookCall { uri: &path(lab, name), headers, body };
    lab.flux.call_webhook(&call).await.unwrap().as_u16()
}

#[tokio::test(start_paused = true)]
async fn each_type_of_receiver_has_its_own_proof() {
    let signed = signature(TOKEN, BODY);
    let forged = signature("wrong", BODY);
    let json_body = ("content-type", "application/json");
    let docker = br#"{"push_data":{"tag":"1"},"repository":{"repo_url":"x"}}"#;
    let quay = br#"{"docker_url":"x","updated_tags":["1"]}"#;
    let acr = br#"{"action":"push","target":{"repository":"x","tag":"1"}}"#;
    let cdevent = br#"{"context":{"id":"1","source":"x","type":"y"},"subject":{"id":"2"}}"#;
    let sha1 = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
    let nexus = hex(hmac::sign(&sha1, BODY).as_ref());
    let kinds = [
        "generic",
        "generic-hmac",
        "github",
        "gitlab",
        "bitbucket",
        "harbor",
        "dockerhub",
        "quay",
        "acr",
        "nexus",
        "cdevents",
        "generic-oidc",
    ];
    let events = json!({"events": ["push", "repo:push", "Push Hook"]});
    let lab = lab(kinds.iter().map(|kind| of_type(kind, kind, &events)).collect()).await;
    let push = ("x-github-event", "Push");
    let hub = ("x-hub-signature-256", signed.as_str());
    let good: [Call<'_>; 11] = [
        ("generic", &[], b""),
        ("generic-hmac", &[("x-signature", &signed)], BODY),
        ("github", &[json_body, push, hub], BODY),
        ("bitbucket", &[json_body, ("x-event-key", "repo:push"), hub], BODY),
        ("gitlab", &[("x-gitlab-token", TOKEN), ("x-gitlab-event", "Push Hook")], BODY),
        ("harbor", &[("authorization", TOKEN)], BODY),
        ("dockerhub", &[], docker),
        ("quay", &[], quay),
        ("acr", &[], acr),
        ("nexus", &[("x-nexus-webhook-signature", &nexus)], BODY),
        ("cdevents", &[("ce-type", "push")], cdevent),
    ];
    for (kind, headers, body) in good {
        assert_eq!(call(&lab, kind, headers, body).await, 200, "{kind}");
    }
    let wrong = ("x-hub-signature-256", forged.as_str());
    let bad: [Call<'_>; 17] = [
        ("generic-hmac", &[("x-signature", &forged)], BODY),
        ("generic-hmac", &[("x-signature", "md5=00")], BODY),
        ("generic-hmac", &[], BODY),
        ("github", &[json_body, push, wrong], BODY),
        ("github", &[json_body, push], BODY),
        ("github", &[push, hub], BODY),
        ("github", &[json_body, ("x-github-event", "issues"), hub], BODY),
        ("github", &[json_body, push, hub], b"{}"),
        ("bitbucket", &[json_body, ("x-event-key", "pr:opened"), hub], BODY),
        ("gitlab", &[("x-gitlab-token", "wrong"), ("x-gitlab-event", "Push Hook")], BODY),
        ("harbor", &[("authorization", "wrong")], BODY),
        ("dockerhub", &[], b"{}"),
        ("quay", &[], b"no json"),
        ("nexus", &[("x-nexus-webhook-signature", &nexus)], b"other"),
        ("cdevents", &[("ce-type", "other")], cdevent),
        ("cdevents", &[("ce-type", "push")], b"{}"),
        ("generic-oidc", &[("authorization", "Bearer x")], BODY),
    ];
    for (kind, headers, body) in bad {
        assert_eq!(call(&lab, kind, headers, body).await, 400, "{kind} {headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_annotation_is_written_by_notification_controller_in_gos_format() {
    let lab = lab(vec![]).await;
    assert_eq!(lab.webhook(TOKEN).await, 200);
    let source = lab.get("GitRepository", "fleet");
    let value = &source["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"];
    let (wall, monotonic) = value.as_str().unwrap().split_once(" +0000 UTC m=+").unwrap();
    let wall: jiff::civil::DateTime = wall.parse().unwrap();
    let now = lab.store.now().to_zoned(jiff::tz::TimeZone::UTC).datetime();
    assert!(now.duration_since(wall).abs() < jiff::SignedDuration::from_secs(1));
    let (seconds, nanos) = monotonic.split_once('.').unwrap();
    assert!(seconds.parse::<u64>().is_ok() && nanos.len() == 9, "{monotonic}");
    let managers = source["metadata"]["managedFields"].as_array().unwrap();
    assert!(managers.iter().any(|entry| entry["manager"] == "notification-controller"));
}

#[tokio::test]
async fn receivers_answer_over_http_as_the_real_ones_do() {
    let missing = json!({"resources": [
        {"kind": "GitRepository", "name": "fleet"}, {"kind": "GitRepository", "name": "nobody"}]});
    let unversioned = json!({"resources": [{"kind": "Kustomization", "name": "fleet"}]});
    let unlabelled = json!({"resources": [{"kind": "GitRepository", "name": "*"}]});
    let filter = json!({"resourceFilter": "true"});
    let later = json!({"suspend": true});
    let lab = lab(vec![
        of_type("open", "generic", &json!({})),
        of_type("missing", "generic", &missing),
        of_type("unversioned", "generic", &unversioned),
        of_type("bare", "generic", &unlabelled),
        of_type("filter", "generic", &filter),
        of_type("asleep", "generic", &json!({})),
    ])
    .await;
    let asleep = path(&lab, "asleep");
    lab.spec("Receiver", "asleep", &later);
    let client = client();
    let base = lab.flux.receiver_url();
    let answer = async |path: &str, body: Vec<u8>| {
        let answer = client.post(format!("{base}{path}")).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let empty = |status: u16| (status, String::new());
    let open = path(&lab, "open");
    assert_eq!(answer(&open, vec![]).await, empty(200));
    assert_eq!(client.get(format!("{base}{open}")).send().await.unwrap().status(), 200);
    assert_eq!(answer(&format!("{open}?x=1"), vec![]).await, empty(404));
    assert_eq!(answer("/hook/unknown", vec![]).await, empty(404));
    assert_eq!(answer("/other", vec![]).await, (404, "404 page not found\n".to_owned()));
    assert_eq!(answer(&asleep, vec![]).await, empty(503));
    assert_eq!(answer(&open, vec![b'x'; 3 * 1024 * 1024 + 1]).await, empty(413));
    assert_eq!(answer(&path(&lab, "fleet"), vec![]).await, empty(400));
    for name in ["unversioned", "bare", "filter"] {
        assert_eq!(answer(&path(&lab, name), vec![]).await, empty(500), "{name}");
    }
    let requested = || {
        let source = lab.get("GitRepository", "fleet");
        source["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"].clone()
    };
    let before = requested();
    assert_eq!(answer(&path(&lab, "missing"), vec![]).await, empty(500));
    assert_ne!(requested(), before, "the resource before the missing one was annotated");
}

#[tokio::test]
async fn a_stopped_server_refuses_kept_connections_too_and_comes_back_on_its_port() {
    let lab = lab(vec![of_type("open", "generic", &json!({}))]).await;
    let (client, url) = (client(), format!("{}{}", lab.flux.receiver_url(), path(&lab, "open")));
    assert_eq!(client.post(&url).send().await.unwrap().status(), 200);
    lab.flux.stop_controller(Controller::Notification).await;
    assert!(client.post(&url).send().await.is_err());
    lab.flux.start_controller(Controller::Notification).await.unwrap();
    assert_eq!(client.post(&url).send().await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_without_its_secret_is_not_ready() {
    let nobody = json!({"secretRef": {"name": "nobody"}, "suspend": true});
    let lab = lab(vec![of_type("lost", "generic", &nobody)]).await;
    lab.spec("Receiver", "lost", &json!({"suspend": false}));
    lab.until("Receiver", "lost", |it| !it["status"]["conditions"].is_null()).await;
    assert_eq!(lab.condition("Receiver", "lost", "Ready"), "False/TokenNotFound");
}

#[tokio::test]
async fn the_event_server_never_answers_as_a_receiver_does() {
    let lab = lab(vec![]).await;
    let client = client();
    let object = json!({"kind": "GitRepository", "namespace": "flux-system", "name": "fleet"});
    let event = json!({"involvedObject": object, "severity": "info", "timestamp": "",
        "message": "hello", "reason": "Test", "reportingController": "test"});
    let at = lab.flux.event_url();
    let post = async |url: String, body: String| {
        client.post(url).body(body).send().await.unwrap().status().as_u16()
    };
    let answer = async |body: String| post(at.clone(), body).await;
    assert_eq!(answer(event.to_string()).await, 202);
    assert_eq!(answer(event.to_string()).await, 429);
    assert_eq!(answer("no JSON".to_owned()).await, 400);
    // What is missing is empty, and every path leads there.
    let hook = || format!("{at}hook/{}", "0".repeat(64));
    assert_eq!(post(hook(), json!({"ref": "refs/heads/main"}).to_string()).await, 202);
    assert_eq!(post(hook(), "{}".to_owned()).await, 429);
}

#[tokio::test]
async fn an_alert_delivers_signed_events_to_its_provider() {
    let (sent, mut deliveries) = mpsc::unbounded_channel::<(HeaderMap, Bytes)>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/flux", listener.local_addr().unwrap());
    let route = post(move |headers: HeaderMap, body: Bytes| {
        sent.send((headers, body)).unwrap();
        std::future::ready(())
    });
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/flux", route)).await });
    let provider = json!({"type": "generic-hmac", "address": address,
        "secretRef": {"name": "webhook-token"}});
    let alert = json!({"providerRef": {"name": "lab"}, "eventMetadata": {"cluster": "lab"},
        "eventSources": [{"kind": "GitRepository", "name": "*"}]});
    let objects = vec![object("Provider", "lab", &provider), object("Alert", "lab", &alert)];
    let lab = lab(objects).await;
    let (headers, body) = deliveries.recv().await.unwrap();
    assert_eq!(headers["x-signature"].to_str().unwrap(), signature(TOKEN, &body));
    assert_eq!(headers["gotk-component"], "source-controller");
    let event: Value = serde_json::from_slice(&body).unwrap();
    lab.until_ready("GitRepository", "fleet").await;
    let revision = lab.get("GitRepository", "fleet")["status"]["artifact"]["revision"].clone();
    assert_eq!(event["reason"], "NewArtifact");
    assert_eq!(event["message"], "stored artifact for commit 'first'");
    assert_eq!(event["metadata"], json!({"revision": revision, "cluster": "lab"}));
}
