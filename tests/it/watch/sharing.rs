//! One watch for all who follow something of a kind in a namespace.

use crate::eventually::eventually;
use crate::watch::{Lab, event, patient, revision, source, state};
use hopclock::cluster::Event;
use hopclock::model::{Arrival, GroupKind, Subject};
use hopclock_sandbox::store::Key;
use std::time::Duration;

#[tokio::test]
async fn fifty_followers_share_one_watch() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster_with(patient()).await;
    let mut followers = Vec::new();
    for _ in 0..50 {
        followers.push(cluster.follow(&[source("apps")]).await.unwrap());
    }
    let written = lab.publish("apps", "main@sha1:1");
    for following in &mut followers {
        let first = state(following).await;
        assert_eq!((first.arrival, revision(&first.value)), (Arrival::First, "none"));
        let next = state(following).await;
        assert_eq!((next.arrival, revision(&next.value)), (Arrival::Next, "main@sha1:1"));
        assert!(next.when.is_certain() && next.when.latest >= written);
    }
    let only = "fieldSelector=metadata.name%3Dapps";
    let (lists, watches) = (lab.asked("list"), lab.asked("watch"));
    assert_eq!((lists.len(), watches.len()), (1, 1), "{lists:?} {watches:?}");
    assert!(lists[0].contains(only) && watches[0].contains(only), "{lists:?} {watches:?}");
    let asked = lab.server.requests().len();
    assert_eq!(cluster.request_count(), u64::try_from(asked).unwrap());
}

#[tokio::test]
async fn all_followers_see_the_same_object_in_memory() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster().await;
    let mut one = cluster.follow(&[source("apps")]).await.unwrap();
    let mut two = cluster.follow(&[source("apps")]).await.unwrap();
    lab.publish("apps", "main@sha1:1");
    for _ in 0..2 {
        let (mine, theirs) = (state(&mut one).await.value, state(&mut two).await.value);
        assert!(std::sync::Arc::ptr_eq(&mine, &theirs));
    }
}

#[tokio::test]
async fn t3_following_begins_with_a_state_of_every_subject_also_of_one_that_is_not_there() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster().await;
    let absent = Subject::local(GroupKind::new("", "ConfigMap"), "lab", "canary");
    let subjects = [source("apps"), source("other"), absent];
    let mut following = cluster.follow(&subjects).await.unwrap();
    let mut first = Vec::new();
    while let Some(Event::Seen(seen)) = following.try_next() {
        assert_eq!(seen.state.arrival, Arrival::First);
        assert!(!seen.state.when.is_certain(), "it has been so for an unknown time");
        first.push((seen.subject.name.clone(), seen.state.exists()));
    }
    first.sort();
    let expected = [("apps", true), ("canary", false), ("other", false)];
    assert_eq!(first, expected.map(|(name, exists)| (name.to_owned(), exists)));
}

#[tokio::test]
async fn an_object_that_comes_goes_and_comes_again_is_seen_each_time() {
    let lab = Lab::new().await;
    let cluster = lab.cluster_with(patient()).await;
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    assert!(!state(&mut following).await.exists());
    for _ in 0..2 {
        lab.create("apps");
        let came = state(&mut following).await;
        assert_eq!((came.exists(), came.arrival), (true, Arrival::Next));
        lab.store.delete(&Key::new("GitRepository", "lab", "apps"), "test").unwrap();
        let went = state(&mut following).await;
        assert_eq!((went.exists(), went.arrival), (false, Arrival::Next));
    }
}

#[tokio::test]
async fn a_second_name_widens_the_watch_and_the_first_follower_notices_nothing() {
    const WRITES: usize = 200;
    let lab = Lab::new().await;
    lab.create("apps");
    lab.create("infra");
    let cluster = lab.cluster_with(patient()).await;
    let mut apps = cluster.follow(&[source("apps")]).await.unwrap();
    assert_eq!(state(&mut apps).await.arrival, Arrival::First);

    let mut infra = None;
    for number in 0..WRITES {
        lab.publish("apps", &format!("main@sha1:{number}"));
        tokio::task::yield_now().await;
        if number == WRITES / 2 {
            let (cluster, subject) = (cluster.clone(), source("infra"));
            infra = Some(tokio::spawn(async move { cluster.follow(&[subject]).await }));
        }
    }
    let mut infra = infra.unwrap().await.unwrap().unwrap();
    lab.publish("apps", "main@sha1:last");
    lab.publish("infra", "main@sha1:last");

    let mut seen = Vec::new();
    while seen.last().is_none_or(|it| it != "main@sha1:last") {
        let next = state(&mut apps).await;
        assert_eq!(next.arrival, Arrival::Next);
        seen.push(revision(&next.value).to_owned());
    }
    let all = (0..WRITES).map(|it| format!("main@sha1:{it}"));
    assert_eq!(seen, all.chain(["main@sha1:last".to_owned()]).collect::<Vec<_>>());

    assert_eq!(state(&mut infra).await.arrival, Arrival::First);
    assert_eq!(revision(&state(&mut infra).await.value), "main@sha1:last");
    let watches = lab.asked("watch");
    assert_eq!(watches.len(), 2, "{watches:?}");
    assert!(!watches[1].contains("fieldSelector"), "{watches:?}");
}

#[tokio::test]
async fn a_watch_ends_a_while_after_its_last_follower_and_begins_anew() {
    let lab = Lab::new().await;
    lab.create("apps");
    let cluster = lab.cluster().await;
    let scope = hopclock_sandbox::api::Scope::all();
    let following = cluster.follow(&[source("apps")]).await.unwrap();
    assert_eq!(lab.server.faults().open_watches(&scope), 1);
    drop(following);
    eventually("no watch", || lab.server.faults().open_watches(&scope) == 0).await;
    lab.publish("apps", "main@sha1:1");
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let Event::Seen(seen) = event(&mut following).await else { panic!("no state") };
    assert_eq!((seen.state.arrival, revision(&seen.state.value)), (Arrival::First, "main@sha1:1"));
}

#[tokio::test]
async fn updates_of_objects_that_nobody_follows_are_not_shown() {
    let lab = Lab::new().await;
    for name in ["apps", "infra", "other"] {
        lab.create(name);
    }
    let cluster = lab.cluster().await;
    let mut following = cluster.follow(&[source("apps"), source("infra")]).await.unwrap();
    for number in 0..100 {
        lab.publish("other", &number.to_string());
    }
    lab.publish("apps", "main@sha1:1");
    for _ in 0..2 {
        assert_eq!(state(&mut following).await.arrival, Arrival::First);
    }
    assert_eq!(revision(&state(&mut following).await.value), "main@sha1:1");
}

#[tokio::test]
async fn a_proof_of_one_object_says_nothing_of_another_that_is_followed_meanwhile() {
    let lab = Lab::new().await;
    lab.create("apps");
    lab.create("infra");
    for _ in 0..5 {
        let cluster = lab.cluster().await;
        let one = cluster.follow(&[source("apps")]).await.unwrap();
        let limit = Duration::from_secs(5);
        let other = [source("infra")];
        let (unproven, other) = tokio::join!(one.prove(limit), cluster.follow(&other));
        let mut other = other.unwrap();
        assert!(unproven.is_empty() && other.prove(limit).await.is_empty());
        let mut seen = 0;
        while let Some(event) = other.try_next() {
            let Event::Seen(seen_state) = event else { panic!("the watch is whole") };
            assert!(seen_state.state.exists(), "it was not deleted");
            seen += 1;
        }
        assert_eq!(seen, 1, "nobody wrote it");
    }
}
