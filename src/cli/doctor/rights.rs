//! Asks the API servers for each right that runs need, and names the rule where it is missing.

use crate::cli::doctor::needs::{Need, Needs};
use crate::cluster::{Cluster, Clusters, Error, Permission, Target, User};
use crate::model::ClusterName;
use crate::path::checkup::{Finding, table};
use std::collections::{BTreeMap, BTreeSet};

/// What is not allowed: some verbs of the same.
struct Refused {
    need: Need,
    target: Target,
    verbs: Vec<&'static str>,
    scenarios: BTreeSet<String>,
}

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
        let mut refused: Vec<Refused> = Vec::new();
        for (need, scenarios) in needs {
            match ask(&cluster, who, &need).await {
                Ok(None) => {}
                Ok(Some(Permission { target, .. })) => {
                    let verb = need.verb;
                    let same = |it: &&mut Refused| {
                        it.need.subject == need.subject
                            && it.need.lacks == need.lacks
                            && it.scenarios == scenarios
                    };
                    if let Some(it) = refused.iter_mut().find(same) {
                        it.verbs.push(verb);
                    } else {
                        refused.push(Refused { need, target, verbs: vec![verb], scenarios });
                    }
                }
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
        found.extend(refused.iter().map(|it| it.finding(who)));
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

// === impl Refused ===

impl Refused {
    fn finding(&self, who: Option<&User>) -> Finding {
        let Self { need, target, verbs, scenarios } = self;
        let whose = match who {
            Some(who) => format!("`{}` is not allowed", who.username),
            None => "we are not allowed".to_owned(),
        };
        let cluster = &need.subject.cluster.0;
        let there =
            if cluster.is_empty() { String::new() } else { format!(" of cluster `{cluster}`") };
        let named: Vec<_> = verbs.iter().map(|it| format!("`{it}`")).collect();
        let (check, effect) = match need.lacks {
            None => (table::RIGHT_MISSING, "no run can do without"),
            Some(effect) => (table::RIGHT_ADVISED, effect),
        };
        let problem = format!("{whose} {} of {}{there}: {effect}", named.join(", "), target.what());
        let place = match target.namespace.as_str() {
            "" => String::new(),
            namespace => format!(" of namespace `{namespace}`"),
        };
        let fix = format!("grant {}{place}", target.rule_for(verbs));
        let finding = Finding::general(check, problem, fix);
        let mut names = scenarios.iter();
        match (names.next(), names.next()) {
            (Some(one), None) => finding.in_scenario(one),
            _ => finding,
        }
    }
}
