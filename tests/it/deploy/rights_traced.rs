//! Rights to find the traces of Flux: the chart grants what a run reads for that and nothing else, and
//! without any one of them a run says which it is.

use crate::chart_kit::has_helm;
use crate::cli::kit::{HOPS, SOURCE, Stage, Told, lane, scenario};
use crate::cli::serve_kit::record;
use crate::deploy::rendered_with;
use crate::deploy::rights::{Right, USER, granted, install, set_roles, values, without};
use crate::exports::kit::{Mood, OtherEnd};
use crate::exports::traces::{alert, sha256};
use hopclock_sandbox::pipeline::{Door, Hook};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A lane whose source a Kustomization has made, and an Alert that tells of it as traces.
async fn traced() -> (Stage, String) {
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Locked)).await;
    let labels = json!({"metadata": {"labels": {
        "kustomize.toolkit.fluxcd.io/name": "root",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    }}});
    stage.change("GitRepository", "canary", &labels);
    stage.create(json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"namespace": "flux-system", "name": "root"},
        "spec": {"suspend": true, "interval": "1h", "prune": true, "path": "./",
            "sourceRef": {"kind": "GitRepository", "name": "platform"}},
    }));
    let uid =
        alert(&stage, "traces", "otel", &json!([{"kind": "GitRepository", "name": "canary"}]));
    // The one at the root has never applied anything.
    (stage, sha256(&format!("{uid}:unknown")))
}

/// A right to everything of a kind, in a namespace or in all.
fn right(place: &str, resource: &str, verb: &str) -> Right {
    (place.to_owned(), resource.to_owned(), String::new(), verb.to_owned())
}

/// The same objects with the right to read this Kustomization as well.
fn reading_the_applier(mut objects: Vec<Value>, place: &str) -> Vec<Value> {
    let is_role = |it: &&mut Value| ["Role", "ClusterRole"].contains(&it["kind"].as_str().unwrap());
    let role = objects
        .iter_mut()
        .filter(is_role)
        .find(|it| it["metadata"]["namespace"].as_str().unwrap_or_default() == place);
    let rule = json!({"apiGroups": ["kustomize.toolkit.fluxcd.io"], "resources": ["kustomizations"],
        "resourceNames": ["canary"], "verbs": ["get"]});
    role.unwrap()["rules"].as_array_mut().unwrap().push(rule);
    objects
}

#[tokio::test]
async fn without_any_right_to_the_traces_of_flux_a_run_names_it_and_goes_on() {
    if !has_helm() {
        return;
    }
    for (scope, place) in [("cluster", ""), ("namespaces", "flux-system")] {
        let (stage, expected) = traced().await;
        let other = OtherEnd::start(Mood::Takes).await;
        let text = scenario("canary", SOURCE, HOPS);
        let file = stage.file("canary.yaml", &text);
        let rendered = |more: &str| {
            let rbac = format!("rbac: {{ scope: {scope}, secrets: [flux-system/canary-git] }}");
            let values = values(&[("canary", text.clone())], &format!("{rbac}\n{more}"));
            rendered_with(&values).unwrap()
        };
        let endpoint = other.url("");
        let push = format!("push: {{ otlp: \"{endpoint}\" }}");
        let (with, silent) = (rendered(&push), rendered(""));
        let off = "extraEnv: [{ name: OTEL_TRACES_EXPORTER, value: none }]";
        assert_eq!(granted(&rendered(&format!("{push}\n{off}"))), granted(&silent));
        let added: BTreeSet<_> = granted(&with).difference(&granted(&silent)).cloned().collect();
        let provider = right(place, "providers.notification.toolkit.fluxcd.io", "get");
        let root = right(place, "kustomizations.kustomize.toolkit.fluxcd.io", "get");
        assert_eq!(added, BTreeSet::from([provider.clone(), root.clone()]), "{scope}");
        install(&stage, &with);
        stage.file("restricted", &stage.sandbox.api().kubeconfig(Some((USER, &[]))));
        let run = || async {
            let call = ["run", file, "--kubeconfig", "restricted", "--namespace", "hopclock"];
            let ways = ["--output", "json", "--otlp-endpoint", &endpoint];
            let told: Told = stage.tell(&[&call[..], &ways].concat()).await;
            assert_eq!(told.code, Some(0), "{scope}: {told:?}");
            (record(&told).trace_id.unwrap().to_string(), told.err)
        };
        let (trace, err) = run().await;
        assert_eq!(trace, expected, "{scope}: {err}");
        assert!(!err.contains("trace"), "{scope}: {err}");
        let alerts = right(place, "alerts.notification.toolkit.fluxcd.io", "list");
        for right in [alerts, provider, root] {
            // What a run reads anyway is no part of it.
            set_roles(&stage, &reading_the_applier(without(&with, &right), place));
            let (trace, err) = run().await;
            assert_ne!(trace, expected, "{right:?}: {err}");
            let named = format!("`{}` of `{}`", right.3, right.1);
            let warned = err.lines().any(|it| it.contains("trace") && it.contains(&named));
            assert!(warned, "{scope}, {right:?}: {err}");
        }
    }
}
