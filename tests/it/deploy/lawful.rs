//! Names, labels and annotations are such as Kubernetes takes, whatever the release is called.
//!
//! Flux adds `+` and a digest to the version of a chart that it fetches from a registry, which is
//! no label; and a release may be called like a number, which YAML would read as one.

use crate::chart_kit::has_helm;
use crate::deploy::{
    chart, files, folder, helm_at, kustomize, objects, of, one, rendered_as, rendered_with,
};
use regex_automata::meta::Regex;
use serde_json::{Map, Value};
use std::path::Path;
use std::process::Command;

/// What is wrong with the names, labels and annotations of an object, and of all that it makes.
pub(super) fn wrong(object: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let metadata = &object["metadata"];
    let (most, pattern) = match object["kind"].as_str().unwrap() {
        "Service" => (63, "[a-z]([-a-z0-9]*[a-z0-9])?"),
        "CronJob" => (52, SUBDOMAIN),
        _ => (253, SUBDOMAIN),
    };
    if !is(&metadata["name"], most, pattern) {
        wrong.push(format!("name {}", metadata["name"]));
    }
    if !metadata["namespace"].is_null() && !is(&metadata["namespace"], 63, PART) {
        wrong.push(format!("namespace {}", metadata["namespace"]));
    }
    look(object, &mut wrong);
    wrong
}

/// A name of parts, and one of the parts.
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const PART: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/// The value of a label; with a letter at least, the name of one.
const WORD: &str = "[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?";

/// Whether a value is a text of at most this length like this.
fn is(value: &Value, most: usize, pattern: &str) -> bool {
    let whole = Regex::new(&format!("^{pattern}$")).unwrap();
    value.as_str().is_some_and(|it| it.len() <= most && whole.is_match(it))
}

/// Looks at every map of labels and annotations below a value.
fn look(value: &Value, wrong: &mut Vec<String>) {
    for (key, below) in value.as_object().into_iter().flatten() {
        let Some(map) = below.as_object() else {
            below.as_array().into_iter().flatten().for_each(|it| look(it, wrong));
            continue;
        };
        match key.as_str() {
            // Those of an alert are Prometheus's.
            _ if value["expr"].is_string() => {}
            "labels" | "matchLabels" => keys(map, |it| is(it, 63, &format!("({WORD})?")), wrong),
            "annotations" => keys(map, Value::is_string, wrong),
            "data" => {
                let is_file = |it: &&String| !is(&Value::from(it.as_str()), 253, "[-._a-zA-Z0-9]+");
                wrong.extend(map.keys().filter(is_file).cloned());
            }
            _ => look(below, wrong),
        }
    }
}

/// Looks at the keys of labels or annotations, and at their values.
fn keys(map: &Map<String, Value>, is_value: impl Fn(&Value) -> bool, wrong: &mut Vec<String>) {
    for (key, value) in map {
        let (prefix, name) = key.split_once('/').unwrap_or(("a", key));
        let fits = is(&prefix.into(), 253, SUBDOMAIN) && is(&name.into(), 63, WORD);
        if !fits || !is_value(value) {
            wrong.push(format!("{key}: {value}"));
        }
    }
}

/// A copy of the chart as Flux takes it from a registry.
fn fetched(version: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(chart()).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    let path = copy.path().join("hopclock/Chart.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let own = text.lines().find(|it| it.starts_with("version: ")).unwrap();
    std::fs::write(&path, text.replace(own, &format!("version: {version}"))).unwrap();
    copy
}

/// All that a chart comes to with each file of values, and with the defaults.
fn all_of(chart: &Path, release: &str, namespace: &str) -> Vec<(String, Vec<Value>)> {
    let command = ["template", release, "--namespace", namespace, "--kube-version", "1.33.0"];
    let made = |values: &[&Path]| objects(&helm_at(chart, &command, values).unwrap());
    let values = files(&chart.join("ci"), "yaml");
    let named = values.iter().map(|it| (it.display().to_string(), made(&[it])));
    named.chain([("the defaults".to_owned(), made(&[]))]).collect()
}

#[test]
fn every_name_and_label_is_lawful_when_flux_adds_a_digest_to_the_version() {
    if !has_helm() {
        return;
    }
    let long = format!("0.1.0-{}+4fda", "a".repeat(48));
    for (version, label) in [
        ("0.1.0+4fda46fd8c4e".to_owned(), "hopclock-0.1.0_4fda46fd8c4e".to_owned()),
        // A version of a build can be longer than a label.
        (long.clone(), format!("hopclock-{}", &long[..54])),
    ] {
        let copy = fetched(&version);
        let mut seen = 0;
        for (name, objects) in all_of(&copy.path().join("hopclock"), "hopclock", "hopclock") {
            for object in objects {
                let wrong = wrong(&object);
                assert!(wrong.is_empty(), "{name}: {} has {wrong:?}", object["kind"]);
                let said = object["metadata"]["labels"]["helm.sh/chart"].as_str().unwrap();
                assert_eq!(said, label);
                seen += 1;
            }
        }
        assert!(seen > 50, "{seen}");
    }
}

#[test]
fn what_kustomize_makes_and_what_the_examples_hold_is_lawful() {
    let kustomize = folder().join("kustomize");
    let overlays = std::fs::read_dir(kustomize.join("overlays")).unwrap();
    for path in overlays.map(|it| it.unwrap().path()).chain([kustomize.join("base")]) {
        let Some(text) = kustomize::built(&path) else { break };
        for object in objects(&text) {
            assert!(wrong(&object).is_empty(), "{}: {:?}", path.display(), wrong(&object));
        }
    }
    for part in ["flux", "flux/canary-repository/canary", "crossplane"] {
        for file in files(&folder().join(part), "yaml") {
            for object in objects(&std::fs::read_to_string(&file).unwrap()) {
                assert!(wrong(&object).is_empty(), "{}: {:?}", file.display(), wrong(&object));
            }
        }
    }
}

#[test]
fn a_release_and_a_namespace_may_be_called_like_numbers() {
    if !has_helm() {
        return;
    }
    let values = "fullnameOverride: hopclock\nserviceMonitor: { enabled: true }\nnetworkPolicy: { enabled: true, scrapeFrom: [{ podSelector: {} }] }";
    for object in rendered_as("7", "42", values).unwrap() {
        assert!(wrong(&object).is_empty(), "{}: {:?}", object["kind"], wrong(&object));
        let service = &object["spec"]["selector"];
        assert!(service.is_null() || object["metadata"]["namespace"] == "42", "{object:#}");
    }
    // Jobs need no Service, so there the name may be a number, too.
    for object in rendered_as("7", "42", &crate::deploy::job_values(&["9"])).unwrap() {
        assert!(wrong(&object).is_empty(), "{}: {:?}", object["kind"], wrong(&object));
        assert!(!object.to_string().contains(":7,"), "{object:#}");
    }
    let refused = rendered_as("7", "42", "{}").unwrap_err();
    assert!(refused.contains("the objects would be called `7`"), "{refused}");
    assert!(rendered_as("a.b", "42", "{}").unwrap_err().contains("called `a.b`"));
}

#[test]
fn what_is_unlawful_is_found() {
    let of = |metadata: &str| {
        let text = format!("{{ kind: ConfigMap, metadata: {metadata}, data: {{ a b: c }} }}");
        wrong(&serde_saphyr::from_str(&text).unwrap())
    };
    assert_eq!(of("{ name: a }"), ["a b"]);
    assert_eq!(of("{ name: 7, namespace: a.b }")[..2], ["name 7", "namespace \"a.b\""]);
    let labels = "{ name: a, labels: { a/b: c+d, a_: e, a/b/c: d, f: 1 } }";
    assert_eq!(of(labels).len(), 5, "{:?}", of(labels));
}

#[test]
fn a_label_that_is_given_twice_is_there_once() {
    if !has_helm() {
        return;
    }
    assert!(serde_saphyr::from_str::<Value>("{ a: 1, a: 2 }").is_err(), "a reader that looks");
    let on =
        |kind: &str| format!("{kind}: {{ enabled: true, labels: {{ team: {kind}, x: z }} }}\n");
    let common = "commonLabels: { team: all, grafana_dashboard: mine }\n";
    for monitor in ["serviceMonitor", "podMonitor"] {
        let more = on(monitor) + &on("prometheusRule") + &on("dashboards");
        let all = rendered_with(&format!("{common}{more}")).unwrap();
        let monitors = if monitor == "podMonitor" { "PodMonitor" } else { "ServiceMonitor" };
        assert_eq!(one(&all, monitors)["metadata"]["labels"]["team"], monitor);
        let rules = &one(&all, "PrometheusRule")["metadata"]["labels"];
        assert_eq!((&rules["team"], &rules["x"]), (&"prometheusRule".into(), &"z".into()));
        assert_eq!(one(&all, "Service")["metadata"]["labels"]["team"], "all");
        for map in of(&all, "ConfigMap") {
            let mine = if map["metadata"]["name"] == "hopclock-scenarios" { "mine" } else { "1" };
            assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], mine);
        }
    }
}
