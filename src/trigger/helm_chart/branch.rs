//! A chart whose repository is served from a git branch, as GitHub Pages does: archive and index go
//! in one commit.
//!
//! The index belongs to all who publish there, so it is changed as it stands on the branch at that
//! time. When somebody else was faster, our entry is put into what they have written.

use crate::model::{Ancestry, CanaryId, Clock, Revision, Stays, Survey, Tidied, When};
use crate::remote::git::{self, Further, GitRemote, Unwritten};
use crate::trigger::helm_chart::chart::Package;
use crate::trigger::helm_chart::index::{INDEX, Index};
use crate::trigger::helm_chart::{Aim, Ours, taken};
use crate::trigger::{Error, Published, Reach, Sweep, Trigger, git_access};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Pushes charts to a branch.
pub(super) struct ChartOnBranch {
    remote: GitRemote,
    /// The folder of the index, with a `/` behind it; empty for the root.
    folder: String,
    aim: Arc<Aim>,
    clock: Arc<dyn Clock>,
    lane: Mutex<Lane>,
}

#[derive(Default)]
struct Lane {
    prepared: Option<git::Prepared>,
    ours: Option<Ours>,
}

// === impl ChartOnBranch ===

impl ChartOnBranch {
    pub(super) fn new(remote: GitRemote, folder: &str, aim: Aim, clock: Arc<dyn Clock>) -> Self {
        let folder = folder.trim_matches('/');
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Self { remote, folder, aim: Arc::new(aim), clock, lane: Mutex::default() }
    }

    fn place(&self) -> String {
        let (folder, branch) = (&self.folder, self.remote.branch());
        format!("`{folder}{INDEX}` on branch `{branch}` of `{}`", self.remote.url())
    }

    /// The index at the tip that the cache knows.
    async fn index(&self) -> Result<Index, Error> {
        let text = self.remote.read_file(&format!("{}{INDEX}", self.folder)).await?;
        Index::read(text.as_deref()).map_err(|why| unreadable(&self.place(), &why))
    }

    fn edit(&self, package: Package, canary: &CanaryId, index: &Index) -> git::Edit {
        let name = self.aim.chart.name().to_owned();
        let stale = index.stale(&name, &self.aim.instance, self.aim.keep.saturating_sub(1));
        // An address elsewhere is none of our files.
        let stale = stale.into_iter().filter(|it| !it.contains(['/', ':']));
        let gone = stale.map(|it| Further::removal(format!("{}{it}", self.folder)));
        let content = package.archive.clone();
        let path = format!("{}{}", self.folder, package.file());
        let message = format!(
            "canary {canary}: chart {name} {}\n\nHopclock-Canary: {canary}\n\
             Hopclock-Instance: {}\n",
            package.version, self.aim.instance
        );
        let (aim, place, ours) = (Arc::clone(&self.aim), self.place(), canary.clone());
        let now = self.clock.wall();
        let index = Further::new(format!("{}{INDEX}", self.folder), move |before| {
            let unwritten = |it: Error| Unwritten { reason: it.reason, message: it.message };
            let index = Index::read(before).map_err(|it| unwritten(unreadable(&place, &it)))?;
            check(&aim, &index, &place, &package.version, &ours).map_err(unwritten)?;
            Ok(Some(index.with(&package, &aim.instance, aim.keep, now).into_bytes()))
        });
        git::Edit {
            path,
            content: Some(content),
            message,
            author: author(),
            mode: git::Mode::Append,
            further: std::iter::once(index).chain(gone).collect(),
        }
    }

    /// Takes canaries beyond `keep`, and these files of theirs, out of the index and the branch.
    fn removal(&self, keep: usize, files: &[String]) -> git::Edit {
        let (aim, place, now) = (Arc::clone(&self.aim), self.place(), self.clock.wall());
        let path = format!("{}{INDEX}", self.folder);
        let index = Further::new(path.clone(), move |before| {
            let unreadable = |why: String| unreadable(&place, &why);
            let index = Index::read(before).map_err(unreadable);
            let index = index.map_err(|it| Unwritten { reason: it.reason, message: it.message })?;
            let text = index.without(aim.chart.name(), &aim.instance, keep, now);
            Ok(Some(text.into_bytes()))
        });
        // An address elsewhere is none of our files.
        let files = files.iter().filter(|it| !it.contains(['/', ':']));
        let gone = files.map(|it| Further::removal(format!("{}{it}", self.folder)));
        git::Edit {
            path,
            content: None,
            message: format!(
                "take away canaries of the chart {}\n\nHopclock-Instance: {}\n",
                self.aim.chart.name(),
                self.aim.instance
            ),
            author: author(),
            mode: git::Mode::Append,
            further: std::iter::once(index).chain(gone).collect(),
        }
    }
}

#[async_trait::async_trait]
impl Trigger for ChartOnBranch {
    fn lane(&self) -> String {
        format!("{}#{}", self.remote.url().normalised(), self.remote.branch())
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        // What is cached may be older than what others have pushed.
        self.remote.fetch_tip().await?;
        let (index, name) = (self.index().await?, self.aim.chart.name());
        self.aim.check_lane(&self.place(), index.newest(name).as_ref())?;
        Ok(index.latest(name, &self.aim.instance))
    }

    /// Whose versions the chart has; of the branch itself others may well have more.
    async fn survey(&self, files: &[String]) -> Result<Option<Survey>, Error> {
        let mut survey = self.remote.survey(files).await?;
        survey.holding = self.index().await?.holding(self.aim.chart.name());
        Ok(Some(survey))
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        let index = self.index().await?;
        let version = self.aim.next(&index.versions(self.aim.chart.name()), canary)?;
        let package = self.aim.package(&version, canary)?;
        check(&self.aim, &index, &self.place(), &version, canary)?;
        let file = format!("{}{}", self.folder, package.file());
        if let Some(archive) = self.remote.read_file(&file).await? {
            self.aim.check_archive(&self.place(), &file, &archive)?;
        }
        let prepared = self.remote.prepare(self.edit(package, canary, &index)).await?;
        let mut lane = self.lane.lock().await;
        lane.prepared = Some(prepared);
        lane.ours = Some(Ours { canary: canary.clone(), version: version.clone() });
        Ok(vec![Revision::Version(version)])
    }

    async fn publish(
        &self,
        announce: &(dyn Fn(Vec<Revision>) + Send + Sync),
    ) -> Result<Published, Error> {
        let mut lane = self.lane.lock().await;
        let (prepared, ours) =
            lane.prepared.take().zip(lane.ours.clone()).ok_or_else(|| Error {
                reason: "not_prepared",
                message: "a change must be prepared before it is published".to_owned(),
            })?;
        let mut attempts = 1;
        let again = |_: &git::Prepared| {
            attempts += 1;
            announce(vec![Revision::Version(ours.version.clone())]);
        };
        match self.remote.publish(prepared, again).await {
            Ok(it) => Ok(Published {
                sent: it.sent,
                zero: When::at(it.acknowledged),
                attempts: it.attempts,
            }),
            Err(git::PublishError::NoAnswer { commit, sent, why }) => {
                git_access::after_no_answer(&self.remote, &commit, &why).await?;
                let zero = When::between(sent, self.remote.now());
                Ok(Published { sent, zero, attempts })
            }
            Err(error) => Err(Error { reason: error.reason(), message: error.to_string() }),
        }
    }

    async fn recover(
        &self,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, Error> {
        self.remote.fetch_tip().await?;
        let index = self.index().await?;
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
        if self.remote.fetch_tip().await.is_err() {
            return Ancestry::Unknown;
        }
        let Ok(index) = self.index().await else { return Ancestry::Unknown };
        let canary = index.canary(self.aim.chart.name(), version);
        self.aim.of_version(&ours, version, canary)
    }

    /// Each push takes away what is beyond `keep`, so after a run nothing is left.
    async fn tidy(&self, how: &Sweep) -> Result<Tidied, Error> {
        if how.reach == Reach::AfterRun {
            return Ok(Tidied::default());
        }
        let keep = how.room(self.aim.keep);
        let stale = self.index().await?.stale(self.aim.chart.name(), &self.aim.instance, keep);
        if stale.is_empty() || how.is_dry {
            return Ok(Tidied { removed: stale, ..Tidied::default() });
        }
        let removed = git_access::commit(&self.remote, self.removal(keep, &stale)).await;
        Ok(match removed {
            Ok(()) => Tidied { removed: stale, ..Tidied::default() },
            Err(why) => {
                let left = stale.into_iter().map(|it| Stays::new(it, &*why)).collect();
                Tidied { left, ..Tidied::default() }
            }
        })
    }
}

fn author() -> git::Author {
    git::Author { name: "hopclock".to_owned(), email: "hopclock@localhost".to_owned() }
}

/// Whether our entry may be put into an index.
pub(super) fn check(
    aim: &Aim,
    index: &Index,
    place: &str,
    version: &str,
    canary: &CanaryId,
) -> Result<(), Error> {
    let name = aim.chart.name();
    let latest = index.latest(name, &aim.instance);
    if let Some(latest) = latest.filter(|it| it.sequence() >= canary.sequence()) {
        return Err(Error {
            reason: "second_writer",
            message: format!(
                "somebody else pushed canary `{latest}` to {place} during this run: let only one \
                 scenario push the chart `{name}`"
            ),
        });
    }
    let versions = index.versions(name);
    let chosen = aim.choice.chosen(&versions);
    aim.check_content(place, chosen.map(|it| (it, index.canary(name, it))))?;
    if versions.iter().any(|it| it == version)
        || chosen.is_some_and(|it| aim.choice.prefers(it, version))
    {
        return Err(taken(version, place));
    }
    Ok(())
}

pub(super) fn unreadable(place: &str, why: &str) -> Error {
    Error {
        reason: "bad_chart_index",
        message: format!(
            "{place} is no chart index ({why}): mend it, or write a new one with `helm repo index`"
        ),
    }
}
