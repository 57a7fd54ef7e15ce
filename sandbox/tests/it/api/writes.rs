//! Creating, replacing, patching and deleting, and what is refused.

use hopclock_sandbox::api::{Namespaces, Options};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Lab, MAPS, WIDGETS, answer, refusal};

fn widget(name: &str) -> Value {
    json!({
        "apiVersion": "lab.hopclock.dev/v1",
        "kind": "Widget",
        "metadata": { "name": name },
        "spec": { "size": 1 },
    })
}

#[tokio::test]
async fn an_object_can_be_created_read_and_deleted() {
    let lab = Lab::new().await;
    let (code, created) = lab.send(Method::POST, WIDGETS, &widget("a")).await;
    assert_eq!((code, &created["metadata"]["generation"]), (201, &json!(1)));
    assert_eq!(created["metadata"]["namespace"], "lab");
    let path = format!("{WIDGETS}/a");
    assert_eq!(lab.get(&path).await, (200, created.clone()));
    let (code, status) = lab.send(Method::DELETE, &path, &json!({})).await;
    assert_eq!((code, &status["status"]), (200, &json!("Success")));
    assert_eq!(status["details"]["uid"], created["metadata"]["uid"]);
    assert_eq!(
        refusal(lab.get(&path).await),
        ("404 NotFound".into(), "widgets.lab.hopclock.dev \"a\" not found".into())
    );
}

#[tokio::test]
async fn a_second_object_of_the_same_name_is_refused() {
    let lab = Lab::new().await;
    let map = json!({ "metadata": { "name": "a" } });
    assert_eq!(lab.send(Method::POST, MAPS, &map).await.0, 201);
    assert_eq!(
        refusal(lab.send(Method::POST, MAPS, &map).await),
        ("409 AlreadyExists".into(), "configmaps \"a\" already exists".into())
    );
}

#[tokio::test]
async fn a_replacement_that_knows_an_older_version_is_refused() {
    let lab = Lab::new().await;
    let (_, mut object) = lab.send(Method::POST, WIDGETS, &widget("a")).await;
    lab.grow("a", 5);
    object["spec"]["size"] = 2.into();
    let path = format!("{WIDGETS}/a");
    let (code, message) = refusal(lab.send(Method::PUT, &path, &object).await);
    assert_eq!(code, "409 Conflict");
    assert!(message.starts_with("Operation cannot be fulfilled on widgets.lab.hopclock.dev \"a\""));
    object["metadata"]["resourceVersion"] = lab.store.version().to_string().into();
    let (code, replaced) = lab.send(Method::PUT, &path, &object).await;
    assert_eq!((code, &replaced["spec"]["size"]), (200, &json!(2)));
    object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(refusal(lab.send(Method::PUT, &path, &object).await).0, "422 Invalid");
}

#[tokio::test]
async fn every_sort_of_patch_is_made() {
    let lab = Lab::new().await;
    lab.widget("a", &Value::Null);
    let path = format!("{WIDGETS}/a");
    let merge = r#"{"spec":{"size":null,"colour":"red"}}"#;
    let (code, object) = lab.patch(&path, "application/merge-patch+json", merge).await;
    assert_eq!((code, &object["spec"]), (200, &json!({ "colour": "red" })));
    let steps = r#"[{"op":"test","path":"/spec/colour","value":"red"},
                    {"op":"add","path":"/spec/size","value":3}]"#;
    let (code, object) = lab.patch(&path, "application/json-patch+json", steps).await;
    assert_eq!((code, &object["spec"]["size"]), (200, &json!(3)));
    assert_eq!(
        refusal(lab.patch(&path, "application/strategic-merge-patch+json", merge).await).0,
        "415 UnsupportedMediaType"
    );
    let failing = r#"[{"op":"test","path":"/spec/colour","value":"blue"}]"#;
    let refused = refusal(lab.patch(&path, "application/json-patch+json", failing).await);
    assert_eq!(refused.0, "422 Invalid");
}

#[tokio::test]
async fn kinds_of_kubernetes_take_strategic_patches() {
    let lab = Lab::new().await;
    let map = json!({ "metadata": { "name": "a" }, "data": { "x": "1" } });
    lab.send(Method::POST, MAPS, &map).await;
    let path = format!("{MAPS}/a");
    let more = r#"{"data":{"y":"2"}}"#;
    let (_, map) = lab.patch(&path, "application/strategic-merge-patch+json", more).await;
    assert_eq!(map["data"], json!({ "x": "1", "y": "2" }));
}

#[tokio::test]
async fn an_apply_creates_then_merges_and_names_its_manager() {
    let lab = Lab::new().await;
    let sort = "application/apply-patch+yaml";
    let path = format!("{WIDGETS}/a");
    let yaml =
        |size| format!("apiVersion: lab.hopclock.dev/v1\nkind: Widget\nspec:\n  size: {size}\n");
    assert_eq!(refusal(lab.patch(&path, sort, &yaml(1)).await).0, "422 Invalid");
    let path = format!("{path}?fieldManager=applier&force=true");
    assert_eq!(lab.patch(&path, sort, &yaml(1)).await.0, 201);
    let (code, object) = lab.patch(&path, sort, &yaml(2)).await;
    assert_eq!((code, &object["spec"]["size"]), (200, &json!(2)));
    let entry = &object["metadata"]["managedFields"][0];
    assert_eq!((&entry["manager"], &entry["operation"]), (&json!("applier"), &json!("Apply")));
    assert_eq!(object["metadata"]["generation"], 2);
}

#[tokio::test]
async fn status_is_written_through_its_subresource_only() {
    let lab = Lab::new().await;
    lab.widget("a", &Value::Null);
    let sort = "application/merge-patch+json";
    let both = r#"{"spec":{"size":9},"status":{"ready":true}}"#;
    let (_, object) = lab.patch(&format!("{WIDGETS}/a/status"), sort, both).await;
    assert_eq!(object["spec"]["size"], 1);
    assert_eq!(object["status"]["ready"], true);
    assert_eq!(object["metadata"]["generation"], 1);
    let other = r#"{"spec":{"size":9},"status":{"ready":false}}"#;
    let (_, object) = lab.patch(&format!("{WIDGETS}/a"), sort, other).await;
    assert_eq!((&object["spec"]["size"], &object["status"]["ready"]), (&json!(9), &json!(true)));
    assert_eq!(lab.get(&format!("{WIDGETS}/a/status")).await.1, object);
    assert_eq!(lab.patch(&format!("{MAPS}/a/status"), sort, both).await.0, 404);
}

#[tokio::test]
async fn a_collection_is_deleted_as_far_as_it_is_selected() {
    let lab = Lab::new().await;
    lab.widget("a", &json!({ "old": "yes" }));
    lab.widget("b", &json!({ "old": "yes" }));
    lab.widget("c", &Value::Null);
    let path = format!("{WIDGETS}?labelSelector=old%3Dyes");
    assert_eq!(lab.send(Method::DELETE, &path, &json!({})).await.0, 200);
    let (_, list) = lab.get(WIDGETS).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_writer_is_the_field_manager_or_the_user_agent() {
    let lab = Lab::new().await;
    let path = format!("{WIDGETS}?fieldManager=me");
    lab.send(Method::POST, &path, &widget("a")).await;
    let request = lab
        .request(Method::POST, WIDGETS, lab.server.admin_token())
        .header("user-agent", "kubectl/v1.32 (linux)")
        .json(&widget("b"));
    answer(request).await;
    let writers: Vec<_> = lab.store.changes().iter().map(|c| c.writer.clone()).collect();
    assert_eq!(writers, ["me", "kubectl"]);
}

#[tokio::test]
async fn what_does_not_fit_its_address_is_refused_with_the_reason() {
    let lab = Lab::new().await;
    let refused = async |object: Value| refusal(lab.send(Method::POST, WIDGETS, &object).await);
    let with = |field: &str, value: Value| {
        let mut object = widget("a");
        *object.pointer_mut(field).unwrap() = value;
        object
    };
    let wrong_version = refused(with("/apiVersion", json!("lab.hopclock.dev/v2"))).await;
    assert_eq!(wrong_version.0, "400 BadRequest");
    assert_eq!(
        wrong_version.1,
        "the API version in the data (lab.hopclock.dev/v2) does not match the expected API \
         version (lab.hopclock.dev/v1)"
    );
    let metadata = json!({ "name": "a", "namespace": "other" });
    assert_eq!(refused(with("/metadata", metadata)).await.0, "400 BadRequest");
    let (code, message) = refused(with("/metadata/name", json!("A_b"))).await;
    assert_eq!(code, "422 Invalid");
    assert!(message.starts_with("Widget.lab.hopclock.dev \"A_b\" is invalid: metadata.name: "));
    let labelled = |field: &str, key: &str, value: Value| {
        with("/metadata", json!({ "name": "a", field: { key: value } }))
    };
    for (key, value) in [("chart", "a-1.0.0+4f"), ("a b", "c"), ("a/b/c", "d"), ("a_", "b")] {
        let (code, message) = refused(labelled("labels", key, value.into())).await;
        assert_eq!(code, "422 Invalid", "{key}: {value}");
        let start = "Widget.lab.hopclock.dev \"a\" is invalid: metadata.labels: Invalid value: ";
        assert!(message.starts_with(start), "{message}");
    }
    assert_eq!(refused(labelled("labels", "a", json!(1))).await.0, "400 BadRequest");
    assert_eq!(refused(labelled("annotations", "A_b/c", json!("d"))).await.0, "422 Invalid");
    assert_eq!(refused(json!([1])).await.0, "400 BadRequest");
    assert_eq!(refused(with("/metadata", json!({}))).await.0, "422 Invalid");
    let everywhere = "/apis/lab.hopclock.dev/v1/widgets";
    assert_eq!(
        refusal(lab.send(Method::POST, everywhere, &widget("a")).await).0,
        "405 MethodNotAllowed"
    );
    assert_eq!(lab.store.changes().len(), 0);
}

#[tokio::test]
async fn a_delete_that_means_another_object_is_refused() {
    let lab = Lab::new().await;
    lab.widget("a", &Value::Null);
    let options = json!({ "preconditions": { "uid": "somebody-else" } });
    let refused = refusal(lab.send(Method::DELETE, &format!("{WIDGETS}/a"), &options).await);
    assert_eq!(refused.0, "409 Conflict");
    assert_eq!(lab.get(&format!("{WIDGETS}/a")).await.0, 200);
}

#[tokio::test]
async fn a_dry_run_is_refused_rather_than_made() {
    let lab = Lab::new().await;
    let path = format!("{WIDGETS}?dryRun=All");
    assert_eq!(refusal(lab.send(Method::POST, &path, &widget("a")).await).0, "400 BadRequest");
    assert_eq!(lab.get(&format!("{WIDGETS}/a")).await.0, 404);
}

#[tokio::test]
async fn leases_and_events_are_ordinary_objects() {
    let lab = Lab::new().await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/lab/leases";
    let lease = json!({ "metadata": { "name": "lane" }, "spec": { "holderIdentity": "a" } });
    let (code, mut lease) = lab.send(Method::POST, leases, &lease).await;
    assert_eq!(code, 201);
    lease["spec"]["holderIdentity"] = "b".into();
    assert_eq!(lab.send(Method::PUT, &format!("{leases}/lane"), &lease).await.0, 200);
    assert_eq!(lab.send(Method::PUT, &format!("{leases}/lane"), &lease).await.0, 409);
    let event = json!({ "metadata": { "generateName": "run." }, "reason": "Slow" });
    let (code, event) = lab.send(Method::POST, "/api/v1/namespaces/lab/events", &event).await;
    assert_eq!((code, &event["reason"]), (201, &json!("Slow")));
}

#[tokio::test]
async fn a_namespace_may_have_to_exist() {
    let options = Options { namespaces: Namespaces::MustExist, ..Options::default() };
    let lab = Lab::with(options).await;
    assert_eq!(
        refusal(lab.send(Method::POST, WIDGETS, &widget("a")).await),
        ("404 NotFound".into(), "namespaces \"lab\" not found".into())
    );
    let apply = format!("{WIDGETS}/a?fieldManager=x");
    assert_eq!(lab.patch(&apply, "application/apply-patch+yaml", "spec: {}").await.0, 404);
    let namespace = json!({ "metadata": { "name": "lab" } });
    assert_eq!(lab.send(Method::POST, "/api/v1/namespaces", &namespace).await.0, 201);
    assert_eq!(lab.send(Method::POST, WIDGETS, &widget("a")).await.0, 201);
}
