//! A chart whose repository lies in a bucket: the archive is written first, then the index.
//!
//! Only the index makes a chart visible, so its acknowledgement is zero (rule T1). It is written on
//! the condition that it is still the one that was read: when somebody else was faster, our entry
//! is put into what they have written. An archive that a run has left which was cut off is taken
//! away after a later one: nothing names it.

use crate::model::{
    Ancestry, CanaryId, Clock, Holding, Moment, Revision, Stays, Survey, Tidied, Usage, When,
};
use crate::remote::bucket::{self, Bucket, Condition, PublishError};
use crate::trigger::helm_chart::archive::is_canary_of;
use crate::trigger::helm_chart::chart::Package;
use crate::trigger::helm_chart::index::Index;
use crate::trigger::helm_chart::lint::LARGEST;
use crate::trigger::helm_chart::shelf::Shelf;
use crate::trigger::helm_chart::{Ours, taken};
use crate::trigger::{Error, Published, Sweep, Trigger};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Mutex;

/// How often the index is written when somebody else keeps changing it.
const ATTEMPTS: u32 = 3;

/// Most objects that are listed.
const MOST_LISTED: usize = 1000;

/// Most objects that are read, in one run, to see whether they are canaries.
const MOST_READ: usize = 20;

/// Pushes charts to a bucket.
pub(super) struct ChartInBucket {
    bucket: Bucket,
    shelf: Shelf,
    clock: Arc<dyn Clock>,
    lane: Mutex<Lane>,
}

#[derive(Default)]
struct Lane {
    /// The index that was read last, and what tells that it is still the same.
    read: Option<(Index, Condition)>,
    prepared: Option<Package>,
    ours: Option<Ours>,
}

// === impl ChartInBucket ===

impl ChartInBucket {
    pub(super) fn new(bucket: Bucket, shelf: Shelf, clock: Arc<dyn Clock>) -> Self {
        Self { bucket, shelf, clock, lane: Mutex::default() }
    }

    fn place(&self) -> String {
        self.shelf.place()
    }

    async fn index(&self) -> Result<(Index, Condition), Error> {
        let found = self.bucket.get(&self.shelf.index_path()).await;
        let found = found.map_err(|it| failed(&it))?;
        let condition = match &found {
            Some(object) => Condition::Unchanged(object.version.clone()),
            None => Condition::Absent,
        };
        let index = self.shelf.read(found.as_ref().map(|it| &it.body[..]))?;
        Ok((index, condition))
    }

    /// Whose objects lie around the index that it does not name; none where that cannot be told.
    async fn around(&self, index: &Index) -> Option<Holding> {
        let listed = self.bucket.list(&self.shelf.path(""), MOST_LISTED).await.ok()?;
        let unknown = listed.last().filter(|_| listed.len() >= MOST_LISTED);
        if let Some(last) = unknown {
            return Some(Holding::Others(last.key.clone()));
        }
        let (mut holding, mut read) = (index.holding_all(), 0);
        for entry in &listed {
            // What the index names, or is, counts without being read.
            if self.shelf.whose(index, &entry.key, &[]).is_none() {
                continue;
            }
            read += 1;
            let object =
                if read <= MOST_READ { self.bucket.get(&entry.key).await.ok()? } else { None };
            // A folder's marker: the `/` at the end of its name is not listed.
            if object.is_none() && entry.size == 0 && read <= MOST_READ {
                continue;
            }
            let body = object.as_ref().map_or(&[][..], |it| &it.body[..]);
            let instances = self.shelf.whose(index, &entry.key, body).unwrap_or_default();
            let found = if instances.is_empty() {
                Holding::Others(entry.key.clone())
            } else {
                Holding::Canaries(instances)
            };
            holding = holding.and(found);
            if let Holding::Others(_) = &holding {
                break;
            }
        }
        Some(holding)
    }

    /// Writes the archive, which nobody sees before the index names it. One that a run has left
    /// that was cut off is written anew, one that the index names by now or somebody else's never.
    async fn upload(&self, key: &str, package: &Package) -> Result<(), Error> {
        let mut sent = self.bucket.put(key, package.archive.clone(), Condition::Absent).await;
        // It may also be there from an attempt that the server said it had not taken.
        if sent.as_ref().is_err_and(PublishError::is_changed) {
            let (index, _) = self.index().await?;
            if index.versions(self.shelf.aim.chart.name()).contains(&package.version) {
                return Err(taken(&package.version, &self.place()));
            }
            let there = self.bucket.get(key).await.map_err(|it| failed(&it))?;
            let condition = match &there {
                None => Condition::Absent,
                Some(there) => {
                    self.shelf.aim.check_archive(&self.place(), key, &there.body)?;
                    Condition::Unchanged(there.version.clone())
                }
            };
            sent = self.bucket.put(key, package.archive.clone(), condition).await;
        }
        sent.map(|_| ()).map_err(|it| Error { reason: reason(&it), message: it.to_string() })
    }

    /// Archives of our canaries that the index does not name: runs have left them that were cut off.
    async fn orphans(&self, index: &Index) -> Vec<String> {
        // Whoever may not list finds none.
        let listed =
            self.bucket.list(&self.shelf.archives(), MOST_LISTED).await.unwrap_or_default();
        let is_unnamed = |it: &&bucket::Entry| {
            let file = self.shelf.file(&it.key);
            file.is_some_and(|it| it.strip_suffix(".tgz").is_some() && !index.names(it))
        };
        let small = listed.iter().filter(|it| it.size <= 2 * LARGEST as u64);
        let mut found = Vec::new();
        for entry in small.filter(is_unnamed).take(MOST_READ) {
            if let Ok(Some(there)) = self.bucket.get(&entry.key).await
                && is_canary_of(&there.body, &self.shelf.aim.instance)
            {
                found.extend(self.shelf.file(&entry.key).map(str::to_owned));
            }
        }
        found
    }

    /// Reads the index once after a write without an answer (rule T2).
    async fn after_no_answer(&self, ours: &Ours, why: &bucket::Error) -> Result<Moment, Error> {
        let error = |reason, what: &str| Error {
            reason,
            message: format!("the write of {} got no answer, and {what}; {why}", self.place()),
        };
        match self.index().await {
            Ok((index, _)) => {
                let found = index.canary(self.shelf.aim.chart.name(), &ours.version);
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
        let name = self.shelf.path(self.shelf.aim.chart.name());
        format!("{}/{name}", self.bucket.address().normalised())
    }

    fn usage(&self) -> Usage {
        self.bucket.usage()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        let read = self.index().await?;
        let latest = self.shelf.latest(&read.0)?;
        *self.lane.lock().await = Lane { read: Some(read), ..Lane::default() };
        Ok(latest)
    }

    async fn survey(&self, _: &[String]) -> Result<Option<Survey>, Error> {
        let lane = self.lane.lock().await;
        let Some((index, _)) = &lane.read else { return Ok(None) };
        let (holding, around) = (self.shelf.holding(index), self.around(index).await);
        Ok(Some(Survey { commit: String::new(), files: [].into(), holding, around }))
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        let mut lane = self.lane.lock().await;
        let read = match lane.read.take() {
            Some(read) => read,
            None => self.index().await?,
        };
        let package = self.shelf.package(&read.0, canary)?;
        lane.read = Some(read);
        self.upload(&self.shelf.path(&package.file()), &package).await?;
        let version = package.version.clone();
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
        let name = self.shelf.aim.chart.name();
        for attempts in 1..=ATTEMPTS {
            self.shelf.check(&index, &ours.version, &ours.canary)?;
            let text = index.with(&package, self.clock.wall());
            let key = self.shelf.index_path();
            let published = match self.bucket.put(&key, text, condition).await {
                Err(error) if error.is_changed() => {
                    let read = self.index().await?;
                    let is_there =
                        read.0.canary(name, &ours.version).as_ref() == Some(&ours.canary);
                    match error {
                        // An attempt that the server said it had not taken was ours all the same.
                        PublishError::NoAnswer { sent, .. } if is_there => {
                            let zero = When::between(sent, self.bucket.now());
                            Published { sent, zero, attempts }
                        }
                        PublishError::NoAnswer { .. } | PublishError::Failed(_)
                            if attempts < ATTEMPTS =>
                        {
                            (index, condition) = read;
                            announce(vec![Revision::Version(ours.version.clone())]);
                            continue;
                        }
                        PublishError::NoAnswer { why, .. } | PublishError::Failed(why) => {
                            return Err(failed(&why));
                        }
                    }
                }
                Ok(it) => Published { sent: it.sent, zero: When::at(it.acknowledged), attempts },
                Err(PublishError::NoAnswer { sent, why, .. }) => {
                    let now = self.after_no_answer(&ours, &why).await?;
                    Published { sent, zero: When::between(sent, now), attempts }
                }
                Err(PublishError::Failed(error)) => return Err(failed(&error)),
            };
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
        let Some(ours) = self.shelf.find(&index, canary, revisions) else { return Ok(None) };
        let found = vec![Revision::Version(ours.version.clone())];
        self.lane.lock().await.ours = Some(ours);
        Ok(Some(found))
    }

    async fn ancestry(&self, revision: &Revision) -> Ancestry {
        let Revision::Version(version) = revision else { return Ancestry::Unknown };
        let Some(ours) = self.lane.lock().await.ours.clone() else { return Ancestry::Unknown };
        if ours.is_sent_as(revision) {
            return Ancestry::Carries(Some(ours.canary));
        }
        let index = self.index().await;
        index.map_or(Ancestry::Unknown, |it| self.shelf.ancestry(&it.0, &ours, version))
    }

    /// Takes away what is beyond those that stay, first from the index, unless somebody has just
    /// changed that: then the next run does. Then the archives of ours that no index names.
    async fn tidy(&self, how: &Sweep) -> Result<Tidied, Error> {
        let (mut index, condition) = self.index().await?;
        let mut gone = BTreeSet::new();
        if let Some(cleared) = self.shelf.clear(&index, how, self.clock.wall()) {
            gone.extend(cleared.files);
            let (key, text) = (self.shelf.index_path(), cleared.index.clone());
            index = self.shelf.read(Some(cleared.index.as_bytes()))?;
            if !how.is_dry
                && let Err(error) = self.bucket.put(&key, text, condition).await
            {
                let left = gone.into_iter().map(|it| Stays::new(it, error.to_string())).collect();
                return Ok(Tidied { left, ..Tidied::default() });
            }
        }
        gone.extend(self.orphans(&index).await);
        if how.is_dry {
            return Ok(Tidied { removed: gone.into_iter().collect(), ..Tidied::default() });
        }
        let mut tidied = Tidied::default();
        for file in gone {
            match self.bucket.delete(&self.shelf.path(&file)).await {
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
