//! The end of a server: nothing new, what is open may end, and then it is cut.

use crate::web_kit::{
    Guard, LONG, Script, Server, answer, bearer, ended, read_until_closed, token_file, with_runs,
};
use hopclock::web::Limits;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Asks for a run and waits for its end; nothing ends by itself.
async fn waiting(grace: Duration) -> (std::sync::Arc<Script>, Server, TcpStream) {
    let script = Script::held(ended, 0);
    let limits = Limits { grace, ..Limits::default() };
    let server = Server::start(with_runs(script.clone(), Guard(None)), limits).await;
    let headers = bearer(crate::web_kit::TOKEN);
    let line = "POST /run/fleet?wait=true HTTP/1.1\r\nHost: x\r\n";
    let stream = server.open(&format!("{line}{headers}\r\n")).await;
    script.eventually_asked(1).await;
    (script, server, stream)
}

/// Returns when the port does not answer any more.
async fn eventually_closed(server: &Server) {
    let poll = async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, poll).await.is_ok(), "the port stays open");
}

#[tokio::test]
async fn an_open_request_ends_though_nothing_new_is_accepted() {
    let (script, mut server, stream) = waiting(LONG).await;
    server.tell_to_stop();
    eventually_closed(&server).await;
    script.end_one();
    let answered = answer(stream).await;
    assert_eq!((answered.status(), &answered.json()["record"]["scenario"]), (200, &"fleet".into()));
    assert!(answered.head.contains("connection: close"), "{}", answered.head);
    server.stopped().await;
}

#[tokio::test]
async fn a_request_that_does_not_end_in_time_is_cut() {
    let (script, server, stream) = waiting(Duration::from_millis(100)).await;
    server.stopped().await;
    assert_eq!(read_until_closed(stream).await, b"");
    // What it asked for is not its own.
    script.end_one();
    script.eventually_ended(1).await;
}

#[tokio::test]
async fn connections_without_a_request_do_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { grace: 2 * LONG, header: 2 * LONG, ..Limits::default() };
    let pages = with_runs(Script::new(ended), token_file(folder.path()));
    let server = Server::start(pages, limits).await;
    let silent = server.open("").await;
    let mut idle = server.open("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut start = [0; 12];
    idle.read_exact(&mut start).await.unwrap();
    let address = server.address;
    server.stopped().await;
    read_until_closed(silent).await;
    read_until_closed(idle).await;
    assert!(TcpStream::connect(address).await.is_err(), "the port is still open");
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_end_the_run() {
    let script = Script::held(ended, 0);
    let limits = Limits { connections: 1, ..Limits::default() };
    let server = Server::start(with_runs(script.clone(), Guard(None)), limits).await;
    let headers = bearer(crate::web_kit::TOKEN);
    let line = "POST /run/fleet?wait=true HTTP/1.1\r\nHost: x\r\n";
    let stream = server.open(&format!("{line}{headers}\r\n")).await;
    script.eventually_asked(1).await;
    drop(stream);
    // The only connection is free again, so the server knows that the caller has gone.
    server.eventually_free().await;
    script.end_one();
    script.eventually_ended(1).await;
}
