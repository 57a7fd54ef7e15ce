//! What the tests of charts share: a site with Flux's objects on it, and Helm as the judge.

use crate::git_kit::TestClock;
use hopclock::model::{
    CanaryId, Clock, GroupKind, ObjectName, PackagedChart, ProbeError, Revision, Secret, Subject,
};
use hopclock::remote::Clients;
use hopclock::remote::git::GitRemote;
use hopclock::trigger::{
    Built, Destination, HelmChartConfig, Kind, Published, SecretSource, Site, Trigger, open_branch,
};
use secrecy::{SecretSlice, SecretString};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

/// Where charts are published, and who takes them.
pub(crate) struct ChartSite {
    pub(crate) objects: BTreeMap<Subject, Value>,
    pub(crate) secrets: BTreeMap<ObjectName, BTreeMap<String, SecretSlice<u8>>>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) instance: &'static str,
    pub(crate) charts: Vec<PackagedChart>,
    clock: Arc<TestClock>,
}

// === impl ChartSite ===

impl ChartSite {
    /// A release of `canary` from this HelmRepository, with this range.
    pub(crate) fn new(repository: &Value, range: &str) -> Self {
        let reference = json!({"kind": "HelmRepository", "name": "charts"});
        let chart = json!({"spec": {"chart": "canary", "version": range, "sourceRef": reference}});
        let site = Self {
            objects: BTreeMap::new(),
            secrets: BTreeMap::new(),
            folder: tempfile::tempdir().unwrap(),
            instance: "hopclock",
            charts: Vec::new(),
            clock: Arc::new(TestClock::since(Instant::now())),
        };
        let release = Subject::local(GroupKind::helm_release(), "flux-system", "canary");
        site.with(release, json!({"spec": {"chart": chart}}))
            .with(source("HelmRepository", "charts"), json!({ "spec": repository }))
    }

    /// The same with another object.
    pub(crate) fn with(mut self, subject: Subject, object: Value) -> Self {
        self.objects.insert(subject, object);
        self
    }

    /// Builds the trigger of the release, with these further keys.
    pub(crate) async fn build(&self, further: Value) -> Result<Built, ProbeError> {
        let mut config = json!({"helm_release": "flux-system/canary"});
        for (key, it) in further.as_object().unwrap() {
            config[key] = it.clone();
        }
        let config: HelmChartConfig = serde_json::from_value(config).unwrap();
        config.build(self).await
    }

    pub(crate) async fn trigger(&self, further: Value) -> Arc<dyn Trigger> {
        let built = self.build(further).await.unwrap_or_else(|it| panic!("{it:?}"));
        assert!(matches!(built.destination, Destination::Chart(_)));
        built.trigger
    }
}

#[async_trait::async_trait]
impl Site for ChartSite {
    fn scenario(&self) -> &'static str {
        "chart"
    }

    fn instance(&self) -> &str {
        self.instance
    }

    fn live(&self) -> &[Subject] {
        &[]
    }

    fn is_built(&self) -> bool {
        false
    }

    fn charts(&self) -> &[PackagedChart] {
        &self.charts
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn clients(&self) -> Clients {
        Clients::default()
    }

    fn cache_dir(&self) -> &Path {
        self.folder.path()
    }

    async fn object(&self, subject: &Subject) -> Result<Value, ProbeError> {
        self.objects.get(subject).cloned().ok_or_else(|| ProbeError {
            reason: "missing_object".to_owned(),
            message: format!("{subject} is not there"),
        })
    }

    async fn all(&self, _: &GroupKind, _: &str) -> Result<Vec<Value>, ProbeError> {
        Ok(Vec::new())
    }

    async fn branch(&self, _: &Subject) -> Result<GitRemote, ProbeError> {
        open_branch(self, &ObjectName::new("flux-system", "pages"), "main").await
    }

    async fn secret(&self, name: &ObjectName) -> Result<Secret, ProbeError> {
        Ok(Secret::new(name.clone(), self.secrets[name].clone()))
    }

    fn branch_of(&self, _: &Subject, _: &Value) -> Result<String, ProbeError> {
        Ok("main".to_owned())
    }

    fn secret_text(&self, _: &SecretSource) -> Result<SecretString, ProbeError> {
        panic!("no site of charts has secrets of its own")
    }

    fn file(&self, _: &Path, _: &str) -> Result<Vec<u8>, ProbeError> {
        panic!("no site of charts has files of its own")
    }
}

/// A source of Flux's.
pub(crate) fn source(kind: &str, name: &str) -> Subject {
    Subject::local(GroupKind::source(kind), "flux-system", name)
}

/// The canary of this number.
pub(crate) fn canary(instance: &str, number: u64) -> CanaryId {
    CanaryId::new(instance, 0x1a1_0000_0000 + number)
}

/// Publishes a canary; gives its revisions, and what was told of it.
pub(crate) async fn publish(
    trigger: &Arc<dyn Trigger>,
    canary: &CanaryId,
) -> (Vec<Revision>, Published) {
    trigger.latest().await.unwrap();
    let revisions = trigger.prepare(canary).await.unwrap();
    let published = trigger.publish(&|_| {}).await.unwrap();
    (revisions, published)
}

/// The version among revisions.
pub(crate) fn version(revisions: &[Revision]) -> &str {
    let is_version = |it: &&Revision| matches!(it, Revision::Version(_));
    revisions.iter().find(is_version).map(Revision::id).unwrap()
}

/// Whether there is Helm; says so if not.
pub(crate) fn has_helm() -> bool {
    let found = Command::new("helm").arg("version").output().is_ok_and(|it| it.status.success());
    let required = std::env::var("HOPCLOCK_REQUIRE_TOOLS").is_ok_and(|it| it == "1");
    assert!(found || !required, "`helm` is not on the PATH, but required");
    if !found {
        println!("skipped: `helm` is not on the PATH");
    }
    found
}

/// Runs Helm with a home of its own; gives what it prints, once it is content.
pub(crate) async fn helm(home: &Path, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new("helm")
        .args(arguments)
        .current_dir(home)
        .env("HOME", home)
        .env("HELM_CACHE_HOME", home.join("cache"))
        .env("HELM_CONFIG_HOME", home.join("config"))
        .env("HELM_DATA_HOME", home.join("data"))
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "helm {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
