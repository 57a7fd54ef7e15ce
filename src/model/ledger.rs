//! Accounts for every tick of every schedule (rule O4): it becomes a run, or is missed.
//!
//! `scheduled = finished + in flight + missed` holds at every moment, because nothing but the
//! parts is kept: the sum is never stored, so it cannot disagree. A run is known by the instant at
//! which it was due, so that one that is finished twice, or was never started, is not counted.

use crate::model::{Missed, Underway};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Accounts for the ticks of one schedule, and for the runs that somebody asked for.
///
/// Invariant: a run is in flight or finished, never both, and counted once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    finished: u64,
    in_flight: BTreeMap<Timestamp, Underway>,
    missed: BTreeMap<Missed, u64>,
}

/// What became of a tick.
#[derive(Clone, Debug, PartialEq)]
pub enum Tick {
    /// A run that was due then, and what is known of it at its start.
    Run(Timestamp, Box<Underway>),
    /// Nothing, for this reason; this many in a row.
    Missed(Missed, u64),
}

/// What cannot be accounted for; the ledger is left as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// It was never started, or is finished already.
    #[error("the run due at {0} is not in flight: it was never started, or is finished already")]
    NotInFlight(Timestamp),
    /// Two ticks became the same run.
    #[error("the run due at {0} is in flight already: each tick becomes a run of its own")]
    StartedTwice(Timestamp),
}

// === impl Ledger ===

impl Ledger {
    /// A ledger of a schedule that never ticked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accounts for a tick.
    ///
    /// # Errors
    ///
    /// [`AccountError::StartedTwice`] if the tick is said to have become a run that is in flight; then
    /// nothing is counted.
    pub fn tick(&mut self, tick: Tick) -> Result<(), AccountError> {
        match tick {
            Tick::Run(due, underway) => {
                if self.in_flight.contains_key(&due) {
                    return Err(AccountError::StartedTwice(due));
                }
                self.in_flight.insert(due, *underway);
            }
            Tick::Missed(reason, count) => *self.missed.entry(reason).or_default() += count,
        }
        Ok(())
    }

    /// Accounts for the end of a run, however it ended, and gives back what was known of it.
    ///
    /// # Errors
    ///
    /// [`AccountError::NotInFlight`] if it is finished already or was never started; then nothing
    /// is counted.
    pub fn finish(&mut self, due: Timestamp) -> Result<Underway, AccountError> {
        let underway = self.in_flight.remove(&due).ok_or(AccountError::NotInFlight(due))?;
        self.finished += 1;
        Ok(underway)
    }

    /// How often the schedule ticked: the sum of all that became of it.
    #[must_use]
    pub fn scheduled(&self) -> u64 {
        self.finished + self.in_flight() + self.missed.values().sum::<u64>()
    }

    /// Runs that are finished, with whatever outcome.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.finished
    }

    /// Runs that are under way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.len() as u64
    }

    /// The runs that are under way, by the instant at which they were due; after a restart, those
    /// that a killed process left behind.
    pub fn runs(&self) -> impl Iterator<Item = (Timestamp, &Underway)> {
        self.in_flight.iter().map(|it| (*it.0, it.1))
    }

    /// What is known of a run under way, to add to it.
    pub fn run_mut(&mut self, due: Timestamp) -> Option<&mut Underway> {
        self.in_flight.get_mut(&due)
    }

    /// Ticks that were missed for a reason.
    #[must_use]
    pub fn missed(&self, reason: Missed) -> u64 {
        self.missed.get(&reason).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, prop_assert_eq, prop_oneof, proptest};
    use proptest::sample::select;

    /// What a scheduler does, in any order, right or wrong.
    #[derive(Clone, Debug)]
    enum Deed {
        Start(i64),
        Miss(Missed, u64),
        Finish(i64),
        Restart,
    }

    fn due(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run(second: i64) -> Tick {
        Tick::Run(due(second), Box::default())
    }

    /// Saves a ledger and reads it back, as a restart does.
    fn reread(ledger: &Ledger) -> Ledger {
        serde_json::from_str(&serde_json::to_string(ledger).unwrap()).unwrap()
    }

    #[test]
    fn o4_every_tick_is_a_run_or_missed_with_its_reason() {
        let mut ledger = Ledger::new();
        ledger.tick(run(1)).unwrap();
        ledger.tick(Tick::Missed(Missed::Overlap, 2)).unwrap();
        ledger.tick(Tick::Missed(Missed::Down, 1)).unwrap();
        assert_eq!((ledger.scheduled(), ledger.in_flight(), ledger.finished()), (4, 1, 0));
        ledger.finish(due(1)).unwrap();
        assert_eq!((ledger.scheduled(), ledger.in_flight(), ledger.finished()), (4, 0, 1));
        let missed = Missed::ALL.map(|it| ledger.missed(it));
        assert_eq!(missed, [2, 0, 0, 1]);
    }

    #[test]
    fn o4_a_run_that_is_not_in_flight_cannot_finish() {
        let mut ledger = Ledger::new();
        assert_eq!(ledger.finish(due(1)), Err(AccountError::NotInFlight(due(1))));
        ledger.tick(run(1)).unwrap();
        ledger.finish(due(1)).unwrap();
        let error = ledger.finish(due(1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the run due at 1970-01-01T00:00:01Z is not in flight: it was never started, or is \
             finished already"
        );
        assert_eq!(ledger.scheduled(), 1);
    }

    #[test]
    fn o4_two_ticks_are_not_the_same_run() {
        let mut ledger = Ledger::new();
        ledger.tick(run(1)).unwrap();
        assert_eq!(ledger.tick(run(1)), Err(AccountError::StartedTwice(due(1))));
        assert_eq!(ledger.scheduled(), 1);
    }

    #[test]
    fn o4_a_run_that_a_killed_process_left_behind_is_accounted_for_after_the_restart() {
        let mut ledger = Ledger::new();
        ledger.tick(run(7)).unwrap();
        let mut ledger = reread(&ledger);
        let left: Vec<_> = ledger.runs().map(|it| it.0).collect();
        assert_eq!(left, [due(7)]);
        ledger.finish(left[0]).unwrap();
        assert_eq!((ledger.scheduled(), ledger.finished()), (1, 1));
    }

    fn deeds() -> impl Strategy<Value = Vec<Deed>> {
        let deed = prop_oneof![
            (0_i64..12).prop_map(Deed::Start),
            (0_i64..12).prop_map(Deed::Finish),
            (select(&Missed::ALL[..]), 0_u64..3).prop_map(|it| Deed::Miss(it.0, it.1)),
            select(&[Deed::Restart][..]),
        ];
        proptest::collection::vec(deed, 0..80)
    }

    proptest! {
        #[test]
        fn property_o4_no_tick_is_unaccounted(deeds in deeds()) {
            let (mut ledger, mut ticks, mut ends) = (Ledger::new(), 0, 0);
            for deed in deeds {
                match deed {
                    Deed::Start(it) => ticks += u64::from(ledger.tick(run(it)).is_ok()),
                    Deed::Miss(it, count) => {
                        ledger.tick(Tick::Missed(it, count)).unwrap();
                        ticks += count;
                    }
                    Deed::Finish(it) => ends += u64::from(ledger.finish(due(it)).is_ok()),
                    Deed::Restart => ledger = reread(&ledger),
                }
                let missed: u64 = Missed::ALL.iter().map(|it| ledger.missed(*it)).sum();
                prop_assert_eq!(ledger.scheduled(), ticks);
                prop_assert_eq!(ledger.finished(), ends);
                prop_assert_eq!(ledger.finished() + ledger.in_flight() + missed, ticks);
            }
        }
    }
}
