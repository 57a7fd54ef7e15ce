//! A GitOps pipeline that fits in one process, as far as timing can tell.

pub mod git;
