//! Accounts in a ConfigMap, for a cluster without a volume.
//!
//! Each scenario is one key, compressed: a ConfigMap holds at most 1 MiB. The optimistic lock of
//! the API server keeps two processes from overwriting each other; the one that comes second says
//! so and keeps nothing any more.

use crate::cluster::{Cluster, ConfigMap, Error};
use crate::engine::{Batch, Store, StoreError};
use crate::model::{Account, ObjectName};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::io::{Read, Write};

/// End of each key.
const SUFFIX: &str = ".json.gz";

/// Longest account that is read: more cannot have been written by us.
const LONGEST: u64 = 64 << 20;

/// Keeps accounts in a ConfigMap.
pub(super) struct ConfigMapStore {
    cluster: Cluster,
    name: ObjectName,
    writer: String,
    /// As it was last read or written.
    current: ConfigMap,
}

// === impl ConfigMapStore ===

impl ConfigMapStore {
    pub(super) fn new(cluster: Cluster, name: ObjectName, writer: &str) -> Self {
        Self { cluster, name, writer: writer.to_owned(), current: ConfigMap::default() }
    }

    fn unreadable(&self, key: &str, why: &str) -> StoreError {
        StoreError {
            reason: "corrupt",
            message: format!(
                "key `{key}` of ConfigMap `{}` is not what hopclock wrote there ({why}): delete \
                 the key to begin that scenario's totals anew",
                self.name
            ),
        }
    }
}

#[async_trait::async_trait]
impl Store for ConfigMapStore {
    async fn load(&mut self) -> Result<BTreeMap<String, Account>, StoreError> {
        let ObjectName { namespace, name } = &self.name;
        let stored =
            self.cluster.config_map(namespace, name).await.map_err(|it| store_error(&it))?;
        self.current = stored.unwrap_or_default();
        let mut accounts = BTreeMap::new();
        for (key, bytes) in &self.current.binary {
            let Some(scenario) = key.strip_suffix(SUFFIX) else { continue };
            let account = read(bytes).map_err(|why| self.unreadable(key, &why))?;
            accounts.insert(scenario.to_owned(), account);
        }
        Ok(accounts)
    }

    async fn save(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut content = self.current.clone();
        for scenario in &batch.forgotten {
            content.binary.remove(&key(scenario));
        }
        for (scenario, account) in &batch.accounts {
            let bytes = write(account).map_err(|why| StoreError {
                reason: "unwritable",
                message: format!("the account of scenario `{scenario}` cannot be written: {why}"),
            })?;
            content.binary.insert(key(scenario), bytes);
        }
        // Runs have no place here; whoever wants history needs a file.
        if content == self.current && content.exists() {
            return Ok(());
        }
        let ObjectName { namespace, name } = &self.name;
        let written = self.cluster.put_config_map(namespace, name, &content, &self.writer).await;
        self.current = written.map_err(|it| store_error(&it))?;
        Ok(())
    }
}

fn key(scenario: &str) -> String {
    format!("{scenario}{SUFFIX}")
}

fn store_error(error: &Error) -> StoreError {
    StoreError { reason: error.reason(), message: error.to_string() }
}

fn write(account: &Account) -> std::io::Result<Vec<u8>> {
    let mut bytes = GzEncoder::new(Vec::new(), Compression::default());
    serde_json::to_writer(&mut bytes, account)?;
    bytes.flush()?;
    bytes.finish()
}

fn read(bytes: &[u8]) -> Result<Account, String> {
    let mut text = Vec::new();
    GzDecoder::new(bytes)
        .take(LONGEST)
        .read_to_end(&mut text)
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_reads_back_as_it_was_written() {
        let account = Account { totals: serde_json::json!({"a": 0.1}), ..Account::default() };
        let bytes = write(&account).unwrap();
        assert_eq!(read(&bytes), Ok(account));
        assert!(read(&bytes[..bytes.len() / 2]).is_err());
        assert!(read(b"no account").is_err());
    }
}
