//! Whose token it is and what they may do, as the API server sees it; and no token is ever shown.

use crate::cluster_kit::{answering, as_user, grant_everywhere, shown};
use crate::watch::Lab;
use hopclock::cluster::{Cluster, Deed, Error, Reviewed, User};
use secrecy::SecretString;
use serde_json::json;

const CI: &str = "system:serviceaccount:lab:ci";

async fn reviewed(cluster: &Cluster, token: &str, audiences: &[&str]) -> Result<Reviewed, Error> {
    cluster.review_token(&SecretString::from(token), audiences).await
}

#[tokio::test]
async fn a_token_says_whose_it_is_to_whom_it_is_meant_for() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    let token = lab.server.token_for(CI, &["team"]);
    let Reviewed::Authentic(user) = reviewed(&cluster, &token, &[]).await.unwrap() else {
        panic!("rejected")
    };
    assert_eq!(user.username, CI);
    assert!(user.groups.contains(&"team".to_owned()), "{user:?}");
    assert!(user.groups.contains(&"system:serviceaccounts:lab".to_owned()), "{user:?}");

    let ours = lab.server.token_meant_for(CI, &[], "hopclock");
    let accepted = |it| matches!(it, Reviewed::Authentic(_));
    assert!(accepted(reviewed(&cluster, &ours, &["hopclock", "other"]).await.unwrap()));
    assert!(!accepted(reviewed(&cluster, &ours, &[]).await.unwrap()));
    assert!(!accepted(reviewed(&cluster, &token, &["hopclock"]).await.unwrap()));
    lab.server.revoke(&ours);
    assert_eq!(
        reviewed(&cluster, &ours, &["hopclock"]).await.unwrap(),
        Reviewed::Rejected("the token is not known here".to_owned())
    );
}

#[tokio::test]
async fn a_server_that_did_not_look_at_audiences_has_not_said_that_the_token_is_for_us() {
    let status = json!({"authenticated": true, "user": {"username": "jane"}});
    let cluster = answering(201, &json!({"status": status}));
    assert_eq!(
        reviewed(&cluster, "planted", &["hopclock"]).await.unwrap(),
        Reviewed::Rejected("the token is meant for others".to_owned())
    );
    let jane = User { username: "jane".to_owned(), ..User::default() };
    assert_eq!(reviewed(&cluster, "planted", &[]).await.unwrap(), Reviewed::Authentic(jane));
}

#[tokio::test]
async fn a_server_that_repeats_the_token_is_not_repeated() {
    let refusing = answering(400, &json!({"message": "cannot decode \"planted\" as a token"}));
    let error = reviewed(&refusing, "planted", &[]).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("cannot decode") && !shown.contains("planted"), "{shown}");
    let status = json!({"authenticated": false, "error": "planted has expired"});
    let rejecting = answering(201, &json!({"status": status}));
    let rejected = reviewed(&rejecting, "planted", &[]).await.unwrap();
    assert_eq!(rejected, Reviewed::Rejected("*** has expired".to_owned()));
}

#[tokio::test]
async fn a_role_says_who_may_post_to_which_path() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    let Reviewed::Authentic(user) =
        reviewed(&cluster, &lab.server.token_for(CI, &[]), &[]).await.unwrap()
    else {
        panic!("rejected")
    };
    let may = async |verb, path| cluster.may(&user, &Deed::Page { verb, path }).await.unwrap();
    assert!(!may("post", "/run/apps").await.allowed);
    let rule = json!({"nonResourceURLs": ["/run/apps"], "verbs": ["post"]});
    grant_everywhere(&lab, CI, &rule);
    assert!(may("post", "/run/apps").await.allowed);
    assert!(!may("post", "/run/other").await.allowed);
    assert!(!may("delete", "/run/apps").await.allowed);

    let (group, resource, namespace, name) = ("", "configmaps", "lab", "state");
    let deed = Deed::Object { verb: "get", group, resource, namespace, name };
    assert!(!cluster.may(&user, &deed).await.unwrap().allowed);
    let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]});
    grant_everywhere(&lab, CI, &rule);
    assert!(cluster.may(&user, &deed).await.unwrap().allowed);
}

#[tokio::test]
async fn what_an_authoriser_denies_is_not_allowed_by_another_one() {
    let status = json!({"allowed": true, "denied": true, "reason": "maintenance"});
    let verdict = answering(201, &json!({"status": status}))
        .may(&User::default(), &Deed::Page { verb: "post", path: "/run/apps" })
        .await
        .unwrap();
    assert_eq!((verdict.allowed, verdict.reason.as_str()), (false, "maintenance"));
}

#[tokio::test]
async fn who_may_not_review_is_told_what_to_grant() {
    let lab = Lab::new().await;
    let cluster = as_user(&lab, "carol", lab.clock.clone()).await;
    let error = reviewed(&cluster, "planted", &[]).await.unwrap_err();
    assert_eq!(
        shown(&lab, &error),
        "the API server at `[server]` forbids `create` of `tokenreviews.authentication.k8s.io` \
         (403): grant `apiGroups: [\"authentication.k8s.io\"], resources: [\"tokenreviews\"], \
         verbs: [\"create\"]` in a ClusterRole"
    );
    let page = Deed::Page { verb: "post", path: "/run/apps" };
    let error = cluster.may(&User::default(), &page).await.unwrap_err();
    assert!(shown(&lab, &error).contains("of `subjectaccessreviews.authorization.k8s.io`"));
    for (group, resource) in [
        ("authentication.k8s.io", "tokenreviews"),
        ("authorization.k8s.io", "subjectaccessreviews"),
    ] {
        let rule = json!({"apiGroups": [group], "resources": [resource], "verbs": ["create"]});
        grant_everywhere(&lab, "carol", &rule);
    }
    assert!(matches!(reviewed(&cluster, "planted", &[]).await, Ok(Reviewed::Rejected(_))));
    cluster.may(&User::default(), &page).await.unwrap();
}
