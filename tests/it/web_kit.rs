//! What the tests of the pages share: a server on a port of its own, bare requests, and a service
//! behind the pages that does what a test says.

use crate::eventually::eventually;
use crate::metrics::{after_some_runs, run};
use async_trait::async_trait;
use axum::Router;
use hopclock::export::Metrics;
use hopclock::web::{
    self, Denied, Front, Gate, Limits, Pages, Readiness, Ready, Refused, Requested, Runs,
    TokenFile, Wait,
};
use secrecy::{ExposeSecret, SecretString};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// Longer than anything here takes, so that a limit that does not work is a failure and no hang.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The token that scripted gates know.
pub(crate) const TOKEN: &str = "pl4nted-T0ken-3e5d20";

/// A server that stops when told, or when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

/// An answer, cut in two.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Always ready, or what it was told.
pub(crate) struct Says(pub(crate) Readiness);

/// Makes runs as a test says, and remembers what it was asked.
pub(crate) struct Script {
    answer: Box<dyn Fn() -> Result<Requested, Refused> + Send + Sync>,
    asked: Mutex<Vec<(String, Wait)>>,
    /// One for each call that may end.
    ends: Semaphore,
    ended: AtomicUsize,
}

/// Admits whoever has [`TOKEN`], or says what it was told.
pub(crate) struct Guard(pub(crate) Option<Denied>);

// === impl Server ===

impl Server {
    pub(crate) async fn start(pages: impl Into<Front>, limits: Limits) -> Self {
        let listener = web::listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let running = tokio::spawn(web::serve(listener, pages.into(), limits, stopped));
        Self { address, stop: Some(stop), running }
    }

    /// Sends a request of one line and the given headers, and reads to the end.
    pub(crate) async fn ask(&self, line: &str, headers: &str) -> Answer {
        ask(self.address, line, headers).await
    }

    /// Sends bytes and leaves the connection open.
    pub(crate) async fn open(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    /// Tells it to stop; returns at once.
    pub(crate) fn tell_to_stop(&mut self) {
        self.stop.take();
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(mut self) {
        self.stop.take();
        tokio::time::timeout(LONG, &mut self.running).await.expect("it does not stop").unwrap();
    }

    /// Waits until a connection is accepted and answered, so that one is free.
    pub(crate) async fn eventually_free(&self) {
        let poll = async {
            loop {
                let answer = try_ask(self.address, "GET /healthz HTTP/1.1", "").await;
                if answer.is_some_and(|it| it.head.starts_with("HTTP/1.1 200")) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(LONG, poll).await.is_ok(), "no connection became free");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.abort();
    }
}

// === impl Answer ===

impl Answer {
    pub(crate) fn cut(mut all: Vec<u8>) -> Option<Self> {
        let cut = all.windows(4).position(|it| it == b"\r\n\r\n")?;
        let body = all.split_off(cut + 4);
        Some(Self { head: String::from_utf8(all).unwrap(), body })
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|it| panic!("{it}: {self:?}"))
    }
}

// === impl Script ===

impl Script {
    /// Answers each call with this, at once.
    pub(crate) fn new(
        answer: impl Fn() -> Result<Requested, Refused> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::held(answer, Semaphore::MAX_PERMITS)
    }

    /// Answers as many calls at once; the others wait for [`Script::end_one`].
    pub(crate) fn held(
        answer: impl Fn() -> Result<Requested, Refused> + Send + Sync + 'static,
        ends: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            answer: Box::new(answer),
            asked: Mutex::default(),
            ends: Semaphore::new(ends),
            ended: AtomicUsize::new(0),
        })
    }

    pub(crate) fn end_one(&self) {
        self.ends.add_permits(1);
    }

    pub(crate) fn asked(&self) -> Vec<(String, Wait)> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) async fn eventually_asked(&self, times: usize) {
        eventually("a run is asked for", || self.asked.lock().unwrap().len() >= times).await;
    }

    pub(crate) async fn eventually_ended(&self, times: usize) {
        eventually("a call ends", || self.ended.load(Ordering::SeqCst) >= times).await;
    }
}

#[async_trait]
impl Runs for Script {
    async fn request(&self, scenario: &str, wait: Wait) -> Result<Requested, Refused> {
        self.asked.lock().unwrap().push((scenario.to_owned(), wait));
        self.ends.acquire().await.unwrap().forget();
        self.ended.fetch_add(1, Ordering::SeqCst);
        (self.answer)()
    }
}

#[async_trait]
impl Gate for Guard {
    async fn admit(&self, bearer: Option<&SecretString>, _: &str) -> Result<(), Denied> {
        if let Some(denied) = &self.0 {
            return Err(denied.clone());
        }
        match bearer {
            None => Err(Denied::Missing),
            Some(token) if token.expose_secret() == TOKEN => Ok(()),
            Some(_) => Err(Denied::Wrong),
        }
    }
}

impl Ready for Says {
    fn readiness(&self) -> Readiness {
        self.0.clone()
    }
}

/// Pages of these metrics, always ready, without runs.
pub(crate) fn metrics_only(metrics: Metrics) -> Router {
    let ready = Arc::new(Says(Readiness { ready: true, checks: Vec::new() }));
    web::private_pages(Pages { metrics: Arc::new(metrics), ready, runs: None })
}

/// Pages on which runs can be asked for.
pub(crate) fn with_runs(runs: Arc<Script>, gate: impl Gate + 'static) -> Router {
    let ready = Arc::new(Says(Readiness { ready: true, checks: Vec::new() }));
    let runs: Option<(Arc<dyn Runs>, Arc<dyn Gate>)> = Some((runs, Arc::new(gate)));
    web::private_pages(Pages { metrics: Arc::new(after_some_runs()), ready, runs })
}

/// A gate with [`TOKEN`] in a file.
pub(crate) fn token_file(folder: &Path) -> TokenFile {
    let path = folder.join("token");
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    TokenFile::new(path)
}

/// What is said of a run that was accepted.
#[expect(clippy::unnecessary_wraps, reason = "it is what a script answers with")]
pub(crate) fn accepted() -> Result<Requested, Refused> {
    Ok(Requested { run: "2026-11-21T10:00:00Z".to_owned(), record: None })
}

/// What is said of a run of the scenario `fleet` that has ended.
#[expect(clippy::unnecessary_wraps, reason = "it is what a script answers with")]
pub(crate) fn ended() -> Result<Requested, Refused> {
    let record = Some(Box::new(run(1, 8.0)));
    Ok(Requested { run: "2026-11-21T10:00:00Z".to_owned(), record })
}

/// The header that proves us.
pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\nContent-Length: 0\r\n")
}

pub(crate) async fn ask(address: SocketAddr, line: &str, headers: &str) -> Answer {
    try_ask(address, line, headers).await.expect("an answer has a head")
}

/// None if there is no whole answer.
async fn try_ask(address: SocketAddr, line: &str, headers: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("{line}\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    Answer::cut(read_until_closed(stream).await)
}

/// Reads until the server closes; an answer that was cut short is as much as came.
pub(crate) async fn read_until_closed(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let closed = tokio::time::timeout(LONG, stream.read_to_end(&mut all)).await;
    assert!(closed.is_ok(), "the connection is still open");
    all
}

/// The whole answer on a connection that the server closes in order; a reset could have made the
/// client lose it.
pub(crate) async fn answer(mut stream: TcpStream) -> Answer {
    let mut all = Vec::new();
    let closed = tokio::time::timeout(LONG, stream.read_to_end(&mut all)).await;
    closed.expect("the connection is still open").expect("it ends in order");
    Answer::cut(all).expect("an answer has a head")
}
