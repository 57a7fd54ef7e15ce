//! Receivers called by the program itself: every type of them in the sandbox, with effect and
//! without, and whatever may stand in their way.

use crate::e2e_command::{Said, hopclock};
use crate::e2e_kit::Bench;
use axum::Router;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hopclock::model::{Outcome, Passage, Skip, Webhook};
use hopclock_sandbox::flux::oidc::Issuer;
use hopclock_sandbox::pipeline::{FLUX_NAMESPACE, Hook};
use hopclock_sandbox::store::Key;
use serde_json::{Value, json};
use std::net::SocketAddr;

const REQUESTED: &str = "reconcile.fluxcd.io/requestedAt";

const TOKEN: &str = "pl4nted-T0ken-91bd";

/// Every type that proves itself by a token or not at all, with the events it reacts to.
const TYPES: [(&str, &[&str]); 11] = [
    ("generic", &[]),
    ("generic-hmac", &[]),
    ("github", &["ping", "push"]),
    ("gitlab", &["Push Hook", "Tag Push Hook"]),
    ("bitbucket", &["repo:refs_changed"]),
    ("harbor", &[]),
    ("dockerhub", &[]),
    ("quay", &[]),
    ("nexus", &[]),
    ("acr", &[]),
    ("cdevents", &["dev.cdevents.change.merged.0.2.0"]),
];

/// Adds a Receiver with a Secret of its own that wakes the source of a lane.
async fn receiver(bench: &Bench, name: &str, spec: Value, data: Value) {
    let metadata = |name: &str| json!({"namespace": FLUX_NAMESPACE, "name": name});
    let store = bench.sandbox.store();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata(name),
        "data": data});
    store.create(secret, "test").unwrap();
    let mut object = json!({"apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver",
        "metadata": metadata(name),
        "spec": {"interval": "10m", "resources": [{"kind": "GitRepository", "name": "canary"}]}});
    object["metadata"]["annotations"] = json!({"hopclock.dev/canary": "test"});
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    store.create(object, "test").unwrap();
    bench.until("Receiver", name, |it| it["status"]["webhookPath"].is_string()).await;
}

async fn with_token(bench: &Bench, kind: &str, events: &[&str]) {
    let data = json!({"token": STANDARD.encode(TOKEN)});
    let spec = json!({"type": kind, "events": events, "secretRef": {"name": kind}});
    receiver(bench, kind, spec, data).await;
}

fn post(bench: &Bench, name: &str, more: &str) -> String {
    let url = bench.sandbox.flux().receiver_url();
    format!(
        "name: {name}\ndeadline: 10s\ntrigger:\n  receiver_post:\n    \
         receiver: flux-system/{name}\n    url: {url}\n{more}hops:\n  \
         - webhook_received: {{ receiver: flux-system/{name}, git_repository: flux-system/canary }}\n    \
         required: true\n"
    )
}

fn get(name: &str, url: &str) -> String {
    format!(
        "name: {name}\ndeadline: 10s\ntrigger:\n  receiver_get:\n    \
         receiver: flux-system/{name}\n    url: {url}\nhops: []\n"
    )
}

fn requested(bench: &Bench) -> Value {
    let key = Key::new("GitRepository", FLUX_NAMESPACE, "canary");
    bench.sandbox.store().get(&key).unwrap()["metadata"]["annotations"][REQUESTED].clone()
}

fn assert_discreet(said: &Said) {
    for text in [&said.out, &said.err] {
        let line = text.lines().find(|it| it.contains(TOKEN) || it.contains("/hook/"));
        // Watches are logged by the objects that they show.
        assert!(line.is_none_or(|it| it.contains("webhookPath")), "{line:?}");
    }
}

/// A call of this Receiver arrives, and a preflight is answered well without effect.
async fn assert_works(bench: &Bench, name: &str, more: &str) {
    let before = requested(bench);
    let said = hopclock(bench, &get(name, &bench.sandbox.flux().receiver_url())).await;
    let record = said.record();
    assert_eq!((said.code, &record.outcome), (0, &Outcome::Ok), "{name}: {record:?}");
    assert_eq!(record.push.unwrap().attempts, 1);
    assert_eq!(requested(bench), before, "{name}: a preflight has no effect");
    assert_discreet(&said);

    let said = hopclock(bench, &post(bench, name, more)).await;
    let record = said.record();
    assert_eq!((said.code, &record.outcome), (0, &Outcome::Ok), "{name}: {record:?}");
    let Passage::Reached { uncertain, webhook, .. } = &record.hops[0].passage else {
        panic!("{name}: {record:?}")
    };
    assert_eq!((*uncertain, *webhook), (false, Some(Webhook::Ours)), "{name}");
    assert_ne!(requested(bench), before, "{name}");
    assert_discreet(&said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_receiver_is_called_as_its_sender_would_and_without_effect() {
    let bench = Bench::new().await;
    bench.lane("canary", "10m", Hook::Silent).await;
    for (kind, events) in TYPES {
        with_token(&bench, kind, events).await;
        assert_works(&bench, kind, "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_wants_a_jwt_is_shown_that_of_a_file() {
    let bench = Bench::new().await;
    bench.lane("canary", "10m", Hook::Silent).await;
    let issuer = Issuer::start().await.unwrap();
    let jwt = bench.caches.path().join("jwt");
    let more = format!("    token: {{ file: {} }}\n", jwt.display());

    let provider = json!({"issuerURL": issuer.url(), "audience": "hopclock"});
    let spec = json!({"type": "generic-oidc", "oidcProviders": [provider]});
    receiver(&bench, "oidc", spec, json!({})).await;
    std::fs::write(&jwt, issuer.token(&json!({"aud": "hopclock", "sub": "canary"}))).unwrap();
    assert_works(&bench, "oidc", &more).await;

    std::fs::write(&jwt, issuer.token(&json!({"aud": "another"}))).unwrap();
    let (reason, message) = hopclock(&bench, &post(&bench, "oidc", &more)).await.error();
    assert_eq!(reason, "webhook_refused", "{message}");
    let (reason, message) = hopclock(&bench, &post(&bench, "oidc", "")).await.error();
    assert_eq!(reason, "unusable_scenario");
    assert!(message.contains("hopclock cannot sign one"), "{message}");

    let text = |it: &str| STANDARD.encode(it);
    let data = json!({"token": text(TOKEN), "email": text("push@h"), "audience": text("hook")});
    receiver(&bench, "gcr", json!({"type": "gcr", "secretRef": {"name": "gcr"}}), data).await;
    let claims = json!({"aud": "hook", "email": "push@h", "email_verified": true});
    std::fs::write(&jwt, issuer.token(&claims)).unwrap();
    assert_works(&bench, "gcr", &more).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_a_receiver_is_called_only_if_it_consents_or_the_scenario_says_that_it_is_shared() {
    let bench = Bench::new().await;
    bench.lane("canary", "10m", Hook::Silent).await;
    with_token(&bench, "github", &["push"]).await;
    let before = requested(&bench);
    let consent = |it: Value| {
        let annotations = json!({"hopclock.dev/canary": it});
        bench.change("Receiver", "github", &json!({"metadata": {"annotations": annotations}}));
    };
    consent(Value::Null);
    let (reason, message) = hopclock(&bench, &post(&bench, "github", "")).await.error();
    assert_eq!(reason, "no_consent");
    assert!(message.contains("`kubectl annotate receiver -n flux-system github"), "{message}");
    consent(json!("another"));
    let (reason, _) = hopclock(&bench, &post(&bench, "github", "")).await.error();
    assert_eq!(reason, "foreign_consent");
    assert_eq!(requested(&bench), before);
    consent(Value::Null);
    let said = hopclock(&bench, &post(&bench, "github", "    shared: true\n")).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("wakes what Receiver flux-system/github lists"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p5_a_suspended_receiver_is_skipped_and_an_exchanged_token_is_said() {
    let bench = Bench::new().await;
    bench.lane("canary", "10m", Hook::Silent).await;
    with_token(&bench, "gitlab", &["Push Hook"]).await;
    let url = bench.sandbox.flux().receiver_url();
    let before = requested(&bench);
    bench.change("Receiver", "gitlab", &json!({"spec": {"suspend": true}}));
    let subject = "Receiver flux-system/gitlab".to_owned();
    for text in [post(&bench, "gitlab", ""), get("gitlab", &url)] {
        let outcome = hopclock(&bench, &text).await.record().outcome;
        assert_eq!(outcome, Outcome::Skipped(Skip::Suspended { subject: subject.clone() }));
    }
    bench.change("Receiver", "gitlab", &json!({"spec": {"suspend": false}}));
    // Flux looks at it once more; from then on it does not know of the Secret until its interval.
    let is_seen = |it: &Value| it["status"]["observedGeneration"] == it["metadata"]["generation"];
    bench.until("Receiver", "gitlab", is_seen).await;
    bench.change("Secret", "gitlab", &json!({"data": {"token": STANDARD.encode("newer")}}));
    let (reason, message) = hopclock(&bench, &get("gitlab", &url)).await.error();
    assert_eq!(reason, "webhook_path_differs");
    assert!(message.contains("the token was exchanged"), "{message}");
    bench.sandbox.store().delete(&Key::new("Receiver", FLUX_NAMESPACE, "gitlab"), "x").unwrap();
    let (reason, message) = hopclock(&bench, &get("gitlab", &url)).await.error();
    assert_eq!(reason, "missing_object", "{message}");
    assert_eq!(requested(&bench), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_that_is_missing_is_a_500_with_its_sentence() {
    let bench = Bench::new().await;
    bench.lane("canary", "10m", Hook::Silent).await;
    with_token(&bench, "harbor", &[]).await;
    let resources = json!([{"kind": "GitRepository", "name": "canary"},
        {"kind": "GitRepository", "name": "gone"}]);
    bench.change("Receiver", "harbor", &json!({"spec": {"resources": resources}}));
    let (reason, message) = hopclock(&bench, &post(&bench, "harbor", "")).await.error();
    assert_eq!(reason, "receiver_failed");
    assert!(message.contains("a resource is missing"), "{message}");
}

/// Something that gives every call the same answer.
async fn front(status: u16, body: &'static str) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let status = StatusCode::from_u16(status).unwrap();
    let router = Router::new().fallback(move || async move { (status, body) });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_stands_before_a_receiver_is_named_by_its_answer() {
    let bench = Bench::new().await;
    bench.lane("canary", "10m", Hook::Silent).await;
    with_token(&bench, "github", &["push"]).await;
    for (status, body, reason) in [
        (200, "", "preflight_accepted"),
        (200, "welcome", "page_in_front"),
        (404, "default backend - 404", "not_routed"),
        (413, "", "body_too_large"),
        (502, "<html>", "bad_gateway"),
        (503, "<html>", "no_endpoints"),
    ] {
        let url = format!("http://{}", front(status, body).await);
        let (found, message) = hopclock(&bench, &get("github", &url)).await.error();
        assert_eq!(found, reason, "{status}: {message}");
    }
    for (status, body, reason) in
        [(200, "Welcome", "page_in_front"), (500, "<html>", "unexpected_answer")]
    {
        let url = format!("http://{}", front(status, body).await);
        let text = post(&bench, "github", "").replace(&bench.sandbox.flux().receiver_url(), &url);
        let (found, message) = hopclock(&bench, &text).await.error();
        assert_eq!(found, reason, "{status}: {message}");
    }
    let flux = bench.sandbox.flux();
    // A proxy that cuts the path off.
    let cut = format!("{}/else", flux.receiver_url());
    let (found, message) = hopclock(&bench, &get("github", &cut)).await.error();
    assert_eq!(found, "hook_path_lost", "{message}");
    let nobody = front(200, "").await.port();
    let free = format!("http://localhost.invalid:{nobody}");
    let (found, message) = hopclock(&bench, &get("github", &free)).await.error();
    assert_eq!(found, "webhook_host_unknown", "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_server_in_place_of_the_receivers_is_named() {
    let bench = Bench::new().await;
    bench.lane("canary", "10m", Hook::Silent).await;
    with_token(&bench, "github", &["push"]).await;
    let flux = bench.sandbox.flux();
    let (before, events) = (requested(&bench), flux.event_url());
    let (found, message) = hopclock(&bench, &get("github", &events)).await.error();
    assert_eq!(found, "event_server", "{message}");
    // Every call is the same event of no object to it, and that was told just now.
    let post = post(&bench, "github", "").replace(&flux.receiver_url(), &events);
    let (found, message) = hopclock(&bench, &post).await.error();
    assert_eq!(found, "rate_limited", "{message}");
    assert!(message.contains("or the event server of notification-controller"), "{message}");
    assert_eq!((flux.events().delivered, requested(&bench)), (0, before), "nothing came of it");
}
