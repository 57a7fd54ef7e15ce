//! Plans of paths as people install them.

use super::*;
use crate::model::{GitBranch, GroupKind, ObjectName};
use crate::path::{Snapshot, flux_kind};
use serde_json::{Value, json};

fn object(kind: &str, name: &str, spec: &Value) -> (GroupKind, Value) {
    let metadata = json!({"namespace": "flux-system", "name": name});
    (flux_kind(kind), json!({"metadata": metadata, "spec": spec}))
}

fn graph(objects: impl IntoIterator<Item = (GroupKind, Value)>) -> Graph {
    let mut snapshot = Snapshot::default();
    for (kind, object) in objects {
        snapshot.add(&kind, vec![object]);
    }
    Graph::of(snapshot)
}

fn subject(kind: &str, name: &str) -> Subject {
    Subject::local(flux_kind(kind), "flux-system", name)
}

fn git() -> (GroupKind, Value) {
    object("GitRepository", "fleet", &json!({"interval": "10m", "ref": {"branch": "main"}}))
}

fn applier(name: &str, more: &Value) -> (GroupKind, Value) {
    let mut spec = json!({"interval": "1h", "path": name,
        "sourceRef": {"kind": "GitRepository", "name": "fleet"}});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    object("Kustomization", name, &spec)
}

fn receiver(resource: &Value) -> (GroupKind, Value) {
    object("Receiver", "push", &json!({"type": "github", "resources": [resource]}))
}

fn leg(name: &str, sort: Sort, subject: Subject, after: &[usize]) -> Leg {
    let (name, after) = (name.to_owned(), after.to_vec());
    Leg { name, sort, subject, after, within: None, needed: sort != Sort::Request }
}

fn live(kind: &str, name: &str) -> Subject {
    let group = if kind == "ConfigMap" { "" } else { "apps" };
    Subject::local(GroupKind::new(group, kind), "apps", name)
}

fn course(entry: Option<Subject>, legs: Vec<Leg>) -> Course {
    Course {
        legs,
        entry,
        until: None,
        within: Some(s(120)),
        objective: 0.99,
        deadline: s(540),
        jitter: None,
        requeue: s(30),
    }
}

/// The course of a commit.
fn commit(appliers: &[&str], arrival: &str) -> Course {
    let mut legs = vec![leg("fetched", Sort::Member, subject("GitRepository", "fleet"), &[])];
    for name in appliers {
        let before = legs.len() - 1;
        legs.push(leg(name, Sort::Member, subject("Kustomization", name), &[before]));
    }
    legs.push(leg("live", Sort::Arrival, live(arrival, "web"), &[0]));
    course(Some(subject("GitRepository", "fleet")), legs)
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The stages of a hop, as `by: worst`.
fn of(plan: &Plan, hop: &str) -> Vec<String> {
    let hop = plan.hops.iter().find(|it| it.name == hop).unwrap();
    let one = |it: &Stage| {
        let worst = it.wait.map_or_else(|| "?".to_owned(), |it| shown(it.worst()));
        format!("{} {}: {worst}", it.subject.name, it.by.as_str())
    };
    hop.stages.iter().map(one).collect()
}

fn worst(plan: &Plan) -> Vec<Option<Duration>> {
    plan.total.iter().map(|it| it.1.as_ref().map(Sum::worst)).collect()
}

#[test]
fn a_commit_waits_for_the_interval_of_its_source_and_then_all_are_woken() {
    let graph = graph([git(), applier("apps", &Value::Null)]);
    let plan = Plan::of(&graph, &commit(&["apps"], "ConfigMap"));
    assert_eq!(of(&plan, "fetched"), ["fleet interval: 10m30s"]);
    assert_eq!(of(&plan, "apps"), ["apps watch: 0s"]);
    assert_eq!(of(&plan, "live"), ["apps watch: 0s", "web watch: 0s"]);
    assert_eq!((worst(&plan), plan.end.as_str()), (vec![Some(s(630))], "live"));
    assert!(plan.is_hopeless(), "two minutes are promised");
    let sentence = &plan.verdicts[0].cases[0].sentence;
    let expected = "it cannot be met: waits are 0s to 10m30s, and 80% of the changes wait longer \
                    than 2m; a Receiver for GitRepository flux-system/fleet would spare its interval";
    assert_eq!(sentence, expected);
    let late = "10% of the changes wait longer than the deadline of 9m: such runs end as `timeout`";
    assert_eq!(plan.warnings, [late]);
}

#[test]
fn a_receiver_takes_the_wait_away_unless_its_webhook_is_lost() {
    let woken = receiver(&json!({"kind": "GitRepository", "name": "fleet"}));
    let graph = graph([git(), applier("apps", &Value::Null), woken]);
    let plan = Plan::of(&graph, &commit(&["apps"], "ConfigMap"));
    assert_eq!(of(&plan, "fetched"), ["fleet webhook: 0s"]);
    assert_eq!(worst(&plan), [Some(s(0)), Some(s(630))]);
    assert!(!plan.is_hopeless());
    let met: Vec<_> = plan.verdicts[0].cases.iter().map(|it| (it.case, it.met)).collect();
    assert_eq!(met, [(Case::Webhooks, Met::Always), (Case::Lost, Met::Not)]);
}

#[test]
fn receivers_that_do_nothing_are_said_and_not_counted_on() {
    let sleeping = |mut it: (GroupKind, Value)| {
        it.1["spec"]["suspend"] = true.into();
        it
    };
    let graph = graph([
        git(),
        applier("apps", &Value::Null),
        sleeping(receiver(&json!({"kind": "GitRepository", "name": "fleet"}))),
    ]);
    let plan = Plan::of(&graph, &commit(&["apps"], "ConfigMap"));
    assert_eq!(of(&plan, "fetched"), ["fleet interval: 10m30s"]);
    let said = "Receiver flux-system/push is suspended: no webhook arrives";
    assert!(plan.warnings.iter().any(|it| it == said), "{:?}", plan.warnings);
}

#[test]
fn each_level_of_depends_on_costs_a_requeue_as_far_as_it_shares_the_source() {
    let on = |name: &str| json!({"dependsOn": [{ "name": name }]});
    let graph = graph([
        git(),
        object("GitRepository", "other", &json!({"interval": "5m"})),
        applier("base", &json!({"sourceRef": {"kind": "GitRepository", "name": "other"}})),
        applier("crds", &on("base")),
        applier("infra", &on("crds")),
        applier("apps", &on("infra")),
    ]);
    let all = Plan::of(&graph, &commit(&["crds", "infra", "apps"], "ConfigMap"));
    assert_eq!(of(&all, "crds"), ["crds watch: 0s"], "what `base` applies does not change");
    assert_eq!(of(&all, "infra"), ["infra watch: 0s", "infra requeue: 30s"]);
    assert_eq!(of(&all, "apps"), ["apps watch: 0s", "apps requeue: 30s"]);
    assert_eq!(worst(&all), [Some(s(630 + 60))]);
    let last = Plan::of(&graph, &commit(&["apps"], "ConfigMap"));
    assert_eq!(of(&last, "apps"), ["apps watch: 0s", "apps requeue: 1m"]);
    assert_eq!(worst(&last), worst(&all), "whether hops name it or not");
}

#[test]
fn health_is_looked_at_every_five_seconds_where_it_is_not_there_at_once() {
    let graph = graph([git(), applier("apps", &json!({"wait": true, "retryInterval": "2m"}))]);
    let plan = Plan::of(&graph, &commit(&["apps"], "Deployment"));
    assert_eq!(of(&plan, "apps"), ["apps watch: 0s", "apps health: 5s"]);
    assert_eq!(of(&plan, "live"), ["apps watch: 0s", "web watch: 0s"], "it is live before");
    assert_eq!(plan.hops[1].stages[0].retry, Some(s(120)));
    let plan = Plan::of(&graph, &commit(&["apps"], "ConfigMap"));
    assert_eq!(of(&plan, "apps"), ["apps watch: 0s"]);
}

/// The objects of an image's path.
fn image(push: &Value) -> Vec<(GroupKind, Value)> {
    vec![
        object("ImageRepository", "web", &json!({"interval": "5m", "image": "r.example/web"})),
        object("ImagePolicy", "web", &json!({"imageRepositoryRef": {"name": "web"}})),
        object(
            "ImageUpdateAutomation",
            "fleet",
            &json!({"interval": "30m", "sourceRef": {"kind": "GitRepository", "name": "fleet"},
                "git": {"checkout": {"ref": {"branch": "main"}}, "push": push}}),
        ),
        git(),
        applier("apps", &Value::Null),
    ]
}

fn tag(legs: bool) -> Course {
    let (scan, policy) = (subject("ImageRepository", "web"), subject("ImagePolicy", "web"));
    let source = subject("GitRepository", "fleet");
    let all = vec![
        leg("scanned", Sort::Member, scan.clone(), &[]),
        leg("chosen", Sort::Member, policy, &[0]),
        leg("committed", Sort::Member, subject("ImageUpdateAutomation", "fleet"), &[1]),
        leg("fetched", Sort::Member, source, &[2]),
        leg("applied", Sort::Member, subject("Kustomization", "apps"), &[3]),
    ];
    let only = vec![leg("applied", Sort::Member, subject("Kustomization", "apps"), &[])];
    course(Some(scan), if legs { all } else { only })
}

#[test]
fn an_image_waits_for_its_scan_and_for_the_fetch_of_the_commit() {
    let graph = graph(image(&json!({"branch": "main"})));
    let plan = Plan::of(&graph, &tag(true));
    assert_eq!(of(&plan, "scanned"), ["web interval: 5m"], "image controllers spread nothing");
    assert_eq!(of(&plan, "chosen"), ["web watch: 0s"]);
    assert_eq!(of(&plan, "committed"), ["fleet watch: 0s"]);
    assert_eq!(of(&plan, "fetched"), ["fleet interval: 10m30s"]);
    let sum = plan.total[0].1.clone().unwrap();
    assert_eq!((sum.worst(), sum.expected().as_secs()), (s(300 + 630), 150 + 300));
    // Who names only the end has the same way before him.
    let short = Plan::of(&graph, &tag(false));
    assert_eq!(of(&short, "applied").len(), 5, "{:?}", of(&short, "applied"));
    assert_eq!(worst(&short), worst(&plan));
}

#[test]
fn a_commit_to_another_branch_waits_for_somebody_whom_nobody_can_plan() {
    let graph = graph(image(&json!({"branch": "updates"})));
    let plan = Plan::of(&graph, &tag(true));
    assert_eq!(of(&plan, "fetched"), ["fleet nobody: ?", "fleet interval: 10m30s"]);
    assert_eq!(worst(&plan), [None]);
    assert_eq!(plan.verdicts[0].cases[0].met, Met::Unknown);
    assert!(!plan.is_hopeless());
}

#[test]
fn a_commit_that_hopclock_merges_itself_waits_for_nobody() {
    let graph = graph(image(&json!({"branch": "updates"})));
    let mut course = tag(true);
    let branch = GitBranch::subject(&ObjectName::new("flux-system", "fleet"), None);
    course.legs.push(leg("merged", Sort::OwnMerge, branch, &[2]));
    course.legs[3].after = vec![5];
    let plan = Plan::of(&graph, &course);
    assert_eq!(of(&plan, "merged"), ["fleet watch: 0s"]);
    assert_eq!(of(&plan, "fetched"), ["fleet interval: 10m30s"]);
    assert_eq!(worst(&plan), [Some(s(300 + 630))]);
}

/// A release whose chart comes from a repository of this type.
fn release(repository: &Value, more: &Value) -> Vec<(GroupKind, Value)> {
    let reference = json!({"kind": "HelmRepository", "name": "charts"});
    let mut spec =
        json!({"interval": "20m", "chart": {"spec": {"chart": "web", "sourceRef": reference}}});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    let reference = json!({"kind": "HelmRepository", "name": "charts"});
    vec![
        object("HelmRepository", "charts", repository),
        object("HelmChart", "flux-system-web", &json!({"interval": "20m", "sourceRef": reference})),
        object("HelmRelease", "web", &spec),
    ]
}

fn released(entry: &str) -> Course {
    let web = subject("HelmRelease", "web");
    let legs = vec![
        leg("applied", Sort::Member, web, &[]),
        leg("rolled_out", Sort::Arrival, live("Deployment", "web"), &[0]),
    ];
    course(Some(subject("HelmRepository", entry)), legs)
}

#[test]
fn a_chart_of_an_oci_repository_waits_for_its_own_interval() {
    let http = graph(release(&json!({"interval": "5m", "url": "https://c.example"}), &Value::Null));
    let plan = Plan::of(&http, &released("charts"));
    let expected =
        ["charts interval: 5m15s", "flux-system-web watch: 0s", "web watch: 0s", "web health: 5s"];
    assert_eq!(of(&plan, "applied"), expected);
    let oci = json!({"type": "oci", "interval": "5m", "url": "oci://c.example"});
    let vain = receiver(&json!({"kind": "HelmRepository", "name": "charts"}));
    let graph = graph(release(&oci, &Value::Null).into_iter().chain([vain]));
    let plan = Plan::of(&graph, &released("charts"));
    assert_eq!(of(&plan, "applied")[0], "flux-system-web interval: 21m");
    let said = "which Flux never reconciles: point it at the HelmChart";
    assert!(plan.warnings.iter().any(|it| it.contains(said)), "{:?}", plan.warnings);
}

#[test]
fn values_wake_their_release_only_if_they_are_labelled() {
    let values = |label: &str| {
        let labels = json!({"reconcile.fluxcd.io/watch": label});
        let metadata = json!({"namespace": "flux-system", "name": "values", "labels": labels});
        (GroupKind::new("", "ConfigMap"), json!({"metadata": metadata}))
    };
    let from = json!({"valuesFrom": [{"kind": "ConfigMap", "name": "values"}]});
    let mut apps = applier("apps", &Value::Null);
    apps.1["status"]["inventory"]["entries"] = json!([{"id": "flux-system_values__ConfigMap"}]);
    let of_label = |label: &str| {
        let all = release(&json!({"interval": "5m"}), &from);
        graph(all.into_iter().chain([git(), apps.clone(), values(label)]))
    };
    let map = Subject::local(GroupKind::new("", "ConfigMap"), "flux-system", "values");
    let legs = vec![
        leg("fetched", Sort::Member, subject("GitRepository", "fleet"), &[]),
        leg("live", Sort::Arrival, map, &[0]),
        leg("applied", Sort::Member, subject("HelmRelease", "web"), &[1]),
    ];
    let course = Course { until: Some(2), ..course(Some(subject("GitRepository", "fleet")), legs) };
    let plan = Plan::of(&of_label("Enabled"), &course);
    assert_eq!(
        (of(&plan, "applied"), worst(&plan)),
        (vec!["web watch: 0s".to_owned()], vec![Some(s(630))])
    );
    let plan = Plan::of(&of_label("Disabled"), &course);
    assert_eq!(of(&plan, "applied"), ["web interval: 21m"]);
    assert_eq!(worst(&plan), [Some(s(630 + 1260))]);
    let label = "unless it has the label `reconcile.fluxcd.io/watch: Enabled`";
    assert!(plan.warnings.iter().any(|it| it.ends_with(label)), "{:?}", plan.warnings);
}

#[test]
fn what_a_source_includes_wakes_neither_it_nor_those_behind_it() {
    let (kind, mut all) = git();
    all["spec"]["include"] = json!([{"repository": {"name": "lib"}}]);
    let lib = object("GitRepository", "lib", &json!({"interval": "1m"}));
    let wakes = |name: &str| json!({"kind": "GitRepository", "name": name});
    let graph = graph([(kind, all), lib, receiver(&wakes("lib")), applier("apps", &Value::Null)]);
    let plan = Plan::of(
        &graph,
        &course(
            Some(subject("GitRepository", "lib")),
            vec![leg("applied", Sort::Member, subject("Kustomization", "apps"), &[])],
        ),
    );
    let expected = ["lib webhook: 0s", "fleet interval: 10m30s", "apps interval: 1h3m"];
    assert_eq!(of(&plan, "applied"), expected);
    // With a hop for each it is the same.
    let source = |name: &str| subject("GitRepository", name);
    let legs = vec![
        leg("lib", Sort::Member, source("lib"), &[]),
        leg("fleet", Sort::Member, source("fleet"), &[0]),
        leg("applied", Sort::Member, subject("Kustomization", "apps"), &[1]),
    ];
    let each = Plan::of(&graph, &course(Some(source("lib")), legs));
    assert_eq!(worst(&each), worst(&plan));
}

#[test]
fn o5_less_jitter_than_the_longest_interval_is_said() {
    let graph = graph([git(), applier("apps", &Value::Null)]);
    let said = |jitter: u64| {
        let course = Course { jitter: Some(s(jitter)), ..commit(&["apps"], "ConfigMap") };
        Plan::of(&graph, &course).warnings.iter().any(|it| it.starts_with("the jitter of"))
    };
    assert!(said(60) && said(599) && !said(600));
}

#[test]
fn p6_what_a_scenario_names_and_nobody_has_seen_is_missing() {
    let plan = Plan::of(&graph([git()]), &commit(&["apps"], "ConfigMap"));
    assert_eq!(plan.missing, [subject("Kustomization", "apps")]);
    assert_eq!(worst(&plan), [None]);
}

#[test]
fn an_objective_with_room_says_how_long_the_work_may_take() {
    let graph = graph([git(), applier("apps", &Value::Null)]);
    let plan = |within: u64, objective: f64| {
        let mut course = commit(&["apps"], "ConfigMap");
        (course.within, course.objective) = (Some(s(within)), objective);
        Plan::of(&graph, &course).verdicts.remove(0).cases.remove(0)
    };
    let always = plan(660, 0.99);
    assert_eq!((always.met, always.share), (Met::Always, Some(1.0)));
    let expected = "it can be met: the longest wait is 10m30s, which leaves 30s for the work";
    assert_eq!(always.sentence, expected);
    let often = plan(480, 0.5);
    let expected = "it can be met if the work takes no longer than 3m: even if that took no time, \
                    20% of the changes would miss it";
    assert_eq!((often.met, often.sentence.as_str()), (Met::OftenEnough, expected));
}

#[test]
fn what_waits_for_itself_cannot_be_planned() {
    let source = json!({"kind": "GitRepository", "name": "fleet"});
    let behind =
        |it: &str| json!({"interval": "10m", "sourceRef": source, "dependsOn": [{"name": it}]});
    let all = [
        object("GitRepository", "fleet", &json!({"interval": "1m"})),
        object("Kustomization", "infra", &behind("apps")),
        object("Kustomization", "apps", &behind("infra")),
    ];
    let plan = Plan::of(&graph(all), &commit(&["apps"], "ConfigMap"));
    assert_eq!(plan.verdicts[0].cases[0].met, Met::Unknown);
}
