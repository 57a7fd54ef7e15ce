//! Whether a chart may be published, and would be taken (rules S0, S1 and S4).

use crate::model::{ChartLanding, GroupKind, Subject};
use crate::path::delivery::{Neighbours, Refusal, artifact};
use serde_json::Value;
use std::collections::BTreeSet;

// === impl Neighbours ===

impl Neighbours {
    /// Whose status may name a version of the chart that is in use: the releases that take it, what
    /// Flux fetches for them, and the sources of the same repository.
    #[must_use]
    pub fn having(&self, landing: &ChartLanding) -> BTreeSet<Subject> {
        let mut all = BTreeSet::new();
        for (subject, object) in &self.objects {
            let spec = &object["spec"];
            if subject.kind == GroupKind::helm_release() && takes(landing, subject, spec) {
                all.extend(fetched_for(subject, spec));
                all.insert(subject.clone());
            }
            let is_source = subject.kind == GroupKind::source("OCIRepository");
            if is_source && landing.place.contains(&format!("`{}`", artifact::address(object))) {
                all.insert(subject.clone());
            }
        }
        all
    }
}

/// Refuses a chart that has to be signed: hopclock makes no provenance, and what is not verified is
/// not installed, nor is anything after it.
///
/// # Errors
/// When one of these objects verifies the chart.
pub fn check_chart_verify(objects: &[(&Subject, &Value)]) -> Result<(), Refusal> {
    for (subject, object) in objects {
        let spec = &object["spec"];
        let verifies = spec["verify"].is_object() || spec["chart"]["spec"]["verify"].is_object();
        if verifies {
            return Err(Refusal::new(
                "verify_unsatisfied",
                format_args!(
                    "{subject} takes only signed charts (`verify`), and the trigger signs none, so \
                     one of ours would stop all delivery to it: name a release that verifies nothing"
                ),
            ));
        }
    }
    Ok(())
}

/// Whether an object takes charts from there: what it installs would be the canary.
pub(super) fn takes(landing: &ChartLanding, subject: &Subject, spec: &Value) -> bool {
    let names = |reference: &Value, chart: Option<&Value>| {
        let kind = reference["kind"].as_str().unwrap_or("HelmRepository");
        let namespace = reference["namespace"].as_str().unwrap_or(&subject.namespace);
        let name = reference["name"].as_str().unwrap_or_default();
        let named = Subject::local(GroupKind::source(kind), namespace, name);
        let same = chart.is_none_or(|it| it == landing.chart.as_str());
        same && (named == landing.source || landing.takers.contains(&named))
    };
    let chart = &spec["chart"]["spec"];
    match subject.kind.kind.as_str() {
        "HelmRelease" if spec["chartRef"].is_object() => names(&spec["chartRef"], None),
        "HelmRelease" if chart.is_object() => names(&chart["sourceRef"], Some(&chart["chart"])),
        "Kustomization" => spec["sourceRef"].is_object() && names(&spec["sourceRef"], None),
        _ => false,
    }
}

/// The HelmChart that Flux makes for a release, if it makes one.
fn fetched_for(release: &Subject, spec: &Value) -> Option<Subject> {
    let reference = spec["chart"]["spec"]["sourceRef"].as_object()?;
    let namespace = reference.get("namespace").and_then(Value::as_str);
    let namespace = namespace.unwrap_or(&release.namespace);
    let name = format!("{}-{}", release.namespace, release.name);
    let chart = Subject::local(GroupKind::source("HelmChart"), namespace, &name);
    Some(chart.in_cluster(&release.cluster))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClusterName;
    use serde_json::json;

    fn of(kind: &str, name: &str) -> Subject {
        Subject::local(GroupKind::source(kind), "flux-system", name)
    }

    fn landing() -> ChartLanding {
        ChartLanding {
            chart: "canary".to_owned(),
            source: of("HelmRepository", "charts"),
            takers: vec![of("HelmChart", "canary")],
            place: "the chart repository `h/charts/canary`".to_owned(),
            shared: false,
        }
    }

    #[test]
    fn s4_a_chart_that_has_to_be_signed_is_not_published() {
        let release = Subject::local(GroupKind::helm_release(), "apps", "web");
        let signed = json!({"spec": {"chart": {"spec": {"verify": {"provider": "cosign"}}}}});
        let refusal = check_chart_verify(&[(&release, &signed)]).unwrap_err();
        assert_eq!(refusal.reason, "verify_unsatisfied");
        assert!(refusal.message.starts_with("HelmRelease apps/web"), "{}", refusal.message);
        let signed = json!({"spec": {"verify": {"provider": "notation"}}});
        assert!(check_chart_verify(&[(&of("OCIRepository", "a"), &signed)]).is_err());
        assert_eq!(check_chart_verify(&[(&release, &json!({"spec": {}}))]), Ok(()));
    }

    #[test]
    fn s1_who_installs_the_chart_is_told_from_who_installs_another_of_the_repository() {
        let release = Subject::local(GroupKind::helm_release(), "flux-system", "web");
        let from = |kind: &str, name: &str, chart: &str| json!({"chart": {"spec": {"chart": chart, "sourceRef": {"kind": kind, "name": name}}}});
        assert!(takes(&landing(), &release, &from("HelmRepository", "charts", "canary")));
        assert!(!takes(&landing(), &release, &from("HelmRepository", "charts", "web")));
        assert!(!takes(&landing(), &release, &from("HelmRepository", "others", "canary")));
        let by = |kind: &str, name: &str| json!({"chartRef": {"kind": kind, "name": name}});
        assert!(takes(&landing(), &release, &by("HelmChart", "canary")));
        assert!(!takes(&landing(), &release, &by("OCIRepository", "canary")));
    }
    #[test]
    fn s3_whoever_may_have_a_version_is_asked_before_it_goes() {
        let named = |name: &str, spec: Value| json!({"metadata": {"namespace": "flux-system", "name": name}, "spec": spec});
        let from = |chart: &str| json!({"chart": {"spec": {"chart": chart, "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}});
        let releases = vec![named("web", from("canary")), named("else", from("other"))];
        let oci = |url: &str| json!({ "url": url });
        let sources =
            vec![named("same", oci("oci://H/charts/canary")), named("no", oci("oci://h/charts"))];
        let (mut all, home) = (Neighbours::default(), ClusterName::default());
        all.add(&home, &GroupKind::helm_release(), releases);
        all.add(&home, &GroupKind::source("OCIRepository"), sources);
        let release = Subject::local(GroupKind::helm_release(), "flux-system", "web");
        let expected = [release, of("HelmChart", "flux-system-web"), of("OCIRepository", "same")];
        assert_eq!(all.having(&landing()), expected.into());
    }
}
