//! Discovery: both forms name the same resources.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Lab, answer};

#[tokio::test]
async fn groups_versions_and_resources_have_their_pages() {
    let lab = Lab::new().await;
    assert_eq!(lab.get("/api").await.1["versions"], json!(["v1"]));
    let (_, groups) = lab.get("/apis").await;
    let names: Vec<_> =
        groups["groups"].as_array().unwrap().iter().map(|group| group["name"].clone()).collect();
    assert!(names.contains(&json!("kustomize.toolkit.fluxcd.io")), "{names:?}");
    let (_, group) = lab.get("/apis/notification.toolkit.fluxcd.io").await;
    assert_eq!(group["preferredVersion"]["version"], "v1", "a beta version is not preferred");
    let (_, list) = lab.get("/apis/kustomize.toolkit.fluxcd.io/v1").await;
    assert_eq!(list["groupVersion"], "kustomize.toolkit.fluxcd.io/v1");
    let find = |name: &str| {
        list["resources"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned()
    };
    let kustomizations = find("kustomizations").unwrap();
    assert_eq!(kustomizations["shortNames"], json!(["ks"]));
    assert_eq!(kustomizations["namespaced"], true);
    assert!(find("kustomizations/status").is_some());
    let (_, core) = lab.get("/api/v1").await;
    assert!(core["resources"].as_array().unwrap().iter().any(|one| one["kind"] == "Secret"));
    assert_eq!(lab.get("/apis/nothing.example").await.0, 404);
    assert_eq!(lab.get("/version").await.1["major"], "1");
    assert_eq!(lab.get("/readyz").await, (200, json!("ok")));
}

#[tokio::test]
async fn one_document_is_served_to_who_accepts_it() {
    let lab = Lab::new().await;
    let sort = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let ask = async |path: &str| {
        let request = lab.request(Method::GET, path, lab.server.admin_token());
        answer(request.header("accept", format!("{sort},application/json"))).await.1
    };
    let find = |document: &Value, group: &str, plural: &str| {
        let groups = document["items"].as_array().unwrap();
        let group = groups.iter().find(|one| one["metadata"]["name"] == group)?;
        let resources = group["versions"][0]["resources"].as_array().unwrap();
        resources.iter().find(|one| one["resource"] == plural).cloned()
    };
    let apis = ask("/apis").await;
    assert_eq!(apis["kind"], "APIGroupDiscoveryList");
    let helm = find(&apis, "helm.toolkit.fluxcd.io", "helmreleases").unwrap();
    assert_eq!(
        (&helm["scope"], &helm["responseKind"]["version"]),
        (&json!("Namespaced"), &json!("v2"))
    );
    assert_eq!(helm["subresources"][0]["subresource"], "status");
    assert_eq!(find(&apis, "", "secrets"), None);
    assert_eq!(find(&ask("/api").await, "", "namespaces").unwrap()["scope"], "Cluster");
}

#[tokio::test]
async fn a_registered_kind_is_served_at_once() {
    let lab = Lab::new().await;
    let path = "/apis/example.org/v1/namespaces/lab/gadgets";
    assert_eq!(lab.get(path).await.0, 404);
    let gadgets = hopclock_sandbox::store::Resource::new("example.org", "v1", "gadgets", "Gadget");
    lab.store.register(gadgets);
    assert_eq!(lab.get(path).await.1["kind"], "GadgetList");
    assert_eq!(lab.get("/apis/example.org").await.0, 200);
}
