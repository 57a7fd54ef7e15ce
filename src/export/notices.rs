//! What becomes of the notifications that reach the listener.

use crate::export::metrics::Metrics;
use crate::export::reference::Metric;

/// What became of a notification. Its text is the label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeResult {
    /// A run waited for it.
    Heard,
    /// Nobody waited for it.
    Unawaited,
    /// Its listener is not there.
    NoListener,
    /// The token to compare it with cannot be read.
    NoToken,
    /// It bears no signature.
    Unsigned,
    /// Its signature is wrong.
    WrongSignature,
    /// It is no notification.
    Malformed,
    /// The run that waits for it cannot take it.
    Busy,
    /// It is longer than is read.
    TooLong,
    /// It broke off, or did not come in time.
    Incomplete,
    /// It was not posted.
    WrongMethod,
    /// Its connection was one too many; what it would have brought is not known.
    TooManyConnections,
}

// === impl NoticeResult ===

impl NoticeResult {
    /// Every value of the label.
    pub const ALL: [Self; 12] = [
        Self::Heard,
        Self::Unawaited,
        Self::NoListener,
        Self::NoToken,
        Self::Unsigned,
        Self::WrongSignature,
        Self::Malformed,
        Self::Busy,
        Self::TooLong,
        Self::Incomplete,
        Self::WrongMethod,
        Self::TooManyConnections,
    ];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Unawaited => "unawaited",
            Self::NoListener => "no_listener",
            Self::NoToken => "no_token",
            Self::Unsigned => "unsigned",
            Self::WrongSignature => "wrong_signature",
            Self::Malformed => "malformed",
            Self::Busy => "busy",
            Self::TooLong => "too_long",
            Self::Incomplete => "incomplete",
            Self::WrongMethod => "wrong_method",
            Self::TooManyConnections => "too_many_connections",
        }
    }
}

impl Metrics {
    /// Says that there is a listener, so that its series exist.
    pub fn declare_notices(&self) {
        self.with_process(|series| {
            for it in NoticeResult::ALL {
                series.declare(Metric::Notifications, &[it.as_str()]);
            }
        });
    }

    /// Counts a notification.
    pub fn count_notice(&self, result: NoticeResult) {
        self.with_process(|series| series.add(Metric::Notifications, &[result.as_str()], 1.0));
    }
}
