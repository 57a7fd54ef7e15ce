//! Asks the API servers for each right that runs need, and names the rule where it is missing.

use crate::cli::doctor::needs::{Need, Needs};
use crate::cluster::{Cluster, Clusters, Error, Permission, User};
use crate::model::ClusterName;
use crate::path::checkup::{Finding, table};
use std::collections::{BTreeMap, BTreeSet};

/// The rights that are missing. `who` is asked for in our own cluster; in others, a kubeconfig says
/// who we are.
pub(super) async fn missing(clusters: &Clusters, who: Option<&User>, needs: Needs) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut by_cluster: BTreeMap<ClusterName, Vec<(Need, BTreeSet<String>)>> = BTreeMap::new();
    for (need, scenarios) in needs {
        let name = need.subject.cluster.clone();
        by_cluster.entry(name).or_default().push((need, scenarios));
    }
    for (name, needs) in by_cluster {
        // That a cluster cannot be reached, the rehearsal has said.
        let Ok(cluster) = clusters.get(&name).await else { continue };
        let who = who.filter(|_| name.0.is_empty());
        for (need, scenarios) in needs {
            match ask(&cluster, who, &need).await {
                Ok(Some(refused)) => found.push(finding(&need, &refused, &scenarios, who)),
                Ok(None) => {}
                Err(error) => {
                    found.push(Finding::general(
                        table::UNSEEN,
                        format!("which rights are given: {error}"),
                        "let hopclock ask, or run it as the account whose rights are meant"
                            .to_owned(),
                    ));
                    break;
                }
            }
        }
    }
    found
}

/// What is refused; none if nothing is.
async fn ask(
    cluster: &Cluster,
    who: Option<&User>,
    need: &Need,
) -> Result<Option<Permission>, Error> {
    match cluster.permits(who, need.verb, &need.subject).await {
        Ok(permission) => Ok(Some(permission).filter(|it| !it.allowed)),
        // Somebody else says that it is not installed.
        Err(Error::NoSuchKind { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn finding(
    need: &Need,
    refused: &Permission,
    scenarios: &BTreeSet<String>,
    who: Option<&User>,
) -> Finding {
    let target = &refused.target;
    let whose = match who {
        Some(who) => format!("`{}` may not", who.username),
        None => "we may not".to_owned(),
    };
    let cluster = &need.subject.cluster.0;
    let there = if cluster.is_empty() { String::new() } else { format!(" of cluster `{cluster}`") };
    let (check, effect) = match need.lacks {
        None => (table::RIGHT_MISSING, "no run can do without".to_owned()),
        Some(what) => (table::RIGHT_ADVISED, format!("a run does without {what}")),
    };
    let problem = format!("{whose} {target}{there}: {effect}");
    let place = match target.namespace.as_str() {
        "" => String::new(),
        namespace => format!(" of namespace `{namespace}`"),
    };
    let finding = Finding::general(check, problem, format!("grant {}{place}", target.rule()));
    let mut names = scenarios.iter();
    match (names.next(), names.next()) {
        (Some(one), None) => finding.in_scenario(one),
        _ => finding,
    }
}
