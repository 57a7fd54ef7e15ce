//! One object of a kind that every API server serves as `v1`: read, created, replaced, patched, deleted.
//!
//! Kubernetes promises these addresses, so nobody has to be asked where the kind is served. The
//! status of a write says what became of it; what a status means for the object, says the caller.

use crate::cluster::api::{Api, Ask, Reply, Write};
use crate::cluster::{Error, Target, refusal};
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// Who we are in `metadata.managedFields`.
pub(super) const MANAGER: &str = "hopclock";

/// The label that says whose an object is.
pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Empty for the core group.
    pub(super) group: &'static str,
    pub(super) plural: &'static str,
    /// Empty for what is only asked, never stored.
    pub(super) namespace: String,
    /// Empty for all.
    pub(super) name: String,
}

// === impl Place ===

impl Place {
    /// An object, by its namespace and name.
    pub(super) fn new(
        group: &'static str,
        plural: &'static str,
        namespace: &str,
        name: &str,
    ) -> Self {
        Self { group, plural, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Namespace and name, as people write them.
    pub(super) fn title(&self) -> String {
        format!("`{}/{}`", self.namespace, self.name)
    }

    /// The path of all objects of its kind and namespace.
    pub(super) fn collection(&self) -> String {
        let Self { group, plural, namespace, .. } = self;
        let root =
            if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") };
        let inside =
            if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
        format!("{root}{inside}/{plural}")
    }

    /// A request that needs this verb.
    pub(super) fn ask(&self, verb: &'static str, path: String) -> Ask {
        let (group, resource) = (self.group.to_owned(), self.plural.to_owned());
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        Ask { target: Target { verb, group, resource, namespace, name }, path }
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }
}

// === impl Api ===

impl Api {
    /// The object, none if there is none.
    pub(super) async fn find(&self, place: &Place) -> Result<Option<Value>, Error> {
        let ask = place.ask("get", place.path());
        let reply = self.reply(&ask).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.accepted(&ask, &reply).map(Some)
    }

    /// Creates the object, and says how it is stored. A namespace that is not there is said.
    pub(super) async fn create(&self, place: &Place, object: Value) -> Result<Value, Error> {
        let path = format!("{}?fieldManager={MANAGER}", place.collection());
        // A role cannot allow `create` by name: the name is only in the body.
        let ask = place.ask("create", path);
        let body = Write { method: Method::POST, media: "application/json", body: object };
        let reply = self.write(&ask, &body).await?;
        if reply.status == StatusCode::NOT_FOUND && !place.namespace.is_empty() {
            let (server, namespace) = (self.server.clone(), place.namespace.clone());
            return Err(Error::NoSuchNamespace { server, namespace });
        }
        self.accepted(&ask, &reply)
    }

    /// Replaces the object as it is at the version that `object` names.
    pub(super) async fn replace(&self, place: &Place, object: Value) -> Result<Value, Error> {
        let ask = place.ask("update", format!("{}?fieldManager={MANAGER}", place.path()));
        let body = Write { method: Method::PUT, media: "application/json", body: object };
        let reply = self.write(&ask, &body).await?;
        self.accepted(&ask, &reply)
    }

    /// Merges `patch` into the object; none if there is no such object.
    pub(super) async fn merge(&self, place: &Place, patch: Value) -> Result<Option<Value>, Error> {
        let ask = place.ask("patch", format!("{}?fieldManager={MANAGER}", place.path()));
        let media = "application/merge-patch+json";
        let reply = self.write(&ask, &Write { method: Method::PATCH, media, body: patch }).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.accepted(&ask, &reply).map(Some)
    }

    /// Deletes the object if it is still the one that was read, at that version; false if it is not
    /// there any more or another by now.
    pub(super) async fn delete(&self, place: &Place, read: &Value) -> Result<bool, Error> {
        let ask = place.ask("delete", place.path());
        let of = &read["metadata"];
        let only = json!({"uid": of["uid"], "resourceVersion": of["resourceVersion"]});
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": only});
        let body = Write { method: Method::DELETE, media: "application/json", body: options };
        let reply = self.write(&ask, &body).await?;
        if matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::CONFLICT) {
            return Ok(false);
        }
        self.accepted(&ask, &reply).map(|_| true)
    }

    /// Posts a question to which the answer comes back at once.
    pub(super) async fn question(&self, place: &Place, question: Value) -> Result<Value, Error> {
        let ask = place.ask("create", place.collection());
        let body = Write { method: Method::POST, media: "application/json", body: question };
        let reply = self.write(&ask, &body).await?;
        self.accepted(&ask, &reply)
    }

    fn accepted(&self, ask: &Ask, reply: &Reply) -> Result<Value, Error> {
        let Reply { status, answer } = reply;
        if status.is_success() {
            return self.read(ask, &answer.body);
        }
        Err(refusal::refused_write(&self.server, &ask.target, *status, &answer.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_where_kubernetes_promises() {
        let lease = Place::new("coordination.k8s.io", "leases", "flux-system", "a");
        assert_eq!(lease.path(), "/apis/coordination.k8s.io/v1/namespaces/flux-system/leases/a");
        let map = Place::new("", "configmaps", "flux-system", "a");
        assert_eq!(map.path(), "/api/v1/namespaces/flux-system/configmaps/a");
        let review = Place::new("authentication.k8s.io", "tokenreviews", "", "");
        assert_eq!(review.collection(), "/apis/authentication.k8s.io/v1/tokenreviews");
    }
}
