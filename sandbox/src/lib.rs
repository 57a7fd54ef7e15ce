//! A GitOps pipeline that fits in one process: what `hopclock demo` runs against and tests drive.
//!
//! It depends on nothing of hopclock, so that the two can disagree, and it stamps every write, so
//! that a test can compare what hopclock said with what was true. Reading order:
//!
//! - [`store`]: the objects, their versions and the log of every write, in memory;
//! - [`api`]: the Kubernetes API over real loopback HTTP on top of the store;
//! - [`git`]: a git host over smart HTTP, with webhooks;
//! - [`registry`]: an OCI registry, with webhooks;
//! - [`bucket`]: a bucket server that speaks S3, with notifications;
//! - [`charts`]: a Helm chart repository over HTTP;
//! - [`flux`]: Flux's controllers, as far as timing can tell;
//! - [`pipeline`]: all of it together, with lanes that changes can travel.

pub mod api;
pub mod bucket;
pub mod charts;
pub mod flux;
pub mod git;
mod loopback;
pub mod pipeline;
pub mod registry;
pub mod store;
