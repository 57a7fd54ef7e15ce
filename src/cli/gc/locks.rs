//! What is left of lanes themselves: the Lease and the lock file by which runs agree (rule S5).
//!
//! Both protect nothing while nobody holds them, and are made anew by the next run. So those of
//! lanes that are given up go, and those that nobody has used for long: no scenario has them any
//! more.

use crate::cli::lanes::{file_name, is_file_name, remove_unused};
use crate::cli::whereabouts::Whereabouts;
use crate::cluster::{Cluster, IdleLease};
use crate::model::{Stays, Tidied};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::path::Path;

/// How long a lane has to be unused before it counts as one that no scenario has.
const UNUSED: SignedDuration = SignedDuration::from_hours(24);

/// Where Leases and lock files are, and which of them go.
pub(super) struct Locks<'a> {
    /// The cluster of the Leases.
    pub(super) cluster: &'a Cluster,
    /// Where this process is, and so which of both it uses.
    pub(super) whereabouts: &'a Whereabouts,
    /// Lanes that are given up.
    pub(super) given_up: &'a BTreeSet<String>,
    /// The time.
    pub(super) now: Timestamp,
    /// Whether it is only told what would go.
    pub(super) is_dry: bool,
}

// === impl Locks ===

impl Locks<'_> {
    /// Takes away what nobody uses any more.
    pub(super) async fn sweep(&self) -> Tidied {
        let mut tidied = Tidied::default();
        if let Some(namespace) = &self.whereabouts.namespace {
            self.sweep_leases(namespace, &mut tidied).await;
        }
        // In a pod nothing is locked by files.
        if self.whereabouts.pod.is_none() {
            self.sweep_files(&self.whereabouts.lanes, &mut tidied);
        }
        tidied
    }

    async fn sweep_leases(&self, namespace: &str, tidied: &mut Tidied) {
        let leases = match self.cluster.idle_leases(namespace).await {
            Ok(leases) => leases,
            Err(error) => {
                let all = format!("Leases of lanes in namespace `{namespace}`");
                tidied.left.push(Stays::new(all, error.to_string()));
                return;
            }
        };
        for lease in leases.iter().filter(|it| self.is_past(&it.lane, it.since)) {
            let name = title(lease);
            let gone = if self.is_dry { Ok(true) } else { self.cluster.delete_lease(lease).await };
            match gone {
                Ok(true) => tidied.removed.push(name),
                // Somebody has taken it meanwhile.
                Ok(false) => (),
                Err(error) => tidied.left.push(Stays::new(name, error.to_string())),
            }
        }
    }

    fn sweep_files(&self, folder: &Path, tidied: &mut Tidied) {
        // A folder that is not there holds nothing.
        let Ok(files) = folder.read_dir() else { return };
        let given_up: BTreeSet<_> = self.given_up.iter().map(|it| file_name(it)).collect();
        let mut paths: Vec<_> = files.flatten().map(|it| it.path()).collect();
        paths.sort();
        for path in paths {
            let Some(name) = path.file_name().and_then(|it| it.to_str()) else { continue };
            if !is_file_name(name) || !(given_up.contains(name) || self.is_old(changed(&path))) {
                continue;
            }
            let title = format!("lock file `{}`", path.display());
            let gone = if self.is_dry { Ok(true) } else { remove_unused(&path) };
            match gone {
                Ok(true) => tidied.removed.push(title),
                Ok(false) => (),
                Err(error) => tidied.left.push(Stays::new(title, error.to_string())),
            }
        }
    }

    fn is_past(&self, lane: &str, since: Option<Timestamp>) -> bool {
        self.given_up.contains(lane) || self.is_old(since)
    }

    /// What nobody knows the age of was never used.
    fn is_old(&self, since: Option<Timestamp>) -> bool {
        since.is_none_or(|it| it.checked_add(UNUSED).is_ok_and(|it| it < self.now))
    }
}

fn title(lease: &IdleLease) -> String {
    format!("Lease {} of lane `{}`", lease.title(), lease.lane)
}

/// When a lock was last taken: its note is written then.
fn changed(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(path.metadata().ok()?.modified().ok()?).ok()
}
