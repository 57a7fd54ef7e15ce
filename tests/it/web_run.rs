//! Readiness, and runs on request: who may, what is answered, and that no token gets out.

use crate::metrics::after_some_runs;
use crate::web_kit::{
    Answer, Guard, Says, Script, Server, TOKEN, accepted, bearer, ended, metrics_only, token_file,
    with_runs,
};
use hopclock::model::RunRecord;
use hopclock::web::{
    self, Check, CheckState, Denied, Gate, Limits, Pages, Readiness, Refused, TokenFile, Wait,
};
use secrecy::SecretString;
use std::cell::RefCell;
use std::fmt::Write;
use std::io;
use std::sync::{Arc, Once};

async fn runs(script: &Arc<Script>) -> Server {
    Server::start(with_runs(script.clone(), Guard(None)), Limits::default()).await
}

async fn readyz(readiness: Readiness) -> Server {
    let (metrics, ready) = (Arc::new(after_some_runs()), Arc::new(Says(readiness)));
    let pages = web::private_pages(Pages { metrics, ready, runs: None });
    Server::start(pages, Limits::default()).await
}

fn checks(last: CheckState) -> Vec<Check> {
    [
        ("cluster", CheckState::Ok, "v1.34.1 answers"),
        ("watches", CheckState::Warning, "GitRepository is opened anew"),
        ("state", last, "12 of 12 accounts are kept"),
    ]
    .map(|(name, state, detail)| Check { name: name.into(), state, detail: detail.into() })
    .to_vec()
}

fn refusal(answer: &Answer) -> (u16, String, String) {
    let json = answer.json();
    let word = |key: &str| json[key].as_str().unwrap().to_owned();
    assert_eq!(json.as_object().unwrap().len(), 2, "{json}");
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    (answer.status(), word("reason"), word("error"))
}

#[tokio::test]
async fn readiness_is_a_line_for_each_check() {
    let readiness = Readiness { ready: true, checks: checks(CheckState::Ok) };
    let server = readyz(readiness).await;
    let answer = server.ask("GET /readyz HTTP/1.1", "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.text(),
        "ready\n\
         ok       cluster  v1.34.1 answers\n\
         warning  watches  GitRepository is opened anew\n\
         ok       state    12 of 12 accounts are kept\n"
    );
}

#[tokio::test]
async fn who_is_not_ready_says_503_and_why_in_text_and_in_json() {
    let readiness = Readiness { ready: false, checks: checks(CheckState::Failing) };
    let server = readyz(readiness).await;
    let answer = server.ask("GET /readyz HTTP/1.1", "Accept: text/html,*/*\r\n").await;
    assert_eq!(answer.status(), 503);
    assert!(answer.text().starts_with("not ready\n"), "{}", answer.text());
    assert!(answer.text().contains("\nfailing  state    12 of"), "{}", answer.text());
    for (line, headers) in [
        ("GET /readyz HTTP/1.1", "Accept: application/json\r\n"),
        ("GET /readyz?format=json HTTP/1.1", ""),
    ] {
        let answer = server.ask(line, headers).await;
        assert_eq!((answer.status(), &answer.json()["ready"]), (503, &false.into()), "{line}");
        let check = serde_json::json!(
            { "name": "state", "state": "failing", "detail": "12 of 12 accounts are kept" }
        );
        assert_eq!(answer.json()["checks"][2], check);
    }
}

#[tokio::test]
async fn a_run_is_accepted_and_named() {
    let script = Script::new(accepted);
    let answer = runs(&script).await.ask("POST /run/fleet HTTP/1.1", &bearer(TOKEN)).await;
    assert_eq!((answer.status(), answer.text()), (202, r#"{"run":"2026-11-21T10:00:00Z"}"#));
    assert_eq!(script.asked(), [("fleet".to_owned(), Wait::Accepted)]);
}

#[tokio::test]
async fn who_waits_gets_the_record() {
    let script = Script::new(ended);
    let line = "POST /run/fleet?wait=true HTTP/1.1";
    let answer = runs(&script).await.ask(line, &bearer(TOKEN)).await;
    assert_eq!(answer.status(), 200);
    let record: RunRecord = serde_json::from_value(answer.json()["record"].clone()).unwrap();
    assert_eq!(Some(&record), ended().unwrap().record.as_deref());
    assert_eq!(script.asked(), [("fleet".to_owned(), Wait::Ended)]);
}

#[tokio::test]
async fn every_reason_against_a_run_has_its_status_and_a_sentence() {
    let since = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let cases = [
        (404, Refused::UnknownScenario { near: Some("fleet".to_owned()) }),
        (404, Refused::UnknownScenario { near: None }),
        (409, Refused::Busy { since }),
        (409, Refused::Paused { why: "by its file".to_owned() }),
        (409, Refused::LaneHeld { holder: "run hopclock-1a of team-b".to_owned() }),
        (503, Refused::NotLeader { leader: Some("hopclock-1".to_owned()) }),
        (503, Refused::NotLeader { leader: None }),
        (503, Refused::Stopping),
        (503, Refused::Unavailable("its state cannot be written".to_owned())),
    ];
    let mut page = String::new();
    for (status, refused) in cases {
        let (reason, says) = (refused.reason(), refused.clone());
        let script = Script::new(move || Err(says.clone()));
        let answer = runs(&script).await.ask("POST /run/x HTTP/1.1", &bearer(TOKEN)).await;
        let (found, word, sentence) = refusal(&answer);
        assert_eq!((found, word.as_str()), (status, reason), "{refused:?}");
        writeln!(page, "{status} {reason}: {sentence}").unwrap();
    }
    insta::assert_snapshot!("refused", page);
}

#[tokio::test]
async fn every_reason_to_admit_nobody_has_its_status_and_nothing_is_asked_for() {
    let cases = [
        (401, Denied::Missing),
        (401, Denied::Wrong),
        (403, Denied::Forbidden { user: "system:serviceaccount:ci:runner".to_owned() }),
        (503, Denied::Unavailable("the API server cannot be asked".to_owned())),
    ];
    let mut page = String::new();
    for (status, denied) in cases {
        let (reason, script) = (denied.reason(), Script::new(accepted));
        let pages = with_runs(script.clone(), Guard(Some(denied)));
        let server = Server::start(pages, Limits::default()).await;
        let answer = server.ask("POST /run/fleet HTTP/1.1", &bearer(TOKEN)).await;
        let (found, word, sentence) = refusal(&answer);
        assert_eq!((found, word.as_str()), (status, reason));
        let challenge = answer.head.to_lowercase().contains("www-authenticate: bearer");
        assert_eq!(challenge, status == 401, "{}", answer.head);
        assert_eq!(script.asked(), []);
        writeln!(page, "{status} {reason}: {sentence}").unwrap();
    }
    insta::assert_snapshot!("denied", page);
}

#[tokio::test]
async fn without_a_gate_there_is_no_such_page() {
    let server = Server::start(metrics_only(after_some_runs()), Limits::default()).await;
    for line in ["POST /run/fleet HTTP/1.1", "GET /run/fleet HTTP/1.1"] {
        let (status, reason, sentence) = refusal(&server.ask(line, &bearer(TOKEN)).await);
        assert_eq!((status, reason.as_str()), (404, "off"));
        assert!(sentence.contains("`hopclock serve`"), "{sentence}");
    }
}

#[tokio::test]
async fn a_question_that_is_not_understood_asks_for_nothing() {
    let script = Script::new(accepted);
    let server = runs(&script).await;
    let answer = server.ask("POST /run/fleet?wiat=true HTTP/1.1", &bearer(TOKEN)).await;
    assert_eq!((answer.status(), &answer.json()["reason"]), (400, &"bad_query".into()));
    let answer = server.ask("GET /run/fleet HTTP/1.1", &bearer(TOKEN)).await;
    assert_eq!(answer.status(), 405);
    assert!(answer.head.contains("allow: POST"), "{}", answer.head);
    assert_eq!(answer.text(), "A run is asked for with POST: GET is not allowed at /run/fleet.\n");
    let answer = server.ask("POST /run HTTP/1.1", &bearer(TOKEN)).await;
    assert_eq!(answer.status(), 404);
    assert!(answer.text().ends_with("/readyz and POST /run/{scenario}.\n"), "{}", answer.text());
    let long = format!("Authorization: Bearer {TOKEN}\r\nContent-Length: 20000\r\n");
    assert_eq!(server.ask("POST /run/fleet HTTP/1.1", &long).await.status(), 413);
    assert_eq!(script.asked(), []);
}

#[tokio::test]
async fn only_the_token_in_the_file_opens_and_only_as_long_as_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let gate = token_file(folder.path());
    let path = folder.path().join("token");
    let secret = |text: &str| Some(SecretString::from(text.to_owned()));
    let wrong = [
        TOKEN[1..].to_owned(),
        format!("{TOKEN}x"),
        TOKEN.to_uppercase(),
        String::new(),
        format!("{TOKEN}\n"),
    ];
    assert_eq!(gate.admit(secret(TOKEN).as_ref(), "any").await, Ok(()));
    for token in wrong {
        let denied = gate.admit(secret(&token).as_ref(), "any").await;
        assert_eq!(denied, Err(Denied::Wrong), "{token:?}");
    }
    assert_eq!(gate.admit(None, "any").await, Err(Denied::Missing));
    // As kubelet does it: another file takes the place.
    std::fs::write(folder.path().join("new"), "  another\r\n").unwrap();
    std::fs::rename(folder.path().join("new"), &path).unwrap();
    assert_eq!(gate.admit(secret("another").as_ref(), "any").await, Ok(()));
    assert_eq!(gate.admit(secret(TOKEN).as_ref(), "any").await, Err(Denied::Wrong));
    for empty in ["", " \n"] {
        std::fs::write(&path, empty).unwrap();
        for bearer in [secret(""), secret(" \n"), None] {
            let denied = gate.admit(bearer.as_ref(), "any").await;
            assert!(matches!(denied, Err(Denied::Unavailable(_))), "{denied:?}");
        }
    }
    std::fs::remove_file(&path).unwrap();
    let denied = gate.admit(secret(TOKEN).as_ref(), "any").await;
    assert!(matches!(denied, Err(Denied::Unavailable(_))), "{denied:?}");
}

thread_local! {
    /// What was logged by this thread, that is by one test.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes to [`LOG`].
struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|it| it.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps warnings, each with the thread that gave it.
///
/// Of a subscriber of one thread only, `tracing` may remember that nobody listens to a place
/// which another thread comes to first.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Log);
        let subscriber = log.with_max_level(tracing::Level::WARN).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// What this thread has warned of.
pub(crate) fn warned() -> String {
    String::from_utf8(LOG.with_borrow(Vec::clone)).unwrap()
}

#[tokio::test]
async fn that_nobody_can_be_admitted_is_logged_once_and_again_when_it_changes() {
    listen();
    let folder = tempfile::tempdir().unwrap();
    let gate = token_file(folder.path());
    let path = folder.path().join("token");
    let token = Some(SecretString::from(TOKEN.to_owned()));
    let warnings = || {
        let log = warned();
        assert!(!log.contains(TOKEN), "{log}");
        log.lines().filter(|it| it.contains(" WARN ")).count()
    };
    for (text, expected) in [(None, 1), (None, 1), (Some(""), 2), (Some(" "), 2)] {
        match text {
            None => drop(std::fs::remove_file(&path)),
            Some(text) => std::fs::write(&path, text).unwrap(),
        }
        gate.admit(token.as_ref(), "any").await.unwrap_err();
        assert_eq!(warnings(), expected, "{text:?}");
    }
    std::fs::write(&path, TOKEN).unwrap();
    gate.admit(token.as_ref(), "any").await.unwrap();
    std::fs::remove_file(&path).unwrap();
    gate.admit(token.as_ref(), "any").await.unwrap_err();
    assert_eq!(warnings(), 3);
}

#[tokio::test]
async fn a_token_is_in_no_answer_and_in_no_debug() {
    let folder = tempfile::tempdir().unwrap();
    let gate = token_file(folder.path());
    assert!(!format!("{gate:?}").contains(TOKEN));
    let path = folder.path().join("token");
    let script = Script::new(ended);
    let server = Server::start(with_runs(script, gate), Limits::default()).await;
    let other = "another-T0ken-77";
    let mut answers = Vec::new();
    for token in [TOKEN, other] {
        for line in [
            "POST /run/fleet HTTP/1.1",
            "POST /run/fleet?wait=true HTTP/1.1",
            &format!("POST /run/fleet?token={token} HTTP/1.1"),
            &format!("GET /nowhere?token={token} HTTP/1.1"),
            "GET /run/fleet HTTP/1.1",
            "GET /readyz?format=json HTTP/1.1",
            "GET /metrics HTTP/1.1",
        ] {
            answers.push(server.ask(line, &bearer(token)).await);
        }
    }
    std::fs::remove_file(&path).unwrap();
    answers.push(server.ask("POST /run/fleet HTTP/1.1", &bearer(TOKEN)).await);
    assert_eq!(answers.last().unwrap().status(), 503);
    for answer in answers {
        for token in [TOKEN, other] {
            assert!(!answer.head.contains(token), "{}", answer.head);
            assert!(!answer.text().contains(token), "{}", answer.text());
        }
        let path = path.to_str().unwrap();
        assert!(!answer.text().contains(path), "{}", answer.text());
    }
}

#[tokio::test]
async fn the_scheme_may_be_written_in_any_case_and_others_are_no_token() {
    let script = Script::new(accepted);
    let server = runs(&script).await;
    for (header, status) in [
        (format!("authorization: bearer {TOKEN}\r\n"), 202),
        (format!("Authorization: BEARER  {TOKEN}\r\n"), 202),
        (format!("Authorization: Basic {TOKEN}\r\n"), 401),
        (format!("Authorization: {TOKEN}\r\n"), 401),
        ("Authorization: Bearer \r\n".to_owned(), 401),
        (String::new(), 401),
    ] {
        let answer =
            server.ask("POST /run/fleet HTTP/1.1", &format!("{header}Content-Length: 0\r\n")).await;
        assert_eq!(answer.status(), status, "{header}");
    }
    let absent = TokenFile::new("no/such/file".into());
    let server = Server::start(with_runs(script, absent), Limits::default()).await;
    let answer = server.ask("POST /run/fleet HTTP/1.1", &bearer(TOKEN)).await;
    assert_eq!((answer.status(), &answer.json()["reason"]), (503, &"gate_unavailable".into()));
}
