//! The listener for notifications, met by Flux's providers and by those who mean no good.

use crate::metrics::after_some_runs;
use crate::web_kit::{LONG, Server, answer};
use crate::web_run::{listen, warned};
use async_trait::async_trait;
use aws_lc_rs::hmac;
use hopclock::engine::SystemClock;
use hopclock::export::{Format, Metrics};
use hopclock::model::{Clock, Moment, Notice, When};
use hopclock::web::{
    Delivered, Limits, NoKey, NoticeKey, NoticeKeys, NoticePages, Noticeboard, notice_pages,
};
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const TOKEN: &str = "pl4nted-T0ken-7a1c";

const BODY: &str = r#"{"involvedObject":{"kind":"Kustomization","namespace":"flux-system","name":"apps"},"severity":"info","timestamp":"2026-11-21T08:00:00Z","message":"m","reason":"ReconciliationSucceeded","metadata":{"revision":"main@sha1:a"}}"#;

/// Listeners `signed`, `open`, and `blind`, whose token cannot be read; `signed` has a new token
/// when it is doubted.
struct Keys;

/// Remembers what came, and says what it is told.
struct Board(Mutex<Delivered>, Mutex<Vec<(String, String)>>, Mutex<Vec<When>>);

struct Scene {
    server: Server,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
}

#[async_trait]
impl NoticeKeys for Keys {
    async fn key(&self, listener: &str, doubt: bool) -> Result<NoticeKey, NoKey> {
        match listener {
            "open" => Ok(NoticeKey::Unsigned),
            "recorded" => Ok(NoticeKey::Token("lab-token".into())),
            "signed" if doubt => Ok(NoticeKey::Token(TOKEN.into())),
            "signed" => Ok(NoticeKey::Token("the one before".into())),
            "blind" => Err(NoKey::Unreadable("the Secret a/b does not exist".to_owned())),
            _ => Err(NoKey::NoListener),
        }
    }
}

impl Noticeboard for Board {
    fn post(&self, listener: &str, notice: &Notice, when: When) -> Delivered {
        let name = notice.involved_object.name.clone();
        self.1.lock().unwrap().push((listener.to_owned(), name));
        self.2.lock().unwrap().push(when);
        *self.0.lock().unwrap()
    }
}

impl Scene {
    async fn new(delivered: Delivered) -> Self {
        let clock = Arc::new(SystemClock::new());
        Self::with(delivered, clock, Limits { body: 256 << 10, ..Limits::default() }).await
    }

    async fn with(delivered: Delivered, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let board = Arc::new(Board(Mutex::new(delivered), Mutex::default(), Mutex::default()));
        let metrics = Arc::new(after_some_runs());
        let pages = NoticePages {
            board: board.clone(),
            keys: Arc::new(Keys),
            metrics: metrics.clone(),
            clock,
        };
        let limits = Limits { read_time: 2 * LONG, ..limits };
        let server = Server::start(notice_pages(pages), limits).await;
        Self { server, board, metrics }
    }

    /// Status and sentence of a post.
    async fn post(&self, listener: &str, signature: Option<&str>, body: &[u8]) -> (u16, String) {
        let signature = signature.map_or(String::new(), |it| format!("X-Signature: {it}\r\n"));
        let head = format!(
            "POST /notify/{listener} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
             gotk-component: kustomize-controller\r\n{signature}Content-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        let mut stream = self.server.open(&head).await;
        // A body that is too long is not read to its end.
        let _ = stream.write_all(body).await;
        let answer = answer(stream).await;
        (answer.status(), answer.text().to_owned())
    }

    fn heard(&self) -> Vec<(String, String)> {
        self.board.1.lock().unwrap().clone()
    }

    fn counted(&self) -> Vec<String> {
        let text = self.metrics.snapshot().encode(Format::OpenMetrics);
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().filter(|it| it.starts_with("hopclock_notifications_total"));
        let some = lines.filter(|it| !it.ends_with(" 0") && !it.ends_with(" 0.0"));
        some.map(|it| it.split('"').nth(1).unwrap().to_owned()).collect()
    }
}

/// A clock that is set by hand, in seconds.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Moment {
        Moment(Duration::from_secs(self.0.load(Ordering::Relaxed)))
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
}

fn sign(token: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    let digits = hmac::sign(&key, body.as_bytes());
    let hex = digits.as_ref().iter().map(|it| format!("{it:02x}"));
    format!("sha256={}", hex.collect::<String>())
}

#[tokio::test]
async fn a_notification_with_the_right_signature_is_handed_on_even_if_the_token_is_new() {
    let scene = Scene::new(Delivered::Heard).await;
    let (status, text) = scene.post("signed", Some(&sign(TOKEN, BODY)), BODY.as_bytes()).await;
    assert_eq!((status, text.as_str()), (200, ""));
    let (status, _) = scene.post("open", None, BODY.as_bytes()).await;
    assert_eq!(status, 200);
    let heard = [("signed", "apps"), ("open", "apps")];
    assert_eq!(scene.heard(), heard.map(|it| (it.0.to_owned(), it.1.to_owned())));
    assert_eq!(scene.counted(), ["heard"]);
}

/// What Flux's own controllers have posted: each with its signature, and the bytes that were signed.
fn recorded() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut all = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|it| it != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let parsed: Value = serde_json::from_str(line).unwrap();
            let Some(delivery) = parsed.get("notification") else { continue };
            let signature = delivery["headers"]["X-Signature"].as_str().unwrap();
            let (_, body) = line.split_once(r#""body":"#).unwrap();
            let body = body.strip_suffix("}}").unwrap();
            // The controllers write these three in no other way.
            let escapes = [('&', "\\u0026"), ('<', "\\u003c"), ('>', "\\u003e")];
            let body = escapes.iter().fold(body.to_owned(), |it, (c, text)| it.replace(*c, text));
            all.push((signature.to_owned(), body));
        }
    }
    all
}

#[tokio::test]
async fn what_real_controllers_have_signed_is_let_in_and_what_was_altered_since_is_not() {
    let scene = Scene::new(Delivered::Heard).await;
    let all = recorded();
    for (signature, body) in &all {
        let (status, text) = scene.post("recorded", Some(signature), body.as_bytes()).await;
        // The path of a folder was shortened in the recording.
        let altered = body.contains("/tmp/kustomization-");
        assert_eq!(status, if altered { 401 } else { 200 }, "{text}: {body}");
    }
    assert!(all.len() > 200, "{}", all.len());
    assert_eq!(scene.heard().len(), all.len() - 1);
}

#[tokio::test]
async fn a_notification_that_is_not_let_in_is_refused_with_what_would_mend_it() {
    let scene = Scene::new(Delivered::Heard).await;
    let wrong = sign("another", BODY);
    let garbage = "{ garbage";
    let signed = sign(TOKEN, garbage);
    for (listener, signature, body, status, part) in [
        ("signed", None, BODY, 401, "`generic-hmac`"),
        ("signed", Some(wrong.as_str()), BODY, 401, "have to be the same"),
        ("signed", Some("sha256=zz"), BODY, 401, "wrong signature"),
        ("signed", Some(signed.as_str()), garbage, 400, "no notification of Flux's"),
        ("open", None, garbage, 400, "no notification of Flux's"),
        ("open", None, "{}", 400, "no notification of Flux's"),
        ("blind", Some(wrong.as_str()), BODY, 503, "the Secret a/b does not exist"),
        ("nobody", None, BODY, 404, "`--notify-token`"),
    ] {
        let (code, text) = scene.post(listener, signature, body.as_bytes()).await;
        assert_eq!(code, status, "{listener}: {text}");
        assert!(text.contains(part), "{listener}: {text}");
        assert!(!text.contains(TOKEN), "{text}");
    }
    assert_eq!(scene.heard(), []);
    let counted = ["no_listener", "no_token", "unsigned", "wrong_signature", "malformed"];
    assert_eq!(scene.counted(), counted);
}

#[tokio::test]
async fn ten_mebibytes_are_not_read() {
    let scene = Scene::new(Delivered::Heard).await;
    let (status, text) = scene.post("open", None, &vec![b'x'; 10 << 20]).await;
    assert_eq!(status, 413, "{text}");
    assert_eq!(scene.heard(), []);
    assert_eq!(scene.counted(), ["too_long"]);
}

#[tokio::test]
async fn what_no_page_has_seen_is_counted_as_well() {
    let clock = Arc::new(SystemClock::new());
    let scene =
        Scene::with(Delivered::Heard, clock, Limits { connections: 1, ..Limits::default() }).await;
    let head = "POST /notify/open HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n";
    let mut broken = scene.server.open(head).await;
    // It holds the only place, if it was accepted: so this one has none.
    let refused = scene.server.ask("POST /notify/open HTTP/1.1", "").await;
    assert_eq!(refused.status(), 503, "{}", refused.text());
    assert_eq!(scene.counted(), ["too_many_connections"]);
    broken.shutdown().await.unwrap();
    let told = answer(broken).await;
    assert_eq!(told.status(), 400, "{}", told.text());
    assert_eq!(scene.counted(), ["incomplete", "too_many_connections"]);
    // It may be the one that was refused, sent again (rule T6).
    let body = BODY.as_bytes();
    let let_in = async { while scene.post("open", None, body).await.0 != 200 {} };
    tokio::time::timeout(LONG, let_in).await.expect("the place is free");
    assert!(!scene.board.2.lock().unwrap()[0].is_certain());
}

#[tokio::test]
async fn the_log_says_the_same_once_a_minute_at_most_while_all_is_counted() {
    let clock = Arc::new(Hand::default());
    let limits = Limits { body: 256 << 10, ..Limits::default() };
    let scene = Scene::with(Delivered::Heard, clock.clone(), limits).await;
    listen();
    let lines = |part: &str| warned().matches(part).count();
    for minute in 0..3 {
        for _ in 0..5 {
            assert_eq!(scene.post("signed", None, BODY.as_bytes()).await.0, 401);
            // One that is let in between them changes nothing.
            let signature = sign(TOKEN, BODY);
            let (status, _) = scene.post("signed", Some(&signature), BODY.as_bytes()).await;
            assert_eq!(status, 200);
            assert_eq!(scene.post("nobody", None, b"").await.0, 404);
            assert_eq!(scene.post("no-one", None, b"").await.0, 404);
        }
        assert_eq!(lines("bears no signature"), minute + 1);
        assert_eq!(lines("no listener of this name"), minute + 1);
        clock.0.fetch_add(60, Ordering::Relaxed);
    }
    let text = String::from_utf8(scene.metrics.snapshot().encode(Format::OpenMetrics)).unwrap();
    assert!(text.contains("{result=\"unsigned\"} 15"), "{text}");
    assert!(text.contains("{result=\"no_listener\"} 30"), "{text}");
}

#[tokio::test]
async fn a_run_that_cannot_take_more_has_the_provider_try_again() {
    let scene = Scene::new(Delivered::Busy).await;
    let (status, text) = scene.post("open", None, BODY.as_bytes()).await;
    assert_eq!(status, 503);
    assert!(text.contains("fewer objects"), "{text}");
    let scene = Scene::new(Delivered::Unawaited).await;
    assert_eq!(scene.post("open", None, BODY.as_bytes()).await.0, 200);
    assert_eq!(scene.counted(), ["unawaited"]);
}

#[tokio::test]
async fn whoever_does_not_post_there_is_told_how() {
    let scene = Scene::new(Delivered::Heard).await;
    for (line, status, part) in [
        ("GET /notify/open HTTP/1.1", 405, "use POST"),
        ("POST / HTTP/1.1", 404, "/notify/LISTENER"),
        ("GET /metrics HTTP/1.1", 404, "/notify/LISTENER"),
    ] {
        let answer = scene.server.ask(line, "").await;
        assert_eq!(answer.status(), status, "{line}");
        assert!(answer.text().contains(part), "{line}: {}", answer.text());
    }
    assert_eq!(scene.counted(), ["no_listener", "wrong_method"]);
}

#[tokio::test]
async fn t6_what_comes_after_one_was_put_off_may_be_that_one_again() {
    let clock = Arc::new(Hand::default());
    let scene = Scene::with(Delivered::Heard, clock.clone(), Limits::default()).await;
    let certain = || -> Vec<bool> {
        let whens = scene.board.2.lock().unwrap();
        whens.iter().map(|it| it.is_certain()).collect()
    };
    assert_eq!(scene.post("open", None, BODY.as_bytes()).await.0, 200);
    *scene.board.0.lock().unwrap() = Delivered::Busy;
    assert_eq!(scene.post("open", None, BODY.as_bytes()).await.0, 503);
    clock.0.fetch_add(1, Ordering::Relaxed);
    *scene.board.0.lock().unwrap() = Delivered::Heard;
    assert_eq!(scene.post("open", None, BODY.as_bytes()).await.0, 200);
    assert_eq!(certain(), [true, true, false]);
    // By then Flux has given up.
    *scene.board.0.lock().unwrap() = Delivered::Busy;
    assert_eq!(scene.post("open", None, BODY.as_bytes()).await.0, 503);
    clock.0.fetch_add(120, Ordering::Relaxed);
    *scene.board.0.lock().unwrap() = Delivered::Heard;
    assert_eq!(scene.post("open", None, BODY.as_bytes()).await.0, 200);
    assert_eq!(certain(), [true, true, false, false, true]);
}
