//! What things *are*: pure values without clocks, network or logs.

mod ancestry;
mod canary;
mod change;
mod clock;
mod duration;
mod event;
pub mod flux;
mod fnv;
mod git_branch;
mod histogram;
mod image;
pub mod image_policy;
mod kept;
mod landing;
mod ledger;
mod notice;
mod object_name;
mod outcome;
mod requirement;
mod revision;
mod run;
mod secret;
mod sighting;
mod state;
pub mod statistics;
mod subject;
mod survey;
mod tidied;
mod timetable;
mod trace;
mod underway;
mod usage;

pub use ancestry::{Ancestry, Findings, conclude};
pub use canary::{CanaryId, NotACanaryId, tokens};
pub use change::{Carried, Carrier, Change};
pub use clock::{Clock, Moment};
pub use duration::{Duration, NotADuration};
pub use event::{Event, Missed, Observer, Origin};
pub use fnv::fnv1a;
pub use git_branch::{GitBranch, MergeWay};
pub use histogram::{BOUNDS, BUCKETS, Exemplar, Histogram, Native, NotAHistogram};
pub use image::{ImageRef, Marker};
pub use kept::{Evidence, KeptRun, LogLine, ObjectEvent};
pub use landing::{
    ArtifactLanding, BucketLanding, ChartFiles, ChartLanding, ImageLanding, Landing, PackagedChart,
    ReceiverLanding, Signature,
};
pub use ledger::{AccountError, Ledger, Tick};
pub use notice::{Facts, Involved, Notice};
pub use object_name::{NotAnObjectName, ObjectName};
pub use outcome::{Outcome, ProbeError, Skip, SloVerdict};
pub use requirement::Requirement;
pub use revision::{Revision, RevisionSort, SourceKind};
pub use run::{FailureRecord, HopRecord, Passage, Push, RunRecord, Sight, SloRecord, Span};
pub use secret::{Secret, SecretError};
pub use sighting::{Failure, FailureSort, Reached, Sighting, Via, Webhook};
pub use state::{Arrival, Seen, State, When};
pub use subject::{ClusterName, GroupKind, Subject};
pub use survey::{Holding, Survey};
pub use tidied::{Stays, Tidied};
pub use timetable::{
    Calendar, Due, NotACalendar, Pause, Position, Stretch, Ticks, Timetable, zone, zones,
};
pub use trace::{NotATraceId, SpanId, TraceId};
pub use underway::{Account, Acknowledged, Publishing, Underway};
pub use usage::Usage;
