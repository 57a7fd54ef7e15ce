//! A service in a pod: its own credentials, state, lanes and echo; and who may ask it for runs.
//!
//! What Kubernetes puts into a pod lies at fixed places, so a service is given a mount namespace
//! with these files in it, where such may be made.

use crate::cli::kit::{Stage, has, told};
use crate::cli::serve_kit::{QUIET, Running, Scene, canary, silent, trigger, write};
use hopclock::model::Outcome;
use hopclock_sandbox::store::Key;
use serde_json::{Value, json};
use tokio::process::Command;

const POD: &str = "system:serviceaccount:flux-system:hopclock";
const CI: &str = "system:serviceaccount:team:ci";

/// Allows a user something everywhere.
fn grant(stage: &Stage, user: &str, name: &str, rule: &Value) {
    let api = "rbac.authorization.k8s.io";
    stage.create(json!({"apiVersion": format!("{api}/v1"), "kind": "ClusterRole",
        "metadata": {"name": name}, "rules": [rule]}));
    stage.create(json!({"apiVersion": format!("{api}/v1"), "kind": "ClusterRoleBinding",
        "metadata": {"name": name}, "subjects": [{"kind": "User", "name": user}],
        "roleRef": {"kind": "ClusterRole", "name": name, "apiGroup": api}}));
}

fn may_run(scenario: &str) -> Value {
    json!({"nonResourceURLs": [format!("/run/{scenario}")], "verbs": ["post"]})
}

#[tokio::test]
async fn only_whom_the_cluster_knows_and_allows_may_ask_for_a_run() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    let api = stage.sandbox.api();
    let token = api.token_for(CI, &[]);
    let service = Running::start(&stage, &["--state", "none", "--token-review"]).await;
    service.eventually_ready().await;
    let ask = async |token: &str, code: i32, part: &str| {
        stage.file("token", token);
        let told = trigger(&stage, &service, "canary", &[]).await;
        assert_eq!(told.code, Some(code), "{told:?}");
        assert!(told.err.contains(part), "`{part}`: {told:?}");
        assert!(token.is_empty() || !told.err.contains(token), "{told:?}");
    };
    let server = format!("http://{}", service.address);
    let told = stage.tell(&["trigger", "canary", "--server", &server]).await;
    assert_eq!(told.code, Some(2), "without a token: {told:?}");
    ask("sandbox-nobodys", 2, "token").await;
    ask(&token, 2, CI).await;
    grant(&stage, CI, "of-another", &may_run("other"));
    ask(&token, 2, CI).await;
    grant(&stage, CI, "of-it", &may_run("canary"));
    let mut updates = stage.sandbox.git().watch_updates();
    ask(&token, 0, "").await;
    updates.recv().await.unwrap();
    assert!((service.value("hopclock_scheduled_runs_total canary").await - 1.0).abs() < 0.1);
    // It may ask, and hears that a run is under way.
    ask(&token, 3, "under way since").await;
    api.revoke(&token);
    ask(&token, 2, "token").await;
    let token = api.token_for(CI, &[]);
    api.go_away().await;
    ask(&token, 3, "refuses the connection").await;
    api.come_back().await.unwrap();
    service.eventually("/readyz", "connected to").await;
    ask(&token, 3, "under way since").await;
    assert!(!service.said().contains("sandbox-"), "a token is in no log: {}", service.said());
    assert!((service.value("hopclock_scheduled_runs_total canary").await - 1.0).abs() < 0.1);
    service.kill().await;
}

#[tokio::test]
async fn without_a_way_to_know_who_asks_there_is_no_such_page() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    stage.file("token", "secret");
    let service = Running::start(&stage, &["--state", "none"]).await;
    service.eventually_ready().await;
    let told = trigger(&stage, &service, "canary", &[]).await;
    assert!(told.code == Some(2) || told.code == Some(3), "{told:?}");
    assert!(service.value("hopclock_scheduled_runs_total canary").await < 0.1);
    assert_eq!(service.stop().await, Some(0));
}

/// A call that sees what a pod sees; none where no mount namespace may be made.
fn in_pod(stage: &Stage, arguments: &[&str]) -> Option<Command> {
    let inside = std::process::Command::new("unshare").args(["--mount", "true"]).output();
    if !has("unshare") || !inside.is_ok_and(|it| it.status.success()) {
        eprintln!("no mount namespace may be made here: a pod is not tested");
        return None;
    }
    let mut call = stage.call(&[]);
    let program = call.as_std().get_program().to_owned();
    let environment: Vec<_> = call
        .as_std()
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
        .collect();
    let script = "mount -t tmpfs pod /run && mkdir -p /var/run/secrets/kubernetes.io && \
                  cp -r account /var/run/secrets/kubernetes.io/serviceaccount && exec \"$@\"";
    call = Command::new("unshare");
    call.args(["--mount", "sh", "-ec", script, "sh"]).arg(program).args(arguments);
    call.current_dir(stage.folder.path()).env_clear().kill_on_drop(true);
    call.stdin(std::process::Stdio::null());
    call.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    for (name, value) in environment {
        if let Some(value) = value.filter(|_| name != "KUBECONFIG") {
            call.env(name, value);
        }
    }
    let address = stage.sandbox.api().addr();
    call.env("KUBERNETES_SERVICE_HOST", address.ip().to_string());
    call.env("KUBERNETES_SERVICE_PORT", address.port().to_string());
    call.env("HOSTNAME", "hopclock-0");
    Some(call)
}

/// The files that Kubernetes puts into a pod.
fn put_account(stage: &Stage) {
    let kubeconfig = stage.sandbox.api().kubeconfig(Some((POD, &[])));
    let config: Value = serde_saphyr::from_str(&kubeconfig).unwrap();
    let authority = config["clusters"][0]["cluster"]["certificate-authority-data"].as_str();
    let authority =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, authority.unwrap());
    let folder = stage.folder.path().join("account");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("ca.crt"), authority.unwrap()).unwrap();
    std::fs::write(folder.join("token"), config["users"][0]["user"]["token"].as_str().unwrap())
        .unwrap();
    std::fs::write(folder.join("namespace"), "flux-system").unwrap();
}

/// What the account of a service may do that is to run and to be asked for runs.
fn allow(stage: &Stage) {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let rules = [
        rule("source.toolkit.fluxcd.io", &["gitrepositories"], &["get", "list", "watch"]),
        rule("kustomize.toolkit.fluxcd.io", &["kustomizations"], &["get", "list", "watch"]),
        rule("notification.toolkit.fluxcd.io", &["receivers"], &["get", "list", "watch"]),
        rule("", &["secrets"], &["get"]),
        rule("", &["events"], &["list"]),
        rule("", &["configmaps"], &["get", "list", "watch", "create", "update", "patch"]),
        rule("coordination.k8s.io", &["leases"], &["get", "create", "update"]),
        rule("authentication.k8s.io", &["tokenreviews"], &["create"]),
        rule("authorization.k8s.io", &["subjectaccessreviews"], &["create"]),
        may_run("canary"),
    ];
    for (number, rule) in rules.iter().enumerate() {
        grant(stage, POD, &format!("pod-{number}"), rule);
    }
}

#[tokio::test]
async fn in_a_pod_account_state_lanes_echo_and_token_are_those_of_the_pod() {
    let stage = Stage::quick(&silent()).await;
    write(&stage, "canary.yaml", &canary(QUIET));
    put_account(&stage);
    allow(&stage);
    let arguments = Running::arguments(&["--token-review"]);
    let Some(call) = in_pod(&stage, &arguments) else { return };
    let service = Running::begin(call).await;
    assert!(service.said().contains("ConfigMap `flux-system/hopclock-state`"));
    service.eventually_ready().await;
    service.eventually("/readyz", "a watch event takes").await;
    let server = format!("http://{}", service.address);
    // A cron job in a pod of the same account.
    let ask = ["trigger", "canary", "--server", &server, "--wait", "--output", "json"];
    let call = in_pod(&stage, &ask).unwrap();
    let scene = Scene { stage, service };
    let mut updates = scene.stage.sandbox.git().watch_updates();
    let (told, ()) = tokio::join!(told(call), async {
        updates.recv().await.unwrap();
        let lease = scene.stage.sandbox.store().list("Lease", Some("flux-system")).0;
        assert_eq!(lease[0]["spec"]["holderIdentity"], "hopclock@hopclock-0");
        scene.fetch();
    });
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(crate::cli::serve_kit::record(&told).outcome, Outcome::Ok);
    let key = Key::new("ConfigMap", "flux-system", "hopclock-state");
    let stored = scene.stage.sandbox.store().get(&key).unwrap();
    assert_eq!(stored["metadata"]["annotations"]["hopclock.dev/written-by"], "hopclock@hopclock-0");
    assert_eq!(scene.service.stop().await, Some(0));
    // The next pod goes on with the totals.
    let service = Running::begin(in_pod(&scene.stage, &arguments).unwrap()).await;
    service.eventually_ready().await;
    assert!((service.value("hopclock_runs_total canary ok").await - 1.0).abs() < 0.1);
    assert_eq!(service.stop().await, Some(0));
}
