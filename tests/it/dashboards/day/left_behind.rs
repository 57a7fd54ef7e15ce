//! A day on which one cluster is left behind at noon, and another one was never reached.
//!
//! `hub` runs every quarter of an hour, and brings its change into three clusters: live after 4 s in the
//! one that hopclock runs in, in `east` after 12 s until noon and not any more then, in `north` never. So
//! every one of its runs ends as a timeout.

use super::stories::{DEADLINE, Hops, Run, reached, records, scenario};
use super::{DAY, Happening, NOON};
use hopclock::export::ScenarioSeries;
use hopclock::model::{Outcome, Passage, SloVerdict, Usage, Via};
use std::time::Duration;

const HUB: Hops = &[
    ("source_fetched", "", "source_fetched"),
    ("live", "", "live"),
    ("live-east", "east", "live"),
    ("live-north", "north", "live"),
];

/// Seconds between two runs.
const PERIOD: u64 = 900;

/// What of the scenario there are series.
pub(super) fn scenarios() -> Vec<ScenarioSeries> {
    vec![scenario("hub", HUB, (30, 0.9), PERIOD)]
}

/// Everything that happens.
pub(super) fn happenings() -> Vec<Happening> {
    let dues = (420..DAY - 600).step_by(usize::try_from(PERIOD).unwrap());
    dues.flat_map(|due| run(due).happens()).collect()
}

fn run(due: u64) -> Run {
    let in_east = if due < NOON { reached(12.0, 8.0, None, None) } else { Passage::Unreached };
    let hops = [
        reached(2.0, 2.0, None, Some(Via::Webhook)),
        reached(4.0, 2.0, None, None),
        in_east,
        Passage::Unreached,
    ];
    Run {
        scenario: "hub",
        due,
        hops: records(HUB, hops),
        outcome: Outcome::Timeout,
        length: Some(Duration::from_secs(DEADLINE).as_secs_f64()),
        verdict: Some(SloVerdict::Bad),
        usage: Usage { requests: 4, throttled: 0 },
    }
}
