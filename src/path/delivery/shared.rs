//! Who else uses what the trigger pushes to (rules S1 and S2): each run wakes them too.

use crate::model::{ArtifactLanding, ClusterName, GroupKind, Landing, Subject};
use crate::path::delivery::reference::{Kinship, branch_of, kinship};
use crate::path::delivery::{CONSENT, Refusal, artifact, verify};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// The kinds whose objects have to be listed, where they are served: group and kind.
pub const KINDS: [(&str, &str); 12] = [
    ("source.toolkit.fluxcd.io", "GitRepository"),
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("notification.toolkit.fluxcd.io", "Alert"),
    ("image.toolkit.fluxcd.io", "ImageUpdateAutomation"),
    ("source.toolkit.fluxcd.io", "OCIRepository"),
    ("source.toolkit.fluxcd.io", "HelmRepository"),
    ("source.toolkit.fluxcd.io", "HelmChart"),
    ("source.toolkit.fluxcd.io", "Bucket"),
    ("source.extensions.fluxcd.io", "ArtifactGenerator"),
    ("image.toolkit.fluxcd.io", "ImagePolicy"),
    ("image.toolkit.fluxcd.io", "ImageRepository"),
];

/// Parts of a `spec` that may be long, and say nothing of who uses what.
const LONG: [&str; 5] = ["values", "postRenderers", "patches", "postBuild", "healthChecks"];

/// Everybody in some clusters who could use a source.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    pub(super) objects: Vec<(Subject, Value)>,
}

/// Whom each run wakes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Woken {
    /// Those that apply what a source holds.
    pub appliers: BTreeSet<Subject>,
    /// Those that tell people.
    pub alerts: BTreeSet<Subject>,
    /// Those that write new image tags.
    pub automations: BTreeSet<Subject>,
}

// === impl Neighbours ===

impl Neighbours {
    /// Adds the objects of one of [`KINDS`]. Only what is asked of them is kept: a release's values
    /// may be long.
    pub fn add(&mut self, cluster: &ClusterName, kind: &GroupKind, objects: Vec<Value>) {
        let named = objects.into_iter().map(|mut it| {
            let text = |field: &str| it["metadata"][field].as_str().unwrap_or_default().to_owned();
            let subject = Subject::local(kind.clone(), &text("namespace"), &text("name"));
            let subject = subject.in_cluster(cluster);
            let mut spec = it["spec"].take();
            if let Some(spec) = spec.as_object_mut() {
                spec.retain(|key, _| !LONG.contains(&key.as_str()));
            }
            let labels = it["metadata"]["labels"].take();
            let annotations = json!({ CONSENT: it["metadata"]["annotations"][CONSENT].take() });
            let metadata = json!({ "labels": labels, "annotations": annotations });
            (subject, json!({ "metadata": metadata, "spec": spec }))
        });
        self.objects.extend(named);
    }

    /// Whom a run wakes that pushes there.
    #[must_use]
    pub fn woken(&self, landing: &Landing) -> Woken {
        self.woken_by(&self.following(landing))
    }

    /// Whom a run wakes that pushes an artifact there.
    #[must_use]
    pub fn woken_by_artifact(&self, landing: &ArtifactLanding) -> Woken {
        self.woken_by(&self.fetching(landing))
    }

    /// Whom a new artifact of one of these sources wakes.
    #[must_use]
    pub fn woken_by(&self, ours: &BTreeSet<Subject>) -> Woken {
        let (mut woken, ours) = (Woken::default(), &self.made_of(ours));
        for (subject, object) in &self.objects {
            let spec = &object["spec"];
            let uses = |reference: &Value| names(ours, subject, reference);
            match subject.kind.kind.as_str() {
                "Kustomization" if uses(&spec["sourceRef"]) => {
                    woken.appliers.insert(subject.clone());
                }
                "HelmRelease"
                    if uses(&spec["chart"]["spec"]["sourceRef"]) || uses(&spec["chartRef"]) =>
                {
                    woken.appliers.insert(subject.clone());
                }
                "ImageUpdateAutomation" if automation_uses(ours, subject, spec) => {
                    woken.automations.insert(subject.clone());
                }
                "Alert" => {
                    let sources = spec["eventSources"].as_array().into_iter().flatten();
                    let labels = |it: &Value| self.labelled(ours, subject, it);
                    if sources.into_iter().any(|it| uses(it) || labels(it)) {
                        woken.alerts.insert(subject.clone());
                    }
                }
                _ => {}
            }
        }
        woken
    }

    /// Refuses a source that others use, unless the scenario says so. `path` are the appliers that
    /// it has on its path; without any, the source may have one.
    ///
    /// # Errors
    /// When it is shared and the scenario does not say so.
    pub fn check(&self, landing: &Landing, path: &BTreeSet<Subject>) -> Result<(), Refusal> {
        if landing.shared {
            return Ok(());
        }
        self.check_users(&self.following(landing), &landing.place(), "branch", path)
    }

    /// The same for the repository of an artifact.
    ///
    /// # Errors
    /// When it is shared and the scenario does not say so.
    pub fn check_artifact(
        &self,
        landing: &ArtifactLanding,
        path: &BTreeSet<Subject>,
    ) -> Result<(), Refusal> {
        if landing.shared {
            return Ok(());
        }
        self.check_users(&self.fetching(landing), &landing.place(), "repository", path)
    }

    /// Refuses a repository that a source fetches, on the path or not, which would not take our
    /// artifacts (rule S4).
    ///
    /// # Errors
    /// When there is such a source.
    pub fn check_artifact_verify(&self, landing: &ArtifactLanding) -> Result<(), Refusal> {
        let ours = self.fetching(landing);
        let sources = self.objects.iter().filter(|it| ours.contains(&it.0));
        sources.into_iter().try_for_each(|it| artifact::check_verify(&it.0, &it.1))
    }

    /// Refuses sources that others use than those on the path. `place` is what they follow, a
    /// `what`.
    ///
    /// # Errors
    /// When there are such.
    pub fn check_users(
        &self,
        sources: &BTreeSet<Subject>,
        place: &str,
        what: &str,
        path: &BTreeSet<Subject>,
    ) -> Result<(), Refusal> {
        let appliers = self.woken_by(sources).appliers;
        let others: Vec<_> = appliers.difference(path).collect();
        let own = usize::from(path.is_empty());
        if others.len() <= own {
            return Ok(());
        }
        Err(Refusal::new(
            "shared_source",
            format_args!(
                "{place} is also applied by {}, and each run would wake {}: give the canary a source, a \
                 {what} and an applier of its own, or say `shared: true`",
                listed(others.iter().copied()),
                if others.len() == 1 { "it" } else { "them" },
            ),
        ))
    }

    /// Refuses `replace` on a branch that an automation pushes to: its commits would be taken away.
    ///
    /// # Errors
    /// When there is such an automation.
    pub fn check_replace(&self, landing: &Landing) -> Result<(), Refusal> {
        let sources = self.sources(landing, |_, _| true);
        let pushes = |(subject, object): &&(Subject, Value)| {
            subject.kind.kind == "ImageUpdateAutomation"
                && automation_uses(&sources, subject, &object["spec"])
                && self.push_branch(subject, &object["spec"]).as_ref() == Some(&landing.branch)
        };
        match self.objects.iter().find(pushes).filter(|_| landing.replaces) {
            None => Ok(()),
            Some((automation, _)) => Err(Refusal::new(
                "automation_pushes",
                format_args!(
                    "{automation} pushes to {} too, and `replace` would take its commits away: give \
                     the canary a branch of its own, or use `append`",
                    landing.place()
                ),
            )),
        }
    }

    /// Refuses a branch that a source follows, on the path or not, which would not take our commits:
    /// it would deliver nothing any more (rule S4).
    ///
    /// # Errors
    /// When there is such a source.
    pub fn check_verify(&self, landing: &Landing) -> Result<(), Refusal> {
        let ours = self.following(landing);
        let sources = self.objects.iter().filter(|it| ours.contains(&it.0));
        sources.into_iter().try_for_each(|it| verify::check(&it.0, &it.1, landing.signs_with))
    }

    /// A source that follows the branch, on the path or not, and takes signed commits only.
    #[must_use]
    pub fn verifying(&self, landing: &Landing) -> Option<Subject> {
        let mut ours = self.following(landing).into_iter();
        ours.find(|ours| {
            self.objects.iter().any(|it| it.0 == *ours && it.1["spec"]["verify"].is_object())
        })
    }

    /// These sources, and what is made of them in the cluster: charts and composed artifacts.
    pub(super) fn made_of(&self, sources: &BTreeSet<Subject>) -> BTreeSet<Subject> {
        let mut all = sources.clone();
        loop {
            let known = all.len();
            for (subject, object) in &self.objects {
                let spec = &object["spec"];
                let list = |field: &str| spec[field].as_array().into_iter().flatten();
                match subject.kind.kind.as_str() {
                    "HelmChart" if names(&all, subject, &spec["sourceRef"]) => {
                        all.insert(subject.clone());
                    }
                    "ArtifactGenerator" if list("sources").any(|it| names(&all, subject, it)) => {
                        let made = list("artifacts").filter_map(|it| it["name"].as_str());
                        let kind = GroupKind::source("ExternalArtifact");
                        all.extend(made.map(|it| {
                            let made = Subject::local(kind.clone(), &subject.namespace, it);
                            made.in_cluster(&subject.cluster)
                        }));
                    }
                    _ => {}
                }
            }
            if all.len() == known {
                return all;
            }
        }
    }

    /// The sources that fetch the artifacts that we push; the trigger's own in any case.
    fn fetching(&self, landing: &ArtifactLanding) -> BTreeSet<Subject> {
        let oci = GroupKind::source("OCIRepository");
        let all = self.objects.iter().filter(|it| it.0.kind == oci);
        let ours =
            all.filter(|it| landing.is_ours(&it.0, &it.1) && landing.is_followed(&it.0, &it.1));
        ours.map(|it| it.0.clone()).chain(landing.source.clone()).collect()
    }

    /// The sources that follow our branch.
    pub(super) fn following(&self, landing: &Landing) -> BTreeSet<Subject> {
        self.sources(landing, |subject, object| {
            branch_of(subject, object).is_ok_and(|it| it == landing.branch)
        })
    }

    /// The sources of our repository that are so; the trigger's own in any case.
    fn sources(
        &self,
        landing: &Landing,
        are: impl Fn(&Subject, &Value) -> bool,
    ) -> BTreeSet<Subject> {
        let git = self.objects.iter().filter(|it| it.0.kind == GroupKind::git_repository());
        let same = git.filter(|(subject, object)| {
            kinship(&landing.url, object) == Kinship::Same && are(subject, object)
        });
        same.map(|it| it.0.clone()).chain(landing.source.clone()).collect()
    }

    /// The branch that an automation pushes to: its own, that of its checkout, or its source's.
    fn push_branch(&self, automation: &Subject, spec: &Value) -> Option<String> {
        let git = &spec["git"];
        let said = [&git["push"]["branch"], &git["checkout"]["ref"]["branch"]];
        if let Some(branch) = said.into_iter().find_map(Value::as_str) {
            return Some(branch.to_owned());
        }
        let named = |it: &&(Subject, Value)| {
            let only = BTreeSet::from([it.0.clone()]);
            automation_uses(&only, automation, spec)
        };
        let (subject, source) = self.objects.iter().find(named)?;
        branch_of(subject, source).ok()
    }

    /// Whether an event source picks one of the sources by `*` and labels.
    fn labelled(&self, ours: &BTreeSet<Subject>, alert: &Subject, event: &Value) -> bool {
        let namespace = event["namespace"].as_str().unwrap_or(&alert.namespace);
        let wanted = event["matchLabels"].as_object();
        event["name"] == "*"
            && self.objects.iter().any(|(subject, object)| {
                let labels = &object["metadata"]["labels"];
                let fits = || wanted.into_iter().flatten().all(|(key, it)| labels[key] == *it);
                let named = event["kind"] == subject.kind.kind.as_str();
                named && ours.contains(subject) && subject.namespace == namespace && fits()
            })
    }
}

// === impl Woken ===

impl Woken {
    /// Adds those whom it wakes elsewhere.
    pub fn extend(&mut self, other: Self) {
        self.appliers.extend(other.appliers);
        self.alerts.extend(other.alerts);
        self.automations.extend(other.automations);
    }
}

impl fmt::Display for Woken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |all: &BTreeSet<Subject>, one: &str, many: &str| match all.len() {
            0 => format!("no {one}"),
            1 => format!("1 {one} ({})", listed(all.iter())),
            some => format!("{some} {many} ({})", listed(all.iter())),
        };
        write!(
            f,
            "{}, {} and {}",
            count(&self.appliers, "applier", "appliers"),
            count(&self.alerts, "alert", "alerts"),
            count(&self.automations, "automation", "automations")
        )
    }
}

/// Whether a reference of an object names one of the sources.
pub(super) fn names(sources: &BTreeSet<Subject>, of: &Subject, reference: &Value) -> bool {
    let namespace = reference["namespace"].as_str().unwrap_or(&of.namespace);
    sources.iter().any(|it| {
        reference["kind"] == it.kind.kind.as_str()
            && reference["name"] == it.name.as_str()
            && namespace == it.namespace
            && of.cluster == it.cluster
    })
}

/// An automation's source is a GitRepository, said or not.
fn automation_uses(sources: &BTreeSet<Subject>, of: &Subject, spec: &Value) -> bool {
    let mut reference = spec["sourceRef"].clone();
    if reference["kind"].is_null() {
        reference["kind"] = "GitRepository".into();
    }
    names(sources, of, &reference)
}

/// The first few, and how many more.
pub(super) fn listed<'a>(all: impl Iterator<Item = &'a Subject>) -> String {
    const SHOWN: usize = 3;
    let all: Vec<_> = all.map(ToString::to_string).collect();
    let first = all[..all.len().min(SHOWN)].join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Signature;

    fn landing() -> Landing {
        Landing {
            source: Some(Subject::local(GroupKind::git_repository(), "flux-system", "apps")),
            url: "https://h/apps".to_owned(),
            branch: "main".to_owned(),
            path: "canary/a.yaml".to_owned(),
            shared: false,
            replaces: false,
            signs_with: None,
        }
    }

    fn object(name: &str, spec: &Value) -> Value {
        json!({"metadata": {"namespace": "flux-system", "name": name}, "spec": spec})
    }

    fn with(objects: &[(usize, Value)]) -> Neighbours {
        let mut all = Neighbours::default();
        for (kind, object) in objects {
            let (group, kind) = KINDS[*kind];
            all.add(&ClusterName::default(), &GroupKind::new(group, kind), vec![object.clone()]);
        }
        all
    }

    fn cluster() -> Neighbours {
        let apps = json!({"kind": "GitRepository", "name": "apps"});
        let git = |url: &str, branch: &str| json!({"url": url, "ref": {"branch": branch}});
        with(&[
            (0, object("apps", &git("https://h/apps.git", "main"))),
            (0, object("twin", &git("ssh://git@h/apps", "main"))),
            (0, object("prod", &git("https://h/apps", "prod"))),
            (1, object("one", &json!({"sourceRef": apps}))),
            (1, object("two", &json!({"sourceRef": {"kind": "GitRepository", "name": "twin"}}))),
            (1, object("prod", &json!({"sourceRef": {"kind": "GitRepository", "name": "prod"}}))),
            (1, object("oci", &json!({"sourceRef": {"kind": "OCIRepository", "name": "apps"}}))),
            (2, object("chart", &json!({"chart": {"spec": {"sourceRef": apps}}}))),
            (3, object("named", &json!({"eventSources": [apps]}))),
            (3, object("all", &json!({"eventSources": [{"kind": "GitRepository", "name": "*"}]}))),
            (3, object("none", &json!({"eventSources": [{"kind": "Kustomization", "name": "*"}]}))),
            (
                4,
                object(
                    "bot",
                    &json!({"sourceRef": {"name": "prod"}, "git": {"push": {"branch": "main"}}}),
                ),
            ),
            (4, object("own", &json!({"sourceRef": apps}))),
        ])
    }

    fn named(all: &BTreeSet<Subject>) -> Vec<&str> {
        all.iter().map(|it| it.name.as_str()).collect()
    }

    #[test]
    fn s1_a_run_wakes_whoever_uses_the_branch_through_any_source() {
        let woken = cluster().woken(&landing());
        assert_eq!(named(&woken.appliers), ["chart", "one", "two"]);
        assert_eq!(named(&woken.alerts), ["all", "named"]);
        assert_eq!(named(&woken.automations), ["own"]);
        let text = woken.to_string();
        assert!(text.starts_with("3 appliers (HelmRelease flux-system/chart, "), "{text}");
        assert!(
            text.ends_with("and 1 automation (ImageUpdateAutomation flux-system/own)"),
            "{text}"
        );
        let none = "no applier, no alert and no automation";
        assert_eq!(Woken::default().to_string(), none);
    }

    #[test]
    fn s1_a_run_wakes_whoever_applies_what_is_made_of_the_source() {
        let apps = json!({"kind": "GitRepository", "name": "apps"});
        let by = |kind: &str, name: &str| json!({"kind": kind, "name": name});
        let all = with(&[
            (7, object("chart", &json!({"chart": "web", "sourceRef": apps}))),
            (9, object("maker", &json!({"sources": [apps], "artifacts": [{"name": "made"}]}))),
            (2, object("web", &json!({"chartRef": by("HelmChart", "chart")}))),
            (1, object("made", &json!({"sourceRef": by("ExternalArtifact", "made")}))),
            (1, object("other", &json!({"sourceRef": by("ExternalArtifact", "other")}))),
        ]);
        assert_eq!(named(&all.woken(&landing()).appliers), ["web", "made"]);
    }

    #[test]
    fn s1_a_source_that_others_use_needs_shared() {
        let one = Subject::local(GroupKind::kustomization(), "flux-system", "one");
        let path = BTreeSet::from([one]);
        let refusal = cluster().check(&landing(), &path).unwrap_err();
        assert_eq!(refusal.reason, "shared_source");
        assert!(refusal.message.contains("Kustomization flux-system/two"), "{}", refusal.message);
        let shared = Landing { shared: true, ..landing() };
        assert_eq!(cluster().check(&shared, &path), Ok(()));
        let apps = json!({"sourceRef": {"kind": "GitRepository", "name": "apps"}});
        let alone = with(&[(1, object("one", &apps))]);
        assert_eq!(alone.check(&landing(), &path), Ok(()));
        assert_eq!(alone.check(&landing(), &BTreeSet::new()), Ok(()), "its one applier");
    }

    #[test]
    fn s4_an_unsigned_commit_must_not_stop_a_source_beside_the_path() {
        let spec = |branch: &str| json!({"url": "https://h/apps", "ref": {"branch": branch}, "verify": {"mode": "HEAD"}});
        let strict = with(&[(0, object("strict", &spec("main")))]);
        let refusal = strict.check_verify(&landing()).unwrap_err();
        assert_eq!(refusal.reason, "verify_unsatisfied");
        let signed = Landing { signs_with: Some(Signature::Ssh), ..landing() };
        assert_eq!(strict.check_verify(&signed), Ok(()));
        let elsewhere = with(&[(0, object("strict", &spec("prod")))]);
        assert_eq!(elsewhere.check_verify(&landing()), Ok(()));
    }

    #[test]
    fn s2_replace_is_refused_on_a_branch_that_an_automation_pushes_to() {
        let replace =
            |branch: &str| Landing { replaces: true, branch: branch.to_owned(), ..landing() };
        let refusal = cluster().check_replace(&replace("main")).unwrap_err();
        assert_eq!(refusal.reason, "automation_pushes");
        assert!(refusal.message.contains("flux-system/bot"), "{}", refusal.message);
        assert_eq!(cluster().check_replace(&replace("canary")), Ok(()));
        assert_eq!(cluster().check_replace(&landing()), Ok(()), "append takes nothing away");
    }
}
