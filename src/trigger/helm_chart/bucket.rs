//! A chart whose repository lies in a bucket: the archive is written first, then the index.
//!
//! Only the index makes a chart visible, so its acknowledgement is zero (rule T1). It is written on
//! the condition that it is still the one that was read: when somebody else was faster, our entry
//! is put into what they have written.

use crate::model::{Ancestry, CanaryId, Clock, Moment, Revision, Stays, Survey, Tidied, When};
use crate::remote::bucket::{self, Bucket, Condition, PublishError};
use crate::trigger::helm_chart::branch::{check, unreadable};
use crate::trigger::helm_chart::chart::Package;
use crate::trigger::helm_chart::index::{INDEX, Index};
use crate::trigger::helm_chart::{Aim, Ours, taken};
use crate::trigger::{Error, Published, Reach, Sweep, Trigger};
use std::sync::Arc;
use tokio::sync::Mutex;

/// How often the index is written when somebody else keeps changing it.
const ATTEMPTS: u32 = 3;

/// Pushes charts to a bucket.
pub(super) struct ChartInBucket {
    bucket: Bucket,
    /// The folder of the index, with a `/` behind it; empty for the root.
    folder: String,
    aim: Aim,
    clock: Arc<dyn Clock>,
    lane: Mutex<Lane>,
}

#[derive(Default)]
struct Lane {
    /// The index that was read last, and what tells that it is still the same.
    read: Option<(Index, Condition)>,
    prepared: Option<Package>,
    ours: Option<Ours>,
    /// Archives that no index names any more.
    gone: Vec<String>,
}

// === impl ChartInBucket ===

impl ChartInBucket {
    pub(super) fn new(bucket: Bucket, folder: &str, aim: Aim, clock: Arc<dyn Clock>) -> Self {
        let folder = folder.trim_matches('/');
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Self { bucket, folder, aim, clock, lane: Mutex::default() }
    }

    fn place(&self) -> String {
        format!("`{}{INDEX}` in {}", self.folder, self.bucket.address())
    }

    async fn index(&self) -> Result<(Index, Condition), Error> {
        let found = self.bucket.get(&format!("{}{INDEX}", self.folder)).await;
        let found = found.map_err(|it| failed(&it))?;
        let condition = match &found {
            Some(object) => Condition::Unchanged(object.version.clone()),
            None => Condition::Absent,
        };
        let index = Index::read(found.as_ref().map(|it| &it.body[..]));
        let index = index.map_err(|why| unreadable(&self.place(), &why))?;
        Ok((index, condition))
    }

    /// Writes the archive, which nobody sees before the index names it. One that a run has left
    /// that was cut off is written anew, one that the index names by now or somebody else's never.
    async fn upload(&self, key: &str, package: &Package) -> Result<(), Error> {
        let mut sent = self.bucket.put(key, package.archive.clone(), Condition::Absent).await;
        if let Err(PublishError::Failed(bucket::Error::Changed { .. })) = sent {
            let (index, _) = self.index().await?;
            if index.versions(self.aim.chart.name()).contains(&package.version) {
                return Err(taken(&package.version, &self.place()));
            }
            let there = self.bucket.get(key).await.map_err(|it| failed(&it))?;
            let condition = match &there {
                None => Condition::Absent,
                Some(there) => {
                    self.aim.check_archive(&self.place(), key, &there.body)?;
                    Condition::Unchanged(there.version.clone())
                }
            };
            sent = self.bucket.put(key, package.archive.clone(), condition).await;
        }
        sent.map(|_| ()).map_err(|it| Error { reason: reason(&it), message: it.to_string() })
    }

    /// Reads the index once after a write without an answer (rule T2).
    async fn after_no_answer(&self, ours: &Ours, why: &bucket::Error) -> Result<Moment, Error> {
        let error = |reason, what: &str| Error {
            reason,
            message: format!("the write of {} got no answer, and {what}; {why}", self.place()),
        };
        match self.index().await {
            Ok((index, _)) => {
                let found = index.canary(self.aim.chart.name(), &ours.version);
                if found.as_ref() == Some(&ours.canary) {
                    return Ok(self.bucket.now());
                }
                Err(error("push_lost", "it does not name the chart, so nothing was pushed"))
            }
            Err(read) => Err(error(
                "push_unknown",
                &format!("whether it was made is not known, for it could not be read: {read}"),
            )),
        }
    }
}

#[async_trait::async_trait]
impl Trigger for ChartInBucket {
    fn lane(&self) -> String {
        format!("{}/{}{}", self.bucket.address().normalised(), self.folder, self.aim.chart.name())
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        let read = self.index().await?;
        let name = self.aim.chart.name();
        self.aim.check_lane(&self.place(), read.0.newest(name).as_ref())?;
        let latest = read.0.latest(name, &self.aim.instance);
        *self.lane.lock().await = Lane { read: Some(read), ..Lane::default() };
        Ok(latest)
    }

    async fn survey(&self, _: &[String]) -> Result<Option<Survey>, Error> {
        let lane = self.lane.lock().await;
        let Some((index, _)) = &lane.read else { return Ok(None) };
        let holding = index.holding(self.aim.chart.name());
        Ok(Some(Survey { commit: String::new(), files: [].into(), holding }))
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        let mut lane = self.lane.lock().await;
        if lane.read.is_none() {
            lane.read = Some(self.index().await?);
        }
        let versions = lane.read.iter().flat_map(|it| it.0.versions(self.aim.chart.name()));
        let version = self.aim.next(&versions.collect::<Vec<_>>(), canary)?;
        let package = self.aim.package(&version, canary)?;
        if let Some((index, _)) = &lane.read {
            check(&self.aim, index, &self.place(), &version, canary)?;
        }
        let key = format!("{}{}", self.folder, package.file());
        self.upload(&key, &package).await?;
        lane.ours = Some(Ours { canary: canary.clone(), version: version.clone() });
        lane.prepared = Some(package);
        Ok(vec![Revision::Version(version)])
    }

    async fn publish(
        &self,
        announce: &(dyn Fn(Vec<Revision>) + Send + Sync),
    ) -> Result<Published, Error> {
        let mut lane = self.lane.lock().await;
        let not_prepared = || Error {
            reason: "not_prepared",
            message: "a change must be prepared before it is published".to_owned(),
        };
        let (package, ours) =
            lane.prepared.take().zip(lane.ours.clone()).ok_or_else(not_prepared)?;
        let (mut index, mut condition) = lane.read.take().ok_or_else(not_prepared)?;
        let (name, keep) = (self.aim.chart.name(), self.aim.keep);
        for attempts in 1..=ATTEMPTS {
            check(&self.aim, &index, &self.place(), &ours.version, &ours.canary)?;
            let text = index.with(&package, &self.aim.instance, keep, self.clock.wall());
            let key = format!("{}{INDEX}", self.folder);
            let published = match self.bucket.put(&key, text, condition).await {
                Err(PublishError::Failed(bucket::Error::Changed { .. })) if attempts < ATTEMPTS => {
                    (index, condition) = self.index().await?;
                    announce(vec![Revision::Version(ours.version.clone())]);
                    continue;
                }
                Ok(it) => Published { sent: it.sent, zero: When::at(it.acknowledged), attempts },
                Err(PublishError::NoAnswer { sent, why }) => {
                    let now = self.after_no_answer(&ours, &why).await?;
                    Published { sent, zero: When::between(sent, now), attempts }
                }
                Err(PublishError::Failed(error)) => return Err(failed(&error)),
            };
            lane.gone = index.stale(name, &self.aim.instance, keep.saturating_sub(1));
            return Ok(published);
        }
        Err(not_prepared())
    }

    async fn recover(
        &self,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, Error> {
        let (index, _) = self.index().await?;
        let name = self.aim.chart.name();
        let is_ours = |it: &&Revision| index.canary(name, it.id()).as_ref() == Some(canary);
        let found = revisions.iter().find(is_ours).cloned();
        if let Some(found) = &found {
            let ours = Ours { canary: canary.clone(), version: found.id().to_owned() };
            self.lane.lock().await.ours = Some(ours);
        }
        Ok(found.map(|it| vec![it]))
    }

    async fn ancestry(&self, revision: &Revision) -> Ancestry {
        let Revision::Version(version) = revision else { return Ancestry::Unknown };
        let Some(ours) = self.lane.lock().await.ours.clone() else { return Ancestry::Unknown };
        if ours.is_sent_as(revision) {
            return Ancestry::Carries(Some(ours.canary));
        }
        let Ok((index, _)) = self.index().await else { return Ancestry::Unknown };
        let canary = index.canary(self.aim.chart.name(), version);
        self.aim.of_version(&ours, version, canary)
    }

    /// After a run, the archives that the index has not named since; else also what is beyond those
    /// that stay, of which the index forgets first.
    async fn tidy(&self, how: &Sweep) -> Result<Tidied, Error> {
        let mut lane = self.lane.lock().await;
        let mut gone = std::mem::take(&mut lane.gone);
        if how.reach != Reach::AfterRun {
            let (index, condition) = self.index().await?;
            let (name, instance) = (self.aim.chart.name(), &self.aim.instance);
            let keep = how.room(self.aim.keep);
            gone = index.stale(name, instance, keep);
            if gone.is_empty() || how.is_dry {
                return Ok(Tidied { removed: gone, ..Tidied::default() });
            }
            let text = index.without(name, instance, keep, self.clock.wall());
            let written =
                self.bucket.put(&format!("{}{INDEX}", self.folder), text, condition).await;
            if let Err(error) = written {
                let left = gone.into_iter().map(|it| Stays::new(it, error.to_string())).collect();
                return Ok(Tidied { left, ..Tidied::default() });
            }
        }
        let mut tidied = Tidied::default();
        // An address elsewhere is none of our files.
        for file in gone.into_iter().filter(|it| !it.contains(['/', ':'])) {
            match self.bucket.delete(&format!("{}{file}", self.folder)).await {
                Ok(()) => tidied.removed.push(file),
                Err(error) => tidied.left.push(Stays::new(file, error.to_string())),
            }
        }
        Ok(tidied)
    }
}

fn failed(error: &bucket::Error) -> Error {
    Error { reason: error.reason(), message: error.to_string() }
}

fn reason(error: &PublishError) -> &'static str {
    match error {
        PublishError::NoAnswer { why, .. } | PublishError::Failed(why) => why.reason(),
    }
}
