//! Our own measurement error, measured all the time: how long an event takes from a write to us.
//!
//! Once a minute a `ConfigMap` of our own is patched, and its event awaited like anybody's, by the
//! same list and watch over the same connections. If it is two seconds overdue, whatever else the cluster tells is
//! uncertain until it is back (rule T6): an API server whose watches lag looks healthy otherwise.
//! It only ever helps: where it is not allowed or fails, that is said once, and runs go on. That is
//! why it shares no watch with runs: one that had to be widened for it might be forbidden.
//!
//! It needs `create` of `configmaps` in the namespace, and `patch`, `list` and `watch` of that one.

use crate::cluster::hearing::Lateness;
use crate::cluster::hub::Hub;
use crate::cluster::object::{MANAGED_BY, MANAGER, Place};
use crate::cluster::version::Version;
use crate::cluster::{Cluster, Error, Event, Following};
use crate::model::{Arrival, GroupKind, Moment, Seen, Subject};
use serde_json::{Value, json};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, Sleep, interval, sleep};

/// Where and how often an echo is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EchoOptions {
    /// The namespace of its `ConfigMap`; without one there is no echo.
    pub namespace: String,
    /// The name of its `ConfigMap`, which is made if it is not there. Several hopclocks may share it.
    pub name: String,
    /// How often.
    pub every: Duration,
}

/// What is known of a cluster's echo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EchoState {
    /// How long the last one took that came back.
    pub last: Option<Duration>,
    /// Whether one is overdue, so that events are uncertain.
    pub overdue: bool,
    /// Why there is none, or none any more.
    pub problem: Option<String>,
}

/// A running echo. Dropping it ends it.
#[must_use = "it ends when it is dropped"]
pub struct Echo {
    hub: Arc<Hub>,
    task: JoinSet<()>,
}

/// What is known of the echo, for everybody.
#[derive(Default)]
pub(super) struct EchoBoard {
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    on: bool,
    state: EchoState,
}

struct Caller<R> {
    hub: Arc<Hub>,
    /// For our own watch only.
    own: Arc<Hub>,
    place: Place,
    subject: Subject,
    every: Duration,
    report: R,
}

/// An echo that is out.
struct Out {
    word: String,
    sent: Moment,
    version: Version,
}

/// How long after it was sent an echo is overdue.
const OVERDUE: Duration = Duration::from_secs(2);

/// The least time after which it counts as lost, and another one is sent.
const LOST: Duration = Duration::from_secs(10);

/// The least time between two echoes.
const SHORTEST: Duration = Duration::from_millis(50);

/// The key that is written.
const KEY: &str = "echo";

// === impl EchoOptions ===

impl Default for EchoOptions {
    fn default() -> Self {
        let every = Duration::from_secs(60);
        Self { namespace: String::new(), name: "hopclock-echo".to_owned(), every }
    }
}

// === impl Cluster ===

impl Cluster {
    /// Times an echo again and again, and reports how long each took, from just before its write
    /// was sent to the arrival of its event. One per cluster; what it finds out is in
    /// [`Self::echo_state`], and in the bounds of the states that [`Self::follow`] shows.
    pub fn start_echo(
        &self,
        options: &EchoOptions,
        report: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Echo {
        let hub = Arc::clone(&self.hub);
        let EchoOptions { namespace, name, every } = options;
        hub.echo.lock().on = true;
        let mut task = JoinSet::new();
        if namespace.is_empty() {
            hub.echo.failed(self.server(), "no namespace is named for its ConfigMap: name one");
        } else {
            let caller = Caller {
                own: Arc::new(Hub::new(Arc::clone(&hub.api))),
                hub: Arc::clone(&hub),
                place: Place::new("", "configmaps", namespace, name),
                subject: Subject::local(GroupKind::new("", "ConfigMap"), namespace, name),
                every: (*every).max(SHORTEST),
                report,
            };
            task.spawn(caller.run());
        }
        Echo { hub, task }
    }

    /// What is known of the echo.
    #[must_use]
    pub fn echo_state(&self) -> EchoState {
        self.hub.echo.lock().state.clone()
    }
}

// === impl Echo ===

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort_all();
        *self.hub.echo.lock() = Running::default();
        self.hub.set_lateness(Lateness::Until(self.hub.api.clock.now()));
    }
}

impl fmt::Debug for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Echo({:?})", self.hub.echo.lock().state)
    }
}

// === impl EchoBoard ===

impl EchoBoard {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says once that there is none, until there is one again.
    fn failed(&self, server: &str, problem: &str) {
        let mut running = self.lock();
        if !running.on {
            return;
        }
        if running.state.problem.is_none() {
            tracing::warn!(server, problem, "there is no watch echo");
        }
        running.state.problem = Some(problem.to_owned());
        running.state.overdue = false;
    }
}

// === impl Caller ===

impl<R: Fn(Duration)> Caller<R> {
    async fn run(self) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut following = None;
        loop {
            ticks.tick().await;
            let sent = self.hub.api.clock.now();
            if let Err(error) = self.call(&mut following).await {
                following = None;
                if error.is_permanent() {
                    self.hub.echo.failed(&self.hub.api.server, &error.to_string());
                    self.hub.set_lateness(Lateness::Until(self.hub.api.clock.now()));
                } else {
                    // Whoever does not take a write may not tell of others' either.
                    self.overdue(sent);
                }
            }
        }
    }

    /// One echo: until it is back, or so late that the next one may tell as well.
    async fn call(&self, following: &mut Option<Following>) -> Result<(), Error> {
        let following = match following {
            Some(following) => following,
            None => following
                .insert(Following::begin(&self.own, std::slice::from_ref(&self.subject)).await?),
        };
        while let Some(event) = following.try_next() {
            check(event)?;
        }
        let mut overdue = Some(Box::pin(sleep(OVERDUE)));
        let out = self.send_by(&mut overdue).await?;
        let mut next = std::pin::pin!(sleep(self.every.max(LOST)));
        loop {
            tokio::select! {
                biased;
                event = following.next() => {
                    if let Some(at) = check(event)?.and_then(|it| out.heard(&it)) {
                        self.heard(at, at.since(out.sent));
                        return Ok(());
                    }
                }
                () = async {
                    match &mut overdue {
                        Some(timer) => timer.await,
                        None => std::future::pending().await,
                    }
                } => {
                    overdue = None;
                    self.overdue(out.sent);
                }
                () = &mut next => return Ok(()),
            }
        }
    }

    /// Writes a new word, and says so if the answer alone is overdue.
    async fn send_by(&self, overdue: &mut Option<Pin<Box<Sleep>>>) -> Result<Out, Error> {
        let began = self.hub.api.clock.now();
        let mut sending = std::pin::pin!(self.send());
        if let Some(timer) = overdue {
            tokio::select! {
                biased;
                out = &mut sending => return out,
                () = timer => {}
            }
        }
        *overdue = None;
        self.overdue(began);
        sending.await
    }

    /// Writes a new word; makes the object if it is not there.
    async fn send(&self) -> Result<Out, Error> {
        let api = &self.hub.api;
        let word = format!("{:016x}", fastrand::u64(..));
        let patch = || json!({"data": {KEY: word}});
        let mut sent = api.clock.now();
        let mut written = api.merge(&self.place, patch()).await?;
        if written.is_none() {
            match api.create(&self.place, self.empty()).await {
                // Another hopclock has just made it.
                Err(error) if error.status() != Some(409) => return Err(error),
                _ => {}
            }
            sent = api.clock.now();
            written = api.merge(&self.place, patch()).await?;
        }
        let subject = Box::new(self.subject.clone());
        let object = written.ok_or(Error::NoSuchObject { subject })?;
        Ok(Out { version: version(&object), word, sent })
    }

    fn empty(&self) -> Value {
        let purpose = "how long an event takes from a write to hopclock is measured here, again \
                       and again; what it holds means nothing";
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": self.place.name, "namespace": self.place.namespace,
                "labels": {MANAGED_BY: MANAGER, "app.kubernetes.io/component": "watch-echo"},
                "annotations": {"kubernetes.io/description": purpose},
            },
        })
    }

    fn heard(&self, at: Moment, delay: Duration) {
        let mut running = self.hub.echo.lock();
        if !running.on {
            return;
        }
        if running.state.problem.take().is_some() || running.state.overdue {
            tracing::info!(server = %self.hub.api.server, ?delay, "the watch echo is back");
        }
        running.state = EchoState { last: Some(delay), ..EchoState::default() };
        drop(running);
        self.hub.set_lateness(Lateness::Until(at));
        (self.report)(delay);
    }

    fn overdue(&self, sent: Moment) {
        let mut running = self.hub.echo.lock();
        // Nobody would ever take it back if nobody waits for it any more.
        if running.on && !running.state.overdue {
            running.state.overdue = true;
            let server = &self.hub.api.server;
            tracing::warn!(%server, "the watch echo is overdue: events are uncertain until it is back");
            self.hub.set_lateness(Lateness::Since(sent));
        }
    }
}

// === impl Out ===

impl Out {
    /// When it came back, if this is it, or something that was written over it.
    fn heard(&self, seen: &Seen) -> Option<Moment> {
        let value = &seen.state.value;
        let same = value["data"][KEY] == self.word.as_str();
        let later = seen.state.arrival != Arrival::First
            && !value.is_null()
            && !self.version.is_newer_than(&version(value));
        (same || later).then_some(seen.state.when.latest)
    }
}

/// A state, or why none will come.
fn check(event: Event) -> Result<Option<Seen>, Error> {
    match event {
        Event::Seen(seen) => Ok(Some(seen)),
        Event::Broken { error, .. } if error.is_permanent() => Err(error),
        Event::Broken { .. } | Event::Restored { .. } => Ok(None),
    }
}

fn version(object: &Value) -> Version {
    Version(object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned())
}
