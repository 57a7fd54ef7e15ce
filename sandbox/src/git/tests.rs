//! The host against the `git` program, which is the judge of a git host.

use std::path::Path;
use std::time::Duration;

use super::*;

struct Git {
    folder: TempDir,
}

struct Ran {
    ok: bool,
    text: String,
}

impl Git {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        run(self.folder.path(), arguments).await
    }

    async fn clone_of(url: &str) -> Self {
        let git = Self::new();
        let ran = git.run(&["clone", "-q", url, "."]).await;
        assert!(ran.ok, "{}", ran.text);
        git
    }

    async fn commit(&self, path: &str, content: &str) -> String {
        std::fs::write(self.folder.path().join(path), content).unwrap();
        assert!(self.run(&["add", "."]).await.ok);
        assert!(self.run(&["commit", "-qm", "A change"]).await.ok);
        self.run(&["rev-parse", "HEAD"]).await.text.trim().to_owned()
    }
}

async fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let output = tokio::process::Command::new("git")
        .args(["-c", "user.name=T", "-c", "user.email=t@example.com"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env_remove("GIT_SSL_CAINFO")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    Ran { ok: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
}

async fn host() -> (GitHost, String) {
    let host = GitHost::start(GitHostOptions::default()).await.unwrap();
    let url = host.create_repository("fleet/canary", &[("a/b.yaml", "x: 1\n")], "main").unwrap();
    (host, url)
}

#[tokio::test]
async fn git_clones_and_pushes_and_the_host_stamps_the_moved_branch() {
    let (host, url) = host().await;
    let first = host.tip(&url, "main").unwrap();
    let mut moved = host.watch_updates();
    let git = Git::clone_of(&url).await;
    let id = git.commit("c.yaml", "y: 2\n").await;
    let before = tokio::time::Instant::now();
    let ran = git.run(&["push", "-q", "origin", "main"]).await;
    assert!(ran.ok, "{}", ran.text);
    assert_eq!(host.tip(&url, "main").unwrap(), id);
    let update = moved.recv().await.unwrap();
    assert_eq!((update.old, update.new, update.by), (first, id.clone(), UpdatedBy::Push));
    assert!(before < update.at && update.at < tokio::time::Instant::now());
    assert_eq!(host.count(RequestKind::Push), 1);
    let fetched = host.fetch(&url, None, &GitRef::Branch("main".to_owned())).unwrap();
    assert_eq!((fetched.commit, fetched.subject.as_str()), (id, "A change"));
    assert_eq!(fetched.files["a/b.yaml"], b"x: 1\n");
    assert_eq!(fetched.files["c.yaml"], b"y: 2\n");
    assert_eq!(fetched.signed, None);
}

#[tokio::test]
async fn accounts_decide_who_reads_and_who_writes() {
    let (host, url) = host().await;
    let account = |user, rights| Account { credentials: Credentials::basic(user, "pw"), rights };
    let accounts = vec![
        account("w", Rights::Write),
        account("r", Rights::Read),
        Account { credentials: Credentials::Bearer("t0ken".to_owned()), rights: Rights::Write },
    ];
    host.set_accounts(&url, accounts).unwrap();
    let git = Git::new();
    assert!(git.run(&["ls-remote", &url]).await.text.contains("could not read Username"));
    let with = |user: &str| url.replace("http://", &format!("http://{user}:pw@"));
    let git = Git::clone_of(&with("r")).await;
    let id = git.commit("c", "d").await;
    let refused = git.run(&["push", "-q", "origin", "main"]).await;
    assert!(!refused.ok && refused.text.contains("403"), "{}", refused.text);
    assert!(git.run(&["push", "-q", &with("w"), "main"]).await.ok);
    assert_eq!(host.tip(&url, "main").unwrap(), id);
    let bearer = ["-c", "http.extraHeader=Authorization: Bearer t0ken", "ls-remote", &url];
    assert!(git.run(&bearer).await.text.contains(&id));
    let main = GitRef::Branch("main".to_owned());
    assert_eq!(host.fetch(&url, Some(("r", "no")), &main), Err(FetchError::Unauthorized));
    assert!(host.fetch(&url, Some(("r", "pw")), &main).is_ok());
    assert!(host.fetch(&url, Some(("", "t0ken")), &main).is_ok());
}

#[tokio::test]
async fn a_refused_push_reaches_the_client_with_the_servers_text() {
    let (host, url) = host().await;
    let git = Git::clone_of(&url).await;
    git.commit("c", "d").await;
    for (by, said) in [
        (RefusedBy::UpdateHook, "(hook declined)"),
        (RefusedBy::PreReceiveHook, "(pre-receive hook declined)"),
        (RefusedBy::ProtectedBranch, "(protected branch hook declined)"),
    ] {
        let message = "GH006: Protected branch update failed\n".to_owned();
        let refusal = Refusal { by, reference: "refs/heads/main".to_owned(), message };
        host.set_refusal(&url, Some(refusal)).unwrap();
        let ran = git.run(&["push", "origin", "main"]).await;
        assert!(!ran.ok && ran.text.contains(said), "{}", ran.text);
        assert!(ran.text.contains("remote: GH006"), "{}", ran.text);
    }
    assert_eq!(host.ref_updates().len(), 1, "only the first commit moved the branch");
    host.set_refusal(&url, None).unwrap();
    assert!(git.run(&["push", "-q", "origin", "main"]).await.ok);
}

#[tokio::test]
async fn an_outage_refuses_connections_and_ends_on_the_same_port() {
    let (host, url) = host().await;
    let main = GitRef::Branch("main".to_owned());
    host.go_down();
    let git = Git::new();
    let ran = git.run(&["ls-remote", &url]).await;
    assert!(!ran.ok && ran.text.contains("onnect"), "{}", ran.text);
    assert_eq!(host.fetch(&url, None, &main), Err(FetchError::Down));
    host.come_back().unwrap();
    assert!(git.run(&["ls-remote", &url]).await.ok);
    assert!(host.fetch(&url, None, &main).is_ok());
}

#[tokio::test]
async fn a_push_can_be_applied_and_its_answer_lost() {
    let (host, url) = host().await;
    let git = Git::clone_of(&url).await;
    let id = git.commit("c", "d").await;
    host.add_fault(FaultRule::once(RequestKind::Push, Fault::CutAfter));
    assert!(!git.run(&["push", "-q", "origin", "main"]).await.ok);
    assert_eq!(host.tip(&url, "main").unwrap(), id);
}

#[tokio::test]
async fn a_status_on_demand_spoils_one_kind_of_request() {
    let (host, url) = host().await;
    let git = Git::clone_of(&url).await;
    for status in [403, 404, 500] {
        host.add_fault(FaultRule::once(RequestKind::FetchRefs, Fault::Status(status, None)));
        let ran = git.run(&["ls-remote", "origin"]).await;
        let said = if status == 404 { "not found".to_owned() } else { status.to_string() };
        assert!(!ran.ok && ran.text.contains(&said), "{}", ran.text);
    }
    assert!(git.run(&["ls-remote", "origin"]).await.ok);
}

#[tokio::test]
async fn https_is_trusted_with_the_hosts_authority_only() {
    let host = GitHost::start(GitHostOptions { tls: true, ..Default::default() }).await.unwrap();
    let url = host.create_repository("secure", &[("a", "b")], "main").unwrap();
    let git = Git::new();
    let right = git.folder.path().join("right.pem");
    let wrong = git.folder.path().join("wrong.pem");
    std::fs::write(&right, host.authority().unwrap()).unwrap();
    std::fs::write(&wrong, unrelated_authority().unwrap()).unwrap();
    let with = |path: &Path| format!("http.sslCAInfo={}", path.display());
    let ran = git.run(&["-c", &with(&right), "ls-remote", &url]).await;
    assert!(ran.ok && ran.text.contains("refs/heads/main"), "{}", ran.text);
    assert!(!git.run(&["-c", &with(&wrong), "ls-remote", &url]).await.ok);
}

#[tokio::test]
async fn somebody_else_rewrites_merges_tags_and_signs() {
    let (host, url) = host().await;
    let first = host.tip(&url, "main").unwrap();
    let second = host.commit(&url, &NewCommit::new("main", "Second").file("c", "d")).unwrap();
    let side = NewCommit::new("main", "Rewritten").without("a/b.yaml").on(&[&first]);
    let side = host.commit(&url, &side.file("e", "f").signed("-----BEGIN PGP-----")).unwrap();
    assert_eq!(host.tip(&url, "main").unwrap(), side);
    let fetched = host.fetch(&url, None, &GitRef::Commit(side.clone())).unwrap();
    let (signature, text) = fetched.signed.unwrap();
    assert_eq!(signature, "-----BEGIN PGP-----");
    assert!(text.starts_with(b"tree ") && text.ends_with(b"\n\nRewritten"));
    assert_eq!(fetched.files.keys().collect::<Vec<_>>(), ["e"]);
    host.force(&url, "main", &second).unwrap();
    host.tag(&url, "v1", &side).unwrap();
    assert_eq!(host.fetch(&url, None, &GitRef::Tag("v1".to_owned())).unwrap().commit, side);
    let gone = GitRef::Branch("gone".to_owned());
    let missing = FetchError::MissingRef("refs/heads/gone".to_owned());
    assert_eq!(host.fetch(&url, None, &gone), Err(missing));
    let git = Git::clone_of(&url).await;
    assert!(git.run(&["fsck", "--strict", "--no-dangling"]).await.ok);
    assert!(git.run(&["log", "--format=%H", "-1"]).await.text.contains(&second));
}

#[tokio::test]
async fn a_webhook_can_arrive_before_the_pusher_has_its_answer() {
    let (host, url) = host().await;
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/hook", receiver.local_addr().unwrap());
    let moment = WebhookMoment::BeforeAcknowledgement;
    let webhook = Webhook { moment, ..Webhook::new(&target, "s3cret", WebhookFormat::GitHub) };
    host.add_webhook(&url, webhook).unwrap();
    let seen = tokio::spawn(async move {
        let (stream, _) = receiver.accept().await.unwrap();
        let (sender, seen) = tokio::sync::oneshot::channel();
        let sender = std::sync::Mutex::new(Some(sender));
        let service =
            hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| {
                let (parts, body) = request.into_parts();
                let sender = sender.lock().unwrap().take();
                async move {
                    let body = http_body_util::BodyExt::collect(body).await?.to_bytes();
                    let _ = sender.unwrap().send((parts.headers, body));
                    Ok::<_, hyper::Error>(http::Response::new(String::new()))
                }
            });
        let stream = hyper_util::rt::TokioIo::new(stream);
        let mut http = hyper::server::conn::http1::Builder::new();
        http.keep_alive(false).serve_connection(stream, service).await.unwrap();
        seen.await.unwrap()
    });
    let git = Git::clone_of(&url).await;
    let id = git.commit("c", "d").await;
    assert!(git.run(&["push", "-q", "origin", "main"]).await.ok);
    let (headers, body) = seen.await.unwrap();
    assert_eq!(headers["x-github-event"], "push");
    let signature = headers["x-hub-signature-256"].to_str().unwrap();
    assert!(signature.starts_with("sha256=") && signature.len() == 71);
    let payload: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(payload["after"], id);
    assert_eq!(payload["ref"], "refs/heads/main");
    assert_eq!(payload["head_commit"]["message"], "A change\n");
    let delivery = &host.deliveries()[0];
    assert_eq!((delivery.status, delivery.commit.as_str()), (Some(200), id.as_str()));
}

#[tokio::test]
async fn a_lost_webhook_is_in_the_log_and_nowhere_else() {
    let (host, url) = host().await;
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/hook", receiver.local_addr().unwrap());
    let moment = WebhookMoment::BeforeAcknowledgement;
    let webhook = Webhook { moment, ..Webhook::new(&target, "s3cret", WebhookFormat::GitLab) };
    host.add_webhook(&url, webhook).unwrap();
    host.set_webhook_fault(&url, Some(WebhookFault::Lost)).unwrap();
    let git = Git::clone_of(&url).await;
    git.commit("c", "d").await;
    assert!(git.run(&["push", "-q", "origin", "main"]).await.ok);
    let delivery = &host.deliveries()[0];
    assert_eq!((delivery.status, delivery.fault), (None, Some(WebhookFault::Lost)));
    let nobody = tokio::time::timeout(Duration::ZERO, receiver.accept()).await;
    assert!(nobody.is_err(), "nobody may have connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_clones_commits_and_pushes_over_tls_with_a_password_and_options() {
    let options = GitHostOptions { tls: true, ..GitHostOptions::default() };
    let host = GitHost::start(options).await.unwrap();
    let url = host.create_repository("fleet", &[("a.yaml", "x: 1\n")], "main").unwrap();
    let credentials = Credentials::basic("robot", "pw");
    host.set_accounts(&url, vec![Account { credentials, rights: Rights::Write }]).unwrap();
    let clone = |password: &'static str, reference: &'static str, trusted: bool| {
        let (url, host) = (url.clone(), host.clone());
        let work = move || {
            let authority = host.authority().filter(|_| trusted);
            WorkingClone::new(&url, Some(("robot", password)), reference, authority)
        };
        async move { tokio::task::spawn_blocking(work).await.unwrap() }
    };
    assert!(matches!(clone("no", "refs/heads/main", true).await, Err(CloneError::Unauthorized)));
    assert!(matches!(clone("pw", "refs/heads/x", true).await, Err(CloneError::MissingRef)));
    assert!(matches!(clone("pw", "refs/heads/main", false).await, Err(CloneError::Other(_))));
    let work = clone("pw", "refs/heads/main", true).await.unwrap();
    assert_eq!(work.id(), host.tip(&url, "main").unwrap());
    assert_eq!(work.content()["a.yaml"], b"x: 1\n");
    let push = move || {
        let files = [("b/c.yaml".to_owned(), b"y: 2\n".to_vec())].into();
        let id = work.commit_files(&files, "A robot's change", ("Robot", "r@example.com")).unwrap();
        let options = ["ci.skip".to_owned(), "a=b".to_owned()];
        work.push_commit(&id, "refs/heads/robot", false, &options).unwrap();
        id
    };
    let id = tokio::task::spawn_blocking(push).await.unwrap();
    let reference = GitRef::Branch("robot".to_owned());
    let fetched = host.fetch(&url, Some(("robot", "pw")), &reference).unwrap();
    assert_eq!((fetched.commit.as_str(), fetched.files.len()), (id.as_str(), 2));
    let update = host.ref_updates().pop().unwrap();
    assert_eq!((update.reference.as_str(), update.by), ("refs/heads/robot", UpdatedBy::Push));
    assert_eq!(update.options, ["ci.skip", "a=b"]);
}
