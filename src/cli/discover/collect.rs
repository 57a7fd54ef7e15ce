//! Reads from a cluster what may stand on a path. What may not be read is said and does without.

use crate::cluster::{Cluster, Error};
use crate::model::GroupKind;
use crate::path::{KINDS, Snapshot};

/// Everything of these namespaces that may stand on a path. Of a kind that may not be listed in all
/// namespaces, what is in the one called `home`.
///
/// # Errors
///
/// When the cluster cannot be talked to at all.
pub(in crate::cli) async fn collect(
    cluster: &Cluster,
    namespace: Option<&str>,
    home: Option<&str>,
) -> Result<Snapshot, Error> {
    let mut snapshot = Snapshot::default();
    for (group, name) in KINDS {
        let kind = GroupKind::new(group, name);
        // Who looks into one namespace need not know the others.
        if namespace.is_some() && name == "Namespace" {
            continue;
        }
        match cluster.survey(&kind, namespace).await {
            Ok(Some(objects)) => snapshot.add(&kind, objects),
            Ok(None) => snapshot.lack(kind),
            Err(error @ Error::Forbidden { .. }) => {
                let own = home.filter(|_| namespace.is_none() && name != "Namespace");
                if let Some(home) = own
                    && let Ok(Some(objects)) = cluster.survey(&kind, Some(home)).await
                {
                    snapshot.add(&kind, objects);
                }
                let why = error.to_string();
                snapshot.miss(kind, why);
            }
            Err(error) => return Err(error),
        }
    }
    for subject in snapshot.wanted() {
        match cluster.get(&subject).await {
            Ok(object) => snapshot.put(subject, object),
            Err(Error::NoSuchObject { .. }) => {}
            Err(error @ Error::Forbidden { .. }) => {
                let why = error.to_string();
                snapshot.miss(subject.kind, why);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(snapshot)
}
