//! What a list shows, and which objects of a namespace a watch looks at.

use crate::cluster::api::{Api, Ask};
use crate::cluster::kinds::{Kinds, Served};
use crate::cluster::track::Known;
use crate::cluster::trim::trim;
use crate::cluster::version::Version;
use crate::cluster::{Error, WatchName};
use crate::model::{GroupKind, Moment};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which objects of its kind and namespace a watch looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// One, picked by the server.
    One(String),
    /// All, picked by us.
    Whole,
}

/// The objects of a scope at one version.
pub(super) struct List {
    /// What was asked for: of other objects it says nothing.
    pub(super) scope: Scope,
    pub(super) version: Version,
    pub(super) items: BTreeMap<String, Known>,
    /// When it was asked for: it shows all that happened before.
    pub(super) sent: Moment,
    /// When it was here: it shows nothing that happened after.
    pub(super) answered: Moment,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    api_version: String,
    metadata: Metadata,
    #[serde(default)]
    items: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
}

// === impl Scope ===

impl Scope {
    /// The narrowest scope with all these names.
    pub(super) fn of<'a>(mut names: impl Iterator<Item = &'a String>) -> Self {
        match (names.next(), names.next()) {
            (Some(name), None) => Self::One(name.clone()),
            _ => Self::Whole,
        }
    }

    /// Whether objects of this name are looked at.
    pub(super) fn covers(&self, name: &str) -> bool {
        match self {
            Self::One(it) => it == name,
            Self::Whole => true,
        }
    }

    /// The query that picks its objects.
    pub(super) fn query(&self) -> String {
        match self {
            Self::One(name) => format!("fieldSelector=metadata.name%3D{name}"),
            Self::Whole => String::new(),
        }
    }

    /// The name that a role's `resourceNames` would have to allow.
    pub(super) fn name(&self) -> &str {
        if let Self::One(name) = self { name } else { "" }
    }
}

// === impl List ===

impl List {
    /// What it shows of `name`.
    pub(super) fn get(&self, name: &str) -> Known {
        let absent = || Known { version: self.version.clone(), value: Arc::new(Value::Null) };
        self.items.get(name).cloned().unwrap_or_else(absent)
    }
}

/// Lists a scope from the newest data, where the kind is served now.
///
/// # Errors
///
/// Whatever [`Api::get`] gives; [`Error::NoSuchKind`] if no version is served any more.
pub(super) async fn list(
    api: &Api,
    kinds: &Kinds,
    watch: &WatchName,
    scope: &Scope,
) -> Result<(Arc<Served>, List), Error> {
    let served = kinds.find(api, &watch.kind).await?;
    match list_served(api, &served, watch, scope).await {
        Err(error) if error.status() == Some(404) => {
            kinds.forget(&served);
            let served = kinds.find(api, &watch.kind).await?;
            api.restarted(&watch.kind, "version");
            let list = list_served(api, &served, watch, scope).await?;
            Ok((served, list))
        }
        answer => Ok((served, answer?)),
    }
}

/// Every object of a kind, in one namespace or in all, without what `trim` takes away.
///
/// # Errors
///
/// As [`list`].
pub(super) async fn all(
    api: &Api,
    kinds: &Kinds,
    kind: &GroupKind,
    namespace: Option<&str>,
    trim: fn(&mut Value),
) -> Result<Vec<Value>, Error> {
    let served = kinds.find(api, kind).await?;
    let namespace = namespace.filter(|_| served.namespaced);
    let path = namespace.map_or_else(|| served.path_of_all(), |it| served.path(it, ""));
    let target = served.target("list", namespace.unwrap_or_default(), "");
    let ask = Ask { target, path };
    let answer = api.get(&ask).await?;
    let Listed { api_version, items, .. } = api.read(&ask, &answer.body)?;
    let shaped = |it| {
        let mut object = Value::Object(it);
        identify(&mut object, &api_version, &kind.kind);
        trim(&mut object);
        object
    };
    Ok(items.into_iter().map(shaped).collect())
}

async fn list_served(
    api: &Api,
    served: &Served,
    watch: &WatchName,
    scope: &Scope,
) -> Result<List, Error> {
    served.check(&watch.namespace)?;
    let path = format!("{}?{}", served.path(&watch.namespace, ""), scope.query());
    let ask = Ask { target: served.target("list", &watch.namespace, scope.name()), path };
    let answer = api.get(&ask).await?;
    let Listed { api_version, metadata, items } = api.read(&ask, &answer.body)?;
    let items = items.into_iter().map(|it| item(Value::Object(it), &api_version, &watch.kind.kind));
    Ok(List {
        scope: scope.clone(),
        version: Version(metadata.resource_version),
        items: items.collect(),
        sent: answer.sent,
        answered: answer.at,
    })
}

/// An item of a list looks like the object of an event: with its version and kind, trimmed.
fn item(mut object: Value, api_version: &str, kind: &str) -> (String, Known) {
    identify(&mut object, api_version, kind);
    trim(&mut object);
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let name = text(&object["metadata"]["name"]);
    let version = Version(text(&object["metadata"]["resourceVersion"]));
    (name, Known { version, value: Arc::new(object) })
}

fn identify(object: &mut Value, api_version: &str, kind: &str) {
    if object["kind"].is_null() {
        object["kind"] = kind.into();
        object["apiVersion"] = api_version.into();
    }
}
