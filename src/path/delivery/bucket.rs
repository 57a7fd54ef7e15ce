//! Proof of delivery from a bucket: the object lies where the source looks, is left out by no rule,
//! and is applied (rules P7, S0, S1).

use crate::model::{BucketLanding, GroupKind, Subject};
use crate::path::delivery::Refusal;
use crate::path::delivery::applier::{self, Applier};
use crate::path::delivery::proof::{Pipeline, Rules, Tree};
use serde_json::Value;
use std::collections::BTreeSet;

// === impl BucketLanding ===

impl BucketLanding {
    /// Whether a source fetches from our bucket.
    #[must_use]
    pub fn is_ours(&self, subject: &Subject, object: &Value) -> bool {
        let spec = &object["spec"];
        let endpoint = spec["endpoint"].as_str().unwrap_or_default();
        self.source.as_ref() == Some(subject)
            || subject.kind == GroupKind::source("Bucket")
                && spec["bucketName"] == self.bucket.as_str()
                && host_of(endpoint) == host_of(&self.host)
    }
}

// === impl Pipeline ===

impl Pipeline<'_> {
    /// The sources that fetch from a bucket, the trigger's own first.
    #[must_use]
    pub fn of_bucket(&self, landing: &BucketLanding) -> Vec<(&Subject, &Value)> {
        let mut ours: Vec<_> =
            self.objects.iter().filter(|it| landing.is_ours(it.0, it.1)).collect();
        ours.sort_by_key(|it| landing.source.as_ref() != Some(it.0));
        ours
    }

    /// Proves by the objects alone that what is written there is delivered, and says what is left.
    ///
    /// # Errors
    /// With the first reason why it would not be.
    pub fn prove_bucket(&self, landing: &BucketLanding) -> Result<Tree, Refusal> {
        let none = Value::Null;
        let mut tree = Tree {
            path: landing.key.clone(),
            rules: Rules::Bucket,
            sources: Vec::new(),
            appliers: Vec::new(),
        };
        for subject in &self.sources {
            self.bucket_source(landing, subject, &mut tree)?;
        }
        for subject in &self.appliers {
            let object = self.objects.get(subject).unwrap_or(&none);
            let reference = &object["spec"]["sourceRef"];
            let kind = GroupKind::source("Bucket");
            let name =
                reference["name"].as_str().filter(|_| reference["kind"] == kind.kind.as_str());
            let name = name.ok_or_else(|| applier::another_source(subject, object))?;
            let namespace = reference["namespace"].as_str().unwrap_or(&subject.namespace);
            let source = Subject::local(kind, namespace, name).in_cluster(&subject.cluster);
            match self.bucket_source(landing, &source, &mut tree) {
                Err(refusal) if refusal.reason == "another_bucket" => {
                    return Err(applier::another_source(subject, object));
                }
                proven => proven?,
            }
            tree.appliers.push(Applier::new(subject, object, &landing.key, &self.live));
        }
        Ok(tree)
    }

    /// What is left to prove of a source goes to `tree`.
    fn bucket_source(
        &self,
        landing: &BucketLanding,
        subject: &Subject,
        tree: &mut Tree,
    ) -> Result<(), Refusal> {
        let none = Value::Null;
        let object = self.objects.get(subject).unwrap_or(&none);
        let BucketLanding { place, key, .. } = landing;
        if !landing.is_ours(subject, object) {
            return Err(Refusal::new(
                "another_bucket",
                format_args!(
                    "{subject} fetches from another bucket than {place}, which the trigger writes \
                     to: let both name the same one"
                ),
            ));
        }
        let prefix = object["spec"]["prefix"].as_str().unwrap_or_default();
        if !key.starts_with(prefix) {
            return Err(Refusal::new(
                "outside_prefix",
                format_args!(
                    "`{key}` never becomes part of the artifact of {subject}, which takes only what \
                     begins with its `spec.prefix`, `{prefix}`: choose a `path` that does"
                ),
            ));
        }
        let left = (subject.clone(), object["spec"]["ignore"].as_str().map(str::to_owned));
        if !tree.sources.contains(&left) {
            tree.sources.push(left);
        }
        Ok(())
    }
}

/// The names of sources.
#[must_use]
pub fn subjects(sources: &[(&Subject, &Value)]) -> BTreeSet<Subject> {
    sources.iter().map(|it| it.0.clone()).collect()
}

/// An endpoint without scheme, default port and slash.
fn host_of(endpoint: &str) -> String {
    let rest = endpoint.split_once("://").map_or(endpoint, |it| it.1).trim_end_matches('/');
    let rest = rest.to_ascii_lowercase();
    let host = rest.strip_suffix(":443").or(rest.strip_suffix(":80"));
    host.unwrap_or(&rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn subject(kind: &str, name: &str) -> Subject {
        let kind = match kind {
            "Kustomization" => GroupKind::kustomization(),
            kind => GroupKind::source(kind),
        };
        Subject::local(kind, "flux-system", name)
    }

    fn prove(key: &str, spec: &Value, read: &[(&str, &str)]) -> Result<(), &'static str> {
        let mut source = json!({"bucketName": "fleet", "endpoint": "https://S3.example.com:443/"});
        for (field, value) in spec.as_object().unwrap() {
            source[field] = value.clone();
        }
        let reference = json!({"kind": "Bucket", "name": "canary"});
        let objects = BTreeMap::from([
            (subject("Bucket", "canary"), json!({ "spec": source })),
            (
                subject("Kustomization", "canary"),
                json!({"spec": {"path": "./canary", "sourceRef": reference}}),
            ),
        ]);
        let pipeline = Pipeline {
            objects: &objects,
            sources: vec![subject("Bucket", "canary")],
            appliers: vec![subject("Kustomization", "canary")],
            live: Vec::new(),
        };
        let landing = BucketLanding {
            source: None,
            place: "bucket `fleet` at `s3.example.com`".to_owned(),
            host: "s3.example.com".to_owned(),
            bucket: "fleet".to_owned(),
            key: key.to_owned(),
            shared: false,
        };
        let tree = pipeline.prove_bucket(&landing).map_err(|it| it.reason)?;
        let mut files: BTreeMap<String, Option<String>> =
            tree.wanted().into_iter().map(|it| (it, None)).collect();
        for (name, text) in read {
            files.insert((*name).to_owned(), Some((*text).to_owned()));
        }
        tree.judge(&files).map(drop).map_err(|it| it.reason)
    }

    #[test]
    fn p7_an_object_lies_below_prefix_and_path_and_no_rule_leaves_it_out() {
        let none = json!({});
        assert_eq!(prove("canary/a.yaml", &none, &[]), Ok(()));
        assert_eq!(prove("other/a.yaml", &none, &[]), Err("outside_applier"));
        let prefix = json!({"prefix": "can"});
        assert_eq!(prove("canary/a.yaml", &prefix, &[]), Ok(()));
        assert_eq!(prove("canary/a.yaml", &json!({"prefix": "apps/"}), &[]), Err("outside_prefix"));
        let ignore = json!({"ignore": "*.yaml"});
        assert_eq!(prove("canary/a.yaml", &ignore, &[]), Err("ignored"));
        let root = [(".sourceignore", "canary/")];
        assert_eq!(prove("canary/a.yaml", &none, &root), Err("ignored"));
        let nested = [("canary/.sourceignore", "*.yaml")];
        assert_eq!(prove("canary/a.yaml", &none, &nested), Ok(()), "only the root's counts");
        assert_eq!(
            prove(".github/a.yaml", &none, &[]),
            Err("outside_applier"),
            "no list of Flux's"
        );
        assert_eq!(prove("canary/a.yaml", &json!({"bucketName": "x"}), &[]), Err("another_bucket"));
    }
}
