//! Pushes a commit that rewrites one file.
//!
//! The file's content is the canary; its last one on the branch says where the lane's sequence
//! stands, so nothing has to be remembered between runs.

pub(super) mod build;
mod config;
mod packaged;
mod retention;

use crate::model::{
    Ancestry, CanaryId, Findings, ObjectName, Revision, Survey, Tidied, Usage, When, conclude,
};
use crate::remote::git::{self, GitRemote, RemoteUrl};
use crate::trigger::{Error, Published, Sweep, Trigger, git_access};
use tokio::sync::Mutex;

pub(super) use build::content;
pub use config::{Author, GitCommitConfig, PushMode};
pub(super) use retention::{is_listed, listed_in, names};

/// What stands for the canary in a template.
pub const PLACEHOLDER: &str = "${canary}";

/// What the canary file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A ConfigMap of that name with the canary in an annotation and in its data.
    ConfigMap(ObjectName),
    /// This text, with [`PLACEHOLDER`] replaced by the canary.
    Template(String),
}

/// Pushes a commit that rewrites one file. See [`GitCommitConfig`].
pub struct GitCommit {
    remote: GitRemote,
    edit: EditTemplate,
    prepared: Mutex<Option<(CanaryId, git::Prepared)>>,
    /// Canary and commit of the change that [`Trigger::ancestry`] speaks of.
    ours: Mutex<Option<(CanaryId, String)>>,
}

/// What builds on the git host are told of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builds {
    /// There is nothing to build.
    Skipped,
    /// What they make of it is on the path (rule P10).
    Wanted,
}

/// Everything of a commit but its canary.
#[derive(Clone, Debug)]
pub struct EditTemplate {
    /// The installation that pushes.
    pub instance: String,
    /// File to rewrite.
    pub path: String,
    /// What builds on the git host are told.
    pub builds: Builds,
    /// What it holds.
    pub content: Content,
    /// The `Chart.yaml` whose version goes up with it, where a chart is packaged from the file.
    pub chart: Option<String>,
    /// How commits follow each other.
    pub mode: PushMode,
    /// Author and committer.
    pub author: Option<Author>,
    /// Further lines for the end of the commit message.
    pub trailers: Vec<String>,
}

// === impl GitCommit ===

impl GitCommit {
    /// Pushes to a branch of a repository.
    #[must_use]
    pub fn new(remote: GitRemote, edit: EditTemplate) -> Self {
        Self { remote, edit, prepared: Mutex::new(None), ours: Mutex::new(None) }
    }

    /// What another's commit tells: the canary in its tree, and how it is related to ours.
    async fn findings(&self, ours: &str, other: &str) -> Option<Findings> {
        let file = self.remote.tree_holds(other, &self.edit.path).await.ok()?;
        Some(Findings {
            canary: file.as_deref().and_then(latest_in),
            descends_from_ours: self.remote.descends(other, ours).await?,
            is_before_ours: self.remote.is_ancestor(other, ours).await.unwrap_or(false),
        })
    }

    /// Says that another writer is on our lane, if the branch holds a canary that is not older.
    fn check_lane(&self, canary: &CanaryId, latest: Option<CanaryId>) -> Result<(), Error> {
        let Some(latest) = latest else { return Ok(()) };
        let remote = self.remote.url();
        let branch = self.remote.branch();
        if latest.instance() != canary.instance() {
            return Err(Error {
                reason: "foreign_canary",
                message: format!(
                    "branch `{branch}` of `{remote}` holds a canary of instance `{}`: give each \
                     instance a branch or a file of its own",
                    latest.instance()
                ),
            });
        }
        if latest.sequence() >= canary.sequence() {
            return Err(Error {
                reason: "second_writer",
                message: format!(
                    "somebody else pushed canary `{latest}` to branch `{branch}` of `{remote}` \
                     during this run: let only one scenario write to a file"
                ),
            });
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Trigger for GitCommit {
    fn lane(&self) -> String {
        format!("{}#{}", self.remote.url().normalised(), self.remote.branch())
    }

    fn usage(&self) -> Usage {
        self.remote.usage()
    }

    async fn latest(&self) -> Result<Option<CanaryId>, Error> {
        // What is cached may be older than what others have pushed.
        self.remote.fetch_tip().await?;
        let file = self.remote.read_file(&self.edit.path).await?;
        let latest = file.as_deref().and_then(latest_in);
        Ok(latest.filter(|it| it.instance() == self.edit.instance))
    }

    async fn survey(&self, files: &[String]) -> Result<Option<Survey>, Error> {
        Ok(Some(self.remote.survey(files).await?))
    }

    async fn prepare(&self, canary: &CanaryId) -> Result<Vec<Revision>, Error> {
        let file = self.remote.read_file(&self.edit.path).await?;
        self.check_lane(canary, file.as_deref().and_then(latest_in))?;
        let prepared = self.remote.prepare(self.edit.for_canary(canary)).await?;
        let revisions = revisions_of(&prepared);
        *self.ours.lock().await = Some((canary.clone(), prepared.commit.clone()));
        *self.prepared.lock().await = Some((canary.clone(), prepared));
        Ok(revisions)
    }

    async fn publish(
        &self,
        announce: &(dyn Fn(Vec<Revision>) + Send + Sync),
    ) -> Result<Published, Error> {
        let mut slot = self.prepared.lock().await;
        let (canary, prepared) = slot.clone().ok_or_else(|| Error {
            reason: "not_prepared",
            message: "a change must be prepared before it is published".to_owned(),
        })?;
        let (mut last, mut lane, mut attempts) = (prepared.clone(), Ok(()), 1);
        let agree = |again: &git::Prepared| {
            lane = self.check_lane(&canary, again.replaced.as_deref().and_then(latest_in));
            if lane.is_ok() {
                announce(revisions_of(again));
                last = again.clone();
                attempts += 1;
            }
            lane.is_ok()
        };
        let sent = self.remote.publish_if(prepared, agree).await;
        // Somebody who moved the branch may have been on our lane.
        lane?;
        let published = match sent {
            Ok(it) => {
                Published { sent: it.sent, zero: When::at(it.acknowledged), attempts: it.attempts }
            }
            Err(git::PublishError::NoAnswer { commit, sent, why, .. }) => {
                git_access::after_no_answer(&self.remote, &commit, &why).await?;
                let zero = When::between(sent, self.remote.now());
                Published { sent, zero, attempts }
            }
            Err(git::PublishError::Failed(error)) => return Err(error.into()),
            Err(withdrawn @ git::PublishError::Withdrawn) => {
                let (reason, message) = (withdrawn.reason(), withdrawn.to_string());
                return Err(Error { reason, message });
            }
        };
        *self.ours.lock().await = Some((canary.clone(), last.commit.clone()));
        *slot = Some((canary, last));
        Ok(published)
    }

    async fn recover(
        &self,
        canary: &CanaryId,
        revisions: &[Revision],
    ) -> Result<Option<Vec<Revision>>, Error> {
        let tip = self.remote.fetch_tip().await?;
        let file = self.remote.read_file(&self.edit.path).await?;
        let shown = file.as_deref().and_then(latest_in);
        let mut found = None;
        for revision in revisions {
            let Revision::Commit(commit) = revision else { continue };
            if *commit == tip || self.remote.descends(&tip, commit).await == Some(true) {
                found = Some(commit.clone());
            }
        }
        // An attempt that was made again bears a commit that nobody has written down.
        let ours = found.or_else(|| (shown.as_ref() == Some(canary)).then_some(tip));
        *self.ours.lock().await = ours.clone().map(|it| (canary.clone(), it));
        Ok(ours.map(|it| vec![Revision::Commit(it)]))
    }

    async fn ancestry(&self, revision: &Revision) -> Ancestry {
        let Revision::Commit(other) = revision else { return Ancestry::Unknown };
        let Some((canary, ours)) = self.ours.lock().await.clone() else {
            return Ancestry::Unknown;
        };
        let Some(found) = self.findings(&ours, other).await else { return Ancestry::Unknown };
        let tip = match self.remote.fetch_tip().await {
            _ if found.carries(&canary) || found.is_before_ours => None,
            Ok(tip) => self.findings(&ours, &tip).await,
            Err(_) => None,
        };
        conclude(&canary, &found, || tip)
    }

    async fn tidy(&self, how: &Sweep) -> Result<Tidied, Error> {
        self.give_up(how).await
    }
}

/// Whether an address is a sound one over ssh, in either of its forms.
#[must_use]
pub fn is_over_ssh(url: &str) -> bool {
    RemoteUrl::parse(url).is_ok_and(|(url, _)| url.is_over_ssh())
}

// === impl EditTemplate ===

impl EditTemplate {
    fn for_canary(&self, canary: &CanaryId) -> git::Edit {
        let content = Some(self.content.for_canary(canary).into_bytes());
        git::Edit { content, ..self.edit(self.message(canary)) }
    }

    /// A commit that leaves the file as it is.
    fn edit(&self, message: String) -> git::Edit {
        let author = self.author.clone().unwrap_or_else(|| Author {
            name: "hopclock".to_owned(),
            email: "hopclock@localhost".to_owned(),
        });
        git::Edit {
            path: self.path.clone(),
            content: None,
            message,
            author: git::Author { name: author.name, email: author.email },
            mode: match &self.mode {
                PushMode::Append => git::Mode::Append,
                PushMode::Replace { base } => {
                    git::Mode::Replace { base: base.clone(), trailer: self.lane_trailer() }
                }
            },
            further: self.chart.iter().map(|it| packaged::raising(it)).collect(),
        }
    }

    /// Subject, and trailers: by the lane's a later run knows its own commits again (rule S2).
    fn message(&self, canary: &CanaryId) -> String {
        self.message_of(&format!("canary {canary}"), Some(format!("Hopclock-Canary: {canary}")))
    }

    fn message_of(&self, subject: &str, first: Option<String>) -> String {
        let mut trailers = Vec::from_iter(first);
        trailers.push(self.lane_trailer());
        trailers.extend(self.trailers.iter().cloned());
        let mark = if self.builds == Builds::Skipped { " [skip ci]" } else { "" };
        format!("{subject}{mark}\n\n{}\n", trailers.join("\n"))
    }

    fn lane_trailer(&self) -> String {
        format!("Hopclock-Instance: {}", self.instance)
    }
}

// === impl Content ===

impl Content {
    /// The text for one canary.
    pub(super) fn for_canary(&self, canary: &CanaryId) -> String {
        match self {
            Self::ConfigMap(ObjectName { namespace, name }) => format!(
                "# Written by hopclock; each run replaces it.\n\
                 apiVersion: v1\n\
                 kind: ConfigMap\n\
                 metadata:\n  name: {name}\n  namespace: {namespace}\n  annotations:\n    \
                 hopclock.dev/canary: {canary}\n\
                 data:\n  canary: {canary}\n"
            ),
            Self::Template(text) => text.replace(PLACEHOLDER, &canary.to_string()),
        }
    }
}

// === impl Error ===

impl From<git::Error> for Error {
    fn from(error: git::Error) -> Self {
        Self { reason: error.reason(), message: error.to_string() }
    }
}

fn revisions_of(prepared: &git::Prepared) -> Vec<Revision> {
    vec![Revision::Commit(prepared.commit.clone())]
}

/// The latest canary in a file.
pub(super) fn latest_in(file: &[u8]) -> Option<CanaryId> {
    CanaryId::find_in(&String::from_utf8_lossy(file)).max_by_key(CanaryId::sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(content: Content) -> EditTemplate {
        EditTemplate {
            instance: "team-a".to_owned(),
            path: "canary.yaml".to_owned(),
            builds: Builds::Skipped,
            content,
            chart: None,
            mode: PushMode::Append,
            author: None,
            trailers: vec!["Signed-off-by: Ann <ann@example.org>".to_owned()],
        }
    }

    #[test]
    fn a_commit_names_its_canary_and_its_lane() {
        let canary = CanaryId::new("team-a", 0x1a1_fbe6_7da8);
        let content = Content::Template("run: ${canary} # ${canary}\n".to_owned());
        let edit = template(content).for_canary(&canary);
        assert_eq!(edit.content.unwrap(), b"run: team-a-1a1fbe67da8 # team-a-1a1fbe67da8\n");
        assert_eq!(
            edit.message,
            "canary team-a-1a1fbe67da8 [skip ci]\n\n\
             Hopclock-Canary: team-a-1a1fbe67da8\n\
             Hopclock-Instance: team-a\n\
             Signed-off-by: Ann <ann@example.org>\n"
        );
    }

    #[test]
    fn p10_a_commit_that_has_to_be_built_does_not_say_otherwise() {
        let content = Content::Template("${canary}".to_owned());
        let edit = EditTemplate { builds: Builds::Wanted, ..template(content) };
        assert!(!edit.for_canary(&CanaryId::new("team-a", 1)).message.contains("skip ci"));
    }

    #[test]
    fn the_config_map_holds_the_canary_where_live_looks() {
        let canary = CanaryId::new("team-a", 0x1a1_fbe6_7da8);
        let content = Content::ConfigMap(ObjectName::new("hopclock", "canary"));
        let file = template(content).for_canary(&canary).content.unwrap();
        assert_eq!(latest_in(&file), Some(canary));
        assert!(String::from_utf8(file).unwrap().contains("\n  namespace: hopclock\n"));
    }
}
