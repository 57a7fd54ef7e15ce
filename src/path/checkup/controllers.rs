//! The controllers that run Flux, as far as their Deployments can be seen: what they look at, and
//! how they were told to behave.

use crate::model::{GroupKind, Subject, flux};
use crate::path::Snapshot;
use crate::path::checkup::{Finding, table};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Flux's controllers.
#[derive(Clone, Debug, Default)]
pub struct Controllers(Vec<Controller>);

#[derive(Clone, Debug)]
struct Controller {
    deployment: Subject,
    component: &'static str,
    options: BTreeMap<String, String>,
    /// What it leaves out of all objects of its kinds; null selects all.
    selector: Value,
    is_down: bool,
}

/// The components of Flux.
const COMPONENTS: [&str; 7] = [
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
    "image-reflector-controller",
    "image-automation-controller",
    "source-watcher",
];
/// After how long a dependency is looked at again, unless `--requeue-dependency` says it.
const REQUEUE: Duration = Duration::from_secs(30);
/// The `ConfigMap`s and Secrets that wake who takes values from them, unless
/// `--watch-configs-label-selector` says it.
const WATCHED: &str = "reconcile.fluxcd.io/watch=Enabled";

// === impl Controllers ===

impl Controllers {
    /// Those whose Deployments a snapshot holds.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let kind = GroupKind::new("apps", "Deployment");
        let deployments = snapshot.of_kind(&kind);
        Self(deployments.filter_map(|it| Controller::of(it.0, it.1)).collect())
    }

    /// Whether an object is reconciled by somebody; none if that cannot be seen.
    #[must_use]
    pub fn serve(&self, subject: &Subject, object: &Value) -> Option<bool> {
        let labels = &object["metadata"]["labels"];
        let mut all = self.running(component(&subject.kind)?).peekable();
        all.peek()?;
        Some(all.any(|it| flux::selects(&it.selector, labels)))
    }

    /// After how long the applier of this kind asks again for what it depends on.
    #[must_use]
    pub fn requeue(&self, kind: &GroupKind) -> Duration {
        let said = self.option(kind, "requeue-dependency");
        let said = said.and_then(|it| it.parse::<crate::model::Duration>().ok());
        said.map_or(REQUEUE, |it| it.0)
    }

    /// Whether an object with these labels wakes appliers of this kind that take values from it.
    #[must_use]
    pub fn watch_values(&self, kind: &GroupKind, labels: &Value) -> bool {
        let said = self.option(kind, "watch-configs-label-selector").unwrap_or(WATCHED);
        flux::selects(&selector(said), labels)
    }

    /// Whether Receivers and Alerts may name objects of other namespaces; none if that cannot be
    /// seen.
    #[must_use]
    pub fn cross_namespace(&self) -> Option<bool> {
        let mut all = self.running("notification-controller").peekable();
        all.peek()?;
        Some(
            !all.any(|it| {
                it.options.get("no-cross-namespace-refs").is_some_and(|it| it != "false")
            }),
        )
    }

    /// Those without a replica that is available.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let down = self.0.iter().filter(|it| it.is_down);
        let found = down.map(|it| {
            let Subject { namespace, name, .. } = &it.deployment;
            Finding::of(
                table::CONTROLLER_DOWN,
                &it.deployment,
                format!("{} has no replica that is available, so nothing of its kinds happens", it.component),
                format!(
                    "see `kubectl describe deployment -n {namespace} {name}` and the logs of its pods"
                ),
            )
        });
        found.collect()
    }

    fn running<'c>(&'c self, component: &'c str) -> impl Iterator<Item = &'c Controller> {
        self.0.iter().filter(move |it| it.component == component)
    }

    fn option(&self, kind: &GroupKind, name: &str) -> Option<&str> {
        let mut all = self.running(component(kind)?);
        all.find_map(|it| it.options.get(name)).map(String::as_str)
    }
}

// === impl Controller ===

impl Controller {
    fn of(deployment: &Subject, object: &Value) -> Option<Self> {
        let spec = &object["spec"];
        let containers = spec["template"]["spec"]["containers"].as_array()?;
        let (component, container) = containers.iter().find_map(|it| {
            let image = it["image"].as_str()?;
            let image = image.split('@').next()?.rsplit('/').next()?;
            let name = image.split(':').next()?;
            Some((COMPONENTS.into_iter().find(|it| *it == name)?, it))
        })?;
        let said = [&container["command"], &container["args"]].into_iter();
        let said =
            said.flat_map(|it| it.as_array().into_iter().flatten()).filter_map(Value::as_str);
        let options = said.filter_map(|it| it.strip_prefix("--"));
        let options = options.map(|it| it.split_once('=').unwrap_or((it, "true")));
        let options: BTreeMap<_, _> =
            options.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let selects = options.get("watch-label-selector").map_or("", String::as_str);
        // A manifest that nobody has installed has no status.
        let status = &object["status"];
        let available = status["availableReplicas"].as_u64().unwrap_or(0);
        Some(Self {
            deployment: deployment.clone(),
            component,
            selector: selector(selects),
            options,
            is_down: status.is_object() && available == 0,
        })
    }
}

/// The component that reconciles a kind.
fn component(kind: &GroupKind) -> Option<&'static str> {
    let is_automation = kind.kind == "ImageUpdateAutomation";
    Some(match kind.group.as_str() {
        "source.toolkit.fluxcd.io" if kind.kind == "ExternalArtifact" => return None,
        "source.toolkit.fluxcd.io" => "source-controller",
        "source.extensions.fluxcd.io" => "source-watcher",
        "kustomize.toolkit.fluxcd.io" => "kustomize-controller",
        "helm.toolkit.fluxcd.io" => "helm-controller",
        // Alerts and Providers are only read.
        "notification.toolkit.fluxcd.io" if kind.kind == "Receiver" => "notification-controller",
        "image.toolkit.fluxcd.io" if is_automation => "image-automation-controller",
        "image.toolkit.fluxcd.io" => "image-reflector-controller",
        _ => return None,
    })
}

/// A label selector as options write it, in the form in which objects write it.
fn selector(text: &str) -> Value {
    let mut terms = Vec::new();
    let (mut depth, mut term) = (0, String::new());
    for it in text.chars() {
        match it {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                terms.push(std::mem::take(&mut term));
                continue;
            }
            _ => {}
        }
        term.push(it);
    }
    terms.push(term);
    let terms = terms.iter().map(|it| it.trim()).filter(|it| !it.is_empty());
    json!({ "matchExpressions": terms.map(expression).collect::<Vec<_>>() })
}

fn expression(term: &str) -> Value {
    let one = |key: &str, operator: &str, values: &[&str]| json!({"key": key.trim(), "operator": operator, "values": values});
    if let Some((key, value)) = term.split_once("!=") {
        return one(key, "NotIn", &[value.trim()]);
    }
    if let Some((key, value)) = term.split_once('=') {
        return one(key, "In", &[value.trim_start_matches('=').trim()]);
    }
    let listed = |values: &str| -> Vec<String> {
        let inner = values.trim().trim_matches(|it| it == '(' || it == ')');
        inner.split(',').map(|it| it.trim().to_owned()).collect()
    };
    for (word, operator) in [(" notin ", "NotIn"), (" in ", "In")] {
        if let Some((key, values)) = term.split_once(word) {
            let values = listed(values);
            return one(key, operator, &values.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
    match term.strip_prefix('!') {
        Some(key) => one(key, "DoesNotExist", &[]),
        None => one(term, "Exists", &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(name: &str, component: &str, arguments: &[&str], available: u32) -> Value {
        let image = format!("ghcr.io/fluxcd/{component}:v1.9.4@sha256:0123");
        json!({"metadata": {"namespace": "flux-system", "name": name},
            "spec": {"template": {"spec": {"containers": [
                {"name": "manager", "image": image, "args": arguments}]}}},
            "status": {"availableReplicas": available}})
    }

    fn controllers(all: Vec<Value>) -> Controllers {
        let mut snapshot = Snapshot::default();
        snapshot.add(&GroupKind::new("apps", "Deployment"), all);
        Controllers::of(&snapshot)
    }

    fn labelled(key: &str, value: &str) -> Value {
        json!({"metadata": {"labels": {key: value}}})
    }

    #[test]
    fn a_shard_is_served_by_the_controller_that_selects_it() {
        let shards = "sharding.fluxcd.io/key in (one, two)";
        let all = controllers(vec![
            deployment(
                "main",
                "kustomize-controller",
                &["--watch-label-selector=!sharding.fluxcd.io/key"],
                1,
            ),
            deployment(
                "shard",
                "kustomize-controller",
                &[&format!("--watch-label-selector={shards}")],
                1,
            ),
        ]);
        let apps = Subject::local(GroupKind::kustomization(), "flux-system", "apps");
        let serve = |it: &Value| all.serve(&apps, it);
        assert_eq!(serve(&labelled("team", "a")), Some(true));
        assert_eq!(serve(&labelled("sharding.fluxcd.io/key", "two")), Some(true));
        assert_eq!(serve(&labelled("sharding.fluxcd.io/key", "three")), Some(false));
        let source = Subject::local(GroupKind::git_repository(), "flux-system", "fleet");
        assert_eq!(all.serve(&source, &Value::Null), None, "no source-controller is seen");
    }

    #[test]
    fn options_say_how_they_behave() {
        let kind = GroupKind::kustomization();
        let none = controllers(Vec::new());
        assert_eq!((none.requeue(&kind), none.cross_namespace()), (REQUEUE, None));
        let watched = labelled("reconcile.fluxcd.io/watch", "Enabled");
        assert!(none.watch_values(&kind, &watched["metadata"]["labels"]));
        assert!(!none.watch_values(&kind, &Value::Null));
        let arguments = ["--requeue-dependency=5s", "--watch-configs-label-selector=owner!=helm"];
        let all = controllers(vec![
            deployment("a", "kustomize-controller", &arguments, 1),
            deployment("b", "notification-controller", &["--no-cross-namespace-refs"], 1),
        ]);
        assert_eq!(all.requeue(&kind), Duration::from_secs(5));
        assert!(all.watch_values(&kind, &Value::Null));
        assert_eq!(all.cross_namespace(), Some(false));
    }

    #[test]
    fn one_without_a_replica_is_found() {
        let all = vec![
            deployment("up", "source-controller", &[], 1),
            deployment("down", "helm-controller", &[], 0),
            deployment("another", "web", &[], 0),
        ];
        let found = controllers(all).findings();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].check, table::CONTROLLER_DOWN);
        assert!(found[0].problem.starts_with("helm-controller has no replica"), "{found:?}");
    }

    #[test]
    fn selectors_are_read_in_all_their_forms() {
        let labels = json!({"a": "1", "b": "2"});
        for (text, expected) in [
            ("", true),
            ("a=1", true),
            ("a==1,b=2", true),
            ("a!=1", false),
            ("a", true),
            ("!a", false),
            ("!c", true),
            ("a in (1,3), b notin (3)", true),
            ("a notin (1,3)", false),
        ] {
            assert_eq!(flux::selects(&selector(text), &labels), expected, "{text}");
        }
    }
}
