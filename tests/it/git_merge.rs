//! Merging commits into a branch: what it ends up with, and what others do meanwhile.

use crate::git_kit::Bench;
use hopclock::engine::{BranchMerge, Errand, ErrandDone};
use hopclock::model::{MergeWay, ProbeError, Revision};
use hopclock::remote::git::{Along, Author, Error, Merge, Merging, PublishError};
use hopclock_sandbox::git::{Fault, FaultRule, NewCommit, RequestKind};
use std::sync::Mutex;

const PATH: &str = "canary/configmap.yaml";

const WAYS: [MergeWay; 3] = [MergeWay::Merge, MergeWay::Squash, MergeWay::Rebase];

/// Makes a commit on a branch, on these parents.
fn commit(bench: &Bench, branch: &str, on: &[&str], file: (&str, &str)) -> String {
    let commit = NewCommit::new(branch, &format!("Write {}", file.1)).file(file.0, file.1).on(on);
    bench.host.commit(&bench.url, &commit).unwrap()
}

/// A commit on a branch of its own that says `canary: 1`, and one beside it on `main`.
fn apart(bench: &Bench) -> String {
    let base = bench.tip();
    let theirs = commit(bench, "updates", &[&base], (PATH, "canary: 1\n"));
    commit(bench, "main", &[&base], ("README", "hello, world\n"));
    theirs
}

fn wanted(commit: &str, way: MergeWay, along: Along) -> Merge {
    let author = Author { name: "hopclock".to_owned(), email: "h@example.com".to_owned() };
    Merge { commit: commit.to_owned(), way, author, along }
}

async fn merge(bench: &Bench, commit: &str, way: MergeWay) -> Result<Merging, PublishError> {
    bench.remote().await.merge(&wanted(commit, way, Along::Own), |_| {}).await
}

async fn errand(bench: &Bench, commit: &str, along: Along) -> Result<ErrandDone, ProbeError> {
    let errand = BranchMerge::new(bench.remote().await, MergeWay::Squash, along);
    errand.run(&Revision::commit(commit).unwrap(), &|_| {}).await
}

/// How often the content of the commit came to `main`.
async fn merges(bench: &Bench) -> usize {
    let arguments = ["log", "--first-parent", "--format=%H", "main", "--", PATH];
    bench.git(&arguments).await.lines().count() - 1
}

#[tokio::test]
async fn a_commit_is_merged_in_each_way_and_never_twice() {
    for way in WAYS {
        let bench = Bench::new().await;
        let theirs = apart(&bench);
        let before = bench.tip();
        let made = merge(&bench, &theirs, way).await.unwrap();
        let Merging::Made { commit, .. } = made else { panic!("{way:?}: {made:?}") };
        assert_eq!(bench.tip(), commit);
        assert_eq!(bench.git(&["show", &format!("main:{PATH}")]).await, "canary: 1");
        assert_eq!(bench.git(&["show", "main:README"]).await, "hello, world");
        let parents = bench.git(&["log", "-1", "--format=%P", "main"]).await;
        let expected = match way {
            MergeWay::Merge => format!("{before} {theirs}"),
            MergeWay::Squash | MergeWay::Rebase => before,
        };
        assert_eq!(parents.trim(), expected, "{way:?}");
        bench.git(&["fsck", "--strict", "--full"]).await;
        assert_eq!(merge(&bench, &theirs, way).await.unwrap(), Merging::Already, "{way:?}");
        // Somebody takes it back: that is not undone.
        commit_back(&bench);
        assert_eq!(merge(&bench, &theirs, way).await.unwrap(), Merging::Already, "{way:?}");
        assert_eq!(bench.git(&["show", &format!("main:{PATH}")]).await, "canary: none");
    }
}

fn commit_back(bench: &Bench) {
    let commit = NewCommit::new("main", "Take it back").file(PATH, "canary: none\n");
    bench.host.commit(&bench.url, &commit).unwrap();
}

#[tokio::test]
async fn what_somebody_else_has_squashed_is_there_already() {
    let bench = Bench::new().await;
    let theirs = apart(&bench);
    commit(&bench, "main", &[&bench.tip()], (PATH, "canary: 1\n"));
    for way in WAYS {
        assert_eq!(merge(&bench, &theirs, way).await.unwrap(), Merging::Already, "{way:?}");
    }
}

#[tokio::test]
async fn a_branch_that_nobody_has_moved_is_rebased_to_the_commit_itself() {
    let bench = Bench::new().await;
    let theirs = commit(&bench, "updates", &[&bench.tip()], (PATH, "canary: 1\n"));
    let made = merge(&bench, &theirs, MergeWay::Rebase).await.unwrap();
    assert!(matches!(made, Merging::Made { commit, .. } if commit == theirs));
    assert_eq!(bench.tip(), theirs);
}

#[tokio::test]
async fn a_conflict_is_one_sentence_and_moves_nothing() {
    let bench = Bench::new().await;
    let theirs = apart(&bench);
    let tip = commit(&bench, "main", &[&bench.tip()], (PATH, "canary: other\n"));
    for way in WAYS {
        let error = merge(&bench, &theirs, way).await.unwrap_err().to_string();
        assert!(error.contains("both change `canary/configmap.yaml`"), "{error}");
    }
    let error = errand(&bench, &theirs, Along::Own).await.unwrap_err();
    assert_eq!(error.reason, "merge_conflict");
    let sentence = error.message.replace(&bench.url, "URL").replace(&theirs, "COMMIT");
    assert_eq!(
        sentence,
        "the merge failed: commit `COMMIT` cannot be merged into branch `main` of git remote \
         `URL`: both change `canary/configmap.yaml`; merge it by hand, or let the automation start \
         again from the branch"
    );
    assert_eq!(bench.tip(), tip);
}

#[tokio::test]
async fn s1_the_commits_of_others_come_along_only_where_that_is_allowed() {
    let bench = Bench::new().await;
    let base = bench.tip();
    // Made by the host's own author, and by ours on top of it.
    let other = commit(&bench, "updates", &[&base], ("other", "work in progress\n"));
    let options =
        hopclock::remote::git::GitRemoteOptions { branch: "updates".to_owned(), ..bench.options() };
    let theirs = crate::git_kit::push(&bench.open(options).await.unwrap(), "1").await.unwrap();
    commit(&bench, "main", &[&base], ("README", "hello, world\n"));
    let tip = bench.tip();
    let error = errand(&bench, &theirs.commit, Along::Own).await.unwrap_err();
    assert_eq!(error.reason, "merge_others");
    assert!(error.message.contains(&format!("would bring commit `{other}` by `")), "{error:?}");
    assert_eq!(bench.tip(), tip);
    let done = errand(&bench, &theirs.commit, Along::Others).await.unwrap();
    assert!(matches!(done, ErrandDone::Now { .. }), "{done:?}");
    assert_eq!(bench.git(&["show", "main:other"]).await, "work in progress");
}

#[tokio::test]
async fn s1_of_what_one_automation_commits_only_the_own_policys_choices_come_along() {
    let bench = Bench::new().await;
    let mark = |policy: &str| format!("# {{\"$imagepolicy\": \"flux-system:{policy}\"}}\n");
    let file =
        |app: u8, shop: u8| format!("a: app:{app} {}b: shop:{shop} {}", mark("app"), mark("shop"));
    let base = commit(&bench, "main", &[&bench.tip()], ("images", &file(1, 1)));
    // The same author commits both.
    let own = commit(&bench, "updates", &[&base], ("images", &file(2, 1)));
    let both = commit(&bench, "updates", &[&own], ("images", &file(3, 2)));
    let added = commit(&bench, "more", &[&own], ("new", "x: 1\n"));
    let tip = commit(&bench, "main", &[&base], ("README", "hello, world\n"));
    let along = || Along::Choices(vec!["flux-system:app".to_owned()]);
    for (theirs, what) in [(&both, "would change line 2 of `images`"), (&added, "change `new`")] {
        for way in WAYS {
            let wanted = wanted(theirs, way, along());
            let error = bench.remote().await.merge(&wanted, |_| {}).await.unwrap_err().to_string();
            assert!(error.contains(what), "{way:?}: {error}");
        }
        assert_eq!(errand(&bench, theirs, along()).await.unwrap_err().reason, "merge_others");
    }
    assert_eq!(bench.tip(), tip);
    let done = errand(&bench, &own, along()).await.unwrap();
    assert!(matches!(done, ErrandDone::Now { .. }), "{done:?}");
    assert_eq!(bench.git(&["show", "main:images"]).await, file(2, 1).trim_end());
}

#[tokio::test]
async fn what_was_taken_back_stays_so_though_the_commit_stands_on_a_merge_of_it() {
    for way in [MergeWay::Merge, MergeWay::Squash] {
        let bench = Bench::new().await;
        let base = commit(&bench, "main", &[&bench.tip()], ("feature", "off\n"));
        let feature = commit(&bench, "main", &[&base], ("feature", "on\n"));
        // The push branch was at the base, and `main` was merged into it.
        let merge = NewCommit::new("updates", "Merge main").on(&[&base, &feature]);
        let merge = merge.file("feature", "on\n");
        let merged = bench.host.commit(&bench.url, &merge).unwrap();
        let theirs = commit(&bench, "updates", &[&merged], (PATH, "canary: 1\n"));
        commit(&bench, "main", &[&feature], ("feature", "off\n"));
        self::merge(&bench, &theirs, way).await.unwrap();
        assert_eq!(bench.git(&["show", "main:feature"]).await, "off", "{way:?}");
        assert_eq!(bench.git(&["show", &format!("main:{PATH}")]).await, "canary: 1");
    }
}

#[tokio::test]
async fn branches_that_were_merged_into_each_other_are_left_to_people() {
    let bench = Bench::new().await;
    let base = bench.tip();
    let ours = commit(&bench, "main", &[&base], ("a", "1\n"));
    let theirs = commit(&bench, "updates", &[&base], ("b", "1\n"));
    let both = |branch: &str, on: [&str; 2]| {
        let merge = NewCommit::new(branch, "Merge").on(&on).file("a", "1\n").file("b", "1\n");
        bench.host.commit(&bench.url, &merge).unwrap()
    };
    both("main", [&ours, &theirs]);
    let crossed = both("updates", [&theirs, &ours]);
    let theirs = commit(&bench, "updates", &[&crossed], (PATH, "canary: 1\n"));
    let error = merge(&bench, &theirs, MergeWay::Squash).await.unwrap_err().to_string();
    assert!(error.contains("they were merged into each other"), "{error}");
}

#[tokio::test]
async fn t1_a_branch_that_moves_before_the_push_is_merged_anew_and_announced() {
    for way in WAYS {
        let bench = Bench::new().await;
        let theirs = apart(&bench);
        let announced = Mutex::new(Vec::new());
        let announce = |made: &str| {
            let mut announced = announced.lock().unwrap();
            announced.push(made.to_owned());
            if announced.len() < 3 {
                commit(&bench, "main", &[&bench.tip()], ("README", made));
            }
        };
        let wanted = wanted(&theirs, way, Along::Own);
        let made = bench.remote().await.merge(&wanted, announce).await.unwrap();
        let Merging::Made { commit, .. } = made else { panic!("{made:?}") };
        let announced = announced.into_inner().unwrap();
        assert_eq!((announced.len(), announced.last()), (3, Some(&commit)), "{way:?}");
        assert_eq!(bench.git(&["show", "main:README"]).await, announced[1]);
        assert_eq!((bench.tip(), merges(&bench).await), (commit, 1), "{way:?}");
    }
}

#[tokio::test]
async fn a_branch_that_keeps_moving_is_given_up_in_the_end() {
    let bench = Bench::new().await;
    let theirs = apart(&bench);
    let announce = |made: &str| drop(commit(&bench, "main", &[&bench.tip()], ("README", made)));
    let wanted = wanted(&theirs, MergeWay::Squash, Along::Own);
    let error = bench.remote().await.merge(&wanted, announce).await.unwrap_err();
    let PublishError::Failed(Error::KeepsMoving { attempts: 3, .. }) = error else {
        panic!("{error}")
    };
    assert_eq!(merges(&bench).await, 0);
}

#[tokio::test]
async fn t2_a_push_without_an_answer_is_looked_for_before_another_is_sent() {
    // Whether it has happened, and what an errand then says.
    for (fault, happened) in [(Fault::CutAfter, true), (Fault::Cut, false)] {
        let bench = Bench::new().await;
        let theirs = apart(&bench);
        bench.host.add_fault(FaultRule::once(RequestKind::Push, fault));
        let done = errand(&bench, &theirs, Along::Own).await.unwrap();
        assert_eq!(done == ErrandDone::Already, happened, "{done:?}");
        assert_eq!(merges(&bench).await, 1);
    }
}
