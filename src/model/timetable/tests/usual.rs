//! How far apart runs are that a calendar or pauses keep unequally apart.

use super::*;

fn weekly(starts: &str, hours: u64) -> Pause {
    Pause::Recurring { starts: cron(starts, "UTC"), lasts: minutes(60 * hours) }
}

#[test]
fn the_usual_gap_is_what_most_runs_see() {
    let gap = |table: Timetable| table.usual_gap().as_secs() / 60;
    assert_eq!(gap(every(minutes(15))), 15);
    assert_eq!(gap(table_of("*/15 8-17 * * 1-5")), 15);
    assert_eq!(gap(paused(vec![weekly("0 0 * * 6", 48)])), 15);
    assert_eq!(gap(table_of("0,5 * * * *")), 30);
    // Four runs take 25, 31 or 40 hours.
    assert_eq!(gap(table_of("0 9,10,17 * * *")), 31 * 60 / 4);
    assert_eq!(gap(table_of("0 6 * * 1")), 7 * 24 * 60);
}

#[test]
fn runs_are_the_ticks_that_no_pause_takes() {
    let table = Timetable { pauses: vec![weekly("30 0 * * 2", 24)], ..table_of("0 * * * *") };
    let runs = table.some_runs(30);
    let times: Vec<_> = runs.iter().map(ToString::to_string).collect();
    assert_eq!(times[22], "2027-01-04T23:00:00Z");
    assert_eq!(times[23..25], ["2027-01-05T00:00:00Z", "2027-01-06T01:00:00Z"]);
    assert_eq!(table.longest_wait(30), minutes(25 * 60));
    let hourly = every(minutes(60)).some_runs(3);
    assert_eq!(hourly[0].duration_until(hourly[2]).as_hours(), 2);
}
