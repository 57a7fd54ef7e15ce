//! The event server: swallows repetitions, finds the alerts that want an event, answers.
//!
//! The answer does not wait for the providers, so a slow one never holds up a controller.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use bytes::Bytes;
use http::StatusCode;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Event;
use super::alerts;
use crate::flux::Speeds;
use crate::flux::context::Context;
use crate::store::Store;

/// The largest body that either server reads.
pub(super) const LARGEST_BODY: usize = 3 * 1024 * 1024;

/// How many events the log keeps.
const LOGGED: usize = 10_000;

/// An event that the server took, and when: the truth about notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenEvent {
    /// The instant at which the server had it.
    pub at: Instant,
    /// The event, with prefixes in its metadata.
    pub event: Event,
}

/// What became of the events so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Taken by the event server.
    pub accepted: u64,
    /// Recognised as repetitions and swallowed.
    pub repeated: u64,
    /// Given up by a controller, the event server being down.
    pub lost: u64,
    /// Taken by a provider.
    pub delivered: u64,
    /// Given up on the way to a provider.
    pub undelivered: u64,
}

/// Takes events while it is up.
pub(crate) struct EventServer {
    pub(super) up: AtomicBool,
    store: Store,
    state: Arc<Mutex<Counting>>,
    client: reqwest::Client,
}

#[derive(Default)]
struct Counting {
    seen: HashMap<String, Instant>,
    counts: EventCounts,
    log: VecDeque<TakenEvent>,
    deliveries: JoinSet<()>,
}

impl EventServer {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            up: AtomicBool::new(false),
            store,
            state: Arc::default(),
            client: reqwest::Client::builder().no_proxy().build().unwrap_or_default(),
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    /// Takes an event; answers as the HTTP server does.
    pub(crate) fn take(&self, event: &Event, speeds: &Speeds) -> StatusCode {
        let mut state = lock(&self.state);
        let now = Instant::now();
        state.seen.retain(|_, since| now.duration_since(*since) < speeds.event_window);
        if state.seen.contains_key(&event.identity()) {
            state.counts.repeated += 1;
            return StatusCode::TOO_MANY_REQUESTS;
        }
        state.seen.insert(event.identity(), now);
        state.counts.accepted += 1;
        if state.log.len() == LOGGED {
            state.log.pop_front();
        }
        state.log.push_back(TakenEvent { at: now, event: event.clone() });
        while state.deliveries.try_join_next().is_some() {}
        for delivery in alerts::deliveries(&self.store, event, speeds) {
            let (client, counting) = (self.client.clone(), self.state.clone());
            state.deliveries.spawn(async move {
                let delivered = delivery.send(&client).await;
                let counts = &mut lock(&counting).counts;
                if delivered {
                    counts.delivered += 1;
                } else {
                    counts.undelivered += 1;
                }
            });
        }
        StatusCode::ACCEPTED
    }

    pub(crate) fn lose(&self) {
        lock(&self.state).counts.lost += 1;
    }

    pub(crate) fn counts(&self) -> EventCounts {
        lock(&self.state).counts
    }

    pub(crate) fn log(&self) -> Vec<TakenEvent> {
        lock(&self.state).log.iter().cloned().collect()
    }

    /// Refuses from now on, drops deliveries and forgets what it has seen, as a process would.
    pub(super) async fn go_down(&self) {
        self.up.store(false, Ordering::SeqCst);
        let mut deliveries = {
            let mut state = lock(&self.state);
            state.seen.clear();
            std::mem::take(&mut state.deliveries)
        };
        deliveries.shutdown().await;
    }
}

/// The server as HTTP serves it, for those who post over the wire. As in Go, every path leads to it, and
/// it looks at no method: what was meant for a Receiver is an event, too.
pub(super) fn router(context: Arc<Context>) -> Router {
    Router::new().fallback(take).layer(DefaultBodyLimit::max(LARGEST_BODY)).with_state(context)
}

async fn take(State(context): State<Arc<Context>>, body: Bytes) -> StatusCode {
    match serde_json::from_slice::<Event>(&body) {
        Ok(event) => context.events.take(&event, &context.speeds()),
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

fn lock(state: &Mutex<Counting>) -> MutexGuard<'_, Counting> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
