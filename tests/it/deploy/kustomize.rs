//! The kustomize overlays come to the same as the chart.

use crate::chart_kit::has_helm;
use crate::cli::kit::has;
use crate::deploy::rights::granted;
use crate::deploy::{NAME, block, folder, helm, objects};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const SECRETS: &str = "rbac: { secrets: [flux-system/canary-git] }";

/// An overlay, and the values of a chart that come to the same.
struct Overlay {
    name: &'static str,
    values: &'static str,
    /// The file that is made of the chart, and the kinds that are in it.
    written: Option<(&'static str, &'static [&'static str])>,
}

/// The service itself; its ConfigMap is made of a folder.
const SERVICE: &[&str] = &[
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "Deployment",
];

const OVERLAYS: [Overlay; 5] = [
    Overlay { name: "base", values: "", written: Some(("hopclock.yaml", SERVICE)) },
    Overlay {
        name: "prometheus-operator",
        values: "{ serviceMonitor: { enabled: true }, prometheusRule: { enabled: true }, dashboards: { enabled: true } }",
        written: Some(("monitoring.yaml", &["ServiceMonitor", "PrometheusRule", "ConfigMap"])),
    },
    Overlay {
        name: "notifications",
        values: "notifications: { enabled: true, alerts: true, listeners: { flux: { secret: flux-system/hopclock-token } } }",
        written: Some(("alerts.yaml", &["Provider", "Alert"])),
    },
    Overlay {
        name: "pvc",
        values: "{ state: file, persistence: { enabled: true } }",
        written: Some(("claim.yaml", &["PersistentVolumeClaim"])),
    },
    Overlay {
        name: "cronjob",
        values: "{ profile: cronjob, push: { pushgateway: \"http://pushgateway.monitoring.svc:9091\" } }",
        written: Some(("cronjob.yaml", &["CronJob"])),
    },
];

// === impl Overlay ===

impl Overlay {
    /// What is built.
    fn folder(&self) -> PathBuf {
        let kustomize = folder().join("kustomize");
        if self.name == "base" {
            kustomize.join("base")
        } else {
            kustomize.join("overlays").join(self.name)
        }
    }

    /// Where its files lie.
    fn files(&self) -> PathBuf {
        let kustomize = folder().join("kustomize");
        if self.name == "base" {
            kustomize.join("base")
        } else {
            kustomize.join("components").join(self.name)
        }
    }
}

/// Builds a folder by kustomize 5, alone or in kubectl; none if there is neither.
pub(super) fn built(path: &Path) -> Option<String> {
    let version = Command::new("kubectl").args(["version", "--client"]).output();
    let is_new = |it: &[u8]| String::from_utf8_lossy(it).contains("Kustomize Version: v5");
    let mut call = if has("kustomize") {
        let mut call = Command::new("kustomize");
        call.arg("build");
        call
    } else if version.is_ok_and(|it| is_new(&it.stdout)) {
        let mut call = Command::new("kubectl");
        call.arg("kustomize");
        call
    } else {
        let required = std::env::var("HOPCLOCK_REQUIRE_TOOLS").is_ok_and(|it| it == "1");
        assert!(!required, "there is no kustomize 5, but it is required");
        println!("skipped: there is no kustomize 5, neither alone nor in `kubectl`");
        return None;
    };
    let output = call.arg(path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", path.display());
    Some(String::from_utf8(output.stdout).unwrap())
}

/// What the chart makes of the values of some overlays, as text.
fn charted(overlays: &[&Overlay]) -> String {
    let base = folder().join("kustomize/base");
    let scenarios = overlays.iter().map(|it| it.files()).chain([base]);
    let scenario = scenarios.map(|it| it.join("scenarios/fleet-git.yaml")).find(|it| it.exists());
    let lines = block(&std::fs::read_to_string(scenario.unwrap()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut files = vec![folder.path().join("scenarios.yaml")];
    let scenarios = format!("{SECRETS}\nscenarios:\n  fleet-git: |\n{lines}");
    std::fs::write(&files[0], scenarios).unwrap();
    for overlay in overlays {
        let path = folder.path().join(format!("{}.yaml", overlay.name));
        std::fs::write(&path, overlay.values).unwrap();
        files.push(path);
    }
    let command = ["template", NAME, "--namespace", NAME, "--kube-version", "1.33.0"];
    helm(&command, &files.iter().map(PathBuf::as_path).collect::<Vec<_>>()).unwrap()
}

/// Some objects of the chart without what says that Helm keeps them.
fn written(text: &str, kinds: &[&str]) -> String {
    let mut all = String::from(
        "# Made of the chart; `UPDATE=1 cargo test --test it deploy::kustomize` makes it anew.\n",
    );
    for document in text.split("\n---\n").map(|it| it.strip_prefix("---\n").unwrap_or(it)) {
        let object: Value = serde_saphyr::from_str(document).unwrap();
        let is_folder = object["metadata"]["name"] == "hopclock-scenarios";
        if !kinds.iter().any(|it| object["kind"] == *it) || is_folder {
            continue;
        }
        all += "---\n";
        for line in document.lines() {
            let is_helms = ["# Source:", "helm.sh/chart:", "app.kubernetes.io/managed-by:"]
                .iter()
                .any(|it| line.trim_start().starts_with(it));
            if !is_helms {
                all += line.trim_end();
                all += "\n";
            }
        }
    }
    all
}

#[test]
fn what_is_made_of_the_chart_is_up_to_date() {
    if !has_helm() {
        return;
    }
    for overlay in &OVERLAYS {
        let Some((file, kinds)) = overlay.written else { continue };
        let path = overlay.files().join(file);
        let text = written(&charted(&[overlay]), kinds);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, text).unwrap();
            continue;
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{}: run `UPDATE=1 cargo test --test it deploy::kustomize`",
            path.display()
        );
    }
}

/// Objects by kind, namespace and name, without what only Helm or only kustomize writes.
fn known(objects: &[Value]) -> BTreeMap<String, Value> {
    let mut known = BTreeMap::new();
    for object in objects {
        let mut object = object.clone();
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let (kind, namespace) = (text(&object["kind"]), text(&object["metadata"]["namespace"]));
        let name = text(&object["metadata"]["name"]);
        object["metadata"] = json!({});
        if kind == "Namespace" {
            continue;
        }
        // Rights are compared one by one.
        if kind.ends_with("Role") {
            object["rules"] = json!([]);
        }
        known.insert(format!("{kind} {namespace}/{name}"), object);
    }
    known
}

/// Compares what kustomize and the chart make.
fn compare(title: &str, built: &str, charted: &str) {
    let (built, charted) = (objects(built), objects(charted));
    let (mut ours, mut theirs) = (known(&built), known(&charted));
    let image = |it: &mut Value| {
        for at in ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"] {
            if let Some(image) = it.pointer_mut(&format!("{at}/containers/0/image")) {
                *image = "hopclock".into();
            }
        }
    };
    ours.values_mut().chain(theirs.values_mut()).for_each(image);
    assert_eq!(ours.keys().collect::<BTreeSet<_>>(), theirs.keys().collect(), "{title}");
    for (name, object) in &ours {
        assert_eq!(object, &theirs[name], "{title}: {name}");
    }
    assert_eq!(granted(&built), granted(&charted), "{title}");
}

#[test]
fn every_overlay_comes_to_the_same_as_the_chart() {
    if !has_helm() {
        return;
    }
    for overlay in &OVERLAYS {
        let Some(text) = built(&overlay.folder()) else { return };
        compare(overlay.name, &text, &charted(&[overlay]));
    }
}

#[test]
fn components_of_a_service_can_be_combined_and_the_image_is_set_from_outside() {
    if !has_helm() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let from = crate::deploy::folder().join("kustomize");
    let copied = Command::new("cp").arg("-r").arg(from).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    let mine = folder.path().join("kustomize/mine");
    std::fs::create_dir(&mine).unwrap();
    let overlays: Vec<_> =
        OVERLAYS.iter().filter(|it| !["base", "cronjob"].contains(&it.name)).collect();
    assert_eq!(overlays.len(), 3);
    let components: Vec<_> =
        overlays.iter().map(|it| format!("../components/{}", it.name)).collect();
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["../base"], "components": components,
        // As `kustomize edit set image hopclock=registry.example.com/hopclock:1.2.3` writes it.
        "images": [{"name": "hopclock", "newName": "registry.example.com/hopclock", "newTag": "1.2.3"}],
    });
    std::fs::write(mine.join("kustomization.yaml"), kustomization.to_string()).unwrap();
    let Some(text) = built(&mine) else { return };
    assert_eq!(text.matches("image: registry.example.com/hopclock:1.2.3\n").count(), 1);
    compare("all of them", &text, &charted(&overlays));
}

/// Whether Flux leaves a text alone that says `${…}`.
fn is_verbatim(object: &Value) -> bool {
    let annotations = &object["metadata"]["annotations"];
    annotations["kustomize.toolkit.fluxcd.io/substitute"] == "disabled"
}

#[test]
fn flux_puts_no_values_of_its_own_into_dashboards_and_scenarios() {
    if !has_helm() {
        return;
    }
    for overlay in &OVERLAYS {
        let chart = objects(&charted(&[overlay]));
        let Some(text) = built(&overlay.folder()) else { return };
        for object in chart.iter().chain(&objects(&text)) {
            let is_map = object["kind"] == "ConfigMap";
            assert_eq!(is_verbatim(object), is_map, "{}: {}", overlay.name, object["metadata"]);
            // What is not kept from it has nothing to substitute.
            assert!(is_map || !object.to_string().contains("${"), "{}", object["metadata"]);
        }
    }
    let guide = std::fs::read_to_string(folder().join("flux/README.md")).unwrap();
    assert!(guide.contains("`$${canary}`"), "{guide}");
}
