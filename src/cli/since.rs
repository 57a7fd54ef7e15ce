//! Instants as people name them: so long ago, or then.

use crate::model::{Clock, Duration};
use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;

/// An instant, or a time before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// So long ago.
    Ago(SignedDuration),
    /// Then.
    At(Timestamp),
}

// === impl Since ===

impl Since {
    /// The instant that is meant.
    pub(super) fn instant(self, clock: &dyn Clock) -> Timestamp {
        match self {
            Self::Ago(time) => clock.wall().checked_sub(time).unwrap_or(Timestamp::MIN),
            Self::At(instant) => instant,
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let days = text.strip_suffix('d').and_then(|it| it.parse::<u32>().ok());
        if let Some(days) = days {
            return Ok(Self::Ago(SignedDuration::from_hours(24 * i64::from(days))));
        }
        if let Ok(instant) = text.parse() {
            return Ok(Self::At(instant));
        }
        let time = text.parse::<Duration>().ok().and_then(|it| it.0.try_into().ok());
        time.map(Self::Ago).ok_or_else(|| {
            "say how long ago, such as `24h` or `7d`, or when, such as `2026-11-21T08:00:00Z`"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_named_by_its_distance_or_by_itself() {
        let hours = |it| Ok(Since::Ago(SignedDuration::from_hours(it)));
        assert_eq!("24h".parse(), hours(24));
        assert_eq!("7d".parse(), hours(168));
        let instant = "2026-11-21T08:00:00Z".parse().unwrap();
        assert_eq!("2026-11-21T08:00:00Z".parse(), Ok(Since::At(instant)));
        assert_eq!("2026-11-21T09:00:00+01:00".parse(), Ok(Since::At(instant)));
        for wrong in ["", "yesterday", "7", "d", "-3d", "2026-11-21"] {
            assert!(wrong.parse::<Since>().is_err(), "{wrong}");
        }
    }
}
