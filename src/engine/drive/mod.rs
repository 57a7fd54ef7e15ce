//! Drives one run: opens its watches, makes its change, and carries out what the state machine
//! asks for until nothing more can come.

mod resume;

use crate::engine::errand::{ErrandDone, Errands, nobody_for};
use crate::engine::journal::Journal;
use crate::engine::machine::{Effect, Run, Start};
use crate::engine::plan::Plan;
use crate::engine::trace::TracePlan;
use crate::model::{
    Ancestry, CanaryId, Clock, Event, Evidence, GroupKind, Moment, ObjectEvent, Observer, Outcome,
    ProbeError, Revision, RunRecord, Seen, Subject,
};
use crate::trigger::{self, Sweep, Trigger};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

pub use resume::{interrupted, resume_run};

/// Longest time that the proof of the watches may take (rule O2).
const PROOF: Duration = Duration::from_secs(5);

/// Longest time that is spent on tidying up after a run.
const TIDYING: Duration = Duration::from_secs(20);

/// Longest time that an errand under way is waited for when the run is over.
const ERRAND: Duration = Duration::from_secs(20);

/// One run, ready to go.
pub struct Job {
    /// What it waits for.
    pub plan: Arc<Plan>,
    /// What makes the change.
    pub trigger: Arc<dyn Trigger>,
    /// Opens the watches.
    pub watches: Arc<dyn Watches>,
    /// Name of this installation.
    pub instance: String,
    /// What it does itself for hops.
    pub errands: Errands,
    /// Which trace it is told in; none where runs are not told as traces.
    pub trace: Option<TracePlan>,
}

/// Where states come from.
#[async_trait::async_trait]
pub trait Watches: Send + Sync {
    /// Opens a watch on every subject, and returns when each has shown its first state (rule T3).
    async fn open(&self, subjects: &[Arc<Subject>]) -> Result<Box<dyn Watching>, ProbeError>;

    /// The Kubernetes Events about each subject, as evidence; none of a subject for which they
    /// cannot be had. Takes no longer than a few seconds.
    async fn events(&self, subjects: &[Arc<Subject>]) -> BTreeMap<Arc<Subject>, Vec<ObjectEvent>> {
        let _ = subjects;
        BTreeMap::new()
    }
}

/// Open watches.
#[async_trait::async_trait]
pub trait Watching: Send {
    /// The next state, the first ones first. Can be dropped at any time without losing one. Fails
    /// if a watch can never show anything again.
    async fn next(&mut self) -> Result<Seen, ProbeError>;

    /// Proves that the watches are alive: what they had missed comes out of [`Watching::next`]
    /// before it returns what `now` holds. Returns the subjects that could not be proven.
    async fn prove(&mut self, limit: Duration) -> Vec<Arc<Subject>>;

    /// A state that is there already, without waiting.
    fn ready(&mut self) -> Option<Result<Seen, ProbeError>>;
}

/// What a run needs of its surroundings.
#[derive(Clone)]
pub struct Surroundings {
    /// The only source of time.
    pub clock: Arc<dyn Clock>,
    /// Remembers the run before the push.
    pub journal: Arc<dyn Journal>,
    /// Records what happens.
    pub observer: Arc<dyn Observer>,
}

/// Runs a scenario once. Dropping the future abandons the run; what was pushed stays.
pub async fn run_once(job: &Job, around: &Surroundings) -> RunRecord {
    run_until(job, around, std::future::pending()).await
}

/// Runs a scenario once, and ends the run early if `stop` says why: the record then has what was
/// measured so far. A push under way is waited for, so that the record says what was pushed.
pub async fn run_until(
    job: &Job,
    around: &Surroundings,
    stop: impl Future<Output = ProbeError> + Send,
) -> RunRecord {
    let stop = pin!(stop);
    let mut stop: Stop<'_> = stop;
    let wall = around.clock.wall();
    let latest = unless_stopped(&mut stop, job.trigger.latest()).await;
    let highest = latest.as_ref().ok().and_then(Option::as_ref);
    let canary = CanaryId::next(&job.instance, wall, highest);
    let run = Run::new(job.plan.clone(), canary.clone());
    let mut drive = Drive::new(job, around, run);
    drive.tell(&Event::Started {
        scenario: job.plan.scenario.clone(),
        canary,
        at: around.clock.now(),
    });
    let result = match latest {
        Ok(_) => drive.measure(&mut stop).await,
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        let effects = drive.run.broken(error, around.clock.now());
        drive.carry_out(effects);
    }
    let record = drive.conclude(wall).await;
    if record.push.is_some() && !matches!(record.outcome, Outcome::ProbeError(_)) {
        tidy(job, around).await;
    }
    record
}

/// Comes true when a run is to end early, and says why. Not to be polled after that.
type Stop<'a> = Pin<&'a mut (dyn Future<Output = ProbeError> + Send + 'a)>;

/// A run on its way.
struct Drive<'a> {
    job: &'a Job,
    around: &'a Surroundings,
    run: Run,
    answers: FuturesUnordered<BoxFuture<'a, (Revision, Ancestry)>>,
    errands: FuturesUnordered<Underway<'a>>,
    /// What errands are about to send.
    outgoing: (mpsc::UnboundedSender<Revision>, mpsc::UnboundedReceiver<Revision>),
    failing: Vec<Option<String>>,
}

/// An errand on its way.
struct Underway<'a> {
    /// Whether it has announced what it sends.
    sends: Arc<AtomicBool>,
    work: BoxFuture<'a, (usize, Result<ErrandDone, ProbeError>)>,
}

// === impl Underway ===

impl Underway<'_> {
    fn may_be_sent(&self) -> bool {
        self.sends.load(Ordering::Relaxed)
    }
}

impl Future for Underway<'_> {
    type Output = (usize, Result<ErrandDone, ProbeError>);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.work.as_mut().poll(context)
    }
}

// === impl Drive ===

impl<'a> Drive<'a> {
    fn new(job: &'a Job, around: &'a Surroundings, run: Run) -> Self {
        Self {
            job,
            around,
            run,
            answers: FuturesUnordered::new(),
            errands: FuturesUnordered::new(),
            outgoing: mpsc::unbounded_channel(),
            failing: Vec::new(),
        }
    }
}

impl Drive<'_> {
    /// Ends the run that began at `started`, and tells what came of it.
    async fn conclude(&mut self, started: jiff::Timestamp) -> RunRecord {
        // What is being pushed is waited for, so that nothing moves after the record; what was not
        // sent yet never is.
        let errands = std::mem::take(&mut self.errands).into_iter();
        let mut errands: FuturesUnordered<_> = errands.filter(Underway::may_be_sent).collect();
        let errands = async { while errands.next().await.is_some() {} };
        let _ = tokio::time::timeout(ERRAND, errands).await;
        let (mut record, effects) = self.run.finish(started, self.now());
        record.usage = self.job.trigger.usage();
        let trace = self.job.trace.as_ref();
        record.trace_id = trace.map(|it| it.of(&self.run, &record.scenario));
        self.carry_out(effects);
        self.witness(&record).await;
        self.tell(&Event::Finished(Box::new(record.clone())));
        record
    }

    /// Tells what the objects on the path say; of a run that did not go well, their Events, too.
    async fn witness(&mut self, record: &RunRecord) {
        let mut subjects = self.job.plan.subjects();
        // What a listener heard is no object that says something of itself.
        subjects.retain(|it| it.kind != GroupKind::notification());
        let mut events = match record.outcome {
            Outcome::Ok => BTreeMap::new(),
            _ => self.job.watches.events(&subjects).await,
        };
        let at = self.around.clock.wall();
        let witness = |it: &Arc<Subject>| {
            let status = self.run.testimony(it)?;
            Some(Evidence { subject: it.to_string(), at, status, events: events.remove(it) })
        };
        let evidence: Vec<Evidence> = subjects.iter().filter_map(witness).collect();
        if !evidence.is_empty() {
            let scenario = self.job.plan.scenario.clone();
            self.tell(&Event::Witnessed { scenario, evidence });
        }
    }

    /// From the first state to the last.
    async fn measure(&mut self, stop: &mut Stop<'_>) -> Result<(), ProbeError> {
        let subjects = self.job.plan.subjects();
        let mut watching = unless_stopped(stop, self.job.watches.open(&subjects)).await?;
        self.drain(&mut *watching)?;
        if self.run.start(self.now()) != Start::Go {
            return Ok(());
        }
        let prepare = self.job.trigger.prepare(self.run.change().canary());
        let revisions = unless_stopped(stop, prepare).await?;
        let canary = self.run.change().canary().clone();
        let journal = &self.around.journal;
        journal
            .publishing(&self.job.plan.scenario, &canary, &revisions, self.job.plan.path())
            .await
            .map_err(journal_error)?;
        // What was suspended, or showed our canary, while we prepared is seen before we push.
        self.drain(&mut *watching)?;
        if self.run.start(self.now()) != Start::Go {
            return Ok(());
        }
        let effects = self.run.announce(revisions);
        self.carry_out(effects);
        self.publish(&mut *watching).await?;
        self.watch(&mut *watching, stop).await
    }

    /// Sends the change, and takes in whatever is seen meanwhile.
    async fn publish(&mut self, watching: &mut dyn Watching) -> Result<(), ProbeError> {
        let (announce, mut announced) = mpsc::unbounded_channel();
        let scenario = self.job.plan.scenario.clone();
        let canary = self.run.change().canary().clone();
        self.tell(&Event::Publishing { scenario: scenario.clone(), canary: canary.clone() });
        self.run.begin(self.now());
        let trigger = self.job.trigger.clone();
        let announce = move |revisions| drop(announce.send(revisions));
        let mut publishing = std::pin::pin!(async move { trigger.publish(&announce).await });
        let mut blind = None;
        let published = loop {
            tokio::select! {
                biased;
                Some(revisions) = announced.recv() => {
                    let effects = self.run.announce(revisions);
                    self.carry_out(effects);
                }
                result = &mut publishing => break result?,
                // What is under way is brought to its end even if nobody can watch it: whether the
                // change was made has to be known.
                seen = watching.next(), if blind.is_none() => match seen {
                    Ok(seen) => self.take(&seen),
                    Err(error) => blind = Some(error),
                },
            }
        };
        while let Ok(revisions) = announced.try_recv() {
            let effects = self.run.announce(revisions);
            self.carry_out(effects);
        }
        let trigger::Published { sent, zero, attempts } = published;
        let revisions = self.run.change().ours().to_vec();
        self.tell(&Event::Published { scenario, canary, revisions, sent, zero, attempts });
        let effects = self.run.published(sent, zero, attempts);
        self.carry_out(effects);
        blind.map_or(Ok(()), Err)
    }

    /// Takes in what is seen until nothing more can come.
    async fn watch(
        &mut self,
        watching: &mut dyn Watching,
        stop: &mut Stop<'_>,
    ) -> Result<(), ProbeError> {
        while !self.run.is_over(self.now()) {
            let wake = sleep_until(self.now(), self.run.wakes_at());
            tokio::select! {
                biased;
                error = stop.as_mut() => return Err(error),
                Some(revision) = self.outgoing.1.recv() => {
                    let effects = self.run.errand_sends(revision, self.now());
                    self.carry_out(effects);
                }
                seen = watching.next() => self.take(&seen?),
                Some((revision, ancestry)) = self.answers.next() => {
                    let effects = self.run.answer(&revision, ancestry, self.now());
                    self.carry_out(effects);
                }
                Some((hop, done)) = self.errands.next() => {
                    let effects = self.run.errand_done(hop, done, self.now());
                    self.carry_out(effects);
                }
                () = wake => {
                    let effects = self.run.tick(self.now());
                    let settle = effects.contains(&Effect::Settle);
                    self.carry_out(effects);
                    if settle {
                        self.settle(watching).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Proves the watches, and gives pending answers the same time (rule O2).
    async fn settle(&mut self, watching: &mut dyn Watching) -> Result<(), ProbeError> {
        let mut limit = std::pin::pin!(tokio::time::sleep(PROOF));
        let unproven = {
            let mut proving = watching.prove(PROOF);
            loop {
                tokio::select! {
                    biased;
                    () = self.take_word() => (),
                    unproven = &mut proving => break unproven,
                }
            }
        };
        self.drain(watching)?;
        loop {
            let is_asked = !self.answers.is_empty();
            tokio::select! {
                biased;
                () = self.take_word(), if is_asked => (),
                () = &mut limit, if is_asked => break,
                else => break,
            }
        }
        let effects = self.run.settled(&unproven, self.now());
        self.carry_out(effects);
        Ok(())
    }

    /// Takes in the next answer, or word of an errand; for ever if there is none. Can be dropped at
    /// any time without losing one.
    async fn take_word(&mut self) {
        let effects = tokio::select! {
            biased;
            Some(revision) = self.outgoing.1.recv() => self.run.errand_sends(revision, self.now()),
            Some((revision, ancestry)) = self.answers.next() => {
                self.run.answer(&revision, ancestry, self.now())
            }
            Some((hop, done)) = self.errands.next() => {
                self.run.errand_done(hop, done, self.now())
            }
            else => std::future::pending().await,
        };
        self.carry_out(effects);
    }

    fn drain(&mut self, watching: &mut dyn Watching) -> Result<(), ProbeError> {
        while let Some(seen) = watching.ready() {
            self.take(&seen?);
        }
        Ok(())
    }

    fn take(&mut self, seen: &Seen) {
        let effects = self.run.seen(seen);
        self.carry_out(effects);
        self.tell_failures();
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        let scenario = &self.job.plan.scenario;
        for effect in effects {
            match effect {
                Effect::Ask(revision) => {
                    let trigger = &self.job.trigger;
                    self.answers.push(Box::pin(async move {
                        let ancestry = trigger.ancestry(&revision).await;
                        (revision, ancestry)
                    }));
                }
                Effect::Errand(hop, revision) => {
                    let (errand, send) = (self.job.errands.get(&hop), self.outgoing.0.clone());
                    let sends = Arc::new(AtomicBool::new(false));
                    let announced = sends.clone();
                    let work = Box::pin(async move {
                        // Nobody listens any more once the run is over.
                        let announce = move |revision| {
                            announced.store(true, Ordering::Relaxed);
                            drop(send.send(revision));
                        };
                        let done = match errand {
                            Some(errand) => errand.run(&revision, &announce).await,
                            None => Err(nobody_for(hop)),
                        };
                        (hop, done)
                    });
                    self.errands.push(Underway { sends, work });
                }
                Effect::Reached(hop) => {
                    if let Some(passage) = self.run.passage(hop) {
                        let hop = self.job.plan.hops[hop].name.clone();
                        self.tell(&Event::Reached { scenario: scenario.clone(), hop, passage });
                    }
                }
                Effect::Count(slo, verdict) => {
                    self.tell(&Event::Decided { scenario: scenario.clone(), slo, verdict });
                }
                Effect::Ended => {
                    if let Some(outcome) = self.run.outcome().cloned() {
                        self.tell(&Event::Ended { scenario: scenario.clone(), outcome });
                    }
                }
                Effect::Settle => (),
            }
        }
    }

    /// Says which hops have begun to fail, or have ceased to.
    fn tell_failures(&mut self) {
        self.failing.resize(self.job.plan.hops.len(), None);
        for (index, hop) in self.job.plan.hops.iter().enumerate() {
            let reason = self.run.failing(index).map(str::to_owned);
            if reason != self.failing[index] {
                self.failing[index].clone_from(&reason);
                let (scenario, hop) = (self.job.plan.scenario.clone(), hop.name.clone());
                self.tell(&Event::Failing { scenario, hop, reason });
            }
        }
    }

    fn tell(&self, event: &Event) {
        self.around.observer.observe(event);
    }

    fn now(&self) -> Moment {
        self.around.clock.now()
    }
}

impl From<trigger::Error> for ProbeError {
    fn from(error: trigger::Error) -> Self {
        Self { reason: error.reason.to_owned(), message: error.message }
    }
}

fn journal_error(message: String) -> ProbeError {
    ProbeError { reason: "journal".to_owned(), message }
}

/// What comes of the work, or why it is not waited for.
async fn unless_stopped<T, E: Into<ProbeError>>(
    stop: &mut Stop<'_>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, ProbeError> {
    tokio::select! {
        biased;
        error = stop.as_mut() => Err(error),
        result = work => result.map_err(Into::into),
    }
}

/// Takes away a little of what earlier runs have left, and tells what is there still. The lane is
/// still ours; what does not get done in time is done after the next run.
async fn tidy(job: &Job, around: &Surroundings) {
    let (sweep, before) = (Sweep::after_run(), job.trigger.usage());
    let tidied = tokio::time::timeout(TIDYING, job.trigger.tidy(&sweep)).await;
    around.observer.observe(&Event::Tidied {
        scenario: job.plan.scenario.clone(),
        leftovers: tidied.ok().and_then(Result::ok).map(|it| it.leftovers()),
        usage: job.trigger.usage().since(before),
    });
}

/// Sleeps from `now` until a moment; for ever if there is none.
async fn sleep_until(now: Moment, moment: Option<Moment>) {
    match moment {
        Some(moment) => tokio::time::sleep(moment.since(now)).await,
        None => std::future::pending().await,
    }
}
