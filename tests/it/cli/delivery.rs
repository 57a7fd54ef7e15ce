//! Changes that could not be delivered, or must not be made: each gets its reason and one sentence
//! that says what would mend it, and nothing is pushed.

use crate::cli::exit_codes::records;
use crate::cli::kit::{HOPS, Page, SOURCE, Stage, check, told};
use hopclock::model::{CanaryId, Passage};
use hopclock_sandbox::git::{NewCommit, RequestKind};
use hopclock_sandbox::pipeline::CANARY_PATH;
use insta::assert_snapshot;
use serde_json::{Value, json};

/// The hops of the lane, with an object that no inventory holds yet.
fn new_object() -> String {
    HOPS.replace("hopclock/canary", "hopclock/other")
}

fn object(group: &str, kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": group, "kind": kind,
        "metadata": {"name": name, "namespace": "flux-system"}, "spec": spec})
}

fn git_repository(name: &str, url: &str, spec: &Value) -> Value {
    let mut object = object("source.toolkit.fluxcd.io/v1", "GitRepository", name, spec);
    object["spec"]["url"] = url.into();
    object["spec"]["interval"] = "1s".into();
    object["spec"]["ref"] = json!({"branch": "main"});
    object
}

fn kustomization(name: &str, source: &str, path: &str) -> Value {
    let source = json!({"kind": "GitRepository", "name": source});
    let spec = json!({"interval": "1s", "path": path, "prune": true, "sourceRef": source});
    object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, &spec)
}

#[tokio::test]
async fn p7_a_source_that_would_not_hold_the_change_is_refused() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let commit = stage.sandbox.git().tip(&stage.url, "main").unwrap();
    let spec = |spec: Value| stage.change("GitRepository", "canary", &json!({"spec": spec}));
    for (reason, wrong, right) in [
        ("pinned_commit", json!({"ref": {"commit": commit}}), json!({"ref": {"commit": null}})),
        (
            "needs_tag_trigger",
            json!({"ref": {"semver": ">=1.0"}}),
            json!({"ref": {"semver": null}}),
        ),
        ("ignored", json!({"ignore": "/*\n!/apps/"}), json!({"ignore": null})),
        (
            "outside_sparse_checkout",
            json!({"sparseCheckout": ["apps", "infra"]}),
            json!({"sparseCheckout": null}),
        ),
        ("verify_unsatisfied", json!({"verify": {"mode": "HEAD"}}), json!({"verify": null})),
    ] {
        spec(wrong);
        stage.refused_for(reason, SOURCE, HOPS).await;
        stage.refuse_scenario(&mut page, reason, SOURCE, HOPS).await;
        spec(right);
    }
    let other = format!("{SOURCE}, branch: next");
    stage.refused_for("another_branch", &other, HOPS).await;
    stage.refuse_scenario(&mut page, "another_branch", &other, HOPS).await;
    let by_hand = format!("url: '{}/nothing.git'", stage.sandbox.git().base_url());
    stage.refused_for("another_repository", &by_hand, HOPS).await;
    stage.refuse_scenario(&mut page, "another_repository", &by_hand, HOPS).await;
    let ignore = NewCommit::new("main", "Ignore").file("canary/.sourceignore", "*.yaml\n");
    stage.sandbox.git().commit(&stage.url, &ignore).unwrap();
    stage.refuse_scenario(&mut page, "ignored by a file of the branch", SOURCE, HOPS).await;
    check(|| assert_snapshot!("delivery_source", page.text()));
}

#[tokio::test]
async fn p7_a_file_that_nothing_applies_is_refused() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let hops = new_object();
    stage.change("Kustomization", "canary", &json!({"spec": {"path": "./apps"}}));
    stage.refused_for("outside_applier", SOURCE, &hops).await;
    stage.refuse_scenario(&mut page, "outside_applier", SOURCE, &hops).await;
    stage.change("Kustomization", "canary", &json!({"spec": {"path": "./canary"}}));
    let list = NewCommit::new("main", "List").file("canary/kustomization.yaml", "resources: []\n");
    stage.sandbox.git().commit(&stage.url, &list).unwrap();
    stage.refused_for("not_in_kustomization", SOURCE, &hops).await;
    stage.refuse_scenario(&mut page, "not_in_kustomization", SOURCE, &hops).await;
    stage.create(kustomization("far", "elsewhere", "./canary"));
    let url = format!("{}/elsewhere.git", stage.sandbox.git().base_url());
    stage.create(git_repository("elsewhere", &url, &json!({})));
    let far = HOPS.replace("kustomization: flux-system/canary", "kustomization: flux-system/far");
    stage.refused_for("applier_of_another_source", SOURCE, &far).await;
    stage.refuse_scenario(&mut page, "applier_of_another_source", SOURCE, &far).await;
    check(|| assert_snapshot!("delivery_applier", page.text()));
}

#[tokio::test]
async fn s0_nothing_is_pushed_without_consent() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    stage.sandbox.consent("canary", None).unwrap();
    stage.refused_for("no_consent", SOURCE, HOPS).await;
    stage.refuse_scenario(&mut page, "no_consent", SOURCE, HOPS).await;
    let by_hand = format!("url: '{}'", stage.url);
    stage.refuse_scenario(&mut page, "no_consent, by hand", &by_hand, HOPS).await;
    let unknown = HOPS.lines().filter(|it| it.contains("live")).collect::<Vec<_>>().join("\n");
    let unknown = format!("\n{unknown}\n");
    stage.refuse_scenario(&mut page, "no_consent, and nobody to ask", &by_hand, &unknown).await;
    stage.sandbox.consent("canary", Some("team-b")).unwrap();
    stage.refused_for("foreign_consent", SOURCE, HOPS).await;
    stage.refuse_scenario(&mut page, "foreign_consent", SOURCE, HOPS).await;
    stage.sandbox.consent("canary", None).unwrap();
    let theirs = format!("canary: {}\n", CanaryId::new("team-b", 0x1a1_fbe6_7da8));
    let all = NewCommit::new("main", "Theirs").without("README.md").file(CANARY_PATH, &theirs);
    stage.sandbox.git().commit(&stage.url, &all).unwrap();
    stage.refused_for("foreign_canary", SOURCE, HOPS).await;
    stage.refuse_scenario(&mut page, "foreign_canary", SOURCE, HOPS).await;
    check(|| assert_snapshot!("delivery_consent", page.text()));
}

#[tokio::test]
async fn s0_a_branch_that_holds_nothing_but_our_canaries_needs_no_annotation() {
    let stage = Stage::new().await;
    stage.sandbox.consent("canary", None).unwrap();
    let ours = format!("canary: {}\n", CanaryId::new("hopclock", 1));
    let all = NewCommit::new("main", "Alone").without("README.md").file(CANARY_PATH, &ours);
    stage.sandbox.git().commit(&stage.url, &all).unwrap();
    let told = stage.tell(&["run", stage.scenario(SOURCE, HOPS)]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
}

#[tokio::test]
async fn s1_a_source_that_others_use_needs_shared_and_then_it_is_said_whom_each_run_wakes() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let mut other = kustomization("other", "canary", "./canary");
    other["spec"]["suspend"] = true.into();
    stage.create(other);
    stage.refused_for("shared_source", SOURCE, HOPS).await;
    stage.refuse_scenario(&mut page, "shared_source", SOURCE, HOPS).await;
    let sources = json!([{"kind": "GitRepository", "name": "*"}]);
    let alert = json!({"eventSources": sources, "providerRef": {"name": "chat"}});
    stage.create(object("notification.toolkit.fluxcd.io/v1beta3", "Alert", "all", &alert));
    let shared = format!("{SOURCE}, shared: true");
    let told = stage.tell(&["run", stage.scenario(&shared, HOPS)]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let says = "scenario `canary`: each run wakes 2 appliers (Kustomization flux-system/canary, \
                Kustomization flux-system/other), 1 alert (Alert flux-system/all) and no automation";
    assert!(told.err.contains(says), "{}", told.err);
    let checked = stage.tell(&["check", stage.scenario(&shared, HOPS)]).await;
    let says = "its source is shared: `run` counts whom each run wakes";
    assert!(checked.out.contains(says), "{}", checked.out);
    check(|| assert_snapshot!("delivery_shared", page.text()));
}

#[tokio::test]
async fn s2_replace_is_refused_where_an_automation_pushes_to() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let git = stage.sandbox.git();
    git.force(&stage.url, "base", &git.tip(&stage.url, "main").unwrap()).unwrap();
    let source = json!({"kind": "GitRepository", "name": "canary"});
    let spec = json!({"interval": "1h", "sourceRef": source, "git": {"push": {"branch": "main"}}});
    stage.create(object("image.toolkit.fluxcd.io/v1", "ImageUpdateAutomation", "bot", &spec));
    let replace = format!("{SOURCE}, mode: {{ replace: {{ base: base }} }}");
    stage.refused_for("automation_pushes", &replace, HOPS).await;
    stage.refuse_scenario(&mut page, "automation_pushes", &replace, HOPS).await;
    let branch = json!({"spec": {"git": {"push": {"branch": "images"}}}});
    stage.change("ImageUpdateAutomation", "bot", &branch);
    let told = stage.tell(&["run", stage.scenario(&replace, HOPS)]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    check(|| assert_snapshot!("delivery_replace", page.text()));
}

#[tokio::test]
async fn p8_a_source_that_includes_ours_is_timed_and_an_applier_behind_it_is_refused() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let url = stage.sandbox.git().create_repository("fleet", &[("README.md", "x\n")], "main");
    let include = json!({"include": [
        {"repository": {"name": "canary"}, "fromPath": "canary", "toPath": "lane"}]});
    stage.change("Kustomization", "canary", &json!({"spec": {"suspend": true}}));
    stage.create(git_repository("fleet", &url.unwrap(), &include));
    stage.create(kustomization("fleet", "fleet", "./lane"));
    let applied =
        HOPS.replace("kustomization: flux-system/canary", "kustomization: flux-system/fleet");
    stage.refused_for("include_needs_live", SOURCE, &applied).await;
    stage.refuse_scenario(&mut page, "include_needs_live", SOURCE, &applied).await;
    let hops = "
  - source_fetched: { git_repository: flux-system/canary }
  - { name: included, source_fetched: { git_repository: flux-system/fleet }, after: source_fetched }
  - live: { config_map: hopclock/canary }
";
    let from = |path: &str| {
        let entry = json!({"repository": {"name": "canary"}, "fromPath": path, "toPath": "lane"});
        stage.change("GitRepository", "fleet", &json!({"spec": {"include": [entry]}}));
    };
    from("apps");
    stage.refused_for("outside_include", SOURCE, hops).await;
    stage.refuse_scenario(&mut page, "outside_include", SOURCE, hops).await;
    from("canary");
    let file = stage.scenario(SOURCE, hops);
    // Nothing but a poll tells the including source.
    stage.change("GitRepository", "canary", &json!({"spec": {"interval": "1s"}}));
    let told = stage.tell(&["run", file, "--output=json"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let record = &records(&told.out)[0];
    let included = record.hops.iter().find(|it| it.hop == "included").unwrap();
    let Passage::Reached { carried_by: None, .. } = included.passage else {
        panic!("{included:?}")
    };
    check(|| assert_snapshot!("delivery_include", page.text()));
}

#[tokio::test]
async fn p7_the_proof_asks_the_git_host_for_nothing_more() {
    let stage = Stage::new().await;
    let list = "resources: [configmap.yaml]\n";
    let list = NewCommit::new("main", "List").file("canary/kustomization.yaml", list);
    stage.sandbox.git().commit(&stage.url, &list).unwrap();
    let file = stage.scenario(SOURCE, HOPS);
    let cold = told(stage.call(&["run", file])).await;
    assert_eq!(cold.code, Some(0), "{cold:?}");
    let before = stage.sandbox.git().requests().len();
    let warm = told(stage.call(&["run", file])).await;
    assert_eq!(warm.code, Some(0), "{warm:?}");
    let requests = stage.sandbox.git().requests().split_off(before);
    let ours = requests.iter().filter(|it| it.user_agent.starts_with("git/hopclock"));
    let kinds: Vec<_> = ours.map(|it| it.kind).collect();
    assert_eq!(kinds, [RequestKind::FetchRefs, RequestKind::PushRefs, RequestKind::Push]);
}

impl Stage {
    /// Runs a scenario that must be refused for this reason.
    async fn refused_for(&self, reason: &str, git: &str, hops: &str) {
        let told = self.tell(&["run", self.scenario(git, hops), "--output=json"]).await;
        told.assert_refused_for(reason);
    }
}
