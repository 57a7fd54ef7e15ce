//! What an `ImagePolicy` chooses among tags, and which tag it would choose next.
//!
//! A canary is no use if the policy passes it by. So its tag is computed from the policy itself,
//! and the answer is checked by asking the policy: it chooses the new tag among all there are.

mod error;
mod language;
mod next;
mod number;
mod order;
mod pattern;
mod range;
mod template;
#[cfg(test)]
mod tests;
mod version;

use crate::model::CanaryId;
use order::Order;
use pattern::Pattern;
use serde_json::Value;
use std::collections::HashMap;
use template::Template;

pub use error::PolicyError;

/// What an `ImageRepository` leaves out unless it says otherwise.
const EXCLUDED_BY_DEFAULT: &str = r"^.*\.sig$";

/// A policy by which Flux chooses one of an image's tags.
#[derive(Clone, Debug)]
pub struct ImagePolicy {
    order: Order,
    filter: Option<Filter>,
    excluded: Vec<Pattern>,
}

/// A tag that a policy will choose as soon as it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextTag {
    /// The tag.
    pub tag: String,
    /// How much of the canary's id stands in it.
    pub carries: Carries,
}

/// How much of a canary's id a tag could take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// The whole id.
    Canary,
    /// The digits of its sequence.
    Sequence,
    /// Nothing: only the tag as a whole says whose it is.
    Nothing,
}

/// `filterTags`.
#[derive(Clone, Debug)]
struct Filter {
    pattern: Pattern,
    /// The text of the pattern, for messages.
    text: String,
    extract: Option<Template>,
}

/// What a policy orders, and the tag that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    value: String,
    tag: String,
}

// === impl ImagePolicy ===

impl ImagePolicy {
    /// Reads the `spec` of an `ImagePolicy` and that of its `ImageRepository`, of which only
    /// `exclusionList` counts.
    ///
    /// # Errors
    /// When Flux would not take the policy either, or a pattern is too large.
    pub fn read(policy: &Value, repository: &Value) -> Result<Self, PolicyError> {
        let order = Order::read(&policy["policy"])?;
        let filter = match &policy["filterTags"] {
            Value::Null => None,
            filter => Some(Filter::read(filter)?),
        };
        let by_default = vec![Value::from(EXCLUDED_BY_DEFAULT)];
        let excluded = repository["exclusionList"].as_array().unwrap_or(&by_default);
        let excluded = excluded.iter().filter_map(Value::as_str).map(|text| {
            let bad = |why| PolicyError::BadPattern {
                field: "exclusionList",
                pattern: text.to_owned(),
                why,
            };
            Pattern::parse(text).map_err(bad)
        });
        Ok(Self { order, filter, excluded: excluded.collect::<Result<_, _>>()? })
    }

    /// The tag that the policy chooses among these; none where it fits none.
    ///
    /// # Errors
    /// When the policy fails on them: one is no number, and the policy orders numbers.
    pub fn chosen<'a>(&self, tags: &'a [String]) -> Result<Option<&'a str>, PolicyError> {
        let candidates = self.candidates(tags);
        let values: Vec<_> = candidates.iter().map(|it| it.value.as_str()).collect();
        let latest = self.order.latest(&values)?;
        let tag = latest.map(|at| candidates[at].tag.as_str());
        Ok(tag.and_then(|tag| tags.iter().map(String::as_str).find(|it| *it == tag)))
    }

    /// Whether the policy prefers one tag to another; a tag that it does not fit is never
    /// preferred, and any that it fits is preferred to it.
    #[must_use]
    pub fn prefers(&self, tag: &str, to: &str) -> bool {
        let one = self.candidate(tag).filter(|it| self.order.takes(&it.value));
        let other = self.candidate(to).filter(|it| self.order.takes(&it.value));
        match (one, other) {
            (Some(one), Some(other)) => self.order.is_above(&one.value, &other.value),
            (one, _) => one.is_some(),
        }
    }

    /// Whether the policy could choose a tag, were it the only one.
    #[must_use]
    pub fn admits(&self, tag: &str) -> bool {
        self.candidate(tag).is_some_and(|it| self.order.takes(&it.value))
    }

    /// A tag that is not there, and that the policy will choose once it is: with the canary's id
    /// in it if the policy leaves room for that.
    ///
    /// # Errors
    /// With an explanation when there can be no such tag, and when the policy fails already.
    pub fn next(&self, tags: &[String], canary: &CanaryId) -> Result<NextTag, PolicyError> {
        next::next(self, tags, canary)
    }

    /// What is ordered, in the order of the tags; of those with the same value, the last one.
    fn candidates(&self, tags: &[String]) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for candidate in tags.iter().filter_map(|it| self.candidate(it)) {
            if let Some(at) = places.get(&candidate.value) {
                found[*at] = candidate;
            } else {
                places.insert(candidate.value.clone(), found.len());
                found.push(candidate);
            }
        }
        found
    }

    /// What the policy orders of a tag; none if the tag does not come so far.
    fn candidate(&self, tag: &str) -> Option<Candidate> {
        if self.excluded.iter().any(|it| it.matches(tag)) {
            return None;
        }
        let value = match &self.filter {
            Some(filter) => filter.value(tag)?,
            None => tag.to_owned(),
        };
        Some(Candidate { value, tag: tag.to_owned() })
    }
}

// === impl Filter ===

impl Filter {
    fn read(filter: &Value) -> Result<Self, PolicyError> {
        let text = filter["pattern"].as_str().unwrap_or_default();
        let pattern = Pattern::parse(text).map_err(|why| PolicyError::BadPattern {
            field: "filterTags.pattern",
            pattern: text.to_owned(),
            why,
        })?;
        let extract = filter["extract"].as_str().filter(|it| !it.is_empty());
        let extract = extract.map(|it| Template::parse(it, &pattern.groups()));
        Ok(Self { pattern, text: text.to_owned(), extract })
    }

    fn value(&self, tag: &str) -> Option<String> {
        let groups = self.pattern.captures(tag)?;
        Some(match &self.extract {
            Some(extract) => extract.expand(|it| groups.get(it).copied().unwrap_or_default()),
            None => tag.to_owned(),
        })
    }
}

/// The canary that a tag carries: the id of this instance, as a word of its own.
#[must_use]
pub fn canary_in(tag: &str, instance: &str) -> Option<CanaryId> {
    let name = next::legal(instance);
    let starts = tag.match_indices(&name).map(|(at, _)| at);
    starts.filter(|at| !tag[..*at].ends_with(|it: char| it.is_ascii_alphanumeric())).find_map(
        |at| {
            let digits = match tag[at + name.len()..].strip_prefix('-') {
                Some(digits) => digits,
                None if name.is_empty() => &tag[at..],
                None => return None,
            };
            let end = digits.find(|it: char| !it.is_ascii_alphanumeric()).unwrap_or(digits.len());
            let id: CanaryId = format!("i-{}", &digits[..end]).parse().ok()?;
            Some(CanaryId::new(instance, id.sequence()))
        },
    )
}
