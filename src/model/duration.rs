//! Durations as people write them in scenarios: `30s`, `5m`, `1h30m`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A length of time as people write it: `30s`, `5m`, `1h30m`, `500ms`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(pub std::time::Duration);

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration: write a number and a unit, such as `30s`, `5m` or `1h30m`")]
pub struct NotADuration(String);

// === impl Duration ===

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        let wrong = || NotADuration(text.to_owned());
        let compact = !text.is_empty()
            && text.chars().all(|it| it.is_ascii_digit() || matches!(it, '.' | 'h' | 'm' | 's'));
        if !compact {
            return Err(wrong());
        }
        let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        parsed.try_into().map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for Duration {
    type Error = NotADuration;

    fn try_from(text: String) -> Result<Self, NotADuration> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.to_string()
    }
}

impl fmt::Display for Duration {
    /// The shortest text that reads back as the same duration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, millis) = (self.0.as_secs(), self.0.subsec_millis());
        let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        if seconds > 0 || (all == 0 && millis == 0) {
            write!(f, "{seconds}s")?;
        }
        if millis > 0 { write!(f, "{millis}ms") } else { Ok(()) }
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // Only the last number may have a fraction, of nine digits at the most.
        let n = r"[0-9]+(\.[0-9]{1,9})?";
        schemars::json_schema!({
            "description": "A length of time: `30s`, `5m`, `1h30m`, `500ms`.",
            "type": "string",
            "pattern": format!("^(([0-9]+h)?(([0-9]+m)?(([0-9]+s)?{n}ms|{n}s)|{n}m)|{n}h)$")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_they_were_written() {
        for text in ["0s", "30s", "5m", "1h30m", "500ms", "1m1s250ms"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
        assert_eq!("90s".parse::<Duration>().unwrap().to_string(), "1m30s");
    }

    #[test]
    fn a_number_without_a_unit_is_no_duration() {
        for wrong in ["", "5", "5 minutes", "1d", "-5m", "PT5M", "m", "five"] {
            assert!(wrong.parse::<Duration>().is_err(), "{wrong}");
        }
    }
}
