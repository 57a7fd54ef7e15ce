//! Which version of a chart Flux chooses, and which it would choose next.
//!
//! Charts are chosen as image tags are by a policy of versions, so the same search finds the next
//! one, and the same policy has the last word.

use crate::model::CanaryId;
use crate::model::image_policy::{ImagePolicy, PolicyError};
use crate::trigger::Error;
use serde_json::{Value, json};

/// By what Flux chooses one of a chart's versions.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    policy: ImagePolicy,
    range: String,
    /// The object that says so, for messages.
    by: String,
}

// === impl Choice ===

impl Choice {
    /// Reads a range, and a pattern that versions have to match.
    ///
    /// # Errors
    /// When it is no range, or pins one version: then no new one is ever fetched.
    pub(super) fn new(by: &str, range: &str, pattern: Option<&str>) -> Result<Self, Error> {
        let range = if range.trim().is_empty() { "*" } else { range.trim() };
        let bare = range.trim_start_matches(['=', ' ']);
        if is_version(bare) {
            return Err(pinned(by, &format!("is pinned to version `{range}`")));
        }
        let mut policy = json!({ "policy": { "semver": { "range": range } } });
        if let Some(pattern) = pattern {
            policy["filterTags"] = json!({ "pattern": pattern });
        }
        let read = ImagePolicy::read(&policy, &Value::Null);
        let policy = read.map_err(|it| explain(by, range, &it))?;
        Ok(Self { policy, range: range.to_owned(), by: by.to_owned() })
    }

    /// The one that is chosen among these.
    pub(super) fn chosen<'a>(&self, versions: &'a [String]) -> Option<&'a str> {
        self.policy.chosen(versions).ok().flatten()
    }

    /// Whether one version is chosen rather than another.
    pub(super) fn prefers(&self, version: &str, to: &str) -> bool {
        self.policy.prefers(version, to)
    }

    /// A version that is above all of these that could be chosen, and will be chosen itself.
    pub(super) fn next(&self, versions: &[String], canary: &CanaryId) -> Result<String, Error> {
        let next = self.policy.next(versions, canary);
        next.map(|it| it.tag).map_err(|it| explain(&self.by, &self.range, &it))
    }
}

/// Refuses what follows one version only.
pub(super) fn pinned(by: &str, how: &str) -> Error {
    Error {
        reason: "pinned_version",
        message: format!(
            "{by} {how}, so it never takes a new one: give it a range such as `>=0.1.0` or `1.x`"
        ),
    }
}

/// Whether Helm and Flux take a text as the version of a chart.
pub(super) fn is_version(text: &str) -> bool {
    let all = json!({ "policy": { "semver": { "range": "*-0" } } });
    let policy = ImagePolicy::read(&all, &Value::Null);
    policy.is_ok_and(|it| it.prefers(text, ""))
}

/// A published version as it is compared: without its build part, and with all three numbers, before
/// which Helm ignores zeros.
pub(super) fn comparable(version: &str) -> String {
    let version = version.split(['+', '_']).next().unwrap_or_default();
    let (core, pre) =
        version.split_once('-').map_or((version, None), |(core, pre)| (core, Some(pre)));
    let bare = |it: &str| match it.trim_start_matches('0') {
        "" if !it.is_empty() => "0".to_owned(),
        bare if it.bytes().all(|it| it.is_ascii_digit()) => bare.to_owned(),
        _ => it.to_owned(),
    };
    let core = core.split('.').map(bare).collect::<Vec<_>>().join(".");
    let missing = 2_usize.saturating_sub(core.matches('.').count());
    let core = format!("{core}{}", ".0".repeat(missing));
    pre.map_or(core.clone(), |it| format!("{core}-{it}"))
}

/// The version one step above a version; none if it is none.
pub(in crate::trigger) fn later(version: &str) -> Option<String> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let core = comparable(version).split('-').next()?.to_owned();
    let numbers = core.split('.').map(|it| it.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let [major, minor, patch] = numbers[..] else { return None };
    Some(format!("{major}.{minor}.{}", patch.checked_add(1)?))
}

fn explain(by: &str, range: &str, error: &PolicyError) -> Error {
    let (reason, what) = match error {
        PolicyError::BadRange { .. } => (
            "bad_version_range",
            format!(
                "{by} has the version range `{range}`, which cannot be read: write one like \
                 `>=0.1.0 <2.0.0` or `1.x`"
            ),
        ),
        PolicyError::RangeExhausted { now, .. } => (
            "no_next_version",
            format!(
                "no chart can follow {}: the version range `{range}` of {by} admits none above it; \
                 widen the range",
                now.as_ref().map_or("nothing".to_owned(), |it| format!("version `{it}`"))
            ),
        ),
        PolicyError::PatternExhausted { now, pattern, .. } => (
            "no_next_version",
            format!(
                "no chart can follow {}: `semverFilter` of {by} is `{pattern}` and lets none through \
                 that is above it (a number with zeros before it is none in a version); widen the \
                 pattern",
                now.as_ref().map_or("nothing".to_owned(), |it| format!("version `{it}`"))
            ),
        ),
        other => ("no_next_version", format!("{by}: {other}")),
    };
    Error { reason, message: what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(range: &str, versions: &[&str]) -> Result<String, Error> {
        let versions: Vec<_> = versions.iter().map(|it| comparable(it)).collect();
        let choice = Choice::new("HelmChart a/b", range, None)?;
        let next = choice.next(&versions, &CanaryId::new("team-a", 0x1a1_fbe6_7da8))?;
        let mut all = versions.clone();
        all.push(next.clone());
        assert_eq!(choice.chosen(&all), Some(next.as_str()), "{range}");
        assert!(is_version(&next), "{next}");
        Ok(next)
    }

    #[test]
    fn the_next_version_is_above_all_that_the_range_admits() {
        assert_eq!(next("", &["0.1.0", "0.1.9", "0.1.10"]).unwrap(), "0.1.11");
        assert_eq!(next("1.x", &["1.2.3", "2.0.0"]).unwrap(), "1.2.4");
        assert_eq!(next("~1.2.0", &["1.2", "1.2.0+meta", "1.2.1_meta"]).unwrap(), "1.2.2");
        let pre = next(">=0.1.0-0", &["0.1.0"]).unwrap();
        assert!(comparable(&pre).starts_with("0.1.1"), "{pre}");
    }

    #[test]
    fn a_padded_number_counts_as_helm_reads_it_and_a_padded_prerelease_is_no_version() {
        assert_eq!(next("", &["2024.01.09"]).unwrap(), "2024.1.10");
        assert_eq!(next("", &["20240101"]).unwrap(), "20240101.0.1");
        assert_eq!(next("", &["1.0.0+0123"]).unwrap(), "1.0.1");
        assert!(next(">=1.0.0-0", &["1.0.0-0123"]).unwrap().starts_with("1.0.0-team-a-"));
        let padded = Choice::new("OCIRepository a/b", ">=1.0.0-0", Some(r"^1\.0\.0-0[0-9]{7}$"));
        let canary = CanaryId::new("team-a", 0x1a1_fbe6_7da8);
        let error = padded.unwrap().next(&["1.0.0-00000041".to_owned()], &canary).unwrap_err();
        assert_eq!(error.reason, "no_next_version");
        assert!(error.message.contains("zeros"), "{error}");
    }

    #[test]
    fn the_later_version_is_one_step_above() {
        for (version, next) in [("1.2.3", "1.2.4"), ("v1.2", "1.2.1"), ("1.2.3-rc.1+b", "1.2.4")] {
            assert_eq!(later(version).as_deref(), Some(next));
        }
        assert_eq!(later("one"), None);
    }

    #[test]
    fn a_pinned_or_used_up_range_is_refused_with_the_reason() {
        for (range, reason, part) in [
            ("1.2.3", "pinned_version", "pinned to version `1.2.3`"),
            ("= 1.2.3", "pinned_version", "give it a range"),
            ("latest!", "bad_version_range", "`latest!`"),
            ("<=1.2.3", "no_next_version", "version `1.2.3`"),
        ] {
            let error = next(range, &["1.2.3"]).unwrap_err();
            assert_eq!(error.reason, reason, "{error}");
            assert!(
                error.message.contains(part) && error.message.contains("HelmChart a/b"),
                "{error}"
            );
        }
    }
}
