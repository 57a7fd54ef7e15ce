//! What the pages need of the service behind them: is it ready, may you, and please run.

use crate::model::RunRecord;
use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;

/// What `/readyz` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether the service does what it is there for; decides between 200 and 503.
    pub ready: bool,
    /// Why.
    pub checks: Vec<Check>,
}

/// One thing that the service depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A short name, such as `watches`.
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// One line for people, without secrets: whoever reaches the port can read it.
    pub detail: String,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it should.
    Ok,
    /// Not as it should, and the service works all the same.
    Warning,
    /// It keeps the service from being ready.
    Failing,
}

/// Knows whether the service is ready.
pub trait Ready: Send + Sync {
    /// How it stands right now. Must not block: it is asked every few seconds.
    fn readiness(&self) -> Readiness;
}

/// What the caller of `POST /run/{scenario}` waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// For the run to be accepted.
    #[default]
    Accepted,
    /// For the run to end.
    Ended,
}

/// A run that was asked for and takes place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Requested {
    /// The run's name: the instant at which it is due, as RFC 3339.
    pub run: String,
    /// What came of it, for a caller that waited for its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<RunRecord>>,
}

/// Makes runs that somebody asks for.
#[async_trait]
pub trait Runs: Send + Sync {
    /// Asks for a run of a scenario now.
    ///
    /// With [`Wait::Ended`] the answer comes when the run has ended, so at the latest a little
    /// after the scenario's deadline. The call is always carried to its end: a caller that has
    /// gone away ends neither it nor the run.
    ///
    /// # Errors
    /// When no run takes place.
    async fn request(&self, scenario: &str, wait: Wait) -> Result<Requested, Refused>;
}

/// Knows who may ask for runs.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Lets the bearer of a token ask for a run of a scenario, which may not exist.
    ///
    /// # Errors
    /// When it does not let them.
    async fn admit(&self, bearer: Option<&SecretString>, scenario: &str) -> Result<(), Denied>;
}

/// Why no run takes place. Its text is a sentence for the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No scenario has that name.
    #[error("there is no such scenario{}", near.as_ref().map(|it| format!(": did you mean `{it}`?")).unwrap_or_default())]
    UnknownScenario {
        /// The name that was probably meant.
        near: Option<String>,
    },
    /// A run of the scenario is under way.
    #[error("a run of it is under way since {since}: ask again when it has ended")]
    Busy {
        /// Since when.
        since: Timestamp,
    },
    /// The scenario is paused.
    #[error("it is paused ({why}): ask again afterwards")]
    Paused {
        /// By what, in a few words.
        why: String,
    },
    /// Somebody else writes to the same lane.
    #[error("its lane is held by {holder}: ask again when that has ended")]
    LaneHeld {
        /// Who.
        holder: String,
    },
    /// Another replica runs the scenarios.
    #[error("this replica does not lead{}: ask the one that does", leader.as_ref().map(|it| format!(", `{it}` does")).unwrap_or_default())]
    NotLeader {
        /// Its name, where it is known.
        leader: Option<String>,
    },
    /// The service is about to end.
    #[error("the service is stopping: ask again in a moment")]
    Stopping,
    /// The service cannot run anything at the moment; a sentence that says why.
    #[error("{0}")]
    Unavailable(String),
}

/// Why somebody may not ask. Its text is a sentence for the caller, without the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no token.
    #[error("a token is needed: send it as `Authorization: Bearer TOKEN`")]
    Missing,
    /// The token is not known, or not valid any more.
    #[error("the token is not accepted: it is another one, or it has expired")]
    Wrong,
    /// The token is valid, and its user may not.
    #[error("`{user}` may not ask for runs of this scenario")]
    Forbidden {
        /// Whose token it is.
        user: String,
    },
    /// Nobody could be asked about the token; a sentence that says why.
    #[error("{0}")]
    Unavailable(String),
}

// === impl CheckState ===

impl CheckState {
    /// The state's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failing => "failing",
        }
    }
}

// === impl Refused ===

impl Refused {
    /// Bounded name for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownScenario { .. } => "unknown_scenario",
            Self::Busy { .. } => "busy",
            Self::Paused { .. } => "paused",
            Self::LaneHeld { .. } => "lane_held",
            Self::NotLeader { .. } => "not_leader",
            Self::Stopping => "stopping",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

// === impl Denied ===

impl Denied {
    /// Bounded name for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "no_token",
            Self::Wrong => "wrong_token",
            Self::Forbidden { .. } => "forbidden",
            Self::Unavailable(_) => "gate_unavailable",
        }
    }
}
