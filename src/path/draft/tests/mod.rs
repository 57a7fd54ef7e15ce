//! Drafts of paths as people install them, from objects as real clusters show them.

mod target;

use super::*;
use crate::path::{Request, Snapshot};
use serde_json::json;

/// An object of Flux in namespace `flux-system`.
fn object(kind: &str, name: &str, spec: &Value) -> (GroupKind, Value) {
    let kind =
        if kind == "Namespace" { GroupKind::new("", kind) } else { crate::path::flux_kind(kind) };
    (kind, json!({"metadata": {"namespace": "flux-system", "name": name}, "spec": spec}))
}

fn with(mut object: (GroupKind, Value), pointer: &str, value: Value) -> (GroupKind, Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let mut place = &mut object.1;
    for step in parent.split('/').filter(|it| !it.is_empty()) {
        place = &mut place[step];
    }
    place[key] = value;
    object
}

fn graph(objects: impl IntoIterator<Item = (GroupKind, Value)>) -> Graph {
    let mut snapshot = Snapshot::default();
    for (kind, object) in objects {
        snapshot.add(&kind, vec![object]);
    }
    Graph::of(snapshot)
}

fn subject(kind: &str, name: &str) -> Subject {
    Subject::local(crate::path::flux_kind(kind), "flux-system", name)
}

fn git(name: &str) -> (GroupKind, Value) {
    let url = format!("https://git.example.com/{name}");
    object(
        "GitRepository",
        name,
        &json!({"url": url, "interval": "10m", "ref": {"branch": "main"}}),
    )
}

fn applier(name: &str, source: &str, path: &str) -> (GroupKind, Value) {
    let reference = json!({"kind": "GitRepository", "name": source});
    object("Kustomization", name, &json!({"interval": "1h", "path": path, "sourceRef": reference}))
}

fn receiver(name: &str, resources: &Value) -> (GroupKind, Value) {
    object("Receiver", name, &json!({"type": "github", "resources": [resources]}))
}

fn inventory(ids: &[&str]) -> Value {
    let entries: Vec<_> = ids.iter().map(|it| json!({"id": it, "v": "v1"})).collect();
    json!({"inventory": {"entries": entries}})
}

fn draft(graph: &Graph, kind: &str, name: &str) -> Draft {
    let drafter = Drafter::new(graph, "hopclock");
    drafter.draft(&subject(kind, name), &Wish::default()).unwrap_or_else(|it| panic!("{it}"))
}

fn refused(graph: &Graph, kind: &str, name: &str) -> String {
    let drafter = Drafter::new(graph, "hopclock");
    drafter.draft(&subject(kind, name), &Wish::default()).unwrap_err().to_string()
}

/// The hops as `name: subject`.
fn hops(draft: &Draft) -> Vec<String> {
    draft.hops.iter().map(|it| format!("{}: {}", it.name, it.subject)).collect()
}

fn field<'d>(draft: &'d Draft, key: &str) -> Option<&'d Value> {
    draft.fields.iter().find(|it| it.key == key).map(|it| &it.value)
}

#[test]
fn a_kustomization_is_reached_through_its_source_and_what_wakes_that() {
    let apps = with(
        applier("apps", "fleet", "./apps"),
        "/status",
        inventory(&["web_web_apps_Deployment"]),
    );
    let graph = graph([
        git("fleet"),
        apps,
        receiver(
            "push",
            &json!({"kind": "GitRepository", "name": "*", "matchLabels": {"team": "a"}}),
        ),
    ]);
    let plain = draft(&graph, "Kustomization", "apps");
    let fetched = "source_fetched: GitRepository flux-system/fleet";
    let applied = "applied: Kustomization flux-system/apps";
    let live = "live: ConfigMap web/hopclock-apps";
    assert_eq!(hops(&plain), [fetched, applied, live]);
    assert_eq!(plain.trigger, "git_commit");
    assert_eq!(field(&plain, "path"), Some(&"apps/hopclock-apps.yaml".into()));
    assert_eq!((field(&plain, "shared"), field(&plain, "template")), (None, None));
    let command =
        "kubectl annotate gitrepository -n flux-system fleet hopclock.dev/canary=hopclock";
    assert_eq!(plain.consent, Consented::Missing(command.to_owned()));

    // The label lets the Receiver reach it, and what waited for the interval does so no more.
    let labelled = with(git("fleet"), "/metadata/labels", json!({"team": "a"}));
    let mut snapshot = graph.snapshot().clone();
    snapshot.add(&labelled.0, vec![labelled.1]);
    let woken = Graph::of(snapshot);
    let woken = draft(&woken, "Kustomization", "apps");
    assert_eq!(hops(&woken)[0], "webhook_received: GitRepository flux-system/fleet");
    assert!(woken.times.within < plain.times.within);
}

#[test]
fn s1_a_source_of_others_is_said_to_be_shared_and_a_dependency_is_no_other() {
    let depends = |name: &str, on: &str| {
        with(applier(name, "fleet", name), "/spec/dependsOn", json!([{ "name": on }]))
    };
    let all = [
        git("fleet"),
        applier("crds", "fleet", "crds"),
        depends("infra", "crds"),
        depends("apps", "infra"),
    ];
    let graph = graph(all);
    let apps = draft(&graph, "Kustomization", "apps");
    let names: Vec<_> = apps.hops.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["source_fetched", "applied_crds", "applied_infra", "applied_apps", "live"]);
    assert_eq!(apps.hops[3].after, Some(vec!["applied_infra".to_owned()]));
    assert_eq!(field(&apps, "shared"), None, "all who are woken are on the path");
    let crds = draft(&graph, "Kustomization", "crds");
    assert_eq!(field(&crds, "shared"), Some(&true.into()));
    assert!(crds.notes.iter().any(|it| it.contains("a lane of its own")), "{:?}", crds.notes);
    assert!(crds.times.period.as_secs() >= 15 * 60);
}

#[test]
fn a_kustomization_in_another_cluster_brings_the_canary_there() {
    let east = json!({"secretRef": {"name": "east"}});
    let apps = with(applier("apps", "fleet", "apps"), "/spec/kubeConfig", east);
    let apps = draft(&graph([git("fleet"), apps]), "Kustomization", "apps");
    let live = "live: ConfigMap flux-system/hopclock-apps of cluster east";
    assert_eq!(hops(&apps).last().unwrap(), live);
    let way = "`--cluster east=secret:flux-system/east`";
    assert!(apps.notes.iter().any(|it| it.contains(way)), "{:?}", apps.notes);
}

#[test]
fn a_name_that_the_applier_changes_is_looked_for_as_it_will_be() {
    let apps = with(applier("apps", "fleet", "./"), "/spec/namePrefix", "eu-".into());
    let apps = with(apps, "/spec/targetNamespace", "shop".into());
    let apps = draft(&graph([git("fleet"), apps]), "Kustomization", "apps");
    assert_eq!(hops(&apps).last().unwrap(), "live: ConfigMap shop/eu-hopclock-apps");
    assert!(field(&apps, "template").unwrap().as_str().unwrap().contains("name: hopclock-apps\n"));
    assert_eq!(field(&apps, "path"), Some(&"hopclock-apps.yaml".into()));
}

#[test]
fn the_trigger_is_that_of_the_source() {
    let from = |kind: &str| {
        let reference = json!({"kind": kind, "name": "app"});
        let source = object(kind, "app", &json!({"interval": "1m"}));
        let apps = object("Kustomization", "apps", &json!({"sourceRef": reference}));
        draft(&graph([source, apps]), "Kustomization", "apps")
    };
    let oci = from("OCIRepository");
    assert_eq!(
        (oci.trigger, field(&oci, "source")),
        ("oci_artifact", Some(&"flux-system/app".into()))
    );
    assert_eq!(hops(&oci)[0], "source_fetched: OCIRepository flux-system/app");
    assert_eq!(oci.hops[0].config, json!({"oci_repository": "flux-system/app"}));
    assert_eq!(field(&oci, "shared"), None);
    let bucket = from("Bucket");
    assert_eq!(
        (bucket.trigger, field(&bucket, "path")),
        ("bucket_object", Some(&"hopclock-apps.yaml".into()))
    );
}

#[test]
fn an_artifact_is_reached_through_its_generator() {
    let reference = |kind: &str| json!({"kind": kind, "name": "all"});
    let graph = graph([
        git("fleet"),
        object(
            "ArtifactGenerator",
            "all",
            &json!({"sources": [{"alias": "a", "kind": "GitRepository", "name": "fleet"}]}),
        ),
        object("ExternalArtifact", "all", &json!({"sourceRef": reference("ArtifactGenerator")})),
        object("Kustomization", "apps", &json!({"sourceRef": reference("ExternalArtifact")})),
    ]);
    let apps = draft(&graph, "Kustomization", "apps");
    let expected = [
        "source_git_repository: GitRepository flux-system/fleet",
        "source_external_artifact: ExternalArtifact flux-system/all",
        "applied: Kustomization flux-system/apps",
    ];
    assert_eq!(hops(&apps)[..3], expected);
}

#[test]
fn s1_a_generator_beside_the_path_shares_the_source() {
    let sources = json!([{"alias": "a", "kind": "GitRepository", "name": "fleet"}]);
    let generator = object("ArtifactGenerator", "all", &json!({ "sources": sources }));
    let apps = draft(
        &graph([git("fleet"), generator, applier("apps", "fleet", "apps")]),
        "Kustomization",
        "apps",
    );
    assert_eq!(field(&apps, "shared"), Some(&true.into()));
    let note = "each run wakes ArtifactGenerator flux-system/all too";
    assert!(apps.notes.iter().any(|it| it.starts_with(note)), "{:?}", apps.notes);
}

#[test]
fn an_artifact_that_is_made_of_itself_is_said_in_one_sentence() {
    let reference = |kind: &str| json!({"kind": kind, "name": "all"});
    let sources = json!([{"alias": "a", "kind": "ExternalArtifact", "name": "all"}]);
    let graph = graph([
        object("ArtifactGenerator", "all", &json!({ "sources": sources })),
        object("ExternalArtifact", "all", &json!({"sourceRef": reference("ArtifactGenerator")})),
        object("Kustomization", "apps", &json!({"sourceRef": reference("ExternalArtifact")})),
    ]);
    let why = refused(&graph, "Kustomization", "apps");
    assert!(why.starts_with("ExternalArtifact flux-system/all is made of itself"), "{why}");
}

fn release(reference: &Value) -> (GroupKind, Value) {
    object(
        "HelmRelease",
        "web",
        &json!({"chart": {"spec": {"chart": "web", "sourceRef": reference}}}),
    )
}

#[test]
fn a_release_is_reached_through_index_and_chart_and_of_an_oci_registry_through_the_chart_alone() {
    let reference = json!({"kind": "HelmRepository", "name": "charts"});
    let chart = || {
        let spec = json!({"chart": "web", "interval": "5m", "sourceRef": reference});
        object("HelmChart", "flux-system-web", &spec)
    };
    let of = |spec: &Value| {
        let vain = receiver("push", &json!({"kind": "HelmRepository", "name": "charts"}));
        graph([object("HelmRepository", "charts", spec), chart(), release(&reference), vain])
    };
    let http = of(&json!({"interval": "10m"}));
    let found = draft(&http, "HelmRelease", "web");
    assert_eq!(found.trigger, "helm_chart");
    let index = "source_helm_repository: HelmRepository flux-system/charts";
    let names: Vec<_> = found.hops.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        ["webhook_received", "source_helm_repository", "source_helm_chart", "applied", "live"]
    );
    assert_eq!(hops(&found)[1], index);
    let oci = of(&json!({"type": "oci"}));
    let found = draft(&oci, "HelmRelease", "web");
    assert_eq!(hops(&found)[0], "source_fetched: HelmChart flux-system/flux-system-web");
    let vain = Link::Wakes(Request::Vain);
    assert!(oci.edges().iter().any(|it| it.link == vain));
    assert_eq!(found.lane, subject("HelmRelease", "web"));
    assert_eq!(field(&found, "helm_release"), Some(&"flux-system/web".into()));
    assert_eq!(hops(&found).last().unwrap(), "live: ConfigMap flux-system/web");
}

#[test]
fn a_chart_in_git_is_given_a_template_and_has_to_follow_revisions() {
    let reference = json!({"kind": "GitRepository", "name": "fleet"});
    let spec = json!({"chart": "./charts/web", "sourceRef": reference});
    let found = draft(
        &graph([git("fleet"), object("HelmChart", "flux-system-web", &spec), release(&reference)]),
        "HelmRelease",
        "web",
    );
    assert_eq!(field(&found, "path"), Some(&"charts/web/templates/hopclock-canary.yaml".into()));
    assert!(found.notes.iter().any(|it| it.contains("reconcileStrategy: Revision")));
    assert_eq!(hops(&found).last().unwrap(), "live: ConfigMap flux-system/hopclock-canary");
}

fn image(kind: &str, spec: &Value) -> (GroupKind, Value) {
    with(object(kind, "web", spec), "/metadata/labels", json!({"app": "web"}))
}

fn images(policy: &Value, push: &str) -> Vec<(GroupKind, Value)> {
    let status = json!({"latestRef": {"name": "ghcr.io/a/web", "tag": "1.0.0"}});
    let deployment = json!({"metadata": {"namespace": "web", "name": "web"}, "spec": {"template":
        {"spec": {"containers": [{"name": "app", "image": "ghcr.io/a/web:1.0.0"}]}}}});
    vec![
        git("fleet"),
        with(
            applier("apps", "fleet", "apps"),
            "/status",
            inventory(&["web_web_apps_Deployment", "web_db_apps_StatefulSet"]),
        ),
        applier("infra", "fleet", "infra"),
        image("ImageRepository", &json!({"image": "ghcr.io/a/web", "interval": "1m"})),
        with(image("ImagePolicy", policy), "/status", status),
        image(
            "ImageUpdateAutomation",
            &json!({
                "sourceRef": {"name": "fleet"}, "update": {"path": "./apps"},
                "git": {"push": {"branch": push}}, "policySelector": {"matchLabels": {"app": "web"}},
            }),
        ),
        (GroupKind::new("apps", "Deployment"), deployment),
    ]
}

fn semver() -> Value {
    json!({"policy": {"semver": {"range": "1.x"}}, "imageRepositoryRef": {"name": "web"}})
}

#[test]
fn an_image_is_reached_through_policy_automation_and_the_applier_of_its_folder() {
    let found = draft(&graph(images(&semver(), "main")), "ImagePolicy", "web");
    assert_eq!(found.trigger, "image_tag");
    let expected = [
        "image_scanned: ImageRepository flux-system/web",
        "policy_updated: ImagePolicy flux-system/web",
        "automation_committed: ImageUpdateAutomation flux-system/web",
        "source_fetched: GitRepository flux-system/fleet",
        "applied: Kustomization flux-system/apps",
        "live: Deployment web/web",
    ];
    assert_eq!(hops(&found), expected);
    assert_eq!(found.until, None);
    assert_eq!(found.lane, subject("ImagePolicy", "web"));
    assert_eq!(field(&found, "retag"), Some(&"1.0.0".into()), "a workload only restarts");
    let merged = draft(&graph(images(&semver(), "bump")), "ImagePolicy", "web");
    assert_eq!(merged.hops[3].kind, "merged");
}

#[test]
fn a_policy_without_automation_ends_where_it_chooses() {
    let mut all = images(&semver(), "main");
    all.retain(|it| it.0.kind != "ImageUpdateAutomation");
    let found = draft(&graph(all), "ImagePolicy", "web");
    assert_eq!(found.until.as_deref(), Some("policy_updated"));
    assert_eq!(found.hops.len(), 2);
}

#[test]
fn a_policy_that_knows_one_tag_takes_a_digest_or_nothing() {
    let one = |reflection: &str| {
        let mut spec = semver();
        spec["policy"] = json!({"semver": {"range": "1.0.0"}});
        spec["digestReflectionPolicy"] = reflection.into();
        spec["interval"] = "5m".into();
        graph(images(&spec, "main"))
    };
    let why = refused(&one("Always"), "ImagePolicy", "web");
    assert!(why.starts_with("needs a lane of its own: Deployment web/web runs"), "{why}");
    let mut snapshot = Snapshot::default();
    for (subject, object) in one("Always").snapshot().objects() {
        if subject.kind.kind != "Deployment" {
            snapshot.put(subject.clone(), object.clone());
        }
    }
    let found = draft(&Graph::of(snapshot), "ImagePolicy", "web");
    assert_eq!((found.trigger, found.hops[0].kind), ("image_digest", "policy_updated"));
    let why = refused(&one("Never"), "ImagePolicy", "web");
    assert!(why.starts_with("ImagePolicy flux-system/web: "), "{why}");
}

#[test]
fn what_is_missing_or_of_no_use_is_said_in_one_sentence() {
    let mut snapshot = Snapshot::default();
    snapshot.miss(GroupKind::git_repository(), "may not list gitrepositories".to_owned());
    snapshot.lack(GroupKind::helm_release());
    let apps = applier("apps", "fleet", "apps");
    snapshot.add(&apps.0, vec![apps.1]);
    let graph = Graph::of(snapshot);
    let unseen =
        "GitRepository flux-system/fleet could not be looked at: may not list gitrepositories";
    assert_eq!(refused(&graph, "Kustomization", "apps"), unseen);
    assert!(refused(&graph, "HelmRelease", "web").contains("does not know the kind"));
    assert!(refused(&graph, "Kustomization", "app").starts_with("there is no Kustomization"));
    let tagged = with(git("fleet"), "/spec/ref", json!({"semver": "1.x"}));
    let tagged = super::tests::graph([tagged, applier("apps", "fleet", "apps")]);
    assert!(refused(&tagged, "Kustomization", "apps").contains("follows the versions `1.x`"));
}

#[test]
fn a_workload_whose_tag_is_not_known_gets_no_canary() {
    let mut all = images(&semver(), "main");
    all[4].1["status"] = Value::Null;
    let why = refused(&graph(all), "ImagePolicy", "web");
    assert!(why.contains("has chosen no tag yet"), "{why}");
}

#[test]
fn an_artifact_that_brings_more_than_a_canary_needs_a_lane_of_its_own() {
    let of = |kind: &str, ids: &[&str], mark: &Value| {
        let reference = json!({"kind": kind, "name": "app"});
        let apps = object("Kustomization", "apps", &json!({ "sourceRef": reference }));
        let settings = json!({"metadata": {"namespace": "web", "name": "x", "labels": mark}});
        graph([
            object(kind, "app", &json!({"interval": "1m"})),
            with(apps, "/status", inventory(ids)),
            (GroupKind::new("", "ConfigMap"), settings),
        ])
    };
    let both = ["web_hopclock-apps__ConfigMap", "web_web_apps_Deployment"];
    let why = refused(&of("OCIRepository", &both, &Value::Null), "Kustomization", "apps");
    assert!(why.starts_with("needs a lane of its own: Kustomization"), "{why}");
    assert!(why.contains("Deployment web/web"), "{why}");
    draft(&of("Bucket", &both, &Value::Null), "Kustomization", "apps");
    draft(&of("OCIRepository", &both[..1], &Value::Null), "Kustomization", "apps");
    let marked = ["web_x__ConfigMap"];
    let label = json!({"hopclock.dev/canary": "any"});
    draft(&of("OCIRepository", &marked, &label), "Kustomization", "apps");
    refused(&of("OCIRepository", &marked, &Value::Null), "Kustomization", "apps");
}

#[test]
fn a_release_of_another_chart_needs_a_lane_of_its_own() {
    let of = |history: Value| {
        let reference = json!({"kind": "OCIRepository", "name": "web"});
        let web = object("HelmRelease", "web", &json!({ "chartRef": reference }));
        let web = with(web, "/status", json!({"history": history}));
        graph([object("OCIRepository", "web", &json!({"interval": "1m"})), web])
    };
    let postgres = json!([{"chartName": "postgresql", "chartVersion": "15.0.0"}]);
    let why = refused(&of(postgres), "HelmRelease", "web");
    assert!(why.starts_with("needs a lane of its own: HelmRelease flux-system/web"), "{why}");
    let ours = json!([{"chartName": "web", "appVersion": "hopclock-1a1fbe67da8"}]);
    assert_eq!(draft(&of(ours), "HelmRelease", "web").trigger, "helm_chart");
    assert_eq!(draft(&of(json!([])), "HelmRelease", "web").trigger, "helm_chart");
}

#[test]
fn names_that_had_to_be_changed_or_cut_stay_apart() {
    assert_eq!(label(&["hopclock", "one-two"], 60), "hopclock-one-two");
    let changed = label(&["hopclock", "one.two"], 60);
    assert!(changed.starts_with("hopclock-one-two-"), "{changed}");
    let long = |end: &str| label(&[&"x".repeat(70), end], 60);
    assert!(long("a") != long("b") && long("a").len() <= 60, "{}", long("a"));
    let graph = graph([
        git("fleet"),
        applier("one.two", "fleet", "apps"),
        applier("one-two", "fleet", "apps"),
    ]);
    let one = draft(&graph, "Kustomization", "one.two");
    let other = draft(&graph, "Kustomization", "one-two");
    assert_ne!(field(&one, "path"), field(&other, "path"));
    assert_ne!(hops(&one).last(), hops(&other).last());
}

#[test]
fn p5_what_is_suspended_on_the_path_is_said() {
    let apps = with(applier("apps", "fleet", "apps"), "/spec/suspend", true.into());
    let apps = draft(&graph([git("fleet"), apps]), "Kustomization", "apps");
    let note =
        "Kustomization flux-system/apps is suspended: runs are `skipped` until it is resumed";
    assert!(apps.notes.iter().any(|it| it == note), "{:?}", apps.notes);
}

#[test]
fn s0_consent_to_another_instance_is_said_and_to_ours_needs_no_command() {
    let of = |instance: &str| {
        let annotations = json!({"hopclock.dev/canary": instance});
        let fleet = with(git("fleet"), "/metadata/annotations", annotations);
        draft(&graph([fleet, applier("apps", "fleet", "apps")]), "Kustomization", "apps")
    };
    assert_eq!(of("hopclock").consent, Consented::Given);
    let other = of("team-b");
    assert_eq!(other.consent, Consented::Other("team-b".to_owned()));
    assert!(other.notes.iter().any(|it| it.contains("--instance team-b")), "{:?}", other.notes);
}

#[test]
fn kustomizations_of_one_name_bring_canaries_of_different_names() {
    let mut other = applier("apps", "fleet", "apps");
    other.1["metadata"]["namespace"] = json!("team");
    let of =
        |objects: Vec<_>| hops(&draft(&graph(objects), "Kustomization", "apps")).pop().unwrap();
    let alone = of(vec![git("fleet"), applier("apps", "fleet", "apps")]);
    assert_eq!(alone, "live: ConfigMap flux-system/hopclock-apps");
    let beside = of(vec![git("fleet"), applier("apps", "fleet", "apps"), other]);
    assert_eq!(beside, "live: ConfigMap flux-system/hopclock-flux-system-apps");
}
