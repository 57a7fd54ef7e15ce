//! Rules of the design that a run obeys, each by its number.

mod candidates;
mod errands;
mod failures;
mod learning;
mod objectives;
mod others;
mod path;
mod pipeline;
mod properties;
mod script;
mod time;
mod witness;
