//! Questions about permissions and tokens, answered by the same authoriser that guards requests.

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use crate::store::{Key, Resource};

use super::{
    User,
    address::Place,
    auth::API_SERVER,
    rbac::{self, Question},
    refusal::{Refusal, json_response},
    route::Context,
};

/// Every resource that is asked and never stored.
pub(super) fn resources() -> Vec<Resource> {
    let of = |group: &str, plural: &str, kind: &str| {
        Resource::new(group, "v1", plural, kind).cluster_scoped().plain()
    };
    vec![
        of("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
        of("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
        of("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"),
        of("authentication.k8s.io", "tokenreviews", "TokenReview"),
        of("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview"),
    ]
}

/// The resource of this address, if it is one that is only asked.
pub(super) fn resource(group: &str, version: &str, plural: &str) -> Option<Resource> {
    let mut all = resources().into_iter();
    all.find(|one| one.group == group && one.version == version && one.plural == plural)
}

/// Whether a resource is only asked.
pub(super) fn is_review(resource: &Resource) -> bool {
    matches!(resource.group.as_str(), "authorization.k8s.io" | "authentication.k8s.io")
}

/// Answers a question that was posted.
pub(super) fn answer(context: &Context, user: &User, place: &Place, mut review: Value) -> Response {
    let spec = &review["spec"];
    let status = match place.resource.kind.as_str() {
        "SelfSubjectAccessReview" => access(context, user, spec),
        "SubjectAccessReview" => access(context, &subject(spec), spec),
        "SelfSubjectRulesReview" => rules(context, user, spec),
        "TokenReview" => token(context, spec),
        _ => json!({ "userInfo": { "username": user.name, "groups": user.groups } }),
    };
    review["kind"] = place.resource.kind.as_str().into();
    review["apiVersion"] = place.resource.api_version().into();
    review["status"] = status;
    json_response(StatusCode::CREATED, &review)
}

/// Makes a token for a service account, as `kubectl create token` asks for.
pub(super) fn token_request(context: &Context, place: &Place) -> Result<Response, Refusal> {
    let key = Key::new("ServiceAccount", &place.namespace, &place.name);
    if context.store.get(&key).is_none() {
        return Err(Refusal::not_found(&place.resource, &place.name));
    }
    let name = format!("system:serviceaccount:{}:{}", place.namespace, place.name);
    let token = context.tokens.mint(User::new(&name, &[]), API_SERVER);
    let expires = context.store.now() + jiff::SignedDuration::from_hours(1);
    let answer = json!({
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": { "name": place.name, "namespace": place.namespace },
        "status": {
            "token": token,
            "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        },
    });
    Ok(json_response(StatusCode::CREATED, &answer))
}

fn subject(spec: &Value) -> User {
    let groups: Vec<&str> =
        spec["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    User::new(spec["user"].as_str().unwrap_or_default(), &groups)
}

fn access(context: &Context, user: &User, spec: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let page = &spec["nonResourceAttributes"];
    let asked = &spec["resourceAttributes"];
    let (verb, path) = (text(&page["verb"]), text(&page["path"]));
    let resource = match text(&asked["subresource"]).as_str() {
        "" => text(&asked["resource"]),
        subresource => format!("{}/{subresource}", text(&asked["resource"])),
    };
    let attributes = ["verb", "group", "namespace", "name"].map(|field| text(&asked[field]));
    let question = if page.is_object() {
        Question::Page { verb: &verb, path: &path }
    } else {
        let [verb, group, namespace, name] = &attributes;
        Question::Resource { verb, group, resource: &resource, namespace, name }
    };
    json!({ "allowed": rbac::allows(&context.store, user, &question) })
}

fn rules(context: &Context, user: &User, spec: &Value) -> Value {
    let namespace = spec["namespace"].as_str().unwrap_or_default();
    let mut all = rbac::rules(&context.store, user, namespace);
    if user.is_in("system:masters") {
        all.push(json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }));
        all.push(json!({ "verbs": ["*"], "nonResourceURLs": ["*"] }));
    }
    let (pages, resources): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|rule| rule.get("nonResourceURLs").is_some());
    json!({ "resourceRules": resources, "nonResourceRules": pages, "incomplete": false })
}

fn token(context: &Context, spec: &Value) -> Value {
    let named = spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let audiences: Vec<&str> = named.collect();
    let audiences = if audiences.is_empty() { vec![API_SERVER] } else { audiences };
    let token = spec["token"].as_str().unwrap_or_default();
    let found = audiences.iter().find_map(|it| Some((it, context.tokens.user(token, it)?)));
    match found {
        Some((audience, user)) => json!({
            "authenticated": true,
            "user": { "username": user.name, "groups": user.groups },
            "audiences": [audience],
        }),
        None => json!({ "authenticated": false, "error": "the token is not known here" }),
    }
}
