//! Version ranges in the syntax of the Go library that Flux uses, with its rule for prereleases.
//!
//! `||` separates groups, spaces or commas separate the conditions of a group. A group admits
//! prereleases if one of its conditions names one. `1.2.x` and `1.2` stand for all that begin so.

use crate::model::image_policy::version::{Version, is_build, is_prerelease, number};
use regex_automata::meta::Regex;
use std::cmp::Ordering;

/// Longest range and most groups that Flux takes.
const LONGEST: usize = 512;
const MOST_GROUPS: usize = 32;

/// A range of versions.
#[derive(Clone, Debug)]
pub(super) struct Range {
    groups: Vec<Group>,
}

/// Conditions that hold together.
#[derive(Clone, Debug)]
struct Group {
    conditions: Vec<Condition>,
    admits_prereleases: bool,
}

#[derive(Clone, Debug)]
struct Condition {
    operator: Operator,
    bound: Version,
    left_open: LeftOpen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Above,
    Below,
    AtLeast,
    AtMost,
    Tilde,
    Caret,
}

/// Which numbers of a bound are left open, by an `x` or by their absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeftOpen {
    Nothing,
    Patch,
    Minor,
    All,
}

/// One of the numbers of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Given(u64),
    Open,
    /// Neither a number nor a sign for any.
    None,
}

/// What is left to read of a group.
struct Reader<'a> {
    rest: &'a str,
}

// === impl Range ===

impl Range {
    /// Reads a range; none if Flux would refuse it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let text = without_hyphens(text);
        let groups: Vec<_> = text.split("||").collect();
        if groups.len() > MOST_GROUPS {
            return None;
        }
        let groups = groups.into_iter().map(Group::parse).collect::<Option<_>>()?;
        Some(Self { groups })
    }

    /// Whether a version lies in the range.
    pub(super) fn admits(&self, version: &Version) -> bool {
        self.groups.iter().any(|it| it.admits(version))
    }

    /// The versions that the range names.
    pub(super) fn bounds(&self) -> impl Iterator<Item = &Version> {
        self.groups.iter().flat_map(|it| it.conditions.iter().map(|it| &it.bound))
    }
}

// === impl Group ===

impl Group {
    fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let mut conditions = Vec::new();
        reader.skip_space();
        loop {
            conditions.push(reader.condition()?);
            let spaced = reader.skip_space();
            if reader.rest.is_empty() {
                break;
            }
            if !reader.take(",") && !spaced {
                return None;
            }
            reader.skip_space();
        }
        let admits_prereleases = conditions.iter().any(|it| it.bound.is_prerelease());
        Some(Self { conditions, admits_prereleases })
    }

    fn admits(&self, version: &Version) -> bool {
        (self.admits_prereleases || !version.is_prerelease())
            && self.conditions.iter().all(|it| it.admits(version))
    }
}

// === impl Condition ===

impl Condition {
    fn admits(&self, version: &Version) -> bool {
        let (bound, open) = (&self.bound, self.left_open);
        let order = version.cmp(bound);
        match self.operator {
            Operator::Equal if open == LeftOpen::Nothing => order == Ordering::Equal,
            Operator::Equal | Operator::Tilde => order.is_ge() && self.is_near(version),
            Operator::NotEqual => self.differs(version),
            Operator::Above => match open {
                LeftOpen::Nothing | LeftOpen::All => order.is_gt(),
                LeftOpen::Minor => version.core[0] > bound.core[0],
                LeftOpen::Patch => version.core[..2] > bound.core[..2],
            },
            Operator::Below => order.is_lt(),
            Operator::AtLeast => order.is_ge(),
            Operator::AtMost => match open {
                LeftOpen::Nothing => order.is_le(),
                LeftOpen::Minor => version.core[0] <= bound.core[0],
                LeftOpen::Patch | LeftOpen::All => version.core[..2] <= bound.core[..2],
            },
            Operator::Caret => order.is_ge() && self.is_compatible(version),
        }
    }

    /// `~`: the same up to the last number but one that is given; `~0.0.0` is anything.
    fn is_near(&self, version: &Version) -> bool {
        let (core, bound) = (version.core, self.bound.core);
        match self.left_open {
            LeftOpen::Nothing | LeftOpen::All if bound == [0, 0, 0] => true,
            LeftOpen::Minor => core[0] == bound[0],
            _ => core[..2] == bound[..2],
        }
    }

    /// `^`: the same up to the first number that is not zero.
    fn is_compatible(&self, version: &Version) -> bool {
        let (core, bound) = (version.core, self.bound.core);
        match self.left_open {
            LeftOpen::Minor => core[0] == bound[0],
            _ if bound[0] > 0 => core[0] == bound[0],
            LeftOpen::Patch => core[..2] == bound[..2],
            _ if bound[1] > 0 => core[..2] == bound[..2],
            _ => core == bound,
        }
    }

    fn differs(&self, version: &Version) -> bool {
        let (core, bound) = (version.core, self.bound.core);
        match self.left_open {
            LeftOpen::Minor => core[0] != bound[0],
            LeftOpen::Patch => core[..2] != bound[..2] || self.differs_by_prerelease(version),
            LeftOpen::Nothing | LeftOpen::All => *version != self.bound,
        }
    }

    fn differs_by_prerelease(&self, version: &Version) -> bool {
        version.pre != self.bound.pre && (version.is_prerelease() || self.bound.is_prerelease())
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn condition(&mut self) -> Option<Condition> {
        let operator = self.operator();
        self.skip_space();
        self.take("v");
        let (major, minor, patch) = (self.number(), self.further_number(), self.further_number());
        let pre = self.extra("-");
        let build = self.extra("+");
        let (left_open, core) = match (major?, minor, patch) {
            (Number::Open, _, _) => (LeftOpen::All, [0, 0, 0]),
            (major, None | Some(Number::Open), _) => (LeftOpen::Minor, [major.value()?, 0, 0]),
            (major, Some(minor), None | Some(Number::Open)) => {
                (LeftOpen::Patch, [major.value()?, minor.value()?, 0])
            }
            (major, Some(minor), Some(patch)) => {
                (LeftOpen::Nothing, [major.value()?, minor.value()?, patch.value()?])
            }
        };
        let fits =
            pre.as_deref().is_none_or(is_prerelease) && build.as_deref().is_none_or(is_build);
        let bound = Version { core, pre: pre.unwrap_or_default() };
        fits.then_some(Condition { operator, bound, left_open })
    }

    fn operator(&mut self) -> Operator {
        let operators = [
            ("!=", Operator::NotEqual),
            (">=", Operator::AtLeast),
            ("=>", Operator::AtLeast),
            ("<=", Operator::AtMost),
            ("=<", Operator::AtMost),
            ("~>", Operator::Tilde),
            ("=", Operator::Equal),
            (">", Operator::Above),
            ("<", Operator::Below),
            ("~", Operator::Tilde),
            ("^", Operator::Caret),
        ];
        let found = operators.into_iter().find(|(sign, _)| self.take(sign));
        found.map_or(Operator::Equal, |(_, operator)| operator)
    }

    fn number(&mut self) -> Option<Number> {
        let part = |it: char| it.is_ascii_digit() || matches!(it, 'x' | 'X' | '*' | '|');
        let end = self.rest.find(|it| !part(it)).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        match text {
            "" => None,
            "x" | "X" | "*" => Some(Number::Open),
            text => Some(number(text).map_or(Number::None, Number::Given)),
        }
    }

    fn further_number(&mut self) -> Option<Number> {
        let before = self.rest;
        let number = self.take(".").then(|| self.number()).flatten();
        if number.is_none() {
            self.rest = before;
        }
        number
    }

    /// What stands after a `-` or `+`.
    fn extra(&mut self, sign: &str) -> Option<String> {
        let rest = self.rest.strip_prefix(sign)?;
        let part = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '.');
        let end = rest.find(|it| !part(it)).unwrap_or(rest.len());
        self.rest = &rest[end..];
        Some(rest[..end].to_owned())
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_space(&mut self) -> bool {
        let rest = self.rest.trim_start_matches([' ', '\t', '\n', '\x0c', '\r']);
        let skipped = rest.len() < self.rest.len();
        self.rest = rest;
        skipped
    }
}

// === impl Number ===

impl Number {
    fn value(self) -> Option<u64> {
        match self {
            Self::Given(value) => Some(value),
            Self::Open | Self::None => None,
        }
    }
}

/// Writes `1.2 - 1.4` as the two conditions it stands for.
fn without_hyphens(text: &str) -> String {
    if !text.contains('-') {
        return text.to_owned();
    }
    let number = r"[0-9|xX*]+";
    let extra = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*";
    let version = format!(r"v?{number}(?:\.{number})?(?:\.{number})?(?:-{extra})?(?:\+{extra})?");
    let ranges = Regex::new(&format!(r"\s*({version})\s+-\s+({version})\s*"));
    let ranges = ranges.expect("the pattern is a constant");
    let (mut written, mut at) = (String::new(), 0);
    for found in ranges.captures_iter(text) {
        let (Some(all), Some(low), Some(high)) =
            (found.get_match(), found.get_group(1), found.get_group(2))
        else {
            continue;
        };
        written += &text[at..all.start()];
        written.extend([">= ", &text[low.range()], ", <= ", &text[high.range()], " "]);
        at = all.end();
    }
    written + &text[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_admit_what_their_signs_say() {
        let table = [
            ("1.2.3", "1.2.3", "1.2.4 1.2.2 1.2.3-a"),
            ("1.2.x", "1.2.0 1.2.9", "1.3.0 1.2.3-a"),
            ("1", "1.0.0 1.9.9", "2.0.0 0.9.9"),
            ("*", "0.0.0 9.9.9", "1.0.0-a"),
            ("*-0", "0.0.0 9.9.9 1.0.0-a", ""),
            ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
            ("~> 1", "1.0.0 1.9.0", "2.0.0"),
            ("^1.2", "1.2.0 1.9.0", "2.0.0 1.1.9"),
            ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"),
            ("^0.0.3", "0.0.3", "0.0.4"),
            ("^0.0", "0.0.9", "0.1.0"),
            (">=1.0.0-0 <2.0.0", "1.0.0-a 1.9.9-b 1.5.0", "2.0.0 0.9.0"),
            (">1", "2.0.0", "1.9.9"),
            (">1.2", "1.3.0", "1.2.9"),
            ("<=1", "1.9.9", "2.0.0"),
            ("<=1.2", "1.2.9", "1.3.0"),
            ("!=1.2.x", "1.3.0", "1.2.0 1.2.9"),
            ("1.2 - 1.4.5", "1.2.0 1.4.5", "1.4.6 1.1.9"),
            ("1.x || >=3.0.0-0, <4", "1.5.0 3.1.0-a", "2.0.0 1.5.0-a 4.0.0"),
        ];
        for (range, inside, outside) in table {
            let read = Range::parse(range).unwrap_or_else(|| panic!("`{range}` is a range"));
            let admits = |it: &str| read.admits(&Version::of_tag(it).unwrap());
            assert!(inside.split_whitespace().all(admits), "{range} admits {inside}");
            assert!(!outside.split_whitespace().any(admits), "{range} does not admit {outside}");
        }
    }

    #[test]
    fn what_flux_refuses_is_no_range() {
        for text in
            ["", "latest", ">=1.0<2.0", "1.2.3.4", ">1 - 2", "1y", "v1+", "1.0 ||", "~~1", "^1,,2"]
        {
            assert!(Range::parse(text).is_none(), "{text}");
        }
    }
}
