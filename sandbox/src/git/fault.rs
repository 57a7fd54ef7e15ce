//! What goes wrong on demand, and the log of what was asked.
//!
//! A rule names the kind of request it spoils and how often; the first one that fits is used.

use std::time::Duration;

use tokio::time::Instant;

/// What a request wants from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// `info/refs` for a fetch.
    FetchRefs,
    /// The pack of a fetch.
    Fetch,
    /// `info/refs` for a push.
    PushRefs,
    /// The pack of a push.
    Push,
    /// Anything else.
    Other,
}

/// One way for a request to go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answers with this HTTP status, and `Retry-After` in seconds if given.
    Status(u16, Option<u32>),
    /// Answers with a redirect to this URL, the path and query appended.
    Redirect(String),
    /// Serves the request, this much later.
    Slow(Duration),
    /// Takes the request and never answers.
    Silence,
    /// Ends the connection; nothing has happened.
    Cut,
    /// Serves the request and ends the connection instead of answering.
    CutAfter,
    /// Serves the request and keeps the answer for this long.
    AnswerLate(Duration),
}

/// Which requests a fault spoils.
#[derive(Debug, Clone)]
pub struct FaultRule {
    /// The kind that it spoils; none means every kind.
    pub on: Option<RequestKind>,
    /// What goes wrong.
    pub fault: Fault,
    /// How many requests it still spoils; none means all.
    pub times: Option<u32>,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// What it wanted.
    pub kind: RequestKind,
    /// Path and query.
    pub target: String,
    /// Whether it brought an `Authorization` header.
    pub authorized: bool,
    /// Its `User-Agent`, empty without one.
    pub user_agent: String,
    /// When it arrived.
    pub at: Instant,
}

impl RequestKind {
    /// Reads the kind from path and query.
    #[must_use]
    pub fn of(path: &str, query: &str) -> Self {
        if path.ends_with("/info/refs") {
            match query.split('&').find_map(|pair| pair.strip_prefix("service=")) {
                Some("git-receive-pack") => Self::PushRefs,
                _ => Self::FetchRefs,
            }
        } else if path.ends_with("/git-upload-pack") {
            Self::Fetch
        } else if path.ends_with("/git-receive-pack") {
            Self::Push
        } else {
            Self::Other
        }
    }

    /// Whether it needs the right to write.
    #[must_use]
    pub fn is_push(self) -> bool {
        matches!(self, Self::PushRefs | Self::Push)
    }
}

impl FaultRule {
    /// Spoils every request of one kind.
    #[must_use]
    pub fn always(on: RequestKind, fault: Fault) -> Self {
        Self { on: Some(on), fault, times: None }
    }

    /// Spoils the next request of one kind.
    #[must_use]
    pub fn once(on: RequestKind, fault: Fault) -> Self {
        Self { on: Some(on), fault, times: Some(1) }
    }
}

/// The fault for a request of this kind, counted down.
pub(super) fn take(rules: &mut Vec<FaultRule>, kind: RequestKind) -> Option<Fault> {
    let fits = |rule: &FaultRule| rule.on.is_none_or(|on| on == kind) && rule.times != Some(0);
    let rule = rules.iter_mut().find(|rule| fits(rule))?;
    if let Some(times) = &mut rule.times {
        *times -= 1;
    }
    let fault = rule.fault.clone();
    rules.retain(|rule| rule.times != Some(0));
    Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_one_time_spoils_one_request_of_its_kind() {
        let mut rules = vec![FaultRule::once(RequestKind::Push, Fault::Cut)];
        assert_eq!(take(&mut rules, RequestKind::Fetch), None);
        assert_eq!(take(&mut rules, RequestKind::Push), Some(Fault::Cut));
        assert_eq!(take(&mut rules, RequestKind::Push), None);
    }
}
