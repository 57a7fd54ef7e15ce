//! The stories of real Flux controllers, played in the sandbox: every object has to move alike.
//!
//! Compared are, chapter by chapter, the changed fields of every event of every object, in their
//! order, and roughly the time from its first event to each other: half a minute has to be half a
//! minute. The events that were posted have to be the same too, object by object, in their order.
//! Not compared is the order of events of different objects.
//!
//! Meant deviations: `OCIRepository` plays in a story of its own, and is suspended here. `Bucket` asks
//! a real server over real sockets. The `ImageRepository` that scanned
//! by its interval beside the stories of git plays in the stories of images only.

use std::collections::BTreeMap;

use hopclock_sandbox::bucket::BucketHost;
use hopclock_sandbox::charts::ChartRepository;
use hopclock_sandbox::flux::Controller;
use hopclock_sandbox::flux::Files;
use hopclock_sandbox::flux::Speeds;
use hopclock_sandbox::store::Key;
use hopclock_sandbox::store::Part;
use serde_json::Value;
use serde_json::json;

use crate::lab::Lab;
use crate::lab::TOKEN;
use crate::lab::applier;
use crate::lab::bucket_host;
use crate::lab::bucket_objects;
use crate::lab::fleet;
use crate::lab::key;
use crate::lab::map;
use crate::lab::object;
use crate::lab::receiver;
use crate::normal;

/// Kinds that move in the recordings and are not run here.
const NOT_RUN: [&str; 2] = ["ImageRepository", "OCIRepository"];

/// Kinds whose objects move here.
const MOVING: [&str; 9] = [
    "GitRepository",
    "Bucket",
    "HelmRepository",
    "HelmChart",
    "HelmRelease",
    "Kustomization",
    "ImageRepository",
    "ImagePolicy",
    "ImageUpdateAutomation",
];

/// How far the distance of two events may be off, in seconds; the recorded machine had one moment
/// of four appliers starting at once that took 0.4 s longer than an idle one.
const LAG: f64 = 0.5;

const CANARY: &str = "apps/canary.yaml";

/// A story being played.
struct Play {
    lab: Lab,
    marks: Vec<(u64, String)>,
    runs: u32,
    _bucket: BucketHost,
}

/// How a pipeline stands when a recording begins.
struct Scene {
    interval: &'static str,
    fleet_generation: u32,
    apps_generation: u32,
    apps: Value,
    more: &'static [&'static str],
}

impl Play {
    async fn set(scene: Scene) -> Self {
        let mut objects = receiver();
        objects.push(fleet(scene.interval));
        objects.push(applier("apps", scene.apps));
        for name in scene.more {
            objects.push(match *name {
                "dependent" => applier(name, json!({"dependsOn": [{"name": "apps"}]})),
                "from-bucket" => follower(name, "Bucket", "fleet"),
                "from-oci" => follower(name, "OCIRepository", "manifests"),
                name => applier(name, json!({})),
            });
        }
        let bucket = bucket_host().await;
        objects.extend(bucket_objects(&bucket));
        objects.push(object("OCIRepository", "manifests", &still()));
        objects.push(object("Secret", "trusted", &json!({})));
        let (canary, app, dependent) = (map("canary", "0"), map("app", "0"), map("dependent", "0"));
        let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  \
                       name: valued\n  namespace: flux-system\nspec:\n  suspend: true\n";
        let files = [
            (CANARY, canary.as_str()),
            ("apps/app.yaml", &app),
            ("dependent/dependent.yaml", &dependent),
            ("releases/valued.yaml", release),
        ];
        let speeds = Speeds { jitter_seed: Some(7), ..Speeds::default() };
        let lab = Lab::start(speeds, objects, &files).await;
        for (kind, name, generation) in [
            ("GitRepository", "fleet", scene.fleet_generation),
            ("Kustomization", "apps", scene.apps_generation),
        ] {
            for count in 1..generation {
                lab.spec(kind, name, &json!({"serviceAccountName": format!("x{count}")}));
            }
        }
        let files = Files::from([("canary.yaml".to_owned(), map("manifests", "0").into_bytes())]);
        lab.publish("OCIRepository", "manifests", "sha256:00", files);
        let mut play = Self { lab, marks: Vec::new(), runs: 0, _bucket: bucket };
        play.wait(100.0).await;
        play.begin();
        play
    }

    async fn wait(&self, seconds: f64) {
        tokio::time::sleep(std::time::Duration::from_secs_f64(seconds)).await;
    }

    fn begin(&mut self) {
        self.lab.begin();
        self.marks.clear();
        self.mark("before the first push");
    }

    fn mark(&mut self, label: &str) {
        self.marks.push((self.lab.store.version(), label.to_owned()));
    }

    async fn step(&mut self, at: f64, what: &str) {
        self.lab.at(at).await;
        self.mark(&format!("step: {what}"));
    }

    fn commit(&mut self, path: &str) {
        self.runs += 1;
        let run = self.runs.to_string();
        let name = path.rsplit('/').next().unwrap().trim_end_matches(".yaml");
        self.lab.git.commit(&format!("canary {run}"), &[(path, Some(&map(name, &run)))]);
    }

    /// A push that is acknowledged at once.
    async fn push(&mut self, at: f64, label: &str) {
        self.lab.at(at).await;
        self.commit(CANARY);
        self.mark(label);
    }

    /// The same, with a webhook after it.
    async fn push_and_call(&mut self, at: f64, label: &str) {
        self.push(at, label).await;
        assert_eq!(self.lab.webhook(TOKEN).await, 200);
    }

    /// A push of some file with content of its own and a webhook after it.
    async fn push_text(&mut self, at: f64, label: &str, text: &str) {
        self.lab.at(at).await;
        self.lab.git.commit("text", &[(CANARY, Some(text))]);
        self.mark(label);
        assert_eq!(self.lab.webhook(TOKEN).await, 200);
    }

    /// A push whose own hook calls the webhook, before the push is acknowledged.
    async fn push_hooked(&mut self, at: f64, path: &str, acked: f64, label: &str) {
        self.lab.at(at).await;
        self.commit(path);
        assert_eq!(self.lab.webhook(TOKEN).await, 200);
        self.lab.at(acked).await;
        self.mark(label);
    }

    /// Ends the play and compares it with the recording.
    async fn compare(self, end: f64, name: &str) {
        self.lab.at(end).await;
        compare(&self.lab, &self.marks, name, &NOT_RUN, "");
    }
}

/// Compares a play with the recording of its name, as far as these objects are concerned.
pub(crate) fn compare_only(lab: &Lab, marks: &[(u64, String)], name: &str, only: &[&str]) {
    let events = lab.flux.taken_events().into_iter();
    let mut posted = normal::posted(events.filter(|event| event.at >= lab.start), "");
    posted.retain(|object, _| only.contains(&object.as_str()));
    let fixture = include_str!("../fixtures/notifications.json");
    let mut recorded: BTreeMap<String, BTreeMap<String, Vec<String>>> =
        serde_json::from_str(fixture).unwrap();
    let events = recorded.get_mut(&format!("{name}: bucket")).unwrap();
    events.retain(|object, _| only.contains(&object.as_str()));
    assert_eq!(posted, *events, "{name}: events");
    let mut stories: Value =
        serde_json::from_str(include_str!("../fixtures/stories.json")).unwrap();
    for chapter in stories[name].as_array_mut().unwrap() {
        let objects = chapter["objects"].as_object_mut().unwrap();
        objects.retain(|object, _| only.contains(&object.as_str()));
    }
    let ours = |it: &Key| only.contains(&format!("{}/{}", it.kind, it.name).as_str());
    compare_moves(lab, marks, name, &normal::recorded(&stories[name], |_| true), ours);
}

/// Compares a play with the recording of its name, without the kinds that are not run.
pub(crate) fn compare(
    lab: &Lab,
    marks: &[(u64, String)],
    name: &str,
    not_run: &[&str],
    registry: &str,
) {
    let events = lab.flux.taken_events().into_iter();
    let posted = normal::posted(events.filter(|event| event.at >= lab.start), registry);
    let fixture = include_str!("../fixtures/notifications.json");
    let recorded: BTreeMap<String, BTreeMap<String, Vec<String>>> =
        serde_json::from_str(fixture).unwrap();
    // The alerts of the recordings did not ask for chart repositories.
    let heard = |object: &String| {
        let kind = object.split('/').next().unwrap();
        kind != "HelmRepository" && !not_run.contains(&kind)
    };
    let only = |all: &BTreeMap<String, Vec<String>>| -> BTreeMap<String, Vec<String>> {
        all.iter().filter(|it| heard(it.0)).map(|it| (it.0.clone(), it.1.clone())).collect()
    };
    assert_eq!(only(&posted), only(&recorded[name]), "{name}: events");
    let stories: Value = serde_json::from_str(include_str!("../fixtures/stories.json")).unwrap();
    let compared = |object: &str| !not_run.contains(&object.split('/').next().unwrap());
    let recorded = normal::recorded(&stories[name], compared);
    let moves =
        |it: &Key| MOVING.contains(&it.kind.as_str()) && !not_run.contains(&it.kind.as_str());
    compare_moves(lab, marks, name, &recorded, moves);
}

/// Compares how the objects that count have moved, chapter by chapter.
fn compare_moves(
    lab: &Lab,
    marks: &[(u64, String)],
    name: &str,
    recorded: &[normal::Chapter],
    counts: impl Fn(&Key) -> bool,
) {
    let changes = lab.store.changes().into_iter();
    let changes: Vec<_> = changes.filter(|change| counts(&change.key)).collect();
    let played = normal::chapters(&changes, marks);
    assert_chapters_alike(name, &played, recorded);
}

/// The same chapters, with the same movements of the same objects.
pub(crate) fn assert_chapters_alike(
    name: &str,
    played: &[normal::Chapter],
    recorded: &[normal::Chapter],
) {
    for (place, (label, objects)) in recorded.iter().enumerate() {
        let (played_label, played_objects) =
            played.get(place).unwrap_or_else(|| panic!("{name}: `{label}` was not played"));
        assert_eq!(played_label, label, "{name}, chapter {place}");
        for (object, events) in objects {
            let moved = played_objects.get(object).map_or(&[][..], Vec::as_slice);
            let here = format!("{name}, `{label}`, {object}");
            assert_moved_alike(&here, moved, events);
        }
        let names = |objects: &BTreeMap<String, Vec<normal::Event>>| -> Vec<String> {
            objects.keys().cloned().collect()
        };
        assert_eq!(names(played_objects), names(objects), "{name}, `{label}`");
    }
    assert_eq!(played.len(), recorded.len(), "{name}: more was played than recorded");
}

/// The same fields in the same order, and about the same time between any two events.
fn assert_moved_alike(here: &str, moved: &[normal::Event], recorded: &[normal::Event]) {
    for (number, (at, event)) in recorded.iter().enumerate() {
        let played = moved.get(number).map(|(_, moved)| moved);
        assert_eq!(played, Some(event), "{here}, event {number} of\n{moved:#?}");
        let lag = (moved[number].0 - moved[0].0) - (at - recorded[0].0);
        assert!(lag.abs() < LAG, "{here}, event {number} is {lag} s off: {event:?}");
    }
    assert_eq!(moved.len(), recorded.len(), "{here}: more than recorded in\n{moved:#?}");
}

fn follower(name: &str, kind: &str, source: &str) -> Value {
    applier(name, json!({"path": "./", "sourceRef": {"kind": kind, "name": source}}))
}

/// The wish of a source that stands still: it is published by hand.
pub(crate) fn still() -> Value {
    json!({"interval": "10m", "suspend": true})
}

fn scene(fleet_generation: u32, apps_generation: u32, more: &'static [&'static str]) -> Scene {
    let apps = json!({"wait": true});
    Scene { interval: "1m", fleet_generation, apps_generation, apps, more }
}

const DEPENDENT: &[&str] = &["dependent", "from-bucket", "from-oci"];
const RELEASES: &[&str] = &["dependent", "from-bucket", "from-oci", "releases"];

#[tokio::test(start_paused = true)]
async fn git_webhook() {
    let mut play = Play::set(scene(1, 1, &[])).await;
    for at in [1.558, 5.822, 10.054] {
        play.push_and_call(at, "push").await;
    }
    play.compare(15.0, "git-webhook").await;
}

#[tokio::test(start_paused = true)]
async fn git_interval() {
    let mut play = Play::set(Scene { interval: "10s", ..scene(2, 1, &[]) }).await;
    let fetches = play.lab.git.fetches().len();
    while play.lab.git.fetches().len() == fetches {
        play.wait(0.01).await;
    }
    play.wait(3.2).await;
    play.begin();
    for at in [1.586, 4.806, 19.022, 28.210] {
        play.push(at, "push").await;
    }
    play.compare(39.5, "git-interval").await;
}

#[tokio::test(start_paused = true)]
async fn git_failures() {
    let mut play = Play::set(scene(3, 1, DEPENDENT)).await;
    let broken = format!("{}  x: [a\n", map("canary", "1"));
    play.push_text(1.580, "build fails: broken YAML", &broken).await;
    play.push_and_call(7.840, "fixed").await;
    let invalid = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: canary, namespace: default}\n\
                   data: not-a-map\n";
    play.push_text(13.116, "apply rejected: invalid object", invalid).await;
    play.push_and_call(19.392, "fixed again").await;
    play.push(24.680, "webhook with the wrong secret, interval 1m").await;
    assert_eq!(play.lab.webhook("wrong").await, 400);
    play.lab.at(27.778).await;
    play.lab.request("GitRepository", "fleet", "1795228046");
    play.lab.at(32.845).await;
    play.lab.spec("Kustomization", "apps", &json!({"suspend": true}));
    play.push_and_call(33.108, "kustomization suspended").await;
    play.lab.at(39.182).await;
    play.lab.spec("Kustomization", "apps", &json!({"suspend": false}));
    play.lab.at(45.243).await;
    play.lab.spec("GitRepository", "fleet", &json!({"suspend": true}));
    play.push_and_call(45.488, "source suspended").await;
    play.lab.at(50.559).await;
    play.lab.spec("GitRepository", "fleet", &json!({"suspend": false}));
    play.push(56.796, "three quick commits, first").await;
    play.push(57.028, "three quick commits, second").await;
    play.push_and_call(57.252, "three quick commits, third, with webhook").await;
    play.push(63.520, "replaced before fetch: pushed").await;
    play.push_and_call(63.760, "replaced before fetch: history rewritten without it").await;
    play.lab.at(70.848).await;
    play.lab.request("GitRepository", "fleet", "1795228089");
    play.lab.flux.stop_controller(Controller::Notification).await;
    play.push(72.092, "notification-controller down, picked up on request").await;
    play.lab.at(72.152).await;
    play.lab.request("GitRepository", "fleet", "1795228090.400463961");
    play.lab.at(112.0).await;
    play.lab.flux.start_controller(Controller::Notification).await.unwrap();
    play.compare(125.0, "git-failures").await;
}

#[tokio::test(start_paused = true)]
async fn depends_on() {
    let mut play = Play::set(scene(5, 3, DEPENDENT)).await;
    let file = "dependent/dependent.yaml";
    play.push_hooked(1.639, file, 1.707, "dependsOn: dependent waits 30 s").await;
    play.compare(40.0, "depends-on").await;
}

#[tokio::test(start_paused = true)]
async fn health_check() {
    let mut play = Play::set(scene(5, 3, DEPENDENT)).await;
    let widget = |run: &str| {
        format!(
            "apiVersion: lab.hopclock.dev/v1\nkind: Widget\nmetadata: {{name: slow, namespace: \
             default}}\nspec: {{run: \"{run}\"}}\n"
        )
    };
    let slow = Key::new("Widget", "default", "slow");
    for (hooked, acked, label, run, current, patched) in [
        (1.514, None, "", "0", 5.707, Some(7.763)),
        (10.955, Some(11.020), "health check waits, becomes current after 7 s", "1", 18.090, None),
        (27.317, Some(27.380), "health check times out after 20 s, retried", "2", 72.484, None),
    ] {
        play.lab.at(hooked).await;
        play.lab.git.commit("widget", &[("apps/widget.yaml", Some(&widget(run)))]);
        assert_eq!(play.lab.webhook(TOKEN).await, 200);
        if let Some(acked) = acked {
            play.lab.at(acked).await;
            play.mark(label);
        }
        play.lab.at(current).await;
        let seen = json!({"status": {"observedGeneration": run.parse::<u64>().unwrap() + 1}});
        play.lab.store.merge(&slow, &seen, Part::Status, "widgets").unwrap();
        if let Some(patched) = patched {
            play.lab.at(patched).await;
            let patch = json!({"timeout": "20s", "retryInterval": "15s"});
            play.lab.spec("Kustomization", "apps", &patch);
        }
    }
    play.compare(90.0, "health-check").await;
}

#[tokio::test(start_paused = true)]
async fn source_failures() {
    let apps = json!({"wait": true, "timeout": "20s", "retryInterval": "15s"});
    let mut play = Play::set(Scene { apps, ..scene(5, 4, RELEASES) }).await;
    let charts = ChartRepository::start(0).await.unwrap();
    let url = charts.base_url().to_owned();
    let spec = json!({"interval": "10m", "url": url});
    play.lab.store.create(object("HelmRepository", "charts", &spec), "lab").unwrap();
    play.lab.until_ready("HelmRepository", "charts").await;
    // The event of the bucket's first artifact must not swallow that of its recovery.
    play.wait(240.0).await;
    play.begin();
    play.lab.at(1.404).await;
    play.lab.git.set_down(true);
    play.step(1.404, "git server stopped").await;
    play.lab.at(1.562).await;
    play.lab.request("GitRepository", "fleet", "1795231250.755416891");
    play.lab.at(13.711).await;
    play.lab.git.set_down(false);
    play.step(13.711, "git server back").await;
    play.push_hooked(25.988, CANARY, 26.068, "after the outage").await;
    play.lab.at(31.186).await;
    play.lab.spec("GitRepository", "fleet", &json!({"ref": {"branch": "nope"}}));
    play.step(31.318, "branch does not exist").await;
    play.lab.at(37.409).await;
    play.lab.spec("GitRepository", "fleet", &json!({"ref": {"branch": "main"}}));
    play.lab.at(42.554).await;
    let verify = json!({"mode": "HEAD", "secretRef": {"name": "trusted"}});
    play.lab.spec("GitRepository", "fleet", &json!({ "verify": verify }));
    let unsigned = "unsigned commit on a source that verifies signatures";
    play.push_hooked(46.889, CANARY, 46.978, unsigned).await;
    play.lab.at(55.100).await;
    play.lab.spec("GitRepository", "fleet", &json!({ "verify": null }));
    play.step(61.338, "OCI tag does not exist").await;
    play.lab.at(71.498).await;
    play.lab.spec("Bucket", "fleet", &json!({"bucketName": "nobucket"}));
    play.step(71.610, "bucket does not exist").await;
    play.lab.at(77.687).await;
    play.lab.spec("Bucket", "fleet", &json!({"bucketName": "fleet"}));
    play.lab.at(81.765).await;
    play.lab.spec("HelmRepository", "charts", &json!({"url": format!("{url}/nope")}));
    play.step(81.869, "chart index answers 404").await;
    play.lab.at(87.952).await;
    play.lab.spec("HelmRepository", "charts", &json!({ "url": url }));
    play.compare(90.0, "source-failures").await;
}

#[tokio::test(start_paused = true)]
async fn restarts() {
    let apps = json!({"wait": true, "timeout": "20s", "retryInterval": "15s"});
    let mut play = Play::set(Scene { apps, ..scene(9, 4, RELEASES) }).await;
    // The recording begins while the dependent still waits for its half minute.
    play.commit(CANARY);
    assert_eq!(play.lab.webhook(TOKEN).await, 200);
    play.wait(5.0).await;
    play.begin();
    let killed = "source-controller killed during the fetch";
    play.push_hooked(1.706, CANARY, 1.782, killed).await;
    play.lab.at(1.8).await;
    play.lab.flux.kill_controller(Controller::Source).await;
    play.step(3.916, "source-controller started").await;
    play.lab.flux.start_controller(Controller::Source).await.unwrap();
    let killed = "kustomize-controller killed while applying";
    play.push_hooked(18.248, CANARY, 18.323, killed).await;
    play.lab.at(18.4).await;
    play.lab.flux.kill_controller(Controller::Kustomize).await;
    play.step(20.531, "kustomize-controller started").await;
    play.lab.flux.start_controller(Controller::Kustomize).await.unwrap();
    let dependent = play.lab.store.get(&key("Kustomization", "dependent")).unwrap();
    assert_ne!(dependent["status"]["lastAppliedRevision"], Value::Null);
    play.compare(26.0, "restarts").await;
}
