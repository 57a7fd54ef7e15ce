//! A service with the chart's arguments, files and rights, and no others, does all its work.

use crate::chart_kit::has_helm;
use crate::cli::kit::{SOURCE, Stage, lane, scenario};
use crate::cli::serve_kit::{QUIET, Running, record, trigger};
use crate::deploy::{block, of, one, pods, rendered_with, texts};
use hopclock::model::Outcome;
use hopclock_sandbox::pipeline::{Door, Hook};
use hopclock_sandbox::store::{Key, Part};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const USER: &str = "system:serviceaccount:hopclock:hopclock";

const VALUES: &str = "
rbac: { secrets: [flux-system/canary-git] }
requests: { by: review, accounts: [{ namespace: team, name: ci }] }
notifications: { enabled: true, listeners: { flux: { secret: flux-system/hopclock-token } } }
scenarios:
  canary: |
";

/// The arguments of the chart's container, where this machine's files and ports are.
fn arguments(objects: &[Value]) -> Vec<String> {
    let moved = |it: &str| {
        let it = it
            .replace("/etc/hopclock/scenarios", "scenarios")
            .replace("/var/cache/hopclock", "cache");
        it.replace("0.0.0.0:9780", "127.0.0.1:0").replace("0.0.0.0:9781", "127.0.0.1:0")
    };
    texts(&pods(objects)[0]["containers"][0]["args"]).into_iter().map(moved).collect()
}

/// Gives the chart's account other rules in a role.
fn set_rules(stage: &Stage, role: &Value, keep: impl Fn(&Value) -> bool) {
    let text = |field: &str| role["metadata"][field].as_str().unwrap_or_default();
    let key = Key::new(role["kind"].as_str().unwrap(), text("namespace"), text("name"));
    let rules: Vec<_> = role["rules"].as_array().unwrap().iter().filter(|it| keep(it)).collect();
    assert!(rules.len() <= role["rules"].as_array().unwrap().len());
    stage.sandbox.store().merge(&key, &json!({"rules": rules}), Part::Whole, "test").unwrap();
}

/// Posts something to the listener, as Flux does.
async fn notify(address: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /notify/flux HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    let request = format!("{head}X-Signature: sha256=00\r\nContent-Length: 2\r\n\r\n{{}}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[tokio::test]
async fn a_service_does_all_its_work_with_the_charts_rights_and_names_those_that_are_taken_away() {
    if !has_helm() {
        return;
    }
    let stage = Stage::quick(&lane("canary", Hook::Right, Door::Locked)).await;
    let text = scenario("canary", SOURCE, QUIET);
    let lines = block(&text);
    let objects = rendered_with(&format!("{VALUES}{lines}")).unwrap();
    for kind in ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"] {
        for object in of(&objects, kind) {
            stage.create(object.clone());
        }
    }
    stage.create(json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "hopclock-token", "namespace": "flux-system"},
        "stringData": {"token": "planted"}}));
    std::fs::create_dir(stage.folder.path().join("scenarios")).unwrap();
    for (file, text) in one(&objects, "ConfigMap")["data"].as_object().unwrap() {
        std::fs::write(stage.folder.path().join("scenarios").join(file), text.as_str().unwrap())
            .unwrap();
    }
    stage.file("restricted", &stage.sandbox.api().kubeconfig(Some((USER, &[]))));
    stage.file("token", &stage.sandbox.api().token_for("system:serviceaccount:team:ci", &[]));
    let arguments = arguments(&objects);
    let all: Vec<_> =
        arguments.iter().map(String::as_str).chain(["--kubeconfig", "restricted"]).collect();
    let service = Running::begin(stage.call(&all)).await;
    service.eventually_ready().await;
    service.eventually("/readyz", "a watch event takes").await;
    let told = trigger(&stage, &service, "canary", &["--wait", "--output", "json"]).await;
    assert_eq!(told.code, Some(0), "{told:?}\n{}", service.said());
    assert_eq!(record(&told).outcome, Outcome::Ok);
    let state = Key::new("ConfigMap", "hopclock", "hopclock-state");
    assert!(stage.sandbox.store().get(&state).unwrap()["binaryData"]["canary.json.gz"].is_string());
    assert!(!service.said().contains("not allowed"), "{}", service.said());
    // Who asks is known by two questions, each with a rule of its own.
    let everywhere = *of(&objects, "ClusterRole")
        .iter()
        .find(|it| it["metadata"]["name"] == "hopclock-hopclock")
        .unwrap();
    for resource in ["tokenreviews", "subjectaccessreviews"] {
        set_rules(&stage, everywhere, |it| it["resources"][0] != resource);
        let told = trigger(&stage, &service, "canary", &[]).await;
        assert_eq!(told.code, Some(3), "{told:?}");
        assert!(told.err.contains(&format!("`create` of `{resource}")), "{told:?}");
    }
    set_rules(&stage, everywhere, |_| true);
    assert_eq!(service.stop().await, Some(0));
    // The token of a listener is one of the Secrets that the Role names.
    let beside = *of(&objects, "Role")
        .iter()
        .find(|it| it["metadata"]["namespace"] == "flux-system")
        .unwrap();
    set_rules(&stage, beside, |it| it["resources"][0] != "secrets");
    let service = Running::begin(stage.call(&all)).await;
    // By then the cluster is there, and the scenario's own Secret is missed.
    service.eventually_says("`get` of `secrets` named `canary-git`").await;
    let said = service.said();
    let (_, address) = said.split_once("notifications come to http://").unwrap();
    notify(address.split_once('/').unwrap().0).await;
    service.eventually_says("`get` of `secrets` named `hopclock-token`").await;
    service.kill().await;
}
