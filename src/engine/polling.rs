//! Lets runs watch what cannot be watched: subjects that have to be asked again and again (rule T7).
//!
//! Something nearby tells when it is worth asking: a policy that has chosen makes an automation
//! push. From there it is asked in growing pauses, until somebody says that enough is known. What
//! an answer shows came to be between the request of the last one that showed something else, and
//! its own arrival.

use crate::engine::drive::{Watches, Watching};
use crate::model::{Arrival, Clock, Moment, ObjectEvent, ProbeError, Seen, State, Subject, When};
use futures_util::future::{join_all, try_join_all};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// Pause before the first question once it is worth asking.
const FIRST: Duration = Duration::from_millis(250);

/// How much longer each pause is than the one before: a run may ask a git host only a few times.
const GROWTH: u32 = 4;

/// Longest pause between two questions.
const LONGEST: Duration = Duration::from_secs(30);

/// A subject that is asked what it shows.
#[async_trait::async_trait]
pub trait Poll: Send + Sync {
    /// Whose states these are.
    fn subject(&self) -> &Arc<Subject>;

    /// Asks once. What it has shown since the last time, in order; the last is what it shows now.
    /// Never empty.
    async fn ask(&self) -> Result<Vec<Value>, ProbeError>;

    /// What a state of the cluster says of when to ask.
    fn interest(&self, seen: &Seen) -> Interest;
}

/// Whether it is worth asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// This says nothing of it.
    None,
    /// Something may have changed, or will soon.
    Look,
    /// Nothing more can come of it.
    Enough,
}

/// Watches that also ask what cannot be watched.
pub struct Polled {
    watches: Arc<dyn Watches>,
    polls: Vec<Arc<dyn Poll>>,
    clock: Arc<dyn Clock>,
}

/// Open watches, and a task for each subject that is asked.
struct Asking {
    inner: Box<dyn Watching>,
    first: VecDeque<Seen>,
    answers: mpsc::UnboundedReceiver<Seen>,
    asked: Vec<Asked>,
    /// Ends with the run.
    _tasks: JoinSet<()>,
}

/// A subject that is asked, and the way to whoever asks.
struct Asked {
    poll: Arc<dyn Poll>,
    orders: mpsc::UnboundedSender<Order>,
}

enum Order {
    Look,
    Enough,
    /// Ask at once, and say whether there was an answer.
    Prove(oneshot::Sender<bool>),
}

/// Asks one subject.
struct Asker {
    poll: Arc<dyn Poll>,
    clock: Arc<dyn Clock>,
    answers: mpsc::UnboundedSender<Seen>,
    /// What it showed last, and when that was asked for.
    shown: Value,
    asked: Moment,
}

// === impl Polled ===

impl Polled {
    /// Watches with `watches` whatever none of `polls` asks.
    #[must_use]
    pub fn new(
        watches: Arc<dyn Watches>,
        polls: Vec<Arc<dyn Poll>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { watches, polls, clock }
    }

    fn poll_of(&self, subject: &Subject) -> Option<&Arc<dyn Poll>> {
        self.polls.iter().find(|it| **it.subject() == *subject)
    }
}

#[async_trait::async_trait]
impl Watches for Polled {
    async fn open(&self, subjects: &[Arc<Subject>]) -> Result<Box<dyn Watching>, ProbeError> {
        let polls: Vec<_> = subjects.iter().filter_map(|it| self.poll_of(it)).collect();
        let watched: Vec<_> =
            subjects.iter().filter(|it| self.poll_of(it).is_none()).cloned().collect();
        let inner = self.watches.open(&watched).await?;
        let (tell, answers) = mpsc::unbounded_channel();
        let (mut first, mut tasks) = (VecDeque::new(), JoinSet::new());
        let begin = |poll: &Arc<dyn Poll>| {
            let (poll, clock, answers) = (poll.clone(), self.clock.clone(), tell.clone());
            Asker::begin(poll, clock, answers)
        };
        let mut asked = Vec::new();
        for (asker, seen) in try_join_all(polls.into_iter().map(begin)).await? {
            let (orders, received) = mpsc::unbounded_channel();
            asked.push(Asked { poll: asker.poll.clone(), orders });
            first.push_back(seen);
            tasks.spawn(asker.go_on(received));
        }
        Ok(Box::new(Asking { inner, first, answers, asked, _tasks: tasks }))
    }

    async fn events(&self, subjects: &[Arc<Subject>]) -> BTreeMap<Arc<Subject>, Vec<ObjectEvent>> {
        let watched: Vec<_> =
            subjects.iter().filter(|it| self.poll_of(it).is_none()).cloned().collect();
        self.watches.events(&watched).await
    }
}

// === impl Asking ===

impl Asking {
    /// Lets those be asked of whom a state of the cluster speaks.
    fn hear(&self, seen: &Seen) {
        for it in &self.asked {
            let order = match it.poll.interest(seen) {
                Interest::None => continue,
                Interest::Look => Order::Look,
                Interest::Enough => Order::Enough,
            };
            // Nobody hears it only if the task has ended, and then nothing is asked.
            let _ = it.orders.send(order);
        }
    }
}

#[async_trait::async_trait]
impl Watching for Asking {
    async fn next(&mut self) -> Result<Seen, ProbeError> {
        if let Some(seen) = self.first.pop_front() {
            return Ok(seen);
        }
        tokio::select! {
            biased;
            seen = self.inner.next() => {
                let seen = seen?;
                self.hear(&seen);
                Ok(seen)
            }
            Some(seen) = self.answers.recv() => Ok(seen),
        }
    }

    async fn prove(&mut self, limit: Duration) -> Vec<Arc<Subject>> {
        let prove = |it: &Asked| {
            let (tell, told) = oneshot::channel();
            let sent = it.orders.send(Order::Prove(tell)).is_ok();
            let subject = it.poll.subject().clone();
            async move {
                let answered = async { sent && told.await.unwrap_or(false) };
                let alive = tokio::time::timeout(limit, answered).await.unwrap_or(false);
                (!alive).then_some(subject)
            }
        };
        let asked = join_all(self.asked.iter().map(prove).collect::<Vec<_>>());
        let (mut unproven, silent) = tokio::join!(self.inner.prove(limit), asked);
        unproven.extend(silent.into_iter().flatten());
        unproven
    }

    fn ready(&mut self) -> Option<Result<Seen, ProbeError>> {
        if let Some(seen) = self.first.pop_front() {
            return Some(Ok(seen));
        }
        match self.inner.ready() {
            Some(Ok(seen)) => {
                self.hear(&seen);
                Some(Ok(seen))
            }
            None => self.answers.try_recv().ok().map(Ok),
            error => error,
        }
    }
}

// === impl Asker ===

impl Asker {
    /// Asks for the first time: it has been so for an unknown time.
    async fn begin(
        poll: Arc<dyn Poll>,
        clock: Arc<dyn Clock>,
        answers: mpsc::UnboundedSender<Seen>,
    ) -> Result<(Self, Seen), ProbeError> {
        let asked = clock.now();
        let shown = poll.ask().await?.pop().unwrap_or_default();
        let state = State {
            when: When::at(clock.now()),
            arrival: Arrival::First,
            value: Arc::new(shown.clone()),
        };
        let seen = Seen { subject: poll.subject().clone(), state };
        Ok((Self { poll, clock, answers, shown, asked }, seen))
    }

    /// Asks when it is told to, until nobody tells any more.
    async fn go_on(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut pause: Option<Duration> = None;
        loop {
            let wait = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    None => return,
                    Some(Order::Look) => {
                        pause.get_or_insert(FIRST);
                    }
                    Some(Order::Enough) => pause = None,
                    Some(Order::Prove(tell)) => {
                        let answered = self.ask().await;
                        // Whoever asked may have lost patience.
                        let _ = tell.send(answered);
                    }
                },
                () = wait => {
                    self.ask().await;
                    pause = pause.map(|it| (it * GROWTH).min(LONGEST));
                }
            }
        }
    }

    /// Asks once, and shows what is new; says whether there was an answer.
    async fn ask(&mut self) -> bool {
        let asked = self.clock.now();
        let shown = match self.poll.ask().await {
            Ok(shown) => shown,
            Err(error) => {
                tracing::debug!("{} gave no answer: {}", self.poll.subject(), error.message);
                return false;
            }
        };
        let when = When::between(self.asked, self.clock.now());
        self.asked = asked;
        for value in shown {
            if value == self.shown {
                continue;
            }
            self.shown = value.clone();
            let state = State { when, arrival: Arrival::AfterGap, value: Arc::new(value) };
            // The run has ended if nobody hears it.
            let _ = self.answers.send(Seen { subject: self.poll.subject().clone(), state });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupKind;
    use serde_json::json;
    use std::sync::Mutex;
    use tokio::time::{Instant, advance};

    struct Virtual(Instant);

    impl Clock for Virtual {
        fn now(&self) -> Moment {
            Moment(self.0.elapsed())
        }

        fn wall(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
    }

    /// A remote that shows a number, and counts how often it was asked.
    struct Remote {
        subject: Arc<Subject>,
        shows: Mutex<Result<u64, ()>>,
        asked: Mutex<u32>,
    }

    #[async_trait::async_trait]
    impl Poll for Remote {
        fn subject(&self) -> &Arc<Subject> {
            &self.subject
        }

        async fn ask(&self) -> Result<Vec<Value>, ProbeError> {
            *self.asked.lock().unwrap() += 1;
            let shows = *self.shows.lock().unwrap();
            let error = |()| ProbeError { reason: "down".to_owned(), message: "down".to_owned() };
            Ok(vec![json!(shows.map_err(error)?)])
        }

        fn interest(&self, seen: &Seen) -> Interest {
            match seen.state.value.as_str() {
                Some("look") => Interest::Look,
                Some("enough") => Interest::Enough,
                _ => Interest::None,
            }
        }
    }

    /// A cluster that shows what it is given.
    struct Script(Mutex<Option<mpsc::UnboundedReceiver<Seen>>>);

    struct Open(mpsc::UnboundedReceiver<Seen>);

    #[async_trait::async_trait]
    impl Watches for Script {
        async fn open(&self, _: &[Arc<Subject>]) -> Result<Box<dyn Watching>, ProbeError> {
            Ok(Box::new(Open(self.0.lock().unwrap().take().unwrap())))
        }
    }

    #[async_trait::async_trait]
    impl Watching for Open {
        async fn next(&mut self) -> Result<Seen, ProbeError> {
            match self.0.recv().await {
                Some(seen) => Ok(seen),
                None => std::future::pending().await,
            }
        }

        async fn prove(&mut self, _: Duration) -> Vec<Arc<Subject>> {
            Vec::new()
        }

        fn ready(&mut self) -> Option<Result<Seen, ProbeError>> {
            self.0.try_recv().ok().map(Ok)
        }
    }

    fn subject(kind: &str) -> Arc<Subject> {
        Arc::new(Subject::local(GroupKind::new("", kind), "a", "b"))
    }

    fn remote() -> Arc<Remote> {
        let (shows, asked) = (Mutex::new(Ok(1)), Mutex::default());
        Arc::new(Remote { subject: subject("Branch"), shows, asked })
    }

    async fn open(remote: &Arc<Remote>) -> (Box<dyn Watching>, impl Fn(&str), Instant) {
        let (send, receive) = mpsc::unbounded_channel();
        let origin = Instant::now();
        let script = Arc::new(Script(Mutex::new(Some(receive))));
        let polled = Polled::new(script, vec![remote.clone()], Arc::new(Virtual(origin)));
        let subjects = [subject("Policy"), remote.subject.clone()];
        let watching = polled.open(&subjects).await.unwrap();
        let show = move |text: &str| {
            let when = When::at(Moment(origin.elapsed()));
            let state = State { when, arrival: Arrival::Next, value: Arc::new(json!(text)) };
            send.send(Seen { subject: subject("Policy"), state }).unwrap();
        };
        (watching, show, origin)
    }

    #[tokio::test(start_paused = true)]
    async fn t7_an_answer_lies_between_the_question_of_the_last_no_and_its_own_arrival() {
        let remote = remote();
        let (mut watching, show, origin) = open(&remote).await;
        assert_eq!(watching.next().await.unwrap().state.arrival, Arrival::First);
        advance(Duration::from_secs(10)).await;
        show("look");
        watching.next().await.unwrap();
        // The first question of this look is still a no.
        let no = Moment(origin.elapsed()) + FIRST;
        tokio::time::timeout(2 * FIRST, watching.next()).await.unwrap_err();
        *remote.shows.lock().unwrap() = Ok(2);
        let seen = watching.next().await.unwrap();
        let When { earliest, latest } = seen.state.when;
        assert_eq!((&*seen.state.value, seen.state.arrival), (&json!(2), Arrival::AfterGap));
        assert_eq!((earliest, latest), (no, no + GROWTH * FIRST));
    }

    #[tokio::test(start_paused = true)]
    async fn t7_nothing_is_asked_unless_something_nearby_says_that_it_is_worth_it() {
        let remote = remote();
        let (mut watching, show, _) = open(&remote).await;
        watching.next().await.unwrap();
        let asked = |until: Duration| tokio::time::sleep(until);
        asked(Duration::from_secs(600)).await;
        assert_eq!(*remote.asked.lock().unwrap(), 1);
        show("look");
        watching.next().await.unwrap();
        asked(Duration::from_secs(60)).await;
        // In growing pauses: 0.25, 1, 4, 16 and 30 s.
        assert_eq!(*remote.asked.lock().unwrap(), 6);
        show("enough");
        watching.next().await.unwrap();
        asked(Duration::from_secs(600)).await;
        assert_eq!(*remote.asked.lock().unwrap(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn o2_a_remote_is_proven_by_an_answer_and_unproven_without_one() {
        let remote = remote();
        let (mut watching, _show, _) = open(&remote).await;
        watching.next().await.unwrap();
        let limit = Duration::from_secs(5);
        *remote.shows.lock().unwrap() = Ok(2);
        assert_eq!(watching.prove(limit).await, []);
        let seen = watching.ready().unwrap().unwrap();
        assert_eq!(*seen.state.value, json!(2));
        *remote.shows.lock().unwrap() = Err(());
        assert_eq!(watching.prove(limit).await, std::slice::from_ref(&remote.subject));
    }
}
