//! Helm lanes of the sandbox, run by the program itself and, where instants are compared, in this
//! process.

use crate::cli::kit::{Told, hopclock, told};
use crate::e2e_kit::{Bench, Course, Measured};
use hopclock::config::{Scenario, load_text};
use hopclock::engine::PlannedHop;
use hopclock::hop::Objects;
use hopclock::trigger::Content;
use hopclock_sandbox::charts::Chart;
use hopclock_sandbox::pipeline::{
    CANARY_NAMESPACE, HelmLane, HelmLanePlaces, RELEASE_PATH, VALUES_PATH, Values,
};
use hopclock_sandbox::store::Key;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A Helm lane named `shop` in a sandbox.
pub(crate) struct HelmCourse {
    pub(crate) bench: Bench,
    pub(crate) lane: HelmLane,
    pub(crate) places: HelmLanePlaces,
    pub(crate) deadline: &'static str,
}

// === impl HelmCourse ===

impl HelmCourse {
    pub(crate) async fn new(lane: HelmLane) -> Self {
        let bench = Bench::new().await;
        let places = bench.sandbox.add_helm_lane(&lane).await.unwrap();
        Self { bench, lane, places, deadline: "30s" }
    }

    /// The file that a canary is written to, and its text.
    fn content(&self) -> (&'static str, String) {
        match self.lane.values {
            Values::Own => (RELEASE_PATH, self.lane.release("${canary}")),
            _ => (VALUES_PATH, self.lane.values_map("${canary}")),
        }
    }

    /// The text of the scenario.
    pub(crate) fn text(&self) -> String {
        let (path, template) = self.content();
        let template = template.trim_end().replace('\n', "\n      ");
        let written = match self.lane.values {
            Values::Own => {
                "object: { group: helm.toolkit.fluxcd.io, kind: HelmRelease, namespace: hopclock, \
                 name: shop }"
            }
            _ => "config_map: hopclock/shop-values",
        };
        format!(
            "name: shop\ndeadline: {}\ntrigger:\n  git_commit:\n    source: flux-system/shop\n    \
             path: {path}\n    template: |\n      {template}\nhops:\n\
             - webhook_received: {{ receiver: flux-system/shop }}\n\
             - source_fetched: {{ git_repository: flux-system/shop }}\n\
             - applied: {{ kustomization: flux-system/shop }}\n\
             - {{ name: written, live: {{ {written} }} }}\n\
             - {{ name: released, applied: {{ helm_release: hopclock/shop }} }}\n\
             - {{ live: {{ config_map: hopclock/shop }}, after: written }}\n",
            self.deadline
        )
    }

    /// Runs it by the program.
    pub(crate) async fn tell(&self) -> Told {
        let folder = self.bench.caches.path();
        std::fs::write(folder.join("shop.yaml"), self.text()).unwrap();
        let mut call = hopclock(folder, &["run", "shop.yaml", "--output", "json"]);
        call.env("KUBECONFIG", self.bench.sandbox.kubeconfig());
        told(call).await
    }

    /// Runs it in this process, without the proofs.
    pub(crate) async fn measure(&self) -> Measured {
        let (_, template) = self.content();
        self.measure_with(template).await
    }

    /// The same with another text for the canary's file.
    pub(crate) async fn measure_with(&self, template: String) -> Measured {
        let scenario: Scenario = load_text("shop.yaml", &self.text()).unwrap();
        let mut course =
            Course::new(self.bench.clone(), "shop".to_owned(), self.places.git.clone());
        let (path, _) = self.content();
        path.clone_into(&mut course.edit.path);
        course.edit.content = Content::Template(template);
        "hopclock".clone_into(&mut course.edit.instance);
        let mut hops = Vec::new();
        for hop in &scenario.hops {
            let kind = hop.kind.kind();
            let subject = kind.subject().unwrap();
            let mut objects = Objects::new();
            for it in kind.needs().into_iter().chain([subject.clone()]) {
                objects.insert(it.clone(), self.bench.cluster.get(&it).await.unwrap());
            }
            let position = |name: &String| scenario.hops.iter().position(|it| it.name == *name);
            hops.push(PlannedHop {
                name: hop.name.clone(),
                subject: Arc::new(subject),
                place: kind.traits().place,
                after: hop.after.iter().filter_map(position).collect(),
                within: None,
                need: hop.required,
                detector: kind.detector(&objects).unwrap(),
                witnesses: Vec::new(),
            });
        }
        course.plan.hops = hops;
        course.plan.deadline = scenario.deadline;
        course.plan.bystanders.clear();
        course.run(|_| ()).await
    }

    /// Publishes a chart, announces it, and waits until the release is as it should be.
    pub(crate) async fn publish(&self, chart: &Chart, is: impl Fn(&Value) -> bool) {
        let sandbox = &self.bench.sandbox;
        sandbox.publish_chart(&self.lane, chart);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.post(&self.places.chart_hook).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        self.until(is).await;
    }

    /// Waits until the release is as it should be.
    pub(crate) async fn until(&self, is: impl Fn(&Value) -> bool) {
        let key = Key::new("HelmRelease", CANARY_NAMESPACE, "shop");
        let store = self.bench.sandbox.store();
        let mut watch = store.watch_kind("HelmRelease", store.version());
        let wait = async {
            while !store.get(&key).is_some_and(|it| is(&it)) {
                watch.next().await.unwrap();
            }
        };
        let hangs = Duration::from_secs(60);
        let done = tokio::time::timeout(hangs, wait).await;
        assert!(done.is_ok(), "{:#}", store.get(&key).unwrap()["status"]);
    }

    /// What stands in an object of the canary's namespace.
    pub(crate) fn object(&self, kind: &str) -> Arc<Value> {
        let key = Key::new(kind, CANARY_NAMESPACE, "shop");
        self.bench.sandbox.store().get(&key).unwrap()
    }
}

/// A chart of two objects, of which the second is whatever the value `more` says it is.
pub(crate) fn of_two(version: &str) -> Chart {
    let first = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: shop }\ndata:\n  run: {{ \
                 .Values.run | quote }}\n";
    let second = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: shop-more }\ndata: {{ \
                  .Values.more | default \"{}\" }}\n";
    let files = [("templates/a.yaml", first), ("templates/b.yaml", second)];
    Chart::new("shop", version, &files)
}

/// Whether a condition of an object has this reason.
pub(crate) fn says(object: &Value, condition: &str, reason: &str) -> bool {
    let mut all = object["status"]["conditions"].as_array().into_iter().flatten();
    all.any(|it| it["type"] == condition && it["reason"] == reason)
}
