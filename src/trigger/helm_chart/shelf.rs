//! What a chart repository on a branch and one in a bucket have in common: an index that belongs to
//! all who publish there, and archives beside it.

use crate::model::{Ancestry, CanaryId, Holding, Revision, tokens};
use crate::trigger::helm_chart::archive::instances_in;
use crate::trigger::helm_chart::chart::Package;
use crate::trigger::helm_chart::index::{INDEX, Index};
use crate::trigger::helm_chart::{Aim, Ours, taken};
use crate::trigger::{Error, Sweep};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// A folder with an index, and what is published there.
pub(super) struct Shelf {
    pub(super) aim: Aim,
    /// The folder of the index, with a `/` behind it; empty for the root.
    folder: String,
    /// Where the folder is, behind the name of a file.
    place: String,
    /// The HelmRepository, if it has fetched an index already: then there must be one.
    served: Option<String>,
}

/// What goes from a shelf, and the index without it.
pub(super) struct Cleared {
    /// The text of the index.
    pub(super) index: String,
    /// The archives, as files of the folder.
    pub(super) files: Vec<String>,
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn new(aim: Aim, folder: &str, place: String, served: Option<String>) -> Self {
        Self { aim, folder: folder_of(folder), place, served }
    }

    /// The index, as messages name it.
    pub(super) fn place(&self) -> String {
        format!("`{}{INDEX}` {}", self.folder, self.place)
    }

    /// The path of a file.
    pub(super) fn path(&self, file: &str) -> String {
        format!("{}{file}", self.folder)
    }

    /// The path of the index.
    pub(super) fn index_path(&self) -> String {
        self.path(INDEX)
    }

    /// The path that all archives of the chart begin with.
    pub(super) fn archives(&self) -> String {
        format!("{}{}-", self.folder, self.aim.chart.name())
    }

    /// The file of a path, if it lies in the folder itself.
    pub(super) fn file<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&self.folder).filter(|it| !it.contains('/'))
    }

    /// Reads the index. A folder that has none where one is served is not the right folder.
    pub(super) fn read(&self, text: Option<&[u8]>) -> Result<Index, Error> {
        if let (None, Some(served)) = (text, &self.served) {
            return Err(Error {
                reason: "bad_chart_index",
                message: format!(
                    "{} is not there, and {served} has fetched an index already, so that one lies \
                     elsewhere: let `folder`, and what it is in, name the place that is served",
                    self.place()
                ),
            });
        }
        Index::read(text).map_err(|why| Error {
            reason: "bad_chart_index",
            message: format!(
                "{} is no chart index ({why}): mend it, or write a new one with `helm repo index`",
                self.place()
            ),
        })
    }

    /// The latest canary of the chart, which nobody else's may be.
    pub(super) fn latest(&self, index: &Index) -> Result<Option<CanaryId>, Error> {
        let name = self.aim.chart.name();
        self.aim.check_lane(&self.place(), index.newest(name).as_ref())?;
        Ok(index.latest(name, &self.aim.instance))
    }

    /// The chart that a canary becomes, if it may be put into the index.
    pub(super) fn package(&self, index: &Index, canary: &CanaryId) -> Result<Package, Error> {
        let version = self.aim.next(&index.versions(self.aim.chart.name()), canary)?;
        let package = self.aim.package(&version, canary)?;
        self.check(index, &version, canary)?;
        Ok(package)
    }

    /// Whether our entry may be put into an index.
    pub(super) fn check(
        &self,
        index: &Index,
        version: &str,
        canary: &CanaryId,
    ) -> Result<(), Error> {
        let (aim, place, name) = (&self.aim, self.place(), self.aim.chart.name());
        let latest = index.latest(name, &aim.instance);
        if let Some(latest) = latest.filter(|it| it.sequence() >= canary.sequence()) {
            return Err(Error {
                reason: "second_writer",
                message: format!(
                    "somebody else pushed canary `{latest}` to {place} during this run: let only \
                     one scenario push the chart `{name}`"
                ),
            });
        }
        let versions = index.versions(name);
        let chosen = aim.choice.chosen(&versions);
        aim.check_content(&place, chosen.map(|it| (it, index.canary(name, it))))?;
        if versions.iter().any(|it| it == version)
            || chosen.is_some_and(|it| aim.choice.prefers(it, version))
        {
            return Err(taken(version, &place));
        }
        Ok(())
    }

    /// Which of the revisions that a canary was to have the index shows.
    pub(super) fn find(
        &self,
        index: &Index,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Option<Ours> {
        let name = self.aim.chart.name();
        let found =
            revisions.iter().find(|it| index.canary(name, it.id()).as_ref() == Some(canary));
        found.map(|it| Ours { canary: canary.clone(), version: it.id().to_owned() })
    }

    /// What another version means, as the index tells (rule T9).
    pub(super) fn ancestry(&self, index: &Index, ours: &Ours, version: &str) -> Ancestry {
        let canary = index.canary(self.aim.chart.name(), version);
        self.aim.of_version(ours, version, canary)
    }

    /// The canaries beyond those that stay, and the index without them; none if all stay.
    pub(super) fn clear(&self, index: &Index, how: &Sweep, now: Timestamp) -> Option<Cleared> {
        let Aim { chart, instance, keep, .. } = &self.aim;
        let used: BTreeSet<&str> = how.sights.iter().flat_map(|it| tokens(it)).collect();
        let stale = index.stale(chart.name(), instance, how.room(*keep), &used);
        if stale.is_empty() {
            return None;
        }
        let (index, files) = index.without(chart.name(), instance, &stale, now);
        Some(Cleared { index, files })
    }

    /// The instances whose canaries a file holds; none where the index says whose it is.
    pub(super) fn whose(
        &self,
        index: &Index,
        path: &str,
        content: &[u8],
    ) -> Option<BTreeSet<String>> {
        let file = self.file(path);
        if file.is_some_and(|it| it == INDEX || index.names(it)) {
            return None;
        }
        let text = String::from_utf8_lossy(content);
        let ids = CanaryId::find_in(&text).map(|it| it.instance().to_owned());
        // Bare digits may be anything.
        let named = ids.filter(|it| !it.is_empty());
        Some(named.chain(instances_in(content)).collect())
    }

    /// Whose versions of the chart there are.
    pub(super) fn holding(&self, index: &Index) -> Holding {
        index.holding(self.aim.chart.name())
    }
}

fn folder_of(text: &str) -> String {
    match text.trim_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    }
}
