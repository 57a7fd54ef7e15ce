//! The chart: it lints, is what Kubernetes knows, and runs as nobody who could do harm.

use crate::chart_kit::has_helm;
use crate::deploy::{
    HOPS, NAME, chart, custom, files, helm, is_exactly, job_values, objects, of, one, pods,
    rendered, rendered_with,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What each file in `ci` comes to, the defaults among them, with its name.
pub(super) fn all_rendered() -> Vec<(String, Vec<Value>)> {
    let mut all = vec![("the defaults".to_owned(), rendered(&[]).unwrap())];
    for file in files(&chart().join("ci"), "yaml") {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        all.push((
            name,
            rendered(&[&file]).unwrap_or_else(|it| panic!("{}: {it}", file.display())),
        ));
    }
    assert!(all.len() > 5);
    all
}

#[test]
fn the_chart_lints_with_every_file_of_values() {
    if !has_helm() {
        return;
    }
    for file in files(&chart().join("ci"), "yaml") {
        let linted = helm(&["lint", "--strict"], &[&file]);
        assert!(linted.is_ok(), "{}: {linted:?}", file.display());
    }
}

#[test]
fn every_object_is_one_that_kubernetes_knows() {
    if !has_helm() {
        return;
    }
    for (name, objects) in all_rendered() {
        for object in objects {
            match object["kind"].as_str().unwrap() {
                "Deployment" => is_exactly::<Deployment>(&object),
                "CronJob" => is_exactly::<CronJob>(&object),
                "Service" => is_exactly::<Service>(&object),
                "ServiceAccount" => is_exactly::<ServiceAccount>(&object),
                "ConfigMap" => is_exactly::<ConfigMap>(&object),
                "PersistentVolumeClaim" => is_exactly::<PersistentVolumeClaim>(&object),
                "NetworkPolicy" => is_exactly::<NetworkPolicy>(&object),
                "Role" => is_exactly::<Role>(&object),
                "RoleBinding" => is_exactly::<RoleBinding>(&object),
                "ClusterRole" => is_exactly::<ClusterRole>(&object),
                "ClusterRoleBinding" => is_exactly::<ClusterRoleBinding>(&object),
                _ => custom::is_known(&object),
            }
            let label = &object["metadata"]["labels"]["app.kubernetes.io/instance"];
            assert_eq!(label, "hopclock", "{name}: {object:#}");
        }
    }
}

#[test]
fn pods_are_what_the_restricted_standard_asks_for_and_write_nowhere() {
    if !has_helm() {
        return;
    }
    let mut seen = 0;
    for (name, objects) in all_rendered() {
        for pod in pods(&objects) {
            seen += 1;
            let security = &pod["securityContext"];
            assert_eq!(security["runAsNonRoot"], true, "{name}");
            assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault", "{name}");
            for field in ["hostNetwork", "hostPID", "hostIPC"] {
                assert!(pod[field].is_null(), "{name}: {field}");
            }
            let allowed = ["emptyDir", "configMap", "secret", "persistentVolumeClaim"];
            for volume in pod["volumes"].as_array().into_iter().flatten() {
                assert!(allowed.iter().any(|it| !volume[*it].is_null()), "{name}: {volume}");
            }
            let containers = pod["containers"].as_array().unwrap();
            assert_eq!(containers.len(), 1, "{name}");
            let security = &containers[0]["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{name}");
            assert!(security["privileged"].is_null(), "{name}");
            let resources = &containers[0]["resources"];
            assert!(resources["limits"]["memory"].is_string(), "{name}: {resources}");
            let mounts = containers[0]["volumeMounts"].as_array().into_iter().flatten();
            let volumes: BTreeSet<_> = pod["volumes"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|it| &it["name"])
                .map(Value::to_string)
                .collect();
            let mounted: BTreeSet<_> = mounts.map(|it| it["name"].to_string()).collect();
            assert_eq!(mounted, volumes, "{name}: what is mounted is there");
        }
    }
    assert!(seen > 8, "{seen}");
}

#[test]
fn there_is_never_a_second_hopclock_and_its_files_are_there() {
    if !has_helm() {
        return;
    }
    for (name, objects) in all_rendered() {
        for deployment in of(&objects, "Deployment") {
            assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate", "{name}");
            assert_eq!(deployment["spec"]["replicas"], 1, "{name}");
            let ports = &deployment["spec"]["template"]["spec"]["containers"][0]["ports"];
            let ports: BTreeSet<_> =
                ports.as_array().unwrap().iter().map(|it| it["name"].to_string()).collect();
            let service = one(&objects, "Service")["spec"]["ports"].as_array().unwrap();
            assert_eq!(
                service.iter().map(|it| it["targetPort"].to_string()).collect::<BTreeSet<_>>(),
                ports,
                "{name}"
            );
        }
        for job in of(&objects, "CronJob") {
            assert_eq!(job["spec"]["concurrencyPolicy"], "Forbid", "{name}");
            assert_eq!(job["spec"]["jobTemplate"]["spec"]["backoffLimit"], 0, "{name}");
        }
        for account in of(&objects, "ServiceAccount") {
            assert_eq!(account["automountServiceAccountToken"], false, "{name}");
        }
    }
}

#[test]
fn scenarios_are_kept_as_they_were_given() {
    if !has_helm() {
        return;
    }
    let objects = rendered(&[&chart().join("ci/scenarios.yaml")]).unwrap();
    let data = &one(&objects, "ConfigMap")["data"];
    let written = data["image-tag.yaml"].as_str().unwrap();
    assert!(written.starts_with("# As `hopclock discover` writes it"), "{written}");
    let folder = tempfile::tempdir().unwrap();
    for (_, objects) in all_rendered() {
        for map in of(&objects, "ConfigMap") {
            for (file, text) in map["data"].as_object().unwrap() {
                if Path::new(file).extension().is_some_and(|it| it == "yaml") {
                    let path = folder.path().join(file);
                    std::fs::write(&path, text.as_str().unwrap()).unwrap();
                    let checked = std::process::Command::new(crate::cli::kit::program())
                        .arg("check")
                        .arg(&path)
                        .output()
                        .unwrap();
                    assert!(
                        checked.status.success(),
                        "{}",
                        String::from_utf8_lossy(&checked.stderr)
                    );
                }
            }
        }
    }
}

#[test]
fn a_cron_job_ticks_as_its_scenario_does() {
    if !has_helm() {
        return;
    }
    let objects = rendered(&[&chart().join("ci/cronjob-run.yaml")]).unwrap();
    let jobs: Vec<_> = of(&objects, "CronJob")
        .iter()
        .map(|it| {
            let spec = &it["spec"];
            let name = it["metadata"]["labels"]["hopclock.dev/scenario"].as_str().unwrap();
            format!("{name}: {} in {}", spec["schedule"], spec["timeZone"])
        })
        .collect();
    assert_eq!(
        jobs,
        [
            "every: \"*/15 * * * *\" in \"Etc/UTC\"",
            "odd: \"*/7 * * * *\" in \"Europe/Berlin\"",
            "office: \"*/30 8-18 * JAN-DEC MON-FRI\" in \"Europe/Berlin\"",
        ]
    );
}

#[test]
fn what_is_scraped_notified_and_trusted_is_what_the_values_say() {
    if !has_helm() {
        return;
    }
    let objects = rendered(&[&chart().join("ci/everything.yaml")]).unwrap();
    let monitor = one(&objects, "ServiceMonitor");
    assert_eq!(monitor["spec"]["scrapeClassicHistograms"], true);
    assert_eq!(monitor["spec"]["scrapeProtocols"][0], "PrometheusProto");
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], "http");
    assert_eq!(
        monitor["spec"]["selector"]["matchLabels"],
        one(&objects, "Service")["spec"]["selector"]
    );
    let groups = one(&objects, "PrometheusRule")["spec"]["groups"].as_array().unwrap();
    assert!(groups.iter().any(|it| it["name"] == "own"), "{groups:?}");
    let provider = one(&objects, "Provider");
    assert_eq!(provider["metadata"]["namespace"], "flux-system");
    assert_eq!(
        provider["spec"],
        json!({"type": "generic-hmac", "secretRef": {"name": "hopclock-token"},
            "address": "http://stopwatch.hopclock.svc:9781/notify/flux"})
    );
    let sources = &one(&objects, "Alert")["spec"]["eventSources"];
    assert_eq!(*sources, json!([{"kind": "Kustomization", "name": "canary"}]));
    let policy = &one(&objects, "NetworkPolicy")["spec"];
    assert_eq!(policy["podSelector"]["matchLabels"], one(&objects, "Service")["spec"]["selector"]);
    let flux = "/ingress/1/from/0/namespaceSelector/matchLabels/kubernetes.io~1metadata.name";
    assert_eq!(policy.pointer(flux).unwrap(), "flux-system");
    assert_eq!(policy["ingress"][1]["ports"][0]["port"], "notify");
    let pod = pods(&objects)[0];
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "registry.example.com/mirror/hopclock:1.2.3");
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "mirror"}]));
    let environment = container["env"].as_array().unwrap();
    let value = |name: &str| {
        let found = environment.iter().find(|it| it["name"] == name);
        found.and_then(|it| it["value"].as_str()).unwrap_or_else(|| panic!("{name}")).to_owned()
    };
    assert_eq!(value("SSL_CERT_DIR"), "/etc/hopclock/ca");
    assert_eq!(value("HTTPS_PROXY"), "http://proxy.example.com:3128");
    assert!(value("NO_PROXY").starts_with("$(KUBERNETES_SERVICE_HOST),.svc,"));
    assert!(value("NO_PROXY").ends_with(",.example.com"));
    assert_eq!(value("HOPCLOCK_REMOTE_WRITE_URL"), "https://metrics.example.com/api/v1/write");
    let claimed =
        rendered_with("{state: file, persistence: {enabled: true, existingClaim: mine}}").unwrap();
    assert!(of(&claimed, "PersistentVolumeClaim").is_empty());
    let volumes = pods(&claimed)[0]["volumes"].as_array().unwrap();
    let is_mine = |it: &Value| it["persistentVolumeClaim"]["claimName"] == "mine";
    assert!(volumes.iter().any(is_mine));
    let by_digest = rendered(&[&chart().join("ci/pod-monitor.yaml")]).unwrap();
    let image = pods(&by_digest)[0]["containers"][0]["image"].as_str().unwrap();
    assert!(image.starts_with("hopclock@sha256:"), "{image}");
    assert_eq!(one(&by_digest, "PodMonitor")["spec"]["scrapeClassicHistograms"], true);
}

/// What Helm shows after an installation. Only an installation shows it, and that needs a cluster; so
/// the very text is rendered as part of an object.
fn notes(values: &str) -> String {
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(chart()).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    let templates = copy.path().join("hopclock/templates");
    let text = std::fs::read_to_string(templates.join("NOTES.txt")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(templates.join(name), text).unwrap();
    write("_notes.tpl", &format!("{{{{ define \"notes\" }}}}{text}{{{{ end }}}}"));
    write("notes.yaml", "kind: Notes\ntext: {{ include \"notes\" . | toJson }}\n");
    let file = copy.path().join("values.yaml");
    std::fs::write(&file, values).unwrap();
    let output = Command::new("helm")
        .args(["template", NAME, "--namespace", NAME, "--kube-version", "1.33.0", "--values"])
        .args([file, copy.path().join("hopclock")])
        .env("HOME", copy.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all = objects(&String::from_utf8(output.stdout).unwrap());
    one(&all, "Notes")["text"].as_str().unwrap().to_owned()
}

#[test]
fn the_notes_say_what_comes_next() {
    if !has_helm() {
        return;
    }
    let none = notes("{}");
    assert!(none.contains("no scenario yet") && none.contains("hopclock discover"), "{none}");
    assert!(none.contains("Nobody is told to scrape it"), "{none}");
    let one = notes(&format!(
        "{{ scenarios: {{ canary: {{ {HOPS} }} }}, serviceMonitor: {{ enabled: true }} }}"
    ));
    assert!(one.contains("hopclock runs 1 scenario(s)."), "{one}");
    assert!(one.contains("--service-account hopclock/hopclock --namespace hopclock"), "{one}");
    assert!(!one.contains("Nobody is told"), "{one}");
    let jobs = notes(&job_values(&["canary", "other"]));
    assert!(jobs.contains("by a CronJob (2 in all)"), "{jobs}");
    assert!(jobs.contains("--from=cronjob/hopclock-SCENARIO try"), "{jobs}");
}
