//! Whatever the policy and the tags: the tag that is computed is the one that is chosen, and where
//! none is computed there is none.

use super::{canary, read};
use crate::model::CanaryId;
use crate::model::image_policy::ImagePolicy;
use proptest::prelude::*;

/// Kind, range or order, pattern, extract.
const POLICIES: [(&str, &str, &str, &str); 24] = [
    ("semver", "*", "", ""),
    ("semver", ">=1.0.0-0", "", ""),
    ("semver", "^1.2", "", ""),
    ("semver", "~1.2.3 || >=3.0.0-beta <4", "", ""),
    ("semver", "!=1.1.x", "", ""),
    ("semver", ">=0.0.0-0", r"^v?\d+\.\d+\.\d+(-rc\.\d+)?$", ""),
    ("semver", "*", r"^(?P<v>\d+\.\d+\.\d+)-", "$v"),
    ("semver", "*", r"^(\d+)-(\d+)", "$1.$2.0"),
    ("semver", "*-0", r"^(\d+)-(\d+)", "$1.0.0-$2"),
    ("alphabetical", "asc", "", ""),
    ("alphabetical", "desc", "", ""),
    ("alphabetical", "asc", "^[a-m]", ""),
    ("alphabetical", "desc", "-[a-z0-9]+$", ""),
    ("alphabetical", "asc", "^(?P<a>.*)-(?P<b>.*)$", "$b-$a"),
    ("alphabetical", "asc", "^(a|b)?", "$1"),
    ("numerical", "asc", r"^\d+$", ""),
    ("numerical", "desc", r"^\d+$", ""),
    ("numerical", "asc", r"^\d+\.\d+$", ""),
    ("numerical", "desc", r"-(\d+\.\d+)", "$1"),
    ("numerical", "asc", "(?P<n>[0-9]+)$", "$n"),
    ("numerical", "asc", "^[a-z]+-[0-9a-f]+-(?P<n>[0-9]+)$", "$n"),
    ("numerical", "desc", "^x(?P<n>-?[0-9]+)$", "$n"),
    ("numerical", "asc", "^x(?P<n>-?[0-9]+)$", "$n"),
    ("numerical", "asc", r"^(\d)(\d)", "$2$1"),
];

/// Patterns of which all tags of up to three letters are few enough to be tried, and what is
/// extracted.
const SMALL: [(&str, &str); 8] = [
    ("^[ab]{1,3}$", ""),
    ("^(?:a|bb|ccc)$", ""),
    ("^a+$|^b$", ""),
    ("^[abc][ab]c?$", ""),
    ("^(a|b)(c|a)?$", "$2$1"),
    ("^(?P<x>[ab]+)c?$", "$x"),
    ("^.(.).?$", "$1"),
    ("^[^a]b*$", ""),
];

fn tag() -> impl Strategy<Value = String> {
    prop_oneof![
        r"v?[0-3]\.[0-9]{1,2}\.[0-4](-(rc\.[0-9]|alpha|hopclock-1a1fbe67da[0-9]))?",
        r"[0-9]{1,4}-[0-9]{1,3}",
        r"[0-9]{1,18}",
        r"[0-9]{1,3}\.[0-9]{1,3}",
        r"[a-zA-Z_][a-z0-9._-]{0,8}",
        r"[a-z]{1,4}-[0-9a-f]{1,7}-[0-9]{1,10}",
        r"x-?[0-9]{1,3}",
        r"[0-3]\.[0-9]\.[0-9]-alpine",
    ]
}

fn three_letters() -> Vec<String> {
    let longer = |all: &[String]| -> Vec<String> {
        let letters = ["", "a", "b", "c"];
        all.iter().flat_map(|it| letters.map(|letter| format!("{it}{letter}"))).collect()
    };
    let all = longer(&longer(&longer(&[String::new()])));
    let mut all: Vec<_> = all.into_iter().filter(|it| !it.is_empty()).collect();
    all.sort();
    all.dedup();
    all
}

fn choose(policy: &ImagePolicy, tags: &[String]) -> Option<String> {
    policy.chosen(tags).ok().flatten().map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_next_tag_is_the_one_that_is_chosen(
        which in 0..POLICIES.len(),
        all in prop::collection::vec(tag(), 0..8),
    ) {
        let (kind, argument, pattern, extract) = POLICIES[which];
        let policy = read(kind, argument, pattern, extract);
        if policy.chosen(&all).is_err() {
            prop_assert!(policy.next(&all, &canary()).is_err());
            return Ok(());
        }
        let next = match policy.next(&all, &canary()) {
            Ok(next) => next.tag,
            Err(why) => {
                // What is missing here is room: below `0`, or beyond two digits.
                let may_end = argument == "desc" || pattern == r"^(\d)(\d)" || argument == "*-0"
                    || pattern == "^(a|b)?";
                prop_assert!(may_end, "{why} {all:?}");
                return Ok(());
            }
        };
        prop_assert!(!all.contains(&next), "{next} is there already");
        for at in [0, all.len() / 2, all.len()] {
            let mut with = all.clone();
            with.insert(at, next.clone());
            prop_assert_eq!(choose(&policy, &with), Some(next.clone()));
        }
        for tag in &all {
            prop_assert!(policy.prefers(&next, tag), "{next} is not preferred to {tag}");
        }
    }

    #[test]
    fn where_no_tag_is_computed_there_is_none(
        which in 0..SMALL.len(),
        side in prop::sample::select(vec!["asc", "desc"]),
        all in prop::collection::vec("[abc]{1,3}", 0..4),
    ) {
        let (pattern, extract) = SMALL[which];
        let policy = read("alphabetical", side, pattern, extract);
        let next = policy.next(&all, &canary());
        let possible = three_letters().into_iter().find(|tag| {
            let mut with = all.clone();
            with.push(tag.clone());
            !all.contains(tag)
                && policy.candidate(tag).is_some()
                && all.iter().all(|it| policy.prefers(tag, it))
        });
        match (&next, possible) {
            (Err(why), Some(tag)) => prop_assert!(false, "{why}, but `{tag}` can: {all:?}"),
            (Ok(next), _) => {
                let mut with = all.clone();
                with.push(next.tag.clone());
                prop_assert_eq!(choose(&policy, &with), Some(next.tag.clone()));
            }
            (Err(_), None) => {}
        }
    }
}

#[test]
fn runs_one_after_the_other_each_find_their_tag_and_tags_do_not_grow() {
    for (kind, argument, pattern, extract) in POLICIES {
        let policy = read(kind, argument, pattern, extract);
        let mut all = Vec::new();
        for run in 0..12 {
            let canary = CanaryId::new("hopclock", 0x1a1_fbe6_7da8 + run * 60_000);
            let Ok(next) = policy.next(&all, &canary) else {
                let is_small = pattern == "^(a|b)?" || pattern == r"^(\d)(\d)";
                assert!(is_small, "{pattern} {all:?}");
                break;
            };
            all.push(next.tag.clone());
            assert_eq!(choose(&policy, &all), Some(next.tag));
        }
        let grown = all.last().unwrap().len().saturating_sub(all[0].len());
        assert!(grown <= 3, "{kind} {argument} {pattern}: {all:?}");
    }
}
