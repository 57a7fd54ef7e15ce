//! How long a write takes to reach its watchers' sockets: the error that the sandbox itself adds.
//!
//! Many plain connections watch one kind while a writer changes objects at a fixed rate. The truth
//! is the instant of the write in the store; what is measured is when its line was read.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run may stop")]

use std::{collections::HashMap, time::Duration};

use hopclock_sandbox::{
    api::{Options, serve},
    store::{Key, Part, Store},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, MissedTickBehavior},
};

const UPDATES: u64 = 5_000;

#[tokio::main]
async fn main() {
    println!("watchers  updates/s       p50       p99       max");
    for (watchers, rate) in [(1, 100), (1, 1_000), (10, 1_000), (100, 100), (100, 1_000)] {
        let mut delays = measure(watchers, rate).await;
        delays.sort_unstable();
        let at = |share: usize| delays[(delays.len() - 1) * share / 100].as_secs_f64() * 1e3;
        println!(
            "{watchers:>8} {rate:>10} {:>6.3} ms {:>6.3} ms {:>6.3} ms",
            at(50),
            at(99),
            at(100)
        );
    }
}

async fn measure(watchers: usize, rate: u64) -> Vec<Duration> {
    let store = Store::new();
    let server = serve(store.clone(), Options::default()).await.unwrap();
    let data = "x".repeat(1_000);
    let metadata = json!({ "name": "a", "namespace": "lab" });
    let object = json!({ "kind": "Widget", "metadata": metadata, "spec": { "data": data } });
    store.create(object, "bench").unwrap();
    let updates = UPDATES.min(rate * 5);
    let last = store.version() + updates;
    let mut readers = Vec::new();
    for _ in 0..watchers {
        let mut stream = TcpStream::connect(server.addr()).await.unwrap();
        let request = format!(
            "GET /apis/lab.hopclock.dev/v1/widgets?watch=true HTTP/1.1\r\nHost: sandbox\r\n\
             Authorization: Bearer {}\r\n\r\n",
            server.admin_token()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let (ready, opened) = tokio::sync::oneshot::channel();
        readers.push(tokio::spawn(read(stream, last, ready)));
        opened.await.unwrap();
    }
    let key = Key::new("Widget", "lab", "a");
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for count in 0..updates {
        ticks.tick().await;
        store.merge(&key, &json!({ "spec": { "n": count } }), Part::Whole, "bench").unwrap();
    }
    let written: HashMap<u64, Instant> =
        store.changes().iter().map(|change| (change.rv, change.at)).collect();
    let mut delays = Vec::new();
    for reader in readers {
        for (version, seen) in reader.await.unwrap() {
            delays.push(seen - written[&version]);
        }
    }
    delays
}

/// Notes when the line of each version was read, the first one (it is there already) left out.
async fn read(
    mut stream: TcpStream,
    last: u64,
    ready: tokio::sync::oneshot::Sender<()>,
) -> Vec<(u64, Instant)> {
    const MARK: &[u8] = b"\"resourceVersion\":\"";
    let (mut seen, mut buffer, mut ready) = (Vec::new(), Vec::new(), Some(ready));
    loop {
        stream.read_buf(&mut buffer).await.unwrap();
        let now = Instant::now();
        while let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let Some(start) = line.windows(MARK.len()).position(|window| window == MARK) else {
                continue;
            };
            let digits = line[start + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
            let version = digits.fold(0, |number, &digit| number * 10 + u64::from(digit - b'0'));
            match ready.take() {
                Some(ready) => ready.send(()).unwrap(),
                None => seen.push((version, now)),
            }
            if version == last {
                return seen;
            }
        }
    }
}
