//! Every manifest is taken by an API server: that of the sandbox, by the real kubectl.

use crate::chart_kit::has_helm;
use crate::cli::kit::has;
use crate::deploy::chart::all_rendered;
use crate::deploy::{files, folder, kustomize, objects, serve_kinds};
use hopclock_sandbox::pipeline::{Sandbox, SandboxOptions};
use hopclock_sandbox::store::Key;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A cluster in which everything may be installed that a platform team has.
async fn cluster() -> Sandbox {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    serve_kinds(sandbox.store());
    sandbox
}

/// Applies a stream of objects, twice: the second time nothing is changed.
async fn apply(sandbox: &Sandbox, title: &str, objects: &[Value]) {
    let text: Vec<_> = objects.iter().map(Value::to_string).collect();
    for _ in 0..2 {
        let mut call = Command::new("kubectl")
            .args(["apply", "--server-side", "--validate=false", "-f", "-"])
            .env("KUBECONFIG", sandbox.kubeconfig())
            .env("HOME", sandbox.kubeconfig().parent().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut input = call.stdin.take().unwrap();
        input.write_all(text.join("\n").as_bytes()).await.unwrap();
        drop(input);
        let output = call.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{title}: {said}");
    }
    for object in objects {
        let part = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let namespace = part(&metadata["namespace"]);
        let key = Key::new(object["kind"].as_str().unwrap(), &namespace, &part(&metadata["name"]));
        assert!(sandbox.store().get(&key).is_some(), "{title}: {key:?} is not there");
    }
}

/// Whether there is kubectl.
fn has_kubectl() -> bool {
    let found = has("kubectl");
    let required = std::env::var("HOPCLOCK_REQUIRE_TOOLS").is_ok_and(|it| it == "1");
    assert!(found || !required, "`kubectl` is not on the PATH, but required");
    found
}

#[tokio::test]
async fn an_api_server_takes_all_that_the_chart_makes() {
    if !has_helm() || !has_kubectl() {
        return;
    }
    for (name, objects) in all_rendered() {
        apply(&cluster().await, &name, &objects).await;
    }
}

#[tokio::test]
async fn an_api_server_takes_all_that_kustomize_makes() {
    if !has_kubectl() {
        return;
    }
    let kustomize = folder().join("kustomize");
    let overlays =
        std::fs::read_dir(kustomize.join("overlays")).unwrap().map(|it| it.unwrap().path());
    for path in overlays.chain([kustomize.join("base")]) {
        let Some(text) = kustomize::built(&path) else { return };
        apply(&cluster().await, &path.display().to_string(), &objects(&text)).await;
    }
}

#[tokio::test]
async fn an_api_server_takes_what_the_examples_hold() {
    if !has_kubectl() {
        return;
    }
    for folder in [folder().join("flux"), folder().join("flux/canary-repository/canary")] {
        let sandbox = cluster().await;
        for file in files(&folder, "yaml") {
            apply(&sandbox, &file.display().to_string(), &manifests(&file)).await;
        }
    }
}

/// The objects of a file, but for what is no object.
fn manifests(file: &Path) -> Vec<Value> {
    let all = objects(&std::fs::read_to_string(file).unwrap());
    let is_object = |it: &Value| {
        it["kind"] != json!(null) && !it["apiVersion"].to_string().contains("kustomize.config")
    };
    all.into_iter().filter(is_object).collect()
}
