//! Accounts in a ConfigMap, for a cluster without a volume.
//!
//! Each scenario is one key, compressed: a ConfigMap holds at most 1 MiB. The optimistic lock of
//! the API server keeps two processes from overwriting each other; the one that comes second says
//! so and keeps nothing any more. Processes that keep different scenarios in one ConfigMap are in
//! nobody's way: each writes its own keys again over what the others have written.

use crate::cluster::{Cluster, ConfigMap, Error};
use crate::engine::{Batch, Store, StoreError};
use crate::model::{Account, ObjectName};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::collections::{BTreeMap, BTreeSet};
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
    /// The keys that are ours; all, if nobody else has any there.
    own: Option<BTreeSet<String>>,
}

/// How often a write is tried again that others came before.
const TRIES: u32 = 8;

// === impl ConfigMapStore ===

impl ConfigMapStore {
    pub(super) fn new(cluster: Cluster, name: ObjectName, writer: &str) -> Self {
        let (writer, current) = (writer.to_owned(), ConfigMap::default());
        Self { cluster, name, writer, current, own: None }
    }

    /// The same for these scenarios alone: the accounts of others are theirs.
    pub(super) fn of(self, scenarios: &BTreeSet<String>) -> Self {
        Self { own: Some(scenarios.iter().map(|it| key(it)).collect()), ..self }
    }

    fn is_own(&self, key: &str) -> bool {
        self.own.as_ref().is_none_or(|it| it.contains(key))
    }

    async fn put(&self, content: &ConfigMap) -> Result<ConfigMap, Error> {
        let ObjectName { namespace, name } = &self.name;
        self.cluster.put_config_map(namespace, name, content, &self.writer).await
    }

    /// Once more, if nobody else has written content: labels are anybody's to change, and what
    /// was deleted is written anew, for we know all of it.
    async fn put_again(&self, content: ConfigMap) -> Result<ConfigMap, Error> {
        let ObjectName { namespace, name } = &self.name;
        let stored = self.cluster.config_map(namespace, name).await?;
        if let (Some(own), Some(stored)) = (&self.own, &stored) {
            let ours = |it: &ConfigMap, key: &String| it.binary.get(key).cloned();
            let kept = own.iter().all(|key| ours(&self.current, key) == ours(stored, key));
            let content = if kept { with_keys_of(stored, &content, own) } else { content };
            return self.put(&content).await;
        }
        let ours = stored.as_ref().is_none_or(|it| self.current.is_kept_by(it));
        let content = if ours { content.over(stored.as_ref()) } else { content };
        self.put(&content).await
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
            let Some(scenario) = key.strip_suffix(SUFFIX).filter(|_| self.is_own(key)) else {
                continue;
            };
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
        let mut written = self.put(&content).await;
        // Others who keep their own scenarios there may come before us again and again.
        let tries = if self.own.is_some() { TRIES } else { 1 };
        for _ in 0..tries {
            if !matches!(written, Err(Error::Conflict { .. })) {
                break;
            }
            written = self.put_again(content.clone()).await;
        }
        self.current = written.map_err(|it| store_error(&it))?;
        Ok(())
    }
}

/// What others have stored, with our keys as they are in `content`.
fn with_keys_of(stored: &ConfigMap, content: &ConfigMap, own: &BTreeSet<String>) -> ConfigMap {
    let mut merged = stored.clone();
    for key in own {
        merged.binary.remove(key);
    }
    let ours = content.binary.iter().filter(|it| own.contains(it.0));
    merged.binary.extend(ours.map(|(key, value)| (key.clone(), value.clone())));
    merged
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

#[cfg(all(test, feature = "sandbox"))]
mod stored {
    use super::*;
    use crate::cluster::ClusterOptions;
    use crate::engine::SystemClock;
    use hopclock_sandbox::pipeline::{Sandbox, SandboxOptions};
    use hopclock_sandbox::store::{Key, Part};
    use serde_json::json;
    use std::sync::Arc;

    async fn store(sandbox: &Sandbox, writer: &str) -> Result<ConfigMapStore, Error> {
        // Fails if another test has chosen it already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let kubeconfigs = vec![sandbox.kubeconfig()];
        let options = ClusterOptions { kubeconfigs, ..ClusterOptions::default() };
        let cluster = Cluster::connect(options, Arc::new(SystemClock::new())).await?;
        Ok(ConfigMapStore::new(cluster, ObjectName::new("flux-system", "state"), writer))
    }

    fn batch(scenario: &str, count: u64) -> Batch {
        let account = Account { totals: json!({ "runs": count }), ..Account::default() };
        let accounts = BTreeMap::from([(scenario.to_owned(), account)]);
        Batch { accounts, ..Batch::default() }
    }

    fn key() -> Key {
        Key::new("ConfigMap", "flux-system", "state")
    }

    #[tokio::test]
    async fn a_strangers_label_is_kept_and_hinders_nobody() {
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let mut ours = store(&sandbox, "one").await.unwrap();
        ours.load().await.unwrap();
        ours.save(&batch("a", 1)).await.unwrap();
        let label = json!({"metadata": {"labels": {"team": "platform"}}});
        sandbox.store().merge(&key(), &label, Part::Whole, "kubectl-label").unwrap();
        ours.save(&batch("a", 2)).await.unwrap();
        let stored = sandbox.store().get(&key()).unwrap();
        assert_eq!(stored["metadata"]["labels"]["team"], "platform");
        let kept = store(&sandbox, "two").await.unwrap().load().await.unwrap();
        assert_eq!(kept["a"].totals, json!({"runs": 2}));
    }

    #[tokio::test]
    async fn what_was_deleted_is_written_anew_with_everything_that_is_known() {
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let mut ours = store(&sandbox, "one").await.unwrap();
        ours.load().await.unwrap();
        ours.save(&batch("a", 1)).await.unwrap();
        ours.save(&batch("b", 2)).await.unwrap();
        sandbox.store().delete(&key(), "kubectl-delete").unwrap();
        ours.save(&batch("b", 3)).await.unwrap();
        let kept = store(&sandbox, "one").await.unwrap().load().await.unwrap();
        let totals: Vec<_> = kept.values().map(|it| it.totals["runs"].clone()).collect();
        assert_eq!(totals, [1, 3]);
    }

    #[tokio::test]
    async fn whoever_keeps_other_scenarios_there_is_in_nobodys_way() {
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let of = |name: &str| BTreeSet::from([name.to_owned()]);
        let mut one = store(&sandbox, "one").await.unwrap().of(&of("a"));
        let mut two = store(&sandbox, "two").await.unwrap().of(&of("b"));
        assert!(one.load().await.unwrap().is_empty() && two.load().await.unwrap().is_empty());
        for count in 1..4 {
            one.save(&batch("a", count)).await.unwrap();
            two.save(&batch("b", 10 * count)).await.unwrap();
        }
        let all = store(&sandbox, "three").await.unwrap().load().await.unwrap();
        let totals: Vec<_> = all.values().map(|it| it.totals["runs"].clone()).collect();
        assert_eq!(totals, [3, 30]);
        // What was deleted is written anew, but only what is ours is known.
        sandbox.store().delete(&key(), "kubectl-delete").unwrap();
        one.save(&batch("a", 4)).await.unwrap();
        let all = store(&sandbox, "three").await.unwrap().load().await.unwrap();
        assert_eq!(all["a"].totals, json!({"runs": 4}));
        // Two that keep the same scenario: the second one says so.
        let mut late = store(&sandbox, "late").await.unwrap().of(&of("a"));
        late.load().await.unwrap();
        one.save(&batch("a", 5)).await.unwrap();
        let error = late.save(&batch("a", 5)).await.unwrap_err();
        assert!(error.message.contains("`one` wrote it"), "{}", error.message);
    }

    #[tokio::test]
    async fn a_second_hopclock_is_an_error_that_names_it_and_loses_nothing() {
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let mut one = store(&sandbox, "one").await.unwrap();
        let mut two = store(&sandbox, "two").await.unwrap();
        one.load().await.unwrap();
        one.save(&batch("a", 1)).await.unwrap();
        two.load().await.unwrap();
        two.save(&batch("b", 1)).await.unwrap();
        let error = one.save(&batch("a", 2)).await.unwrap_err();
        assert!(error.message.contains("`two` wrote it"), "{}", error.message);
        let kept = store(&sandbox, "two").await.unwrap().load().await.unwrap();
        assert_eq!(kept["a"].totals, json!({"runs": 1}));
    }
}
