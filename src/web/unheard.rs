//! Why a notification is not let in: its status, its count, and the sentence that would mend it.

use crate::export::NoticeResult;
use crate::web::notices::NoKey;
use axum::http::StatusCode;

/// Why a notification is not let in.
pub(super) enum Unheard {
    /// There is no such listener.
    NoListener,
    /// The token to compare it with cannot be read, for this reason.
    Unreadable(String),
    /// It bears no signature.
    Missing,
    /// Its signature is wrong.
    Wrong,
    /// It is no notification.
    Malformed,
    /// The run that waits for it cannot take it.
    Busy,
    /// Its body is too long.
    TooLong,
    /// Its body broke off or did not come.
    Incomplete,
    /// It was not posted.
    WrongMethod,
    /// Its connection was one too many.
    TooMany,
}

// === impl Unheard ===

impl From<NoKey> for Unheard {
    fn from(why: NoKey) -> Self {
        match why {
            NoKey::NoListener => Self::NoListener,
            NoKey::Unreadable(why) => Self::Unreadable(why),
        }
    }
}

impl Unheard {
    /// As what it counts.
    pub(super) fn result(&self) -> NoticeResult {
        match self {
            Self::NoListener => NoticeResult::NoListener,
            Self::Unreadable(_) => NoticeResult::NoToken,
            Self::Missing => NoticeResult::Unsigned,
            Self::Wrong => NoticeResult::WrongSignature,
            Self::Malformed => NoticeResult::Malformed,
            Self::Busy => NoticeResult::Busy,
            Self::TooLong => NoticeResult::TooLong,
            Self::Incomplete => NoticeResult::Incomplete,
            Self::WrongMethod => NoticeResult::WrongMethod,
            Self::TooMany => NoticeResult::TooManyConnections,
        }
    }

    /// Whether the provider will send it again, and may then be let in.
    pub(super) fn comes_again(&self) -> bool {
        self.status() == StatusCode::SERVICE_UNAVAILABLE
    }

    /// How it is answered.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoListener => StatusCode::NOT_FOUND,
            Self::Missing | Self::Wrong => StatusCode::UNAUTHORIZED,
            Self::Malformed | Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            // The provider tries again.
            Self::Unreadable(_) | Self::Busy | Self::TooMany => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What happened, and what would mend it.
    pub(super) fn sentence(&self, name: &str) -> String {
        match self {
            Self::NoListener => "there is no listener of this name: give the Provider an address \
                                 whose path is `/notify/` and a listener of `--notify-token`"
                .to_owned(),
            Self::Unreadable(why) => {
                format!("no notification is let in by listener `{name}`: {why}")
            }
            Self::Missing => format!(
                "a notification for listener `{name}` bears no signature: give its Provider the \
                 type `generic-hmac`, or let unsigned ones in with `--notify-token {name}=unsigned`"
            ),
            Self::Wrong => format!(
                "a notification for listener `{name}` bears a wrong signature: the `token` in the \
                 Provider's Secret and that of `--notify-token` have to be the same"
            ),
            Self::Malformed => format!(
                "what was posted to listener `{name}` is no notification of Flux's: post there with \
                 a Provider of type `generic` or `generic-hmac`"
            ),
            Self::Busy => format!(
                "a run that waits for listener `{name}` has more notifications than it can take: \
                 let the Alert select fewer objects"
            ),
            Self::TooLong => "a notification was longer than is read, and that none is that tells \
                              of a success: let the Alert exclude those that list changes"
                .to_owned(),
            Self::Incomplete => "a notification broke off, or did not come in time: look at the \
                                 network and the proxies between Flux and hopclock"
                .to_owned(),
            Self::WrongMethod => {
                "something asks at the port for notifications without posting one: \
                                  let health checks ask for `/healthz` of `--listen`"
                    .to_owned()
            }
            Self::TooMany => "notifications were refused, for too many connections are open: let \
                              the Alert select fewer objects, and only Flux reach the port"
                .to_owned(),
        }
    }
}
