//! Pushes a new version of a Helm chart that Flux will choose: to an OCI registry, or with the index
//! of an HTTP repository whose files lie in a git branch or a bucket.
//!
//! The canary stands in the chart's annotations. Helm repeats these in the index and in the
//! manifest, so the latest canary there says where the lane's sequence stands, and nothing has to
//! be remembered between runs.

mod access;
mod archive;
mod branch;
mod bucket;
mod build;
mod chart;
mod choice;
mod config;
mod folder;
mod index;
mod lint;
mod registry;
mod shelf;
mod yaml;

use crate::model::{Ancestry, CanaryId, Revision};
use crate::trigger::Error;
use chart::{Chart, Package};
use choice::{Choice, comparable};

pub(super) use chart::bumped;
pub(super) use choice::later as later_version;
pub use config::{ChartBranch, ChartBucket, HelmChartConfig};

/// What is pushed, and for whom.
struct Aim {
    /// The installation that pushes.
    instance: String,
    /// The chart.
    chart: Chart,
    /// What chooses.
    choice: Choice,
    /// How many canaries stay.
    keep: usize,
}

/// The change that [`crate::trigger::Trigger::ancestry`] speaks of.
#[derive(Clone)]
struct Ours {
    canary: CanaryId,
    version: String,
}

// === impl Aim ===

impl Aim {
    /// The version that is to be pushed, above all these and that of the chart itself.
    fn next(&self, published: &[String], canary: &CanaryId) -> Result<String, Error> {
        let own = self.chart.version().map(comparable);
        let all: Vec<String> = published.iter().cloned().chain(own).collect();
        self.choice.next(&all, canary)
    }

    /// The chart as it is sent.
    fn package(&self, version: &str, canary: &CanaryId) -> Result<Package, Error> {
        let package = self.chart.package(version, canary);
        package.map_err(|it| unlintable(&format!("the chart `{}`", self.chart.name()), &it))
    }

    /// What another version means, which is this canary if it is one (rule T9).
    fn of_version(&self, ours: &Ours, version: &str, canary: Option<CanaryId>) -> Ancestry {
        let version = comparable(version);
        if version == ours.version || canary.as_ref() == Some(&ours.canary) {
            return Ancestry::Carries(Some(ours.canary.clone()));
        }
        let later = |it: &CanaryId| {
            it.instance() == ours.canary.instance() && it.sequence() > ours.canary.sequence()
        };
        match canary {
            Some(canary) if later(&canary) => Ancestry::Carries(Some(canary)),
            _ if self.choice.prefers(&version, &ours.version) => Ancestry::Gone,
            _ => Ancestry::NotYet,
        }
    }

    /// Refuses a lane on which another one's canary is the latest.
    fn check_lane(&self, place: &str, latest: Option<&CanaryId>) -> Result<(), Error> {
        match latest.filter(|it| it.instance() != self.instance) {
            None => Ok(()),
            Some(latest) => Err(Error {
                reason: "foreign_canary",
                message: format!(
                    "{place} holds a canary of instance `{}`: give each instance a chart of its own",
                    latest.instance()
                ),
            }),
        }
    }

    /// Refuses to let our own chart take the place of one that people install (rule S0): whatever
    /// that installs would be removed. `chosen` is what is taken now, and the canary that it is.
    fn check_content(
        &self,
        place: &str,
        chosen: Option<(&str, Option<CanaryId>)>,
    ) -> Result<(), Error> {
        let is_ours =
            |it: &Option<CanaryId>| it.as_ref().is_some_and(|it| it.instance() == self.instance);
        match chosen.filter(|it| self.chart.is_tiny() && !is_ours(&it.1)) {
            None => Ok(()),
            Some((version, _)) => Err(Error {
                reason: "replaces_content",
                message: format!(
                    "version `{version}`, which is taken from {place} now, is no canary, and a chart \
                     with nothing but a canary in it would remove all that it has installed: begin \
                     without versions, with a chart repository of its own, or give your own chart in \
                     `chart`"
                ),
            }),
        }
    }

    /// Refuses to write over an archive that no index names, unless it holds a canary of ours.
    fn check_archive(&self, place: &str, file: &str, archive: &[u8]) -> Result<(), Error> {
        if archive::is_canary_of(archive, &self.instance) {
            return Ok(());
        }
        Err(Error {
            reason: "version_taken",
            message: format!(
                "`{file}` lies there already, {place} does not name it, and it holds no canary of \
                 `{}`: remove it, or have the index name it",
                self.instance
            ),
        })
    }
}

// === impl Ours ===

impl Ours {
    fn is_sent_as(&self, revision: &Revision) -> bool {
        matches!(revision, Revision::Version(it) if *it == self.version)
    }
}

fn unlintable(what: &str, why: &lint::LintError) -> Error {
    Error { reason: "chart_does_not_lint", message: format!("{what} does not lint: {why}") }
}

fn taken(version: &str, place: &str) -> Error {
    Error {
        reason: "version_taken",
        message: format!(
            "version `{version}`, which would be chosen next, is in {place} already: somebody \
             pushed it just now; run again, and let only one scenario push the chart"
        ),
    }
}
