//! Sets a damaged file aside, so that a service goes on and a person can still look into it.

use crate::history::error::Error;
use crate::history::owner::beside;
use jiff::Timestamp;
use std::fmt;
use std::path::{Path, PathBuf};

/// A damaged file that was set aside for a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where the history is.
    pub path: PathBuf,
    /// Where the damaged file is now.
    pub moved_to: PathBuf,
    /// What is wrong with it.
    pub why: String,
    /// What is gone.
    pub lost: Lost,
}

/// What a damaged file took with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Past runs, and the accounts of all scenarios.
    Everything,
    /// Past runs: the accounts were still in memory.
    Runs,
}

// === impl SetAside ===

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = match self.lost {
            Lost::Everything => "the runs in it are lost, and totals and schedules begin again",
            Lost::Runs => "the runs in it are lost, totals and schedules go on",
        };
        let (path, to, why) = (self.path.display(), self.moved_to.display(), &self.why);
        write!(f, "the history `{path}` was damaged ({why}) and is now `{to}`: {lost}")
    }
}

/// Renames a file and what belongs to it. The log goes first: a log that is left alone would be
/// taken for that of the new file.
pub(super) fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, Error> {
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    let names = (1..).map(|n: u32| match n {
        1 => beside(path, &format!(".corrupt-{time}")),
        n => beside(path, &format!(".corrupt-{time}-{n}")),
    });
    let free = |it: &PathBuf| !it.exists() && !beside(it, "-wal").exists();
    let mut names = names.filter(free);
    let to = names.next().expect("names without end");
    for part in ["-wal", "-shm", ""] {
        match std::fs::rename(beside(path, part), beside(&to, part)) {
            Err(error) if part.is_empty() || error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::of_system(path, &error));
            }
            _ => {}
        }
    }
    Ok(to)
}
