//! What the file of the history could not be used for, and what would help.

use crate::engine::StoreError;
use rusqlite::ErrorCode;
use std::io;
use std::path::{Path, PathBuf};

/// Extended code of an I/O error: the index of the log could not be made as large as it must be.
const NO_ROOM_FOR_INDEX: i32 = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// Why the history could not be opened, read or written. What it held before is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The folder of the file is not there.
    #[error("the history `{}` has no place: its folder does not exist; create it, or name another file", path.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// A folder has the file's name.
    #[error("the history `{}` is a folder: name a file in it", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to read.
    #[error("there is no history at `{}`: it is written by a running service; name the file that yours writes", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Another hopclock owns the file.
    #[error("the history `{}` is in use by {holder}: stop that one, or name another file", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// Who has it, as far as is known.
        holder: String,
    },
    /// A later hopclock wrote the file.
    #[error("the history `{}` was written by a newer hopclock (its layout is {found}, this one knows {known}): use that one, or name another file", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version that is known.
        known: i64,
    },
    /// The file is a database of somebody else.
    #[error("`{}` is a database, but no history of hopclock: name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another program holds a lock on the file.
    #[error("the history `{}` is locked by another program: end whatever else writes to it", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file system takes no writes.
    #[error("the history `{}` cannot be written: it, or its file system, is read-only; make it writable, or name another file", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// There is no room.
    #[error("the history `{}` cannot be written: its disk is full; free some space there", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// We may not.
    #[error("the history `{}` may not be opened: give this user access to it and to its folder", path.display())]
    Denied {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what was written into it.
    #[error("the history `{}` is damaged ({why}): a service that starts with it sets it aside", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What `SQLite` says.
        why: String,
    },
    /// A row does not say what it should.
    #[error("the history `{}` holds {what} that cannot be read ({why}): move the file away to begin a new one", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Which row.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Anything else.
    #[error("the history `{}` cannot be used: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system or `SQLite` says.
        why: String,
    },
}

// === impl Error ===

impl Error {
    /// Bounded name for the label `reason`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoFolder { .. } => "history_no_folder",
            Self::Folder { .. } => "history_is_a_folder",
            Self::Missing { .. } => "history_missing",
            Self::InUse { .. } => "history_in_use",
            Self::Newer { .. } => "history_newer",
            Self::Foreign { .. } => "history_foreign",
            Self::Busy { .. } => "history_locked",
            Self::ReadOnly { .. } => "history_read_only",
            Self::Full { .. } => "history_disk_full",
            Self::Denied { .. } => "history_denied",
            Self::Damaged { .. } => "history_damaged",
            Self::Unreadable { .. } => "history_unreadable",
            Self::Io { .. } => "history_io",
        }
    }

    /// What the system said of a file of the history.
    pub(super) fn of_system(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            _ => Self::Io { path, why: error.to_string() },
        }
    }

    /// What `SQLite` said.
    pub(super) fn of_database(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        // Its own message may end in a line of the statement; the code's text never does.
        let why = error.to_string();
        match error.sqlite_error().map(|it| (it.code, it.extended_code)) {
            Some((ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _)) => Self::Busy { path },
            Some((ErrorCode::ReadOnly, _)) => Self::ReadOnly { path },
            Some((ErrorCode::DiskFull, _) | (_, NO_ROOM_FOR_INDEX)) => Self::Full { path },
            Some((ErrorCode::PermissionDenied | ErrorCode::CannotOpen, _)) => Self::Denied { path },
            Some((ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _)) => {
                Self::Damaged { path, why }
            }
            _ => Self::Io { path, why },
        }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self { reason: error.reason(), message: error.to_string() }
    }
}
