//! Positions: restarts, machines that slept, and clocks that were set.

use super::*;

const GRACE: Duration = Duration::from_secs(30);

/// Looks at the clock without a delay.
fn look(position: Position, table: &Timetable, wall: &str) -> Due {
    position.due(table, "seed", Duration::ZERO, at(wall), GRACE)
}

fn since(text: &str) -> Position {
    Position { last: Some(at(text)) }
}

fn quarters() -> Timetable {
    table(Ticks::Cron(cron("*/15 * * * *", "Europe/Berlin")))
}

#[test]
fn o4_a_fresh_position_counts_nothing_from_before_it() {
    let due = look(Position::default(), &quarters(), "2026-11-21T12:20:00Z");
    assert_eq!((due.missed_down, due.run, due.stepped_back), (0, None, false));
    assert_eq!(due.next, Some(at("2026-11-21T12:30:00Z")));
    assert_eq!(due.position, since("2026-11-21T12:20:00Z"));
}

#[test]
fn o4_a_tick_is_run_when_it_comes_and_not_once_more() {
    let due = look(since("2026-11-21T12:20:00Z"), &quarters(), "2026-11-21T12:30:00Z");
    assert_eq!((due.missed_down, due.run), (0, Some(at("2026-11-21T12:30:00Z"))));
    assert_eq!(due.next, Some(at("2026-11-21T12:45:00Z")));
    let again = look(due.position, &quarters(), "2026-11-21T12:30:01Z");
    assert_eq!((again.missed_down, again.run, again.next), (0, None, due.next));
}

#[test]
fn o4_what_passed_while_nobody_was_there_is_missed() {
    let due = look(since("2026-11-21T12:20:00Z"), &quarters(), "2026-11-21T15:00:20Z");
    assert_eq!((due.missed_down, due.run), (10, Some(at("2026-11-21T15:00:00Z"))));
    let due = look(since("2026-11-21T12:20:00Z"), &quarters(), "2026-11-21T15:00:31Z");
    assert_eq!((due.missed_down, due.run), (11, None));
    assert_eq!(due.next, Some(at("2026-11-21T15:15:00Z")));
}

#[test]
fn o5_a_tick_whose_delay_lies_ahead_is_still_run_after_a_restart() {
    let (table, tick) = (quarters(), at("2026-11-21T12:30:00Z"));
    let delay = table.delay("seed", tick, minutes(5));
    assert!(delay > GRACE, "{delay:?}");
    let begin = tick.checked_add(delay).unwrap();
    let look = |wall| since("2026-11-21T12:20:00Z").due(&table, "seed", minutes(5), wall, GRACE);
    assert_eq!(look(begin.checked_sub(GRACE).unwrap()).run, Some(tick));
    assert_eq!(look(begin.checked_add(GRACE).unwrap()).run, Some(tick));
    let late = look(begin.checked_add(GRACE + Duration::from_millis(1)).unwrap());
    assert_eq!((late.missed_down, late.run), (1, None));
}

#[test]
fn o4_a_clock_set_back_an_hour_makes_the_ticks_of_that_hour_new_ones() {
    let due = look(since("2026-11-21T12:30:10Z"), &quarters(), "2026-11-21T11:30:10Z");
    assert_eq!((due.missed_down, due.run, due.stepped_back), (0, None, true));
    assert_eq!(due.next, Some(at("2026-11-21T11:45:00Z")));
    let due = look(due.position, &quarters(), "2026-11-21T11:45:00Z");
    assert_eq!((due.run, due.stepped_back), (Some(at("2026-11-21T11:45:00Z")), false));
}

#[test]
fn o4_a_clock_set_forward_an_hour_misses_the_ticks_of_that_hour() {
    let due = look(since("2026-11-21T12:20:00Z"), &quarters(), "2026-11-21T13:20:00Z");
    assert_eq!((due.missed_down, due.run, due.stepped_back), (4, None, false));
    assert_eq!(due.next, Some(at("2026-11-21T13:30:00Z")));
}

#[test]
fn o4_a_change_to_summer_time_is_no_step() {
    let due = look(since("2026-03-29T00:50:00Z"), &quarters(), "2026-03-29T01:00:00Z");
    assert_eq!((due.missed_down, due.run), (0, Some(at("2026-03-29T01:00:00Z"))));
    let due = look(since("2026-10-25T00:00:00Z"), &quarters(), "2026-10-25T02:00:00Z");
    assert_eq!((due.missed_down, due.run), (7, Some(at("2026-10-25T02:00:00Z"))));
}

#[test]
fn o4_a_clock_that_is_slowed_down_gives_no_tick_twice() {
    let due = look(since("2026-11-21T12:30:01Z"), &quarters(), "2026-11-21T12:29:59Z");
    assert_eq!((due.missed_down, due.run, due.stepped_back), (0, None, false));
    assert_eq!(due.position, since("2026-11-21T12:30:01Z"));
    assert_eq!(due.next, Some(at("2026-11-21T12:45:00Z")));
}

#[test]
fn years_of_absence_are_counted_at_once() {
    let due = look(since("1990-01-01T00:00:00Z"), &every(seconds(1)), "2026-01-01T00:00:00Z");
    let passed = at("1990-01-01T00:00:00Z").duration_until(at("2026-01-01T00:00:00Z")).as_secs();
    assert_eq!(due.missed_down + u64::from(due.run.is_some()), passed.unsigned_abs());
}

#[test]
fn a_position_is_kept_as_one_instant() {
    let json = serde_json::to_string(&since("2026-11-21T12:20:00Z")).unwrap();
    assert_eq!(json, r#"{"last":"2026-11-21T12:20:00Z"}"#);
    assert_eq!(serde_json::from_str::<Position>(&json).unwrap(), since("2026-11-21T12:20:00Z"));
}

fn tables() -> impl Strategy<Value = Timetable> {
    prop_oneof![
        (1_u64..7_200).prop_map(|it| every(seconds(it))),
        prop::sample::select(vec!["*/15 * * * *", "30 2 * * *", "0 1,2,3 * * *", "* 2 * * 0"])
            .prop_map(|it| table(Ticks::Cron(cron(it, "Europe/Berlin")))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn o4_every_tick_is_run_or_missed_once_however_often_one_looks(
        table in tables(),
        begin in 1_774_700_000_i64..1_793_000_000,
        steps in prop::collection::vec((-2_000_i64..400_000, 0_i64..90_000_000), 1..20),
        jitter in 0_u64..600,
        grace in 0_u64..120,
    ) {
        let (jitter, grace) = (seconds(jitter), seconds(grace));
        let mut wall = Timestamp::from_second(begin).unwrap();
        let mut position = Position::default().due(&table, "seed", jitter, wall, grace).position;
        let first = wall;
        let (mut runs, mut missed) = (Vec::new(), 0);
        for (short, long) in steps {
            // Mostly a short look, sometimes a long absence; back at most two seconds.
            let step = if long % 7 == 0 { long } else { short };
            wall = wall.checked_add(SignedDuration::from_millis(step)).unwrap();
            let latest = position.last.unwrap();
            wall = wall.max(latest.checked_sub(SignedDuration::from_secs(2)).unwrap());
            let due = position.due(&table, "seed", jitter, wall, grace);
            prop_assert!(!due.stepped_back);
            prop_assert!(due.position.last >= position.last);
            prop_assert!(due.next > due.position.last);
            if let Some(run) = due.run {
                prop_assert!(run <= wall && position.last < Some(run));
                let begin = run.checked_add(table.delay("seed", run, jitter) + grace).unwrap();
                prop_assert!(begin >= wall);
            }
            runs.extend(due.run);
            missed += due.missed_down;
            position = due.position;
        }
        prop_assert!(runs.is_sorted_by(|one, other| one < other));
        let all = table.count_between("seed", first, position.last.unwrap());
        prop_assert_eq!(runs.len() as u64 + missed, all);
    }

    #[test]
    fn o4_after_a_step_back_ticks_go_on_from_the_new_time(
        table in tables(), begin in 1_774_700_000_i64..1_793_000_000, back in 2_001_i64..100_000_000,
    ) {
        let last = Timestamp::from_second(begin).unwrap();
        let wall = last.checked_sub(SignedDuration::from_millis(back)).unwrap();
        let due = Position { last: Some(last) }.due(&table, "seed", minutes(5), wall, GRACE);
        prop_assert!(due.stepped_back);
        prop_assert_eq!((due.missed_down, due.run, due.position), (0, None, Position { last: Some(wall) }));
        prop_assert_eq!(due.next, table.next_after("seed", wall));
    }
}
