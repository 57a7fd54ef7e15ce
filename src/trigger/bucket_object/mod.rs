//! Writes an object to a bucket.
//!
//! The object's content is the canary; the last one says where the lane's sequence stands, so nothing
//! has to be remembered between runs, and nothing is left behind but one object. A write is bound to
//! the version that was read before it: whoever wrote in between is noticed, not overwritten.

mod build;
mod config;
mod retention;

use crate::model::{Ancestry, CanaryId, Holding, Revision, Survey, Tidied, Usage, When};
use crate::remote::bucket::{self, Bucket, Condition, Entry, Object, PublishError};
use crate::trigger::git_commit::{Content, latest_in};
use crate::trigger::{Error, Published, Sweep, Trigger};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::Mutex;

pub use config::{BucketAuth, BucketObjectConfig};

/// Most objects that are listed: what is beyond them is asked for by name.
const MOST_LISTED: usize = 1000;

/// Most objects of others that are read to see whether they are canaries.
const MOST_READ: usize = 20;

/// Writes an object to a bucket. See [`BucketObjectConfig`].
pub struct BucketObject {
    bucket: Bucket,
    aim: Aim,
    lane: Mutex<Lane>,
}

/// What is written.
struct Aim {
    /// The installation that writes.
    instance: String,
    /// The object.
    key: String,
    /// What all objects begin with that the source fetches.
    prefix: String,
    content: Content,
}

/// What is known of the bucket, and of our change in it.
#[derive(Default)]
struct Lane {
    /// Our object as it was read last.
    object: Option<Object>,
    /// The bucket's objects, and whose they are.
    listed: Option<(Vec<Entry>, Holding)>,
    prepared: Option<CanaryId>,
    /// What [`Trigger::ancestry`] speaks of.
    ours: Option<CanaryId>,
}

// === impl BucketObject ===

impl BucketObject {
    fn new(bucket: Bucket, aim: Aim) -> Self {
        Self { bucket, aim, lane: Mutex::default() }
    }

    /// Says that our object is somebody else's, or that another writer is on our lane: that it
    /// holds no canary at all, or one that is not older.
    fn check_lane(&self, canary: &CanaryId, object: Option<&Object>) -> Result<(), Error> {
        let (bucket, key) = (self.bucket.address(), &self.aim.key);
        let latest = object.and_then(|it| latest_in(&it.body));
        match latest {
            None if object.is_some() => Err(Error {
                reason: "not_a_canary",
                message: format!(
                    "`{key}` of {bucket} is there and holds no canary, and what it holds would be \
                     lost: say with `path` where nothing lies yet, or remove it"
                ),
            }),
            Some(latest) if latest.instance() != canary.instance() => Err(Error {
                reason: "foreign_canary",
                message: format!(
                    "`{key}` of {bucket} holds a canary of instance `{}`: give each instance a \
                     bucket or an object of its own",
                    latest.instance()
                ),
            }),
            Some(latest) if latest.sequence() >= canary.sequence() => Err(Error {
                reason: "second_writer",
                message: format!(
                    "somebody else wrote canary `{latest}` to `{key}` of {bucket} during this run: \
                     let only one scenario write to an object"
                ),
            }),
            _ => Ok(()),
        }
    }

    /// The canary that our object holds now.
    async fn shown(&self) -> Result<Option<CanaryId>, bucket::Error> {
        let object = self.bucket.get(&self.aim.key).await?;
        Ok(object.as_ref().and_then(|it| latest_in(&it.body)))
    }

    /// The bucket's objects as far as the source sees them, and whose they are (rule S0). Looking
    /// ends at the first that is no canary.
    async fn look_around(&self, own: Option<&Object>) -> Result<(Vec<Entry>, Holding), Error> {
        let listed = self.bucket.list(&self.aim.prefix, MOST_LISTED).await?;
        let others: Vec<_> = listed.iter().filter(|it| it.key != self.aim.key).collect();
        let mut instances = BTreeSet::new();
        if let Some(canary) = own.and_then(|it| latest_in(&it.body)) {
            instances.insert(canary.instance().to_owned());
        } else if own.is_some() {
            let holding = Holding::Others(self.aim.key.clone());
            return Ok((listed, holding));
        }
        for (number, entry) in others.into_iter().enumerate() {
            let read =
                if number < MOST_READ { self.bucket.get(&entry.key).await } else { Ok(None) };
            let object = match read {
                // A folder's marker: the `/` at the end of its name is not listed.
                Ok(None) if entry.size == 0 && number < MOST_READ => continue,
                // No canary has a name like that.
                Err(bucket::Error::BadKey { .. }) => None,
                object => object?,
            };
            let canary = object.and_then(|it| latest_in(&it.body));
            // Bare digits may be anything.
            let Some(canary) = canary.filter(|it| !it.instance().is_empty()) else {
                let holding = Holding::Others(entry.key.clone());
                return Ok((listed, holding));
            };
            instances.insert(canary.instance().to_owned());
        }
        // Nobody knows what a list leaves out.
        if let Some(last) = listed.last().filter(|_| listed.len() >= MOST_LISTED) {
            let holding = Holding::Others(last.key.clone());
            return Ok((listed, holding));
        }
        Ok((listed, Holding::Canaries(instances)))
    }

    /// Reads the object once after a write without an answer (rule T2).
    async fn after_no_answer(&self, canary: &CanaryId, why: &bucket::Error) -> Result<(), Error> {
        let key = &self.aim.key;
        let error = |reason, what: &str| Error {
            reason,
            message: format!("the upload of `{key}` got no answer, and {what}; {why}"),
        };
        match self.shown().await {
            Ok(Some(shown)) if shown == *canary => Ok(()),
            Ok(_) if matches!(why, bucket::Error::Changed { .. }) => Err(why.clone().into()),
            Ok(_) => Err(error("push_lost", "the bucket does not hold it, so nothing was written")),
            Err(read) => Err(error(
                "push_unknown",
                &format!(
                    "whether it was made is not known, for it could not be read afterwards: {read}"
                ),
            )),
        }
    }
}

#[async_trait::async_trait]
impl Trigger for BucketObject {
    /// The bucket, not the object: a Bucket's artifact is of all its objects, so that two changes
    /// at once would be taken for each other (rule P9).
    fn lane(&self) -> String {
        self.bucket.address().normalised()
    }

    fn usage(&self) -> Usage {
        self.bucket.usage()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        let object = self.bucket.get(&self.aim.key).await?;
        let latest = object.as_ref().and_then(|it| latest_in(&it.body));
        let mut lane = self.lane.lock().await;
        lane.object = object;
        lane.listed = None;
        Ok(latest.filter(|it| it.instance() == self.aim.instance))
    }

    async fn survey(&self, files: &[String]) -> Result<Option<Survey>, Error> {
        let mut lane = self.lane.lock().await;
        if lane.listed.is_none() {
            lane.listed = Some(self.look_around(lane.object.as_ref()).await?);
        }
        let Some((listed, holding)) = &lane.listed else { return Ok(None) };
        let mut found = BTreeMap::new();
        for file in files {
            // What is not listed may be there all the same, such as `.sourceignore` of the root.
            let unknown = listed.len() >= MOST_LISTED || !file.starts_with(&self.aim.prefix);
            let there = unknown || listed.iter().any(|it| it.key == *file);
            let object = if there { self.bucket.get(file).await? } else { None };
            if let Some(object) = object {
                found.insert(file.clone(), String::from_utf8_lossy(&object.body).into_owned());
            }
        }
        let version = lane.object.as_ref().and_then(|it| it.version.etag());
        let commit = version.unwrap_or_default().to_owned();
        Ok(Some(Survey { commit, files: found, holding: holding.clone(), around: None }))
    }

    /// Gives no revision: what the bucket will be called, nobody can compute (rule P9).
    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        let mut lane = self.lane.lock().await;
        self.check_lane(canary, lane.object.as_ref())?;
        lane.prepared = Some(canary.clone());
        lane.ours = Some(canary.clone());
        Ok(Vec::new())
    }

    async fn publish(
        &self,
        _announce: &(dyn Fn(Vec<Revision>) + Send + Sync),
    ) -> Result<Published, Error> {
        let mut lane = self.lane.lock().await;
        let canary = lane.prepared.clone().ok_or_else(|| Error {
            reason: "not_prepared",
            message: "a change must be prepared before it is published".to_owned(),
        })?;
        let (key, body) = (&self.aim.key, self.aim.content.for_canary(&canary));
        let condition = match &lane.object {
            Some(object) => Condition::Unchanged(object.version.clone()),
            None => Condition::Absent,
        };
        match self.bucket.put(key, body, condition).await {
            Ok(it) => {
                lane.object = None;
                let (zero, attempts) = (When::at(it.acknowledged), it.attempts);
                Ok(Published { sent: it.sent, zero, attempts })
            }
            Err(PublishError::NoAnswer { sent, attempts, why }) => {
                self.after_no_answer(&canary, &why).await?;
                let zero = When::between(sent, self.bucket.now());
                Ok(Published { sent, zero, attempts })
            }
            Err(PublishError::Failed(error)) => Err(error.into()),
        }
    }

    async fn recover(
        &self,
        canary: &CanaryId,
        _revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, Error> {
        let shown = self.shown().await?;
        self.lane.lock().await.ours = Some(canary.clone());
        Ok(shown.filter(|it| it == canary).map(|_| Vec::new()))
    }

    /// A bucket's revision tells nothing of what it holds, so our object is read as it is now.
    async fn ancestry(&self, revision: &Revision) -> Ancestry {
        let Some(ours) = self.lane.lock().await.ours.clone() else { return Ancestry::Unknown };
        if !matches!(revision, Revision::Digest(_)) {
            return Ancestry::Unknown;
        }
        match self.shown().await {
            Ok(Some(shown)) if shown == ours => Ancestry::NotYet,
            Ok(Some(shown))
                if shown.instance() == ours.instance() && shown.sequence() > ours.sequence() =>
            {
                Ancestry::Carries(Some(shown))
            }
            Ok(_) => Ancestry::Gone,
            Err(_) => Ancestry::Unknown,
        }
    }

    async fn tidy(&self, how: &Sweep) -> Result<Tidied, Error> {
        self.give_up(how).await
    }
}

// === impl Error ===

impl From<bucket::Error> for Error {
    fn from(error: bucket::Error) -> Self {
        Self { reason: error.reason(), message: error.to_string() }
    }
}
