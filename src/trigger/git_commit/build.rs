//! Builds a `git_commit`: finds its repository, its credentials, its key and what it writes.

use crate::model::{GroupKind, Landing, ObjectName, ProbeError, RevisionSort, Subject};
use crate::trigger::git_commit::{
    Builds, Content, EditTemplate, GitCommit, GitCommitConfig, PushMode, packaged,
};
use crate::trigger::{Built, Destination, Kind, Site, git_access, signing, unusable};
use std::sync::Arc;

// === impl GitCommitConfig ===

#[async_trait::async_trait]
impl Kind for GitCommitConfig {
    fn announces(&self) -> RevisionSort {
        RevisionSort::Commit
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    async fn build(&self, site: &dyn Site) -> Result<Built, ProbeError> {
        let wanted = git_access::Wanted {
            source: self.source.as_ref(),
            url: self.url.as_deref(),
            branch: self.branch.as_deref(),
            default_branch: "main",
            auth: self.push_auth.as_ref().or(self.auth.as_ref()),
            ca_file: self.ca_file.as_deref(),
        };
        let access = git_access::resolve(site, &wanted).await?;
        let remote = access.open(site).await?;
        let signer = match &self.signing {
            Some(signing) => Some(signing::signer(site, signing).await?),
            None => None,
        };
        let edit = EditTemplate {
            instance: site.instance().to_owned(),
            path: self.path.clone(),
            builds: if site.is_built() { Builds::Wanted } else { Builds::Skipped },
            content: content(self.template.as_deref(), site)?,
            chart: packaged::chart_of(self, remote.url(), site.charts())?,
            mode: self.mode.clone(),
            author: self.author.clone(),
            trailers: self.trailers.clone(),
        };
        let source = self.source.as_ref();
        let landing = Landing {
            source: source
                .map(|it| Subject::local(GroupKind::git_repository(), &it.namespace, &it.name)),
            url: remote.url().to_string(),
            branch: remote.branch().to_owned(),
            path: self.path.clone(),
            shared: self.shared,
            replaces: self.mode != PushMode::Append,
            signs_with: self.signing.as_ref().map(signing::Signing::signature),
        };
        let remote = match &signer {
            Some(signer) => remote.signed_by(signer.clone()),
            None => remote,
        };
        Ok(Built {
            trigger: Arc::new(GitCommit::new(remote, edit)),
            destination: Destination::Branch(Box::new(landing), signer),
        })
    }
}

/// What is written: the template, else the ConfigMap that the scenario waits for.
pub(in crate::trigger) fn content(
    template: Option<&str>,
    site: &dyn Site,
) -> Result<Content, ProbeError> {
    if let Some(text) = template {
        return Ok(Content::Template(text.to_owned()));
    }
    let config_map = GroupKind::new("", "ConfigMap");
    let live = site.live().iter().find(|it| it.kind == config_map);
    let name = live.map(|it| ObjectName::new(&it.namespace, &it.name)).ok_or_else(|| {
        unusable(format!(
            "scenario `{}` needs a `template`, for no ConfigMap of it becomes live",
            site.scenario()
        ))
    })?;
    Ok(Content::ConfigMap(name))
}
