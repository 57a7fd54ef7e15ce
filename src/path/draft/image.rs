//! The path of an image: scanned, chosen, committed by an automation, fetched and applied.

use crate::model::image_policy::ImagePolicy;
use crate::model::{CanaryId, Subject};
use crate::path::delivery::place;
use crate::path::draft::kustomization::live;
use crate::path::draft::times::{Behind, times};
use crate::path::draft::{Consented, Draft, Drafter, Field, NotDrafted, Step, Wish, label, named};
use crate::path::graph::{Edge, Link};
use crate::path::links;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What is gathered along the path.
#[derive(Default)]
struct Gathered {
    steps: Vec<Step>,
    polls: Vec<super::times::Poll>,
    notes: Vec<String>,
    behind: Behind,
}

// === impl Drafter ===

impl Drafter<'_> {
    pub(super) fn policy(&self, target: &Subject, wish: &Wish) -> Result<Draft, NotDrafted> {
        let object = self.graph.object(target);
        let scanned = self.graph.into(target).find(|it| it.link == Link::Scanned);
        let none = || {
            NotDrafted(format!(
                "{target} names no ImageRepository: correct its `imageRepositoryRef`"
            ))
        };
        let scanned = &scanned.ok_or_else(none)?.from;
        if self.graph.node(scanned).is_none() {
            return Err(self.absent(scanned));
        }
        let (trigger, why) = self.image_trigger(target, object, scanned)?;
        let retag = self.retag(target, scanned, trigger, wish)?;
        let mut all = Gathered::default();
        if trigger == "image_tag" {
            let (steps, poll, notes) = self.asked(scanned);
            let why = self.waits(&poll);
            let scan = json!({ "image_repository": named(scanned) });
            let scan = Step::new("image_scanned", scan, scanned, &why).within(poll.objective());
            all.steps.extend(steps.into_iter().chain([scan]));
            all.polls.push(poll);
            all.notes.extend(notes);
        } else {
            let (steps, poll, notes) = self.asked(target);
            all.steps.extend(steps);
            all.polls.push(poll);
            all.notes.extend(notes);
        }
        let chosen = json!({ "image_policy": named(target) });
        let chosen = Step::new("policy_updated", chosen, target, "woken by the scan");
        all.steps.push(chosen);
        let ended = self.committed(target, scanned, wish, &mut all)?;
        let what = if trigger == "image_tag" { "A new image tag" } else { "A new image" };
        let end = if ended { "becomes live" } else { "is chosen" };
        Ok(Draft {
            target: target.clone(),
            name: label(&[&target.namespace, &target.name, "image"], 60),
            description: format!("{what} {end} by {target}.").replace("live by", "live through"),
            notes: all.notes,
            lane: target.clone(),
            consent: Consented::Given,
            trigger,
            fields: [Field::new("policy", named(target), &why)].into_iter().chain(retag).collect(),
            hops: all.steps,
            times: times(&all.polls, all.behind),
            until: None,
        })
    }

    /// Whether a new tag can be chosen, or only a new image under the same one.
    fn image_trigger(
        &self,
        target: &Subject,
        object: &Value,
        scanned: &Subject,
    ) -> Result<(&'static str, String), NotDrafted> {
        let tags: Vec<String> =
            object["status"]["latestRef"]["tag"].as_str().map(str::to_owned).into_iter().collect();
        let repository = &self.graph.object(scanned)["spec"];
        let policy = ImagePolicy::read(&object["spec"], repository);
        let next = policy.and_then(|it| it.next(&tags, &CanaryId::new(&self.instance, 1)));
        let always = object["spec"]["digestReflectionPolicy"] == "Always";
        match next {
            Ok(next) => {
                let why = format!(
                    "the tag is computed from it, such as `{}`; image and registry are those of \
                     {scanned}; where Flux's credentials are read-only, add `push_auth`",
                    next.tag
                );
                Ok(("image_tag", why))
            }
            Err(_) if always => Ok((
                "image_digest",
                "it always chooses the same tag and looks at its digest: a new image is pushed \
                 under it"
                    .to_owned(),
            )),
            Err(error) => Err(NotDrafted(format!("{target}: {error}"))),
        }
    }

    /// Where a workload runs the image, a new tag is given to the image that it runs already: the
    /// small image of a canary would end it. Whoever names a target has written the trigger himself.
    fn retag(
        &self,
        target: &Subject,
        scanned: &Subject,
        trigger: &str,
        wish: &Wish,
    ) -> Result<Option<Field>, NotDrafted> {
        let image = self.graph.object(scanned)["spec"]["image"].as_str().unwrap_or_default();
        let runs = |it: &Subject| {
            !["image.toolkit.fluxcd.io", "source.toolkit.fluxcd.io"]
                .contains(&it.kind.group.as_str())
                && it.kind.kind != "ConfigMap"
                && names(self.graph.object(it), image)
        };
        let nodes = self.graph.nodes().map(|it| &it.subject);
        let Some(workload) = nodes.chain(&wish.live).find(|it| runs(it)).filter(|_| !wish.reuse)
        else {
            return Ok(None);
        };
        let tag = self.graph.object(target)["status"]["latestRef"]["tag"].as_str();
        match tag {
            Some(tag) if trigger == "image_tag" => {
                let why = format!(
                    "{workload} runs the image: what it runs now is given the new tag, so that it \
                     only restarts"
                );
                Ok(Some(Field::new("retag", tag, &why)))
            }
            Some(tag) => Err(NotDrafted(format!(
                "needs a lane of its own: {workload} runs the image of {target}, and a canary under \
                 `{tag}` would take its place"
            ))),
            None => Err(NotDrafted(format!(
                "needs a lane of its own: {workload} runs the image of {target}, which has chosen no \
                 tag yet that a canary could give a new name"
            ))),
        }
    }

    /// What automations make of the choice; says whether it becomes live anywhere.
    fn committed(
        &self,
        target: &Subject,
        scanned: &Subject,
        wish: &Wish,
        all: &mut Gathered,
    ) -> Result<bool, NotDrafted> {
        let automations = self.graph.out_of(target).filter(|it| it.link == Link::Chosen);
        let mut automations: Vec<_> = automations.map(|it| &it.to).collect();
        automations.sort();
        let Some((automation, others)) = automations.split_first() else {
            all.notes.push(format!(
                "no ImageUpdateAutomation selects {target}: the scenario ends where the tag is chosen"
            ));
            return Ok(false);
        };
        for it in others {
            all.notes.push(format!("{it} writes the choice too: it is another path"));
        }
        let commits = |it: &&Edge| matches!(it.link, Link::Committed { .. });
        let commit = self.graph.out_of(automation).find(commits);
        let none =
            || NotDrafted(format!("{automation} names no GitRepository: mend its `sourceRef`"));
        let Edge { to: source, link, .. } = commit.ok_or_else(none)?;
        if self.graph.node(source).is_none() {
            return Err(self.absent(source));
        }
        let config = json!({
            "image_update_automation": named(automation), "image_policy": named(target),
        });
        let why = "woken by the policy; seen on the branch before its status says so";
        all.steps.push(Step::new("automation_committed", config, automation, why));
        all.behind.commits = 1;
        if let Link::Committed { branch: Some(branch) } = link {
            let merged = json!({ "git_repository": named(source) });
            let why = format!("{automation} pushes to `{branch}`: somebody has to merge it");
            all.steps.push(Step::new("merged", merged, source, &why));
            all.notes.push(format!(
                "`{branch}` has to be merged before the deadline: choose one that allows for it"
            ));
        }
        let (steps, poll, notes) = self.fetched(source);
        all.steps.extend(steps);
        all.polls.push(poll);
        all.notes.extend(notes);
        Ok(self.arrived(automation, source, scanned, target, wish, all))
    }

    /// Where the commit is applied, and what shows it then.
    fn arrived(
        &self,
        automation: &Subject,
        source: &Subject,
        scanned: &Subject,
        target: &Subject,
        wish: &Wish,
        all: &mut Gathered,
    ) -> bool {
        let folder = self.graph.object(automation)["spec"]["update"]["path"].as_str();
        let folder = folder.and_then(place::clean).unwrap_or_default();
        let feeds = self.graph.out_of(source).filter(|it| it.link == Link::Feeds).map(|it| &it.to);
        let feeds: BTreeSet<_> = feeds.filter(|it| it.kind.kind == "Kustomization").collect();
        let near = |it: &&Subject| {
            let path = self.graph.object(it)["spec"]["path"].as_str();
            overlaps(&folder, &path.and_then(place::clean).unwrap_or_default())
        };
        let appliers: Vec<_> = feeds.into_iter().filter(near).collect();
        let shown = |it: &&Subject| self.bearers(it, scanned, target);
        let bearing = appliers.iter().find(|it| !shown(it).is_empty());
        let Some(applier) = bearing.or(appliers.first()) else {
            let none = "no Kustomization applies what it writes: the scenario ends at the source";
            all.notes.push(format!("{automation}: {none}"));
            return false;
        };
        if appliers.len() > 1 {
            let names: Vec<_> = appliers.iter().map(ToString::to_string).collect();
            all.notes.push(format!("each run wakes {}", names.join(", ")));
        }
        let (steps, behind) = self.applied(applier, source, &mut all.notes);
        all.steps.extend(steps);
        all.behind = Behind { commits: all.behind.commits, ..behind };
        let bearers = shown(applier);
        match (wish.live.as_ref().or(bearers.first()), bearers.len()) {
            (Some(it), count) => {
                let why =
                    "it shows the policy's image now; the policy must be used for nothing else";
                all.steps.push(Step { why: why.to_owned(), ..live(it) });
                if count > 1 {
                    let names: Vec<_> = bearers.iter().map(ToString::to_string).collect();
                    all.notes.push(format!(
                        "several objects show the image ({}): a policy of its own is needed, for \
                         nothing but the canary may use it",
                        names.join(", ")
                    ));
                }
            }
            (None, _) => all.notes.push(format!(
                "nothing that {applier} applies shows the image: name the object that does in a \
                 `live` hop, or nothing is pushed"
            )),
        }
        true
    }

    /// What an applier has applied that shows the policy's image.
    fn bearers(&self, applier: &Subject, scanned: &Subject, policy: &Subject) -> Vec<Subject> {
        let image = self.graph.object(scanned)["spec"]["image"].as_str().unwrap_or_default();
        let tag = self.graph.object(policy)["status"]["latestRef"]["tag"].as_str();
        let own = links::inventory(applier, self.graph.object(applier));
        let bears = |it: &Subject| shows(self.graph.object(it), image, tag.unwrap_or_default());
        own.into_iter().filter(bears).collect()
    }
}

/// Whether one of two folders lies in the other.
fn overlaps(one: &str, other: &str) -> bool {
    let holds = |outer: &str, inner: &str| {
        let rest = inner.strip_prefix(outer);
        outer.is_empty() || rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
    };
    holds(one, other) || holds(other, one)
}

/// Whether an object names an image, with whatever tag.
fn names(object: &Value, image: &str) -> bool {
    let mut texts = Vec::new();
    gather(&object["spec"], &mut texts);
    let begins = |it: &&str| {
        let rest = it.strip_prefix(image);
        rest.is_some_and(|it| it.is_empty() || it.starts_with([':', '@']))
    };
    !image.is_empty() && texts.iter().any(begins)
}

/// Whether an object names an image with this tag, in one text or in two.
fn shows(object: &Value, image: &str, tag: &str) -> bool {
    if image.is_empty() || tag.is_empty() {
        return false;
    }
    let mut texts = Vec::new();
    for part in ["spec", "data"] {
        gather(&object[part], &mut texts);
    }
    let whole = format!("{image}:{tag}");
    let begins = |it: &&str| {
        let rest = it.strip_prefix(&whole);
        rest.is_some_and(|it| it.is_empty() || it.starts_with('@'))
    };
    texts.iter().any(begins) || texts.contains(&image) && texts.contains(&tag)
}

fn gather<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(it) => texts.push(it),
        Value::Array(all) => all.iter().for_each(|it| gather(it, texts)),
        Value::Object(all) => all.values().for_each(|it| gather(it, texts)),
        _ => {}
    }
}
