//! Image lanes over real sockets: registry, webhooks, scan, automation with git, cluster.

use std::sync::Arc;

use futures_util::future::join_all;
use hopclock_sandbox::git::NewCommit;
use hopclock_sandbox::git::Refusal;
use hopclock_sandbox::git::RefusedBy;
use hopclock_sandbox::git::RequestKind;
use hopclock_sandbox::git::UpdatedBy;
use hopclock_sandbox::git::WebhookFault;
use hopclock_sandbox::pipeline::CANARY_NAMESPACE;
use hopclock_sandbox::pipeline::CANARY_PATH;
use hopclock_sandbox::pipeline::Digests;
use hopclock_sandbox::pipeline::Door;
use hopclock_sandbox::pipeline::Hook;
use hopclock_sandbox::pipeline::ImageLane;
use hopclock_sandbox::pipeline::ImageLanePlaces;
use hopclock_sandbox::pipeline::PushTo;
use hopclock_sandbox::pipeline::Sandbox;
use hopclock_sandbox::pipeline::SandboxOptions;
use hopclock_sandbox::pipeline::ScanHook;
use hopclock_sandbox::registry::Route;
use hopclock_sandbox::registry::WebhookFormat;
use hopclock_sandbox::store::Key;
use serde_json::Value;

use crate::lab::condition_of;
use crate::lab::key;

const AUTOMATION: &str = "ImageUpdateAutomation";

/// A sandbox with one lane, `app`.
async fn sandbox(lane: &ImageLane) -> (Sandbox, ImageLanePlaces) {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let places = sandbox.add_image_lane(lane).await.unwrap();
    (sandbox, places)
}

/// Waits until an object is as it should be.
async fn until(sandbox: &Sandbox, key: &Key, is: impl Fn(&Value) -> bool) -> Arc<Value> {
    let store = sandbox.store();
    let mut watch = store.watch_kind(&key.kind, store.version());
    loop {
        if let Some(object) = store.get(key).filter(|object| is(object)) {
            return object;
        }
        watch.next().await.unwrap();
    }
}

async fn live(sandbox: &Sandbox, tag: &str) -> Arc<Value> {
    let canary = Key::new("ConfigMap", CANARY_NAMESPACE, "app");
    until(sandbox, &canary, |it| it["data"]["tag"] == tag).await
}

fn silent() -> ImageLane {
    ImageLane {
        scan_hook: ScanHook::Silent,
        scan_interval: "2s".to_owned(),
        ..ImageLane::new("app")
    }
}

#[tokio::test]
async fn a_pushed_tag_is_live_through_a_commit_of_the_automation() {
    let (sandbox, places) = sandbox(&ImageLane::new("app")).await;
    let _ = sandbox.registry().push_image(&places.repository, "0.2.0", "two");
    let canary = live(&sandbox, "0.2.0").await;
    assert_eq!(canary["data"]["image"], format!("{}:0.2.0", places.image));
    let pushes = sandbox.git().ref_updates();
    let push = pushes.iter().find(|update| update.by == UpdatedBy::Push).unwrap();
    let done = |it: &Value| it["status"]["lastPushCommit"].is_string();
    let automation = until(&sandbox, &key(AUTOMATION, "app"), done).await;
    assert_eq!(automation["status"]["lastPushCommit"], push.new);
    assert_eq!(automation["status"]["observedSourceRevision"], format!("main@sha1:{}", push.new));
    assert_eq!(sandbox.git().count(RequestKind::Push), 1);
    let taken = sandbox.flux().taken_events();
    let told = taken.iter().find(|it| it.event.message.starts_with("pushed commit")).unwrap();
    let image = &places.image;
    let expected = format!(
        "pushed commit '{}' to branch 'main'\n{image}:0.1.0 -> {image}:0.2.0\n0.1.0 -> 0.2.0\n",
        &push.new[..7]
    );
    assert_eq!(told.event.message, expected);
    let update = &sandbox.registry().tag_updates()[1];
    assert_eq!((update.tag.as_str(), update.before.as_deref()), ("0.2.0", None));
    assert!(update.at < push.at);
}

#[tokio::test]
async fn a_locked_lane_scans_with_a_token_and_pushes_with_a_password() {
    let lane = ImageLane { door: Door::Locked, message: String::new(), ..ImageLane::new("app") };
    let (sandbox, places) = sandbox(&lane).await;
    assert!(places.account.is_some());
    let before = sandbox.registry().count(Route::Token);
    let _ = sandbox.registry().push_image(&places.repository, "0.2.0", "two");
    live(&sandbox, "0.2.0").await;
    assert_eq!(sandbox.registry().count(Route::Token), before + 1);
    let refused = sandbox.registry().requests();
    assert!(refused.iter().any(|it| it.route == Route::Ping && it.status == Some(401)));
    let taken = sandbox.flux().taken_events();
    let default = "\nUpdate from image update automation";
    assert!(taken.iter().any(|it| it.event.message.ends_with(default)));
}

#[tokio::test]
async fn a_lane_without_webhooks_waits_for_its_intervals() {
    let lane = ImageLane { git_hook: Hook::Silent, git_interval: "1s".to_owned(), ..silent() };
    let (sandbox, places) = sandbox(&lane).await;
    let _ = sandbox.registry().push_image(&places.repository, "0.2.0", "two");
    live(&sandbox, "0.2.0").await;
    assert!(sandbox.registry().deliveries().is_empty());
    assert!(sandbox.git().deliveries().is_empty());
}

#[tokio::test]
async fn a_branch_of_its_own_has_to_be_merged_and_a_refspec_is_pushed_too() {
    let push = PushTo::Branch("image-updates".to_owned());
    let (sandbox, places) = sandbox(&ImageLane { push, ..ImageLane::new("app") }).await;
    let git = sandbox.git();
    let base = git.tip(&places.git, "main").unwrap();
    let _ = sandbox.registry().push_image(&places.repository, "0.2.0", "two");
    let pushed = |it: &Value| it["status"]["lastPushCommit"].is_string();
    let automation = until(&sandbox, &key(AUTOMATION, "app"), pushed).await;
    let commit = automation["status"]["lastPushCommit"].as_str().unwrap();
    assert_eq!(git.tip(&places.git, "image-updates").unwrap(), commit);
    assert_eq!(git.tip(&places.git, "main").unwrap(), base);
    assert_eq!(automation["status"]["observedSourceRevision"], format!("main@sha1:{base}"));
    let manifest = ImageLane::new("app").manifest(&places.image, "0.2.0", "");
    let merge = NewCommit::new("main", "Merge").on(&[&base, commit]).file(CANARY_PATH, &manifest);
    git.commit(&places.git, &merge).unwrap();
    live(&sandbox, "0.2.0").await;

    let push = PushTo::MainAndRefspec("refs/heads/main:refs/heads/log".to_owned());
    let places =
        sandbox.add_image_lane(&ImageLane { push, ..ImageLane::new("two") }).await.unwrap();
    let _ = sandbox.registry().push_image(&places.repository, "0.3.0", "three");
    let automation = until(&sandbox, &key(AUTOMATION, "two"), pushed).await;
    for branch in ["main", "log"] {
        let tip = git.tip(&places.git, branch).unwrap();
        assert_eq!(automation["status"]["lastPushCommit"], tip, "{branch}");
    }
    let taken = sandbox.flux().taken_events();
    let named = "to branch 'main' and refspecs 'refs/heads/main:refs/heads/log'\n";
    assert!(taken.iter().any(|it| it.event.message.contains(named)));
}

#[tokio::test]
async fn a_digest_is_pinned_in_git_beside_its_tag() {
    let lane = ImageLane { digests: Digests::IfNotPresent, ..ImageLane::new("app") };
    let (sandbox, places) = sandbox(&lane).await;
    let digest = sandbox.registry().push_image(&places.repository, "0.2.0", "two");
    let canary = live(&sandbox, "0.2.0").await;
    assert_eq!(canary["data"]["digest"], digest);
    assert_eq!(canary["data"]["image"], format!("{}:0.2.0@{digest}", places.image));
    let policy = sandbox.store().get(&key("ImagePolicy", "app")).unwrap();
    assert_eq!(policy["status"]["latestRef"]["digest"], digest);
    assert_eq!(policy["status"]["observedPreviousRef"]["tag"], "0.1.0");
}

#[tokio::test]
async fn every_maker_of_registries_has_a_receiver_for_its_webhooks() {
    let sandbox = &Sandbox::start(SandboxOptions::default()).await.unwrap();
    let (right, wrong) = (ScanHook::Right, ScanHook::WrongSecret);
    let cases = [
        ("generic", right(WebhookFormat::Generic), 200),
        ("hmac", right(WebhookFormat::GenericHmac), 200),
        ("forged-hmac", wrong(WebhookFormat::GenericHmac), 400),
        ("harbor", right(WebhookFormat::Harbor), 200),
        ("forged-harbor", wrong(WebhookFormat::Harbor), 400),
        ("dockerhub", right(WebhookFormat::DockerHub), 200),
        ("quay", right(WebhookFormat::Quay), 200),
    ];
    let checks = cases.map(|(name, scan_hook, expected)| async move {
        let lane = ImageLane { scan_hook, ..ImageLane::new(name) };
        let places = sandbox.add_image_lane(&lane).await.unwrap();
        let _ = sandbox.registry().push_image(&places.repository, "0.2.0", "two");
        let delivered = || {
            let all = sandbox.registry().deliveries();
            all.into_iter().find(|it| it.repository == places.repository)
        };
        assert_eq!(eventually(delivered).await.status, Some(expected), "{name}");
    });
    join_all(checks).await;
}

#[tokio::test]
async fn a_webhook_that_is_lost_is_logged_and_nobody_scans() {
    let (sandbox, places) = sandbox(&ImageLane::new("app")).await;
    sandbox.registry().set_webhook_fault(&places.repository, Some(WebhookFault::Lost));
    let scans = sandbox.registry().count(Route::Tags);
    let _ = sandbox.registry().push_image(&places.repository, "0.2.0", "two");
    let lost = eventually(|| sandbox.registry().deliveries().pop()).await;
    assert_eq!((lost.status, lost.fault), (None, Some(WebhookFault::Lost)));
    assert_eq!(sandbox.registry().count(Route::Tags), scans);
}

#[tokio::test]
async fn a_refused_push_is_the_automations_failure_with_the_servers_words() {
    let (sandbox, places) = sandbox(&ImageLane::new("app")).await;
    let refusal = Refusal {
        by: RefusedBy::PreReceiveHook,
        reference: "refs/heads/main".to_owned(),
        message: "only people may push here".to_owned(),
    };
    sandbox.git().set_refusal(&places.git, Some(refusal)).unwrap();
    let _ = sandbox.registry().push_image(&places.repository, "0.2.0", "two");
    let failed = |it: &Value| condition_of(it, "Ready") == "False/GitOperationFailed";
    let automation = until(&sandbox, &key(AUTOMATION, "app"), failed).await;
    let conditions = automation["status"]["conditions"].as_array().unwrap();
    let message = conditions.iter().find(|it| it["type"] == "Ready").unwrap()["message"].clone();
    let message = message.as_str().unwrap();
    assert!(message.starts_with("failed to update source: "), "{message}");
    assert!(message.contains("only people may push here"), "{message}");
    assert_eq!(condition_of(&automation, "Reconciling"), "True/ProgressingWithRetry");
    sandbox.git().set_refusal(&places.git, None).unwrap();
    live(&sandbox, "0.2.0").await;
}

/// Waits for something that happens soon.
async fn eventually<T>(look: impl Fn() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "it did not happen");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
