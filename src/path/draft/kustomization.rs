//! The path to what a Kustomization applies.
//!
//! The canary is a new ConfigMap in a file of its own: which file holds an object that is there
//! already, the cluster does not say, and rewriting somebody's file would change their workload.

use crate::model::{CanaryId, GroupKind, Landing, Subject};
use crate::path::delivery::{CONSENT, branch_of, place};
use crate::path::draft::times::{Behind, times};
use crate::path::draft::upstream::Upstream;
use crate::path::draft::{Consented, Draft, Drafter, Field, NotDrafted, Step, Wish, label, named};
use crate::path::graph::{Edge, Link};
use crate::path::links;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The canary that a Kustomization is to bring.
pub(super) struct Canary {
    /// Its name, and that of its file.
    pub(super) name: String,
    /// The object, as the cluster will show it.
    pub(super) live: Subject,
    /// The manifest, where the trigger's default would not do.
    pub(super) template: Option<String>,
    pub(super) notes: Vec<String>,
}

// === impl Drafter ===

impl Drafter<'_> {
    pub(super) fn kustomization(&self, target: &Subject, wish: &Wish) -> Result<Draft, NotDrafted> {
        let object = self.graph.object(target);
        let none = || NotDrafted(format!("{target} names no source: correct its `spec.sourceRef`"));
        let source = self.graph.fed_by(target).next().ok_or_else(none)?;
        let mut up = self.upstream(source)?;
        if up.trigger == "oci_artifact" && !wish.reuse {
            self.alone(target, &up.lane)?;
        }
        let canary = self.canary(target, object, wish);
        if canary.live.namespace.is_empty() && key_of_live(&canary.live.kind) != "object" {
            return Err(NotDrafted(format!(
                "the template of {} {} names no namespace, and {target} has no \
                 `spec.targetNamespace`: name one in either",
                canary.live.kind, canary.live.name
            )));
        }
        let (steps, behind) = self.applied(target, source, &mut up.notes);
        up.steps.extend(steps);
        if let Some(cluster) = self.graph.facts(target).cluster {
            let way = object["spec"]["kubeConfig"]["secretRef"].as_object().map_or_else(
                || format!("`--cluster {}=` and the way there", cluster.0),
                |_| format!("`--cluster {0}=secret:{1}/{0}`", cluster.0, target.namespace),
            );
            up.notes.push(format!(
                "{target} applies to another cluster (`spec.kubeConfig`): run this with {way}"
            ));
        }
        up.steps.push(live(&canary.live));
        payload(&mut up, object, canary);
        let path = up.steps.iter().map(|it| it.subject.clone()).collect();
        self.shared(&mut up, &path);
        brought(&mut up, target, object);
        let times = times(&up.polls, behind);
        Ok(Draft {
            target: target.clone(),
            name: label(&[&target.namespace, &target.name], 60),
            description: format!("{} becomes live through {target}.", capital(up.what)),
            notes: up.notes,
            lane: up.lane,
            consent: Consented::Given,
            trigger: up.trigger,
            fields: up.fields,
            hops: up.steps,
            times,
            until: None,
        })
    }

    /// The hops at which it is applied: after those that it depends on, as far as these take the
    /// change from the same source.
    pub(super) fn applied(
        &self,
        target: &Subject,
        source: &Subject,
        notes: &mut Vec<String>,
    ) -> (Vec<Step>, Behind) {
        let fed = |it: &Subject| self.graph.fed_by(it).any(|it| it == source);
        let (mut steps, mut before) = (Vec::new(), Vec::new());
        let mut behind = Behind { waits: self.graph.facts(target).waits, ..Behind::default() };
        for level in self.graph.levels(target) {
            let (own, other): (Vec<_>, Vec<_>) = level.into_iter().partition(fed);
            for it in other {
                notes.push(format!("{target} waits for {it} too, which takes another source"));
            }
            behind.waits |= own.iter().any(|it| self.graph.facts(it).waits);
            behind.levels += usize::from(!own.is_empty());
            let names: Vec<_> = own.iter().map(ToString::to_string).collect();
            let step = |it: &Subject| applied_after(it, &before, "it is depended on");
            steps.extend(own.iter().map(step));
            before = if names.is_empty() { before } else { names };
        }
        let why = match (behind.levels, behind.waits) {
            (0, false) => "reported once all is applied",
            (0, true) => "reported once all is healthy, which is looked at every 5s",
            _ => "each level of `dependsOn` is looked at again every 30s",
        };
        steps.push(applied_after(target, &before, why));
        (steps, behind)
    }

    /// Whether others use the source, and what would spare them (rule S1).
    pub(super) fn shared(&self, up: &mut Upstream, steps: &BTreeSet<Subject>) {
        let git = GroupKind::git_repository();
        if up.lane.kind != git {
            return self.shared_source(up, steps);
        }
        let object = self.graph.object(&up.lane);
        let Ok(branch) = branch_of(&up.lane, object) else { return };
        let landing = Landing {
            source: Some(up.lane.clone()),
            url: object["spec"]["url"].as_str().unwrap_or_default().to_owned(),
            branch,
            path: String::new(),
            shared: false,
            replaces: false,
            signs_with: None,
        };
        let woken = self.neighbours.woken(&landing);
        let appliers = steps.iter().filter(|it| self.graph.node(it).is_some());
        let mut path: BTreeSet<Subject> = appliers.cloned().collect();
        for it in steps {
            path.extend(self.graph.levels(it).into_iter().flatten());
        }
        let generators = self.generators(&up.lane, steps);
        if woken.appliers.is_subset(&path) && generators.is_empty() {
            return;
        }
        for it in generators {
            up.notes.push(format!("each run wakes {it} too, and whoever applies what it composes"));
        }
        let why = "others use the source too: each run wakes them";
        up.fields.push(Field::new("shared", true, why));
        up.notes.push(format!(
            "each run wakes {woken}; a lane of its own would spare them: a branch that holds only \
             the canary, a GitRepository that follows it, and a Kustomization that applies it"
        ));
    }

    /// The generators that compose of a source what does not stand on the path.
    fn generators(&self, source: &Subject, steps: &BTreeSet<Subject>) -> Vec<&Subject> {
        let feeds = self.graph.out_of(source).filter(|it| it.link == Link::Feeds).map(|it| &it.to);
        let others = feeds.filter(|it| it.kind.kind == "ArtifactGenerator").filter(|it| {
            let composes = |it: &&Edge| it.link == Link::Composes;
            !self.graph.out_of(it).filter(composes).any(|it| steps.contains(&it.to))
        });
        others.collect()
    }

    /// The same for a source that is no branch: those that it feeds.
    pub(super) fn shared_source(&self, up: &mut Upstream, path: &BTreeSet<Subject>) {
        let feeds = self.graph.out_of(&up.lane).filter(|it| it.link == Link::Feeds);
        let others: BTreeSet<_> = feeds.map(|it| &it.to).filter(|it| !path.contains(it)).collect();
        // What is static wakes nobody.
        if !others.is_empty() && !self.graph.facts(&up.lane).is_static {
            let others: Vec<_> = others.into_iter().map(ToString::to_string).collect();
            let why = "others use the source too: each run wakes them";
            up.fields.push(Field::new("shared", true, why));
            up.notes.push(format!(
                "each run also wakes {}: a source of the canary's own would spare them",
                others.join(", ")
            ));
        }
    }

    /// Refuses an artifact that brings more than canaries: the next one holds nothing but ours, and
    /// all else would be pruned.
    fn alone(&self, target: &Subject, lane: &Subject) -> Result<(), NotDrafted> {
        let feeds = self.graph.out_of(lane).filter(|it| it.link == Link::Feeds).map(|it| &it.to);
        let others = feeds.filter(|it| it.kind == GroupKind::kustomization() && *it != target);
        for applier in std::iter::once(target).chain(others) {
            let own = links::inventory(applier, self.graph.object(applier));
            let name = self.canary_name(applier);
            if let Some(it) = own.iter().find(|it| it.name != name && !self.is_canary(it)) {
                return Err(NotDrafted(format!(
                    "needs a lane of its own: {applier} also applies {it}, and an artifact of {lane} \
                     that holds only a canary would take it away"
                )));
            }
        }
        Ok(())
    }

    /// Whether an object was read and carries our canary, or says that it is one.
    fn is_canary(&self, subject: &Subject) -> bool {
        let object = self.graph.object(subject);
        let metadata = &object["metadata"];
        let marked = ["annotations", "labels"].iter().any(|it| metadata[it][CONSENT].is_string());
        let data = object["data"].as_object().into_iter().flatten().filter_map(|it| it.1.as_str());
        let mut ids = data.flat_map(CanaryId::find_in);
        marked || ids.any(|it| it.instance() == self.instance)
    }

    /// A manifest's object as a Kustomization makes it: in its namespace, under its names, in its
    /// cluster. What has no namespace in a manifest has one if its kind needs one.
    fn as_applied(&self, target: &Subject, object: &Value, written: &Subject) -> Subject {
        let text = |key: &str| object["spec"][key].as_str().unwrap_or_default();
        let in_namespace = !written.namespace.is_empty() || key_of_live(&written.kind) != "object";
        let own = text("targetNamespace");
        let namespace = if in_namespace && !own.is_empty() { own } else { &written.namespace };
        Subject {
            kind: written.kind.clone(),
            namespace: namespace.to_owned(),
            name: format!("{}{}{}", text("namePrefix"), written.name, text("nameSuffix")),
            cluster: self.graph.facts(target).cluster.unwrap_or_default(),
        }
    }

    /// The canary that it is to bring.
    fn canary(&self, target: &Subject, object: &Value, wish: &Wish) -> Canary {
        let own = links::inventory(target, object);
        let maps = own.iter().filter(|it| it.kind == GroupKind::new("", "ConfigMap"));
        let maps: Vec<_> = maps.cloned().collect();
        let name = self.canary_name(target);
        let ours = maps.iter().find(|it| it.name == name);
        let like: Vec<_> = maps.iter().filter(|it| it.name.contains("canary")).collect();
        let (like, alone) = match (like.as_slice(), maps.as_slice()) {
            ([one], _) => (Some(*one), true),
            ([], [one]) => (Some(one), false),
            _ => (None, false),
        };
        let carries = || maps.iter().find(|it| self.is_canary(it));
        let reused = if wish.reuse { ours.or_else(carries) } else { None };
        let written = wish.live.as_ref().map(|it| self.as_applied(target, object, it));
        let known = written.or_else(|| reused.cloned());
        if let Some(live) = known {
            return Canary { name, live, template: None, notes: Vec::new() };
        }
        let mut notes = Vec::new();
        if let Some(like) = like.filter(|it| alone && it.name != name) {
            notes.push(format!(
                "{target} applies ConfigMap {} already: if that is a canary, name its file as \
                 `path` and itself in `live`",
                named(like)
            ));
        }
        let spec = &object["spec"];
        let text = |key: &str| spec[key].as_str().filter(|it| !it.is_empty());
        let namespace = text("targetNamespace").map_or_else(
            || most_used(&own).unwrap_or_else(|| target.namespace.clone()),
            str::to_owned,
        );
        let (prefix, suffix) = (text("namePrefix"), text("nameSuffix"));
        let shown = format!("{}{name}{}", prefix.unwrap_or_default(), suffix.unwrap_or_default());
        let template = (shown != name).then(|| manifest(&namespace, &name));
        let live = Subject::local(GroupKind::new("", "ConfigMap"), &namespace, &shown);
        let far = self.graph.facts(target).cluster;
        let live = Subject { cluster: far.clone().unwrap_or_default(), ..live };
        let unseen =
            self.graph.node(&Subject::local(GroupKind::new("", "Namespace"), "", &namespace));
        let listed = self.graph.nodes().any(|it| it.subject.kind.kind == "Namespace");
        if unseen.is_none() && listed && far.is_none() {
            notes.push(format!("namespace `{namespace}` does not exist yet: the canary needs it"));
        }
        Canary { name, live, template, notes }
    }

    /// Name of the canary that a new file holds: with its namespace, where Kustomizations of one name
    /// could bring it to the same place.
    fn canary_name(&self, target: &Subject) -> String {
        let same = |it: &Subject| {
            it.kind == target.kind && it.name == target.name && it.namespace != target.namespace
        };
        if self.graph.nodes().any(|it| same(&it.subject)) {
            label(&["hopclock", &target.namespace, &target.name], 60)
        } else {
            label(&["hopclock", &target.name], 60)
        }
    }
}

/// What the trigger writes, and where.
fn payload(up: &mut Upstream, object: &Value, canary: Canary) {
    let folder = object["spec"]["path"].as_str().and_then(place::clean).unwrap_or_default();
    let file = format!("{}.yaml", canary.name);
    let file = if folder.is_empty() { file } else { format!("{folder}/{file}") };
    if up.trigger != "helm_chart" {
        let why = match up.trigger {
            "git_commit" => "a file of its own; hopclock rewrites it in each run",
            "oci_artifact" => {
                "the artifact holds nothing but this: it needs a repository of its own"
            }
            _ => "an object of its own; hopclock rewrites it in each run",
        };
        up.fields.push(Field::new("path", file, why));
        if let Some(template) = canary.template {
            let why = "the name that the applier makes of it is another one";
            up.fields.push(Field::new("template", template, why));
        }
    }
    if up.trigger != "oci_artifact" {
        let folder = if folder.is_empty() { ".".to_owned() } else { folder };
        up.notes.push(format!(
            "if `{folder}` holds a kustomization.yaml, list `{}.yaml` under its `resources`",
            canary.name
        ));
    }
    up.notes.extend(canary.notes);
}

/// Releases among what it applies: their own path is another scenario.
fn brought(up: &mut Upstream, target: &Subject, object: &Value) {
    let all = links::inventory(target, object);
    let releases = all.iter().filter(|it| it.kind == GroupKind::helm_release());
    let names: Vec<_> = releases.map(|it| format!("`--helm-release {}`", named(it))).collect();
    if !names.is_empty() {
        up.notes.push(format!(
            "{target} also writes HelmReleases: their charts are paths of their own ({})",
            names.join(", ")
        ));
    }
}

/// The hop at which an applier reports the change; those before it by their subjects.
pub(super) fn applied_after(subject: &Subject, before: &[String], why: &str) -> Step {
    let key = super::key_of(&subject.kind.kind);
    let step = Step::new("applied", json!({ key: named(subject) }), subject, why);
    let after = (!before.is_empty()).then(|| before.to_vec());
    Step { after, ..step }
}

/// The hop at which an object carries the change.
pub(super) fn live(subject: &Subject) -> Step {
    let key = key_of_live(&subject.kind);
    let Subject { kind, namespace, name, .. } = subject;
    let config = if key == "object" {
        json!({ key: { "group": kind.group, "kind": kind.kind, "namespace": namespace, "name": name } })
    } else {
        json!({ key: named(subject) })
    };
    Step::new("live", config, subject, "the object itself carries the change")
}

/// The key by which `live` names objects of a kind.
fn key_of_live(kind: &GroupKind) -> &'static str {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "ConfigMap") => "config_map",
        ("", "Secret") => "secret",
        ("apps", "Deployment") => "deployment",
        ("apps", "StatefulSet") => "stateful_set",
        ("apps", "DaemonSet") => "daemon_set",
        _ => "object",
    }
}

/// The text with a capital at its begin.
pub(super) fn capital(text: &str) -> String {
    let mut all = text.chars();
    all.next().map(|it| it.to_ascii_uppercase()).into_iter().chain(all).collect()
}

fn manifest(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {namespace}\n\
         data:\n  canary: ${{canary}}\n"
    )
}

/// The namespace that most of the objects are in.
fn most_used(all: &[Subject]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for it in all.iter().filter(|it| !it.namespace.is_empty()) {
        *counts.entry(&it.namespace).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|it| it.1);
    most.map(|it| it.0.to_owned())
}
