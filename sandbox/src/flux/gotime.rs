//! Durations and times as Go writes and reads them.
//!
//! Flux's specs, messages and the Receiver's annotation carry Go's formats, so whoever parses them
//! has to meet them here as they are.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

/// Reads a duration such as `1m30s` or `1.5h`; none if it is not one.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut sum = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        sum += Duration::try_from_secs_f64(number * unit).ok()?;
        rest = &rest[letters..];
    }
    Some(sum)
}

/// Writes a duration as Go does: `149.321857ms`, `10m0s`, `30.140189898s`.
pub(crate) fn duration(value: Duration) -> String {
    let nanos = value.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => with_fraction(nanos, 3, "µs"),
        1_000_000..1_000_000_000 => with_fraction(nanos, 6, "ms"),
        _ => {
            let (minutes, left) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
            let seconds = with_fraction(left, 9, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// Writes a time with its monotonic reading, as the Receiver's annotation has it: zeros at the end
/// of the fraction are left out, those of the monotonic part are not.
pub(crate) fn time_with_monotonic(wall: Timestamp, since_start: Duration) -> String {
    let mut text = wall.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let nanos = wall.subsec_nanosecond();
    if nanos != 0 {
        let digits = format!("{nanos:09}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    let (seconds, nanos) = (since_start.as_secs(), since_start.subsec_nanos());
    write!(text, " +0000 UTC m=+{seconds}.{nanos:09}").expect("writing to a string does not fail");
    text
}

/// Writes a time in whole seconds, as Kubernetes does.
pub(crate) fn seconds(wall: Timestamp) -> String {
    wall.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn with_fraction(nanos: u128, places: usize, unit: &str) -> String {
    let digits = format!("{nanos:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}{unit}"),
        fraction => format!("{whole}.{fraction}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (9_361_079, "9.361079ms"),
            (11_438_510, "11.43851ms"),
            (1_500, "1.5µs"),
            (600_000_000_000, "10m0s"),
            (570_000_000_000, "9m30s"),
            (30_140_189_898, "30.140189898s"),
            (3_661_000_000_000, "1h1m1s"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        assert_eq!(parse("1m"), Some(Duration::from_secs(60)));
        assert_eq!(parse("9m30s"), Some(Duration::from_secs(570)));
        assert_eq!(parse("1.5h"), Some(Duration::from_secs(5400)));
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        for wrong in ["", "10", "1d", "s", "m1", "1..5s"] {
            assert_eq!(parse(wrong), None, "`{wrong}`");
        }
    }

    #[test]
    fn the_annotation_drops_zeros_of_the_fraction_but_not_of_the_monotonic_part() {
        let wall: Timestamp = "2026-11-21T02:19:09.1941574Z".parse().unwrap();
        let text = time_with_monotonic(wall, Duration::new(116, 907_000_000));
        assert_eq!(text, "2026-11-21 02:19:09.1941574 +0000 UTC m=+116.907000000");
        let whole: Timestamp = "2026-11-21T02:19:09Z".parse().unwrap();
        let text = time_with_monotonic(whole, Duration::new(0, 5));
        assert_eq!(text, "2026-11-21 02:19:09 +0000 UTC m=+0.000000005");
    }
}
