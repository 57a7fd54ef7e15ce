//! Where kinds are served is found out with one request, whatever the server's age.

use crate::watch::{Lab, source};
use hopclock::cluster::Cluster;
use hopclock::model::{GroupKind, Subject};
use hopclock_sandbox::api::{Answer, Scope};

/// The paths of all requests since `before`, without those of objects.
fn discovery(lab: &Lab, before: usize) -> Vec<String> {
    let all = lab.server.requests().split_off(before);
    all.into_iter().map(|it| it.path).filter(|it| !it.contains("/namespaces/")).collect()
}

async fn follow(cluster: &Cluster, subjects: &[Subject]) {
    drop(cluster.follow(subjects).await.unwrap());
}

#[tokio::test]
async fn one_request_tells_of_all_kinds_and_none_of_kubernetes_own() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    let before = lab.server.requests().len();
    let map = Subject::local(GroupKind::new("", "ConfigMap"), "lab", "canary");
    follow(&cluster, std::slice::from_ref(&map)).await;
    assert_eq!(discovery(&lab, before), [""; 0]);
    let applier = Subject::local(GroupKind::kustomization(), "lab", "apps");
    let receiver = Subject::local(GroupKind::receiver(), "lab", "apps");
    follow(&cluster, &[source("apps"), applier, receiver, map]).await;
    assert_eq!(discovery(&lab, before), ["/apis"]);
}

#[tokio::test]
async fn the_first_run_of_a_process_asks_for_what_it_watches_and_little_more() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    let before = cluster.request_count();
    let applier = Subject::local(GroupKind::kustomization(), "lab", "apps");
    let map = Subject::local(GroupKind::new("", "ConfigMap"), "lab", "canary");
    follow(&cluster, &[source("apps"), applier, map]).await;
    assert_eq!(
        cluster.request_count() - before,
        7,
        "one for all kinds, a list and a watch of each"
    );
}

#[tokio::test]
async fn a_kind_that_moves_or_comes_later_is_asked_for_by_itself() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    lab.create("apps");
    cluster.get(&source("apps")).await.unwrap();
    let before = lab.server.requests().len();
    lab.server.faults().change_version("GitRepository", "v2").unwrap();
    let moved = cluster.get(&source("apps")).await.unwrap();
    assert_eq!(moved["apiVersion"], "source.toolkit.fluxcd.io/v2");
    let group = "/apis/source.toolkit.fluxcd.io";
    assert_eq!(discovery(&lab, before), [group.to_owned(), format!("{group}/v2")]);

    let resource =
        hopclock_sandbox::store::Resource::new("late.example", "v1", "gadgets", "Gadget");
    lab.store.register(resource);
    let gadget = Subject::local(GroupKind::new("late.example", "Gadget"), "lab", "one");
    follow(&cluster, &[gadget]).await;
}

#[tokio::test]
async fn a_server_that_does_not_tell_of_all_kinds_at_once_is_asked_for_each() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    let before = lab.server.requests().len();
    lab.server.faults().answer(Answer::Forbidden, Scope::all().times(1));
    follow(&cluster, &[source("apps")]).await;
    let group = "/apis/source.toolkit.fluxcd.io";
    assert_eq!(
        discovery(&lab, before),
        ["/apis".to_owned(), group.to_owned(), format!("{group}/v1")]
    );
}
