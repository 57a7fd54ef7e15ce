//! Ticks, delays and pauses, over restarts, leap days and the days on which clocks jump.

mod calendars;
mod positions;
mod usual;

use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn minutes(number: u64) -> Duration {
    seconds(60 * number)
}

fn cron(text: &str, name: &str) -> Calendar {
    Calendar::parse(text, zone(name).unwrap()).unwrap_or_else(|it| panic!("`{text}`: {it}"))
}

fn table(ticks: Ticks) -> Timetable {
    Timetable { scenario: "fleet".to_owned(), ticks, jitter: None, pauses: Vec::new() }
}

fn every(period: Duration) -> Timetable {
    table(Ticks::Every(period))
}

fn paused(pauses: Vec<Pause>) -> Timetable {
    Timetable { pauses, ..every(minutes(15)) }
}

#[test]
fn a_period_ticks_at_the_same_instants_after_a_restart() {
    let table = every(minutes(15));
    let first = table.next_after("seed", at("2026-11-21T12:00:00Z")).unwrap();
    assert_eq!(first, at("2026-11-21T12:09:14.455Z"));
    let second = table.next_after("seed", first).unwrap();
    assert_eq!(first.duration_until(second), SignedDuration::from_mins(15));
    // Years later, and asked for between two ticks, it still keeps its phase.
    let later = table.next_after("seed", at("2031-01-01T00:00:00Z")).unwrap();
    assert_eq!(first.duration_until(later).as_secs() % 900, 0);
    let just_before = first.checked_sub(SignedDuration::from_nanos(1)).unwrap();
    assert_eq!(table.next_after("seed", just_before), Some(first));
}

#[test]
fn scenarios_of_one_period_are_spread_over_it() {
    let mut quarters = [0; 4];
    for number in 0..400 {
        let table = Timetable { scenario: format!("lane-{number}"), ..every(minutes(60)) };
        let tick = table.next_after("seed", Timestamp::UNIX_EPOCH).unwrap();
        quarters[usize::try_from(tick.as_second() / 900).unwrap()] += 1;
    }
    assert!(quarters.iter().all(|it| (60..140).contains(it)), "{quarters:?}");
    let one = every(minutes(60));
    let other = one.next_after("another seed", Timestamp::UNIX_EPOCH);
    assert_ne!(one.next_after("seed", Timestamp::UNIX_EPOCH), other);
}

#[test]
fn o5_a_delay_is_the_ticks_own_and_the_same_whenever_it_is_asked_for() {
    let (table, tick) = (every(minutes(15)), at("2026-11-21T12:00:00Z"));
    let delay = |seed: &str, tick| table.delay(seed, tick, minutes(5));
    assert_eq!(delay("seed", tick), Duration::from_millis(70_712));
    let other = Timetable { scenario: "other".to_owned(), ..table.clone() };
    assert_eq!(other.delay("seed", tick, minutes(5)), Duration::from_millis(166_798));
    assert_ne!(delay("another seed", tick), delay("seed", tick));
    assert_eq!(table.delay("seed", tick, Duration::ZERO), Duration::ZERO);
}

#[test]
fn o5_the_delays_of_one_schedule_keep_no_step() {
    let table = every(minutes(15));
    let ticks = table.ticks_between("seed", Timestamp::UNIX_EPOCH, Timestamp::MAX, 2_000);
    let mut minute = [0; 5];
    for tick in ticks {
        let delay = table.delay("seed", tick, minutes(5));
        assert!(delay <= minutes(5));
        minute[usize::try_from((delay.as_secs() / 60).min(4)).unwrap()] += 1;
    }
    assert!(minute.iter().all(|it| (300..500).contains(it)), "{minute:?}");
}

#[test]
fn o5_the_default_jitter_is_the_longest_poll_as_far_as_it_fits() {
    let table = every(minutes(15));
    assert_eq!(table.default_jitter(Some(minutes(5)), minutes(9)), minutes(5));
    let room = Duration::from_millis(359_999);
    assert_eq!(table.default_jitter(Some(minutes(60)), minutes(9)), room);
    assert_eq!(table.default_jitter(None, minutes(9)), room);
    assert_eq!(table.default_jitter(Some(minutes(5)), minutes(20)), Duration::ZERO);
    let cron = table_of("0,10 * * * *");
    assert_eq!(cron.default_jitter(Some(minutes(60)), minutes(9)), Duration::from_millis(59_999));
}

fn table_of(text: &str) -> Timetable {
    table(Ticks::Cron(cron(text, "UTC")))
}

#[test]
fn a_pause_holds_from_its_begin_to_just_before_its_end() {
    let (from, until) = (at("2026-12-24T00:00:00Z"), at("2026-12-27T00:00:00Z"));
    let table = paused(vec![Pause::Between { from, until }]);
    assert_eq!(table.is_paused(at("2026-12-23T23:59:59.999Z")), None);
    assert_eq!(table.is_paused(from), Some(until));
    assert_eq!(table.is_paused(at("2026-12-26T23:59:59.999Z")), Some(until));
    assert_eq!(table.is_paused(until), None);
}

#[test]
fn a_pause_comes_again_by_the_clock_of_its_zone() {
    let weekend =
        Pause::Recurring { starts: cron("0 18 * * 5", "Europe/Berlin"), lasts: minutes(62 * 60) };
    let table = paused(vec![weekend]);
    // Summer: 18:00 is 16:00Z, and 62 hours later is Monday 06:00Z.
    assert_eq!(table.is_paused(at("2026-07-03T15:59:59Z")), None);
    let end = Some(at("2026-07-06T06:00:00Z"));
    assert_eq!(table.is_paused(at("2026-07-03T16:00:00Z")), end);
    assert_eq!(table.is_paused(at("2026-07-06T05:59:59Z")), end);
    assert_eq!(table.is_paused(at("2026-07-06T06:00:00Z")), None);
    // Winter: an hour later.
    assert_eq!(table.is_paused(at("2026-12-04T16:59:59Z")), None);
    assert_eq!(table.is_paused(at("2026-12-04T17:00:00Z")), Some(at("2026-12-07T07:00:00Z")));
}

#[test]
fn windows_that_touch_are_one_pause() {
    let weekend = Pause::Recurring { starts: cron("0 0 * * 6,0", "UTC"), lasts: minutes(24 * 60) };
    let holiday =
        Pause::Between { from: at("2026-07-05T12:00:00Z"), until: at("2026-07-07T12:00:00Z") };
    let table = paused(vec![weekend, holiday]);
    let end = Some(at("2026-07-07T12:00:00Z"));
    assert_eq!(table.is_paused(at("2026-07-04T00:00:00Z")), end);
    assert_eq!(table.is_paused(at("2026-07-06T00:00:00Z")), end);
    assert_eq!(table.is_paused(at("2026-07-07T12:00:00Z")), None);
    assert_eq!(paused(Vec::new()).is_paused(at("2026-07-04T00:00:00Z")), None);
}

#[test]
fn ticks_come_in_stretches_as_pauses_divide_them() {
    let hourly = |pauses| Timetable { pauses, ..table_of("0 * * * *") };
    let (from, until) = (at("2026-07-03T12:30:00Z"), at("2026-07-06T12:00:00Z"));
    let stretches = |table: &Timetable| -> Vec<(bool, u64)> {
        let all = table.stretches("seed", from, until);
        assert!(all.is_sorted_by_key(|it| it.until) && all.iter().all(|it| it.until <= until));
        all.iter().map(|it| (it.is_paused, it.ticks)).collect()
    };
    assert_eq!(stretches(&hourly(Vec::new())), [(false, 72)]);
    let night = Pause::Recurring { starts: cron("0 22 * * *", "UTC"), lasts: minutes(8 * 60) };
    let nights =
        [(false, 9), (true, 8), (false, 16), (true, 8), (false, 16), (true, 8), (false, 7)];
    assert_eq!(stretches(&hourly(vec![night.clone()])), nights);
    // A window between two ticks divides nothing.
    let quarter =
        Pause::Between { from: at("2026-07-03T14:15:00Z"), until: at("2026-07-03T14:30:00Z") };
    assert_eq!(stretches(&hourly(vec![night, quarter])), nights);
    let always = Pause::Between { from: at("2026-01-01T00:00:00Z"), until: Timestamp::MAX };
    assert_eq!(stretches(&hourly(vec![always])), [(true, 72)]);
    assert_eq!(hourly(Vec::new()).stretches("seed", until, from), []);
}

#[test]
fn equal_ticks_have_equal_texts_and_others_have_not() {
    let zoned = |zone| table(Ticks::Cron(cron("0 6 * * *", zone))).ticks_text();
    let texts = [every(minutes(5)).ticks_text(), every(minutes(6)).ticks_text()];
    assert_ne!(texts[0], texts[1]);
    assert_ne!(zoned("UTC"), zoned("Europe/Berlin"));
    assert_eq!(zoned("UTC"), table_of("0 6 * * *").ticks_text());
    assert_eq!(paused(Vec::new()).ticks_text(), every(minutes(15)).ticks_text());
}

#[test]
fn a_pause_without_an_end_is_known_as_such() {
    let of = |text, lasts| Pause::Recurring { starts: cron(text, "UTC"), lasts };
    assert!(of("0 0 * * *", minutes(24 * 60)).is_endless());
    assert!(!of("0 0 * * *", minutes(24 * 60 - 1)).is_endless());
    assert!(!of("0 0 * * 6,0", minutes(24 * 60)).is_endless());
    // Asked all the same, it answers.
    let table = paused(vec![of("0 0 * * *", minutes(25 * 60))]);
    assert!(table.is_paused(at("2026-07-04T00:00:00Z")) > Some(at("2027-07-04T00:00:00Z")));
}

#[test]
fn no_length_is_too_odd_to_be_asked_for() {
    let now = at("2026-11-21T12:00:00Z");
    for period in [Duration::ZERO, Duration::MAX] {
        assert_eq!(every(period).next_after("", now), None);
        assert_eq!(every(period).count_between("", Timestamp::MIN, now), 0);
    }
    let nanosecond = every(Duration::from_nanos(1));
    assert!(nanosecond.count_between("", Timestamp::MIN, Timestamp::MAX) > 1 << 63);
    assert_eq!(every(minutes(1)).next_after("", Timestamp::MAX), None);
    assert_eq!(table_of("* * * * *").next_after("", Timestamp::MAX), None);
    assert_eq!(every(minutes(1)).delay("", now, Duration::MAX).as_secs() >> 54, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_counted_is_what_is_listed(
        period in 1_u64..100_000, from in -1_000_000_000_i64..2_000_000_000, length in 0_i64..5_000_000,
    ) {
        let table = every(Duration::from_millis(period * 1_000 + 7));
        let (from, until) = (Timestamp::from_second(from).unwrap(), Timestamp::from_second(from + length).unwrap());
        let count = table.count_between("seed", from, until);
        let listed = table.ticks_between("seed", from, until, 3_000);
        prop_assert_eq!(usize::try_from(count).unwrap().min(3_000), listed.len());
        prop_assert!(listed.iter().all(|it| from < *it && *it <= until));
        prop_assert!(listed.is_sorted_by(|one, other| one < other));
    }
}
