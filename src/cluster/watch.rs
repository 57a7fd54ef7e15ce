//! One watch of one kind in one namespace, for everybody who follows something there.
//!
//! A task that owns all it knows: commands and bytes come in, states go out to the followers'
//! queues. It looks at one object as long as one is wanted. When a second one is, it opens a
//! watch of the whole namespace behind the same place while the old one is still read, so that
//! the followers of the first notice nothing; resource versions drop what comes twice.

use crate::cluster::api::Api;
use crate::cluster::followers::{Follower, Followers};
use crate::cluster::hearing::{Hearing, Lateness};
use crate::cluster::hub::Hub;
use crate::cluster::kinds::Kinds;
use crate::cluster::lines::Line;
use crate::cluster::list::{List, Scope, list};
use crate::cluster::proof::{Proof, Prover};
use crate::cluster::stream::{Opened, Piece, Stream, open};
use crate::cluster::track::Track;
use crate::cluster::trim::trim;
use crate::cluster::version::Version;
use crate::cluster::{Error, Event, WatchName};
use crate::model::{Arrival, Moment, When};
use futures_util::future::{BoxFuture, pending};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Sleep, sleep};

/// What a watch is asked to do.
pub(super) enum Command {
    /// Show a follower its objects' states.
    Follow(u64, Follower),
    /// A follower is gone.
    Leave(u64),
    /// Prove that nothing was missed.
    Prove(Prover),
    /// Our echo is late, or back.
    Lateness(Lateness),
}

/// The watch.
pub(super) struct Watch {
    hub: Weak<Hub>,
    parts: Parts,
    commands: UnboundedReceiver<Command>,
    followers: Followers,
    track: Track,
    hearing: Hearing,
    /// Behind which version to go on; none if only a list can tell.
    position: Option<Version>,
    stream: Option<Stream>,
    opening: Option<BoxFuture<'static, Result<Opened, Error>>>,
    lists: FuturesUnordered<BoxFuture<'static, (Purpose, Result<List, Error>)>>,
    /// Names whose first state a list is on its way with.
    admitting: BTreeSet<String>,
    proof: Proof,
    pause: Option<Pin<Box<Sleep>>>,
    linger: Option<Pin<Box<Sleep>>>,
    /// Until what is shown is exact.
    settling: Option<Pin<Box<Sleep>>>,
    trouble: Trouble,
    attempts: u32,
}

/// What every request of the watch needs.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) api: Arc<Api>,
    pub(super) kinds: Arc<Kinds>,
    pub(super) name: WatchName,
}

enum Purpose {
    Admit,
    Prove(Vec<Prover>),
}

/// What was said of the watch's troubles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    #[default]
    None,
    /// It is opened again and again.
    Passing,
    /// It is, too, but in vain as long as nobody mends the cause.
    Lasting,
}

/// Why a stream is of no more use.
enum End {
    Failure(u16, String),
    Garbled,
}

enum Step {
    Heard(Piece),
    Command(Option<Command>),
    Opened(Result<Opened, Error>),
    Listed(Purpose, Result<List, Error>),
    Retry,
    Lingered,
    Settled,
    Overdue,
}

// === impl Watch ===

impl Watch {
    /// A watch that begins with its first command.
    pub(super) fn new(hub: Weak<Hub>, parts: Parts, commands: UnboundedReceiver<Command>) -> Self {
        let hearing = Hearing::new(&parts.api.timing, parts.api.clock.now());
        Self {
            hub,
            parts,
            commands,
            followers: Followers::default(),
            track: Track::default(),
            hearing,
            position: None,
            stream: None,
            opening: None,
            lists: FuturesUnordered::new(),
            admitting: BTreeSet::new(),
            proof: Proof::default(),
            pause: None,
            linger: None,
            settling: None,
            trouble: Trouble::None,
            attempts: 0,
        }
    }

    /// Runs until nobody has followed anything for a while.
    pub(super) async fn run(mut self) {
        loop {
            self.begin();
            match self.step().await {
                Step::Heard(piece) => self.heard(piece),
                Step::Command(Some(command)) => self.obey(command),
                Step::Command(None) => return,
                Step::Opened(opened) => {
                    self.opening = None;
                    match opened {
                        Ok(opened) => self.opened(opened),
                        Err(error) => self.refused(&error),
                    }
                }
                Step::Listed(purpose, list) => self.listed(purpose, list),
                Step::Retry => self.pause = None,
                Step::Lingered => {
                    self.linger = None;
                    let retired = |it: Arc<Hub>| it.retire(&self.parts.name, &self.commands);
                    if self.hub.upgrade().is_none_or(retired) {
                        return;
                    }
                }
                Step::Overdue => self.catch_up(),
                Step::Settled => self.settling = None,
            }
            self.check_proof();
            self.greet();
        }
    }

    /// Tells newcomers that all is shown, as soon as what is shown from now on is exact (rule T3).
    fn greet(&mut self) {
        let Some(stream) = &self.stream else { return };
        let now = self.parts.api.clock.now();
        self.settling = match self.hearing.settles_at().filter(|it| *it >= now) {
            Some(at) if self.followers.are_waiting() => {
                Some(Box::pin(sleep(at.since(now) + Duration::from_millis(1))))
            }
            Some(_) => None,
            None => {
                self.followers.greet(&self.track, |it| stream.scope.covers(it));
                None
            }
        };
    }

    async fn step(&mut self) -> Step {
        let mut piece = std::pin::pin!(async {
            match &mut self.stream {
                Some(stream) => stream.next().await,
                None => pending().await,
            }
        });
        tokio::select! {
            biased;
            piece = &mut piece => Step::Heard(piece),
            command = self.commands.recv() => Step::Command(command),
            opened = async {
                match &mut self.opening {
                    Some(opening) => opening.await,
                    None => pending().await,
                }
            } => Step::Opened(opened),
            Some((purpose, list)) = self.lists.next() => Step::Listed(purpose, list),
            () = elapsed(&mut self.pause) => Step::Retry,
            () = elapsed(&mut self.linger) => Step::Lingered,
            () = elapsed(&mut self.settling) => Step::Settled,
            () = elapsed(self.proof.grace()) => Step::Overdue,
        }
    }

    /// Begins whatever is missing and not under way.
    fn begin(&mut self) {
        if self.followers.is_empty() {
            let timing = &self.parts.api.timing;
            self.linger.get_or_insert_with(|| Box::pin(sleep(timing.linger)));
            return;
        }
        self.linger = None;
        if self.opening.is_none() && self.pause.is_none() {
            let covered = self.stream.as_ref().is_some_and(|stream| {
                self.followers.names().iter().all(|it| stream.scope.covers(it))
            });
            if !covered {
                let all: BTreeSet<_> =
                    self.followers.names().iter().chain(self.track.names()).collect();
                let scope = Scope::of(all.into_iter());
                self.open(scope);
            }
        }
        // One list for all who have come meanwhile: a hundred runs that start at once are not a
        // hundred requests.
        if self.position.is_some() && self.admitting.is_empty() {
            let is_new = |it: &&String| self.track.get(it).is_none();
            self.admitting = self.followers.names().iter().filter(is_new).cloned().collect();
            if !self.admitting.is_empty() {
                self.list(Scope::of(self.admitting.iter()), Purpose::Admit);
            }
        }
        if let Some(provers) = self.proof.begin() {
            let scope = Scope::of(self.followers.names().iter());
            self.list(scope, Purpose::Prove(provers));
        }
    }

    fn open(&mut self, scope: Scope) {
        if self.stream.is_some() {
            self.parts.api.restarted(&self.parts.name.kind, "widened");
        }
        let (Parts { api, kinds, name }, from) = (self.parts.clone(), self.position.clone());
        let opening = async move { open(&api, &kinds, &name, scope, from).await };
        self.opening = Some(Box::pin(opening));
    }

    fn list(&self, scope: Scope, purpose: Purpose) {
        let Parts { api, kinds, name } = self.parts.clone();
        self.lists.push(Box::pin(async move {
            let listed = list(&api, &kinds, &name, &scope).await;
            (purpose, listed.map(|(_, it)| it))
        }));
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Follow(id, follower) => {
                if self.followers.is_empty() && self.stream.is_none() && self.opening.is_none() {
                    self.track.clear();
                }
                if self.trouble != Trouble::None || self.track.names().next().is_none() {
                    // What is known is out of date: only a list is a first state.
                    self.position = None;
                }
                let now = self.parts.api.clock.now();
                self.followers.add(id, follower, &self.track, now);
                // Whoever comes during a pause does not want to wait for it.
                self.pause = None;
            }
            Command::Leave(id) => self.followers.remove(id),
            Command::Prove(prover) => self.proof.wanted(prover),
            Command::Lateness(lateness) => self.hearing.echo(lateness),
        }
    }

    fn opened(&mut self, opened: Opened) {
        let Opened { list, from, stream } = opened;
        let (asked, at) = (stream.asked, stream.opened);
        self.track.retain(|name| stream.scope.covers(name));
        match list {
            Some(list) => {
                let when = When::between(self.hearing.floor(), list.answered);
                let known = self.track.names().cloned();
                let names: BTreeSet<_> =
                    self.followers.names().iter().cloned().chain(known).collect();
                let covered = names.iter().filter(|it| stream.scope.covers(it));
                let news = self.track.relist(&list, covered);
                for it in news {
                    self.followers.deliver(&it, when, Arrival::AfterGap);
                }
                self.hearing.listed(list.sent);
                self.hearing.opened(asked, at);
                self.position = None;
            }
            None if self.stream.is_some() => self.hearing.handed_over(asked, at),
            None => self.hearing.opened(asked, at),
        }
        self.position.get_or_insert(from);
        self.stream = Some(stream);
        if std::mem::take(&mut self.trouble) != Trouble::None {
            tracing::info!(watch = %self.parts.name, "the watch is restored");
            self.followers.tell(&Event::Restored { watch: self.parts.name.clone(), at });
        }
    }

    /// A watch could not be opened: newcomers are told why, the others that it is broken.
    fn refused(&mut self, error: &Error) {
        let stream = self.stream.as_ref();
        self.followers.dismiss(error, |it| stream.is_none_or(|open| !open.scope.covers(it)));
        if self.stream.is_none() {
            self.hearing.torn();
            self.failed("refused", error);
        }
        self.rest();
    }

    fn heard(&mut self, piece: Piece) {
        match piece {
            Piece::Bytes { at, held, bytes } => {
                let before = self.hearing.clone();
                if let Err(end) = self.bytes(at, held, &bytes) {
                    // What ends a watch is no sign that nothing was missed before it.
                    self.hearing = before;
                    self.position = None;
                    self.ended(end);
                }
            }
            Piece::Closed(at) => {
                self.hearing.closed(at);
                self.parts.api.restarted(&self.parts.name.kind, "closed");
                let lived = self.stream.take().map(|it| at.since(it.opened));
                if lived.is_some_and(|it| it >= self.parts.api.timing.watch / 2) {
                    self.attempts = 0;
                } else {
                    self.rest();
                }
            }
            Piece::Cut(problem) => self.lost("broken", &problem),
            Piece::Silent => {
                self.parts.api.distrust_connections();
                let server = self.parts.api.server.clone();
                self.tear("silent", &Error::Silent { server });
            }
        }
    }

    fn bytes(&mut self, at: Moment, held: Option<Moment>, bytes: &[u8]) -> Result<(), End> {
        let when = self.hearing.heard(at, held);
        let lines = self.stream.as_mut().and_then(|it| it.splitter.push(bytes));
        for line in lines.ok_or(End::Garbled)? {
            self.line(&line, when)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], when: When) -> Result<(), End> {
        match Line::parse(line).map_err(|_| End::Garbled)? {
            Line::Object { name, version, deleted } => {
                self.attempts = 0;
                self.position = Some(version.clone());
                let wanted =
                    self.track.get(&name).is_some() || self.followers.names().contains(&name);
                if wanted && self.track.is_news(&name, &version, deleted) {
                    let value = value(line, deleted).map_err(|_| End::Garbled)?;
                    let news = self.track.event(name, version, value);
                    self.followers.deliver(&news, when, Arrival::Next);
                }
                Ok(())
            }
            Line::Bookmark(version) => {
                self.attempts = 0;
                self.position = Some(version);
                self.hearing.bookmark();
                Ok(())
            }
            Line::Failure { code, message } => Err(End::Failure(code, message)),
        }
    }

    fn ended(&mut self, end: End) {
        let Parts { api, name, .. } = &self.parts;
        match end {
            End::Failure(code, message) => {
                tracing::debug!(watch = %name, code, message, "the server gave the watch up");
                api.restarted(&name.kind, if code == 410 { "gone" } else { "error" });
                self.stream = None;
                self.hearing.torn();
                self.rest();
            }
            End::Garbled => self.lost("garbled", "it carries what is no watch event"),
        }
    }

    fn lost(&mut self, reason: &'static str, problem: &str) {
        let (server, problem) = (self.parts.api.server.clone(), problem.to_owned());
        self.tear(reason, &Error::Cut { server, problem });
    }

    fn tear(&mut self, reason: &'static str, error: &Error) {
        self.stream = None;
        self.hearing.torn();
        self.failed(reason, error);
        self.rest();
    }

    /// Counts a failure, and says so once until it is over; once more if it turns out that waiting
    /// is in vain.
    fn failed(&mut self, reason: &'static str, error: &Error) {
        self.parts.api.restarted(&self.parts.name.kind, reason);
        let trouble = if error.is_permanent() { Trouble::Lasting } else { Trouble::Passing };
        if trouble > self.trouble {
            self.trouble = trouble;
            if trouble == Trouble::Passing {
                tracing::warn!(watch = %self.parts.name, %error, "the watch is broken");
            }
            let (watch, since) = (self.parts.name.clone(), self.hearing.last());
            self.followers.tell(&Event::Broken { watch, since, error: error.clone() });
        }
    }

    fn rest(&mut self) {
        let pause = self.parts.api.timing.pause(self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        self.pause = Some(Box::pin(sleep(pause)));
    }

    fn listed(&mut self, purpose: Purpose, listed: Result<List, Error>) {
        match (purpose, listed) {
            (Purpose::Admit, Ok(list)) => {
                let mut names = std::mem::take(&mut self.admitting);
                names.retain(|it| self.track.get(it).is_none());
                let when = When::between(Moment::default(), list.answered);
                for it in self.track.relist(&list, names.iter()) {
                    self.followers.deliver(&it, when, Arrival::First);
                }
            }
            (Purpose::Admit, Err(error)) => {
                let names = std::mem::take(&mut self.admitting);
                self.followers.dismiss(&error, |it| names.contains(it));
            }
            (Purpose::Prove(provers), Ok(list)) => {
                let grace = self.parts.api.timing.grace;
                self.proof.listed(provers, list, grace);
            }
            (Purpose::Prove(provers), Err(error)) => self.proof.failed(provers, &error),
        }
    }

    /// Answers a proof as soon as the watch has told all that its list shows.
    fn check_proof(&mut self) {
        if let Some(list) = self.proof.list()
            && !self.track.is_behind(list, self.followers.names_in(list))
        {
            self.proof.done();
        }
    }

    /// The watch did not tell what a list shows: it is told now, and the connection replaced.
    fn catch_up(&mut self) {
        if let Some(list) = self.proof.list() {
            let when = When::between(self.hearing.floor(), list.answered);
            let news = self.track.catch_up(list, self.followers.names_in(list));
            for it in news {
                self.followers.deliver(&it, when, Arrival::AfterGap);
            }
            self.proof.done();
            if self.stream.take().is_some() {
                self.parts.api.restarted(&self.parts.name.kind, "behind");
                self.parts.api.distrust_connections();
                self.hearing.torn();
            }
        }
    }
}

fn value(line: &[u8], deleted: bool) -> Result<Arc<Value>, serde_json::Error> {
    if deleted {
        return Ok(Arc::new(Value::Null));
    }
    let mut object = Line::object(line)?;
    trim(&mut object);
    Ok(Arc::new(object))
}

async fn elapsed(timer: &mut Option<Pin<Box<Sleep>>>) {
    match timer {
        Some(timer) => timer.await,
        None => pending().await,
    }
}
