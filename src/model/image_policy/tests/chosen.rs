//! What policies choose, compared with what Flux chooses.

use super::{policy, read, tags};
use crate::model::image_policy::{ImagePolicy, PolicyError};
use serde_json::json;

/// What the policies of image-reflector-controller v1.2.4 chose, run as they are, on made-up
/// ranges, patterns and tags: kind, range or order, pattern, extract, tags, the chosen one, and
/// whether instead of that the policy or the tags were refused.
const CHOSEN: &str = include_str!("chosen.json");

#[test]
fn a_policy_chooses_what_flux_chooses() {
    let rows: Vec<[String; 7]> = serde_json::from_str(CHOSEN).unwrap();
    assert!(rows.len() > 700);
    let mut wrong = Vec::new();
    for row in rows {
        let [kind, argument, pattern, extract, all, chosen, refused] = &row;
        let all = tags(all);
        let answer = ImagePolicy::read(&policy(kind, argument, pattern, extract), &json!({}));
        let answer = match answer.map(|it| it.chosen(&all).map(|it| it.map(str::to_owned))) {
            Err(_) => ("", "policy"),
            Ok(Err(_) | Ok(None)) => ("", "tags"),
            Ok(Ok(Some(tag))) => (&*tag.leak(), ""),
        };
        if answer != (chosen, refused) {
            wrong.push(format!("{row:?}: {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_the_repository_excludes_is_not_chosen() {
    let spec = policy("alphabetical", "asc", "", "");
    let all = tags("a b z.sig sha256-1.sig");
    let by_default = ImagePolicy::read(&spec, &json!({})).unwrap();
    assert_eq!(by_default.chosen(&all), Ok(Some("b")));
    let own = ImagePolicy::read(&spec, &json!({"exclusionList": ["^b$"]})).unwrap();
    assert_eq!(own.chosen(&all), Ok(Some("z.sig")));
    let none = ImagePolicy::read(&spec, &json!({"exclusionList": []})).unwrap();
    assert_eq!(none.chosen(&all), Ok(Some("z.sig")));
}

#[test]
fn t9_a_tag_that_is_preferred_to_ours_is_told_from_one_that_is_not() {
    let semver = read("semver", "1.x", "", "");
    assert!(semver.prefers("1.3.0", "1.2.9"));
    assert!(!semver.prefers("1.2.8", "1.2.9") && !semver.prefers("1.2.9", "1.2.9"));
    assert!(!semver.prefers("2.0.0", "1.2.9") && semver.prefers("1.0.0", "2.0.0"));
    let down = read("numerical", "desc", "^b(?P<n>[0-9]+)$", "$n");
    assert!(down.prefers("b7", "b10") && !down.prefers("b11", "b10") && !down.prefers("c1", "b10"));
}

#[test]
fn policies_that_flux_would_not_take_are_refused() {
    let read = |spec| ImagePolicy::read(&spec, &json!({})).unwrap_err();
    assert_eq!(read(json!({"policy": {}})), PolicyError::NoOrder);
    for (spec, says) in [
        (policy("semver", "latest", "", ""), "the image policy's range `latest` cannot be read"),
        (policy("numerical", "up", "", ""), "order `up` is neither `asc` nor `desc`"),
        (policy("numerical", "asc", "(x", ""), "`(x` in `filterTags.pattern` cannot be read"),
    ] {
        let error = read(spec);
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.reason(), "bad_image_policy");
    }
}

#[test]
fn a_policy_that_orders_numbers_fails_on_a_tag_that_is_none() {
    let policy = read("numerical", "asc", "", "");
    let error = policy.chosen(&tags("1 2 latest")).unwrap_err();
    assert_eq!(error, PolicyError::NotANumber { value: "latest".to_owned() });
}
