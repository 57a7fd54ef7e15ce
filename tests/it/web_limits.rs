//! What bad clients do not get: each limit of a port, met by a client that means no good.

use crate::metrics::after_some_runs;
use crate::web_kit::{Answer, LONG, Server, answer, metrics_only, read_until_closed};
use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use hopclock::web::Limits;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

const SHORT: Duration = Duration::from_millis(200);

/// Limits that nobody meets by chance.
fn generous() -> Limits {
    Limits {
        header: 2 * LONG,
        body_time: 2 * LONG,
        read_time: 2 * LONG,
        lifetime: 2 * LONG,
        ..Limits::default()
    }
}

async fn server(limits: Limits) -> Server {
    Server::start(metrics_only(after_some_runs()), limits).await
}

/// Sends a byte now and then; all that a header may have would take minutes.
async fn until_cut_drip(mut stream: TcpStream) {
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Reads a byte now and then; a big answer would take hours.
async fn until_cut_sip(mut stream: TcpStream) {
    while stream.read_u8().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Reads the first bytes of an answer.
async fn start_of(stream: &mut TcpStream) -> String {
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    String::from_utf8(start.to_vec()).unwrap()
}

#[tokio::test]
async fn a_client_that_never_finishes_its_header_is_cut_off() {
    let server = server(Limits { header: SHORT, ..generous() }).await;
    let slow = server.open("GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    let said = read_until_closed(slow).await;
    assert!(!said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn a_client_that_sends_its_header_byte_by_byte_is_cut_off() {
    let server = server(Limits { header: SHORT, connections: 1, ..generous() }).await;
    let slow = server.open("GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    let drip = tokio::spawn(until_cut_drip(slow));
    assert!(tokio::time::timeout(LONG, drip).await.is_ok(), "it may go on for ever");
    server.eventually_free().await;
}

#[tokio::test]
async fn a_connection_between_two_requests_is_closed() {
    let server = server(Limits { header: SHORT, ..generous() }).await;
    let idle = server.open("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(read_until_closed(idle).await.ends_with(b"ok\n"));
}

#[tokio::test]
async fn a_connection_takes_no_requests_for_ever() {
    let server = server(Limits { lifetime: SHORT, ..generous() }).await;
    let idle = server.open("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(read_until_closed(idle).await.ends_with(b"ok\n"));
}

#[tokio::test]
async fn a_header_that_is_too_long_is_refused() {
    let server = server(generous()).await;
    let long = "x".repeat(100 << 10);
    let answered = server.ask("GET /metrics HTTP/1.1", &format!("X-Long: {long}\r\n")).await;
    assert_eq!(answered.status(), 431, "{}", answered.head);
    let many = "X-Many: y\r\n".repeat(1000);
    let answered = server.ask("GET /metrics HTTP/1.1", &many).await;
    assert_eq!(answered.status(), 431, "{}", answered.head);
}

#[tokio::test]
async fn a_body_that_says_that_it_is_too_long_is_refused() {
    let server = server(generous()).await;
    let answered = server.ask("GET /metrics HTTP/1.1", "Content-Length: 20000\r\n").await;
    assert_eq!(answered.status(), 413, "{}", answered.head);
    assert_eq!(answered.json()["reason"], "body_too_long");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_and_its_sender_can_read_that() {
    let server = server(Limits { body: 1000, ..generous() }).await;
    let half = 512 << 10;
    let plain = format!("Content-Length: {half}\r\n\r\n{}", "x".repeat(half));
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(half >> 10));
    for (title, rest) in [("at once", plain), ("in chunks", chunked)] {
        let stream = server.open(&format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{rest}")).await;
        assert_eq!(answer(stream).await.status(), 413, "{title}");
    }
}

#[tokio::test]
async fn who_is_refused_in_the_middle_of_a_body_is_not_cut_off_before_it_has_read_that() {
    let server = server(Limits { body: 1000, ..generous() }).await;
    for start in ["Content-Length: 100000\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n1000\r\n"] {
        let start = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{start}{}", "x".repeat(2000));
        let mut stream = server.open(&start).await;
        assert_eq!(start_of(&mut stream).await, "HTTP/1.1 413");
        // On a connection that was closed already, the first of these is answered with a reset.
        for _ in 0..4 {
            stream.write_all(&[b'x'; 100]).await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.shutdown().await.unwrap();
        assert!(!read_until_closed(stream).await.is_empty());
    }
}

#[tokio::test]
async fn a_body_within_the_limit_reaches_the_page_whole() {
    let page = Router::new().route("/echo", post(async |body: Bytes| body));
    let server = Server::start(page, Limits { body: 1000, ..generous() }).await;
    let body = "x".repeat(1000);
    let answered = server
        .open(&format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n{body}"
        ))
        .await;
    assert_eq!(answer(answered).await.text(), body);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = server(Limits { body_time: SHORT, ..generous() }).await;
    for rest in ["Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"] {
        let stream = server.open(&format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{rest}")).await;
        let answered = answer(stream).await;
        assert_eq!(answered.status(), 408, "{}", answered.head);
        assert_eq!(answered.json()["reason"], "body_too_slow");
    }
}

#[tokio::test]
async fn of_1000_connections_those_beyond_the_limit_are_refused_and_the_others_served() {
    let server = server(Limits { connections: 8, ..generous() }).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = server.open("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(start_of(&mut stream).await, "HTTP/1.1 200");
        held.push(stream);
    }
    let (mut told, mut closed) = (0, 0);
    for _ in 0..10 {
        let mut crowd = JoinSet::new();
        for _ in 0..100 {
            let address = server.address;
            crowd.spawn(async move {
                read_until_closed(TcpStream::connect(address).await.unwrap()).await
            });
        }
        for said in crowd.join_all().await {
            if said.is_empty() {
                closed += 1;
            } else {
                assert!(said.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&said));
                let answer = Answer::cut(said).expect("a whole head");
                assert_eq!(answer.json()["reason"], "too_many_connections");
                let length = format!("content-length: {}\r\n", answer.body.len());
                assert!(answer.head.contains(&length), "{}", answer.head);
                told += 1;
            }
        }
    }
    assert!(told > 0, "nobody was told");
    assert_eq!(told + closed, 1000);
    for mut stream in held {
        let mut rest = vec![0; 4096];
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let read = stream.read(&mut rest).await.unwrap();
        assert!(read > 0, "a connection within the limit was cut");
    }
    server.eventually_free().await;
}

#[tokio::test]
async fn one_client_that_opens_all_it_can_keeps_no_other_out() {
    let server = server(Limits { connections: 8, per_client: 4, ..generous() }).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut stream = server.open("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(start_of(&mut stream).await, "HTTP/1.1 200");
        held.push(stream);
    }
    let refused = read_until_closed(TcpStream::connect(server.address).await.unwrap()).await;
    assert!(refused.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&refused));
    // All of 127.0.0.0/8 is ours.
    let other = TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(server.address).await.unwrap();
    other.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(start_of(&mut other).await, "HTTP/1.1 200");
}

/// More than the buffers of two sockets hold.
fn big() -> Router {
    static BIG: [u8; 32 << 20] = [b'x'; 32 << 20];
    let page = get(async || Bytes::from_static(&BIG));
    Router::new().route("/big", page).route("/healthz", get(async || "ok\n"))
}

#[tokio::test]
async fn a_client_that_reads_its_answer_drop_by_drop_is_cut_off() {
    let limits = Limits { read_time: SHORT, connections: 1, ..generous() };
    let server = Server::start(big(), limits).await;
    let mut slow = server.open("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(start_of(&mut slow).await, "HTTP/1.1 200");
    let sip = tokio::spawn(until_cut_sip(slow));
    server.eventually_free().await;
    assert!(!sip.is_finished(), "it had read everything");
    sip.abort();
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    let limits = Limits { read_time: SHORT, connections: 1, ..generous() };
    let server = Server::start(big(), limits).await;
    let still = server.open("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
    server.eventually_free().await;
    drop(still);
}

#[tokio::test]
async fn a_client_that_reads_gets_all_of_a_big_answer() {
    let server = Server::start(big(), generous()).await;
    assert_eq!(server.ask("GET /big HTTP/1.1", "").await.body.len(), 32 << 20);
}

#[tokio::test]
async fn a_page_that_panics_is_an_answer_and_not_the_end() {
    async fn broken() -> &'static str {
        panic!("a page with a mistake")
    }
    let page = Router::new().route("/broken", get(broken)).route("/healthz", get(async || "ok\n"));
    let server = Server::start(page, generous()).await;
    let answered = server.ask("GET /broken HTTP/1.1", "").await;
    assert_eq!((answered.status(), &answered.json()["reason"]), (500, &"mistake".into()));
    assert!(!answered.text().contains("a page with"), "{}", answered.text());
    assert_eq!(server.ask("GET /healthz HTTP/1.1", "").await.text(), "ok\n");
}
