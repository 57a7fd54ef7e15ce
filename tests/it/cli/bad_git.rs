//! What a git host can refuse, and the sentence that each gets. Nothing is pushed.

use crate::cli::kit::{HOPS, Page, SOURCE, Stage, check, lane, scenario, told};
use hopclock_sandbox::git::{
    Account, Credentials, Fault, FaultRule, GitHost, GitHostOptions, NewCommit, Refusal, RefusedBy,
    RequestKind, Rights, unrelated_authority,
};
use hopclock_sandbox::pipeline::{Door, Hook};
use insta::assert_snapshot;
use serde_json::json;

#[tokio::test]
async fn a_remote_that_cannot_be_used_gets_one_sentence() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let base = stage.sandbox.git().base_url().to_owned();
    for (title, git) in [
        ("unknown host", "url: 'http://no-such-host.invalid/fleet/canary.git'".to_owned()),
        ("nobody listens", "url: 'http://127.0.0.1:1/fleet/canary.git'".to_owned()),
    ] {
        stage.refuse_scenario(&mut page, title, &git, HOPS).await;
    }
    let nothing = format!("{base}/nothing.git");
    for (title, url, branch) in [
        ("unknown repository", &nothing, "main"),
        ("unknown branch", &stage.url, "mian"),
        ("as it was", &stage.url, "main"),
    ] {
        let spec = json!({"url": url, "ref": {"branch": branch}});
        stage.change("GitRepository", "canary", &json!({"spec": spec}));
        if branch != "main" || *url != stage.url {
            stage.refuse_scenario(&mut page, title, SOURCE, HOPS).await;
        }
    }
    for (title, on, fault) in [
        ("401 to the first question", RequestKind::FetchRefs, Fault::Status(401, None)),
        ("403 to the first question", RequestKind::FetchRefs, Fault::Status(403, None)),
        ("401 to the push", RequestKind::PushRefs, Fault::Status(401, None)),
        ("403 to the push", RequestKind::PushRefs, Fault::Status(403, None)),
        ("403 to the pack", RequestKind::Push, Fault::Status(403, None)),
        ("429", RequestKind::FetchRefs, Fault::Status(429, Some(17))),
        ("500", RequestKind::FetchRefs, Fault::Status(500, None)),
        ("a web page", RequestKind::FetchRefs, Fault::Status(200, None)),
        ("a redirect to another host", RequestKind::FetchRefs, redirect()),
        ("the answer to the push is lost", RequestKind::Push, Fault::Cut),
    ] {
        stage.sandbox.git().add_fault(FaultRule::always(on, fault));
        stage.refuse_scenario(&mut page, title, SOURCE, HOPS).await;
        stage.sandbox.git().clear_faults();
    }
    check(|| assert_snapshot!("bad_git", page.text()));
}

fn redirect() -> Fault {
    Fault::Redirect("http://elsewhere.invalid".to_owned())
}

#[tokio::test]
async fn a_protected_branch_is_refused_with_the_servers_reason() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    for (title, by, message) in [
        ("protected branch", RefusedBy::ProtectedBranch, "GH006: Protected branch update failed"),
        ("update hook", RefusedBy::UpdateHook, "only the release team may push"),
        ("pre-receive hook", RefusedBy::PreReceiveHook, "sign your commits\nall of them"),
    ] {
        let message = format!("{message}\n");
        let refusal = Refusal { by, reference: "refs/heads/main".to_owned(), message };
        stage.sandbox.git().set_refusal(&stage.url, Some(refusal)).unwrap();
        stage.refuse_scenario(&mut page, title, SOURCE, HOPS).await;
    }
    check(|| assert_snapshot!("bad_git_refused", page.text()));
}

#[tokio::test]
async fn credentials_without_the_right_to_push_are_told_from_wrong_ones() {
    let stage = Stage::with(&lane("canary", Hook::Right, Door::Locked)).await;
    let mut page = Page::default();
    let by_hand = format!("url: '{}'", stage.url);
    stage.refuse_scenario(&mut page, "no credentials", &by_hand, HOPS).await;
    let account =
        |name: &str, rights| Account { credentials: Credentials::basic(name, "p"), rights };
    let accounts = vec![account("reader", Rights::Read), account("nobody", Rights::None)];
    stage.sandbox.git().set_accounts(&stage.url, accounts).unwrap();
    stage.refuse_scenario(&mut page, "wrong password of the source", SOURCE, HOPS).await;
    for name in ["reader", "nobody"] {
        let auth =
            format!("{by_hand}, auth: {{ basic: {{ username: {name}, password: {{ env: P }} }} }}");
        let mut call = stage.call(&["run", stage.scenario(&auth, HOPS)]);
        call.env("P", "p");
        stage.refuse(&mut page, &format!("the account `{name}`"), 3, call).await;
    }
    check(|| assert_snapshot!("bad_git_credentials", page.text()));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_says_where_its_authority_goes() {
    let stage = Stage::new().await;
    let host = GitHost::start(GitHostOptions { tls: true, ..Default::default() }).await.unwrap();
    let url = host.create_repository("fleet/canary", &[("README", "x\n")], "main").unwrap();
    let mut page = Page::default();
    stage.file("wrong.pem", &unrelated_authority().unwrap());
    stage.file("no.pem", "no certificate\n");
    for (title, ca) in [
        ("no authority", ""),
        ("another authority", ", ca_file: wrong.pem"),
        ("no PEM", ", ca_file: no.pem"),
        ("a missing file", ", ca_file: missing.pem"),
        ("a directory", ", ca_file: /"),
    ] {
        stage.refuse_scenario(&mut page, title, &format!("url: '{url}'{ca}"), HOPS).await;
    }
    check(|| assert_snapshot!("bad_git_certificate", page.text()));
    assert_eq!(host.ref_updates().len(), 1);
}

#[tokio::test]
async fn others_on_the_lane_are_named() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    let git = stage.sandbox.git();
    let base = git.tip(&stage.url, "main").unwrap();
    let file = stage.scenario(SOURCE, HOPS);
    stage.sandbox.consent("canary", Some("team-b")).unwrap();
    let other = told(stage.call(&["run", file, "--instance", "team-b"])).await;
    assert_eq!(other.code, Some(0), "{other:?}");
    stage.refuse_scenario(&mut page, "the consent of another instance", SOURCE, HOPS).await;
    stage.sandbox.consent("canary", Some("hopclock")).unwrap();
    stage.refuse_scenario(&mut page, "a canary of another instance", SOURCE, HOPS).await;
    git.force(&stage.url, "lane", &base).unwrap();
    let foreign = NewCommit::new("lane", "Fix the roof").file("roof.yaml", "fixed: true\n");
    git.commit(&stage.url, &foreign).unwrap();
    git.force(&stage.url, "base", &base).unwrap();
    stage.change("GitRepository", "canary", &json!({"spec": {"ref": {"branch": "lane"}}}));
    let replace = format!("{SOURCE}, branch: lane, mode: {{ replace: {{ base: base }} }}");
    stage
        .refuse_scenario(&mut page, "a foreign commit on a branch to replace", &replace, HOPS)
        .await;
    let baseless = format!("{SOURCE}, branch: lane, mode: {{ replace: {{ base: bsae }} }}");
    stage.refuse_scenario(&mut page, "an unknown base", &baseless, HOPS).await;
    check(|| assert_snapshot!("bad_git_lane", page.text()));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named() {
    let stage = Stage::new().await;
    let mut page = Page::default();
    for (title, path) in [("a directory", "canary"), ("below a file", "README.md/canary.yaml")] {
        let text = scenario("canary", SOURCE, HOPS);
        let text = text.replace("path: canary/configmap.yaml", &format!("path: {path}"));
        let call = stage.call(&["run", stage.file("canary.yaml", &text)]);
        stage.refuse(&mut page, title, 3, call).await;
    }
    check(|| assert_snapshot!("bad_git_path", page.text()));
}
