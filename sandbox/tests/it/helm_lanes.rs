//! Helm lanes over real sockets: charts that are published and announced, values that are pushed.

use std::time::Duration;

use hopclock_sandbox::git::NewCommit;
use hopclock_sandbox::pipeline::CANARY_NAMESPACE;
use hopclock_sandbox::pipeline::ChartFrom;
use hopclock_sandbox::pipeline::FLUX_NAMESPACE;
use hopclock_sandbox::pipeline::HelmLane;
use hopclock_sandbox::pipeline::Sandbox;
use hopclock_sandbox::pipeline::SandboxOptions;
use hopclock_sandbox::pipeline::VALUES_PATH;
use hopclock_sandbox::pipeline::Values;
use hopclock_sandbox::store::Key;
use serde_json::Value;

/// Waits until an object is as it should be.
async fn until(sandbox: &Sandbox, key: &Key, is: impl Fn(&Value) -> bool) {
    let store = sandbox.store();
    let mut watch = store.watch_kind(&key.kind, store.version());
    let wait = async {
        while !store.get(key).is_some_and(|it| is(&it)) {
            watch.next().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
}

fn canary() -> Key {
    Key::new("ConfigMap", CANARY_NAMESPACE, "shop")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chart_that_is_published_and_announced_is_released() {
    for chart in [ChartFrom::Http, ChartFrom::Registry] {
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let lane = HelmLane { chart, ..HelmLane::new("shop") };
        let places = sandbox.add_helm_lane(&lane).await.unwrap();
        assert_eq!(sandbox.store().get(&canary()).unwrap()["data"]["version"], "0.1.0");
        sandbox.publish_chart(&lane, &lane.chart("0.1.1"));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.post(&places.chart_hook).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        until(&sandbox, &canary(), |it| it["data"]["version"] == "0.1.1").await;
        let helm_chart = Key::new("HelmChart", FLUX_NAMESPACE, &places.helm_chart);
        let helm_chart = sandbox.store().get(&helm_chart).unwrap();
        assert_eq!(helm_chart["status"]["artifact"]["revision"], "0.1.1");
        assert_eq!(helm_chart["spec"]["sourceRef"]["name"], "shop");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_in_an_object_of_their_own_travel_from_git_into_the_release() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let lane = HelmLane { values: Values::Watched, ..HelmLane::new("shop") };
    let places = sandbox.add_helm_lane(&lane).await.unwrap();
    let commit = NewCommit::new("main", "New values").file(VALUES_PATH, &lane.values_map("new"));
    sandbox.git().commit(&places.git, &commit).unwrap();
    until(&sandbox, &canary(), |it| it["data"]["run"] == "new").await;
    let is_deployed = |it: &Value| {
        let latest = &it["status"]["history"][0];
        latest["version"] == 2 && latest["status"] == "deployed"
    };
    let release = Key::new("HelmRelease", CANARY_NAMESPACE, "shop");
    until(&sandbox, &release, is_deployed).await;
}
