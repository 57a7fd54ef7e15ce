//! The mark that a change leaves behind: who made it, and its place in the lane's sequence.
//!
//! A canary id reads `<instance>-<sequence>`, the sequence in eleven lower-case hexadecimal
//! digits. Sequences start from the wall clock in milliseconds but never fall below the highest
//! one found on the remote (rule T9), so that only they have to be compared, never clocks.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Fewest digits of a sequence: milliseconds since 1970 have had eleven since 2004.
const DIGITS: usize = 11;

/// Who made a change, and its place in the lane's sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CanaryId {
    instance: String,
    sequence: u64,
}

/// A text that is no canary id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a canary id: it must end in a sequence of {DIGITS} or more hexadecimal digits"
)]
pub struct NotACanaryId(String);

// === impl CanaryId ===

impl CanaryId {
    /// The id of `instance`'s change number `sequence`.
    #[must_use]
    pub fn new(instance: &str, sequence: u64) -> Self {
        Self { instance: instance.to_owned(), sequence }
    }

    /// The installation that made the change.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Place in the lane's sequence.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The id after this one and not below `wall` (rule T9: a clock that stepped back, or another
    /// machine's, never makes an id that was already used).
    #[must_use]
    pub fn next(instance: &str, wall: jiff::Timestamp, highest: Option<&Self>) -> Self {
        let clock = u64::try_from(wall.as_millisecond()).unwrap_or(0);
        let floor = highest.map_or(0, |it| it.sequence.saturating_add(1));
        Self::new(instance, clock.max(floor))
    }

    /// Every canary id that stands as a whole token in `text`.
    pub fn find_in(text: &str) -> impl Iterator<Item = Self> {
        tokens(text).filter_map(|it| it.parse().ok())
    }
}

impl fmt::Display for CanaryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.instance.is_empty() {
            write!(f, "{}-", self.instance)?;
        }
        write!(f, "{:0DIGITS$x}", self.sequence)
    }
}

impl FromStr for CanaryId {
    type Err = NotACanaryId;

    fn from_str(text: &str) -> Result<Self, NotACanaryId> {
        let (instance, digits) = text.rsplit_once('-').unwrap_or(("", text));
        let hex = |it: char| it.is_ascii_digit() || ('a'..='f').contains(&it);
        if digits.len() < DIGITS || !digits.chars().all(hex) {
            return Err(NotACanaryId(text.to_owned()));
        }
        let sequence =
            u64::from_str_radix(digits, 16).map_err(|_| NotACanaryId(text.to_owned()))?;
        Ok(Self::new(instance, sequence))
    }
}

impl TryFrom<String> for CanaryId {
    type Error = NotACanaryId;

    fn try_from(text: String) -> Result<Self, NotACanaryId> {
        text.parse()
    }
}

impl From<CanaryId> for String {
    fn from(id: CanaryId) -> Self {
        id.to_string()
    }
}

/// The tokens of a text: the longest runs of letters, digits, `-`, `_` and `.`.
pub fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let part = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    text.split(move |it| !part(it)).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let id = CanaryId::new("team-a", 0x1a1_fbe6_7da8);
        assert_eq!(id.to_string(), "team-a-1a1fbe67da8");
        assert_eq!("team-a-1a1fbe67da8".parse(), Ok(id));
        assert_eq!("1a1fbe67da8".parse(), Ok(CanaryId::new("", 0x1a1_fbe6_7da8)));
        for wrong in ["", "team-a", "team-a-12", "team-a-1A1FBE67DA8", "x-1a1fbe67da8z"] {
            assert!(wrong.parse::<CanaryId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn t9_a_sequence_never_falls_below_the_highest_one_on_the_remote() {
        let highest = CanaryId::new("hopclock", 2_000);
        let early = jiff::Timestamp::from_millisecond(1_000).unwrap();
        let late = jiff::Timestamp::from_millisecond(3_000).unwrap();
        assert_eq!(CanaryId::next("hopclock", early, Some(&highest)).sequence(), 2_001);
        assert_eq!(CanaryId::next("hopclock", late, Some(&highest)).sequence(), 3_000);
        assert_eq!(CanaryId::next("hopclock", late, None).sequence(), 3_000);
    }

    #[test]
    fn an_id_is_found_as_a_whole_token_only() {
        let found =
            |text: &str| CanaryId::find_in(text).map(|it| it.to_string()).collect::<Vec<_>>();
        assert_eq!(found("run: hopclock-1a1fbe67da8, ok"), ["hopclock-1a1fbe67da8"]);
        assert_eq!(found("x_hopclock-1a1fbe67da8.bak"), Vec::<String>::new());
    }
}
