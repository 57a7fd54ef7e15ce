//! What of an installation matters for a scenario: its path, and who wakes it.

use crate::model::Subject;
use crate::path::Graph;
use crate::path::graph::Link;
use std::collections::BTreeSet;

/// The objects on the way to `subjects`, these included: what feeds them, what they depend on, what
/// configures them and who chooses for them; with `around`, also who wakes them and who tells of
/// them.
#[must_use]
pub fn scope(graph: &Graph, subjects: &[Subject], around: bool) -> BTreeSet<Subject> {
    let mut known = BTreeSet::new();
    let mut open = subjects.to_vec();
    while let Some(subject) = open.pop() {
        if !known.insert(subject.clone()) {
            continue;
        }
        let before = graph.into(&subject).filter(|it| match it.link {
            Link::Feeds
            | Link::Composes
            | Link::Includes
            | Link::Precedes
            | Link::Scanned
            | Link::Chosen
            | Link::Configures => true,
            Link::Committed { .. }
            | Link::Wakes(_)
            | Link::Writes
            | Link::ToldBy
            | Link::TellsBy => false,
        });
        open.extend(before.map(|it| it.from.clone()));
    }
    if around {
        let near = |it: &Subject| {
            let wakers = graph.into(it).filter(|it| matches!(it.link, Link::Wakes(_)));
            let alerts = graph.out_of(it).filter(|it| it.link == Link::ToldBy);
            let near = wakers.map(|it| &it.from).chain(alerts.map(|it| &it.to));
            near.cloned().collect::<Vec<_>>()
        };
        let near: Vec<_> = known.iter().flat_map(near).collect();
        known.extend(near);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::checkup::kit::{object, snapshot};
    use crate::path::flux_kind;
    use serde_json::json;

    #[test]
    fn a_path_is_all_that_leads_there_and_who_wakes_it() {
        let source = |name: &str| json!({"kind": "GitRepository", "name": name});
        let named = |name: &str| json!({"resources": [source(name)]});
        let graph = Graph::of(snapshot(&[
            object("GitRepository", "fleet", json!({})),
            object("GitRepository", "other", json!({})),
            object(
                "Kustomization",
                "apps",
                json!({"sourceRef": source("fleet"),
                "dependsOn": [{"name": "infra"}]}),
            ),
            object("Kustomization", "infra", json!({"sourceRef": source("fleet")})),
            object("Kustomization", "beside", json!({"sourceRef": source("other")})),
            object("Receiver", "push", named("fleet")),
            object("Receiver", "beside", named("other")),
        ]));
        let of = |kind: &str, name: &str| Subject::local(flux_kind(kind), "flux-system", name);
        let apps = of("Kustomization", "apps");
        let path = [of("GitRepository", "fleet"), apps.clone(), of("Kustomization", "infra")];
        let found = scope(&graph, std::slice::from_ref(&apps), false);
        assert_eq!(found, BTreeSet::from(path.clone()));
        let found = scope(&graph, &[apps], true);
        let around = path.into_iter().chain([of("Receiver", "push")]);
        assert_eq!(found, around.collect());
    }
}
