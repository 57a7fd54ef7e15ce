//! What runs leave behind, and how `hopclock gc` takes it away: by the program, over real sockets.

use crate::cli::kit::{HOPS, SOURCE, Stage, Told, hopclock, lane, scenario, told};
use crate::cli::serve_kit::{QUIET, silent};
use crate::e2e_image_kit::ImageCourse;
use crate::e2e_oci_kit::OciCourse;
use crate::eventually::eventually;
use hopclock::cluster::lease_name;
use hopclock::model::Event;
use hopclock_sandbox::git::NewCommit;
use hopclock_sandbox::pipeline::{CANARY_PATH, Door, Hook, ImageLane, OciLane};
use hopclock_sandbox::registry::{Artifact, Deletion, Fault, FaultRule, Route, Rules};
use hopclock_sandbox::store::Key;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Sweeps the scenario in `app.yaml`; gives the code, and what was printed.
pub(crate) async fn gc(
    folder: &Path,
    kubeconfig: impl AsRef<Path>,
    more: &[&str],
) -> (Option<i32>, Value) {
    let told = call(folder, kubeconfig, &[&["--output", "json"], more].concat()).await;
    // What follows is about locks.
    let first = told.out.lines().next().unwrap_or_default();
    let read = serde_json::from_str(first).unwrap_or_else(|it| panic!("{it}: {told:?}"));
    (told.code, read)
}

async fn call(folder: &Path, kubeconfig: impl AsRef<Path>, more: &[&str]) -> Told {
    let mut call = hopclock(folder, &[&["gc", "app.yaml"], more].concat());
    call.env("KUBECONFIG", kubeconfig.as_ref());
    told(call).await
}

fn rules(deletion: Deletion) -> Rules {
    Rules { deletion, ..Rules::default() }
}

/// The names of what stays.
fn names(all: &Value) -> Vec<&str> {
    all.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_gc_takes_away_what_is_beyond_keep_and_says_what_stays_and_why() {
    let mut course = ImageCourse::new(&ImageLane::new("app")).await;
    let sandbox = course.bench.sandbox.clone();
    let (folder, kubeconfig) = (course.bench.caches.path().to_owned(), &sandbox.kubeconfig());
    let registry = sandbox.registry();
    let tags = || registry.tags(&course.places.repository);
    for _ in 0..4 {
        assert_eq!(course.tell().await.code, Some(0));
    }
    let all = ["0.1.0", "0.1.1", "0.1.2", "0.1.3", "0.1.4"];
    assert_eq!(tags(), all);
    let (code, swept) = gc(&folder, kubeconfig, &[]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!([])), "few are there: {swept}");
    course.trigger = ", keep: 1".to_owned();
    std::fs::write(folder.join("app.yaml"), course.text()).unwrap();

    let (code, swept) = gc(&folder, kubeconfig, &["--dry-run"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!(["0.1.1", "0.1.2"])), "{swept}");
    assert_eq!(swept["dry_run"], true);
    assert_eq!(names(&swept["used"]), ["0.1.3"], "the policy tells what it chose before");
    assert_eq!(tags(), all, "a dry run touches nothing");
    let table = call(&folder, kubeconfig, &["--dry-run"]).await.out;
    assert!(table.contains("\n  would go  0.1.1\n"), "{table}");

    registry.set_rules(&course.places.repository, rules(Deletion::Refused));
    let (code, swept) = gc(&folder, kubeconfig, &[]).await;
    assert_eq!((code, names(&swept["left"])), (Some(3), vec!["0.1.1", "0.1.2"]), "{swept}");
    assert!(swept["left"][0]["why"].as_str().unwrap().contains("delete"), "{swept}");
    assert_eq!(tags(), all);

    registry.set_rules(&course.places.repository, rules(Deletion::Allowed));
    let fault = Fault::Status(403, None);
    let method = Some(Method::DELETE);
    registry.add_fault(FaultRule { on: Some(Route::Manifest), method, fault, times: None });
    let (code, swept) = gc(&folder, kubeconfig, &[]).await;
    assert_eq!((code, names(&swept["left"])), (Some(3), vec!["0.1.1", "0.1.2"]), "{swept}");
    let why = swept["left"][1]["why"].as_str().unwrap();
    assert!(why.contains("delet") && !why.contains('\n'), "{why}");
    assert_eq!(tags(), all);
    registry.clear_faults();

    registry.set_rules(&course.places.repository, rules(Deletion::ByDigest));
    let (code, swept) = gc(&folder, kubeconfig, &[]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!(["0.1.1", "0.1.2"])), "{swept}");
    assert_eq!(tags(), ["0.1.0", "0.1.3", "0.1.4"]);

    let (code, swept) = gc(&folder, kubeconfig, &["--all"]).await;
    assert_eq!((code, names(&swept["used"])), (Some(0), vec!["0.1.4"]), "it runs: {swept}");
    assert_eq!(swept["removed"], json!(["0.1.3"]));
    assert_eq!(tags(), ["0.1.0", "0.1.4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_how_much_is_left_is_told_after_a_run() {
    let mut course = ImageCourse::new(&ImageLane::new("app")).await;
    course.trigger = ", keep: 1".to_owned();
    let told = Arc::new(Mutex::new(Vec::new()));
    for deletion in [Deletion::Refused, Deletion::Refused, Deletion::Allowed] {
        let registry = course.bench.sandbox.registry();
        let before = registry.requests().len();
        registry.set_rules(&course.places.repository, rules(deletion));
        let job = course.job().await.unwrap();
        let heard = told.clone();
        let listen = move |event: &Event| {
            if let Event::Tidied { leftovers, usage, .. } = event {
                heard.lock().unwrap().push((leftovers.unwrap(), usage.requests));
            }
        };
        let measured = course.bench.drive("app", &job, listen).await;
        assert_eq!(measured.outcome(), "ok", "{:#?}", measured.record);
        let asked = registry.requests().split_off(before);
        let ours = asked.iter().filter(|it| it.user_agent.starts_with("hopclock/")).count();
        let behind = told.lock().unwrap().last().unwrap().1;
        let counted = measured.record.usage.requests + behind;
        assert_eq!(usize::try_from(counted).unwrap(), ours, "{behind} of them behind the run");
    }
    let told = told.lock().unwrap();
    assert_eq!(told.iter().map(|it| it.0).collect::<Vec<_>>(), [0, 1, 0]);
    assert!(told[1].1 > 0 && told[2].1 > 0, "taking away costs requests: {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_what_a_killed_run_has_pushed_goes_after_later_ones() {
    let mut course = ImageCourse::new(&ImageLane::new("app")).await;
    course.trigger = ", keep: 1".to_owned();
    let folder = course.bench.caches.path();
    std::fs::write(folder.join("app.yaml"), course.text()).unwrap();
    let tags = || course.bench.sandbox.registry().tags(&course.places.repository);
    let mut call = hopclock(folder, &["run", "app.yaml"]);
    call.env("KUBECONFIG", course.bench.sandbox.kubeconfig());
    let mut run = call.spawn().unwrap();
    eventually("the first push", || tags().len() == 2).await;
    run.kill().await.unwrap();
    // The policy still tells of the tag that it chose before.
    for _ in 0..2 {
        let told = course.tell().await;
        assert_eq!(told.code, Some(0), "{told:?}");
    }
    assert_eq!(tags(), ["0.1.0", "0.1.2", "0.1.3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_a_lane_of_artifacts_that_is_given_up_leaves_only_what_people_pushed() {
    let lane = OciLane {
        reference: json!({"semver": "0.1.x", "semverFilter": "^0\\.1\\.[0-9]+$"}),
        first_tag: "0.1.0".to_owned(),
        ..OciLane::new("app")
    };
    let course = OciCourse::new(&lane).await;
    let folder = course.bench.caches.path();
    let kubeconfig = &course.bench.sandbox.kubeconfig();
    let tags = || course.bench.sandbox.registry().tags(&course.places.repository);
    let theirs = Artifact::flux(&[("a.yaml", "{}")], &[]);
    let registry = course.bench.sandbox.registry();
    let _ = registry.push_artifact(&course.places.repository, "0.0.9", &theirs);
    for _ in 0..2 {
        course.delivered().await;
    }
    let (code, swept) = gc(folder, kubeconfig, &["--all"]).await;
    let canaries = json!(["0.1.0", "0.1.1", "0.1.2"]);
    assert_eq!((code, &swept["removed"]), (Some(0), &canaries), "{swept}");
    assert_eq!(tags(), ["0.0.9"]);
    let (code, swept) = gc(folder, kubeconfig, &["--all"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!([])), "{swept}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_the_one_tag_of_artifacts_goes_with_its_lane() {
    let course = OciCourse::new(&OciLane::new("app")).await;
    let (folder, sandbox) = (course.bench.caches.path(), &course.bench.sandbox);
    course.delivered().await;
    assert_eq!(sandbox.registry().tags(&course.places.repository).len(), 1);
    let (code, swept) = gc(folder, sandbox.kubeconfig(), &[]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!([])), "it is the latest: {swept}");
    let (code, swept) = gc(folder, sandbox.kubeconfig(), &["--all"]).await;
    assert_eq!(code, Some(0), "{swept}");
    assert_eq!(sandbox.registry().tags(&course.places.repository).len(), 0, "{swept}");
}

/// The file with the canary as it stands on a branch.
async fn file_on(url: &str, branch: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut clone = tokio::process::Command::new("git");
    clone.args(["clone", "-q", "--branch", branch, url, "."]).current_dir(folder.path());
    let cloned = clone.output().await.unwrap();
    assert!(cloned.status.success(), "{cloned:?}");
    std::fs::read_to_string(folder.path().join(CANARY_PATH)).ok()
}

/// A lane of commits whose scenario is in `app.yaml`, and has run once.
async fn git_lane(git: &str) -> Stage {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    stage.file("app.yaml", &scenario("canary", git, HOPS));
    let told = stage.tell(&["run", "app.yaml"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_the_file_of_a_branch_goes_with_its_lane_in_one_commit() {
    let stage = git_lane(SOURCE).await;
    let (folder, kubeconfig) = (stage.folder.path(), &stage.sandbox.kubeconfig());
    let pushes = || stage.sandbox.git().ref_updates().len();
    let before = pushes();
    for more in [&[][..], &["--all", "--dry-run"]] {
        let (code, swept) = gc(folder, kubeconfig, more).await;
        assert_eq!(code, Some(0), "{swept}");
        let expected = if more.is_empty() { json!([]) } else { json!([CANARY_PATH]) };
        assert_eq!(swept["removed"], expected);
    }
    assert_eq!(pushes(), before, "nothing was touched");
    let (code, swept) = gc(folder, kubeconfig, &["--all"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!([CANARY_PATH])), "{swept}");
    assert_eq!(pushes(), before + 1);
    assert_eq!(file_on(&stage.url, "main").await, None);
    let (code, swept) = gc(folder, kubeconfig, &["--all"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!([])), "{swept}");
    assert_eq!(pushes(), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_a_file_that_somebody_may_need_stays() {
    let stage = git_lane(SOURCE).await;
    let (folder, kubeconfig) = (stage.folder.path(), &stage.sandbox.kubeconfig());
    let list = "resources:\n- configmap.yaml\n";
    let listing = NewCommit::new("main", "List it").file("canary/kustomization.yaml", list);
    stage.sandbox.git().commit(&stage.url, &listing).unwrap();
    let before = stage.sandbox.git().ref_updates().len();
    let (code, swept) = gc(folder, kubeconfig, &["--all"]).await;
    assert_eq!((code, names(&swept["used"])), (Some(0), vec![CANARY_PATH]), "{swept}");
    let why = swept["used"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("`canary/kustomization.yaml` lists it"), "{why}");
    let unlisted = NewCommit::new("main", "Do not").without("canary/kustomization.yaml");
    stage.sandbox.git().commit(&stage.url, &unlisted).unwrap();
    let file = file_on(&stage.url, "main").await.unwrap();
    let more = NewCommit::new("main", "More").file(CANARY_PATH, &format!("{file}  more: ours\n"));
    stage.sandbox.git().commit(&stage.url, &more).unwrap();
    let (code, swept) = gc(folder, kubeconfig, &["--all"]).await;
    assert_eq!((code, names(&swept["used"])), (Some(0), vec![CANARY_PATH]), "{swept}");
    assert_eq!(stage.sandbox.git().ref_updates().len(), before + 2, "none is hopclock's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_a_branch_that_replaces_goes_back_to_its_base() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    let git = stage.sandbox.git();
    let base = git.tip(&stage.url, "main").unwrap();
    git.force(&stage.url, "base", &base).unwrap();
    let trigger = format!("{SOURCE}, mode: {{ replace: {{ base: base }} }}");
    stage.file("app.yaml", &scenario("canary", &trigger, HOPS));
    let told = stage.tell(&["run", "app.yaml"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_ne!(git.tip(&stage.url, "main").unwrap(), base);
    let (folder, kubeconfig) = (stage.folder.path(), &stage.sandbox.kubeconfig());
    let (code, swept) = gc(folder, kubeconfig, &["--all"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!([CANARY_PATH])), "{swept}");
    assert_eq!(git.tip(&stage.url, "main").unwrap(), base);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_nothing_is_taken_away_while_a_run_is_under_way() {
    let stage = Stage::quick(&silent()).await;
    stage.file("app.yaml", &scenario("canary", SOURCE, QUIET));
    let mut updates = stage.sandbox.git().watch_updates();
    let mut run = stage.call(&["run", "app.yaml"]).spawn().unwrap();
    updates.recv().await.unwrap();
    // The run waits for a fetch that nobody asks for, and so keeps the lane.
    let told = call(stage.folder.path(), stage.sandbox.kubeconfig(), &["--all"]).await;
    assert_eq!(told.code, Some(3), "{told:?}");
    let held = format!("is in use by scenario `canary` of process {}", run.id().unwrap());
    assert!(told.err.contains(&held), "{told:?}");
    assert!(told.out.contains("  unknown "), "{told:?}");
    run.kill().await.unwrap();
    assert!(file_on(&stage.url, "main").await.is_some());
    let told = call(stage.folder.path(), stage.sandbox.kubeconfig(), &["--all"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(file_on(&stage.url, "main").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_the_locks_of_lanes_that_no_scenario_has_go_with_those_that_are_given_up() {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Open)).await;
    stage.file("app.yaml", &scenario("canary", SOURCE, HOPS));
    let (sandbox, kubeconfig) = (&stage.sandbox, stage.sandbox.kubeconfig());
    let namespace = ["--namespace", "hopclock"];
    let told = stage.tell(&[&["run", "app.yaml"][..], &namespace].concat()).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let lease = |lane: &str, spec: Value, labels: Value| {
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": lease_name(lane), "namespace": "hopclock", "labels": labels,
                "annotations": {"hopclock.dev/lane": lane}},
            "spec": spec})
    };
    let ours = json!({"app.kubernetes.io/managed-by": "hopclock",
        "app.kubernetes.io/component": "lane"});
    let (old, new) = ("2020-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z");
    let held = json!({"holderIdentity": "a@b", "leaseDurationSeconds": 30, "renewTime": new});
    stage.create(lease("old", json!({"renewTime": old}), ours.clone()));
    stage.create(lease("fresh", json!({"renewTime": new}), ours.clone()));
    stage.create(lease("held", held, ours));
    stage.create(lease("theirs", json!({"renewTime": old}), json!({})));
    let leases = || -> BTreeSet<String> {
        let all = ["old", "fresh", "held", "theirs"].map(|it| (it.to_owned(), lease_name(it)));
        let found = |name: &str| sandbox.store().get(&Key::new("Lease", "hopclock", name));
        all.into_iter().filter(|it| found(&it.1).is_some()).map(|it| it.0).collect()
    };
    let files = || -> Vec<String> {
        let all = stage.folder.path().join("cache/lanes").read_dir().unwrap();
        all.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    };
    let own = files();
    let own_lease =
        || sandbox.store().get(&Key::new("Lease", "hopclock", &own[0][..own[0].len() - 5]));
    assert!(own.len() == 1 && own_lease().is_some(), "{own:?}");
    let sweep = async |more: &[&str]| {
        let told = call(stage.folder.path(), &kubeconfig, &[&namespace[..], more].concat()).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        told.out
    };
    let all = ["old", "fresh", "held", "theirs"].map(str::to_owned).into();
    let (before, out) = (own_lease(), sweep(&["--all", "--dry-run"]).await);
    assert!(
        out.contains("\nlocks of lanes that nobody uses\n  would go  Lease `hopclock/"),
        "{out}"
    );
    assert_eq!((files(), leases(), own_lease()), (own.clone(), all, before), "not even taken");
    assert!(!sweep(&[]).await.contains("locks"), "only lanes that are given up lose theirs");

    let out = sweep(&["--all"]).await;
    assert!(out.contains("of lane `old`\n") && out.contains("  removed   lock file `"), "{out}");
    assert_eq!(leases(), ["fresh", "held", "theirs"].map(str::to_owned).into());
    assert_eq!((files(), own_lease().is_none()), (Vec::<String>::new(), true), "{out}");
    let out = sweep(&["--all"]).await;
    assert!(!out.contains("locks"), "it does not speak of its own: {out}");
    assert_eq!((files(), own_lease().is_none()), (Vec::<String>::new(), true));
}

#[tokio::test]
async fn bad_usage_is_none_of_what_could_not_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let told = call(folder.path(), Path::new("nowhere"), &[]).await;
    assert_eq!(told.code, Some(2), "{told:?}");
}
