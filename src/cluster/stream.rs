//! The open connection of a watch: bytes, each with the instant at which they left the socket.
//!
//! A task of its own does nothing but read and take the time (rule T4), so that what was read
//! before and is being parsed never moves the instant of what comes next. If even so the parser
//! falls behind by hundreds of reads, the reader has to wait for it, and says so.

use crate::cluster::api::{Api, Ask};
use crate::cluster::kinds::{Kinds, Served};
use crate::cluster::lines::Splitter;
use crate::cluster::list::{List, Scope, list};
use crate::cluster::version::Version;
use crate::cluster::{Error, WatchName, refusal};
use crate::model::{Clock, Moment};
use bytes::Bytes;
use http_body_util::BodyExt;
use kube::client::Body;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};

/// Reads that may wait for the parser.
const AHEAD: usize = 512;

/// An open connection. Dropping it closes it.
pub(super) struct Stream {
    pub(super) scope: Scope,
    /// When the server was asked for it, and when it agreed.
    pub(super) asked: Moment,
    pub(super) opened: Moment,
    pub(super) splitter: Splitter,
    pieces: Receiver<Piece>,
    overdue: Pin<Box<Sleep>>,
    _reader: JoinSet<()>,
}

/// What comes out of a connection.
pub(super) enum Piece {
    /// Bytes that left the socket at `at`; they may have lain there since `held`.
    Bytes { at: Moment, held: Option<Moment>, bytes: Bytes },
    /// The server ended the stream in good order.
    Closed(Moment),
    /// The connection broke.
    Cut(String),
    /// The server should have ended it by now.
    Silent,
}

/// A watch that was opened, and the list that it begins with if it could not be resumed.
pub(super) struct Opened {
    pub(super) list: Option<List>,
    /// The version that it goes on behind.
    pub(super) from: Version,
    pub(super) stream: Stream,
}

// === impl Stream ===

impl Stream {
    /// The next piece. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Piece {
        tokio::select! {
            biased;
            // Without a last piece a reader ends only together with the program, which is no
            // news of the watch.
            Some(piece) = self.pieces.recv() => piece,
            () = self.overdue.as_mut() => Piece::Silent,
        }
    }
}

/// Opens the watch of a scope behind `from`, or behind a list if there is no such place (any
/// more).
pub(super) async fn open(
    api: &Api,
    kinds: &Kinds,
    watch: &WatchName,
    scope: Scope,
    from: Option<Version>,
) -> Result<Opened, Error> {
    if let Some(version) = from {
        let served = kinds.find(api, &watch.kind).await?;
        match watch_from(api, &served, watch, &scope, &version).await {
            // Too old, too new, or not served in this version any more.
            Err(Error::Answered { status: 400 | 404 | 410 | 504, .. }) => {
                api.restarted(&watch.kind, "gone");
            }
            stream => return Ok(Opened { list: None, from: version, stream: stream? }),
        }
    }
    let (served, list) = list(api, kinds, watch, &scope).await?;
    let stream = watch_from(api, &served, watch, &scope, &list.version).await?;
    Ok(Opened { from: list.version.clone(), list: Some(list), stream })
}

async fn watch_from(
    api: &Api,
    served: &Served,
    watch: &WatchName,
    scope: &Scope,
    version: &Version,
) -> Result<Stream, Error> {
    let path = format!(
        "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}&{}",
        served.path(&watch.namespace, ""),
        api.timing.watch_seconds(),
        version.0,
        scope.query()
    );
    let target = served.target("watch", &watch.namespace, scope.name());
    let (asked, body) = api.open(&Ask { target, path }).await?;
    let opened = api.clock.now();
    let (sender, pieces) = mpsc::channel(AHEAD);
    let mut reader = JoinSet::new();
    reader.spawn(read(body, sender, Arc::clone(&api.clock), api.server.clone()));
    Ok(Stream {
        scope: scope.clone(),
        asked,
        opened,
        splitter: Splitter::default(),
        pieces,
        overdue: Box::pin(sleep(api.timing.overdue())),
        _reader: reader,
    })
}

async fn read(mut body: Body, pieces: Sender<Piece>, clock: Arc<dyn Clock>, server: String) {
    let mut held = None;
    loop {
        let frame = body.frame().await;
        let at = clock.now();
        let piece = match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => Piece::Bytes { at, held: held.take(), bytes },
                Err(_) => continue,
            },
            Some(Err(error)) => Piece::Cut(cause(&server, &error)),
            None => Piece::Closed(at),
        };
        let last = !matches!(piece, Piece::Bytes { .. });
        match pieces.try_send(piece) {
            Ok(()) => {}
            Err(TrySendError::Full(piece)) => {
                held = Some(at);
                if pieces.send(piece).await.is_err() {
                    return;
                }
            }
            Err(TrySendError::Closed(_)) => return,
        }
        if last {
            return;
        }
    }
}

fn cause(server: &str, error: &(dyn std::error::Error + 'static)) -> String {
    match refusal::unreachable(server, error) {
        Error::Unreachable { problem, .. } => problem,
        other => other.reason().to_owned(),
    }
}
