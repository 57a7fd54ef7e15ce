//! Calendars: what they mean on ordinary days and on those on which a clock jumps.

use super::*;

/// Ticks in (`after`, `until`], as the zone's clock shows them.
fn shown(calendar: &Calendar, after: &str, until: &str) -> Vec<String> {
    let show =
        |it: Timestamp| it.to_zoned(calendar.zone().clone()).strftime("%d %H:%M%:z").to_string();
    calendar.walk(at(after), at(until)).map(show).collect()
}

/// The real minutes between the ticks in (`after`, `until`].
fn minutes_between(calendar: &Calendar, after: &str, until: &str) -> Vec<i64> {
    let ticks: Vec<_> = calendar.walk(at(after), at(until)).collect();
    ticks.windows(2).map(|it| it[0].duration_until(it[1]).as_mins()).collect()
}

#[test]
fn a_time_that_the_clock_leaps_over_comes_once_when_the_leap_ends() {
    let berlin = cron("30 2 * * *", "Europe/Berlin");
    assert_eq!(
        shown(&berlin, "2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z"),
        ["28 02:30+01:00", "29 03:00+02:00", "30 02:30+02:00"]
    );
    let new_york = cron("30 2 * * *", "America/New_York");
    assert_eq!(
        shown(&new_york, "2026-03-07T12:00:00Z", "2026-03-10T00:00:00Z"),
        ["08 03:00-04:00", "09 02:30-04:00"]
    );
    // Half an hour is leapt over here.
    let lord_howe = cron("15 2 * * *", "Australia/Lord_Howe");
    assert_eq!(
        shown(&lord_howe, "2026-10-03T00:00:00Z", "2026-10-05T00:00:00Z"),
        ["04 02:30+11:00", "05 02:15+11:00"]
    );
    // And midnight itself here.
    let cairo = cron("0 0 * * *", "Africa/Cairo");
    assert_eq!(
        shown(&cairo, "2026-04-23T00:00:00Z", "2026-04-25T12:00:00Z"),
        ["24 01:00+03:00", "25 00:00+03:00"]
    );
}

#[test]
fn a_time_that_the_clock_shows_twice_comes_once() {
    let berlin = cron("30 2 * * *", "Europe/Berlin");
    assert_eq!(
        shown(&berlin, "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"),
        ["25 02:30+02:00", "26 02:30+01:00"]
    );
    let new_york = cron("30 1 * * *", "America/New_York");
    assert_eq!(
        shown(&new_york, "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z"),
        ["01 01:30-04:00", "02 01:30-05:00"]
    );
}

#[test]
fn a_day_that_was_left_out_altogether_ends_no_schedule() {
    let apia = cron("30 2 * * *", "Pacific/Apia");
    assert_eq!(
        shown(&apia, "2011-12-29T00:00:00Z", "2011-12-31T12:00:00Z"),
        ["29 02:30-10:00", "31 02:30+14:00"]
    );
}

#[test]
fn a_step_of_minutes_goes_on_in_real_time_whatever_the_clock_does() {
    for (zone, after, until) in [
        ("Europe/Berlin", "2026-03-28T20:00:00Z", "2026-03-29T08:00:00Z"),
        ("Europe/Berlin", "2026-10-24T20:00:00Z", "2026-10-25T08:00:00Z"),
        ("America/New_York", "2026-11-01T00:00:00Z", "2026-11-01T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T10:00:00Z", "2026-10-03T22:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T10:00:00Z", "2026-04-04T22:00:00Z"),
    ] {
        let gaps = minutes_between(&cron("*/15 * * * *", zone), after, until);
        assert_eq!(gaps, [15; 47], "{zone} {after}");
    }
}

#[test]
fn leap_days_last_days_and_nth_weekdays_are_found() {
    let days = |text, until| -> Vec<String> {
        let calendar = cron(text, "UTC");
        let ticks = calendar.walk(at("2026-01-01T00:00:00Z"), at(until));
        ticks.map(|it| it.strftime("%Y-%m-%d").to_string()).collect()
    };
    assert_eq!(days("0 12 29 2 *", "2033-01-01T00:00:00Z"), ["2028-02-29", "2032-02-29"]);
    assert_eq!(days("0 12 L 2,4 *", "2026-12-31T00:00:00Z"), ["2026-02-28", "2026-04-30"]);
    assert_eq!(days("0 12 L 2 *", "2028-12-31T00:00:00Z")[2], "2028-02-29");
    assert_eq!(days("0 12 LW 1,5 *", "2026-12-31T00:00:00Z"), ["2026-01-30", "2026-05-29"]);
    assert_eq!(days("0 12 * JAN FRI#2", "2026-12-31T00:00:00Z"), ["2026-01-09"]);
    assert_eq!(days("0 12 * 1 5L", "2026-12-31T00:00:00Z"), ["2026-01-30"]);
    assert_eq!(days("0 12 * 2 FRI#5", "2040-01-01T00:00:00Z"), ["2036-02-29"]);
    assert_eq!(
        days("0 12 * * sat-sun", "2026-01-11T00:00:00Z"),
        ["2026-01-03", "2026-01-04", "2026-01-10"]
    );
}

#[test]
fn a_calendar_that_never_fires_is_refused() {
    for text in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "* * 31 11 ?"] {
        let refused = Calendar::parse(text, zone("Europe/Berlin").unwrap());
        assert_eq!(refused, Err(NotACalendar::Never), "{text}");
    }
}

#[test]
fn a_calendar_shows_its_text_and_says_what_it_means() {
    let calendar = cron("  0 9   * * mon-fri ", "europe/berlin");
    assert_eq!(calendar.to_string(), "0 9 * * mon-fri");
    let words = "At 09:00, on Monday, Tuesday, Wednesday, Thursday, and Friday (Europe/Berlin)";
    assert_eq!(calendar.describe(), words);
}

#[test]
fn the_shortest_gap_is_found_within_days_between_them_and_where_clocks_jump() {
    let gap = |text, zone| table(Ticks::Cron(cron(text, zone))).shortest_gap();
    assert_eq!(gap("*/15 8-18 * * 1-5", "Europe/Berlin"), minutes(15));
    assert_eq!(gap("0,10 * * * *", "UTC"), minutes(10));
    assert_eq!(gap("*/7 * * * *", "UTC"), minutes(4));
    assert_eq!(gap("50 23 * * *", "UTC"), minutes(24 * 60));
    assert_eq!(gap("5,50 0,23 * * *", "UTC"), minutes(15));
    // The day on which the clock leaps has 23 hours, and 01:00 to 03:00 is one.
    assert_eq!(gap("0 12 * * *", "Europe/Berlin"), minutes(23 * 60));
    assert_eq!(gap("0 1,3 * * *", "Europe/Berlin"), minutes(60));
    // The last day of a month and the first of the next.
    assert_eq!(gap("0 0 1,L * *", "UTC"), minutes(24 * 60));
    assert_eq!(gap("0 0 1 * *", "UTC"), minutes(28 * 24 * 60));
    assert_eq!(gap("0 0 29 2 *", "UTC"), minutes(1461 * 24 * 60));
}

#[test]
fn years_are_counted_without_looking_at_each_tick() {
    let calendar = cron("* * * * *", "Europe/Berlin");
    let (from, until) = (at("1990-01-01T00:00:00Z"), at("2050-01-01T00:00:00Z"));
    let minutes = u64::try_from(from.duration_until(until).as_mins()).unwrap();
    assert_eq!(calendar.count(from, until), minutes);
}

#[test]
fn every_zone_has_a_next_tick_and_a_shortest_gap() {
    for name in zones() {
        let calendar = cron("30 2 * * *", &name);
        let next = calendar.next_after(at("2026-11-21T12:00:00Z"));
        assert!(next < Some(at("2026-11-22T18:00:00Z")), "{name}: {next:?}");
        let gaps = calendar.gaps();
        let usual = minutes(22 * 60)..=minutes(26 * 60);
        assert!(
            usual.contains(&gaps.shortest) && usual.contains(&gaps.longest),
            "{name}: {gaps:?}"
        );
    }
}

#[test]
fn a_zone_that_says_nothing_of_the_future_is_no_trap() {
    // A zone file of the first version has no rule for the time after its last jump.
    let counts = [0_u32, 0, 0, 0, 1, 4].map(u32::to_be_bytes).concat();
    let file = [b"TZif".as_slice(), &[0; 16], &counts, &[0; 6], b"UTC\0"].concat();
    let zone = jiff::tz::TimeZone::tzif("Mars/Olympus", &file).unwrap();
    let calendar = Calendar::parse("30 9 * * *", zone).unwrap();
    assert_eq!(calendar.gaps().shortest, minutes(24 * 60));
}

fn calendars() -> impl Strategy<Value = Calendar> {
    let texts = prop::sample::select(vec![
        "30 2 * * *",
        "0 0 * * *",
        "*/15 * * * *",
        "*/20 0-4 * * 0,6",
        "0 1,2,3 * * *",
        "45 23 L * *",
        "59 1 1-15 * 1",
        "0 */5 * 3,10 *",
        "30 1 * * *",
    ]);
    let zones = prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Africa/Casablanca",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "America/Sao_Paulo",
    ]);
    (texts, zones).prop_map(|(text, zone)| cron(text, zone))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_calendar_counts_is_what_it_walks_over(
        calendar in calendars(), from in 1_262_304_000_i64..1_900_000_000, length in 0_i64..20_000_000,
    ) {
        let (from, until) = (Timestamp::from_second(from).unwrap(), Timestamp::from_second(from + length).unwrap());
        let ticks: Vec<_> = calendar.walk(from, until).collect();
        prop_assert!(ticks.is_sorted_by(|one, other| one < other));
        prop_assert_eq!(calendar.count(from, until), ticks.len() as u64, "{}", calendar);
    }

    #[test]
    fn no_gap_is_shorter_than_the_shortest(calendar in calendars(), from in 1_767_225_600_i64..1_873_000_000) {
        let (from, until) = (Timestamp::from_second(from).unwrap(), Timestamp::from_second(from + 20_000_000).unwrap());
        let shortest = calendar.gaps().shortest;
        let ticks: Vec<_> = calendar.walk(from, until).collect();
        for pair in ticks.windows(2) {
            prop_assert!(pair[0].duration_until(pair[1]).unsigned_abs() >= shortest, "{pair:?} {shortest:?}");
        }
    }

    #[test]
    fn where_one_starts_to_ask_does_not_matter(calendar in calendars(), from in 1_262_304_000_i64..1_900_000_000, step in 1_i64..200_000_000) {
        let from = Timestamp::from_second(from).unwrap();
        let Some(next) = calendar.next_after(from) else { return Ok(()) };
        let whole = from.duration_until(next).as_nanos();
        let between = Timestamp::from_nanosecond(from.as_nanosecond() + whole * i128::from(step) / 200_000_001).unwrap();
        prop_assert_eq!(calendar.next_after(between), Some(next));
    }

    #[test]
    fn what_the_fields_allow_can_be_read(
        text in "(\\*|[0-5]?[0-9](-5[0-9](/[1-9])?)?|\\*/[1-9]) (\\*|1?[0-9]|\\*/[1-9]) (\\?|L|LW|[1-9]W|[12][0-9],3) (\\*|JAN|feb-12) (\\*|\\?|5L|[0-7]#[1-5]|mon-SUN|SUN-tue/2)",
    ) {
        match Calendar::parse(&text, jiff::tz::TimeZone::UTC) {
            Ok(it) => prop_assert!(it.next_after(Timestamp::UNIX_EPOCH).is_some()),
            Err(NotACalendar::Field { .. }) => {}
            Err(error) => prop_assert!(false, "{text}: {error}"),
        }
    }
}
