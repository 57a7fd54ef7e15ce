//! The way through a proxy, from the environment or the kubeconfig.

use crate::watch::Lab;
use hopclock::cluster::{Cluster, ClusterOptions, Error};
use hopclock_sandbox::api::{Options, Tls};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that tunnels, and counts how often it was asked to.
struct Proxy {
    url: String,
    tunnels: Arc<AtomicUsize>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tunnels = Arc::new(AtomicUsize::new(0));
        let count = tunnels.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, count.clone()));
            }
        });
        Self { url, tunnels }
    }

    fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::Relaxed)
    }
}

/// Serves one CONNECT.
async fn tunnel(client: TcpStream, count: Arc<AtomicUsize>) -> Option<()> {
    let mut client = BufReader::new(client);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        client.read_line(&mut request).await.ok().filter(|it| *it > 0)?;
    }
    let target = request.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned();
    let mut server = TcpStream::connect(target).await.ok()?;
    count.fetch_add(1, Ordering::Relaxed);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    copy_bidirectional(&mut client, &mut server).await.ok().map(|_| ())
}

async fn lab() -> Lab {
    let tls = Some(Tls::self_signed().unwrap());
    Lab::with(Options { tls, ..Options::default() }).await
}

async fn connect(
    lab: &Lab,
    text: &str,
    https_proxy: Option<&str>,
    no_proxy: Option<&str>,
) -> Result<Cluster, Error> {
    let options = ClusterOptions {
        kubeconfigs: vec![lab.write("kubeconfig", text)],
        https_proxy: https_proxy.map(str::to_owned),
        no_proxy: no_proxy.map(str::to_owned),
        ..ClusterOptions::default()
    };
    Cluster::connect(options, lab.clock.clone()).await
}

#[tokio::test]
async fn the_environments_proxy_is_used_unless_no_proxy_names_the_server() {
    let (lab, proxy) = (lab().await, Proxy::start().await);
    let text = lab.server.kubeconfig(None);
    connect(&lab, &text, Some(&proxy.url), Some("127.0.0.0/8")).await.unwrap();
    assert_eq!(proxy.tunnels(), 0);
    connect(&lab, &text, Some(&proxy.url), Some("example.com")).await.unwrap();
    assert_eq!(proxy.tunnels(), 1);
}

#[tokio::test]
async fn the_kubeconfigs_own_proxy_is_used_whatever_the_environment_says() {
    let (lab, proxy) = (lab().await, Proxy::start().await);
    let text = lab.server.kubeconfig(None);
    let server = lab.server.url();
    let own = text.lines().map(|line| match line.find("server:") {
        Some(place) if line.contains(&server) => {
            format!("{line}\n{}proxy-url: {}\n", " ".repeat(place), proxy.url)
        }
        _ => format!("{line}\n"),
    });
    connect(&lab, &own.collect::<String>(), None, Some("127.0.0.1")).await.unwrap();
    assert_eq!(proxy.tunnels(), 1);
}

#[tokio::test]
async fn a_proxy_that_cannot_be_one_is_said() {
    let lab = lab().await;
    let error = connect(&lab, &lab.server.kubeconfig(None), Some("ftp://proxy:21"), None).await;
    let error = error.expect_err("no such proxies").to_string();
    assert_eq!(
        error,
        format!(
            "cannot use the proxy for the API server at `{}`: it must be http, https or socks5; \
             correct its address",
            lab.server.url()
        )
    );
}
