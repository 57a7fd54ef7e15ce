//! notification-controller: receivers that take webhooks in, an event server that lets events out.
//!
//! Both are HTTP servers on loopback. Controllers of the same process post their events without the
//! wire, so that they work in virtual time; whether the server is up decides for both.

mod alerts;
mod check;
mod event;
mod receiver;
mod record;
mod recorder;
mod serve;
mod server;
mod webhook;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::HeaderMap;
use http::StatusCode;
use tokio::time::Instant;

pub use event::Event;
pub use event::InvolvedObject;
pub use event::Severity;
pub use server::EventCounts;
pub use server::TakenEvent;

pub(crate) use recorder::Recorder;
pub(crate) use server::EventServer;

use self::receiver::Receivers;
use self::serve::HttpServer;
use super::context::Context;
use super::runtime::Running;

/// The field manager.
const NAME: &str = "notification-controller";

/// The addresses of the two servers; kept across restarts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) receivers: Option<SocketAddr>,
    pub(crate) events: Option<SocketAddr>,
}

/// A running notification-controller.
pub(crate) struct Notifications {
    context: Arc<Context>,
    reconciler: Running,
    receivers: HttpServer,
    events: HttpServer,
    started: Instant,
}

/// A webhook call, as a client in the same process makes it. Not for printing: headers can be
/// secrets.
#[derive(Clone)]
pub struct WebhookCall<'a> {
    /// Path and query, such as `/hook/…`.
    pub uri: &'a str,
    /// The headers, with the signature.
    pub headers: HeaderMap,
    /// The body, byte by byte as it was signed.
    pub body: &'a [u8],
}

impl Notifications {
    pub(crate) async fn start(
        context: &Arc<Context>,
        addresses: &mut Addresses,
    ) -> io::Result<Self> {
        let started = Instant::now();
        let hooks = webhook::router(context.clone(), started);
        let receivers = HttpServer::start(addresses.receivers, hooks).await?;
        let events = HttpServer::start(addresses.events, server::router(context.clone())).await?;
        addresses.receivers = Some(receivers.address);
        addresses.events = Some(events.address);
        context.events.up.store(true, Ordering::SeqCst);
        let workers = context.speeds().notification_workers;
        let reconciler = Running::start(context, Receivers::new(context.clone()), workers);
        Ok(Self { context: context.clone(), reconciler, receivers, events, started })
    }

    /// Closes both servers; deliveries that are under way are lost.
    pub(crate) async fn stop(self) {
        self.context.events.go_down().await;
        self.receivers.stop().await;
        self.events.stop().await;
        self.reconciler.stop().await;
    }

    /// Handles a webhook without the wire.
    pub(crate) async fn call(&self, call: &WebhookCall<'_>) -> StatusCode {
        webhook::answer(&self.context, self.started, call).await
    }
}
