//! An object in the cluster carries the change.
//!
//! Looked for as a whole token of spec, data, labels or annotations; never as a substring, and
//! never in status, which says what was asked for and not what is there.

use crate::hop::{self, Detector, Kind, Objects, Traits};
use crate::model::{CanaryId, Change, GroupKind, ObjectName, Reached, Sighting, State, Subject};
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

    /// The canary ids that stand as whole tokens where we look.
    fn canaries(&self, object: &Value) -> Vec<CanaryId> {
        let metadata = &object["metadata"];
        let roots: Vec<&Value> = match &self.place {
            Place::Anywhere => {
                vec![
                    &object["spec"],
                    &object["data"],
                    &metadata["labels"],
                    &metadata["annotations"],
                ]
            }
            Place::Annotation(key) => vec![&metadata["annotations"][key]],
            Place::Label(key) => vec![&metadata["labels"][key]],
            Place::Field(path) => vec![path.iter().fold(object, |it, key| &it[key.as_str()])],
            Place::Image(container) => images(object, container),
        };
        let mut found = Vec::new();
        for root in roots {
            collect(root, &mut found);
        }
        found
    }
}

impl Detector for Live {
    fn look(&self, _past: &[State], now: &State, change: &Change) -> Sighting {
        let canaries = self.canaries(&now.value);
        if canaries.contains(change.canary()) {
            return Sighting::Reached(Reached::at(now.when));
        }
        match canaries.into_iter().find(|it| change.is_carried_by_canary(it)) {
            Some(later) => Sighting::Reached(Reached {
                canary: Some(later.to_string()),
                ..Reached::at(now.when)
            }),
            None => Sighting::NotYet,
        }
    }

    fn knows_better(&self, _: &Change) -> bool {
        true
    }

    fn has_lost(&self, now: &State, change: &Change) -> bool {
        let canaries = self.canaries(&now.value);
        !canaries.iter().any(|it| it == change.canary() || change.is_later_canary(it))
    }
}

/// The images of the containers of that name, wherever the object has a pod template.
fn images<'a>(object: &'a Value, container: &str) -> Vec<&'a Value> {
    let pod = &object["spec"]["template"]["spec"];
    let lists = [&pod["containers"], &pod["initContainers"]];
    let all = lists.into_iter().filter_map(Value::as_array).flatten();
    all.filter(|it| it["name"] == container).map(|it| &it["image"]).collect()
}

/// Collects the canary ids in a tree of values.
fn collect(value: &Value, found: &mut Vec<CanaryId>) {
    match value {
        Value::String(text) => found.extend(CanaryId::find_in(text)),
        Value::Array(items) => items.iter().for_each(|it| collect(it, found)),
        Value::Object(fields) => fields.values().for_each(|it| collect(it, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}
