//! Rules T4 and T6 to the millisecond, in virtual time.

use crate::watch::script::{Script, line};
use crate::watch::{RuntimeClock, event, revision, source, state};
use hopclock::cluster::{Error, Event, Following};
use hopclock::model::{Arrival, Clock, Moment, When};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A clock that moves on whenever somebody looks at it.
#[derive(Default)]
struct RestlessClock(AtomicU64);

impl Clock for RestlessClock {
    fn now(&self) -> Moment {
        Moment(Duration::from_millis(self.0.fetch_add(100, Ordering::Relaxed)))
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
}

fn ms(millis: u64) -> Moment {
    Moment(Duration::from_millis(millis))
}

fn clock() -> (Arc<RuntimeClock>, impl AsyncFn(u64)) {
    let origin = Instant::now();
    let until = async move |millis| sleep_until(origin + Duration::from_millis(millis)).await;
    (Arc::new(RuntimeClock(origin)), until)
}

async fn shown(following: &mut Following) -> (String, When, Arrival) {
    let state = state(following).await;
    (revision(&state.value).to_owned(), state.when, state.arrival)
}

#[tokio::test(start_paused = true)]
async fn t4_an_event_has_the_instant_at_which_its_last_byte_arrived() {
    let (clock, until) = clock();
    let (mut script, cluster) = Script::serve(clock);
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let watch = script.watch().await;
    assert_eq!(shown(&mut following).await.2, Arrival::First);

    let text = line(2);
    let (head, tail) = text.split_at(40);
    until(1_000).await;
    watch.send(head.to_owned());
    until(1_700).await;
    watch.send(tail.to_owned());
    let two = ("2".to_owned(), When::at(ms(1_700)), Arrival::Next);
    assert_eq!(shown(&mut following).await, two);
}

#[tokio::test(start_paused = true)]
async fn t4_the_instant_is_taken_once_per_read_and_never_while_parsing() {
    let (mut script, cluster) = Script::serve(Arc::new(RestlessClock::default()));
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let watch = script.watch().await;
    assert_eq!(shown(&mut following).await.2, Arrival::First);
    watch.send(format!("{}{}{}", line(2), line(3), line(4)));
    let (_, when, _) = shown(&mut following).await;
    assert_eq!(shown(&mut following).await.1, when);
    assert_eq!(shown(&mut following).await.1, when);
}

#[tokio::test(start_paused = true)]
async fn t6_a_clean_close_is_resumed_behind_the_last_event() {
    let (clock, until) = clock();
    let (mut script, cluster) = Script::serve(clock);
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let watch = script.watch().await;
    assert!(watch.query.contains("resourceVersion=1&"), "{}", watch.query);
    assert_eq!(shown(&mut following).await.2, Arrival::First);
    watch.send(line(7));
    assert_eq!(shown(&mut following).await.0, "7");

    until(20_000).await;
    drop(watch);
    let watch = script.watch().await;
    assert!(watch.query.contains("resourceVersion=7&"), "{}", watch.query);
    until(20_100).await;
    watch.send(line(8));
    let bounds = When::between(ms(20_000), ms(20_100));
    assert_eq!(shown(&mut following).await, ("8".to_owned(), bounds, Arrival::Next));
    until(25_000).await;
    watch.send(line(9));
    let exact = When::at(ms(25_000));
    assert_eq!(shown(&mut following).await, ("9".to_owned(), exact, Arrival::Next));
}

#[tokio::test(start_paused = true)]
async fn t6_a_silent_connection_that_delivers_late_makes_its_events_uncertain() {
    let (clock, until) = clock();
    let (mut script, cluster) = Script::serve(clock);
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let watch = script.watch().await;
    assert_eq!(shown(&mut following).await.2, Arrival::First);
    until(3_000).await;
    watch.send(line(2));
    assert_eq!(shown(&mut following).await.1, When::at(ms(3_000)));

    until(22_000).await;
    watch.send(line(3));
    let bounds = When::between(ms(3_000), ms(22_000));
    assert_eq!(shown(&mut following).await, ("3".to_owned(), bounds, Arrival::Next));
}

#[tokio::test(start_paused = true)]
async fn t6_a_connection_without_a_word_is_replaced_within_thirty_seconds() {
    let (clock, until) = clock();
    let (mut script, cluster) = Script::serve(clock.clone());
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let dead = script.watch().await;
    assert_eq!(shown(&mut following).await.2, Arrival::First);
    until(3_000).await;
    dead.send(line(2));
    assert_eq!(shown(&mut following).await.1, When::at(ms(3_000)));

    let watch = script.watch().await;
    assert!(clock.now() < ms(30_000), "{:?}", clock.now());
    let Event::Broken { since, error, .. } = event(&mut following).await else { panic!("whole") };
    assert_eq!(since, ms(3_000));
    assert!(matches!(error, Error::Silent { .. }), "{error}");
    assert!(matches!(event(&mut following).await, Event::Restored { .. }));
    assert!(watch.query.contains("resourceVersion=2&"), "{}", watch.query);
    watch.send(line(3));
    let (revision, when, arrival) = shown(&mut following).await;
    assert_eq!((revision.as_str(), arrival), ("3", Arrival::Next));
    assert_eq!(when, When::between(ms(3_000), when.latest));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_every_watch_at_once_is_not_asked_in_a_hot_loop() {
    let (clock, _) = clock();
    let (mut script, cluster) = Script::serve(clock.clone());
    let _following = cluster.follow(&[source("apps")]).await.unwrap();
    for _ in 0..40 {
        drop(script.watch().await);
    }
    assert!(clock.now() > ms(60_000), "{:?}", clock.now());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_watch_event_makes_us_list_anew() {
    let (clock, _) = clock();
    let (mut script, cluster) = Script::serve(clock);
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let watch = script.watch().await;
    assert_eq!(shown(&mut following).await.2, Arrival::First);
    watch.send("<html>\n");
    let Event::Broken { error, .. } = event(&mut following).await else { panic!("whole") };
    assert!(matches!(error, Error::Cut { .. }), "{error}");
    assert!(matches!(event(&mut following).await, Event::Restored { .. }));
    let watch = script.watch().await;
    watch.send(line(2));
    assert_eq!(shown(&mut following).await.0, "2");
}

#[tokio::test(start_paused = true)]
async fn an_event_of_which_only_a_half_came_is_asked_for_again() {
    let (clock, until) = clock();
    let (mut script, cluster) = Script::serve(clock);
    let mut following = cluster.follow(&[source("apps")]).await.unwrap();
    let watch = script.watch().await;
    assert_eq!(shown(&mut following).await.2, Arrival::First);
    until(20_000).await;
    watch.send(line(2)[..40].to_owned());
    until(20_010).await;
    drop(watch);
    let watch = script.watch().await;
    assert!(watch.query.contains("resourceVersion=1&"), "{}", watch.query);
    watch.send(line(2));
    assert_eq!(shown(&mut following).await.0, "2");
}
