//! The numbers of the README, measured in one run against the sandbox, which knows the truth.
//!
//! `cargo bench --bench numbers` prints one table; `-- scrape` only the part that needs no sandbox,
//! `-- serve` only that of the built program, `-- notify` only that of the listener, `-- watches`
//! only that of many scenarios' watches, `-- idle` what a service takes whose scenarios all wait.
//! Everything is a distribution or a ratio of this one run on this one machine; nothing is
//! asserted.

#![allow(clippy::cast_precision_loss, reason = "numbers for people have few digits")]

mod accuracy;
mod fleet;
mod idle;
mod memory;
mod notify;
mod push;
mod scrape;
mod serve;
mod watches;

#[path = "../../tests/it/fleet_kit.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the test of the same uses more of it")]
mod fleet_kit;

#[path = "../../tests/it/cli/killed_kit.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests of a killed service use more of it")]
mod killed_kit;

#[path = "../../tests/it/cli/kit.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests of the program use more of it")]
mod kit;

use std::time::Duration;

/// Spread of something that was measured often.
pub(crate) struct Spread {
    sorted: Vec<Duration>,
}

// === impl Spread ===

impl Spread {
    pub(crate) fn of(mut all: Vec<Duration>) -> Self {
        all.sort();
        Self { sorted: all }
    }

    /// The value below which that share lies; nearest rank.
    pub(crate) fn quantile(&self, percent: usize) -> Duration {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied().unwrap_or_default()
    }

    /// Median, 99th percentile and maximum, as cells of a table.
    pub(crate) fn cells(&self) -> String {
        let cell = |it: Duration| format!("{:.2} ms", it.as_secs_f64() * 1e3);
        let values = [50, 99, 100].map(|it| cell(self.quantile(it)));
        format!("{} | {} | {} | n = {}", values[0], values[1], values[2], self.sorted.len())
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|it| it != "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    match arguments.next().as_deref() {
        // A process of its own, so that only hopclock's memory is measured.
        Some("hold") => {
            let kubeconfig = arguments.next().expect("a kubeconfig");
            let runs = arguments.next().and_then(|it| it.parse().ok()).expect("a number of runs");
            runtime.block_on(memory::hold(kubeconfig.into(), runs));
        }
        // The same for the listener.
        Some("listen") => runtime.block_on(notify::listen()),
        Some("notify") => {
            heading();
            runtime.block_on(notify::measure());
        }
        Some("scrape") => {
            heading();
            scrape::measure();
        }
        Some("idle") => {
            heading();
            runtime.block_on(idle::measure());
        }
        Some("watches") => {
            heading();
            runtime.block_on(watches::measure());
        }
        Some("serve") => {
            heading();
            runtime.block_on(serve::measure());
        }
        _ => runtime.block_on(measure()),
    }
}

async fn measure() {
    heading();
    scrape::measure();
    accuracy::measure().await;
    push::measure().await;
    memory::measure().await;
    notify::measure().await;
    watches::measure().await;
    serve::measure().await;
}

fn heading() {
    println!("| what | p50 | p99 | max | |\n|---|---|---|---|---|");
}
