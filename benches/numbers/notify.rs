//! What the listener for notifications holds: 1,000 a second, in a process that does nothing else.

use crate::Spread;
use async_trait::async_trait;
use aws_lc_rs::hmac;
use hopclock::engine::{Board, SystemClock};
use hopclock::export::Metrics;
use hopclock::model::{Clock, Notice, When};
use hopclock::web::{
    self, Delivered, Limits, NoKey, NoticeKey, NoticeKeys, NoticePages, Noticeboard, notice_pages,
};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::mpsc;

/// Notifications, and the rate at which they are sent.
const ALL: usize = 30_000;
const RATE: f64 = 1_000.0;

/// Connections that are kept open, as a client in Go keeps them.
const SENDERS: usize = 32;

const TOKEN: &str = "a token of the bench";

struct Keys;

/// Counts what was let in, and hands it on to nobody.
struct Counting(Board, AtomicUsize);

#[async_trait]
impl NoticeKeys for Keys {
    async fn key(&self, _: &str, _: bool) -> Result<NoticeKey, NoKey> {
        Ok(NoticeKey::Token(TOKEN.into()))
    }
}

impl Noticeboard for Counting {
    fn post(&self, listener: &str, notice: &Notice, when: When) -> Delivered {
        self.1.fetch_add(1, Ordering::Relaxed);
        let _ = self.0.post(listener, notice, when);
        Delivered::Unawaited
    }
}

/// Listens until its input ends; prints its address, then what was let in and its memory in KiB.
pub(crate) async fn listen() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let metrics = Arc::new(Metrics::new(clock.clone(), "bench", Box::new(Vec::new)));
    let board = Arc::new(Counting(Board::default(), AtomicUsize::new(0)));
    let pages = NoticePages { board: board.clone(), keys: Arc::new(Keys), metrics, clock };
    let listener = web::listen(([127, 0, 0, 1], 0).into()).await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    let limits = Limits { body: 256 << 10, connections: 160, per_client: 128, ..Limits::default() };
    let ended = async {
        let read = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        tokio::task::spawn_blocking(read).await.expect("a thread").expect("an input");
    };
    web::serve(listener, notice_pages(pages), limits, ended).await;
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).expect("VmHWM");
    println!("{} {}", board.1.load(Ordering::Relaxed), line.trim().trim_end_matches(" kB"));
}

/// Prints the row of this part.
pub(crate) async fn measure() {
    let program = std::env::current_exe().expect("a program");
    let mut child = Command::new(program)
        .arg("listen")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut lines = BufReader::new(child.stdout.take().expect("an output")).lines();
    let address = lines.next_line().await.expect("a line").expect("an address");
    let address: SocketAddr = address.parse().expect("an address");
    let begin = Instant::now();
    let (tell, mut told) = mpsc::unbounded_channel();
    for sender in 0..SENDERS {
        tokio::spawn(send(address, sender, begin, tell.clone()));
    }
    drop(tell);
    let mut times = Vec::new();
    while let Some(time) = told.recv().await {
        times.extend(time);
    }
    let rate = ALL as f64 / begin.elapsed().as_secs_f64();
    drop(child.stdin.take());
    let end = lines.next_line().await.expect("a line").expect("what came");
    let (let_in, memory) = end.split_once(' ').expect("two numbers");
    let memory: f64 = memory.parse().expect("a number");
    println!(
        "| {ALL} signed notifications, {rate:.0} a second: {let_in} let in, {} answered well, at most \
         {:.1} MiB resident | {} |",
        times.len(),
        memory / 1024.0,
        Spread::of(times).cells()
    );
}

/// Sends its share, each in its time, and tells how long each took from when it was due; none of
/// one that was not answered well.
async fn send(
    address: SocketAddr,
    sender: usize,
    begin: Instant,
    tell: mpsc::UnboundedSender<Option<Duration>>,
) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("an option");
    for number in (sender..ALL).step_by(SENDERS) {
        let request = request(number);
        let due = begin + Duration::from_secs_f64(number as f64 / RATE);
        tokio::time::sleep_until(due.into()).await;
        let well = stream.write_all(&request).await.is_ok() && answered(&mut stream).await;
        // Nobody hears it only if the bench has ended.
        let _ = tell.send(well.then(|| due.elapsed()));
    }
}

/// A notification about another revision each time.
fn request(number: usize) -> Vec<u8> {
    let body = format!(
        r#"{{"involvedObject":{{"kind":"Kustomization","namespace":"flux-system","name":"app-{}","uid":"6ca1b2c4-7e3d-4a50-9c1f-0d5e8f7a9b3c","apiVersion":"kustomize.toolkit.fluxcd.io/v1","resourceVersion":"{number}"}},"severity":"info","timestamp":"2026-11-21T08:00:00Z","message":"Reconciliation finished in 436.493292ms, next run in 10m0s","reason":"ReconciliationSucceeded","metadata":{{"commit_status":"update","revision":"main@sha1:{number:040x}"}},"reportingController":"kustomize-controller","reportingInstance":"kustomize-controller-0"}}"#,
        number % 200
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, TOKEN.as_bytes());
    let digits = hmac::sign(&key, body.as_bytes());
    let hex = digits.as_ref().iter().fold(String::new(), |hex, it| format!("{hex}{it:02x}"));
    let head = format!(
        "POST /notify/flux HTTP/1.1\r\nHost: hopclock\r\nContent-Type: application/json\r\n\
         gotk-component: kustomize-controller\r\nX-Signature: sha256={hex}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// Whether the answer is 200; it has no body.
async fn answered(stream: &mut TcpStream) -> bool {
    let (mut answer, mut part) = (Vec::new(), [0; 512]);
    while !answer.windows(4).any(|it| it == b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(length) if length > 0 => answer.extend_from_slice(&part[..length]),
            _ => return false,
        }
    }
    answer.starts_with(b"HTTP/1.1 200")
}
