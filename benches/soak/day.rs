//! A day of a service: 24 hours of 200 scenarios under a clock that is moved.
//!
//! Says how much memory the process holds after each few hours, and ends with an error if that
//! grows once everything has happened, if a tick is not accounted for, or if a finished run has no
//! row.

use crate::service_kit::{
    Counts, Lane, MemoryStore, START, SimClock, World, assert_accounted, entry, runtime, start,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Scenarios of the service.
const SCENARIOS: u64 = 200;

/// Hours that pass.
const HOURS: u64 = 24;

/// Hours after which everything has happened.
const WARM: u64 = 4;

/// What memory may grow by after that, in MiB: allocators are not exact. One kept event a run
/// would be ten times as much.
const TOLERANCE: f64 = 1.0;

/// Time between two runs of a scenario.
const PERIOD: Duration = Duration::from_secs(300);

/// Lets the day pass.
pub(crate) fn soak() {
    let began = Instant::now();
    let world = World::new(Duration::from_secs(20));
    let (store, counts) = (MemoryStore::default(), Arc::new(Counts::default()));
    let mut rows = 0_u64;
    let mut held = Vec::new();
    runtime().block_on(async {
        let clock = SimClock::new(START.parse().expect("a timestamp"));
        let process = start(&clock, &store, &counts).await;
        let lanes = (0..SCENARIOS).map(|number| Lane {
            name: format!("scenario-{number}"),
            remote: format!("scenario-{number}"),
            deadline: Duration::from_secs(120),
            world: world.clone(),
            clock: clock.clone(),
            broken: Arc::default(),
            takes: Duration::from_millis(5),
            longest_poll: Some(Duration::from_secs(60)),
        });
        let entries = lanes.map(|it| entry(it, PERIOD, Duration::from_secs(60))).collect();
        process.service.replace(entries, &process.accounts);
        println!("| hours | runs | memory, MiB |\n|---|---|---|");
        for hour in 1..=HOURS {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            process.recorder.flush().await;
            // A real store keeps rows on a disk.
            let mut runs = store.0.runs.lock().expect("nobody panics here");
            rows += std::mem::take(&mut *runs).len() as u64;
            world.pushes.lock().expect("nobody panics here").clear();
            held.push(memory());
            if hour % WARM == 0 || hour == 1 {
                println!("| {hour} | {rows} | {:.1} |", memory());
            }
        }
        process.recorder.flush().await;
        rows += store.0.runs.lock().expect("nobody panics here").len() as u64;
    });
    let accounts = store.0.accounts.lock().expect("nobody panics here");
    let mut finished = 0;
    for (name, account) in accounts.iter() {
        assert_accounted(account, &counts.of(name));
        let ticks = HOURS * 3600 / PERIOD.as_secs();
        assert!(account.ledger.scheduled().abs_diff(ticks) <= 1, "{name}: {:?}", account.ledger);
        finished += account.ledger.finished();
    }
    assert_eq!(finished, rows, "a row for each finished run");
    let (before, after) = held.split_at(usize::try_from(WARM).expect("a few hours"));
    let highest = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
    let growth = highest(after) - highest(before);
    assert!(growth <= TOLERANCE, "memory grew by {growth:.1} MiB after {WARM} hours: {held:?}");
    let took = began.elapsed().as_secs();
    println!(
        "{finished} runs of {SCENARIOS} scenarios: every tick accounted for, no row lost, memory \
         {growth:+.1} MiB after {WARM} hours; in {took} s"
    );
}

/// Resident memory of this process in MiB; 0 where the system does not say.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let kib = line.and_then(|it| it.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}
