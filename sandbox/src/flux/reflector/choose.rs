//! Which tag a policy chooses: the filter that names what is compared, and the three orders.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use crate::flux::semver::Range;
use crate::flux::semver::Version;

/// Why no tag was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoChoice {
    /// The policy itself is wrong and will stay so.
    Invalid(String),
    /// No tag of today fits it.
    NoTag(String),
}

enum Order {
    SemVer(Range),
    Alphabetical { descending: bool },
    Numerical { descending: bool },
}

/// The tag that the policy of an `ImagePolicy` chooses among `tags`.
pub(super) fn choose(spec: &Value, tags: &[String]) -> Result<String, NoChoice> {
    let order = Order::of(&spec["policy"])?;
    if !spec["filterTags"].is_object() {
        let compared: Vec<&str> = tags.iter().map(String::as_str).collect();
        return order.latest(&compared).map(str::to_owned);
    }
    let filtered = filter(&spec["filterTags"], tags)?;
    let compared: Vec<&str> = filtered.keys().map(String::as_str).collect();
    let latest = order.latest(&compared)?;
    Ok(filtered[latest].to_owned())
}

/// What of each tag is compared, and the tag that it came from.
fn filter<'t>(spec: &Value, tags: &'t [String]) -> Result<BTreeMap<String, &'t str>, NoChoice> {
    let text = |field: &str| spec[field].as_str().unwrap_or_default();
    let (pattern, extract) = (text("pattern"), text("extract"));
    let regex = Regex::new(pattern).map_err(|_| {
        NoChoice::Invalid(format!(
            "failed to filter tags: invalid regular expression pattern '{pattern}': error parsing \
             regexp"
        ))
    })?;
    let mut filtered = BTreeMap::new();
    for tag in tags {
        let Some(found) = regex.captures(tag) else { continue };
        let mut compared = String::new();
        if extract.is_empty() {
            compared.push_str(tag);
        } else {
            found.expand(extract, &mut compared);
        }
        filtered.insert(compared, tag.as_str());
    }
    Ok(filtered)
}

impl Order {
    fn of(policy: &Value) -> Result<Self, NoChoice> {
        let invalid = |problem: String| NoChoice::Invalid(format!("invalid policy: {problem}"));
        if let Some(range) = policy["semver"]["range"].as_str() {
            let range = Range::parse(range);
            return range.map(Self::SemVer).map_err(|problem| invalid(problem.to_string()));
        }
        let descending = |order: &Value| match order.as_str().unwrap_or("asc") {
            "asc" | "" => Ok(false),
            "desc" => Ok(true),
            other => Err(invalid(format!(
                "invalid order argument provided: '{}', must be one of: ASC, DESC",
                other.to_uppercase()
            ))),
        };
        if policy["alphabetical"].is_object() {
            let descending = descending(&policy["alphabetical"]["order"])?;
            return Ok(Self::Alphabetical { descending });
        }
        if policy["numerical"].is_object() {
            let descending = descending(&policy["numerical"]["order"])?;
            return Ok(Self::Numerical { descending });
        }
        Err(invalid("given ImagePolicyChoice object is invalid".to_owned()))
    }

    fn latest<'t>(&self, tags: &[&'t str]) -> Result<&'t str, NoChoice> {
        let empty = || NoChoice::NoTag("version list argument cannot be empty".to_owned());
        match self {
            _ if tags.is_empty() => Err(empty()),
            Self::SemVer(range) => {
                let versions = tags.iter().filter_map(|tag| Some((*tag, Version::parse(tag)?)));
                let mut latest: Option<(&str, Version)> = None;
                for (tag, version) in versions.filter(|(_, version)| range.fits(version)) {
                    let newer = |(_, old): &(&str, Version)| version.precedence(old).is_gt();
                    if latest.as_ref().is_none_or(newer) {
                        latest = Some((tag, version));
                    }
                }
                latest.map(|(tag, _)| tag).ok_or_else(|| {
                    let message = "unable to determine latest version from provided list";
                    NoChoice::NoTag(message.to_owned())
                })
            }
            Self::Alphabetical { descending: false } => {
                tags.iter().max().copied().ok_or_else(empty)
            }
            Self::Alphabetical { descending: true } => tags.iter().min().copied().ok_or_else(empty),
            Self::Numerical { descending } => numerical(tags, *descending),
        }
    }
}

fn numerical<'t>(tags: &[&'t str], descending: bool) -> Result<&'t str, NoChoice> {
    let mut latest: Option<(&str, f64)> = None;
    for tag in tags {
        let value = tag.parse::<f64>().map_err(|_| {
            NoChoice::NoTag(format!("failed to parse invalid numeric value '{tag}'"))
        })?;
        let keep =
            latest.is_some_and(|(_, old)| if descending { value > old } else { value < old });
        if !keep {
            latest = Some((tag, value));
        }
    }
    latest.map(|(tag, _)| tag).ok_or_else(|| NoChoice::NoTag(String::new()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chosen(spec: &Value, tags: &[&str]) -> Result<String, NoChoice> {
        let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
        choose(spec, &tags)
    }

    #[test]
    fn each_order_chooses_its_own_tag() {
        let tags = ["10", "9", "1"];
        let order = |kind: &str, order: &str| json!({"policy": {kind: {"order": order}}});
        assert_eq!(chosen(&order("numerical", "asc"), &tags), Ok("10".to_owned()));
        assert_eq!(chosen(&order("numerical", "desc"), &tags), Ok("1".to_owned()));
        assert_eq!(chosen(&order("alphabetical", "asc"), &tags), Ok("9".to_owned()));
        assert_eq!(chosen(&order("alphabetical", "desc"), &tags), Ok("1".to_owned()));
        let semver = json!({"policy": {"semver": {"range": ">=1.0.0"}}});
        let tags = ["1.9.0", "v1.10.0", "latest", "1.11.0-rc.1"];
        assert_eq!(chosen(&semver, &tags), Ok("v1.10.0".to_owned()));
    }

    #[test]
    fn a_filter_compares_what_it_extracts_and_answers_the_whole_tag() {
        let spec = json!({"policy": {"numerical": {"order": "asc"}},
            "filterTags": {"pattern": "^main-[a-f0-9]+-(?P<ts>[0-9]+)$", "extract": "$ts"}});
        let tags = ["main-abc-90", "main-fff-100", "other-1-900", "latest"];
        assert_eq!(chosen(&spec, &tags), Ok("main-fff-100".to_owned()));
        let none = Err(NoChoice::NoTag("version list argument cannot be empty".to_owned()));
        assert_eq!(chosen(&spec, &["latest"]), none);
    }

    #[test]
    fn what_is_wrong_for_good_is_told_from_what_may_become_right() {
        let invalid = |spec: Value| matches!(chosen(&spec, &["1"]), Err(NoChoice::Invalid(_)));
        assert!(invalid(json!({"policy": {}})));
        assert!(invalid(json!({"policy": {"semver": {"range": "what"}}})));
        assert!(invalid(json!({"policy": {"numerical": {}}, "filterTags": {"pattern": "("}})));
        let number = json!({"policy": {"numerical": {"order": "asc"}}});
        let problem = "failed to parse invalid numeric value 'x'".to_owned();
        assert_eq!(chosen(&number, &["1", "x"]), Err(NoChoice::NoTag(problem)));
        let range = json!({"policy": {"semver": {"range": ">=9.0.0"}}});
        let problem = "unable to determine latest version from provided list".to_owned();
        assert_eq!(chosen(&range, &["1.0.0"]), Err(NoChoice::NoTag(problem)));
    }
}
