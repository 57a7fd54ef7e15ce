//! A service: it schedules, survives kills, takes up changed files, and says how it stands.

use crate::cli::kit::{HOPS, SOURCE, Stage, scenario};
use crate::cli::serve_kit::Running;
use hopclock_sandbox::store::Key;
use std::collections::BTreeMap;

/// The sum of each metric's samples that are of the accounting.
async fn account(service: &Running) -> BTreeMap<String, f64> {
    let text = service.get("/metrics").await;
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|it| it.starts_with("hopclock_")) {
        if let Some((series, value)) = line.rsplit_once(' ') {
            let name = series.split('{').next().unwrap().to_owned();
            *sums.entry(name).or_default() += value.parse::<f64>().unwrap_or(0.0);
        }
    }
    let of = |name: &str| sums.get(name).copied().unwrap_or(0.0);
    let parts = of("hopclock_runs_total")
        + of("hopclock_runs_in_flight")
        + of("hopclock_missed_runs_total");
    assert!((of("hopclock_scheduled_runs_total") - parts).abs() < 0.5, "{sums:?}");
    sums
}

/// A scenario of the lane that runs when it is asked to, or on a schedule.
fn write(stage: &Stage, file: &str, name: &str, schedule: &str) {
    let text = scenario(name, SOURCE, HOPS);
    let text = format!("{schedule}{text}");
    let folder = stage.folder.path().join("scenarios");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(file), text).unwrap();
}

async fn asked(stage: &Stage, service: &Running, more: &[&str]) -> Option<i32> {
    let server = format!("http://{}", service.address);
    let arguments =
        [&["trigger", "canary", "--server", &server, "--token-file", "token"], more].concat();
    let told = stage.tell(&arguments).await;
    told.code
}

#[tokio::test]
async fn o4_a_killed_service_goes_on_where_it_was() {
    let stage = Stage::new().await;
    stage.file("token", "secret");
    write(&stage, "canary.yaml", "canary", "");
    let state = ["--state", "file:state.sqlite", "--token-file", "token"];
    let service = Running::start(&stage, &state).await;
    service.eventually("/readyz", "HTTP/1.1 200").await;
    assert_eq!(asked(&stage, &service, &["--wait"]).await, Some(0));
    assert_eq!(asked(&stage, &service, &[]).await, Some(0));
    service.eventually("/metrics", "hopclock_runs_in_flight{scenario=\"canary\"} 1").await;
    service.kill().await;
    let service = Running::start(&stage, &state).await;
    service.eventually("/readyz", "HTTP/1.1 200").await;
    service.eventually("/metrics", "hopclock_runs_in_flight{scenario=\"canary\"} 0").await;
    let account = account(&service).await;
    assert!((account["hopclock_runs_total"] - 2.0).abs() < 0.1, "{account:?}");
    assert_eq!(service.stop().await, Some(0));
    let history = stage.tell(&["history", "--db", "state.sqlite", "--output", "json"]).await;
    assert_eq!(history.out.lines().count(), 2, "{history:?}");
}

#[tokio::test]
async fn without_a_volume_the_account_is_kept_in_a_config_map() {
    let stage = Stage::new().await;
    stage.file("token", "secret");
    write(&stage, "canary.yaml", "canary", "");
    let state = [
        "--state",
        "configmap:flux-system/state",
        "--token-file",
        "token",
        "--namespace",
        "flux-system",
    ];
    let service = Running::start(&stage, &state).await;
    let ready = service.eventually("/readyz", "HTTP/1.1 200").await;
    assert!(ready.contains("runs are not kept as history"), "{ready}");
    assert_eq!(asked(&stage, &service, &["--wait"]).await, Some(0));
    service.eventually("/readyz", "echo").await;
    service.kill().await;
    let kept = stage.sandbox.store().get(&Key::new("ConfigMap", "flux-system", "state")).unwrap();
    assert!(kept["binaryData"]["canary.json.gz"].is_string(), "{kept}");
    let service = Running::start(&stage, &state).await;
    service.eventually("/metrics", "hopclock_scheduled_runs_total{scenario=\"canary\"} 1").await;
    account(&service).await;
    assert_eq!(service.stop().await, Some(0));
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_form_and_a_gone_one_takes_its_series_along() {
    let stage = Stage::new().await;
    write(&stage, "canary.yaml", "canary", "");
    write(&stage, "other.yaml", "other", "");
    let service = Running::start(&stage, &["--state", "none"]).await;
    let ready = service.eventually("/readyz", "2 scenarios of `scenarios` run").await;
    assert!(ready.contains("with every restart"), "what is lost is said: {ready}");
    write(&stage, "other.yaml", "other", "nonsense: 1\n");
    service.eventually("/readyz", "is broken, its last good form runs").await;
    service.eventually("/metrics", "hopclock_config_scenarios{state=\"stale\"} 1").await;
    std::fs::remove_file(stage.folder.path().join("scenarios/other.yaml")).unwrap();
    service.eventually("/readyz", "1 scenario of `scenarios` run").await;
    service.eventually("/metrics", "hopclock_config_last_reload_successful 1").await;
    let metrics = service.get("/metrics").await;
    assert!(metrics.contains("scenario=\"canary\"") && !metrics.contains("scenario=\"other\""));
    assert_eq!(service.stop().await, Some(0));
}

#[tokio::test]
async fn two_services_do_not_keep_their_state_in_one_file() {
    let stage = Stage::new().await;
    write(&stage, "canary.yaml", "canary", "");
    let service = Running::start(&stage, &["--state", "file:state.sqlite"]).await;
    service.eventually("/readyz", "HTTP/1.1 200").await;
    let arguments =
        ["serve", "scenarios", "--listen", "127.0.0.1:0", "--state", "file:state.sqlite"];
    let second = stage.tell(&arguments).await;
    assert_eq!(second.code, Some(3), "{second:?}");
    assert!(second.err.contains("state.sqlite"), "{second:?}");
    assert_eq!(service.stop().await, Some(0));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_bad_usage() {
    let stage = Stage::new().await;
    let told = stage.tell(&["serve", "nowhere", "--listen", "127.0.0.1:0"]).await;
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(told.err.contains("nowhere"), "{told:?}");
}
