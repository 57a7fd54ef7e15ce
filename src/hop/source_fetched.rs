//! A Flux source holds an artifact of the change.
//!
//! Keyed on `status.artifact.revision`: `Ready=True` is written in an earlier patch than the
//! revision it is ready for (rule T5). What a source was made of, where it says so, counts as
//! well: the commit behind an OCI artifact (rule P10), the revision from which a chart was packaged.

use crate::hop::{Detector, Kind, Objects, Place, Traits, chart, request};
use crate::model::{
    Carried, Change, Failure, FailureSort, GroupKind, ObjectName, Reached, Revision, Sighting,
    SourceKind, State, Subject, Via, flux,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The annotation in which an OCI artifact names the commit that it was made of.
const ORIGIN: &str = "org.opencontainers.image.revision";

/// The source whose artifact carries the change: one key, naming the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceFetchedConfig {
    /// A GitRepository: its `status.artifact.revision` carries the change.
    GitRepository(ObjectName),
    /// An OCIRepository: its artifact has our digest, or was made of our commit.
    OciRepository(ObjectName),
    /// A Bucket: the first new artifact since the upload, confirmed by what becomes live.
    Bucket(ObjectName),
    /// A HelmRepository over HTTP: the first new index since the upload, confirmed by the chart's
    /// version. One of type `oci` is refused: Flux never fetches it.
    HelmRepository(ObjectName),
    /// A HelmChart: its artifact has our version, or was packaged from our revision.
    HelmChart(ObjectName),
    /// An ExternalArtifact: it repeats our revision, or is the first new one since the push.
    ExternalArtifact(ObjectName),
}

/// See [`SourceFetchedConfig`].
#[derive(Clone, Copy, Debug)]
pub struct SourceFetched(pub SourceKind);

// === impl SourceFetchedConfig ===

impl SourceFetchedConfig {
    fn source(&self) -> (SourceKind, &'static str, &ObjectName) {
        match self {
            Self::GitRepository(it) => (SourceKind::Git, "GitRepository", it),
            Self::OciRepository(it) => (SourceKind::Oci, "OCIRepository", it),
            Self::Bucket(it) => (SourceKind::Bucket, "Bucket", it),
            Self::HelmRepository(it) => (SourceKind::HelmRepository, "HelmRepository", it),
            Self::HelmChart(it) => (SourceKind::HelmChart, "HelmChart", it),
            Self::ExternalArtifact(it) => (SourceKind::External, "ExternalArtifact", it),
        }
    }
}

impl Kind for SourceFetchedConfig {
    fn traits(&self) -> Traits {
        let place = match self {
            Self::HelmChart(_) => Place::Chart,
            _ => Place::Fetch,
        };
        Traits { kind: "source_fetched", place, required: true }
    }

    fn subject(&self) -> Option<Subject> {
        let (_, kind, it) = self.source();
        Some(Subject::local(GroupKind::source(kind), &it.namespace, &it.name))
    }

    /// Whether Flux fetches a HelmRepository at all, only the object itself tells.
    fn reads_subject(&self) -> bool {
        matches!(self, Self::HelmRepository(_))
    }

    fn detector(&self, objects: &Objects) -> Result<Arc<dyn Detector>, String> {
        let (kind, _, name) = self.source();
        let object = self.subject().and_then(|it| objects.get(&it));
        if object.is_some_and(|it| it["spec"]["type"] == "oci") {
            return Err(format!(
                "HelmRepository {name} is of type `oci`, and those have no artifact, for Flux never \
                 fetches them: wait for the HelmChart (`helm_chart`), or use an OCIRepository"
            ));
        }
        Ok(Arc::new(SourceFetched(kind)))
    }
}

// === impl SourceFetched ===

impl SourceFetched {
    /// Whose revision the source holds, if it carries the change.
    fn carried(self, now: &State, change: &Change) -> Option<Carried> {
        let own = artifact_revision(now);
        match self.0 {
            SourceKind::HelmChart => {
                let packaged = || change.carried(&packaged_from(now)?);
                // An announced version tells a new chart from an old one of the same source.
                chart::carried(change, own)
                    .or_else(|| packaged().filter(|_| !change.sends_version()))
            }
            SourceKind::Oci => {
                let by_commit = origin_revision(now).and_then(|it| change.carried(&it));
                by_commit.or_else(|| change.carried_in(own, self.0))
            }
            _ => artifact_revisions(now).into_iter().find_map(|it| change.carried_in(it, self.0)),
        }
    }

    /// Who woke it: a chart is also woken by a new artifact of its source, and a composed artifact
    /// by nothing else (rule T11).
    fn via(self, past: &[State], now: &State) -> Via {
        if self.0 == SourceKind::External {
            return Via::Upstream;
        }
        let via = request::via(past, now);
        let source = |it: &State| it.value["status"]["observedSourceArtifactRevision"].clone();
        let moved = past.last().is_some_and(|before| source(before) != source(now));
        if self.0 == SourceKind::HelmChart && via == Via::Interval && moved {
            return Via::Upstream;
        }
        via
    }
}

impl Detector for SourceFetched {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        if let Some(carried) = self.carried(now, change) {
            return Sighting::Reached(Reached {
                started: request::started(past, now),
                via: Some(self.via(past, now)),
                carried,
                ..Reached::at(now.when)
            });
        }
        trouble(past, now, change)
    }

    fn revisions(&self, now: &State) -> Vec<Revision> {
        let texts = artifact_revisions(now).into_iter().filter_map(Value::as_str);
        let own = texts.filter_map(|it| self.0.revision(it));
        let made_of = match self.0 {
            SourceKind::Oci => origin_revision(now),
            SourceKind::HelmChart => packaged_from(now),
            _ => None,
        };
        // Only of a commit a remote of ours could tell more.
        own.chain(made_of.filter(|it| matches!(it, Revision::Commit(_)))).collect()
    }

    /// The digest of an artifact that was made of our commit; the version of a chart that was
    /// packaged from it; the index in which our version stands.
    fn learns(&self, past: &[State], now: &State, change: &Change) -> Vec<Revision> {
        let certain = |it: Option<Revision>| {
            it.and_then(|it| change.carried(&it)).is_some_and(|it| it.is_certain())
        };
        let version = artifact_revision(now);
        let taught = match self.0 {
            SourceKind::Oci if certain(origin_revision(now)) => {
                version.as_str().and_then(|it| self.0.revision(it))
            }
            SourceKind::HelmChart
                if certain(version.as_str().and_then(|it| self.0.revision(it))) =>
            {
                packaged_from(now).filter(|it| matches!(it, Revision::Digest(_)))
            }
            SourceKind::HelmChart if certain(packaged_from(now)) => {
                // The same version of another revision was not packaged anew.
                let stood = |it: &State| {
                    artifact_revision(it) == version && packaged_from(it) != packaged_from(now)
                };
                chart::made(version).filter(|_| !past.iter().any(stood))
            }
            _ => None,
        };
        taught.into_iter().collect()
    }

    /// Nobody can compute beforehand what a bucket, an index or a composed artifact will be called.
    fn supposes(&self, revision: &Revision, change: &Change) -> bool {
        match self.0 {
            SourceKind::Bucket | SourceKind::HelmRepository => !change.sends_sort_of(revision),
            SourceKind::External => matches!(revision, Revision::Digest(_)),
            SourceKind::Git | SourceKind::Oci | SourceKind::HelmChart => false,
        }
    }

    fn knows_better(&self, change: &Change) -> bool {
        self.0 == SourceKind::HelmChart && change.sends_version()
    }

    fn has_lost(&self, now: &State, change: &Change) -> bool {
        if self.0 == SourceKind::HelmChart && !change.sends_version() {
            return packaged_from(now).is_some_and(|it| change.is_stranger(&it));
        }
        artifact_revisions(now).into_iter().all(|it| change.is_lost_in(it, self.0))
    }
}

/// What a source says while it does not hold the change. Its failures name no revision.
pub(super) fn trouble(past: &[State], now: &State, change: &Change) -> Sighting {
    if flux::is_suspended(&now.value) {
        return Sighting::Suspended;
    }
    let stalled = flux::has_stalled(past, now, change.began());
    match flux::condition(&now.value, "Ready") {
        Some(ready) if ready.status == "False" => Sighting::Failing(Failure {
            reason: ready.reason.to_owned(),
            sort: FailureSort::OfAny,
            stalled,
        }),
        Some(ready) if ready.status == "Unknown" => Sighting::Progress,
        _ => Sighting::NotYet,
    }
}

pub(super) fn artifact_revision(state: &State) -> &Value {
    &state.value["status"]["artifact"]["revision"]
}

/// The commit that a text names as the origin of an OCI artifact: as Flux writes it, or bare as
/// most builds do.
pub(super) fn origin(text: &Value) -> Option<Revision> {
    let text = text.as_str()?;
    let bare = text.len() == 40 && text.chars().all(|it| it.is_ascii_hexdigit());
    let commit = || bare.then(|| Revision::Commit(text.to_owned()));
    SourceKind::Git.revision(text).or_else(commit)
}

/// The commit that an OCI artifact was made of.
fn origin_revision(state: &State) -> Option<Revision> {
    origin(&state.value["status"]["artifact"]["metadata"][ORIGIN])
}

/// The revision of its source that a chart was packaged from.
fn packaged_from(state: &State) -> Option<Revision> {
    let kind = state.value["spec"]["sourceRef"]["kind"].as_str().and_then(SourceKind::of)?;
    kind.revision(state.value["status"]["observedSourceArtifactRevision"].as_str()?)
}

/// What the source holds: a revision of its own, and one of each source that it includes (rule P8).
fn artifact_revisions(state: &State) -> Vec<&Value> {
    let included = state.value["status"]["includedArtifacts"].as_array().into_iter().flatten();
    std::iter::once(artifact_revision(state)).chain(included.map(|it| &it["revision"])).collect()
}
