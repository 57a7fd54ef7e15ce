//! Image lanes of the sandbox, run by the program itself and, where instants are compared, in this
//! process.

use crate::cli::kit::{Told, hopclock, told};
use crate::e2e_kit::{Bench, Measured};
use hopclock::config::{Scenario, load_text};
use hopclock::engine::{BranchPoll, Errands, Job, Plan, PlannedHop, Poll, Polled, Witness};
use hopclock::hop::{Objects, Place};
use hopclock::model::{
    Clock, Event, GitBranch, GroupKind, ObjectName, Passage, ProbeError, Secret, Span, Subject,
};
use hopclock::remote::Clients;
use hopclock::remote::git::GitRemote;
use hopclock::trigger::{SecretSource, Site, open_branch};
use hopclock_sandbox::git::UpdatedBy;
use hopclock_sandbox::pipeline::{Digests, FLUX_NAMESPACE, ImageLane, ImageLanePlaces};
use hopclock_sandbox::store::{Key, Part};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// An image lane named `app` in a sandbox.
pub(crate) struct ImageCourse {
    pub(crate) bench: Bench,
    pub(crate) places: ImageLanePlaces,
    /// Name of this installation.
    pub(crate) instance: &'static str,
    /// Kind of the trigger.
    pub(crate) kind: &'static str,
    /// What stands in the trigger beside the policy.
    pub(crate) trigger: String,
    /// The hops.
    pub(crate) hops: String,
    pub(crate) deadline: &'static str,
}

/// All hops of a lane whose automation pushes to the branch that is fetched.
pub(crate) const HOPS: &str = "
- { name: registry_told, webhook_received: { receiver: flux-system/app-registry, image_repository: flux-system/app } }
- image_scanned: { image_repository: flux-system/app }
- policy_updated: { image_policy: flux-system/app }
- automation_committed: { image_update_automation: flux-system/app }
- { name: git_told, webhook_received: { receiver: flux-system/app, git_repository: flux-system/app } }
- source_fetched: { git_repository: flux-system/app }
- applied: { kustomization: flux-system/app }
- live: { config_map: hopclock/app }
";

struct TestSite<'a> {
    bench: &'a Bench,
    instance: &'a str,
    live: Vec<Subject>,
    clock: Arc<dyn Clock>,
}

// === impl ImageCourse ===

impl ImageCourse {
    pub(crate) async fn new(lane: &ImageLane) -> Self {
        let bench = Bench::new().await;
        let places = bench.sandbox.add_image_lane(lane).await.unwrap();
        Self {
            bench,
            places,
            instance: "hopclock",
            kind: "image_tag",
            trigger: String::new(),
            hops: HOPS.to_owned(),
            deadline: "30s",
        }
    }

    /// A lane whose policy always chooses `latest`, for images that take that tag.
    pub(crate) async fn same_tag() -> Self {
        let lane = ImageLane {
            policy: json!({"alphabetical": {"order": "asc"}}),
            first_tag: "latest".to_owned(),
            digests: Digests::Always("1s".to_owned()),
            ..ImageLane::new("app")
        };
        let mut course = Self::new(&lane).await;
        course.kind = "image_digest";
        let without = |it: &&str| !it.contains("image_scanned") && !it.contains("registry_told");
        course.hops = HOPS.lines().filter(without).fold(String::new(), |all, it| all + it + "\n");
        course
    }

    /// The text of the scenario.
    pub(crate) fn text(&self) -> String {
        let Self { kind, trigger, hops, deadline, .. } = self;
        format!(
            "name: app\ndeadline: {deadline}\n\
             trigger: {{ {kind}: {{ policy: flux-system/app{trigger} }} }}\nhops:{hops}"
        )
    }

    /// Runs it by the program.
    pub(crate) async fn tell(&self) -> Told {
        let folder = self.bench.caches.path();
        std::fs::write(folder.join("app.yaml"), self.text()).unwrap();
        let arguments = ["run", "app.yaml", "--output", "json", "--instance", self.instance];
        let mut call = hopclock(folder, &arguments);
        call.env("KUBECONFIG", self.bench.sandbox.kubeconfig());
        told(call).await
    }

    /// Runs it by the program, which must not push; gives the one error.
    pub(crate) async fn refused(&self, title: &str) -> String {
        self.told_no(title).await.1
    }

    /// The same; its reason is the title.
    pub(crate) async fn refused_for(&self, reason: &str) -> String {
        let (told, error) = self.told_no(reason).await;
        told.assert_refused_for(reason);
        error
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

    /// Changes an object of the lane as a person would.
    pub(crate) fn change(&self, kind: &str, patch: &Value) {
        let key = Key::new(kind, FLUX_NAMESPACE, "app");
        self.bench.sandbox.store().merge(&key, patch, Part::Whole, "somebody").unwrap();
    }

    pub(crate) fn annotate(&self, instance: Option<&str>) {
        let annotations = json!({"hopclock.dev/canary": instance});
        self.change("ImagePolicy", &json!({"metadata": {"annotations": annotations}}));
    }

    /// Runs it in this process, and does `then` as soon as the push is acknowledged.
    pub(crate) async fn measure(&self, then: impl Fn() + Send + Sync + 'static) -> Measured {
        let job = self.job().await.unwrap();
        let published = move |event: &Event| {
            if matches!(event, Event::Published { .. }) {
                then();
            }
        };
        self.bench.drive("app", &job, published).await
    }

    /// What `run` makes of the scenario, without the proofs.
    pub(crate) async fn job(&self) -> Result<Job, ProbeError> {
        job(&self.bench, self.instance, &self.text()).await
    }

    /// Says that every hop that is reached was timed by the event that brought it.
    pub(crate) fn assert_true(&self, measured: &Measured) {
        let tag = measured.pushed();
        let git = self.bench.sandbox.git();
        let pushes = git.ref_updates();
        let push = pushes.iter().rfind(|it| it.by == UpdatedBy::Push).unwrap();
        let exact = |it: &Passage| {
            let certain = matches!(it, Passage::Reached { uncertain: false, .. });
            certain && it.at().is_some_and(Span::is_exact)
        };
        let ends = |it: &Value| it.as_str().is_some_and(|it| it.ends_with(&push.new));
        let lists = |it: &Value| {
            let tags = it["status"]["lastScanResult"]["latestTags"].as_array();
            tags.is_some_and(|it| it.iter().any(|it| it == tag))
        };
        for hop in &measured.record.hops {
            if hop.passage.at().is_none() || hop.hop.ends_with("_told") {
                continue;
            }
            let truth = match hop.hop.as_str() {
                "image_scanned" => measured.shown_at("ImageRepository", lists),
                "policy_updated" => {
                    measured.shown_at("ImagePolicy", |it| it["status"]["latestRef"]["tag"] == tag)
                }
                "automation_committed" if exact(&hop.passage) => measured
                    .shown_at("ImageUpdateAutomation", |it| {
                        it["status"]["lastPushCommit"] == push.new.as_str()
                    }),
                "automation_committed" => Some(push.at),
                "source_fetched" => measured
                    .shown_at("GitRepository", |it| ends(&it["status"]["artifact"]["revision"])),
                "applied" => measured
                    .shown_at("Kustomization", |it| ends(&it["status"]["lastAppliedRevision"])),
                _ => measured.shown_at("ConfigMap", |it| it["data"]["tag"] == tag),
            };
            let truth = truth.unwrap_or_else(|| panic!("{} did not happen", hop.hop));
            let (least, most) = measured.bounds(&hop.hop);
            assert!(truth <= most, "{}: {:?} early", hop.hop, truth - most);
            assert!(least == most || least <= truth, "{}: {:?} late", hop.hop, least - truth);
        }
    }
}

// === impl TestSite ===

#[async_trait::async_trait]
impl Site for TestSite<'_> {
    fn scenario(&self) -> &'static str {
        "app"
    }

    fn instance(&self) -> &str {
        self.instance
    }

    fn live(&self) -> &[Subject] {
        &self.live
    }

    fn is_built(&self) -> bool {
        false
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn clients(&self) -> Clients {
        Clients::default()
    }

    fn cache_dir(&self) -> &Path {
        self.bench.caches.path()
    }

    async fn object(&self, subject: &Subject) -> Result<Value, ProbeError> {
        Ok(self.bench.cluster.get(subject).await?)
    }

    async fn all(&self, kind: &GroupKind, namespace: &str) -> Result<Vec<Value>, ProbeError> {
        Ok(self.bench.cluster.all(kind, Some(namespace)).await?.unwrap_or_default())
    }

    async fn branch(&self, branch: &Subject) -> Result<GitRemote, ProbeError> {
        let (repository, name) = GitBranch::of_subject(branch).unwrap();
        open_branch(self, &repository, name.unwrap_or("main")).await
    }

    async fn secret(&self, name: &ObjectName) -> Result<Secret, ProbeError> {
        Ok(self.bench.cluster.secret(&name.namespace, &name.name).await?)
    }

    fn branch_of(&self, _: &Subject, _: &Value) -> Result<String, ProbeError> {
        Ok("main".to_owned())
    }

    fn secret_text(&self, _: &SecretSource) -> Result<SecretString, ProbeError> {
        panic!("no lane here has secrets of its own")
    }

    fn file(&self, _: &Path, _: &str) -> Result<Vec<u8>, ProbeError> {
        panic!("no lane here has files of its own")
    }
}

/// What `run` makes of a scenario named `app`, without the proofs.
pub(crate) async fn job(bench: &Bench, instance: &str, text: &str) -> Result<Job, ProbeError> {
    let scenario: Scenario = load_text("app.yaml", text).unwrap();
    let mut hops = Vec::new();
    for hop in &scenario.hops {
        let kind = hop.kind.kind();
        let subject = kind.subject().unwrap();
        let mut objects = Objects::new();
        for it in kind.needs().into_iter().chain([subject.clone()]) {
            let flux = it.kind.group.ends_with("toolkit.fluxcd.io");
            if flux {
                objects.insert(it.clone(), bench.cluster.get(&it).await.unwrap());
            }
        }
        let position = |name: &String| scenario.hops.iter().position(|it| it.name == *name);
        let witness = |(subject, detector)| Witness { subject: Arc::new(subject), detector };
        hops.push(PlannedHop {
            name: hop.name.clone(),
            subject: Arc::new(subject),
            place: kind.traits().place,
            after: hop.after.iter().filter_map(position).collect(),
            within: None,
            need: hop.required,
            detector: kind.detector(&objects).unwrap(),
            witnesses: kind.witnesses(&objects).into_iter().map(witness).collect(),
        });
    }
    let live = hops.iter().filter(|it| it.place == Place::Live);
    let live = live.map(|it| (*it.subject).clone()).collect();
    let (plan, clock) = (
        Plan {
            scenario: scenario.name.clone(),
            deadline: scenario.deadline,
            within: None,
            until: None,
            hops,
            bystanders: Vec::new(),
        },
        bench.clock.clone(),
    );
    let site = TestSite { bench, instance, live, clock: clock.clone() };
    let mut polls: Vec<Arc<dyn Poll>> = Vec::new();
    for subject in plan.subjects().into_iter().filter(|it| it.kind == GroupKind::git_branch()) {
        let remote = site.branch(&subject).await?;
        let witnessed = |it: &&PlannedHop| it.witnesses.iter().any(|it| it.subject == subject);
        let pushed_by = plan.hops.iter().filter(witnessed).map(|it| (*it.subject).clone());
        polls.push(Arc::new(BranchPoll::new(subject.clone(), remote, pushed_by.collect())));
    }
    let trigger = scenario.trigger.kind().build(&site).await?.trigger;
    let watches = Arc::new(Polled::new(Arc::new(bench.cluster.clone()), polls, clock));
    let instance = instance.to_owned();
    Ok(Job {
        plan: Arc::new(plan),
        trigger,
        watches,
        instance,
        errands: Errands::new(),
        trace: None,
    })
}
