//! Everything that is tested from outside, in one binary: each further one links all anew.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod watch;
