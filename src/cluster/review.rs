//! Asks the API server who a token belongs to, and whether they may do something.
//!
//! So whoever may use us is granted that where everything else is granted: by a role. A deed that
//! is none of Kubernetes' own is a path and a verb, which a `ClusterRole` names in
//! `nonResourceURLs`; no kind has to be invented for it. Nothing here prints a token.
//!
//! It needs `create` of `tokenreviews.authentication.k8s.io` and of
//! `subjectaccessreviews.authorization.k8s.io`, as the `ClusterRole` `system:auth-delegator` has it.

use crate::cluster::object::Place;
use crate::cluster::{Cluster, Error, refusal};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What an API server says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reviewed {
    /// It belongs to this user.
    Authentic(User),
    /// It is not good, or not meant for us, and why, as far as the server says.
    Rejected(String),
}

/// Somebody whom the cluster knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// The name, such as `system:serviceaccount:flux-system:ci`.
    pub username: String,
    /// What tells two users of one name apart.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What else authorisers may want to know.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Something that somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed<'a> {
    /// A request to a path that is no resource of Kubernetes, such as `post` of `/run/apps`.
    Page {
        /// The method, in lower case.
        verb: &'a str,
        /// The path.
        path: &'a str,
    },
    /// A request to the API server.
    Object {
        /// The verb.
        verb: &'a str,
        /// The API group; empty for the core group.
        group: &'a str,
        /// The plural.
        resource: &'a str,
        /// The namespace; empty for all, and for cluster-scoped kinds.
        namespace: &'a str,
        /// The name; empty for all.
        name: &'a str,
    },
}

/// Whether somebody may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether they may.
    pub allowed: bool,
    /// Why, as far as the server says; also what kept it from finding out.
    pub reason: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenStatus {
    authenticated: bool,
    user: User,
    audiences: Vec<String>,
    error: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AccessStatus {
    allowed: bool,
    denied: bool,
    reason: String,
    evaluation_error: String,
}

#[derive(Deserialize)]
struct Answered<T> {
    status: T,
}

// === impl Cluster ===

impl Cluster {
    /// Asks whose token this is. With `audiences` it has to be meant for one of them; without, for
    /// the API server itself.
    ///
    /// # Errors
    ///
    /// If the server cannot be asked; a token that is not good is none.
    pub async fn review_token(
        &self,
        token: &SecretString,
        audiences: &[&str],
    ) -> Result<Reviewed, Error> {
        let token = token.expose_secret();
        let mut spec = json!({"token": token});
        if !audiences.is_empty() {
            spec["audiences"] = json!(audiences);
        }
        let group = "authentication.k8s.io";
        let asked = self.ask(group, "tokenreviews", "TokenReview", &spec).await;
        let status: TokenStatus = asked.map_err(|it| without(token, it))?;
        if !status.authenticated {
            return Ok(Reviewed::Rejected(refusal::shortened(&status.error.replace(token, "***"))));
        }
        // A server that knows nothing of audiences names none, and has not looked at them.
        let ours = |it: &String| audiences.contains(&it.as_str());
        if !audiences.is_empty() && !status.audiences.iter().any(ours) {
            return Ok(Reviewed::Rejected("the token is meant for others".to_owned()));
        }
        Ok(Reviewed::Authentic(status.user))
    }

    /// Asks whether a user may do something.
    ///
    /// # Errors
    ///
    /// If the server cannot be asked.
    pub async fn may(&self, user: &User, deed: &Deed<'_>) -> Result<Verdict, Error> {
        let User { username, uid, groups, extra } = user;
        let mut spec = json!({"user": username, "uid": uid, "groups": groups, "extra": extra});
        match *deed {
            Deed::Page { verb, path } => {
                spec["nonResourceAttributes"] = json!({"verb": verb, "path": path});
            }
            Deed::Object { verb, group, resource, namespace, name } => {
                spec["resourceAttributes"] = json!({
                    "verb": verb, "group": group, "version": "*", "resource": resource,
                    "namespace": namespace, "name": name,
                });
            }
        }
        let (group, plural) = ("authorization.k8s.io", "subjectaccessreviews");
        let status: AccessStatus = self.ask(group, plural, "SubjectAccessReview", &spec).await?;
        let AccessStatus { allowed, denied, reason, evaluation_error } = status;
        let reason = if reason.is_empty() { evaluation_error } else { reason };
        Ok(Verdict { allowed: allowed && !denied, reason: refusal::shortened(&reason) })
    }

    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        group: &'static str,
        plural: &'static str,
        kind: &str,
        spec: &Value,
    ) -> Result<T, Error> {
        let place = Place::new(group, plural, "", "");
        let api_version = format!("{group}/v1");
        let question = json!({"apiVersion": api_version, "kind": kind, "spec": spec});
        let answer = self.hub.api.question(&place, question).await?;
        Answered::deserialize(answer).map(|it| it.status).map_err(|_| Error::NotUnderstood {
            server: self.server().to_owned(),
            target: Box::new(place.ask("create", String::new()).target),
            problem: "it has no `status`".to_owned(),
        })
    }
}

/// The same error, should the server have repeated the token in it.
fn without(token: &str, error: Error) -> Error {
    match error {
        Error::Answered { server, target, status, message } => {
            let message = message.replace(token, "***");
            Error::Answered { server, target, status, message }
        }
        other => other,
    }
}
