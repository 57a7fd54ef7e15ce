//! An object in the cluster carries the change.
//!
//! Looked for as a whole token of spec, data, labels or annotations; never as a substring, and
//! never in status, which says what was asked for and not what is there. Canary ids are unmistakable;
//! which words are our tag, digest or chart version is decided in [`token`](super::token).

use crate::hop::token::{Aim, is_in};
use crate::hop::{self, Detector, Kind, Objects, Traits};
use crate::model::{
    CanaryId, Carried, Change, GroupKind, ObjectName, Reached, Revision, Sighting, State, Subject,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The object that carries the change once it is live, and where in it to look.
///
/// Exactly one of `config_map`, `secret`, `deployment`, `stateful_set`, `daemon_set` and `object`;
/// at most one of `annotation`, `label`, `field` and `image`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveConfig {
    /// A ConfigMap.
    #[serde(default)]
    pub config_map: Option<ObjectName>,
    /// A Secret.
    #[serde(default)]
    pub secret: Option<ObjectName>,
    /// A Deployment.
    #[serde(default)]
    pub deployment: Option<ObjectName>,
    /// A StatefulSet.
    #[serde(default)]
    pub stateful_set: Option<ObjectName>,
    /// A DaemonSet.
    #[serde(default)]
    pub daemon_set: Option<ObjectName>,
    /// An object of any other kind.
    #[serde(default)]
    pub object: Option<ObjectConfig>,

    /// Look only into the annotation of this key.
    #[serde(default)]
    pub annotation: Option<String>,
    /// Look only into the label of this key.
    #[serde(default)]
    pub label: Option<String>,
    /// Look only into the field of this path, dots between its keys: `spec.values.canary`.
    #[serde(default)]
    pub field: Option<String>,
    /// Look only into the image of the container of this name.
    #[serde(default)]
    pub image: Option<String>,
}

/// An object of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectConfig {
    /// API group; empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Kind, such as `Widget`.
    pub kind: String,
    /// Namespace; left out for a cluster-scoped object.
    #[serde(default)]
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// See [`LiveConfig`].
#[derive(Debug)]
pub struct Live {
    place: Place,
}

/// Where in the object to look.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Anywhere,
    Annotation(String),
    Label(String),
    Field(Vec<String>),
    Image(String),
}

// === impl LiveConfig ===

impl Kind for LiveConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "live", place: hop::Place::Live, required: true }
    }

    fn detector(&self, _: &Objects) -> Result<Arc<dyn Detector>, String> {
        Ok(Arc::new(Live::new(self)))
    }

    fn subject(&self) -> Option<Subject> {
        let named = [
            (&self.config_map, "", "ConfigMap"),
            (&self.secret, "", "Secret"),
            (&self.deployment, "apps", "Deployment"),
            (&self.stateful_set, "apps", "StatefulSet"),
            (&self.daemon_set, "apps", "DaemonSet"),
        ];
        let known = named.into_iter().find_map(|(name, group, kind)| {
            let name = name.as_ref()?;
            Some(Subject::local(GroupKind::new(group, kind), &name.namespace, &name.name))
        });
        known.or_else(|| {
            let other = self.object.as_ref()?;
            let kind = GroupKind::new(&other.group, &other.kind);
            Some(Subject::local(kind, &other.namespace, &other.name))
        })
    }
}

// === impl Live ===

impl Live {
    /// Looks where the scenario says, or everywhere.
    #[must_use]
    pub fn new(config: &LiveConfig) -> Self {
        let place = if let Some(key) = &config.annotation {
            Place::Annotation(key.clone())
        } else if let Some(key) = &config.label {
            Place::Label(key.clone())
        } else if let Some(path) = &config.field {
            Place::Field(path.split('.').map(str::to_owned).collect())
        } else if let Some(container) = &config.image {
            Place::Image(container.clone())
        } else {
            Place::Anywhere
        };
        Self { place }
    }

    /// Where in an object to look, each with the key that it stands under.
    fn roots<'a>(&'a self, object: &'a Value) -> Vec<(&'a str, &'a Value)> {
        let metadata = &object["metadata"];
        let (labels, annotations) = (&metadata["labels"], &metadata["annotations"]);
        match &self.place {
            Place::Anywhere => {
                let all = [&object["spec"], &object["data"], labels, annotations];
                all.into_iter().map(|it| ("", it)).collect()
            }
            Place::Annotation(key) => vec![(key, &annotations[key])],
            Place::Label(key) => vec![(key, &labels[key])],
            Place::Field(path) => {
                let field = path.iter().fold(object, |it, key| &it[key.as_str()]);
                vec![(path.last().map_or("", String::as_str), field)]
            }
            Place::Image(container) => {
                images(object, container).into_iter().map(|it| ("image", it)).collect()
            }
        }
    }

    /// The canary ids that stand as whole tokens where we look.
    fn canaries(&self, object: &Value) -> Vec<CanaryId> {
        let mut found = Vec::new();
        for (key, root) in self.roots(object) {
            each_text(key, root, &mut |_, text| found.extend(CanaryId::find_in(text)));
        }
        found
    }

    /// Whose tag, digest or chart version stands where we look, if it carries the change.
    fn bearer(&self, object: &Value, change: &Change) -> Option<Carried> {
        let aim = if self.place == Place::Anywhere { Aim::Anywhere } else { Aim::Named };
        let stands = |it: &Revision| {
            let mut stands = false;
            for (key, root) in self.roots(object) {
                each_text(key, root, &mut |key, text| stands |= is_in(it, key, text, aim));
            }
            stands
        };
        let mut bearers = change.bearers().filter(|it| !matches!(it, Revision::Commit(_)));
        bearers.find(|it| stands(it)).and_then(|it| change.carried(it))
    }
}

impl Detector for Live {
    fn look(&self, _past: &[State], now: &State, change: &Change) -> Sighting {
        let canaries = self.canaries(&now.value);
        if canaries.contains(change.canary()) {
            return Sighting::Reached(Reached::at(now.when));
        }
        if let Some(carried) = self.bearer(&now.value, change) {
            return Sighting::Reached(Reached { carried, ..Reached::at(now.when) });
        }
        match canaries.into_iter().find(|it| change.is_carried_by_canary(it)) {
            Some(later) => Sighting::Reached(Reached {
                canary: Some(later.to_string()),
                ..Reached::at(now.when)
            }),
            None => Sighting::NotYet,
        }
    }

    fn has_lost(&self, now: &State, change: &Change) -> bool {
        let canaries = self.canaries(&now.value);
        !canaries.iter().any(|it| it == change.canary() || change.is_later_canary(it))
            && self.bearer(&now.value, change).is_none()
    }
}

/// The images of the containers of that name, wherever the object has a pod template.
fn images<'a>(object: &'a Value, container: &str) -> Vec<&'a Value> {
    let pod = &object["spec"]["template"]["spec"];
    let lists = [&pod["containers"], &pod["initContainers"]];
    let all = lists.into_iter().filter_map(Value::as_array).flatten();
    all.filter(|it| it["name"] == container).map(|it| &it["image"]).collect()
}

/// Shows every text in a tree of values, with the nearest key above it.
fn each_text(key: &str, value: &Value, show: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => show(key, text),
        Value::Array(items) => items.iter().for_each(|it| each_text(key, it, show)),
        Value::Object(fields) => fields.iter().for_each(|(key, it)| each_text(key, it, show)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}
