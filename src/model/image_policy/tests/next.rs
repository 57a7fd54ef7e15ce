//! Which tag is computed for which policy, and why there is none for others.

use super::{canary, read, tags};
use crate::model::CanaryId;
use crate::model::image_policy::{Carries, canary_in};

/// Kind, range or order, pattern, extract, the tags that are there, the next one.
const NEXT: [(&str, &str, &str, &str, &str, &str); 47] = [
    // Versions, where the range admits no prereleases.
    ("semver", "1.x", "", "", "1.0.0 1.2.3 2.0.0 latest", "1.2.4"),
    ("semver", "1.x", "", "", "v1.2.3", "v1.2.4"),
    ("semver", "1.x", "", "", "", "1.0.0"),
    ("semver", "*", "", "", "", "0.0.0"),
    ("semver", "^0.2.3", "", "", "0.2.3 0.3.0", "0.2.4"),
    ("semver", "~1.2", "", "", "1.2.9", "1.2.10"),
    ("semver", ">=1.0.0 !=1.2.4", "", "", "1.2.3", "1.2.5"),
    ("semver", ">=1.0.0 !=1.2.x", "", "", "1.1.9 1.2.0", "1.1.10"),
    ("semver", "1.0.0 || >=2.0.0", "", "", "1.0.0", "2.0.0"),
    ("semver", "1.2 - 1.4", "", "", "1.4.7", "1.4.8"),
    // Those that do: the canary is a prerelease, below the next release of people's own.
    ("semver", ">=1.0.0-0", "", "", "1.2.3", "1.2.4-hopclock-1a1fbe67da8"),
    ("semver", ">=1.0.0-0 <2.0.0", "", "", "v1.2.3", "v1.2.4-hopclock-1a1fbe67da8"),
    ("semver", "*-0", "", "", "", "0.0.0-hopclock-1a1fbe67da8"),
    (
        "semver",
        ">=1.0.0-0",
        "",
        "",
        "1.2.3 1.2.4-hopclock-1a1fbe67da7",
        "1.2.4-hopclock-1a1fbe67da8",
    ),
    ("semver", ">=1.0.0-0", "", "", "1.2.3-rc.1", "1.2.3-rc.1.hopclock-1a1fbe67da8"),
    ("semver", ">1.2.3-alpha <1.2.3", "", "", "", "1.2.3-hopclock-1a1fbe67da8"),
    (
        "semver",
        ">=1.0.0-0",
        "",
        "",
        "1.2.3-rc.1.hopclock-1a1fbe67da7",
        "1.2.3-rc.1.hopclock-1a1fbe67da8",
    ),
    // Versions inside tags.
    ("semver", "1.x", "^(?P<v>.*)-alpine$", "$v", "1.2.3-alpine 1.9.0", "1.2.4-alpine"),
    (
        "semver",
        "1.x",
        "^(?P<v>[0-9.]+)-[a-z0-9-]+$",
        "$v",
        "1.2.3-abc",
        "1.2.4-hopclock-1a1fbe67da8",
    ),
    ("semver", ">=1.0.0-0", r"^1\.2\.[0-9]+-rc\.[0-9]+$", "", "1.2.3-rc.5", "1.2.3-rc.6"),
    ("semver", ">=0.0.0", r"^20\d\d\.\d{2}\.0$", "", "2026.11.0", "2026.12.0"),
    ("semver", ">=0.0.0", r"^20\d\d\.[1-9][0-9]\.0$", "", "2026.99.0", "2027.10.0"),
    ("semver", ">=0.0.0", r"^1\.[0-9]\.[0-9]0$", "", "1.8.90", "1.9.10"),
    ("semver", "*", r"^r(\d+)-(\d+)$", "$1.$2.0", "r1-2", "r1-3"),
    // Letters.
    ("alphabetical", "asc", "", "", "main-5 main-4", "main-5-hopclock-1a1fbe67da8"),
    ("alphabetical", "asc", "", "", "", "hopclock-1a1fbe67da8"),
    (
        "alphabetical",
        "asc",
        "",
        "",
        "main-5-hopclock-1a1fbe67da7 main-5",
        "main-5-hopclock-1a1fbe67da8",
    ),
    ("alphabetical", "asc", "^main-", "", "main-5 zzz", "main-5-hopclock-1a1fbe67da8"),
    ("alphabetical", "asc", "^RELEASE.[0-9]{4}$", "", "RELEASE.2024 RELEASE.2025", "RELEASE.2026"),
    ("alphabetical", "asc", "^[a-f0-9]+$", "", "abc", "abc0"),
    ("alphabetical", "desc", "", "", "main-5", "main-4-hopclock-1a1fbe67da8"),
    ("alphabetical", "desc", "^[a-c]{2}$", "", "bb", "ba"),
    (
        "alphabetical",
        "asc",
        "^(?P<d>[0-9]{8})-",
        "$d",
        "20261120-x",
        "20261121-hopclock-1a1fbe67da8",
    ),
    ("alphabetical", "desc", "", "", "main-4-hopclock-1a1fbe67da7", "main-3-hopclock-1a1fbe67da8"),
    ("alphabetical", "asc", "^[a-f0-9-]+$", "", "abc-1a1fbe67da7", "abc-1a1fbe67da8"),
    // Numbers.
    ("numerical", "asc", "", "", "1 2 10", "11"),
    ("numerical", "asc", "", "", "", "1"),
    ("numerical", "desc", "", "", "5", "4"),
    ("numerical", "desc", "", "", "1000", "999"),
    ("numerical", "asc", r"^\d{4}$", "", "0042", "0043"),
    ("numerical", "asc", r"^\d+\.\d+$", "", "1.27", "1.28"),
    (
        "numerical",
        "asc",
        "^main-[a-f0-9]+-(?P<ts>[0-9]+)$",
        "$ts",
        "main-abc-1700000001",
        "main-1a1fbe67da8-1700000002",
    ),
    (
        "numerical",
        "asc",
        "^main-[a-f0-9]{7}-(?P<ts>[0-9]+)$",
        "$ts",
        "main-abcdef0-999",
        "main-0000000-1000",
    ),
    ("numerical", "asc", "^b(?P<n>[0-9]*0)$", "$n", "b90", "b100"),
    ("numerical", "asc", "(?P<n>[0-9]+)$", "$n", "x-9", "hopclock-1a1fbe67da8-10"),
    ("numerical", "asc", "", "", "20240101123059001", "20240101123059004"),
    (
        "numerical",
        "asc",
        r"^(\d{4})-(\d{2})-(\d{2})",
        "$1$2$3",
        "2026-11-09",
        "2026-11-10-hopclock-1a1fbe67da8",
    ),
];

#[test]
fn the_next_tag_is_close_to_what_is_there_and_carries_the_canary_where_it_can() {
    let mut wrong = Vec::new();
    for (kind, argument, pattern, extract, there, expected) in NEXT {
        let policy = read(kind, argument, pattern, extract);
        let next = policy.next(&tags(there), &canary()).map(|it| it.tag);
        if next.as_deref() != Ok(expected) {
            wrong.push(format!("{kind} {argument} `{pattern}` {there}: {next:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn where_no_tag_can_follow_it_is_said_why() {
    for (kind, argument, pattern, extract, there, says) in [
        ("semver", "1.2.3", "", "", "1.2.3", "the range `1.2.3` admits no version above it"),
        ("semver", "<=1.2.3", "", "", "1.2.3", "no tag can follow `1.2.3`"),
        ("semver", "^0.0.3", "", "", "0.0.3", "the range `^0.0.3` admits no version above it"),
        ("semver", ">2 <1", "", "", "1.0.0", "of which the image policy chooses nothing"),
        ("semver", "1.x", r"^1\.2\.[0-3]$", "", "1.2.3", r"the pattern `^1\.2\.[0-3]$` lets none"),
        ("alphabetical", "asc", "^(?:a|b)$", "", "b", "the pattern `^(?:a|b)$` lets none through"),
        ("alphabetical", "desc", "", "", "-", "ordered below it"),
        ("alphabetical", "desc", "^main", "", "main", "lets none through that is ordered below it"),
        ("numerical", "desc", "", "", "0", "nothing that can be a tag is ordered below it"),
        ("numerical", "desc", "^b(?P<n>[0-9]+)$", "$n", "b0", "no tag can follow `b0`"),
        ("numerical", "asc", "^[0-9]{2}$", "", "99", "no tag can follow `99`"),
        ("numerical", "asc", "^b([0-9]+)$", "$2", "", "lets none through"),
    ] {
        let policy = read(kind, argument, pattern, extract);
        let all = if there == "-" { tags("0") } else { tags(there) };
        let all = if there == "-" { vec![all[0].replace('0', "-")] } else { all };
        let error = policy.next(&all, &canary()).expect_err(says);
        assert_eq!(error.reason(), "no_next_tag", "{kind} {argument} {pattern}: {error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_tag_says_how_much_of_the_canary_it_carries() {
    let carries = |kind, argument, pattern, extract, there| {
        read(kind, argument, pattern, extract).next(&tags(there), &canary()).unwrap().carries
    };
    assert_eq!(carries("alphabetical", "asc", "", "", "a"), Carries::Canary);
    let digits = ("^main-[a-f0-9]+-(?P<ts>[0-9]+)$", "$ts");
    assert_eq!(carries("numerical", "asc", digits.0, digits.1, "main-a-7"), Carries::Sequence);
    assert_eq!(carries("semver", "1.x", "", "", "1.2.3"), Carries::Nothing);
}

#[test]
fn a_canary_is_found_in_its_tag_again() {
    let found = |tag, instance| canary_in(tag, instance);
    assert_eq!(found("1.2.4-hopclock-1a1fbe67da8", "hopclock"), Some(canary()));
    assert_eq!(found("main-5-hopclock-1a1fbe67da8-x", "hopclock"), Some(canary()));
    let team = CanaryId::new("team/a", 0x1a1_fbe6_7da8);
    assert_eq!(found("b-team-a-1a1fbe67da8", "team/a"), Some(team));
    for other in ["shopclock-1a1fbe67da8", "hopclock-1a1f", "hopclock-1a1fbe67da8x", "latest"] {
        assert_eq!(found(other, "hopclock"), None, "{other}");
    }
}

#[test]
fn a_name_that_no_tag_can_hold_is_written_with_hyphens() {
    let canary = CanaryId::new("team/a", 0x1a1_fbe6_7da8);
    let next = read("alphabetical", "asc", "", "").next(&tags("x"), &canary).unwrap();
    assert_eq!(next.tag, "x-team-a-1a1fbe67da8");
    let next = read("semver", ">=0.0.1-0", "", "").next(&[], &CanaryId::new("a_b", 1 << 42));
    assert_eq!(next.unwrap().tag, "0.0.1-a-b-40000000000");
}
