//! Pushes that go wrong: answers that never come, branches that move, files that are not ours.

use crate::e2e_kit::{Bench, foreign};
use hopclock::model::{CanaryId, Event, Passage};
use hopclock::trigger::PushMode;
use hopclock_sandbox::git::{Fault, FaultRule, NewCommit, RequestKind, UpdatedBy};
use hopclock_sandbox::pipeline::{CANARY_PATH, Hook};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_a_push_without_an_answer_that_is_there_is_an_uncertain_zero() {
    let bench = Bench::new().await;
    let course = bench.lane("cut", "10m", Hook::Right).await;
    bench.sandbox.git().add_fault(FaultRule::once(RequestKind::Push, Fault::CutAfter));
    let measured = course.run(|_| ()).await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    let took = measured.record.push.as_ref().unwrap().took;
    assert!(!took.is_exact() && took.least.is_zero(), "{took:?}");
    let updates = bench.sandbox.git().ref_updates();
    let mut pushes = updates.iter().filter(|it| it.by == UpdatedBy::Push);
    let truth = pushes.next().unwrap().at;
    assert!(pushes.next().is_none(), "nothing is sent twice");
    let sent = measured.zero() - took.most;
    assert!(sent <= truth && truth <= measured.zero());
    for hop in ["webhook_received", "source_fetched", "live", "applied"] {
        let &Passage::Reached { at, uncertain, .. } = measured.passage(hop) else {
            panic!("{hop}: {:?}", measured.record)
        };
        let true_length = measured.truth(hop).0 - truth;
        assert!(at.least <= true_length && true_length <= at.most + took.most, "{hop}: {at:?}");
        assert!(uncertain || hop == "live" || hop == "applied", "{hop}: its stage starts at zero");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_a_second_attempt_without_an_answer_is_found_by_its_own_commit() {
    let bench = Bench::new().await;
    let course = bench.lane("twice", "10m", Hook::Right).await;
    bench.sandbox.git().add_fault(FaultRule::once(RequestKind::Push, Fault::CutAfter));
    let mover = std::sync::Arc::new(course.share());
    let before = move || {
        mover.commit(&foreign());
        Box::pin(std::future::ready(())) as futures_util::future::BoxFuture<'static, ()>
    };
    let measured = course.run_meddled(before, || (), |_| ()).await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    let push = measured.record.push.as_ref().unwrap();
    assert_eq!((push.attempts, push.took.is_exact()), (2, false));
    assert_eq!(measured.pushed(), course.tip());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_a_push_that_is_not_there_is_an_error_and_is_not_sent_again() {
    let bench = Bench::new().await;
    let course = bench.lane("lost", "10m", Hook::Right).await;
    let tip = course.tip();
    for (kind, reason) in [(RequestKind::Push, "push_lost"), (RequestKind::PushRefs, "git_broken")]
    {
        bench.sandbox.git().add_fault(FaultRule::once(kind, Fault::Cut));
        let measured = course.run(|_| ()).await;
        assert_eq!(measured.error().0, reason, "{}", measured.error().1);
        assert!(measured.record.push.is_none());
        assert_eq!(course.tip(), tip);
        assert!(measured.verdicts().is_empty());
    }
    assert_eq!(bench.sandbox.git().count(RequestKind::Push), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t1_a_branch_that_moved_gets_a_new_commit_that_is_announced_before_it_is_sent() {
    let bench = Bench::new().await;
    let course = bench.lane("moved", "10m", Hook::Right).await;
    let mover = std::sync::Arc::new(course.share());
    let before = move || {
        mover.commit(&foreign());
        Box::pin(std::future::ready(())) as futures_util::future::BoxFuture<'static, ()>
    };
    let measured = course.run_meddled(before, || (), |_| ()).await;
    assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
    let push = measured.record.push.as_ref().unwrap();
    assert_eq!(push.attempts, 2);
    assert_eq!(push.revisions.len(), 1);
    assert_eq!(measured.pushed(), course.tip(), "what is announced is what was pushed");
    let told = measured.events.iter().find_map(|it| match it {
        Event::Published { revisions, .. } => revisions.first(),
        _ => None,
    });
    assert_eq!(told.unwrap().id(), course.tip());
    measured.assert_all_true();
    let Passage::Reached { carried_by, .. } = measured.passage("source_fetched") else { panic!() };
    assert_eq!(carried_by, &None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_keeps_moving_is_an_error_that_says_what_to_do() {
    let bench = Bench::new().await;
    let course = bench.lane("restless", "10m", Hook::Silent).await;
    let (one, two) = (std::sync::Arc::new(course.share()), course.share());
    let before = move || {
        one.commit(&foreign());
        Box::pin(std::future::ready(())) as futures_util::future::BoxFuture<'static, ()>
    };
    let again = move || drop(two.commit(&foreign()));
    let measured = course.run_meddled(before, again, |_| ()).await;
    assert_eq!(measured.error().0, "git_keeps_moving");
    assert!(measured.error().1.contains("give hopclock a branch of its own"));
    let updates = bench.sandbox.git().ref_updates();
    assert!(updates.iter().all(|it| it.by == UpdatedBy::Host), "nothing of ours arrived");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_replace_keeps_one_canary_above_its_base_and_no_one_elses_commit() {
    let bench = Bench::new().await;
    let mut course = bench.lane("replaced", "10m", Hook::Right).await;
    let git = bench.sandbox.git();
    let base = course.tip();
    git.force(&course.url, "base", &base).unwrap();
    course.edit.mode = PushMode::Replace { base: "base".to_owned() };
    let mut tips = Vec::new();
    for _ in 0..2 {
        let measured = course.run(|_| ()).await;
        assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
        measured.assert_all_true();
        assert_eq!(measured.pushed(), course.tip());
        tips.push(course.tip());
    }
    let moves = git.ref_updates();
    let last = moves.iter().rfind(|it| it.by == UpdatedBy::Push).unwrap();
    assert_eq!((&last.old, &last.new), (&tips[0], &tips[1]), "the second took the first's place");
    let listed = std::process::Command::new("git")
        .args(["ls-remote", &course.url, "refs/heads/base"])
        .output()
        .unwrap();
    assert!(String::from_utf8(listed.stdout).unwrap().starts_with(&base), "the base stays");

    let stranger = course.commit(&foreign());
    let measured = course.run(|_| ()).await;
    assert_eq!(measured.error().0, "git_foreign_commit");
    assert!(measured.error().1.contains(&stranger[..7]), "{}", measured.error().1);
    assert_eq!(course.tip(), stranger, "nothing is removed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_a_canary_of_another_instance_on_our_file_is_an_error_that_names_it() {
    let bench = Bench::new().await;
    let course = bench.lane("theirs", "10m", Hook::Silent).await;
    let canary = format!("canary: {}\n", CanaryId::new("team-b", 0x1a1_fbe6_7da8));
    let theirs = course.commit(&NewCommit::new("main", "Theirs").file(CANARY_PATH, &canary));
    let measured = course.run(|_| ()).await;
    assert_eq!(measured.error().0, "foreign_canary");
    assert!(measured.error().1.contains("`team-b`"), "{}", measured.error().1);
    assert_eq!(course.tip(), theirs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_second_writer_is_found_out_between_prepare_and_push() {
    let bench = Bench::new().await;
    let course = bench.lane("shared", "10m", Hook::Silent).await;
    for (instance, reason) in [("test", "second_writer"), ("team-b", "foreign_canary")] {
        let canary = CanaryId::new(instance, 0x7ff_ffff_ffff);
        let other = std::sync::Arc::new(course.share());
        let before = move || {
            let text = format!("canary: {canary}\n");
            other.commit(&NewCommit::new("main", "Theirs").file(CANARY_PATH, &text));
            Box::pin(std::future::ready(())) as futures_util::future::BoxFuture<'static, ()>
        };
        let start = course.tip();
        let measured = course.run_meddled(before, || (), |_| ()).await;
        assert_eq!(measured.error().0, reason, "{}", measured.error().1);
        let updates = bench.sandbox.git().ref_updates();
        assert!(updates.iter().all(|it| it.by == UpdatedBy::Host), "nothing of ours arrived");
        bench.sandbox.git().force(&course.url, "main", &start).unwrap();
    }
}
