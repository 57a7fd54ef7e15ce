//! Asks the API server beforehand what a request would come to: whether it is allowed.
//!
//! Everybody may ask that of himself (`SelfSubjectAccessReview`). Whether somebody else is allowed
//! something, only those may ask who may `create` `subjectaccessreviews.authorization.k8s.io`.

use crate::cluster::object::Place;
use crate::cluster::review::{Deed, User};
use crate::cluster::{Cluster, Error, Target};
use crate::model::{ObjectName, Subject};
use serde_json::{Value, json};

/// Whether a request is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The request; [`Target::rule`] is the rule that allows it.
    pub target: Target,
    /// Whether it is.
    pub allowed: bool,
}

// === impl Cluster ===

impl Cluster {
    /// Asks whether a request for an object is allowed to `who`, or to us. Without a namespace or a
    /// name all are meant.
    ///
    /// # Errors
    ///
    /// If the server cannot be asked, or does not know the kind.
    pub async fn permits(
        &self,
        who: Option<&User>,
        verb: &'static str,
        subject: &Subject,
    ) -> Result<Permission, Error> {
        let served = self.hub.kinds.find(&self.hub.api, &subject.kind).await?;
        let target = served.target(verb, &subject.namespace, &subject.name);
        let Target { group, resource, namespace, name, .. } = &target;
        if let Some(who) = who {
            let deed = Deed::Object { verb, group, resource, namespace, name };
            let allowed = self.may(who, &deed).await?.allowed;
            return Ok(Permission { target, allowed });
        }
        let question = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "group": group, "version": "*",
                "resource": resource, "namespace": namespace, "name": name}},
        });
        let place = Place::new("authorization.k8s.io", "selfsubjectaccessreviews", "", "");
        let answer: Value = self.hub.api.question(&place, question).await?;
        let status = &answer["status"];
        let allowed = status["allowed"] == true && status["denied"] != true;
        Ok(Permission { target, allowed })
    }
}

// === impl User ===

impl User {
    /// A service account, with the groups that the API server gives it.
    #[must_use]
    pub fn service_account(account: &ObjectName) -> Self {
        let ObjectName { namespace, name } = account;
        Self {
            username: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
            ..Self::default()
        }
    }
}
