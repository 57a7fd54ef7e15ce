//! The built program as a service: how soon it is ready, and what it holds after many runs.

use crate::Spread;
use crate::killed_kit::{Course, Soak};
use std::time::Duration;
use tokio::time::Instant;

/// Scenarios of the service.
const SCENARIOS: usize = 100;

/// As many runs as an hour has at a period of five minutes.
const RUNS: u64 = SCENARIOS as u64 * 12;

/// Starts that are timed.
const STARTS: usize = 20;

/// Between two looks at the memory.
const LOOK: Duration = Duration::from_secs(20);

/// Prints the rows of this part.
pub(crate) async fn measure() {
    let course = Course { lanes: SCENARIOS, schedule: "every: 20s, jitter: 10s", deadline: "9s" };
    let mut soak = Soak::new(course).await;
    let (mut ready, mut looked) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let (one, other) = soak.time_start().await;
        ready.push(one);
        looked.push(other);
        soak.kill().await;
    }
    println!(
        "| `hopclock serve` of {SCENARIOS} scenarios, from its start until it is ready | {} |",
        Spread::of(ready).cells()
    );
    println!(
        "| the same, until it has looked at the path of each (what the first lists take) | {} |",
        Spread::of(looked).cells()
    );
    soak.start().await;
    let mut held = vec![soak.memory()];
    let mut next = Instant::now();
    let before = soak.account().await.finished;
    let mut runs = 0;
    while runs < RUNS {
        next += LOOK;
        tokio::time::sleep_until(next).await;
        held.push(soak.memory());
        runs = soak.account().await.finished - before;
    }
    let mib: Vec<String> = held.iter().map(|it| format!("{:.1}", *it as f64 / 1024.0)).collect();
    println!(
        "| resident memory of it at the start and every {LOOK:?} until {runs} runs have finished: \
         {} MiB | | | | |",
        mib.join(", ")
    );
    for it in &soak.violations {
        println!("| what should not be: {it} | | | | |");
    }
}
