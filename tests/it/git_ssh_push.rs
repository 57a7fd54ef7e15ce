//! The instants of a push over ssh, and pushes whose answer is lost.

use crate::eventually::eventually;
use crate::git_kit::{append, push};
use crate::git_ssh_kit::{Pair, SshHost, WAIT};
use hopclock::model::{CanaryId, Clock, Moment, ObjectName};
use hopclock::remote::git::{GitRemote, PublishError};
use hopclock::trigger::{Builds, Content, EditTemplate, GitCommit, PushMode, Trigger};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

fn host() -> Option<(Arc<SshHost>, Pair, String)> {
    let host = SshHost::start(&["ed25519"])?;
    let (key, known) = (host.client_key("ed25519"), host.known_hosts("ed25519"));
    Some((Arc::new(host), key, known))
}

fn trigger(remote: GitRemote) -> GitCommit {
    let edit = EditTemplate {
        builds: Builds::Skipped,
        instance: "team-a".to_owned(),
        path: "canary/configmap.yaml".to_owned(),
        content: Content::ConfigMap(ObjectName::new("hopclock", "canary")),
        chart: None,
        mode: PushMode::Append,
        author: None,
        trailers: Vec::new(),
    };
    GitCommit::new(remote, edit)
}

/// Cuts the connection as soon as the hook is there, and lets the hook go on then.
fn cut_when_reached(host: &Arc<SshHost>) -> tokio::task::JoinHandle<()> {
    let host = host.clone();
    tokio::spawn(async move {
        eventually("the hook is reached", || host.reached()).await;
        host.cut();
    })
}

/// A clock that counts how often it was read.
struct CountingClock {
    start: Instant,
    reads: AtomicUsize,
}

impl Clock for CountingClock {
    fn now(&self) -> Moment {
        let now = Moment(self.start.elapsed());
        self.reads.fetch_add(1, Ordering::SeqCst);
        now
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}

#[tokio::test]
async fn t1_zero_is_when_the_report_arrives_and_not_when_later_hooks_are_done() {
    let Some((host, key, known)) = host() else { return };
    host.hook("post-receive", WAIT);
    let clock = Arc::new(CountingClock { start: Instant::now(), reads: AtomicUsize::new(0) });
    let remote = GitRemote::open(host.options(&key, &known), clock.clone()).await.unwrap();
    let prepared = remote.prepare(append("1")).await.unwrap();
    let (waiting, watched) = (host.clone(), clock.clone());
    let before = clock.reads.load(Ordering::SeqCst);
    let released = tokio::spawn(async move {
        eventually("the hook is reached", || waiting.reached()).await;
        // Once for `sent` and once for the zero, while the hook still keeps the answer open.
        let stamped = || watched.reads.load(Ordering::SeqCst) == before + 2;
        eventually("the report was stamped", stamped).await;
        let released = watched.now();
        waiting.release();
        released
    });
    let published = remote.publish(prepared, |_| {}).await.unwrap();
    let released = released.await.unwrap();
    assert!(published.sent < published.acknowledged && published.acknowledged < released);
    assert_eq!(published.commit, host.tip());
}

#[tokio::test]
async fn t1_the_truth_lies_between_sent_and_acknowledged_over_ssh() {
    let Some((host, key, known)) = host() else { return };
    // The branch moves while this hook waits.
    host.hook("reference-transaction", &format!("[ \"$1\" = committed ] || exit 0\n{WAIT}"));
    let remote = host.open(host.options(&key, &known)).await.unwrap();
    let waiting = host.clone();
    let truth = tokio::spawn(async move {
        eventually("the branch has moved", || waiting.reached()).await;
        let truth = waiting.clock.now();
        waiting.release();
        truth
    });
    let published = push(&remote, "1").await.unwrap();
    let truth = truth.await.unwrap();
    assert!(published.sent < truth && truth < published.acknowledged);
}

#[tokio::test]
async fn t2_a_cut_after_the_branch_moved_is_no_answer_and_the_trigger_finds_the_commit() {
    let Some((host, key, known)) = host() else { return };
    host.hook("reference-transaction", &format!("[ \"$1\" = committed ] || exit 0\n{WAIT}"));
    let remote = host.open(host.options(&key, &known)).await.unwrap();
    let trigger = trigger(remote);
    let canary = CanaryId::new("team-a", 7);
    trigger.prepare(&canary).await.unwrap();
    let cutter = cut_when_reached(&host);
    let published = trigger.publish(&|_| {}).await.unwrap();
    cutter.await.unwrap();
    assert!(!published.zero.is_certain(), "{published:?}");
    assert_eq!(published.attempts, 1);
    assert_eq!(trigger.latest().await.unwrap(), Some(canary));
}

#[tokio::test]
async fn t2_a_cut_before_the_branch_moved_is_no_answer_and_then_an_error() {
    let Some((host, key, known)) = host() else { return };
    host.hook("pre-receive", &format!("{WAIT}exit 1"));
    let before = host.tip();
    let remote = host.open(host.options(&key, &known)).await.unwrap();
    let prepared = remote.prepare(append("1")).await.unwrap();
    let (began, cutter) = (host.clock.now(), cut_when_reached(&host));
    let error = remote.publish(prepared, |_| {}).await.unwrap_err();
    cutter.await.unwrap();
    let PublishError::NoAnswer { sent, why, .. } = &error else { panic!("{error:?}") };
    assert!(began < *sent && *sent < host.clock.now());
    assert_eq!(why.reason(), "git_broken", "{error}");
    std::fs::remove_file(host.folder.path().join("reached")).unwrap();

    let trigger = trigger(remote);
    trigger.prepare(&CanaryId::new("team-a", 7)).await.unwrap();
    let cutter = cut_when_reached(&host);
    let error = trigger.publish(&|_| {}).await.unwrap_err();
    cutter.await.unwrap();
    assert_eq!(error.reason, "push_lost", "{error}");
    assert_eq!(host.tip(), before);
}

#[tokio::test]
async fn a_refusal_of_a_hook_is_told_with_what_it_said() {
    let Some((host, key, known)) = host() else { return };
    host.hook("pre-receive", "echo 'GH006: Protected branch' >&2\nexit 1");
    let error = host.error(host.options(&key, &known)).await;
    assert_eq!(error.reason(), "git_rejected");
    let text = error.to_string();
    assert!(text.contains("pre-receive hook declined") && text.contains("GH006"), "{text}");
}

#[tokio::test]
async fn t1_a_branch_that_moved_gets_a_new_commit_over_ssh() {
    let Some((host, key, known)) = host() else { return };
    let remote = host.open(host.options(&key, &known)).await.unwrap();
    let prepared = remote.prepare(append("1")).await.unwrap();
    let other = host.open(host.options(&key, &known)).await.unwrap();
    push(&other, "foreign").await.unwrap();
    let mut announced = Vec::new();
    let published =
        remote.publish(prepared, |again| announced.push(again.commit.clone())).await.unwrap();
    assert_eq!((published.attempts, announced), (2, vec![host.tip()]));
}

#[tokio::test]
async fn the_trigger_runs_over_ssh_from_the_latest_canary_to_the_next() {
    let Some((host, key, known)) = host() else { return };
    let remote = host.open(host.options(&key, &known)).await.unwrap();
    let trigger = trigger(remote);
    assert_eq!(trigger.latest().await.unwrap(), None);
    let expected = format!("127.0.0.1:{}{}#main", host.address.port(), host.repository().display());
    assert_eq!(trigger.lane(), expected.replace(".git", ""));
    for sequence in [1, 2] {
        let canary = CanaryId::new("team-a", sequence);
        let revisions = trigger.prepare(&canary).await.unwrap();
        let published = trigger.publish(&|_| panic!("nothing moved")).await.unwrap();
        assert!(published.zero.is_certain());
        assert_eq!(revisions[0].id(), host.tip());
        assert_eq!(trigger.latest().await.unwrap(), Some(canary));
    }
}
