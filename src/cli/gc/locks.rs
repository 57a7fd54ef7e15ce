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
use std::path::{Path, PathBuf};

/// How long a lane has to be unused before it counts as one that no scenario has.
const UNUSED: SignedDuration = SignedDuration::from_hours(24);

/// Where Leases and lock files are, and which of them go.
pub(super) struct Locks<'a> {
    /// The cluster of the Leases.
    pub(super) cluster: &'a Cluster,
    /// Where this process is, and so which of both it uses.
    pub(super) whereabouts: &'a Whereabouts,
    /// The time.
    pub(super) now: Timestamp,
    /// Whether it is only told what would go.
    pub(super) is_dry: bool,
}

// === impl Locks ===

impl Locks<'_> {
    /// What there is now, as far as it can be told: what appears later is of our own making.
    pub(super) async fn known(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        if let Some(namespace) = &self.whereabouts.namespace {
            let leases = self.cluster.idle_leases(namespace).await.unwrap_or_default();
            all.extend(leases.iter().map(title));
        }
        all.extend(self.files().iter().map(|it| title_of(it)));
        all
    }

    /// Takes away what nobody uses any more: all of lanes that are given up, and of others what is
    /// old.
    pub(super) async fn sweep(&self, given_up: &BTreeSet<String>) -> Tidied {
        let mut tidied = Tidied::default();
        if let Some(namespace) = &self.whereabouts.namespace {
            self.sweep_leases(namespace, given_up, &mut tidied).await;
        }
        self.sweep_files(given_up, &mut tidied);
        tidied
    }

    async fn sweep_leases(
        &self,
        namespace: &str,
        given_up: &BTreeSet<String>,
        tidied: &mut Tidied,
    ) {
        let leases = match self.cluster.idle_leases(namespace).await {
            Ok(leases) => leases,
            Err(error) => {
                let all = format!("Leases of lanes in namespace `{namespace}`");
                tidied.left.push(Stays::new(all, error.to_string()));
                return;
            }
        };
        let is_past = |it: &&IdleLease| given_up.contains(&it.lane) || self.is_old(it.since);
        for lease in leases.iter().filter(is_past) {
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

    fn sweep_files(&self, given_up: &BTreeSet<String>, tidied: &mut Tidied) {
        let given_up: BTreeSet<_> = given_up.iter().map(|it| file_name(it)).collect();
        for path in self.files() {
            let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
            if !given_up.contains(name) && !self.is_old(changed(&path)) {
                continue;
            }
            let title = title_of(&path);
            let gone = if self.is_dry { Ok(true) } else { remove_unused(&path) };
            match gone {
                Ok(true) => tidied.removed.push(title),
                Ok(false) => (),
                Err(error) => tidied.left.push(Stays::new(title, error.to_string())),
            }
        }
    }

    /// The lock files of all lanes. In a pod nothing is locked by files, and a folder that is not
    /// there holds none.
    fn files(&self) -> Vec<PathBuf> {
        if self.whereabouts.pod.is_some() {
            return Vec::new();
        }
        let all = self.whereabouts.lanes.read_dir().into_iter().flatten().flatten();
        let is_lock =
            |it: &PathBuf| it.file_name().and_then(|it| it.to_str()).is_some_and(is_file_name);
        let mut paths: Vec<_> = all.map(|it| it.path()).filter(is_lock).collect();
        paths.sort();
        paths
    }

    /// What nobody knows the age of was never used.
    fn is_old(&self, since: Option<Timestamp>) -> bool {
        since.is_none_or(|it| it.checked_add(UNUSED).is_ok_and(|it| it < self.now))
    }
}

fn title(lease: &IdleLease) -> String {
    format!("Lease {} of lane `{}`", lease.title(), lease.lane)
}

fn title_of(file: &Path) -> String {
    format!("lock file `{}`", file.display())
}

/// When a lock was last taken: its note is written then.
fn changed(path: &Path) -> Option<Timestamp> {
    Timestamp::try_from(path.metadata().ok()?.modified().ok()?).ok()
}
