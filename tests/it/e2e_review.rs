//! A tag that automation commits to a branch of its own: merged by somebody, or by hopclock.

use crate::e2e_image_kit::{HOPS, ImageCourse};
use hopclock_sandbox::git::{NewCommit, Refusal, RefusedBy, UpdatedBy};
use hopclock_sandbox::pipeline::{CANARY_PATH, ImageLane, PushTo};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const BRANCH: &str = "refs/heads/image-updates";
const MAIN: &str = "refs/heads/main";

/// A lane whose automation pushes to `image-updates`; `how` stands in the hop `merged`.
async fn course(how: &str) -> ImageCourse {
    let push = PushTo::Branch("image-updates".to_owned());
    let mut course = ImageCourse::new(&ImageLane { push, ..ImageLane::new("app") }).await;
    let merged =
        format!("\n- merged: {{ git_repository: flux-system/app{how} }}\n- {{ name: git_told");
    course.hops = HOPS.replace("\n- { name: git_told", &merged);
    course
}

fn consent(course: &ImageCourse) {
    let patch = json!({"metadata": {"annotations": {"hopclock.dev/canary": "hopclock"}}});
    let key = Key::new("GitRepository", "flux-system", "app");
    course.bench.sandbox.store().merge(&key, &patch, Part::Whole, "somebody").unwrap();
}

/// Does `then` with the automation's commit and the tip of `main`, and gives the new tip.
fn when_pushed(
    course: &ImageCourse,
    then: impl Fn(&str, &str) -> NewCommit + Send + 'static,
) -> JoinHandle<String> {
    let (sandbox, git) = (course.bench.sandbox.clone(), course.places.git.clone());
    let mut pushes = sandbox.git().watch_updates();
    tokio::spawn(async move {
        loop {
            let update = pushes.recv().await.unwrap();
            if update.by == UpdatedBy::Push && update.reference == BRANCH {
                let main = sandbox.git().tip(&git, "main").unwrap();
                return sandbox.git().commit(&git, &then(&update.new, &main)).unwrap();
            }
        }
    })
}

fn manifest(course: &ImageCourse, tag: &str) -> String {
    ImageLane::new("app").manifest(&course.places.image, tag, "")
}

fn hop<'a>(record: &'a Value, name: &str) -> &'a Value {
    let hops = record["hops"].as_array().unwrap();
    hops.iter().find(|it| it["hop"] == name).unwrap_or_else(|| panic!("{name}: {record:#}"))
}

/// Our pushes to `main`.
fn merges(course: &ImageCourse) -> Vec<String> {
    let updates = course.bench.sandbox.git().ref_updates();
    let ours = updates.iter().filter(|it| it.by == UpdatedBy::Push && it.reference == MAIN);
    ours.map(|it| it.new.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_squash_and_a_rebase_by_somebody_carry_the_change() {
    let course = course("").await;
    for (tag, squashed) in [("0.1.1", true), ("0.1.2", false)] {
        let text = manifest(&course, tag);
        if !squashed {
            let other = NewCommit::new("main", "Another's").file("other.txt", "x\n");
            course.bench.sandbox.git().commit(&course.places.git, &other).unwrap();
        }
        let merge = when_pushed(&course, move |_, main| {
            NewCommit::new("main", "Squashed or rebased").on(&[main]).file(CANARY_PATH, &text)
        });
        let told = course.tell().await;
        let record: Value = serde_json::from_str(&told.out).unwrap();
        assert_eq!(record["outcome"], "ok", "{record:#}");
        let tip = merge.await.unwrap();
        assert!(hop(&record, "merged").to_string().contains(&tip), "{record:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_merge_whose_tree_keeps_the_old_tag_does_not_carry() {
    let mut course = course("").await;
    course.deadline = "6s";
    let old = manifest(&course, "0.1.0");
    let merge = when_pushed(&course, move |pushed, main| {
        NewCommit::new("main", "Merge, reverted").on(&[main, pushed]).file(CANARY_PATH, &old)
    });
    let told = course.tell().await;
    let record: Value = serde_json::from_str(&told.out).unwrap();
    merge.await.unwrap();
    assert_ne!(record["outcome"], "ok", "{record:#}");
    assert!(hop(&record, "merged")["at"].is_null(), "{record:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hopclock_merges_squashes_or_rebases_once_where_the_scenario_says_so() {
    for way in ["merge", "squash", "rebase"] {
        let course = course(&format!(", merge: {way}")).await;
        consent(&course);
        // Somebody moves the branch at the same time.
        let other = when_pushed(&course, |_, _| {
            NewCommit::new("main", "Another's").file("other.txt", "x\n")
        });
        let told = course.tell().await;
        assert_eq!(told.code, Some(0), "{way}: {told:?}");
        let record: Value = serde_json::from_str(&told.out).unwrap();
        assert_eq!(record["outcome"], "ok", "{way}: {record:#}");
        other.abort();
        let merges = merges(&course);
        assert_eq!(merges.len(), 1, "{way}");
        let merged = hop(&record, "merged");
        let own = way == "rebase" && merged["carried_by"].is_null();
        assert!(own || merged.to_string().contains(&merges[0]), "{way}: {merged:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_hopclock_merges_only_where_it_may() {
    let mut course = course(", merge: squash").await;
    // The sandbox's own sources consent.
    let patch = json!({"metadata": {"annotations": {"hopclock.dev/canary": null}}});
    let key = Key::new("GitRepository", "flux-system", "app");
    course.bench.sandbox.store().merge(&key, &patch, Part::Whole, "somebody").unwrap();
    let error = course.refused("no consent").await;
    assert!(error.contains("GitRepository flux-system/app does not consent"), "{error}");
    assert!(error.contains("kubectl annotate gitrepository"), "{error}");
    course.hops = course.hops.replace("merge: squash", "merge: squash, shared: true");
    let refusal = Refusal {
        by: RefusedBy::PreReceiveHook,
        reference: MAIN.to_owned(),
        message: "main is protected".to_owned(),
    };
    course.bench.sandbox.git().set_refusal(&course.places.git, Some(refusal)).unwrap();
    let told = course.tell().await;
    assert_eq!(told.code, Some(3), "{told:?}");
    assert!(told.out.contains("merge_refused"), "{told:?}");
    assert!(told.err.contains("main is protected"), "{told:?}");
    assert!(merges(&course).is_empty());
}

/// Adds a GitRepository that follows `main` of the lane's repository, too, and what applies it.
fn follow_too(course: &ImageCourse, name: &str, verify: &Value) {
    let git = Key::new("GitRepository", "flux-system", "app");
    let store = course.bench.sandbox.store();
    let url = store.get(&git).unwrap()["spec"]["url"].clone();
    let object = |api: &str, kind: &str, spec: Value| {
        let metadata = json!({"namespace": "flux-system", "name": name});
        let object = json!({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec});
        store.create(object, "somebody").unwrap();
    };
    let reference = json!({"branch": "main"});
    let spec = json!({"interval": "10m", "url": url, "ref": reference, "verify": verify});
    object("source.toolkit.fluxcd.io/v1", "GitRepository", spec);
    let source = json!({"kind": "GitRepository", "name": name});
    let spec = json!({"interval": "10m", "sourceRef": source, "path": "./", "prune": false});
    object("kustomize.toolkit.fluxcd.io/v1", "Kustomization", spec);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_nothing_is_merged_into_a_branch_that_another_source_verifies() {
    let course = course(", merge: squash, shared: true").await;
    follow_too(&course, "prod", &json!({"mode": "HEAD", "secretRef": {"name": "keys"}}));
    let error = course.refused("another source verifies").await;
    assert!(error.contains("of which GitRepository flux-system/prod accepts signed"), "{error}");
    assert!(merges(&course).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_a_merge_that_wakes_others_needs_shared_and_says_whom() {
    let mut course = course(", merge: squash").await;
    consent(&course);
    follow_too(&course, "prod", &Value::Null);
    let error = course.refused("another applier").await;
    assert!(error.contains("is also applied by Kustomization flux-system/prod"), "{error}");
    course.hops = course.hops.replace("merge: squash", "merge: squash, shared: true");
    let told = course.tell().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.err.contains("the merge of hop `merged` wakes"), "{told:?}");
    assert!(told.err.contains("Kustomization flux-system/prod"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_refspec_pushes_beside_the_branch_keeps_no_hop_from_being_reached() {
    let course = course(", merge: merge").await;
    consent(&course);
    let options = json!({"merge_request.create": "", "merge_request.target": "main"});
    let refspec = "refs/heads/image-updates:refs/heads/staging";
    let push = json!({"branch": "image-updates", "refspec": refspec, "options": options});
    let git = json!({"checkout": {"ref": {"branch": "main"}}, "push": push});
    course.change("ImageUpdateAutomation", &json!({"spec": {"git": git}}));
    let told = course.tell().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let updates = course.bench.sandbox.git().ref_updates();
    let to = |reference: &str| updates.iter().rfind(|it| it.reference == reference).unwrap();
    let (pushed, beside) = (to(BRANCH), to("refs/heads/staging"));
    assert_eq!(pushed.new, beside.new);
    let options = ["merge_request.create", "merge_request.target=main"];
    assert_eq!(
        (&pushed.options[..], &beside.options[..]),
        (&options.map(str::to_owned)[..], &options.map(str::to_owned)[..])
    );
    assert!(to(MAIN).options.is_empty(), "ours has none");
    let record: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(record["outcome"], "ok", "{record:#}");
    assert_eq!(hop(&record, "automation_committed")["passage"], "reached", "{record:#}");
    assert_eq!(hop(&record, "merged")["carried_by"], to(MAIN).new.as_str(), "{record:#}");
}
