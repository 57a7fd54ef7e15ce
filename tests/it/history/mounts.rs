//! Disks that are really full and file systems that are really read-only, where they can be made.

use crate::history::kit::{Noon, batch, marks, minutes_ago, open, timed_out};
use hopclock::engine::Store;
use hopclock::history::{Options, SqliteStore};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A folder that is a file system of its own while this lives.
pub(crate) struct Disk<'a>(pub(crate) &'a Path);

// === impl Disk ===

impl<'a> Disk<'a> {
    pub(crate) fn mount(folder: &'a Path, options: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "history"]).arg(folder);
        let mounted = mount.output().is_ok_and(|it| it.status.success());
        if !mounted {
            eprintln!("nothing may be mounted here: real disks are not tested");
        }
        mounted.then_some(Self(folder))
    }

    fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        let status = mount.args(["-o", &format!("remount,{options}")]).arg(self.0).status();
        assert!(status.unwrap().success(), "{options}");
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_costs_one_save_and_nothing_that_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path(), "size=1m") else { return };
    let path = disk.0.join("history.sqlite");
    let mut store = open(&path).await;
    let (mut kept, mut error) = (0, None);
    for number in 0..1000 {
        let at = minutes_ago(1000 - number);
        let mut run = timed_out("fleet", at);
        run.log[0].text = "x".repeat(50_000);
        match store.save(&batch(at, [run])).await {
            Ok(()) => kept += 1,
            Err(it) => {
                error = Some(it);
                break;
            }
        }
    }
    let error = error.expect("a megabyte is full at some time");
    assert_eq!(error.reason, "history_disk_full", "{}", error.message);
    assert!(kept > 2, "{kept}");
    assert_eq!(marks(&path).len(), kept);
    let position = store.load().await.unwrap()["fleet"].position;
    assert_eq!(position, Some(minutes_ago(1001 - i64::try_from(kept).unwrap())));

    disk.remount("size=16m");
    store.save(&batch(minutes_ago(0), [timed_out("fleet", minutes_ago(0))])).await.unwrap();
    assert_eq!(marks(&path).len(), kept + 1);
    assert_eq!(store.set_aside(), []);
    drop(store);
    let store = open(&path).await;
    assert_eq!((marks(&path).len(), store.set_aside()), (kept + 1, Vec::new()));
}

#[tokio::test]
async fn a_read_only_file_system_is_named_and_can_still_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path(), "size=4m") else { return };
    let path = disk.0.join("history.sqlite");
    open(&path)
        .await
        .save(&batch(minutes_ago(1), [timed_out("fleet", minutes_ago(1))]))
        .await
        .unwrap();
    disk.remount("ro");
    let refused = SqliteStore::open(&path, Options::default(), Arc::new(Noon)).await.unwrap_err();
    assert_eq!(refused.reason, "history_read_only");
    assert_eq!(
        refused.message,
        format!(
            "the history `{}` cannot be written: it, or its file system, is read-only; make it \
             writable, or name another file",
            path.display()
        )
    );
    assert_eq!(marks(&path).len(), 1);
    disk.remount("rw");
    open(&path).await;
}
