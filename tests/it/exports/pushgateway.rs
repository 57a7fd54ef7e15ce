//! A real Pushgateway takes what a one-shot run has counted, and a Prometheus finds it there.

use crate::exports::kit::{assert_classic, assert_native};
use crate::metrics::after_some_runs;
use crate::prometheus_kit::{Setting, Version, found};
use crate::web_kit::ask;
use hopclock::export::Format;
use hopclock::remote::post::Verb;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A Pushgateway that ends with the test.
pub(super) struct Gateway {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    /// One that is ready; none if there is no such program.
    pub(super) async fn eventually_start() -> Option<Self> {
        if !found("prometheus-pushgateway") {
            return None;
        }
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus-pushgateway")
            .arg(format!("--web.listen-address={address}"))
            // Debian's keeps what it has in a file that all would share.
            .arg("--persistence.file=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut gateway = Self { child, address };
        for _ in 0..600 {
            assert_eq!(gateway.child.try_wait().unwrap(), None, "the gateway has ended");
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Some(gateway);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the gateway does not become ready");
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

#[tokio::test]
async fn what_is_put_is_scraped_with_both_forms_of_histograms() {
    if !Version::Two.is_found() || !Version::Three.is_found() {
        return;
    }
    let Some(gateway) = Gateway::eventually_start().await else { return };
    let group = gateway.url("/metrics/job@base64/aG9wY2xvY2s=/instance@base64/YS9i");
    let body = |format: Format| after_some_runs().snapshot().encode(format);
    let kind = [("Content-Type", Format::Plain.content_type())];
    send(&group, &kind, body(Format::Plain)).await;
    let mut prometheus = Setting::of(Version::Two).scraping(gateway.address).start().await;
    assert_classic(&mut prometheus).await;
    // What is put replaces what was there.
    let kind = [("Content-Type", Format::Protobuf.content_type())];
    send(&group, &kind, body(Format::Protobuf)).await;
    let page = ask(gateway.address, "GET /metrics HTTP/1.0", "").await;
    let count = page.text().lines().filter(|it| it.starts_with("hopclock_build_info")).count();
    assert_eq!(count, 1);
    assert!(page.text().contains(r#"instance="a/b",job="hopclock""#), "{}", page.text());
    let mut prometheus = Setting::of(Version::Two).scraping(gateway.address).native().start().await;
    assert_native(&mut prometheus).await;
}

async fn send(url: &str, headers: &[(&str, &str)], body: Vec<u8>) {
    crate::exports::kit::send(url, Verb::Put, headers, body).await.unwrap();
}
