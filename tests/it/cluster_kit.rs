//! What the tests of what we keep in a cluster share: users with few rights, servers of one answer.

use crate::watch::{Lab, RuntimeClock, short};
use axum::body::Body;
use hopclock::cluster::{Cluster, ClusterOptions, Timing};
use hopclock::model::Clock;
use http::{Request, Response};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::time::Instant;

/// The sandbox as `user` sees it, who may do nothing that was not granted.
pub(crate) async fn as_user(lab: &Lab, user: &str, clock: Arc<dyn Clock>) -> Cluster {
    let path = lab.write(&format!("user-{user}"), &lab.server.kubeconfig(Some((user, &[]))));
    let options =
        ClusterOptions { kubeconfigs: vec![path], timing: short(), ..ClusterOptions::default() };
    Cluster::connect(options, clock).await.unwrap()
}

/// Grants `rule` to a user in namespace `lab`.
pub(crate) fn grant(lab: &Lab, user: &str, rule: &Value) {
    let name = format!("{user}-{}", fastrand::u64(..));
    let meta = json!({"name": name, "namespace": "lab"});
    create(lab, json!({"kind": "Role", "metadata": meta, "rules": [rule]}));
    create(
        lab,
        json!({
            "kind": "RoleBinding", "metadata": meta, "roleRef": {"kind": "Role", "name": name},
            "subjects": [{"kind": "User", "name": user}],
        }),
    );
}

/// Grants `rule` to a user everywhere.
pub(crate) fn grant_everywhere(lab: &Lab, user: &str, rule: &Value) {
    let meta = json!({"name": format!("{user}-{}", fastrand::u64(..))});
    create(lab, json!({"kind": "ClusterRole", "metadata": meta, "rules": [rule]}));
    create(
        lab,
        json!({
            "kind": "ClusterRoleBinding", "metadata": meta,
            "roleRef": {"kind": "ClusterRole", "name": meta["name"]},
            "subjects": [{"kind": "User", "name": user}],
        }),
    );
}

/// A server that answers everything with `status` and `body`.
pub(crate) fn answering(status: u16, body: &Value) -> Cluster {
    let body = body.to_string();
    let service = tower::service_fn(move |_: Request<kube::client::Body>| {
        let answer = Response::builder().status(status).body(Body::from(body.clone())).unwrap();
        async move { Ok::<_, Infallible>(answer) }
    });
    let clock = Arc::new(RuntimeClock(Instant::now()));
    Cluster::over(kube::Client::new(service, "lab"), Timing::default(), clock)
}

/// What an error says, the server's address left out.
pub(crate) fn shown(lab: &Lab, error: &hopclock::cluster::Error) -> String {
    error.to_string().replace(&lab.server.url(), "[server]")
}

fn create(lab: &Lab, object: Value) {
    lab.store.create(object, "test").unwrap();
}
