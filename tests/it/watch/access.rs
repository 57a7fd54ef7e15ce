//! What keeps us from a cluster is said in one sentence: what, where, and what to do.

use crate::watch::{Lab, source};
use hopclock::cluster::{Cluster, ClusterOptions, Error, Timing};
use hopclock::model::{GroupKind, Subject};
use hopclock_sandbox::api::{Options, Tls};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Connects with a kubeconfig and says why that failed, the folder left out.
async fn refusal(lab: &Lab, kubeconfig: PathBuf, context: Option<&str>) -> Error {
    let (kubeconfigs, context) = (vec![kubeconfig], context.map(str::to_owned));
    let options = ClusterOptions { kubeconfigs, context, ..ClusterOptions::default() };
    Cluster::connect(options, lab.clock.clone()).await.expect_err("no cluster")
}

fn without(folder: &Path, error: &Error) -> String {
    error.to_string().replace(&folder.display().to_string(), "[folder]")
}

fn kubeconfig(server: &str, extra: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: lab\n\
         contexts: [{{name: lab, context: {{cluster: lab, user: lab}}}}]\n\
         clusters: [{{name: lab, cluster: {{server: '{server}'{extra}}}}}]\n\
         users: [{{name: lab, user: {{token: planted-token}}}}]\n"
    )
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_said_without_its_content() {
    let lab = Lab::new().await;
    let folder = lab.folder.path();
    let shown = |error: Error| {
        assert_eq!(error.reason(), "kubeconfig");
        assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
        without(folder, &error)
    };
    let missing = refusal(&lab, folder.join("missing"), None).await;
    assert_eq!(
        shown(missing),
        "cannot read the kubeconfig `[folder]/missing`: No such file or directory (os error 2); \
         name one that exists and is readable"
    );
    let path = lab.write("broken", "apiVersion: v1\nusers: [{name: x, user: {token: [planted}}]\n");
    let broken = shown(refusal(&lab, path, None).await);
    assert!(broken.starts_with("the kubeconfig `[folder]/broken` is malformed at line 2, column "));
    let path = lab.write("good", &kubeconfig("http://127.0.0.1:1", ""));
    assert_eq!(
        shown(refusal(&lab, path, Some("other")).await),
        "the kubeconfig `[folder]/good` has no context `other`: name one of `lab`"
    );
    let extra = ", certificate-authority: /no/such/ca.pem";
    let path = lab.write("ca", &kubeconfig("https://127.0.0.1:1", extra));
    assert_eq!(
        shown(refusal(&lab, path, None).await),
        "the kubeconfig `[folder]/ca` cannot be used: its certificate authority \
         `/no/such/ca.pem` cannot be read (No such file or directory (os error 2)); correct its \
         context or name another"
    );
}

#[tokio::test]
async fn an_api_server_that_cannot_be_reached_is_said_with_its_address() {
    let lab = Lab::new().await;
    let nobody = lab.server.url();
    lab.server.go_away().await;
    let path = lab.write("refused", &kubeconfig(&nobody, ""));
    let error = refusal(&lab, path, None).await;
    assert_eq!(
        error.to_string(),
        format!(
            "the API server at `{nobody}` refuses the connection: check the address and port in \
             the kubeconfig, and whether it runs"
        )
    );
    // Longer than any name may be, so that no name server has to be asked.
    let unknown = format!("http://{}:6443", "x".repeat(64));
    let path = lab.write("unknown", &kubeconfig(&unknown, ""));
    let error = refusal(&lab, path, None).await;
    assert_eq!(
        error.to_string(),
        format!(
            "the host of the API server at `{unknown}` is unknown: check the address in the \
             kubeconfig, and the DNS"
        )
    );
    assert_eq!(error.reason(), "unreachable");
}

#[tokio::test]
async fn an_api_server_that_accepts_and_says_nothing_is_not_waited_for_without_end() {
    let lab = Lab::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let kubeconfigs = vec![lab.write("mute", &kubeconfig(&server, ""))];
    let timing = Timing { answer: Duration::from_millis(100), ..Timing::default() };
    let options = ClusterOptions { kubeconfigs, timing, ..ClusterOptions::default() };
    let error = Cluster::connect(options, lab.clock.clone()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the API server at `{server}` did not answer `get` of `/version` within 100ms: check \
             its health and the network on the way"
        )
    );
    assert_eq!(error.reason(), "timeout");
}

#[tokio::test]
async fn what_is_no_api_server_is_said() {
    let lab = Lab::new().await;
    let router = axum::Router::new().fallback(async || "<html>welcome</html>");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let path = lab.write("other", &kubeconfig(&server, ""));
    assert_eq!(
        refusal(&lab, path, None).await.to_string(),
        format!(
            "the API server at `{server}` answers `get` of `/version` with something else than \
             Kubernetes does (line 1, column 1): check the address in the kubeconfig"
        )
    );
}

#[tokio::test]
async fn a_credential_plugin_that_fails_is_said_and_what_it_printed_is_not() {
    let lab = Lab::new().await;
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, \
                command: sh, args: [-c, 'echo planted-token; exit 3']}";
    let text = kubeconfig(&lab.server.url(), "").replace("token: planted-token", exec);
    let error = refusal(&lab, lab.write("exec", &text), None).await;
    assert_eq!(
        error.to_string(),
        format!(
            "cannot use the credentials for the API server at `{}`: their plugin failed (exit \
             status: 3); check the user of the kubeconfig's context",
            lab.server.url()
        )
    );
    assert!(!format!("{error:?}").contains("planted"), "{error:?}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_trusted() {
    let tls = Some(Tls::self_signed().unwrap());
    let lab = Lab::with(Options { tls, ..Options::default() }).await;
    lab.cluster().await.server_version().await.unwrap();

    let other = Tls::self_signed().unwrap();
    let ca = lab.write("other.pem", other.ca_pem());
    let extra = format!(", certificate-authority: '{}'", ca.display());
    let path = lab.write("other", &kubeconfig(&lab.server.url(), &extra));
    let error = refusal(&lab, path, None).await;
    assert_eq!(error.reason(), "untrusted");
    let start = format!("the certificate of the API server at `{}` is not", lab.server.url());
    let end = "check `certificate-authority` in the kubeconfig";
    let text = error.to_string();
    assert!(text.starts_with(&start) && text.ends_with(end), "{text}");
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_said_and_not_shown() {
    let lab = Lab::new().await;
    let path = lab.write("stranger", &kubeconfig(&lab.server.url(), ""));
    let error = refusal(&lab, path, None).await;
    assert_eq!(
        error.to_string(),
        format!(
            "the API server at `{}` does not accept our credentials (401): renew the token or \
             certificate of the kubeconfig's user",
            lab.server.url()
        )
    );
    assert_eq!(error.reason(), "unauthorized");
}

#[tokio::test]
async fn what_we_may_not_do_is_said_with_the_rule_that_allows_it() {
    let lab = Lab::new().await;
    let path = lab.write("eve", &lab.server.kubeconfig(Some(("eve", &[]))));
    let options = ClusterOptions { kubeconfigs: vec![path], ..ClusterOptions::default() };
    let cluster = Cluster::connect(options, lab.clock.clone()).await.unwrap();
    let error = cluster.follow(&[source("apps")]).await.unwrap_err();
    let shown = error.to_string().replace(&lab.server.url(), "[server]");
    assert_eq!(
        shown,
        "the API server at `[server]` forbids `list` of \
         `gitrepositories.source.toolkit.fluxcd.io` named `apps` in namespace `lab` (403): grant \
         `apiGroups: [\"source.toolkit.fluxcd.io\"], resources: [\"gitrepositories\"], verbs: \
         [\"list\"]` in a Role"
    );
    let error = cluster.secret("lab", "auth").await.unwrap_err();
    let shown = error.to_string().replace(&lab.server.url(), "[server]");
    assert_eq!(
        shown,
        "the API server at `[server]` forbids `get` of `secrets` named `auth` in namespace `lab` \
         (403): grant `apiGroups: [\"\"], resources: [\"secrets\"], verbs: [\"get\"]` in a Role"
    );
}

#[tokio::test]
async fn a_kind_that_is_not_installed_or_wrongly_named_is_said() {
    let lab = Lab::new().await;
    let cluster = lab.cluster().await;
    let follow = async |group: &str, kind: &str, namespace: &str| {
        let subject = Subject::local(GroupKind::new(group, kind), namespace, "x");
        let error = cluster.follow(&[subject]).await.unwrap_err();
        assert!(error.is_permanent() && error.reason() == "kind", "{error}");
        error.to_string().replace(&lab.server.url(), "[server]")
    };
    for (group, kind) in [("example.com", "Gadget"), ("source.toolkit.fluxcd.io", "Gadget")] {
        assert_eq!(
            follow(group, kind, "lab").await,
            format!(
                "the API server at `[server]` does not serve Gadget of group `{group}`: install \
                 its CustomResourceDefinition"
            )
        );
    }
    assert_eq!(
        follow("", "ConfigMap", "").await,
        "ConfigMap is namespaced: name it as `namespace/name`"
    );
    assert_eq!(
        follow("", "Namespace", "lab").await,
        "Namespace is cluster-scoped: name it without a namespace"
    );
}

#[tokio::test]
async fn kubeconfigs_are_merged_and_those_that_do_not_exist_passed_over() {
    let lab = Lab::new().await;
    let good = lab.write("good", &lab.server.kubeconfig(None));
    let kubeconfigs = vec![lab.folder.path().join("missing"), good];
    let options = ClusterOptions { kubeconfigs, ..ClusterOptions::default() };
    let cluster = Cluster::connect(options, lab.clock.clone()).await.unwrap();
    assert!(cluster.server_version().await.unwrap().starts_with('v'));
}
