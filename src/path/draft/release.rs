//! The path to what a HelmRelease releases, by a new version of its chart.

use crate::model::{GroupKind, Subject};
use crate::path::delivery::place;
use crate::path::draft::kustomization::{applied_after, capital, live};
use crate::path::draft::times::{Behind, times};
use crate::path::draft::{Draft, Drafter, Field, NotDrafted, Step, Wish, label, named};
use crate::path::graph::Link;
use crate::path::links;
use serde_json::Value;

/// Workloads that bear their chart's version, as charts commonly do.
const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

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
        let far = self.graph.facts(target).cluster.is_some();
        if let Some(live) = released(target, object, up.trigger, wish).filter(|_| !far) {
            up.steps.push(live);
        }
        if up.trigger == "git_commit" {
            self.in_chart(&mut up.fields, source);
            let path = up.steps.iter().map(|it| it.subject.clone()).collect();
            self.shared(&mut up, &path);
        } else {
            up.notes.push(format!(
                "each run releases a new version of the chart to {target}: use a chart and a \
                 release of the canary's own"
            ));
        }
        self.values(target, &mut up.notes);
        let behind = Behind { waits: self.graph.facts(target).waits, ..Behind::default() };
        Ok(Draft {
            target: target.clone(),
            name: label(&[&target.namespace, &target.name, "release"], 60),
            description: format!("{} is released by {target}.", capital(up.what)),
            notes: up.notes,
            lane: up.lane,
            consent: None,
            trigger: up.trigger,
            fields: up.fields,
            times: times(&up.polls, behind),
            hops: up.steps,
            until: None,
        })
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

/// What the release brings: of a chart in git the canary itself, of others a workload.
fn released(target: &Subject, object: &Value, trigger: &str, wish: &Wish) -> Option<Step> {
    if let Some(it) = &wish.live {
        return Some(live(it));
    }
    if trigger == "git_commit" {
        let namespace = object["spec"]["targetNamespace"].as_str();
        let namespace = namespace.unwrap_or(&target.namespace);
        let kind = GroupKind::new("", "ConfigMap");
        return Some(live(&Subject::local(kind, namespace, "hopclock-canary")));
    }
    let own = links::inventory(target, object).into_iter();
    let mut workloads = own.filter(|it| WORKLOADS.contains(&it.kind.kind.as_str()));
    let why = "reached if its labels name the chart's version, as charts commonly do";
    let step = live(&workloads.next()?);
    Some(Step { required: Some(false), why: why.to_owned(), ..step })
}
