//! The store: one file, one transaction for each batch, all of it off the async runtime.

use crate::engine::{Batch, Store, StoreError};
use crate::history::damage::{Lost, SetAside, set_aside};
use crate::history::error::Error;
use crate::history::owner::Owner;
use crate::history::retention::{Retention, tend};
use crate::history::{schema, write};
use crate::model::{Account, Clock};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Keeps accounts and runs in a file of `SQLite`, which it owns while it lives.
#[derive(Clone)]
pub struct SqliteStore {
    file: Arc<Mutex<Kept>>,
}

/// How a history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long runs are kept.
    pub retention: Retention,
    /// How long a lock of another program is waited for.
    pub patience: Duration,
}

/// The open file.
pub(super) struct Kept {
    path: PathBuf,
    options: Options,
    clock: Arc<dyn Clock>,
    /// None after a damaged file was set aside, until a new one could be begun.
    pub(super) connection: Option<Connection>,
    /// The accounts as they stand in the file, so that they outlive a damaged one.
    accounts: BTreeMap<String, String>,
    set_aside: Vec<SetAside>,
    _owner: Owner,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self { retention: Retention::default(), patience: Duration::from_secs(2) }
    }
}

// === impl SqliteStore ===

impl SqliteStore {
    /// Opens a history, or begins one. The folder must be there. A damaged file is set aside for
    /// a new one, and is said.
    ///
    /// # Errors
    ///
    /// If there is no such folder, if another process owns the file, if it is of a newer version,
    /// or somebody else's, or if it cannot be read and written.
    pub async fn open(
        path: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Option<SetAside>), StoreError> {
        let path = path.to_owned();
        let open = move || Kept::open(path, options, clock);
        let kept = blocking(open).await?;
        let set_aside = kept.set_aside.last().cloned();
        Ok((Self { file: Arc::new(Mutex::new(kept)) }, set_aside))
    }

    /// Every damaged file that was set aside since the store was opened.
    #[must_use]
    pub fn set_aside(&self) -> Vec<SetAside> {
        self.locked().set_aside.clone()
    }

    pub(super) fn locked(&self) -> MutexGuard<'_, Kept> {
        // A panic within a transaction rolled it back.
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Store for SqliteStore {
    async fn load(&mut self) -> Result<BTreeMap<String, Account>, StoreError> {
        let store = self.clone();
        blocking(move || store.locked().load()).await
    }

    async fn save(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let (store, batch) = (self.clone(), batch.clone());
        blocking(move || store.locked().save(&batch)).await
    }
}

/// Does work of the disk where nobody waits for it but the caller. Whoever stops waiting does not
/// stop it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(StoreError::from),
        Err(error) => Err(StoreError {
            reason: "history_io",
            message: format!("the history could not be used: {error}"),
        }),
    }
}

// === impl Kept ===

impl Kept {
    fn open(path: PathBuf, options: Options, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
        if folder.is_some_and(|it| !it.is_dir()) {
            return Err(Error::NoFolder { path });
        }
        if path.is_dir() {
            return Err(Error::Folder { path });
        }
        let owner = Owner::take(&path)?;
        let mut kept = Self {
            path,
            options,
            clock,
            connection: None,
            accounts: BTreeMap::new(),
            set_aside: Vec::new(),
            _owner: owner,
        };
        match kept.begin() {
            Err(Error::Damaged { why, .. }) => {
                kept.give_up(why, Lost::Everything)?;
                kept.begin()?;
            }
            result => result?,
        }
        Ok(kept)
    }

    /// Opens the file and learns, or restores, the accounts.
    fn begin(&mut self) -> Result<(), Error> {
        let failed = |error: rusqlite::Error| Error::of_database(&self.path, &error);
        let mut connection = schema::open(&self.path, self.options.patience)?;
        let known = self.accounts.clone();
        let restore = |connection: &mut Connection| {
            let change = Transaction::new(connection, TransactionBehavior::Immediate)?;
            for (scenario, account) in &known {
                write::account(&change, scenario, account)?;
            }
            change.commit()
        };
        if !known.is_empty() {
            restore(&mut connection).map_err(failed)?;
        }
        let read = |connection: &Connection| {
            let mut rows = connection.prepare("SELECT scenario, account FROM accounts")?;
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        self.accounts = read(&connection).map_err(failed)?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Lets go of a damaged file.
    fn give_up(&mut self, why: String, lost: Lost) -> Result<(), Error> {
        self.connection = None;
        let moved_to = set_aside(&self.path, self.clock.wall())?;
        self.set_aside.push(SetAside { path: self.path.clone(), moved_to, why, lost });
        Ok(())
    }

    fn load(&mut self) -> Result<BTreeMap<String, Account>, Error> {
        if self.connection.is_none() {
            self.begin()?;
        }
        let account = |(scenario, text): (&String, &String)| {
            let account = serde_json::from_str(text).map_err(|error| Error::Unreadable {
                path: self.path.clone(),
                what: format!("an account of the scenario `{scenario}`"),
                why: error.to_string(),
            })?;
            Ok((scenario.clone(), account))
        };
        self.accounts.iter().map(account).collect()
    }

    fn save(&mut self, batch: &Batch) -> Result<(), Error> {
        match self.write(batch) {
            Err(Error::Damaged { why, .. }) => {
                self.give_up(why, Lost::Runs)?;
                if let Some(it) = self.set_aside.last() {
                    tracing::error!("{it}");
                }
                self.write(batch)?;
            }
            result => result?,
        }
        let now = self.clock.wall();
        if let Some(connection) = &mut self.connection
            && let Err(error) = tend(connection, self.options.retention, now)
        {
            // What is kept is kept; the next save tries again.
            let error = Error::of_database(&self.path, &error);
            tracing::warn!("old runs stay for now: {error}");
        }
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        if self.connection.is_none() {
            self.begin()?;
        }
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let mut texts = Vec::with_capacity(batch.accounts.len());
        let mut write = || {
            let change = Transaction::new(connection, TransactionBehavior::Immediate)?;
            for scenario in &batch.forgotten {
                write::forget(&change, scenario)?;
            }
            for (scenario, account) in &batch.accounts {
                let text = write::json(account)?;
                write::account(&change, scenario, &text)?;
                texts.push((scenario.clone(), text));
            }
            for run in &batch.runs {
                write::run(&change, run)?;
            }
            change.commit()
        };
        write().map_err(|error| Error::of_database(&self.path, &error))?;
        batch.forgotten.iter().for_each(|it| drop(self.accounts.remove(it)));
        self.accounts.extend(texts);
        Ok(())
    }
}
