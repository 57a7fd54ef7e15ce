//! What a run waits for, the pure state machine that follows it, and what drives that.

mod branch;
mod clock;
mod drive;
mod errand;
mod journal;
mod machine;
mod noticing;
mod plan;
mod polling;
mod service;
mod store;
mod watching;

pub use crate::model::Ancestry;
pub use branch::BranchPoll;
pub use clock::SystemClock;
pub use drive::{
    Job, Surroundings, Watches, Watching, interrupted, resume_run, run_once, run_until,
};
pub use errand::{BranchMerge, Errand, ErrandDone, Errands};
pub use journal::{Journal, Unwritten};
pub use machine::{Effect, LINGER, LeftBehind, Run, Start};
pub use noticing::{Board, Hearing, Posted};
pub use plan::{Plan, PlannedBystander, PlannedHop, Witness};
pub use polling::{Interest, Poll, Polled};
pub use service::{
    Activity, Assembled, Assembly, Begun, Ending, Entry, Grip, Keeper, LaneError, Lanes, LastRun,
    LocalLanes, Refusal, Service, Setting, Status, perform_once,
};
pub use store::{Batch, Stamped, Store, StoreError, Totals};
