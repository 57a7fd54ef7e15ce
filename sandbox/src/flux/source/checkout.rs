//! From a `GitRepository`'s spec to the files of a commit, or to the reason why not.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::Failure;
use super::FetchFailure;
use super::FetchedCommit;
use super::GitRepositories;
use super::Reference;
use super::ignore;
use super::signature;
use crate::flux::Speeds;
use crate::flux::artifacts::Files;
use crate::flux::artifacts::hash_of;
use crate::flux::draft::Draft;
use crate::flux::secrets;
use crate::store::Key;

/// Fields of the spec that change the artifact of an unchanged commit, and where status keeps them.
const CONTENT_CONFIG: [(&str, &str); 4] = [
    ("ignore", "observedIgnore"),
    ("include", "observedInclude"),
    ("recurseSubmodules", "observedRecurseSubmodules"),
    ("sparseCheckout", "observedSparseCheckout"),
];

/// What the remote has.
pub(super) enum Checkout {
    /// The commit that is stored already, and no reason to store it again.
    Unchanged { revision: String },
    /// A commit to store.
    New { revision: String, subject: String, files: Files },
}

impl GitRepositories {
    /// Asks the remote, and clones if the answer is worth it.
    pub(super) async fn checkout(&self, draft: &mut Draft) -> Result<Checkout, Failure> {
        let speeds = self.context.speeds();
        let url = url_of(draft)?;
        let credentials = self.credentials(draft)?;
        let reference = reference_of(draft)?;
        let fetched = self.fetch(&url, credentials, &reference).await;
        let commit = match fetched {
            Ok(commit) => commit,
            Err(failure) => {
                sleep(wait_of(&failure, &speeds)).await;
                return Err(fetch_failed("GitOperationFailed", failure.message(&url, &reference)));
            }
        };
        sleep(speeds.list_remote).await;
        let revision = revision_of(draft, &reference, &commit.commit);
        let artifact = &draft.status()["artifact"];
        let stored = draft.is_true("ArtifactInStorage")
            && artifact["revision"].as_str().map(hash_of) == Some(commit.commit.as_str());
        let verify = needs_verification(draft);
        if stored && !self.content_changed(draft) && !verify {
            draft.unmark("FetchFailed");
            forget_verification(draft);
            return Ok(Checkout::Unchanged { revision });
        }
        sleep(speeds.clone).await;
        draft.unmark("FetchFailed");
        self.verify(draft, &reference, &commit, verify)?;
        let files = ignored_and_sparse(draft, commit.files)?;
        Ok(Checkout::New { revision, subject: commit.subject, files })
    }

    /// Adds the files of other sources that this one includes.
    pub(super) fn with_includes(
        &self,
        draft: &mut Draft,
        mut files: Files,
    ) -> Result<Files, Failure> {
        let includes = draft.spec()["include"].as_array().cloned().unwrap_or_default();
        let mut stored = Vec::new();
        for include in includes {
            let name = include["repository"]["name"].as_str().unwrap_or_default();
            let unavailable = |reason, message| Failure {
                condition: "IncludeUnavailable",
                status: "True",
                reason,
                message,
                stalled: false,
            };
            let Some(other) = self.context.store.get(&included_key(draft, &include)) else {
                let message = format!("could not get resource for include '{name}': not found");
                return Err(unavailable("NotFound", message));
            };
            let artifact = &other["status"]["artifact"];
            let Some(theirs) = self.context.artifacts.get(artifact) else {
                let message = format!("no artifact available for include '{name}'");
                return Err(unavailable("NoArtifact", message));
            };
            let from = folder(include["fromPath"].as_str().unwrap_or_default());
            let to = folder(include["toPath"].as_str().unwrap_or(name));
            for (path, content) in theirs.iter() {
                if let Some(rest) = path.strip_prefix(from.as_str()) {
                    files.insert(format!("{to}{rest}"), content.clone());
                }
            }
            stored.push(artifact.clone());
        }
        let stored = if stored.is_empty() { Value::Null } else { stored.into() };
        draft.set_status("includedArtifacts", stored);
        Ok(files)
    }

    /// Whether the artifact would become another one although the commit is the same.
    fn content_changed(&self, draft: &Draft) -> bool {
        let includes = draft.spec()["include"].as_array().map_or(&[][..], Vec::as_slice);
        let stored = draft.status()["includedArtifacts"].as_array().map_or(&[][..], Vec::as_slice);
        let fresh = |(include, stored): (&Value, &Value)| {
            let other = self.context.store.get(&included_key(draft, include));
            other.is_some_and(|it| it["status"]["artifact"]["revision"] == stored["revision"])
        };
        CONTENT_CONFIG.iter().any(|(wish, seen)| draft.spec()[*wish] != draft.status()[*seen])
            || includes.len() != stored.len()
            || !includes.iter().zip(stored).all(fresh)
    }

    /// Reads from the host on a thread of its own: it may open files.
    async fn fetch(
        &self,
        url: &str,
        credentials: Option<(String, String)>,
        reference: &Reference,
    ) -> Result<FetchedCommit, FetchFailure> {
        let (git, url, reference) = (self.git.clone(), url.to_owned(), reference.clone());
        let read = move || {
            let pair = credentials.as_ref().map(|(user, word)| (user.as_str(), word.as_str()));
            git.fetch(&url, pair, &reference)
        };
        tokio::task::spawn_blocking(read).await.unwrap_or(Err(FetchFailure::Down))
    }

    fn credentials(&self, draft: &Draft) -> Result<Option<(String, String)>, Failure> {
        let Some(name) = draft.spec()["secretRef"]["name"].as_str() else { return Ok(None) };
        let (store, namespace) = (&self.context.store, &draft.key.namespace);
        if store.get(&Key::new("Secret", namespace, name)).is_none() {
            let message =
                format!("failed to get secret '{namespace}/{name}': secrets \"{name}\" not found");
            return Err(fetch_failed("AuthenticationFailed", message));
        }
        let read = |key| secrets::read_text(store, namespace, name, key);
        if let Some(token) = read("bearerToken") {
            return Ok(Some((String::new(), token)));
        }
        match (read("username"), read("password")) {
            (Some(user), Some(password)) => Ok(Some((user, password))),
            (None, None) => Ok(None),
            _ => {
                let message = format!(
                    "invalid '{namespace}/{name}' secret data: required fields 'username' and \
                     'password'"
                );
                Err(fetch_failed("AuthenticationFailed", message))
            }
        }
    }

    fn verify(
        &self,
        draft: &mut Draft,
        reference: &Reference,
        commit: &FetchedCommit,
        due: bool,
    ) -> Result<(), Failure> {
        let verification = draft.spec()["verify"].clone();
        if !verification.is_object() {
            forget_verification(draft);
            return Ok(());
        }
        let failed = |reason, message| Failure {
            condition: "SourceVerified",
            status: "False",
            reason,
            message,
            stalled: false,
        };
        let secret = verification["secretRef"]["name"].as_str().unwrap_or_default();
        let keys = secrets::values(&self.context.store, &draft.key.namespace, secret);
        let Some(keys) = keys else {
            let message = format!("PGP public keys secret error: secrets \"{secret}\" not found");
            return Err(failed("VerificationError", message));
        };
        if mode_of(&verification).starts_with("Tag") {
            return Err(tag_failed(reference));
        }
        let signer = signature::verify(commit.signed.as_ref(), &keys).map_err(|why| {
            let id = &commit.commit;
            let message = format!("signature verification of commit '{id}' failed: {why}");
            failed("InvalidCommitSignature", message)
        })?;
        let is_new = draft.status()["artifact"]["revision"].as_str().map(hash_of)
            != Some(commit.commit.as_str());
        if due || is_new {
            let id = &commit.commit;
            let message = format!("verified signature of\n\t- commit '{id}' with key '{signer}'");
            draft.mark("SourceVerified", "True", "Succeeded", &message);
            draft.set_status("sourceVerificationMode", mode_of(&verification));
        }
        Ok(())
    }
}

/// Notes which content configuration the artifact was made with.
pub(super) fn remember_config(draft: &mut Draft) {
    for (wish, seen) in CONTENT_CONFIG {
        let value = draft.spec()[wish].clone();
        draft.set_status(seen, value);
    }
}

fn needs_verification(draft: &Draft) -> bool {
    let verification = &draft.spec()["verify"];
    verification.is_object()
        && draft.status()["sourceVerificationMode"] != mode_of(verification).as_str()
}

fn forget_verification(draft: &mut Draft) {
    if !draft.spec()["verify"].is_object() {
        draft.unmark("SourceVerified");
        draft.set_status("sourceVerificationMode", Value::Null);
    }
}

fn included_key(draft: &Draft, include: &Value) -> Key {
    let name = include["repository"]["name"].as_str().unwrap_or_default();
    Key::new("GitRepository", &draft.key.namespace, name)
}

fn mode_of(verification: &Value) -> String {
    verification["mode"].as_str().unwrap_or("HEAD").to_owned()
}

/// No tag of the sandbox's host is signed, and a branch has none at all.
fn tag_failed(reference: &Reference) -> Failure {
    let (reason, message, stalled) = if let Reference::Tag(name) = reference {
        let message = format!("cannot verify signature of tag '{name}' since it is not signed");
        ("InvalidGitObject", message, false)
    } else {
        let message = "cannot verify tag object's signature if a tag reference is not specified";
        ("InvalidVerificationMode", message.to_owned(), true)
    };
    Failure { condition: "SourceVerified", status: "False", reason, message, stalled }
}

fn url_of(draft: &Draft) -> Result<String, Failure> {
    let url = draft.spec()["url"].as_str().unwrap_or_default();
    let known =
        ["http://", "https://", "ssh://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    if known.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace)) {
        return Ok(url.to_owned());
    }
    let message = format!("failed to parse url '{url}': invalid git repository URL");
    Err(Failure { stalled: true, ..fetch_failed("URLInvalid", message) })
}

fn reference_of(draft: &Draft) -> Result<Reference, Failure> {
    let wish = &draft.spec()["ref"];
    let text = |field: &str| wish[field].as_str().map(str::to_owned);
    if let Some(commit) = text("commit") {
        return Ok(Reference::Commit(commit));
    }
    if let Some(name) = text("name") {
        return Ok(Reference::Name(name));
    }
    if let Some(range) = text("semver") {
        let message = format!(
            "failed to checkout and determine revision: no match found for semver: {range}"
        );
        return Err(fetch_failed("GitOperationFailed", message));
    }
    if let Some(tag) = text("tag") {
        return Ok(Reference::Tag(tag));
    }
    Ok(Reference::Branch(text("branch").unwrap_or_else(|| "master".to_owned())))
}

fn revision_of(draft: &Draft, reference: &Reference, commit: &str) -> String {
    match (reference, draft.spec()["ref"]["branch"].as_str()) {
        (Reference::Branch(name) | Reference::Tag(name) | Reference::Name(name), _) => {
            format!("{name}@sha1:{commit}")
        }
        (Reference::Commit(_), Some(branch)) => format!("{branch}@sha1:{commit}"),
        (Reference::Commit(_), None) => format!("sha1:{commit}"),
    }
}

fn ignored_and_sparse(draft: &Draft, files: Files) -> Result<Files, Failure> {
    let folders = draft.spec()["sparseCheckout"].as_array().map_or(&[][..], Vec::as_slice);
    let folders: Vec<String> =
        folders.iter().filter_map(|folder| folder.as_str().map(str::to_owned)).collect();
    let files = ignore::sparse(files, &folders).map_err(|missing| {
        let message =
            format!("failed to sparse checkout directories : stat {missing}: no such file");
        fetch_failed("GitOperationFailed", message)
    })?;
    Ok(ignore::keep(files, draft.spec()["ignore"].as_str()))
}

fn folder(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_matches('/');
    if path.is_empty() { String::new() } else { format!("{path}/") }
}

fn wait_of(failure: &FetchFailure, speeds: &Speeds) -> Duration {
    match failure {
        FetchFailure::Down => speeds.unreachable,
        FetchFailure::NotFound | FetchFailure::Unauthorized => speeds.list_remote,
        FetchFailure::MissingRef => speeds.missing_ref,
    }
}

fn fetch_failed(reason: &'static str, message: String) -> Failure {
    Failure { condition: "FetchFailed", status: "True", reason, message, stalled: false }
}
