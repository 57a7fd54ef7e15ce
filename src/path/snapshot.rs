//! Everything of a cluster that may stand on a path, at one time, as plain values.

use crate::model::{GroupKind, Subject};
use crate::path::links::{self, Meant, Use, references};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The kinds that are listed where they are served: group and kind.
pub const KINDS: [(&str, &str); 16] = [
    ("source.toolkit.fluxcd.io", "GitRepository"),
    ("source.toolkit.fluxcd.io", "OCIRepository"),
    ("source.toolkit.fluxcd.io", "Bucket"),
    ("source.toolkit.fluxcd.io", "HelmRepository"),
    ("source.toolkit.fluxcd.io", "HelmChart"),
    ("source.toolkit.fluxcd.io", "ExternalArtifact"),
    ("source.extensions.fluxcd.io", "ArtifactGenerator"),
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("image.toolkit.fluxcd.io", "ImageRepository"),
    ("image.toolkit.fluxcd.io", "ImagePolicy"),
    ("image.toolkit.fluxcd.io", "ImageUpdateAutomation"),
    ("notification.toolkit.fluxcd.io", "Receiver"),
    ("notification.toolkit.fluxcd.io", "Alert"),
    ("notification.toolkit.fluxcd.io", "Provider"),
    ("", "Namespace"),
];

/// Kinds of applied objects that may show an image's tag.
const BEARERS: [(&str, &str); 4] =
    [("", "ConfigMap"), ("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet")];

/// Most objects that are read one by one.
const MOST_READ: usize = 100;

/// Everything of a cluster that may stand on a path.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    objects: BTreeMap<Subject, Value>,
    unseen: BTreeMap<GroupKind, String>,
    absent: BTreeSet<GroupKind>,
}

// === impl Snapshot ===

impl Snapshot {
    /// Adds objects of a kind; those without a name are none.
    pub fn add(&mut self, kind: &GroupKind, objects: Vec<Value>) {
        for object in objects {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            let subject = Subject::local(kind.clone(), text("namespace"), text("name"));
            if !subject.name.is_empty() {
                self.objects.insert(subject, object);
            }
        }
    }

    /// Adds an object that was read by itself.
    pub fn put(&mut self, subject: Subject, object: Value) {
        self.objects.insert(subject, object);
    }

    /// Notes that a kind could not be looked at, and why, in a sentence.
    pub fn miss(&mut self, kind: GroupKind, why: String) {
        self.unseen.insert(kind, why);
    }

    /// Notes that the cluster does not know a kind: its controller is not installed.
    pub fn lack(&mut self, kind: GroupKind) {
        self.absent.insert(kind);
    }

    /// The kinds that the cluster does not know.
    pub fn absent(&self) -> impl Iterator<Item = &GroupKind> {
        self.absent.iter()
    }

    /// An object.
    #[must_use]
    pub fn get(&self, subject: &Subject) -> Option<&Value> {
        self.objects.get(subject)
    }

    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = (&Subject, &Value)> {
        self.objects.iter()
    }

    /// The objects of a kind.
    pub fn of_kind(&self, kind: &GroupKind) -> impl Iterator<Item = (&Subject, &Value)> {
        self.objects.iter().filter(move |it| it.0.kind == *kind)
    }

    /// The kinds that could not be looked at, and why.
    pub fn unseen(&self) -> impl Iterator<Item = (&GroupKind, &str)> {
        self.unseen.iter().map(|it| (it.0, it.1.as_str()))
    }

    /// What has to be read by itself to know more: the `ConfigMap`s that values are taken from, those
    /// that are applied and called canaries, and, where images are automated, what appliers have
    /// applied that may show an image. Secrets are not read.
    #[must_use]
    pub fn wanted(&self) -> Vec<Subject> {
        let automated: Vec<_> = self.books().collect();
        let mut wanted = Vec::new();
        for (subject, object) in &self.objects {
            let all = references(subject, object);
            let values = all.iter().filter(|it| it.used == Use::Values);
            let values = values.filter_map(|it| match &it.meant {
                Meant::One(it) if it.kind.kind == "ConfigMap" => Some(it.clone()),
                _ => None,
            });
            wanted.extend(values);
            let fed =
                |it: &&links::Reference| it.used == Use::Source && automated.contains(&it.meant);
            if subject.kind == GroupKind::kustomization() {
                let is_automated = all.iter().any(|it| fed(&it));
                let bears = |it: &Subject| {
                    let kind = (it.kind.group.as_str(), it.kind.kind.as_str());
                    is_automated && BEARERS.contains(&kind)
                        || kind == ("", "ConfigMap") && it.name.contains("canary")
                };
                let own = links::inventory(subject, object);
                wanted.extend(own.into_iter().filter(|it| it.cluster.0.is_empty() && bears(it)));
            }
        }
        wanted.retain(|it| !self.objects.contains_key(it));
        wanted.sort();
        wanted.dedup();
        wanted.truncate(MOST_READ);
        wanted
    }

    /// The sources that automations write to.
    fn books(&self) -> impl Iterator<Item = Meant> {
        let kind = GroupKind::image("ImageUpdateAutomation");
        let all = self.objects.iter().filter(move |it| it.0.kind == kind);
        let books = all.flat_map(|it| references(it.0, it.1)).filter(|it| it.used == Use::Book);
        books.map(|it| it.meant)
    }
}
