//! Disks, files and folders that are of no use to a service: it says so, keeps what it had, and
//! goes on as soon as it can.

use crate::cli::kit::{SOURCE, Stage, scenario};
use crate::cli::serve_kit::{QUIET, Running, Scene, canary, patient, silent, trigger, write};
use crate::history::mounts::Disk;
use hopclock::model::{Outcome, RunRecord};
use hopclock_sandbox::store::Key;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// Leaves no room on a disk, until the file that is returned is removed.
fn fill(disk: &Disk<'_>) -> PathBuf {
    let filler = disk.0.join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    filler
}

fn error(record: &RunRecord) -> (&str, &str) {
    match &record.outcome {
        Outcome::ProbeError(error) => (&error.reason, &error.message),
        other => panic!("{other}"),
    }
}

/// A service that keeps nothing now refuses to push, and says why everywhere.
async fn assert_in_trouble(scene: &Scene, reason: &str, part: &str) {
    let (before, tip) = (scene.counts().await, scene.tip());
    let record = scene.ask().await;
    let (label, message) = error(&record);
    assert_eq!(label, "journal", "{message}");
    assert!(message.contains(part), "{message}");
    assert_eq!(scene.tip(), tip, "nothing is pushed that nobody could go on with");
    let counted = scene.counted_since(&before).await;
    assert_eq!(counted, ["probe_errors_total journal", "runs_total probe_error"]);
    let ready = scene.service.eventually("/readyz", part).await;
    assert!(ready.contains("HTTP/1.1 503"), "{ready}");
    assert!(scene.service.value("hopclock_state_saved").await < 0.1);
    let errors = format!("hopclock_state_errors_total {reason}");
    assert!(scene.service.value(&errors).await > 0.9);
    scene.service.eventually_says("state is not kept").await;
}

#[tokio::test]
async fn a_disk_that_fills_stops_pushes_and_nothing_is_lost_once_there_is_room() {
    let stage = Stage::quick(&silent()).await;
    let folder = stage.folder.path().join("state");
    std::fs::create_dir(&folder).unwrap();
    let Some(disk) = Disk::mount(&folder, "size=1m") else { return };
    write(&stage, "canary.yaml", &canary(QUIET));
    let state = ["--state", "file:state/state.sqlite"];
    let scene = Scene::on(stage, &state).await;
    scene.goes_on().await;
    let filler = fill(&disk);
    assert_in_trouble(&scene, "history_disk_full", "its disk is full; free some space").await;
    let past = ["history", "--db", "state/state.sqlite", "--output", "json"];
    let kept = scene.stage.tell(&past).await;
    assert_eq!(kept.out.lines().count(), 1, "the old rows are there: {kept:?}");
    std::fs::remove_file(filler).unwrap();
    scene.goes_on().await;
    assert!(scene.service.value("hopclock_state_saved").await > 0.9);
    let kept = scene.stage.tell(&past).await;
    assert_eq!(kept.out.lines().count(), 3, "the one of the full disk, too: {kept:?}");
    // What was counted meanwhile is known to the next process.
    scene.service.kill().await;
    let service = Running::start(&scene.stage, &state).await;
    service.eventually_ready().await;
    assert!((service.value("hopclock_runs_total canary ok").await - 2.0).abs() < 0.1);
    assert!((service.value("hopclock_runs_total canary probe_error").await - 1.0).abs() < 0.1);
    assert_eq!(service.stop().await, Some(0));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_ends_a_service_with_a_sentence() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    let folder = stage.folder.path().join("state");
    std::fs::create_dir(&folder).unwrap();
    let mut places = vec![("file:/proc/hopclock/state.sqlite", "cannot make the folder of")];
    let disk = Disk::mount(&folder, "size=1m,ro");
    if disk.is_some() {
        let sentence = "is read-only; make it writable, or name another file";
        places.push(("file:state/state.sqlite", sentence));
    }
    for (place, sentence) in places {
        let call = stage.call(&Running::arguments(&["--state", place]));
        let (code, said) = Running::begin(call).await.ended().await;
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("error: ") && said.contains(sentence), "{said}");
    }
}

#[tokio::test]
async fn a_database_that_another_process_has_locked_is_waited_for() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    let path = stage.folder.path().join("state.sqlite");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    stage.file("token", "secret");
    let state = ["--token-file", "token", "--state", "file:state.sqlite"];
    let service = Running::start(&stage, &state).await;
    let ready = service.eventually("/readyz", "locked by another program").await;
    assert!(ready.contains("HTTP/1.1 503"), "{ready}");
    other.execute_batch("ROLLBACK").unwrap();
    service.eventually_ready().await;
    let scene = Scene { stage, service };
    scene.goes_on().await;
    scene.end(1).await;
}

#[tokio::test]
async fn a_database_that_is_corrupt_is_set_aside_and_the_service_begins_anew() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    let garbage = b"this was a history once ".repeat(1000);
    std::fs::write(stage.folder.path().join("state.sqlite"), &garbage).unwrap();
    let scene = Scene::on(stage, &["--state", "file:state.sqlite"]).await;
    let said = scene.service.said();
    assert!(said.contains("the history `state.sqlite` was damaged"), "{said}");
    assert!(said.contains("totals and schedules begin again"), "{said}");
    let names = scene.stage.folder.path().read_dir().unwrap().map(|it| it.unwrap());
    let moved = names.map(|it| it.path()).find(|it| it.to_str().unwrap().contains(".corrupt-"));
    assert_eq!(std::fs::read(moved.unwrap()).unwrap(), garbage);
    scene.goes_on().await;
    scene.end(1).await;
}

#[tokio::test]
async fn a_config_map_that_is_full_stops_pushes_and_stays_as_it_was() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    let key = Key::new("ConfigMap", "flux-system", "state");
    let object = |notes: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "state", "namespace": "flux-system"}, "data": {"notes": notes}})
    };
    stage.create(object(&"x".repeat((1 << 20) - 10)));
    let before = stage.sandbox.store().get(&key).unwrap();
    let state = ["--state", "configmap:flux-system/state"];
    let scene = Scene::on(stage, &state).await;
    assert_in_trouble(&scene, "too_large", "keep less, or keep it on a volume").await;
    let store = scene.stage.sandbox.store();
    assert_eq!(store.get(&key).unwrap(), before);
    assert_eq!(scene.service.stop().await, Some(0));
    store.delete(&key, "test").unwrap();
    scene.stage.create(object("little"));
    let scene = Scene::on(scene.stage, &state).await;
    scene.goes_on().await;
    let stored = scene.stage.sandbox.store().get(&key).unwrap();
    assert_eq!(stored["data"]["notes"], "little", "others' keys stay");
    assert!(stored["binaryData"]["canary.json.gz"].is_string(), "{stored}");
    assert_eq!(scene.service.stop().await, Some(0));
}

#[tokio::test]
async fn t6_without_a_volume_a_run_in_flight_is_resumed_from_the_config_map() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &patient(QUIET));
    let state = ["--state", "configmap:flux-system/state"];
    let scene = Scene::on(stage, &state).await;
    let mut updates = scene.stage.sandbox.git().watch_updates();
    assert_eq!(scene.trigger(&[]).await.code, Some(0));
    updates.recv().await.unwrap();
    let Scene { stage, service } = scene;
    service.kill().await;
    let scene = Scene::on(stage, &state).await;
    scene.fetch();
    let ok = "hopclock_runs_total{scenario=\"canary\",outcome=\"ok\"} 1";
    scene.service.eventually("/metrics", ok).await;
    let ended = scene.service.series().await;
    assert!((ended["hopclock_scheduled_runs_total canary"] - 1.0).abs() < 0.1);
    let pushes = scene.stage.sandbox.git().ref_updates().len();
    assert_eq!(pushes, 1 + 1, "the lane's own, and one: nothing is pushed again");
    assert_eq!(scene.service.stop().await, Some(0));
}

#[tokio::test]
async fn one_broken_file_of_ten_is_said_everywhere_and_disturbs_nothing() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    let name = |number: u32| format!("other-{number}");
    let other = |number: u32| scenario(&name(number), SOURCE, QUIET);
    for number in 1..10 {
        write(&stage, &format!("{}.yaml", name(number)), &other(number));
    }
    let scene = Scene::on(stage, &["--state", "file:state.sqlite"]).await;
    scene.service.eventually("/readyz", "10 scenarios of `scenarios` run").await;
    scene.goes_on().await;
    let before = scene.service.series().await;
    let record = scene.ask_and(async || {
        let broken = other(3).replace("deadline", "dedline");
        write(&scene.stage, "other-3.yaml", &broken);
        let part = "`scenarios/other-3.yaml` is broken, its last good form runs";
        let ready = scene.service.eventually("/readyz", part).await;
        assert!(ready.contains("HTTP/1.1 200"), "{ready}");
        assert!(ready.contains("10 scenarios of `scenarios` run"), "{ready}");
        scene.fetch();
    });
    assert_eq!(record.await.outcome, Outcome::Ok, "a run goes through a reload");
    scene.service.eventually_says("other-3.yaml:2:1").await;
    scene.service.eventually_says("dedline").await;
    let after = scene.service.series().await;
    assert!(after["hopclock_config_last_reload_successful"] < 0.1);
    for (state, count) in [("active", 9.0), ("stale", 1.0), ("broken", 0.0)] {
        let series = format!("hopclock_config_scenarios {state}");
        assert!((after[&series] - count).abs() < 0.1, "{state}: {}", after[&series]);
    }
    let of_others = |it: &&String| it.contains(" other-");
    let names = |all: &std::collections::BTreeMap<String, f64>| {
        all.keys().filter(of_others).cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&after), names(&before));
    let is_as_before = |(it, value): (&String, &f64)| (before[it] - value).abs() < 0.01;
    assert!(after.iter().filter(|it| of_others(&it.0)).all(is_as_before), "{after:?}");
    // The last good form runs indeed.
    let stage = &scene.stage;
    let mut updates = stage.sandbox.git().watch_updates();
    let more = ["--wait", "--output", "json"];
    let (told, ()) = tokio::join!(trigger(stage, &scene.service, "other-3", &more), async {
        updates.recv().await.unwrap();
        scene.fetch();
    });
    assert_eq!(told.code, Some(0), "{told:?}");
    write(stage, "other-3.yaml", &other(3));
    scene.service.eventually("/metrics", "hopclock_config_last_reload_successful 1").await;
    scene.goes_on().await;
    scene.end(4).await;
}
