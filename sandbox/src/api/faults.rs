//! Faults on demand: what a bad day does to an API server, switched on and off while it runs.
//!
//! A lasting fault is a rule that stands until it is lifted or used up; what strikes open watches
//! once (a cut, a relist) is done at the call and says how many watches it struck.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use crate::store::{Store, StoreError};

/// The handle that switches faults. Clones act on the same server.
#[derive(Clone)]
pub struct Faults(Arc<Inner>);

/// Which requests or watches a fault strikes; all of them unless limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    kind: Option<String>,
    verb: Option<String>,
    user: Option<String>,
    spared: usize,
    times: Option<usize>,
}

/// An answer given instead of the true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 401: the token is not accepted.
    Unauthorized,
    /// 403: the user may not do it.
    Forbidden,
    /// 410: the version is too old.
    Expired,
    /// 429, with so many seconds to wait.
    TooManyRequests(u64),
    /// 500: the server failed.
    InternalError,
    /// 503: the server is overloaded or starting.
    Unavailable,
}

/// When a request falls into silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It is taken, and nothing is done.
    Before,
    /// It is done, and never answered.
    After,
}

/// A fault that lets requests fall into silence.
pub struct Silenced {
    /// To lift it by.
    pub id: FaultId,
    struck: mpsc::UnboundedReceiver<()>,
}

/// A lasting fault, to lift it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(u64);

/// What a request or watch is, as far as scopes can tell.
pub(super) struct About<'a> {
    pub(super) kind: &'a str,
    pub(super) verb: &'a str,
    pub(super) user: &'a str,
}

/// How an open watch has to behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mood {
    pub(super) silent: bool,
    pub(super) delay: Duration,
    pub(super) end: Option<End>,
}

/// How an open watch has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The connection breaks.
    Cut,
    /// An error in the stream: the version is too old.
    Expired,
    /// A clean close.
    Closed,
}

/// An open watch's place in the list of all; leaves the list when dropped.
pub(super) struct Seat {
    faults: Faults,
    id: u64,
    pub(super) mood: watch::Receiver<Mood>,
}

struct Inner {
    store: Store,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    rules: Vec<Rule>,
    open: BTreeMap<u64, Open>,
    expired: HashMap<String, u64>,
}

struct Open {
    kind: String,
    user: String,
    mood: watch::Sender<Mood>,
}

struct Rule {
    id: FaultId,
    scope: Scope,
    effect: Effect,
    /// How many requests it has spared, and how often it was used.
    spared: usize,
    used: usize,
    /// Hears of each request that falls into silence.
    struck_one: Option<mpsc::UnboundedSender<()>>,
    /// The watches that a rule for watches strikes.
    struck: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Effect {
    Answer(Answer),
    SlowLists(Duration),
    DelayEvents(Duration),
    BlackHole,
    Silence(Silence),
}

impl Scope {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only what is about objects of this kind.
    #[must_use]
    pub fn kind(mut self, kind: &str) -> Self {
        self.kind = Some(kind.to_owned());
        self
    }

    /// Only requests with this verb of Kubernetes, such as `list` or `patch`.
    #[must_use]
    pub fn verb(mut self, verb: &str) -> Self {
        self.verb = Some(verb.to_owned());
        self
    }

    /// Only this user.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// Not the first `spared` requests.
    #[must_use]
    pub fn behind(mut self, spared: usize) -> Self {
        self.spared = spared;
        self
    }

    /// Only the first `times` requests or watches.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    fn covers(&self, about: &About<'_>) -> bool {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|one| one == is);
        fits(&self.kind, about.kind) && fits(&self.verb, about.verb) && fits(&self.user, about.user)
    }

    fn limit(&self) -> usize {
        self.times.unwrap_or(usize::MAX)
    }
}

#[expect(clippy::must_use_candidate, reason = "a fault is switched on for its effect")]
impl Faults {
    pub(super) fn new(store: Store) -> Self {
        Self(Arc::new(Inner { store, state: Mutex::default() }))
    }

    /// Answers matching requests with an error, until lifted or used up.
    pub fn answer(&self, answer: Answer, scope: Scope) -> FaultId {
        self.add(Effect::Answer(answer), scope)
    }

    /// Lets matching requests, watches aside, fall into silence: each is taken, and done or not, and
    /// its connection stays open without an answer.
    pub fn silence(&self, silence: Silence, scope: Scope) -> Silenced {
        let (say, struck) = mpsc::unbounded_channel();
        let id = self.add(Effect::Silence(silence), scope);
        let state = &mut *self.state();
        if let Some(rule) = state.rules.iter_mut().find(|it| it.id == id) {
            rule.struck_one = Some(say);
        }
        Silenced { id, struck }
    }

    /// Lets matching lists wait before they are answered.
    pub fn slow_lists(&self, delay: Duration, scope: Scope) -> FaultId {
        self.add(Effect::SlowLists(delay), scope)
    }

    /// Delivers every event of matching watches this long after its write.
    pub fn delay_events(&self, delay: Duration, scope: Scope) -> FaultId {
        self.add(Effect::DelayEvents(delay), scope)
    }

    /// Keeps matching watches, open and new ones, connected and silent: no event, no bookmark, no
    /// close at their timeout. When lifted they go on where they were.
    pub fn black_hole_watches(&self, scope: Scope) -> FaultId {
        self.add(Effect::BlackHole, scope)
    }

    /// Ends a lasting fault.
    pub fn lift(&self, id: FaultId) {
        let state = &mut *self.state();
        state.rules.retain(|rule| rule.id != id);
        state.set_moods();
    }

    /// Ends every lasting fault.
    pub fn lift_all(&self) {
        let state = &mut *self.state();
        state.rules.clear();
        state.set_moods();
    }

    /// Breaks the connections of matching open watches now; says how many.
    pub fn cut_watches(&self, scope: &Scope) -> usize {
        self.state().end(scope, End::Cut)
    }

    /// Makes a new list necessary: matching open watches get an in-stream 410, and versions known
    /// until now (of the scope's kind, or of all) are too old to start a watch from. Says how many
    /// watches were struck.
    pub fn relist(&self, scope: &Scope) -> usize {
        let newest = self.0.store.version();
        let state = &mut *self.state();
        state.expired.insert(scope.kind.clone().unwrap_or_default(), newest);
        state.end(scope, End::Expired)
    }

    /// Serves a kind under another version from now on; its open watches are closed, and the old
    /// version is not found any more. Says how many watches were closed.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownKind`].
    pub fn change_version(&self, kind: &str, version: &str) -> Result<usize, StoreError> {
        self.0.store.serve_version(kind, version)?;
        Ok(self.state().end(&Scope::all().kind(kind), End::Closed))
    }

    /// How many watches of a scope are open.
    #[must_use]
    pub fn open_watches(&self, scope: &Scope) -> usize {
        self.state().matching(scope).len()
    }

    /// The error to answer a request with, if a fault says so; uses it up.
    pub(super) fn strike(&self, about: &About<'_>) -> Option<Answer> {
        self.state().use_rule(about, |effect| match effect {
            Effect::Answer(answer) => Some(answer),
            _ => None,
        })
    }

    /// Whether a request falls into silence, and when; and whom to tell as soon as it has.
    pub(super) fn silenced(
        &self,
        about: &About<'_>,
    ) -> Option<(Silence, mpsc::UnboundedSender<()>)> {
        let state = &mut *self.state();
        let rules = state.rules.iter_mut();
        let mut fitting = rules.filter(|it| it.scope.covers(about)).filter_map(|rule| {
            let (Effect::Silence(when), Some(say)) = (rule.effect, rule.struck_one.clone()) else {
                return None;
            };
            rule.is_due().then_some((when, say))
        });
        fitting.next()
    }

    /// How long a list has to wait.
    pub(super) fn list_delay(&self, about: &About<'_>) -> Option<Duration> {
        self.state().use_rule(about, |effect| match effect {
            Effect::SlowLists(delay) => Some(delay),
            _ => None,
        })
    }

    /// The version below which no watch of this kind may start.
    pub(super) fn expired_below(&self, kind: &str) -> u64 {
        let state = self.state();
        let of = |kind: &str| state.expired.get(kind).copied().unwrap_or(0);
        of(kind).max(of(""))
    }

    /// Enters a new watch into the list.
    pub(super) fn seat(&self, kind: &str, user: &str) -> Seat {
        let state = &mut *self.state();
        state.next += 1;
        let id = state.next;
        let (mood, receiver) = watch::channel(Mood::default());
        let open = Open { kind: kind.to_owned(), user: user.to_owned(), mood };
        state.open.insert(id, open);
        state.set_moods();
        Seat { faults: self.clone(), id, mood: receiver }
    }

    fn add(&self, effect: Effect, scope: Scope) -> FaultId {
        let state = &mut *self.state();
        state.next += 1;
        let id = FaultId(state.next);
        state.rules.push(Rule {
            id,
            scope,
            effect,
            used: 0,
            struck: Vec::new(),
            spared: 0,
            struck_one: None,
        });
        state.set_moods();
        id
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Silenced {
    /// Waits until another request has fallen into silence.
    pub async fn struck(&mut self) {
        // The rule tells for as long as it stands.
        let _ = self.struck.recv().await;
    }
}

impl Rule {
    /// Counts a request that the rule is for, and says whether it strikes that.
    fn is_due(&mut self) -> bool {
        if self.spared < self.scope.spared {
            self.spared += 1;
            return false;
        }
        let is_due = self.used < self.scope.limit();
        self.used += usize::from(is_due);
        is_due
    }
}

impl State {
    fn use_rule<T>(
        &mut self,
        about: &About<'_>,
        wanted: impl Fn(Effect) -> Option<T>,
    ) -> Option<T> {
        self.rules
            .iter_mut()
            .filter(|rule| rule.scope.covers(about))
            .find_map(|rule| wanted(rule.effect).filter(|_| rule.is_due()))
    }

    fn matching(&self, scope: &Scope) -> Vec<&Open> {
        let covered = |open: &&Open| scope.covers(&open.about());
        self.open.values().filter(covered).take(scope.limit()).collect()
    }

    fn end(&self, scope: &Scope, end: End) -> usize {
        let struck = self.matching(scope);
        for open in &struck {
            open.mood.send_modify(|mood| mood.end = Some(end));
        }
        struck.len()
    }

    /// Tells every open watch what the rules want of it.
    fn set_moods(&mut self) {
        for (&id, open) in &self.open {
            let (mut silent, mut delay) = (false, Duration::ZERO);
            for rule in &mut self.rules {
                let of_watches = matches!(rule.effect, Effect::BlackHole | Effect::DelayEvents(_));
                if !of_watches || !rule.scope.covers(&open.about()) {
                    continue;
                }
                if !rule.struck.contains(&id) {
                    if rule.struck.len() >= rule.scope.limit() {
                        continue;
                    }
                    rule.struck.push(id);
                }
                match rule.effect {
                    Effect::DelayEvents(wanted) => delay = delay.max(wanted),
                    _ => silent = true,
                }
            }
            open.mood.send_if_modified(|mood| {
                let changed = (mood.silent, mood.delay) != (silent, delay);
                (mood.silent, mood.delay) = (silent, delay);
                changed
            });
        }
    }
}

impl Open {
    fn about(&self) -> About<'_> {
        About { kind: &self.kind, verb: "watch", user: &self.user }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.faults.state().open.remove(&self.id);
    }
}
