//! Flux's notifications: the port that they come to, and the way from there to the runs.

mod keys;
mod token;

use crate::cli::args::NotifyArguments;
use crate::cli::metrics::{self, Page};
use crate::cli::notify::keys::KeyRing;
use crate::cluster::Clusters;
use crate::config::{Hop, Scenario};
use crate::engine::{Board, Hearing, Posted, Watches};
use crate::export::Metrics;
use crate::hop::{HopConfig, NotifiedConfig};
use crate::model::{Clock, Notice, ProbeError, When};
use crate::trigger::unusable;
use crate::web::{Delivered, Limits, NoticePages, Noticeboard, notice_pages};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use tokio::net::TcpListener;

pub(super) use token::NotifyToken;

/// Longest body: Flux posts up to 3 MiB, but an applier tells of its success in a sentence, and no hop
/// waits for what is longer: lists of what was changed. With 3 MiB, all connections at once would
/// take ten times what the listener may.
const LONGEST: usize = 256 << 10;

/// Connections of all clients, and of one: notification-controller, which posts every notification
/// at once, is a single one. With bodies of full length they take 40 MiB.
const CONNECTIONS: usize = 160;
const PER_CLIENT: usize = 128;

/// What runs hear of the port.
#[derive(Clone)]
pub(super) struct Ears {
    board: Board,
    listeners: Arc<BTreeSet<String>>,
}

/// Hands on what was let in.
struct Post(Board);

/// Takes the port for notifications, if there is a use for one.
pub(super) async fn take_port(
    arguments: &NotifyArguments,
    wanted: bool,
) -> Result<Option<TcpListener>, String> {
    let mut known = BTreeSet::new();
    for NotifyToken { listener, .. } in &arguments.notify_token {
        if !known.insert(listener) {
            return Err(format!(
                "`--notify-token` is given twice for listener `{listener}`: keep one, or name another \
                 listener"
            ));
        }
    }
    let address = arguments.notify_listen.filter(|_| wanted);
    metrics::take_port(address).await.map_err(|it| it.to_string())
}

/// Opens the port that was taken, for the listeners of the arguments.
pub(super) fn open(
    port: TcpListener,
    arguments: &NotifyArguments,
    clusters: Arc<OnceLock<Clusters>>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
) -> std::io::Result<(Page, Ears)> {
    let tokens = &arguments.notify_token;
    let listeners = Arc::new(tokens.iter().map(|it| it.listener.clone()).collect());
    let board = Board::default();
    let keys = Arc::new(KeyRing::new(tokens, clusters, clock.clone()));
    let pages = NoticePages { board: Arc::new(Post(board.clone())), keys, metrics, clock };
    let limits = Limits {
        body: LONGEST,
        connections: CONNECTIONS,
        per_client: PER_CLIENT,
        ..Limits::default()
    };
    let page = Page::answer(port, notice_pages(pages), limits)?;
    Ok((page, Ears { board, listeners }))
}

/// Whether a scenario waits for notifications.
pub(super) fn is_awaited(scenario: &Scenario) -> bool {
    awaited(scenario).next().is_some()
}

/// Refuses a hop whose listener is not there: it would wait for nobody.
pub(super) fn listens(
    ears: Option<&Ears>,
    hop: &str,
    config: &NotifiedConfig,
) -> Result<(), ProbeError> {
    let listener = &config.listener;
    let Some(ears) = ears else {
        return Err(unusable(format!(
            "hop `{hop}` waits for a notification, and there is no port that one could come to: \
             start hopclock with `--notify-listen ADDRESS` and `--notify-token {listener}=PLACE`"
        )));
    };
    if ears.listeners.contains(listener) {
        return Ok(());
    }
    let known: Vec<_> = ears.listeners.iter().map(|it| format!("`{it}`")).collect();
    Err(unusable(format!(
        "hop `{hop}` waits for a notification at listener `{listener}`, and there is only {}: name \
         that one, or start hopclock with `--notify-token {listener}=PLACE`",
        known.join(", ")
    )))
}

/// The notifications that a scenario waits for.
fn awaited(scenario: &Scenario) -> impl Iterator<Item = (&Hop, &NotifiedConfig)> {
    scenario.hops.iter().filter_map(|it| match &it.kind {
        HopConfig::Notified(config) => Some((it, config)),
        _ => None,
    })
}

// === impl Ears ===

impl Ears {
    /// Hears what a scenario waits for, beside other watches.
    pub(super) fn beside(
        &self,
        watches: Arc<dyn Watches>,
        scenario: &Scenario,
        clock: Arc<dyn Clock>,
    ) -> Arc<dyn Watches> {
        let pair = |(hop, config): (&Hop, &NotifiedConfig)| {
            Some((Arc::new(hop.subject()?), config.applier()?))
        };
        let awaited: Vec<_> = awaited(scenario).filter_map(pair).collect();
        if awaited.is_empty() {
            return watches;
        }
        Arc::new(Hearing::new(watches, self.board.clone(), awaited, clock))
    }
}

// === impl Post ===

impl Noticeboard for Post {
    fn post(&self, listener: &str, notice: &Notice, when: When) -> Delivered {
        match self.0.post(listener, notice, when) {
            Posted::Heard => Delivered::Heard,
            Posted::Unawaited => Delivered::Unawaited,
            Posted::Busy => Delivered::Busy,
        }
    }
}
