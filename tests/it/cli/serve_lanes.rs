//! Two services on one lane: one runs, the other's ticks are missed, and nothing is counted twice.

use crate::cli::kit::{SOURCE, Stage, scenario, told};
use crate::cli::serve_kit::{QUIET, Running, Scene, canary, patient, silent, trigger, write};
use hopclock::model::Outcome;
use serde_json::json;

/// What tells a service how to agree with others about lanes.
struct Way {
    arguments: &'static [&'static str],
    /// Names of the machines of both.
    hosts: [&'static str; 2],
    /// Folders for caches of both, and so for lock files.
    caches: [&'static str; 2],
    /// How the holder of the lane is named to the other.
    named: &'static str,
}

/// A service that runs `canary` when it is asked to, and one whose scenario ticks.
async fn two(way: &Way) {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &patient(QUIET));
    stage.file("token", "secret");
    let begin = async |number: usize, folder: &str, state: &str| {
        let own = ["serve", folder, "--listen", "127.0.0.1:0", "--token-file", "token"];
        let arguments = [own.as_slice(), &["--state", state], way.arguments].concat();
        let mut call = stage.call(&arguments);
        call.env("HOSTNAME", way.hosts[number]);
        call.env("HOPCLOCK_CACHE_DIR", stage.folder.path().join(way.caches[number]));
        let service = Running::begin(call).await;
        service.eventually_ready().await;
        service
    };
    let one = begin(0, "scenarios", "file:one.sqlite").await;
    let mut updates = stage.sandbox.git().watch_updates();
    assert_eq!(trigger(&stage, &one, "canary", &[]).await.code, Some(0));
    updates.recv().await.unwrap();
    // The run waits for a fetch that nobody asks for yet, and so keeps the lane.
    let others = stage.folder.path().join("others");
    std::fs::create_dir(&others).unwrap();
    let schedule = "schedule: { every: 1s, jitter: 100ms }\n";
    let text = scenario("other", SOURCE, QUIET).replace("20s", "800ms").replace("15s", "800ms");
    std::fs::write(others.join("other.yaml"), format!("{schedule}{text}")).unwrap();
    let two = begin(1, "others", "file:two.sqlite").await;
    let ready = two.eventually("/readyz", "its lane is in use by").await;
    assert!(ready.contains(way.named), "{ready}");
    two.eventually(
        "/metrics",
        "hopclock_missed_runs_total{scenario=\"other\",reason=\"overlap\"} 1",
    )
    .await;
    let refused = trigger(&stage, &two, "other", &[]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.err.contains(way.named), "{refused:?}");
    let counts = two.series().await;
    assert!(counts["hopclock_missed_runs_total other overlap"] > 0.9, "{counts:?}");
    assert!(counts["hopclock_scheduled_runs_total other"] > 0.9);
    let probes = |it: &&String| it.starts_with("hopclock_probe_errors_total");
    assert_eq!(counts.keys().filter(probes).count(), 0, "{counts:?}");
    assert_eq!(stage.sandbox.git().ref_updates().len(), 1 + 1, "the lane's own, and one run's");

    let scene = Scene { stage, service: one };
    scene.fetch();
    let ended = "hopclock_runs_total{scenario=\"canary\",outcome=\"ok\"} 1";
    scene.service.eventually("/metrics", ended).await;
    // Now the lane is free for the other; nobody fetches its change in time.
    two.eventually("/metrics", "hopclock_runs_total{scenario=\"other\",outcome=\"timeout\"} 1")
        .await;
    let lost = two.series().await["hopclock_missed_runs_total other overlap"];
    assert!(lost >= counts["hopclock_missed_runs_total other overlap"]);
    assert_eq!(two.stop().await, Some(0));
    let before = scene.counts().await;
    let record = scene.ask_and(async || scene.fetch()).await;
    assert_eq!(record.outcome, Outcome::Ok, "{record:?}");
    assert_eq!(scene.counted_since(&before).await, ["runs_total ok", "slo_events_total total"]);
    assert_eq!(scene.service.stop().await, Some(0));
}

#[tokio::test]
async fn s5_of_two_services_of_one_machine_the_second_ones_tick_is_missed_as_overlap() {
    let way = Way {
        arguments: &[],
        hosts: ["machine", "machine"],
        caches: ["cache", "cache"],
        named: "scenario `canary` of process ",
    };
    two(&way).await;
}

#[tokio::test]
async fn s5_of_two_services_of_one_cluster_the_second_ones_tick_is_missed_as_overlap() {
    let way = Way {
        arguments: &["--namespace", "flux-system"],
        hosts: ["one", "two"],
        caches: ["cache-one", "cache-two"],
        named: "`hopclock@one` (Lease `flux-system/hopclock-lane-",
    };
    two(&way).await;
}

#[tokio::test]
async fn s5_two_services_of_one_machine_are_not_one_holder_of_a_lease() {
    let way = Way {
        arguments: &["--namespace", "flux-system"],
        hosts: ["machine", "machine"],
        caches: ["cache", "cache"],
        named: "scenario `canary` of process ",
    };
    two(&way).await;
}

#[tokio::test]
async fn s5_a_lease_is_given_back_after_a_run_and_expires_after_a_kill() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    let scene = Scene::on(stage, &["--state", "none", "--namespace", "flux-system"]).await;
    let holders = || {
        let leases = scene.stage.sandbox.store().list("Lease", Some("flux-system")).0;
        let holder = |it: &serde_json::Value| it["spec"]["holderIdentity"].clone();
        leases.iter().map(|it| holder(it)).collect::<Vec<_>>()
    };
    let record = scene.ask_and(async || {
        let [holder] = holders().try_into().unwrap();
        assert!(holder.as_str().unwrap().starts_with("hopclock@"), "{holder}");
        scene.fetch();
    });
    assert_eq!(record.await.outcome, Outcome::Ok);
    assert_eq!(holders(), [json!(null)]);
    let mut updates = scene.stage.sandbox.git().watch_updates();
    assert_eq!(scene.trigger(&[]).await.code, Some(0));
    updates.recv().await.unwrap();
    scene.service.kill().await;
    let leases = scene.stage.sandbox.store().list("Lease", Some("flux-system")).0;
    assert_eq!(leases[0]["spec"]["leaseDurationSeconds"], 30, "nobody waits for longer");
}

#[tokio::test]
async fn s5_a_run_by_hand_on_the_lane_of_a_service_is_refused_with_the_holders_name() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &patient(QUIET));
    let scene = Scene::on(stage, &["--state", "none"]).await;
    let record = scene.ask_and(async || {
        let told = scene.stage.tell(&["run", "scenarios/canary.yaml"]).await;
        assert_eq!(told.code, Some(3), "{told:?}");
        let named = "is in use by scenario `canary` of process ";
        assert!(told.sentence("a lane in use").contains(named), "{told:?}");
        scene.fetch();
    });
    assert_eq!(record.await.outcome, Outcome::Ok);
    assert_eq!(scene.service.stop().await, Some(0));
}

#[tokio::test]
async fn s5_a_run_by_hand_in_the_pod_of_a_service_is_not_its_holder() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &patient(QUIET));
    let scene = Scene::on(stage, &["--state", "none", "--namespace", "flux-system"]).await;
    let record = scene.ask_and(async || {
        // No file is shared, as in a pod, but the name of the machine is.
        let arguments = ["run", "scenarios/canary.yaml", "--namespace", "flux-system"];
        let mut call = scene.stage.call(&arguments);
        call.env("HOPCLOCK_CACHE_DIR", scene.stage.folder.path().join("elsewhere"));
        let told = told(call).await;
        assert_eq!(told.code, Some(3), "{told:?}");
        assert!(told.sentence("a lane in use").contains("is in use by `hopclock@"), "{told:?}");
        scene.fetch();
    });
    assert_eq!(record.await.outcome, Outcome::Ok);
    assert_eq!(scene.service.stop().await, Some(0));
}
