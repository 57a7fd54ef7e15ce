//! Ctrl-C and SIGTERM: the first ends the run under way with what it has measured so far, the
//! second ends the process.

use crate::cli::say;
use crate::model::ProbeError;
use tokio::sync::watch;

/// Exit code of a process that was interrupted, as shells have it.
const INTERRUPTED: i32 = 130;

/// Whether somebody asked to stop. Clones hear the same.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

// === impl Stop ===

impl Stop {
    /// Listens from now on. Must be called inside a tokio runtime.
    pub(super) fn listen() -> Self {
        let (asked, hears) = watch::channel(false);
        tokio::spawn(async move {
            signal().await;
            say("stopping; once more ends hopclock at once");
            asked.send_replace(true);
            signal().await;
            std::process::exit(INTERRUPTED);
        });
        Self(hears)
    }

    /// Waits until somebody asks, and says so.
    pub(super) async fn asked(&self) -> ProbeError {
        let mut hears = self.0.clone();
        if hears.wait_for(|it| *it).await.is_err() {
            // The listener is gone, and with it the runtime.
            std::future::pending::<()>().await;
        }
        ProbeError {
            reason: "stopped".to_owned(),
            message: "the run was stopped before it ended; what was pushed stays".to_owned(),
        }
    }

    /// Whether somebody has asked.
    pub(super) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }
}

/// Goes on when a terminal hangs up, or somebody asks for a reload as of other services: the folder
/// is looked at every few seconds anyway. Must be called inside a tokio runtime.
#[cfg(unix)]
pub(super) fn survive_hangups() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangups) = signal(SignalKind::hangup()) else { return };
    tokio::spawn(async move { while hangups.recv().await.is_some() {} });
}

/// There are no such signals here.
#[cfg(not(unix))]
pub(super) fn survive_hangups() {}

/// Waits for the next signal. If signals cannot be heard, the system's own answer to them stands.
async fn signal() {
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => (),
        () = terminated() => (),
        else => std::future::pending().await,
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminations) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    terminations.recv().await;
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
