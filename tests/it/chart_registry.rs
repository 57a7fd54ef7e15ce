//! Charts in OCI registries: Debian's, a registry that misbehaves, and Helm as the judge.

use crate::chart_kit::{ChartSite, canary, has_helm, helm, publish, source, version};
use crate::registry_kit::{PASSWORD, RealRegistry, Stub, USER, told};
use hopclock::model::{Ancestry, GroupKind, Holding, ObjectName, Revision, Subject};
use hopclock::trigger::Sweep;
use hopclock_sandbox::charts::Chart;
use hopclock_sandbox::registry::{Registry, RegistryOptions};
use secrecy::SecretSlice;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn oci(host: &str) -> Value {
    json!({"type": "oci", "url": format!("oci://{host}/charts"), "insecure": true})
}

#[tokio::test]
async fn t1_a_chart_is_announced_by_version_and_digest_before_it_is_there() {
    let Some(real) = RealRegistry::start(true).await else { return };
    let mut repository = oci(&real.host);
    repository["secretRef"] = json!({"name": "push"});
    let mut site = ChartSite::new(&repository, ">=0.1.0");
    let secret = [("username", USER), ("password", PASSWORD)];
    let secret: BTreeMap<_, _> = secret
        .into_iter()
        .map(|(key, it)| (key.to_owned(), SecretSlice::from(it.as_bytes().to_vec())))
        .collect();
    site.secrets.insert(ObjectName::new("flux-system", "push"), secret);
    let trigger = site.trigger(json!({})).await;
    assert_eq!(trigger.lane(), format!("{}/charts/canary", real.host));
    assert_eq!(trigger.latest().await.unwrap(), None);
    let holding = trigger.survey(&[]).await.unwrap().unwrap().holding;
    assert_eq!(holding, Holding::Canaries([].into()), "nobody's yet");
    let one = canary("hopclock", 1);
    let revisions = trigger.prepare(&one).await.unwrap();
    let published = trigger.publish(&|_| {}).await.unwrap();
    assert!(published.sent < published.zero.latest);
    let [Revision::Version(_), Revision::Digest(digest)] = &revisions[..] else {
        panic!("{revisions:?}")
    };
    assert!(digest.starts_with("sha256:"));
    assert_eq!(trigger.latest().await.unwrap(), Some(one.clone()));
    let again = site.trigger(json!({})).await;
    assert_eq!(again.recover(&one, &revisions).await.unwrap(), Some(revisions.clone()));
    let (next, _) = publish(&again, &canary("hopclock", 2)).await;
    assert_ne!(version(&next), version(&revisions));
    again.latest().await.unwrap();
    let holding = again.survey(&[]).await.unwrap().unwrap().holding;
    assert_eq!(holding, Holding::Canaries(["hopclock".to_owned()].into()));
}

#[tokio::test]
async fn helm_lints_pulls_and_renders_what_was_pushed() {
    let Some(real) = RealRegistry::start(false).await else { return };
    if !has_helm() {
        return;
    }
    let site = ChartSite::new(&oci(&real.host), "1.x");
    let trigger = site.trigger(json!({})).await;
    let (revisions, _) = publish(&trigger, &canary("hopclock", 7)).await;
    let version = version(&revisions);
    let address = format!("oci://{}/charts/canary", real.host);
    let home = site.folder.path();
    let ask = ["show", "chart", &address, "--version", version, "--plain-http"];
    let shown = helm(home, &ask).await;
    assert!(shown.contains("hopclock-1a100000007") && shown.contains(version), "{shown}");
    helm(home, &["pull", &address, "--version", "1.x", "--plain-http"]).await;
    let file = format!("canary-{version}.tgz");
    helm(home, &["lint", "--strict", &file]).await;
    let rendered = helm(home, &["template", "web", &file, "--namespace", "apps"]).await;
    for part in ["name: web", "namespace: apps", "hopclock-1a100000007", version] {
        assert!(rendered.contains(part), "{part}: {rendered}");
    }
}

#[tokio::test]
async fn t9_a_later_canary_carries_ours_and_a_strangers_chart_does_not() {
    let Some(real) = RealRegistry::start(false).await else { return };
    let site = ChartSite::new(&oci(&real.host), ">=0.1.0");
    let (before, ours) = (site.trigger(json!({})).await, site.trigger(json!({})).await);
    let (first, _) = publish(&before, &canary("hopclock", 1)).await;
    let (second, _) = publish(&ours, &canary("hopclock", 2)).await;
    let (third, _) = publish(&before, &canary("hopclock", 3)).await;
    let mut stranger = ChartSite::new(&oci(&real.host), ">=0.1.0");
    stranger.instance = "other";
    let theirs = stranger.trigger(json!({})).await;
    let error = theirs.latest().await.unwrap_err();
    assert_eq!(error.reason, "foreign_canary");
    assert!(error.message.contains("`hopclock`"), "{error}");
    for (at, revision) in first.iter().enumerate() {
        assert_eq!(ours.ancestry(revision).await, Ancestry::NotYet);
        let own = Ancestry::Carries(Some(canary("hopclock", 2)));
        assert_eq!(ours.ancestry(&second[at]).await, own);
        let later = Ancestry::Carries(Some(canary("hopclock", 3)));
        assert_eq!(ours.ancestry(&third[at]).await, later);
    }
    let nobody = Revision::Version("9.9.9".to_owned());
    assert_eq!(ours.ancestry(&nobody).await, Ancestry::Unknown, "it is not there to be asked");
}

#[tokio::test]
async fn t9_the_latest_canary_is_found_below_a_version_that_is_none() {
    let host = Registry::start(RegistryOptions::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let about = "apiVersion: v2\nname: canary\nversion: 1.0.0\n";
    std::fs::write(folder.path().join("Chart.yaml"), about).unwrap();
    let further = json!({"chart": folder.path(), "keep": 2});
    let site = ChartSite::new(&oci(host.host()), ">=1.0.0");
    let trigger = site.trigger(further.clone()).await;
    let mut versions = Vec::new();
    for number in 1..=2 {
        let (revisions, _) = publish(&trigger, &canary("hopclock", number)).await;
        versions.push(version(&revisions).to_owned());
    }
    // Somebody's release of the same chart: no canary, and above all of ours.
    let _ = host.push_chart("charts/canary", &Chart::canary("canary", "1.5.0", "theirs"));
    let again = site.trigger(further).await;
    assert_eq!(again.latest().await.unwrap(), Some(canary("hopclock", 2)));
    let holding = again.survey(&[]).await.unwrap().unwrap().holding;
    assert_eq!(holding, Holding::Others("1.5.0".to_owned()));
    let (third, _) = publish(&again, &canary("hopclock", 3)).await;
    assert_eq!(version(&third), "1.5.1");
    again.latest().await.unwrap();
    let tidied = again.tidy(&Sweep::after_run()).await.unwrap();
    assert_eq!(tidied.removed.len(), 1, "{versions:?}");
    assert_eq!(again.latest().await.unwrap(), Some(canary("hopclock", 3)));
}

#[tokio::test]
async fn a_chart_in_a_folder_of_a_registry_has_the_last_part_as_its_name() {
    let Some(real) = RealRegistry::start(false).await else { return };
    let release = Subject::local(GroupKind::helm_release(), "flux-system", "canary");
    let reference = json!({"kind": "HelmRepository", "name": "charts"});
    let template = json!({"spec": {"chart": "team/web", "sourceRef": reference}});
    let spec = json!({"spec": {"chart": template}});
    let site = ChartSite::new(&oci(&real.host), "").with(release.clone(), spec.clone());
    let trigger = site.trigger(json!({})).await;
    assert_eq!(trigger.lane(), format!("{}/charts/team/web", real.host));
    let (revisions, _) = publish(&trigger, &canary("hopclock", 1)).await;
    assert_eq!(version(&revisions), "0.0.0");
    assert_eq!(trigger.latest().await.unwrap(), Some(canary("hopclock", 1)));
    let http = json!({"url": "https://pages.test/charts"});
    let site = ChartSite::new(&http, "").with(release, spec);
    let git = json!({"git": {"url": "https://git.test/a/b"}});
    let error = site.build(git).await.err().unwrap();
    assert!(error.message.contains("no index has a chart named `team/web`"), "{error:?}");
}

#[tokio::test]
async fn a_version_that_somebody_took_meanwhile_is_not_pushed_over() {
    let Some(real) = RealRegistry::start(false).await else { return };
    let site = ChartSite::new(&oci(&real.host), ">=0.1.0");
    let (one, two) = (site.trigger(json!({})).await, site.trigger(json!({})).await);
    assert_eq!(two.latest().await.unwrap(), None);
    two.prepare(&canary("hopclock", 2)).await.unwrap();
    let (first, _) = publish(&one, &canary("hopclock", 1)).await;
    let error = two.publish(&|_| {}).await.unwrap_err();
    assert_eq!(error.reason, "version_taken");
    assert!(error.message.contains(&real.host), "{error}");
    let kept = one.recover(&canary("hopclock", 1), &first).await.unwrap();
    assert_eq!(kept, Some(first));
}

#[tokio::test]
async fn t2_a_version_without_an_answer_is_read_once_and_told_apart() {
    let path = "/v2/charts/canary";
    for (found, reason) in [(None, "push_lost"), (Some("sha256:00"), "second_writer")] {
        let stub = Stub::start().await;
        stub.tell(&format!("GET {path}/tags/list"), [told(200).saying(r#"{"tags":[]}"#)]);
        stub.tell(&format!("POST {path}/blobs/uploads/"), [told(202).with("location", "/up")]);
        stub.tell("PUT /up", [told(201)]);
        let site = ChartSite::new(&oci(&stub.host), "*");
        let trigger = site.trigger(json!({})).await;
        trigger.latest().await.unwrap();
        let revisions = trigger.prepare(&canary("hopclock", 1)).await.unwrap();
        let manifest = format!("{path}/manifests/{}", version(&revisions));
        let there = found.map_or(told(404), |it| told(200).with("docker-content-digest", it));
        stub.tell(&format!("HEAD {manifest}"), [told(404), there]);
        stub.tell(&format!("PUT {manifest}"), [told(502)]);
        let before = stub.lines().len();
        assert_eq!(trigger.publish(&|_| {}).await.unwrap_err().reason, reason);
        let asked = ["HEAD", "PUT", "HEAD"].map(|it| format!("{it} {manifest}"));
        assert_eq!(stub.lines()[before..], asked, "right before the push, and once behind it");
    }
}

#[tokio::test]
async fn s6_versions_beyond_keep_go_after_a_run_but_not_those_that_are_named() {
    let Some(real) = RealRegistry::start(false).await else { return };
    let site = ChartSite::new(&oci(&real.host), ">=0.1.0");
    let trigger = site.trigger(json!({"keep": 2})).await;
    let (mut versions, mut digests) = (Vec::new(), Vec::new());
    for number in 1..=4 {
        let (revisions, _) = publish(&trigger, &canary("hopclock", number)).await;
        versions.push(version(&revisions).to_owned());
        digests.push(revisions[1].id().to_owned());
    }
    let mut sights = vec![format!("chart canary@{} is installed", versions[0])];
    sights.push(format!("and fetched is {}", digests[1]));
    let sweep = Sweep { sights: sights.clone(), ..Sweep::after_run() };
    let tidied = trigger.tidy(&sweep).await.unwrap();
    assert!(tidied.removed.is_empty(), "its manifest would go with the tag: {tidied:?}");
    sights.pop();
    let sweep = Sweep { sights, ..Sweep::after_run() };
    let tidied = trigger.tidy(&sweep).await.unwrap();
    assert_eq!(tidied.removed, [versions[1].clone()]);
    assert_eq!(tidied.used.iter().map(|it| &it.name).collect::<Vec<_>>(), [&versions[0]]);
    assert_eq!(tidied.leftovers(), 0);
    trigger.latest().await.unwrap();
    let again = trigger.prepare(&canary("hopclock", 5)).await.unwrap();
    assert!(!versions.contains(&version(&again).to_owned()));
    let gone = Revision::Version(versions[1].clone());
    let there = site.trigger(json!({})).await;
    assert_eq!(there.recover(&canary("hopclock", 2), &[gone]).await.unwrap(), None);
}

#[tokio::test]
async fn a_registry_that_refuses_is_told_in_one_sentence() {
    for (status, reason) in [
        (401, "registry_unauthorized"),
        (403, "registry_forbidden"),
        (429, "registry_rate_limited"),
    ] {
        let stub = Stub::start().await;
        let path = "GET /v2/charts/canary/tags/list";
        stub.tell(path, [told(status).with("retry-after", "600")]);
        let site = ChartSite::new(&oci(&stub.host), "*");
        let error = site.trigger(json!({})).await.latest().await.unwrap_err();
        assert_eq!(error.reason, reason, "{error}");
        assert!(!error.message.ends_with('.') && !error.message.contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn p7_what_never_takes_a_new_version_is_refused_before_anything_is_asked() {
    let site = ChartSite::new(&oci("r.test"), "1.2.3");
    let error = site.build(json!({})).await.err().unwrap();
    assert_eq!(error.reason, "pinned_version");
    assert!(error.message.contains("HelmRelease flux-system/canary"), "{error:?}");
    let by_reference = |reference: Value| {
        let release = hopclock::model::GroupKind::helm_release();
        let release = hopclock::model::Subject::local(release, "flux-system", "canary");
        let chart = json!({"kind": "OCIRepository", "name": "canary"});
        ChartSite::new(&oci("r.test"), "*")
            .with(release, json!({"spec": {"chartRef": chart}}))
            .with(
                source("OCIRepository", "canary"),
                json!({"spec": {"url": "oci://r.test/charts/canary", "ref": reference}}),
            )
    };
    for reference in [Value::Null, json!({"tag": "latest"}), json!({"digest": "sha256:00"})] {
        let error = by_reference(reference).build(json!({})).await.err().unwrap();
        assert_eq!(error.reason, "pinned_version", "{error:?}");
    }
    let built = by_reference(json!({"semver": ">=0.1.0"})).build(json!({})).await.unwrap();
    assert_eq!(built.trigger.lane(), "r.test/charts/canary");
    let over_http = ChartSite::new(&json!({"url": "https://charts.test/stable"}), "*");
    let error = over_http.build(json!({})).await.err().unwrap();
    assert!(error.message.contains("`git`"), "{error:?}");
    let error = site_with_folder("name: other").await;
    assert_eq!(error.reason, "chart_does_not_lint");
    assert!(error.message.contains("`apiVersion: null`"), "{error:?}");
    let error = site_with_folder("apiVersion: v2\nname: other\nversion: 1.0.0\n").await;
    assert!(error.message.contains("named `other`"), "{error:?}");
}

async fn site_with_folder(chart: &str) -> hopclock::model::ProbeError {
    let site = ChartSite::new(&oci("r.test"), "*");
    std::fs::write(site.folder.path().join("Chart.yaml"), chart).unwrap();
    site.build(json!({"chart": site.folder.path()})).await.err().unwrap()
}
