//! Facts about Flux that a stopwatch meets, one test for each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hopclock_sandbox::flux::Controller;
use hopclock_sandbox::flux::EventCounts;
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::store::Key;
use serde_json::Value;
use serde_json::json;

use crate::lab::Lab;
use crate::lab::TOKEN;
use crate::lab::applier;
use crate::lab::condition_of;
use crate::lab::fleet;
use crate::lab::key;
use crate::lab::map;
use crate::lab::object;
use crate::lab::receiver;

const GIT: &str = "GitRepository";
const KS: &str = "Kustomization";

/// A settled pipeline of one source and one applier, and whatever else is given.
async fn lab(more: Vec<Value>) -> Lab {
    let mut objects = receiver();
    objects.extend([fleet("1h"), applier("apps", json!({}))]);
    objects.extend(more);
    let files = [("apps/canary.yaml", map("canary", "0")), ("dependent/a.yaml", map("a", "0"))];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let speeds = Speeds { jitter_seed: Some(1), ..Speeds::default() };
    let mut lab = Lab::start(speeds, objects, &files).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    lab.begin();
    lab
}

fn push(lab: &Lab, run: &str) -> String {
    lab.git.commit(&format!("canary {run}"), &[("apps/canary.yaml", Some(&map("canary", run)))])
}

fn handled(object: &Value) -> &Value {
    &object["status"]["lastHandledReconcileAt"]
}

#[tokio::test(start_paused = true)]
async fn conditions_reach_the_cluster_before_the_rest_of_status() {
    let lab = lab(vec![]).await;
    push(&lab, "1");
    assert_eq!(lab.webhook(TOKEN).await, 200);
    lab.at(10.0).await;
    for (kind, name, field) in [(GIT, "fleet", "artifact"), (KS, "apps", "lastAppliedRevision")] {
        let changes = lab.changes(kind, name);
        for change in &changes {
            let mut rest = [change.before.as_deref().unwrap(), &*change.object]
                .map(|object| object["status"].clone());
            let conditions = rest.each_mut().map(|status| status["conditions"].take());
            let both = conditions[0] != conditions[1] && rest[0] != rest[1];
            assert!(!both, "{kind}: one write of conditions and of {rest:?}");
        }
        let ready = lab.first(kind, name, |object| {
            condition_of(object, "Ready").starts_with("True/")
                && condition_of(object, "Reconciling").is_empty()
        });
        let old = changes[0].before.as_deref().unwrap()["status"][field].clone();
        let told = lab.first(kind, name, |object| object["status"][field] != old);
        assert!(ready < told, "{kind}: ready at {ready}, {field} at {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_commit_is_live_within_half_a_second_of_its_webhook() {
    let lab = lab(vec![]).await;
    let commit = push(&lab, "1");
    assert_eq!(lab.webhook(TOKEN).await, 200);
    let revision = format!("main@sha1:{commit}");
    lab.until(KS, "apps", |object| object["status"]["lastAppliedRevision"] == *revision).await;
    let canary = lab.store.get(&Key::new("ConfigMap", "default", "canary")).unwrap();
    assert_eq!(canary["data"]["run"], "1");
    assert_eq!(canary["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"], "apps");
    let applied =
        lab.first(KS, "apps", |object| object["status"]["lastAppliedRevision"] == *revision);
    assert!((0.2..0.5).contains(&applied), "{applied}");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_object_echoes_a_request_and_does_nothing_else() {
    let lab = lab(vec![]).await;
    for (kind, name) in [(GIT, "fleet"), (KS, "apps")] {
        lab.spec(kind, name, &json!({"suspend": true}));
    }
    lab.at(1.0).await;
    let fetches = lab.git.fetches().len();
    push(&lab, "1");
    for (kind, name) in [(GIT, "fleet"), (KS, "apps")] {
        lab.request(kind, name, "now");
        lab.until(kind, name, |object| handled(object) == "now").await;
        let words = |change: &Value| condition_of(change, "Reconciling");
        assert!(lab.changes(kind, name).iter().all(|change| words(&change.object).is_empty()));
    }
    assert_eq!(lab.git.fetches().len(), fetches);
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_echoes_the_request_and_keeps_the_generation_unseen() {
    let lab = lab(vec![]).await;
    lab.git.set_down(true);
    lab.spec(GIT, "fleet", &json!({"timeout": "30s"}));
    lab.request(GIT, "fleet", "now");
    lab.until(GIT, "fleet", |object| handled(object) == "now").await;
    let source = lab.get(GIT, "fleet");
    assert_eq!(condition_of(&source, "Ready"), "False/GitOperationFailed");
    assert_eq!(condition_of(&source, "FetchFailed"), "True/GitOperationFailed");
    assert_eq!(condition_of(&source, "Reconciling"), "True/ProgressingWithRetry");
    assert_eq!(source["status"]["observedGeneration"], 1);
}

#[tokio::test(start_paused = true)]
async fn the_event_is_posted_before_the_artifact_is_published_and_costs_fifteen_seconds() {
    let lab = lab(vec![]).await;
    let commit = push(&lab, "1");
    lab.flux.stop_controller(Controller::Notification).await;
    lab.request(GIT, "fleet", "now");
    lab.at(60.0).await;
    let revision = format!("main@sha1:{commit}");
    let message = format!("building artifact: new upstream revision '{revision}'");
    let seen = lab.first(GIT, "fleet", |object| {
        let all = object["status"]["conditions"].as_array().unwrap();
        all.iter().any(|condition| condition["message"] == *message)
    });
    let published =
        lab.first(GIT, "fleet", |object| object["status"]["artifact"]["revision"] == *revision);
    assert!((15.0..15.1).contains(&(published - seen)), "{seen} {published}");
    assert_eq!(lab.flux.events().lost, 3, "new artifact, configured, finished");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_taken_at_the_next_attempt_once_the_server_is_back() {
    let lab = lab(vec![]).await;
    push(&lab, "1");
    lab.flux.stop_controller(Controller::Notification).await;
    lab.request(GIT, "fleet", "now");
    lab.at(5.0).await;
    lab.flux.start_controller(Controller::Notification).await.unwrap();
    lab.until(GIT, "fleet", |object| handled(object) == "now").await;
    let done = lab.first(GIT, "fleet", |object| handled(object) == "now");
    assert!((7.0..7.3).contains(&done), "attempts are after 0, 1, 3, 7 and 15 s: {done}");
    assert_eq!(lab.flux.events().lost, 0);
}

#[tokio::test(start_paused = true)]
async fn only_a_changed_digest_sends_an_event() {
    let lab = lab(vec![]).await;
    lab.spec(KS, "apps", &json!({"suspend": true}));
    lab.at(1.0).await;
    let accepted = || lab.flux.events().accepted;
    let before = accepted();
    let commit = lab.git.commit("picture", &[("logo.png", Some("x"))]);
    lab.request(GIT, "fleet", "1");
    lab.until(GIT, "fleet", |object| handled(object) == "1").await;
    let revision = lab.get(GIT, "fleet")["status"]["artifact"]["revision"].clone();
    assert_eq!(revision, *format!("main@sha1:{commit}"));
    assert_eq!(accepted(), before);
    push(&lab, "1");
    lab.request(GIT, "fleet", "2");
    lab.until(GIT, "fleet", |object| handled(object) == "2").await;
    assert_eq!(accepted(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_after_750_ms_and_then_twice_as_long_each_time() {
    let lab = lab(vec![]).await;
    lab.git.set_down(true);
    let first = lab.git.fetches().len();
    lab.request(GIT, "fleet", "now");
    lab.at(50.0).await;
    let fetches = lab.git.fetches()[first..].to_vec();
    let waits: Vec<f64> =
        fetches.windows(2).map(|two| two[1].duration_since(two[0]).as_secs_f64()).collect();
    assert_eq!(waits.len(), 6);
    for (wait, expected) in waits.iter().zip([0.75, 1.5, 3.0, 6.0, 12.0, 24.0]) {
        assert!((expected..expected + 0.05).contains(wait), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn intervals_are_off_by_up_to_five_percent_and_not_always_alike() {
    let lab = lab(vec![]).await;
    lab.spec(GIT, "fleet", &json!({"interval": "10s"}));
    let first = lab.git.fetches().len();
    lab.at(300.0).await;
    let fetches = lab.git.fetches()[first..].to_vec();
    let waits: Vec<u128> =
        fetches.windows(2).map(|two| two[1].duration_since(two[0]).as_millis()).collect();
    assert!(waits.len() > 25);
    assert!(waits.iter().all(|wait| (9_500..=10_530).contains(wait)), "{waits:?}");
    assert!(waits.iter().max().unwrap() - waits.iter().min().unwrap() > 300, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dependent_of_the_same_source_waits_half_a_minute() {
    let lab = lab(vec![applier("dependent", json!({"dependsOn": [{"name": "apps"}]}))]).await;
    let commit = push(&lab, "1");
    assert_eq!(lab.webhook(TOKEN).await, 200);
    lab.at(40.0).await;
    let revision = format!("main@sha1:{commit}");
    let applied =
        |name| lab.first(KS, name, |object| object["status"]["lastAppliedRevision"] == *revision);
    let behind = applied("dependent") - applied("apps");
    assert!((29.8..30.2).contains(&behind), "{behind}");
}

#[tokio::test(start_paused = true)]
async fn a_killed_controller_leaves_its_work_as_it_stands_and_takes_it_up_when_it_starts() {
    let lab = lab(vec![]).await;
    let commit = push(&lab, "1");
    assert_eq!(lab.webhook(TOKEN).await, 200);
    lab.at(0.06).await;
    lab.flux.kill_controller(Controller::Source).await;
    lab.at(30.0).await;
    assert_eq!(lab.condition(GIT, "fleet", "Reconciling"), "True/Progressing");
    lab.flux.restart_controller(Controller::Source).await.unwrap();
    let revision = format!("main@sha1:{commit}");
    lab.until(GIT, "fleet", |object| object["status"]["artifact"]["revision"] == *revision).await;
    assert_eq!(lab.condition(GIT, "fleet", "Reconciling"), "");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_controller_finishes_what_it_has_in_its_hands() {
    let lab = lab(vec![]).await;
    push(&lab, "1");
    assert_eq!(lab.webhook(TOKEN).await, 200);
    lab.at(0.06).await;
    lab.flux.stop_controller(Controller::Source).await;
    assert_eq!(lab.condition(GIT, "fleet", "Reconciling"), "");
    lab.request(GIT, "fleet", "later");
    lab.at(60.0).await;
    assert_ne!(*handled(&lab.get(GIT, "fleet")), "later");
}

#[tokio::test(start_paused = true)]
async fn a_source_says_why_it_cannot_be_fetched() {
    let lab = lab(vec![object("Secret", "login", &Value::Null)]).await;
    let reason = async |patch: Value| {
        lab.spec(GIT, "fleet", &patch);
        let generation = lab.get(GIT, "fleet")["metadata"]["generation"].clone();
        lab.until(GIT, "fleet", |object| {
            let all = object["status"]["conditions"].as_array().unwrap();
            let ready = all.iter().find(|it| it["type"] == "Ready").unwrap();
            ready["observedGeneration"] == generation
        })
        .await;
        lab.condition(GIT, "fleet", "Ready")
    };
    let missing = reason(json!({"secretRef": {"name": "nobody"}})).await;
    assert_eq!(missing, "False/AuthenticationFailed");
    lab.git.add_account("me", "right");
    let anonymous = reason(json!({"secretRef": null})).await;
    assert_eq!(anonymous, "False/GitOperationFailed");
    let login = json!({"stringData": {"username": "me", "password": "right"}});
    let secret = key("Secret", "login");
    lab.store.merge(&secret, &login, hopclock_sandbox::store::Part::Whole, "lab").unwrap();
    let known = reason(json!({"secretRef": {"name": "login"}})).await;
    assert_eq!(known, "True/Succeeded");
    let trusted = json!({"stringData": {"a.pub": include_str!("../fixtures/signed/ssh.pub")}});
    lab.store.create(object("Secret", "trusted", &Value::Null), "lab").unwrap();
    let secret = key("Secret", "trusted");
    lab.store.merge(&secret, &trusted, hopclock_sandbox::store::Part::Whole, "lab").unwrap();
    let verify = |mode: &str| json!({"verify": {"mode": mode, "secretRef": {"name": "trusted"}}});
    assert_eq!(reason(verify("TagAndHEAD")).await, "False/InvalidVerificationMode");
    assert_eq!(lab.condition(GIT, "fleet", "Stalled"), "True/InvalidVerificationMode");
    assert_eq!(reason(verify("HEAD")).await, "False/InvalidCommitSignature");
    let text = include_bytes!("../fixtures/signed/text");
    lab.git.sign_head(include_str!("../fixtures/signed/file.sig"), text);
    assert_eq!(reason(json!({"interval": "11m"})).await, "False/InvalidCommitSignature");
    lab.git.sign_head(include_str!("../fixtures/signed/git.sig"), text);
    lab.until_ready(GIT, "fleet").await;
    assert_eq!(lab.condition(GIT, "fleet", "SourceVerified"), "True/Succeeded");
    let stalled = reason(json!({"url": "nonsense"})).await;
    assert_eq!(stalled, "False/URLInvalid");
    lab.until(GIT, "fleet", |object| condition_of(object, "Stalled") == "True/URLInvalid").await;
    let fetches = lab.git.fetches().len();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(lab.git.fetches().len(), fetches, "a stalled source is not retried");
}

#[tokio::test(start_paused = true)]
async fn a_sources_first_artifact_is_announced_before_it_is_built() {
    let lab = lab(vec![]).await;
    let all = lab.store.changes();
    let words = all.iter().filter(|change| change.key == key(GIT, "fleet")).filter_map(|change| {
        let conditions = change.object["status"]["conditions"].as_array()?;
        let found = conditions.iter().find(|it| it["type"] == "Reconciling")?;
        Some(found["message"].as_str().unwrap().split('\'').next().unwrap().to_owned())
    });
    let mut words: Vec<String> = words.collect();
    words.dedup();
    assert_eq!(
        words,
        [
            "processing object: new generation -1 -> 1",
            "building artifact",
            "building artifact: new upstream revision "
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_leaves_git_leaves_the_cluster_and_so_does_all_with_its_applier() {
    let lab = lab(vec![]).await;
    let exists = |name| lab.store.get(&Key::new("ConfigMap", "default", name)).is_some();
    lab.git.commit("more", &[("apps/more.yaml", Some(&map("more", "0")))]);
    lab.request(GIT, "fleet", "1");
    lab.at(5.0).await;
    assert!(exists("more") && exists("canary"));
    lab.git.commit("less", &[("apps/more.yaml", None)]);
    lab.request(GIT, "fleet", "2");
    lab.at(10.0).await;
    assert!(!exists("more") && exists("canary"));
    lab.store.delete(&key(KS, "apps"), "lab").unwrap();
    lab.at(15.0).await;
    assert!(!exists("canary"));
}

#[tokio::test(start_paused = true)]
async fn an_applier_without_its_source_says_so_and_looks_again() {
    let lost = json!({"sourceRef": {"kind": "GitRepository", "name": "nobody"}});
    let lab = lab(vec![applier("dependent", lost)]).await;
    assert_eq!(lab.condition(KS, "dependent", "Ready"), "False/ArtifactFailed");
    lab.spec(KS, "dependent", &json!({"sourceRef": {"name": "fleet"}, "path": "./nowhere"}));
    lab.at(1.0).await;
    assert_eq!(lab.condition(KS, "dependent", "Ready"), "False/ArtifactFailed");
    lab.spec(KS, "dependent", &json!({"path": "./dependent"}));
    lab.until_ready(KS, "dependent").await;
}

#[tokio::test(start_paused = true)]
async fn what_the_sandbox_cannot_do_is_said_and_not_passed_over() {
    let lab = lab(vec![]).await;
    let ready = |reason: &'static str| move |it: &Value| condition_of(it, "Ready") == reason;
    lab.spec(KS, "apps", &json!({"postBuild": {"substitute": {"x": "y"}}}));
    lab.until(KS, "apps", ready("False/BuildFailed")).await;
    let expression = json!([{"name": "apps", "readyExpr": "true"}]);
    lab.spec(KS, "apps", &json!({"postBuild": null, "dependsOn": expression}));
    lab.until(KS, "apps", ready("False/DependencyNotReady")).await;
    lab.spec(GIT, "fleet", &json!({"ref": {"branch": null, "semver": ">1"}}));
    lab.until(GIT, "fleet", ready("False/GitOperationFailed")).await;
}

#[tokio::test(start_paused = true)]
async fn repeated_events_are_swallowed_for_five_minutes() {
    let lab = lab(vec![]).await;
    lab.git.set_down(true);
    let before = lab.flux.events();
    lab.request(GIT, "fleet", "now");
    lab.at(20.0).await;
    let after = lab.flux.events();
    let expected =
        EventCounts { accepted: before.accepted + 1, repeated: before.repeated + 4, ..before };
    assert_eq!(after, expected, "runs at 0, 0.75, 2.25, 5.25 and 11.25 s");
    lab.at(400.0).await;
    assert_eq!(lab.flux.events().accepted, before.accepted + 2);
}

#[tokio::test(start_paused = true)]
async fn an_included_source_has_to_be_there_and_its_news_are_found_at_the_next_look() {
    let mut parts = fleet("1h");
    parts["metadata"]["name"] = "parts".into();
    parts["spec"]["sparseCheckout"] = json!(["apps"]);
    let lab = lab(vec![]).await;
    let include = json!([{"repository": {"name": "parts"}, "fromPath": "apps", "toPath": "x"}]);
    lab.spec(GIT, "fleet", &json!({"include": include, "sparseCheckout": ["dependent"]}));
    lab.until(GIT, "fleet", |it| condition_of(it, "Ready") == "False/NotFound").await;
    assert_eq!(lab.condition(GIT, "fleet", "IncludeUnavailable"), "True/NotFound");
    lab.store.create(parts, "lab").unwrap();
    lab.until_ready(GIT, "fleet").await;
    let paths = || -> Vec<String> {
        let artifact = lab.get(GIT, "fleet")["status"]["artifact"].clone();
        lab.flux.artifacts().get(&artifact).unwrap().keys().cloned().collect()
    };
    assert_eq!(paths(), ["dependent/a.yaml", "x/canary.yaml"]);
    lab.git.commit("more", &[("apps/more.yaml", Some(&map("more", "0")))]);
    for name in ["parts", "fleet"] {
        lab.request(GIT, name, "now");
        lab.until(GIT, name, |object| handled(object) == "now").await;
    }
    assert_eq!(paths(), ["dependent/a.yaml", "x/canary.yaml", "x/more.yaml"]);
}

#[tokio::test(start_paused = true)]
async fn a_health_check_on_something_absent_fails_when_its_time_is_up_and_is_retried() {
    let check = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "late",
        "namespace": "default"}]);
    let more = json!({"healthChecks": check, "timeout": "32s", "retryInterval": "15s"});
    let lab = lab(vec![]).await;
    lab.spec(KS, "apps", &more);
    let failed = |object: &Value| condition_of(object, "Ready") == "False/HealthCheckFailed";
    lab.until(KS, "apps", failed).await;
    let at = lab.first(KS, "apps", failed);
    assert!((32.0..32.3).contains(&at), "{at}");
    let healthy = lab.get(KS, "apps")["status"]["conditions"].clone();
    let healthy = healthy.as_array().unwrap().iter().find(|it| it["type"] == "Healthy").unwrap();
    let message = "timeout waiting for: [ConfigMap/default/late status: 'NotFound']";
    assert_eq!(healthy["message"], message);
    let late = json!({"kind": "ConfigMap",
        "metadata": {"namespace": "default", "name": "late"}});
    lab.store.create(late, "lab").unwrap();
    lab.until_ready(KS, "apps").await;
    let ready = lab.first(KS, "apps", |object| {
        condition_of(object, "Healthy") == "True/Succeeded"
            && condition_of(object, "Ready").starts_with("True/")
    });
    assert!((47.0..48.0).contains(&ready), "{ready}");
}

#[tokio::test(start_paused = true)]
async fn a_third_source_waits_for_one_of_two_workers() {
    let mut lab = lab(vec![]).await;
    let slow = Speeds { clone: Duration::from_secs(10), ..lab.flux.speeds() };
    lab.flux.set_speeds(slow);
    lab.begin();
    for name in ["one", "two", "three"] {
        let mut source = fleet("1h");
        source["metadata"]["name"] = name.into();
        lab.store.create(source, "lab").unwrap();
    }
    lab.at(60.0).await;
    let published =
        |name| lab.first(GIT, name, |object| object["status"]["artifact"].is_object()).round();
    let times = ["one", "two", "three"].map(|name| format!("{}", published(name)));
    assert_eq!(times, ["10", "10", "20"]);
}

#[tokio::test(start_paused = true)]
async fn speeds_can_be_changed_while_everything_runs() {
    let lab = lab(vec![]).await;
    let slow = Speeds { clone: Duration::from_secs(20), ..lab.flux.speeds() };
    lab.flux.set_speeds(slow);
    push(&lab, "1");
    lab.request(GIT, "fleet", "now");
    lab.until(GIT, "fleet", |object| handled(object) == "now").await;
    let done = lab.first(GIT, "fleet", |object| handled(object) == "now");
    assert!((20.0..20.2).contains(&done), "{done}");
}

#[tokio::test(start_paused = true)]
async fn what_is_posted_is_a_kubernetes_event_as_well_and_counted_when_repeated() {
    let lab = lab(vec![]).await;
    lab.git.set_down(true);
    lab.request(GIT, "fleet", "now");
    lab.at(20.0).await;
    let (all, _) = lab.store.list("Event", Some("flux-system"));
    let about = |kind: &str, reason: &str| {
        let fits =
            |it: &&Arc<Value>| it["involvedObject"]["kind"] == kind && it["reason"] == reason;
        all.iter().filter(fits).map(|it| (it["type"].clone(), it["count"].clone())).collect()
    };
    let expected = |kind: &str, count: u64| vec![(json!(kind), json!(count))];
    assert_eq!(about(GIT, "GitOperationFailed"), expected("Warning", 5));
    assert_eq!(about(GIT, "NewArtifact"), expected("Normal", 1));
    let applied: Vec<_> = about(KS, "ReconciliationSucceeded");
    assert_eq!(applied[0], (json!("Normal"), json!(1)));
    let reporter = |it: &Arc<Value>| it["source"]["component"].as_str().map(str::to_owned);
    let reporters: BTreeSet<_> = all.iter().filter_map(reporter).collect();
    assert_eq!(
        reporters.into_iter().collect::<Vec<_>>(),
        ["kustomize-controller", "source-controller"]
    );
}
