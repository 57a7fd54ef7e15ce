//! Kubeconfigs and API servers that are of no use, and the sentence that each gets.

use crate::cli::kit::{HOPS, Page, SOURCE, Stage, check, hopclock};
use hopclock_sandbox::api::{Answer, Scope};
use hopclock_sandbox::git::unrelated_authority;
use insta::assert_snapshot;
use serde_json::Value;

/// A kubeconfig with one value replaced.
fn changed(kubeconfig: &str, at: &str, value: &str) -> String {
    let mut config: Value = serde_saphyr::from_str(kubeconfig).unwrap();
    *config.pointer_mut(at).unwrap() = value.into();
    config.to_string()
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_gets_one_sentence() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let file = stage.scenario(SOURCE, HOPS);
    let right = stage.sandbox.api().kubeconfig(None);
    let server = "/clusters/0/cluster/server";
    let authority = "/clusters/0/cluster/certificate-authority-data";
    let wrong_authority = base64(&unrelated_authority().unwrap());
    let git = stage.sandbox.git().base_url().to_owned();
    for (title, text) in [
        ("no YAML", "clusters: [\n".to_owned()),
        ("no kubeconfig", "- a\n- list\n".to_owned()),
        ("empty", String::new()),
        ("unknown cluster", changed(&right, "/contexts/0/context/cluster", "gone")),
        ("unknown user", changed(&right, "/contexts/0/context/user", "gone")),
        ("unknown current context", changed(&right, "/current-context", "gone")),
        ("authority of no base64", changed(&right, authority, "%%%")),
        ("authority of no PEM", changed(&right, authority, "UEVN")),
        ("another authority", changed(&right, authority, &wrong_authority)),
        ("unknown host", changed(&right, server, "https://no-such-host.invalid")),
        ("nobody listens", changed(&right, server, "https://127.0.0.1:1")),
        ("no https", changed(&right, server, &git.replace("http:", "https:"))),
        ("another server", changed(&right, server, &git)),
        ("server without a scheme", changed(&right, server, "127.0.0.1")),
        ("token over lines", changed(&right, "/users/0/user/token", "a\nb")),
        ("revoked token", changed(&right, "/users/0/user/token", "revoked")),
    ] {
        stage.file("kubeconfig", &text);
        let call = stage.call(&["run", file, "--kubeconfig", "kubeconfig"]);
        stage.refuse(&mut page, title, 3, call).await;
    }
    let call = stage.call(&["run", file, "--context", "production"]);
    stage.refuse(&mut page, "unknown context", 3, call).await;
    let call = stage.call(&["run", file, "--kubeconfig", "missing"]);
    stage.refuse(&mut page, "missing file", 3, call).await;
    let call = stage.call(&["run", file, "--kubeconfig", "."]);
    stage.refuse(&mut page, "a directory", 3, call).await;
    let call = hopclock(stage.folder.path(), &["run", file]);
    stage.refuse(&mut page, "none at all", 3, call).await;
    check(|| assert_snapshot!("bad_cluster_kubeconfig", page.text()));
}

#[tokio::test]
async fn an_api_server_that_refuses_gets_one_sentence() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let faults = stage.sandbox.api().faults();
    for (title, answer, scope) in [
        ("401 of a source", Answer::Unauthorized, Scope::all().kind("GitRepository")),
        ("403 of a source", Answer::Forbidden, Scope::all().kind("GitRepository").verb("get")),
        ("403 of a Secret", Answer::Forbidden, Scope::all().kind("Secret")),
        ("403 of a list", Answer::Forbidden, Scope::all().kind("Kustomization").verb("list")),
        ("403 of a watch", Answer::Forbidden, Scope::all().kind("ConfigMap").verb("watch")),
        ("500 of a Receiver", Answer::InternalError, Scope::all().kind("Receiver").verb("get")),
    ] {
        let fault = faults.answer(answer, scope);
        stage.refuse_scenario(&mut page, title, SOURCE, HOPS).await;
        faults.lift(fault);
    }
    check(|| assert_snapshot!("bad_cluster_refused", page.text()));
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
