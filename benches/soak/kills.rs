//! Twenty real minutes of the built program against the sandbox, killed once a minute.
//!
//! `HOPCLOCK_SOAK_MINUTES` takes more or fewer, `HOPCLOCK_SOAK_SEED` other instants. Memory and
//! the file of the state are compared as well: lives of the service with each other, and the file
//! with the rows in it, which are all younger than what retention takes away.

use crate::killed_kit::{Course, Soak, Standing};
use std::time::Duration;
use tokio::time::Instant;

/// What is soaked: about one run a second.
const COURSE: Course = Course { lanes: 8, schedule: "every: 8s, jitter: 2s", deadline: "5s" };

/// Minutes, where nobody says.
const MINUTES: u32 = 20;

const SEED: u64 = 7;

const MINUTE: Duration = Duration::from_secs(60);

/// Minutes between two rows of the table.
const ROW: usize = 2;

/// What the memory of later lives may be above that of the first ones: lives differ in length.
const MEMORY: f64 = 1.1;

/// What a further row may take of the file, as a part of what each of the first ones does.
const ROOM: f64 = 1.1;

/// Most bytes of the write-ahead log beside the rows.
const LOG: u64 = 8 << 20;

/// Kills the service for as long as is asked for.
pub(crate) fn soak() {
    let minutes = number("HOPCLOCK_SOAK_MINUTES").unwrap_or(MINUTES.into());
    let seed = number("HOPCLOCK_SOAK_SEED").unwrap_or(SEED);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(kill(minutes, seed));
}

async fn kill(minutes: u64, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut soak = Soak::new(COURSE).await;
    let mut standings: Vec<Standing> = Vec::new();
    let began = Instant::now();
    println!(
        "| minutes | kills | scheduled | finished | in flight | missed | rows | memory, MiB | state \
         in use, KiB | files, KiB |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    soak.start().await;
    for minute in 0..u32::try_from(minutes).expect("some minutes") {
        let part = Duration::from_millis(chance.u64(0..60_000));
        soak.until_then(began + MINUTE * minute + part).await;
        standings.push(soak.kill().await);
        if standings.len().is_multiple_of(ROW) {
            row(&began, standings.len(), &standings);
        }
        soak.start().await;
        soak.until_then(began + MINUTE * (minute + 1)).await;
    }
    let kills = standings.len();
    standings.push(soak.finish().await);
    row(&began, kills, &standings);
    let mut wrong = std::mem::take(&mut soak.violations);
    wrong.extend(growth(&standings));
    for it in &wrong {
        println!("- {it}");
    }
    assert!(wrong.is_empty(), "{} rules were broken in {kills} kills, seed {seed}", wrong.len());
    println!(
        "{kills} kills (seed {seed}), {} scrapes: no counter went back, every tick accounted for at \
         each, one row for each finished run and each change that was live, no growth",
        soak.scrapes
    );
}

fn row(began: &Instant, kills: usize, standings: &[Standing]) {
    let Some(Standing { account, rows, memory, used, files }) = standings.last() else { return };
    // The highest of the lives since the last row.
    let memory = standings.iter().rev().take(ROW).map(|it| it.memory).max().unwrap_or(*memory);
    println!(
        "| {:.1} | {kills} | {} | {} | {} | {} | {rows} | {:.1} | {} | {} |",
        began.elapsed().as_secs_f64() / 60.0,
        account.scheduled,
        account.finished,
        account.in_flight,
        account.missed,
        memory as f64 / 1024.0,
        used / 1024,
        files / 1024,
    );
}

/// What grew though nothing explains it. Few minutes show nothing.
fn growth(standings: &[Standing]) -> Vec<String> {
    let quarter = standings.len() / 4;
    let (Some(warm), Some(last)) = (standings.get(quarter), standings.last()) else {
        return Vec::new();
    };
    if quarter < 2 {
        return Vec::new();
    }
    let highest = |of: &[Standing]| of.iter().map(|it| it.memory).max().unwrap_or_default() as f64;
    let early = highest(&standings[quarter..2 * quarter]);
    let late = highest(&standings[standings.len() - quarter..]);
    let mut grown = Vec::new();
    if late > early * MEMORY {
        grown.push(format!("memory grew from {early} to {late} KiB"));
    }
    let before = warm.used as f64 / warm.rows as f64;
    let further = last.used.saturating_sub(warm.used) as f64 / (last.rows - warm.rows) as f64;
    println!("each row takes {further:.0} bytes of the file, {before:.0} after {quarter} kills");
    if further > before * ROOM {
        grown.push(format!("each further row takes {further:.0} bytes, {before:.0} before"));
    }
    for it in standings.iter().filter(|it| it.files > it.used + LOG) {
        grown.push(format!("files of {} bytes, of which {} are in use", it.files, it.used));
    }
    grown
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
