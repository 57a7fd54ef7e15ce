//! OCI lanes of the sandbox, run by the program itself and, where instants are compared, in this
//! process.

use crate::cli::kit::{Told, hopclock, told};
use crate::e2e_image_kit::job;
use crate::e2e_kit::{Bench, Measured};
use hopclock::engine::Job;
use hopclock::model::{Event, Passage, Span};
use hopclock_sandbox::pipeline::{FLUX_NAMESPACE, OciLane, OciLanePlaces};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};

/// An OCI lane named `app` in a sandbox.
pub(crate) struct OciCourse {
    pub(crate) bench: Bench,
    pub(crate) places: OciLanePlaces,
    /// Name of this installation.
    pub(crate) instance: &'static str,
    /// The trigger.
    pub(crate) trigger: String,
    /// The hops.
    pub(crate) hops: String,
    pub(crate) deadline: &'static str,
}

/// All hops of a lane.
pub(crate) const HOPS: &str = "
- webhook_received: { receiver: flux-system/app, oci_repository: flux-system/app }
- source_fetched: { oci_repository: flux-system/app }
- applied: { kustomization: flux-system/app }
- live: { config_map: hopclock/app }
";

// === impl OciCourse ===

impl OciCourse {
    pub(crate) async fn new(lane: &OciLane) -> Self {
        let bench = Bench::new().await;
        let places = bench.sandbox.add_oci_lane(lane).await.unwrap();
        Self {
            bench,
            places,
            instance: "hopclock",
            trigger: "source: flux-system/app".to_owned(),
            hops: HOPS.to_owned(),
            deadline: "30s",
        }
    }

    /// The text of the scenario.
    pub(crate) fn text(&self) -> String {
        let Self { trigger, hops, deadline, .. } = self;
        format!(
            "name: app\ndeadline: {deadline}\n\
             trigger: {{ oci_artifact: {{ {trigger} }} }}\nhops:{hops}"
        )
    }

    /// Runs it by the program.
    pub(crate) async fn tell(&self) -> Told {
        self.tell_as(&self.text()).await
    }

    async fn tell_as(&self, text: &str) -> Told {
        let folder = self.bench.caches.path();
        std::fs::write(folder.join("app.yaml"), text).unwrap();
        let arguments = ["run", "app.yaml", "--output", "json", "--instance", self.instance];
        let mut call = hopclock(folder, &arguments);
        call.env("KUBECONFIG", self.bench.sandbox.kubeconfig());
        told(call).await
    }

    /// Runs it by the program, which must deliver; gives the record.
    pub(crate) async fn delivered(&self) -> Value {
        self.delivered_as(&self.text()).await
    }

    /// The same of another scenario.
    pub(crate) async fn delivered_as(&self, text: &str) -> Value {
        let told = self.tell_as(text).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        serde_json::from_str(&told.out).unwrap()
    }

    /// Runs it by the program, which must not push; gives the one error.
    pub(crate) async fn refused(&self, title: &str) -> String {
        self.told_no(title).await.1
    }

    async fn told_no(&self, title: &str) -> (Told, String) {
        let before = self.bench.sandbox.registry().tag_updates().len();
        let told = self.tell().await;
        assert_eq!(told.code, Some(3), "{title}: {told:?}");
        assert_eq!(self.bench.sandbox.registry().tag_updates().len(), before, "{title}");
        let errors: Vec<_> = told.err.lines().filter(|it| it.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{title}: {}", told.err);
        let error = errors[0].replace(self.bench.sandbox.registry().host(), "REGISTRY");
        (told, error)
    }

    /// The same; its reason is the title.
    pub(crate) async fn refused_for(&self, reason: &str) -> String {
        let (told, error) = self.told_no(reason).await;
        told.assert_refused_for(reason);
        error
    }

    /// Changes an object of the lane as a person would.
    pub(crate) fn change(&self, kind: &str, patch: &Value) {
        let key = Key::new(kind, FLUX_NAMESPACE, "app");
        self.bench.sandbox.store().merge(&key, patch, Part::Whole, "somebody").unwrap();
    }

    pub(crate) fn spec(&self, kind: &str, patch: &Value) {
        self.change(kind, &json!({ "spec": patch }));
    }

    pub(crate) fn annotate(&self, instance: Option<&str>) {
        let annotations = json!({"hopclock.dev/canary": instance});
        self.change("OCIRepository", &json!({"metadata": {"annotations": annotations}}));
    }

    /// What `run` makes of the scenario, without the proofs.
    pub(crate) async fn job(&self) -> Job {
        job(&self.bench, self.instance, &self.text()).await.unwrap()
    }

    /// Runs it in this process, and does `then` as soon as the push is acknowledged.
    pub(crate) async fn measure(&self, then: impl Fn() + Send + Sync + 'static) -> Measured {
        let job = self.job().await;
        let published = move |event: &Event| {
            if matches!(event, Event::Published { .. }) {
                then();
            }
        };
        self.bench.drive("app", &job, published).await
    }

    /// Says that every hop that is reached was timed by the event that brought it.
    pub(crate) fn assert_true(&self, measured: &Measured) {
        let digest = measured.pushed();
        let updates = self.bench.sandbox.registry().tag_updates();
        let pushed = updates.iter().rfind(|it| it.digest.as_deref() == Some(digest)).unwrap();
        assert!(pushed.at <= measured.zero(), "the tag moved before its acknowledgement");
        let ends = |it: &Value| it.as_str().is_some_and(|it| it.ends_with(digest));
        let canary = measured.record.canary.to_string();
        for hop in &measured.record.hops {
            if !matches!(hop.passage, Passage::Reached { .. }) || hop.hop == "webhook_received" {
                continue;
            }
            assert!(hop.passage.at().is_some_and(Span::is_exact), "{hop:?}");
            let truth = match hop.hop.as_str() {
                "source_fetched" => measured
                    .shown_at("OCIRepository", |it| ends(&it["status"]["artifact"]["revision"])),
                "applied" => measured
                    .shown_at("Kustomization", |it| ends(&it["status"]["lastAppliedRevision"])),
                _ => measured.shown_at("ConfigMap", |it| it["data"]["canary"] == canary.as_str()),
            };
            let truth = truth.unwrap_or_else(|| panic!("{} did not happen", hop.hop));
            let (least, most) = measured.bounds(&hop.hop);
            assert!(truth <= most, "{}: {:?} early", hop.hop, truth - most);
            assert!(least == most, "{}: {:?}", hop.hop, most - least);
        }
    }
}
