//! The chart's Roles hold what the scenarios need, and nothing else.
//!
//! The doctor knows from the code which requests runs make. So whoever has no rights is told all
//! that is missing, and that is compared with what the chart grants.

use crate::chart_kit::has_helm;
use crate::cli::kit::{HOPS, SOURCE, Stage, Told, lane, scenario};
use crate::deploy::{block, of, rendered_with};
use hopclock_sandbox::pipeline::{BucketLane, Door, HelmLane, Hook, ImageLane, OciLane};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const USER: &str = "system:serviceaccount:hopclock:hopclock";

/// One right: namespace, resource with its group, name, verb. No namespace and no name mean all.
pub(super) type Right = (String, String, String, String);

/// The values of a chart with these scenarios.
pub(super) fn values(scenarios: &[(&str, String)], more: &str) -> String {
    let one = |(name, text): &(&str, String)| format!("  {name}: |\n{}", block(text));
    format!("{more}\nscenarios:\n{}", scenarios.iter().map(one).collect::<String>())
}

/// What the Roles grant, one by one.
pub(super) fn granted(objects: &[Value]) -> BTreeSet<Right> {
    let roles = of(objects, "Role").into_iter().chain(of(objects, "ClusterRole"));
    let mut rights = BTreeSet::new();
    for role in roles {
        let namespace = role["metadata"]["namespace"].as_str().unwrap_or_default();
        for rule in role["rules"].as_array().unwrap() {
            let list = |field: &str| -> Vec<String> {
                crate::deploy::texts(&rule[field]).into_iter().map(str::to_owned).collect()
            };
            let names = list("resourceNames");
            let names = if names.is_empty() { vec![String::new()] } else { names };
            for (group, resource) in list("apiGroups").iter().zip(list("resources")) {
                let resource =
                    if group.is_empty() { resource } else { format!("{resource}.{group}") };
                for (name, verb) in names
                    .iter()
                    .flat_map(|name| list("verbs").into_iter().map(move |it| (name, it)))
                {
                    let right = (namespace.to_owned(), resource.clone(), name.clone(), verb);
                    assert!(rights.insert(right.clone()), "granted twice: {right:?}");
                }
            }
        }
    }
    rights
}

/// What a finding says is missing: `… is not allowed VERBS of RESOURCE [named N] [in namespace N]: …`.
fn missed(problem: &str) -> Vec<Right> {
    let (_, rest) = problem.split_once("not allowed ").unwrap();
    let (verbs, rest) = rest.split_once(" of ").unwrap();
    let (what, _) = rest.split_once(": ").unwrap();
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();
    let part = |word: &str| what.split_once(word).map(|it| quoted(it.1)).unwrap_or_default();
    let (name, namespace) = (part(" named "), part(" in namespace "));
    let verbs = verbs.split(", ").map(quoted);
    verbs.map(|verb| (namespace.clone(), quoted(what), name.clone(), verb)).collect()
}

/// Says that a right is among those that are missing. One of all names or namespaces may be missed for
/// one of them.
pub(super) fn assert_missed(lacks: &BTreeSet<Right>, right: &Right) {
    let (namespace, resource, name, verb) = right;
    let found = lacks.iter().any(|it| {
        it.1 == *resource
            && it.3 == *verb
            && (name.is_empty() || it.2 == *name)
            && (namespace.is_empty() || it.0 == *namespace)
    });
    assert!(found, "{right:?} is not missed: {lacks:?}");
}

/// What the doctor says is missing to the chart's account.
pub(super) async fn lacking(stage: &Stage, files: &[&str]) -> BTreeSet<Right> {
    let account = ["--service-account", "hopclock/hopclock", "--namespace", "hopclock"];
    let told = stage.tell(&[&["doctor", "--output", "json"], files, &account].concat()).await;
    let page: Value = serde_json::from_str(&told.out).unwrap_or_else(|_| panic!("{told:?}"));
    let all = page["findings"].as_array().unwrap().iter();
    let rights =
        all.filter(|it| ["right_missing", "right_advised"].contains(&it["id"].as_str().unwrap()));
    rights.flat_map(|it| missed(it["problem"].as_str().unwrap())).collect()
}

/// Puts what the chart makes for rights into the cluster.
pub(super) fn install(stage: &Stage, objects: &[Value]) {
    for kind in ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"] {
        for object in of(objects, kind) {
            stage.create(object.clone());
        }
    }
}

/// Compares what the chart grants with what the doctor asks for, before and after it is given.
pub(super) async fn compare(stage: &Stage, title: &str, scenarios: &[(&str, String)], more: &str) {
    let folder = stage.folder.path().join(title);
    std::fs::create_dir(&folder).unwrap();
    for (name, text) in scenarios {
        std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
    }
    let objects = rendered_with(&values(scenarios, more)).unwrap();
    let ways = [("events: true", "--events"), ("otlp: ", "--traces")];
    let ways = ways.into_iter().filter(|it| more.contains(it.0)).map(|it| it.1);
    let asked: Vec<_> = std::iter::once(title).chain(ways).collect();
    let needed = lacking(stage, &asked).await;
    let granted = granted(&objects);
    let superfluous: Vec<_> = granted.difference(&needed).collect();
    // A right to all covers that to one, and the cluster's that of a namespace.
    let covers = |(namespace, resource, name, verb): &Right| {
        let any = |namespace: &str, name: &str| {
            granted.contains(&(
                namespace.to_owned(),
                resource.clone(),
                name.to_owned(),
                verb.clone(),
            ))
        };
        any(namespace, name) || any(namespace, "") || any("", "")
    };
    let absent: Vec<_> = needed.iter().filter(|it| !covers(it)).collect();
    assert!(
        superfluous.is_empty() && absent.is_empty(),
        "{title}: granted in vain {superfluous:#?}, absent {absent:#?}"
    );
    install(stage, &objects);
    let rest = lacking(stage, &asked).await;
    assert!(rest.is_empty(), "{title}: {rest:?}");
    for kind in ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"] {
        for object in of(&objects, kind) {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            stage
                .sandbox
                .store()
                .delete(&Key::new(kind, text("namespace"), text("name")), "test")
                .unwrap();
        }
    }
}

#[tokio::test]
async fn the_chart_grants_what_the_scenarios_need_and_nothing_else() {
    if !has_helm() {
        return;
    }
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Locked)).await;
    let sandbox = &stage.sandbox;
    sandbox.add_image_lane(&ImageLane::new("app")).await.unwrap();
    sandbox.add_oci_lane(&OciLane::new("built")).await.unwrap();
    sandbox.add_bucket_lane(&BucketLane::new("stored")).await.unwrap();
    sandbox.add_helm_lane(&HelmLane::new("web")).await.unwrap();
    let text = |name: &str, trigger: &str, hops: &str| {
        format!(
            "name: {name}\nschedule: {{ every: 10m }}\ndeadline: 1m\ntrigger: {{ {trigger} }}\nhops:\n{hops}"
        )
    };
    let git = ("canary", scenario("canary", SOURCE, HOPS));
    let image = (
        "image",
        text(
            "image",
            "image_tag: { policy: flux-system/app }",
            crate::e2e_image_kit::HOPS.trim_start(),
        ),
    );
    let oci = (
        "oci",
        text(
            "oci",
            "oci_artifact: { source: flux-system/built, path: canary/configmap.yaml }",
            "- source_fetched: { oci_repository: flux-system/built }\n- applied: { kustomization: flux-system/built }\n- live: { config_map: hopclock/built }\n",
        ),
    );
    let url = sandbox.flux().receiver_url();
    let called = (
        "called",
        format!(
            "name: called\ndeadline: 1m\ntrigger: {{ receiver_get: {{ receiver: flux-system/canary, url: \"{url}\" }} }}\nhops: []\n"
        ),
    );
    let stored = (
        "stored",
        text(
            "stored",
            "bucket_object: { source: flux-system/stored, path: canary/configmap.yaml }",
            "- source_fetched: { bucket: flux-system/stored }\n- applied: { kustomization: flux-system/stored }\n- live: { config_map: hopclock/stored }\n",
        ),
    );
    let release = (
        "release",
        text(
            "release",
            "git_commit: { source: flux-system/web, path: canary/other.yaml, template: \"a: ${canary}\" }",
            "- source_fetched: { git_repository: flux-system/web }\n- applied: { kustomization: flux-system/web }\n- { name: released, applied: { helm_release: hopclock/web } }\n- live: { config_map: hopclock/web }\n",
        ),
    );
    let rolled = (
        "rolled",
        scenario(
            "rolled",
            &format!("{SOURCE}, template: \"a: ${{canary}}\""),
            "
  - applied: { kustomization: flux-system/canary }
  - live: { object: { kind: Widget, group: lab.hopclock.dev, namespace: hopclock, name: canary } }
",
        ),
    );
    let canary = "rbac: { secrets: [flux-system/canary-git] }";
    compare(&stage, "git", std::slice::from_ref(&git), canary).await;
    let telling = format!("{canary}\ntell: {{ events: true }}");
    compare(&stage, "telling", std::slice::from_ref(&git), &telling).await;
    let traced = format!("{telling}\npush: {{ otlp: \"http://collector.monitoring:4318\" }}");
    compare(&stage, "traced", std::slice::from_ref(&git), &traced).await;
    compare(&stage, "rolled", std::slice::from_ref(&rolled), "rbac: { secrets: [flux-system/canary-git], objects: { git_repository: [flux-system/canary] } }").await;
    compare(&stage, "image", std::slice::from_ref(&image), "").await;
    compare(&stage, "called", &[called], "rbac: { secrets: [flux-system/canary-hook] }").await;
    compare(&stage, "oci", std::slice::from_ref(&oci), "").await;
    compare(&stage, "stored", std::slice::from_ref(&stored), "").await;
    let chart = "rbac: { secrets: [flux-system/web-git], objects: { helm_chart: [flux-system/hopclock-web], helm_repository: [flux-system/web] } }";
    compare(&stage, "release", std::slice::from_ref(&release), chart).await;
    let all = [git, image, oci];
    compare(&stage, "all", &all, canary).await;
}

/// A deep copy of objects without one right of a rule; the rules that are left empty go.
pub(super) fn without(objects: &[Value], right: &Right) -> Vec<Value> {
    let (namespace, resource, name, verb) = right;
    let mut objects = objects.to_vec();
    for role in &mut objects {
        let here = role["metadata"]["namespace"].as_str().unwrap_or_default() == namespace;
        if !here || !["Role", "ClusterRole"].contains(&role["kind"].as_str().unwrap()) {
            continue;
        }
        let mut rules = Vec::new();
        for rule in role["rules"].as_array().unwrap() {
            let dot = if rule["apiGroups"][0] == "" { "" } else { "." };
            let of = format!(
                "{}{dot}{}",
                rule["resources"][0].as_str().unwrap(),
                rule["apiGroups"][0].as_str().unwrap()
            );
            let named = rule["resourceNames"].as_array();
            let meant = of == *resource
                && named.map_or(name.is_empty(), |it| it.iter().any(|it| it == name));
            let mut rule = rule.clone();
            if meant {
                rule["verbs"].as_array_mut().unwrap().retain(|it| it != verb);
            }
            rules.push(rule);
        }
        role["rules"] = rules.into();
    }
    objects
}

/// Gives the roles that are there the rules of these.
pub(super) fn set_roles(stage: &Stage, objects: &[Value]) {
    for role in of(objects, "Role").into_iter().chain(of(objects, "ClusterRole")) {
        let text = |field: &str| role["metadata"][field].as_str().unwrap_or_default();
        let key = Key::new(role["kind"].as_str().unwrap(), text("namespace"), text("name"));
        let rules = json!({"rules": role["rules"]});
        stage.sandbox.store().merge(&key, &rules, Part::Whole, "test").unwrap();
    }
}

#[tokio::test]
async fn without_any_one_right_a_run_or_the_doctor_names_it() {
    if !has_helm() {
        return;
    }
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Locked)).await;
    let text = scenario("canary", SOURCE, HOPS);
    let file = stage.file("canary.yaml", &text);
    let more = "rbac: { secrets: [flux-system/canary-git] }";
    let objects = rendered_with(&values(&[("canary", text.clone())], more)).unwrap();
    install(&stage, &objects);
    stage.file("restricted", &stage.sandbox.api().kubeconfig(Some((USER, &[]))));
    let run = || async {
        let call = ["run", file, "--kubeconfig", "restricted", "--namespace", "hopclock"];
        stage.tell(&call).await
    };
    let well = run().await;
    assert_eq!(well.code, Some(0), "{well:?}");
    assert!(!well.err.contains("known only in part"), "{well:?}");
    let mut refusals = BTreeMap::new();
    for right in granted(&objects) {
        set_roles(&stage, &without(&objects, &right));
        let lacks = lacking(&stage, &[file]).await;
        assert_missed(&lacks, &right);
        refusals.insert(right, run().await);
    }
    // What no run can do without, a run itself names; before it has pushed anything.
    let refused = refusals.iter().filter(|it| it.1.code != Some(0));
    let mut count = 0;
    for ((_, resource, name, verb), Told { code, err, .. }) in refused {
        count += 1;
        assert_eq!(*code, Some(3), "{err}");
        let named = name.is_empty() || err.contains(&format!("named `{name}`"));
        assert!(
            err.contains(&format!("`{verb}` of `{resource}")) && named,
            "{verb} {resource} {name}: {err}"
        );
    }
    assert!(count >= 12, "{count} of {}", refusals.len());
}
