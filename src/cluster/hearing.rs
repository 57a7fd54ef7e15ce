//! What the instant of a watch event is worth (rule T6): exact, or only an interval.
//!
//! An event that occurs while a watch is open arrives at once. One that occurred while it was
//! not, waits at the server and comes in the first burst after the watch is open again; the
//! burst is over when nothing came for a while, or at a bookmark, which the server puts in line
//! behind what waited. On a line that is never quiet it is over after as long as the gap lasted:
//! a server that sends no faster than events occur would never catch up at all. A connection
//! that speaks after the server must have closed it was held up on its way, so whatever it says
//! is old as well. And if our own echo does not come back, everything else that comes may be late,
//! too. In doubt an event counts as one that waited.

use crate::cluster::Timing;
use crate::model::{Moment, When};
use std::time::Duration;

/// Shortest time after which a burst on a busy line is over.
const SHORTEST_BURST: Duration = Duration::from_secs(1);

/// How well a watch hears.
#[derive(Clone)]
pub(super) struct Hearing {
    timing: Timing,
    /// The last sign of life: a byte, an orderly close, or a list's request.
    last: Moment,
    phase: Phase,
    /// When the server will have closed the connection, and when at the latest if it was in time.
    due: Moment,
    in_time: Moment,
    /// Since when events may be late, for our echo is; and until when, once it is back.
    late: Option<(Moment, Option<Moment>)>,
}

/// What our echo says of how late all events of its cluster are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lateness {
    /// It was sent then, and should have come back long ago.
    Since(Moment),
    /// It came back then, or nobody waits for it any more.
    Until(Moment),
}

#[derive(Clone, Copy)]
enum Phase {
    /// Events arrive as they occur.
    Settled,
    /// Events may have waited since `floor`.
    Burst { floor: Moment, torn: bool, until: Moment },
}

impl Hearing {
    /// A watch that heard nothing yet.
    pub(super) fn new(timing: &Timing, now: Moment) -> Self {
        let phase = Phase::Burst { floor: now, torn: false, until: now };
        Self { timing: timing.clone(), last: now, phase, due: now, in_time: now, late: None }
    }

    /// The last sign of life.
    pub(super) fn last(&self) -> Moment {
        self.last
    }

    /// Up to when nothing can have been missed.
    pub(super) fn floor(&self) -> Moment {
        let floor = match self.phase {
            Phase::Settled => self.last,
            Phase::Burst { floor, .. } => floor,
        };
        self.late_floor(self.last).map_or(floor, |it| it.min(floor))
    }

    /// Our echo is late, or came back. What was held up like it may come shortly after it.
    pub(super) fn echo(&mut self, lateness: Lateness) {
        self.late = match (lateness, self.late) {
            (Lateness::Since(sent), _) => Some((self.floor().min(sent), None)),
            (Lateness::Until(at), Some((floor, None))) => {
                Some((floor, Some(at + self.timing.quiet)))
            }
            (Lateness::Until(_), late) => late,
        };
    }

    /// A list answered a request of `sent`: it shows all that happened before.
    pub(super) fn listed(&mut self, sent: Moment) {
        self.last = sent;
        self.phase = Phase::Burst { floor: sent, torn: false, until: sent };
    }

    /// The server closed the connection in good order, having said everything.
    pub(super) fn closed(&mut self, at: Moment) {
        // A server that is late with it may also be late with events, and never send them.
        let in_time = at <= self.in_time;
        if in_time {
            self.settle(at, self.last);
        }
        if matches!(self.phase, Phase::Settled) {
            let floor = if in_time { at } else { self.last };
            self.phase = Phase::Burst { floor, torn: false, until: at };
        }
    }

    /// The connection broke, fell silent, or could not be opened.
    pub(super) fn torn(&mut self) {
        let floor = self.floor();
        self.phase = Phase::Burst { floor, torn: true, until: floor };
    }

    /// A new connection, asked for at `asked`, is open since `at`.
    pub(super) fn opened(&mut self, asked: Moment, at: Moment) {
        if let Phase::Burst { floor, torn, .. } = self.phase {
            let length = at.since(floor).max(SHORTEST_BURST);
            self.phase = Phase::Burst { floor, torn, until: at + length };
        }
        self.last = self.last.max(at);
        self.set_due(asked, at);
    }

    /// A new connection took over at `at` from one that was open until then. That the old one was
    /// quiet proves nothing: it may have been dead, and the new one first tells what it swallowed.
    pub(super) fn handed_over(&mut self, asked: Moment, at: Moment) {
        let floor = self.floor();
        self.phase = Phase::Burst { floor, torn: true, until: at + SHORTEST_BURST };
        self.last = self.last.max(at);
        self.set_due(asked, at);
    }

    /// When events will arrive as they occur, if nothing comes before; none if they do already.
    pub(super) fn settles_at(&self) -> Option<Moment> {
        match self.phase {
            Phase::Settled => None,
            Phase::Burst { until, .. } => Some(until.min(self.last + self.timing.quiet)),
        }
    }

    /// A bookmark stands behind everything that waited.
    pub(super) fn bookmark(&mut self) {
        if self.last <= self.due {
            self.phase = Phase::Settled;
        }
    }

    /// Bytes arrived at `at`; if the reader was held up, they may have lain there since `held`.
    /// Says when the events that they complete occurred. None is missing before them: a watch goes
    /// on behind the last version that it showed.
    pub(super) fn heard(&mut self, at: Moment, held: Option<Moment>) -> When {
        let previous = std::mem::replace(&mut self.last, at);
        if at > self.due && matches!(self.phase, Phase::Settled) {
            self.phase = Phase::Burst { floor: previous, torn: true, until: at };
        }
        self.settle(at, previous);
        let when = self.when(at, held);
        self.late_floor(at).map_or(when, |it| When::between(it.min(when.earliest), at))
    }

    fn when(&self, at: Moment, held: Option<Moment>) -> When {
        match self.phase {
            Phase::Burst { floor, torn, .. }
                if torn || at.since(floor) > self.timing.certain_within =>
            {
                When::between(floor, at)
            }
            _ => match held.filter(|it| at.since(*it) > self.timing.certain_within) {
                Some(since) => When::between(since, at),
                None => When::at(at),
            },
        }
    }

    /// Since when an event that comes at `at` may have been late with our echo.
    fn late_floor(&self, at: Moment) -> Option<Moment> {
        self.late.filter(|(_, until)| until.is_none_or(|it| at <= it)).map(|(floor, _)| floor)
    }

    /// Ends the burst if nothing came from `previous` to `at`, or if it lasted long enough.
    fn settle(&mut self, at: Moment, previous: Moment) {
        if let Phase::Burst { until, .. } = self.phase
            && at <= self.due
            && (at.since(previous) > self.timing.quiet || at > until)
        {
            self.phase = Phase::Settled;
        }
    }

    fn set_due(&mut self, asked: Moment, opened: Moment) {
        let time = Duration::from_secs(self.timing.watch_seconds());
        self.due = asked + time + self.timing.margin.min(SHORTEST_BURST);
        self.in_time = opened + time + self.timing.quiet;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    fn between(earliest: u64, latest: u64) -> When {
        When::between(ms(earliest), ms(latest))
    }

    fn at(millis: u64) -> When {
        When::at(ms(millis))
    }

    /// A watch listed at 0, open since 10 ms, that has heard an event at 5 s.
    fn settled() -> Hearing {
        let mut hearing = Hearing::new(&Timing::default(), ms(0));
        hearing.listed(ms(0));
        hearing.opened(ms(5), ms(10));
        assert_eq!(hearing.heard(ms(5_000), None), at(5_000));
        hearing
    }

    #[test]
    fn t6_an_event_that_waited_behind_a_clean_close_is_exact_if_the_gap_was_short() {
        let mut hearing = settled();
        hearing.closed(ms(20_005));
        hearing.opened(ms(20_006), ms(20_010));
        assert_eq!(hearing.heard(ms(20_030), None), at(20_030));
    }

    #[test]
    fn t6_the_first_burst_after_a_longer_gap_is_bounded_by_the_close() {
        let mut hearing = settled();
        hearing.closed(ms(20_005));
        hearing.opened(ms(20_100), ms(20_110));
        assert_eq!(hearing.heard(ms(20_115), None), between(20_005, 20_115));
        assert_eq!(hearing.heard(ms(20_200), None), between(20_005, 20_200));
        assert_eq!(hearing.heard(ms(20_460), None), at(20_460));
        assert_eq!(hearing.heard(ms(20_470), None), at(20_470));
    }

    #[test]
    fn t6_a_quiet_connection_that_closes_in_order_proves_that_nothing_waited() {
        let mut hearing = settled();
        for second in [20, 40, 60, 80] {
            hearing.closed(ms(second * 1_000 + 5));
            hearing.opened(ms(second * 1_000 + 6), ms(second * 1_000 + 7));
        }
        assert_eq!(hearing.heard(ms(80_030), None), at(80_030));
    }

    #[test]
    fn t6_a_close_that_comes_late_proves_nothing() {
        let mut hearing = settled();
        hearing.closed(ms(20_600));
        hearing.opened(ms(20_601), ms(20_602));
        assert_eq!(hearing.heard(ms(20_610), None), between(5_000, 20_610));
    }

    #[test]
    fn t6_a_bookmark_ends_the_burst() {
        let mut hearing = settled();
        hearing.closed(ms(20_005));
        hearing.opened(ms(20_100), ms(20_110));
        assert_eq!(hearing.heard(ms(20_115), None), between(20_005, 20_115));
        hearing.bookmark();
        assert_eq!(hearing.heard(ms(20_120), None), at(20_120));
    }

    #[test]
    fn t6_a_burst_on_a_busy_line_ends_after_as_long_as_the_gap_lasted() {
        let mut hearing = settled();
        hearing.torn();
        hearing.opened(ms(9_000), ms(9_000));
        for now in (9_100..=13_000).step_by(100) {
            assert_eq!(hearing.heard(ms(now), None), between(5_000, now));
        }
        assert_eq!(hearing.heard(ms(13_050), None), at(13_050));
    }

    #[test]
    fn t6_after_a_broken_connection_even_a_short_gap_is_an_interval() {
        let mut hearing = settled();
        hearing.torn();
        hearing.opened(ms(5_001), ms(5_002));
        assert_eq!(hearing.heard(ms(5_003), None), between(5_000, 5_003));
    }

    #[test]
    fn t6_a_failed_reconnect_does_not_move_the_lower_bound() {
        let mut hearing = settled();
        hearing.closed(ms(20_005));
        hearing.torn();
        hearing.opened(ms(21_000), ms(21_001));
        hearing.torn();
        hearing.opened(ms(22_000), ms(22_001));
        assert_eq!(hearing.heard(ms(22_002), None), between(20_005, 22_002));
    }

    #[test]
    fn t6_a_silent_connection_that_speaks_after_its_time_makes_its_events_uncertain() {
        let mut hearing = settled();
        assert_eq!(hearing.heard(ms(21_500), None), between(5_000, 21_500));
        assert_eq!(hearing.heard(ms(21_900), None), between(5_000, 21_900));
        hearing.closed(ms(21_950));
        hearing.opened(ms(21_951), ms(21_952));
        assert_eq!(hearing.heard(ms(21_960), None), between(5_000, 21_960));
    }

    #[test]
    fn t6_bytes_that_waited_for_the_reader_are_bounded_by_the_ones_before() {
        let mut hearing = settled();
        assert_eq!(hearing.heard(ms(6_000), Some(ms(5_500))), between(5_500, 6_000));
        assert_eq!(hearing.heard(ms(6_010), None), at(6_010));
    }

    #[test]
    fn t6_what_a_connection_tells_first_that_takes_over_may_have_waited_since_the_last_sign() {
        let mut hearing = settled();
        hearing.handed_over(ms(8_000), ms(8_010));
        assert_eq!(hearing.heard(ms(8_040), None), between(5_000, 8_040));
        assert_eq!(hearing.heard(ms(9_000), None), at(9_000));
    }

    #[test]
    fn t6_while_our_echo_is_late_every_event_may_be() {
        let mut hearing = settled();
        hearing.echo(Lateness::Since(ms(6_000)));
        assert_eq!(hearing.heard(ms(8_500), None), between(5_000, 8_500));
        hearing.bookmark();
        assert_eq!(hearing.heard(ms(9_500), None), between(5_000, 9_500));
        hearing.echo(Lateness::Until(ms(10_000)));
        assert_eq!(hearing.heard(ms(10_200), None), between(5_000, 10_200));
        assert_eq!(hearing.heard(ms(10_300), None), at(10_300));
        assert_eq!(hearing.floor(), ms(10_300));
    }

    #[test]
    fn t6_what_was_heard_after_the_late_echo_was_sent_is_no_bound() {
        let mut hearing = settled();
        assert_eq!(hearing.heard(ms(7_000), None), at(7_000));
        hearing.echo(Lateness::Since(ms(6_000)));
        assert_eq!(hearing.heard(ms(9_000), None), between(6_000, 9_000));
    }

    #[test]
    fn t6_a_connection_that_breaks_while_our_echo_is_late_is_bounded_by_both() {
        let mut hearing = settled();
        hearing.echo(Lateness::Since(ms(4_000)));
        hearing.torn();
        hearing.opened(ms(9_000), ms(9_010));
        hearing.echo(Lateness::Until(ms(9_020)));
        assert_eq!(hearing.heard(ms(9_030), None), between(4_000, 9_030));
    }
}
