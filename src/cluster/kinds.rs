//! Which version of a kind the API server serves, and under which path.
//!
//! The version is the server's choice: the group's preferred one if it has the kind, else the
//! first that does. One request tells of all kinds; what that does not (a server too old for it, a
//! kind just installed) is asked for by itself. So is a kind whose path is gone: a Flux upgrade may
//! retire a version while we watch it. Kubernetes' own kinds are where they have always been.

use crate::cluster::api::{Api, Ask, Reply};
use crate::cluster::{Error, Target, refusal};
use crate::model::GroupKind;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as AsyncMutex;

/// Where a kind is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) kind: GroupKind,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) namespaced: bool,
}

/// The kinds that the server told of so far.
#[derive(Default)]
pub(super) struct Kinds {
    known: Mutex<HashMap<GroupKind, Arc<Served>>>,
    /// Whether all were asked for, which is done once.
    asked_all: AsyncMutex<bool>,
}

/// Kubernetes' own kinds that have one version, which it promises to keep.
const OWN: [(&str, &str, &str, bool); 9] = [
    ("", "ConfigMap", "configmaps", true),
    ("", "Namespace", "namespaces", false),
    ("", "Pod", "pods", true),
    ("", "Secret", "secrets", true),
    ("", "Service", "services", true),
    ("", "ServiceAccount", "serviceaccounts", true),
    ("apps", "DaemonSet", "daemonsets", true),
    ("apps", "Deployment", "deployments", true),
    ("apps", "StatefulSet", "statefulsets", true),
];

/// All kinds in one document; of a server too old for it, anything else.
const ALL: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                   application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,\
                   application/json";

#[derive(Deserialize)]
struct Everything {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    items: Vec<EveryGroup>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EveryGroup {
    metadata: EveryName,
    versions: Vec<EveryVersion>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EveryName {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EveryVersion {
    version: String,
    resources: Vec<EveryResource>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EveryResource {
    resource: String,
    response_kind: Option<EveryKind>,
    scope: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EveryKind {
    kind: String,
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
    /// Where `kind` is served, from memory if the server told of it before.
    pub(super) async fn find(&self, api: &Api, kind: &GroupKind) -> Result<Arc<Served>, Error> {
        if let Some(served) = own(kind).or_else(|| self.known(kind)) {
            return Ok(served);
        }
        let mut asked_all = self.asked_all.lock().await;
        if !*asked_all {
            // The document is large where there are many kinds: over a slow line it may take longer
            // than one answer may, and would each time.
            let all = match everything(api).await {
                Err(Error::TimedOut { .. }) => Vec::new(),
                all => all?,
            };
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for served in all {
                known.entry(served.kind.clone()).or_insert_with(|| Arc::new(served));
            }
            *asked_all = true;
        }
        drop(asked_all);
        if let Some(served) = self.known(kind) {
            return Ok(served);
        }
        let served = Arc::new(ask(api, kind).await?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(kind.clone(), Arc::clone(&served));
        Ok(served)
    }

    fn known(&self, kind: &GroupKind) -> Option<Arc<Served>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(kind).cloned()
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

fn own(kind: &GroupKind) -> Option<Arc<Served>> {
    let (_, _, plural, namespaced) =
        OWN.into_iter().find(|(group, name, ..)| kind.group == *group && kind.kind == *name)?;
    let (version, plural) = ("v1".to_owned(), plural.to_owned());
    Some(Arc::new(Served { kind: kind.clone(), version, plural, namespaced }))
}

/// All kinds but the core group's, each in its preferred version first; none if the server does
/// not say so in one document.
async fn everything(api: &Api) -> Result<Vec<Served>, Error> {
    let path = "/apis".to_owned();
    let target = Target { verb: "get", resource: path.clone(), ..Target::default() };
    let Reply { status, answer } = api.reply_as(&Ask { target, path }, ALL).await?;
    let all = serde_json::from_slice::<Everything>(&answer.body).ok();
    let all = all.filter(|it| status.is_success() && it.kind == "APIGroupDiscoveryList");
    let mut served = Vec::new();
    for EveryGroup { metadata, versions } in all.map(|it| it.items).unwrap_or_default() {
        for EveryVersion { version, resources } in versions {
            served.extend(resources.into_iter().filter_map(|it| {
                let kind = it.response_kind.filter(|it| !it.kind.is_empty())?.kind;
                Some(Served {
                    kind: GroupKind { group: metadata.name.clone(), kind },
                    version: version.clone(),
                    plural: it.resource,
                    namespaced: it.scope == "Namespaced",
                })
            }));
        }
    }
    Ok(served)
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
