//! What goes wrong with a git remote, and the one sentence that each gets. Nothing is pushed.

use crate::git_kit::{Bench, append, push};
use hopclock::remote::git::{Credentials, Error, GitRemoteOptions, PublishError};
use hopclock_sandbox::git::{
    Account, Fault, FaultRule, GitHostOptions, Refusal, RefusedBy, RequestKind, Rights,
    unrelated_authority,
};
use std::time::Duration;

fn tls() -> GitHostOptions {
    GitHostOptions { tls: true, ..GitHostOptions::default() }
}

#[tokio::test]
async fn a_rejected_ref_is_an_error_with_the_servers_reason() {
    let bench = Bench::new().await;
    let remote = bench.remote().await;
    for (by, reason) in [
        (RefusedBy::UpdateHook, "hook declined"),
        (RefusedBy::PreReceiveHook, "pre-receive hook declined"),
        (RefusedBy::ProtectedBranch, "protected branch hook declined"),
    ] {
        let message = "GH006: Protected branch\n".to_owned();
        let refusal = Refusal { by, reference: "refs/heads/main".to_owned(), message };
        bench.host.set_refusal(&bench.url, Some(refusal)).unwrap();
        let error = push(&remote, reason).await.unwrap_err();
        let PublishError::Failed(Error::Rejected { reason: found, said, .. }) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(found, reason);
        assert!(said.starts_with("GH006: Protected branch"), "{said}");
    }
    assert_eq!(bench.host.ref_updates().len(), 1);
}

#[tokio::test]
async fn credentials_are_sent_and_refusals_are_told_apart() {
    let bench = Bench::new().await;
    let accounts = [("w", Rights::Write), ("r", Rights::Read), ("n", Rights::None)];
    let accounts = accounts.map(|(user, rights)| Account {
        credentials: hopclock_sandbox::git::Credentials::basic(user, "pl4nted"),
        rights,
    });
    let bearer = hopclock_sandbox::git::Credentials::Bearer("t0ken".to_owned());
    let bearer = Account { credentials: bearer, rights: Rights::Write };
    let accounts = accounts.into_iter().chain([bearer]).collect();
    bench.host.set_accounts(&bench.url, accounts).unwrap();
    let with = |credentials| GitRemoteOptions { credentials, ..bench.options() };
    for (credentials, reason) in [
        (Credentials::None, "git_unauthorized"),
        (Credentials::basic("w", "wr0ng-pl4nted"), "git_unauthorized"),
        (Credentials::basic("n", "pl4nted"), "git_forbidden"),
        (Credentials::basic("r", "pl4nted"), "git_forbidden"),
    ] {
        let error = bench.error(with(credentials)).await;
        assert_eq!(error.reason(), reason, "{error}");
        assert!(!format!("{error} {error:?}").contains("pl4nted"));
    }
    for (number, credentials) in
        [Credentials::basic("w", "pl4nted\n"), Credentials::bearer("t0ken\n")]
            .into_iter()
            .enumerate()
    {
        let remote = bench.open(with(credentials)).await.unwrap();
        push(&remote, &number.to_string()).await.unwrap();
    }
    let inside = bench.url.replace("http://", "http://w:pl4nted@");
    let remote = bench.open(GitRemoteOptions { url: inside, ..bench.options() }).await.unwrap();
    push(&remote, "2").await.unwrap();
    assert_eq!(remote.url().to_string(), bench.url);
}

#[tokio::test]
async fn a_status_becomes_the_sentence_that_says_what_to_do() {
    let bench = Bench::new().await;
    for (status, reason) in [
        (401, "git_unauthorized"),
        (403, "git_forbidden"),
        (404, "git_no_repository"),
        (429, "git_rate_limited"),
        (500, "git_status"),
    ] {
        for kind in [RequestKind::FetchRefs, RequestKind::PushRefs] {
            bench.host.add_fault(FaultRule::once(kind, Fault::Status(status, Some(17))));
            let options = GitRemoteOptions {
                cache_dir: bench.caches.path().join(format!("{status}-{kind:?}")),
                ..bench.options()
            };
            let error = bench.error(options).await;
            assert_eq!(error.reason(), reason, "{error}");
            if let Error::RateLimited { retry_after, .. } = error {
                assert_eq!(retry_after, Some(Duration::from_secs(17)));
            }
        }
    }
    // A definite no to the pack itself is no lost answer.
    bench.host.add_fault(FaultRule::once(RequestKind::Push, Fault::Status(403, None)));
    assert_eq!(bench.error(bench.options()).await.reason(), "git_forbidden");
    assert_eq!(bench.host.ref_updates().len(), 1);
}

#[tokio::test]
async fn a_host_that_is_not_there_is_named() {
    let bench = Bench::new().await;
    bench.host.go_down();
    let error = bench.error(bench.options()).await;
    assert_eq!(error.reason(), "git_unreachable", "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    let url = "http://no-such-host.invalid/a/b.git".to_owned();
    let error = bench.error(GitRemoteOptions { url, ..bench.options() }).await;
    assert_eq!(error.reason(), "git_unknown_host", "{error}");
    let url = "ftp://git@example.com/a/b.git".to_owned();
    let error = bench.error(GitRemoteOptions { url, ..bench.options() }).await;
    assert_eq!(error.reason(), "git_bad_url", "{error}");
}

#[tokio::test]
async fn a_host_that_goes_away_between_preparation_and_push_leaves_nothing_open() {
    let bench = Bench::new().await;
    let remote = bench.remote().await;
    let prepared = remote.prepare(append("1")).await.unwrap();
    bench.host.go_down();
    let error = remote.publish(prepared.clone(), |_| {}).await.unwrap_err();
    // Whether the kept connection breaks or a new one is refused: the pack has not gone out.
    assert!(matches!(error.reason(), "git_unreachable" | "git_broken"), "{error}");
    bench.host.come_back().unwrap();
    remote.publish(prepared, |_| {}).await.unwrap();
}

#[tokio::test]
async fn https_works_with_the_right_authority_and_says_what_a_wrong_one_needs() {
    let bench = Bench::with(tls()).await;
    let with =
        |ca: Option<String>| GitRemoteOptions { ca: ca.map(String::into_bytes), ..bench.options() };
    for ca in [None, Some(unrelated_authority().unwrap())] {
        let error = bench.error(with(ca)).await;
        assert_eq!(error.reason(), "git_untrusted_certificate", "{error}");
        assert!(error.to_string().contains("`ca_file`"), "{error}");
    }
    let error = bench.error(with(Some("no certificate".to_owned()))).await;
    assert_eq!(error.reason(), "git_bad_ca", "{error}");
    let right = bench.host.authority().unwrap().to_owned();
    push(&bench.open(with(Some(right))).await.unwrap(), "1").await.unwrap();
    assert_eq!(bench.host.ref_updates().len(), 2);
}

#[tokio::test]
async fn an_unknown_branch_is_answered_with_those_that_exist() {
    let bench = Bench::new().await;
    let branch = "mian".to_owned();
    let error = bench.error(GitRemoteOptions { branch, ..bench.options() }).await;
    let text = error.to_string();
    assert!(text.contains("no branch `mian`") && text.contains("`main`"), "{text}");
}

#[tokio::test]
async fn a_silent_host_is_a_timeout_before_the_push_and_a_lost_answer_in_it() {
    let bench = Bench::new().await;
    push(&bench.remote().await, "1").await.unwrap();
    let timeout = Duration::from_secs(2);
    let remote = bench.open(GitRemoteOptions { timeout, ..bench.options() }).await.unwrap();
    bench.host.add_fault(FaultRule::once(RequestKind::PushRefs, Fault::Silence));
    assert_eq!(push(&remote, "2").await.unwrap_err().reason(), "git_timeout");
    bench.host.add_fault(FaultRule::once(RequestKind::Push, Fault::Silence));
    assert_eq!(push(&remote, "3").await.unwrap_err().reason(), "git_no_answer");
}

#[tokio::test]
async fn credentials_follow_no_redirect_to_another_host() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    let elsewhere = Fault::Redirect(other.host.base_url().to_owned());
    bench.host.add_fault(FaultRule::always(RequestKind::FetchRefs, elsewhere));
    let credentials = Credentials::basic("u", "pl4nted");
    let error = bench.error(GitRemoteOptions { credentials, ..bench.options() }).await;
    assert_eq!(error.reason(), "git_redirected", "{error}");
    assert!(error.to_string().contains(other.host.base_url()), "{error}");
    assert!(other.host.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed_with_credentials() {
    let bench = Bench::new().await;
    let credentials = hopclock_sandbox::git::Credentials::basic("u", "p");
    let account = Account { credentials, rights: Rights::Write };
    bench.host.set_accounts(&bench.url, vec![account]).unwrap();
    for kind in [RequestKind::FetchRefs, RequestKind::PushRefs] {
        let here = Fault::Redirect(bench.host.base_url().to_owned());
        bench.host.add_fault(FaultRule::once(kind, here));
    }
    let credentials = Credentials::basic("u", "p");
    let options = GitRemoteOptions { credentials, ..bench.options() };
    push(&bench.open(options).await.unwrap(), "1").await.unwrap();
    assert_eq!(bench.host.count(RequestKind::PushRefs), 2);
}

#[tokio::test]
async fn a_web_page_is_not_taken_for_a_repository() {
    let bench = Bench::new().await;
    let page = Fault::Status(200, None);
    bench.host.add_fault(FaultRule::once(RequestKind::FetchRefs, page));
    assert_eq!(bench.error(bench.options()).await.reason(), "git_not_git");
}

#[tokio::test]
async fn an_edit_that_cannot_be_made_is_refused_before_anything_is_sent() {
    let bench = Bench::new().await;
    let remote = bench.remote().await;
    for path in ["", "/etc/x", "../x", "canary", "README/x", ".git/config", "a/"] {
        let edit = hopclock::remote::git::Edit { path: path.to_owned(), ..append("1") };
        let error = remote.prepare(edit).await.unwrap_err();
        assert_eq!(error.reason(), "git_bad_path", "`{path}`: {error}");
    }
    let error = remote.prepare(append("none")).await.unwrap_err();
    assert_eq!(error.reason(), "git_nothing_changes", "{error}");
    assert_eq!(bench.host.count(RequestKind::PushRefs), 0);
}
