//! What an automation is about to do: which policies it serves, and from where to where it commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use super::Failure;
use crate::flux::draft::Draft;
use crate::flux::secrets;
use crate::flux::source::FetchFailure;
use crate::flux::source::Reference;
use crate::store::Key;
use crate::store::Store;

/// Everything that a run needs to know before it asks the git host. Not for printing: it knows
/// credentials.
#[derive(Clone)]
pub(super) struct Plan {
    /// Policies by namespace and name, with what they chose.
    pub(super) policies: BTreeMap<(String, String), Value>,
    /// Whether the repository has to be looked at even if it is as it was.
    pub(super) is_due: bool,
    /// The folder whose manifests are updated.
    pub(super) folder: String,
    pub(super) url: String,
    pub(super) reference: Reference,
    /// The branch to push to.
    pub(super) branch: String,
    /// More refs to push to.
    pub(super) refspec: Option<String>,
    pair: Option<(String, String)>,
}

impl Plan {
    /// Reads the spec and what it names.
    pub(super) fn of(store: &Store, draft: &Draft) -> Result<Self, Failure> {
        let spec = draft.spec();
        let policies = policies(store, draft);
        let source = source(store, draft)?;
        let update = &spec["update"];
        if update["strategy"].as_str().is_some_and(|strategy| strategy != "Setters") {
            let message = format!("update strategy '{}' not supported", update["strategy"]);
            return Err(Failure::stalled("InvalidUpdateStrategy", message));
        }
        let git = &spec["git"];
        let own = &git["checkout"]["ref"];
        let wish = if own.is_object() { own } else { &source["spec"]["ref"] };
        let reference = reference(wish);
        let push = &git["push"];
        let branch = match (push["branch"].as_str(), &reference) {
            (Some(branch), _) => branch.to_owned(),
            (None, Reference::Branch(branch)) => branch.clone(),
            (None, _) => {
                let message = "Push spec not provided, and cannot be inferred from \
                               .spec.git.checkout.ref or GitRepository .spec.ref";
                return Err(Failure::stalled("InvalidSourceConfiguration", message.to_owned()));
            }
        };
        let namespace = source["metadata"]["namespace"].as_str().unwrap_or_default();
        let secret = source["spec"]["secretRef"]["name"].as_str();
        let mut plan = Self {
            policies,
            is_due: false,
            folder: update["path"].as_str().unwrap_or("./").to_owned(),
            url: source["spec"]["url"].as_str().unwrap_or_default().to_owned(),
            reference,
            branch,
            refspec: push["refspec"].as_str().map(str::to_owned),
            pair: secret.and_then(|secret| credentials(store, namespace, secret)),
        };
        let known = &draft.status()["observedPolicies"];
        let known = if known.is_object() { known.clone() } else { json!({}) };
        plan.is_due = plan.observed() != known || plan.switches_branch() || plan.refspec.is_some();
        Ok(plan)
    }

    /// What status says of the policies.
    pub(super) fn observed(&self) -> Value {
        let named = self.policies.iter().map(|((_, name), latest)| (name.clone(), latest.clone()));
        Value::Object(named.collect())
    }

    /// The revision that a commit of the checked out reference is.
    pub(super) fn revision(&self, commit: &str) -> String {
        match &self.reference {
            Reference::Branch(name) | Reference::Tag(name) | Reference::Name(name) => {
                format!("{name}@sha1:{commit}")
            }
            Reference::Commit(_) => format!("sha1:{commit}"),
        }
    }

    /// Whether commits go to another branch than they come from.
    pub(super) fn switches_branch(&self) -> bool {
        self.reference != Reference::Branch(self.branch.clone())
    }

    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        self.pair.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }

    /// Why the source could not be had.
    pub(super) fn checkout_failed(&self, failure: &FetchFailure) -> Failure {
        let message = failure.message(&self.url, &self.reference);
        Failure::new("GitOperationFailed", format!("failed to checkout source: {message}"))
    }
}

/// The policies of the namespace that have chosen something and are selected.
fn policies(store: &Store, draft: &Draft) -> BTreeMap<(String, String), Value> {
    let labels = draft.spec()["policySelector"]["matchLabels"].as_object();
    let (all, _) = store.list("ImagePolicy", Some(&draft.key.namespace));
    let selected = |policy: &&Arc<Value>| {
        let own = &policy["metadata"]["labels"];
        labels.into_iter().flatten().all(|(label, value)| own[label] == *value)
    };
    let chosen = all.iter().filter(selected).filter_map(|policy| {
        let (key, latest) = (Key::of(policy), &policy["status"]["latestRef"]);
        latest.is_object().then(|| ((key.namespace, key.name), latest.clone()))
    });
    chosen.collect()
}

/// The `GitRepository` that the automation commits to.
fn source(store: &Store, draft: &Draft) -> Result<Arc<Value>, Failure> {
    let (spec, wish) = (draft.spec(), &draft.spec()["sourceRef"]);
    let kind = wish["kind"].as_str().unwrap_or("GitRepository");
    if kind != "GitRepository" {
        let message = format!("source kind '{kind}' not supported: invalid source configuration");
        return Err(Failure::stalled("InvalidSourceConfiguration", message));
    }
    if !spec["git"].is_object() {
        let message = format!(
            "source kind '{kind}' necessitates field .spec.git: invalid source configuration"
        );
        return Err(Failure::stalled("InvalidSourceConfiguration", message));
    }
    let name = wish["name"].as_str().unwrap_or_default();
    let namespace = wish["namespace"].as_str().unwrap_or(&draft.key.namespace);
    store.get(&Key::new(kind, namespace, name)).ok_or_else(|| {
        let message = format!(
            "failed configuring source manager: gitrepositories.source.toolkit.fluxcd.io \
             \"{name}\" not found"
        );
        Failure::new("SourceManagerFailed", message)
    })
}

fn reference(wish: &Value) -> Reference {
    let text = |field: &str| wish[field].as_str().map(str::to_owned);
    let named = text("commit").map(Reference::Commit);
    let named = named.or_else(|| text("name").map(Reference::Name));
    let named = named.or_else(|| text("tag").map(Reference::Tag));
    let branch = || Reference::Branch(text("branch").unwrap_or_else(|| "master".to_owned()));
    named.unwrap_or_else(branch)
}

fn credentials(store: &Store, namespace: &str, secret: &str) -> Option<(String, String)> {
    let read = |key| secrets::read_text(store, namespace, secret, key);
    if let Some(token) = read("bearerToken") {
        return Some((String::new(), token));
    }
    read("username").zip(read("password"))
}
