//! One process owns a history: two that count the same ticks would both be wrong.
//!
//! `SQLite`'s own locks cannot say that, because readers must be let in. A file beside the
//! database is locked for as long as the store lives; the system lets go of it with the process,
//! however that ends, so that nothing has to be cleaned up after a crash.

use crate::history::error::Error;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The right to write a history.
#[derive(Debug)]
pub(super) struct Owner {
    /// Locked until it is closed.
    _lock: File,
}

// === impl Owner ===

impl Owner {
    /// Takes the right, or says who has it.
    pub(super) fn take(database: &Path) -> Result<Self, Error> {
        let system = |error| Error::of_system(database, &error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = options.open(beside(database, ".lock")).map_err(system)?;
        match lock.try_lock() {
            Ok(()) => {
                // Who it is helps a person, but nobody depends on it: a full disk may eat it.
                let _ = lock.set_len(0);
                let _ = writeln!(lock, "{}", std::process::id());
                Ok(Self { _lock: lock })
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = lock.read_to_string(&mut text);
                let holder = match text.trim().parse::<u32>() {
                    Ok(pid) => format!("process {pid}"),
                    Err(_) => "another process".to_owned(),
                };
                Err(Error::InUse { path: database.to_owned(), holder })
            }
            Err(TryLockError::Error(error)) => Err(system(error)),
        }
    }
}

/// The file whose name is a database's and more.
pub(super) fn beside(database: &Path, more: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(more);
    name.into()
}
