//! What a run waits for, and the pure state machine that follows it.

mod machine;
mod plan;

pub use machine::{Ancestry, Effect, LINGER, Run, Start};
pub use plan::{Need, Plan, PlannedBystander, PlannedHop};
