//! Why no tag can be computed for a policy: one sentence each, with what to do.

/// A policy that cannot be used for canaries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It names no order.
    #[error(
        "the image policy has none of `semver`, `alphabetical` and `numerical` under `policy`: \
         give it one"
    )]
    NoOrder,
    /// The order is none that Flux knows.
    #[error("the image policy's order `{order}` is neither `asc` nor `desc`: give it one of them")]
    BadOrder {
        /// The order.
        order: String,
    },
    /// The range cannot be read.
    #[error(
        "the image policy's range `{range}` cannot be read: write one like `>=1.0.0 <2.0.0` or \
         `1.x`"
    )]
    BadRange {
        /// The range.
        range: String,
    },
    /// A pattern cannot be read.
    #[error("the pattern `{pattern}` in `{field}` cannot be read ({why}): mend it")]
    BadPattern {
        /// Where it stands.
        field: &'static str,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// The policy orders numbers, and what it gets is none: Flux chooses nothing at all then.
    #[error(
        "the image policy orders numbers, and `{value}`, which it takes from a tag, is none: narrow \
         `filterTags.pattern` or extract only the digits"
    )]
    NotANumber {
        /// What should be a number.
        value: String,
    },
    /// The patterns are too large to be searched.
    #[error("the pattern `{pattern}` is too large to compute a tag from it: write a smaller one")]
    TooLarge {
        /// The pattern.
        pattern: String,
    },
    /// The range admits no version above the one that is chosen now.
    #[error(
        "no tag can follow {}: the range `{range}` admits no version above it; widen the range, or \
         give canaries a policy and repository of their own", chosen(.now.as_deref())
    )]
    RangeExhausted {
        /// The range.
        range: String,
        /// The tag that is chosen now.
        now: Option<String>,
    },
    /// There are tags further on, but none that the pattern matches.
    #[error(
        "no tag can follow {}: `filterTags` with the pattern `{pattern}` lets none through that is \
         ordered {side} it; widen the pattern, or give canaries a policy and repository of their \
         own", chosen(.now.as_deref())
    )]
    PatternExhausted {
        /// The pattern.
        pattern: String,
        /// The tag that is chosen now.
        now: Option<String>,
        /// On which side the tag would have to lie.
        side: &'static str,
    },
    /// There is nothing further on.
    #[error(
        "no tag can follow {}: nothing that can be a tag is ordered {side} it; use the other order, \
         or give canaries a policy and repository of their own", chosen(.now.as_deref())
    )]
    Exhausted {
        /// The tag that is chosen now.
        now: Option<String>,
        /// On which side the tag would have to lie.
        side: &'static str,
    },
}

impl PolicyError {
    /// The bounded word for labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoOrder
            | Self::BadOrder { .. }
            | Self::BadRange { .. }
            | Self::BadPattern { .. } => "bad_image_policy",
            Self::NotANumber { .. } => "image_policy_fails",
            Self::TooLarge { .. } => "image_policy_too_large",
            Self::RangeExhausted { .. }
            | Self::PatternExhausted { .. }
            | Self::Exhausted { .. } => "no_next_tag",
        }
    }
}

fn chosen(now: Option<&str>) -> String {
    match now {
        Some(tag) => format!("`{tag}`, which the image policy chooses now"),
        None => "what is there now, of which the image policy chooses nothing".to_owned(),
    }
}
