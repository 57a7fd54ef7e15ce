//! The five fields of a calendar, looked at one by one, so that a slip is found in its field.
//!
//! The library that reads them afterwards says less of a slip, and takes more: empty items, names
//! of months among the hours, fields for seconds and years. What stands here is the grammar.

use std::ops::RangeInclusive;

/// What a field may hold.
struct Field {
    name: &'static str,
    range: RangeInclusive<u8>,
    /// Names of its values, the first for `first_name`.
    names: &'static [&'static str],
    first_name: u8,
    /// Whether it is a field of days, where more than numbers stands.
    days: Option<Days>,
}

/// Which field of days.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Days {
    OfMonth,
    OfWeek,
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", range: 0..=59, names: &[], first_name: 0, days: None },
    Field { name: "hour", range: 0..=23, names: &[], first_name: 0, days: None },
    Field {
        name: "day of the month",
        range: 1..=31,
        names: &[],
        first_name: 0,
        days: Some(Days::OfMonth),
    },
    Field { name: "month", range: 1..=12, names: &MONTHS, first_name: 1, days: None },
    Field {
        name: "day of the week",
        range: 0..=7,
        names: &WEEKDAYS,
        first_name: 0,
        days: Some(Days::OfWeek),
    },
];

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A text that is no calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACalendar {
    /// It has more or fewer than five fields.
    #[error("a `cron` schedule has five fields, such as `*/15 8-18 * * 1-5`, this one has {found}")]
    Fields {
        /// How many it has.
        found: usize,
    },
    /// One of its fields cannot be read.
    #[error("field {number} ({name}): {what}")]
    Field {
        /// Which one, from 1.
        number: usize,
        /// What it stands for.
        name: &'static str,
        /// What is wrong with it, and what would be right.
        what: String,
    },
    /// Every field can be read, but there is no such day.
    #[error("no day of any year is like that, so it would never fire: change the day or the month")]
    Never,
    /// Every field can be read, but not all of them together.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

// === impl Field ===

impl Field {
    fn check(&self, text: &str) -> Result<(), String> {
        match (text, self.days) {
            ("*", _) | ("?", Some(_)) => Ok(()),
            _ => text.split(',').try_for_each(|it| self.item(it)),
        }
    }

    fn item(&self, item: &str) -> Result<(), String> {
        let Some((base, step)) = item.split_once('/') else { return self.span(item) };
        self.step(step)?;
        match base {
            "*" => Ok(()),
            _ if base.contains('-') => self.span(base),
            _ => {
                let (from, to) = (if base.is_empty() { "0" } else { base }, self.range.end());
                Err(format!("a step needs a range: write `*/{step}`, or `{from}-{to}/{step}`"))
            }
        }
    }

    fn step(&self, step: &str) -> Result<(), String> {
        let most = self.range.end() - self.range.start();
        match number(step) {
            Some(it) if (1..=u32::from(most)).contains(&it) => Ok(()),
            _ => Err(format!("the step `{step}` is not in 1-{most}")),
        }
    }

    /// Two values with `-` between them, or one.
    fn span(&self, text: &str) -> Result<(), String> {
        let Some((from, to)) = text.split_once('-') else { return self.one(text) };
        let sunday = self.days == Some(Days::OfWeek) && matches!(to, "SUN" | "0");
        let (first, last) = (self.value(from)?, if sunday { 7 } else { self.value(to)? });
        if to == "0" || first > last {
            let hint = format!("`{from}-{}`, `{}-{to}`", self.range.end(), self.range.start());
            return Err(format!("`{text}` runs backwards: write two ranges, as {hint}"));
        }
        Ok(())
    }

    /// One value, or one of the ways to say a day.
    fn one(&self, text: &str) -> Result<(), String> {
        match self.days {
            Some(Days::OfMonth) => match text.strip_suffix('W') {
                _ if matches!(text, "L" | "LW") => Ok(()),
                day => self.value(day.unwrap_or(text)).map(|_| ()),
            },
            Some(Days::OfWeek) => match (text.split_once('#'), text.strip_suffix('L')) {
                (Some((day, nth)), _) => match number(nth) {
                    Some(1..=5) => self.value(day).map(|_| ()),
                    _ => Err(format!("`#{nth}` is not in `#1`-`#5`")),
                },
                (None, Some("")) => Err("write `5L` for the last Friday of the month".to_owned()),
                (None, day) => self.value(day.unwrap_or(text)).map(|_| ()),
            },
            None => self.value(text).map(|_| ()),
        }
    }

    fn value(&self, text: &str) -> Result<u8, String> {
        if let Some(index) = self.names.iter().position(|it| *it == text) {
            return Ok(self.first_name + u8::try_from(index).unwrap_or(u8::MAX));
        }
        let (first, last) = (self.range.start(), self.range.end());
        match number(text).and_then(|it| u8::try_from(it).ok()) {
            Some(it) if self.range.contains(&it) => Ok(it),
            _ if text.is_empty() => Err(format!("a value in {first}-{last} is missing")),
            None | Some(_) => Err(match self.names {
                [] => format!("`{text}` is not in {first}-{last}"),
                [name, ..] => {
                    format!("`{text}` is not in {first}-{last}, nor a name like `{name}`")
                }
            }),
        }
    }
}

/// Whether every field can be read; the first that cannot is the mistake. `text` is in capitals.
pub(super) fn check(text: &str) -> Result<(), NotACalendar> {
    let fields: Vec<_> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(NotACalendar::Fields { found: fields.len() });
    }
    for (index, (field, text)) in FIELDS.iter().zip(fields).enumerate() {
        let wrong = |what| NotACalendar::Field { number: index + 1, name: field.name, what };
        field.check(text).map_err(wrong)?;
    }
    Ok(())
}

/// Digits only: no sign, no blank.
fn number(text: &str) -> Option<u32> {
    let plain = text.len() <= 4 && text.chars().all(|it| it.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        check(text).map_or_else(|it| it.to_string(), |()| "right".to_owned())
    }

    #[test]
    fn what_people_write_is_right() {
        for text in [
            "* * * * *",
            "*/15 8-18 * * 1-5",
            "0,30 0-12/2,13 ? JAN-MAR,12 ?",
            "0 9 L * *",
            "0 9 LW,15W * *",
            "0 9 * * 5L,1#2,SUN",
            "0 9 * * FRI-SUN",
            "0 9 * * 6-7",
        ] {
            assert_eq!(said(text), "right", "{text}");
        }
    }

    #[test]
    fn a_slip_is_named_with_its_field() {
        for (text, message) in [
            ("60 * * * *", "field 1 (minute): `60` is not in 0-59"),
            ("0 25 * * *", "field 2 (hour): `25` is not in 0-23"),
            ("0 JAN * * *", "field 2 (hour): `JAN` is not in 0-23"),
            ("0 0 0 * *", "field 3 (day of the month): `0` is not in 1-31"),
            ("0 0 L-3 * *", "field 3 (day of the month): `L` is not in 1-31"),
            ("0 0 1 13 *", "field 4 (month): `13` is not in 1-12, nor a name like `JAN`"),
            ("0 0 1 ? *", "field 4 (month): `?` is not in 1-12, nor a name like `JAN`"),
            ("0 0 * * 8", "field 5 (day of the week): `8` is not in 0-7, nor a name like `SUN`"),
            ("0 0 * * L", "field 5 (day of the week): write `5L` for the last Friday of the month"),
            ("0 0 * * 1#6", "field 5 (day of the week): `#6` is not in `#1`-`#5`"),
            ("*/60 * * * *", "field 1 (minute): the step `60` is not in 1-59"),
            ("*/0 * * * *", "field 1 (minute): the step `0` is not in 1-59"),
            ("5/10 * * * *", "field 1 (minute): a step needs a range: write `*/10`, or `5-59/10`"),
            (
                "0 22-4 * * *",
                "field 2 (hour): `22-4` runs backwards: write two ranges, as `22-23`, `0-4`",
            ),
            ("0,,5 * * * *", "field 1 (minute): a value in 0-59 is missing"),
            ("-5 * * * *", "field 1 (minute): a value in 0-59 is missing"),
            ("*,5 * * * *", "field 1 (minute): `*` is not in 0-59"),
            (
                "@DAILY",
                "a `cron` schedule has five fields, such as `*/15 8-18 * * 1-5`, this one has 1",
            ),
        ] {
            assert_eq!(said(text), message, "{text}");
        }
    }
}
