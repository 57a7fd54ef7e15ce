//! Everything that is tested from outside, in one binary: each further one links all anew.

mod watch;
