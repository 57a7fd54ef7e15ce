//! Records what happens, in the one order that survives a kill: first kept, then shown.
//!
//! Events come in from runs without making them wait. One writer takes them in batches, adds them
//! to the accounts, lets the store keep accounts and finished runs in one step, and only then has
//! the totals shown. A process that is killed in between has shown nothing that it has lost, so no
//! counter ever goes back and nothing is counted twice.

mod describe;
mod writer;

use crate::engine::{Journal, Keeper, Stamped, Store, StoreError, Totals};
use crate::history::recorder::writer::{Message, Writer};
use crate::model::{Account, CanaryId, Clock, Event, Observer, Publishing, Revision};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Records what happens. Clones write to the same store.
#[derive(Clone)]
pub struct Recorder {
    clock: Arc<dyn Clock>,
    messages: mpsc::UnboundedSender<Message>,
    trouble: watch::Receiver<Option<StoreError>>,
}

// === impl Recorder ===

impl Recorder {
    /// Goes on from `accounts`, as the store has loaded them. Must be called inside a tokio
    /// runtime; the writer ends, with everything kept, once the last clone is dropped.
    #[must_use]
    pub fn start(
        store: Box<dyn Store>,
        totals: Arc<dyn Totals>,
        accounts: BTreeMap<String, Account>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (messages, inbox) = mpsc::unbounded_channel();
        let (say, trouble) = watch::channel(None);
        tokio::spawn(Writer::new(store, totals, accounts, say).run(inbox));
        Self { clock, messages, trouble }
    }

    /// What keeps the store from keeping anything now; none while all is kept.
    #[must_use]
    pub fn trouble(&self) -> Option<StoreError> {
        self.trouble.borrow().clone()
    }

    /// Hears of trouble when it begins and ends.
    #[must_use]
    pub fn watch_trouble(&self) -> watch::Receiver<Option<StoreError>> {
        self.trouble.clone()
    }

    /// The accounts of those of these scenarios that have one, as they are now. Whatever was said
    /// before is counted and shown when this returns.
    pub async fn adopt(&self, scenarios: BTreeSet<String>) -> BTreeMap<String, Account> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Adopt { scenarios, answer });
        // The writer answers or is gone with the runtime.
        answered.await.unwrap_or_default()
    }

    /// Forgets a scenario that is gone for good: its account and its totals. Runs that it has left
    /// behind end as interrupted; its runs stay in history.
    pub fn forget(&self, scenario: &str) {
        let (scenario, at) = (scenario.to_owned(), self.clock.wall());
        self.send(Message::Forget { scenario, at });
    }

    /// Returns once everything that was said before is kept, or could not be.
    pub async fn flush(&self) {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Flush(answer));
        // The writer answers or is gone with the runtime.
        let _ = answered.await;
    }

    fn send(&self, message: Message) {
        // The writer ends only when there is nobody left to send.
        let _ = self.messages.send(message);
    }
}

impl Keeper for Recorder {
    /// Its series disappear; its account is kept, should it be put back.
    fn gone(&self, scenario: &str) {
        self.send(Message::Gone(scenario.to_owned()));
    }

    fn broken_off(&self, scenario: &str, due: Timestamp) {
        let (scenario, at) = (scenario.to_owned(), self.clock.wall());
        self.send(Message::BrokenOff { scenario, due, at });
    }
}

impl Observer for Recorder {
    fn observe(&self, event: &Event) {
        let stamped = Stamped { at: self.clock.wall(), event: event.clone() };
        self.send(Message::Happened { stamped: Box::new(stamped), now: self.clock.now() });
    }
}

#[async_trait::async_trait]
impl Journal for Recorder {
    async fn publishing(
        &self,
        scenario: &str,
        canary: &CanaryId,
        revisions: &[Revision],
        path: Vec<String>,
    ) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Publishing {
            scenario: scenario.to_owned(),
            canary: canary.clone(),
            publishing: Publishing {
                since: self.clock.wall(),
                revisions: revisions.to_vec(),
                path,
            },
            answer,
        });
        match answered.await {
            Ok(result) => result.map_err(|it| it.message),
            Err(_) => Err("the run could not be written down, for hopclock is stopping".to_owned()),
        }
    }
}
