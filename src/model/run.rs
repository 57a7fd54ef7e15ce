//! What is kept of a run: how it ended, and when it passed which hop.
//!
//! All times are lengths since zero, the acknowledgement of the push (rule T1).

use crate::model::{CanaryId, Outcome, Revision, SloVerdict, Usage, Via, Webhook};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A length of time with its bounds; equal where it is exact.
///
/// Written as seconds: a number where it is exact, else an object of `least` and `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenSpan", into = "WrittenSpan")]
pub struct Span {
    /// It was not shorter than this.
    pub least: Duration,
    /// It was not longer than this; the length itself where it is exact.
    pub most: Duration,
}

/// A [`Span`] as it is written, in seconds.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenSpan {
    Exact(f64),
    Between { least: f64, most: f64 },
}

/// What is kept of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The scenario.
    pub scenario: String,
    /// The change's mark; also the name of the run.
    pub canary: CanaryId,
    /// Wall time at which the run started.
    pub started: jiff::Timestamp,
    /// The push; none if nothing was pushed.
    pub push: Option<Push>,
    /// The hops, in the order of the scenario.
    pub hops: Vec<HopRecord>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// From zero to the end of delivery (rule P4): the deadline for a timeout, the failure for
    /// one that was final; none where nothing was measured.
    pub push_to_apply: Option<Span>,
    /// How far the bounds of a time may be apart for its upper bound to be observed (rule T6).
    #[serde(with = "seconds")]
    pub tolerance: Duration,
    /// The first failure that counted.
    pub failing_since: Option<FailureRecord>,
    /// What it says of each objective.
    pub slo: Vec<SloRecord>,
    /// What it has asked of the remote that it pushes to, without what tidying up behind it does;
    /// nothing in records of versions that did not count. Of a run that was taken up again, what the
    /// last process asked.
    #[serde(default)]
    pub usage: Usage,
}

/// The push of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// What was pushed.
    pub revisions: Vec<Revision>,
    /// From sending to the acknowledgement.
    pub took: Span,
    /// How often it was sent; more than one if others pushed meanwhile.
    pub attempts: u32,
}

/// What is kept of a hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HopRecord {
    /// The hop's name.
    pub hop: String,
    /// What was looked at.
    pub subject: String,
    /// The subject's cluster, as the label `target_cluster`.
    pub target_cluster: String,
    /// What came of it.
    #[serde(flatten)]
    pub passage: Passage,
    /// The subject lost the change again before the run ended (rule P11).
    pub reverted: bool,
    /// It was not seen, and who should have heard of it was suspended or not ready meanwhile: the
    /// Receiver of a webhook.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unready: bool,
    /// Every sight of the change, where more than one subject could show the hop; the first one is
    /// its passage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sights: Vec<Sight>,
}

/// Where and when a change was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// What showed it.
    pub subject: String,
    /// From zero.
    pub at: Span,
}

/// What came of a hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "passage", rename_all = "snake_case")]
pub enum Passage {
    /// The change got there.
    Reached {
        /// From zero; 0 if it came before the acknowledgement.
        at: Span,
        /// From the latest reached hop before it (rule P2); none if it is reordered.
        stage: Option<Span>,
        /// Part of the stage in which nobody had started yet (rule T10); none if not known.
        wait: Option<Span>,
        /// Seen between sending and acknowledgement (rule T1).
        early: bool,
        /// Seen before a hop that should come before it (rule P2).
        reordered: bool,
        /// Known only to lie between bounds (rule T6).
        uncertain: bool,
        /// Who woke the subject.
        via: Option<Via>,
        /// Whose webhook it was.
        webhook: Option<Webhook>,
        /// The later revision or canary that brought it, if ours did not.
        carried_by: Option<String>,
    },
    /// It was not seen, though a hop behind it was (rule P3).
    Bypassed,
    /// It was not seen.
    Unreached,
}

/// The first failure that counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// Flux's first reason.
    pub reason: String,
    /// From zero.
    pub at: Span,
    /// The object that failed.
    pub subject: String,
}

/// What a run says of one objective.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SloRecord {
    /// `total`, or the name of the hop.
    pub slo: String,
    /// What it says.
    pub verdict: SloVerdict,
}

// === impl Span ===

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self { least: Duration::ZERO, most: Duration::ZERO };

    /// An exact length.
    #[must_use]
    pub fn exactly(length: Duration) -> Self {
        Self { least: length, most: length }
    }

    /// Whether the length is exact.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self.least == self.most
    }

    /// How far the bounds are apart.
    #[must_use]
    pub fn width(self) -> Duration {
        self.most.saturating_sub(self.least)
    }
}

impl From<Span> for WrittenSpan {
    fn from(span: Span) -> Self {
        let (least, most) = (span.least.as_secs_f64(), span.most.as_secs_f64());
        if span.is_exact() { Self::Exact(most) } else { Self::Between { least, most } }
    }
}

impl From<WrittenSpan> for Span {
    /// What no clock can have measured (negative, endless) becomes zero.
    fn from(span: WrittenSpan) -> Self {
        let length = |it: f64| Duration::try_from_secs_f64(it).unwrap_or_default();
        match span {
            WrittenSpan::Exact(it) => Self::exactly(length(it)),
            WrittenSpan::Between { least, most } => {
                Self { least: length(least), most: length(most) }
            }
        }
    }
}

// === impl Passage ===

impl Passage {
    /// From zero to the hop, if it was reached.
    #[must_use]
    pub fn at(&self) -> Option<Span> {
        if let Self::Reached { at, .. } = self { Some(*at) } else { None }
    }

    /// From the hops before it, if that is known.
    #[must_use]
    pub fn stage(&self) -> Option<Span> {
        if let Self::Reached { stage, .. } = self { *stage } else { None }
    }
}

/// Writes a length as seconds.
mod seconds {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(it: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(it.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_written_as_seconds_and_reads_back() {
        let exact = Span::exactly(Duration::from_millis(172));
        let between = Span { least: Duration::from_secs(1), most: Duration::from_secs(2) };
        for (span, text) in [(exact, "0.172"), (between, r#"{"least":1.0,"most":2.0}"#)] {
            assert_eq!(serde_json::to_string(&span).unwrap(), text);
            assert_eq!(serde_json::from_str::<Span>(text).unwrap(), span);
        }
    }

    #[test]
    fn a_record_of_a_version_that_did_not_count_reads_as_nothing_asked() {
        let written = serde_json::json!({
            "scenario": "fleet", "canary": "hopclock-1a1fbe67000", "started": "2026-11-20T12:00:00Z",
            "push": null, "hops": [], "outcome": "timeout", "push_to_apply": null, "tolerance": 1.0,
            "failing_since": null, "slo": [],
        });
        let read: RunRecord = serde_json::from_value(written).unwrap();
        assert_eq!(read.usage, Usage::default());
        let usage = Usage { requests: 9, throttled: 1 };
        let kept = serde_json::to_string(&RunRecord { usage, ..read }).unwrap();
        assert_eq!(serde_json::from_str::<RunRecord>(&kept).unwrap().usage, usage);
    }
}
