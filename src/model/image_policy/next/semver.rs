//! Versions further on: the closest that the range admits, as a prerelease with the canary in it if
//! the range admits those.

use crate::model::image_policy::language::{Language, Side};
use crate::model::image_policy::next::{Marks, earlier};
use crate::model::image_policy::pattern::Pattern;
use crate::model::image_policy::range::Range;
use crate::model::image_policy::version::{Version, is_prerelease};
use std::cmp::Ordering;

/// How many more digits than those of the chosen version are tried for a number, and how many
/// without such a version: years have four.
const MORE_DIGITS: usize = 1;
const MORE_DIGITS_AT_FIRST: usize = 3;

/// Versions above the chosen one that the range admits.
pub(super) fn values<'a>(
    range: &'a Range,
    values: &'a Language,
    is_open: bool,
    chosen: Option<&'a str>,
    marks: &'a Marks,
) -> Box<dyn Iterator<Item = String> + 'a> {
    let now = chosen.and_then(Version::of_tag);
    let with_v = chosen.is_some_and(|it| it.starts_with('v'));
    let prefixes = if with_v { ["v", ""] } else { ["", "v"] };
    let floor = now.clone();
    let fits = move |it: &Version| floor.as_ref().is_none_or(|now| it > now) && range.admits(it);
    let near = near(range, now.as_ref(), marks);
    let near = near.into_iter().filter(fits.clone());
    let near = near
        .flat_map(move |version| prefixes.map(|prefix| format!("{prefix}{version}")))
        .filter(|it| values.contains(it));
    // Where no pattern stands in the way, one of the near ones does, or none.
    let starts = if is_open { Vec::new() } else { starts(range, now.as_ref()) };
    let more = if now.is_some() { MORE_DIGITS } else { MORE_DIGITS_AT_FIRST };
    let far = prefixes.into_iter().flat_map(move |prefix| {
        starts.clone().into_iter().flat_map(move |start| beyond(values, prefix, start, more))
    });
    let far = far.filter(move |it| Version::of_tag(it).is_some_and(|it| fits(&it)));
    Box::new(near.chain(far))
}

/// Versions that one would think of, the closest first.
fn near(range: &Range, now: Option<&Version>, marks: &Marks) -> Vec<Version> {
    let mut cores = starts(range, now);
    if let Some(now) = now {
        cores.extend(now.steps());
        cores.push(now.core);
    }
    for bound in range.bounds() {
        cores.extend(bound.steps());
    }
    cores.extend([[0, 0, 1], [0, 1, 0], [1, 0, 0]]);
    cores.sort_unstable();
    cores.dedup();
    cores.retain(|it| now.is_none_or(|now| *it >= now.core));
    let mut versions = Vec::new();
    for core in cores {
        let of_bounds = range.bounds().filter(|it| it.core == core);
        let known: Vec<_> = of_bounds.chain(now.filter(|it| it.core == core)).collect();
        let known = known.into_iter().map(|it| it.pre.as_str()).filter(|it| !it.is_empty());
        let mut prereleases = vec![canary(&marks.canary)];
        for pre in known {
            prereleases.extend(renewed(pre, marks));
            prereleases.push(format!("{pre}.{}", canary(&marks.canary)));
            prereleases.extend(bumped(pre));
            prereleases.push(format!("{pre}.0"));
        }
        let prereleases = prereleases.into_iter().filter(|it| is_prerelease(it));
        versions.extend(prereleases.map(|pre| Version { core, pre }));
        versions.push(Version::release(core));
    }
    versions
}

/// The canary's id as one identifier of a prerelease.
fn canary(id: &str) -> String {
    id.replace(['.', '_'], "-")
}

/// A prerelease with this canary in the place of an earlier one.
fn renewed(pre: &str, marks: &Marks) -> Option<String> {
    let canary = canary(&marks.canary);
    let place = earlier(pre, canary.strip_suffix(&marks.sequence)?, &marks.sequence)?;
    Some(format!("{}{canary}{}", &pre[..place.start], &pre[place.end..]))
}

/// A prerelease with one of its numbers one higher, the last first.
fn bumped(pre: &str) -> Vec<String> {
    let parts: Vec<_> = pre.split('.').collect();
    let bump = |at: usize| {
        let number = parts[at].parse::<u64>().ok()?.checked_add(1)?.to_string();
        let mut parts = parts.clone();
        parts[at] = &number;
        Some(parts.join("."))
    };
    (0..parts.len()).rev().filter_map(bump).collect()
}

/// Where a search may begin: at the chosen version, else at the bounds, and at those above it.
fn starts(range: &Range, now: Option<&Version>) -> Vec<[u64; 3]> {
    let mut starts = vec![now.map_or([0, 0, 0], |it| it.core)];
    starts.extend(range.bounds().map(|it| it.core));
    starts.retain(|it| now.is_none_or(|now| *it >= now.core));
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// The closest versions of any shape that the pattern lets through, from a core on: numbers with
/// equally many digits are ordered as texts are.
fn beyond<'a>(
    values: &'a Language,
    prefix: &'static str,
    start: [u64; 3],
    more: usize,
) -> impl Iterator<Item = String> + 'a {
    let extras = ["", "-[0-9A-Za-z.-]+"].into_iter().filter_map(move |extra| {
        let any = format!(r"^{prefix}[0-9]+\.[0-9]+\.[0-9]+{extra}$");
        let values = values.clone().matching(Pattern::parse(&any).ok()?.hir())?;
        values.shortest(None).map(|_| (extra, values))
    });
    extras.flat_map(move |(extra, values)| {
        let digits = start.map(|it| it.to_string().len());
        shapes(digits, more).flat_map(move |lengths| {
            let numbers = lengths.map(|it| match it {
                1 => "[0-9]".to_owned(),
                it => format!("[1-9][0-9]{{{}}}", it - 1),
            });
            let pattern = format!("^{prefix}{}{extra}$", numbers.join(r"\."));
            let pattern = Pattern::parse(&pattern).ok();
            let language = pattern.and_then(|it| values.clone().matching(it.hir()));
            let bound = format!("{prefix}{}", bound(start, digits, lengths).join("."));
            let closest =
                |inclusive| language.as_ref()?.closest(Side::Above, &bound, inclusive, None);
            let at_bound = closest(true).filter(|it| *it == bound);
            [at_bound, closest(false)].into_iter().flatten()
        })
    })
}

/// How many digits the three numbers may have.
fn shapes(digits: [usize; 3], more: usize) -> impl Iterator<Item = [usize; 3]> {
    let major = digits[0]..=digits[0] + more;
    major.flat_map(move |a| {
        (1..=digits[1] + more).flat_map(move |b| (1..=digits[2] + more).map(move |c| [a, b, c]))
    })
}

/// The lowest numbers with these lengths that are not below a core. After a longer number the
/// lowest ones are enough; a shorter number asks for more in one before it.
fn bound(start: [u64; 3], digits: [usize; 3], lengths: [usize; 3]) -> [String; 3] {
    let mut so_far = Ordering::Equal;
    [0, 1, 2].map(|at| {
        so_far = so_far.then(lengths[at].cmp(&digits[at]));
        match so_far {
            Ordering::Equal => start[at].to_string(),
            Ordering::Less => "9".repeat(lengths[at]),
            Ordering::Greater if lengths[at] == 1 => "0".to_owned(),
            Ordering::Greater => format!("1{}", "0".repeat(lengths[at] - 1)),
        }
    })
}
