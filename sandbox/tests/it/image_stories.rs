//! The stories of images, played in the sandbox: registry, scan, policy, automation, git, cluster.
//!
//! The registry is the real one over real sockets, in virtual time: whoever asks it does so on a
//! thread of its own, and time stands still meanwhile. The git host is the one in memory, whose
//! webhook is called the moment an automation's push has moved a ref. Compared as all stories are.

use std::time::Duration;

use hopclock_sandbox::bucket::BucketHost;
use hopclock_sandbox::flux::Files;
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::registry::Registry;
use hopclock_sandbox::registry::RegistryOptions;
use hopclock_sandbox::registry::Route;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use tokio::task::JoinSet;

use crate::lab::Lab;
use crate::lab::TOKEN;
use crate::lab::applier;
use crate::lab::bucket_host;
use crate::lab::bucket_objects;
use crate::lab::call_fleet;
use crate::lab::fleet;
use crate::lab::map;
use crate::lab::object;
use crate::lab::receiver;
use crate::stories::compare;
use crate::stories::still;

/// Kinds that move in the recordings and are not run here.
const NOT_RUN: [&str; 4] = ["OCIRepository", "HelmRepository", "HelmChart", "HelmRelease"];

const REPOSITORY: &str = "team/app";
const APP: &str = "apps/app.yaml";
const IMAGE: &str = "ImageRepository";

/// A story being played.
struct Play {
    lab: Lab,
    registry: Registry,
    marks: Vec<(u64, String)>,
    _webhooks: JoinSet<()>,
    _bucket: BucketHost,
}

/// How a pipeline stands when a recording begins.
struct Scene {
    /// The tags of the image, the one in git last.
    tags: &'static [&'static str],
    /// The branch that the automation pushes to.
    push: &'static str,
    /// Appliers beside the one of the image.
    more: &'static [&'static str],
}

impl Play {
    async fn set(scene: Scene) -> Self {
        let registry = Registry::start(RegistryOptions::default()).await.unwrap();
        for tag in scene.tags {
            let _ = registry.push_image(REPOSITORY, tag, tag);
        }
        let current = scene.tags.last().unwrap();
        let app = manifest(registry.host(), current, true);
        let dependent = map("dependent", "0");
        let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  \
                       name: valued\n  namespace: flux-system\nspec:\n  suspend: true\n";
        let files = [
            (APP, app.as_str()),
            ("dependent/dependent.yaml", &dependent),
            ("releases/valued.yaml", release),
        ];
        let speeds = Speeds { jitter_percent: 0, ..Speeds::default() };
        let bucket = bucket_host().await;
        let mut objects = objects(&registry, &scene);
        objects.extend(bucket_objects(&bucket));
        let lab = Lab::start(speeds, objects, &files).await;
        let files = Files::from([("canary.yaml".to_owned(), map("manifests", "0").into_bytes())]);
        lab.publish("OCIRepository", "manifests", "sha256:00", files);
        let (mut moved, flux, store) = (lab.git.watch(), lab.flux.clone(), lab.store.clone());
        let mut webhooks = JoinSet::new();
        webhooks.spawn(async move {
            while moved.recv().await.is_some() {
                assert_eq!(call_fleet(&flux, &store, TOKEN).await, 200);
            }
        });
        let mut play =
            Self { lab, registry, marks: Vec::new(), _webhooks: webhooks, _bucket: bucket };
        play.wait(100.0).await;
        play.lab.begin();
        play
    }

    async fn wait(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }

    /// Waits until a scan is over.
    async fn after_scan(&self) {
        let scans = || self.registry.count(Route::Tags);
        let before = scans();
        while scans() == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.wait(1.0).await;
    }

    /// Begins so that the next scan by interval comes at so many seconds.
    async fn begin_before_scan(&mut self, seconds: f64) {
        self.after_scan().await;
        self.wait(59.0 - seconds).await;
        self.lab.begin();
    }

    /// The same where the scan's time counts as status has it, in whole seconds.
    async fn begin_before_scan_time(&mut self, seconds: f64) {
        self.after_scan().await;
        let scanned = self.lab.get(IMAGE, "app")["status"]["lastScanResult"]["scanTime"].clone();
        let scanned: Timestamp = scanned.as_str().unwrap().parse().unwrap();
        let age = self.lab.store.now().duration_since(scanned).as_secs_f64();
        self.wait(60.0 - age - seconds).await;
        self.lab.begin();
    }

    fn mark(&mut self, label: &str) {
        self.marks.push((self.lab.store.version(), label.to_owned()));
    }

    async fn step(&mut self, at: f64, what: &str) {
        self.lab.at(at).await;
        self.mark(&format!("step: {what}"));
    }

    /// A tag that is pushed and acknowledged at once.
    async fn push(&mut self, at: f64, label: &str, tag: &str, text: &str) {
        self.lab.at(at).await;
        let _ = self.registry.push_image(REPOSITORY, tag, text);
        self.mark(label);
    }

    /// The same, with the registry's webhook after it.
    async fn push_and_call(&mut self, at: f64, tag: &str) {
        self.push(at, "image", tag, tag).await;
        assert_eq!(self.lab.signed_webhook("registry").await, 200);
    }

    /// A commit of somebody else, with a webhook after it.
    async fn commit(&self, at: f64, subject: &str, path: &str, text: &str) {
        self.lab.at(at).await;
        self.lab.git.commit(subject, &[(path, Some(text))]);
        assert_eq!(self.lab.webhook(TOKEN).await, 200);
    }

    fn range(&self, range: &str) {
        self.lab.spec("ImagePolicy", "app", &json!({"policy": {"semver": {"range": range}}}));
    }

    /// Ends the play and compares it with the recording, from its first mark on.
    async fn compare(mut self, end: f64, name: &str) {
        self.lab.at(end).await;
        let first = self.marks[0].0;
        let changes = self.lab.store.changes();
        self.lab.start = changes.iter().find(|change| change.rv > first).unwrap().at;
        compare(&self.lab, &self.marks, name, &NOT_RUN, self.registry.host());
    }
}

fn objects(registry: &Registry, scene: &Scene) -> Vec<Value> {
    let image = format!("{}/{REPOSITORY}", registry.host());
    let mut objects = receiver();
    objects.push(object(
        "Receiver",
        "registry",
        &json!({"type": "generic-hmac", "interval": "10m",
        "secretRef": {"name": "webhook-token"}, "resources": [
            {"apiVersion": "image.toolkit.fluxcd.io/v1", "kind": IMAGE, "name": "app"}]}),
    ));
    objects.push(fleet("1m"));
    objects.push(applier("apps", json!({"wait": true})));
    for name in scene.more {
        objects.push(match *name {
            "dependent" => applier(name, json!({"dependsOn": [{"name": "apps"}]})),
            "from-bucket" => follower(name, "Bucket", "fleet"),
            "from-oci" => follower(name, "OCIRepository", "manifests"),
            name => applier(name, json!({})),
        });
    }
    objects.push(object("OCIRepository", "manifests", &still()));
    objects.push(object(
        IMAGE,
        "app",
        &json!({"image": image, "insecure": true, "interval": "1m",
        "exclusionList": ["^.*\\.sig$"], "provider": "generic"}),
    ));
    objects.push(object(
        "ImagePolicy",
        "app",
        &json!({"digestReflectionPolicy": "Never",
        "imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "0.x"}}}),
    ));
    objects.push(object(
        "ImagePolicy",
        "app-digest",
        &json!({"digestReflectionPolicy": "Always",
        "interval": "1m", "filterTags": {"pattern": "^latest$"},
        "imageRepositoryRef": {"name": "app"}, "policy": {"alphabetical": {"order": "asc"}}}),
    ));
    let template = "{{range .Changed.Changes}}{{.OldValue}} -> {{.NewValue}}\n{{end}}";
    let author = json!({"name": "fluxcdbot", "email": "flux@example.com"});
    objects.push(object(
        "ImageUpdateAutomation",
        "fleet",
        &json!({"interval": "30m",
        "sourceRef": {"kind": "GitRepository", "name": "fleet"},
        "git": {"checkout": {"ref": {"branch": "main"}}, "push": {"branch": scene.push},
            "commit": {"author": author, "messageTemplate": template}},
        "update": {"path": "./apps", "strategy": "Setters"}}),
    ));
    objects
}

fn follower(name: &str, kind: &str, source: &str) -> Value {
    applier(name, json!({"path": "./", "sourceRef": {"kind": kind, "name": source}}))
}

/// The manifest that the automation writes to, with its markers or without.
fn manifest(host: &str, tag: &str, marked: bool) -> String {
    let marker = |policy: &str| {
        let marker = json!({"$imagepolicy": policy});
        if marked { format!(" # {marker}") } else { String::new() }
    };
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app\n  namespace: default\ndata:\n  \
         image: {host}/{REPOSITORY}:{tag}{}\n  tag: {tag}{}\n",
        marker("flux-system:app"),
        marker("flux-system:app:tag")
    )
}

const TO_0_2: &[&str] = &["latest", "0.1.0", "0.1.1", "0.1.2", "0.2.0"];
const TO_0_3: &[&str] = &["latest", "0.1.0", "0.1.1", "0.1.2", "0.2.0", "0.3.0", "0.3.1"];
const FOLLOWERS: &[&str] = &["dependent", "from-bucket", "from-oci"];
const RELEASES: &[&str] = &["dependent", "from-bucket", "from-oci", "releases"];

#[tokio::test(start_paused = true)]
async fn image_webhook() {
    let mut play = Play::set(Scene { tags: &["0.1.0"], push: "main", more: &[] }).await;
    for (at, tag) in [(1.472, "0.1.1"), (13.594, "0.1.2"), (25.617, "0.2.0")] {
        play.push_and_call(at, tag).await;
    }
    play.lab.at(36.0).await;
    let text = play.lab.git.text(APP);
    assert_eq!(text, manifest(play.registry.host(), "0.2.0", true));
    play.compare(36.0, "image-webhook").await;
}

#[tokio::test(start_paused = true)]
async fn image_interval() {
    let mut play = Play::set(Scene { tags: TO_0_2, push: "main", more: FOLLOWERS }).await;
    // The followers' ten minutes end in the middle of the second chapter, those of the others not
    // before the end.
    play.after_scan().await;
    for (wait, name) in
        [(52.0, "from-oci"), (1.7, "from-bucket"), (230.0, "apps"), (1.0, "dependent")]
    {
        play.wait(wait).await;
        play.lab.request("Kustomization", name, "now");
    }
    for _ in 0..4 {
        play.after_scan().await;
    }
    play.begin_before_scan(57.958).await;
    play.push(1.423, "image", "0.3.0", "0.3.0").await;
    play.push(73.569, "image", "0.3.1", "0.3.1").await;
    play.compare(136.0, "image-interval").await;
}

#[tokio::test(start_paused = true)]
async fn image_digest() {
    let tags = &TO_0_2[1..];
    let mut play = Play::set(Scene { tags, push: "main", more: &["dependent"] }).await;
    play.begin_before_scan(10.632).await;
    play.commit(0.7, "nowidget", "README.md", "x").await;
    play.push(1.485, "same tag, new digest", "latest", "one").await;
    play.push(66.503, "same tag, new digest", "latest", "two").await;
    play.compare(135.0, "image-digest").await;
}

#[tokio::test(start_paused = true)]
async fn image_branch() {
    let mut play = Play::set(Scene { tags: TO_0_3, push: "image-updates", more: FOLLOWERS }).await;
    play.push_and_call(1.505, "0.4.0").await;
    play.lab.at(18.966).await;
    assert_eq!(play.lab.git.text(APP), manifest(play.registry.host(), "0.3.1", true));
    play.lab.git.merge("image-updates");
    assert_eq!(play.lab.webhook(TOKEN).await, 200);
    play.lab.at(19.038).await;
    play.mark("merge of the automation's branch");
    play.compare(24.0, "image-branch").await;
}

#[tokio::test(start_paused = true)]
async fn image_failures() {
    let mut play = Play::set(Scene { tags: TO_0_3, push: "main", more: RELEASES }).await;
    play.push_and_call(0.0, "0.4.0").await;
    // Long enough for events of the same text to be posted anew.
    play.wait(300.0).await;
    play.marks.clear();
    play.begin_before_scan_time(14.436).await;
    play.step(1.480, "registry stopped").await;
    play.registry.go_down();
    play.lab.at(1.547).await;
    play.lab.request(IMAGE, "app", "1795231349.068747323");
    play.step(13.664, "registry back").await;
    play.registry.come_back().unwrap();
    play.lab.at(21.756).await;
    play.range(">=9.0.0");
    play.step(21.857, "policy matches no tag").await;
    play.lab.at(27.940).await;
    play.range("0.x");
    let without = manifest(play.registry.host(), "0.4.0", false);
    play.commit(33.180, "no markers", APP, &without).await;
    play.push_and_call(38.427, "0.5.0").await;
    play.step(52.690, "markers are back").await;
    let with = manifest(play.registry.host(), "0.4.0", true);
    play.commit(52.890, "markers again", APP, &with).await;
    play.push_and_call(59.131, "0.5.1").await;
    play.compare(66.0, "image-failures").await;
}
