//! What two releases or two scenarios make has two names, and kinds have the names of the cluster.

use crate::chart_kit::has_helm;
use crate::deploy::{HOPS, folder, job_values, of, one, rendered_as, rendered_with, texts};
use serde_json::Value;
use std::collections::BTreeSet;

/// The names of all objects of a kind.
fn names(objects: &[Value], kind: &str) -> BTreeSet<String> {
    let all = of(objects, kind).into_iter();
    all.map(|it| it["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn scenarios_whose_names_begin_alike_have_a_job_each() {
    if !has_helm() {
        return;
    }
    let long = "a".repeat(50);
    let (one, two) = (format!("{long}-one"), format!("{long}-two"));
    let objects = rendered_with(&job_values(&[&one, &two, "short"])).unwrap();
    let names = names(&objects, "CronJob");
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.iter().all(|it| it.len() <= 52), "{names:?}");
    assert!(names.contains("hopclock-short"), "{names:?}");
    // A name is the same whenever it is made, and says whose it is.
    assert!(names.iter().filter(|it| it.starts_with("hopclock-aaaa")).count() == 2, "{names:?}");
    let again = rendered_with(&job_values(&[&one])).unwrap();
    assert!(super::names::names(&again, "CronJob").is_subset(&names));
}

#[test]
fn releases_have_objects_and_state_of_their_own() {
    if !has_helm() {
        return;
    }
    let review = "requests: { by: review, accounts: [{ namespace: a, name: b }] }";
    let elsewhere = "dashboards: { enabled: true, namespace: grafana }\n\
        notifications: { enabled: true, alerts: true, listeners: { flux: { secret: z/b } } }";
    let hops = HOPS.replace(" }]", " }, { notified: { kustomization: z/b } }]");
    let values = format!("{review}\n{elsewhere}\nscenarios: {{ canary: {{ {hops} }} }}");
    let mut seen = BTreeSet::new();
    let long = "r".repeat(45);
    let (first, second) = (format!("{long}one"), format!("{long}two"));
    let mine =
        [("a", "b-c"), ("a-b", "c"), ("a", "b"), (first.as_str(), "a"), (second.as_str(), "a")];
    for (release, namespace) in mine {
        let objects = rendered_as(release, namespace, &values).unwrap();
        for kind in ["ClusterRole", "ClusterRoleBinding", "Role", "ConfigMap", "Provider", "Alert"]
        {
            assert!(!of(&objects, kind).is_empty(), "{kind}");
            for object in of(&objects, kind) {
                let place = object["metadata"]["namespace"].as_str().unwrap_or_default();
                let name = object["metadata"]["name"].as_str().unwrap();
                assert!(seen.insert(format!("{kind} {place}/{name}")), "{kind} {place}/{name}");
            }
        }
    }
    // What is made at home bears the name alone, and an Alert that of its Provider.
    let home = values.replace("z/b", "here/b");
    let objects = rendered_as("hopclock", "here", &home).unwrap();
    let provider = &one(&objects, "Provider")["metadata"]["name"];
    assert_eq!(provider, "hopclock-flux");
    let away = rendered_as("hopclock", "here", &values).unwrap();
    let provider = &one(&away, "Provider")["metadata"]["name"];
    assert_eq!(provider, "here-hopclock-flux");
    assert_eq!(one(&away, "Alert")["spec"]["providerRef"]["name"], *provider);
    let state = |release| {
        let objects = rendered_as(release, "here", &values).unwrap();
        let arguments = super::pods(&objects)[0]["containers"][0]["args"].clone();
        let all: Vec<_> = texts(&arguments).into_iter().map(str::to_owned).collect();
        let argument = all.into_iter().find(|it| it.starts_with("--state=")).unwrap();
        let granted = super::rights::granted(&objects);
        let name = argument.split_once('/').unwrap().1.to_owned();
        let right = ("here".to_owned(), "configmaps".to_owned(), name, "update".to_owned());
        assert!(granted.contains(&right), "{granted:?}");
        argument
    };
    assert_eq!(state("hopclock"), "--state=configmap:here/hopclock-state");
    assert_eq!(state("other"), "--state=configmap:here/other-state");
}

#[test]
fn kinds_have_the_plurals_that_people_give_them() {
    if !has_helm() {
        return;
    }
    for (kind, plural) in [
        ("Gateway", "gateways"),
        ("Ingress", "ingresses"),
        ("Policy", "policies"),
        ("Box", "boxes"),
        ("Switch", "switches"),
        ("Widget", "widgets"),
    ] {
        let object = format!("{{ group: example.com, kind: {kind}, namespace: a, name: b }}");
        let hops = HOPS.replace("config_map: a/b", &format!("object: {object}"));
        let values = format!("scenarios: {{ canary: {{ {hops} }} }}");
        let rules = super::rights::granted(&rendered_with(&values).unwrap());
        let resource = format!("{plural}.example.com");
        assert!(rules.iter().any(|it| it.1 == resource), "{kind}: {rules:?}");
        let odd = format!("{values}\nrbac: {{ plurals: {{ {kind}.example.com: odd }} }}");
        let rules = super::rights::granted(&rendered_with(&odd).unwrap());
        assert!(rules.iter().any(|it| it.1 == "odd.example.com"), "{kind}: {rules:?}");
    }
}

#[test]
fn the_chart_knows_the_triggers_that_the_program_knows() {
    if !has_helm() {
        return;
    }
    let path = folder().join("../scenarios/scenario.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let all = schema["$defs"]["TriggerConfig"]["oneOf"].as_array().unwrap();
    let known: BTreeSet<_> =
        all.iter().map(|it| it["required"][0].as_str().unwrap().to_owned()).collect();
    let refused = rendered_with("scenarios: { a: { trigger: { git_comit: {} } } }").unwrap_err();
    let (_, list) = refused.split_once("it is one of ").unwrap();
    let said: BTreeSet<_> = list.lines().next().unwrap().split(", ").map(str::to_owned).collect();
    assert_eq!(said, known);
}

#[test]
fn labels_of_pods_go_before_those_of_all_objects() {
    if !has_helm() {
        return;
    }
    let values = "{ commonLabels: { team: a, tier: b }, podLabels: { team: c } }";
    let objects = rendered_with(values).unwrap();
    let labels = &one(&objects, "Deployment")["spec"]["template"]["metadata"]["labels"];
    assert_eq!((&labels["team"], &labels["tier"]), (&"c".into(), &"b".into()));
}
