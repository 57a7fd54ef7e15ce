//! Whether a release tells of the change: what a HelmRelease says of its success names the version of
//! its chart, and nothing of its values (rule P7).
//!
//! A change that reaches a release as a value would never be told, and its `notified` hop be waited
//! for in vain. Where it cannot be known by which way the change comes, nothing is refused.

use crate::model::{GroupKind, Landing, PackagedChart, Subject};
use crate::path::{Role, role, upstream_of};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the changes of a trigger may become part of.
#[derive(Clone, Copy, Debug)]
pub enum Feeds<'a> {
    /// What is fetched from a branch.
    Branch(&'a Landing),
    /// What is fetched from the branch that an automation commits to; nobody knows its name here.
    AnyBranch,
    /// What sources of this kind fetch.
    Kind(&'static str),
    /// A chart that the release takes.
    Chart,
}

/// Refuses to wait for what a release never tells: `hop` waits for its success, and the change is no
/// part of its chart.
///
/// # Errors
/// With the sentence why, when none of what the chart is made of can carry the change.
pub fn check_told(
    hop: &str,
    release: &Subject,
    objects: &BTreeMap<Subject, Value>,
    feeds: Feeds<'_>,
) -> Result<(), String> {
    // A notification says nothing of clusters.
    let same = |it: &&Subject| {
        it.kind == release.kind && it.namespace == release.namespace && it.name == release.name
    };
    let Some(release) = objects.keys().find(same) else { return Ok(()) };
    let mut made_of = vec![release];
    let mut open = vec![release];
    while let Some(subject) = open.pop() {
        let upstream = objects.get(subject).map(|it| upstream_of(subject, it)).unwrap_or_default();
        for needed in upstream.iter().filter(|it| role(&it.kind) == Some(Role::Source)) {
            let Some((known, _)) = objects.get_key_value(needed) else { return Ok(()) };
            if !made_of.contains(&known) {
                made_of.push(known);
                open.push(known);
            }
        }
    }
    let sources = &made_of[1..];
    if sources.is_empty() || sources.iter().any(|it| feeds.reaches(it, objects)) {
        return Ok(());
    }
    Err(format!(
        "hop `{hop}` waits for the notification of {release}, which names the version of its chart, \
         and the change comes to it as a value: leave the hop out, or give it the `kustomization` \
         that applies the values"
    ))
}

// === impl Feeds ===

impl Feeds<'_> {
    /// Whether the change may become part of what this source holds.
    fn reaches(self, source: &Subject, objects: &BTreeMap<Subject, Value>) -> bool {
        let object = objects.get(source).unwrap_or(&Value::Null);
        match self {
            Self::Chart => true,
            Self::Kind(kind) => source.kind == GroupKind::source(kind),
            Self::AnyBranch => source.kind == GroupKind::git_repository(),
            // With a chart of its own it is that which is made anew, or not.
            Self::Branch(landing) if source.kind == GroupKind::source("HelmChart") => {
                let from = upstream_of(source, object).into_iter().next();
                from.is_some_and(|from| {
                    let url = objects
                        .get(&from)
                        .map_or("", |it| it["spec"]["url"].as_str().unwrap_or(""));
                    let packaged = PackagedChart::of(source, object, &from, url);
                    let fetched = objects.get(&from).unwrap_or(&Value::Null);
                    from.kind == GroupKind::git_repository()
                        && landing.may_feed(&from, fetched)
                        && packaged.is_none_or(|it| it.holds(&landing.path))
                })
            }
            Self::Branch(landing) => {
                let packaged = objects.iter().any(|(chart, object)| {
                    chart.kind == GroupKind::source("HelmChart")
                        && upstream_of(chart, object).contains(source)
                });
                let may_feed = || landing.may_feed(source, object);
                source.kind == GroupKind::git_repository() && !packaged && may_feed()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn landing(path: &str) -> Landing {
        Landing {
            source: Some(Subject::local(GroupKind::git_repository(), "apps", "fleet")),
            url: "https://h/fleet".to_owned(),
            branch: "main".to_owned(),
            path: path.to_owned(),
            shared: false,
            replaces: false,
            signs_with: None,
        }
    }

    /// A release whose chart comes from a source of this kind.
    fn objects(kind: &str, strategy: &str) -> (Subject, BTreeMap<Subject, Value>) {
        let release = Subject::local(GroupKind::helm_release(), "apps", "web");
        let by = json!({"chartRef": {"kind": "HelmChart", "name": "web"}});
        let chart = Subject::local(GroupKind::source("HelmChart"), "apps", "web");
        let spec = json!({"chart": "./charts/web", "reconcileStrategy": strategy,
            "sourceRef": {"kind": kind, "name": "fleet"}});
        let source = Subject::local(GroupKind::source(kind), "apps", "fleet");
        let all = [
            (release.clone(), json!({ "spec": by })),
            (chart, json!({ "spec": spec })),
            (source, json!({"spec": {"url": "https://h/fleet", "ref": {"branch": "main"}}})),
        ];
        (release, all.into())
    }

    #[test]
    fn p7_a_release_tells_only_of_its_chart() {
        let told = |kind: &str, strategy: &str, feeds: Feeds<'_>| {
            let (release, objects) = objects(kind, strategy);
            check_told("notified", &release, &objects, feeds).is_ok()
        };
        let (values, chart) = (landing("apps/web.yaml"), landing("charts/web/values.yaml"));
        assert!(!told("HelmRepository", "ChartVersion", Feeds::Branch(&values)));
        assert!(!told("GitRepository", "ChartVersion", Feeds::Branch(&values)), "not of the chart");
        assert!(
            told("GitRepository", "Revision", Feeds::Branch(&values)),
            "made anew all the same"
        );
        assert!(told("GitRepository", "ChartVersion", Feeds::Branch(&chart)));
        assert!(!told("HelmRepository", "ChartVersion", Feeds::AnyBranch));
        assert!(told("GitRepository", "ChartVersion", Feeds::AnyBranch), "nobody knows");
        assert!(told("Bucket", "Revision", Feeds::Kind("Bucket")));
        assert!(!told("HelmRepository", "ChartVersion", Feeds::Kind("Bucket")));
        let (release, mut objects) = objects("HelmRepository", "ChartVersion");
        let why = check_told("told", &release, &objects, Feeds::AnyBranch).unwrap_err();
        assert!(
            why.starts_with("hop `told` waits for the notification of HelmRelease apps/web"),
            "{why}"
        );
        objects.remove(&release);
        let unknown = check_told("told", &release, &objects, Feeds::AnyBranch);
        assert_eq!(unknown, Ok(()), "what is not on the path is not known");
    }
}
