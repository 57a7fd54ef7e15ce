//! A schedule as it is written: when to run, and when not to.

use crate::model::Duration;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;
use std::str::FromStr;

/// When to run. Exactly one of `every` and `cron`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Schedule")]
pub struct ScheduleFile {
    /// The period: a run begins every so often. When in the period is the scenario's own, so that
    /// scenarios are spread over it, and the same after a restart.
    #[serde(default)]
    pub every: Option<Duration>,

    /// Minute, hour, day of the month, month and day of the week: `*/15 8-18 * * 1-5`. One time of
    /// day ticks once a day, on days on which the clock jumps too; anything else goes on in real
    /// time there.
    #[serde(default)]
    pub cron: Option<String>,

    /// The time zone of `cron`, such as `Europe/Berlin`. Default: `UTC`.
    #[serde(default)]
    pub timezone: Option<String>,

    /// Each run is put off by a random time up to this, so that it does not keep step with a
    /// poller. Default: the longest polling interval on the path, as far as it fits.
    #[serde(default)]
    pub jitter: Option<Duration>,

    /// Times in which no run begins; what would have begun is counted as missed, `paused`.
    #[serde(default)]
    pub pause: Vec<PauseFile>,
}

/// A time in which no run begins: `from` and `until` for once, `cron` and `for` for again and again.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Pause")]
pub struct PauseFile {
    /// Its begin, with an offset: `2026-12-24T00:00:00+01:00`.
    #[serde(default)]
    pub from: Option<Instant>,

    /// Its end.
    #[serde(default)]
    pub until: Option<Instant>,

    /// When it begins, in five fields: `0 18 * * 5`.
    #[serde(default)]
    pub cron: Option<String>,

    /// The time zone of `cron`. Default: `UTC`.
    #[serde(default)]
    pub timezone: Option<String>,

    /// How long it lasts from there, such as `62h`.
    #[serde(default, rename = "for")]
    pub lasts: Option<Duration>,
}

/// A date and a time of day with its offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Instant(pub Timestamp);

/// A text that is no instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no instant: write a date, a time and its offset, such as `2026-12-24T00:00:00+01:00`"
)]
pub struct NotAnInstant(String);

// === impl Instant ===

impl FromStr for Instant {
    type Err = NotAnInstant;

    fn from_str(text: &str) -> Result<Self, NotAnInstant> {
        let wrong = || NotAnInstant(text.to_owned());
        // `9` stands for a digit.
        let shape: String =
            text.chars().map(|it| if it.is_ascii_digit() { '9' } else { it }).collect();
        let offset = shape.strip_prefix("9999-99-99T99:99").ok_or_else(wrong)?;
        let offset = offset.strip_prefix(":99").unwrap_or(offset);
        if !["Z", "+99:99", "-99:99"].contains(&offset) {
            return Err(wrong());
        }
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl TryFrom<String> for Instant {
    type Error = NotAnInstant;

    fn try_from(text: String) -> Result<Self, NotAnInstant> {
        text.parse()
    }
}

impl JsonSchema for Instant {
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An instant: `2026-12-24T00:00:00+01:00`, `2026-12-24T00:00Z`.",
            "type": "string",
            "pattern": concat!(
                "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
                "T([01][0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|60))?",
                "(Z|[+-]([01][0-9]|2[0-5]):[0-5][0-9])$"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_a_date_a_time_and_an_offset() {
        let instant = "2026-12-24T00:00:00+01:00".parse::<Instant>().unwrap();
        assert_eq!(instant.0, "2026-12-23T23:00:00Z".parse().unwrap());
        assert_eq!("2026-12-23T23:00Z".parse(), Ok(instant));
        for wrong in [
            "",
            "2026-12-24",
            "2026-12-24T00:00:00",
            "2026-12-24T00:00:00+01",
            "2026-12-24 00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-12-24T24:00:00Z",
            "2026-12-24T00:00:00+01:00[Europe/Berlin]",
        ] {
            assert!(wrong.parse::<Instant>().is_err(), "{wrong}");
        }
    }
}
