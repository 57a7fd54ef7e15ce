//! Lengths of time as Prometheus writes them.

use std::fmt::Write;
use std::time::Duration;

/// Units, and their seconds.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// A length in whole seconds, as in `1h30m`.
pub(super) fn text(length: Duration) -> String {
    let mut rest = length.as_secs();
    let mut text = String::new();
    for (unit, seconds) in UNITS {
        if rest >= seconds {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{unit}", rest / seconds);
            rest %= seconds;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A range to look back over. One of days goes in steps, lest it load every sample: five minutes are
/// what a series may be late anyway.
pub(super) fn range(length: Duration) -> String {
    match length.as_secs() / 86_400 {
        0 | 1 => text(length),
        2..=7 => format!("{}:5m", text(length)),
        _ => format!("{}:10m", text(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_people_say_them() {
        let told = [0, 90, 3_600, 5_400, 86_400, 30 * 86_400].map(Duration::from_secs).map(text);
        assert_eq!(told, ["0s", "1m30s", "1h", "1h30m", "1d", "30d"]);
        let told = [86_400, 259_200, 30 * 86_400].map(Duration::from_secs).map(range);
        assert_eq!(told, ["1d", "3d:5m", "30d:10m"]);
    }
}
