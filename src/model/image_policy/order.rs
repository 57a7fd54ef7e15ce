//! The three orders of an image policy, and what each chooses.

use crate::model::image_policy::error::PolicyError;
use crate::model::image_policy::language::Side;
use crate::model::image_policy::number;
use crate::model::image_policy::range::Range;
use crate::model::image_policy::version::Version;
use serde_json::Value;

/// How an image policy orders what it gets.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// By version, within a range; with the range's text, for messages.
    Semver(Range, String),
    /// Byte by byte; what lies furthest on this side is chosen.
    Alphabetical(Side),
    /// As numbers; what lies furthest on this side is chosen.
    Numerical(Side),
}

// === impl Order ===

impl Order {
    /// Reads `spec.policy`; of several orders, Flux takes the first of these.
    pub(super) fn read(policy: &Value) -> Result<Self, PolicyError> {
        if policy["semver"].is_object() {
            let text = policy["semver"]["range"].as_str().unwrap_or_default();
            let range = Range::parse(text);
            let range = range.ok_or_else(|| PolicyError::BadRange { range: text.to_owned() })?;
            Ok(Self::Semver(range, text.to_owned()))
        } else if policy["alphabetical"].is_object() {
            side(&policy["alphabetical"]).map(Self::Alphabetical)
        } else if policy["numerical"].is_object() {
            side(&policy["numerical"]).map(Self::Numerical)
        } else {
            Err(PolicyError::NoOrder)
        }
    }

    /// Which of these values is chosen.
    pub(super) fn latest(&self, values: &[&str]) -> Result<Option<usize>, PolicyError> {
        if let Self::Numerical(_) = self
            && let Some(value) = values.iter().find(|it| number::read(it).is_none())
        {
            return Err(PolicyError::NotANumber { value: (*value).to_owned() });
        }
        let mut latest: Option<usize> = None;
        for (at, value) in values.iter().enumerate().filter(|(_, it)| self.takes(it)) {
            if latest.is_none_or(|latest| self.beats(value, values[latest])) {
                latest = Some(at);
            }
        }
        Ok(latest)
    }

    /// Whether a value can be chosen at all.
    pub(super) fn takes(&self, value: &str) -> bool {
        match self {
            Self::Semver(range, _) => Version::of_tag(value).is_some_and(|it| range.admits(&it)),
            Self::Alphabetical(_) => true,
            Self::Numerical(_) => number::read(value).is_some(),
        }
    }

    /// Whether of two values that can be chosen the first is.
    pub(super) fn is_above(&self, one: &str, other: &str) -> bool {
        match self {
            Self::Semver(..) => Version::of_tag(one) > Version::of_tag(other),
            Self::Alphabetical(Side::Above) => one > other,
            Self::Alphabetical(Side::Below) => one < other,
            Self::Numerical(Side::Above) => number::read(one) > number::read(other),
            Self::Numerical(Side::Below) => number::read(one) < number::read(other),
        }
    }

    /// Whether the later of two values is chosen: of equal versions the first is, of equal numbers
    /// the last.
    fn beats(&self, later: &str, first: &str) -> bool {
        match self {
            Self::Numerical(_) => !self.is_above(first, later),
            Self::Semver(..) | Self::Alphabetical(_) => self.is_above(later, first),
        }
    }

    /// On which side of the chosen tag the next one lies, in words.
    pub(super) fn side(&self) -> &'static str {
        match self {
            Self::Semver(..) | Self::Alphabetical(Side::Above) | Self::Numerical(Side::Above) => {
                "above"
            }
            Self::Alphabetical(Side::Below) | Self::Numerical(Side::Below) => "below",
        }
    }
}

fn side(order: &Value) -> Result<Side, PolicyError> {
    let order = order["order"].as_str().unwrap_or_default();
    match order.to_ascii_lowercase().as_str() {
        "" | "asc" => Ok(Side::Above),
        "desc" => Ok(Side::Below),
        _ => Err(PolicyError::BadOrder { order: order.to_owned() }),
    }
}
