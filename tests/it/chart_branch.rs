//! Charts whose repository is a git branch: one commit each, judged by git and Helm.

use crate::chart_kit::{ChartSite, canary, has_helm, helm, publish, source, version};
use crate::git_kit::Bench;
use axum::Router;
use hopclock::model::{Ancestry, Holding, PackagedChart, Revision};
use hopclock::trigger::{GitCommitConfig, Kind, Sweep};
use hopclock_sandbox::git::NewCommit;
use serde_json::{Value, json};

const INDEX: &str = "\
# kept by hand
apiVersion: v1
entries:
  alpine:
  - name: alpine
    version: 0.2.0   # the last one
    urls: ['https://example.com/alpine-0.2.0.tgz']
generated: \"2016-10-06T16:23:20.499029981-06:00\"
";

/// A release whose chart lies in the folder `charts` of the bench's repository.
fn site(bench: &Bench) -> ChartSite {
    let pages = json!({"spec": {"url": bench.url, "ref": {"branch": "main"}}});
    ChartSite::new(&json!({"url": "https://pages.test/charts"}), ">=0.1.0")
        .with(source("GitRepository", "pages"), pages)
}

fn branch() -> Value {
    json!({"git": {"source": "flux-system/pages", "folder": "charts/"}, "keep": 2})
}

fn write(bench: &Bench, index: &str) {
    let commit = NewCommit::new("main", "somebody else").file("charts/index.yaml", index);
    bench.host.commit(&bench.url, &commit).unwrap();
}

#[tokio::test]
async fn s6_archive_and_index_go_in_one_commit_and_old_canaries_after_the_run() {
    let bench = Bench::new().await;
    write(&bench, INDEX);
    let site = site(&bench);
    let trigger = site.trigger(branch()).await;
    let mut versions = Vec::new();
    for number in 1..=4 {
        let id = canary("hopclock", number);
        let (revisions, published) = publish(&trigger, &id).await;
        assert_eq!(published.attempts, 1);
        assert!(published.sent < published.zero.latest);
        versions.push(version(&revisions).to_owned());
        let changed = bench.git(&["show", "--stat", "--format=%B", "main"]).await;
        assert!(changed.contains("2 files changed"), "{changed}");
        let trailer = format!("Hopclock-Canary: hopclock-1a10000000{number}");
        assert!(changed.contains(&trailer), "{changed}");
        let tidied = trigger.tidy(&Sweep::after_run()).await.unwrap();
        assert_eq!((tidied.removed.len(), tidied.leftovers()), (usize::from(number > 2), 0));
        assert_eq!(trigger.latest().await.unwrap(), Some(id));
    }
    let files = bench.git(&["ls-tree", "-r", "--name-only", "main"]).await;
    let expected = [
        "README",
        "canary/configmap.yaml",
        &format!("charts/canary-{}.tgz", versions[2]),
        &format!("charts/canary-{}.tgz", versions[3]),
        "charts/index.yaml",
    ];
    assert_eq!(files.lines().collect::<Vec<_>>(), expected);
    let index = bench.git(&["show", "main:charts/index.yaml"]).await;
    for line in INDEX.lines().filter(|it| !it.starts_with("generated")) {
        assert!(index.lines().any(|it| it == line), "{line}\n{index}");
    }
    let message = bench.git(&["log", "-1", "--format=%B", "main"]).await;
    assert!(message.starts_with("canaries: take 1 of chart canary away"), "{message}");
    let survey = trigger.survey(&[]).await.unwrap().unwrap();
    assert_eq!(survey.holding, Holding::Canaries(["hopclock".to_owned()].into()));
    assert_eq!(survey.around, Some(Holding::Others("alpine-0.2.0".to_owned())));
}

#[tokio::test]
async fn s6_what_is_in_use_stays_and_so_does_the_index_that_somebody_changes() {
    let bench = Bench::new().await;
    let (here, there) = (site(&bench), site(&bench));
    let (one, two) = (here.trigger(branch()).await, there.trigger(branch()).await);
    let mut versions = Vec::new();
    for number in 1..=3 {
        let (revisions, _) = publish(&one, &canary("hopclock", number)).await;
        versions.push(version(&revisions).to_owned());
    }
    let named = [format!("{{\"chartVersion\": \"{}\"}}", versions[0])];
    let named = Sweep { sights: named.into(), ..Sweep::after_run() };
    assert_eq!(two.tidy(&named).await.unwrap().removed.len(), 0);
    assert_eq!(two.tidy(&Sweep::after_run()).await.unwrap().removed.len(), 1);
    let late = one.tidy(&Sweep::after_run()).await.unwrap();
    assert_eq!(late.removed.len(), 0, "the other one did");
    let index = bench.git(&["show", "main:charts/index.yaml"]).await;
    assert!(!index.contains(&versions[0]) && index.contains(&versions[1]), "{index}");
}

#[tokio::test]
async fn s0_a_branch_with_nothing_but_canaries_is_told_from_one_with_other_charts() {
    let bench = Bench::new().await;
    let empty = [("index.yaml", "apiVersion: v1\nentries: {}\n")];
    let url = bench.host.create_repository("team/pages", &empty, "main").unwrap();
    let site = site(&bench);
    let trigger = site.trigger(json!({"git": {"url": url, "branch": "main"}})).await;
    trigger.latest().await.unwrap();
    let around = async || trigger.survey(&[]).await.unwrap().unwrap().around.unwrap();
    assert_eq!(around().await, Holding::Canaries([].into()));
    publish(&trigger, &canary("hopclock", 1)).await;
    trigger.latest().await.unwrap();
    assert_eq!(around().await, Holding::Canaries(["hopclock".to_owned()].into()));
    let page = NewCommit::new("main", "a page").file("about.html", "<html>");
    bench.host.commit(&url, &page).unwrap();
    trigger.latest().await.unwrap();
    assert_eq!(around().await, Holding::Others("about.html".to_owned()));
}

#[tokio::test]
async fn p7_a_mistyped_folder_gets_no_index_where_one_is_served_already() {
    let bench = Bench::new().await;
    let served = json!({"spec": {"url": "https://pages.test/charts"},
        "status": {"artifact": {"revision": "sha256:1"}}});
    let site = site(&bench).with(source("HelmRepository", "charts"), served);
    let error = site.trigger(branch()).await.latest().await.unwrap_err();
    assert_eq!(error.reason, "bad_chart_index");
    let says = "`charts/index.yaml` on branch `main` of ";
    assert!(error.message.starts_with(says) && error.message.contains("`folder`"), "{error}");
    write(&bench, INDEX);
    assert_eq!(site.trigger(branch()).await.latest().await.unwrap(), None);
}

#[tokio::test]
async fn t1_our_entry_is_put_into_what_somebody_else_has_written_meanwhile() {
    let bench = Bench::new().await;
    write(&bench, INDEX);
    let site = site(&bench);
    let trigger = site.trigger(branch()).await;
    trigger.latest().await.unwrap();
    let revisions = trigger.prepare(&canary("hopclock", 1)).await.unwrap();
    let theirs = INDEX.replace("version: 0.2.0 ", "version: 0.3.0 ");
    write(&bench, &theirs);
    let announced = std::sync::Mutex::new(Vec::new());
    let published = trigger.publish(&|it| announced.lock().unwrap().push(it)).await.unwrap();
    assert_eq!(published.attempts, 2);
    assert_eq!(*announced.lock().unwrap(), std::slice::from_ref(&revisions));
    let index = bench.git(&["show", "main:charts/index.yaml"]).await;
    assert!(index.contains("version: 0.3.0 ") && index.contains(version(&revisions)), "{index}");
    let again = site.trigger(branch()).await;
    let found = again.recover(&canary("hopclock", 1), &revisions).await.unwrap();
    assert_eq!(found, Some(revisions));
}

#[tokio::test]
async fn s5_a_second_writer_of_the_same_chart_is_said() {
    let bench = Bench::new().await;
    let (here, there) = (site(&bench), site(&bench));
    let (one, two) = (here.trigger(branch()).await, there.trigger(branch()).await);
    one.latest().await.unwrap();
    one.prepare(&canary("hopclock", 1)).await.unwrap();
    publish(&two, &canary("hopclock", 2)).await;
    let error = one.publish(&|_| {}).await.unwrap_err();
    assert_eq!(error.reason, "second_writer");
    assert!(error.message.contains("hopclock-1a100000002"), "{error}");
}

#[tokio::test]
async fn t9_the_index_tells_whose_another_version_is() {
    let bench = Bench::new().await;
    let (here, there) = (site(&bench), site(&bench));
    let trigger = here.trigger(branch()).await;
    let later = there.trigger(branch()).await;
    let (ours, _) = publish(&trigger, &canary("hopclock", 1)).await;
    let (next, _) = publish(&later, &canary("hopclock", 2)).await;
    let carried = Ancestry::Carries(Some(canary("hopclock", 2)));
    assert_eq!(trigger.ancestry(&next[0]).await, carried);
    assert_eq!(trigger.ancestry(&ours[0]).await, Ancestry::Carries(Some(canary("hopclock", 1))));
    let strange = |it: &str| Revision::Version(it.to_owned());
    assert_eq!(trigger.ancestry(&strange("9.0.0")).await, Ancestry::Gone);
    assert_eq!(trigger.ancestry(&strange("0.0.1")).await, Ancestry::NotYet);
}

#[tokio::test]
async fn s5_nobody_elses_lane_or_archive_is_written_to() {
    let bench = Bench::new().await;
    let mut here = site(&bench);
    here.instance = "team-b";
    let (revisions, _) = publish(&here.trigger(branch()).await, &canary("team-b", 1)).await;
    let there = site(&bench);
    let error = there.trigger(branch()).await.latest().await.unwrap_err();
    assert_eq!(error.reason, "foreign_canary", "{error}");
    // The index is written anew, and the archive stays.
    write(&bench, INDEX);
    let trigger = there.trigger(branch()).await;
    trigger.latest().await.unwrap();
    let error = trigger.prepare(&canary("hopclock", 2)).await.unwrap_err();
    assert_eq!(error.reason, "version_taken", "{error}");
    let file = format!("`charts/canary-{}.tgz` lies there already", version(&revisions));
    assert!(error.message.contains(&file), "{error}");
}

#[tokio::test]
async fn what_is_no_index_is_an_error_that_names_the_file() {
    let bench = Bench::new().await;
    write(&bench, "<html>404</html>\n");
    let error = site(&bench).trigger(branch()).await.latest().await.unwrap_err();
    assert_eq!(error.reason, "bad_chart_index");
    assert!(error.message.contains("`charts/index.yaml` on branch `main`"), "{error}");
}

#[tokio::test]
async fn p7_a_commit_into_a_chart_that_flux_packages_raises_its_version() {
    let bench = Bench::new().await;
    let release = |version: &str| {
        let text = format!("apiVersion: v2\nname: app # ours\nversion: {version}\n");
        let commit = NewCommit::new("main", "release").file("charts/app/Chart.yaml", &text);
        bench.host.commit(&bench.url, &commit).unwrap();
    };
    release("1.4.9");
    let mut site = site(&bench);
    let pages = source("GitRepository", "pages");
    let chart = json!({"spec": {"chart": "./charts/app",
        "sourceRef": {"kind": "GitRepository", "name": "pages"}}});
    let app = source("HelmChart", "app");
    site.charts = PackagedChart::of(&app, &chart, &pages, &bench.url).into_iter().collect();
    let config = |mode: Value| {
        let config = json!({"source": "flux-system/pages", "path": "charts/app/values.yaml",
            "template": "run: ${canary}\n", "mode": mode});
        serde_json::from_value::<GitCommitConfig>(config).unwrap()
    };
    let trigger = config(json!("append")).build(&site).await.unwrap().trigger;
    let shown = async || bench.git(&["show", "main:charts/app/Chart.yaml"]).await;
    publish(&trigger, &canary("hopclock", 1)).await;
    assert_eq!(shown().await, "apiVersion: v2\nname: app # ours\nversion: \"1.4.10\"");
    trigger.latest().await.unwrap();
    trigger.prepare(&canary("hopclock", 2)).await.unwrap();
    release("2.0.0");
    assert_eq!(trigger.publish(&|_| {}).await.unwrap().attempts, 2);
    assert!(shown().await.contains("version: \"2.0.1\""));
    let error = config(json!({"replace": {"base": "base"}})).build(&site).await.err().unwrap();
    assert!(error.message.contains("`reconcileStrategy`"), "{error:?}");
}

#[tokio::test]
async fn helm_finds_and_installs_what_the_index_names() {
    if !has_helm() {
        return;
    }
    let bench = Bench::new().await;
    write(&bench, INDEX);
    let site = site(&bench);
    let home = site.folder.path();
    let own = home.join("mine");
    let files = [
        ("Chart.yaml", "apiVersion: v2\nname: canary\nversion: 3.0.0\n"),
        ("values.yaml", "run: \"${canary}\"\n"),
        (
            "templates/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  run: \
             {{ .Values.run | quote }}\n",
        ),
    ];
    std::fs::create_dir_all(own.join("templates")).unwrap();
    for (path, text) in files {
        std::fs::write(own.join(path), text).unwrap();
    }
    let mut further = branch();
    further["chart"] = json!(own);
    let (revisions, _) = publish(&site.trigger(further).await, &canary("hopclock", 7)).await;
    assert_eq!(version(&revisions), "3.0.1", "above the chart's own");
    let checkout = home.join("checkout");
    bench.git(&["worktree", "add", "-q", &checkout.display().to_string(), "main"]).await;
    let served = checkout.join("charts");
    let router = Router::new().fallback(move |uri: axum::http::Uri| {
        let file = served.join(uri.path().trim_start_matches('/'));
        async move { std::fs::read(file).map_err(|_| axum::http::StatusCode::NOT_FOUND) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    helm(home, &["pull", "canary", "--repo", &address, "--version", ">=0.1.0"]).await;
    helm(home, &["lint", "canary-3.0.1.tgz"]).await;
    let rendered = helm(home, &["template", "web", "canary-3.0.1.tgz"]).await;
    assert!(rendered.contains("hopclock-1a100000007"), "{rendered}");
}
