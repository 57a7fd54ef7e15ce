//! What happened, kept: accounts of the scenarios and their runs, across restarts.

mod recorder;

pub use recorder::Recorder;
