//! The bare repository that a remote's commits are made in, kept between runs.
//!
//! It makes a warm push cheap and holds nothing that the remote does not have. So whatever is
//! wrong with it (a crash in the middle, a full disk, another process) it may be thrown away: a
//! broken one is set aside, an overgrown one is fetched anew.

use crate::remote::git::Error;
use git2::{ObjectType, Oid, Repository, RepositoryInitOptions, RepositoryOpenFlags};
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Where the branch's tip, as last seen, is kept.
pub(super) const TIP: &str = "refs/hopclock/tip";
/// Where the base of `replace`, as last seen, is kept.
pub(super) const BASE: &str = "refs/hopclock/base";
/// The commit that is being pushed.
pub(super) const OUTGOING: &str = "refs/hopclock/outgoing";

/// How many processes may have a cache of the same remote and branch at once.
const SLOTS: u32 = 8;
/// How many preparations pass between two looks at the size.
const SIZE_CHECK_EVERY: u32 = 32;

/// An open cache. Invariant: no other process uses its folder while the lock file is open.
pub(super) struct Cache {
    folder: PathBuf,
    _lock: File,
    repository: Repository,
    limit: u64,
    uses: u32,
}

impl Cache {
    /// Takes the first cache of the key that no other process has, and repairs it.
    pub(super) fn open(root: &Path, key: &str, limit: u64) -> Result<Self, Error> {
        let failed = |error: io::Error| unwritable(root, error.to_string());
        fs::create_dir_all(root).map_err(failed)?;
        let name = Oid::hash_object(ObjectType::Blob, key.as_bytes())
            .map_err(|error| unwritable(root, error.message().to_owned()))?;
        for slot in 0..SLOTS {
            let lock = root.join(format!("{name}-{slot}.lock"));
            let lock = File::options().create(true).append(true).open(lock).map_err(failed)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            let folder = root.join(format!("{name}-{slot}.git"));
            let repository = open_or_make(&folder)?;
            return Ok(Self { folder, _lock: lock, repository, limit, uses: 0 });
        }
        Err(Error::CacheInUse { folder: root.to_owned() })
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The commit of one of our refs, if its tree is here.
    pub(super) fn commit(&self, reference: &str) -> Option<Oid> {
        let commit = self.repository.find_reference(reference).ok()?.peel_to_commit().ok()?;
        commit.tree().ok().map(|_| commit.id())
    }

    /// Points one of our refs at a commit.
    pub(super) fn point(&self, reference: &str, commit: Oid) -> Result<(), Error> {
        let set = self.repository.reference(reference, commit, true, "hopclock");
        set.map(drop).map_err(|error| unwritable(&self.folder, error.message().to_owned()))
    }

    /// Sets a broken cache aside and begins an empty one.
    pub(super) fn rebuild(&mut self) -> Result<(), Error> {
        set_aside(&self.folder)?;
        self.repository = open_or_make(&self.folder)?;
        Ok(())
    }

    /// Throws the cache away if it has grown far beyond a fresh one. Looks now and then only.
    pub(super) fn bound(&mut self) -> Result<(), Error> {
        let look = self.uses.is_multiple_of(SIZE_CHECK_EVERY);
        self.uses = self.uses.wrapping_add(1);
        if look && size(&self.folder) > self.limit.max(self.fresh_size().saturating_mul(2)) {
            remove(&self.folder)?;
            self.repository = open_or_make(&self.folder)?;
        }
        Ok(())
    }

    /// Remembers what a fresh cache weighs: a big repository must not be fetched every time.
    pub(super) fn note_fresh_size(&self) {
        // Without the note the limit alone counts.
        let _ = fs::write(self.folder.join("fresh-size"), size(&self.folder).to_string());
    }

    fn fresh_size(&self) -> u64 {
        let noted = fs::read_to_string(self.folder.join("fresh-size"));
        noted.ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// The sentence for a cache that cannot be written.
pub(super) fn unwritable(folder: &Path, why: String) -> Error {
    Error::Cache { folder: folder.to_owned(), why }
}

fn open_or_make(folder: &Path) -> Result<Repository, Error> {
    if folder.exists() {
        remove_stale_locks(folder);
        match open(folder) {
            Ok(repository) => return Ok(repository),
            Err(_) => set_aside(folder)?,
        }
    }
    let mut options = RepositoryInitOptions::new();
    options.bare(true).mkpath(true).external_template(false);
    Repository::init_opts(folder, &options)
        .map_err(|error| unwritable(folder, error.message().to_owned()))
}

/// Opens a repository and makes sure that what its refs name is there.
fn open(folder: &Path) -> Result<Repository, git2::Error> {
    // `open_bare` would not read where the history was cut off, and look for commits beyond it.
    let flags =
        RepositoryOpenFlags::BARE | RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT;
    let repository = Repository::open_ext(folder, flags, std::iter::empty::<&OsStr>())?;
    for name in [TIP, BASE] {
        match repository.find_reference(name) {
            Ok(reference) => drop(reference.peel_to_commit()?.tree()?),
            Err(error) if error.code() == git2::ErrorCode::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(repository)
}

/// A process that was killed leaves `*.lock` files, which would block every later write.
fn remove_stale_locks(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if entry.file_name() != "objects" {
                remove_stale_locks(&path);
            }
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            // One that cannot be removed shows itself in the next write.
            let _ = fs::remove_file(path);
        }
    }
}

fn set_aside(folder: &Path) -> Result<(), Error> {
    let aside = folder.with_extension("broken");
    remove(&aside)?;
    fs::rename(folder, aside).map_err(|error| unwritable(folder, error.to_string()))
}

fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(unwritable(path, error.to_string()))
        }
        _ => Ok(()),
    }
}

/// What a folder takes on disk, in blocks of 4 KiB.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size(&entry.path()),
            Ok(found) => found.len().div_ceil(4096) * 4096,
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_two_users_of_one_key_get_two_folders_and_a_later_one_gets_the_first_again() {
        let root = tempfile::tempdir().unwrap();
        let first = Cache::open(root.path(), "k", 0).unwrap();
        let second = Cache::open(root.path(), "k", 0).unwrap();
        let folder = first.folder().to_owned();
        assert_ne!(folder, second.folder());
        drop(first);
        assert_eq!(Cache::open(root.path(), "k", 0).unwrap().folder(), folder);
    }

    #[test]
    fn a_lock_left_by_a_killed_process_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = Cache::open(root.path(), "k", 0).unwrap().folder().to_owned();
        let stale = folder.join("refs").join("tip.lock");
        fs::write(&stale, "").unwrap();
        Cache::open(root.path(), "k", 0).unwrap();
        assert!(!stale.exists());
    }

    #[test]
    fn a_broken_cache_is_set_aside_and_begun_anew() {
        let root = tempfile::tempdir().unwrap();
        let folder = Cache::open(root.path(), "k", 0).unwrap().folder().to_owned();
        fs::create_dir_all(folder.join("refs/hopclock")).unwrap();
        fs::write(folder.join(TIP), "0123456789012345678901234567890123456789\n").unwrap();
        let cache = Cache::open(root.path(), "k", 0).unwrap();
        assert_eq!(cache.commit(TIP), None);
        assert!(folder.with_extension("broken").exists());
    }

    #[test]
    fn an_overgrown_cache_is_begun_anew_but_a_big_fresh_one_is_not() {
        let root = tempfile::tempdir().unwrap();
        let mut cache = Cache::open(root.path(), "k", 1 << 20).unwrap();
        let ballast = cache.folder().join("ballast");
        fs::write(&ballast, vec![0; 2 << 20]).unwrap();
        cache.note_fresh_size();
        cache.bound().unwrap();
        assert!(ballast.exists());
        fs::write(cache.folder().join("fresh-size"), "0").unwrap();
        cache.uses = 0;
        cache.bound().unwrap();
        assert!(!ballast.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let Err(error) = Cache::open(&file.path().join("cache"), "k", 0) else {
            panic!("a file is no folder")
        };
        assert!(error.to_string().contains("cannot be written"), "{error}");
        assert_eq!(error.reason(), "git_cache");
    }
}
