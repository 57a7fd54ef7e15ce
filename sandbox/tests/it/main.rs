//! The sandbox from outside: everything over real sockets on loopback.
//!
//! One binary for all subjects, because each further one would link the whole stack again.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod api;
