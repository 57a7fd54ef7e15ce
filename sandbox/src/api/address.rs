//! What a URL's path points at.

use crate::store::{Resource, Store};

use super::review;

/// The thing that a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A path that belongs to no resource: discovery, health, version.
    Page,
    /// A collection, an object or a part of one.
    Resource(Place),
}

/// Where in a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) resource: Resource,
    /// Empty for all namespaces and for cluster-scoped objects.
    pub(super) namespace: String,
    /// Empty for the whole collection.
    pub(super) name: String,
    /// Empty for the object itself.
    pub(super) subresource: String,
}

impl Place {
    /// The namespace as a filter of lists.
    pub(super) fn namespace_filter(&self) -> Option<&str> {
        (!self.namespace.is_empty()).then_some(self.namespace.as_str())
    }

    /// The resource as RBAC names it: plural, with the subresource if there is one.
    pub(super) fn rbac_name(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.plural.clone()
        } else {
            format!("{}/{}", self.resource.plural, self.subresource)
        }
    }
}

/// Finds what a path points at; nothing if it looks like a resource that is not served.
pub(super) fn find(store: &Store, path: &str) -> Option<Address> {
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Some(Address::Page),
    };
    let served = |plural: &str| {
        store.served(group, version, plural).or_else(|| review::resource(group, version, plural))
    };
    let place = |resource, namespace: &str, rest: &[&str]| {
        let (name, subresource) = match rest {
            [] => ("", ""),
            [name] => (*name, ""),
            [name, subresource] => (*name, *subresource),
            _ => return None,
        };
        Some(Address::Resource(Place {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        }))
    };
    if let ["namespaces", namespace, plural, below @ ..] = rest
        && let Some(resource) = served(plural)
    {
        return if resource.namespaced { place(resource, namespace, below) } else { None };
    }
    let resource = served(rest[0])?;
    if resource.namespaced && rest.len() > 1 {
        return None;
    }
    place(resource, "", &rest[1..])
}

/// Undoes percent encoding; what is not valid stays as it is.
fn decode(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = (first == b'%').then(|| tail.get(..2)).flatten();
        let byte = code.and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| part.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(path: &str) -> Option<String> {
        Some(match find(&Store::new(), path)? {
            Address::Page => "page".to_owned(),
            Address::Resource(place) => format!(
                "{} ns={} name={} sub={}",
                place.resource.kind, place.namespace, place.name, place.subresource
            ),
        })
    }

    #[test]
    fn every_sort_of_path_is_understood() {
        let cases = [
            ("/api/v1", Some("page")),
            ("/apis/apps/v1", Some("page")),
            ("/healthz", Some("page")),
            ("/api/v1/configmaps", Some("ConfigMap ns= name= sub=")),
            ("/api/v1/namespaces", Some("Namespace ns= name= sub=")),
            ("/api/v1/namespaces/a", Some("Namespace ns= name=a sub=")),
            ("/api/v1/namespaces/a/configmaps", Some("ConfigMap ns=a name= sub=")),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/a%3Ab",
                Some("ClusterRole ns= name=a:b sub="),
            ),
            (
                "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/a/kustomizations/b/status",
                Some("Kustomization ns=a name=b sub=status"),
            ),
            ("/apis/kustomize.toolkit.fluxcd.io/v1beta2/kustomizations", None),
            ("/api/v1/configmaps/a", None),
            ("/api/v1/nothings", None),
        ];
        for (path, wanted) in cases {
            assert_eq!(described(path).as_deref(), wanted, "{path}");
        }
    }
}
