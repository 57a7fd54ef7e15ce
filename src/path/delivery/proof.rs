//! The whole proof for one scenario: first by the cluster's objects, then by the branch's tip.

use crate::model::{GroupKind, Landing, Subject};
use crate::path::delivery::applier::{self, Applier};
use crate::path::delivery::kustomization::Files;
use crate::path::delivery::reference::{self, Kinship, kinship};
use crate::path::delivery::{Refusal, ignored, include, sparse, verify};
use crate::path::{Role, role};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a scenario looks at, and the objects of its path.
#[derive(Clone, Debug)]
pub struct Pipeline<'a> {
    /// Every source and applier on the path.
    pub objects: &'a BTreeMap<Subject, Value>,
    /// Subjects of the hops, as far as they are of a source.
    pub sources: Vec<Subject>,
    /// Subjects of the hops, as far as they are appliers.
    pub appliers: Vec<Subject>,
    /// Objects that become live.
    pub live: Vec<Subject>,
}

/// What only the branch's tip can prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    pub(super) path: String,
    pub(super) rules: Rules,
    pub(super) sources: Vec<(Subject, Option<String>)>,
    pub(super) appliers: Vec<Applier>,
}

/// Which rules leave files out beside a source's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// Flux's list, and the ignore files of every folder.
    Repository,
    /// The ignore file at the root.
    Bucket,
}

/// How a source comes to hold the file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holds {
    /// It follows our branch.
    Itself,
    /// It includes a source that does, and holds the file under this name.
    Included(String),
}

// === impl Landing ===

impl Landing {
    /// The branch, as messages name it.
    #[must_use]
    pub fn place(&self) -> String {
        format!("branch `{}` of `{}`", self.branch, self.url)
    }

    /// Whether what is pushed may be what a source fetches: no other repository is certain.
    #[must_use]
    pub fn may_feed(&self, subject: &Subject, object: &Value) -> bool {
        self.source.as_ref() == Some(subject) || kinship(&self.url, object) != Kinship::Other
    }

    /// Whether a source is certainly one of our repository.
    #[must_use]
    fn is_ours(&self, subject: &Subject, object: &Value) -> bool {
        self.source.as_ref() == Some(subject) || kinship(&self.url, object) == Kinship::Same
    }
}

// === impl Pipeline ===

impl Pipeline<'_> {
    /// The sources whose consent counts: they follow the branch that is pushed to.
    #[must_use]
    pub fn consenting(&self, landing: &Landing) -> Vec<(&Subject, &Value)> {
        let git = GroupKind::git_repository();
        let all = self.objects.iter().filter(|it| it.0.kind == git);
        let follows = |subject: &Subject, object: &Value| {
            landing.source.as_ref() == Some(subject)
                || reference::check(subject, object, &landing.branch).is_ok()
        };
        let ours = all.filter(|it| landing.is_ours(it.0, it.1) && follows(it.0, it.1));
        let mut ours: Vec<_> = ours.collect();
        // A command that gives consent names the trigger's own source first.
        ours.sort_by_key(|it| landing.source.as_ref() != Some(it.0));
        ours
    }

    /// The appliers of the path.
    #[must_use]
    pub fn applying(&self) -> BTreeSet<Subject> {
        let appliers = self.objects.keys().filter(|it| role(&it.kind) == Some(Role::Applier));
        appliers.cloned().collect()
    }

    /// Proves by the objects alone that what is pushed there is delivered, and says what is left.
    ///
    /// # Errors
    /// With the first reason why it would not be.
    pub fn prove(&self, landing: &Landing) -> Result<Tree, Refusal> {
        let none = Value::Null;
        if let Some(source) = &landing.source {
            let object = self.objects.get(source).unwrap_or(&none);
            verify::check(source, object, landing.signs_with)?;
        }
        let mut tree = Tree {
            path: landing.path.clone(),
            rules: Rules::Repository,
            sources: Vec::new(),
            appliers: Vec::new(),
        };
        for subject in &self.sources {
            self.source(landing, subject, &mut tree)?;
        }
        for subject in &self.appliers {
            let object = self.objects.get(subject).unwrap_or(&none);
            let another = || applier::another_source(subject, object);
            let source = applier::source_of(subject, object).ok_or_else(another)?;
            let holds = match self.source(landing, &source, &mut tree) {
                Err(refusal) if refusal.reason == "another_repository" => return Err(another()),
                holds => holds?,
            };
            if let Holds::Included(_) = holds {
                return Err(Refusal::new(
                    "include_needs_live",
                    format_args!(
                        "{subject} applies {source}, which only includes what the trigger pushes to, \
                         so the revision that it shows is never the canary's: leave this `applied` \
                         hop out, and look for the canary with `live`"
                    ),
                ));
            }
            tree.appliers.push(Applier::new(subject, object, &landing.path, &self.live));
        }
        Ok(tree)
    }

    /// How a source holds the file; what is left to prove of it goes to `tree`.
    fn source(
        &self,
        landing: &Landing,
        subject: &Subject,
        tree: &mut Tree,
    ) -> Result<Holds, Refusal> {
        let none = Value::Null;
        let object = self.objects.get(subject).unwrap_or(&none);
        let includes = || {
            let ours = self.objects.iter().filter(|it| landing.is_ours(it.0, it.1));
            ours.flat_map(|ours| include::entries(subject, object, ours.0)).next()
        };
        if !landing.is_ours(subject, object)
            && let Some(entry) = includes()
        {
            let path = include::landing(subject, entry, &landing.path)?;
            let ignore = object["spec"]["ignore"].as_str();
            ignored::check(subject, ignore, &BTreeMap::new(), &path)?;
            let included = subject_of(subject, entry);
            if included != *subject {
                self.source(landing, &included, tree)?;
            }
            return Ok(Holds::Included(path));
        }
        if landing.source.as_ref() != Some(subject)
            && kinship(&landing.url, object) == Kinship::Other
        {
            return Err(Refusal::new(
                "another_repository",
                format_args!(
                    "{subject} is fetched from another repository than `{}`, which the trigger \
                     pushes to, and does not include it: let both name the same one",
                    landing.url
                ),
            ));
        }
        reference::check(subject, object, &landing.branch)?;
        sparse::check(subject, object, &landing.path)?;
        verify::check(subject, object, landing.signs_with)?;
        let ignore = object["spec"]["ignore"].as_str().map(str::to_owned);
        // What no file of the repository can mend is refused before the repository is asked.
        let left = (subject.clone(), ignore);
        if !tree.sources.contains(&left) {
            tree.sources.push(left);
        }
        Ok(Holds::Itself)
    }
}

// === impl Tree ===

impl Tree {
    /// The files that the proof asks for first.
    #[must_use]
    pub fn wanted(&self) -> Vec<String> {
        let appliers = applier::judge(&self.appliers, &Files::new()).unwrap_or_default();
        let rules = match self.rules {
            Rules::Repository => ignored::files_for(&self.path),
            Rules::Bucket => ignored::files_for(""),
        };
        rules.into_iter().chain(appliers).collect()
    }

    /// Proves by what was read of the tip that the file is delivered. Gives the files that it
    /// has to see before it can tell; none if all is proven.
    ///
    /// # Errors
    /// With the first reason why it would not be.
    pub fn judge(&self, read: &Files) -> Result<Vec<String>, Refusal> {
        let there = read.iter().filter_map(|(name, text)| Some((name.clone(), text.clone()?)));
        let there: BTreeMap<_, _> = there.collect();
        for (subject, ignore) in &self.sources {
            let ignore = ignore.as_deref();
            match self.rules {
                Rules::Repository => ignored::check(subject, ignore, &there, &self.path)?,
                Rules::Bucket => ignored::check_bucket(subject, ignore, &there, &self.path)?,
            }
        }
        applier::judge(&self.appliers, read)
    }

    /// The same where nothing of the repository can be read.
    ///
    /// # Errors
    /// With the first reason why it would not be.
    pub fn judge_blind(&self) -> Result<(), Refusal> {
        for (subject, ignore) in &self.sources {
            ignored::check(subject, ignore.as_deref(), &BTreeMap::new(), &self.path)?;
        }
        applier::judge_blind(&self.appliers)
    }
}

/// The source that an include names.
fn subject_of(including: &Subject, entry: &Value) -> Subject {
    let name = entry["repository"]["name"].as_str().unwrap_or_default().to_owned();
    Subject { name, ..including.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn git(name: &str) -> Subject {
        Subject::local(GroupKind::git_repository(), "flux-system", name)
    }

    fn landing() -> Landing {
        Landing {
            source: Some(git("canary")),
            url: "https://h/canary".to_owned(),
            branch: "main".to_owned(),
            path: "canary/a.yaml".to_owned(),
            shared: false,
            replaces: false,
            signs_with: None,
        }
    }

    fn objects() -> BTreeMap<Subject, Value> {
        let main = json!({"branch": "main"});
        let reference = |name: &str| json!({"kind": "GitRepository", "name": name});
        BTreeMap::from([
            (git("canary"), json!({"spec": {"url": "https://h/canary", "ref": main}})),
            (
                git("fleet"),
                json!({"spec": {"url": "https://h/fleet", "ref": main,
                "include": [{"repository": {"name": "canary"}, "fromPath": "canary"}]}}),
            ),
            (git("other"), json!({"spec": {"url": "https://h/other", "ref": main}})),
            (
                applier("canary"),
                json!({"spec": {"path": "./canary", "sourceRef": reference("canary")}}),
            ),
            (applier("fleet"), json!({"spec": {"path": "./", "sourceRef": reference("fleet")}})),
            (applier("other"), json!({"spec": {"path": "./", "sourceRef": reference("other")}})),
        ])
    }

    fn applier(name: &str) -> Subject {
        Subject::local(GroupKind::kustomization(), "flux-system", name)
    }

    fn prove(
        objects: &BTreeMap<Subject, Value>,
        sources: &[&str],
        appliers: &[&str],
    ) -> Result<Tree, &'static str> {
        let pipeline = Pipeline {
            objects,
            sources: sources.iter().map(|it| git(it)).collect(),
            appliers: appliers.iter().map(|it| applier(it)).collect(),
            live: Vec::new(),
        };
        pipeline.prove(&landing()).map_err(|it| it.reason)
    }

    #[test]
    fn p7_a_source_and_its_applier_deliver() {
        let tree = prove(&objects(), &["canary"], &["canary"]).unwrap();
        assert_eq!(tree.judge_blind(), Ok(()));
        let wanted = tree.wanted();
        for name in [".sourceignore", "canary/.sourceignore", "canary/kustomization.yaml"] {
            assert!(wanted.contains(&name.to_owned()), "{wanted:?}");
        }
        let mut read: Files = wanted.into_iter().map(|it| (it, None)).collect();
        assert_eq!(tree.judge(&read), Ok(Vec::new()));
        read.insert(".sourceignore".to_owned(), Some("canary/\n".to_owned()));
        assert_eq!(tree.judge(&read).unwrap_err().reason, "ignored");
    }

    #[test]
    fn p7_what_never_holds_our_commit_is_refused() {
        assert_eq!(prove(&objects(), &["other"], &[]), Err("another_repository"));
        assert_eq!(prove(&objects(), &["canary"], &["other"]), Err("applier_of_another_source"));
        let with = |field: &str, value: Value| {
            let mut objects = objects();
            objects.get_mut(&git("canary")).unwrap()["spec"][field] = value;
            prove(&objects, &["canary"], &[]).unwrap_err()
        };
        assert_eq!(with("ref", json!({"branch": "prod"})), "another_branch");
        assert_eq!(with("sparseCheckout", json!(["apps"])), "outside_sparse_checkout");
        assert_eq!(with("verify", json!({"mode": "HEAD"})), "verify_unsatisfied");
    }

    #[test]
    fn p8_an_including_source_delivers_and_an_applier_behind_it_cannot_be_keyed_by_revision() {
        let tree = prove(&objects(), &["canary", "fleet"], &[]).unwrap();
        assert_eq!(tree.judge_blind(), Ok(()));
        assert_eq!(prove(&objects(), &["fleet"], &["fleet"]), Err("include_needs_live"));
        let mut elsewhere = objects();
        elsewhere.get_mut(&git("fleet")).unwrap()["spec"]["include"][0]["fromPath"] = "x".into();
        assert_eq!(prove(&elsewhere, &["fleet"], &[]), Err("outside_include"));
        let mut pinned = objects();
        pinned.get_mut(&git("canary")).unwrap()["spec"]["ref"] = json!({"tag": "v1"});
        assert_eq!(prove(&pinned, &["fleet"], &[]), Err("needs_tag_trigger"));
    }

    #[test]
    fn s0_the_triggers_own_source_is_asked_for_consent_first() {
        let objects = objects();
        let pipeline = Pipeline {
            objects: &objects,
            sources: Vec::new(),
            appliers: Vec::new(),
            live: Vec::new(),
        };
        let asked: Vec<_> = pipeline.consenting(&landing()).into_iter().map(|it| it.0).collect();
        assert_eq!(asked, [&git("canary")]);
        let landing = Landing { source: Some(git("other")), ..landing() };
        let asked: Vec<_> = pipeline.consenting(&landing).into_iter().map(|it| it.0).collect();
        assert_eq!(asked, [&git("other"), &git("canary")]);
    }
}
