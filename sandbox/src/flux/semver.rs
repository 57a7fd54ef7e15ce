//! Versions and ranges of versions as image policies and chart sources write them.
//!
//! The language of ranges is that of Go's Masterminds/semver: `0.x`, `^1.2`, `~1.2.3`, `>=1 <2`,
//! `1.2 - 2.3`, `||`. A version with a pre-release fits only a range that names one.

use std::cmp::Ordering;
use std::fmt;

/// A version of three numbers, with or without `v` before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: [u64; 3],
    pre: String,
}

/// A range; a version fits if it fits all of one group.
#[derive(Clone, Debug)]
pub(crate) struct Range(Vec<Group>);

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoRange(String);

#[derive(Clone, Debug)]
struct Group {
    limits: Vec<Limit>,
    with_pre: bool,
}

#[derive(Clone, Debug)]
struct Limit {
    operator: Operator,
    numbers: [u64; 3],
    /// How many of the numbers were given.
    given: usize,
    pre: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    AtLeast,
    AtMost,
    Tilde,
    Caret,
}

impl fmt::Display for NoRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "improper constraint: {}", self.0)
    }
}

impl Version {
    /// Reads a complete version; anything else is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (rest, build) = rest.split_once('+').map_or((rest, None), |(it, b)| (it, Some(b)));
        let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(it, p)| (it, Some(p)));
        let parts: Vec<&str> = numbers.split('.').collect();
        let [major, minor, patch] = parts.as_slice() else { return None };
        let numbers = [number(major)?, number(minor)?, number(patch)?];
        let pre_is_good = pre.is_none_or(|pre| {
            identifiers(pre) && pre.split('.').all(|it| !is_digits(it) || number(it).is_some())
        });
        let build_is_good = build.is_none_or(identifiers);
        let pre = pre.unwrap_or_default().to_owned();
        (pre_is_good && build_is_good).then_some(Self { numbers, pre })
    }

    /// The order of precedence; what is built differently is equal.
    pub(crate) fn precedence(&self, other: &Self) -> Ordering {
        self.compare(other.numbers, &other.pre)
    }

    fn compare(&self, numbers: [u64; 3], pre: &str) -> Ordering {
        self.numbers.cmp(&numbers).then_with(|| compare_pre(&self.pre, pre))
    }
}

impl Range {
    /// Reads a range.
    pub(crate) fn parse(text: &str) -> Result<Self, NoRange> {
        let groups = text.split("||").map(|group| Group::parse(group.trim(), text));
        Ok(Self(groups.collect::<Result<_, _>>()?))
    }

    /// Whether a version fits.
    pub(crate) fn fits(&self, version: &Version) -> bool {
        self.0.iter().any(|group| {
            let allowed = version.pre.is_empty() || group.with_pre;
            allowed && group.limits.iter().all(|limit| limit.fits(version))
        })
    }
}

impl Group {
    fn parse(text: &str, whole: &str) -> Result<Self, NoRange> {
        let wrong = || NoRange(whole.to_owned());
        let spread = text.replace(" - ", "\0").replace(',', " ");
        let mut words: Vec<String> = Vec::new();
        for word in spread.split_whitespace() {
            // `>= 1` is one limit, whatever stands between.
            match words.last_mut().filter(|last| is_operator(last)) {
                Some(operator) => operator.push_str(word),
                None => words.push(word.to_owned()),
            }
        }
        let mut limits = Vec::new();
        for word in &words {
            if let Some((low, high)) = word.split_once('\0') {
                limits.push(Limit::parse(&format!(">={low}")).ok_or_else(wrong)?);
                limits.push(Limit::parse(&format!("<={high}")).ok_or_else(wrong)?);
            } else {
                limits.push(Limit::parse(word).ok_or_else(wrong)?);
            }
        }
        if limits.is_empty() {
            return Err(wrong());
        }
        let with_pre = limits.iter().any(|limit| !limit.pre.is_empty());
        Ok(Self { limits, with_pre })
    }
}

impl Limit {
    fn parse(word: &str) -> Option<Self> {
        let end = word.find(|c: char| !"=!<>~^".contains(c)).unwrap_or(word.len());
        let (sign, rest) = word.split_at(end);
        let operator = match sign {
            "" | "=" => Operator::Equal,
            "!=" => Operator::NotEqual,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            ">=" | "=>" => Operator::AtLeast,
            "<=" | "=<" => Operator::AtMost,
            "~" | "~>" => Operator::Tilde,
            "^" => Operator::Caret,
            _ => return None,
        };
        let rest = rest.strip_prefix('v').unwrap_or(rest);
        let rest = rest.split_once('+').map_or(rest, |(rest, _)| rest);
        let (text, pre) = rest.split_once('-').unwrap_or((rest, ""));
        let parts: Vec<&str> = text.split('.').collect();
        if text.is_empty() || parts.len() > 3 || (!pre.is_empty() && !identifiers(pre)) {
            return None;
        }
        let wild = |part: &&&str| matches!(**part, "x" | "X" | "*");
        let given = parts.iter().take_while(|part| !wild(part)).count();
        let mut numbers = [0; 3];
        for (place, part) in parts.iter().enumerate() {
            if !wild(&part) {
                let number = number(part)?;
                numbers[place] = if place < given { number } else { 0 };
            }
        }
        Some(Self { operator, numbers, given, pre: pre.to_owned() })
    }

    fn fits(&self, version: &Version) -> bool {
        let order = version.compare(self.numbers, &self.pre);
        let partial = self.given < 3;
        let start = |places: usize| version.numbers[..places] == self.numbers[..places];
        match self.operator {
            Operator::Equal if partial => order.is_ge() && start(self.given),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual if partial => !start(self.given),
            Operator::NotEqual => order.is_ne(),
            Operator::Greater if partial => {
                version.numbers[..self.given] > self.numbers[..self.given]
            }
            Operator::Greater => order.is_gt(),
            Operator::Less => order.is_lt(),
            Operator::AtLeast => order.is_ge(),
            Operator::AtMost if partial => {
                version.numbers[..self.given] <= self.numbers[..self.given]
            }
            Operator::AtMost => order.is_le(),
            // `~0.0.0` and `~*` take everything.
            Operator::Tilde if self.numbers == [0; 3] && (!partial || self.given == 0) => true,
            Operator::Tilde => order.is_ge() && start(self.given.clamp(1, 2)),
            Operator::Caret if self.given == 0 => order.is_ge(),
            Operator::Caret => order.is_ge() && start(self.caret_places()),
        }
    }

    /// How many numbers a caret holds: up to the first that is not zero, as far as they were given.
    fn caret_places(&self) -> usize {
        let first = self.numbers.iter().position(|it| *it != 0).unwrap_or(2);
        (first + 1).min(self.given)
    }
}

fn is_operator(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| "=!<>~^".contains(c))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

fn number(text: &str) -> Option<u64> {
    let good = is_digits(text) && (text == "0" || !text.starts_with('0'));
    good.then(|| text.parse().ok()).flatten()
}

fn identifiers(text: &str) -> bool {
    let good =
        |it: &str| !it.is_empty() && it.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    text.split('.').all(good)
}

/// A version without a pre-release comes after all that have one.
fn compare_pre(one: &str, other: &str) -> Ordering {
    match (one.is_empty(), other.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        let order = match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(other)) => match (one.parse::<u64>(), other.parse::<u64>()) {
                (Ok(one), Ok(other)) => one.cmp(&other),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => one.cmp(other),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_mean_what_they_mean_to_flux() {
        for (range, yes, no) in [
            ("0.x", &["0.0.0", "0.9.1", "v0.3.0"][..], &["1.0.0", "0.2.0-rc.1"][..]),
            ("*", &["0.0.0", "7.1.2"], &["1.0.0-rc.1"]),
            ("^1.2", &["1.2.0", "1.9.9"], &["1.1.9", "2.0.0"]),
            ("^0.2.3", &["0.2.3", "0.2.9"], &["0.3.0", "0.2.2"]),
            ("^0.0.3", &["0.0.3"], &["0.0.4", "0.1.0"]),
            ("^0.0", &["0.0.9"], &["0.1.0"]),
            ("^0", &["0.9.0"], &["1.0.0"]),
            ("~1.2.3", &["1.2.3", "1.2.9"], &["1.3.0", "1.2.2"]),
            ("~1", &["1.0.0", "1.9.0"], &["2.0.0"]),
            (">=1.0.0 <2", &["1.0.0", "1.9.9"], &["2.0.0", "0.9.0"]),
            (">= 1.0.0, < 2.0.0 || >=3.1", &["1.5.0", "3.1.0"], &["2.5.0", "3.0.9"]),
            ("1.2 - 2.3", &["1.2.0", "2.3.9"], &["1.1.9", "2.4.0"]),
            (">1", &["2.0.0"], &["1.9.0"]),
            (">1.2", &["1.3.0"], &["1.2.9"]),
            ("<=1.2", &["1.2.9", "0.1.0"], &["1.3.0"]),
            ("!=1.x", &["2.0.0"], &["1.5.0"]),
            (">=1.0.0-0", &["1.0.0-rc.1", "1.1.0-alpha", "2.0.0"], &["0.9.0"]),
            ("1.0.0-rc.2", &["1.0.0-rc.2"], &["1.0.0", "1.0.0-rc.1"]),
        ] {
            let parsed = Range::parse(range).unwrap();
            for version in yes {
                assert!(parsed.fits(&Version::parse(version).unwrap()), "{version} in {range}");
            }
            for version in no {
                assert!(!parsed.fits(&Version::parse(version).unwrap()), "{version} in {range}");
            }
        }
    }

    #[test]
    fn what_is_no_complete_version_is_none() {
        for text in ["1", "1.2", "latest", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3.4", "v1.2"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
        for text in ["", ">>1", "a.b", "1.2.3.4", ">=1.0.0 foo"] {
            let problem = Range::parse(text).unwrap_err();
            assert_eq!(problem.to_string(), format!("improper constraint: {text}"));
        }
    }

    #[test]
    fn versions_are_in_order_of_precedence() {
        let sorted =
            ["1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-a", "1.0.0-a.1", "1.0.0", "1.0.1", "1.10.0"];
        for pair in sorted.windows(2) {
            let [one, other] = [pair[0], pair[1]].map(|it| Version::parse(it).unwrap());
            assert_eq!(one.precedence(&other), Ordering::Less, "{pair:?}");
        }
    }
}
