//! What is served here: the pages from which clients learn groups, versions and resources.
//!
//! Both forms are served: one document for everything, for clients that accept it, and the older
//! one with a page per group and version.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use crate::store::{Resource, Store};

use super::{
    refusal::{json_response, page_not_found, typed_response},
    review,
};

/// The media type of the one document.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Group, then version, then its resources.
type Served = BTreeMap<String, BTreeMap<String, Vec<Resource>>>;

/// Answers a page that belongs to no resource.
pub(super) fn page(store: &Store, path: &str, accept: &str) -> Response {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let served = served(store);
    let found = match parts.as_slice() {
        ["healthz" | "readyz" | "livez", ..] => {
            return typed_response(StatusCode::OK, "text/plain; charset=utf-8", "ok");
        }
        ["version"] => Some(version()),
        ["api"] if wants_aggregated(accept) => return aggregated(&served, true),
        ["apis"] if wants_aggregated(accept) => return aggregated(&served, false),
        ["api"] => Some(json!({ "kind": "APIVersions", "versions": ["v1"] })),
        ["apis"] => Some(json!({
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": groups(&served).map(|(name, versions)| group(name, versions))
                .collect::<Vec<_>>(),
        })),
        ["apis", name] => served.get(*name).map(|versions| group(name, versions)),
        ["api", version] => resources(&served, "", version),
        ["apis", name, version] => resources(&served, name, version),
        _ => None,
    };
    found.map_or_else(page_not_found, |page| json_response(StatusCode::OK, &page))
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "35",
        "gitVersion": "v1.35.0+hopclock-sandbox",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

fn served(store: &Store) -> Served {
    let mut served = Served::new();
    for resource in store.resources().into_iter().chain(review::resources()) {
        let versions = served.entry(resource.group.clone()).or_default();
        versions.entry(resource.version.clone()).or_default().push(resource);
    }
    served
}

fn groups(served: &Served) -> impl Iterator<Item = (&String, &BTreeMap<String, Vec<Resource>>)> {
    served.iter().filter(|(name, _)| !name.is_empty())
}

fn group(name: &str, versions: &BTreeMap<String, Vec<Resource>>) -> Value {
    let all: Vec<Value> = by_preference(versions)
        .iter()
        .map(|version| json!({ "groupVersion": format!("{name}/{version}"), "version": version }))
        .collect();
    json!({
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "preferredVersion": all[0],
        "versions": all,
    })
}

/// Stable versions first, each sort newest first, as far as the names here need it.
fn by_preference(versions: &BTreeMap<String, Vec<Resource>>) -> Vec<&String> {
    let names: BTreeSet<_> = versions.keys().collect();
    let (mut stable, others): (Vec<_>, Vec<_>) =
        names.into_iter().rev().partition(|name| !name.contains("alpha") && !name.contains("beta"));
    stable.extend(others);
    stable
}

fn resources(served: &Served, group: &str, version: &str) -> Option<Value> {
    let all = served.get(group)?.get(version)?;
    let mut list = Vec::new();
    for resource in all {
        list.push(json!({
            "name": resource.plural,
            "singularName": resource.kind.to_lowercase(),
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": verbs(resource),
            "shortNames": resource.short_names,
        }));
        if resource.status {
            list.push(json!({
                "name": format!("{}/status", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": ["get", "patch", "update"],
            }));
        }
    }
    let group_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": list,
    }))
}

fn verbs(resource: &Resource) -> &'static [&'static str] {
    if review::is_review(resource) {
        return &["create"];
    }
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
}

fn wants_aggregated(accept: &str) -> bool {
    accept.split(',').any(|one| {
        let parameters: Vec<&str> = one.split(';').map(str::trim).collect();
        ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"]
            .iter()
            .all(|wanted| parameters.contains(wanted))
    })
}

fn aggregated(served: &Served, core: bool) -> Response {
    let items: Vec<Value> = served
        .iter()
        .filter(|(name, _)| name.is_empty() == core)
        .map(|(name, versions)| {
            let all: Vec<Value> = by_preference(versions)
                .into_iter()
                .map(|version| {
                    let resources: Vec<Value> =
                        versions[version].iter().map(aggregated_resource).collect();
                    json!({ "version": version, "freshness": "Current", "resources": resources })
                })
                .collect();
            json!({ "metadata": { "name": name }, "versions": all })
        })
        .collect();
    let document = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    });
    typed_response(StatusCode::OK, AGGREGATED, document.to_string())
}

fn aggregated_resource(resource: &Resource) -> Value {
    let response_kind = json!({
        "group": resource.group,
        "version": resource.version,
        "kind": resource.kind,
    });
    let mut one = json!({
        "resource": resource.plural,
        "responseKind": response_kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.kind.to_lowercase(),
        "verbs": verbs(resource),
        "shortNames": resource.short_names,
    });
    if resource.status {
        one["subresources"] = json!([{
            "subresource": "status",
            "responseKind": response_kind,
            "verbs": ["get", "patch", "update"],
        }]);
    }
    one
}
