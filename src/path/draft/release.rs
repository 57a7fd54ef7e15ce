//! The path to what a HelmRelease releases, by a new version of its chart.

use crate::model::{CanaryId, GroupKind, Subject};
use crate::path::delivery::place;
use crate::path::draft::kustomization::{applied_after, capital, live};
use crate::path::draft::times::{Behind, times};
use crate::path::draft::upstream::Upstream;
use crate::path::draft::{Consented, Draft, Drafter, Field, NotDrafted, Step, Wish, label, named};
use crate::path::graph::Link;
use serde_json::Value;

// === impl Drafter ===

impl Drafter<'_> {
    pub(super) fn release(&self, target: &Subject, wish: &Wish) -> Result<Draft, NotDrafted> {
        let object = self.graph.object(target);
        let none = || {
            NotDrafted(format!(
                "{target} names no chart: correct its `spec.chart` or `spec.chartRef`"
            ))
        };
        let source = self.graph.fed_by(target).next().ok_or_else(none)?;
        let mut up = self.upstream(source)?;
        // A chart in an OCIRepository is a chart all the same.
        if up.trigger == "oci_artifact" {
            (up.trigger, up.what) = ("helm_chart", "a chart");
        }
        for it in self.graph.levels(target).into_iter().flatten() {
            up.notes.push(format!("{target} waits for {it} before each upgrade"));
        }
        up.steps.push(applied_after(target, &[], "the newest release is deployed with the change"));
        let live = released(target, object, up.trigger, wish);
        let cluster = self.graph.facts(target).cluster.unwrap_or_default();
        let subject = Subject { cluster, ..live.subject };
        up.steps.push(Step { subject, ..live });
        if up.trigger == "git_commit" {
            self.in_chart(&mut up.fields, source);
            let path = up.steps.iter().map(|it| it.subject.clone()).collect();
            self.shared(&mut up, &path);
        } else {
            if !wish.reuse {
                self.charted(target, object)?;
            }
            let fed =
                up.steps.iter().any(|it| it.subject.kind == GroupKind::source("HelmRepository"));
            published(target, fed, &mut up);
            let path = up.steps.iter().map(|it| it.subject.clone()).collect();
            self.shared_source(&mut up, &path);
            up.lane = target.clone();
        }
        self.values(target, &mut up.notes);
        let behind = Behind { waits: self.graph.facts(target).waits, ..Behind::default() };
        Ok(Draft {
            target: target.clone(),
            name: label(&[&target.namespace, &target.name, "release"], 60),
            description: format!("{} is released by {target}.", capital(up.what)),
            notes: up.notes,
            lane: up.lane,
            consent: Consented::Given,
            trigger: up.trigger,
            fields: up.fields,
            times: times(&up.polls, behind),
            hops: up.steps,
            until: None,
        })
    }

    /// Refuses a release of another chart than a canary's: our chart would replace it, with all that
    /// it runs.
    fn charted(&self, target: &Subject, object: &Value) -> Result<(), NotDrafted> {
        let newest = &object["status"]["history"][0];
        let text = |key: &str| newest[key].as_str().unwrap_or_default();
        let ids = ["appVersion", "chartVersion"].map(text);
        let mut ids = ids.iter().flat_map(|it| CanaryId::find_in(it));
        let chart = text("chartName");
        if newest.is_null()
            || chart.contains("canary")
            || ids.any(|it| it.instance() == self.instance)
        {
            return Ok(());
        }
        let writers = self.graph.writers(target);
        let values = writers.map(|it| format!(" (`--kustomization {}`)", named(it)));
        let values = values.collect::<Vec<_>>().concat();
        Err(NotDrafted(format!(
            "needs a lane of its own: {target} runs the chart `{chart}`, and a canary's chart would \
             take its place; a change of its values takes the path of whatever writes the \
             release{values}"
        )))
    }

    /// A chart in git is given one more template.
    fn in_chart(&self, fields: &mut Vec<Field>, chart: &Subject) {
        let folder = self.graph.object(chart)["spec"]["chart"].as_str().and_then(place::clean);
        let folder = folder.filter(|it| !it.is_empty()).map(|it| it + "/").unwrap_or_default();
        let path = format!("{folder}templates/hopclock-canary.yaml");
        fields.push(Field::new("path", path, "one more template of the chart"));
    }

    /// Where its values come from, and whether a change of them wakes it.
    fn values(&self, target: &Subject, notes: &mut Vec<String>) {
        let configures = self.graph.into(target).filter(|it| it.link == Link::Configures);
        for values in configures.map(|it| &it.from) {
            let seen = self.graph.node(values).is_some();
            if seen && !self.graph.facts(values).watched {
                notes.push(format!(
                    "{values} gives values to {target} and does not wake it: without the label \
                     `reconcile.fluxcd.io/watch: Enabled` its interval does"
                ));
            }
        }
        for writer in self.graph.writers(target) {
            notes.push(format!(
                "{target} itself is written by {writer}: changes of its values take that path \
                 (`--kustomization {}`)",
                named(writer)
            ));
        }
    }
}

/// The canary that the release brings: one more object of a chart in git, of others the only one.
fn released(target: &Subject, object: &Value, trigger: &str, wish: &Wish) -> Step {
    if let Some(it) = &wish.live {
        return live(it);
    }
    if trigger == "git_commit" {
        let namespace = object["spec"]["targetNamespace"].as_str();
        let namespace = namespace.unwrap_or(&target.namespace);
        let kind = GroupKind::new("", "ConfigMap");
        return live(&Subject::local(kind, namespace, "hopclock-canary"));
    }
    // The canary's chart brings one ConfigMap, called as the release.
    let text = |key: &str| object["spec"][key].as_str().filter(|it| !it.is_empty());
    let namespace = text("targetNamespace").unwrap_or(&target.namespace);
    let name = text("releaseName").map(str::to_owned);
    let name = name.unwrap_or_else(|| match text("targetNamespace") {
        Some(namespace) => format!("{namespace}-{}", target.name),
        None => target.name.clone(),
    });
    live(&Subject::local(GroupKind::new("", "ConfigMap"), namespace, &name))
}

/// A chart in a registry or an index is published anew, with nothing in it but the canary.
fn published(target: &Subject, by_index: bool, up: &mut Upstream) {
    let why = "chart, range and registry are those of the release";
    up.fields = vec![Field::new("helm_release", named(target), why)];
    up.notes.push(format!(
        "each run replaces the whole release of {target} by a chart that holds only a \
         ConfigMap: use a chart and a release of the canary's own, or say `chart: FOLDER`"
    ));
    if by_index {
        up.notes.push(
            "where the files of the chart repository lie, Flux does not know: add `git` or \
             `bucket` to the trigger"
                .to_owned(),
        );
    }
}
