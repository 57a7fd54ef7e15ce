//! Looks at the cluster: what may stand on a path, and the controllers that run it.

use crate::cli::discover::collect;
use crate::cli::doctor::subjects;
use crate::cluster::{Cluster, Error};
use crate::config::Scenario;
use crate::model::GroupKind;
use crate::path::checkup::Controllers;
use crate::path::{KINDS, Snapshot};

/// What was seen.
pub(super) struct Look {
    pub(super) snapshot: Snapshot,
    pub(super) controllers: Controllers,
}

/// Where Flux runs, unless somebody chose otherwise.
const USUAL: &str = "flux-system";

/// Looks at a cluster. Where it may not look everywhere, it looks beside the first scenario.
///
/// # Errors
///
/// When the cluster cannot be talked to at all.
pub(super) async fn at(cluster: &Cluster, scenarios: &[Scenario]) -> Result<Look, Error> {
    let first = scenarios.iter().flat_map(subjects).next();
    let home = first.as_ref().map_or(USUAL, |it| it.namespace.as_str());
    let mut snapshot = collect(cluster, None, Some(home)).await?;
    let kind = GroupKind::new("apps", "Deployment");
    let mut deployments = Snapshot::default();
    match cluster.survey(&kind, None).await {
        Ok(found) => deployments.add(&kind, found.unwrap_or_default()),
        Err(error @ Error::Forbidden { .. }) => match cluster.survey(&kind, Some(USUAL)).await {
            Ok(found) => deployments.add(&kind, found.unwrap_or_default()),
            Err(Error::Forbidden { .. }) => snapshot.miss(kind, error.to_string()),
            Err(error) => return Err(error),
        },
        Err(error) => return Err(error),
    }
    // Of all Deployments of a cluster only these are kept.
    Ok(Look { snapshot, controllers: Controllers::of(&deployments) })
}

/// What a dump holds: a kind of which it holds nothing may not have been dumped.
pub(super) fn dumped(mut snapshot: Snapshot) -> Snapshot {
    for (group, name) in KINDS {
        let kind = GroupKind::new(group, name);
        if snapshot.of_kind(&kind).next().is_none() {
            snapshot.miss(
                kind,
                "the dump holds none, so whether there are any is not known".to_owned(),
            );
        }
    }
    snapshot
}
