//! A chart whose repository is served from a git branch, as GitHub Pages does: archive and index go
//! in one commit.
//!
//! The index belongs to all who publish there, so it is changed as it stands on the branch at that
//! time. When somebody else was faster, our entry is put into what they have written. What is beyond
//! `keep` goes in a commit of its own after the run, so that no measured commit waits for it.

use crate::model::{Ancestry, CanaryId, Clock, Revision, Stays, Survey, Tidied, Usage, When};
use crate::remote::git::{self, Further, GitRemote, Unwritten};
use crate::trigger::helm_chart::Ours;
use crate::trigger::helm_chart::chart::Package;
use crate::trigger::helm_chart::index::Index;
use crate::trigger::helm_chart::shelf::Shelf;
use crate::trigger::{Error, Published, Sweep, Trigger, git_access};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Pushes charts to a branch.
pub(super) struct ChartOnBranch {
    remote: GitRemote,
    shelf: Arc<Shelf>,
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
    pub(super) fn new(remote: GitRemote, shelf: Shelf, clock: Arc<dyn Clock>) -> Self {
        Self { remote, shelf: Arc::new(shelf), clock, lane: Mutex::default() }
    }

    /// The index at the tip that the cache knows.
    async fn index(&self) -> Result<Index, Error> {
        let text = self.remote.read_file(&self.shelf.index_path()).await?;
        self.shelf.read(text.as_deref())
    }

    fn edit(&self, package: Package, canary: &CanaryId) -> git::Edit {
        let aim = &self.shelf.aim;
        let message = format!(
            "canary {canary}: chart {} {}\n\nHopclock-Canary: {canary}\nHopclock-Instance: {}\n",
            aim.chart.name(),
            package.version,
            aim.instance
        );
        let (path, content) = (self.shelf.path(&package.file()), package.archive.clone());
        let (shelf, ours, now) = (Arc::clone(&self.shelf), canary.clone(), self.clock.wall());
        let index = Further::new(self.shelf.index_path(), move |before| {
            let unwritten = |it: Error| Unwritten { reason: it.reason, message: it.message };
            let index = shelf.read(before).map_err(unwritten)?;
            shelf.check(&index, &package.version, &ours).map_err(unwritten)?;
            Ok(Some(index.with(&package, now).into_bytes()))
        });
        commit(path, Some(content), message, vec![index])
    }

    /// Takes these files, and what names them, away; from the index as it stands by then.
    fn removal(&self, files: &[String], how: &Sweep) -> git::Edit {
        let aim = &self.shelf.aim;
        let message = format!(
            "canaries: take {} of chart {} away\n\nHopclock-Instance: {}\n",
            files.len(),
            aim.chart.name(),
            aim.instance
        );
        let (shelf, how, now) = (Arc::clone(&self.shelf), how.clone(), self.clock.wall());
        let index = Further::new(self.shelf.index_path(), move |before| {
            let unwritten = |it: Error| Unwritten { reason: it.reason, message: it.message };
            let index = shelf.read(before).map_err(unwritten)?;
            let cleared = shelf.clear(&index, &how, now);
            Ok(cleared.map_or_else(|| before.map(<[u8]>::to_vec), |it| Some(it.index.into_bytes())))
        });
        let gone = files.iter().map(|it| Further::removal(self.shelf.path(it)));
        let further = std::iter::once(index).chain(gone).collect();
        commit(self.shelf.index_path(), None, message, further)
    }
}

#[async_trait::async_trait]
impl Trigger for ChartOnBranch {
    fn lane(&self) -> String {
        format!("{}#{}", self.remote.url().normalised(), self.remote.branch())
    }

    fn usage(&self) -> Usage {
        self.remote.usage()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        // What is cached may be older than what others have pushed.
        self.remote.fetch_tip().await?;
        self.shelf.latest(&self.index().await?)
    }

    /// Whose versions the chart has, and whose charts and files the branch has around it.
    async fn survey(&self, files: &[String]) -> Result<Option<Survey>, Error> {
        let mut survey = self.remote.survey(files).await?;
        let index = self.index().await?;
        survey.holding = self.shelf.holding(&index);
        let (shelf, all) = (Arc::clone(&self.shelf), index.holding_all());
        let files = self.remote.holding(move |path, it| shelf.whose(&index, path, it)).await?;
        survey.around = Some(all.and(files));
        Ok(Some(survey))
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        let package = self.shelf.package(&self.index().await?, canary)?;
        let (version, file) = (package.version.clone(), self.shelf.path(&package.file()));
        if let Some(archive) = self.remote.read_file(&file).await? {
            self.shelf.aim.check_archive(&self.shelf.place(), &file, &archive)?;
        }
        let prepared = self.remote.prepare(self.edit(package, canary)).await?;
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
        let Some(ours) = self.shelf.find(&self.index().await?, canary, revisions) else {
            return Ok(None);
        };
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
        if self.remote.fetch_tip().await.is_err() {
            return Ancestry::Unknown;
        }
        let index = self.index().await;
        index.map_or(Ancestry::Unknown, |it| self.shelf.ancestry(&it, &ours, version))
    }

    async fn tidy(&self, how: &Sweep) -> Result<Tidied, Error> {
        self.remote.fetch_tip().await?;
        let cleared = self.shelf.clear(&self.index().await?, how, self.clock.wall());
        let Some(files) = cleared.map(|it| it.files) else { return Ok(Tidied::default()) };
        if how.is_dry {
            return Ok(Tidied { removed: files, ..Tidied::default() });
        }
        let removed = git_access::commit(&self.remote, self.removal(&files, how)).await;
        Ok(match removed {
            Ok(()) => Tidied { removed: files, ..Tidied::default() },
            Err(why) => {
                let left = files.into_iter().map(|it| Stays::new(it, &*why)).collect();
                Tidied { left, ..Tidied::default() }
            }
        })
    }
}

fn commit(
    path: String,
    content: Option<Vec<u8>>,
    message: String,
    further: Vec<Further>,
) -> git::Edit {
    let author =
        git::Author { name: "hopclock".to_owned(), email: "hopclock@localhost".to_owned() };
    git::Edit { path, content, message, author, mode: git::Mode::Append, further }
}
