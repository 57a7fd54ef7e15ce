//! Runs as Kubernetes Events: on the objects that people look at, a few that count.

use crate::cli::kit::{HOPS, SOURCE, Stage, has, told};
use serde_json::{Value, json};
use tokio::process::Command;

const USER: &str = "system:serviceaccount:hopclock:hopclock";

/// What hopclock has noted: object, type, reason, how often, message.
fn noted(stage: &Stage) -> Vec<[String; 5]> {
    let (all, _) = stage.sandbox.store().list("Event", None);
    let ours = all.iter().filter(|it| it["reportingComponent"] == "hopclock");
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let row = |it: &&_| -> [String; 5] {
        let it: &Value = it;
        let object = &it["involvedObject"];
        let name = format!("{} {}", text(&object["kind"]), text(&object["name"]));
        [
            name,
            text(&it["type"]),
            text(&it["reason"]),
            it["count"].to_string(),
            text(&it["message"]),
        ]
    };
    let ours: Vec<&Value> = ours.map(|it| &**it).collect();
    let mut rows: Vec<_> = ours.iter().map(row).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn each_object_of_a_run_has_one_event_that_counts() {
    let stage = Stage::new().await;
    let file = stage.scenario(SOURCE, HOPS);
    // A variable that is empty says nothing.
    let mut call = stage.call(&["run", file]);
    call.env("HOPCLOCK_EVENTS", "");
    let quiet = told(call).await;
    assert_eq!((quiet.code, noted(&stage).len()), (Some(0), 0), "{quiet:?}");
    for count in 1..=3_u32 {
        let mut call = stage.call(&["run", file]);
        call.env("HOPCLOCK_EVENTS", "true");
        let told = told(call).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(!told.err.contains("events:"), "{}", told.err);
        let noted = noted(&stage);
        let said: Vec<_> = noted.iter().map(|it| it[..4].join(" ")).collect();
        let expected = ["ConfigMap", "GitRepository", "Kustomization"]
            .map(|kind| format!("{kind} canary Normal HopclockReached {count}"));
        assert_eq!(said, expected);
        let fetched = &noted[1][4];
        assert!(fetched.starts_with("canary hopclock-"), "{fetched}");
        assert!(fetched.contains(" of scenario `canary` got here after "), "{fetched}");
        assert!(fetched.contains(", woken by webhook"), "{fetched}");
    }
}

#[tokio::test]
async fn kubectl_shows_them_where_people_look() {
    if !has("kubectl") {
        assert!(
            std::env::var("HOPCLOCK_REQUIRE_TOOLS").as_deref() != Ok("1"),
            "kubectl is missing"
        );
        return;
    }
    let stage = Stage::new().await;
    let file = stage.scenario(SOURCE, HOPS);
    let run = stage.tell(&["run", file, "--events"]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    // In this process is the server, too: nobody may block.
    let kubectl = async |arguments: &[&str]| {
        let mut call = Command::new("kubectl");
        call.args(arguments)
            .env("KUBECONFIG", stage.sandbox.kubeconfig())
            .env("HOME", stage.folder.path())
            .env("NO_PROXY", "*");
        let told = told(call).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        told.out
    };
    let columns = "custom-columns=:.involvedObject.kind,:.type,:.reason,:.count";
    let selector = "--field-selector=reportingComponent=hopclock";
    let all = kubectl(&["get", "events", "-n", "flux-system", selector, "-o", columns]).await;
    let mut rows: Vec<_> =
        all.lines().map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    rows.retain(|it| !it.is_empty());
    rows.sort();
    let of = |kind: &str| format!("{kind} Normal HopclockReached 1");
    assert_eq!(rows, [of("GitRepository"), of("Kustomization")]);
    let page = kubectl(&["describe", "configmap", "-n", "hopclock", "canary"]).await;
    let row =
        page.lines().find(|it| it.contains("HopclockReached")).unwrap_or_else(|| panic!("{page}"));
    assert!(
        row.contains("Normal") && row.contains("hopclock") && row.contains("got here"),
        "{row}"
    );
}

#[tokio::test]
async fn what_was_not_reached_or_failed_is_a_warning_there() {
    let stage = Stage::new().await;
    let git = format!("{SOURCE}, template: 'data: {{ canary: ${{canary}}'");
    let text = crate::cli::kit::scenario("canary", &git, HOPS);
    let text = text.replace("20s", "4s").replace("15s", "4s");
    let told = stage.tell(&["run", stage.file("canary.yaml", &text), "--events"]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    let said: Vec<_> = noted(&stage).into_iter().map(|it| it[..3].join(" ")).collect();
    assert_eq!(
        said,
        [
            "ConfigMap canary Warning HopclockNotReached",
            "GitRepository canary Normal HopclockReached",
            "Kustomization canary Warning HopclockFailed",
        ]
    );
}

#[tokio::test]
async fn who_may_not_write_them_is_told_once_what_to_grant() {
    let stage = Stage::new().await;
    let file = stage.scenario(SOURCE, HOPS);
    stage.file("kubeconfig", &stage.sandbox.api().kubeconfig(Some((USER, &[]))));
    let grant = |name: &str, rules: Value| {
        let rbac = "rbac.authorization.k8s.io";
        let version = format!("{rbac}/v1");
        let meta = json!({"name": name});
        stage.create(json!({"apiVersion": version, "kind": "ClusterRole", "metadata": meta,
            "rules": rules}));
        stage.create(json!({"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": meta,
            "subjects": [{"kind": "ServiceAccount", "name": "hopclock", "namespace": "hopclock"}],
            "roleRef": {"kind": "ClusterRole", "name": name, "apiGroup": rbac}}));
    };
    grant(
        "reads",
        json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]),
    );
    let run = ["run", file, "--events", "--kubeconfig", "kubeconfig"];
    let told = stage.tell(&run).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let rule = "`apiGroups: [\"\"], resources: [\"events\"], verbs: [\"patch\"]` in a Role";
    assert_eq!(told.err.matches("events: ").count(), 1, "{}", told.err);
    assert!(told.err.contains(rule), "{}", told.err);
    assert!(told.err.contains("Events need `create` and `patch` of `events`"), "{}", told.err);
    assert!(noted(&stage).is_empty());
    grant(
        "notes",
        json!([{"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}]),
    );
    let told = stage.tell(&run).await;
    assert!(!told.err.contains("events: "), "{}", told.err);
    assert_eq!(noted(&stage).len(), 3);
}
