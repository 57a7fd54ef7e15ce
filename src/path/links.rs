//! What the spec of a Flux object says of others: the one place that reads references.
//!
//! Everybody who asks for neighbours asks here, so that a default (which kind, which namespace)
//! is known once.

use crate::model::{ClusterName, GroupKind, Subject, flux};
use serde_json::{Value, json};

/// How an object uses another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// It applies, packages or composes what a source holds.
    Source,
    /// It copies what another source holds into its own artifact.
    Include,
    /// It waits until another of its kind is ready.
    DependsOn,
    /// It chooses among the tags that an ImageRepository has found.
    Scan,
    /// It writes to the repository of a source what policies have chosen.
    Book,
    /// It writes what a policy has chosen.
    Choice,
    /// It was composed by a generator.
    Generator,
    /// It takes values from a ConfigMap or Secret.
    Values,
    /// It asks the other one to look now, when it is called.
    Request,
    /// It tells people of the other one's events.
    Events,
    /// It tells people by that way.
    Provider,
}

/// Which objects are meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Meant {
    /// This one.
    One(Subject),
    /// All of a kind and namespace that a label selector selects; null selects all.
    Labelled {
        /// The kind.
        kind: GroupKind,
        /// The namespace.
        namespace: String,
        /// The selector.
        selector: Value,
    },
}

/// One reference of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// How the other one is used.
    pub used: Use,
    /// Which it is.
    pub meant: Meant,
    /// The entry of the spec that says so.
    pub entry: Value,
}

/// Reads the references of one object.
struct Reader<'a> {
    of: &'a Subject,
    spec: &'a Value,
    found: Vec<Reference>,
}

/// Group of the kinds that compose artifacts.
const COMPOSING: &str = "source.extensions.fluxcd.io";
/// Group of the kinds that hear and tell.
const NOTIFICATION: &str = "notification.toolkit.fluxcd.io";

// === impl Use ===

impl Use {
    /// Whether an object cannot do its part without what it uses so.
    #[must_use]
    pub fn is_need(self) -> bool {
        matches!(
            self,
            Self::Source
                | Self::Include
                | Self::DependsOn
                | Self::Scan
                | Self::Book
                | Self::Generator
        )
    }
}

// === impl Meant ===

impl Meant {
    /// Whether an object is meant.
    #[must_use]
    pub fn is(&self, subject: &Subject, object: &Value) -> bool {
        match self {
            Self::One(it) => it == subject,
            Self::Labelled { kind, namespace, selector } => {
                subject.kind == *kind
                    && subject.namespace == *namespace
                    && flux::selects(selector, &object["metadata"]["labels"])
            }
        }
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn subject(&self, kind: GroupKind, reference: &Value) -> Option<Subject> {
        let name = reference["name"].as_str().filter(|it| !it.is_empty())?;
        let namespace = reference["namespace"].as_str().filter(|it| !it.is_empty());
        Some(Subject {
            cluster: self.of.cluster.clone(),
            kind,
            namespace: namespace.unwrap_or(&self.of.namespace).to_owned(),
            name: name.to_owned(),
        })
    }

    fn one(&mut self, used: Use, kind: GroupKind, reference: &Value) {
        if let Some(subject) = self.subject(kind, reference) {
            let entry = reference.clone();
            self.found.push(Reference { used, meant: Meant::One(subject), entry });
        }
    }

    fn source(&mut self, used: Use, reference: &Value, default: &str) {
        let kind = reference["kind"].as_str().unwrap_or(default);
        self.one(used, flux_kind(kind), reference);
    }

    fn each(&mut self, list: &str, read: impl Fn(&mut Self, &Value)) {
        for entry in self.spec[list].as_array().into_iter().flatten() {
            read(self, entry);
        }
    }

    /// One by name, or by `*` all that have the labels.
    fn picked(&mut self, used: Use, entry: &Value) {
        let kind = flux_kind(entry["kind"].as_str().unwrap_or_default());
        if entry["name"] != "*" {
            return self.one(used, kind, entry);
        }
        let namespace = entry["namespace"].as_str().unwrap_or(&self.of.namespace).to_owned();
        let selector = match &entry["matchLabels"] {
            Value::Null => Value::Null,
            labels => json!({ "matchLabels": labels }),
        };
        // A Receiver refuses to annotate everything of a kind.
        if used == Use::Request && selector.is_null() {
            return;
        }
        let meant = Meant::Labelled { kind, namespace, selector };
        self.found.push(Reference { used, meant, entry: entry.clone() });
    }

    fn values(&mut self, entry: &Value) {
        if let Some(kind @ ("ConfigMap" | "Secret")) = entry["kind"].as_str() {
            self.one(Use::Values, GroupKind::new("", kind), entry);
        }
    }

    fn release(&mut self) {
        let spec = self.spec;
        if spec["chartRef"].is_object() {
            self.source(Use::Source, &spec["chartRef"], "OCIRepository");
        } else if let Some(chart) = chart_of(self.of, spec) {
            let entry = spec["chart"]["spec"]["sourceRef"].clone();
            self.found.push(Reference { used: Use::Source, meant: Meant::One(chart), entry });
        }
        self.each("dependsOn", |it, entry| it.one(Use::DependsOn, it.of.kind.clone(), entry));
        self.each("valuesFrom", Self::values);
    }

    fn kustomization(&mut self) {
        self.source(Use::Source, &self.spec["sourceRef"], "GitRepository");
        self.each("dependsOn", |it, entry| it.one(Use::DependsOn, it.of.kind.clone(), entry));
        for entry in self.spec["postBuild"]["substituteFrom"].as_array().into_iter().flatten() {
            self.values(entry);
        }
    }

    fn automation(&mut self) {
        self.source(Use::Book, &self.spec["sourceRef"], "GitRepository");
        let meant = Meant::Labelled {
            kind: GroupKind::image("ImagePolicy"),
            namespace: self.of.namespace.clone(),
            selector: self.spec["policySelector"].clone(),
        };
        self.found.push(Reference { used: Use::Choice, meant, entry: Value::Null });
    }
}

/// What an object says of others, in the order of its spec.
#[must_use]
pub fn references(of: &Subject, object: &Value) -> Vec<Reference> {
    let mut it = Reader { of, spec: &object["spec"], found: Vec::new() };
    match of.kind.kind.as_str() {
        "Kustomization" => it.kustomization(),
        "HelmRelease" => it.release(),
        "HelmChart" => it.source(Use::Source, &it.spec["sourceRef"], "HelmRepository"),
        "GitRepository" => it.each("include", |it, entry| {
            it.one(Use::Include, GroupKind::git_repository(), &entry["repository"]);
        }),
        "ExternalArtifact" => it.source(Use::Generator, &it.spec["sourceRef"], "ArtifactGenerator"),
        "ArtifactGenerator" => {
            it.each("sources", |it, entry| it.source(Use::Source, entry, "GitRepository"));
        }
        "ImagePolicy" => {
            let kind = GroupKind::image("ImageRepository");
            it.one(Use::Scan, kind, &it.spec["imageRepositoryRef"]);
        }
        "ImageUpdateAutomation" => it.automation(),
        "Receiver" => it.each("resources", |it, entry| it.picked(Use::Request, entry)),
        "Alert" => {
            it.each("eventSources", |it, entry| it.picked(Use::Events, entry));
            it.one(
                Use::Provider,
                GroupKind::new(NOTIFICATION, "Provider"),
                &it.spec["providerRef"],
            );
        }
        _ => {}
    }
    it.found
}

/// The group of a kind of Flux, which references leave out.
#[must_use]
pub fn flux_kind(kind: &str) -> GroupKind {
    match kind {
        "Kustomization" => GroupKind::kustomization(),
        "HelmRelease" => GroupKind::helm_release(),
        "ArtifactGenerator" => GroupKind::new(COMPOSING, kind),
        "Receiver" | "Alert" | "Provider" => GroupKind::new(NOTIFICATION, kind),
        _ if kind.starts_with("Image") => GroupKind::image(kind),
        _ => GroupKind::source(kind),
    }
}

/// What an applier has applied, by its inventory; in the cluster that its `spec.kubeConfig` leads
/// to, if there is one.
#[must_use]
pub fn inventory(of: &Subject, object: &Value) -> Vec<Subject> {
    let cluster = remote_cluster(object).unwrap_or_else(|| of.cluster.clone());
    let entries = object["status"]["inventory"]["entries"].as_array().into_iter().flatten();
    let read = |it: &Value| entry(it["id"].as_str()?, &cluster);
    entries.filter_map(read).collect()
}

/// The cluster that an applier applies to, named by the Secret or ConfigMap that leads there; none
/// for its own.
#[must_use]
pub fn remote_cluster(object: &Value) -> Option<ClusterName> {
    let config = &object["spec"]["kubeConfig"];
    let named = [&config["secretRef"]["name"], &config["configMapRef"]["name"]];
    named.into_iter().find_map(Value::as_str).map(|it| ClusterName(it.to_owned()))
}

/// `namespace_name_group_kind`; colons in names are written `__`.
fn entry(id: &str, cluster: &ClusterName) -> Option<Subject> {
    let (namespace, rest) = id.split_once('_')?;
    let (rest, kind) = rest.rsplit_once('_')?;
    let (name, group) = rest.rsplit_once('_')?;
    Some(Subject {
        cluster: cluster.clone(),
        kind: GroupKind::new(group, kind),
        namespace: namespace.to_owned(),
        name: name.replace("__", ":"),
    })
}

/// The `HelmChart` that helm-controller makes of a release's `spec.chart`: `<namespace>-<name>`,
/// beside the repository.
fn chart_of(release: &Subject, spec: &Value) -> Option<Subject> {
    let reference = spec["chart"]["spec"]["sourceRef"].as_object()?;
    let namespace = reference.get("namespace").and_then(Value::as_str);
    Some(Subject {
        cluster: release.cluster.clone(),
        kind: GroupKind::source("HelmChart"),
        namespace: namespace.unwrap_or(&release.namespace).to_owned(),
        name: format!("{}-{}", release.namespace, release.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_names_objects_of_every_scope_and_cluster() {
        let applier = Subject::local(GroupKind::kustomization(), "flux-system", "apps");
        let object = json!({
            "spec": {"kubeConfig": {"secretRef": {"name": "east"}}},
            "status": {"inventory": {"entries": [
                {"id": "apps_web_apps_Deployment", "v": "v1"},
                {"id": "_system__auth_rbac.authorization.k8s.io_ClusterRole", "v": "v1"},
                {"id": "apps_settings__ConfigMap", "v": "v1"},
                {"id": "nonsense", "v": "v1"},
            ]}},
        });
        let east = |group: &str, kind: &str, namespace: &str, name: &str| Subject {
            cluster: ClusterName("east".to_owned()),
            ..Subject::local(GroupKind::new(group, kind), namespace, name)
        };
        let expected = [
            east("apps", "Deployment", "apps", "web"),
            east("rbac.authorization.k8s.io", "ClusterRole", "", "system:auth"),
            east("", "ConfigMap", "apps", "settings"),
        ];
        assert_eq!(inventory(&applier, &object), expected);
    }

    #[test]
    fn a_receiver_picks_by_labels_and_in_other_namespaces_but_never_everything() {
        let receiver = Subject::local(flux_kind("Receiver"), "flux-system", "push");
        let object = json!({"spec": {"resources": [
            {"kind": "GitRepository", "name": "fleet", "namespace": "team-a"},
            {"kind": "ImageRepository", "name": "*", "matchLabels": {"team": "a"}},
            {"kind": "Bucket", "name": "*"},
        ]}});
        let found = references(&receiver, &object);
        assert_eq!(found.len(), 2);
        let fleet = Subject::local(GroupKind::git_repository(), "team-a", "fleet");
        assert!(found[0].meant.is(&fleet, &Value::Null));
        let image = Subject::local(GroupKind::image("ImageRepository"), "flux-system", "web");
        let labelled = |team: &str| json!({"metadata": {"labels": {"team": team}}});
        assert!(found[1].meant.is(&image, &labelled("a")));
        assert!(!found[1].meant.is(&image, &labelled("b")));
        let elsewhere = Subject { namespace: "team-b".to_owned(), ..image };
        assert!(!found[1].meant.is(&elsewhere, &labelled("a")));
    }

    #[test]
    fn an_alert_may_pick_everything_of_a_kind_and_tells_by_its_provider() {
        let alert = Subject::local(flux_kind("Alert"), "flux-system", "chat");
        let object = json!({"spec": {"providerRef": {"name": "slack"},
            "eventSources": [{"kind": "Kustomization", "name": "*"}]}});
        let found = references(&alert, &object);
        let apps = Subject::local(GroupKind::kustomization(), "flux-system", "apps");
        assert!(found[0].meant.is(&apps, &Value::Null));
        let slack = Subject::local(flux_kind("Provider"), "flux-system", "slack");
        assert_eq!(found[1].meant, Meant::One(slack));
    }
}
