//! Builds an `oci_artifact`: finds its repository, its tag or range, and what it writes.

use crate::model::image_policy::ImagePolicy;
use crate::model::{ArtifactLanding, GroupKind, ProbeError, RevisionSort, Subject};
use crate::trigger::git_commit::content;
use crate::trigger::oci_artifact::{Aim, OciArtifact, OciArtifactConfig, Tags};
use crate::trigger::{Built, Destination, Kind, Site, registry_access};
use serde_json::{Value, json};
use std::sync::Arc;

/// The tag that an OCIRepository follows unless it says otherwise.
const DEFAULT: &str = "latest";

// === impl OciArtifactConfig ===

#[async_trait::async_trait]
impl Kind for OciArtifactConfig {
    fn announces(&self) -> RevisionSort {
        RevisionSort::Digest
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    async fn build(&self, site: &dyn Site) -> Result<Built, ProbeError> {
        let named = self.source.as_ref();
        let oci = || GroupKind::source("OCIRepository");
        let source = named.map(|it| Subject::local(oci(), &it.namespace, &it.name));
        let (registry, tags) = if let Some(subject) = &source {
            let object = site.object(subject).await?;
            let auth = self.push_auth.as_ref();
            let registry = registry_access::open(site, subject, &object, auth).await?;
            (registry, tags_of(subject, &object["spec"]["ref"])?)
        } else {
            let url = self.url.as_deref().unwrap_or_default();
            let (auth, ca_file) = (self.auth.as_ref(), self.ca_file.as_deref());
            let registry =
                registry_access::open_by_hand(site, url, self.insecure, auth, ca_file).await?;
            let tag = self.tag.clone().unwrap_or_else(|| DEFAULT.to_owned());
            (registry, Tags::One(tag))
        };
        let landing = ArtifactLanding {
            source,
            repository: registry.repository().normalised(),
            tag: match &tags {
                Tags::One(tag) => Some(tag.clone()),
                Tags::Versions { .. } => None,
            },
            path: self.path.clone(),
            shared: self.shared,
        };
        let aim = Aim {
            instance: site.instance().to_owned(),
            tags,
            path: self.path.clone(),
            content: content(self.template.as_deref(), site)?,
            keep: usize::try_from(self.keep).unwrap_or(usize::MAX),
        };
        let trigger = OciArtifact::new(registry, aim, site.clock());
        Ok(Built { trigger: Arc::new(trigger), destination: Destination::Artifact(landing) })
    }
}

/// What an OCIRepository follows: a range before a tag. That it follows a digest, the proof says.
fn tags_of(subject: &Subject, reference: &Value) -> Result<Tags, ProbeError> {
    let text = |field: &str| reference[field].as_str().filter(|it| !it.is_empty());
    let Some(range) = text("semver") else {
        return Ok(Tags::One(text("tag").unwrap_or(DEFAULT).to_owned()));
    };
    let filter = text("semverFilter").map(|it| json!({ "pattern": it }));
    let policy = json!({"policy": {"semver": {"range": range}}, "filterTags": filter});
    let policy = ImagePolicy::read(&policy, &json!({"exclusionList": []}));
    let policy = policy.map_err(|it| ProbeError {
        reason: it.reason().to_owned(),
        message: format!("{subject}: {it}"),
    })?;
    Ok(Tags::Versions { policy: Box::new(policy), of: subject.to_string() })
}
