//! A store that keeps nothing beyond its process, for those who want no file.

use crate::engine::{Batch, Store, StoreError};
use crate::model::Account;
use std::collections::BTreeMap;

/// Keeps accounts while the process lives, and no runs at all.
#[derive(Clone, Debug, Default)]
pub struct Forgetful {
    accounts: BTreeMap<String, Account>,
}

// === impl Forgetful ===

#[async_trait::async_trait]
impl Store for Forgetful {
    async fn load(&mut self) -> Result<BTreeMap<String, Account>, StoreError> {
        Ok(self.accounts.clone())
    }

    async fn save(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.accounts.retain(|it, _| !batch.forgotten.contains(it));
        self.accounts.extend(batch.accounts.clone());
        Ok(())
    }
}
