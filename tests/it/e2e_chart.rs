//! A chart on its way from a registry, or from a branch through an HTTP repository, into the cluster.

use crate::cli::kit::{Told, hopclock, quick, told};
use crate::e2e_gc::gc;
use hopclock_sandbox::git::GitHost;
use hopclock_sandbox::pipeline::{ChartFrom, HelmLane, HelmLanePlaces, Sandbox, SandboxOptions};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A Helm lane named `app`.
struct ChartCourse {
    sandbox: Sandbox,
    places: HelmLanePlaces,
    folder: TempDir,
    instance: &'static str,
}

impl ChartCourse {
    async fn new(chart: ChartFrom) -> Self {
        let sandbox =
            Sandbox::start(SandboxOptions { speeds: quick(), ..SandboxOptions::default() });
        let sandbox = sandbox.await.unwrap();
        let lane = HelmLane { chart, chart_interval: "1s".to_owned(), ..HelmLane::new("app") };
        let places = sandbox.add_helm_lane(&lane).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("Chart.yaml", "apiVersion: v2\nname: app\nversion: 0.1.0\n"),
            ("values.yaml", "run: \"${canary}\"\n"),
            (
                "templates/cm.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  \
                 run: {{ .Values.run | quote }}\n  version: {{ .Chart.Version | quote }}\n",
            ),
        ];
        std::fs::create_dir_all(folder.path().join("mine/templates")).unwrap();
        for (path, text) in files {
            std::fs::write(folder.path().join("mine").join(path), text).unwrap();
        }
        Self { sandbox, places, folder, instance: "hopclock" }
    }

    /// Runs it with a chart of its own: what the lane begins with is somebody's.
    async fn tell(&self, trigger: &str, hops: &str) -> Told {
        let chart = self.folder.path().join("mine");
        self.tell_of(&format!(", chart: '{}'{trigger}", chart.display()), hops).await
    }

    async fn tell_of(&self, trigger: &str, hops: &str) -> Told {
        let text = format!(
            "name: app\ndeadline: 60s\n\
             trigger: {{ helm_chart: {{ helm_release: hopclock/app{trigger} }} }}\nhops:{hops}\n\
             - applied: {{ helm_release: hopclock/app }}\n- live: {{ config_map: hopclock/app }}\n"
        );
        std::fs::write(self.folder.path().join("app.yaml"), text).unwrap();
        let arguments = ["run", "app.yaml", "--output", "json", "--instance", self.instance];
        let mut call = hopclock(self.folder.path(), &arguments);
        call.env("KUBECONFIG", self.sandbox.kubeconfig());
        told(call).await
    }

    /// The one sentence by which a run is refused.
    async fn refused(&self, title: &str) -> String {
        let tags = self.sandbox.registry().tags(&self.places.repository);
        let told = self.tell("", "").await;
        assert_eq!(told.code, Some(3), "{title}: {told:?}");
        assert_eq!(self.sandbox.registry().tags(&self.places.repository), tags, "{title}");
        let line = told.err.lines().find(|it| it.starts_with("error: ")).unwrap().to_owned();
        line.replace(self.sandbox.registry().host(), "REGISTRY")
    }

    fn merge(&self, kind: &str, namespace: &str, patch: &Value) {
        let key = Key::new(kind, namespace, "app");
        self.sandbox.store().merge(&key, patch, Part::Whole, "somebody").unwrap();
    }

    fn consent(&self, instance: Option<&str>) {
        let annotations = json!({"hopclock.dev/canary": instance});
        let patch = json!({"metadata": {"annotations": annotations}});
        self.merge("HelmRelease", "hopclock", &patch);
    }

    /// Serves the lane's charts from a branch; gives the keys that say so.
    fn on_a_branch(&self) -> (String, String) {
        let index = self.sandbox.charts().file("index.yaml").unwrap();
        let files = [("index.yaml", str::from_utf8(&index).unwrap())];
        let url = self.sandbox.git().create_repository("pages", &files, "main").unwrap();
        let trigger = format!(", git: {{ url: \"{url}\", branch: main }}");
        (url, trigger)
    }

    fn create(&self, kind: &str, name: &str, spec: &Value) {
        let group = match kind {
            "HelmRelease" => "helm.toolkit.fluxcd.io/v2",
            "Kustomization" => "kustomize.toolkit.fluxcd.io/v1",
            _ => "source.toolkit.fluxcd.io/v1",
        };
        let metadata = json!({"name": name, "namespace": "flux-system"});
        let object = json!({"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec});
        self.sandbox.store().create(object, "somebody").unwrap();
    }

    /// The sentence by which a run is refused that pushes nothing for this reason.
    async fn refused_for(&self, reason: &str, trigger: &str, hops: &str) -> String {
        let told = self.tell(trigger, hops).await;
        told.assert_refused_for(reason);
        told.err.lines().find(|it| it.starts_with("error: ")).unwrap().to_owned()
    }
}

/// Every hop was reached, in a run that went well.
fn assert_reached(told: &Told) {
    assert_eq!(told.code, Some(0), "{told:?}");
    let record: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(record["outcome"], "ok", "{record:#}");
    for hop in record["hops"].as_array().unwrap() {
        assert!(hop.to_string().contains(r#""passage":"reached""#), "{record:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chart_in_a_registry_is_followed_until_it_is_live() {
    let course = ChartCourse::new(ChartFrom::Registry).await;
    let hops =
        format!("\n- source_fetched: {{ helm_chart: flux-system/{} }}", course.places.helm_chart);
    assert_reached(&course.tell("", &hops).await);
    assert_reached(&course.tell("", &hops).await);
    let mut tags = course.sandbox.registry().tags(&course.places.repository);
    tags.sort();
    assert_eq!(tags, ["0.1.0", "0.1.1", "0.1.2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_the_versions_of_a_chart_in_a_registry_go_with_their_lane() {
    let course = ChartCourse::new(ChartFrom::Registry).await;
    for _ in 0..2 {
        assert_reached(&course.tell("", "").await);
    }
    let (folder, kubeconfig) = (course.folder.path(), &course.sandbox.kubeconfig());
    let (code, swept) = gc(folder, kubeconfig, &[]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!([])), "{swept}");
    let (code, swept) = gc(folder, kubeconfig, &["--all"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!(["0.1.1", "0.1.2"])), "{swept}");
    assert_eq!(course.sandbox.registry().tags(&course.places.repository), ["0.1.0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chart_on_a_branch_is_followed_through_index_and_chart_until_it_is_live() {
    let course = ChartCourse::new(ChartFrom::Http).await;
    let charts = course.sandbox.charts();
    let (url, git) = course.on_a_branch();
    let pages =
        tokio::spawn(serve_pages(course.sandbox.git().clone(), url.clone(), charts.clone()));
    let hops = format!(
        "\n- {{ name: index, source_fetched: {{ helm_repository: flux-system/app }} }}\
         \n- {{ name: chart, source_fetched: {{ helm_chart: flux-system/{} }} }}",
        course.places.helm_chart
    );
    let trigger = format!(", keep: 1{git}");
    assert_reached(&course.tell(&trigger, &hops).await);
    assert_reached(&course.tell(&trigger, &hops).await);
    pages.abort();
    let live = course.sandbox.store().get(&Key::new("ConfigMap", "hopclock", "app")).unwrap();
    assert_eq!(live["data"]["version"], "0.1.2", "{live:#}");
    // The old canary goes in a commit of its own, which nobody has to have served yet.
    let folder = tempfile::tempdir().unwrap();
    assert!(clone(&url, folder.path()));
    let index = std::fs::read_to_string(folder.path().join("index.yaml")).unwrap();
    assert!(index.contains("0.1.0") && !index.contains("0.1.1"), "{index}");
    assert!(index.contains("0.1.2"), "{index}");

    let before = course.sandbox.git().ref_updates().len();
    let (code, swept) = gc(course.folder.path(), course.sandbox.kubeconfig(), &["--all"]).await;
    assert_eq!((code, &swept["removed"]), (Some(0), &json!(["app-0.1.2.tgz"])), "{swept}");
    assert_eq!(course.sandbox.git().ref_updates().len(), before + 1, "in one commit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_s1_s4_p7_a_branch_of_charts_is_pushed_to_only_where_it_is_wanted_and_served() {
    let course = ChartCourse::new(ChartFrom::Http).await;
    let (url, trigger) = course.on_a_branch();
    let annotate = |value: Value| {
        let patch = json!({"metadata": {"annotations": {"hopclock.dev/canary": value}}});
        course.merge("HelmRepository", "flux-system", &patch);
    };
    // The release consents to canaries of its chart, and nobody to what lies beside it.
    annotate(Value::Null);
    let error = course.refused_for("no_consent", &trigger, "").await;
    let says = "holds `app-0.1.0`, which is no canary, and HelmRepository flux-system/app does not";
    assert!(error.contains("branch `main` of ") && error.contains(says), "{error}");
    annotate(json!("hopclock"));
    // The repository consents to what lies beside the chart, and nobody to canaries of it.
    course.consent(None);
    let error = course.refused_for("no_consent", &trigger, "").await;
    assert!(error.contains("and HelmRelease hopclock/app does not consent"), "{error}");
    course.consent(Some("hopclock"));

    let folder = trigger.replace("branch: main", "branch: main, folder: chart");
    let error = course.refused_for("bad_chart_index", &folder, "").await;
    assert!(error.contains("HelmRepository flux-system/app has fetched an index"), "{error}");

    let reference = json!({"kind": "HelmRepository", "name": "app"});
    let template = json!({"spec": {"chart": "web", "sourceRef": reference}});
    let shop = json!({"interval": "10m", "suspend": false, "chart": template});
    course.create("HelmRelease", "shop", &shop);
    let hop = "\n- { name: other, applied: { helm_release: flux-system/shop } }";
    let error = course.refused_for("another_chart", &trigger, hop).await;
    assert!(error.contains("HelmRelease flux-system/shop never takes the chart `app`"), "{error}");

    let site = json!({"url": url, "interval": "10m", "ref": {"branch": "main"}});
    course.create("GitRepository", "site", &site);
    let reference = json!({"kind": "GitRepository", "name": "site"});
    let applier = json!({"interval": "10m", "prune": true, "path": "./", "sourceRef": reference,
        "suspend": true});
    course.create("Kustomization", "site", &applier);
    let error = course.refused_for("shared_source", &trigger, "").await;
    assert!(error.contains("is also applied by Kustomization flux-system/site"), "{error}");
    let mut strict = site;
    strict["verify"] = json!({"mode": "HEAD", "secretRef": {"name": "keys"}});
    course.create("GitRepository", "strict", &strict);
    let error = course.refused_for("verify_unsatisfied", &trigger, "").await;
    assert!(
        error.contains("GitRepository flux-system/strict takes only signed commits"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_s1_s4_a_chart_is_pushed_only_where_it_is_wanted_and_taken() {
    let mut course = ChartCourse::new(ChartFrom::Registry).await;
    course.consent(None);
    assert_eq!(
        course.refused("no consent").await,
        "error: scenario `app`: the chart repository `REGISTRY/charts/app` holds `0.1.0`, which is \
         no canary, and HelmRelease hopclock/app does not consent: if canaries may be pushed there, \
         say so with `kubectl annotate helmrelease -n hopclock app hopclock.dev/canary=hopclock`"
    );
    course.consent(Some("team-b"));
    let error = course.refused("foreign consent").await;
    assert!(error.contains("consents to the canaries of instance `team-b`"), "{error}");
    course.consent(Some("hopclock"));
    assert_eq!(course.tell("", "").await.code, Some(0));
    // A chart with nothing but a canary may follow canaries.
    let told = course.tell_of("", "").await;
    assert_eq!(told.code, Some(0), "{told:?}");
    course.instance = "team-b";
    course.consent(Some("team-b"));
    let error = course.refused("foreign canary").await;
    assert!(error.contains("holds a canary of instance `hopclock`"), "{error}");
    course.instance = "hopclock";
    course.consent(Some("hopclock"));
    let verify = json!({"chart": {"spec": {"verify": {"provider": "cosign"}}}});
    course.merge("HelmRelease", "hopclock", &json!({ "spec": verify }));
    let error = course.refused("verify").await;
    assert!(error.contains("HelmRelease hopclock/app takes only signed charts"), "{error}");
    let unsigned = json!({"chart": {"spec": {"verify": null}}});
    course.merge("HelmRelease", "hopclock", &json!({ "spec": unsigned }));
    let release = course.sandbox.store().get(&Key::new("HelmRelease", "hopclock", "app")).unwrap();
    let other = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "shop", "namespace": "prod"},
        "spec": {"interval": "10m", "suspend": true, "chart": release["spec"]["chart"]}});
    course.sandbox.store().create(other, "somebody").unwrap();
    let error = course.refused("shared").await;
    assert!(error.contains("is also installed by HelmRelease prod/shop"), "{error}");
    let pinned = json!({"spec": {"chart": {"spec": {"version": "0.1.0"}}}});
    course.merge("HelmRelease", "hopclock", &pinned);
    let error = course.refused("pinned").await;
    assert!(error.contains("is pinned to version `0.1.0`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_what_people_install_is_not_replaced_by_a_canary_whoever_consents() {
    for from in [ChartFrom::Registry, ChartFrom::Http] {
        let course = ChartCourse::new(from).await;
        let mut trigger = String::new();
        if from == ChartFrom::Http {
            trigger = course.on_a_branch().1;
        }
        let told = course.tell_of(&trigger, "").await;
        assert_eq!(told.code, Some(3), "{told:?}");
        assert!(told.err.contains("version `0.1.0`, which is taken from "), "{}", told.err);
        assert_eq!(
            course.sandbox.registry().tags(&course.places.repository).len(),
            usize::from(from == ChartFrom::Registry)
        );
    }
}

/// Puts what is pushed to a branch on the web, as GitHub Pages does.
async fn serve_pages(
    host: GitHost,
    url: String,
    charts: hopclock_sandbox::charts::ChartRepository,
) {
    let mut updates = host.watch_updates();
    while updates.recv().await.is_ok() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (url.clone(), folder.path().to_owned());
        let cloned = tokio::task::spawn_blocking(move || clone(&from, &to)).await.unwrap();
        assert!(cloned);
        let mut files: Vec<_> =
            folder.path().read_dir().unwrap().map(|it| it.unwrap().path()).collect();
        // The index names what has to be there.
        files.retain(|it| it.is_file());
        files.sort_by_key(|it| it.extension().is_some_and(|it| it == "yaml"));
        for file in files {
            let name = file.file_name().unwrap().to_str().unwrap();
            charts.put(name, std::fs::read(&file).unwrap().into());
        }
    }
}

fn clone(url: &str, to: &Path) -> bool {
    Command::new("git").args(["clone", "-q", url]).arg(to).status().unwrap().success()
}
