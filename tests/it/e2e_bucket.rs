//! An object on its way from a bucket into the cluster, by the program itself, over real sockets.

use crate::cli::kit::{Told, hopclock, told};
use crate::e2e_gc::gc;
use crate::e2e_kit::Bench;
use hopclock_sandbox::bucket::{Fault, FaultRule, Route};
use hopclock_sandbox::pipeline::{
    BucketLane, BucketLanePlaces, CANARY_KEY, Door, FLUX_NAMESPACE, Hook,
};
use hopclock_sandbox::store::{Key, Part};
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

const HOPS: &str = "
- webhook_received: { receiver: flux-system/app }
- source_fetched: { bucket: flux-system/app }
- applied: { kustomization: flux-system/app }
- live: { config_map: hopclock/app }
";

/// A bucket lane named `app` in a sandbox.
struct Course {
    bench: Bench,
    places: BucketLanePlaces,
    instance: &'static str,
    /// What stands in the trigger.
    trigger: String,
    hops: String,
}

impl Course {
    async fn new(hook: Hook, interval: &str) -> Self {
        let bench = Bench::new().await;
        let lane = BucketLane {
            interval: interval.to_owned(),
            hook,
            door: Door::Locked,
            ..BucketLane::new("app")
        };
        let places = bench.sandbox.add_bucket_lane(&lane).await.unwrap();
        let trigger = format!("source: flux-system/app, path: {CANARY_KEY}");
        Self { bench, places, instance: "hopclock", trigger, hops: HOPS.to_owned() }
    }

    fn change(&self, kind: &str, patch: &Value) {
        let key = Key::new(kind, FLUX_NAMESPACE, "app");
        self.bench.sandbox.store().merge(&key, patch, Part::Whole, "somebody").unwrap();
    }

    fn spec(&self, kind: &str, patch: &Value) {
        self.change(kind, &json!({ "spec": patch }));
    }

    fn annotate(&self, instance: Option<&str>) {
        let annotations = json!({"hopclock.dev/canary": instance});
        self.change("Bucket", &json!({"metadata": {"annotations": annotations}}));
    }

    async fn tell(&self) -> Told {
        let folder = self.bench.caches.path();
        let Self { trigger, hops, .. } = self;
        let text = format!(
            "name: app\ndeadline: 10s\ntrigger: {{ bucket_object: {{ {trigger} }} }}\nhops:{hops}"
        );
        std::fs::write(folder.join("app.yaml"), text).unwrap();
        let arguments = ["run", "app.yaml", "--output", "json", "--instance", self.instance];
        let mut call = hopclock(folder, &arguments);
        call.env("KUBECONFIG", self.bench.sandbox.kubeconfig());
        call.env("SECRET_KEY", &self.places.keys.as_ref().unwrap().1);
        told(call).await
    }

    /// A run that delivers; gives its record.
    async fn delivered(&self) -> Value {
        let told = self.tell().await;
        assert_eq!(told.code, Some(0), "{told:?}");
        let record: Value = serde_json::from_str(&told.out).unwrap();
        assert_eq!(record["outcome"], "ok", "{record:#}");
        record
    }

    /// A run that must not write; gives the one error. Nobody tells the secret key.
    async fn refused(&self, title: &str) -> String {
        self.told_no(title).await.1
    }

    /// The same; its reason is the title.
    async fn refused_for(&self, reason: &str) -> String {
        let (told, error) = self.told_no(reason).await;
        told.assert_refused_for(reason);
        error
    }

    async fn told_no(&self, title: &str) -> (Told, String) {
        let host = self.bench.sandbox.bucket();
        let before = host.updates().len();
        let told = self.tell().await;
        assert_eq!(told.code, Some(3), "{title}: {told:?}");
        assert_eq!(host.updates().len(), before, "{title}");
        let errors: Vec<_> = told.err.lines().filter(|it| it.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{title}: {}", told.err);
        let secret = &self.places.keys.as_ref().unwrap().1;
        let all = format!("{}{}", told.out, told.err);
        assert!(!all.contains(secret.as_str()) && !all.contains("planted"), "{title}: {all}");
        let error = errors[0].replace(host.host(), "SERVER");
        (told, error)
    }

    fn text(&self) -> String {
        self.bench.sandbox.bucket().text("app", CANARY_KEY).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_the_object_goes_with_its_lane() {
    let course = Course::new(Hook::Right, "1h").await;
    course.delivered().await;
    let (folder, sandbox) = (course.bench.caches.path(), &course.bench.sandbox);
    let (code, swept) = gc(folder, sandbox.kubeconfig(), &["--all", "--dry-run"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!([CANARY_KEY])), "{swept}");
    let lists = "resources:\n- configmap.yaml\n";
    sandbox.bucket().put("app", "canary/kustomization.yaml", lists);
    let (code, swept) = gc(folder, sandbox.kubeconfig(), &["--all"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!([])), "{swept}");
    assert!(swept["used"][0]["why"].as_str().unwrap().contains("lists it"), "{swept}");
    sandbox.bucket().delete("app", "canary/kustomization.yaml");
    // Who knows what stands beyond what is looked through.
    let many = || (0..1000).map(|it| format!("a/{it}.txt"));
    many().for_each(|it| sandbox.bucket().put("app", &it, "x"));
    let (code, swept) = gc(folder, sandbox.kubeconfig(), &["--all"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!([])), "{swept}");
    assert!(swept["used"][0]["why"].as_str().unwrap().contains("first 1000"), "{swept}");
    many().for_each(|it| sandbox.bucket().delete("app", &it));
    let (code, swept) = gc(folder, sandbox.kubeconfig(), &["--all"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!([CANARY_KEY])), "{swept}");
    assert_eq!(sandbox.bucket().text("app", CANARY_KEY), None);
}

fn hop<'r>(record: &'r Value, name: &str) -> &'r Value {
    let hops = record["hops"].as_array().unwrap();
    hops.iter().find(|it| it["hop"] == name).unwrap_or_else(|| panic!("{name}: {record:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_followed_from_the_bucket_until_it_is_live() {
    let course = Course::new(Hook::Right, "1h").await;
    let record = course.delivered().await;
    for name in ["webhook_received", "source_fetched", "applied", "live"] {
        assert!(hop(&record, name)["passage"] == "reached", "{name}: {record:#}");
    }
    assert!(course.text().contains(record["canary"].as_str().unwrap()), "{}", course.text());
    let again = course.delivered().await;
    assert_ne!(again["canary"], record["canary"], "the next one is a new one");
    assert_eq!(course.bench.sandbox.bucket().list("app").len(), 1, "and the only one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_webhook_the_interval_fetches_the_object() {
    let mut course = Course::new(Hook::Silent, "1s").await;
    course.hops = HOPS.replace("\n- webhook_received: { receiver: flux-system/app }", "");
    let record = course.delivered().await;
    assert_eq!(hop(&record, "source_fetched")["via"], "interval", "{record:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_by_hand_needs_no_source_but_its_consent() {
    let mut course = Course::new(Hook::Right, "1h").await;
    let host = course.bench.sandbox.bucket().host().to_owned();
    course.trigger = format!(
        "bucket: app, endpoint: \"http://{host}\", path: {CANARY_KEY}, \
         auth: {{ keys: {{ access_key: app, secret_key: {{ env: SECRET_KEY }} }} }}"
    );
    course.delivered().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_a_bucket_has_to_consent_unless_there_are_only_canaries() {
    let mut course = Course::new(Hook::Right, "1h").await;
    let first = course.text();
    let theirs = first.replace("hopclock-00000000000", "none");
    course.bench.sandbox.bucket().put("app", CANARY_KEY, &theirs);
    course.annotate(None);
    assert_eq!(
        course.refused_for("no_consent").await,
        "error: scenario `app`: bucket `app` at `SERVER` holds `canary/configmap.yaml`, which is no \
         canary, and Bucket flux-system/app does not consent: if canaries may be pushed there, say \
         so with `kubectl annotate bucket -n flux-system app hopclock.dev/canary=hopclock`"
    );
    course.annotate(Some("team-b"));
    let error = course.refused("foreign consent").await;
    assert!(error.contains("consents to the canaries of instance `team-b`"), "{error}");
    course.annotate(Some("hopclock"));
    let error = course.refused("somebody's object").await;
    assert!(error.contains("is there and holds no canary"), "{error}");
    assert_eq!(course.text(), theirs);
    course.bench.sandbox.bucket().put("app", CANARY_KEY, &first);
    course.delivered().await;
    course.annotate(Some("team-b"));
    course.instance = "team-b";
    let error = course.refused("foreign canary").await;
    assert!(error.contains("`canary/configmap.yaml` of bucket `app` at `SERVER` holds a canary of instance `hopclock`"), "{error}");
    course.instance = "hopclock";
    course.annotate(None);
    course.delivered().await;
    course.bench.sandbox.bucket().put("app", "docs/notes.md", "nothing");
    let error = course.refused("others").await;
    assert!(error.contains("holds `docs/notes.md`, which is no canary"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_an_object_that_would_not_arrive_is_not_written() {
    let mut course = Course::new(Hook::Right, "1h").await;
    let right = course.trigger.clone();
    course.spec("Bucket", &json!({"prefix": "apps/"}));
    assert!(course.refused_for("outside_prefix").await.contains("its `spec.prefix`, `apps/`"));
    course.spec("Bucket", &json!({"prefix": null, "ignore": "*.yaml"}));
    assert!(
        course.refused_for("ignored").await.contains("the pattern `*.yaml` of its `spec.ignore`")
    );
    course.spec("Bucket", &json!({"ignore": null}));
    course.bench.sandbox.bucket().put("app", ".sourceignore", "canary/\n");
    assert!(course.refused("root").await.contains("the pattern `canary/` of `.sourceignore`"));
    course.bench.sandbox.bucket().delete("app", ".sourceignore");
    course.trigger = right.replace("canary/", "other/");
    // What an inventory holds already may lie anywhere.
    course.hops = HOPS.replace("hopclock/app", "hopclock/other");
    assert!(
        course
            .refused_for("outside_applier")
            .await
            .contains("nothing applies `other/configmap.yaml`")
    );
    let host = course.bench.sandbox.bucket().host().to_owned();
    course.bench.sandbox.bucket().create_bucket("else");
    course.trigger = format!(
        "bucket: else, endpoint: \"http://{host}\", path: {CANARY_KEY}, \
         auth: {{ keys: {{ access_key: app, secret_key: {{ env: SECRET_KEY }} }} }}"
    );
    let error = course.refused_for("another_bucket").await;
    assert!(error.contains("fetches from another bucket than bucket `else`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_a_bucket_that_others_apply_needs_shared() {
    let mut course = Course::new(Hook::Right, "1h").await;
    let other = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "shop", "namespace": FLUX_NAMESPACE},
        "spec": {"interval": "1h", "path": "./", "prune": true, "suspend": true,
            "sourceRef": {"kind": "Bucket", "name": "app"}}});
    course.bench.sandbox.store().create(other, "somebody").unwrap();
    let error = course.refused("shared").await;
    assert!(error.contains("is also applied by Kustomization flux-system/shop"), "{error}");
    course.trigger = format!("{}, shared: true", course.trigger);
    let told = course.tell().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.err.contains("each run wakes 2 appliers"), "{}", told.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_of_a_server_is_one_sentence_that_says_what_to_do() {
    let mut course = Course::new(Hook::Right, "1h").await;
    let host = course.bench.sandbox.bucket().clone();
    let right = course.trigger.clone();

    course.spec("Bucket", &json!({"bucketName": "nobucket"}));
    assert_eq!(
        course.refused("missing bucket").await,
        "error: scenario `app`: there is no bucket `nobucket` at `SERVER`: check its name, its \
         endpoint and its region, or make it"
    );
    course.spec("Bucket", &json!({"bucketName": "app"}));

    let by_hand = |access: &str| {
        format!(
            "{right}, push_auth: {{ keys: {{ access_key: {access}, secret_key: {{ file: key }} }} }}"
        )
    };
    std::fs::write(course.bench.caches.path().join("key"), "planted").unwrap();
    for (access, code) in [("app", "SignatureDoesNotMatch"), ("nobody", "InvalidAccessKeyId")] {
        course.trigger = by_hand(access);
        assert_eq!(
            course.refused("wrong keys").await,
            format!(
                "error: scenario `app`: bucket `app` at `SERVER` does not accept the credentials \
                 ({code}): check the access key and the secret key, and whether they are still good"
            )
        );
    }
    course.trigger = right;

    host.set_clock_ahead(SignedDuration::from_mins(20));
    let error = course.refused("clock skew").await;
    assert!(error.contains("because the clocks differ, ours is "), "{error}");
    assert!(error.contains("behind: set the clock of this machine"), "{error}");
    host.set_clock_ahead(SignedDuration::ZERO);

    host.add_fault(FaultRule::always(Route::Object, Fault::Refuse(503, "SlowDown", Some(300))));
    assert_eq!(
        course.refused("too busy").await,
        "error: scenario `app`: the server of bucket `app` at `SERVER` is too busy and asks to be \
         left alone for 300 s: run less often, or raise its limits"
    );
    host.clear_faults();

    host.add_fault(
        FaultRule::always(Route::Object, Fault::Refuse(403, "AccessDenied", None))
            .for_method(Method::PUT),
    );
    assert_eq!(
        course.refused("forbidden").await,
        "error: scenario `app`: bucket `app` at `SERVER` forbids writing to these credentials (403): \
         they lack the right to write, as Flux's own often do; give others in `push_auth`"
    );
    host.clear_faults();

    course.spec("Bucket", &json!({"region": "eu-central-1"}));
    let error = course.refused("wrong region").await;
    assert!(error.contains("is in region `us-east-1`, not `eu-central-1`"), "{error}");
    course.spec("Bucket", &json!({"region": "us-east-1"}));

    host.go_down();
    let error = course.refused("down").await;
    assert!(error.contains("cannot be connected to"), "{error}");
    host.come_back().unwrap();

    // Busy for a moment: waited for, then written once.
    host.add_fault(
        FaultRule::once(Route::Object, Fault::Refuse(503, "SlowDown", Some(1)))
            .for_method(Method::PUT),
    );
    let record = course.delivered().await;
    assert_eq!(record["usage"]["throttled"], 1, "{record:#}");
    let record = course.delivered().await;
    assert_eq!(record["usage"]["throttled"], 0, "{record:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_an_upload_without_an_answer_is_looked_for_once() {
    let course = Course::new(Hook::Right, "1h").await;
    let host = course.bench.sandbox.bucket().clone();
    let cut = |fault| FaultRule::once(Route::Object, fault).for_method(Method::PUT);
    host.add_fault(cut(Fault::CutAfter));
    let record = course.delivered().await;
    assert!(course.text().contains(record["canary"].as_str().unwrap()));
    let puts = || host.requests().iter().filter(|it| it.method == Method::PUT).count();
    assert_eq!(puts(), 1);
    host.add_fault(cut(Fault::Cut));
    let error = course.refused("lost").await;
    assert!(error.contains("got no answer, and the bucket does not hold it"), "{error}");
    assert_eq!(puts(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_an_upload_that_was_refused_and_done_is_ours() {
    let mut course = Course::new(Hook::Right, "1h").await;
    // Where a prefix ends within a name, ours lies in a folder of that name.
    course.trigger = "source: flux-system/app".to_owned();
    course.spec("Bucket", &json!({"prefix": "canary"}));
    let host = course.bench.sandbox.bucket().clone();
    host.delete("app", CANARY_KEY);
    let fault = Fault::RefuseAfter(503, "SlowDown", Some(0));
    host.add_fault(FaultRule::once(Route::Object, fault).for_method(Method::PUT));
    let record = course.delivered().await;
    assert_eq!(record["push"]["attempts"], 2, "{record:#}");
    let text = host.text("app", "canary/hopclock/app.yaml").unwrap();
    assert!(text.contains(record["canary"].as_str().unwrap()), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_only_what_the_source_fetches_is_looked_at_and_all_of_that() {
    let course = Course::new(Hook::Right, "1h").await;
    let host = course.bench.sandbox.bucket().clone();
    course.annotate(None);
    course.spec("Bucket", &json!({"prefix": "canary/"}));
    for number in 0..1000 {
        host.put("app", &format!("apps/{number}.yaml"), "theirs");
    }
    // A console makes such a thing when somebody makes a folder.
    host.put("app", "canary/more/", "");
    course.delivered().await;
    host.put("app", "canary/notes.md", "theirs");
    let error = course.refused("theirs").await;
    assert!(error.contains("holds `canary/notes.md`, which is no canary"), "{error}");
    host.delete("app", "canary/notes.md");
    host.put("app", ".sourceignore", "canary/\n");
    let error = course.refused("ignored").await;
    assert!(error.contains("the pattern `canary/` of `.sourceignore`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_server_without_conditions_is_read_again_before_it_is_written_to() {
    let course = Course::new(Hook::Right, "1h").await;
    let host = course.bench.sandbox.bucket().clone();
    let unknown = || {
        FaultRule::once(Route::Object, Fault::Refuse(501, "NotImplemented", None))
            .for_method(Method::PUT)
    };
    host.add_fault(unknown());
    let record = course.delivered().await;
    assert!(course.text().contains(record["canary"].as_str().unwrap()));
    let mut reads =
        host.requests().into_iter().rev().skip_while(|it| it.method != Method::PUT).skip(1);
    let before = reads.next().map(|it| it.method);
    assert_eq!(before, Some(Method::GET), "what lies there is read between the two writes");
}
