//! Secrets are read, and never printed.

use crate::watch::{Lab, event};
use hopclock::model::{GroupKind, Subject};
use secrecy::ExposeSecret;
use serde_json::json;

/// `planted-token` and a newline, in base64.
const PLANTED: &str = "cGxhbnRlZC10b2tlbgo=";

fn plant(lab: &Lab) {
    let metadata = json!({"namespace": "lab", "name": "auth"});
    let data = json!({"password": PLANTED, "username": "Z2l0"});
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data});
    lab.store.create(object, "test").unwrap();
}

#[tokio::test]
async fn a_secret_is_read_without_its_newline_and_never_printed() {
    let lab = Lab::new().await;
    plant(&lab);
    let cluster = lab.cluster().await;
    let secret = cluster.secret("lab", "auth").await.unwrap();
    let password = secret.text("password").unwrap();
    assert_eq!(password.expose_secret(), "planted-token");

    let subject = Subject::local(GroupKind::new("", "Secret"), "lab", "auth");
    let mut following = cluster.follow(&[subject]).await.unwrap();
    let event = event(&mut following).await;
    let printed = format!("{secret:?} {password:?} {following:?} {event:?} {cluster:?}");
    assert!(!printed.contains("planted") && !printed.contains(PLANTED), "{printed}");
    assert!(!printed.contains(lab.server.admin_token()), "{printed}");
}

#[tokio::test]
async fn a_missing_secret_key_or_object_is_said_by_name() {
    let lab = Lab::new().await;
    plant(&lab);
    let cluster = lab.cluster().await;
    assert_eq!(
        cluster.secret("lab", "other").await.unwrap_err().to_string(),
        "there is no Secret lab/other: check its namespace and name, or create it"
    );
    let secret = cluster.secret("lab", "auth").await.unwrap();
    assert_eq!(
        secret.text("bearerToken").unwrap_err().to_string(),
        "the Secret lab/auth has no key `bearerToken`: it has `password`, `username`"
    );
    let subject = Subject::local(GroupKind::git_repository(), "lab", "apps");
    let error = cluster.get(&subject).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no GitRepository lab/apps: check its namespace and name, or create it"
    );
    assert_eq!(error.reason(), "missing_object");
}
