//! Builds an `image_tag` or `image_digest`: finds its policy, its repository and the branches that automations read.

use crate::model::image_policy::ImagePolicy;
use crate::model::{
    GitBranch, GroupKind, ImageLanding, ObjectName, ProbeError, RevisionSort, Subject, flux,
};
use crate::remote::git::GitRemote;
use crate::trigger::image_tag::{Aim, Book, ImageDigestConfig, ImageTag, ImageTagConfig, Making};
use crate::trigger::{Built, Destination, Kind, RegistryAuth, Site, registry_access, unusable};
use serde_json::Value;
use std::sync::Arc;

// === impl ImageTagConfig ===

#[async_trait::async_trait]
impl Kind for ImageTagConfig {
    fn announces(&self) -> RevisionSort {
        RevisionSort::Tag
    }

    async fn build(&self, site: &dyn Site) -> Result<Built, ProbeError> {
        let making = match &self.retag {
            Some(tag) => Making::Retag(tag.clone()),
            None => Making::Image,
        };
        let keep = usize::try_from(self.keep).unwrap_or(usize::MAX);
        build(site, &self.policy, self.push_auth.as_ref(), making, keep).await
    }
}

// === impl ImageDigestConfig ===

#[async_trait::async_trait]
impl Kind for ImageDigestConfig {
    fn announces(&self) -> RevisionSort {
        RevisionSort::Digest
    }

    async fn build(&self, site: &dyn Site) -> Result<Built, ProbeError> {
        build(site, &self.policy, self.push_auth.as_ref(), Making::SameTag, usize::MAX).await
    }
}

async fn build(
    site: &dyn Site,
    name: &ObjectName,
    push_auth: Option<&RegistryAuth>,
    making: Making,
    keep: usize,
) -> Result<Built, ProbeError> {
    let subject = Subject::local(GroupKind::image("ImagePolicy"), &name.namespace, &name.name);
    let object = site.object(&subject).await?;
    let reference = &object["spec"]["imageRepositoryRef"];
    let scanner = Subject::local(
        GroupKind::image("ImageRepository"),
        reference["namespace"].as_str().unwrap_or(&name.namespace),
        reference["name"].as_str().unwrap_or_default(),
    );
    let scanned = site.object(&scanner).await?;
    let policy = ImagePolicy::read(&object["spec"], &scanned["spec"]).map_err(|it| {
        let reason = it.reason().to_owned();
        ProbeError { reason, message: format!("{subject}: {it}") }
    })?;
    if making == Making::SameTag && object["spec"]["digestReflectionPolicy"] != "Always" {
        return Err(unusable(format!(
            "{subject} never looks at the digest of a tag again: set its \
             `spec.digestReflectionPolicy` to `Always`, with a `spec.interval`, or use `image_tag`"
        )));
    }
    let registry = registry_access::open(site, &scanner, &scanned, push_auth).await?;
    let landing = ImageLanding {
        policy: subject,
        repository: registry.repository().normalised(),
        is_empty: !matches!(making, Making::Retag(_)),
    };
    let instance = site.instance().to_owned();
    let aim = Aim { instance, policy, name: name.clone(), making, keep };
    let books = books(site, name, &object).await?;
    let trigger = ImageTag::new(registry, aim, books, site.clock());
    Ok(Built { trigger: Arc::new(trigger), destination: Destination::Image(landing) })
}

/// The branches that those automations read, and write to, that select the policy.
async fn books(
    site: &dyn Site,
    policy: &ObjectName,
    object: &Value,
) -> Result<Vec<Book>, ProbeError> {
    let kind = GroupKind::image("ImageUpdateAutomation");
    let labels = &object["metadata"]["labels"];
    let mut books: Vec<Book> = Vec::new();
    for automation in site.all(&kind, &policy.namespace).await? {
        let spec = &automation["spec"];
        if !flux::selects(&spec["policySelector"], labels) {
            continue;
        }
        let name = automation["metadata"]["name"].as_str().unwrap_or_default();
        let reference = &spec["sourceRef"];
        let Some(repository) = reference["name"].as_str() else {
            return Err(unusable(format!(
                "ImageUpdateAutomation {}/{name} names no `spec.sourceRef`: mend it",
                policy.namespace
            )));
        };
        let namespace = reference["namespace"].as_str().unwrap_or(&policy.namespace);
        let checkout = spec["git"]["checkout"]["ref"]["branch"].as_str();
        let branch = GitBranch::subject(&ObjectName::new(namespace, repository), checkout);
        let remote: GitRemote = site.branch(&branch).await?;
        let folder = spec["update"]["path"].as_str().unwrap_or_default();
        let folder = folder.trim_start_matches("./").trim_matches('/').to_owned();
        books.push(Book { remote, folder });
    }
    Ok(books)
}
