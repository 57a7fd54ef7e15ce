//! Rule S5: one run per lane, by a Lease that survives crashes and wrong clocks.

use crate::cluster_kit::{as_user, grant, shown};
use crate::watch::Lab;
use futures_util::future::join_all;
use hopclock::cluster::{Cluster, ClusterOptions, Error, LeaseGrip, lease_name};
use hopclock::model::{Clock, Moment};
use hopclock_sandbox::api::{Namespaces, Options};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

const LANE: &str = "https://git.example.com/fleet";

/// A clock of one machine, set by hand.
#[derive(Default)]
struct Hands {
    seconds: AtomicU64,
    wall: AtomicI64,
}

impl Clock for Hands {
    fn now(&self) -> Moment {
        Moment(Duration::from_secs(self.seconds.load(Ordering::Relaxed)))
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_800_000_000 + self.wall.load(Ordering::Relaxed)).unwrap()
    }
}

impl Hands {
    fn wrong_by(seconds: i64) -> Arc<Self> {
        Arc::new(Self { seconds: AtomicU64::default(), wall: AtomicI64::new(seconds) })
    }

    fn pass(&self, seconds: u32) {
        self.seconds.fetch_add(seconds.into(), Ordering::Relaxed);
        self.wall.fetch_add(seconds.into(), Ordering::Relaxed);
    }
}

async fn machine(lab: &Lab, clock: &Arc<Hands>) -> Cluster {
    let kubeconfigs = vec![lab.write("admin", &lab.server.kubeconfig(None))];
    let options = ClusterOptions { kubeconfigs, ..ClusterOptions::default() };
    Cluster::connect(options, clock.clone()).await.unwrap()
}

async fn take(cluster: &Cluster, holder: &str) -> Result<LeaseGrip, Error> {
    cluster.take_lease("lab", LANE, holder, Duration::from_secs(30)).await
}

fn key() -> Key {
    Key::new("Lease", "lab", &lease_name(LANE))
}

fn stored(lab: &Lab) -> Value {
    (*lab.store.get(&key()).unwrap()).clone()
}

#[tokio::test]
async fn s5_a_lease_is_held_by_one_and_the_other_is_told_by_whom() {
    let (lab, clock) = (Lab::new().await, Hands::wrong_by(0));
    let (one, two) = (machine(&lab, &clock).await, machine(&lab, &clock).await);
    let mut grip = take(&one, "one").await.unwrap();
    let lease = stored(&lab);
    assert_eq!(lease["metadata"]["annotations"]["hopclock.dev/lane"], LANE);
    let at = "2027-01-15T08:00:00.000000Z";
    assert_eq!(
        lease["spec"],
        json!({"holderIdentity": "one", "leaseDurationSeconds": 30, "leaseTransitions": 0,
               "acquireTime": at, "renewTime": at})
    );
    let error = take(&two, "two").await.unwrap_err();
    assert!(matches!(&error, Error::LeaseHeld { holder, .. } if holder == "one"));
    assert!(!error.is_permanent() && error.reason() == "lease");
    let name = lease_name(LANE);
    assert_eq!(
        error.to_string(),
        format!(
            "the Lease `lab/{name}` is held by `one`, who renewed it at {at}: wait for it, or stop \
             the other one"
        )
    );
    clock.pass(20);
    grip.renew().await.unwrap();
    assert_eq!(grip.expires(), Moment(Duration::from_secs(50)));
    assert_eq!(stored(&lab)["spec"]["acquireTime"], at);
    assert_eq!(stored(&lab)["spec"]["renewTime"], "2027-01-15T08:00:20.000000Z");

    grip.release().await.unwrap();
    assert_eq!(stored(&lab)["spec"].get("holderIdentity"), None);
    let _grip = take(&two, "two").await.unwrap();
    assert_eq!(stored(&lab)["spec"]["leaseTransitions"], 1);
}

#[tokio::test]
async fn s5_of_many_who_try_at_once_one_gets_it() {
    let lab = Lab::new().await;
    let clock = Hands::wrong_by(0);
    let machines = join_all((0..8).map(|_| machine(&lab, &clock))).await;
    // First a Lease that is not there, then one whose holder died.
    for round in 0..2 {
        let names: Vec<_> = (0..8).map(|it| format!("{round}-{it}")).collect();
        let all = machines.iter().zip(&names).map(|(it, name)| take(it, name));
        let all = join_all(all).await;
        let won: Vec<_> = names.iter().zip(&all).filter(|(_, it)| it.is_ok()).collect();
        assert_eq!(won.len(), 1, "{all:?}");
        assert_eq!(stored(&lab)["spec"]["holderIdentity"], *won[0].0);
        for lost in all.iter().filter_map(|it| it.as_ref().err()) {
            assert!(matches!(lost, Error::LeaseHeld { .. }), "{lost}");
        }
        clock.pass(60);
    }
}

#[tokio::test]
async fn s5_a_lease_expires_by_our_own_clock_whatever_the_holders_clock_says() {
    let lab = Lab::new().await;
    // The holder's clock is a day ahead, so its last renewal lies in our future.
    let (theirs, ours) = (Hands::wrong_by(86_400), Hands::wrong_by(0));
    let (one, two) = (machine(&lab, &theirs).await, machine(&lab, &ours).await);
    let mut grip = take(&one, "one").await.unwrap();
    take(&two, "two").await.unwrap_err();
    ours.pass(29);
    take(&two, "two").await.unwrap_err();
    theirs.pass(29);
    grip.renew().await.unwrap();
    ours.pass(2);
    take(&two, "two").await.unwrap_err();
    ours.pass(29);
    take(&two, "two").await.unwrap_err();
    ours.pass(1);
    let _grip = take(&two, "two").await.unwrap();

    let error = grip.renew().await.unwrap_err();
    assert!(error.to_string().contains("is not ours any more, it is held by `two`"), "{error}");
    assert!(matches!(grip.release().await, Err(Error::LeaseLost { .. })));
    assert_eq!(stored(&lab)["spec"]["holderIdentity"], "two");
}

#[tokio::test]
async fn s5_at_first_sight_the_holders_clock_is_believed_only_beyond_what_clocks_differ() {
    for (behind, free) in [(-46, true), (-45, false), (-31, false), (10, false)] {
        let lab = Lab::new().await;
        let one = machine(&lab, &Hands::wrong_by(behind)).await;
        let _grip = take(&one, "one").await.unwrap();
        let two = machine(&lab, &Hands::wrong_by(0)).await;
        assert_eq!(take(&two, "two").await.is_ok(), free, "{behind}");
    }
}

#[tokio::test]
async fn s5_who_comes_back_with_its_own_name_takes_its_own_lease() {
    let (lab, clock) = (Lab::new().await, Hands::wrong_by(0));
    let before = take(&machine(&lab, &clock).await, "one").await.unwrap();
    drop(before);
    let _grip = take(&machine(&lab, &clock).await, "one").await.unwrap();
    assert_eq!(stored(&lab)["spec"]["leaseTransitions"], 0);
}

#[tokio::test]
async fn s5_a_strangers_label_does_not_lose_a_lease_but_its_deletion_does() {
    let (lab, clock) = (Lab::new().await, Hands::wrong_by(0));
    let mut grip = take(&machine(&lab, &clock).await, "one").await.unwrap();
    let label = json!({"metadata": {"labels": {"team": "blue"}}});
    lab.store.merge(&key(), &label, Part::Whole, "kubectl").unwrap();
    grip.renew().await.unwrap();
    assert_eq!(stored(&lab)["metadata"]["labels"]["team"], "blue");

    lab.store.delete(&key(), "kubectl").unwrap();
    let error = grip.renew().await.unwrap_err();
    assert!(error.to_string().contains("is not ours any more, it was deleted"), "{error}");
}

#[tokio::test]
async fn s5_a_lease_needs_three_verbs_and_says_which_one_is_missing() {
    let (lab, clock) = (Lab::new().await, Hands::wrong_by(0));
    let cluster = as_user(&lab, "carol", clock.clone()).await;
    let rule = |verb: &str| json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": [verb]});
    for verb in ["get", "create"] {
        let error = take(&cluster, "carol").await.unwrap_err();
        let name = lease_name(LANE);
        assert_eq!(
            shown(&lab, &error),
            format!(
                "the API server at `[server]` forbids `{verb}` of `leases.coordination.k8s.io` \
                 named `{name}` in namespace `lab` (403): grant `apiGroups: \
                 [\"coordination.k8s.io\"], resources: [\"leases\"], verbs: [\"{verb}\"]` in a Role"
            )
        );
        grant(&lab, "carol", &rule(verb));
    }
    let mut grip = take(&cluster, "carol").await.unwrap();
    let error = grip.renew().await.unwrap_err();
    assert!(error.to_string().contains("forbids `update` of `leases"), "{error}");
    grant(&lab, "carol", &rule("update"));
    grip.renew().await.unwrap();
    grip.release().await.unwrap();
}

#[tokio::test]
async fn s5_a_namespace_that_is_not_there_is_said() {
    let options = Options { namespaces: Namespaces::MustExist, ..Options::default() };
    let lab = Lab::with(options).await;
    let cluster = machine(&lab, &Hands::wrong_by(0)).await;
    let error = take(&cluster, "one").await.unwrap_err();
    assert_eq!(
        shown(&lab, &error),
        "the API server at `[server]` has no namespace `lab`: create it, or name another"
    );
}

#[tokio::test]
async fn s5_a_clock_that_steps_forward_takes_no_lease_that_is_renewed() {
    let lab = Lab::new().await;
    let (theirs, ours) = (Hands::wrong_by(0), Hands::wrong_by(0));
    let (one, two) = (machine(&lab, &theirs).await, machine(&lab, &ours).await);
    let mut grip = take(&one, "one").await.unwrap();
    take(&two, "two").await.unwrap_err();
    theirs.pass(10);
    grip.renew().await.unwrap();
    ours.pass(10);
    take(&two, "two").await.unwrap_err();
    // Only the wall clock steps an hour ahead.
    ours.wall.fetch_add(3600, Ordering::Relaxed);
    ours.pass(29);
    take(&two, "two").await.unwrap_err();
    ours.pass(1);
    let _grip = take(&two, "two").await.unwrap();
}
