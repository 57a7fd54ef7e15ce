//! Lists: selectors, pages and versions.

use serde_json::{Value, json};

use super::{Lab, MAPS, WIDGETS, refusal};

fn names(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

async fn lab_of_three() -> Lab {
    let lab = Lab::new().await;
    lab.widget("a", &json!({ "team": "x" }));
    lab.widget("b", &json!({ "team": "y" }));
    lab.widget("c", &json!({ "team": "x" }));
    lab
}

#[tokio::test]
async fn a_list_has_its_version_and_the_objects_of_its_namespace() {
    let lab = lab_of_three().await;
    let other = json!({ "kind": "Widget", "metadata": { "name": "d", "namespace": "other" } });
    lab.store.create(other, "test").unwrap();
    let (_, list) = lab.get(WIDGETS).await;
    assert_eq!((&list["kind"], names(&list)), (&json!("WidgetList"), vec!["a", "b", "c"]));
    assert_eq!(list["metadata"]["resourceVersion"], lab.store.version().to_string());
    let (_, everywhere) = lab.get("/apis/lab.hopclock.dev/v1/widgets").await;
    assert_eq!(names(&everywhere), ["a", "b", "c", "d"]);
    assert_eq!(names(&lab.get(MAPS).await.1), Vec::<&str>::new());
}

#[tokio::test]
async fn selectors_choose_by_label_name_and_namespace() {
    let lab = lab_of_three().await;
    let chosen = async |query: &str| {
        let (code, list) = lab.get(&format!("/apis/lab.hopclock.dev/v1/widgets?{query}")).await;
        assert_eq!(code, 200, "{list}");
        names(&list).join(",")
    };
    assert_eq!(chosen("labelSelector=team%3Dx").await, "a,c");
    assert_eq!(chosen("labelSelector=team%20notin%20(x)").await, "b");
    assert_eq!(chosen("fieldSelector=metadata.name%3Db").await, "b");
    assert_eq!(chosen("fieldSelector=metadata.namespace%3Dother").await, "");
    let refused = refusal(lab.get(&format!("{WIDGETS}?fieldSelector=spec.size%3D1")).await);
    assert_eq!(refused.1, "field label not supported: spec.size");
}

#[tokio::test]
async fn pages_show_the_list_as_it_was_at_the_first() {
    let lab = lab_of_three().await;
    let (_, first) = lab.get(&format!("{WIDGETS}?&limit=2")).await;
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["a", "b"], &json!(1))
    );
    lab.widget("d", &Value::Null);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, second) = lab.get(&format!("{WIDGETS}?limit=2&continue={token}")).await;
    assert_eq!(names(&second), ["c"]);
    assert_eq!(second["metadata"]["continue"], Value::Null);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let stale = refusal(lab.get(&format!("{WIDGETS}?continue=forgotten")).await);
    assert_eq!(stale.0, "410 Expired");
}

#[tokio::test]
async fn a_list_at_a_version_that_was_never_reached_is_refused() {
    let lab = lab_of_three().await;
    let newest = lab.store.version();
    let path = |version| format!("{WIDGETS}?resourceVersion={version}");
    assert_eq!(lab.get(&path(newest)).await.0, 200);
    let refused = refusal(lab.get(&path(newest + 1)).await);
    assert_eq!(refused.0, "504 Timeout");
    assert!(refused.1.starts_with("Too large resource version"));
    let exact = format!("{WIDGETS}?resourceVersion=2&resourceVersionMatch=Exact");
    assert_eq!(refusal(lab.get(&exact).await).0, "410 Expired");
    assert_eq!(refusal(lab.get(&format!("{WIDGETS}?resourceVersion=x")).await).0, "400 BadRequest");
}
