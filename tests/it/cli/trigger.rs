//! `hopclock trigger`: what it sends, what it prints, and one sentence for each way to fail.

use crate::cli::kit::{Page, Told, check, hopclock, timeless, told};
use crate::metrics::{after_some_runs, run};
use crate::web_kit::{
    Guard, Script, Server, TOKEN, accepted, ended, metrics_only, token_file, with_runs,
};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use hopclock::model::{Outcome, ProbeError, RunRecord};
use hopclock::web::{Denied, Limits, Refused, Requested, Wait};
use hopclock_sandbox::git::{GitHost, GitHostOptions, unrelated_authority};
use insta::assert_snapshot;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::process::Command;

const LOG: &str = "trace,hyper=trace,hyper_util=trace,reqwest=trace,rustls=trace";

/// A server, and a folder to call from.
struct Scene {
    server: Server,
    folder: TempDir,
}

// === impl Scene ===

impl Scene {
    async fn new(pages: Router) -> Self {
        let server = Server::start(pages, Limits::default()).await;
        Self { server, folder: tempfile::tempdir().unwrap() }
    }

    /// With runs that are answered like this, and the token's file as the gate.
    async fn answering(script: &Arc<Script>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pages = with_runs(script.clone(), token_file(folder.path()));
        let server = Server::start(pages, Limits::default()).await;
        Self { server, folder }
    }

    async fn refusing(refused: Refused) -> Self {
        Self::answering(&Script::new(move || Err(refused.clone()))).await
    }

    /// The program, with the token in the environment.
    fn call(&self, arguments: &[&str]) -> Command {
        self.call_at(&format!("http://{}", self.server.address), arguments)
    }

    fn call_at(&self, url: &str, arguments: &[&str]) -> Command {
        let arguments: Vec<_> = ["trigger"].iter().chain(arguments).copied().collect();
        let mut call = hopclock(self.folder.path(), &arguments);
        call.env("HOPCLOCK_SERVER", url).env("TOKEN", TOKEN);
        call
    }
}

/// A call that fails with one sentence, and with no token in it.
async fn refuse(page: &mut Page, title: &str, code: i32, call: Command) {
    let told = told(call).await;
    assert_eq!((told.code, told.out.as_str()), (Some(code), ""), "{title}: {told:?}");
    assert_eq!(told.err.lines().count(), 1, "{title}: {}", told.err);
    without_token(title, &told);
    page.add(title, told.sentence(title));
}

fn without_token(title: &str, told: &Told) {
    for text in [&told.out, &told.err] {
        let line = text.lines().find(|it| it.contains(TOKEN));
        assert!(line.is_none(), "{title}: the token is in {line:?}");
    }
}

fn with_outcome(outcome: Outcome) -> Requested {
    let record = RunRecord { outcome, ..run(1, 8.0) };
    Requested { run: "2026-11-21T10:00:00Z".to_owned(), record: Some(Box::new(record)) }
}

const WITH_TOKEN: [&str; 3] = ["fleet", "--token-env", "TOKEN"];

#[tokio::test]
async fn an_accepted_run_is_0_and_named() {
    let script = Script::new(accepted);
    let scene = Scene::answering(&script).await;
    let told = told(scene.call(&WITH_TOKEN)).await;
    let expected = "fleet  accepted as run 2026-11-21T10:00:00Z\n";
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (Some(0), expected, ""));
    let call = scene.call(&["fleet", "--token-file", "token", "--output=json"]);
    let told = super::told(call).await;
    let expected = "{\"run\":\"2026-11-21T10:00:00Z\",\"scenario\":\"fleet\"}\n";
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (Some(0), expected, ""));
    assert_eq!(script.asked(), vec![("fleet".to_owned(), Wait::Accepted); 2]);
}

#[tokio::test]
async fn who_waits_sees_where_the_time_went() {
    let script = Script::new(ended);
    let scene = Scene::answering(&script).await;
    let mut call = scene.call(&WITH_TOKEN);
    let told = told({
        call.arg("--wait");
        call
    })
    .await;
    assert_eq!(told.code, Some(0), "{told:?}");
    check(|| assert_snapshot!("trigger_waited", timeless(&told.out)));
    let told = super::told(scene.call(&[&WITH_TOKEN[..], &["--wait", "--output=json"]].concat()));
    let record: RunRecord = serde_json::from_str(&told.await.out).unwrap();
    assert_eq!(record, run(1, 8.0));
    assert_eq!(script.asked(), vec![("fleet".to_owned(), Wait::Ended); 2]);
}

#[tokio::test]
async fn the_exit_code_of_a_wait_is_that_of_run() {
    let (reason, message) = ("unreachable".to_owned(), "the remote is gone".to_owned());
    for (outcome, code) in [
        (Outcome::Ok, 0),
        (Outcome::Slow, 1),
        (Outcome::Timeout, 1),
        (Outcome::ProbeError(ProbeError { reason, message }), 3),
    ] {
        let name = outcome.as_str();
        let script = Script::new(move || Ok(with_outcome(outcome.clone())));
        let scene = Scene::answering(&script).await;
        let told = told(scene.call(&[&WITH_TOKEN[..], &["--wait"]].concat())).await;
        assert_eq!(told.code, Some(code), "{name}: {told:?}");
        let said = told.err == "error: scenario `fleet`: the remote is gone\n";
        assert_eq!(said, code == 3, "{name}: {}", told.err);
    }
}

#[tokio::test]
async fn a_service_that_makes_no_run_is_3_and_one_that_never_will_is_2() {
    let mut page = Page::default();
    let since = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    for (title, code, refused) in [
        (
            "a scenario with a neighbour",
            2,
            Refused::UnknownScenario { near: Some("fleet-git".into()) },
        ),
        ("an unknown scenario", 2, Refused::UnknownScenario { near: None }),
        ("a run under way", 3, Refused::Busy { since }),
        ("a pause", 3, Refused::Paused { why: "by its file".into() }),
        ("a lane in use", 3, Refused::LaneHeld { holder: "team-b".into() }),
        ("another leader", 3, Refused::NotLeader { leader: Some("hopclock-1".into()) }),
        ("a service that stops", 3, Refused::Stopping),
        ("a sentence with escapes", 3, Refused::Unavailable("its\u{1b}[31m state\nis full".into())),
    ] {
        let scene = Scene::refusing(refused).await;
        refuse(&mut page, title, code, scene.call(&WITH_TOKEN)).await;
    }
    let scene = Scene::new(metrics_only(after_some_runs())).await;
    refuse(&mut page, "requests are off", 2, scene.call(&WITH_TOKEN)).await;
    let script = Script::new(accepted);
    let scene = Scene::answering(&script).await;
    let waits = [&WITH_TOKEN[..], &["--wait"]].concat();
    refuse(&mut page, "no record", 3, scene.call(&waits)).await;
    check(|| assert_snapshot!("trigger_refused", page.text()));
}

#[tokio::test]
async fn who_may_not_ask_is_told_why() {
    let mut page = Page::default();
    let script = Script::new(accepted);
    let scene = Scene::answering(&script).await;
    refuse(&mut page, "no token", 2, scene.call(&["fleet"])).await;
    let mut call = scene.call(&WITH_TOKEN);
    call.env("TOKEN", "another");
    refuse(&mut page, "another token", 2, call).await;
    std::fs::remove_file(scene.folder.path().join("token")).unwrap();
    refuse(&mut page, "no token at the service", 3, scene.call(&WITH_TOKEN)).await;
    let user = "system:serviceaccount:ci:runner".to_owned();
    let forbidden = Guard(Some(Denied::Forbidden { user }));
    let scene = Scene::new(with_runs(script.clone(), forbidden)).await;
    refuse(&mut page, "a token without the right", 2, scene.call(&WITH_TOKEN)).await;
    check(|| assert_snapshot!("trigger_denied", page.text()));
    assert_eq!(script.asked(), []);
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_2_and_nothing_is_asked_for() {
    let mut page = Page::default();
    let script = Script::new(accepted);
    let scene = Scene::answering(&script).await;
    std::fs::write(scene.folder.path().join("empty"), "\n").unwrap();
    std::fs::write(scene.folder.path().join("binary"), [0xff, 0xfe]).unwrap();
    for (title, arguments) in [
        ("a variable that is not set", ["--token-env", "NOTHING"]),
        ("a missing file", ["--token-file", "missing"]),
        ("an empty file", ["--token-file", "empty"]),
        ("a file that is no text", ["--token-file", "binary"]),
        ("no authority", ["--ca-file", "token"]),
        ("a missing authority", ["--ca-file", "missing"]),
    ] {
        let call = scene.call(&[&["fleet"][..], &arguments].concat());
        refuse(&mut page, title, 2, call).await;
    }
    let mut call = scene.call(&WITH_TOKEN);
    call.env("TOKEN", format!("{TOKEN}\r\nX: y"));
    refuse(&mut page, "a token of two lines", 2, call).await;
    for (title, url) in [
        ("no URL", "hopclock".to_owned()),
        ("another scheme", "ftp://hopclock".to_owned()),
        ("a password in the address", format!("http://u:{TOKEN}@hopclock")),
    ] {
        refuse(&mut page, title, 2, scene.call_at(&url, &WITH_TOKEN)).await;
    }
    check(|| assert_snapshot!("trigger_usage", page.text()));
    assert_eq!(script.asked(), []);
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_3() {
    let mut page = Page::default();
    let script = Script::held(accepted, 0);
    let scene = Scene::answering(&script).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let call = scene.call_at(&format!("http://{free}"), &WITH_TOKEN);
    refuse(&mut page, "nobody listens", 3, call).await;
    let call = scene.call_at("http://hopclock.invalid:9780", &WITH_TOKEN);
    refuse(&mut page, "an unknown host", 3, call).await;
    let late = [&WITH_TOKEN[..], &["--timeout", "100ms"]].concat();
    refuse(&mut page, "no answer in time", 3, scene.call(&late)).await;
    let html = || async { (StatusCode::OK, "<html>Please log in</html>") };
    let login = Scene::new(Router::new().route("/run/fleet", post(html))).await;
    refuse(&mut page, "a login page", 3, login.call(&WITH_TOKEN)).await;
    let other = Scene::new(Router::new()).await;
    refuse(&mut page, "another service", 3, other.call(&WITH_TOKEN)).await;
    let away = || async { (StatusCode::FOUND, [("location", "http://else.invalid/")]) };
    let away = Scene::new(Router::new().route("/run/fleet", post(away))).await;
    refuse(&mut page, "a redirect", 3, away.call(&WITH_TOKEN)).await;
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", mute.local_addr().unwrap());
    let hang_up = tokio::task::spawn_blocking(move || drop(mute.accept().unwrap()));
    let told = told(scene.call_at(&url, &WITH_TOKEN)).await;
    hang_up.await.unwrap();
    assert_eq!(told.code, Some(3), "{told:?}");
    assert!(told.sentence("hung up").contains(" broke ("), "{}", told.err);
    check(|| assert_snapshot!("trigger_unreachable", page.text()));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_says_how_to_trust_it() {
    let mut page = Page::default();
    // Any TLS server will do: with the right authority it is no longer the certificate.
    let host = GitHost::start(GitHostOptions { tls: true, ..Default::default() }).await.unwrap();
    let url = host.create_repository("a/b", &[("README", "x\n")], "main").unwrap();
    let url = url.strip_suffix("/a/b.git").unwrap();
    let scene = Scene::new(Router::new()).await;
    let file = |name: &str, text: &str| {
        std::fs::write(scene.folder.path().join(name), text).unwrap();
    };
    file("wrong.pem", &unrelated_authority().unwrap());
    file("right.pem", host.authority().unwrap());
    refuse(&mut page, "no authority", 3, scene.call_at(url, &WITH_TOKEN)).await;
    for (title, name) in [("another authority", "wrong.pem"), ("its authority", "right.pem")] {
        let arguments = [&WITH_TOKEN[..], &["--ca-file", name]].concat();
        refuse(&mut page, title, 3, scene.call_at(url, &arguments)).await;
    }
    check(|| assert_snapshot!("trigger_certificate", page.text()));
}

#[tokio::test]
async fn a_path_of_a_proxy_and_a_strange_name_arrive_as_they_are() {
    let script = Script::new(accepted);
    let pages = Router::new().nest("/tools/hopclock", with_runs(script.clone(), Guard(None)));
    let scene = Scene::new(pages).await;
    let url = format!("http://{}/tools/hopclock/", scene.server.address);
    let call = scene.call_at(&url, &["a/../b c?", "--token-env", "TOKEN"]);
    let told = told(call).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(script.asked()[0].0, "a/../b c?");
}

#[tokio::test]
async fn the_token_is_in_no_log_of_any_level() {
    let (fine, full) = (Script::new(ended), Script::new(|| Err(Refused::Stopping)));
    for (script, code) in [(fine, 0), (full, 3)] {
        let scene = Scene::answering(&script).await;
        for source in [["--token-env", "TOKEN"], ["--token-file", "token"]] {
            let mut call = scene.call(&[&["fleet", "--wait"][..], &source].concat());
            call.env("HOPCLOCK_LOG", LOG);
            let told = told(call).await;
            assert_eq!(told.code, Some(code), "{}", told.out);
            assert!(told.err.contains("TRACE"), "nothing was logged: {}", told.err);
            without_token("a log", &told);
        }
    }
}
