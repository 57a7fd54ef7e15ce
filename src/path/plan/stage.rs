//! One thing that a change waits for, and who ends the wait.

use crate::model::{self, GroupKind, Subject};
use crate::path::facts::Facts;
use crate::path::plan::Wait;
use std::time::Duration;

/// One thing that a change waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The object at which it waits.
    pub subject: Subject,
    /// Who ends the wait, if all is as it should be.
    pub by: By,
    /// The same in a few words.
    pub why: String,
    /// How long it waits; none if that cannot be planned.
    pub wait: Option<Wait>,
    /// How long it waits if webhooks are lost, where that makes a difference.
    pub lost: Option<Wait>,
    /// How often the object looks by itself.
    pub interval: Option<Duration>,
    /// After how long it tries again once it has failed.
    pub retry: Option<Duration>,
}

/// Who ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A Receiver, which somebody's webhook calls.
    Webhook,
    /// The object itself, when its interval is over.
    Interval,
    /// A watch on what stands before it.
    Watch,
    /// The object itself, which asks for what it depends on again and again.
    Requeue,
    /// The object itself, which looks at the health of what it applied again and again.
    Health,
    /// Nobody of whom a plan knows.
    Nobody,
}

// === impl By ===

impl By {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Interval => "interval",
            Self::Watch => "watch",
            Self::Requeue => "requeue",
            Self::Health => "health",
            Self::Nobody => "nobody",
        }
    }
}

// === impl Stage ===

impl Stage {
    pub(super) fn new(subject: &Subject, by: By, why: String, wait: Wait) -> Self {
        let (subject, wait) = (subject.clone(), Some(wait));
        Self { subject, by, why, wait, lost: None, interval: None, retry: None }
    }

    pub(super) fn woken(subject: &Subject, why: String) -> Self {
        Self::new(subject, By::Watch, why, Wait::Zero)
    }

    pub(super) fn unplanned(subject: &Subject, why: &str) -> Self {
        let it = Self::new(subject, By::Nobody, why.to_owned(), Wait::Zero);
        Self { wait: None, ..it }
    }

    /// Something that looks by itself, and sooner if one of these Receivers asks it to.
    pub(super) fn polled(subject: &Subject, facts: &Facts, receivers: &[&Subject]) -> Self {
        let Some(every) = facts.interval else {
            return Self::unplanned(subject, "it says no interval");
        };
        let poll = Wait::Poll { every, spread: is_spread(&subject.kind) };
        let looks = format!("it looks every {}", shown(every));
        let stage = match receivers {
            [] => Self::new(subject, By::Interval, looks, poll),
            all => {
                let all: Vec<_> = all.iter().map(ToString::to_string).collect();
                let why = format!("asked by {}", all.join(", "));
                let it = Self::new(subject, By::Webhook, why, Wait::Zero);
                Self { lost: Some(poll), ..it }
            }
        };
        Self { interval: Some(every), ..stage }
    }

    /// The wait as it should be, and with lost webhooks.
    #[must_use]
    pub fn waits(&self) -> [Option<Wait>; 2] {
        [self.wait, self.lost.or(self.wait)]
    }
}

/// Whether an object applies what a source holds.
pub(super) fn is_applier(subject: &Subject) -> bool {
    subject.kind == GroupKind::kustomization() || subject.kind == GroupKind::helm_release()
}

/// Whether its controller spreads intervals: those of images and of notifications do not.
fn is_spread(kind: &GroupKind) -> bool {
    !kind.group.starts_with("image.") && !kind.group.starts_with("notification.")
}

/// A length of time as people read it: whole seconds, of short ones tenths.
#[must_use]
pub fn shown(time: Duration) -> String {
    let step = if time.as_secs() < 10 { 100 } else { 1000 };
    let steps = (time.as_millis() + step / 2) / step;
    let rounded = u64::try_from(steps * step).unwrap_or(u64::MAX);
    model::Duration(Duration::from_millis(rounded)).to_string()
}
