//! The real `kubectl` against the sandbox; skipped, and said so, where there is none.

use std::{path::Path, process::Stdio};

use hopclock_sandbox::api::{Options, Tls};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::Lab;

struct Kubectl {
    lab: Lab,
    home: tempfile::TempDir,
}

impl Kubectl {
    /// A server with one widget, and kubectl pointed at it; nothing where kubectl is absent.
    async fn new() -> Option<Self> {
        let found = Command::new("kubectl").args(["version", "--client"]).output().await.is_ok();
        if !found {
            let required = std::env::var_os("HOPCLOCK_REQUIRE_TOOLS").is_some_and(|v| v == "1");
            assert!(!required, "kubectl is not on PATH and HOPCLOCK_REQUIRE_TOOLS=1 asks for it");
            eprintln!("SKIPPED: kubectl is not on PATH");
            return None;
        }
        let tls = Some(Tls::self_signed().unwrap());
        let lab = Lab::with(Options { tls, ..Options::default() }).await;
        // After a 404 kubectl asks whether it was the namespace that is missing.
        let namespace = json!({ "kind": "Namespace", "metadata": { "name": "lab" } });
        lab.store.create(namespace, "test").unwrap();
        lab.widget("a", &Value::Null);
        let home = tempfile::tempdir().unwrap();
        lab.server.write_kubeconfig(&home.path().join("config")).unwrap();
        Some(Self { lab, home })
    }

    fn command(&self, arguments: &str) -> Command {
        let home: &Path = self.home.path();
        let mut command = Command::new("kubectl");
        command
            .args(arguments.split(' '))
            .env("KUBECONFIG", home.join("config"))
            .env("HOME", home)
            .env("NO_PROXY", "*")
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &str) -> String {
        let output = self.command(arguments).output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test]
async fn kubectl_lists_gets_patches_and_deletes() {
    let Some(kubectl) = Kubectl::new().await else { return };
    assert_eq!(kubectl.run("get widgets -A -o name").await, "widget.lab.hopclock.dev/a\n");
    assert!(kubectl.run("get widgets -n lab").await.contains("NAME"));
    let object: Value =
        serde_json::from_str(&kubectl.run("get widget a -n lab -o json").await).unwrap();
    assert_eq!(object["spec"]["size"], 1);
    kubectl.run(r#"patch widget a -n lab --type=merge -p {"spec":{"size":4}}"#).await;
    kubectl.run("annotate widget a -n lab hopclock.dev/canary=me").await;
    let object = &kubectl.lab.store.list("Widget", None).0[0];
    assert_eq!(object["spec"]["size"], 4);
    assert_eq!(object["metadata"]["annotations"]["hopclock.dev/canary"], "me");
    kubectl.run("delete widget a -n lab --timeout=15s").await;
    assert_eq!(kubectl.lab.store.list("Widget", None).0.len(), 0);
    let missing = kubectl.command("get widget a -n lab").output().await.unwrap();
    assert_eq!(
        String::from_utf8(missing.stderr).unwrap(),
        "Error from server (NotFound): widgets.lab.hopclock.dev \"a\" not found\n"
    );
}

#[tokio::test]
async fn kubectl_creates_and_applies_without_validation() {
    let Some(kubectl) = Kubectl::new().await else { return };
    let map = kubectl.home.path().join("map.yaml");
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: m, namespace: lab }\n";
    std::fs::write(&map, yaml).unwrap();
    kubectl.run(&format!("create --validate=false -f {}", map.display())).await;
    let file = kubectl.home.path().join("widget.yaml");
    let yaml = |size: u32| {
        format!(
            "apiVersion: lab.hopclock.dev/v1\nkind: Widget\nmetadata: {{ name: w, namespace: lab \
             }}\nspec: {{ size: {size} }}\n"
        )
    };
    std::fs::write(&file, yaml(1)).unwrap();
    let apply = format!("apply --validate=false -f {}", file.display());
    kubectl.run(&apply).await;
    std::fs::write(&file, yaml(2)).unwrap();
    kubectl.run(&apply).await;
    std::fs::write(&file, yaml(3)).unwrap();
    kubectl.run(&format!("{apply} --server-side --force-conflicts")).await;
    let object = kubectl.run("get widget w -n lab -o jsonpath={.spec.size}").await;
    assert_eq!(object, "3");
    let token = kubectl.run("config view --minify --raw -o jsonpath={.users[0].user.token}").await;
    assert_eq!(token, kubectl.lab.server.admin_token());
}

#[tokio::test]
async fn kubectl_watches() {
    let Some(kubectl) = Kubectl::new().await else { return };
    let mut child = kubectl
        .command("get widgets -n lab -w --output-watch-events -o name")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = tokio::time::timeout(super::PATIENCE, lines.next_line());
        line.await.expect("kubectl has to say something").unwrap().unwrap()
    };
    assert!(next().await.contains('a'));
    kubectl.lab.grow("a", 2);
    let line = next().await;
    assert!(line.contains("widget.lab.hopclock.dev/a"), "{line}");
    child.kill().await.unwrap();
}
