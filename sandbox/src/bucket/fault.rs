//! What goes wrong on demand, and the log of what was asked.
//!
//! A rule names the requests it spoils and how often; the first one that fits is used.

use std::time::Duration;

use http::Method;
use tokio::time::Instant;

/// What part of the API a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Route {
    /// Is there a bucket of that name, and where?
    Bucket,
    /// The list of a bucket's objects.
    List,
    /// An object.
    Object,
    /// Anything else.
    Other,
}

/// One way for a request to go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Refuses with this HTTP status and this code, and `Retry-After` in seconds if given.
    Refuse(u16, &'static str, Option<u32>),
    /// The same, and serves the request all the same, as servers behind a hasty gateway do.
    RefuseAfter(u16, &'static str, Option<u32>),
    /// Serves the request, this much later.
    Slow(Duration),
    /// Takes the request and never answers.
    Silence,
    /// Ends the connection; nothing has happened.
    Cut,
    /// Serves the request and ends the connection instead of answering.
    CutAfter,
}

/// Which requests a fault spoils.
#[derive(Debug, Clone)]
pub struct FaultRule {
    /// The route that it spoils; none means every route.
    pub on: Option<Route>,
    /// The method that it spoils; none means every method.
    pub method: Option<Method>,
    /// What goes wrong.
    pub fault: Fault,
    /// How many requests it still spoils; none means all.
    pub times: Option<u32>,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// Its method.
    pub method: Method,
    /// What it was for.
    pub route: Route,
    /// Path and query.
    pub target: String,
    /// Whether it was signed.
    pub signed: bool,
    /// Its `User-Agent`, empty without one.
    pub user_agent: String,
    /// When it arrived.
    pub at: Instant,
    /// The status of the answer; none as long as there is none.
    pub status: Option<u16>,
}

impl FaultRule {
    /// Spoils every request of one route.
    #[must_use]
    pub fn always(on: Route, fault: Fault) -> Self {
        Self { on: Some(on), method: None, fault, times: None }
    }

    /// Spoils the next request of one route.
    #[must_use]
    pub fn once(on: Route, fault: Fault) -> Self {
        Self { times: Some(1), ..Self::always(on, fault) }
    }

    /// The same for one method only.
    #[must_use]
    pub fn for_method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }
}

/// The fault for a request, counted down.
pub(super) fn take(rules: &mut Vec<FaultRule>, method: &Method, route: Route) -> Option<Fault> {
    let fits = |rule: &FaultRule| {
        rule.on.is_none_or(|on| on == route)
            && rule.method.as_ref().is_none_or(|wanted| wanted == method)
            && rule.times != Some(0)
    };
    let rule = rules.iter_mut().find(|rule| fits(rule))?;
    if let Some(times) = &mut rule.times {
        *times -= 1;
    }
    let fault = rule.fault.clone();
    rules.retain(|rule| rule.times != Some(0));
    Some(fault)
}
