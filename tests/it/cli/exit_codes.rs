//! Exit codes: 0 delivered, 1 not delivered in time, 2 bad usage or scenario, 3 not measured.

use crate::cli::kit::{HOPS, Page, SOURCE, Stage, check, hopclock, lane, scenario, told};
use crate::cli::serve_kit::{Scene, trigger};
use hopclock::model::RunRecord;
use hopclock_sandbox::pipeline::{Door, Hook};
use insta::assert_snapshot;
use serde_json::json;

/// The records of a run with `--output json`.
pub(crate) fn records(out: &str) -> Vec<RunRecord> {
    out.lines().map(|it| serde_json::from_str(it).unwrap_or_else(|e| panic!("{e}: {it}"))).collect()
}

#[tokio::test]
async fn a_delivered_change_is_0() {
    let stage = Stage::new().await;
    let told = stage.tell(&["run", stage.scenario(SOURCE, HOPS)]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.starts_with("canary  ok  "), "{}", told.out);
}

#[tokio::test]
async fn a_build_that_fails_is_1_and_says_what_flux_says() {
    let stage = Stage::new().await;
    let git = format!("{SOURCE}, template: 'data: {{ canary: ${{canary}}'");
    let text = scenario("canary", &git, HOPS).replace("20s", "4s").replace("15s", "4s");
    let told = stage.tell(&["run", stage.file("canary.yaml", &text), "--output=json"]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    let outcome = &records(&told.out)[0].outcome;
    assert_eq!(outcome.to_string(), "failed: BuildFailed at Kustomization flux-system/canary");
    assert!(!told.err.contains("error"), "{}", told.err);
}

#[tokio::test]
async fn a_change_that_nobody_fetches_is_1() {
    let stage = Stage::with(&lane("canary", Hook::Silent, Door::Open)).await;
    let text = scenario("canary", SOURCE, HOPS).replace("20s", "2s").replace("15s", "1s");
    let told = stage.tell(&["run", stage.file("canary.yaml", &text), "--output=json"]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert_eq!(records(&told.out)[0].outcome.as_str(), "timeout");
}

#[tokio::test]
async fn a_suspended_path_is_1_and_nothing_is_pushed() {
    let stage = Stage::new().await;
    stage.change("Kustomization", "canary", &json!({"spec": {"suspend": true}}));
    let before = stage.sandbox.git().ref_updates().len();
    let told = stage.tell(&["run", stage.scenario(SOURCE, HOPS), "--output=json"]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    let outcome = &records(&told.out)[0].outcome;
    assert_eq!(outcome.to_string(), "skipped: Kustomization flux-system/canary is suspended");
    assert_eq!(stage.sandbox.git().ref_updates().len(), before);
}

#[tokio::test]
async fn whoever_has_metrics_is_told_0_of_a_late_change_and_3_of_what_cannot_be_measured() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    let patch = json!({"spec": {"suspend": true}});
    stage.change("Kustomization", "canary", &patch);
    let text = scenario("canary", SOURCE, HOPS);
    let file = stage.file("canary.yaml", &text);
    let run = ["run", file, "--output=json"];
    for (more, code) in
        [([].as_slice(), 1), (&["--undelivered=fail"], 1), (&["--undelivered=ok"], 0)]
    {
        let told = stage.tell(&[&run, more].concat()).await;
        assert_eq!(told.code, Some(code), "{more:?}: {told:?}");
        assert_eq!(records(&told.out)[0].outcome.as_str(), "skipped");
        let told = scene.trigger(&[&["--wait", "--output=json"], more].concat()).await;
        assert_eq!(told.code, Some(code), "{more:?}: {told:?}");
        assert_eq!(records(&told.out)[0].outcome.as_str(), "skipped");
    }
    let broken = stage.file("broken.yaml", &text.replace("flux-system/canary", "flux-system/none"));
    let told = stage.tell(&["run", broken, "--undelivered=ok"]).await;
    assert_eq!(told.code, Some(3), "{told:?}");
    let told = trigger(stage, &scene.service, "none", &["--wait", "--undelivered=ok"]).await;
    assert_eq!(told.code, Some(2), "{told:?}");
}

#[tokio::test]
async fn bad_usage_is_2() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        [].as_slice(),
        &["run"],
        &["run", "--outptu=json", "a.yaml"],
        &["run", "--output=xml", "a.yaml"],
        &["run", "--instance=Team A", "a.yaml"],
        &["run", "--listen=nowhere", "a.yaml"],
        &["measure"],
        &["check"],
        &["demo", "--listen=127.0.0.1:0"],
        &["completions", "tcsh"],
    ] {
        let told = told(hopclock(folder.path(), arguments)).await;
        assert_eq!(told.code, Some(2), "{arguments:?}: {told:?}");
        assert!(told.out.is_empty() && !told.err.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_2_and_nothing_is_pushed() {
    let stage = Stage::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let call = stage.call(&["run", stage.scenario(SOURCE, HOPS), "--listen", &address]);
    let mut page = Page::default();
    stage.refuse(&mut page, "a port in use", 2, call).await;
    check(|| assert_snapshot!("port_in_use", page.text()));
}

#[tokio::test]
async fn of_several_scenarios_all_are_run_and_the_worst_decides() {
    let stage = Stage::new().await;
    let good = ["good.yaml", &scenario("good", SOURCE, HOPS)].map(str::to_owned);
    let broken = format!("{SOURCE}, template: 'data: {{ canary: ${{canary}}'");
    let broken = scenario("broken", &broken, HOPS).replace("20s", "4s").replace("15s", "4s");
    let lost = scenario("lost", "source: flux-system/lost", HOPS);
    stage.file("good.yaml", &good[1]);
    stage.file("broken.yaml", &broken);
    stage.file("lost.yaml", &lost);
    for (files, code, outcomes) in [
        (["broken.yaml", "good.yaml"].as_slice(), 1, ["failed", "ok"].as_slice()),
        (&["lost.yaml", "good.yaml", "broken.yaml"], 3, &["probe_error", "ok", "failed"]),
        (&["."], 3, &["failed", "ok", "probe_error"]),
    ] {
        let arguments: Vec<_> = ["run", "--output=json"].iter().chain(files).copied().collect();
        let told = stage.tell(&arguments).await;
        let found = records(&told.out);
        let found: Vec<_> = found.iter().map(|it| it.outcome.as_str()).collect();
        assert_eq!((found.as_slice(), told.code), (outcomes, Some(code)), "{told:?}");
    }
}

#[tokio::test]
async fn a_demo_without_git_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let mut call = hopclock(folder.path(), &["demo"]);
    call.env("PATH", folder.path());
    let told = told(call).await;
    assert_eq!(told.code, Some(3), "{told:?}");
    assert_eq!(told.out, "");
    assert_eq!(
        told.err,
        "error: the sandbox's git host needs `git`, which is not on PATH: install git and start \
         again\n"
    );
}
