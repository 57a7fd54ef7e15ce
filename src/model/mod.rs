//! What things *are*: pure values without clocks, network or logs.

mod canary;
mod clock;
mod duration;
mod object_name;
mod state;
mod subject;

pub use canary::{CanaryId, NotACanaryId, tokens};
pub use clock::{Clock, Moment};
pub use duration::{Duration, NotADuration};
pub use object_name::{NotAnObjectName, ObjectName};
pub use state::{Arrival, Seen, State, When};
pub use subject::{ClusterName, GroupKind, Subject};
