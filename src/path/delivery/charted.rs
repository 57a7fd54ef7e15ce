//! Whether a chart may be published, and would be taken (rules P7, S0, S1 and S4).
//!
//! Who takes it is told by addresses: a second HelmRepository of the same URL gives the same charts,
//! and an OCIRepository may fetch what others take through a HelmRepository.

use crate::model::{BucketLanding, ChartFiles, ChartLanding, GroupKind, Subject};
use crate::path::delivery::shared::{Neighbours, Woken, listed, names};
use crate::path::delivery::{Refusal, verify};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What an object looks at: itself, and its `spec`.
type Of<'a> = (&'a Subject, &'a Value);

// === impl Neighbours ===

impl Neighbours {
    /// Those that are read for a path anyway.
    #[must_use]
    pub fn on_path(objects: &BTreeMap<Subject, Value>) -> Self {
        Self { objects: objects.iter().map(|it| (it.0.clone(), it.1.clone())).collect() }
    }

    /// Refuses hops that never see the chart: they would wait for the deadline (rule P7).
    ///
    /// # Errors
    /// With the first of them.
    pub fn check_chart_hops(
        &self,
        landing: &ChartLanding,
        hops: &[Subject],
    ) -> Result<(), Refusal> {
        let holding = self.holding_chart(landing);
        let sees = |hop: &Subject| {
            let object = self.objects.iter().find(|it| it.0 == *hop);
            let spec = object.map_or(&Value::Null, |it| &it.1["spec"]);
            match hop.kind.kind.as_str() {
                // What is composed of charts, nobody can prove beforehand (rule P10).
                "ExternalArtifact" => true,
                "HelmRepository" => {
                    hop == &landing.source
                        || address(text(spec, "url"), "") == address(&landing.url, "")
                }
                _ => {
                    holding.contains(hop)
                        || landing.takers.contains(hop)
                        || self.takes(landing, &holding, (hop, spec))
                }
            }
        };
        let Some(blind) = hops.iter().find(|it| !sees(it)) else { return Ok(()) };
        let taker = landing.takers.first().unwrap_or(&landing.source);
        Err(Refusal::new(
            "another_chart",
            format_args!(
                "{blind} never takes the chart `{}` of {}, which the trigger publishes for {taker}: \
                 let both name the same release, or leave this hop out",
                landing.chart, landing.source
            ),
        ))
    }

    /// Refuses a chart that has to be signed: hopclock makes no provenance, and what is not
    /// verified is not installed, nor is anything after it. So does a branch whose commits have to
    /// be (rule S4). Whoever takes it is asked, on the path or not.
    ///
    /// # Errors
    /// When somebody verifies the chart, or the branch.
    pub fn check_chart_verify(&self, landing: &ChartLanding) -> Result<(), Refusal> {
        let holding = self.holding_chart(landing);
        for (subject, object) in &self.objects {
            let spec = &object["spec"];
            let ours = holding.contains(subject)
                || landing.takers.contains(subject)
                || *subject == landing.source
                || self.takes(landing, &holding, (subject, spec));
            let verifies =
                spec["verify"].is_object() || spec["chart"]["spec"]["verify"].is_object();
            if ours && verifies {
                return Err(Refusal::new(
                    "verify_unsatisfied",
                    format_args!(
                        "{subject} takes only signed charts (`verify`), and the trigger signs none, \
                         so one of ours would stop all delivery to it: name a release that \
                         verifies nothing"
                    ),
                ));
            }
        }
        let ChartFiles::Branch(branch) = &landing.files else { return Ok(()) };
        let following = self.following(branch);
        let sources = self.objects.iter().filter(|it| following.contains(&it.0));
        sources.into_iter().try_for_each(|it| verify::check(&it.0, &it.1, branch.signs_with))
    }

    /// Whom a run wakes that publishes a chart there.
    #[must_use]
    pub fn woken_by_chart(&self, landing: &ChartLanding) -> Woken {
        let holding = self.holding_chart(landing);
        let takes = |it: &&(Subject, Value)| self.takes(landing, &holding, (&it.0, &it.1["spec"]));
        let appliers = self.objects.iter().filter(takes).map(|it| it.0.clone());
        let appliers: BTreeSet<_> = appliers.collect();
        let told_of = appliers.iter().chain([&landing.source]).cloned();
        let mut woken = self.woken_by(&told_of.chain(holding).collect());
        woken.appliers = appliers;
        match &landing.files {
            ChartFiles::Registry => {}
            ChartFiles::Branch(branch) => woken.extend(self.woken(branch)),
            ChartFiles::Bucket(bucket) => woken.extend(self.woken_by(&self.reading(bucket))),
        }
        woken
    }

    /// Refuses a chart that others install, and a branch or bucket that others use, unless the
    /// scenario says so. `path` are the appliers that it has on its path.
    ///
    /// # Errors
    /// When it is shared and the scenario does not say so.
    pub fn check_chart(
        &self,
        landing: &ChartLanding,
        path: &BTreeSet<Subject>,
    ) -> Result<(), Refusal> {
        if landing.shared {
            return Ok(());
        }
        let own: BTreeSet<_> = path.iter().chain(&landing.takers).cloned().collect();
        let holding = self.holding_chart(landing);
        let takes = |it: &&(Subject, Value)| self.takes(landing, &holding, (&it.0, &it.1["spec"]));
        let appliers = self.objects.iter().filter(takes).map(|it| &it.0);
        let others: Vec<_> = appliers.filter(|it| !own.contains(it)).collect();
        if !others.is_empty() {
            return Err(Refusal::new(
                "shared_source",
                format_args!(
                    "{} is also installed by {}, and each run would give {} the canary: give it a \
                     chart of its own, or say `shared: true`",
                    landing.place,
                    listed(others.iter().copied()),
                    if others.len() == 1 { "it" } else { "them" },
                ),
            ));
        }
        match &landing.files {
            ChartFiles::Registry => Ok(()),
            ChartFiles::Branch(it) => {
                self.check_users(&self.following(it), &it.place(), "branch", &own)
            }
            ChartFiles::Bucket(it) => {
                self.check_users(&self.reading(it), &it.place, "bucket", &own)
            }
        }
    }

    /// The sources that read the branch or bucket of a chart repository: their consent counts there.
    #[must_use]
    pub fn reading_files(&self, files: &ChartFiles) -> Vec<(&Subject, &Value)> {
        let reading = match files {
            ChartFiles::Registry => BTreeSet::new(),
            ChartFiles::Branch(branch) => self.following(branch),
            ChartFiles::Bucket(bucket) => self.reading(bucket),
        };
        let all = self.objects.iter().filter(|it| reading.contains(&it.0));
        all.map(|it| (&it.0, &it.1)).collect()
    }

    /// The Buckets that read what lies beside a key.
    fn reading(&self, landing: &BucketLanding) -> BTreeSet<Subject> {
        let folder = landing.key.rsplit_once('/').map_or(String::new(), |it| format!("{}/", it.0));
        let all = self.objects.iter().filter(|(subject, object)| {
            let prefix = text(&object["spec"], "prefix");
            landing.is_ours(subject, object)
                && (landing.key.starts_with(prefix) || prefix.starts_with(&folder))
        });
        all.map(|it| it.0.clone()).collect()
    }

    /// What holds the chart in the cluster: each `HelmChart` and `OCIRepository` of it, and what is
    /// composed of them.
    fn holding_chart(&self, landing: &ChartLanding) -> BTreeSet<Subject> {
        let ours = address_of(landing);
        let holds = |(subject, object): &&(Subject, Value)| {
            let spec = &object["spec"];
            match subject.kind.kind.as_str() {
                "OCIRepository" => address(text(spec, "url"), "") == ours,
                "HelmChart" => self.is_chart(landing, (subject, spec)),
                _ => false,
            }
        };
        let all = self.objects.iter().filter(holds).map(|it| it.0.clone());
        let own = landing.takers.iter().chain([&landing.source]);
        let own = own.filter(|it| matches!(it.kind.kind.as_str(), "HelmChart" | "OCIRepository"));
        self.made_of(&all.chain(own.cloned()).collect())
    }

    /// Whose status may name a version of the chart that is in use: the releases that take it, what
    /// Flux fetches for them, and whatever holds it.
    #[must_use]
    pub fn having(&self, landing: &ChartLanding) -> BTreeSet<Subject> {
        let mut all = self.holding_chart(landing);
        let holding = all.clone();
        for (subject, object) in &self.objects {
            let spec = &object["spec"];
            if self.takes(landing, &holding, (subject, spec)) {
                all.extend(fetched_for(subject, spec));
                all.insert(subject.clone());
            }
        }
        all
    }

    /// Whether an object takes charts from there: what it installs would be the canary.
    fn takes(&self, landing: &ChartLanding, holding: &BTreeSet<Subject>, of: Of<'_>) -> bool {
        let (subject, spec) = of;
        let chart = &spec["chart"]["spec"];
        match subject.kind.kind.as_str() {
            "HelmRelease" if spec["chartRef"].is_object() => {
                names(holding, subject, &spec["chartRef"])
            }
            "HelmRelease" if chart.is_object() => self.is_chart(landing, (subject, chart)),
            "Kustomization" => names(holding, subject, &spec["sourceRef"]),
            _ => false,
        }
    }

    /// Whether a chart, as a HelmChart or a release describes it, is the one that is published.
    fn is_chart(&self, landing: &ChartLanding, of: Of<'_>) -> bool {
        let (subject, spec) = of;
        let reference = &spec["sourceRef"];
        if reference["kind"].as_str().is_some_and(|it| it != "HelmRepository") {
            return false;
        }
        let namespace = reference["namespace"].as_str().unwrap_or(&subject.namespace);
        let kind = GroupKind::source("HelmRepository");
        let named = Subject::local(kind, namespace, text(reference, "name"));
        let named = named.in_cluster(&subject.cluster);
        let known = self.objects.iter().find(|it| it.0 == named);
        let url = match known {
            _ if named == landing.source => &landing.url,
            Some((_, object)) => text(&object["spec"], "url"),
            None => return false,
        };
        address(url, text(spec, "chart")) == address_of(landing)
    }
}

/// The address of the chart; none that can be read means none that others have.
fn address_of(landing: &ChartLanding) -> Option<String> {
    let is_whole = landing.source.kind == GroupKind::source("OCIRepository");
    address(&landing.url, if is_whole { "" } else { &landing.chart })
}

/// One name for all spellings of the address of a chart in a repository.
fn address(url: &str, chart: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |it| it.1).to_ascii_lowercase();
    let bare = host.strip_suffix(":443").or(host.strip_suffix(":80")).unwrap_or(&host);
    let sort = if scheme.eq_ignore_ascii_case("oci") { "oci" } else { "http" };
    let parts = path.split('/').chain(chart.split('/')).filter(|it| !it.is_empty());
    Some(format!("{sort}://{bare}/{}", parts.collect::<Vec<_>>().join("/")))
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
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
    use crate::model::Landing;
    use serde_json::json;

    fn of(kind: &str, name: &str) -> Subject {
        let kind = match kind {
            "HelmRelease" => GroupKind::helm_release(),
            "Kustomization" => GroupKind::kustomization(),
            kind => GroupKind::source(kind),
        };
        Subject::local(kind, "flux-system", name)
    }

    fn landing(url: &str, files: ChartFiles) -> ChartLanding {
        ChartLanding {
            chart: "canary".to_owned(),
            source: of("HelmRepository", "charts"),
            takers: vec![of("HelmRelease", "canary")],
            place: "the chart `canary`".to_owned(),
            url: url.to_owned(),
            files,
            shared: false,
        }
    }

    fn registry() -> ChartLanding {
        landing("oci://h.example.com/charts", ChartFiles::Registry)
    }

    fn with(all: &[(&str, &str, Value)]) -> Neighbours {
        let all = all.iter().map(|(kind, name, spec)| (of(kind, name), json!({ "spec": spec })));
        Neighbours::on_path(&all.collect())
    }

    fn template(repository: &str, chart: &str) -> Value {
        json!({"chart": chart, "sourceRef": {"kind": "HelmRepository", "name": repository}})
    }

    fn by(kind: &str, name: &str) -> Value {
        json!({"kind": kind, "name": name})
    }

    #[test]
    fn s1_who_installs_the_chart_is_told_by_its_address_and_not_by_names() {
        let neighbours = with(&[
            ("HelmRepository", "twin", json!({"url": "oci://H.example.com:443/charts/"})),
            ("HelmRepository", "root", json!({"url": "oci://h.example.com"})),
            ("HelmRepository", "others", json!({"url": "oci://h.example.com/prod"})),
            ("HelmChart", "by-twin", template("twin", "canary")),
            ("OCIRepository", "same", json!({"url": "oci://h.example.com/charts/canary"})),
            ("OCIRepository", "other", json!({"url": "oci://h.example.com/charts/web"})),
            ("HelmRelease", "canary", json!({"chart": {"spec": template("charts", "canary")}})),
            ("HelmRelease", "a-named", json!({"chart": {"spec": template("charts", "canary")}})),
            ("HelmRelease", "b-twin", json!({"chartRef": by("HelmChart", "by-twin")})),
            ("HelmRelease", "c-oci", json!({"chartRef": by("OCIRepository", "same")})),
            (
                "HelmRelease",
                "d-root",
                json!({"chart": {"spec": template("root", "charts/canary")}}),
            ),
            ("HelmRelease", "x-chart", json!({"chart": {"spec": template("charts", "web")}})),
            ("HelmRelease", "x-place", json!({"chart": {"spec": template("others", "canary")}})),
            ("HelmRelease", "x-oci", json!({"chartRef": by("OCIRepository", "other")})),
        ]);
        let woken = neighbours.woken_by_chart(&registry()).appliers;
        let names: Vec<_> = woken.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a-named", "b-twin", "c-oci", "canary", "d-root"]);
        let refusal = neighbours.check_chart(&registry(), &BTreeSet::new()).unwrap_err();
        assert_eq!(refusal.reason, "shared_source");
        assert!(refusal.message.contains("flux-system/b-twin"), "{}", refusal.message);
        let shared = ChartLanding { shared: true, ..registry() };
        assert_eq!(neighbours.check_chart(&shared, &BTreeSet::new()), Ok(()));
    }

    #[test]
    fn s4_a_chart_that_anybody_wants_signed_is_not_published() {
        let verify = |mut spec: Value| {
            spec["verify"] = json!({"provider": "cosign"});
            spec
        };
        let oci = |path: &str| json!({"url": format!("oci://h.example.com/charts/{path}")});
        let release = json!({"chart": {"spec": verify(template("charts", "canary"))}});
        for (kind, spec) in [
            ("HelmRelease", release),
            ("HelmChart", verify(template("charts", "canary"))),
            ("OCIRepository", verify(oci("canary"))),
        ] {
            let refusal = with(&[(kind, "strict", spec)]).check_chart_verify(&registry());
            let refusal = refusal.unwrap_err();
            assert_eq!(refusal.reason, "verify_unsatisfied");
            let whose = format!("{kind} flux-system/strict takes only signed charts");
            assert!(refusal.message.starts_with(&whose), "{}", refusal.message);
        }
        let other = with(&[("OCIRepository", "strict", verify(oci("web")))]);
        assert_eq!(other.check_chart_verify(&registry()), Ok(()));
    }

    #[test]
    fn s1_s4_whoever_reads_the_branch_or_the_bucket_of_the_index_is_asked_too() {
        let branch = ChartFiles::Branch(Box::new(Landing {
            source: None,
            url: "https://git.example.com/team/pages.git".to_owned(),
            branch: "gh-pages".to_owned(),
            path: "charts/index.yaml".to_owned(),
            shared: false,
            replaces: false,
            signs_with: None,
        }));
        let bucket = ChartFiles::Bucket(Box::new(BucketLanding {
            source: None,
            place: "bucket `fleet` at `s3.example.com`".to_owned(),
            host: "s3.example.com".to_owned(),
            bucket: "fleet".to_owned(),
            key: "charts/index.yaml".to_owned(),
            shared: false,
        }));
        let git = |branch: &str| json!({"url": "ssh://git@git.example.com/team/pages", "ref": {"branch": branch}});
        let keys = |prefix: &str| json!({"endpoint": "s3.example.com", "bucketName": "fleet", "prefix": prefix});
        for (files, kind, used, free) in [
            (branch.clone(), "GitRepository", git("gh-pages"), git("main")),
            (bucket, "Bucket", keys("charts/"), keys("apps/")),
        ] {
            let landing = landing("https://pages.example.com", files);
            let check = |spec: &Value| {
                let applier = json!({"sourceRef": by(kind, "site")});
                let other = ("Kustomization", "other", applier.clone());
                let all = [(kind, "site", spec.clone()), ("Kustomization", "site", applier), other];
                with(&all).check_chart(&landing, &BTreeSet::new())
            };
            let refusal = check(&used).unwrap_err();
            assert_eq!(refusal.reason, "shared_source", "{kind}");
            assert!(refusal.message.contains("Kustomization flux-system/site"), "{refusal:?}");
            assert_eq!(check(&free), Ok(()), "{kind}");
        }
        let landing = landing("https://pages.example.com", branch);
        let mut strict = git("gh-pages");
        strict["verify"] = json!({"mode": "HEAD"});
        let refusal = with(&[("GitRepository", "site", strict)]).check_chart_verify(&landing);
        assert_eq!(refusal.unwrap_err().reason, "verify_unsatisfied");
    }

    #[test]
    fn p7_a_hop_of_another_release_never_sees_the_chart() {
        let objects = [
            ("HelmRepository", "twin", json!({"url": "oci://h.example.com/charts"})),
            ("HelmRepository", "others", json!({"url": "oci://h.example.com/prod"})),
            ("HelmChart", "flux-system-canary", template("charts", "canary")),
            ("HelmChart", "flux-system-web", template("charts", "web")),
            ("HelmRelease", "canary", json!({"chart": {"spec": template("charts", "canary")}})),
            ("HelmRelease", "web", json!({"chart": {"spec": template("charts", "web")}})),
            ("GitRepository", "pages", json!({"url": "https://h/a"})),
        ];
        let neighbours = with(&objects);
        let check = |kind: &str, name: &str| {
            neighbours.check_chart_hops(&registry(), &[of(kind, name)]).map_err(|it| it.message)
        };
        for (kind, name) in [
            ("HelmRelease", "canary"),
            ("HelmChart", "flux-system-canary"),
            ("HelmRepository", "charts"),
            ("HelmRepository", "twin"),
        ] {
            assert_eq!(check(kind, name), Ok(()));
        }
        for (kind, name) in [
            ("HelmRelease", "web"),
            ("HelmChart", "flux-system-web"),
            ("HelmRepository", "others"),
            ("GitRepository", "pages"),
        ] {
            let message = check(kind, name).unwrap_err();
            let start = format!("{kind} flux-system/{name} never takes the chart `canary`");
            assert!(message.starts_with(&start), "{message}");
        }
    }

    #[test]
    fn s3_whoever_may_have_a_version_is_asked_before_it_goes() {
        let release = |chart: &str| json!({"chart": {"spec": template("charts", chart)}});
        let neighbours = with(&[
            ("HelmRelease", "web", release("canary")),
            ("HelmRelease", "else", release("other")),
            ("OCIRepository", "same", json!({"url": "oci://h.example.com/charts/canary"})),
            ("OCIRepository", "no", json!({"url": "oci://h.example.com/charts"})),
        ]);
        let expected = [
            of("HelmRelease", "web"),
            of("HelmChart", "flux-system-web"),
            of("OCIRepository", "same"),
        ];
        assert_eq!(neighbours.having(&registry()), expected.into());
    }
}
