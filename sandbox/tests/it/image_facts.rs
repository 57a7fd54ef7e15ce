//! Facts about Flux's image controllers that a stopwatch meets, one test for each.
//!
//! A real registry in virtual time, as in the stories.

use std::time::Duration;

use hopclock_sandbox::flux::Controller;
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::registry::Fault;
use hopclock_sandbox::registry::FaultRule;
use hopclock_sandbox::registry::Gate;
use hopclock_sandbox::registry::Registry;
use hopclock_sandbox::registry::RegistryOptions;
use hopclock_sandbox::registry::Rights;
use hopclock_sandbox::registry::Route;
use hopclock_sandbox::registry::Scheme;
use serde_json::Value;
use serde_json::json;

use crate::lab::Lab;
use crate::lab::condition_of;
use crate::lab::fleet;
use crate::lab::object;

const REPOSITORY: &str = "team/app";
const IMAGE: &str = "ImageRepository";
const POLICY: &str = "ImagePolicy";
const AUTOMATION: &str = "ImageUpdateAutomation";
const FILE: &str = "apps/app.yaml";

/// A settled pipeline: an image of one tag, a policy, and an automation.
async fn lab() -> (Lab, Registry) {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let _ = registry.push_image(REPOSITORY, "0.1.0", "one");
    let image = format!("{}/{REPOSITORY}", registry.host());
    let objects = vec![
        fleet("1h"),
        object(IMAGE, "app", &json!({"image": image, "interval": "1h"})),
        object(POLICY, "app", &policy("Never")),
        object(AUTOMATION, "fleet", &automation(&json!({"branch": "main"}))),
    ];
    let file = format!("tag: 0.1.0 # {}\n", json!({"$imagepolicy": "flux-system:app:tag"}));
    let speeds = Speeds { jitter_percent: 0, ..Speeds::default() };
    let mut lab = Lab::start(speeds, objects, &[(FILE, &file)]).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    lab.begin();
    (lab, registry)
}

fn policy(reflection: &str) -> Value {
    json!({"imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "0.x"}},
        "digestReflectionPolicy": reflection})
}

fn automation(push: &Value) -> Value {
    json!({"interval": "30m", "sourceRef": {"kind": "GitRepository", "name": "fleet"},
        "git": {"checkout": {"ref": {"branch": "main"}}, "push": push,
            "commit": {"author": {"name": "bot", "email": "bot@example.com"}}},
        "update": {"path": "./apps", "strategy": "Setters"}})
}

fn message(object: &Value, condition: &str) -> String {
    let all = object["status"]["conditions"].as_array().unwrap();
    let found = all.iter().find(|it| it["type"] == condition).unwrap();
    found["message"].as_str().unwrap().to_owned()
}

fn handled(object: &Value) -> bool {
    object["status"]["lastHandledReconcileAt"] == "now"
}

#[tokio::test(start_paused = true)]
async fn a_scan_costs_two_requests_and_shows_ten_tags_from_the_end_of_the_alphabet() {
    let (lab, registry) = lab().await;
    for number in 2..14 {
        let _ = registry.push_image(REPOSITORY, &format!("0.{number}.0"), "x");
    }
    let _ = registry.push_image(REPOSITORY, "sha256-00.sig", "x");
    let before = registry.requests().len();
    lab.request(IMAGE, "app", "now");
    lab.until(IMAGE, "app", handled).await;
    let routes: Vec<_> = registry.requests()[before..].iter().map(|it| it.route).collect();
    assert_eq!(routes, [Route::Ping, Route::Tags]);
    let result = &lab.get(IMAGE, "app")["status"]["lastScanResult"];
    assert_eq!(result["tagCount"], 13, "a signature is no tag");
    let shown = result["latestTags"].as_array().unwrap();
    assert_eq!((shown.len(), &shown[0], &shown[9]), (10, &json!("0.9.0"), &json!("0.12.0")));
    lab.until(POLICY, "app", |it| it["status"]["latestRef"]["tag"] == "0.13.0").await;
    lab.until(AUTOMATION, "fleet", |it| it["status"]["lastPushCommit"].is_string()).await;
    assert!(lab.git.text(FILE).starts_with("tag: 0.13.0 # "));
}

#[tokio::test(start_paused = true)]
async fn what_a_registry_refuses_is_in_the_message_and_retried() {
    let (lab, registry) = lab().await;
    for (status, words) in [
        (401, "UNAUTHORIZED: authentication required"),
        (403, "DENIED: requested access to the resource is denied"),
        (404, "NAME_UNKNOWN: repository name not known to registry"),
        (429, "TOOMANYREQUESTS: too many requests"),
        (500, "UNKNOWN: unknown error"),
    ] {
        registry.add_fault(FaultRule::once(Route::Tags, Fault::Status(status, Some(1))));
        lab.request(IMAGE, "app", &status.to_string());
        let failed = |it: &Value| condition_of(it, "Ready") == "False/ReadOperationFailed";
        lab.until(IMAGE, "app", failed).await;
        let message = message(&lab.get(IMAGE, "app"), "Ready");
        assert!(message.starts_with("scan failed: GET http://"), "{message}");
        assert!(message.ends_with(words), "{message}");
        lab.until_ready(IMAGE, "app").await;
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_come_from_the_docker_configuration_in_the_secret() {
    let (lab, registry) = lab().await;
    for scheme in [Scheme::Basic, Scheme::Bearer] {
        registry.set_gate(Gate::locked(scheme, "user", "word", Rights::Pull));
        let name = format!("{scheme:?}").to_lowercase();
        lab.request(IMAGE, "app", &name);
        let failed = |it: &Value| condition_of(it, "Ready") == "False/ReadOperationFailed";
        lab.until(IMAGE, "app", failed).await;
        let account = json!({"username": "user", "password": "word"});
        let auths = json!({"auths": {registry.host(): account}}).to_string();
        let mut secret = object("Secret", &name, &Value::Null);
        secret["stringData"] = json!({".dockerconfigjson": auths});
        lab.store.create(secret, "lab").unwrap();
        lab.spec(IMAGE, "app", &json!({"secretRef": {"name": name}}));
        lab.request(IMAGE, "app", &format!("{name} again"));
        lab.until_ready(IMAGE, "app").await;
        lab.spec(IMAGE, "app", &json!({"secretRef": null}));
        lab.until_ready(IMAGE, "app").await;
    }
    lab.spec(IMAGE, "app", &json!({"secretRef": {"name": "nobody"}}));
    let failed = |it: &Value| condition_of(it, "Ready") == "False/AuthenticationFailed";
    lab.until(IMAGE, "app", failed).await;
    let message = message(&lab.get(IMAGE, "app"), "Ready");
    let expected = "failed to configure authentication options: secrets \"nobody\" not found";
    assert_eq!(message, expected);
}

#[tokio::test(start_paused = true)]
async fn suspended_image_objects_echo_a_request_but_an_automation_does_not() {
    let (lab, registry) = lab().await;
    for (kind, name) in [(IMAGE, "app"), (POLICY, "app"), (AUTOMATION, "fleet")] {
        lab.spec(kind, name, &json!({"suspend": true}));
    }
    let scans = registry.count(Route::Tags);
    for (kind, name) in [(IMAGE, "app"), (POLICY, "app"), (AUTOMATION, "fleet")] {
        lab.request(kind, name, "now");
    }
    lab.at(10.0).await;
    assert!(handled(&lab.get(IMAGE, "app")) && handled(&lab.get(POLICY, "app")));
    assert!(!handled(&lab.get(AUTOMATION, "fleet")));
    assert_eq!(registry.count(Route::Tags), scans);
}

#[tokio::test(start_paused = true)]
async fn a_new_pod_has_no_tags_until_it_has_scanned() {
    let (lab, registry) = lab().await;
    registry.go_down();
    lab.flux.restart_controller(Controller::Reflector).await.unwrap();
    let unready = |it: &Value| condition_of(it, "Ready") == "False/DependencyNotReady";
    lab.until(POLICY, "app", unready).await;
    let waited = lab.first(POLICY, "app", unready);
    assert!((7.0..8.5).contains(&waited), "{waited}");
    assert_eq!(message(&lab.get(POLICY, "app"), "Ready"), "no tags in database");
    let scanning = lab
        .changes(IMAGE, "app")
        .into_iter()
        .find(|change| condition_of(&change.object, "Ready") == "Unknown/Progressing");
    assert_eq!(message(&scanning.unwrap().object, "Ready"), "scanning: no tags in database");
    registry.come_back().unwrap();
    lab.until_ready(IMAGE, "app").await;
    lab.until_ready(POLICY, "app").await;
    let ready = lab.changes(POLICY, "app").pop().unwrap().at.duration_since(lab.start);
    assert!((30.0..45.0).contains(&ready.as_secs_f64()), "half a minute later: {ready:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_pushed_again_wakes_no_policy() {
    let (lab, registry) = lab().await;
    lab.spec(POLICY, "app", &policy("IfNotPresent"));
    lab.until(POLICY, "app", |it| it["status"]["latestRef"]["digest"].is_string()).await;
    let digest = lab.get(POLICY, "app")["status"]["latestRef"]["digest"].clone();
    let asked = registry.count(Route::Manifest);
    let other = registry.push_image(REPOSITORY, "0.1.0", "another one");
    lab.request(IMAGE, "app", "now");
    lab.until(IMAGE, "app", handled).await;
    lab.request(POLICY, "app", "now");
    lab.until(POLICY, "app", handled).await;
    assert_eq!(lab.get(POLICY, "app")["status"]["latestRef"]["digest"], digest);
    assert_eq!(registry.count(Route::Manifest), asked, "it is asked for once for each tag");
    lab.spec(POLICY, "app", &json!({"digestReflectionPolicy": "Always", "interval": "1m"}));
    lab.until(POLICY, "app", |it| it["status"]["latestRef"]["digest"] == other).await;
    let before = registry.count(Route::Manifest);
    lab.at(190.0).await;
    assert!(registry.count(Route::Manifest) >= before + 2, "it is asked for every minute");
}

#[tokio::test(start_paused = true)]
async fn policies_that_cannot_work_are_stalled_and_others_are_retried() {
    let (lab, _registry) = lab().await;
    let broken = [
        (json!({"digestReflectionPolicy": "Always"}), "IntervalNotConfigured"),
        (
            json!({"digestReflectionPolicy": "Never", "policy": {"semver": {"range": "what"}}}),
            "InvalidPolicy",
        ),
    ];
    for (patch, reason) in broken {
        lab.spec(POLICY, "app", &patch);
        let stalled = |it: &Value| condition_of(it, "Stalled") == format!("True/{reason}");
        lab.until(POLICY, "app", stalled).await;
        assert_eq!(condition_of(&lab.get(POLICY, "app"), "Reconciling"), "");
    }
    let patch =
        json!({"policy": {"semver": {"range": "0.x"}}, "imageRepositoryRef": {"name": "x"}});
    lab.spec(POLICY, "app", &patch);
    let failed = |it: &Value| condition_of(it, "Ready") == "False/DependencyNotReady";
    lab.until(POLICY, "app", failed).await;
    assert_eq!(condition_of(&lab.get(POLICY, "app"), "Reconciling"), "True/ProgressingWithRetry");
    lab.spec(IMAGE, "app", &json!({"image": "https://x.example/y"}));
    let stalled = |it: &Value| condition_of(it, "Stalled") == "True/ImageURLInvalid";
    lab.until(IMAGE, "app", stalled).await;
}

#[tokio::test(start_paused = true)]
async fn an_automation_with_nothing_to_do_says_only_that_it_ran() {
    let (lab, _registry) = lab().await;
    let before = lab.git.fetches().len();
    lab.at(1800.0).await;
    let changes = lab.changes(AUTOMATION, "fleet");
    assert_eq!(changes.len(), 1, "{changes:?}");
    let mut both = [changes[0].before.as_deref().unwrap(), &*changes[0].object]
        .map(|object| object["status"].clone());
    let times = both.each_mut().map(|status| status["lastAutomationRunTime"].take());
    assert!(times[0] != times[1] && both[0] == both[1]);
    assert_eq!(lab.git.fetches().len(), before + 1, "the remote was listed, not cloned");
}

#[tokio::test(start_paused = true)]
async fn automations_that_cannot_work_say_why() {
    let (lab, registry) = lab().await;
    let no_branch = json!({"sourceRef": {"name": "fleet"}, "git": {"checkout": {"ref": {"branch": null, "tag": "v1"}},
        "push": null}});
    let cases = [
        (json!({"sourceRef": {"kind": "Bucket"}}), "Stalled", "True/InvalidSourceConfiguration"),
        (
            json!({"sourceRef": {"kind": "GitRepository"}, "update": {"strategy": "Magic"}}),
            "Stalled",
            "True/InvalidUpdateStrategy",
        ),
        (
            json!({"update": {"strategy": "Setters"}, "sourceRef": {"name": "nobody"}}),
            "Ready",
            "False/SourceManagerFailed",
        ),
        (no_branch, "Stalled", "True/InvalidSourceConfiguration"),
    ];
    for (patch, condition, expected) in cases {
        lab.spec(AUTOMATION, "fleet", &patch);
        lab.until(AUTOMATION, "fleet", |it| condition_of(it, condition) == expected).await;
    }
    let git = json!({"checkout": {"ref": {"branch": "main", "tag": null}},
        "commit": {"messageTemplate": "{{ .Updated }}"}});
    lab.spec(AUTOMATION, "fleet", &json!({"git": git}));
    lab.until_ready(AUTOMATION, "fleet").await;
    let _ = registry.push_image(REPOSITORY, "0.2.0", "two");
    lab.request(IMAGE, "app", "now");
    let removed = |it: &Value| condition_of(it, "Stalled") == "True/RemovedTemplateField";
    lab.until(AUTOMATION, "fleet", removed).await;
    lab.git.set_down(true);
    lab.spec(AUTOMATION, "fleet", &json!({"git": {"commit": {"messageTemplate": "x"}}}));
    let failed = |it: &Value| condition_of(it, "Ready") == "False/GitOperationFailed";
    lab.until(AUTOMATION, "fleet", failed).await;
    let message = message(&lab.get(AUTOMATION, "fleet"), "Ready");
    assert!(message.starts_with("failed to checkout source: "), "{message}");
    lab.git.set_down(false);
    lab.until(AUTOMATION, "fleet", |it| it["status"]["lastPushCommit"].is_string()).await;
    assert!(lab.git.text(FILE).starts_with("tag: 0.2.0"));
}
