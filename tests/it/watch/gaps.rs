//! Rule T6 over real sockets: whatever happens to a watch, no state is lost, and what could not
//! be heard at once is said to lie between two instants.

use crate::eventually::eventually;
use crate::watch::{Lab, breakage, event, revision, settle, short, source, state};
use hopclock::cluster::{Error, Event, Timing};
use hopclock::model::{Arrival, GroupKind, Moment, State};
use hopclock_sandbox::api::{Answer, Scope};
use std::time::Duration;

/// The state has this revision, and its bounds hold the instant at which it was written. Nothing
/// is missing before it, unless it comes from a list.
fn assert_bounded(state: &State, expected: &str, written: Moment) {
    let arrivals = [Arrival::Next, Arrival::AfterGap];
    assert!(arrivals.contains(&state.arrival), "{:?}", state.arrival);
    assert_eq!(revision(&state.value), expected);
    let (earliest, latest) = (state.when.earliest, state.when.latest);
    assert!(earliest <= written && written <= latest, "{earliest:?} {written:?} {latest:?}");
    assert!(!state.when.is_certain());
}

fn kind() -> GroupKind {
    GroupKind::git_repository()
}

#[tokio::test]
async fn t6_a_change_behind_a_410_is_bounded_and_no_change_is_no_state() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster_with(Timing::default()).await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    settle(&lab, &mut following, "apps").await;

    assert_eq!(lab.server.faults().relist(&Scope::all()), 1);
    let written = lab.publish("apps", "main@sha1:1");
    let listed = state(&mut following).await;
    assert_eq!(listed.arrival, Arrival::AfterGap, "states between two lists are not seen");
    assert_bounded(&listed, "main@sha1:1", written);

    let lists = lab.asked("list").len();
    while lab.server.faults().relist(&Scope::all()) == 0 {
        tokio::task::yield_now().await;
    }
    let relisted = || lab.asked("list").len() > lists;
    let watched = || lab.server.faults().open_watches(&Scope::all()) > 0;
    eventually("a list, and a watch from it on", || relisted() && watched()).await;
    lab.publish("apps", "main@sha1:2");
    assert_eq!(revision(&state(&mut following).await.value), "main@sha1:2");
    assert!(cluster.watch_restarts()[&(kind(), "gone")] >= 2);
}

#[tokio::test]
async fn t6_a_change_behind_a_cut_connection_is_bounded() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster_with(Timing::default()).await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    settle(&lab, &mut following, "apps").await;

    assert_eq!(lab.server.faults().cut_watches(&Scope::all()), 1);
    let written = lab.publish("apps", "main@sha1:1");
    let Event::Broken { watch, error, .. } = event(&mut following).await else { panic!("whole") };
    assert_eq!(watch.to_string(), "GitRepository in namespace `lab`");
    assert!(matches!(error, Error::Cut { .. }) && !error.is_permanent(), "{error}");
    assert!(matches!(event(&mut following).await, Event::Restored { .. }));
    assert_bounded(&state(&mut following).await, "main@sha1:1", written);
    assert_eq!(cluster.watch_restarts()[&(kind(), "broken")], 1);
    assert_eq!(lab.asked("list").len(), 1, "a cut needs no new list");
}

#[tokio::test]
async fn t6_no_state_is_left_out_while_an_overloaded_server_refuses_to_resume() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster_with(Timing::default()).await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    settle(&lab, &mut following, "apps").await;

    lab.server.faults().answer(Answer::Unavailable, Scope::all().verb("watch").times(2));
    lab.server.faults().cut_watches(&Scope::all());
    for number in ["1", "2", "3"] {
        lab.publish("apps", number);
    }
    for number in ["1", "2", "3"] {
        let next = state(&mut following).await;
        assert_eq!((next.arrival, revision(&next.value)), (Arrival::Next, number));
    }
    assert_eq!(lab.asked("list").len(), 1, "the watch went on where it was");
}

#[tokio::test]
async fn t6_a_black_hole_is_found_out_and_what_it_swallowed_is_bounded() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster().await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    settle(&lab, &mut following, "apps").await;

    let hole = lab.server.faults().black_hole_watches(Scope::all());
    // A bookmark may be on its way, and would be taken for younger than what is written now.
    for _ in 0..5 {
        cluster.server_version().await.unwrap();
    }
    let written = lab.publish("apps", "main@sha1:1");
    let error = breakage(&mut following).await;
    assert!(matches!(error, Error::Silent { .. }), "{error}");
    lab.server.faults().lift(hole);
    assert_bounded(&state(&mut following).await, "main@sha1:1", written);
}

#[tokio::test]
async fn no_event_is_lost_or_shown_twice_while_the_server_closes_watches_in_good_order() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster().await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    settle(&lab, &mut following, "apps").await;

    let mut number = 0;
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    while cluster.watch_restarts().get(&(kind(), "closed")).is_none_or(|it| *it < 3) {
        let written = lab.publish("apps", &number.to_string());
        let next = state(&mut following).await;
        assert_eq!(revision(&next.value), number.to_string());
        assert!(next.when.earliest <= next.when.latest && written <= next.when.latest);
        number += 1;
        pace.tick().await;
    }
    assert_eq!(lab.asked("list").len(), 1, "a closed watch goes on where it was");
}

#[tokio::test]
async fn t6_a_new_version_of_the_kind_is_found_and_its_state_comes_after_a_gap() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster().await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let first = state(&mut following).await;
    assert_eq!(first.value["apiVersion"], "source.toolkit.fluxcd.io/v1");

    lab.server.faults().change_version("GitRepository", "v2").unwrap();
    let changed = state(&mut following).await;
    assert_eq!(changed.value["apiVersion"], "source.toolkit.fluxcd.io/v2");
    assert_eq!(changed.arrival, Arrival::AfterGap);
    lab.publish("apps", "main@sha1:1");
    assert_eq!(revision(&state(&mut following).await.value), "main@sha1:1");
    assert_eq!(cluster.watch_restarts()[&(kind(), "version")], 1);
    let object = cluster.get(&source("apps")).await.unwrap();
    assert_eq!(revision(&object), "main@sha1:1");
}

#[tokio::test]
async fn an_api_server_that_goes_away_is_awaited_without_end_and_said_once() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster().await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    settle(&lab, &mut following, "apps").await;

    lab.server.go_away().await;
    breakage(&mut following).await;
    let refused = (kind(), "refused");
    let attempts = || cluster.watch_restarts().get(&refused).copied().unwrap_or_default();
    eventually("a third refused attempt", || attempts() >= 3).await;
    assert!(following.try_next().is_none(), "said once");
    let unproven = following.prove(Duration::from_secs(1)).await;
    assert_eq!(unproven.len(), 1);
    assert_eq!(unproven[0].error.reason(), "unreachable");

    let written = lab.publish("apps", "main@sha1:1");
    lab.server.come_back().await.unwrap();
    assert!(matches!(event(&mut following).await, Event::Restored { .. }));
    assert_bounded(&state(&mut following).await, "main@sha1:1", written);
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_said_with_the_rule_that_gives_it_back() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster().await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    lab.server.faults().answer(Answer::Forbidden, Scope::all());
    lab.server.faults().cut_watches(&Scope::all());
    let error = breakage(&mut following).await;
    assert!(matches!(error, Error::Cut { .. }), "{error}");
    let error = following.prove(Duration::from_secs(5)).await.remove(0).error;
    assert!(matches!(error, Error::Forbidden { .. }) && error.is_permanent(), "{error}");
    lab.server.faults().lift_all();
    while !matches!(event(&mut following).await, Event::Restored { .. }) {}
}

#[tokio::test]
async fn o2_a_proof_delivers_what_the_watch_did_not_tell_before_it_returns() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster_with(Timing { grace: short().grace, ..Timing::default() }).await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    settle(&lab, &mut following, "apps").await;
    assert!(following.prove(Duration::from_secs(5)).await.is_empty());
    assert!(following.try_next().is_none(), "nothing was to tell");

    lab.server.faults().delay_events(Duration::from_secs(3600), Scope::all());
    let written = lab.publish("apps", "main@sha1:1");
    assert!(following.prove(Duration::from_secs(5)).await.is_empty());
    let Some(Event::Seen(seen)) = following.try_next() else { panic!("not delivered") };
    assert_bounded(&seen.state, "main@sha1:1", written);
    assert_eq!(cluster.watch_restarts()[&(kind(), "behind")], 1);
}

#[tokio::test]
async fn o2_provers_share_a_list_but_never_one_that_was_asked_for_before() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster_with(Timing::default()).await;
    let mut followers = Vec::new();
    for _ in 0..20 {
        followers.push(cluster.follow(&[source("apps")]).await.unwrap());
    }
    let before = lab.asked("list").len();
    let proofs = followers.iter().map(|it| it.prove(Duration::from_secs(5)));
    let unproven = futures_util::future::join_all(proofs).await;
    assert!(unproven.iter().all(Vec::is_empty));
    let lists = lab.asked("list").len() - before;
    assert!((1..=2).contains(&lists), "{lists} lists for 20 proofs");
}

#[tokio::test]
async fn t3_a_watch_that_shows_no_state_in_time_is_an_error_that_names_it() {
    let lab = Lab::new().await;
    let timing = Timing { first_state: Duration::from_millis(200), ..Timing::default() };
    let cluster = lab.cluster_with(timing).await;
    lab.server.faults().slow_lists(Duration::from_secs(3600), Scope::all());
    let error = cluster.follow(&[source("apps")]).await.unwrap_err();
    assert_eq!(
        error.to_string().replace(&lab.server.url(), "[server]"),
        "the watch of GitRepository in namespace `lab` showed no state within 200ms: check the \
         health of the API server at `[server]`"
    );
    assert_eq!(error.reason(), "timeout");
}
