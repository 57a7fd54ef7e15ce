//! Who may use which lane (rule S5): a Lease in the cluster, a lock file elsewhere.

use crate::cluster::{Cluster, Error, LeaseGrip, lease_name};
use crate::engine::{Grip, LaneError, Lanes};
use crate::model::ProbeError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a Lease lasts that nobody renews.
const LEASE: Duration = Duration::from_secs(30);

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(10);

/// Longest note in a lock file that is read.
const LONGEST_NOTE: u64 = 200;

/// Lanes that processes of one machine share, through lock files in a folder.
pub(super) struct FileLanes {
    folder: PathBuf,
}

/// A locked file; the lock goes with it.
struct FileGrip(File);

/// Lanes that processes of one cluster share, through Leases.
pub(super) struct LeaseLanes {
    cluster: Cluster,
    namespace: String,
    holder: String,
    /// Who of those that bear the holder's name may use which lane.
    local: Arc<dyn Lanes>,
}

struct RenewedLease {
    stop: oneshot::Sender<()>,
    renewing: JoinHandle<()>,
    local: Box<dyn Grip>,
}

// === impl FileLanes ===

impl FileLanes {
    /// Lock files lie in this folder, which is made if need be.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn lock(&self, lane: &str, scenario: &str) -> Result<FileGrip, LaneError> {
        let path = self.folder.join(file_name(lane));
        let unusable = |error: std::io::Error| unusable(&path, &error);
        std::fs::create_dir_all(&self.folder).map_err(unusable)?;
        let mut file = loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(unusable)?;
            match file.try_lock() {
                // Somebody may have removed it before we had it; then the next one is another.
                Ok(()) if is_at(&file, &path) => break file,
                Ok(()) => (),
                Err(TryLockError::WouldBlock) => {
                    let mut note = String::new();
                    // What cannot be read is not said.
                    let _ = file.take(LONGEST_NOTE).read_to_string(&mut note);
                    let note = note.trim();
                    let holder = if note.is_empty() { "another process" } else { note };
                    return Err(LaneError::Held(format!("{holder} (`{}`)", path.display())));
                }
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        };
        // The lock is what counts; the note is for people.
        let note = format!("scenario `{scenario}` of process {}\n", std::process::id());
        let _ = file.set_len(0).and_then(|()| file.rewind());
        let _ = file.write_all(note.as_bytes());
        Ok(FileGrip(file))
    }
}

#[async_trait::async_trait]
impl Lanes for FileLanes {
    async fn take(&self, lane: &str, scenario: &str) -> Result<Box<dyn Grip>, LaneError> {
        Ok(Box::new(self.lock(lane, scenario)?))
    }
}

#[async_trait::async_trait]
impl Grip for FileGrip {
    async fn release(self: Box<Self>) {
        // Closing the file does the same.
        let _ = self.0.unlock();
    }
}

// === impl LeaseLanes ===

impl LeaseLanes {
    /// Leases lie in `namespace`; `holder` names this pod, or this machine. A Lease lets in all who
    /// bear its holder's name, so those of one machine agree through `local` first.
    pub(super) fn new(
        cluster: Cluster,
        namespace: &str,
        holder: &str,
        local: Arc<dyn Lanes>,
    ) -> Self {
        let (namespace, holder) = (namespace.to_owned(), holder.to_owned());
        Self { cluster, namespace, holder, local }
    }
}

#[async_trait::async_trait]
impl Lanes for LeaseLanes {
    async fn take(&self, lane: &str, scenario: &str) -> Result<Box<dyn Grip>, LaneError> {
        let local = self.local.take(lane, scenario).await?;
        let taken = self.cluster.take_lease(&self.namespace, lane, &self.holder, LEASE).await;
        let lease = taken.map_err(|error| match error {
            Error::LeaseHeld { lease, holder, renewed } => {
                LaneError::Held(format!("`{holder}` (Lease {lease}, renewed {renewed})"))
            }
            error => LaneError::Unknown(error.into()),
        })?;
        let (stop, stopped) = oneshot::channel();
        let renewing = tokio::spawn(renew(lease, scenario.to_owned(), stopped));
        Ok(Box::new(RenewedLease { stop, renewing, local }))
    }
}

#[async_trait::async_trait]
impl Grip for RenewedLease {
    async fn release(self: Box<Self>) {
        // If nobody listens, the Lease was lost already.
        let _ = self.stop.send(());
        let _ = self.renewing.await;
        self.local.release().await;
    }
}

/// Renews a Lease until it is lost or not needed any more, and then lets go of it.
async fn renew(mut lease: LeaseGrip, scenario: String, stopped: oneshot::Receiver<()>) {
    let mut stopped = stopped;
    loop {
        tokio::select! {
            _ = &mut stopped => {
                if let Err(error) = lease.release().await {
                    tracing::warn!(scenario, "a Lease was not given back, and will expire: {error}");
                }
                return;
            }
            () = tokio::time::sleep(RENEWAL) => match lease.renew().await {
                Ok(()) => (),
                Err(error @ Error::LeaseLost { .. }) => {
                    tracing::warn!(scenario, "{error}; only the push's own check is left");
                    return;
                }
                Err(error) => tracing::warn!(scenario, "a Lease was not renewed: {error}"),
            },
        }
    }
}

/// The name of the lock file of a lane.
pub(super) fn file_name(lane: &str) -> String {
    format!("{}.lock", lease_name(lane))
}

/// Whether a name is that of a lock file of some lane.
pub(super) fn is_file_name(name: &str) -> bool {
    let sample = lease_name("");
    let (prefix, digits) = sample.split_at(sample.len() - 16);
    let found = name.strip_prefix(prefix).and_then(|it| it.strip_suffix(".lock"));
    found.is_some_and(|it| it.len() == digits.len() && it.bytes().all(|it| it.is_ascii_hexdigit()))
}

/// Removes the lock file of a lane that nobody uses; false if somebody does. Whoever has opened it
/// meanwhile finds that it is gone, and makes another.
pub(super) fn remove_unused(path: &Path) -> std::io::Result<bool> {
    let file = File::open(path)?;
    match file.try_lock() {
        Ok(()) if is_at(&file, path) => std::fs::remove_file(path).map(|()| true),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether an open file is the one that stands at a path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |it: std::fs::Metadata| (it.dev(), it.ino());
    let found = std::fs::metadata(path).map(identity);
    file.metadata().map(identity).is_ok_and(|own| found.is_ok_and(|it| it == own))
}

/// Elsewhere a file stays where it is while it is open.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

fn unusable(path: &Path, error: &std::io::Error) -> LaneError {
    LaneError::Unknown(ProbeError {
        reason: "lane".to_owned(),
        message: format!(
            "cannot lock the lane with `{}`: {error}; choose a writable folder with --cache-dir",
            path.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn s5_two_processes_do_not_share_a_lane() {
        let folder = tempfile::tempdir().unwrap();
        // A lock belongs to an open file, so two in one process are like two processes.
        let lanes = || FileLanes::new(folder.path().join("lanes"));
        let (one, other) = (lanes(), lanes());
        let grip = one.take("h/x#main", "fleet").await.ok().unwrap();
        let Err(LaneError::Held(by)) = other.take("h/x#main", "fleet").await else { panic!() };
        let us = format!("scenario `fleet` of process {} (`", std::process::id());
        assert!(by.starts_with(&us), "{by}");
        grip.release().await;
        drop(other.take("h/x#main", "fleet").await.ok().unwrap());
        assert!(one.take("h/x#main", "fleet").await.is_ok(), "a dropped lock is free");
    }

    #[tokio::test]
    async fn s5_a_lock_file_goes_only_while_nobody_uses_it_and_locks_nobody_in_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let lanes = FileLanes::new(folder.path().to_owned());
        let path = folder.path().join(file_name("h/x#main"));
        assert!(is_file_name(&file_name("h/x#main")) && !is_file_name("fleet.lock"));
        let grip = lanes.take("h/x#main", "fleet").await.ok().unwrap();
        assert!(!remove_unused(&path).unwrap(), "it is held");
        grip.release().await;
        // Opened before it went, locked afterwards.
        let late = File::open(&path).unwrap();
        assert!(remove_unused(&path).unwrap());
        late.lock().unwrap();
        assert!(!is_at(&late, &path), "it has gone");
        let grip = lanes.take("h/x#main", "fleet").await.ok().unwrap();
        assert!(path.exists() && !is_at(&late, &path));
        assert!(lanes.take("h/x#main", "fleet").await.is_err());
        drop(grip);
    }

    #[tokio::test]
    async fn a_lock_that_cannot_be_made_says_where_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let taken = FileLanes::new(file.join("lanes")).take("h/x#main", "fleet").await;
        let Err(LaneError::Unknown(error)) = taken else { panic!() };
        assert!(error.message.contains("--cache-dir"), "{}", error.message);
    }
}
