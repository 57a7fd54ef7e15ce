//! Whole runs against the sandbox over real sockets, and the sandbox's own truth beside them.
//!
//! Everything that hopclock reports of a run is compared with the stamps of the writes and of the
//! moved branches: never with how long something should take.

pub(crate) use crate::cli::kit::quick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use hopclock::cluster::{Cluster, ClusterOptions, Timing};
use hopclock::engine::{
    Errands, Job, Plan, PlannedBystander, PlannedHop, Surroundings, SystemClock, Unwritten,
    run_once,
};
use hopclock::hop::{
    Annotated, Applied, Bystander, Detector, Live, LiveConfig, Place, SourceFetched, Upstream,
    WebhookReceived,
};
use hopclock::model::{
    Ancestry, CanaryId, Clock, Event, GroupKind, ObjectName, Observer, Outcome, Passage,
    Requirement, Revision, RunRecord, SloVerdict, SourceKind, Subject,
};
use hopclock::remote::git::{Credentials, GitRemote, GitRemoteOptions};
use hopclock::trigger::{
    Builds, Content, EditTemplate, Error, GitCommit, Published, PushMode, Trigger,
};
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::git::{GitHostOptions, NewCommit, Webhook, WebhookFormat, WebhookMoment};
use hopclock_sandbox::pipeline::{
    CANARY_NAMESPACE, CANARY_PATH, Door, FLUX_NAMESPACE, Hook, Lane, Sandbox, SandboxOptions,
};
use hopclock_sandbox::store::{Change, Key, Part};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// Longest time of any run here; only a run that hangs gets there.
const HANGS: Duration = Duration::from_secs(90);

/// A sandbox, and hopclock's way into it.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) cluster: Cluster,
    pub(crate) clock: Arc<SystemClock>,
    pub(crate) caches: Arc<TempDir>,
}

/// A lane, and how it is to be run.
pub(crate) struct Course {
    pub(crate) bench: Bench,
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) plan: Plan,
    pub(crate) edit: EditTemplate,
}

/// What came of a run, beside what is true.
pub(crate) struct Measured {
    pub(crate) record: RunRecord,
    pub(crate) events: Vec<Event>,
    /// What the cluster was told since the run began.
    changes: Vec<Arc<Change>>,
    clock: Arc<SystemClock>,
    name: String,
}

/// A trigger with others at work around it.
pub(crate) struct Meddled {
    pub(crate) inner: Arc<dyn Trigger>,
    /// Done between prepare and publish.
    pub(crate) before: Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    /// Done when a further attempt is announced.
    pub(crate) again: Box<dyn Fn() + Send + Sync>,
}

struct Notes<F> {
    events: Mutex<Vec<Event>>,
    then: F,
}

// === impl Bench ===

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(quick(), Timing::default()).await
    }

    pub(crate) async fn with(speeds: Speeds, timing: Timing) -> Self {
        Self::of(SandboxOptions { speeds, ..SandboxOptions::default() }, timing).await
    }

    /// The same with a git host that speaks TLS.
    pub(crate) async fn with_tls() -> Self {
        let git = GitHostOptions { tls: true, ..GitHostOptions::default() };
        Self::of(
            SandboxOptions { speeds: quick(), git, ..SandboxOptions::default() },
            Timing::default(),
        )
        .await
    }

    async fn of(options: SandboxOptions, timing: Timing) -> Self {
        // Fails if another test has chosen it already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let sandbox = Arc::new(Sandbox::start(options).await.unwrap());
        let clock = Arc::new(SystemClock::new());
        let kubeconfigs = vec![sandbox.kubeconfig()];
        let options = ClusterOptions { kubeconfigs, timing, ..ClusterOptions::default() };
        let cluster = Cluster::connect(options, clock.clone()).await.unwrap();
        Self { sandbox, cluster, clock, caches: Arc::new(tempfile::tempdir().unwrap()) }
    }

    /// A lane that everybody may push to.
    pub(crate) async fn lane(&self, name: &str, interval: &str, hook: Hook) -> Course {
        let (name, interval) = (name.to_owned(), interval.to_owned());
        let lane = Lane { name, interval, hook, door: Door::Open };
        let url = self.sandbox.add_lane(&lane).await.unwrap();
        self.sandbox.consent(&lane.name, Some("test")).unwrap();
        Course::new(self.clone(), lane.name, url)
    }

    /// Changes an object as a person would.
    pub(crate) fn change(&self, kind: &str, name: &str, patch: &Value) {
        let key = Key::new(kind, FLUX_NAMESPACE, name);
        self.sandbox.store().merge(&key, patch, Part::Whole, "somebody").unwrap();
    }

    /// Asks a source to fetch, as `flux reconcile` does.
    pub(crate) fn request(&self, source: &str) {
        let value = format!("request {}", fastrand::u64(..));
        let annotations = json!({"reconcile.fluxcd.io/requestedAt": value});
        let patch = json!({"metadata": {"annotations": annotations}});
        self.change("GitRepository", source, &patch);
    }

    /// Waits until an object is as it should be.
    pub(crate) async fn until(&self, kind: &str, name: &str, is: impl Fn(&Value) -> bool) {
        let key = Key::new(kind, FLUX_NAMESPACE, name);
        let store = self.sandbox.store();
        let mut watch = store.watch_kind(kind, store.version());
        let wait = async {
            while !store.get(&key).is_some_and(|it| is(&it)) {
                watch.next().await.unwrap();
            }
        };
        tokio::time::timeout(HANGS, wait).await.unwrap();
    }

    /// Runs a job; `then` is called with each of its events, on the way.
    pub(crate) async fn drive(
        &self,
        name: &str,
        job: &Job,
        then: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Measured {
        let store = self.sandbox.store();
        let version = store.version();
        let notes = Arc::new(Notes { events: Mutex::default(), then });
        let clock: Arc<dyn Clock> = self.clock.clone();
        let around = Surroundings { clock, journal: Arc::new(Unwritten), observer: notes.clone() };
        let record = tokio::time::timeout(HANGS, run_once(job, &around)).await.unwrap();
        let events = std::mem::take(&mut *notes.events.lock().unwrap());
        let changes = store.changes().into_iter().filter(|it| it.rv > version).collect();
        Measured { record, events, changes, clock: self.clock.clone(), name: name.to_owned() }
    }
}

// === impl Course ===

impl Course {
    pub(crate) fn new(bench: Bench, name: String, url: String) -> Self {
        let plan = plan(&name);
        let content = Content::ConfigMap(ObjectName::new(CANARY_NAMESPACE, &name));
        let edit = EditTemplate {
            builds: Builds::Skipped,
            instance: "test".to_owned(),
            path: CANARY_PATH.to_owned(),
            content,
            chart: None,
            mode: PushMode::Append,
            author: None,
            trailers: Vec::new(),
        };
        Self { bench, name, url, plan, edit }
    }

    pub(crate) async fn trigger(&self) -> Arc<dyn Trigger> {
        let options = GitRemoteOptions {
            url: self.url.clone(),
            branch: "main".to_owned(),
            credentials: Credentials::None,
            ca: None,
            cache_dir: self.bench.caches.path().to_owned(),
            timeout: Duration::from_secs(30),
            clients: hopclock::remote::Clients::default(),
        };
        let remote = GitRemote::open(options, self.bench.clock.clone()).await.unwrap();
        Arc::new(GitCommit::new(remote, self.edit.clone()))
    }

    pub(crate) fn job(&self, trigger: Arc<dyn Trigger>) -> Job {
        let (plan, instance) = (Arc::new(self.plan.clone()), self.edit.instance.clone());
        let watches = Arc::new(self.bench.cluster.clone());
        Job { plan, trigger, watches, instance, errands: Errands::new(), trace: None }
    }

    /// Runs it, and calls `then` with each event on the way.
    pub(crate) async fn run(&self, then: impl Fn(&Event) + Send + Sync + 'static) -> Measured {
        let job = self.job(self.trigger().await);
        self.bench.drive(&self.name, &job, then).await
    }

    /// Runs it, and does `then` as soon as the push is acknowledged.
    pub(crate) async fn run_and(&self, then: impl Fn() + Send + Sync + 'static) -> Measured {
        let published = move |event: &Event| {
            if matches!(event, Event::Published { .. }) {
                then();
            }
        };
        self.run(published).await
    }

    /// Runs it with others at work between prepare and publish, and at each further attempt.
    pub(crate) async fn run_meddled(
        &self,
        before: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
        again: impl Fn() + Send + Sync + 'static,
        then: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Measured {
        let inner = self.trigger().await;
        let (before, again) = (Box::new(before), Box::new(again));
        let job = self.job(Arc::new(Meddled { inner, before, again }));
        self.bench.drive(&self.name, &job, then).await
    }

    /// Has the lane's webhook sent at a moment of our choice.
    pub(crate) fn hook(&self, moment: WebhookMoment) {
        let store = self.bench.sandbox.store();
        let find = |kind: &str, name: &str| store.get(&Key::new(kind, FLUX_NAMESPACE, name));
        let receiver = find("Receiver", &self.name).unwrap();
        let secret = find("Secret", &format!("{}-hook", self.name)).unwrap();
        let token = STANDARD.decode(secret["data"]["token"].as_str().unwrap()).unwrap();
        let path = receiver["status"]["webhookPath"].as_str().unwrap();
        let url = format!("{}{path}", self.bench.sandbox.flux().receiver_url());
        let token = String::from_utf8(token).unwrap();
        let webhook = Webhook { moment, ..Webhook::new(&url, &token, WebhookFormat::GitHub) };
        self.bench.sandbox.git().add_webhook(&self.url, webhook).unwrap();
    }

    /// Commits on the host as somebody else.
    pub(crate) fn commit(&self, commit: &NewCommit) -> String {
        self.bench.sandbox.git().commit(&self.url, commit).unwrap()
    }

    pub(crate) fn tip(&self) -> String {
        self.bench.sandbox.git().tip(&self.url, "main").unwrap()
    }

    /// A copy for a closure.
    pub(crate) fn share(&self) -> Self {
        Self::new(self.bench.clone(), self.name.clone(), self.url.clone())
    }

    pub(crate) fn hop(&mut self, name: &str) -> &mut PlannedHop {
        self.plan.hops.iter_mut().find(|it| it.name == name).unwrap()
    }
}

/// A commit of somebody else, on the tip.
pub(crate) fn foreign() -> NewCommit {
    let text = format!("{}\n", fastrand::u64(..));
    NewCommit::new("main", "Something else").file("README.md", &text)
}

// === impl Measured ===

impl Measured {
    pub(crate) fn passage(&self, hop: &str) -> &Passage {
        &self.record.hops.iter().find(|it| it.hop == hop).unwrap().passage
    }

    pub(crate) fn outcome(&self) -> &str {
        self.record.outcome.as_str()
    }

    /// Reason and message of a run that could not measure.
    pub(crate) fn error(&self) -> (&str, &str) {
        match &self.record.outcome {
            Outcome::ProbeError(error) => (&error.reason, &error.message),
            other => panic!("{other}"),
        }
    }

    /// The acknowledgement.
    pub(crate) fn zero(&self) -> Instant {
        let at = |it: &Event| {
            if let Event::Published { zero, .. } = it { Some(zero.latest) } else { None }
        };
        self.clock.instant(self.events.iter().find_map(at).unwrap())
    }

    pub(crate) fn verdicts(&self) -> Vec<(&str, SloVerdict)> {
        let decided = |it| match it {
            &Event::Decided { ref slo, verdict, .. } => Some((slo.as_str(), verdict)),
            _ => None,
        };
        self.events.iter().filter_map(decided).collect()
    }

    /// What was pushed.
    pub(crate) fn pushed(&self) -> &str {
        self.record.push.as_ref().unwrap().revisions[0].id()
    }

    /// Between which instants a hop is said to have been reached.
    pub(crate) fn bounds(&self, hop: &str) -> (Instant, Instant) {
        let at = self.passage(hop).at().unwrap_or_else(|| panic!("{hop}: {:?}", self.record));
        let push = self.record.push.as_ref().unwrap().took;
        (self.zero() + at.least, self.zero() - push.width() + at.most)
    }

    /// When the cluster was told what a hop waits for, and when it was told something else of
    /// the same object.
    pub(crate) fn truth(&self, hop: &str) -> (Instant, Option<Instant>) {
        let Passage::Reached { carried_by, .. } = self.passage(hop) else { panic!("{hop}") };
        let commit = carried_by.as_deref().unwrap_or_else(|| self.pushed());
        let canary = self.record.canary.to_string();
        let ends = |it: &Value| it.as_str().is_some_and(|it| it.ends_with(commit));
        let fetched = |it: &&Arc<Change>| {
            self.is_of(it, "GitRepository") && ends(&it.object["status"]["artifact"]["revision"])
        };
        let echo = |it: &Arc<Change>| it.object["status"]["lastHandledReconcileAt"].clone();
        let echo = self.changes.iter().find(fetched).map(echo).unwrap_or_default();
        let kind = match hop {
            "applied" => "Kustomization",
            "live" => "ConfigMap",
            _ => "GitRepository",
        };
        let shows = |it: &Change| match hop {
            "webhook_received" => {
                it.object["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"] == echo
            }
            "source_fetched" => ends(&it.object["status"]["artifact"]["revision"]),
            "applied" => ends(&it.object["status"]["lastAppliedRevision"]),
            _ => it.object["data"]["canary"] == canary.as_str(),
        };
        let mut of = self.changes.iter().filter(|it| self.is_of(it, kind));
        let found = of.find(|it| shows(it)).unwrap_or_else(|| panic!("{hop} did not happen"));
        (found.at, of.next().map(|it| it.at))
    }

    /// When the cluster was told first that an object of the lane is so.
    pub(crate) fn shown_at(&self, kind: &str, is: impl Fn(&Value) -> bool) -> Option<Instant> {
        let mut of = self.changes.iter().filter(|it| self.is_of(it, kind));
        of.find(|it| is(&it.object)).map(|it| it.at)
    }

    fn is_of(&self, change: &Change, kind: &str) -> bool {
        change.key.kind == kind && change.key.name == self.name
    }

    /// Says that a hop was timed exactly, by the event that brought it and no other.
    pub(crate) fn assert_exact(&self, hop: &str) {
        let uncertain = |it: &Passage| matches!(it, Passage::Reached { uncertain: true, .. });
        assert!(!uncertain(self.passage(hop)), "{hop} is exact: {:?}", self.passage(hop));
        self.assert_true(hop);
    }

    /// Says that a hop's instant, or its bounds, are true.
    pub(crate) fn assert_true(&self, hop: &str) {
        let ((least, most), (truth, next)) = (self.bounds(hop), self.truth(hop));
        assert!(truth <= most, "{hop} happened {:?} after it is said to have", truth - most);
        if matches!(self.passage(hop), Passage::Reached { early: true, .. }) {
            // It counts as 0 (rule T1), whatever came between it and the acknowledgement.
            assert_eq!(least, most);
        } else if least == most {
            let before = next.is_none_or(|next| most < next);
            assert!(before, "{hop} was timed by a later event: {:?}", self.passage(hop));
        } else {
            assert!(least <= truth, "{hop} happened {:?} before its bounds", least - truth);
        }
    }

    pub(crate) fn assert_all_exact(&self) {
        for hop in &self.record.hops {
            if hop.passage.at().is_some() {
                self.assert_exact(&hop.hop);
            }
        }
    }

    pub(crate) fn assert_all_true(&self) {
        for hop in &self.record.hops {
            if hop.passage.at().is_some() {
                self.assert_true(&hop.hop);
            }
        }
    }
}

// === impl Meddled ===

#[async_trait::async_trait]
impl Trigger for Meddled {
    fn lane(&self) -> String {
        self.inner.lane()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        self.inner.latest().await
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        self.inner.prepare(canary).await
    }

    async fn publish(
        &self,
        announce: &(dyn Fn(Vec<Revision>) + Send + Sync),
    ) -> Result<Published, Error> {
        (self.before)().await;
        let again = |revisions| {
            (self.again)();
            announce(revisions);
        };
        self.inner.publish(&again).await
    }

    async fn recover(
        &self,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, Error> {
        self.inner.recover(canary, revisions).await
    }

    async fn ancestry(&self, revision: &Revision) -> Ancestry {
        self.inner.ancestry(revision).await
    }
}

// === impl Notes ===

impl<F: Fn(&Event) + Send + Sync> Observer for Notes<F> {
    fn observe(&self, event: &Event) {
        self.events.lock().unwrap().push(event.clone());
        (self.then)(event);
    }
}

/// What a lane is waited for with: webhook, fetch, applied, live, and its Receiver.
pub(crate) fn plan(name: &str) -> Plan {
    let flux = |kind| Subject::local(kind, FLUX_NAMESPACE, name);
    let source = flux(GroupKind::git_repository());
    let live = Subject::local(GroupKind::new("", "ConfigMap"), CANARY_NAMESPACE, name);
    let hop = |name: &str, subject: &Subject, place, after, detector: Arc<dyn Detector>| {
        let need =
            if place == Place::Request { Requirement::Optional } else { Requirement::Required };
        let (name, subject) = (name.to_owned(), Arc::new(subject.clone()));
        PlannedHop {
            name,
            subject,
            place,
            after,
            within: None,
            need,
            detector,
            witnesses: Vec::new(),
        }
    };
    let git = Annotated::Source(SourceKind::Git);
    let webhook = Arc::new(WebhookReceived::new(Upstream::Single, git));
    let applier = flux(GroupKind::kustomization());
    let receiver = Arc::new(flux(GroupKind::receiver()));
    Plan {
        scenario: name.to_owned(),
        deadline: Duration::from_secs(30),
        within: None,
        until: None,
        hops: vec![
            hop("webhook_received", &source, Place::Request, vec![], webhook),
            hop(
                "source_fetched",
                &source,
                Place::Fetch,
                vec![],
                Arc::new(SourceFetched(SourceKind::Git)),
            ),
            hop("applied", &applier, Place::Apply, vec![1], Arc::new(Applied)),
            hop("live", &live, Place::Live, vec![1], Arc::new(Live::new(&LiveConfig::default()))),
        ],
        bystanders: vec![PlannedBystander { subject: receiver, detector: Bystander::Other }],
    }
}
