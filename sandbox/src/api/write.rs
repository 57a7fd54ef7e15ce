//! Create, replace, patch and delete, with the checks that an API server makes before it stores.

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::store::{Key, Part, Preconditions, Resource, StoreError};

use super::{
    Namespaces,
    address::Place,
    query::Query,
    read,
    refusal::{Refusal, json_response},
    route::Context,
};

/// Groups whose kinds Kubernetes itself defines: only they take strategic merge patches.
const OF_KUBERNETES: [&str; 5] =
    ["", "apps", "coordination.k8s.io", "rbac.authorization.k8s.io", "apiextensions.k8s.io"];

/// All that the values of a `ConfigMap` or Secret may be together.
const VALUES_LIMIT: usize = 1 << 20;

/// A request that writes.
pub(super) struct Writing<'a> {
    pub(super) context: &'a Context,
    pub(super) place: &'a Place,
    pub(super) query: &'a Query,
    /// Who is recorded as the writer.
    pub(super) manager: &'a str,
    /// The media type of the body, without parameters.
    pub(super) content_type: &'a str,
    pub(super) body: Bytes,
}

/// Why a JSON patch was not made.
enum Failure {
    Patch(Refusal),
    Store(StoreError),
}

impl Writing<'_> {
    pub(super) fn create(&self) -> Result<Response, Refusal> {
        let resource = &self.place.resource;
        if resource.namespaced && self.place.namespace.is_empty() {
            return Err(Refusal::method_not_allowed());
        }
        let mut object = self.object()?;
        self.fit(&mut object, "")?;
        let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !version.is_empty() {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Refusal::bad_request(message));
        }
        self.check_namespace()?;
        let stored = self.context.store.create(object, self.manager).map_err(self.refuse())?;
        Ok(json_response(StatusCode::CREATED, &stored))
    }

    pub(super) fn replace(&self) -> Result<Response, Refusal> {
        let resource = &self.place.resource;
        let mut object = self.object()?;
        self.fit(&mut object, &self.place.name)?;
        let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let key = self.key();
        let exists = self.context.store.get(&key).is_some();
        if exists && version.is_empty() && !OF_KUBERNETES.contains(&resource.group.as_str()) {
            let problem = "Invalid value: 0x0: must be specified for an update";
            let field = "metadata.resourceVersion";
            return Err(Refusal::invalid(resource, &key.name, field, problem));
        }
        let stored = self
            .context
            .store
            .update(&key, self.part(), self.manager, |stored| *stored = object)
            .map_err(self.refuse())?;
        Ok(json_response(StatusCode::OK, &stored))
    }

    pub(super) fn patch(&self) -> Result<Response, Refusal> {
        let builtin = OF_KUBERNETES.contains(&self.place.resource.group.as_str());
        match self.content_type {
            "application/merge-patch+json" => self.merge(),
            "application/strategic-merge-patch+json" if builtin => self.merge(),
            "application/json-patch+json" => self.json_patch(),
            "application/apply-patch+yaml" => self.apply(),
            _ => Err(Refusal::unsupported_media_type(
                "application/json-patch+json, application/merge-patch+json, \
                 application/apply-patch+yaml",
            )),
        }
    }

    pub(super) fn delete(&self) -> Result<Response, Refusal> {
        let options = if self.body.is_empty() { Value::Null } else { self.object()? };
        let condition = |name: &str| options["preconditions"][name].as_str().map(str::to_owned);
        let only =
            Preconditions { uid: condition("uid"), resource_version: condition("resourceVersion") };
        let gone = self
            .context
            .store
            .delete_if(&self.key(), &only, self.manager)
            .map_err(self.refuse())?;
        let mut details = json!({
            "name": self.place.name,
            "kind": self.place.resource.plural,
            "uid": gone["metadata"]["uid"],
        });
        if !self.place.resource.group.is_empty() {
            details["group"] = self.place.resource.group.as_str().into();
        }
        Ok(json_response(StatusCode::OK, &success(&details)))
    }

    pub(super) fn delete_collection(&self) -> Result<Response, Refusal> {
        let (objects, _) = read::chosen(self.context, self.place, self.query)?;
        for object in objects {
            match self.context.store.delete(&Key::of(&object), self.manager) {
                Ok(()) | Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(Refusal::from_store(&error, &self.place.resource)),
            }
        }
        let details = json!({ "kind": self.place.resource.plural });
        Ok(json_response(StatusCode::OK, &success(&details)))
    }

    fn merge(&self) -> Result<Response, Refusal> {
        let patch = self.object()?;
        let stored = self
            .context
            .store
            .merge(&self.key(), &patch, self.part(), self.manager)
            .map_err(self.refuse())?;
        Ok(json_response(StatusCode::OK, &stored))
    }

    fn json_patch(&self) -> Result<Response, Refusal> {
        let patch: json_patch::Patch = serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
        let resource = &self.place.resource;
        let stored =
            self.context.store.try_update(&self.key(), self.part(), self.manager, |object| {
                json_patch::patch(object, &patch).map_err(|error| {
                    let message = "the server rejected our request due to an error in our request";
                    Failure::Patch(Refusal::new(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        "Invalid",
                        format!("{message}: {error}"),
                    ))
                })
            });
        match stored {
            Ok(stored) => Ok(json_response(StatusCode::OK, &stored)),
            Err(Failure::Patch(refusal)) => Err(refusal),
            Err(Failure::Store(error)) => Err(Refusal::from_store(&error, resource)),
        }
    }

    fn apply(&self) -> Result<Response, Refusal> {
        let resource = &self.place.resource;
        if self.query.get("fieldManager").is_none() {
            let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required \
                           value: is required for apply patch";
            return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message));
        }
        let mut object = self.object()?;
        self.fit(&mut object, &self.place.name)?;
        let key = self.key();
        let code = if self.context.store.get(&key).is_some() {
            StatusCode::OK
        } else {
            self.check_namespace()?;
            StatusCode::CREATED
        };
        let applied = self.context.store.apply(&key, object, self.part(), self.manager);
        let stored = applied.map_err(|error| Refusal::from_store(&error, resource))?;
        Ok(json_response(code, &stored))
    }

    /// The body as an object, from JSON or YAML.
    pub(super) fn object(&self) -> Result<Value, Refusal> {
        let json_or_unsaid = self.content_type.is_empty() || self.content_type.ends_with("json");
        let yaml = self.content_type.ends_with("yaml");
        if !json_or_unsaid && !yaml {
            let accepted = "application/json, application/yaml";
            return Err(Refusal::unsupported_media_type(accepted));
        }
        let object: Value = if yaml {
            serde_saphyr::from_slice(&self.body)
                .map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}")))?
        } else {
            serde_json::from_slice(&self.body).map_err(|error| {
                let message = "the object provided is unrecognized (must be of type object)";
                Refusal::bad_request(format!("{message}: {error}"))
            })?
        };
        if object.is_object() {
            Ok(object)
        } else {
            Err(Refusal::bad_request("the body of the request is not an object"))
        }
    }

    /// Checks that an object belongs to the address it was sent to, and completes it from there.
    fn fit(&self, object: &mut Value, name: &str) -> Result<(), Refusal> {
        let resource = &self.place.resource;
        let expected = resource.api_version();
        let version = object["apiVersion"].as_str().unwrap_or(&expected).to_owned();
        if version != expected {
            return Err(Refusal::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version \
                 ({expected})"
            )));
        }
        let kind = object["kind"].as_str().unwrap_or(&resource.kind);
        if kind != resource.kind {
            return Err(Refusal::bad_request(format!(
                "the kind in the data ({kind}) does not match the expected kind ({})",
                resource.kind
            )));
        }
        object["kind"] = resource.kind.as_str().into();
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let metadata = &mut object["metadata"];
        let namespace = metadata["namespace"].as_str().unwrap_or(&self.place.namespace);
        if namespace != self.place.namespace {
            let message = "the namespace of the provided object does not match the namespace \
                           sent on the request";
            return Err(Refusal::bad_request(message));
        }
        if resource.namespaced {
            metadata["namespace"] = self.place.namespace.as_str().into();
        }
        let said = metadata["name"].as_str().unwrap_or(name).to_owned();
        if !name.is_empty() && said != name {
            return Err(Refusal::bad_request(format!(
                "the name of the object ({said}) does not match the name on the URL ({name})"
            )));
        }
        if !said.is_empty() {
            check_name(resource, &said)?;
            metadata["name"] = said.into();
        }
        check_labels(resource, object)?;
        check_size(resource, object)
    }

    fn check_namespace(&self) -> Result<(), Refusal> {
        let (context, name) = (self.context, self.place.namespace.as_str());
        if context.namespaces == Namespaces::Any || name.is_empty() {
            return Ok(());
        }
        match (
            context.store.get(&Key::new("Namespace", "", name)),
            context.store.resource("Namespace"),
        ) {
            (None, Some(namespaces)) => Err(Refusal::not_found(&namespaces, name)),
            _ => Ok(()),
        }
    }

    fn key(&self) -> Key {
        Key::new(&self.place.resource.kind, &self.place.namespace, &self.place.name)
    }

    fn part(&self) -> Part {
        if self.place.subresource == "status" { Part::Status } else { Part::Whole }
    }

    fn refuse(&self) -> impl Fn(StoreError) -> Refusal {
        |error| Refusal::from_store(&error, &self.place.resource)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn success(details: &Value) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    })
}

/// Bytes count as what they stand for, not as the base64 that they are written in.
fn check_size(resource: &Resource, object: &Value) -> Result<(), Refusal> {
    let sizes = |field: &str, size: &dyn Fn(&str) -> usize| -> usize {
        let values = object[field].as_object().into_iter().flat_map(|it| it.values());
        values.filter_map(Value::as_str).map(size).sum()
    };
    let bytes = |text: &str| text.trim_end_matches('=').len() * 3 / 4;
    let total = match resource.kind.as_str() {
        "ConfigMap" => sizes("data", &str::len) + sizes("binaryData", &bytes),
        "Secret" => sizes("data", &bytes),
        _ => 0,
    };
    if total <= VALUES_LIMIT {
        return Ok(());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let problem = format!("Too long: may not be more than {VALUES_LIMIT} bytes");
    Err(Refusal::invalid(resource, name, "[]", &problem))
}

/// Labels are texts of few letters; annotations have such names, and any text.
fn check_labels(resource: &Resource, object: &Value) -> Result<(), Refusal> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    for field in ["labels", "annotations"] {
        let place = format!("metadata.{field}");
        for (key, value) in object["metadata"][field].as_object().into_iter().flatten() {
            let (prefix, word) = key.split_once('/').unwrap_or(("a", key));
            if !is_subdomain(prefix) || word.is_empty() || !is_label(word) {
                let problem = format!(
                    "Invalid value: \"{key}\": name part must consist of alphanumeric characters, \
                     '-', '_' or '.', and must start and end with an alphanumeric character"
                );
                return Err(Refusal::invalid(resource, name, &place, &problem));
            }
            let Some(text) = value.as_str() else {
                let message = format!("cannot unmarshal {value} into {place} of type string");
                return Err(Refusal::bad_request(message));
            };
            if field == "labels" && !is_label(text) {
                let problem = format!(
                    "Invalid value: \"{text}\": a valid label must be an empty string or consist \
                     of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                     alphanumeric character"
                );
                return Err(Refusal::invalid(resource, name, &place, &problem));
            }
        }
    }
    Ok(())
}

/// Whether this is the value of a label, or the name of one.
fn is_label(text: &str) -> bool {
    let end = |letter: char| letter.is_ascii_alphanumeric();
    let inner = |letter: char| end(letter) || matches!(letter, '-' | '_' | '.');
    text.is_empty()
        || (text.len() <= 63
            && text.chars().all(inner)
            && text.starts_with(end)
            && text.ends_with(end))
}

fn is_subdomain(name: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    name.len() <= 253
        && name.split('.').all(|part| {
            part.starts_with(inner)
                && part.ends_with(inner)
                && part.chars().all(|letter| inner(letter) || letter == '-')
        })
}

fn check_name(resource: &Resource, name: &str) -> Result<(), Refusal> {
    if resource.group == "rbac.authorization.k8s.io" {
        return Ok(());
    }
    if is_subdomain(name) {
        return Ok(());
    }
    let problem = format!(
        "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case \
         alphanumeric characters, '-' or '.', and must start and end with an alphanumeric \
         character"
    );
    Err(Refusal::invalid(resource, name, "metadata.name", &problem))
}
