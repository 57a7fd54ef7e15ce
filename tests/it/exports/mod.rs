//! Ways out: what is sent arrives at real databases, which are then asked for it, and other ends
//! that are slow, cut or refuse everything hold nothing up.

mod cut_off;
mod events;
mod faults;
mod gate;
mod in_a_row;
mod json_lines;
pub(crate) mod kit;
mod otlp;
mod program;
mod pushgateway;
mod remote_write;
pub(crate) mod traces;
