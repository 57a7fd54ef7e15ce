//! Whether the service account that an applier acts as may apply what becomes live.

use crate::cluster::{Clusters, Error, User};
use crate::config::{Hop, Scenario};
use crate::hop::Place;
use crate::model::{ObjectName, Subject};
use crate::path::Graph;
use crate::path::checkup::{Finding, table};
use serde_json::Value;

/// What Flux asks for: it applies by patches, and creates what is not there.
const VERBS: [&str; 2] = ["patch", "create"];

/// What appliers of a scenario may not do.
pub(super) async fn check(clusters: &Clusters, graph: &Graph, scenario: &Scenario) -> Vec<Finding> {
    let mut found = Vec::new();
    for hop in scenario.hops.iter().filter(|it| place(it) == Place::Live) {
        let (Some(live), Some(applier)) = (hop.subject(), applier(scenario, hop)) else { continue };
        let Some(account) = account(&applier, graph.object(&applier)) else { continue };
        // The account is one of the cluster that is applied to.
        let Ok(cluster) = clusters.get(&live.cluster).await else { continue };
        let user = User::service_account(&account);
        for verb in VERBS {
            // What does not exist yet has no name that a role could allow.
            let name = if verb == "create" { String::new() } else { live.name.clone() };
            let asked = Subject { name, ..live.clone() };
            let finding = match cluster.permits(Some(&user), verb, &asked).await {
                Ok(it) if it.allowed => continue,
                Ok(it) => Finding::of(
                    table::APPLIER_RIGHT_MISSING,
                    &applier,
                    format!(
                        "its service account {account} is not allowed {}, so it cannot apply {live}",
                        it.target
                    ),
                    format!("grant {} of namespace `{}` to it", it.target.rule(), live.namespace),
                ),
                Err(Error::NoSuchKind { .. }) => continue,
                Err(error) => Finding::of(
                    table::APPLIER_RIGHT_UNKNOWN,
                    &applier,
                    format!(
                        "whether its service account {account} may apply {live} is not known: {error}"
                    ),
                    "bind the ClusterRole `system:auth-delegator`, or ask as an administrator"
                        .to_owned(),
                ),
            };
            let is_unknown = finding.check == table::APPLIER_RIGHT_UNKNOWN;
            found.push(finding.in_scenario(&scenario.name));
            if is_unknown {
                break;
            }
        }
    }
    found
}

fn place(hop: &Hop) -> Place {
    hop.kind.kind().traits().place
}

/// The last applier in front of a hop, by what it follows and by its place in the file.
fn applier(scenario: &Scenario, hop: &Hop) -> Option<Subject> {
    let before = scenario.hops.iter().take_while(|it| it.name != hop.name);
    let applies = |it: &&Hop| place(it) == Place::Apply && it.cluster.0.is_empty();
    let all: Vec<_> = before.filter(applies).collect();
    let followed = all.iter().rev().find(|it| hop.after.contains(&it.name));
    followed.or(all.last()).and_then(|it| it.subject())
}

/// The service account that an applier acts as, where it says one.
fn account(applier: &Subject, object: &Value) -> Option<ObjectName> {
    let name = object["spec"]["serviceAccountName"].as_str().filter(|it| !it.is_empty())?;
    Some(ObjectName::new(&applier.namespace, name))
}
