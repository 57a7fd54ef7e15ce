//! Conditions of well-known objects, so that nobody has to find out how they say it.
//!
//! Sources: the projects' own API references. Where an object holds the change itself, or repeats
//! its revision, that is asked for; where it shows only a checksum of what it made, the first new
//! one since the push is taken.

use crate::hop::ConditionConfig;
use crate::model::{GroupKind, ObjectName, Subject};

/// A condition of a well-known object.
pub(super) struct Preset {
    /// The key in the scenario.
    pub(super) key: &'static str,
    /// The object.
    pub(super) subject: Subject,
    /// The expression.
    pub(super) expression: &'static str,
}

/// `status.phase` is Succeeded before as well as after; only the checksum of the promoted pod
/// template tells one promotion from the next.
const FLAGGER: &str = "object.status.phase == 'Succeeded' \
     && object.status.lastPromotedSpec == object.status.lastAppliedSpec \
     && object.status.lastPromotedSpec != change.before.status.lastPromotedSpec \
     && object.status.conditions.exists(it, it.type == 'Promoted' && it.status == 'True')";

/// Written as Flux's sources write their revisions, by older versions as `<branch>/<commit>`.
const TERRAFORM: &str = "change.revisions.exists(it, object.status.lastAppliedRevision == it \
     || ['/', ':', '@'].exists(mark, object.status.lastAppliedRevision.endsWith(mark + it)))";

/// `currentIdentifier` is the package of the revision that was installed last.
const CROSSPLANE: &str = "change.present \
     && object.status.currentIdentifier == object.spec.package \
     && object.status.conditions.exists(it, it.type == 'Installed' && it.status == 'True') \
     && object.status.conditions.exists(it, it.type == 'Healthy' && it.status == 'True')";

/// Ready at the object's own generation, which holds the change.
const READY: &str = "change.present \
     && object.status.conditions.exists(it, it.type == 'Ready' && it.status == 'True' \
     && it.observedGeneration == object.metadata.generation)";

/// The digest of the artifact that brings the distribution, or the spec.
const FLUX_INSTANCE: &str = "object.status.conditions.exists(it, it.type == 'Ready' \
     && it.status == 'True' && it.observedGeneration == object.metadata.generation) \
     && (change.present \
     || change.revisions.exists(it, object.status.lastArtifactRevision == it \
     || ['/', ':', '@'].exists(mark, object.status.lastArtifactRevision.endsWith(mark + it))))";

/// Only a checksum of all sources' revisions is shown.
const ARTIFACT_GENERATOR: &str = "object.status.observedSourcesDigest \
     != change.before.status.observedSourcesDigest \
     && object.status.conditions.exists(it, it.type == 'Ready' && it.status == 'True' \
     && it.observedGeneration == object.metadata.generation)";

/// The well-known objects that a scenario names.
pub(super) fn of(config: &ConditionConfig) -> Vec<Preset> {
    let provider = config.crossplane_provider.as_deref().map(|it| ObjectName::new("", it));
    let all = [
        ("flagger_canary", "flagger.app", "Canary", &config.flagger_canary, FLAGGER),
        ("terraform", "infra.contrib.fluxcd.io", "Terraform", &config.terraform, TERRAFORM),
        ("crossplane_provider", "pkg.crossplane.io", "Provider", &provider, CROSSPLANE),
        ("certificate", "cert-manager.io", "Certificate", &config.certificate, READY),
        ("resource_set", OPERATOR, "ResourceSet", &config.resource_set, READY),
        ("flux_instance", OPERATOR, "FluxInstance", &config.flux_instance, FLUX_INSTANCE),
        (
            "artifact_generator",
            "source.extensions.fluxcd.io",
            "ArtifactGenerator",
            &config.artifact_generator,
            ARTIFACT_GENERATOR,
        ),
    ];
    let named = all.into_iter().filter_map(|(key, group, kind, name, expression)| {
        let name = name.as_ref()?;
        let subject = Subject::local(GroupKind::new(group, kind), &name.namespace, &name.name);
        Some(Preset { key, subject, expression })
    });
    named.collect()
}

/// Group of Flux Operator.
const OPERATOR: &str = "fluxcd.controlplane.io";
