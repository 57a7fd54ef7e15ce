//! Pushing canaries: what arrives, in how many requests, and what others do meanwhile.

use crate::eventually::eventually;
use crate::git_kit::{Bench, TRAILER, append, push, replace};
use hopclock::remote::git::{Error, PublishError};
use hopclock_sandbox::git::{Fault, FaultRule, NewCommit, RequestKind};

#[tokio::test]
async fn a_push_puts_one_sound_commit_on_the_branch() {
    let bench = Bench::new().await;
    let before = bench.tip();
    let published = push(&bench.remote().await, "7").await.unwrap();
    assert_eq!(bench.tip(), published.commit);
    assert_eq!(bench.git(&["rev-parse", "main^"]).await, before);
    assert_eq!(bench.git(&["show", "main:canary/configmap.yaml"]).await, "canary: 7");
    assert_eq!(bench.git(&["show", "main:README"]).await, "hello");
    let log = bench.git(&["log", "-1", "--format=%an|%ae|%cn|%s|%(trailers:only,unfold)"]).await;
    assert_eq!(log.trim_end(), format!("hopclock|h@example.com|hopclock|Canary 7|{TRAILER}"));
    bench.git(&["fsck", "--strict", "--full"]).await;
    let agents = bench.host.requests();
    let ours = format!("git/hopclock {}", env!("CARGO_PKG_VERSION"));
    assert!(agents.iter().any(|request| request.user_agent == ours));
}

#[tokio::test]
async fn t1_the_truth_lies_between_sent_and_acknowledged() {
    let bench = Bench::new().await;
    let remote = bench.remote().await;
    for canary in ["1", "2", "3"] {
        let published = push(&remote, canary).await.unwrap();
        let truth = bench.host.ref_updates().pop().unwrap();
        assert_eq!(truth.new, published.commit);
        let truth = bench.clock.at(truth.at);
        assert!(published.sent < truth && truth < published.acknowledged);
    }
}

#[tokio::test]
async fn a_warm_push_takes_two_requests_and_its_preparation_none() {
    let bench = Bench::new().await;
    push(&bench.remote().await, "1").await.unwrap();
    let remote = bench.remote().await;
    let before = bench.host.requests().len();
    let prepared = remote.prepare(append("2")).await.unwrap();
    assert_eq!(bench.host.requests().len(), before);
    assert_eq!(prepared.parent, bench.tip());
    let published = remote.publish(prepared, |_| panic!("nothing moved")).await.unwrap();
    let kinds: Vec<_> = bench.host.requests()[before..].iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [RequestKind::PushRefs, RequestKind::Push]);
    assert_eq!((published.attempts, published.commit), (1, bench.tip()));
}

#[tokio::test]
async fn a_cache_that_knows_only_the_end_of_the_history_can_be_pushed_from_in_the_next_process() {
    let bench = Bench::new().await;
    for older in ["1", "2", "3"] {
        let commit = NewCommit::new("main", older).file("other", older);
        bench.host.commit(&bench.url, &commit).unwrap();
    }
    bench.remote().await.fetch_tip().await.unwrap();
    for canary in ["4", "5", "6"] {
        // Each is a repository that is opened anew, as by another process.
        let published = push(&bench.remote().await, canary).await.unwrap();
        assert_eq!(bench.tip(), published.commit);
    }
    assert_eq!(bench.git(&["rev-list", "--count", "main"]).await, "7");
    bench.git(&["fsck", "--strict", "--full"]).await;
}

#[tokio::test]
async fn t1_a_rebased_commit_is_announced_before_it_is_sent() {
    let bench = Bench::new().await;
    let remote = bench.remote().await;
    push(&remote, "1").await.unwrap();
    let prepared = remote.prepare(append("2")).await.unwrap();
    let other = NewCommit::new("main", "Somebody else").file("other", "x");
    let other = bench.host.commit(&bench.url, &other).unwrap();
    let (host, mut announced) = (bench.host.clone(), Vec::new());
    let published = remote
        .publish(prepared, |new| announced.push((new.clone(), host.count(RequestKind::Push))))
        .await
        .unwrap();
    let (new, pushes_before) = &announced[0];
    assert_eq!((announced.len(), published.attempts), (1, 2));
    assert_eq!((&new.commit, &new.parent), (&published.commit, &other));
    assert_eq!(*pushes_before, 1, "only the first canary had been sent");
    assert_eq!(bench.git(&["show", "main:other"]).await, "x");
    assert_eq!(bench.git(&["rev-list", "--count", "main"]).await, "4");
    bench.git(&["fsck", "--strict", "--full"]).await;
}

#[tokio::test]
async fn a_branch_that_moves_between_the_two_requests_is_noticed_by_the_server() {
    let bench = Bench::new().await;
    let remote = bench.remote().await;
    let prepared = remote.prepare(append("1")).await.unwrap();
    let slow = Fault::Slow(std::time::Duration::from_secs(2));
    bench.host.add_fault(FaultRule::once(RequestKind::Push, slow));
    let host = (bench.host.clone(), bench.url.clone());
    let meanwhile = tokio::spawn(async move {
        let (host, url) = host;
        eventually("the push", || host.count(RequestKind::Push) > 0).await;
        host.commit(&url, &NewCommit::new("main", "Somebody else").file("other", "x")).unwrap()
    });
    let mut announced = Vec::new();
    let published = remote.publish(prepared, |new| announced.push(new.clone())).await.unwrap();
    let other = meanwhile.await.unwrap();
    assert_eq!((announced.len(), published.attempts), (1, 2));
    assert_eq!(bench.git(&["rev-parse", "main^"]).await, other);
}

#[tokio::test]
async fn a_branch_that_moves_at_every_attempt_is_given_up() {
    let bench = Bench::new().await;
    let remote = bench.remote().await;
    let prepared = remote.prepare(append("1")).await.unwrap();
    let step = |count: usize| {
        let commit = NewCommit::new("main", "Somebody else").file("other", &count.to_string());
        bench.host.commit(&bench.url, &commit).unwrap()
    };
    step(0);
    let mut count = 0;
    let moved = remote.publish(prepared, |_| {
        count += 1;
        step(count);
    });
    let error = moved.await.unwrap_err();
    assert!(
        matches!(error, PublishError::Failed(Error::KeepsMoving { attempts: 3, .. })),
        "{error}"
    );
    assert_eq!(bench.host.count(RequestKind::Push), 0);
}

#[tokio::test]
async fn a_branch_that_was_rewritten_is_built_upon_and_not_undone() {
    let bench = Bench::new().await;
    let remote = bench.remote().await;
    let first = bench.tip();
    push(&remote, "1").await.unwrap();
    let prepared = remote.prepare(append("2")).await.unwrap();
    let rewritten = NewCommit::new("main", "Rewritten").file("new", "y").on(&[&first]);
    let rewritten = bench.host.commit(&bench.url, &rewritten).unwrap();
    let published = remote.publish(prepared, |_| {}).await.unwrap();
    assert_eq!(bench.git(&["rev-parse", "main^"]).await, rewritten);
    assert_eq!(bench.tip(), published.commit);
}

#[tokio::test]
async fn t2_a_lost_answer_is_told_and_the_tip_says_what_happened() {
    let bench = Bench::new().await;
    let remote = bench.remote().await;
    for (canary, fault, applied) in [("1", Fault::CutAfter, true), ("2", Fault::Cut, false)] {
        bench.host.add_fault(FaultRule::once(RequestKind::Push, fault));
        let pushes = bench.host.count(RequestKind::Push);
        let error = push(&remote, canary).await.unwrap_err();
        let PublishError::NoAnswer { commit, sent, .. } = &error else { panic!("{error}") };
        assert!(sent.0 > std::time::Duration::ZERO);
        assert_eq!(remote.tip().await.unwrap().as_ref() == Some(commit), applied, "{error}");
        assert_eq!(bench.host.count(RequestKind::Push), pushes + 1, "never sent again");
        assert_eq!(error.reason(), "git_no_answer");
    }
    push(&remote, "3").await.unwrap();
    assert_eq!(bench.git(&["rev-list", "--count", "main"]).await, "3");
}

#[tokio::test]
async fn t2_a_gateways_error_leaves_the_push_open() {
    let bench = Bench::new().await;
    let fault = FaultRule::once(RequestKind::Push, Fault::Status(504, None));
    bench.host.add_fault(fault);
    let error = push(&bench.remote().await, "1").await.unwrap_err();
    assert!(matches!(error, PublishError::NoAnswer { .. }), "{error}");
}

#[tokio::test]
async fn s2_replace_leaves_one_canary_above_the_base() {
    let bench = Bench::new().await;
    let base = bench.tip();
    bench.host.force(&bench.url, "canary", &base).unwrap();
    let options =
        hopclock::remote::git::GitRemoteOptions { branch: "canary".to_owned(), ..bench.options() };
    let remote = bench.open(options).await.unwrap();
    let mut requests = 0;
    for canary in ["1", "2", "3"] {
        requests = bench.host.requests().len();
        let prepared = remote.prepare(replace(canary, "main")).await.unwrap();
        remote.publish(prepared, |_| panic!("nothing moved")).await.unwrap();
    }
    assert_eq!(bench.host.requests().len(), requests + 2, "warm");
    assert_eq!(bench.git(&["rev-list", "--count", "main..canary"]).await, "1");
    assert_eq!(bench.git(&["show", "canary:canary/configmap.yaml"]).await, "canary: 3");
    // The base advances: the canary follows it, and what stood on the old base is still ours.
    for step in 0..20 {
        let step = NewCommit::new("main", "Work").file("work", &step.to_string());
        bench.host.commit(&bench.url, &step).unwrap();
    }
    let mut announced = 0;
    let prepared = remote.prepare(replace("4", "main")).await.unwrap();
    remote.publish(prepared, |_| announced += 1).await.unwrap();
    assert_eq!(announced, 1);
    assert_eq!(bench.git(&["rev-list", "--count", "main..canary"]).await, "1");
    assert_eq!(bench.git(&["rev-parse", "canary^"]).await, bench.tip());
    bench.git(&["fsck", "--strict", "--full"]).await;
}

#[tokio::test]
async fn s2_replace_never_removes_somebodys_commit() {
    let bench = Bench::new().await;
    bench.host.force(&bench.url, "canary", &bench.tip()).unwrap();
    let options =
        hopclock::remote::git::GitRemoteOptions { branch: "canary".to_owned(), ..bench.options() };
    let remote = bench.open(options).await.unwrap();
    let prepared = remote.prepare(replace("1", "main")).await.unwrap();
    remote.publish(prepared, |_| {}).await.unwrap();
    let prepared = remote.prepare(replace("2", "main")).await.unwrap();
    let work = NewCommit::new("canary", "Somebody's work").file("work", "x");
    let work = bench.host.commit(&bench.url, &work).unwrap();
    for error in [
        remote.publish(prepared, |_| panic!("nothing to send")).await.unwrap_err().to_string(),
        remote.prepare(replace("3", "main")).await.unwrap_err().to_string(),
    ] {
        assert!(error.contains(&work) && error.contains("Somebody's work"), "{error}");
    }
    assert_eq!(bench.host.tip(&bench.url, "canary").unwrap(), work);
}

#[tokio::test]
async fn t9_trees_and_ancestry_of_other_commits_can_be_asked() {
    let bench = Bench::new().await;
    let remote = bench.remote().await;
    let first = bench.tip();
    let ours = push(&remote, "1").await.unwrap().commit;
    let squash = NewCommit::new("main", "Squash").file("canary/configmap.yaml", "canary: 9\n");
    let squash = bench.host.commit(&bench.url, &squash.on(&[&first])).unwrap();
    let held = remote.tree_holds(&squash, "canary/configmap.yaml").await.unwrap();
    assert_eq!(held.as_deref(), Some(b"canary: 9\n".as_slice()));
    assert_eq!(remote.tree_holds(&squash, "canary/none").await.unwrap(), None);
    assert_eq!(remote.is_ancestor(&first, &ours).await, Some(true));
    assert_eq!(remote.is_ancestor(&ours, &squash).await, Some(false));
    let unseen = NewCommit::new("side", "Unseen").on(&[&squash]).file("a", "b");
    bench.host.commit(&bench.url, &unseen).unwrap();
    let later = NewCommit::new("side", "Later").file("c", "d");
    let later = bench.host.commit(&bench.url, &later).unwrap();
    assert!(remote.tree_holds(&later, "c").await.unwrap().is_some());
    assert_eq!(remote.is_ancestor(&ours, &later).await, None, "its history is not here");
    let above = remote.commits_above(&first).await.unwrap();
    assert_eq!(above.iter().map(|one| &one.commit).collect::<Vec<_>>(), [&ours]);
    assert!(above[0].message.contains(TRAILER));
    let cached = remote.read_file("canary/configmap.yaml").await.unwrap();
    assert_eq!(cached.as_deref(), Some(b"canary: 1\n".as_slice()));
    assert_eq!(remote.fetch_tip().await.unwrap(), squash);
    let cached = remote.read_file("canary/configmap.yaml").await.unwrap();
    assert_eq!(cached.as_deref(), Some(b"canary: 9\n".as_slice()));
}

#[tokio::test]
async fn a_cache_that_broke_between_runs_costs_a_fetch_and_no_error() {
    let bench = Bench::new().await;
    push(&bench.remote().await, "1").await.unwrap();
    for entry in std::fs::read_dir(bench.caches.path()).unwrap() {
        let objects = entry.unwrap().path().join("objects");
        if objects.exists() {
            std::fs::remove_dir_all(&objects).unwrap();
        }
    }
    push(&bench.remote().await, "2").await.unwrap();
    assert_eq!(bench.git(&["rev-list", "--count", "main"]).await, "3");
}
