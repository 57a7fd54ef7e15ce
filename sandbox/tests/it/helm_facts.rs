//! What is known of Helm under Flux beyond the recorded stories, in virtual time.

use std::time::Duration;

use hopclock_sandbox::charts::Chart;
use hopclock_sandbox::charts::ChartFault;
use hopclock_sandbox::charts::ChartFaultRule;
use hopclock_sandbox::charts::ChartRepository;
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::registry::Registry;
use hopclock_sandbox::registry::RegistryOptions;
use hopclock_sandbox::store::Key;
use hopclock_sandbox::store::Part;
use serde_json::Value;
use serde_json::json;

use crate::lab::Lab;
use crate::lab::applier;
use crate::lab::fleet;
use crate::lab::map;
use crate::lab::object;

const RELEASE: &str = "HelmRelease";
const REPOSITORY: &str = "HelmRepository";

/// A cluster with a chart repository, from which `demo` is released; `more` goes into its spec.
async fn lab(more: &Value, others: Vec<Value>) -> (Lab, ChartRepository) {
    let charts = ChartRepository::start(0).await.unwrap();
    charts.publish(&Chart::canary("demo", "0.1.0", "seed"));
    let mut objects = others;
    let spec = json!({"interval": "10m", "url": charts.base_url()});
    objects.push(object(REPOSITORY, "charts", &spec));
    objects.push(release("demo", more));
    let speeds = Speeds { jitter_percent: 0, ..Speeds::default() };
    let mut lab = Lab::start(speeds, objects, &[("apps/canary.yaml", &map("canary", "0"))]).await;
    lab.wait_seconds(40.0).await;
    lab.begin();
    (lab, charts)
}

fn release(name: &str, more: &Value) -> Value {
    let mut spec = json!({"interval": "10m", "targetNamespace": "default", "releaseName": name,
        "chart": {"spec": {"chart": "demo", "version": "0.x", "interval": "10m",
            "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}});
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    object(RELEASE, name, &spec)
}

impl Lab {
    async fn wait_seconds(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }

    fn run(&self) -> Value {
        let canary = self.store.get(&Key::new("ConfigMap", "default", "demo")).unwrap();
        canary["data"]["run"].clone()
    }

    fn ready(&self, kind: &str, name: &str) -> String {
        let object = self.get(kind, name);
        let all = object["status"]["conditions"].as_array().unwrap();
        let ready = all.iter().find(|it| it["type"] == "Ready").unwrap();
        ready["message"].as_str().unwrap().to_owned()
    }
}

fn values(name: &str, labelled: bool) -> Value {
    let label = if labelled { "Enabled" } else { "no" };
    json!({"kind": "ConfigMap", "data": {"values.yaml": "run: one\n"},
        "metadata": {"namespace": "flux-system", "name": name,
            "labels": {"reconcile.fluxcd.io/watch": label}}})
}

#[tokio::test(start_paused = true)]
async fn a_labelled_values_object_wakes_its_release_and_another_waits_for_the_interval() {
    for (labelled, expected) in [(true, "two"), (false, "one")] {
        let from = json!({"valuesFrom": [{"kind": "ConfigMap", "name": "values"}]});
        let (lab, _charts) = lab(&from, vec![values("values", labelled)]).await;
        assert_eq!(lab.run(), "one");
        let change = json!({"data": {"values.yaml": "run: two\n"}});
        let key = Key::new("ConfigMap", "flux-system", "values");
        lab.store.merge(&key, &change, Part::Whole, "test").unwrap();
        lab.at(60.0).await;
        assert_eq!(lab.run(), expected);
        lab.at(620.0).await;
        assert_eq!(lab.run(), "two");
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_depends_on_another_looks_again_after_half_a_minute() {
    let suspended = json!({"suspend": true});
    let (mut lab, _charts) = lab(&suspended, Vec::new()).await;
    let dependent = release("dependent", &json!({"dependsOn": [{"name": "demo"}]}));
    lab.store.create(dependent, "test").unwrap();
    lab.begin();
    lab.at(1.0).await;
    assert_eq!(lab.condition(RELEASE, "dependent", "Ready"), "False/DependencyNotReady");
    lab.spec(RELEASE, "demo", &json!({"suspend": false}));
    lab.at(25.0).await;
    assert!(lab.condition(RELEASE, "demo", "Ready").starts_with("True/"));
    assert_eq!(lab.condition(RELEASE, "dependent", "Ready"), "False/DependencyNotReady");
    lab.at(40.0).await;
    assert_eq!(lab.condition(RELEASE, "dependent", "Ready"), "True/InstallSucceeded");
}

#[tokio::test(start_paused = true)]
async fn a_suspended_release_echoes_the_request_and_does_nothing() {
    let (lab, charts) = lab(&json!({}), Vec::new()).await;
    lab.spec(RELEASE, "demo", &json!({"suspend": true}));
    charts.publish(&Chart::canary("demo", "0.1.1", "new"));
    lab.request(REPOSITORY, "charts", "now");
    lab.request(RELEASE, "demo", "now");
    lab.at(5.0).await;
    let release = lab.get(RELEASE, "demo");
    assert_eq!(release["status"]["lastHandledReconcileAt"], "now");
    assert_eq!(release["status"]["history"][0]["chartVersion"], "0.1.0");
    assert_eq!(lab.get("HelmChart", "flux-system-demo")["status"]["artifact"]["revision"], "0.1.1");
}

#[tokio::test(start_paused = true)]
async fn a_static_repository_never_answers_and_its_charts_are_found_on_request() {
    let registry = Registry::start(RegistryOptions::default()).await.unwrap();
    let _ = registry.push_chart("charts/demo", &Chart::canary("demo", "0.1.0", "seed"));
    let (lab, _charts) = lab(&json!({"suspend": true}), Vec::new()).await;
    let url = format!("oci://{}/charts", registry.host());
    let spec = json!({"type": "oci", "url": url, "insecure": true, "interval": "1m"});
    lab.store.create(object(REPOSITORY, "static", &spec), "test").unwrap();
    let chart = json!({"chart": "demo", "version": "0.x", "interval": "10m",
        "sourceRef": {"kind": REPOSITORY, "name": "static"}});
    lab.store.create(object("HelmChart", "of-registry", &chart), "test").unwrap();
    let revision = || lab.get("HelmChart", "of-registry")["status"]["artifact"]["revision"].clone();
    lab.at(5.0).await;
    assert_eq!(revision(), "0.1.0");
    let _ = registry.push_chart("charts/demo", &Chart::canary("demo", "0.2.0", "seed"));
    lab.request(REPOSITORY, "static", "now");
    lab.at(10.0).await;
    assert_eq!(lab.get(REPOSITORY, "static").get("status"), None);
    assert_eq!(revision(), "0.1.0");
    lab.request("HelmChart", "of-registry", "now");
    lab.at(11.0).await;
    assert_eq!(revision(), "0.2.0");
}

#[tokio::test(start_paused = true)]
async fn a_chart_in_git_is_packed_anew_by_its_version_or_by_the_revision() {
    let (lab, _charts) = lab(&json!({"suspend": true}), vec![fleet("1m")]).await;
    let metadata = "apiVersion: v2\nname: demo\nversion: 0.1.0\n";
    let files = [("charts/demo/Chart.yaml", Some(metadata))];
    let commit = lab.git.commit("chart", &files);
    lab.request("GitRepository", "fleet", "one");
    for (name, strategy) in [("by-version", "ChartVersion"), ("by-revision", "Revision")] {
        let spec = json!({"chart": "./charts/demo", "interval": "10m", "reconcileStrategy": strategy,
            "sourceRef": {"kind": "GitRepository", "name": "fleet"}});
        lab.store.create(object("HelmChart", name, &spec), "test").unwrap();
    }
    let revision = |name| lab.get("HelmChart", name)["status"]["artifact"]["revision"].clone();
    lab.at(20.0).await;
    assert_eq!(lab.condition("HelmChart", "by-version", "Ready"), "True/ChartPackageSucceeded");
    assert_eq!(revision("by-version"), "0.1.0");
    assert_eq!(revision("by-revision"), format!("0.1.0+{}", &commit[..12]));
    let next = lab.git.commit("same version", &[("charts/demo/values.yaml", Some("a: b\n"))]);
    lab.request("GitRepository", "fleet", "two");
    lab.at(40.0).await;
    let seen = |name| {
        let chart = lab.get("HelmChart", name);
        chart["status"]["observedSourceArtifactRevision"].as_str().unwrap().to_owned()
    };
    assert!(seen("by-version").ends_with(&next));
    assert_eq!(revision("by-version"), "0.1.0");
    assert_eq!(revision("by-revision"), format!("0.1.0+{}", &next[..12]));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_repository_or_chart_is_said_in_flux_words() {
    let (lab, charts) = lab(&json!({}), Vec::new()).await;
    let base = charts.base_url();
    charts.set_account(Some(("me", "secret")));
    lab.request(REPOSITORY, "charts", "one");
    lab.at(0.5).await;
    assert_eq!(
        lab.ready(REPOSITORY, "charts"),
        format!(
            "failed to fetch Helm repository index: failed to cache index to temporary file: \
             failed to fetch {base}/index.yaml : 401 Unauthorized"
        )
    );
    let secret = json!({"kind": "Secret", "stringData": {"username": "me", "password": "secret"},
        "metadata": {"namespace": "flux-system", "name": "account"}});
    lab.store.create(secret, "test").unwrap();
    lab.spec(REPOSITORY, "charts", &json!({"secretRef": {"name": "account"}}));
    lab.at(1.0).await;
    assert_eq!(lab.condition(REPOSITORY, "charts", "Ready"), "True/Succeeded");
    lab.spec("HelmChart", "flux-system-demo", &json!({"version": ">=9.0.0"}));
    lab.at(2.0).await;
    assert_eq!(
        lab.ready("HelmChart", "flux-system-demo"),
        "invalid chart reference: failed to get chart version for remote reference: no 'demo' \
         chart with version matching '>=9.0.0' found"
    );
    lab.spec("HelmChart", "flux-system-demo", &json!({"version": "0.x"}));
    charts.publish(&Chart::canary("demo", "0.2.0", "x"));
    let path = Some("demo-0.2.0.tgz".to_owned());
    charts.add_fault(ChartFaultRule { path, fault: ChartFault::Status(500), times: None });
    lab.request(REPOSITORY, "charts", "two");
    lab.at(4.0).await;
    assert_eq!(lab.condition("HelmChart", "flux-system-demo", "Ready"), "False/ChartPullError");
    lab.request(RELEASE, "demo", "one");
    lab.at(4.5).await;
    assert_eq!(lab.condition(RELEASE, "demo", "Ready"), "False/SourceNotReady");
    charts.clear_faults();
    lab.at(60.0).await;
    assert_eq!(lab.get(RELEASE, "demo")["status"]["history"][0]["chartVersion"], "0.2.0");
}

#[tokio::test(start_paused = true)]
async fn health_of_a_release_is_polled_and_can_be_switched_off() {
    let template = "apiVersion: lab.hopclock.dev/v1\nkind: Widget\nmetadata: {name: slow}\n\
                    spec: {run: x}\n";
    let chart = Chart::new("demo", "0.1.1", &[("templates/w.yaml", template)]);
    for (more, from, to) in
        [(json!({}), 5.0, 5.5), (json!({"upgrade": {"disableWait": true}}), 0.0, 0.5)]
    {
        let (lab, charts) = lab(&more, Vec::new()).await;
        let slow = json!({"apiVersion": "lab.hopclock.dev/v1", "kind": "Widget",
            "metadata": {"namespace": "default", "name": "slow"}, "spec": {"run": "y"},
            "status": {"observedGeneration": 1}});
        lab.store.seed(slow, "test").unwrap();
        charts.publish(&chart);
        lab.request(REPOSITORY, "charts", "now");
        let key = Key::new("Widget", "default", "slow");
        lab.at(2.0).await;
        let seen = json!({"status": {"observedGeneration": 2}});
        lab.store.merge(&key, &seen, Part::Status, "widgets").unwrap();
        lab.at(8.0).await;
        let is_new = |it: &Value| it["status"]["history"][0]["chartVersion"] == "0.1.1";
        let applied = lab
            .store
            .changes()
            .into_iter()
            .find(|it| it.key == key && it.object["spec"]["run"] == "x");
        let applied = applied.unwrap().at.duration_since(lab.start).as_secs_f64();
        let took = lab.first(RELEASE, "demo", is_new) - applied;
        assert!((from..to).contains(&took), "{took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_install_is_uninstalled_until_it_is_given_up_and_fixed_by_an_upgrade() {
    let remediation = json!({"install": {"remediation": {"retries": 1}}, "suspend": true});
    let (lab, charts) = lab(&remediation, vec![applier("apps", json!({}))]).await;
    let bad = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: demo}\ndata: {run: seed}\n---\n\
               apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndata: [1]\n";
    charts.publish(&Chart::new("demo", "0.1.1", &[("templates/a.yaml", bad)]));
    lab.request(REPOSITORY, "charts", "now");
    lab.at(1.0).await;
    lab.spec(RELEASE, "demo", &json!({"suspend": false}));
    lab.at(5.0).await;
    let reasons: Vec<String> = lab
        .changes(RELEASE, "demo")
        .iter()
        .map(|it| crate::lab::condition_of(&it.object, "Ready"))
        .collect();
    assert!(reasons.contains(&"False/InstallFailed".to_owned()), "{reasons:?}");
    assert!(reasons.contains(&"False/UninstallSucceeded".to_owned()), "{reasons:?}");
    assert_eq!(lab.condition(RELEASE, "demo", "Stalled"), "True/RetriesExceeded");
    let canary = Key::new("ConfigMap", "default", "demo");
    charts.publish(&Chart::canary("demo", "0.1.2", "fixed"));
    lab.request(REPOSITORY, "charts", "again");
    lab.at(30.0).await;
    assert_eq!(lab.condition(RELEASE, "demo", "Ready"), "True/UpgradeSucceeded");
    assert_eq!(lab.run(), "fixed");
    // A deleted release takes its objects along.
    lab.store.delete(&crate::lab::key(RELEASE, "demo"), "test").unwrap();
    lab.at(31.0).await;
    assert!(lab.store.get(&canary).is_none());
    assert!(lab.store.get(&crate::lab::key("HelmChart", "flux-system-demo")).is_none());
}
