//! What the sandbox promises, from outside: one binary, a module per subject.

mod flux_facts;
mod lab;
mod normal;
mod receivers;
mod stories;
