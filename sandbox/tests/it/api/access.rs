//! Who may do what, over HTTP: tokens, refusals, reviews and the log of requests.

use hopclock_sandbox::api::{Anonymous, Options};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Lab, MAPS, WIDGETS, answer, refusal};

const PROBE: &str = "system:serviceaccount:lab:probe";

/// Lets the probe read widgets in `lab` and patch the one named `canary`.
fn grant(lab: &Lab) {
    let role = json!({
        "kind": "Role",
        "metadata": { "name": "probe", "namespace": "lab" },
        "rules": [
            { "verbs": ["get", "list", "watch"], "apiGroups": ["lab.hopclock.dev"],
              "resources": ["widgets"] },
            { "verbs": ["patch"], "apiGroups": ["lab.hopclock.dev"], "resources": ["widgets"],
              "resourceNames": ["canary"] },
            { "verbs": ["watch"], "apiGroups": [""], "resources": ["configmaps"],
              "resourceNames": ["canary"] },
        ],
    });
    let binding = json!({
        "kind": "RoleBinding",
        "metadata": { "name": "probe", "namespace": "lab" },
        "subjects": [{ "kind": "ServiceAccount", "name": "probe", "namespace": "lab" }],
        "roleRef": { "kind": "Role", "name": "probe", "apiGroup": "rbac.authorization.k8s.io" },
    });
    lab.store.create(role, "test").unwrap();
    lab.store.create(binding, "test").unwrap();
}

#[tokio::test]
async fn a_wrong_token_is_401_and_none_is_403() {
    let lab = Lab::new().await;
    let wrong = answer(lab.request(Method::GET, WIDGETS, "wrong")).await;
    assert_eq!(refusal(wrong), ("401 Unauthorized".into(), "Unauthorized".into()));
    let (code, message) = refusal(answer(lab.without_token(WIDGETS)).await);
    assert_eq!(code, "403 Forbidden");
    assert_eq!(
        message,
        "widgets.lab.hopclock.dev is forbidden: User \"system:anonymous\" cannot list resource \
         \"widgets\" in API group \"lab.hopclock.dev\" in the namespace \"lab\""
    );
    assert_eq!(answer(lab.without_token("/readyz")).await.0, 200);
    let token = lab.server.token_for("jane", &["system:masters"]);
    assert_eq!(answer(lab.request(Method::GET, WIDGETS, &token)).await.0, 200);
    lab.server.revoke(&token);
    assert_eq!(answer(lab.request(Method::GET, WIDGETS, &token)).await.0, 401);
}

#[tokio::test]
async fn roles_decide_by_verb_place_and_name() {
    let lab = Lab::new().await;
    lab.widget("canary", &Value::Null);
    lab.widget("other", &Value::Null);
    let token = lab.server.token_for(PROBE, &[]);
    let code = async |method: Method, path: &str| {
        let patch = lab.request(method, path, &token).body("{}");
        answer(patch.header("content-type", "application/merge-patch+json")).await.0
    };
    assert_eq!(code(Method::GET, WIDGETS).await, 403);
    grant(&lab);
    assert_eq!(code(Method::GET, WIDGETS).await, 200, "a grant works at once");
    assert_eq!(code(Method::PATCH, &format!("{WIDGETS}/canary")).await, 200);
    assert_eq!(code(Method::PATCH, &format!("{WIDGETS}/other")).await, 403);
    assert_eq!(code(Method::PATCH, &format!("{WIDGETS}/canary/status")).await, 403);
    assert_eq!(code(Method::GET, "/apis/lab.hopclock.dev/v1/widgets").await, 403);
    assert_eq!(code(Method::GET, MAPS).await, 403);
    assert_eq!(code(Method::GET, "/apis").await, 200);
}

#[tokio::test]
async fn a_watch_of_one_name_needs_the_permission_for_that_name_only() {
    let lab = Lab::new().await;
    grant(&lab);
    let token = lab.server.token_for(PROBE, &[]);
    let code = async |name: &str| {
        let field = format!("fieldSelector=metadata.name%3D{name}");
        let path = format!("{MAPS}?watch=true&timeoutSeconds=1&{field}");
        answer(lab.request(Method::GET, &path, &token)).await.0
    };
    assert_eq!(code("canary").await, 200);
    assert_eq!(code("other").await, 403);
}

#[tokio::test]
async fn access_reviews_answer_as_the_guard_does() {
    let lab = Lab::new().await;
    grant(&lab);
    let token = lab.server.token_for(PROBE, &[]);
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let allowed = async |attributes: Value| {
        let body = json!({ "spec": attributes });
        let (code, review) = answer(lab.request(Method::POST, reviews, &token).json(&body)).await;
        assert_eq!(code, 201, "{review}");
        review["status"]["allowed"].as_bool().unwrap()
    };
    let ask = |verb: &str, name: &str, subresource: &str| {
        json!({ "resourceAttributes": {
            "namespace": "lab", "group": "lab.hopclock.dev", "resource": "widgets",
            "verb": verb, "name": name, "subresource": subresource,
        }})
    };
    assert!(allowed(ask("watch", "", "")).await);
    assert!(allowed(ask("patch", "canary", "")).await);
    assert!(!allowed(ask("patch", "", "")).await);
    assert!(!allowed(ask("patch", "canary", "status")).await);
    assert!(allowed(json!({ "nonResourceAttributes": { "path": "/api", "verb": "get" } })).await);
    let others = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let mut spec = ask("watch", "", "");
    spec["user"] = PROBE.into();
    let (_, review) = lab.send(Method::POST, others, &json!({ "spec": spec })).await;
    assert_eq!(review["status"]["allowed"], true);
}

#[tokio::test]
async fn rules_and_token_reviews_tell_what_holds() {
    let lab = Lab::new().await;
    grant(&lab);
    let token = lab.server.token_for(PROBE, &[]);
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let body = json!({ "spec": { "namespace": "lab" } });
    let (_, review) = answer(lab.request(Method::POST, reviews, &token).json(&body)).await;
    let rules = review["status"]["resourceRules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["resourceNames"] == json!(["canary"])), "{rules:?}");
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let status = async |token: &str| {
        let body = json!({ "spec": { "token": token } });
        lab.send(Method::POST, reviews, &body).await.1["status"].clone()
    };
    let good = status(&token).await;
    assert_eq!((&good["authenticated"], &good["user"]["username"]), (&json!(true), &json!(PROBE)));
    assert!(
        good["user"]["groups"].as_array().unwrap().contains(&json!("system:serviceaccounts:lab"))
    );
    assert_eq!(status("wrong").await["authenticated"], false);
}

#[tokio::test]
async fn a_service_account_gets_a_token_that_works() {
    let lab = Lab::new().await;
    grant(&lab);
    let accounts = "/api/v1/namespaces/lab/serviceaccounts";
    let request = format!("{accounts}/probe/token");
    assert_eq!(lab.send(Method::POST, &request, &json!({})).await.0, 404);
    lab.send(Method::POST, accounts, &json!({ "metadata": { "name": "probe" } })).await;
    let (_, answer_) = lab.send(Method::POST, &request, &json!({})).await;
    let token = answer_["status"]["token"].as_str().unwrap();
    assert_eq!(answer(lab.request(Method::GET, WIDGETS, token)).await.0, 200);
}

#[tokio::test]
async fn anonymous_may_be_an_administrator() {
    let lab = Lab::with(Options { anonymous: Anonymous::Admin, ..Options::default() }).await;
    assert_eq!(answer(lab.without_token(WIDGETS)).await.0, 200);
    assert_eq!(answer(lab.request(Method::GET, WIDGETS, "wrong")).await.0, 401);
}

#[tokio::test]
async fn requests_are_logged_with_user_verb_and_status() {
    let lab = Lab::with(Options { requests_kept: 2, ..Options::default() }).await;
    lab.get("/healthz").await;
    lab.get(&format!("{WIDGETS}?limit=5")).await;
    answer(lab.request(Method::DELETE, &format!("{WIDGETS}/x"), "wrong")).await;
    let log = lab.server.requests();
    let told: Vec<_> = log
        .iter()
        .map(|r| format!("{} {}?{} {} {} {}", r.method, r.path, r.query, r.user, r.verb, r.status))
        .collect();
    assert_eq!(
        told,
        [
            format!("GET {WIDGETS}?limit=5 system:admin list 200"),
            format!("DELETE {WIDGETS}/x?   401"),
        ]
    );
    assert!(log[0].at <= log[1].at);
}
