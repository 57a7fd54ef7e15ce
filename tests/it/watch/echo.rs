//! Rule T6: our own echo, its time, and what it does to events while it is overdue.

use crate::cluster_kit::{as_user, grant};
use crate::eventually::eventually;
use crate::watch::script::{Script, line, patched};
use crate::watch::{Lab, RuntimeClock, patient, revision, source, state};
use hopclock::cluster::{Cluster, Echo, EchoOptions, EchoState, Following};
use hopclock::model::{Arrival, Clock, GroupKind, Moment, Subject, When};
use hopclock_sandbox::api::{Answer, Namespaces, Options, Scope};
use hopclock_sandbox::store::Key;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

type Times = Arc<Mutex<Vec<Duration>>>;

fn start(cluster: &Cluster, every: Duration) -> (Echo, Times) {
    let times = Times::default();
    let options = EchoOptions { namespace: "lab".to_owned(), every, ..EchoOptions::default() };
    let all = times.clone();
    let echo = cluster.start_echo(&options, move |it| all.lock().unwrap().push(it));
    (echo, times)
}

fn often() -> Duration {
    Duration::from_millis(50)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn shows(following: &mut Following) -> (String, When) {
    let state = state(following).await;
    (revision(&state.value).to_owned(), state.when)
}

/// A clock, and what waits until so long after a moment.
fn clock() -> (Arc<RuntimeClock>, impl AsyncFn(Moment, u64)) {
    let origin = Instant::now();
    let until = async move |from: Moment, millis| sleep_until(origin + from.0 + ms(millis)).await;
    (Arc::new(RuntimeClock(origin)), until)
}

#[tokio::test(start_paused = true)]
async fn t6_an_overdue_echo_makes_events_uncertain_until_it_is_back() {
    let (clock, until) = clock();
    let (mut script, cluster) = Script::serve(clock.clone());
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let watch = script.watch().await;
    assert_eq!(state(&mut following).await.arrival, Arrival::First);
    let (_echo, times) = start(&cluster, Duration::from_secs(60));
    let echoes = script.watch().await;
    let (version, sent) = (script.patch().await, clock.now());

    let steps = [(1_900, 2, None), (2_500, 3, Some(sent)), (2_900, 4, Some(sent))];
    for (millis, version, since) in steps {
        until(sent, millis).await;
        watch.send(line(version));
        let at = sent + ms(millis);
        let when = since.map_or(When::at(at), |it| When::between(it, at));
        assert_eq!(shows(&mut following).await, (version.to_string(), when));
    }
    assert_eq!(cluster.echo_state(), EchoState { overdue: true, ..EchoState::default() });

    until(sent, 3_000).await;
    echoes.send(patched(version));
    sleep(ms(10)).await;
    assert_eq!(cluster.echo_state(), EchoState { last: Some(ms(3_000)), ..EchoState::default() });
    assert_eq!(*times.lock().unwrap(), [ms(3_000)]);
    // What was held up like it may come shortly after it.
    until(sent, 3_200).await;
    watch.send(line(5));
    assert_eq!(shows(&mut following).await.1, When::between(sent, sent + ms(3_200)));
    until(sent, 3_300).await;
    watch.send(line(6));
    assert_eq!(shows(&mut following).await.1, When::at(sent + ms(3_300)));
}

#[tokio::test(start_paused = true)]
async fn t6_events_of_a_quiet_watch_are_bounded_by_its_own_last_sign() {
    let (clock, until) = clock();
    let (mut script, cluster) = Script::serve(clock.clone());
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let watch = script.watch().await;
    assert_eq!(state(&mut following).await.arrival, Arrival::First);
    until(Moment::default(), 4_000).await;
    watch.send(line(2));
    let last = Moment(ms(4_000));
    assert_eq!(shows(&mut following).await.1, When::at(last));

    until(Moment::default(), 8_000).await;
    let (echo, _) = start(&cluster, Duration::from_secs(60));
    let _echoes = script.watch().await;
    script.patch().await;
    let sent = clock.now();
    until(sent, 2_500).await;
    watch.send(line(3));
    assert_eq!(shows(&mut following).await.1, When::between(last, sent + ms(2_500)));

    // Nobody who has no echo may stay uncertain for ever.
    drop(echo);
    until(sent, 4_000).await;
    watch.send(line(4));
    assert_eq!(shows(&mut following).await.1, When::at(sent + ms(4_000)));
    assert_eq!(cluster.echo_state(), EchoState::default());
}

#[tokio::test(start_paused = true)]
async fn t6_a_watch_that_is_opened_while_the_echo_is_overdue_is_uncertain_too() {
    let (clock, until) = clock();
    let (mut script, cluster) = Script::serve(clock.clone());
    let (_echo, _) = start(&cluster, Duration::from_secs(60));
    let _echoes = script.watch().await;
    script.patch().await;
    let sent = clock.now();
    until(sent, 2_500).await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let watch = script.watch().await;
    assert_eq!(state(&mut following).await.arrival, Arrival::First);
    until(sent, 4_000).await;
    watch.send(line(2));
    assert_eq!(shows(&mut following).await.1, When::between(sent, sent + ms(4_000)));
}

#[tokio::test(start_paused = true)]
async fn t6_an_echo_that_is_lost_is_taken_back_by_the_next_one() {
    let (clock, until) = clock();
    let (mut script, cluster) = Script::serve(clock.clone());
    let (_echo, times) = start(&cluster, Duration::from_secs(5));
    let echoes = script.watch().await;
    script.patch().await;
    let lost = clock.now();
    let (version, sent) = (script.patch().await, clock.now());
    assert!(cluster.echo_state().overdue);
    assert!(sent.since(lost) >= ms(10_000));
    until(sent, 20).await;
    echoes.send(patched(version));
    sleep(ms(10)).await;
    assert_eq!(cluster.echo_state(), EchoState { last: Some(ms(20)), ..EchoState::default() });
    assert_eq!(*times.lock().unwrap(), [ms(20)]);
}

#[tokio::test]
async fn t6_an_echo_is_timed_over_the_same_watches_as_everything() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    let (echo, times) = start(&cluster, often());
    let (_other, shared) = start(&lab.cluster().await, often());
    eventually("echoes", || times.lock().unwrap().len() >= 3 && !shared.lock().unwrap().is_empty())
        .await;
    let object = lab.store.get(&Key::new("ConfigMap", "lab", "hopclock-echo")).unwrap();
    assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/component"], "watch-echo");
    assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "hopclock");
    let EchoState { last, problem, .. } = cluster.echo_state();
    assert!(last.is_some() && problem.is_none(), "{problem:?}");

    drop(echo);
    let patches = || lab.asked("patch").len();
    let before = patches();
    eventually("the other goes on", || patches() > before + 4).await;
    assert_eq!(cluster.echo_state(), EchoState::default());
}

#[tokio::test]
async fn t6_an_echo_never_costs_a_run_its_watch() {
    let lab = Lab::new().await;
    let cluster = as_user(&lab, "carol", lab.clock.clone()).await;
    let rule = |verbs: &[&str], names: &[&str]| json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs, "resourceNames": names});
    grant(&lab, "carol", &rule(&["list", "watch"], &["canary", "hopclock-echo"]));
    grant(&lab, "carol", &rule(&["patch"], &["hopclock-echo"]));
    grant(&lab, "carol", &rule(&["create"], &[]));
    let (_echo, times) = start(&cluster, often());
    eventually("an echo", || !times.lock().unwrap().is_empty()).await;
    // All of the namespace may not be watched, so the two may not share a watch.
    let canary = Subject::local(GroupKind::new("", "ConfigMap"), "lab", "canary");
    let mut following = cluster.follow(&[canary]).await.unwrap();
    assert_eq!(state(&mut following).await.arrival, Arrival::First);
    let before = times.lock().unwrap().len();
    eventually("further echoes", || times.lock().unwrap().len() > before + 3).await;
    assert_eq!(cluster.echo_state().problem, None);
}

#[tokio::test]
async fn t6_a_cluster_whose_watches_fall_silent_is_found_out_and_forgiven() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster_with(patient()).await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    assert_eq!(state(&mut following).await.arrival, Arrival::First);
    let (_echo, times) = start(&cluster, often());
    eventually("an echo", || !times.lock().unwrap().is_empty()).await;
    let hole = lab.server.faults().black_hole_watches(Scope::all().kind("ConfigMap"));
    eventually("an overdue echo", || cluster.echo_state().overdue).await;

    let published = lab.publish("apps", "held up");
    let (text, when) = shows(&mut following).await;
    assert_eq!(text, "held up");
    assert!(!when.is_certain() && when.earliest < published && published <= when.latest);
    lab.server.faults().lift(hole);
    eventually("it is back", || !cluster.echo_state().overdue).await;
    assert!(times.lock().unwrap().iter().any(|it| *it > Duration::from_secs(2)));
}

#[tokio::test]
async fn t6_a_cluster_that_does_not_take_our_write_is_as_uncertain_as_one_that_is_silent() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster_with(patient()).await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    assert_eq!(state(&mut following).await.arrival, Arrival::First);
    let (_echo, times) = start(&cluster, often());
    eventually("an echo", || !times.lock().unwrap().is_empty()).await;
    let writes = Scope::all().kind("ConfigMap").verb("patch");
    let broken = lab.server.faults().answer(Answer::Unavailable, writes);
    eventually("an overdue echo", || cluster.echo_state().overdue).await;

    let published = lab.publish("apps", "held up");
    let (text, when) = shows(&mut following).await;
    assert_eq!(text, "held up");
    assert!(!when.is_certain() && when.earliest < published && published <= when.latest);
    lab.server.faults().lift(broken);
    eventually("it is back", || !cluster.echo_state().overdue).await;
}

#[tokio::test]
async fn t6_an_echo_that_may_not_write_is_off_and_says_so_and_comes_when_it_may() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = as_user(&lab, "carol", lab.clock.clone()).await;
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    let flux = rule("source.toolkit.fluxcd.io", "gitrepositories", &["list", "watch"]);
    grant(&lab, "carol", &flux);
    grant(&lab, "carol", &rule("", "configmaps", &["list", "watch"]));
    let (_echo, times) = start(&cluster, often());
    eventually("a refusal", || cluster.echo_state().problem.is_some()).await;
    let EchoState { problem, overdue, last } = cluster.echo_state();
    let problem = problem.unwrap().replace(&lab.server.url(), "[server]");
    assert_eq!(
        problem,
        "the API server at `[server]` forbids `patch` of `configmaps` named `hopclock-echo` in \
         namespace `lab` (403): grant `apiGroups: [\"\"], resources: [\"configmaps\"], verbs: \
         [\"patch\"]` in a Role"
    );
    assert!(!overdue && last.is_none());

    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    assert_eq!(state(&mut following).await.arrival, Arrival::First);
    grant(&lab, "carol", &rule("", "configmaps", &["patch"]));
    let create = |it: &EchoState| it.problem.as_ref().is_some_and(|it| it.contains("`create`"));
    eventually("the next refusal", || create(&cluster.echo_state())).await;
    grant(&lab, "carol", &rule("", "configmaps", &["create"]));
    eventually("an echo", || !times.lock().unwrap().is_empty()).await;
    assert_eq!(cluster.echo_state().problem, None);
}

#[tokio::test]
async fn t6_an_echo_without_a_namespace_is_off_and_says_so() {
    let lab = Lab::with(Options { namespaces: Namespaces::MustExist, ..Options::default() }).await;
    let cluster = lab.cluster().await;
    let echo = cluster.start_echo(&EchoOptions::default(), |_| panic!("there is none"));
    let problem = "no namespace is named for its ConfigMap: name one";
    assert_eq!(cluster.echo_state().problem.as_deref(), Some(problem));
    drop(echo);

    let (_echo, _) = start(&cluster, often());
    eventually("a refusal", || cluster.echo_state().problem.is_some()).await;
    let problem = cluster.echo_state().problem.unwrap();
    assert!(problem.ends_with("has no namespace `lab`: create it, or name another"), "{problem}");
}
