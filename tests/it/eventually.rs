//! Waits for what another task brings about, and gives up loudly when it never does.

use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Longer than anything that is waited for can take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns as soon as `holds` does; panics with `what` if it does not within a minute.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let poll = async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(LIMIT, poll).await.is_ok(), "never happened: {what}");
}
