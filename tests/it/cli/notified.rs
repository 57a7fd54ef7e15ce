//! Flux's notifications reach a service: signed, wrongly signed, and not at all.

use crate::cli::kit::{HOPS, Stage, lane, quick, told};
use crate::cli::serve_kit::{Scene, patient, record, write};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hopclock::model::{Outcome, Passage, RunRecord};
use hopclock_sandbox::flux::{Controller, Speeds};
use hopclock_sandbox::pipeline::{Door, Hook};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};
use std::time::Duration;

const FLAGS: [&str; 6] = [
    "--notify-listen",
    "127.0.0.1:0",
    "--notify-token",
    "flux=secret:flux-system/told",
    "--state",
    "file:state.sqlite",
];

fn object(api: &str, kind: &str, name: &str, rest: &Value) -> Value {
    let mut object = json!({"apiVersion": api, "kind": kind,
        "metadata": {"namespace": "flux-system", "name": name}});
    object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    object
}

fn secret(token: &str) -> Value {
    let data = json!({"data": {"token": STANDARD.encode(token)}});
    object("v1", "Secret", "told", &data)
}

/// A service that hears, with an Alert and a Provider that post to it.
async fn hearing(hook: Hook) -> Scene {
    let stage = Stage::quick(&lane("canary", hook, Door::Open)).await;
    write(&stage, "canary.yaml", &patient(&format!("{HOPS}  - notified: {{}}\n")));
    stage.create(secret("planted"));
    let scene = Scene::on(stage, &FLAGS).await;
    let said = scene.service.said();
    let address = said.split("notifications come to http://").nth(1).unwrap();
    let address = address.split("/notify/").next().unwrap();
    let api = "notification.toolkit.fluxcd.io/v1beta3";
    let spec = json!({"spec": {"type": "generic-hmac", "secretRef": {"name": "signing"},
        "address": format!("http://{address}/notify/flux")}});
    scene.stage.create(object(api, "Provider", "hopclock", &spec));
    let data = json!({"data": {"token": STANDARD.encode("planted")}});
    scene.stage.create(object("v1", "Secret", "signing", &data));
    let sources = json!([{"kind": "Kustomization", "name": "*"}]);
    let spec = json!({"spec": {"providerRef": {"name": "hopclock"}, "eventSources": sources}});
    scene.stage.create(object(api, "Alert", "hopclock", &spec));
    scene
}

fn passage<'r>(record: &'r RunRecord, hop: &str) -> &'r Passage {
    &record.hops.iter().find(|it| it.hop == hop).unwrap().passage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t4_a_notification_is_a_hop_at_its_arrival() {
    let scene = hearing(Hook::Right).await;
    let record = scene.ask().await;
    assert_eq!(record.outcome, Outcome::Ok, "{record:?}\n{}", scene.service.said());
    let Passage::Reached { uncertain, at, .. } = passage(&record, "notified") else {
        panic!("{record:?}\n{}", scene.service.said())
    };
    let fetched = passage(&record, "source_fetched").at().unwrap();
    // Flux tells of it when it has written that it is done; but that comes by another connection.
    assert!(!uncertain && at.most >= fetched.least, "{record:?}");
    assert!(scene.service.value("hopclock_notifications_total heard").await >= 1.0);
    assert!(scene.service.value("hopclock_hop_bypassed_total canary notified").await < 0.5);
    scene.end(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_a_wrong_token_is_counted_and_said_once_and_the_change_is_live_without_a_notification() {
    let scene = hearing(Hook::Right).await;
    let key = Key::new("Secret", "flux-system", "signing");
    let other = json!({"data": {"token": STANDARD.encode("another")}});
    scene.stage.sandbox.store().merge(&key, &other, Part::Whole, "test").unwrap();
    let record = scene.ask().await;
    assert_eq!(record.outcome, Outcome::Ok, "{record:?}");
    assert_eq!(*passage(&record, "notified"), Passage::Bypassed);
    assert!(scene.service.value("hopclock_notifications_total wrong_signature").await >= 1.0);
    assert!(scene.service.value("hopclock_hop_bypassed_total canary notified").await > 0.5);
    let said = scene.service.said();
    assert_eq!(said.matches("bears a wrong signature").count(), 1, "{said}");
    assert!(!said.contains("planted") && !said.contains("another"), "{said}");
    scene.end(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_a_notification_controller_that_is_down_is_seen_by_a_change_that_nobody_tells_of() {
    let scene = hearing(Hook::Silent).await;
    // A controller gives an event up at once, so that it does not hold up the fetch.
    let speeds = Speeds { event_retries: vec![Duration::from_millis(1)], ..quick() };
    scene.stage.sandbox.flux().set_speeds(speeds);
    scene.stage.sandbox.flux().stop_controller(Controller::Notification).await;
    let mut updates = scene.stage.sandbox.git().watch_updates();
    let fetch = async {
        updates.recv().await.unwrap();
        scene.fetch();
    };
    let (told, ()) = tokio::join!(scene.trigger(&["--wait"]), fetch);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("nobody told, though the change is there"), "{}", told.out);
    assert!(told.out.contains("its Provider's address ends in `/notify/flux`"), "{}", told.out);
    scene.end(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hop_that_nobody_could_reach_is_refused_before_anything_is_pushed() {
    let stage = Stage::quick(&lane("canary", Hook::Silent, Door::Open)).await;
    let file = stage.file(
        "a.yaml",
        &patient(
            "\n  - live: { config_map: hopclock/canary }\n  \
        - notified: { kustomization: flux-system/canary }\n",
        ),
    );
    let error = async |more: &[&str]| {
        let told = told(stage.call(&[&["run", file, "--output", "json"], more].concat())).await;
        match record(&told).outcome {
            Outcome::ProbeError(error) => error.message,
            other => panic!("{other}"),
        }
    };
    let said = error(&[]).await;
    assert!(said.contains("`--notify-listen ADDRESS`"), "{said}");
    let flags = ["--notify-listen", "127.0.0.1:0", "--notify-token", "other=unsigned"];
    let said = error(&flags).await;
    assert!(said.contains("there is only `other`"), "{said}");
    assert_eq!(stage.sandbox.git().ref_updates().len(), 1, "only the sandbox's own");
    for (flags, part) in [
        (&flags[..2], "--notify-token"),
        (&flags[2..], "--notify-listen"),
        (&["--notify-listen", "127.0.0.1:0", "--notify-token", "flux=x"][..], "LISTENER=unsigned"),
        (
            &["--notify-listen", "127.0.0.1:0", "--notify-token", "a=unsigned,a=env:B"][..],
            "given twice",
        ),
    ] {
        let told = told(stage.call(&[&["run", file], flags].concat())).await;
        assert_eq!(told.code, Some(2), "{told:?}");
        assert!(told.err.contains(part), "{told:?}");
    }
}
