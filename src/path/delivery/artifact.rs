//! Whether an OCI artifact that is pushed there would be fetched and applied (rules P7 and S4).
//!
//! An artifact is replaced as a whole, so what a canary's holds is known: its one file. Nothing has to
//! be read from the registry to prove that it arrives.

use crate::model::{ArtifactLanding, GroupKind, Subject};
use crate::path::delivery::applier::{self, Applier};
use crate::path::delivery::kustomization::Files;
use crate::path::delivery::{MOST_ROUNDS, Pipeline, Refusal, ignored};
use serde_json::Value;
use std::collections::BTreeMap;

/// The media type of the layer that `flux push artifact` makes, and so do we.
const LAYER: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";

/// The tag that is followed where none is named.
const DEFAULT: &str = "latest";

// === impl ArtifactLanding ===

impl ArtifactLanding {
    /// The repository, as messages name it.
    #[must_use]
    pub fn place(&self) -> String {
        format!("the repository `{}`", self.repository)
    }

    /// Whether an OCIRepository is certainly one of our repository.
    #[must_use]
    pub(super) fn is_ours(&self, subject: &Subject, object: &Value) -> bool {
        self.source.as_ref() == Some(subject) || address(object) == self.repository
    }

    /// Whether an OCIRepository of our repository fetches what is pushed.
    pub(super) fn is_followed(&self, subject: &Subject, object: &Value) -> bool {
        self.source.as_ref() == Some(subject) || check_reference(self, subject, object).is_ok()
    }

    /// Whether it is certainly another repository: one of the same host. Another host may be
    /// another name of ours.
    fn is_other(&self, subject: &Subject, object: &Value) -> bool {
        let theirs = address(object);
        let host = |it: &str| it.split('/').next().unwrap_or_default().to_owned();
        !self.is_ours(subject, object) && host(&theirs) == host(&self.repository)
    }
}

// === impl Pipeline ===

impl Pipeline<'_> {
    /// The sources whose consent counts: they fetch what is pushed.
    #[must_use]
    pub fn consenting_to_artifact(&self, landing: &ArtifactLanding) -> Vec<(&Subject, &Value)> {
        let all = self.objects.iter().filter(|it| it.0.kind == oci());
        let ours = all.filter(|it| landing.is_ours(it.0, it.1) && landing.is_followed(it.0, it.1));
        let mut ours: Vec<_> = ours.collect();
        // A command that gives consent names the trigger's own source first.
        ours.sort_by_key(|it| landing.source.as_ref() != Some(it.0));
        ours
    }

    /// Proves that an artifact is fetched and applied.
    ///
    /// # Errors
    /// With the first reason why it would not be.
    pub fn prove_artifact(&self, landing: &ArtifactLanding) -> Result<(), Refusal> {
        let none = Value::Null;
        let object = |it: &Subject| self.objects.get(it).unwrap_or(&none);
        for subject in landing.source.iter().chain(&self.sources) {
            check_source(landing, subject, object(subject))?;
        }
        let mut appliers = Vec::new();
        for subject in &self.appliers {
            let applying = object(subject);
            let another = || applier::another_source(subject, applying);
            let source = applier::source_of_kind(subject, applying, &oci()).ok_or_else(another)?;
            match check_source(landing, &source, object(&source)) {
                Err(refusal) if refusal.reason == "another_repository" => return Err(another()),
                checked => checked?,
            }
            // What its inventory names came from the artifact that is replaced, and proves nothing.
            appliers.push(Applier::new(subject, applying, &landing.path, &[]));
        }
        let mut read = Files::new();
        for _ in 0..MOST_ROUNDS {
            let wanted = applier::judge(&appliers, &read)?;
            if wanted.is_empty() {
                break;
            }
            // There is no other file beside the canary.
            read.extend(wanted.into_iter().map(|it| (it, None)));
        }
        Ok(())
    }
}

/// Refuses an OCIRepository that does not fetch what is pushed, or not the file in it.
fn check_source(
    landing: &ArtifactLanding,
    subject: &Subject,
    object: &Value,
) -> Result<(), Refusal> {
    if landing.is_other(subject, object) {
        return Err(Refusal::new(
            "another_repository",
            format_args!(
                "{subject} is fetched from another repository than `{}`, which the trigger pushes \
                 to: let both name the same one",
                landing.repository
            ),
        ));
    }
    check_reference(landing, subject, object)?;
    check_verify(subject, object)?;
    let selector = &object["spec"]["layerSelector"];
    if let Some(wanted) = selector["mediaType"].as_str().filter(|it| !it.is_empty() && *it != LAYER)
    {
        return Err(Refusal::new(
            "layer_not_selected",
            format_args!(
                "{subject} selects a layer of type `{wanted}`, and the trigger's artifact has one of \
                 type `{LAYER}`: remove its `spec.layerSelector.mediaType`, or name another source"
            ),
        ));
    }
    if selector["operation"] == "copy" {
        // What is copied is not looked into.
        return Ok(());
    }
    let ignore = object["spec"]["ignore"].as_str();
    ignored::check(subject, ignore, &BTreeMap::new(), &landing.path)
}

/// Refuses an OCIRepository that verifies signatures: this version makes none, and an unsigned
/// artifact stops all delivery from the repository.
pub(super) fn check_verify(subject: &Subject, object: &Value) -> Result<(), Refusal> {
    let verify = &object["spec"]["verify"];
    if !verify.is_object() {
        return Ok(());
    }
    let provider = verify["provider"].as_str().unwrap_or("cosign");
    Err(Refusal::new(
        "verify_unsatisfied",
        format_args!(
            "{subject} takes only artifacts that are signed ({provider}), and the trigger signs \
             none, so one of ours would stop all delivery from its repository: name a source \
             without `spec.verify`"
        ),
    ))
}

fn check_reference(
    landing: &ArtifactLanding,
    subject: &Subject,
    object: &Value,
) -> Result<(), Refusal> {
    let text = |field: &str| object["spec"]["ref"][field].as_str().filter(|it| !it.is_empty());
    if let Some(digest) = text("digest") {
        return Err(Refusal::new(
            "pinned_digest",
            format_args!(
                "{subject} is pinned to `{digest}`, so it never fetches another artifact: remove its \
                 `spec.ref.digest`, or name another source"
            ),
        ));
    }
    let (followed, pushed) = match (text("semver"), &landing.tag) {
        // Which versions they are, the trigger's own source says.
        (Some(_), None) => return Ok(()),
        (Some(range), Some(tag)) => (format!("versions `{range}`"), format!("the tag `{tag}`")),
        (None, None) => {
            (format!("the tag `{}`", text("tag").unwrap_or(DEFAULT)), "new versions".to_owned())
        }
        (None, Some(tag)) if text("tag").unwrap_or(DEFAULT) == tag => return Ok(()),
        (None, Some(tag)) => {
            let followed = text("tag").unwrap_or(DEFAULT);
            (format!("the tag `{followed}`"), format!("the tag `{tag}`"))
        }
    };
    Err(Refusal::new(
        "another_tag",
        format_args!(
            "{subject} follows {followed}, and the trigger pushes {pushed}: let both name the same"
        ),
    ))
}

/// Host (with a port that is not the scheme's own) and path of an OCIRepository.
pub(super) fn address(object: &Value) -> String {
    let url = object["spec"]["url"].as_str().unwrap_or_default();
    let rest = url.strip_prefix("oci://").unwrap_or(url).trim_end_matches('/');
    let Some((host, path)) = rest.split_once('/') else { return rest.to_owned() };
    let host = host.to_ascii_lowercase();
    let own_port = if object["spec"]["insecure"] == true { ":80" } else { ":443" };
    let host = match host.strip_suffix(own_port).unwrap_or(&host) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    };
    format!("{host}/{path}")
}

fn oci() -> GroupKind {
    GroupKind::source("OCIRepository")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn source(name: &str) -> Subject {
        Subject::local(oci(), "flux-system", name)
    }

    fn landing(tag: Option<&str>) -> ArtifactLanding {
        ArtifactLanding {
            source: Some(source("app")),
            repository: "ghcr.io/team/app".to_owned(),
            tag: tag.map(str::to_owned),
            path: "canary.yaml".to_owned(),
            shared: false,
        }
    }

    fn prove(spec: Value, path: &str, tag: Option<&str>) -> Result<(), &'static str> {
        let mut spec = spec;
        spec["url"] = "oci://GHCR.io:443/team/app".into();
        let applier = Subject::local(GroupKind::kustomization(), "flux-system", "app");
        let reference = json!({"kind": "OCIRepository", "name": "app"});
        let objects = BTreeMap::from([
            (source("app"), json!({ "spec": spec })),
            (applier.clone(), json!({"spec": {"path": path, "sourceRef": reference}})),
        ]);
        let pipeline = Pipeline {
            objects: &objects,
            sources: vec![source("app")],
            appliers: vec![applier],
            live: Vec::new(),
        };
        pipeline.prove_artifact(&landing(tag)).map_err(|it| it.reason)
    }

    #[test]
    fn p7_a_source_that_follows_the_tag_or_the_versions_delivers() {
        let latest = Some("latest");
        assert_eq!(prove(json!({}), "./", latest), Ok(()), "Flux's default");
        assert_eq!(prove(json!({"ref": {"tag": "latest"}}), "", latest), Ok(()));
        assert_eq!(prove(json!({"ref": {"semver": "1.x", "tag": "x"}}), "", None), Ok(()));
        let ours = json!({"layerSelector": {"mediaType": LAYER, "operation": "extract"}});
        assert_eq!(prove(ours, "", latest), Ok(()));
    }

    #[test]
    fn p7_what_is_never_fetched_or_applied_is_refused() {
        let latest = Some("latest");
        for (spec, path, tag, reason) in [
            (json!({"ref": {"digest": "sha256:00", "tag": "latest"}}), "", latest, "pinned_digest"),
            (json!({"ref": {"tag": "v1"}}), "", latest, "another_tag"),
            (json!({"ref": {"semver": "1.x", "tag": "latest"}}), "", latest, "another_tag"),
            (json!({}), "", None, "another_tag"),
            (json!({"layerSelector": {"mediaType": "a/b"}}), "", latest, "layer_not_selected"),
            (json!({"ignore": "/*.yaml"}), "", latest, "ignored"),
            (json!({"verify": {"provider": "notation"}}), "", latest, "verify_unsatisfied"),
            (json!({}), "./apps", latest, "outside_applier"),
        ] {
            assert_eq!(prove(spec.clone(), path, tag), Err(reason), "{spec}");
        }
        let copied = json!({"ignore": "/*.yaml", "layerSelector": {"operation": "copy"}});
        assert_eq!(prove(copied, "", latest), Ok(()), "nothing is left out of a copy");
    }

    #[test]
    fn p7_another_repository_of_the_same_host_is_certainly_another() {
        let of = |url: &str| json!({"spec": {"url": url}});
        let landing = landing(Some("latest"));
        assert!(landing.is_ours(&source("x"), &of("oci://ghcr.io/team/app/")));
        assert!(landing.is_other(&source("x"), &of("oci://ghcr.io/team/other")));
        let mirror = of("oci://mirror.example.org/team/app");
        assert!(
            !landing.is_ours(&source("x"), &mirror) && !landing.is_other(&source("x"), &mirror)
        );
        assert_eq!(address(&of("oci://index.docker.io/team/app")), "docker.io/team/app");
    }
}
