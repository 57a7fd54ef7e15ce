//! The tag that a policy will choose next.
//!
//! First a value is looked for that the policy orders above all others, then a tag from which the
//! policy takes that value. Each order has its own way of looking; the last word always has the
//! policy, which is asked what it chooses among the tags and the new one.

mod alphabetical;
mod numerical;
mod semver;
mod space;

use crate::model::CanaryId;
use crate::model::image_policy::error::PolicyError;
use crate::model::image_policy::language::Language;
use crate::model::image_policy::order::Order;
use crate::model::image_policy::{Carries, ImagePolicy, NextTag};
use space::Space;
use std::ops::Range;

/// Most values that are tried.
const MOST_TRIES: usize = 200;

/// What of a canary may stand in a tag, the best first.
pub(super) struct Marks {
    canary: String,
    sequence: String,
}

// === impl Marks ===

impl Marks {
    fn of(canary: &CanaryId) -> Self {
        let sequence = CanaryId::new("", canary.sequence()).to_string();
        Self { canary: legal(&canary.to_string()), sequence }
    }

    /// Every mark that a text could be asked to hold, and none at last.
    fn wishes(&self) -> [Option<&str>; 3] {
        [Some(&self.canary), Some(&self.sequence), None]
    }

    fn carried_by(&self, tag: &str) -> Carries {
        let stands = |mark: &str| {
            let mut places = tag.match_indices(mark).map(|(at, _)| at..at + mark.len());
            places.any(|it| is_word(tag, &it))
        };
        match () {
            () if stands(&self.canary) => Carries::Canary,
            () if stands(&self.sequence) => Carries::Sequence,
            () => Carries::Nothing,
        }
    }

    /// Where an earlier canary of the same instance stands in a text, or else an earlier sequence,
    /// and what of this one belongs there.
    fn earlier(&self, text: &str) -> Option<(Range<usize>, &str)> {
        [&self.canary, &self.sequence].into_iter().find_map(|mark| {
            let instance = mark.strip_suffix(&self.sequence)?;
            let place = earlier(text, instance, &self.sequence)?;
            Some((place, mark.as_str()))
        })
    }
}

/// Where this instance's mark with an earlier sequence stands as a word of its own.
fn earlier(text: &str, instance: &str, sequence: &str) -> Option<Range<usize>> {
    let hex = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    text.match_indices(instance).map(|(at, _)| at).find_map(|at| {
        let digits = at + instance.len()..at + instance.len() + sequence.len();
        let found = text.get(digits.clone())?;
        let place = at..digits.end;
        let is_earlier = found.bytes().all(hex) && found < sequence;
        (is_earlier && is_word(text, &place)).then_some(place)
    })
}

fn is_word(text: &str, place: &Range<usize>) -> bool {
    let part = |it: char| it.is_ascii_alphanumeric();
    !text[..place.start].ends_with(part) && !text[place.end..].starts_with(part)
}

pub(super) fn next(
    policy: &ImagePolicy,
    tags: &[String],
    canary: &CanaryId,
) -> Result<NextTag, PolicyError> {
    let now = policy.chosen(tags)?.map(str::to_owned);
    let chosen = now.as_deref().and_then(|it| policy.candidate(it)).map(|it| it.value);
    let marks = Marks::of(canary);
    let space = Space::of(policy)?;
    if let Some(tag) = find(policy, &space, tags, chosen.as_deref(), &marks) {
        return Ok(NextTag { carries: marks.carried_by(&tag), tag });
    }
    let unfiltered = ImagePolicy { filter: None, ..policy.clone() };
    let open = Space::of(&unfiltered)?;
    let further = values(&policy.order, &open, chosen.as_deref(), &marks).next().is_some();
    Err(match (&policy.order, &policy.filter) {
        (_, Some(filter)) if further => {
            let (pattern, side) = (filter.text.clone(), policy.order.side());
            PolicyError::PatternExhausted { pattern, now, side }
        }
        (Order::Semver(_, range), _) => PolicyError::RangeExhausted { range: range.clone(), now },
        (order, _) => PolicyError::Exhausted { now, side: order.side() },
    })
}

/// The first tag that proves right.
fn find(
    policy: &ImagePolicy,
    space: &Space,
    tags: &[String],
    chosen: Option<&str>,
    marks: &Marks,
) -> Option<String> {
    let values = values(&policy.order, space, chosen, marks).take(MOST_TRIES);
    let mut all = values.flat_map(|value| space.tags_for(&value, marks));
    all.find(|tag| is_chosen(policy, tags, chosen, tag))
}

/// Whether a tag that is not there yet would be chosen. The policy orders its value strictly above
/// the chosen one, so that no order among equals matters.
fn is_chosen(policy: &ImagePolicy, tags: &[String], chosen: Option<&str>, tag: &str) -> bool {
    let Some(candidate) = policy.candidate(tag) else { return false };
    let takes = |it: &str| policy.order.takes(it);
    let above = |it: &str| policy.order.is_above(&candidate.value, it);
    is_a_tag(tag)
        && takes(&candidate.value)
        && chosen.is_none_or(above)
        && !tags.iter().any(|it| it == tag)
}

/// Values beyond the chosen one that some tag may stand for, the best first.
fn values<'a>(
    order: &'a Order,
    space: &'a Space,
    chosen: Option<&'a str>,
    marks: &'a Marks,
) -> impl Iterator<Item = String> + 'a {
    let of = move |values: &'a Language| match order {
        Order::Semver(range, _) => semver::values(range, values, space.is_open(), chosen, marks),
        Order::Alphabetical(side) => alphabetical::values(*side, values, chosen, marks),
        Order::Numerical(side) => numerical::values(*side, values, chosen),
    };
    space.values().iter().flat_map(of)
}

/// Whether a registry takes it as a tag.
fn is_a_tag(text: &str) -> bool {
    Language::of_tags().contains(text) && !text.is_empty()
}

/// A text of which only what may stand in a tag is left as it is.
pub(super) fn legal(text: &str) -> String {
    let part = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    text.chars().map(|it| if part(it) { it } else { '-' }).collect()
}
