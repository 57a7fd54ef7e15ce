//! Which version of a kind the API server serves, and under which path.
//!
//! The version is the server's choice: the group's preferred one if it has the kind, else the
//! first that does. It is asked once per kind, and again when a path is gone: a Flux upgrade may
//! retire a version while we watch it.

use crate::cluster::api::{Api, Ask, Reply};
use crate::cluster::{Error, Target, refusal};
use crate::model::GroupKind;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a kind is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) kind: GroupKind,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) namespaced: bool,
}

/// The kinds that were asked for so far.
#[derive(Default)]
pub(super) struct Kinds {
    known: Mutex<HashMap<GroupKind, Arc<Served>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    versions: Vec<GroupVersion>,
    preferred_version: Option<GroupVersion>,
}

#[derive(Clone, Deserialize, PartialEq, Eq)]
struct GroupVersion {
    version: String,
}

#[derive(Deserialize)]
struct Resources {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    kind: String,
    namespaced: bool,
}

// === impl Kinds ===

impl Kinds {
    /// Where `kind` is served, from memory if it was asked before.
    pub(super) async fn find(&self, api: &Api, kind: &GroupKind) -> Result<Arc<Served>, Error> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(kind).cloned();
        if let Some(served) = known {
            return Ok(served);
        }
        let served = Arc::new(ask(api, kind).await?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(kind.clone(), Arc::clone(&served));
        Ok(served)
    }

    /// Where it was served there is nothing any more.
    pub(super) fn forget(&self, gone: &Served) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(&gone.kind).is_some_and(|it| **it == *gone) {
            known.remove(&gone.kind);
        }
    }
}

// === impl Served ===

impl Served {
    /// The path of all objects of all namespaces.
    pub(super) fn path_of_all(&self) -> String {
        format!("{}/{}", self.root(), self.plural)
    }

    /// The path of all objects of `namespace`, or of one of them.
    pub(super) fn path(&self, namespace: &str, name: &str) -> String {
        let mut path = self.root();
        if self.namespaced {
            path.push_str("/namespaces/");
            path.push_str(namespace);
        }
        path.push('/');
        path.push_str(&self.plural);
        if !name.is_empty() {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    fn root(&self) -> String {
        match self.kind.group.as_str() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        }
    }

    /// What a request for its objects is about.
    pub(super) fn target(&self, verb: &'static str, namespace: &str, name: &str) -> Target {
        Target {
            verb,
            group: self.kind.group.clone(),
            resource: self.plural.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Whether a subject of this kind has to have a namespace, and has one.
    pub(super) fn check(&self, namespace: &str) -> Result<(), Error> {
        let kind = self.kind.clone();
        match (self.namespaced, namespace.is_empty()) {
            (true, true) => {
                let advice = "name it as `namespace/name`";
                Err(Error::WrongScope { kind, scope: "namespaced", advice })
            }
            (false, false) => {
                let advice = "name it without a namespace";
                Err(Error::WrongScope { kind, scope: "cluster-scoped", advice })
            }
            _ => Ok(()),
        }
    }
}

async fn ask(api: &Api, kind: &GroupKind) -> Result<Served, Error> {
    let missing = || Error::NoSuchKind { server: api.server.clone(), kind: kind.clone() };
    let (root, versions) = if kind.group.is_empty() {
        ("/api".to_owned(), vec!["v1".to_owned()])
    } else {
        let root = format!("/apis/{}", kind.group);
        let Group { versions, preferred_version } = read(api, &root).await?.ok_or_else(missing)?;
        let mut all: Vec<_> = preferred_version.into_iter().collect();
        all.extend(versions);
        all.dedup();
        (root, all.into_iter().map(|it| it.version).collect())
    };
    for version in versions {
        let Some(Resources { resources }) = read(api, &format!("{root}/{version}")).await? else {
            continue;
        };
        let found = resources.into_iter().find(|it| it.kind == kind.kind && !it.name.contains('/'));
        if let Some(Resource { name: plural, namespaced, .. }) = found {
            return Ok(Served { kind: kind.clone(), version, plural, namespaced });
        }
    }
    Err(missing())
}

async fn read<T: serde::de::DeserializeOwned>(api: &Api, path: &str) -> Result<Option<T>, Error> {
    let target = Target { verb: "get", resource: path.to_owned(), ..Target::default() };
    let ask = Ask { target, path: path.to_owned() };
    let Reply { status, answer } = api.reply(&ask).await?;
    if status == http::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if !status.is_success() {
        return Err(refusal::refused(&api.server, &ask.target, status, &answer.body));
    }
    api.read(&ask, &answer.body).map(Some)
}
