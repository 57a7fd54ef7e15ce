//! Lets those ask for runs whom the cluster knows and allows to.

use crate::cluster::{Clusters, Deed, Reviewed};
use crate::web::{Denied, Gate};
use secrecy::SecretString;
use std::sync::{Arc, OnceLock};

/// Asks the cluster whose a token is (`TokenReview`), and whether they may `post` to the path of
/// the run (`SubjectAccessReview` of a non-resource URL).
pub(super) struct ReviewGate {
    clusters: Arc<OnceLock<Clusters>>,
}

// === impl ReviewGate ===

impl ReviewGate {
    pub(super) fn new(clusters: Arc<OnceLock<Clusters>>) -> Self {
        Self { clusters }
    }
}

#[async_trait::async_trait]
impl Gate for ReviewGate {
    async fn admit(&self, bearer: Option<&SecretString>, scenario: &str) -> Result<(), Denied> {
        let bearer = bearer.ok_or(Denied::Missing)?;
        let unavailable = |why: &str| Denied::Unavailable(why.to_owned());
        let no_cluster = || unavailable("the cluster that knows the token is not reached yet");
        let cluster = self.clusters.get().ok_or_else(no_cluster)?.home();
        let reviewed = cluster.review_token(bearer, &[]).await;
        let user = match reviewed.map_err(|it| unavailable(&it.to_string()))? {
            Reviewed::Authentic(user) => user,
            Reviewed::Rejected(_) => return Err(Denied::Wrong),
        };
        let path = format!("/run/{scenario}");
        let verdict = cluster.may(&user, &Deed::Page { verb: "post", path: &path }).await;
        let allowed = verdict.map_err(|it| unavailable(&it.to_string()))?.allowed;
        if allowed { Ok(()) } else { Err(Denied::Forbidden { user: user.username }) }
    }
}
