//! What things *are*: pure values without clocks, network or logs.

mod ancestry;
mod canary;
mod change;
mod clock;
mod duration;
mod event;
pub mod flux;
mod histogram;
mod ledger;
mod object_name;
mod outcome;
mod requirement;
mod run;
mod sighting;
mod state;
mod subject;
mod survey;

pub use ancestry::{Ancestry, Findings, conclude};
pub use canary::{CanaryId, NotACanaryId, tokens};
pub use change::{Carried, Carrier, Change, Revision};
pub use clock::{Clock, Moment};
pub use duration::{Duration, NotADuration};
pub use event::{Event, Missed, Observer};
pub use histogram::{BOUNDS, BUCKETS, Exemplar, Histogram, Native, NotAHistogram};
pub use ledger::{AccountError, Ledger, Tick};
pub use object_name::{NotAnObjectName, ObjectName};
pub use outcome::{Outcome, ProbeError, Skip, SloVerdict};
pub use requirement::Requirement;
pub use run::{FailureRecord, HopRecord, Passage, Push, RunRecord, SloRecord, Span};
pub use sighting::{Failure, FailureSort, Reached, Sighting, Via, Webhook};
pub use state::{Arrival, Seen, State, When};
pub use subject::{ClusterName, GroupKind, Subject};
pub use survey::{Holding, Survey};
