//! What is installed: the chart and the other manifests, rendered by the real tools.

mod applied;
mod arguments;
mod chart;
mod custom;
mod flux;
mod image;
mod jobs;
mod kustomize;
mod lawful;
mod names;
mod refused;
mod rights;
mod rights_narrow;
mod rights_traced;
mod schedules;
mod sent;
mod served;
mod values;
mod webhooks;

use hopclock_sandbox::store::{Resource, Store};
use serde_json::{Map, Value};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Account, release and namespace that the chart is rendered for.
const NAME: &str = "hopclock";

/// The folder `deploy`.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// The folder of the chart.
fn chart() -> PathBuf {
    folder().join("helm/hopclock")
}

/// Every file of an ending in a folder, in order.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut files: Vec<_> =
        all.filter(|it| it.extension().is_some_and(|it| it == ending)).collect();
    files.sort();
    files
}

/// Calls Helm for the chart; gives what it prints, or what it says against the values.
fn helm(command: &[&str], values: &[&Path]) -> Result<String, String> {
    helm_at(&chart(), command, values)
}

/// The same for a copy of the chart.
fn helm_at(chart: &Path, command: &[&str], values: &[&Path]) -> Result<String, String> {
    let home = tempfile::tempdir().unwrap();
    let mut call = Command::new("helm");
    call.args(command).arg(chart);
    for file in values {
        call.arg("--values").arg(file);
    }
    for name in ["HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        call.env(name, home.path());
    }
    let output = call.env_remove("KUBECONFIG").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// What the chart comes to with the values of files, or what it says against them.
fn rendered(values: &[&Path]) -> Result<Vec<Value>, String> {
    // A Helm that was built from its module takes itself for one of an old Kubernetes.
    let command = ["template", NAME, "--namespace", NAME, "--kube-version", "1.33.0"];
    helm(&command, values).map(|it| objects(&it))
}

/// The same with values that are written here.
fn rendered_with(values: &str) -> Result<Vec<Value>, String> {
    rendered_as(NAME, NAME, values)
}

/// The same as another release, or elsewhere.
fn rendered_as(release: &str, namespace: &str, values: &str) -> Result<Vec<Value>, String> {
    let mut file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    file.write_all(values.as_bytes()).unwrap();
    let command = ["template", release, "--namespace", namespace, "--kube-version", "1.33.0"];
    helm(&command, &[file.path()]).map(|it| objects(&it))
}

/// Values of a profile `cronjob` with a scenario of each name.
fn job_values(names: &[&str]) -> String {
    let one =
        |name: &&str| format!("  {name}: {{ schedule: {{ every: 5m }}, deadline: 1m, {HOPS} }}\n");
    let all: String = names.iter().map(one).collect();
    format!("profile: cronjob\nscenarios:\n{all}")
}

/// A trigger and a hop, as parts of an object.
const HOPS: &str =
    "trigger: { git_commit: { source: a/b, path: c } }, hops: [{ live: { config_map: a/b } }]";

/// The documents of a YAML stream.
fn objects(text: &str) -> Vec<Value> {
    let documents = text.split("\n---").map(|it| it.strip_prefix("---").unwrap_or(it));
    let parsed = documents.map(|it| {
        serde_saphyr::from_str::<Value>(it).unwrap_or_else(|error| panic!("{error}: {it}"))
    });
    parsed.filter(|it| !it.is_null()).collect()
}

/// The objects of a kind.
fn of<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|it| it["kind"] == kind).collect()
}

/// The one object of a kind.
fn one<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let all = of(objects, kind);
    assert_eq!(all.len(), 1, "{kind}: {all:?}");
    all[0]
}

/// The specs of all pods that objects make.
fn pods(objects: &[Value]) -> Vec<&Value> {
    let deployed = of(objects, "Deployment").into_iter().map(|it| &it["spec"]["template"]);
    let jobs = of(objects, "CronJob").into_iter();
    let jobs = jobs.map(|it| &it["spec"]["jobTemplate"]["spec"]["template"]);
    deployed.chain(jobs).map(|it| &it["spec"]).collect()
}

/// A text as a block below a key of values.
fn block(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| all + "    " + line + "\n")
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Has a sandbox serve what a cluster of a platform team serves beside Flux's kinds.
fn serve_kinds(store: &Store) {
    let plain = |group, version, plural, kind| Resource::new(group, version, plural, kind);
    for resource in [
        plain("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
        plain("batch", "v1", "cronjobs", "CronJob"),
        plain("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
        plain("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor"),
        plain("monitoring.coreos.com", "v1", "podmonitors", "PodMonitor"),
        plain("monitoring.coreos.com", "v1", "prometheusrules", "PrometheusRule"),
    ] {
        store.register(resource);
    }
}

/// Says that an object is one of a type of Kubernetes, and has no field that this does not know.
fn is_exactly<T: for<'de> serde::Deserialize<'de> + serde::Serialize>(object: &Value) {
    let read = T::deserialize(object).unwrap_or_else(|error| panic!("{error}: {object:#}"));
    let known = serde_json::to_value(read).unwrap();
    let lost = lost(object, &known, "");
    assert!(lost.is_empty(), "{} has no {lost:?}", object["kind"]);
}

/// The places of `given` that `known` has not.
fn lost(given: &Value, known: &Value, place: &str) -> Vec<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            let fields = given.iter().filter(|it| !it.1.is_null() && !is_empty(it.1));
            let below = fields.flat_map(|(key, value)| {
                let place = format!("{place}.{key}");
                match known.get(key) {
                    Some(known) => lost(value, known, &place),
                    None => vec![place],
                }
            });
            below.collect()
        }
        (Value::Array(given), Value::Array(known)) if given.len() == known.len() => {
            let pairs = given.iter().zip(known).enumerate();
            pairs
                .flat_map(|(at, (given, known))| lost(given, known, &format!("{place}[{at}]")))
                .collect()
        }
        (Value::Object(_) | Value::Array(_), _) => vec![place.to_owned()],
        _ => Vec::new(),
    }
}

/// Types leave empty lists and maps out.
fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}
