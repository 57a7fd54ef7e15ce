//! Many runs at once on one cluster share its watches, and none is measured worse for it.

use crate::e2e_kit::{Bench, quick};
use crate::eventually::eventually;
use crate::fleet_kit;
use futures_util::future::join_all;
use hopclock::cluster::Timing;
use hopclock::model::Event;
use hopclock_sandbox::api::Scope;
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::pipeline::Hook;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const LANES: usize = 20;
const KINDS: [&str; 4] = ["GitRepository", "Kustomization", "ConfigMap", "Receiver"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_runs_share_one_watch_per_kind_and_namespace() {
    let speeds = Speeds { source_workers: LANES, kustomize_workers: LANES, ..quick() };
    let bench = Bench::with(speeds, Timing::default()).await;
    let names: Vec<_> = (0..LANES).map(|it| format!("lane-{it}")).collect();
    let lanes = names.iter().map(|it| bench.lane(it, "10m", Hook::Silent));
    let courses = join_all(lanes).await;
    let before = bench.sandbox.api().requests().len();
    // Nobody is fetched before all have pushed, so that all are under way together.
    let published = Arc::new(AtomicUsize::new(0));
    let runs = courses.iter().map(|course| {
        let (other, published, names) = (bench.clone(), published.clone(), names.clone());
        course.run_and(move || {
            if published.fetch_add(1, Ordering::SeqCst) + 1 == LANES {
                for kind in KINDS {
                    let scope = Scope::all().kind(kind);
                    assert_eq!(other.sandbox.api().faults().open_watches(&scope), 1, "{kind}");
                }
                for name in &names {
                    other.request(name);
                }
            }
        })
    });
    let all = join_all(runs).await;
    for measured in &all {
        assert_eq!(measured.outcome(), "ok", "{}", measured.record.outcome);
        measured.assert_all_true();
        let ended = |it: &&Event| matches!(it, Event::Ended { .. });
        assert_eq!(measured.events.iter().filter(ended).count(), 1);
    }
    let requests = bench.sandbox.api().requests().split_off(before);
    for kind in ["gitrepositories", "kustomizations", "configmaps", "receivers"] {
        let opened = requests.iter().filter(|it| it.verb == "watch" && it.path.ends_with(kind));
        assert!(opened.count() <= 3, "{kind}: the watch of one object is widened, then shared");
    }
    let each = requests.len() / LANES;
    assert!(each <= 5, "{each} requests per run: {requests:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_scenarios_of_all_kinds_share_one_watch_per_kind_and_namespace() {
    let scenarios = fleet_kit::scenarios();
    let (triggers, hops) = fleet_kit::occurring(&scenarios);
    assert_eq!((scenarios.len(), triggers.len(), hops.len()), (200, 8, 11));
    let places = fleet_kit::places(&scenarios);
    let bench = Bench::new().await;
    let before = bench.sandbox.api().requests().len();
    let subjects: Vec<_> = scenarios.iter().map(fleet_kit::watched).collect();
    let all = join_all(subjects.iter().map(|it| bench.cluster.follow(it))).await;
    let following: Vec<_> = all.into_iter().collect::<Result<_, _>>().unwrap();
    let faults = bench.sandbox.api().faults();
    // A watch of one object is widened once a second one is asked for.
    let one_each = || faults.open_watches(&Scope::all()) == places.len();
    eventually("one watch for each kind and namespace", one_each).await;
    for (kind, _) in &places {
        let namespaces = places.iter().filter(|it| it.0 == *kind).count();
        assert_eq!(faults.open_watches(&Scope::all().kind(kind)), namespaces, "{kind}");
    }
    let requests = bench.sandbox.api().requests().split_off(before);
    let opened = requests.iter().filter(|it| it.verb == "watch").count();
    assert!(opened <= 3 * places.len(), "{opened} for {places:?}");
    drop(following);
    eventually("no watch", || faults.open_watches(&Scope::all()) == 0).await;
}
