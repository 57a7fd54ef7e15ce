//! Label matchers that every query gets, so that rules can be kept to one installation.

use std::fmt;
use std::str::FromStr;

/// Label matchers, as they stand between the braces of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Matcher>);

/// What one label has to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Matcher {
    label: String,
    operator: &'static str,
    /// With its quotes.
    value: String,
}

/// A text that is no list of matchers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no list of label matchers: write them as in a query, such as `job=\"hopclock\"`")]
pub struct NotASelector(String);

/// Operators, those first that others begin with.
const OPERATORS: [&str; 4] = ["=~", "!~", "!=", "="];

// === impl Selector ===

impl Selector {
    /// The labels that it looks at.
    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|it| it.label.as_str())
    }
}

impl FromStr for Selector {
    type Err = NotASelector;

    fn from_str(text: &str) -> Result<Self, NotASelector> {
        let mut matchers = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (matcher, behind) = matcher(rest).ok_or_else(|| NotASelector(text.to_owned()))?;
            matchers.push(matcher);
            rest = behind;
        }
        if matchers.is_empty() { Err(NotASelector(text.to_owned())) } else { Ok(Self(matchers)) }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, it) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{}{}{}", it.label, it.operator, it.value)?;
        }
        Ok(())
    }
}

/// Whether a text is the name of a label.
pub(super) fn is_label(text: &str) -> bool {
    let inner = |it: char| it.is_ascii_alphanumeric() || it == '_';
    text.starts_with(|it: char| inner(it) && !it.is_ascii_digit()) && text.chars().all(inner)
}

/// The first matcher of a text, and what comes behind its comma.
fn matcher(text: &str) -> Option<(Matcher, &str)> {
    let at = text.find(['=', '!'])?;
    let (label, rest) = text.split_at(at);
    let operator = OPERATORS.into_iter().find(|it| rest.starts_with(it))?;
    let rest = rest[operator.len()..].trim_start();
    let end = end_of_string(rest)?;
    let (value, rest) = rest.split_at(end);
    let rest = rest.trim_start();
    let behind = if rest.is_empty() { rest } else { rest.strip_prefix(',')?.trim_start() };
    let label = label.trim();
    let matcher = Matcher { label: label.to_owned(), operator, value: value.to_owned() };
    is_label(label).then_some((matcher, behind))
}

/// Where a string in double quotes ends, with its quote.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    let inner = text.strip_prefix('"')?;
    for (at, it) in inner.char_indices() {
        match it {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 2),
            _ => (),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_read_as_prometheus_reads_them() {
        let selector: Selector = r#" job="a,\"b" ,cluster=~"x|y", c != "" "#.parse().unwrap();
        assert_eq!(selector.to_string(), r#"job="a,\"b", cluster=~"x|y", c!="""#);
        assert_eq!(selector.labels().collect::<Vec<_>>(), ["job", "cluster", "c"]);
        for wrong in ["", "job", "job=a", "job=\"a", "1=\"a\"", "a=\"b\" c=\"d\"", "a==\"b\""] {
            assert!(wrong.parse::<Selector>().is_err(), "{wrong}");
        }
    }
}
